//! Params and initial states of every neuron, from build expressions.

use super::coordinates;
use super::formula::{Formula, Leaves, Level};
use super::params::{ParamValues, dependencies, dependency_order, derive_group};
use super::tables::{self, Tables};
use crate::backend::engine::RunError;
use crate::backend::eval;
use crate::ir::protocol::Bounds;
use crate::ir::{Attribute, Expr, ExprId, Network, ParamKind, Population, Side};
use crate::random::{Purpose, StreamKey};

/// The neurons of one population as built.
#[derive(Clone, Debug, PartialEq)]
pub struct PopulationElements {
    /// By position in `Dynamics::params`.
    pub params: Vec<ParamValues>,
    /// `[state][neuron]`, by position in `Dynamics::states`.
    pub initial: Vec<Vec<f64>>,
}

/// All neurons of a network as built, and the tables that were drawn for them.
#[derive(Clone, Debug, PartialEq)]
pub struct Elements {
    /// In the order of [`Network::populations`].
    pub populations: Vec<PopulationElements>,
    /// By position in [`Network::tables`]; empty for a constant table.
    drawn: Vec<Vec<f64>>,
}

impl Elements {
    /// The tables of `network`, from which these elements were built.
    pub(super) fn tables<'n>(&'n self, network: &'n Network) -> Tables<'n> {
        Tables { tables: &network.tables, drawn: &self.drawn }
    }

    /// An entry of a table of `network` as built; `None` outside of it.
    pub fn entry(&self, network: &Network, table: u32, indices: &[f64]) -> Option<f64> {
        let shape = &network.tables.get(table as usize)?.shape;
        let inside = indices.iter().zip(shape).all(|(i, n)| *i >= 0.0 && *i < f64::from(*n));
        if shape.len() != indices.len() || !inside {
            return None;
        }
        let flat = indices.iter().zip(shape).fold(0, |flat, (i, n)| flat * *n as usize + i.round() as usize);
        self.tables(network).data(table).get(flat).copied()
    }
}

/// Builds the elements of all populations.
///
/// A draw of neuron `n` for the param or state `x` of the population `p` is keyed by (`seed`, `p.x`, site, `n`).
///
/// # Errors
/// [`RunError::Build`] where params or tables are computed from each other in a circle or a table index is out of
/// range; [`RunError::Limit`] where a drawn table has more entries than can be counted.
pub fn elements(network: &Network, seed: u64) -> Result<Elements, RunError> {
    let drawn = tables::draw(network, seed)?;
    let tables = Tables { tables: &network.tables, drawn: &drawn };
    let populations: Result<_, _> =
        network.populations().map(|(_, p)| Builder::new(network, tables, p, seed)?.build()).collect();
    Ok(Elements { populations: populations?, drawn })
}

struct Builder<'n> {
    network: &'n Network,
    tables: Tables<'n>,
    population: &'n Population,
    seed: u64,
    /// Empty unless an expression reads one.
    coordinates: Vec<Vec<u32>>,
    params: Vec<ParamValues>,
}

impl<'n> Builder<'n> {
    fn new(
        network: &'n Network,
        tables: Tables<'n>,
        population: &'n Population,
        seed: u64,
    ) -> Result<Builder<'n>, RunError> {
        let dynamics = &population.dynamics;
        let mut roots: Vec<ExprId> = dynamics.states.iter().map(|s| s.initial).collect();
        roots.extend(dynamics.params.iter().filter_map(|p| per_neuron(p.kind)));
        let axis = |id: ExprId| matches!(network.build.get(id), Expr::Element(_, Attribute::Axis(_)));
        let coordinates =
            if eval::order(&network.build, &roots).into_iter().any(axis) { coordinates(population)? } else { vec![] };
        let params = vec![ParamValues::One(f64::NAN); dynamics.params.len()];
        Ok(Builder { network, tables, population, seed, coordinates, params })
    }

    fn build(mut self) -> Result<PopulationElements, RunError> {
        let Population { path, size, dynamics, .. } = self.population;
        let reads = |j: u32| match per_neuron(dynamics.params[j as usize].kind) {
            Some(root) => self.params_read(root),
            None => dependencies(dynamics, j),
        };
        let order = dependency_order(dynamics.params.len(), reads).map_err(|circle| {
            let names: Vec<&str> = circle.iter().map(|j| dynamics.params[*j as usize].name.as_str()).collect();
            RunError::Build(format!("{path}: no order computes the params {} from each other", names.join(", ")))
        })?;
        for j in order {
            let param = &dynamics.params[j as usize];
            match param.kind {
                ParamKind::Scalar(v) => self.params[j as usize] = ParamValues::One(v),
                ParamKind::PerNeuron(root) => {
                    let values = self.each(&param.name, root, Purpose::Parameter)?;
                    if let Some(neuron) = values.iter().position(|v| v.is_nan()) {
                        let message = format!("{path}: `{}` of neuron {neuron} is not a number", param.name);
                        return Err(RunError::Build(message));
                    }
                    if let Some(bounds) = &param.bounds {
                        within(bounds, &values).map_err(|why| RunError::Build(format!("{path}: {why}")))?;
                    }
                    self.params[j as usize] = ParamValues::Each(values);
                }
                ParamKind::Derived(_) => derive_group(dynamics, self.network.dt_ms, &mut self.params, *size, j),
            }
        }
        let initial: Result<_, _> =
            dynamics.states.iter().map(|s| self.each(&s.name, s.initial, Purpose::InitialState)).collect();
        Ok(PopulationElements { initial: initial?, params: self.params })
    }

    /// One value for each neuron.
    fn each(&self, name: &str, root: ExprId, purpose: Purpose) -> Result<Vec<f64>, RunError> {
        let path = format!("{}.{name}", self.population.path);
        let key = StreamKey::new(self.seed, &path, purpose);
        let formula = Formula::new(&self.network.build, self.tables, root, key);
        let mut values = formula.values();
        let at = |message: String, neuron: u32| RunError::Build(format!("{path} of neuron {neuron}: {message}"));
        if formula.constant() {
            let value = formula.result(&values).map_err(|message| at(message, 0))?;
            return Ok(vec![value; self.population.size as usize]);
        }
        (0..self.population.size)
            .map(|neuron| {
                let attribute = |side: Side, attribute: &Attribute| match (side, attribute) {
                    (Side::Own, Attribute::Index) => f64::from(neuron),
                    (Side::Own, Attribute::Axis(k)) => {
                        self.coordinates.get(*k as usize).map_or(f64::NAN, |list| f64::from(list[neuron as usize]))
                    }
                    (Side::Own, Attribute::Param(j)) => self.params.get(*j as usize).map_or(f64::NAN, |p| p.at(neuron)),
                    // A neuron has no synapse to look at; `valid` refuses such an expression.
                    (Side::Pre | Side::Post, _) => f64::NAN,
                };
                let leaves = Leaves { element: u64::from(neuron), attribute: &attribute, column: &|_| f64::NAN };
                formula.compute(Level::Row, &mut values, &leaves);
                formula.compute(Level::Element, &mut values, &leaves);
                formula.result(&values).map_err(|message| at(message, neuron))
            })
            .collect()
    }

    /// The params of the same neuron that an expression reads.
    fn params_read(&self, root: ExprId) -> Vec<u32> {
        let mut reads: Vec<u32> = eval::order(&self.network.build, &[root])
            .into_iter()
            .filter_map(|id| match self.network.build.get(id) {
                Expr::Element(Side::Own, Attribute::Param(j)) => Some(*j),
                _ => None,
            })
            .filter(|j| (*j as usize) < self.params.len())
            .collect();
        reads.sort_unstable();
        reads.dedup();
        reads
    }
}

/// Says which neuron's value its author does not allow, if there is one.
fn within(bounds: &Bounds, values: &[f64]) -> Result<(), String> {
    match values.iter().enumerate().find(|(_, v)| !bounds.hold(**v)) {
        None => Ok(()),
        Some((neuron, v)) => {
            let shown = bounds.display(*v);
            Err(format!("`{}` of neuron {neuron} is {shown}, outside its bounds {bounds}", bounds.name))
        }
    }
}

fn per_neuron(kind: ParamKind) -> Option<ExprId> {
    match kind {
        ParamKind::PerNeuron(root) => Some(root),
        ParamKind::Scalar(_) | ParamKind::Derived(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::dynamics;
    use super::*;
    use crate::ir::{BinaryOp, Compare, Derived, Node, Param, State, Table};
    use crate::random::Stream;
    use crate::script::Distribution;
    use crate::units::Dimension;

    fn param(name: &str, kind: ParamKind) -> Param {
        Param { name: name.into(), dimension: Dimension::NUMBER, kind, settable: false, bounds: None }
    }

    fn state(name: &str, initial: ExprId) -> State {
        State { name: name.into(), dimension: Dimension::NUMBER, initial }
    }

    fn population(network: &mut Network, size: u32, dynamics: crate::ir::Dynamics) {
        let population = Population { path: "bg.E".into(), source: false, size, axes: vec![], dynamics };
        network.graph.add_node(Node::Population(population));
    }

    fn own(network: &mut Network, attribute: Attribute) -> ExprId {
        network.build.intern(Expr::Element(Side::Own, attribute))
    }

    #[test]
    fn params_and_states_are_drawn_per_neuron_in_order_of_need() {
        let mut net = Network { dt_ms: 0.1, ..Network::default() };
        let [mean, sd] = [10.0, 2.0].map(|v| net.build.real(v));
        let args = vec![mean, sd];
        let normal = net.build.intern(Expr::Random { distribution: Distribution::Normal, args, site: 3 });
        let tau = own(&mut net, Attribute::Param(1));
        let double = net.build.add(tau, tau);
        let derived = own(&mut net, Attribute::Param(2));
        let index = own(&mut net, Attribute::Index);
        let mut d = dynamics();
        let read = d.exprs.intern(Expr::Param(0));
        let half = d.exprs.real(0.5);
        let half = d.exprs.mul(read, half);
        d.params = vec![
            param("double", ParamKind::PerNeuron(double)),
            param("tau", ParamKind::PerNeuron(normal)),
            param("again", ParamKind::Derived(Derived::Expr(half))),
            param("k", ParamKind::Scalar(4.0)),
        ];
        d.states = vec![state("V", derived), state("U", index), state("W", normal)];
        population(&mut net, 5, d);

        let built = &elements(&net, 11).unwrap().populations[0];
        let draw = |name: &str, purpose, n| {
            let key = StreamKey::new(11, name, purpose).derive(0);
            Distribution::Normal.draw(&mut Stream::new(key, n), &[10.0, 2.0])
        };
        let tau: Vec<f64> = (0..5).map(|n| draw("bg.E.tau", Purpose::Parameter, n)).collect();
        assert_eq!(built.params[1], ParamValues::Each(tau.clone()));
        assert_eq!(built.params[0], ParamValues::Each(tau.iter().map(|v| v + v).collect()));
        assert_eq!(built.params[3], ParamValues::One(4.0));
        assert_eq!(built.initial[0], tau);
        assert_eq!(built.initial[1], [0.0, 1.0, 2.0, 3.0, 4.0]);
        let w: Vec<f64> = (0..5).map(|n| draw("bg.E.W", Purpose::InitialState, n)).collect();
        assert_eq!(built.initial[2], w);
        assert_ne!(w, tau);
    }

    #[test]
    fn params_in_a_circle_are_named() {
        let mut net = Network { dt_ms: 0.1, ..Network::default() };
        let (a, b) = (own(&mut net, Attribute::Param(0)), own(&mut net, Attribute::Param(1)));
        let mut d = dynamics();
        d.params = vec![param("a", ParamKind::PerNeuron(b)), param("b", ParamKind::PerNeuron(a))];
        population(&mut net, 2, d);
        let Err(RunError::Build(message)) = elements(&net, 0) else { panic!("built") };
        assert_eq!(message, "bg.E: no order computes the params a, b from each other");
    }

    /// `table[index - 1]` with a guard or without.
    fn lookup(guard: Option<BinaryOp>) -> Result<Vec<f64>, RunError> {
        let mut net = Network { dt_ms: 0.1, ..Network::default() };
        net.tables = vec![Table { name: "W".into(), shape: vec![3], data: vec![5.0, 6.0, 7.0], draw: None }];
        let index = own(&mut net, Attribute::Index);
        let [zero, one] = [0.0, 1.0].map(|v| net.build.real(v));
        let before = net.build.sub(index, one);
        let entry = net.build.intern(Expr::Table { table: 0, indices: vec![before] });
        let inside = net.build.compare(Compare::Gt, index, zero);
        let value = match guard {
            None => entry,
            Some(BinaryOp::And) => {
                let six = net.build.real(6.0);
                let equal = net.build.compare(Compare::Eq, entry, six);
                net.build.binary(BinaryOp::And, inside, equal)
            }
            Some(_) => net.build.select(inside, entry, zero),
        };
        let mut d = dynamics();
        d.states = vec![state("V", value)];
        population(&mut net, 4, d);
        elements(&net, 0).map(|mut built| built.populations.remove(0).initial.remove(0))
    }

    #[test]
    fn a_table_index_counts_only_where_its_value_does() {
        assert_eq!(lookup(Some(BinaryOp::Min)), Ok(vec![0.0, 5.0, 6.0, 7.0]));
        assert_eq!(lookup(Some(BinaryOp::And)), Ok(vec![0.0, 0.0, 1.0, 0.0]));
        let message = "bg.E.V of neuron 0: index [-1] is out of range in the table W of shape [3]";
        assert_eq!(lookup(None), Err(RunError::Build(message.into())));
    }

    #[test]
    fn drawn_tables_are_the_same_for_all_that_read_them() {
        let mut net = Network { dt_ms: 0.1, ..Network::default() };
        // second[i, j] = first[j] + 10 i stands before first[j] = normal(0, 1).
        let [zero, one, ten] = [0.0, 1.0, 10.0].map(|v| net.build.real(v));
        let (row, column) = (own(&mut net, Attribute::Axis(0)), own(&mut net, Attribute::Axis(1)));
        let args = vec![zero, one];
        let normal = net.build.intern(Expr::Random { distribution: Distribution::Normal, args, site: 2 });
        let entry = net.build.intern(Expr::Table { table: 1, indices: vec![column] });
        let tens = net.build.mul(row, ten);
        let sum = net.build.add(entry, tens);
        let table =
            |name: &str, shape: &[u32], draw| Table { name: name.into(), shape: shape.to_vec(), data: vec![], draw };
        net.tables = vec![table("second", &[2, 3], Some(sum)), table("first", &[3], Some(normal))];
        let index = own(&mut net, Attribute::Index);
        let value = net.build.intern(Expr::Table { table: 0, indices: vec![one, index] });
        let mut d = dynamics();
        d.states = vec![state("V", value)];
        population(&mut net, 3, d);
        let built = elements(&net, 4).unwrap();
        let key = StreamKey::new(4, "first", Purpose::Parameter).derive(0);
        let draw = |n| 10.0 + Distribution::Normal.draw(&mut Stream::new(key, n), &[0.0, 1.0]);
        assert_eq!(built.populations[0].initial[0], [draw(0), draw(1), draw(2)]);

        net.tables[1].draw = Some(value);
        let Err(RunError::Build(message)) = elements(&net, 4) else { panic!("built") };
        assert_eq!(message, "no order computes the tables second, first from each other");
    }
}
