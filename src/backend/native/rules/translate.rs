//! Programs to Cranelift IR: one loop over synapses or over the traces of one side.
//!
//! Kernel signature: `fn(pointers: *const *mut u8, scalars: *const f64, n: u64)`, n at least 1. The table of pointers is laid out by
//! [`Slots`]. Items are handled one by one: rows are short, and what they read of the other side is scattered.

use super::super::translate::condition;
use super::program::{Id, Layout, Mode, Node, Program};
use crate::backend::running::SPAN;
use crate::ir::plasticity::Place;
use crate::ir::{BinaryOp, Real, UnaryOp};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{AbiParam, Function, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::collections::HashMap;

/// Positions in the table of pointers.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    /// Words of the synapses. [`Mode::Row`]: from the first of the row; [`Mode::Column`]: of all.
    pub words: usize,
    /// [`Mode::Column`]: index of each synapse, u32.
    pub index: usize,
    /// Target ([`Mode::Row`], u16 where [`Layout::narrow`], else u32) or lane ([`Mode::Column`], u32) of each synapse.
    pub other: usize,
    /// Where what is sent on is added: one f64 for each target.
    pub ring: usize,
    /// Traces of the other side, or ([`Mode::Traces`]) of the side at hand.
    pub traces: usize,
    /// Step when an event of the other side last touched its synapses, u64.
    pub touched: usize,
    /// [`Mode::Traces`] of lanes: the sum of the weights that leave the neuron of each.
    pub leaving: usize,
    /// What is read, one f64 for each target.
    pub reads: usize,
    /// Functions of the steps since a synapse was touched.
    pub tables: usize,
    /// [`SUMS`] tables of each integral, by position or by span ([`crate::backend::running::Sums`]).
    pub integrals: usize,
    pub scratch: usize,
    pub count: usize,
}

/// The first scalars: the step at which an event happens and the last entry of each table, as whole numbers.
pub const NOW: usize = 0;
pub const LIMIT: usize = 1;
/// Step at which the tables of integrals begin, and their last position.
pub const ORIGIN: usize = 2;
pub const REACH: usize = 3;
/// Step since which none of the synapses at hand was left untouched, a whole number too.
pub const TOUCHED: usize = 4;
pub const SCALARS: usize = 5;

/// Tables of an integral: within a span, the gap to its end, later, what is left.
pub const SUMS: usize = 4;

impl Slots {
    pub fn of(p: &Program, layout: &Layout, reads: usize) -> Slots {
        let (touched, leaving) = (4, 5);
        let traces = 6;
        let side = match p.mode {
            Mode::Row => Place::Post,
            Mode::Column => Place::Pre,
            Mode::Traces(side) => side,
        };
        let reads_at = traces + layout.counts[side as usize];
        let tables = reads_at + reads;
        let integrals = tables + layout.tables.len();
        let scratch = integrals + SUMS * layout.integrals.len();
        let count = scratch + p.scratch_rows as usize;
        Slots {
            words: 0,
            index: 1,
            other: 2,
            ring: 3,
            touched,
            leaving,
            traces,
            reads: reads_at,
            tables,
            integrals,
            scratch,
            count,
        }
    }
}

struct Translator<'b, 'f> {
    b: &'b mut FunctionBuilder<'f>,
    p: &'b Program,
    slots: Slots,
    /// Bytes of a synapse.
    stride: i64,
    layout: &'b Layout,
    pointer: Type,
    table: Value,
    scalars: Value,
    item: Value,
    values: HashMap<Id, Value>,
    places: HashMap<Shared, Value>,
    ready: &'b HashMap<Id, u32>,
}

/// Addresses and indices that several values share.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Shared {
    Synapse,
    Other,
    Last,
    Steps,
    Position,
}

/// Adds segment `k` of a program to `func`.
pub fn segment(
    func: &mut Function,
    context: &mut FunctionBuilderContext,
    p: &Program,
    layout: &Layout,
    reads: usize,
    k: usize,
    config: TargetFrontendConfig,
) {
    let pointer = config.pointer_type();
    func.signature.params.clear();
    for t in [pointer, pointer, types::I64] {
        func.signature.params.push(AbiParam::new(t));
    }
    let mut b = FunctionBuilder::new(func, context);
    let [entry, body, exit] = [(); 3].map(|()| b.create_block());
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let [table, scalars, n] = [0, 1, 2].map(|p| b.block_params(entry)[p]);
    let zero = b.ins().iconst(types::I64, 0);
    b.append_block_param(body, types::I64);
    b.ins().jump(body, &[zero.into()]);
    b.switch_to_block(body);
    let item = b.block_params(body)[0];
    let ready = p.ready(k);
    let mut t = Translator {
        b: &mut b,
        p,
        slots: Slots::of(p, layout, reads),
        stride: layout.stride() as i64,
        layout,
        pointer,
        table,
        scalars,
        item,
        values: HashMap::new(),
        places: HashMap::new(),
        ready: &ready,
    };
    t.item(k);
    let next = b.ins().iadd_imm_s(item, 1);
    let more = b.ins().icmp(IntCC::UnsignedLessThan, next, n);
    b.ins().brif(more, body, &[next.into()], exit, &[]);
    b.switch_to_block(exit);
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b.finalize(config);
}

fn flags() -> MemFlagsData {
    // The runtime hands in valid, aligned pointers of its own arrays.
    MemFlagsData::new().with_notrap().with_aligned()
}

impl Translator<'_, '_> {
    fn item(&mut self, k: usize) {
        let seg = &self.p.segments[k];
        // Children stand before parents, so that deep graphs don't nest on the stack.
        let mut needed = vec![false; self.p.nodes.len()];
        let last = k + 1 == self.p.segments.len();
        let outputs = self.p.writes.iter().map(|(_, id)| *id).chain(self.p.deliver).filter(|_| last);
        let mut stack: Vec<Id> = seg.stores.iter().map(|(_, id)| *id).chain(outputs).collect();
        while let Some(id) = stack.pop() {
            let leaf = !self.p.varying[id.0 as usize] || self.ready.contains_key(&id);
            if !std::mem::replace(&mut needed[id.0 as usize], true) && !leaf {
                stack.extend(self.p.nodes[id.0 as usize].children());
            }
        }
        for k in (0..needed.len()).filter(|k| needed[*k]) {
            let v = self.compute(Id(k as u32));
            self.values.insert(Id(k as u32), v);
        }
        for (row, id) in &seg.stores {
            let v = self.number(*id);
            self.store_row(*row, v);
        }
        if last {
            self.outputs();
        }
    }

    fn outputs(&mut self) {
        let p = self.p;
        let news: Vec<(u32, Value)> = p.writes.iter().map(|(slot, id)| (*slot, self.number(*id))).collect();
        if let Some(id) = p.deliver {
            let amount = self.number(id);
            let at = self.other_address(self.slots.ring);
            let sum = self.b.ins().load(types::F64, flags(), at, 0);
            let sum = self.b.ins().fadd(sum, amount);
            self.b.ins().store(flags(), sum, at, 0);
        }
        for (k, (slot, v)) in news.into_iter().enumerate() {
            if p.aside {
                self.store_row(k as u32, v);
                continue;
            }
            let (at, offset) = self.own(slot);
            let v = if self.single() { self.b.ins().fdemote(types::F32, v) } else { v };
            self.b.ins().store(flags(), v, at, offset);
        }
    }

    fn pointer(&mut self, slot: usize) -> Value {
        self.b.ins().load(self.pointer, flags().with_readonly().with_can_move(), self.table, (slot * 8) as i32)
    }

    fn whole(&mut self, slot: usize) -> Value {
        self.b.ins().load(types::I64, flags().with_readonly().with_can_move(), self.scalars, (slot * 8) as i32)
    }

    fn element(&mut self, slot: usize, index: Value) -> Value {
        let base = self.pointer(slot);
        let offset = self.b.ins().ishl_imm_u(index, 3);
        self.b.ins().iadd(base, offset)
    }

    fn store_row(&mut self, row: u32, v: Value) {
        let item = self.item;
        let at = self.element(self.slots.scratch + row as usize, item);
        self.b.ins().store(flags(), v, at, 0);
    }

    fn index(&mut self, slot: usize, narrow: bool) -> Value {
        let base = self.pointer(slot);
        let (bits, of) = if narrow { (1, types::I16) } else { (2, types::I32) };
        let offset = self.b.ins().ishl_imm_u(self.item, bits);
        let at = self.b.ins().iadd(base, offset);
        let index = self.b.ins().load(of, flags(), at, 0);
        self.b.ins().uextend(types::I64, index)
    }

    /// Whether variables of the items are held in single precision.
    fn single(&self) -> bool {
        self.layout.single && !matches!(self.p.mode, Mode::Traces(_))
    }

    /// Address and offset of a variable of the item.
    fn own(&mut self, slot: u32) -> (Value, i32) {
        if matches!(self.p.mode, Mode::Traces(_)) {
            let item = self.item;
            return (self.element(self.slots.traces + slot as usize, item), 0);
        }
        let offset = if self.layout.single { 4 } else { 8 } * slot as i32;
        if let Some(v) = self.places.get(&Shared::Synapse) {
            return (*v, offset);
        }
        let index = if self.p.mode == Mode::Column { self.index(self.slots.index, false) } else { self.item };
        let base = self.pointer(self.slots.words);
        let start = self.b.ins().imul_imm_s(index, self.stride);
        let at = self.b.ins().iadd(base, start);
        self.places.insert(Shared::Synapse, at);
        (at, offset)
    }

    /// Address in an array of the other side, or ([`Mode::Traces`]) of the item itself.
    fn other_address(&mut self, slot: usize) -> Value {
        if matches!(self.p.mode, Mode::Traces(_)) {
            let item = self.item;
            return self.element(slot, item);
        }
        let index = match self.places.get(&Shared::Other) {
            Some(v) => *v,
            None => {
                let narrow = self.p.mode == Mode::Row && self.layout.narrow;
                let v = self.index(self.slots.other, narrow);
                self.places.insert(Shared::Other, v);
                v
            }
        };
        self.element(slot, index)
    }

    fn load_other(&mut self, slot: usize) -> Value {
        let at = self.other_address(slot);
        self.b.ins().load(types::F64, flags(), at, 0)
    }

    /// Steps since the synapse was last touched, within the tables.
    fn steps(&mut self) -> Value {
        if let Some(v) = self.places.get(&Shared::Steps) {
            return *v;
        }
        let last = self.last();
        let now = self.whole(NOW);
        let limit = self.whole(LIMIT);
        let steps = self.b.ins().isub(now, last);
        let steps = self.b.ins().umin(steps, limit);
        self.places.insert(Shared::Steps, steps);
        steps
    }

    /// Step when the synapse was last touched: an event touches all synapses of its lane or of its target, so the later of the two.
    fn last(&mut self) -> Value {
        if let Some(v) = self.places.get(&Shared::Last) {
            return *v;
        }
        let at = self.other_address(self.slots.touched);
        let far = self.b.ins().load(types::I64, flags().with_readonly(), at, 0);
        let near = self.whole(TOUCHED);
        let last = self.b.ins().umax(far, near);
        self.places.insert(Shared::Last, last);
        last
    }

    /// That step in the tables of integrals.
    fn position(&mut self) -> Value {
        if let Some(v) = self.places.get(&Shared::Position) {
            return *v;
        }
        let last = self.last();
        let (origin, reach) = (self.whole(ORIGIN), self.whole(REACH));
        let position = self.b.ins().isub(last, origin);
        let position = self.b.ins().umin(position, reach);
        self.places.insert(Shared::Position, position);
        position
    }

    /// `Running::since`, operation by operation.
    fn integral(&mut self, k: usize) -> Value {
        let (position, decays) = (self.position(), self.layout.integrals[k]);
        let span = self.b.ins().ushr_imm_u(position, i64::from(SPAN.trailing_zeros()));
        let inside = self.b.ins().band_imm_u(position, SPAN as i64 - 1);
        let mut load = |table: usize, index: Value| {
            let at = self.element(self.slots.integrals + SUMS * k + table, index);
            self.b.ins().load(types::F64, flags().with_readonly(), at, 0)
        };
        let (within, gap, later) = (load(0, position), load(1, inside), load(2, span));
        // Where nothing decays on, 1 is left.
        let within = if decays {
            let left = load(3, span);
            self.b.ins().fmul(left, within)
        } else {
            within
        };
        let later = self.b.ins().fmul(gap, later);
        self.b.ins().fadd(within, later)
    }

    /// The value as a number.
    fn number(&mut self, id: Id) -> Value {
        let v = self.values[&id];
        if self.p.is_bool(id) && !self.ready.contains_key(&id) {
            let (one, zero) = (self.b.ins().f64const(1.0), self.b.ins().f64const(0.0));
            return self.b.ins().select(v, one, zero);
        }
        v
    }

    /// The value as a truth value.
    fn truth(&mut self, id: Id) -> Value {
        let v = self.values[&id];
        if self.p.is_bool(id) && !self.ready.contains_key(&id) {
            return v;
        }
        let zero = self.b.ins().f64const(0.0);
        self.b.ins().fcmp(FloatCC::NotEqual, v, zero)
    }

    fn compute(&mut self, id: Id) -> Value {
        if let Some(row) = self.ready.get(&id) {
            let item = self.item;
            let at = self.element(self.slots.scratch + *row as usize, item);
            return self.b.ins().load(types::F64, flags(), at, 0);
        }
        let node = self.p.nodes[id.0 as usize];
        if let Node::Const(Real(v)) = node {
            return self.b.ins().f64const(v);
        }
        if !self.p.varying[id.0 as usize] {
            let slot = SCALARS + self.p.scalars.get(&id).copied().unwrap_or(0) as usize;
            let flags = flags().with_readonly().with_can_move();
            return self.b.ins().load(types::F64, flags, self.scalars, (slot * 8) as i32);
        }
        match node {
            Node::Own(slot) => {
                let (at, offset) = self.own(slot);
                if !self.single() {
                    return self.b.ins().load(types::F64, flags(), at, offset);
                }
                let v = self.b.ins().load(types::F32, flags(), at, offset);
                self.b.ins().fpromote(types::F64, v)
            }
            Node::Far(slot) => self.load_other(self.slots.traces + slot as usize),
            Node::Read(k) => self.load_other(self.slots.reads + k as usize),
            Node::Leaving => self.load_other(self.slots.leaving),
            Node::Table(k) => {
                let steps = self.steps();
                let at = self.element(self.slots.tables + k as usize, steps);
                self.b.ins().load(types::F64, flags().with_readonly(), at, 0)
            }
            Node::Integral(k) => self.integral(k as usize),
            Node::Still => {
                let steps = self.steps();
                self.b.ins().icmp_imm_u(IntCC::Equal, steps, 0)
            }
            Node::Single(a) => {
                let v = self.number(a);
                let v = self.b.ins().fdemote(types::F32, v);
                self.b.ins().fpromote(types::F64, v)
            }
            Node::Unary(op, a) => self.unary(op, a),
            Node::Binary(op, a, b) => self.binary(op, a, b),
            Node::Compare(op, a, b) => {
                let (a, b) = (self.number(a), self.number(b));
                self.b.ins().fcmp(condition(op), a, b)
            }
            Node::Select(c, a, b) => {
                let c = self.truth(c);
                let (a, b) =
                    if self.p.is_bool(id) { (self.truth(a), self.truth(b)) } else { (self.number(a), self.number(b)) };
                self.b.ins().select(c, a, b)
            }
            // Draws come from their rows; all others were handled above.
            _ => self.b.ins().f64const(f64::NAN),
        }
    }

    fn unary(&mut self, op: UnaryOp, a: Id) -> Value {
        if op == UnaryOp::Not {
            let a = self.truth(a);
            return self.b.ins().bxor_imm_u(a, 1);
        }
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

    fn binary(&mut self, op: BinaryOp, a: Id, b: Id) -> Value {
        if let BinaryOp::And | BinaryOp::Or = op {
            let (a, b) = (self.truth(a), self.truth(b));
            return if op == BinaryOp::And { self.b.ins().band(a, b) } else { self.b.ins().bor(a, b) };
        }
        let (a, b) = (self.number(a), self.number(b));
        match op {
            BinaryOp::Add => self.b.ins().fadd(a, b),
            BinaryOp::Sub => self.b.ins().fsub(a, b),
            BinaryOp::Mul => self.b.ins().fmul(a, b),
            BinaryOp::Div => self.b.ins().fdiv(a, b),
            // The instruction's own minimum treats NaN and zeros otherwise.
            BinaryOp::Min => {
                let less = self.b.ins().fcmp(FloatCC::LessThan, a, b);
                self.b.ins().select(less, a, b)
            }
            _ => {
                let more = self.b.ins().fcmp(FloatCC::GreaterThan, a, b);
                self.b.ins().select(more, a, b)
            }
        }
    }
}
