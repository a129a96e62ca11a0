//! Segments to Cranelift IR: one loop over a chunk of neurons in vectors of 128 bits, two f64 or four f32 lanes.
//!
//! Kernel signature: `fn(pointers: *const *mut u8, scalars: *const u8, n: u64)`, scalars in the precision of the plan; `n` is a multiple of [`GRAIN`]. The table of
//! pointers is laid out by [`Slots`]. A spike is one bit in a byte for each pair of neurons.

use super::plan::{Form, Id, Node, Plan, children, filled_before};
use crate::ir::{BinaryOp, Compare, Real, UnaryOp};
use crate::runtime::RingKind;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{AbiParam, Endianness, Function, InstBuilder, MemFlagsData, Signature, Type, Value, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::collections::HashMap;

/// Neurons handled in one turn of a kernel's loop at most: chunks are multiples of it.
pub const GRAIN: usize = 16;

/// Vectors of neurons in one turn of the loop, where it is unrolled.
const UNROLL: usize = 2;

/// Positions in the table of pointers.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    pub counter: usize,
    pub params: usize,
    pub rings: usize,
    pub coupled: usize,
    pub scratch: usize,
    /// One byte for each pair of neurons.
    pub mask: usize,
    /// 16 bytes that become non-zero where a state is not finite.
    pub flag: usize,
    /// How far each cell is above its threshold.
    pub margin: usize,
    pub count: usize,
}

impl Slots {
    pub fn of(plan: &Plan) -> Slots {
        let counter = plan.states.len();
        let params = counter + 1;
        let rings = params + plan.forms.len();
        let coupled = rings + plan.rings.len();
        let scratch = coupled + plan.coupled;
        let mask = scratch + plan.scratch_rows as usize;
        Slots { counter, params, rings, coupled, scratch, mask, flag: mask + 1, margin: mask + 2, count: mask + 3 }
    }
}

/// The vectors of a precision.
#[derive(Clone, Copy)]
struct Shape {
    lane: Type,
    numbers: Type,
    masks: Type,
    lanes: i64,
    /// Of a lane.
    bytes: u32,
}

impl Shape {
    fn of(plan: &Plan) -> Shape {
        if plan.single {
            Shape { lane: types::F32, numbers: types::F32X4, masks: types::I32X4, lanes: 4, bytes: 4 }
        } else {
            Shape { lane: types::F64, numbers: types::F64X2, masks: types::I64X2, lanes: 2, bytes: 8 }
        }
    }
}

/// Graphs above this size are not unrolled: their loops have enough independent work, and code costs compile time.
const UNROLL_LIMIT: usize = 80;

/// Nodes from which a graph may nest too deep for recursion.
const DEEP: usize = 1000;

struct Translator<'b, 'f> {
    b: &'b mut FunctionBuilder<'f>,
    plan: &'b Plan,
    slots: Slots,
    shape: Shape,
    pointer: Type,
    table: Value,
    scalars: Value,
    /// First neuron of the vector, in the chunk.
    index: Value,
    values: HashMap<Id, Value>,
    last: bool,
    segment: usize,
    /// Rows that were filled before this segment.
    ready: &'b HashMap<Id, u32>,
}

/// The signature of kernels.
pub fn signature(config: TargetFrontendConfig) -> Signature {
    let pointer = config.pointer_type();
    let mut signature = Signature::new(config.default_call_conv);
    signature.params.extend([pointer, pointer, types::I64].map(AbiParam::new));
    signature
}

/// Adds the body of one segment to `func`, and sets its signature.
pub fn segment(
    func: &mut Function,
    context: &mut FunctionBuilderContext,
    plan: &Plan,
    k: usize,
    config: TargetFrontendConfig,
) {
    let pointer = config.pointer_type();
    func.signature = signature(config);
    let mut b = FunctionBuilder::new(func, context);
    let entry = b.create_block();
    let body = b.create_block();
    let exit = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let [table, scalars, n] = [0, 1, 2].map(|p| b.block_params(entry)[p]);
    let shape = Shape::of(plan);
    let zero = b.ins().iconst(types::I64, 0);
    let clean = no_lanes(&mut b, shape.masks);
    b.append_block_param(body, types::I64);
    b.append_block_param(body, shape.masks);
    b.append_block_param(exit, shape.masks);
    b.ins().jump(body, &[zero.into(), clean.into()]);
    b.switch_to_block(body);
    let start = b.block_params(body)[0];
    let mut fault = b.block_params(body)[1];
    let seg = &plan.segments[k];
    let unroll = if plan.nodes.len() <= UNROLL_LIMIT { UNROLL } else { 1 };
    let ready = filled_before(plan, k);
    for vector in 0..unroll {
        let index = b.ins().iadd_imm_s(start, shape.lanes * vector as i64);
        let mut t = Translator {
            b: &mut b,
            plan,
            slots: Slots::of(plan),
            shape,
            pointer,
            table,
            scalars,
            index,
            values: HashMap::new(),
            last: seg.last,
            segment: k,
            ready: &ready,
        };
        fault = t.vector(fault);
    }
    let next = b.ins().iadd_imm_s(start, shape.lanes * unroll as i64);
    let more = b.ins().icmp(IntCC::UnsignedLessThan, next, n);
    b.ins().brif(more, body, &[next.into(), fault.into()], exit, &[fault.into()]);
    b.switch_to_block(exit);
    if seg.last {
        let fault = b.block_params(exit)[0];
        let slot = Slots::of(plan).flag;
        let at = b.ins().load(pointer, flags(), table, (slot * 8) as i32);
        let old = b.ins().load(shape.masks, flags(), at, 0);
        let all = b.ins().bor(old, fault);
        b.ins().store(flags(), all, at, 0);
    }
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b.finalize(config);
}

fn flags() -> MemFlagsData {
    // The runtime hands in valid pointers of its own arrays; arrays of f64 need not be 16-byte aligned.
    MemFlagsData::new().with_notrap()
}

fn no_lanes(b: &mut FunctionBuilder, masks: Type) -> Value {
    let zero = b.ins().iconst(masks.lane_type(), 0);
    b.ins().splat(masks, zero)
}

impl Translator<'_, '_> {
    fn pointer(&mut self, slot: usize) -> Value {
        self.b.ins().load(self.pointer, flags().with_readonly(), self.table, (slot * 8) as i32)
    }

    /// Address of this vector in an array of numbers.
    fn place(&mut self, slot: usize) -> Value {
        self.address(slot, self.shape.bytes)
    }

    /// Address of this vector in an array of `bytes` per neuron.
    fn address(&mut self, slot: usize, bytes: u32) -> Value {
        let base = self.pointer(slot);
        let offset = match bytes {
            1 => self.index,
            _ => self.b.ins().ishl_imm_u(self.index, i64::from(bytes.trailing_zeros())),
        };
        self.b.ins().iadd(base, offset)
    }

    fn vector(&mut self, mut fault: Value) -> Value {
        let seg = self.plan.segments[self.segment].clone();
        if self.plan.nodes.len() > DEEP {
            self.children_first(&seg);
        }
        for (row, id) in &seg.stores {
            let v = self.number(*id);
            let at = self.place(self.slots.scratch + *row as usize);
            self.b.ins().store(flags(), v, at, 0);
        }
        if !self.last {
            return fault;
        }
        let news: Vec<Value> = self.plan.states.clone().iter().map(|id| self.number(*id)).collect();
        let counter = self.plan.counter.map(|c| self.number(c));
        let spike = self.plan.spike.map(|s| self.truth(s));
        let margin = self.plan.margin.map(|m| self.number(m));
        for (k, v) in news.into_iter().enumerate() {
            if self.plan.nodes[self.plan.states[k].0 as usize] == Node::State(k as u32) {
                continue;
            }
            let at = self.place(k);
            self.b.ins().store(flags(), v, at, 0);
            // x - x is 0 for a finite x and NaN for any other.
            let difference = self.b.ins().fsub(v, v);
            let zero = self.constant(0.0);
            let bad = self.b.ins().fcmp(FloatCC::NotEqual, difference, zero);
            fault = self.b.ins().bor(fault, bad);
        }
        if let Some(c) = counter {
            let at = self.place(self.slots.counter);
            self.b.ins().store(flags(), c, at, 0);
        }
        for (k, ring) in self.plan.rings.iter().enumerate() {
            let bytes = ring.kind.bytes();
            let at = self.address(self.slots.rings + k, bytes);
            let whole = bytes * self.shape.lanes as u32;
            for offset in (0..whole as i32).step_by(16) {
                let zero = match whole {
                    4 => self.b.ins().iconst(types::I32, 0),
                    8 => self.b.ins().iconst(types::I64, 0),
                    _ => no_lanes(self.b, types::I64X2),
                };
                self.b.ins().store(flags(), zero, at, offset);
            }
        }
        if let Some(m) = margin {
            let at = self.place(self.slots.margin);
            self.b.ins().store(flags(), m, at, 0);
        }
        if let Some(s) = spike {
            let bits = self.b.ins().vhigh_bits(types::I32, s);
            let bytes = self.mask_bytes(bits);
            let base = self.pointer(self.slots.mask);
            let half = self.b.ins().ushr_imm_u(self.index, 1);
            let at = self.b.ins().iadd(base, half);
            self.b.ins().store(flags(), bytes, at, 0);
        }
        fault
    }

    /// A bit for each lane as a byte for each pair of neurons.
    fn mask_bytes(&mut self, bits: Value) -> Value {
        if self.shape.lanes == 2 {
            return self.b.ins().ireduce(types::I8, bits);
        }
        let low = self.b.ins().band_imm_s(bits, 3);
        let high = self.b.ins().band_imm_s(bits, 12);
        let high = self.b.ins().ishl_imm_u(high, 6);
        let both = self.b.ins().bor(low, high);
        self.b.ins().ireduce(types::I16, both)
    }

    /// Computes what the segment needs from the leaves up, so that deep graphs don't nest on the stack.
    fn children_first(&mut self, seg: &super::plan::Segment) {
        let mut stack: Vec<Id> = seg.stores.iter().map(|(_, id)| *id).collect();
        if self.last {
            stack.extend(self.plan.states.iter().copied().chain(self.plan.counter).chain(self.plan.spike));
        }
        let mut needed = vec![false; self.plan.nodes.len()];
        while let Some(id) = stack.pop() {
            let leaf = !self.plan.varying[id.0 as usize] || self.ready.contains_key(&id);
            if !std::mem::replace(&mut needed[id.0 as usize], true) && !leaf {
                stack.extend(children(&self.plan.nodes[id.0 as usize]));
            }
        }
        for (k, _) in needed.iter().enumerate().filter(|(_, n)| **n) {
            self.value(Id(k as u32));
        }
    }

    fn constant(&mut self, v: f64) -> Value {
        let x = if self.plan.single { self.b.ins().f32const(v as f32) } else { self.b.ins().f64const(v) };
        self.b.ins().splat(self.shape.numbers, x)
    }

    /// The value as numbers.
    fn number(&mut self, id: Id) -> Value {
        let v = self.value(id);
        if self.plan.is_bool(id) && !self.in_row(id) {
            let one = self.constant(1.0);
            let bits = self.b.ins().bitcast(self.shape.masks, little(), one);
            let masked = self.b.ins().band(v, bits);
            return self.b.ins().bitcast(self.shape.numbers, little(), masked);
        }
        v
    }

    /// The value as lane masks.
    fn truth(&mut self, id: Id) -> Value {
        let v = self.value(id);
        if self.plan.is_bool(id) && !self.in_row(id) {
            return v;
        }
        let zero = self.constant(0.0);
        self.b.ins().fcmp(FloatCC::NotEqual, v, zero)
    }

    /// Read from scratch, where everything is a number.
    fn in_row(&self, id: Id) -> bool {
        self.ready.contains_key(&id)
    }

    fn value(&mut self, id: Id) -> Value {
        if let Some(v) = self.values.get(&id) {
            return *v;
        }
        let v = self.compute(id);
        self.values.insert(id, v);
        v
    }

    fn compute(&mut self, id: Id) -> Value {
        if let Some(row) = self.ready.get(&id) {
            let at = self.place(self.slots.scratch + *row as usize);
            return self.load(at);
        }
        let node = self.plan.nodes[id.0 as usize].clone();
        if let Node::Const(Real(v)) = node {
            return self.constant(v);
        }
        if !self.plan.varying[id.0 as usize] {
            let slot = self.plan.scalars.get(&id).copied().unwrap_or(0);
            let at = (slot * self.shape.bytes) as i32;
            let x = self.b.ins().load(self.shape.lane, flags().with_readonly(), self.scalars, at);
            return self.b.ins().splat(self.shape.numbers, x);
        }
        match node {
            Node::State(k) => {
                let at = self.place(k as usize);
                self.load(at)
            }
            Node::Counter => {
                let at = self.place(self.slots.counter);
                self.load(at)
            }
            Node::Param(k) => {
                debug_assert_eq!(self.plan.forms[k as usize], Form::Each);
                let at = self.place(self.slots.params + k as usize);
                self.load(at)
            }
            Node::Ring(k) => self.ring(k),
            Node::Coupled(k) => {
                let at = self.place(self.slots.coupled + k as usize);
                self.load(at)
            }
            Node::Unary(UnaryOp::Not, a) => {
                let a = self.truth(a);
                self.b.ins().bnot(a)
            }
            Node::Unary(op, a) => {
                let a = self.number(a);
                match op {
                    UnaryOp::Neg => self.b.ins().fneg(a),
                    UnaryOp::Abs => self.b.ins().fabs(a),
                    UnaryOp::Sqrt => self.b.ins().sqrt(a),
                    UnaryOp::Floor => self.b.ins().floor(a),
                    UnaryOp::Ceil => self.b.ins().ceil(a),
                    _ => self.b.ins().nearest(a),
                }
            }
            Node::Binary(op @ (BinaryOp::And | BinaryOp::Or), a, b) => {
                let (a, b) = (self.truth(a), self.truth(b));
                if op == BinaryOp::And { self.b.ins().band(a, b) } else { self.b.ins().bor(a, b) }
            }
            Node::Binary(op, a, b) => {
                let (a, b) = (self.number(a), self.number(b));
                match op {
                    BinaryOp::Add => self.b.ins().fadd(a, b),
                    BinaryOp::Sub => self.b.ins().fsub(a, b),
                    BinaryOp::Mul => self.b.ins().fmul(a, b),
                    BinaryOp::Div => self.b.ins().fdiv(a, b),
                    // The instruction's own minimum treats NaN and zeros otherwise.
                    BinaryOp::Min => {
                        let less = self.b.ins().fcmp(FloatCC::LessThan, a, b);
                        self.choose(less, a, b)
                    }
                    _ => {
                        let more = self.b.ins().fcmp(FloatCC::GreaterThan, a, b);
                        self.choose(more, a, b)
                    }
                }
            }
            Node::Compare(op, a, b) => {
                let (a, b) = (self.number(a), self.number(b));
                self.b.ins().fcmp(condition(op), a, b)
            }
            Node::Select(c, a, b) => {
                let c = self.truth(c);
                if self.plan.is_bool(id) {
                    let (a, b) = (self.truth(a), self.truth(b));
                    return self.b.ins().bitselect(c, a, b);
                }
                let (a, b) = (self.number(a), self.number(b));
                self.choose(c, a, b)
            }
            // Values of calls come from their rows; constants and uniform values were handled above.
            other => {
                debug_assert!(children(&other).is_empty());
                self.constant(f64::NAN)
            }
        }
    }

    fn choose(&mut self, mask: Value, a: Value, b: Value) -> Value {
        let mask = self.b.ins().bitcast(self.shape.numbers, little(), mask);
        self.b.ins().bitselect(mask, a, b)
    }

    fn load(&mut self, at: Value) -> Value {
        self.b.ins().load(self.shape.numbers, flags(), at, 0)
    }

    /// The lower of four signed words as numbers: one instruction on both architectures.
    fn signed_lanes(&mut self, words: Value) -> Value {
        if self.plan.single {
            return self.b.ins().fcvt_from_sint(types::F32X4, words);
        }
        let wide = self.b.ins().swiden_low(words);
        self.b.ins().fcvt_from_sint(types::F64X2, wide)
    }

    fn ring(&mut self, k: u32) -> Value {
        let kind = self.plan.rings[k as usize].kind;
        let at = self.address(self.slots.rings + k as usize, kind.bytes());
        match kind {
            RingKind::Sum if self.plan.single => {
                let [low, high] = [0, 16].map(|offset| {
                    let two = self.b.ins().load(types::F64X2, flags(), at, offset);
                    let narrow = self.b.ins().fvdemote(two);
                    self.b.ins().bitcast(types::I64X2, little(), narrow)
                });
                let upper = self.b.ins().extractlane(high, 0);
                let both = self.b.ins().insertlane(low, upper, 1);
                self.b.ins().bitcast(types::F32X4, little(), both)
            }
            RingKind::Sum => self.load(at),
            RingKind::Count16 => {
                let wide = if self.plan.single {
                    let four = self.b.ins().load(types::I64, flags(), at, 0);
                    self.b.ins().scalar_to_vector(types::I64X2, four)
                } else {
                    let two = self.b.ins().load(types::I32, flags(), at, 0);
                    self.b.ins().scalar_to_vector(types::I32X4, two)
                };
                let words = self.b.ins().bitcast(types::I16X8, little(), wide);
                let wide = self.b.ins().uwiden_low(words);
                self.signed_lanes(wide)
            }
            RingKind::Count32 if self.plan.single => {
                let words = self.b.ins().load(types::I32X4, flags(), at, 0);
                self.signed_lanes(words)
            }
            RingKind::Count32 => {
                let two = self.b.ins().load(types::I64, flags(), at, 0);
                let wide = self.b.ins().scalar_to_vector(types::I64X2, two);
                let words = self.b.ins().bitcast(types::I32X4, little(), wide);
                self.signed_lanes(words)
            }
        }
    }
}

fn little() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}

/// The machine's comparison for the language's; all but `!=` are false of what is no number.
pub(super) fn condition(op: Compare) -> FloatCC {
    match op {
        Compare::Eq => FloatCC::Equal,
        Compare::Ne => FloatCC::NotEqual,
        Compare::Lt => FloatCC::LessThan,
        Compare::Le => FloatCC::LessThanOrEqual,
        Compare::Gt => FloatCC::GreaterThan,
        Compare::Ge => FloatCC::GreaterThanOrEqual,
    }
}
