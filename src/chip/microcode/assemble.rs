//! Text to program. What comes out is sound: every name exists, every word of state is opened before it is used, no skip leaves
//! the program.

use super::isa::{Binary, Compare, Op, Operand, Place, Program, StateWord};
use super::{MAX_JUMP, MAX_SKIP, REGISTER_BITS};

/// What is wrong with a line of assembly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Syntax {
    pub line: usize,
    pub what: String,
}

/// Names of each kind that a program may have: an operand's number has 8 bits.
const NAMES: usize = 256;

/// Assembles one program. `;` begins a comment.
///
/// # Errors
/// [`Syntax`] with the first line that is wrong.
pub fn assemble(text: &str) -> Result<Program, Syntax> {
    let mut a = Assembler::default();
    let mut last = 0;
    for (k, line) in text.lines().enumerate() {
        let code = line.split(';').next().unwrap_or("").trim();
        last = k + 1;
        if !code.is_empty() {
            a.line(code).map_err(|what| Syntax { line: k + 1, what })?;
        }
    }
    a.finish().map_err(|what| Syntax { line: last, what })
}

#[derive(Default)]
struct Assembler {
    program: Option<Program>,
    /// By state: `RMW` has been seen.
    open: Vec<bool>,
}

type Line<T> = Result<T, String>;

impl Assembler {
    fn line(&mut self, code: &str) -> Line<()> {
        let (word, rest) = code.split_once(char::is_whitespace).unwrap_or((code, ""));
        if word == ".program" {
            if self.program.is_some() {
                return Err("a text holds one program".to_string());
            }
            let name = identifier(rest.trim())?;
            self.program = Some(Program {
                name,
                params: vec![],
                states: vec![],
                accumulators: vec![],
                locals: vec![],
                ops: vec![],
            });
            return Ok(());
        }
        if word.starts_with('.') {
            return self.declare(word, rest.trim());
        }
        let fields: Vec<&str> = if rest.trim().is_empty() { vec![] } else { rest.split(',').map(str::trim).collect() };
        let op = self.op(word, &fields)?;
        self.ready()?.ops.push(op);
        Ok(())
    }

    fn ready(&mut self) -> Line<&mut Program> {
        self.program.as_mut().ok_or_else(|| "a program begins with `.program NAME`".to_string())
    }

    fn declare(&mut self, word: &str, rest: &str) -> Line<()> {
        let program = self.ready()?;
        if !program.ops.is_empty() {
            return Err("declarations stand before operations".to_string());
        }
        let (name, width) = match rest.split_once(char::is_whitespace) {
            Some((name, width)) if word == ".state" => (name, Some(width.trim())),
            _ => (rest, None),
        };
        let name = identifier(name)?;
        if program.find(&name).is_some() || program.accumulators.contains(&name) {
            return Err(format!("`{name}` is declared twice"));
        }
        let full = |n: usize| if n >= NAMES { Err(format!("more than {NAMES} names")) } else { Ok(()) };
        match word {
            ".param" => {
                full(program.params.len())?;
                program.params.push(name);
            }
            ".local" => {
                full(program.locals.len())?;
                program.locals.push(name);
            }
            ".acc" => {
                full(program.accumulators.len())?;
                program.accumulators.push(name);
            }
            ".state" => {
                full(program.states.len())?;
                let bits = width.and_then(|w| w.strip_prefix('i')).and_then(|w| w.parse::<u32>().ok());
                let bits = bits.filter(|b| (1..=32).contains(b)).ok_or("a state has a width: i1 to i32")?;
                program.states.push(StateWord { name, bits });
                self.open.push(false);
            }
            _ => return Err(format!("there is no directive `{word}`")),
        }
        Ok(())
    }

    fn op(&mut self, word: &str, fields: &[&str]) -> Line<Op> {
        let program = self.program.as_ref().ok_or("a program begins with `.program NAME`")?;
        let open = &self.open;
        let expect = |n: usize| match fields.len() {
            m if m == n => Ok(()),
            m => Err(format!("`{word}` has {n} operands, not {m}")),
        };
        let opened = |o: Operand| match o {
            Operand::State(k) if !open[usize::from(k)] => {
                Err(format!("`{}` is used before `RMW` opens it", program.states[usize::from(k)].name))
            }
            o => Ok(o),
        };
        let operand = |k: usize| match fields[k].parse::<i32>() {
            Ok(n) => Ok(Operand::Number(n)),
            Err(_) => {
                program.find(fields[k]).ok_or_else(|| format!("`{}` is not declared", fields[k])).and_then(opened)
            }
        };
        let place = |k: usize| match operand(k)? {
            Operand::State(s) => Ok(Place::State(s)),
            Operand::Local(l) => Ok(Place::Local(l)),
            Operand::Param(_) | Operand::Number(_) => Err(format!("`{}` can't be written", fields[k])),
        };
        let count = |k: usize, most: u32| {
            let n = fields[k].parse::<u32>().ok().filter(|n| *n <= most);
            n.and_then(|n| u8::try_from(n).ok()).ok_or_else(|| format!("`{}` is not one of 0 to {most}", fields[k]))
        };
        let binary = |op: Binary| {
            expect(3)?;
            Ok(Op::Binary { op, to: place(0)?, a: operand(1)?, b: operand(2)? })
        };
        let compare = |op: Compare| {
            expect(2)?;
            Ok(Op::Compare { op, a: operand(0)?, b: operand(1)? })
        };
        let skip = |far: bool, when: bool| {
            expect(1)?;
            Ok(Op::Skip { far, when, by: count(0, if far { MAX_JUMP } else { MAX_SKIP })? })
        };
        match word {
            "RDC" => {
                expect(2)?;
                let at = program.accumulators.iter().position(|a| a == fields[1]);
                let at = at.and_then(|k| u8::try_from(k).ok());
                let accumulator = at.ok_or_else(|| format!("there is no accumulator `{}`", fields[1]))?;
                Ok(Op::ReadClear { to: place(0)?, accumulator })
            }
            "RMW" => {
                expect(1)?;
                match program.find(fields[0]) {
                    Some(Operand::State(state)) => {
                        self.open[usize::from(state)] = true;
                        Ok(Op::Open { state })
                    }
                    _ => Err(format!("`{}` is no state", fields[0])),
                }
            }
            "MOV" => {
                expect(2)?;
                Ok(Op::Move { to: place(0)?, a: operand(1)? })
            }
            "NEG" => {
                expect(2)?;
                Ok(Op::Negate { to: place(0)?, a: operand(1)? })
            }
            "SEL" => {
                expect(3)?;
                Ok(Op::Select { to: place(0)?, a: operand(1)?, b: operand(2)? })
            }
            "ADD" => binary(Binary::Add),
            "AND" => binary(Binary::And),
            "OR" => binary(Binary::Or),
            "MIN" => binary(Binary::Min),
            "SHL" => {
                expect(3)?;
                Ok(Op::ShiftLeft { to: place(0)?, a: operand(1)?, by: count(2, REGISTER_BITS)? })
            }
            "MUL_SHR" => {
                expect(4)?;
                Ok(Op::MulShift { to: place(0)?, a: operand(1)?, b: operand(2)?, by: count(3, 2 * REGISTER_BITS)? })
            }
            "LT" => compare(Compare::Lt),
            "GE" => compare(Compare::Ge),
            "EQ" => compare(Compare::Eq),
            "SKP_A" => skip(false, true),
            "SKP_B" => skip(false, false),
            "JMP_A" => skip(true, true),
            "JMP_B" => skip(true, false),
            "SPIKE" => {
                expect(1)?;
                Ok(Op::Spike { payload: operand(0)? })
            }
            "X.WRAP24" => {
                expect(1)?;
                Ok(Op::Wrap24 { at: place(0)? })
            }
            "X.CLIP24" => {
                expect(1)?;
                Ok(Op::Clip24 { at: place(0)? })
            }
            "X.RAND" => {
                expect(2)?;
                Ok(Op::Random { to: place(0)?, bits: count(1, 32)? })
            }
            _ => Err(format!("there is no operation `{word}`")),
        }
    }

    fn finish(self) -> Line<Program> {
        let program = self.program.ok_or("a program begins with `.program NAME`")?;
        for (k, op) in program.ops.iter().enumerate() {
            if let Op::Skip { by, .. } = op
                && k + 1 + usize::from(*by) > program.ops.len()
            {
                return Err(format!("operation {k} skips over the end"));
            }
        }
        Ok(program)
    }
}

impl Program {
    /// What a name stands for.
    fn find(&self, name: &str) -> Option<Operand> {
        let at = |k: usize| k as u8;
        let state = self.states.iter().position(|s| s.name == name).map(|k| Operand::State(at(k)));
        let local = || self.locals.iter().position(|l| l == name).map(|k| Operand::Local(at(k)));
        let param = || self.params.iter().position(|p| p == name).map(|k| Operand::Param(at(k)));
        state.or_else(local).or_else(param)
    }
}

/// A name: letters, digits, `_` and `.`, no digit first.
fn identifier(text: &str) -> Line<String> {
    let mut letters = text.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if first && letters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') && text.len() <= 256 {
        Ok(text.to_string())
    } else {
        Err(format!("`{text}` is no name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIF: &str = include_str!("lif.asm");

    #[test]
    fn what_is_assembled_disassembles_to_what_assembles_to_it() {
        let program = assemble(LIF).unwrap();
        assert_eq!(assemble(&program.to_string()).unwrap(), program);
        assert_eq!((program.states.len(), program.state_bytes()), (3, 9));
    }

    #[test]
    fn wrong_lines_are_told() {
        let of = |body: &str| {
            let text = format!(".program p\n.param k\n.state v i24\n.acc a\n.local x\n{body}");
            assemble(&text).unwrap_err().what
        };
        assert_eq!(of("MOV v, 0"), "`v` is used before `RMW` opens it");
        assert_eq!(of("MOV k, 0"), "`k` can't be written");
        assert_eq!(of("MOV x"), "`MOV` has 2 operands, not 1");
        assert_eq!(of("SKP_A 8"), "`8` is not one of 0 to 7");
        assert_eq!(of("SKP_A 1"), "operation 0 skips over the end");
        assert_eq!(of("RDC x, b"), "there is no accumulator `b`");
        assert_eq!(of("MUL_SHR x, x, 99999999999, 1"), "`99999999999` is not declared");
        assert_eq!(of("HCF"), "there is no operation `HCF`");
        assert_eq!(of("MOV x, 1\n.local y"), "declarations stand before operations");
        assert_eq!(of(".local a"), "`a` is declared twice");
        assert_eq!(assemble("").unwrap_err().line, 0);
    }
}
