//! The rows that `measure` writes, over all runs.

use super::flow::Variables;
use crate::ir::protocol::{Protocol, Variable};
use crate::script::{Value, VarId};
use crate::units::{Dimension, Unit, heading};
use serde::{Deserialize, Serialize};

/// Rows of one run or of many. Names stand once; rows refer to them by position.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    pub measures: Vec<(String, Dimension)>,
    /// Sweep and loop variables.
    pub variables: Vec<Variable>,
    /// Slots of `variables` in the protocol of this run.
    slots: Vec<VarId>,
    pub list: Vec<Row>,
    seed: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub run: usize,
    pub seed: u64,
    /// Position in [`Rows::measures`].
    pub measure: usize,
    /// In internal units; true is 1.
    pub value: f64,
    /// Aligned to [`Rows::variables`] as far as it goes; `None` outside the variable's loop.
    pub variables: Vec<Option<Value>>,
}

impl Row {
    pub fn variable(&self, k: usize) -> Option<&Value> {
        self.variables.get(k).and_then(Option::as_ref)
    }
}

/// A measure over all rows that have a value, in the typical unit of its dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasureSummary {
    pub name: String,
    pub unit: Unit,
    /// Rows with a value.
    pub n: usize,
    /// Rows whose value is not a number.
    pub without: usize,
    /// `None` where no row has a value.
    pub spread: Option<Spread>,
}

/// Where the values of a measure lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub mean: f64,
    /// Of a sample; 0 for one value.
    pub sd: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    fn of(values: &[f64]) -> Spread {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
        Spread {
            mean,
            sd: if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 },
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

impl Rows {
    pub(super) fn new(protocol: &Protocol, seed: u64) -> Rows {
        let listed = protocol.variables.iter().enumerate().filter(|(_, v)| v.in_rows);
        let (slots, variables) = listed.map(|(k, v)| (k as VarId, v.clone())).unzip();
        Rows { measures: Vec::new(), variables, slots, list: Vec::new(), seed }
    }

    /// Whether every row refers to what is there, and the variables are those of `other`.
    pub(super) fn fits(&self, other: &Rows) -> bool {
        let slots = (&self.variables, &self.slots, self.seed) == (&other.variables, &other.slots, other.seed);
        slots && self.list.iter().all(|r| r.measure < self.measures.len())
    }

    pub(super) fn measure(&mut self, name: &str, dimension: Dimension, value: f64, variables: &Variables) {
        let measure = position(&mut self.measures, name, dimension);
        let variables = self.slots.iter().map(|slot| variables.bound(*slot).cloned()).collect();
        self.list.push(Row { run: 0, seed: self.seed, measure, value, variables });
    }

    /// Takes in the rows of one run as those of run number `run`. Its variables may differ from those known so far.
    pub fn append(&mut self, other: Rows, run: usize) {
        let measures: Vec<usize> = other.measures.iter().map(|(n, d)| position(&mut self.measures, n, *d)).collect();
        let columns: Vec<usize> = other.variables.iter().map(|v| self.column(v)).collect();
        for row in other.list {
            let mut variables = vec![None; self.variables.len()];
            for (value, column) in row.variables.into_iter().zip(&columns) {
                // Two variables of one name (in loops one after the other) are one column: the one that is bound counts.
                if value.is_some() {
                    variables[*column] = value;
                }
            }
            self.list.push(Row { run, measure: measures[row.measure], variables, ..row });
        }
    }

    /// The column of a variable. One name is one column: where labels of two sets stand in it, its values are numbers.
    fn column(&mut self, variable: &Variable) -> usize {
        let Some(k) = self.variables.iter().position(|v| v.name == variable.name) else {
            self.variables.push(variable.clone());
            return self.variables.len() - 1;
        };
        if self.variables[k].labels != variable.labels {
            self.variables[k].labels.clear();
        }
        k
    }

    /// Memory that the rows take, but for lists among their variables.
    pub(super) fn bytes(&self) -> usize {
        self.list.len() * (size_of::<Row>() + self.slots.len() * size_of::<Option<Value>>())
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// One entry per measure, in the order of first appearance.
    pub fn summaries(&self) -> Vec<MeasureSummary> {
        let summary = |(k, (name, dimension)): (usize, &(String, Dimension))| {
            let unit = Unit::typical(*dimension);
            let rows = self.list.iter().filter(|r| r.measure == k).map(|r| unit.from_internal(r.value));
            let (without, values): (Vec<f64>, Vec<f64>) = rows.partition(|v| v.is_nan());
            let spread = (!values.is_empty()).then(|| Spread::of(&values));
            MeasureSummary { name: name.clone(), unit, n: values.len(), without: without.len(), spread }
        };
        self.measures.iter().enumerate().map(summary).collect()
    }

    /// `measures.csv`: one line per row. Values are in the typical unit of their dimension; the heads of the columns of
    /// variables name theirs, the column `unit` that of the measure. Labels stand as they are written in the experiment.
    pub fn csv(&self) -> String {
        let mut out = String::from("run,seed");
        for Variable { name, dimension, .. } in &self.variables {
            out.push(',');
            out.push_str(&field(&heading(name, *dimension)));
        }
        out.push_str(",measure,value,unit\n");
        for row in &self.list {
            out.push_str(&format!("{},{}", row.run, row.seed));
            for (k, variable) in self.variables.iter().enumerate() {
                out.push(',');
                out.push_str(&field(&row.variable(k).map_or_else(String::new, |v| cell(v, variable))));
            }
            let (name, dimension) = &self.measures[row.measure];
            let unit = Unit::typical(*dimension);
            let value = unit.from_internal(row.value);
            out.push_str(&format!(",{},{value},{}\n", field(name), field(unit.spelling())));
        }
        out
    }
}

fn position(names: &mut Vec<(String, Dimension)>, name: &str, dimension: Dimension) -> usize {
    names.iter().position(|(n, _)| n == name).unwrap_or_else(|| {
        names.push((name.to_string(), dimension));
        names.len() - 1
    })
}

fn cell(value: &Value, variable: &Variable) -> String {
    match value {
        Value::Number(v) => match variable.label(*v) {
            Some(label) => label.to_string(),
            None => Unit::typical(variable.dimension).from_internal(*v).to_string(),
        },
        // One digit per cell: 0110.
        Value::Mask(flags) => flags.iter().map(|f| if *f { '1' } else { '0' }).collect(),
        other => other.to_string(),
    }
}

/// Quoted where commas, quotes or line ends ask for it (RFC 4180).
pub(super) fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}
