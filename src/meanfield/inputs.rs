//! What a cell of one group receives from the cells of another: the number of synapses per cell, the mean and the mean square of
//! their weights, by sign.
//!
//! Rules give the number exactly; with a `where` the share of pairs that it leaves is counted over all pairs, or over a sample of
//! them where they are many. Weights that differ between synapses are drawn for a sample of pairs with a seed of their own: with
//! [`SAMPLE`] of them a mean is off by about its standard deviation over 50.

use super::groups::Group;
use crate::backend::build::Elements;
use crate::backend::eval;
use crate::connect::Rule;
use crate::ir::{Attribute, Expr, ExprId, Network, Population, Projection, Side, Subset, Weight};
use crate::random::{Purpose, Stream, StreamKey};
use std::cell::RefCell;
use std::collections::HashMap;

const SAMPLE: u32 = 2500;
/// Seed of the sample: any number, so that the same circuit gives the same table.
const SEED: u64 = 1;

/// Synapses of one sign onto a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    /// Share of the synapses.
    pub share: f64,
    pub weight: f64,
    pub square: f64,
}

/// Weights that read nothing of their cells, by expression: projections that draw alike have the same moments.
pub(super) type Drawn = RefCell<HashMap<ExprId, Vec<Moments>>>;

/// A projection between populations with what its expressions need to be evaluated.
pub(super) struct Pairs<'n> {
    pub network: &'n Network,
    pub elements: &'n Elements,
    pub projection: &'n Projection,
    /// Source and target with their positions in `Network::populations`.
    pub ends: [(usize, &'n Population); 2],
    pub drawn: &'n Drawn,
}

impl Pairs<'_> {
    fn sizes(&self) -> (u32, u32) {
        (self.ends[0].1.size, self.ends[1].1.size)
    }

    /// Synapses onto a cell of `post` from the cells of `pre`, both in population indices.
    pub fn indegree(&self, pre: &Group, post: &Group) -> f64 {
        let sizes = self.sizes();
        let same = self.ends[0].0 == self.ends[1].0;
        let p = self.projection;
        let inside = |subset: &Subset, cell: u32| match subset {
            Subset::All => true,
            Subset::Range(a, b) => (*a..*b).contains(&cell),
            Subset::Cells(list) => list.binary_search(&cell).is_ok(),
        };
        let within = |g: &Group, s: &Subset| g.cells.iter().filter(|c| inside(s, **c)).count() as f64;
        let (from, to) = (within(pre, &p.pre), within(post, &p.post));
        if from == 0.0 || to == 0.0 {
            return 0.0;
        }
        // Of a group that an end holds in part, the mean over its cells.
        let part = to / post.cells.len() as f64;
        let (all_pre, all_post) = (f64::from(p.pre.len(sizes.0)), f64::from(p.post.len(sizes.1)));
        let own = |n: f64| if same && !p.spec.autapses && pre == post { n - 1.0 } else { n };
        match &p.spec.rule {
            Rule::OneToOne | Rule::Pairs { .. } => return self.listed(pre, post),
            Rule::FixedIndegree { k } if p.filter.is_none() => return part * f64::from(*k) * from / all_pre,
            _ => {}
        }
        let left = self.candidates(Some(pre), Some(post));
        let whole = || self.candidates(None, None);
        part * match &p.spec.rule {
            Rule::AllToAll => own(from).max(0.0) * left,
            Rule::Bernoulli { p } => p * own(from).max(0.0) * left,
            Rule::FixedIndegree { k } => {
                let others = self.candidates(None, Some(post));
                if others > 0.0 { f64::from(*k) * from * left / (all_pre * others) } else { 0.0 }
            }
            Rule::FixedOutdegree { k } => {
                let others = self.candidates(Some(pre), None);
                if others > 0.0 { f64::from(*k) * from * left / (all_post * others) } else { 0.0 }
            }
            Rule::FixedTotalNumber { n } => {
                let all = whole();
                if all > 0.0 { *n as f64 * from * left / (all_pre * all_post * all) } else { 0.0 }
            }
            Rule::OneToOne | Rule::Pairs { .. } => 0.0,
        }
    }

    /// Rules that name their pairs: counted.
    fn listed(&self, pre: &Group, post: &Group) -> f64 {
        let p = self.projection;
        let (n_pre, n_post) = self.sizes();
        let mut filter = self.filter();
        let is = |g: &Group, cell: u32| g.cells.binary_search(&cell).is_ok();
        let mut counts = |i: u32, j: u32| {
            let (i, j) = (p.pre.cell(i), p.post.cell(j));
            is(pre, i) && is(post, j) && filter.as_mut().is_none_or(|f| f.holds(i, j))
        };
        let n = match &p.spec.rule {
            Rule::Pairs { pre, post } => pre.iter().zip(post).filter(|(i, j)| counts(**i, **j)).count(),
            _ => (0..p.pre.len(n_pre).min(p.post.len(n_post))).filter(|k| counts(*k, *k)).count(),
        };
        n as f64 / post.cells.len() as f64
    }

    /// The share of pairs that `where` leaves; all cells of an end where no group is given.
    fn candidates(&self, pre: Option<&Group>, post: Option<&Group>) -> f64 {
        let Some(mut filter) = self.filter() else { return 1.0 };
        let pairs = self.sample(pre, post);
        let left = pairs.iter().filter(|(i, j)| filter.holds(*i, *j)).count();
        left as f64 / pairs.len().max(1) as f64
    }

    /// Every pair where they are few, else evenly spread ones.
    fn sample(&self, pre: Option<&Group>, post: Option<&Group>) -> Vec<(u32, u32)> {
        let sizes = self.sizes();
        let p = self.projection;
        let count = |g: Option<&Group>, s: &Subset, n: u32| g.map_or(s.len(n), |g| g.cells.len() as u32);
        let (n, m) = (count(pre, &p.pre, sizes.0), count(post, &p.post, sizes.1));
        let cell = |g: Option<&Group>, s: &Subset, k: u32| g.map_or_else(|| s.cell(k), |g| g.cells[k as usize]);
        let all = u64::from(n) * u64::from(m);
        if all <= u64::from(SAMPLE) {
            return (0..n)
                .flat_map(|i| (0..m).map(move |j| (i, j)))
                .map(|(i, j)| (cell(pre, &p.pre, i), cell(post, &p.post, j)))
                .collect();
        }
        let mut stream = Stream::new(StreamKey::new(SEED, &p.path, Purpose::Connect), 0);
        (0..SAMPLE)
            .map(|_| {
                let (i, j) = (stream.below(u64::from(n)) as u32, stream.below(u64::from(m)) as u32);
                (cell(pre, &p.pre, i), cell(post, &p.post, j))
            })
            .collect()
    }

    /// Synapses by sign; what has weight 0 does nothing and is left out.
    pub fn weights(&self, pre: &Group, post: &Group) -> Vec<Moments> {
        let value = match self.projection.weight {
            Weight::Constant(w) => return vec![Moments { share: 1.0, weight: w, square: w * w }],
            Weight::PerSynapse { value, .. } => value,
        };
        if let Some(known) = self.drawn.borrow().get(&value) {
            return known.clone();
        }
        let mut pairs = self.sample(Some(pre), Some(post));
        if let Some(mut filter) = self.filter() {
            pairs.retain(|(i, j)| filter.holds(*i, *j));
        }
        let few = pairs.clone();
        // A handful of cells says little of what is drawn: they are asked again.
        while !few.is_empty() && pairs.len() < SAMPLE as usize / 2 {
            pairs.extend_from_slice(&few);
        }
        let mut stream = Stream::new(StreamKey::new(SEED, &self.projection.path, Purpose::Weight), 0);
        let mut formula = Formula::new(self, value);
        let reads = |id: &ExprId| {
            matches!(self.network.build.get(*id), Expr::Element(..) | Expr::Column(_) | Expr::Table { .. })
        };
        let alike = !formula.order.iter().any(reads);
        let drawn: Vec<f64> = pairs
            .iter()
            .zip(0_u64..)
            .map(|((i, j), k)| formula.value(*i, *j, k, &mut stream))
            .filter(|w| w.is_finite())
            .collect();
        let of = |test: &dyn Fn(f64) -> bool| {
            let chosen: Vec<f64> = drawn.iter().copied().filter(|w| test(*w)).collect();
            let n = chosen.len() as f64;
            (n > 0.0).then(|| Moments {
                share: n / drawn.len() as f64,
                weight: chosen.iter().sum::<f64>() / n,
                square: chosen.iter().map(|w| w * w).sum::<f64>() / n,
            })
        };
        let moments: Vec<Moments> = [of(&|w| w > 0.0), of(&|w| w < 0.0)].into_iter().flatten().collect();
        if alike && !drawn.is_empty() {
            self.drawn.borrow_mut().insert(value, moments.clone());
        }
        moments
    }

    /// Whether `where` leaves a pair. What it draws is drawn with one number for all.
    fn filter(&self) -> Option<Formula<'_>> {
        self.projection.filter.map(|f| Formula::new(self, f))
    }
}

/// A build expression of synapses, prepared for many of them.
struct Formula<'p> {
    pairs: &'p Pairs<'p>,
    root: ExprId,
    order: Vec<ExprId>,
    scratch: Vec<f64>,
    /// Of what `where` draws.
    key: StreamKey,
}

impl<'p> Formula<'p> {
    fn new(pairs: &'p Pairs<'p>, root: ExprId) -> Formula<'p> {
        let key = StreamKey::new(SEED, &pairs.projection.path, Purpose::Connect);
        Formula { pairs, root, order: eval::order(&pairs.network.build, &[root]), scratch: Vec::new(), key }
    }

    fn holds(&mut self, pre: u32, post: u32) -> bool {
        let edge = u64::from(post) << 32 | u64::from(pre);
        self.value(pre, post, edge, &mut Stream::new(self.key, edge)) == 1.0
    }

    /// Its value at the synapse from cell `pre` to cell `post`; `edge` numbers it.
    fn value(&mut self, pre: u32, post: u32, edge: u64, stream: &mut Stream) -> f64 {
        let Pairs { network, elements, projection, ends, .. } = self.pairs;
        let attribute = |side: Side, attribute: &Attribute| {
            let ((position, p), cell) = match side {
                Side::Pre => (ends[0], pre),
                Side::Post => (ends[1], post),
                Side::Own => return f64::NAN,
            };
            match attribute {
                Attribute::Index => f64::from(cell),
                Attribute::Axis(a) => p.coordinate(cell, *a as usize).map_or(f64::NAN, f64::from),
                Attribute::Param(j) => {
                    elements.populations[position].params.get(*j as usize).map_or(f64::NAN, |v| v.at(cell))
                }
            }
        };
        eval::evaluate(&network.build, &self.order, &mut self.scratch, &mut |e, at| match e {
            Expr::Element(side, a) => attribute(*side, a),
            Expr::Random { distribution, args, .. } => {
                let args: Vec<f64> = args.iter().map(|a| at[a.0 as usize]).collect();
                distribution.draw(stream, &args)
            }
            Expr::Column(k) => {
                let column = projection.columns.get(*k as usize);
                column.filter(|c| !c.is_empty()).map_or(f64::NAN, |c| c[(edge % c.len() as u64) as usize])
            }
            Expr::Table { table, indices } => {
                let indices: Vec<f64> = indices.iter().map(|i| at[i.0 as usize]).collect();
                elements.entry(network, *table, &indices).unwrap_or(f64::NAN)
            }
            _ => f64::NAN,
        });
        self.scratch[self.root.0 as usize]
    }
}
