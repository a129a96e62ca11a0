//! The `where` of a projection: which pairs its rule may choose from.

use super::ends::End;
use super::formula::{Formula, Leaves, Level, Values};
use crate::backend::engine::RunError;
use crate::connect::{Candidates, Cells};
use crate::ir::{Attribute, Side};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Candidate lists are kept per class of targets while they hold at most so many sources in all (64 MiB); beyond that
/// every pair is asked for when it is needed.
const MOST_LISTED: u64 = 1 << 24;

/// A filter in the two forms that `connect` asks for.
pub struct Filter<'n> {
    holds: Box<dyn Fn(u32, u32) -> bool + Send + Sync + 'n>,
    class: Option<Box<dyn Fn(u32) -> u64 + Send + Sync>>,
    fault: Arc<OnceLock<RunError>>,
}

/// An end with its cells: `connect` counts positions among these.
type Place<'n> = (Arc<End<'n>>, Cells<'n>);

thread_local! {
    /// The last filter that this thread evaluated, the target it stood at, and its values: rows are asked for target by
    /// target, so that what reads the target alone is computed once.
    static LAST: RefCell<Option<(u64, u32, Values)>> = const { RefCell::new(None) };
}

impl<'n> Filter<'n> {
    pub fn new(path: &str, formula: Formula<'n>, pre: Place<'n>, post: Place<'n>) -> Filter<'n> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Only tells filters of this process apart.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let class = classes(&formula, &pre, &post)
            .map(|list| Box::new(move |at: u32| u64::from(list[at as usize])) as Box<dyn Fn(u32) -> u64 + Send + Sync>);
        let fault = Arc::new(OnceLock::new());
        let (path, first) = (path.to_string(), fault.clone());
        let holds = move |source: u32, target: u32| {
            let (from, to) = (pre.1.id(source), post.1.id(target));
            let leaves = Leaves {
                element: u64::from(target) << 32 | u64::from(source),
                attribute: &|side, attribute| match side {
                    Side::Pre => pre.0.attribute(from, attribute),
                    Side::Post => post.0.attribute(to, attribute),
                    Side::Own => f64::NAN,
                },
                column: &|_| f64::NAN,
            };
            let value = LAST.with_borrow_mut(|last| {
                let fresh = !matches!(last, Some((filter, ..)) if *filter == id);
                if fresh {
                    *last = Some((id, target, formula.values()));
                }
                let Some((_, at, values)) = last else { return Ok(0.0) };
                if fresh || *at != target {
                    *at = target;
                    formula.compute(Level::Row, values, &leaves);
                }
                formula.compute(Level::Element, values, &leaves);
                formula.result(values)
            });
            value.map(|v| v != 0.0 && !v.is_nan()).unwrap_or_else(|message| {
                let (a, b) = (&pre.0.population.path, &post.0.population.path);
                // Any of the faults will do: the first to be found is kept.
                let _ = first.set(RunError::Build(format!("{path}: `where` of {a}[{from}] and {b}[{to}]: {message}")));
                false
            })
        };
        Filter { holds: Box::new(holds), class, fault }
    }

    pub fn candidates(&self) -> Candidates<'_> {
        let class = self.class.as_ref().map(|c| &**c as &(dyn Fn(u32) -> u64 + Sync));
        Candidates { filter: Some(&*self.holds), class }
    }

    /// What went wrong in any of the pairs that were asked for.
    pub fn fault(&self) -> Result<(), RunError> {
        self.fault.get().map_or(Ok(()), |e| Err(e.clone()))
    }
}

/// A number for each target: targets with equal values of all that the filter reads of them share one. `None` where
/// every pair draws, or where lists for so many classes would take too much room.
fn classes(formula: &Formula, pre: &Place, post: &Place) -> Option<Vec<u32>> {
    if formula.draws() {
        return None;
    }
    let reads: Vec<Attribute> =
        formula.attributes().into_iter().filter(|(side, _)| *side == Side::Post).map(|(_, a)| a).collect();
    let most = MOST_LISTED / u64::from(pre.1.len()).max(1);
    let mut numbers: BTreeMap<Vec<u64>, u32> = BTreeMap::new();
    let mut list = Vec::with_capacity(post.1.len() as usize);
    for position in 0..post.1.len() {
        let neuron = post.1.id(position);
        let values = reads.iter().map(|a| post.0.attribute(neuron, a).to_bits()).collect();
        let next = numbers.len() as u32;
        list.push(*numbers.entry(values).or_insert(next));
        if numbers.len() as u64 > most {
            return None;
        }
    }
    Some(list)
}
