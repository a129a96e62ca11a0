//! Instructions that do two things at once, where AVX-512 has them: an operation that is wanted in some lanes alone writes into
//! those, and a comparison that counts in some lanes alone is made in those. The same operations on the same numbers.

use super::list::{Arg, Arithmetic, Instruction, List, Op, Value};
use std::collections::{HashMap, HashSet};

/// The list with what can be fused in one instruction.
pub fn fused(list: List) -> List {
    let mut uses: HashMap<Value, usize> = HashMap::new();
    let mut makers: HashMap<Value, usize> = HashMap::new();
    for (k, item) in list.instructions.iter().enumerate() {
        makers.extend(item.to.map(|v| (v, k)));
        for arg in &item.args {
            if let Arg::Value(v) = arg {
                *uses.entry(*v).or_default() += 1;
            }
        }
    }
    let negations: HashMap<Value, usize> = list
        .instructions
        .iter()
        .enumerate()
        .filter_map(|(k, item)| match (item.op, item.args.first()) {
            (Op::Not, Some(Arg::Value(of))) => Some((*of, k)),
            _ => None,
        })
        .collect();
    // What is read once, here, and by whom it was made.
    let once = |arg: &Arg, wanted: fn(Op) -> bool| match arg {
        Arg::Value(v) if uses.get(v) == Some(&1) => makers.get(v).copied().filter(|k| wanted(list.instructions[*k].op)),
        _ => None,
    };
    let mut gone: HashSet<usize> = HashSet::new();
    let mut early: HashSet<usize> = HashSet::new();
    let mut changed: HashMap<usize, Instruction> = HashMap::new();
    for (k, item) in list.instructions.iter().enumerate() {
        let fused = match (item.op, item.args.as_slice()) {
            (Op::Choose, [condition, then, other]) => {
                let (then, other, negated) = match (once(then, is_arithmetic), once(other, is_arithmetic)) {
                    (Some(made), _) => (made, other, None),
                    (None, Some(made)) => (made, then, Some(condition)),
                    _ => continue,
                };
                let negation = match negated {
                    None => None,
                    Some(Arg::Value(c)) if negations.contains_key(c) => Some(negations[c]),
                    // A negation of its own would cost what is saved.
                    Some(_) => continue,
                };
                let (Arg::Value(_), [a, b]) = (other, list.instructions[then].args.as_slice()) else { continue };
                early.extend(negation);
                let condition = match negation.and_then(|n| list.instructions[n].to) {
                    Some(negated) => Arg::Value(negated),
                    None => *condition,
                };
                let Some(operation) = arithmetic(list.instructions[then].op) else { continue };
                gone.insert(then);
                Instruction { op: Op::Within(operation), to: item.to, args: vec![*other, *a, *b, condition] }
            }
            (Op::Both, [a, b]) => {
                let (made, condition) = match (once(a, is_comparison), once(b, is_comparison)) {
                    (Some(made), _) => (made, b),
                    (None, Some(made)) => (made, a),
                    _ => continue,
                };
                let (Op::Compare(op), [x, y]) = (list.instructions[made].op, list.instructions[made].args.as_slice())
                else {
                    continue;
                };
                gone.insert(made);
                Instruction { op: Op::CompareWithin(op), to: item.to, args: vec![*x, *y, *condition] }
            }
            _ => continue,
        };
        changed.insert(k, fused);
    }
    let List { instructions, kinds } = list;
    let mut out = Vec::with_capacity(instructions.len());
    let negation = |of: Option<Value>| of.and_then(|v| negations.get(&v)).filter(|k| early.contains(k)).copied();
    for (k, item) in instructions.iter().enumerate() {
        if gone.contains(&k) || early.contains(&k) {
            continue;
        }
        out.push(changed.remove(&k).unwrap_or_else(|| item.clone()));
        // A negation that is read earlier now follows what it negates.
        out.extend(negation(item.to).map(|n| instructions[n].clone()));
    }
    List { instructions: out, kinds }
}

fn arithmetic(op: Op) -> Option<Arithmetic> {
    match op {
        Op::Add => Some(Arithmetic::Add),
        Op::Sub => Some(Arithmetic::Sub),
        Op::Mul => Some(Arithmetic::Mul),
        Op::Div => Some(Arithmetic::Div),
        _ => None,
    }
}

fn is_arithmetic(op: Op) -> bool {
    arithmetic(op).is_some()
}

fn is_comparison(op: Op) -> bool {
    matches!(op, Op::Compare(_))
}
