//! Operations as data, and their text.

use std::fmt;

/// One program: what a compartment's state consists of and what happens to it in a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    pub name: String,
    /// Constants that a population shares, by name; their values stand in the profile.
    pub params: Vec<String>,
    pub states: Vec<StateWord>,
    /// Dendritic accumulators.
    pub accumulators: Vec<String>,
    pub locals: Vec<String>,
    pub ops: Vec<Op>,
}

/// A signed word of `bits` bits in each compartment's record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StateWord {
    pub name: String,
    pub bits: u32,
}

/// Where an operation puts its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    State(u8),
    Local(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    State(u8),
    Local(u8),
    Param(u8),
    Number(i32),
}

impl From<Place> for Operand {
    fn from(place: Place) -> Operand {
        match place {
            Place::State(k) => Operand::State(k),
            Place::Local(k) => Operand::Local(k),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    Add,
    And,
    Or,
    Min,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    Lt,
    Ge,
    Eq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    ReadClear {
        to: Place,
        accumulator: u8,
    },
    Open {
        state: u8,
    },
    Move {
        to: Place,
        a: Operand,
    },
    Negate {
        to: Place,
        a: Operand,
    },
    Select {
        to: Place,
        a: Operand,
        b: Operand,
    },
    Binary {
        op: Binary,
        to: Place,
        a: Operand,
        b: Operand,
    },
    ShiftLeft {
        to: Place,
        a: Operand,
        by: u8,
    },
    MulShift {
        to: Place,
        a: Operand,
        b: Operand,
        by: u8,
    },
    Compare {
        op: Compare,
        a: Operand,
        b: Operand,
    },
    /// Leaves out `by` operations where the flag is `when`; a jump where `far`.
    Skip {
        far: bool,
        when: bool,
        by: u8,
    },
    Spike {
        payload: Operand,
    },
    Wrap24 {
        at: Place,
    },
    Clip24 {
        at: Place,
    },
    Random {
        to: Place,
        bits: u8,
    },
}

impl Program {
    /// Bytes of a compartment's record.
    pub fn state_bytes(&self) -> u32 {
        self.states.iter().map(|s| s.bits.div_ceil(8)).sum()
    }

    fn place(&self, place: Place) -> &str {
        match place {
            Place::State(k) => &self.states[usize::from(k)].name,
            Place::Local(k) => &self.locals[usize::from(k)],
        }
    }

    fn operand(&self, operand: Operand) -> String {
        match operand {
            Operand::State(k) => self.states[usize::from(k)].name.clone(),
            Operand::Local(k) => self.locals[usize::from(k)].clone(),
            Operand::Param(k) => self.params[usize::from(k)].clone(),
            Operand::Number(n) => n.to_string(),
        }
    }

    fn op(&self, op: Op) -> String {
        let (place, operand) = (|p| self.place(p), |o| self.operand(o));
        match op {
            Op::ReadClear { to, accumulator } => {
                format!("RDC {}, {}", place(to), self.accumulators[usize::from(accumulator)])
            }
            Op::Open { state } => format!("RMW {}", self.states[usize::from(state)].name),
            Op::Move { to, a } => format!("MOV {}, {}", place(to), operand(a)),
            Op::Negate { to, a } => format!("NEG {}, {}", place(to), operand(a)),
            Op::Select { to, a, b } => format!("SEL {}, {}, {}", place(to), operand(a), operand(b)),
            Op::Binary { op, to, a, b } => {
                let name = match op {
                    Binary::Add => "ADD",
                    Binary::And => "AND",
                    Binary::Or => "OR",
                    Binary::Min => "MIN",
                };
                format!("{name} {}, {}, {}", place(to), operand(a), operand(b))
            }
            Op::ShiftLeft { to, a, by } => format!("SHL {}, {}, {by}", place(to), operand(a)),
            Op::MulShift { to, a, b, by } => format!("MUL_SHR {}, {}, {}, {by}", place(to), operand(a), operand(b)),
            Op::Compare { op, a, b } => {
                let name = match op {
                    Compare::Lt => "LT",
                    Compare::Ge => "GE",
                    Compare::Eq => "EQ",
                };
                format!("{name} {}, {}", operand(a), operand(b))
            }
            Op::Skip { far, when, by } => {
                format!("{}_{} {by}", if far { "JMP" } else { "SKP" }, if when { "A" } else { "B" })
            }
            Op::Spike { payload } => format!("SPIKE {}", operand(payload)),
            Op::Wrap24 { at } => format!("X.WRAP24 {}", place(at)),
            Op::Clip24 { at } => format!("X.CLIP24 {}", place(at)),
            Op::Random { to, bits } => format!("X.RAND {}, {bits}", place(to)),
        }
    }
}

/// The disassembly: what [`super::assemble`] reads back equal. Takes for granted that every operand exists, as in a program that
/// was assembled.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, ".program {}", self.name)?;
        self.params.iter().try_for_each(|p| writeln!(f, ".param {p}"))?;
        self.states.iter().try_for_each(|s| writeln!(f, ".state {} i{}", s.name, s.bits))?;
        self.accumulators.iter().try_for_each(|a| writeln!(f, ".acc {a}"))?;
        self.locals.iter().try_for_each(|l| writeln!(f, ".local {l}"))?;
        self.ops.iter().try_for_each(|op| writeln!(f, "  {}", self.op(*op)))
    }
}
