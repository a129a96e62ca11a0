//! Registers for the values of a list, and the bytes.
//!
//! Values are made and read in order, so one pass decides: a value stays in its register until its last use; where none is free, the
//! value whose next use is furthest away leaves, to be loaded again from where it came from, or from the stack.

use super::super::plan::Plan;
use super::super::translate::Slots;
use super::list::{Arg, Arithmetic, Array, Element, Instruction as Item, Kind, List, Op, Value};
use super::shape::Shape;
use crate::ir::Compare;
use crate::runtime::RingKind;
use iced_x86::{Code, Encoder, IcedError, Instruction, MemoryOperand, Register};
use std::collections::HashMap;

/// Registers of truths, where these have their own. As an operand of masking, k0 means no mask.
const TRUTHS: usize = 6;
/// Arguments of the call, the index of the neuron, the bytes of spikes; RAX is free for what is needed at once.
const TABLE: Register = Register::RDI;
const SCALARS: Register = Register::RSI;
const COUNT: Register = Register::RDX;
const INDEX: Register = Register::RCX;
const SPIKES: Register = Register::R11;
const SCRATCH: Register = Register::RAX;
/// Pointers to arrays; the last six belong to the caller.
const POINTERS: [Register; 9] = [
    Register::R8,
    Register::R9,
    Register::R10,
    Register::RBX,
    Register::RBP,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];
const OWN: usize = 3;

/// Where a value is when it is in no register.
#[derive(Clone, Copy)]
enum Home {
    /// It can be loaded again from its array or scalar.
    Again,
    /// Bytes above the stack pointer.
    Stack(i32),
}

struct Emitter<'l> {
    list: &'l List,
    shape: &'static Shape,
    out: Vec<Instruction>,
    /// Instructions that read each value, last first.
    uses: Vec<Vec<usize>>,
    /// Which value a register holds; truths that have none of their own are among the numbers.
    numbers: Vec<Option<Value>>,
    truths: [Option<Value>; TRUTHS],
    at: HashMap<Value, usize>,
    homes: HashMap<Value, Home>,
    /// What makes a value that can be loaded again.
    origins: HashMap<Value, &'l Item>,
    stack: i32,
    pointers: HashMap<usize, Register>,
}

type Result<T> = std::result::Result<T, IcedError>;

/// Bytes of instructions, the only jump of which leads to a place that its target names as an index in the list.
pub fn bytes(instructions: &[Instruction]) -> std::result::Result<Vec<u8>, String> {
    let mut encoder = Encoder::new(64);
    let mut starts = Vec::with_capacity(instructions.len());
    let mut position = 0;
    for instruction in instructions {
        starts.push(position);
        let mut instruction = *instruction;
        if instruction.code() == Code::Jb_rel32_64 {
            instruction.set_near_branch64(starts[instruction.near_branch64() as usize]);
        }
        position += encoder.encode(&instruction, position).map_err(|e| e.to_string())? as u64;
    }
    Ok(encoder.take_buffer())
}

/// The whole function.
pub fn instructions(plan: &Plan, list: &List, masks: bool) -> std::result::Result<Vec<Instruction>, String> {
    let shape = Shape::of(masks, plan.single);
    let mut uses = vec![Vec::new(); list.kinds.len()];
    for (k, item) in list.instructions.iter().enumerate().rev() {
        for arg in &item.args {
            if let Arg::Value(v) = arg {
                uses[v.0 as usize].push(k);
            }
        }
    }
    let mut e = Emitter {
        list,
        shape,
        out: Vec::new(),
        uses,
        numbers: vec![None; shape.numbers],
        truths: [None; TRUTHS],
        at: HashMap::new(),
        homes: HashMap::new(),
        origins: HashMap::new(),
        stack: 0,
        pointers: arrays(list).into_iter().zip(POINTERS).collect(),
    };
    let body = e.body().map_err(|e| e.to_string());
    body.and_then(|()| e.whole(plan).map_err(|e| e.to_string()))
}

/// Slots of the arrays, those used first first.
fn arrays(list: &List) -> Vec<usize> {
    let mut out = Vec::new();
    for item in &list.instructions {
        if let Op::Load(array) | Op::Store(array) | Op::Clear(array) = item.op
            && !out.contains(&array.slot)
        {
            out.push(array.slot);
        }
    }
    out
}

fn memory(base: Register, displacement: i32) -> MemoryOperand {
    MemoryOperand::with_base_displ(base, i64::from(displacement))
}

impl Emitter<'_> {
    /// A scalar in memory, for all lanes.
    fn scalar(&self, slot: u32) -> MemoryOperand {
        let at = i64::from(slot) * i64::from(self.shape.bytes);
        MemoryOperand::with_base_displ_size_bcst_seg(SCALARS, at, 1, true, Register::None)
    }

    /// A scalar in memory.
    fn place(&self, slot: u32) -> MemoryOperand {
        memory(SCALARS, slot as i32 * self.shape.bytes as i32)
    }

    fn push(&mut self, instruction: Result<Instruction>) -> Result<()> {
        self.out.push(instruction?);
        Ok(())
    }

    fn masked(&mut self, instruction: Result<Instruction>, mask: Register, zeroing: bool) -> Result<()> {
        let mut instruction = instruction?;
        instruction.set_op_mask(mask);
        instruction.set_zeroing_masking(zeroing);
        self.out.push(instruction);
        Ok(())
    }

    /// The neuron's entry in an array; its pointer is fetched first if no register keeps it.
    fn element(&mut self, array: Array) -> Result<MemoryOperand> {
        let base = match self.pointers.get(&array.slot) {
            Some(register) => *register,
            None => {
                self.push(Instruction::with2(Code::Mov_r64_rm64, SCRATCH, memory(TABLE, array.slot as i32 * 8)))?;
                SCRATCH
            }
        };
        let bytes = match array.element {
            Element::Number => self.shape.bytes,
            Element::Arrived(kind) => kind.bytes(),
        };
        Ok(MemoryOperand::with_base_index_scale(base, INDEX, bytes))
    }

    fn next_use(&self, v: Value, after: usize) -> Option<usize> {
        self.uses[v.0 as usize].iter().rev().copied().find(|k| *k >= after)
    }

    /// Whether what made a value makes it again at its last use: its array is not written before.
    fn stays(&self, origin: &Item, v: Value) -> bool {
        let Op::Load(array) = origin.op else { return true };
        let last = self.uses[v.0 as usize].first().copied().unwrap_or_default();
        self.list.instructions[..last]
            .iter()
            .all(|i| !matches!(i.op, Op::Store(to) | Op::Clear(to) if to.slot == array.slot))
    }

    /// A register for a value that is made or fetched at instruction `k`; none of `pinned` leaves theirs.
    fn room(&mut self, kind: Kind, k: usize, pinned: &[Value]) -> Result<usize> {
        let held = self.held(kind);
        if let Some(free) = held.iter().position(Option::is_none) {
            return Ok(free);
        }
        let furthest = held.iter().enumerate().filter_map(|(r, v)| {
            let v = (*v)?;
            (!pinned.contains(&v)).then(|| (self.next_use(v, k).unwrap_or(usize::MAX), r, v))
        });
        let Some((_, register, leaving)) = furthest.max() else {
            // An instruction names four values at most.
            return Ok(0);
        };
        if !self.homes.contains_key(&leaving) {
            let home = if self.origins.get(&leaving).is_some_and(|o| self.stays(o, leaving)) {
                Home::Again
            } else {
                let place = self.stack;
                let (there, shape, kind) =
                    (memory(Register::RSP, place), self.shape, self.list.kinds[leaving.0 as usize]);
                self.stack += if shape.masks && kind == Kind::Truth { 8 } else { shape.width() as i32 };
                self.push(match kind {
                    Kind::Number => Instruction::with2(shape.store, there, shape.number(register)),
                    Kind::Truth => Instruction::with2(shape.store_truths, there, shape.truth(register)),
                })?;
                Home::Stack(place)
            };
            self.homes.insert(leaving, home);
        }
        self.release(leaving);
        Ok(register)
    }

    /// What the registers hold that values of a kind live in.
    fn held(&self, kind: Kind) -> &[Option<Value>] {
        if self.shape.masks && kind == Kind::Truth { &self.truths } else { &self.numbers }
    }

    fn set(&mut self, v: Value, register: usize, held: Option<Value>) {
        let truths = self.shape.masks && self.list.kinds[v.0 as usize] == Kind::Truth;
        if truths { self.truths[register] = held } else { self.numbers[register] = held }
    }

    fn hold(&mut self, v: Value, register: usize) {
        self.set(v, register, Some(v));
        self.at.insert(v, register);
    }

    fn release(&mut self, v: Value) {
        if let Some(register) = self.at.remove(&v) {
            self.set(v, register, None);
        }
    }

    /// The register of a value that instruction `k` reads.
    fn fetch(&mut self, v: Value, k: usize, pinned: &[Value]) -> Result<()> {
        if self.at.contains_key(&v) {
            return Ok(());
        }
        let kind = self.list.kinds[v.0 as usize];
        let register = self.room(kind, k, pinned)?;
        self.hold(v, register);
        match self.homes.get(&v).copied() {
            Some(Home::Stack(place)) => {
                let there = memory(Register::RSP, place);
                let shape = self.shape;
                self.push(match kind {
                    Kind::Number => Instruction::with2(shape.load, shape.number(register), there),
                    Kind::Truth => Instruction::with2(shape.load_truths, shape.truth(register), there),
                })
            }
            _ => match self.origins.get(&v).copied() {
                Some(item) => self.load(item, self.shape.number(register)),
                None => Ok(()),
            },
        }
    }

    fn load(&mut self, item: &Item, to: Register) -> Result<()> {
        let shape = self.shape;
        match (item.op, item.args.first()) {
            (Op::Load(array), _) => {
                let from = self.element(array)?;
                match array.element {
                    Element::Arrived(RingKind::Sum) if shape.single => {
                        let mut further = from;
                        (further.displacement, further.displ_size) = (i64::from(shape.width()), 1);
                        let (low, high) = (shape.beside(to, shape.half), shape.beside(shape.passing(), shape.half));
                        self.push(Instruction::with2(shape.from_sums, low, from))?;
                        self.push(Instruction::with2(shape.from_sums, high, further))?;
                        self.push(Instruction::with4(shape.join, to, to, high, 1))
                    }
                    Element::Number | Element::Arrived(RingKind::Sum) => {
                        self.push(Instruction::with2(shape.load, to, from))
                    }
                    Element::Arrived(RingKind::Count32) => self.push(Instruction::with2(shape.from_words, to, from)),
                    Element::Arrived(RingKind::Count16) => {
                        let widened = shape.beside(to, shape.widened);
                        self.push(Instruction::with2(shape.widen_counts, widened, from))?;
                        self.push(Instruction::with2(shape.from_widened, to, widened))
                    }
                }
            }
            (_, Some(Arg::Scalar(slot))) => {
                let from = self.place(*slot);
                self.push(Instruction::with2(shape.spread, to, from))
            }
            _ => Ok(()),
        }
    }

    fn body(&mut self) -> Result<()> {
        let list = self.list;
        for (k, item) in list.instructions.iter().enumerate() {
            let pinned: Vec<Value> = item
                .args
                .iter()
                .filter_map(|a| match a {
                    Arg::Value(v) => Some(*v),
                    Arg::Scalar(_) => None,
                })
                .collect();
            for v in &pinned {
                self.fetch(*v, k, &pinned)?;
            }
            let read: Vec<usize> = pinned.iter().map(|v| self.at[v]).collect();
            let last = |e: &Self, v: Value| e.next_use(v, k + 1).is_none();
            // What writes some lanes of a register takes that of its first argument, or one that it reads nothing from.
            let place = match (item.op, pinned.first()) {
                (Op::Within(_), Some(first)) if last(self, *first) => {
                    let register = self.at[first];
                    self.release(*first);
                    Some(register)
                }
                (Op::Within(_), _) => Some(self.room(Kind::Number, k + 1, &pinned)?),
                _ => None,
            };
            for v in &pinned {
                if last(self, *v) {
                    self.release(*v);
                }
            }
            let made = match item.to {
                Some(v) => {
                    let register = match place {
                        Some(register) => register,
                        None => self.room(list.kinds[v.0 as usize], k + 1, &pinned)?,
                    };
                    self.hold(v, register);
                    if matches!(item.op, Op::Load(_) | Op::Spread) {
                        self.origins.insert(v, item);
                    }
                    register
                }
                None => 0,
            };
            self.one(item, made, &read)?;
            if let Some(v) = item.to.filter(|v| self.uses[v.0 as usize].is_empty()) {
                self.release(v);
            }
        }
        Ok(())
    }

    /// An instruction whose values stand in the registers `read`, in the order of its arguments.
    fn one(&mut self, item: &Item, made: usize, read: &[usize]) -> Result<()> {
        let shape = self.shape;
        let (to, passing) = (shape.number(made), shape.passing());
        let a = || shape.number(read[0]);
        let (t, k) = (|n: usize| shape.truth(read[n]), shape.truth(made));
        match item.op {
            Op::Load(_) | Op::Spread => self.load(item, to),
            Op::Add => self.two(shape.add, to, item, read),
            Op::Sub => self.two(shape.sub, to, item, read),
            Op::Mul => self.two(shape.mul, to, item, read),
            Op::Div => self.two(shape.div, to, item, read),
            Op::Min => self.two(shape.min, to, item, read),
            Op::Max => self.two(shape.max, to, item, read),
            Op::Xor => self.two(shape.xor, to, item, read),
            Op::And => self.two(shape.and, to, item, read),
            Op::Sqrt => self.push(Instruction::with2(shape.sqrt, to, a())),
            Op::Round(mode) => {
                // Bit 3: an inexact result is no exception.
                let immediate = 8 | u32::from(mode);
                self.push(Instruction::with3(shape.round, to, a(), immediate))
            }
            Op::Compare(op) => {
                let second = self.second(item, read)?;
                self.push(self.compare(k, a(), second, predicate(op)))
            }
            Op::ToTruth => self.push(self.compare(k, a(), Operand::Register(shape.zero()), predicate(Compare::Ne))),
            Op::Both => self.push(Instruction::with3(shape.both, k, t(0), t(1))),
            Op::Either => self.push(Instruction::with3(shape.either, k, t(0), t(1))),
            Op::Not if shape.masks => self.push(Instruction::with2(shape.not, k, t(0))),
            Op::Not => {
                // Equal to itself: all bits.
                self.push(Instruction::with3(shape.not, passing, passing, passing))?;
                self.push(Instruction::with3(shape.but_not, k, t(0), passing))
            }
            Op::ChooseTruth => {
                self.push(Instruction::with3(shape.both, shape.spare, t(0), t(1)))?;
                self.push(Instruction::with3(shape.but_not, k, t(0), t(2)))?;
                self.push(Instruction::with3(shape.either, k, k, shape.spare))
            }
            Op::Choose if !shape.masks => {
                let then = self.in_register(item.args[1], read[1])?;
                let other = shape.number(read[read.len() - 1]);
                self.push(Instruction::with4(shape.blend, to, other, then, t(0)))
            }
            Op::Choose => {
                let code = shape.blend;
                let mask = t(0);
                // The mask takes lanes of the second operand.
                match item.args[1] {
                    Arg::Scalar(slot) => {
                        self.masked(Instruction::with3(code, to, shape.number(read[1]), self.scalar(slot)), mask, false)
                    }
                    Arg::Value(_) => {
                        let (then, other) = (shape.number(read[1]), shape.number(read[2]));
                        self.masked(Instruction::with3(code, to, other, then), mask, false)
                    }
                }
            }
            Op::ToNumber => match item.args[1] {
                Arg::Scalar(slot) if shape.masks => {
                    let from = self.place(slot);
                    self.masked(Instruction::with2(shape.spread, to, from), t(0), true)
                }
                one => {
                    let one = self.in_register(one, read[0])?;
                    self.push(Instruction::with3(shape.and, to, t(0), one))
                }
            },
            Op::Store(array) => {
                let there = self.element(array)?;
                self.push(Instruction::with2(shape.store, there, a()))
            }
            Op::Clear(array) => {
                let there = self.element(array)?;
                let bytes = match array.element {
                    Element::Number => shape.bytes,
                    Element::Arrived(kind) => kind.bytes(),
                };
                let whole = bytes * shape.lanes as u32;
                let Some((step, code, zeros)) = shape.clears.into_iter().find(|(step, ..)| *step <= whole) else {
                    return Ok(());
                };
                (0..whole).step_by(step as usize).try_for_each(|offset| {
                    let mut there = there;
                    (there.displacement, there.displ_size) = (i64::from(offset), 1);
                    self.push(Instruction::with2(code, there, zeros))
                })
            }
            Op::Spikes => {
                self.push(Instruction::with2(shape.take_truths, Register::EAX, t(0)))?;
                let word = shape.spikes;
                if let Arg::Scalar(pairs) = item.args[1] {
                    self.push(Instruction::with3(shape.deposit, word, word, self.place(pairs)))?;
                }
                self.push(Instruction::with2(shape.store_spikes, memory(SPIKES, 0), shape.stored))
            }
            // 0 x is 0 for a finite x and no number for any other.
            Op::Fault => self.push(Instruction::with3(shape.add_product, shape.faults(), a(), shape.zero())),
            Op::Within(op) => self.within(op, to, item, read),
            Op::CompareWithin(op) => {
                let mask = shape.truth(read[read.len() - 1]);
                let second = self.second(item, read)?;
                self.masked(self.compare(k, a(), second, predicate(op)), mask, false)
            }
        }
    }

    /// Where the last argument holds; the first one's lanes are there already or are brought there.
    fn within(&mut self, op: Arithmetic, to: Register, item: &Item, read: &[usize]) -> Result<()> {
        let shape = self.shape;
        let code = match op {
            Arithmetic::Add => shape.add,
            Arithmetic::Sub => shape.sub,
            Arithmetic::Mul => shape.mul,
            Arithmetic::Div => shape.div,
        };
        let (other, a, mask) = (shape.number(read[0]), shape.number(read[1]), shape.truth(read[read.len() - 1]));
        if to != other {
            self.push(Instruction::with2(shape.load, to, other))?;
        }
        let made = match item.args[2] {
            Arg::Value(_) => Instruction::with3(code, to, a, shape.number(read[2])),
            Arg::Scalar(slot) => Instruction::with3(code, to, a, self.scalar(slot)),
        };
        self.masked(made, mask, false)
    }

    fn two(&mut self, code: Code, to: Register, item: &Item, read: &[usize]) -> Result<()> {
        let a = self.shape.number(read[0]);
        let second = self.second(item, read)?;
        self.push(match second {
            Operand::Register(b) => Instruction::with3(code, to, a, b),
            Operand::Memory(b) => Instruction::with3(code, to, a, b),
        })
    }

    /// The second argument: in a register, or a scalar in memory where that may be an operand.
    fn second(&mut self, item: &Item, read: &[usize]) -> Result<Operand> {
        match item.args[1] {
            Arg::Scalar(slot) if self.shape.masks => Ok(Operand::Memory(self.scalar(slot))),
            other => self.in_register(other, read.get(1).copied().unwrap_or_default()).map(Operand::Register),
        }
    }

    /// The register of an argument: of a value the one with number `read`; a scalar is spread.
    fn in_register(&mut self, arg: Arg, read: usize) -> Result<Register> {
        let shape = self.shape;
        match arg {
            Arg::Value(_) => Ok(shape.number(read)),
            Arg::Scalar(slot) => {
                let from = self.place(slot);
                self.push(Instruction::with2(shape.spread, shape.passing(), from))?;
                Ok(shape.passing())
            }
        }
    }

    fn compare(&self, to: Register, a: Register, b: Operand, predicate: u32) -> Result<Instruction> {
        let code = self.shape.compare;
        match b {
            Operand::Register(b) => Instruction::with4(code, to, a, b, predicate),
            Operand::Memory(b) => Instruction::with4(code, to, a, b, predicate),
        }
    }
}

impl Emitter<'_> {
    /// What surrounds the body: the caller's registers, pointers, the loop, the faults.
    fn whole(self, plan: &Plan) -> Result<Vec<Instruction>> {
        let slots = Slots::of(plan);
        let table = |slot: usize| memory(TABLE, slot as i32 * 8);
        let kept: Vec<Register> =
            POINTERS[OWN..].iter().copied().filter(|r| self.pointers.values().any(|p| p == r)).collect();
        let mut out = Vec::with_capacity(self.out.len() + 40);
        for register in &kept {
            out.push(Instruction::with1(Code::Push_r64, *register)?);
        }
        out.push(Instruction::with2(Code::Sub_rm64_imm32, Register::RSP, self.stack)?);
        let mut pointers: Vec<_> = self.pointers.iter().collect();
        pointers.sort_unstable();
        for (slot, register) in pointers {
            out.push(Instruction::with2(Code::Mov_r64_rm64, *register, table(*slot))?);
        }
        out.push(Instruction::with2(Code::Mov_r64_rm64, SPIKES, table(slots.mask))?);
        let shape = self.shape;
        for register in [shape.zero(), shape.faults()] {
            out.push(Instruction::with3(shape.xor, register, register, register)?);
        }
        out.push(Instruction::with2(Code::Xor_r32_rm32, Register::ECX, Register::ECX)?);
        let start = out.len() as u64;
        let faults = self.list.instructions.iter().any(|i| i.op == Op::Fault);
        out.extend(self.out);
        out.push(Instruction::with2(Code::Add_rm64_imm8, INDEX, shape.lanes)?);
        // A byte of spikes for two neurons.
        out.push(Instruction::with2(Code::Add_rm64_imm8, SPIKES, shape.lanes / 2)?);
        out.push(Instruction::with2(Code::Cmp_r64_rm64, INDEX, COUNT)?);
        out.push(Instruction::with_branch(Code::Jb_rel32_64, start)?);
        if faults {
            let (faults, zero) = (shape.faults(), shape.zero());
            out.push(Instruction::with4(shape.compare, shape.spare, faults, zero, predicate(Compare::Ne))?);
            out.push(Instruction::with2(shape.take_truths, Register::EAX, shape.spare)?);
            out.push(Instruction::with2(Code::Mov_r64_rm64, INDEX, table(slots.flag))?);
            out.push(Instruction::with2(Code::Or_rm32_r32, memory(INDEX, 0), Register::EAX)?);
        }
        // What the caller computes with narrow registers would wait for the wide ones otherwise.
        out.push(Instruction::with(Code::VEX_Vzeroupper));
        out.push(Instruction::with2(Code::Add_rm64_imm32, Register::RSP, self.stack)?);
        for register in kept.iter().rev() {
            out.push(Instruction::with1(Code::Pop_r64, *register)?);
        }
        out.push(Instruction::with(Code::Retnq));
        Ok(out)
    }
}

enum Operand {
    Register(Register),
    Memory(MemoryOperand),
}

/// The immediate of a comparison that is quiet; all but `!=` are false of what is no number.
fn predicate(op: Compare) -> u32 {
    match op {
        Compare::Eq => 0x00,
        Compare::Ne => 0x04,
        Compare::Lt => 0x11,
        Compare::Le => 0x12,
        Compare::Gt => 0x1e,
        Compare::Ge => 0x1d,
    }
}
