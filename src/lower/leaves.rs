//! What an expression comes down to, through the definitions that it names.
//!
//! Translation asks at every node whether what lies below it is known or stays the same. So each definition is looked through once,
//! and then has the few things that it reads at hand: a chain of definitions would otherwise be walked to its end from every node.

use super::{Lowering, children};
use crate::base::stack;
use crate::hir::{self, ExprKind, ValueId, ValueKind};
use std::collections::BTreeSet;
use std::rc::Rc;

/// What a value may depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leaf {
    Time,
    /// `xi`
    Noise,
    /// Whether something crossed something since the last step.
    Crossing,
    Draw,
    /// Which neuron or synapse it is, or what belongs to that one.
    Place,
    /// A name that stands for no expression.
    Value(ValueId),
}

fn leaf(e: &hir::Expr) -> Option<Leaf> {
    match e.kind {
        ExprKind::Time => Some(Leaf::Time),
        ExprKind::Xi(_) => Some(Leaf::Noise),
        ExprKind::Crosses(..) => Some(Leaf::Crossing),
        ExprKind::Draw { .. } => Some(Leaf::Draw),
        ExprKind::Index(_)
        | ExprKind::Attribute(..)
        | ExprKind::Column(_)
        | ExprKind::SumIn
        | ExprKind::SumOut
        | ExprKind::Distance => Some(Leaf::Place),
        _ => None,
    }
}

impl Lowering<'_> {
    /// Whether a test holds of a leaf of an expression.
    pub(super) fn any_leaf(&self, e: &hir::Expr, test: &mut dyn FnMut(Leaf) -> bool) -> bool {
        if leaf(e).is_some_and(&mut *test) {
            return true;
        }
        if let ExprKind::Value(id) | ExprKind::Apply(id, _) = e.kind
            && match self.definition(id) {
                Some(leaves) => leaves.iter().any(|l| test(*l)),
                None => test(Leaf::Value(id)),
            }
        {
            return true;
        }
        let mut found = false;
        children(e, &mut |x| found = found || self.any_leaf(x, test));
        found
    }

    /// The leaves of what a name stands for; `None` of one that stands for no expression.
    fn definition(&self, id: ValueId) -> Option<Rc<BTreeSet<Leaf>>> {
        let (ValueKind::Let(e)
        | ValueKind::Output(e)
        | ValueKind::Table { value: e, .. }
        | ValueKind::Function { value: e, .. }) = &self.program.value(id).kind
        else {
            return None;
        };
        if let Some(leaves) = self.leaves.borrow().get(&id) {
            return Some(leaves.clone());
        }
        // A definition of itself has been told; it ends here.
        self.leaves.borrow_mut().insert(id, Rc::default());
        let mut found = BTreeSet::new();
        stack::deep(|| {
            self.any_leaf(e, &mut |l| {
                found.insert(l);
                false
            })
        });
        let found = Rc::new(found);
        self.leaves.borrow_mut().insert(id, found.clone());
        Some(found)
    }
}
