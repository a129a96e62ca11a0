//! The tables that build expressions look up: constant ones from the network, drawn ones from the seed.

use super::formula::{Formula, Leaves, Level};
use super::params::dependency_order;
use crate::backend::engine::RunError;
use crate::backend::eval;
use crate::ir::{Attribute, Expr, Network, Side, Table};
use crate::random::{Purpose, StreamKey};

/// All tables of a network as built.
#[derive(Clone, Copy)]
pub struct Tables<'n> {
    pub tables: &'n [Table],
    /// By position; empty for a constant table.
    pub drawn: &'n [Vec<f64>],
}

impl Tables<'_> {
    /// The values of table `k`, row-major.
    pub fn data(&self, k: u32) -> &[f64] {
        let k = k as usize;
        match self.tables.get(k) {
            Some(table) if table.draw.is_none() => &table.data,
            _ => self.drawn.get(k).map_or(&[], |values| values),
        }
    }
}

/// Draws the tables that have an expression, in order of what reads what.
///
/// A draw at the flat index `i` of the table `name` is keyed by (`seed`, `name`, parameter, site, `i`).
pub fn draw(network: &Network, seed: u64) -> Result<Vec<Vec<f64>>, RunError> {
    let tables = &network.tables;
    let order = dependency_order(tables.len(), |k| tables_read(network, k)).map_err(|circle| {
        let names: Vec<&str> = circle.iter().map(|k| tables[*k as usize].name.as_str()).collect();
        RunError::Build(format!("no order computes the tables {} from each other", names.join(", ")))
    })?;
    let mut drawn = vec![vec![]; tables.len()];
    for k in order {
        let values = draw_one(network, &drawn, &tables[k as usize], seed)?;
        drawn[k as usize] = values;
    }
    Ok(drawn)
}

fn draw_one(network: &Network, drawn: &[Vec<f64>], table: &Table, seed: u64) -> Result<Vec<f64>, RunError> {
    let Some(root) = table.draw else { return Ok(vec![]) };
    let cells: Option<u64> = table.shape.iter().try_fold(1_u64, |n, size| n.checked_mul(u64::from(*size)));
    let Some(cells) = cells else {
        return Err(RunError::Limit(format!("the table {} has too many entries", table.name)));
    };
    let tables = Tables { tables: &network.tables, drawn };
    let key = StreamKey::new(seed, &table.name, Purpose::Parameter);
    let formula = Formula::new(&network.build, tables, root, key);
    let mut values = formula.values();
    let mut at = vec![0_u32; table.shape.len()];
    (0..cells)
        .map(|flat| {
            let mut rest = flat;
            for (index, size) in at.iter_mut().zip(&table.shape).rev() {
                *index = (rest % u64::from(*size)) as u32;
                rest /= u64::from(*size);
            }
            let attribute = |side: Side, attribute: &Attribute| match (side, attribute) {
                (Side::Own, Attribute::Axis(k)) => at.get(*k as usize).map_or(f64::NAN, |index| f64::from(*index)),
                (Side::Own, Attribute::Index) => flat as f64,
                // An entry has neither params nor ends; `valid` refuses such an expression.
                _ => f64::NAN,
            };
            let leaves = Leaves { element: flat, attribute: &attribute, column: &|_| f64::NAN };
            formula.compute(Level::Row, &mut values, &leaves);
            formula.compute(Level::Element, &mut values, &leaves);
            let place = || format!("the entry {at:?} of the table {}", table.name);
            formula.result(&values).map_err(|message| RunError::Build(format!("{}: {message}", place())))
        })
        .collect()
}

/// The tables that a drawn table reads, ascending.
fn tables_read(network: &Network, k: u32) -> Vec<u32> {
    let Some(root) = network.tables[k as usize].draw else { return vec![] };
    let mut reads: Vec<u32> = eval::order(&network.build, &[root])
        .into_iter()
        .filter_map(|id| match network.build.get(id) {
            Expr::Table { table, .. } if (*table as usize) < network.tables.len() => Some(*table),
            _ => None,
        })
        .collect();
    reads.sort_unstable();
    reads.dedup();
    reads
}
