//! Values of an expression for all neurons of a block, at the start of a step.
//!
//! What continuous projections read is mostly a state or a short output, so it is computed operation by operation over chunks of
//! neurons, with the functions that define the operations: the interpreter's bits.

use super::worker::{Block, ParamBlock};
use crate::backend::eval;
use crate::ir::{BinaryOp, Compare, Expr, ExprId, Exprs, Real, UnaryOp};
use crate::runtime::Column;

/// Neurons of a chunk: the rows of a short expression stay in the innermost cache.
const CHUNK: usize = 256;

/// An operation on rows; operands stand before it.
enum Op {
    Const(f64),
    Time,
    State(usize),
    Param(usize),
    Coupled(usize),
    /// 1 where the refractory counter is positive.
    Held,
    Unary(UnaryOp, usize),
    Binary(BinaryOp, usize, usize),
    Compare(Compare, usize, usize),
    Select(usize, usize, usize),
}

/// A prepared expression and the room that it needs.
pub struct Values {
    ops: Vec<Op>,
    scratch: Vec<f64>,
}

impl Values {
    pub fn new(exprs: &Exprs, root: ExprId) -> Values {
        let order = eval::order(exprs, &[root]);
        // The order is ascending and holds every operand.
        let row = |id: ExprId| order.binary_search(&id).unwrap_or(0);
        let op = |id: &ExprId| match exprs.get(*id) {
            Expr::Const(Real(v)) => Op::Const(*v),
            Expr::Time => Op::Time,
            Expr::State(k) => Op::State(*k as usize),
            Expr::Param(k) => Op::Param(*k as usize),
            Expr::Coupled(k) => Op::Coupled(*k as usize),
            Expr::Held => Op::Held,
            Expr::Unary(op, a) => Op::Unary(*op, row(*a)),
            Expr::Binary(op, a, b) => Op::Binary(*op, row(*a), row(*b)),
            Expr::Compare(op, a, b) => Op::Compare(*op, row(*a), row(*b)),
            Expr::Select(c, a, b) => Op::Select(row(*c), row(*a), row(*b)),
            // `valid` keeps all others out of what is read.
            _ => Op::Const(f64::NAN),
        };
        let ops: Vec<Op> = order.iter().map(op).collect();
        let scratch = vec![0.0; ops.len() * CHUNK];
        Values { ops, scratch }
    }

    /// Gives the values of the first `n` neurons chunk by chunk: offset of the first neuron in the block, one value for each. `t`
    /// is the time of the start of the step, ms.
    pub fn compute(&mut self, block: &Block, n: u32, t: f64, sink: &mut dyn FnMut(usize, &[f64])) {
        let n = n.min(block.n) as usize;
        if let [Op::State(k)] = self.ops.as_slice()
            && let Column::Double(values) = &block.states[*k]
        {
            sink(0, &values[..n]);
            return;
        }
        let mut start = 0;
        while start < n {
            let len = CHUNK.min(n - start);
            for (row, op) in self.ops.iter().enumerate() {
                let (done, rest) = self.scratch.split_at_mut(row * CHUNK);
                let out = &mut rest[..len];
                let at = |r: usize| &done[r * CHUNK..r * CHUNK + len];
                match *op {
                    Op::Const(v) => out.fill(v),
                    Op::Time => out.fill(t),
                    Op::State(k) => block.states[k].copy_to(start, out),
                    Op::Coupled(k) => block.coupled[k].copy_to(start, out),
                    Op::Param(k) => match &block.params[k] {
                        ParamBlock::One(v) => out.fill(*v),
                        ParamBlock::Each(v) => v.copy_to(start, out),
                    },
                    Op::Held => {
                        block.counter.copy_to(start, out);
                        out.iter_mut().for_each(|v| *v = f64::from(u8::from(*v > 0.0)));
                    }
                    Op::Unary(op, a) => out.iter_mut().zip(at(a)).for_each(|(v, a)| *v = op.compute(*a)),
                    Op::Binary(op, a, b) => {
                        out.iter_mut().zip(at(a).iter().zip(at(b))).for_each(|(v, (a, b))| *v = op.compute(*a, *b));
                    }
                    Op::Compare(op, a, b) => {
                        for (v, (a, b)) in out.iter_mut().zip(at(a).iter().zip(at(b))) {
                            *v = f64::from(u8::from(op.compute(*a, *b)));
                        }
                    }
                    Op::Select(c, a, b) => {
                        for (k, v) in out.iter_mut().enumerate() {
                            *v = if at(c)[k] != 0.0 { at(a)[k] } else { at(b)[k] };
                        }
                    }
                }
            }
            let last = (self.ops.len() - 1) * CHUNK;
            sink(start, &self.scratch[last..last + len]);
            start += len;
        }
    }
}
