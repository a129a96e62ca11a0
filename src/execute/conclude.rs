//! `conclude`: what is expected and drawn over the rows of all runs.

use super::error::{Halt, script};
use super::expectation::Ledger;
use super::flow::{Actor, Variables, walk};
use super::position::Position;
use super::rows::{Row, Rows, field};
use crate::backend::RunError;
use crate::base::stack;
use crate::ir::protocol::{CurvePlot, Place, Protocol, Stmt, Variable};
use crate::script::{Distribution, EvalError, Func, Host, ListDraw, Query, RowQuery, Value, VarId, eval};
use crate::units::{Dimension, Unit, display, heading, number, rounded};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What came of `conclude`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conclusion {
    pub expectations: Ledger,
    pub curves: Vec<Curve>,
    pub fronts: Vec<Front>,
    pub error: Option<RunError>,
}

/// `plot curve of mean(m by x)`, in internal units.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub title: String,
    /// Name and dimension of the variable that groups.
    pub x: (String, Dimension),
    /// Of the values.
    pub dimension: Dimension,
    /// Ascending where the groups are numbers; other groups are numbered.
    pub points: Vec<(f64, f64)>,
    /// Names of the groups where they are no numbers.
    pub labels: Vec<String>,
}

/// `plot pareto of mean(a by x), -mean(b by x)`, in internal units: what is better the larger it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Front {
    /// The variable that groups.
    pub by: String,
    /// Text and dimension of each aim.
    pub aims: Vec<(String, Dimension)>,
    pub points: Vec<Candidate>,
}

impl Front {
    /// The values of a point to four digits (more would be noise), with their dimensions.
    pub fn values<'a>(&'a self, point: &'a Candidate) -> impl Iterator<Item = (f64, Dimension)> + 'a {
        point.values.iter().zip(&self.aims).map(move |(v, (_, d))| (rounded(*v), *d))
    }

    /// One line for each point, in typical units; `front` is 1 on the front.
    pub fn csv(&self) -> String {
        let mut out = field(&self.by);
        for (text, dimension) in &self.aims {
            out.push_str(&format!(",{}", field(&heading(text, *dimension))));
        }
        out.push_str(",front\n");
        for point in &self.points {
            out.push_str(&field(&point.label));
            for (v, (_, dimension)) in point.values.iter().zip(&self.aims) {
                out.push_str(&format!(",{}", Unit::typical(*dimension).from_internal(*v)));
            }
            out.push_str(&format!(",{}\n", u8::from(point.best)));
        }
        out
    }
}

/// One group of a front.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The value of the variable, as it is written.
    pub label: String,
    /// Of each aim.
    pub values: Vec<f64>,
    /// No other is at least as good in every aim and better in one. False where a value is no number.
    pub best: bool,
}

/// Evaluates the `conclude` of `protocol` over `rows`. Under `quick`, an expectation over no rows is skipped.
///
/// `protocol` is that of any unit of the experiment: their conclusions are the same.
pub fn conclude(protocol: &Protocol, rows: &Rows, quick: bool) -> Conclusion {
    let mut host = Concluder {
        rows,
        quick,
        variables: Variables::new(protocol),
        ledger: Ledger::default(),
        position: Position::default(),
        without: BTreeMap::new(),
    };
    let walked = stack::deep(|| walk(&mut host, &protocol.conclude));
    let mut out = Conclusion::default();
    match walked {
        Err(Halt::Failed(e)) => out.error = Some(e),
        // Nothing here can be interrupted.
        Ok(()) | Err(Halt::Interrupted) => {}
    }
    for plot in &protocol.conclude_plots {
        match host.points(plot) {
            Ok(groups) => {
                let name = plot.rows.first().and_then(|r| r.by.clone()).unwrap_or_default();
                let known = rows.variables.iter().find(|v| v.name == name);
                out.curves.push(curve(plot.title.clone(), (name, known), plot.dimension, groups));
            }
            Err(e) if e.empty && quick => {}
            Err(e) => {
                let (place, message, help) = (plot.place.clone(), e.message, e.help);
                out.error.get_or_insert(RunError::Script { place, message, help });
            }
        }
    }
    for aims in &protocol.conclude_fronts {
        match host.front(aims) {
            Ok(front) => out.fronts.push(front),
            Err((_, e)) if e.empty && quick => {}
            Err((place, e)) => {
                out.error.get_or_insert(RunError::Script { place, message: e.message, help: e.help });
            }
        }
    }
    out.expectations = host.ledger;
    out
}

/// Which points no other one dominates: is at least as good in all and better in one.
fn undominated(points: &[Vec<f64>]) -> Vec<bool> {
    let dominates = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(x, y)| x >= y) && a.iter().zip(b).any(|(x, y)| x > y);
    let known = |p: &[f64]| p.iter().all(|v| !v.is_nan());
    points.iter().map(|p| known(p) && !points.iter().any(|other| dominates(other, p))).collect()
}

fn curve(
    title: String,
    (name, known): (String, Option<&Variable>),
    dimension: Dimension,
    groups: Vec<(Option<Value>, f64)>,
) -> Curve {
    let x = (name, known.map_or(Dimension::NUMBER, |v| v.dimension));
    let label = |v: &Value| known.and_then(|k| k.label(v.number().ok()?)).map(str::to_string);
    let numeric = groups.iter().all(|(g, _)| matches!(g, Some(v @ Value::Number(_)) if label(v).is_none()));
    let mut labels = Vec::new();
    let mut points = Vec::with_capacity(groups.len());
    for (k, (group, y)) in groups.into_iter().enumerate() {
        match group {
            Some(Value::Number(v)) if numeric => points.push((v, y)),
            other => {
                labels.push(other.map_or_else(|| "all".to_string(), |v| label(&v).unwrap_or_else(|| v.to_string())));
                points.push((k as f64, y));
            }
        }
    }
    Curve { title, x, dimension, points, labels }
}

struct Concluder<'a> {
    rows: &'a Rows,
    quick: bool,
    variables: Variables,
    ledger: Ledger,
    position: Position,
    /// Variables that have no value under `quick`, because there was nothing to take it from.
    without: BTreeMap<VarId, EvalError>,
}

/// A row that passed the filter: its group, and what is aggregated of it.
type Chosen = (Option<Value>, Vec<f64>);

/// What a slot of a row query reads.
enum Source {
    Seed,
    Variable(usize),
    Measure(usize),
}

impl Concluder<'_> {
    /// Groups and y of a curve.
    fn points(&mut self, plot: &CurvePlot) -> Result<Vec<(Option<Value>, f64)>, EvalError> {
        let mut names: Option<Vec<Option<Value>>> = None;
        for query in &plot.rows {
            let groups: Vec<Option<Value>> = self.groups(query)?.into_iter().map(|(group, _)| group).collect();
            if names.get_or_insert_with(|| groups.clone()) != &groups {
                let by = query.by.as_deref().unwrap_or_default();
                return Err(EvalError::new(format!("{}: not all have rows for the same values of `{by}`", plot.title)));
            }
        }
        let names = names.unwrap_or_default();
        match eval(&plot.value, self)? {
            Value::List(values) if values.len() == names.len() => {
                names.into_iter().zip(values).map(|(group, v)| Ok((group, v.number()?))).collect()
            }
            other => Err(EvalError::new(format!("{}: {} for {} values", plot.title, other.describe(), names.len()))),
        }
    }

    /// A front, or the place of the aim that has no values.
    fn front(&mut self, aims: &[CurvePlot]) -> Result<Front, (Place, EvalError)> {
        let mut groups: Option<Vec<Option<Value>>> = None;
        let mut columns = Vec::with_capacity(aims.len());
        for aim in aims {
            let failed = |e| (aim.place.clone(), e);
            let (names, values): (Vec<_>, Vec<f64>) = self.points(aim).map_err(failed)?.into_iter().unzip();
            if groups.get_or_insert_with(|| names.clone()) != &names {
                let message = format!("{}: not all aims have rows for the same values", aim.title);
                return Err(failed(EvalError::new(message)));
            }
            columns.push(values);
        }
        let by = aims.iter().flat_map(|a| &a.rows).find_map(|r| r.by.clone()).unwrap_or_default();
        let known = self.rows.variables.iter().find(|v| v.name == by);
        let groups = groups.unwrap_or_default();
        let values: Vec<Vec<f64>> = (0..groups.len()).map(|k| columns.iter().map(|c| c[k]).collect()).collect();
        let best = undominated(&values);
        let label = |group: &Option<Value>| match group {
            Some(Value::Number(v)) => match known {
                Some(k) => k.label(*v).map_or_else(|| display(*v, k.dimension), str::to_string),
                None => number(*v),
            },
            Some(other) => other.to_string(),
            None => "all".to_string(),
        };
        let points = groups.iter().zip(values).zip(best);
        Ok(Front {
            by,
            aims: aims.iter().map(|a| (a.title.clone(), a.dimension)).collect(),
            points: points.map(|((g, values), best)| Candidate { label: label(g), values, best }).collect(),
        })
    }

    /// The aggregate of each group; one group without a value where there is no `by`.
    ///
    /// Groups ascend where their values are numbers; else they stand in the order of first appearance.
    fn groups(&mut self, query: &RowQuery) -> Result<Vec<(Option<Value>, f64)>, EvalError> {
        let chosen = self.chosen(query)?;
        let mut keys: BTreeMap<String, usize> = BTreeMap::new();
        let mut groups: Vec<(Option<Value>, Vec<Vec<f64>>)> = Vec::new();
        for (group, values) in chosen {
            let key = group.as_ref().map_or_else(String::new, |v| format!("{v:?}"));
            let at = *keys.entry(key).or_insert_with(|| {
                groups.push((group, vec![Vec::new(); values.len()]));
                groups.len() - 1
            });
            groups[at].1.iter_mut().zip(values).for_each(|(list, v)| list.push(v));
        }
        let number = |v: &Option<Value>| v.as_ref().and_then(|v| v.number().ok());
        if groups.iter().all(|(g, _)| number(g).is_some()) {
            groups.sort_by(|a, b| match (number(&a.0), number(&b.0)) {
                (Some(x), Some(y)) => x.total_cmp(&y),
                _ => Ordering::Equal,
            });
        }
        // Of nothing there are none, and all other aggregates have no value.
        if groups.is_empty() && query.by.is_none() && query.function == Func::N {
            return Ok(vec![(None, 0.0)]);
        }
        if groups.is_empty() {
            return Err(EvalError::empty(format!("{} of {} over no rows", query.function, query.measures.join(", ")))
                .help("its `where` holds for none of the rows: runs that would give some may be left out by `--set`"));
        }
        let list = |values: Vec<f64>| Value::List(values.into_iter().map(Value::Number).collect());
        let mut out = Vec::with_capacity(groups.len());
        for (group, columns) in groups {
            // The second argument of `quantile` is a number, not a column.
            let last = columns.get(1).and_then(|c| c.first()).copied();
            let mut args: Vec<Value> = columns.into_iter().map(list).collect();
            if let (Func::Quantile, Some(q), Some(arg)) = (query.function, last, args.get_mut(1)) {
                *arg = Value::Number(q);
            }
            out.push((group, query.function.apply(&args)?.number()?));
        }
        Ok(out)
    }

    /// Group and values of each row that passes the filter.
    fn chosen(&mut self, query: &RowQuery) -> Result<Vec<Chosen>, EvalError> {
        let rows = self.rows;
        let named = |name: &str| rows.measures.iter().position(|(n, _)| n == name);
        let Some(first) = query.measures.first() else {
            return Err(EvalError::new(format!("{} of no measure", query.function)));
        };
        // What is no variable of the rows that `by` names was measured with them.
        let variable = |name: &str| name == "seed" || rows.variables.iter().any(|v| v.name == name);
        let grouped = query.by.iter().filter(|name| !variable(name.as_str()) && !query.measures.contains(*name));
        let names: Vec<String> = query.measures.iter().chain(grouped).cloned().collect();
        let mut measures = Vec::with_capacity(names.len());
        for name in &names {
            let found = named(name).ok_or_else(|| {
                EvalError::empty(format!("nothing was measured as `{name}`")).help(
                    "no run came to its `measure`: it stands in an `if` that never held or in a loop without turns. Params \
                     that `--set` changes may be why; what is concluded from has to be measured in every run",
                )
            });
            measures.push(found?);
        }
        let columns = rows_of(rows, &measures);
        // What is no part of a row is a variable of `conclude` and keeps its value.
        let of_rows = query.variables.iter().filter_map(|(slot, name)| Some((*slot, self.source(name, &names)?)));
        let sources: Vec<(VarId, Source)> = of_rows.collect();
        let by = query.by.as_ref().map(|name| (name, self.source(name, &names)));
        let Some(base) = columns.first() else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        for (k, row) in base.iter().enumerate() {
            for (slot, source) in &sources {
                self.variables.bind(*slot, read(source, row, &columns, k));
            }
            if let Some(filter) = &query.filter
                && !eval(filter, self)?.boolean()?
            {
                continue;
            }
            if let Some(short) = columns.iter().position(|c| c.len() != base.len()) {
                let message = format!(
                    "`{first}` has {} rows and `{}` has {}; they can't be paired",
                    base.len(),
                    names[short],
                    columns[short].len()
                );
                return Err(EvalError::new(message));
            }
            let group = match &by {
                None => None,
                Some((name, source)) => {
                    let value = source.as_ref().and_then(|s| read(s, row, &columns, k));
                    Some(value.ok_or_else(|| EvalError::new(format!("rows of `{first}` have no `{name}`")))?)
                }
            };
            let values = query.value.iter().map(|e| eval(e, self)?.number()).collect::<Result<Vec<_>, _>>()?;
            out.push((group, values));
        }
        for (slot, _) in &sources {
            self.variables.bind(*slot, None);
        }
        Ok(out)
    }

    fn source(&self, name: &str, measures: &[String]) -> Option<Source> {
        if let Some(k) = measures.iter().position(|m| m == name) {
            return Some(Source::Measure(k));
        }
        if name == "seed" {
            return Some(Source::Seed);
        }
        self.rows.variables.iter().position(|v| v.name == name).map(Source::Variable)
    }
}

/// The rows of each measure, in order of runs and time.
fn rows_of<'a>(rows: &'a Rows, measures: &[usize]) -> Vec<Vec<&'a Row>> {
    measures.iter().map(|m| rows.list.iter().filter(|r| r.measure == *m).collect()).collect()
}

/// The k-th rows of all measures belong together.
fn read(source: &Source, row: &Row, columns: &[Vec<&Row>], k: usize) -> Option<Value> {
    match source {
        Source::Seed => Some(Value::Number(row.seed as f64)),
        Source::Variable(at) => row.variable(*at).cloned(),
        Source::Measure(at) => columns.get(*at).and_then(|c| c.get(k)).map(|r| Value::Number(r.value)),
    }
}

impl Actor for Concluder<'_> {
    fn variables(&mut self) -> &mut Variables {
        &mut self.variables
    }

    fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    fn quick(&self) -> bool {
        self.quick
    }

    fn interrupted(&self) -> bool {
        false
    }

    fn without_value(&mut self, variable: VarId, e: EvalError) -> Result<(), EvalError> {
        if !e.empty || !self.quick {
            return Err(e);
        }
        self.without.insert(variable, e);
        Ok(())
    }

    fn position(&mut self) -> &mut Position {
        &mut self.position
    }

    fn act(&mut self, stmt: &Stmt) -> Result<(), Halt> {
        let place = match stmt {
            Stmt::Simulate { place, .. } | Stmt::Set { place, .. } | Stmt::Measure { place, .. } => place,
            _ => return Ok(()),
        };
        Err(script(place, EvalError::new("nothing runs in `conclude`: time is over")))
    }
}

impl Host for Concluder<'_> {
    fn variable(&self, id: VarId) -> Result<Value, EvalError> {
        let found = self.variables.get(id);
        found.map_err(|e| self.without.get(&id).cloned().unwrap_or(e))
    }

    fn bind(&mut self, id: VarId, value: Value) {
        self.variables.bind(id, Some(value));
    }

    fn query(&mut self, _: &Query) -> Result<Value, EvalError> {
        Err(EvalError::new("a run's spikes and states are gone in `conclude`; `measure` what is needed of them"))
    }

    fn scan(&mut self, _: &Query, _: &mut dyn FnMut(f64)) -> Result<bool, EvalError> {
        Ok(false)
    }

    fn rows(&mut self, rows: &RowQuery) -> Result<Value, EvalError> {
        let mut groups = self.groups(rows)?;
        let truth = matches!(rows.function, Func::All | Func::Any);
        let value = |v: f64| if truth { Value::Bool(v != 0.0) } else { Value::Number(v) };
        match (&rows.by, groups.pop()) {
            (None, Some((_, v))) => Ok(value(v)),
            (_, last) => {
                groups.extend(last);
                Ok(Value::List(groups.into_iter().map(|(_, v)| value(v)).collect()))
            }
        }
    }

    fn draw(&mut self, _: Distribution, _: &[f64], _: u32) -> Result<f64, EvalError> {
        Err(EvalError::new("nothing is drawn in `conclude`"))
    }

    fn list_draw(&mut self, _: ListDraw, _: &[Value], _: u32) -> Result<Value, EvalError> {
        Err(EvalError::new("nothing is drawn in `conclude`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::protocol::{Expect, Protocol};
    use crate::script::{BinaryOp, Expr};

    /// Two runs of two trials: `correct` is 1, 0 | 1, 1, `truth` is 10, 20 | 30, 40.
    fn rows() -> Rows {
        let mut rows = Rows::default();
        rows.measures = vec![("correct".into(), Dimension::NUMBER), ("truth".into(), Dimension::VOLTAGE)];
        rows.variables =
            vec![Variable { name: "trial".into(), dimension: Dimension::NUMBER, labels: Vec::new(), in_rows: true }];
        let data = [(0, 0, 1.0, 10.0), (0, 1, 0.0, 20.0), (1, 0, 1.0, 30.0), (1, 1, 1.0, 40.0)];
        for (run, trial, correct, truth) in data {
            for (measure, value) in [(0, correct), (1, truth)] {
                let variables = vec![Some(Value::Number(f64::from(trial)))];
                rows.list.push(Row { run, seed: 7 + run as u64, measure, value, variables });
            }
        }
        rows
    }

    fn query(function: Func, measures: &[&str]) -> RowQuery {
        let mut variables: Vec<(VarId, String)> = vec![(0, "trial".into()), (1, "seed".into())];
        variables.extend(measures.iter().enumerate().map(|(k, m)| (k as u32 + 2, m.to_string())));
        RowQuery {
            function,
            measures: measures.iter().map(|m| m.to_string()).collect(),
            variables,
            value: (0..measures.len()).map(|k| Expr::Var(k as u32 + 2)).collect(),
            filter: None,
            by: None,
        }
    }

    fn is(slot: VarId, v: f64) -> Option<Expr> {
        Some(Expr::Binary(BinaryOp::Eq, Box::new(Expr::Var(slot)), Box::new(Expr::number(v))))
    }

    fn value(query: RowQuery) -> Result<Value, EvalError> {
        let rows = rows();
        let mut host = Concluder {
            rows: &rows,
            quick: false,
            variables: Variables::default(),
            ledger: Ledger::default(),
            position: Position::default(),
            without: BTreeMap::new(),
        };
        host.rows(&query)
    }

    #[test]
    fn rows_are_filtered_and_grouped() {
        assert_eq!(value(query(Func::Mean, &["correct"])), Ok(Value::Number(0.75)));
        let second = RowQuery { filter: is(0, 1.0), ..query(Func::Mean, &["correct"]) };
        assert_eq!(value(second), Ok(Value::Number(0.5)));
        let by = |name: &str| RowQuery { by: Some(name.into()), ..query(Func::Mean, &["correct"]) };
        let list = |v: &[f64]| Ok(Value::List(v.iter().map(|v| Value::Number(*v)).collect()));
        assert_eq!(value(by("seed")), list(&[0.5, 1.0]));
        assert_eq!(value(by("trial")), list(&[1.0, 0.5]));
        // By what was measured with it: `mean(truth by correct)`.
        let correct = RowQuery { by: Some("correct".into()), ..query(Func::Mean, &["truth"]) };
        assert_eq!(value(correct), list(&[20.0, 80.0 / 3.0]));
        let seed = RowQuery { filter: is(1, 8.0), by: Some("trial".into()), ..query(Func::Max, &["truth"]) };
        assert_eq!(value(seed), list(&[30.0, 40.0]));
    }

    #[test]
    fn variables_of_conclude_keep_their_value() {
        let rows = rows();
        let mut host = Concluder {
            rows: &rows,
            quick: false,
            variables: Variables::default(),
            ledger: Ledger::default(),
            position: Position::default(),
            without: BTreeMap::new(),
        };
        host.bind(9, Value::Number(1.0));
        let late = Expr::Binary(BinaryOp::Ge, Box::new(Expr::Var(0)), Box::new(Expr::Var(9)));
        let mut query = RowQuery { filter: Some(late), ..query(Func::N, &["correct"]) };
        query.variables.push((9, "late".into()));
        assert_eq!(host.rows(&query), Ok(Value::Number(2.0)));
        assert_eq!(host.variable(9), Ok(Value::Number(1.0)));
        assert!(host.variable(0).is_err());
        let none = RowQuery { filter: is(0, 7.0), ..query };
        assert_eq!(host.rows(&none), Ok(Value::Number(0.0)));
    }

    #[test]
    fn two_measures_pair_by_order() {
        let corr = value(query(Func::Corr, &["correct", "truth"])).unwrap().number().unwrap();
        // (1, 10), (0, 20), (1, 30), (1, 40)
        assert!((corr - 5.0 / (0.75 * 500.0_f64).sqrt()).abs() < 1e-12);
        let dot = RowQuery { filter: is(0, 0.0), ..query(Func::Dot, &["correct", "truth"]) };
        assert_eq!(value(dot), Ok(Value::Number(40.0)));
    }

    #[test]
    fn no_rows_are_an_error_that_quick_forgives() {
        assert!(value(RowQuery { filter: is(0, 9.0), ..query(Func::Mean, &["correct"]) }).unwrap_err().empty);
        assert!(value(query(Func::Mean, &["latency"])).unwrap_err().empty);
        let expect = Expect {
            text: "mean(latency) < 1 ms".into(),
            condition: Expr::Binary(
                BinaryOp::Lt,
                Box::new(Expr::Rows(Box::new(query(Func::Mean, &["latency"])))),
                Box::new(Expr::number(1.0)),
            ),
            measured: None,
            dimension: Dimension::TIME,
            place: "a.nsm:9:9".into(),
        };
        let protocol = Protocol { conclude: vec![Stmt::Expect(expect)], ..Protocol::default() };
        let strict = conclude(&protocol, &rows(), false);
        assert!(matches!(strict.error, Some(RunError::Script { ref place, .. }) if place == "a.nsm:9:9"));
        let quick = conclude(&protocol, &rows(), true);
        assert_eq!(quick.error, None);
        assert!(quick.expectations.iter().all(|e| e.was_skipped() && e.holds()));
        // The same by way of a variable.
        let mut protocol = protocol;
        let Some(Stmt::Expect(expect)) = protocol.conclude.last_mut() else { panic!("an expectation") };
        let value = Expr::Rows(Box::new(query(Func::Mean, &["latency"])));
        expect.condition = Expr::Binary(BinaryOp::Lt, Box::new(Expr::Var(0)), Box::new(Expr::number(1.0)));
        let place = "a.nsm:8:9".to_string();
        protocol.conclude.insert(0, Stmt::Assign { variable: 0, slots: Vec::new(), op: None, value, place });
        let strict = conclude(&protocol, &rows(), false);
        assert!(matches!(strict.error, Some(RunError::Script { ref place, .. }) if place == "a.nsm:8:9"));
        let quick = conclude(&protocol, &rows(), true);
        assert_eq!(quick.error, None);
        assert!(quick.expectations.iter().all(|e| e.was_skipped() && e.holds()));
    }

    #[test]
    fn a_front_has_what_nothing_else_is_better_than() {
        let points =
            [vec![1.0, 0.0], vec![0.5, 0.5], vec![0.5, 0.4], vec![0.0, 1.0], vec![0.5, 0.5], vec![9.0, f64::NAN]];
        assert_eq!(undominated(&points), [true, true, false, true, true, false]);
        // Of two trials, the first is right more often, the second has the larger truth.
        let aim = |measure: &str| {
            let query = RowQuery { by: Some("trial".into()), ..query(Func::Mean, &[measure]) };
            let dimension = if measure == "truth" { Dimension::VOLTAGE } else { Dimension::NUMBER };
            let value = Expr::Rows(Box::new(query.clone()));
            CurvePlot {
                title: format!("mean({measure} by trial)"),
                rows: vec![query],
                value,
                dimension,
                place: String::new(),
            }
        };
        let protocol = Protocol { conclude_fronts: vec![vec![aim("correct"), aim("truth")]], ..Protocol::default() };
        let out = conclude(&protocol, &rows(), false);
        let csv = "trial,mean(correct by trial),mean(truth by trial) (mV),front\n0,1,20,1\n1,0.5,30,1\n";
        assert_eq!(out.fronts[0].csv(), csv);
        let protocol = Protocol { conclude_fronts: vec![vec![aim("correct"), aim("latency")]], ..Protocol::default() };
        assert!(conclude(&protocol, &rows(), false).error.is_some());
        assert_eq!(conclude(&protocol, &rows(), true), Conclusion::default());
    }

    #[test]
    fn curves_run_over_the_groups() {
        let by_trial = |f| RowQuery { by: Some("trial".into()), ..query(f, &["correct"]) };
        let (mean, sum) = (by_trial(Func::Mean), by_trial(Func::Sum));
        let rows_of = |q: &RowQuery| Box::new(Expr::Rows(Box::new(q.clone())));
        let plot = |rows: &[&RowQuery], value| CurvePlot {
            title: "correct by trial".into(),
            rows: rows.iter().map(|r| (*r).clone()).collect(),
            value,
            dimension: Dimension::NUMBER,
            place: String::new(),
        };
        let sum_over_mean = Expr::Binary(BinaryOp::Div, rows_of(&sum), rows_of(&mean));
        let last = RowQuery { filter: is(0, 1.0), ..mean.clone() };
        let uneven = Expr::Binary(BinaryOp::Add, rows_of(&mean), rows_of(&last));
        let plots = vec![plot(&[&mean], *rows_of(&mean)), plot(&[&sum, &mean], sum_over_mean)];
        let mut protocol = Protocol { conclude_plots: plots, ..Protocol::default() };
        let out = conclude(&protocol, &rows(), false);
        assert_eq!(out.curves[0].points, [(0.0, 1.0), (1.0, 0.5)]);
        assert_eq!(out.curves[0].x.0, "trial");
        assert_eq!(out.curves[1].points, [(0.0, 2.0), (1.0, 2.0)]);
        protocol.conclude_plots = vec![plot(&[&mean, &last], uneven)];
        let error = conclude(&protocol, &rows(), false).error.expect("groups differ");
        assert!(format!("{error:?}").contains("same values of `trial`"), "{error:?}");
    }
}
