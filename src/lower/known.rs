//! The values that are known while a circuit is laid out, and whether those of a sweep were asked for: points of a sweep that differ
//! only in what nothing asks for come out equal, so one of them is laid out for all.

use crate::hir::ValueId;
use crate::script::Value;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// Bound params, loop variables, lets that have been computed; and what the sweeps give at the point at hand.
#[derive(Clone, Default)]
pub(crate) struct Known {
    values: HashMap<ValueId, Value>,
    /// What changed since the first of the marks that are open, with what it was.
    changes: Vec<(ValueId, Option<Value>)>,
    /// Marks to go back to.
    marks: Vec<usize>,
    point: Rc<Point>,
}

#[derive(Default)]
struct Point {
    values: Vec<(ValueId, Value)>,
    /// Variables of it that were asked for.
    read: RefCell<BTreeSet<ValueId>>,
}

impl Known {
    /// What is known, at a point of a sweep.
    pub fn at(&self, point: &[(ValueId, Value)]) -> Known {
        let point = Point { values: point.to_vec(), read: RefCell::default() };
        Known { values: self.values.clone(), point: Rc::new(point), ..Known::default() }
    }

    pub fn get(&self, id: ValueId) -> Option<&Value> {
        self.values.get(&id).or_else(|| {
            let (_, value) = self.point.values.iter().find(|(v, _)| *v == id)?;
            self.point.read.borrow_mut().insert(id);
            Some(value)
        })
    }

    pub fn has(&self, id: ValueId) -> bool {
        self.get(id).is_some()
    }

    pub fn insert(&mut self, id: ValueId, value: Value) {
        let was = self.values.insert(id, value);
        self.note(id, was);
    }

    pub fn remove(&mut self, id: ValueId) {
        let was = self.values.remove(&id);
        self.note(id, was);
    }

    fn note(&mut self, id: ValueId, was: Option<Value>) {
        if !self.marks.is_empty() {
            self.changes.push((id, was));
        }
    }

    /// Remembers what is known, until [`Known::back`]. Circuits have turns of loops by the hundred thousand, so nothing is copied.
    pub fn mark(&mut self) {
        self.marks.push(self.changes.len());
    }

    /// Knows again what was known at the last mark.
    pub fn back(&mut self) {
        let Some(mark) = self.marks.pop() else { return };
        for (id, was) in self.changes.drain(mark..).rev() {
            match was {
                Some(value) => self.values.insert(id, value),
                None => self.values.remove(&id),
            };
        }
    }

    /// What was asked for of the point, with the answers; by this or by any copy of it.
    pub fn read(&self) -> Vec<(ValueId, Value)> {
        let read = self.point.read.borrow();
        self.point.values.iter().filter(|(v, _)| read.contains(v)).cloned().collect()
    }
}
