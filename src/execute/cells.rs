//! Which cells a slice means: index slots against the axes of a population.
//!
//! Cells are numbered row-major over the axes, ragged axes included; what comes out is ascending.

use crate::ir::Population;
use crate::script::{EvalError, Host, Slot, Value, eval};
use std::collections::BTreeMap;

/// Cells of one population.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selection {
    /// Ascending flat indices.
    pub cells: Vec<u32>,
    /// Every axis was indexed by one number, so that the result is one value and not a list of one.
    pub single: bool,
    /// All cells, in order.
    pub whole: bool,
}

/// An evaluated slot.
enum Choice {
    All,
    One(u32),
    Range(u32, Option<u32>),
    /// Ascending, without repetition.
    Some(Vec<u32>),
}

impl Choice {
    fn positions(&self, size: u32) -> Vec<u32> {
        match self {
            Choice::All => (0..size).collect(),
            Choice::One(k) => (*k < size).then_some(*k).into_iter().collect(),
            Choice::Range(low, high) => (*low..high.unwrap_or(size).min(size)).collect(),
            Choice::Some(list) => list.iter().copied().filter(|k| *k < size).collect(),
        }
    }
}

/// The cells that `slots` choose. Missing slots at the end mean all.
pub(super) fn select(population: &Population, slots: &[Slot], host: &mut dyn Host) -> Result<Selection, EvalError> {
    if slots.is_empty() {
        return Ok(everything(population));
    }
    if let Some(cells) = mask(population, slots, host)? {
        let whole = cells.len() == population.size as usize;
        return Ok(Selection { cells, single: false, whole });
    }
    let choices = choices(population, slots, host)?;
    let mut cells = Vec::new();
    each(population, &choices, &mut |cell, _| cells.push(cell));
    let single = choices.len() == population.axes.len() && choices.iter().all(|c| matches!(c, Choice::One(_)));
    let whole = cells.len() == population.size as usize;
    Ok(Selection { cells, single, whole })
}

/// The chosen cells by their position along `axis`, positions ascending; positions without a chosen cell are left out.
pub(super) fn select_by(
    population: &Population,
    slots: &[Slot],
    axis: usize,
    host: &mut dyn Host,
) -> Result<Vec<Selection>, EvalError> {
    if axis >= population.axes.len() {
        return Err(EvalError::new(format!("`{}` has no axis number {axis}", population.path)));
    }
    let chosen = match slots.is_empty() {
        true => None,
        false => mask(population, slots, host)?,
    };
    let choices = if chosen.is_some() || slots.is_empty() { Vec::new() } else { choices(population, slots, host)? };
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut wanted = chosen.as_deref();
    each(population, &choices, &mut |cell, at| {
        if let Some(rest) = wanted {
            // Both the walk and the list ascend.
            if rest.first() != Some(&cell) {
                return;
            }
            wanted = Some(&rest[1..]);
        }
        groups.entry(at[axis]).or_default().push(cell);
    });
    Ok(groups.into_values().map(|cells| Selection { cells, single: false, whole: false }).collect())
}

pub(super) fn everything(population: &Population) -> Selection {
    Selection { cells: (0..population.size).collect(), single: false, whole: true }
}

/// `P[e]` where `P` has several axes: a mask over all cells of `P`, or else an index along the first axis.
///
/// `e` is evaluated here and nowhere else, because it may draw.
fn mask(population: &Population, slots: &[Slot], host: &mut dyn Host) -> Result<Option<Vec<u32>>, EvalError> {
    let [Slot::At(e)] = slots else { return Ok(None) };
    if population.axes.len() <= 1 {
        return Ok(None);
    }
    match eval(e, host)? {
        Value::Mask(flags) if flags.len() == population.size as usize => Ok(Some(flagged(&flags))),
        other => {
            let choice = choice(population, 0, other)?;
            let mut cells = Vec::new();
            each(population, &[choice], &mut |cell, _| cells.push(cell));
            Ok(Some(cells))
        }
    }
}

fn choices(population: &Population, slots: &[Slot], host: &mut dyn Host) -> Result<Vec<Choice>, EvalError> {
    if slots.len() > population.axes.len() {
        return Err(EvalError::new(format!(
            "`{}` has {} axes; {} indices are too many",
            population.path,
            population.axes.len(),
            slots.len()
        )));
    }
    let mut out = Vec::with_capacity(slots.len());
    for (axis, slot) in slots.iter().enumerate() {
        let size = population.axes[axis].max_size();
        out.push(match slot {
            Slot::At(e) => choice(population, axis, eval(e, host)?)?,
            Slot::Range(low, high) => {
                let low = match low {
                    Some(e) => eval(e, host)?.count()?,
                    None => 0,
                };
                let high = match high {
                    Some(e) => Some(eval(e, host)?.count()?),
                    None => None,
                };
                if low > high.unwrap_or(u64::from(size)) || high.unwrap_or(0) > u64::from(size) {
                    let end = high.map_or_else(String::new, |h| h.to_string());
                    let message = format!("the range {low} .. {end} is outside {}", axis_name(population, axis));
                    return Err(EvalError::new(message));
                }
                // Both fit: they are at most the axis's size.
                Choice::Range(low as u32, high.map(|h| h as u32))
            }
        });
    }
    Ok(out)
}

fn choice(population: &Population, axis: usize, value: Value) -> Result<Choice, EvalError> {
    let size = population.axes.get(axis).map_or(0, |a| a.max_size());
    let position = |v: &Value| -> Result<u32, EvalError> {
        let k = v.count()?;
        if k >= u64::from(size) {
            return Err(EvalError::new(format!("index {k} is outside {}", axis_name(population, axis))));
        }
        Ok(k as u32)
    };
    match value {
        Value::Mask(flags) => {
            if flags.len() != size as usize {
                let what = axis_name(population, axis);
                return Err(EvalError::new(format!("a mask over {} cells does not fit {what}", flags.len())));
            }
            Ok(Choice::Some(flagged(&flags)))
        }
        Value::List(items) => {
            let mut list = items.iter().map(position).collect::<Result<Vec<_>, _>>()?;
            list.sort_unstable();
            list.dedup();
            Ok(Choice::Some(list))
        }
        scalar => Ok(Choice::One(position(&scalar)?)),
    }
}

fn axis_name(population: &Population, axis: usize) -> String {
    let size = population.axes.get(axis).map_or(0, |a| a.max_size());
    match population.axes.get(axis).and_then(|a| a.name.as_deref()) {
        Some(name) => format!("the axis `{name}` of `{}`, which has {size} positions", population.path),
        None => format!("`{}`, which has {size} positions", population.path),
    }
}

fn flagged(flags: &[bool]) -> Vec<u32> {
    flags.iter().zip(0..).filter(|(f, _)| **f).map(|(_, k)| k).collect()
}

/// Calls `f` with each chosen cell and its coordinates, ascending.
fn each(population: &Population, choices: &[Choice], f: &mut dyn FnMut(u32, &[u32])) {
    let mut prefix = Vec::with_capacity(population.axes.len());
    let mut cell = 0;
    descend(population, choices, &mut prefix, &mut cell, f);
}

/// Walks the cells below `prefix`; `cell` is the flat index of the first and becomes that of the one after the last.
fn descend(
    population: &Population,
    choices: &[Choice],
    prefix: &mut Vec<u32>,
    cell: &mut u32,
    f: &mut dyn FnMut(u32, &[u32]),
) {
    let depth = prefix.len();
    let Some(axis) = population.axes.get(depth) else {
        f(*cell, prefix);
        *cell += 1;
        return;
    };
    let size = axis.size_at(prefix);
    let chosen = choices.get(depth).unwrap_or(&Choice::All).positions(size);
    let mut chosen = chosen.into_iter().peekable();
    for position in 0..size {
        prefix.push(position);
        if chosen.next_if_eq(&position).is_some() {
            descend(population, choices, prefix, cell, f);
        } else {
            *cell += below(population, prefix);
        }
        prefix.pop();
    }
}

/// Number of cells below `prefix`.
fn below(population: &Population, prefix: &mut Vec<u32>) -> u32 {
    let rest = &population.axes[prefix.len()..];
    let Some(axis) = rest.first() else { return 1 };
    let size = axis.size_at(prefix);
    if rest[1..].iter().all(|a| a.sizes.len() == 1) {
        return rest[1..].iter().fold(size, |n, a| n * a.max_size());
    }
    let mut total = 0;
    for position in 0..size {
        prefix.push(position);
        total += below(population, prefix);
        prefix.pop();
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::run::tests::population;
    use crate::ir::Axis;
    use crate::script::{Expr, NoHost};

    fn axis(name: &str, sizes: &[u32]) -> Axis {
        Axis { name: Some(name.into()), labels: Vec::new(), sizes: sizes.to_vec() }
    }

    fn at(v: f64) -> Slot {
        Slot::At(Expr::number(v))
    }

    fn cells(p: &Population, slots: &[Slot]) -> Vec<u32> {
        select(p, slots, &mut NoHost::default()).unwrap().cells
    }

    #[test]
    fn slots_follow_the_axes() {
        let p = Population { axes: vec![axis("item", &[3]), axis("cell", &[4])], ..population("E", 12) };
        assert_eq!(cells(&p, &[]), (0..12).collect::<Vec<_>>());
        assert_eq!(cells(&p, &[at(1.0)]), [4, 5, 6, 7]);
        assert_eq!(cells(&p, &[at(2.0), at(3.0)]), [11]);
        let up = Slot::Range(None, Some(Expr::number(2.0)));
        assert_eq!(cells(&p, &[Slot::Range(None, None), up]), [0, 1, 4, 5, 8, 9]);
        let last = Slot::Range(Some(Expr::number(2.0)), None);
        assert_eq!(cells(&p, &[last]), [8, 9, 10, 11]);
        let whole = select(&p, &[at(2.0), at(3.0)], &mut NoHost::default()).unwrap();
        assert!(whole.single && !whole.whole);
    }

    #[test]
    fn ragged_axes_are_counted_row_by_row() {
        let p = Population { axes: vec![axis("pool", &[3]), axis("cell", &[2, 0, 3])], ..population("E", 5) };
        assert_eq!(cells(&p, &[at(2.0)]), [2, 3, 4]);
        assert_eq!(cells(&p, &[at(1.0)]), [0_u32; 0]);
        assert_eq!(cells(&p, &[Slot::Range(None, None), at(1.0)]), [1, 3]);
        let groups = select_by(&p, &[], 0, &mut NoHost::default()).unwrap();
        assert_eq!(groups.iter().map(|g| g.cells.clone()).collect::<Vec<_>>(), [vec![0, 1], vec![2, 3, 4]]);
    }

    #[test]
    fn masks_and_lists_choose_cells() {
        let line = Population { axes: vec![axis("cell", &[4])], ..population("E", 4) };
        let mask = Slot::At(Expr::Const(Value::Mask(vec![true, false, false, true])));
        assert_eq!(cells(&line, &[mask]), [0, 3]);
        let list = Slot::At(Expr::Const(Value::List(vec![Value::Number(2.0), Value::Number(0.0), Value::Number(2.0)])));
        assert_eq!(cells(&line, &[list]), [0, 2]);
        let p = Population { axes: vec![axis("item", &[2]), axis("cell", &[2])], ..population("E", 4) };
        let flat = Slot::At(Expr::Const(Value::Mask(vec![false, true, true, false])));
        assert_eq!(cells(&p, std::slice::from_ref(&flat)), [1, 2]);
        let rows = Slot::At(Expr::Const(Value::Mask(vec![false, true])));
        assert_eq!(cells(&p, &[rows]), [2, 3]);
        let by = select_by(&p, &[flat], 1, &mut NoHost::default()).unwrap();
        assert_eq!(by.iter().map(|g| g.cells.clone()).collect::<Vec<_>>(), [vec![2], vec![1]]);
    }

    #[test]
    fn what_lies_outside_is_an_error() {
        let p = Population { axes: vec![axis("item", &[3])], ..population("E", 3) };
        let host = &mut NoHost::default();
        assert!(select(&p, &[at(3.0)], host).unwrap_err().message.contains("`item`"));
        assert!(select(&p, &[at(0.0), at(0.0)], host).is_err());
        assert!(select(&p, &[Slot::Range(None, Some(Expr::number(4.0)))], host).is_err());
        assert!(select(&p, &[Slot::At(Expr::Const(Value::Mask(vec![true])))], host).is_err());
    }
}
