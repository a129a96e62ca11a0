//! Projections without stored synapses: the row of a source is made anew whenever it is asked for.
//!
//! A draw is keyed by the source and a number of the synapse within its row (see [`Outgoing`]), so a row has the same bits
//! whoever makes it, whole or in part.

use super::by_target::{ByTarget, Synapse};
use super::elements::Elements;
use super::synapses::{Line, Row, SynapsePlan};
use crate::backend::engine::RunError;
use crate::connect::{Cells, Outgoing, Scratch};
use crate::ir::{Network, ProjectionId, Side};
use self_cell::self_cell;
use std::ops::Range;
use std::sync::Arc;

/// Sources whose rows are looked at by one thread in turn when a network is checked.
const CHECKED: u32 = 256;

/// The rows of one projection with room for making them.
pub(super) struct SourceRows<'p> {
    plan: &'p SynapsePlan<'p>,
    rule: Outgoing<'p>,
    row: Row<'p>,
    scratch: Scratch,
    /// Targets as indices, where these are not their positions.
    cells: Vec<u32>,
    whole: bool,
}

impl<'p> SourceRows<'p> {
    /// # Errors
    /// [`RunError::Build`] where the rule cannot be carried out.
    pub(super) fn new(plan: &'p SynapsePlan<'p>) -> Result<SourceRows<'p>, RunError> {
        let whole = plan.ends().post == Cells::all(plan.target().1.size);
        let (rule, row) = (plan.outgoing()?, Row::new(plan));
        Ok(SourceRows { plan, rule, row, scratch: Scratch::default(), cells: vec![], whole })
    }

    /// Calls `sink` with the targets of cell `pre` at the positions `posts`, ascending and in one or more parts: their indices,
    /// weights and delays (empty where the projection has one for all).
    fn make(
        &mut self,
        pre: u32,
        posts: Range<u32>,
        sink: &mut impl FnMut(&[u32], &[f64], &[u32]),
    ) -> Result<(), RunError> {
        let SourceRows { plan, rule, row, scratch, cells, whole } = self;
        let ends = plan.ends();
        let Some(position) = ends.pre.position(pre) else { return Ok(()) };
        let mut result = Ok(());
        rule.row(position, posts, scratch, &mut |number, targets| {
            if result.is_err() {
                return;
            }
            let others = if *whole {
                targets
            } else {
                cells.clear();
                cells.extend(targets.iter().map(|t| ends.post.id(*t)));
                &*cells
            };
            let first = (u64::from(position) << 32).wrapping_add(number);
            match row.fill(&Line { row: Side::Pre, first, own: pre, others, edges: None }) {
                Ok(()) => sink(others, &row.weights, &row.delays),
                Err(e) => result = Err(e),
            }
        });
        result
    }

    /// All synapses.
    ///
    /// # Errors
    /// [`RunError::Build`] with source and target where a weight or delay is no number, or `where` fails.
    pub(super) fn all(mut self) -> Result<ByTarget, RunError> {
        let mut synapses = vec![];
        let (mut with_weights, mut with_delays) = (false, false);
        for pre in self.plan.pres() {
            self.make(pre, 0..self.plan.posts(), &mut |posts, weights, delays| {
                with_weights |= !weights.is_empty();
                with_delays |= !delays.is_empty();
                for (k, post) in posts.iter().enumerate() {
                    let (weight, delay) = (weights.get(k), delays.get(k));
                    synapses.push(Synapse {
                        post: *post,
                        pre,
                        weight: weight.copied().unwrap_or(f64::NAN),
                        delay: delay.copied().unwrap_or(0),
                    });
                }
            })?;
        }
        self.plan.filter_fault()?;
        Ok(ByTarget::new(synapses, with_weights, with_delays))
    }
}

/// What rows are made from, for as long as anyone makes them.
pub struct Circuit {
    pub network: Network,
    pub elements: Arc<Elements>,
}

self_cell!(
    struct PlanCell {
        owner: Arc<Circuit>,
        #[covariant]
        dependent: SynapsePlan,
    }
);

self_cell!(
    struct RowsCell {
        owner: Arc<PlanCell>,
        #[covariant]
        dependent: SourceRows,
    }
);

/// A procedural projection, for any number of [`ProceduralRows`].
pub struct Procedural {
    plan: Arc<PlanCell>,
    synapses: u64,
}

impl Procedural {
    /// Looks at all rows once, with so many threads, where a weight or a delay might turn out to be no number.
    ///
    /// # Errors
    /// [`RunError::Build`] as of [`super::Synapses::incoming`]: of the first source that has something wrong.
    pub fn new(circuit: &Arc<Circuit>, id: ProjectionId, seed: u64, threads: usize) -> Result<Procedural, RunError> {
        let plan = PlanCell::try_new(circuit.clone(), |c| SynapsePlan::new(&c.network, &c.elements, id, seed))?;
        let out = Procedural { synapses: plan.borrow_dependent().count()?, plan: Arc::new(plan) };
        let plan = out.plan.borrow_dependent();
        if plan.fallible() {
            let sources: Vec<u32> = plan.pres().collect();
            for round in sources.chunks(CHECKED as usize * threads.max(1)) {
                let parts: Vec<_> = round.chunks(CHECKED as usize).collect();
                std::thread::scope(|s| {
                    let check = |part| {
                        let mut rows = out.rows(0..plan.posts())?;
                        let mut sources = <[u32]>::iter(part);
                        sources.try_for_each(|pre| rows.make(*pre, &mut |_, _, _| {}))
                    };
                    let handles: Vec<_> = parts.iter().map(|part| s.spawn(move || check(part))).collect();
                    let failed = |_| Err(RunError::Build("a thread that checks synapses failed".to_string()));
                    handles.into_iter().try_for_each(|h| h.join().unwrap_or_else(failed))
                })?;
            }
        }
        Ok(out)
    }

    /// The rows' parts at these positions of the target subset.
    ///
    /// # Errors
    /// [`RunError::Build`] where the rule cannot be carried out.
    pub fn rows(&self, posts: Range<u32>) -> Result<ProceduralRows, RunError> {
        let cell = RowsCell::try_new(self.plan.clone(), |plan| SourceRows::new(plan.borrow_dependent()))?;
        Ok(ProceduralRows { cell, posts })
    }

    /// The number of synapses as of [`SynapsePlan::count`].
    pub fn synapses(&self) -> u64 {
        self.synapses
    }
}

/// Rows by source, made anew for everyone who asks.
pub struct ProceduralRows {
    cell: RowsCell,
    posts: Range<u32>,
}

impl ProceduralRows {
    /// Calls `sink` with the targets of cell `pre`, ascending and in one or more parts: their indices, weights and delays
    /// (empty where the projection has one for all).
    ///
    /// # Errors
    /// [`RunError::Build`] where a weight or delay is no number, which [`Procedural::new`] has ruled out.
    pub fn make(&mut self, pre: u32, sink: &mut impl FnMut(&[u32], &[f64], &[u32])) -> Result<(), RunError> {
        let posts = self.posts.clone();
        self.cell.with_dependent_mut(|_, rows| rows.make(pre, posts, sink))
    }
}
