//! Whether a program is the integrate-and-fire unit of SANA-FE's Loihi.
//!
//! That unit multiplies its potential, cuts the product towards zero at a 64th, adds a constant and what arrives, and compares. Its
//! refractory time and a current that outlasts a step are not those of the programs here, so a program is followed
//! symbolically, operation by operation, and taken where it does just this.

use crate::chip::microcode::{Binary, Compare, Op, Operand, Place, Program};

/// What the unit does in a step, in the integers of the program: `V = cut(V * factor / 2^shift) + constant + arrived * worth`, a
/// spike where `V > threshold`, and then `V = reset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub factor: i64,
    pub shift: u8,
    pub constant: i64,
    /// By accumulator.
    pub worth: Vec<i64>,
    pub threshold: i64,
    pub reset: i64,
    /// The word that holds V.
    pub word: usize,
}

/// A value of the program: sums of at most one product of a word, of constants and of what arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sum {
    /// Word, factor, shift; factor 1 and shift 0 is the word itself.
    word: Option<(u8, i64, u8)>,
    constant: i64,
    worth: Vec<i64>,
}

/// Why a program is no such unit.
type Refusal = String;

struct Reader<'p> {
    program: &'p Program,
    params: &'p [i32],
    /// By word of the state; where nothing writes it, its value.
    fixed: Vec<Option<i64>>,
    states: Vec<Sum>,
    locals: Vec<Sum>,
    /// What is compared with 0: a spike where it is greater.
    test: Option<Sum>,
}

/// The unit that a program is with these params and these words of a neuron's state.
///
/// # Errors
/// In words, what of it the unit doesn't do.
pub(super) fn recognise(program: &Program, params: &[i32], state: &[i32]) -> Result<Unit, Refusal> {
    let written: Vec<usize> = program.ops.iter().filter_map(|op| target(*op)).collect();
    let fixed = |k: usize| (!written.contains(&k)).then(|| state.get(k).copied().map(i64::from)).flatten();
    let mut reader = Reader {
        program,
        params,
        fixed: (0..program.states.len()).map(fixed).collect(),
        states: vec![],
        locals: vec![],
        test: None,
    };
    let zero = reader.number(0);
    reader.states = (0..program.states.len() as u8)
        .map(|k| match reader.fixed[usize::from(k)] {
            Some(value) => reader.number(value),
            None => Sum { word: Some((k, 1, 0)), ..zero.clone() },
        })
        .collect();
    reader.locals = vec![zero; program.locals.len()];
    reader.unit()
}

/// The word that an operation writes.
fn target(op: Op) -> Option<usize> {
    let to = match op {
        Op::ReadClear { to, .. }
        | Op::Move { to, .. }
        | Op::Negate { to, .. }
        | Op::Select { to, .. }
        | Op::Binary { to, .. }
        | Op::ShiftLeft { to, .. }
        | Op::MulShift { to, .. }
        | Op::Random { to, .. } => to,
        // In strict mode these leave a value as it is.
        Op::Wrap24 { .. } | Op::Clip24 { .. } => return None,
        Op::Open { .. } | Op::Compare { .. } | Op::Skip { .. } | Op::Spike { .. } => return None,
    };
    match to {
        Place::State(k) => Some(usize::from(k)),
        Place::Local(_) => None,
    }
}

impl Reader<'_> {
    fn number(&self, value: i64) -> Sum {
        Sum { word: None, constant: value, worth: vec![0; self.program.accumulators.len()] }
    }

    fn get(&self, operand: Operand) -> Sum {
        match operand {
            Operand::State(k) => self.states[usize::from(k)].clone(),
            Operand::Local(k) => self.locals[usize::from(k)].clone(),
            Operand::Param(k) => self.number(self.params.get(usize::from(k)).copied().map_or(0, i64::from)),
            Operand::Number(n) => self.number(i64::from(n)),
        }
    }

    fn set(&mut self, place: Place, value: Sum) {
        match place {
            Place::State(k) => self.states[usize::from(k)] = value,
            Place::Local(k) => self.locals[usize::from(k)] = value,
        }
    }

    fn unit(mut self) -> Result<Unit, Refusal> {
        let program = self.program;
        let mut ops = program.ops.iter();
        while let Some(op) = ops.next() {
            if let Op::Skip { when: false, by, .. } = *op {
                let body: Vec<Op> = ops.by_ref().take(usize::from(by)).copied().collect();
                if ops.any(|op| !matches!(op, Op::Clip24 { .. } | Op::Wrap24 { .. })) {
                    return Err("it goes on after its spike".to_string());
                }
                return self.fires(&body);
            }
            self.follow(*op)?;
        }
        Err("it sends no spike".to_string())
    }

    fn follow(&mut self, op: Op) -> Result<(), Refusal> {
        match op {
            Op::Open { .. } | Op::Wrap24 { .. } | Op::Clip24 { .. } => {}
            Op::ReadClear { to, accumulator } => {
                let mut value = self.number(0);
                value.worth[usize::from(accumulator)] = 1;
                self.set(to, value);
            }
            Op::Move { to, a } => self.set(to, self.get(a)),
            Op::Binary { op: Binary::Add, to, a, b } => {
                let sum = add(self.get(a), &self.get(b))?;
                self.set(to, sum);
            }
            Op::ShiftLeft { to, a, by } => {
                let value = scaled(self.get(a), 1_i64.checked_shl(u32::from(by)).unwrap_or(0))?;
                self.set(to, value);
            }
            Op::MulShift { to, a, b, by } => {
                let value = self.product(&self.get(a), &self.get(b), by)?;
                self.set(to, value);
            }
            // A spike where a < b, or where a >= b.
            Op::Compare { op: Compare::Lt, a, b } => {
                self.test = Some(add(self.get(b), &scaled(self.get(a), -1)?)?);
            }
            Op::Compare { op: Compare::Ge, a, b } => {
                let above = add(self.get(a), &scaled(self.get(b), -1)?)?;
                self.test = Some(add(above, &self.number(1))?);
            }
            _ => return Err("a refractory time, noise, or a choice".to_string()),
        }
        Ok(())
    }

    fn product(&self, a: &Sum, b: &Sum, by: u8) -> Result<Sum, Refusal> {
        let (word, number) = if a.word.is_some() { (a, b) } else { (b, a) };
        let plain = number.word.is_none() && number.worth.iter().all(|w| *w == 0);
        if plain && number.constant == 0 {
            return Ok(self.number(0));
        }
        match word.word {
            Some((k, 1, 0)) if plain && word.constant == 0 && word.worth.iter().all(|w| *w == 0) => {
                Ok(Sum { word: Some((k, number.constant, by)), ..self.number(0) })
            }
            _ => Err("a current that outlasts a step, or a product of states".to_string()),
        }
    }

    fn fires(&self, body: &[Op]) -> Result<Unit, Refusal> {
        let (mut spikes, mut reset) = (false, None);
        for op in body {
            match *op {
                Op::Spike { payload } if self.get(payload) == self.number(1) => spikes = true,
                Op::Move { to: Place::State(k), a } if self.get(a).word.is_none() => {
                    reset = Some((k, self.get(a).constant));
                }
                _ => return Err("what a spike does is more than to set one word".to_string()),
            }
        }
        let test = self.test.as_ref().ok_or("its spike has no condition")?;
        let (word, reset) = reset.filter(|_| spikes).ok_or("a spike that is sent and sets nothing, or is not sent")?;
        let v = &self.states[usize::from(word)];
        let Some((own, factor, shift)) = v.word.filter(|(k, ..)| *k == word) else {
            return Err("a spike sets a word that does not follow from itself".to_string());
        };
        let others = (0..).zip(&self.states).filter(|(k, _)| *k != own);
        if others.zip(&self.fixed_of(own)).any(|((_, s), fixed)| fixed.is_none() && s.word.is_some()) {
            return Err("it has several states".to_string());
        }
        // The test is of V itself, give or take a constant.
        if (test.word, &test.worth) != (v.word, &v.worth) {
            return Err("what is compared is not its potential".to_string());
        }
        let threshold = v.constant - test.constant;
        Ok(Unit {
            factor,
            shift,
            constant: v.constant,
            worth: v.worth.clone(),
            threshold,
            reset,
            word: usize::from(word),
        })
    }

    fn fixed_of(&self, without: u8) -> Vec<Option<i64>> {
        (0..).zip(&self.fixed).filter(|(k, _)| *k != without).map(|(_, f)| *f).collect()
    }
}

fn add(mut a: Sum, b: &Sum) -> Result<Sum, Refusal> {
    if a.word.is_some() && b.word.is_some() {
        return Err("a sum of two states".to_string());
    }
    let large = || "a number that leaves 64 bits".to_string();
    a.word = a.word.or(b.word);
    a.constant = a.constant.checked_add(b.constant).ok_or_else(large)?;
    for (x, y) in a.worth.iter_mut().zip(&b.worth) {
        *x = x.checked_add(*y).ok_or_else(large)?;
    }
    Ok(a)
}

fn scaled(mut a: Sum, by: i64) -> Result<Sum, Refusal> {
    if a.word.is_some() {
        return Err("a state that is shifted".to_string());
    }
    let large = || "a number that leaves 64 bits".to_string();
    a.constant = a.constant.checked_mul(by).ok_or_else(large)?;
    for x in &mut a.worth {
        *x = x.checked_mul(by).ok_or_else(large)?;
    }
    Ok(a)
}
