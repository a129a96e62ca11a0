//! Arrays of regions: `region patches[k: 2]: Patch(w = base * k)`.
//!
//! Each element is a use of its region like any other, with the name `patches[0]`; nothing after this room knows arrays. So sizes,
//! and which element an index picks, must be known here: from literals, lets, labels, params as they are declared or bound, and
//! variables of loops. A loop whose variable picks an element is unrolled here, turn by turn; other loops are left to lowering.
//! Where a size or an index read a param, lowering refuses another value of it.

use super::error::*;
use super::region::RegionId;
use super::scope::{Entity, ScopeId};
use super::{Cx, Place, Sema};
use crate::base::{Diagnostic, Span};
use crate::hir::{self, Expr, ExprKind, Fixed, NetworkId, Type, ValueId, ValueKind};
use crate::script::{self, Value};
use crate::syntax::ast;
use crate::units::Dimension;
use std::ops::Range;

/// Elements of an array, at most.
const LARGEST: usize = 10_000;
/// Turns of loops inside each other that are unrolled here, at most: all pairs of a thousand.
const TURNS: usize = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayId(pub usize);

pub(super) struct RegionArray {
    /// As written: `patches`.
    name: String,
    axes: usize,
    elements: Vec<Element>,
}

#[derive(Clone)]
struct Element {
    at: Vec<f64>,
    /// Of its labels, where its only axis has them.
    label: Option<String>,
    /// `patches[0]`
    name: String,
    region: RegionId,
}

/// A position that an array has, with the scope in which its axes have their names.
struct Position {
    at: Vec<f64>,
    words: Vec<String>,
    labelled: bool,
    scope: ScopeId,
}

/// Why a number is not known before sizes are.
enum Unknown {
    /// It follows a loop that was not unrolled so far.
    Turn(ValueId),
    /// It follows a param that the region's user binds, and the region stands alone.
    Unbound,
    Never,
}

/// What an index picks along one axis.
enum Wanted {
    At(f64, Span),
    Within(Range<f64>),
}

/// The elements that indices pick; the first index that picks none, with the number of positions there.
fn pick<'e>(elements: &'e [Element], wanted: &[Wanted]) -> Result<Vec<&'e Element>, (f64, Span, f64)> {
    let positions = |last: Option<&Element>, k: usize| last.map_or(0.0, |x| x.at[k] + 1.0);
    // Elements are in the order of their positions: those that begin alike lie side by side.
    let mut alike = elements;
    let mut rest = wanted.iter().enumerate();
    let mut open = None;
    for (k, w) in rest.by_ref() {
        let Wanted::At(at, span) = w else {
            open = Some((k, w));
            break;
        };
        let n = positions(alike.last(), k);
        let from = alike.partition_point(|x| x.at[k] < *at);
        let to = alike.partition_point(|x| x.at[k] <= *at);
        alike = alike.get(from..to).unwrap_or_default();
        if alike.is_empty() {
            return Err((*at, *span, n));
        }
    }
    let mut found: Vec<&Element> = alike.iter().collect();
    for (k, w) in open.into_iter().chain(rest) {
        match w {
            Wanted::Within(range) => found.retain(|x| range.contains(&x.at[k])),
            Wanted::At(at, span) => {
                let last = found.iter().copied().max_by(|a, b| a.at[k].total_cmp(&b.at[k]));
                let n = positions(last, k);
                found.retain(|x| x.at[k] == *at);
                if found.is_empty() {
                    return Err((*at, *span, n));
                }
            }
        }
    }
    Ok(found)
}

/// What an expression names.
enum Several {
    /// No array, or one element.
    No,
    /// An array without indices.
    Whole(ArrayId),
    Each(Vec<ast::Expr>),
}

impl Sema<'_> {
    /// The arrays among some items, once the params that their sizes read are bound.
    pub(super) fn declare_arrays(&mut self, id: NetworkId, items: &[ast::Circuit], scope: ScopeId) {
        for item in items {
            match &item.kind {
                ast::CircuitKind::Region { name, axes: Some(axes), model, overrides } => {
                    self.declare_array(id, name, axes, model, overrides, scope);
                }
                ast::CircuitKind::If(c) => {
                    c.branches().into_iter().for_each(|items| self.declare_arrays(id, items, scope));
                }
                _ => {}
            }
        }
    }

    fn declare_array(
        &mut self,
        id: NetworkId,
        name: &ast::Name,
        axes: &[ast::Axis],
        model: &ast::Instance,
        overrides: &[ast::Override],
        scope: ScopeId,
    ) {
        let mut positions = Vec::new();
        let start = Position { at: Vec::new(), words: Vec::new(), labelled: false, scope };
        if self.positions(name, axes, start, &mut positions).is_none() {
            self.poison(scope, name);
            return;
        }
        let mut array = RegionArray { name: name.text.clone(), axes: axes.len(), elements: Vec::new() };
        for p in positions {
            let text = format!("{}[{}]", name.text, p.words.join(", "));
            let element = ast::Name { text: text.clone(), span: name.span };
            let Some(region) = self.declare_use(id, &element, model, overrides, (scope, p.scope)) else {
                // What is wrong with one is wrong with all.
                self.poison(scope, name);
                return;
            };
            let label = if p.labelled && axes.len() == 1 { p.words.first().cloned() } else { None };
            array.elements.push(Element { at: p.at, label, name: text, region });
        }
        self.arrays.push(array);
        self.declare(scope, name, Entity::Regions(ArrayId(self.arrays.len() - 1)));
    }

    /// All positions that begin with one, axis by axis: a later size may read the axes before it.
    fn positions(
        &mut self,
        name: &ast::Name,
        axes: &[ast::Axis],
        before: Position,
        out: &mut Vec<Position>,
    ) -> Option<()> {
        let Some((axis, rest)) = axes.split_first() else {
            out.push(before);
            return Some(());
        };
        let place = Place::Constant;
        let labels: Vec<String> = match &axis.size.kind {
            ast::ExprKind::Name(n) => match self.lookup(before.scope, n) {
                Some(Entity::Labels(ids)) => ids.iter().map(|v| self.program.value(*v).name.clone()).collect(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        let n = match self.labels_size(&axis.size, Cx { scope: before.scope, place: &place }) {
            Some(_) => labels.len() as f64,
            None => self.number_known(&axis.size, before.scope, &format!("how many `{}` there are", name.text))?,
        };
        let whole = n >= 0.0 && n == n.trunc() && n <= LARGEST as f64;
        if !whole || out.len() + n as usize > LARGEST {
            self.diags.push(
                Diagnostic::error(REGION_ARRAY, format!("`{}` can't have {n} elements", name.text))
                    .label(axis.size.span, "this many")
                    .help(format!("a whole number; at most {LARGEST} regions in all")),
            );
            return None;
        }
        for k in 0..n as usize {
            let scope = self.new_scope(Some(before.scope));
            if let Some(axis_name) = &axis.name {
                let at =
                    Expr { kind: ExprKind::Const(Value::Number(k as f64)), span: axis_name.span, ty: Type::NUMBER };
                let v = self.new_value(axis_name, Type::NUMBER, ValueKind::Let(at));
                self.declare(scope, axis_name, Entity::Value(v));
            }
            let mut here =
                Position { at: before.at.clone(), words: before.words.clone(), labelled: !labels.is_empty(), scope };
            here.at.push(k as f64);
            here.words.push(labels.get(k).cloned().unwrap_or_else(|| k.to_string()));
            self.positions(name, rest, here, out)?;
        }
        Some(())
    }

    /// The regions of an array, for what is done for each of them.
    pub(super) fn elements(&self, array: ArrayId) -> Vec<RegionId> {
        self.arrays[array.0].elements.iter().map(|e| e.region).collect()
    }

    /// The path to an array, ending with each of its elements instead.
    pub(super) fn element_paths(&self, array: ArrayId, path: &ast::Path) -> Vec<ast::Path> {
        let each = |e: &Element| {
            let mut path = path.clone();
            path.names.iter_mut().last().into_iter().for_each(|n| n.text.clone_from(&e.name));
            path
        };
        self.arrays[array.0].elements.iter().map(each).collect()
    }

    /// `patches[k]`: one of them. Where it is several, or not known which, that is reported.
    pub(super) fn element(&mut self, array: ArrayId, slots: &[ast::Slot], span: Span, scope: ScopeId) -> Entity {
        let Some((found, one)) = self.chosen(array, slots, span, scope) else { return Entity::Poison };
        match found.as_slice() {
            [only] if one => Entity::Region(only.region),
            _ => {
                self.which_one(array, span);
                Entity::Poison
            }
        }
    }

    /// `patches.Left` of an array over labels.
    pub(super) fn labelled(&self, array: ArrayId, name: &str) -> Option<RegionId> {
        let mut all = self.arrays[array.0].elements.iter();
        all.find(|e| e.label.as_deref() == Some(name)).map(|e| e.region)
    }

    pub(super) fn which_one(&mut self, array: ArrayId, span: Span) {
        let a = &self.arrays[array.0];
        let first = a.elements.first().map_or_else(|| format!("{}[0]", a.name), |e| e.name.clone());
        self.diags.push(
            Diagnostic::error(
                REGION_ARRAY,
                format!("`{}` are {} regions; one is expected here", a.name, a.elements.len()),
            )
            .label(span, "which of them?")
            .help(format!(
                "name one, `{first}`, or take them in turn: `for k in 0 .. {} {{ ... {}[k] ... }}`",
                a.elements.len(),
                a.name
            )),
        );
    }

    /// The elements that indices pick, and whether they name one.
    fn chosen(
        &mut self,
        array: ArrayId,
        slots: &[ast::Slot],
        span: Span,
        scope: ScopeId,
    ) -> Option<(Vec<Element>, bool)> {
        let (name, axes) = (self.arrays[array.0].name.clone(), self.arrays[array.0].axes);
        if slots.len() > axes {
            self.diags.push(
                Diagnostic::error(REGION_ARRAY, format!("{} indices, but `{name}` has {axes}", slots.len()))
                    .label(span, "too many"),
            );
            return None;
        }
        let what = format!("which of `{name}` this is");
        let mut wanted = Vec::new();
        for slot in slots {
            let mut end = |e: &Option<ast::Expr>, open: f64| match e {
                Some(e) => self.number_known(e, scope, &what),
                None => Some(open),
            };
            wanted.push(match slot {
                ast::Slot::Range(lo, hi) => Wanted::Within(end(lo, 0.0)?..end(hi, f64::INFINITY)?),
                ast::Slot::At(e) => Wanted::At(self.number_known(e, scope, &what)?, e.span),
            });
        }
        let found = match pick(&self.arrays[array.0].elements, &wanted) {
            Ok(found) => found.into_iter().cloned().collect(),
            Err((at, span, n)) => {
                self.diags.push(
                    Diagnostic::error(REGION_ARRAY, format!("{at} is no position among {n} `{name}`"))
                        .label(span, "positions are whole and count from 0"),
                );
                return None;
            }
        };
        let one = slots.len() == axes && slots.iter().all(|s| matches!(s, ast::Slot::At(_)));
        Some((found, one))
    }

    /// One expression for each element, in order, where an expression names several: `patches.E`, `patches[.. 2].rec`. `None` where it
    /// names no array, or one element.
    pub(super) fn spread(&mut self, e: &ast::Expr, scope: ScopeId) -> Option<Vec<ast::Expr>> {
        if self.arrays.is_empty() {
            return None;
        }
        let list = match self.several(e, scope) {
            Several::No => return None,
            Several::Whole(array) => self.named_by(e, &self.arrays[array.0].elements),
            Several::Each(list) => list,
        };
        // What a region has may be an array, too.
        Some(self.spread_all(&list, scope))
    }

    fn several(&mut self, e: &ast::Expr, scope: ScopeId) -> Several {
        let each = |list: Vec<ast::Expr>, kind: &dyn Fn(Box<ast::Expr>) -> ast::ExprKind| {
            Several::Each(list.into_iter().map(|x| ast::Expr { kind: kind(Box::new(x)), span: e.span }).collect())
        };
        match &e.kind {
            ast::ExprKind::Name(n) => match self.lookup(scope, n) {
                Some(Entity::Regions(a)) => Several::Whole(a),
                _ => Several::No,
            },
            ast::ExprKind::Paren(items) if items.len() == 1 => match self.several(&items[0], scope) {
                Several::Whole(a) => Several::Each(self.named_by(&items[0], &self.arrays[a.0].elements)),
                other => other,
            },
            ast::ExprKind::Field(base, name) => {
                let field = |x| ast::ExprKind::Field(x, name.clone());
                match self.several(base, scope) {
                    Several::Whole(a) if self.labelled(a, &name.text).is_some() => Several::No,
                    Several::Whole(a) => each(self.named_by(base, &self.arrays[a.0].elements), &field),
                    Several::Each(list) => each(list, &field),
                    Several::No => match self.thing(base, scope) {
                        Some(Entity::Region(r)) => match self.scopes[self.regions[r.0].scope.0].names.get(&name.text) {
                            Some(Entity::Regions(a)) => Several::Whole(*a),
                            _ => Several::No,
                        },
                        _ => Several::No,
                    },
                }
            }
            ast::ExprKind::Index(base, slots) => match self.several(base, scope) {
                Several::Whole(a) => match self.chosen(a, slots, e.span, scope) {
                    Some((found, false)) => Several::Each(self.named_by(base, &found)),
                    _ => Several::No,
                },
                Several::Each(list) => each(list, &|x| ast::ExprKind::Index(x, slots.clone())),
                Several::No => Several::No,
            },
            _ => Several::No,
        }
    }

    /// The path to an array, as paths to elements of it.
    fn named_by(&self, array: &ast::Expr, elements: &[Element]) -> Vec<ast::Expr> {
        let one = |x: &Element| {
            let kind = match &array.kind {
                ast::ExprKind::Field(outer, name) => {
                    ast::ExprKind::Field(outer.clone(), ast::Name { text: x.name.clone(), span: name.span })
                }
                _ => ast::ExprKind::Name(x.name.clone()),
            };
            ast::Expr { kind, span: array.span }
        };
        elements.iter().map(one).collect()
    }

    /// All that a list of expressions names, arrays element by element.
    pub(super) fn spread_all(&mut self, list: &[ast::Expr], scope: ScopeId) -> Vec<ast::Expr> {
        list.iter().flat_map(|e| self.each_of(e, scope)).collect()
    }

    /// The same of one expression.
    pub(super) fn each_of(&mut self, e: &ast::Expr, scope: ScopeId) -> Vec<ast::Expr> {
        self.spread(e, scope).unwrap_or_else(|| vec![e.clone()])
    }

    /// A number that must be known by now; what it says is `what`. Where it follows a loop, the loop is asked for.
    fn number_known(&mut self, e: &ast::Expr, scope: ScopeId, what: &str) -> Option<f64> {
        match self.known(e, scope) {
            Ok((Value::Number(v), read)) => {
                self.fix(read, e.span);
                Some(v)
            }
            Err(Unknown::Turn(v)) => {
                self.wanted.push(v);
                None
            }
            Err(Unknown::Unbound) => None,
            _ => {
                let errors = self.diags.error_count();
                let place = Place::Constant;
                self.number(e, Cx { scope, place: &place }, Dimension::NUMBER);
                if self.diags.error_count() == errors {
                    self.diags.push(
                        Diagnostic::error(REGION_ARRAY, format!("it is not known before the circuit runs {what}"))
                            .label(e.span, "differs from run to run, or follows what is drawn")
                            .help("take literals, lets, labels, params, and variables of `for`; \
                                   what is found out while it runs is compared: `for k in 0 .. n { if k == found { ... } }`"),
                    );
                }
                None
            }
        }
    }

    /// Notes the params that the shape of the circuit follows.
    fn fix(&mut self, read: Vec<(ValueId, Value)>, span: Span) {
        for (param, value) in read {
            if !self.program.fixed.iter().any(|f| f.param == param) {
                self.program.fixed.push(Fixed { param, value, span });
            }
        }
    }

    /// The value of an expression, and the params that it follows. Says nothing of what is wrong with it.
    fn known(&mut self, e: &ast::Expr, scope: ScopeId) -> Result<(Value, Vec<(ValueId, Value)>), Unknown> {
        let place = Place::Constant;
        let said = std::mem::take(&mut *self.diags);
        let resolved = self.expr(e, Cx { scope, place: &place }, None);
        let clean = !self.diags.has_errors();
        *self.diags = said;
        let mut read = Vec::new();
        let value = if clean { self.value_of(&resolved, &mut read)? } else { return Err(Unknown::Never) };
        Ok((value, read))
    }

    /// Whether a condition holds, where it follows the turn at hand and params that decide how many elements there are, and nothing
    /// that may change.
    pub(super) fn settled(&mut self, condition: &Expr) -> Option<bool> {
        let mut read = Vec::new();
        let value = self.value_of(condition, &mut read);
        let fixed = |param: &ValueId| self.program.fixed.iter().any(|f| f.param == *param);
        match value {
            Ok(Value::Bool(b)) if read.iter().all(|(param, _)| fixed(param)) => {
                (!self.turns.is_empty() || !read.is_empty()).then_some(b)
            }
            _ => None,
        }
    }

    fn value_of(&mut self, e: &Expr, read: &mut Vec<(ValueId, Value)>) -> Result<Value, Unknown> {
        let never = |_| Unknown::Never;
        match &e.kind {
            ExprKind::Const(v) => Ok(v.clone()),
            ExprKind::Value(id) => {
                self.ensure(*id);
                self.program.read.insert(*id);
                match self.program.value(*id).kind.clone() {
                    ValueKind::Label(k) => Ok(Value::Number(f64::from(k))),
                    ValueKind::Let(inner) => self.value_of(&inner, read),
                    ValueKind::Table { axes, value } if axes.iter().all(|a| a.variable.is_none()) => {
                        self.value_of(&value, read)
                    }
                    ValueKind::Param { default, .. } => {
                        let value = match (self.given(*id), default) {
                            (Some(value), _) => value,
                            (None, Some(inner)) => self.value_of(&inner, read)?,
                            (None, None) => return Err(Unknown::Unbound),
                        };
                        read.push((*id, value.clone()));
                        Ok(value)
                    }
                    ValueKind::Variable => match self.turns.iter().rev().find(|(v, _)| v == id) {
                        Some((_, value)) => Ok(value.clone()),
                        None if self.open.contains(id) => Err(Unknown::Turn(*id)),
                        None => match self.told.get(id).cloned() {
                            Some(inner) => self.value_of(&inner, read),
                            None => Err(Unknown::Never),
                        },
                    },
                    _ => Err(Unknown::Never),
                }
            }
            ExprKind::Unary(op, a) => script::unary(*op, &self.value_of(a, read)?).map_err(never),
            ExprKind::Binary(op, a, b) => {
                script::binary(*op, &self.value_of(a, read)?, &self.value_of(b, read)?).map_err(never)
            }
            ExprKind::In(v, lo, hi) => {
                let mut number = |x| self.value_of(x, read).and_then(|x| x.number().map_err(never));
                let (v, lo, hi) = (number(v)?, number(lo)?, number(hi)?);
                Ok(Value::Bool((lo..=hi).contains(&v)))
            }
            ExprKind::If(c, a, b) => match self.value_of(c, read)?.boolean() {
                Ok(true) => self.value_of(a, read),
                Ok(false) => self.value_of(b, read),
                Err(_) => Err(Unknown::Never),
            },
            ExprKind::List(items) => {
                let items = items.iter().map(|x| self.value_of(x, read)).collect::<Result<Vec<_>, _>>()?;
                Ok(Value::List(items))
            }
            ExprKind::Call(func, args) => {
                let args = args.iter().map(|x| self.value_of(x, read)).collect::<Result<Vec<_>, _>>()?;
                func.apply(&args).map_err(never)
            }
            ExprKind::IndexList(list, slots) => {
                let list = self.value_of(list, read)?;
                let mut path = Vec::new();
                for slot in slots {
                    let hir::Slot::At(at) = slot else { return Err(Unknown::Never) };
                    let k = self.value_of(at, read)?.count().map_err(never)?;
                    path.push(usize::try_from(k).map_err(|_| Unknown::Never)?);
                }
                list.element(&path).ok_or(Unknown::Never)
            }
            _ => Err(Unknown::Never),
        }
    }

    /// Resolves a block inside loops: once, or turn by turn where their variables pick elements of arrays. Gives it with the loops
    /// that are around it then.
    pub(super) fn in_turns<T>(
        &mut self,
        loops: Vec<hir::Loop>,
        resolve: &mut dyn FnMut(&mut Self) -> T,
    ) -> Vec<(Vec<hir::Loop>, T)> {
        let outside = self.open.len();
        self.open.extend(loops.iter().map(|l| l.variable));
        let said = if self.arrays.is_empty() { None } else { Some(self.diags.clone()) };
        let alike = resolve(self);
        self.open.truncate(outside);
        let own = |v: &ValueId| loops.iter().any(|l| l.variable == *v);
        let Some(said) = said.filter(|_| self.wanted.iter().any(own)) else { return vec![(loops, alike)] };
        // What was said of a block that is resolved again is said again.
        *self.diags = said;
        self.wanted.retain(|v| !own(v));
        let mut out = Vec::new();
        // Ends that follow an outer loop are not known yet.
        let alone = |s: &mut Self, l: &hir::Loop| s.values_of(l, &mut Vec::new()).map_or(1, |v| v.len());
        let turns = loops.iter().fold(1, |n: usize, l| n.saturating_mul(alone(self, l)));
        let whole = turns <= TURNS && self.each_turn(&loops, &mut Vec::new(), resolve, &mut out);
        if let (true, Some(first)) = (!whole && turns.max(out.len() + 1) > TURNS, loops.first()) {
            self.diags.push(
                Diagnostic::error(REGION_ARRAY, format!("these loops have more than {TURNS} turns"))
                    .label(first.start.span, "each of them may pick other regions")
                    .help(
                        "let ends of inner loops follow outer ones: \
                         `for x in 0 .. n, y in max(0, x - 3) .. min(n, x + 4)`",
                    ),
            );
        }
        out
    }

    /// Whether all turns were resolved.
    fn each_turn<T>(
        &mut self,
        loops: &[hir::Loop],
        before: &mut Vec<hir::Loop>,
        resolve: &mut dyn FnMut(&mut Self) -> T,
        out: &mut Vec<(Vec<hir::Loop>, T)>,
    ) -> bool {
        let Some((first, rest)) = loops.split_first() else {
            if out.len() == TURNS {
                return false;
            }
            let body = resolve(self);
            out.push((before.clone(), body));
            return true;
        };
        let Some(values) = self.turn_values(first) else { return false };
        let mut whole = true;
        for (k, value) in values.into_iter().enumerate() {
            let span = first.start.span;
            let ty = self.program.value(first.variable).ty;
            // A label keeps its name: rows show it.
            let label = match &first.start.kind {
                ExprKind::List(items) => items.get(k).filter(|x| self.is_label(x)).cloned(),
                _ => None,
            };
            let here = label.unwrap_or_else(|| Expr { kind: ExprKind::Const(value.clone()), span, ty });
            let start = Expr { kind: ExprKind::List(vec![here]), span, ty: ty.with_rank(ty.rank + 1) };
            before.push(hir::Loop { variable: first.variable, start, end: None });
            self.turns.push((first.variable, value));
            whole = self.each_turn(rest, before, resolve, out);
            self.turns.pop();
            before.pop();
            if !whole {
                break;
            }
        }
        whole
    }

    fn is_label(&self, e: &Expr) -> bool {
        matches!(e.kind, ExprKind::Value(v) if matches!(self.program.value(v).kind, ValueKind::Label(_)))
    }

    /// The values of the variable of a loop, and the params that they follow; none where they are no values of a loop.
    fn values_of(&mut self, l: &hir::Loop, read: &mut Vec<(ValueId, Value)>) -> Result<Vec<Value>, Unknown> {
        let start = self.value_of(&l.start, read)?;
        let end = l.end.as_ref().map(|e| self.value_of(e, read)).transpose()?;
        let (lo, hi) = match (start, end) {
            (Value::Number(lo), Some(Value::Number(hi))) => (lo, hi),
            (Value::Number(n), None) => (0.0, n),
            (Value::List(items), None) => return Ok(items),
            _ => return Err(Unknown::Never),
        };
        let n = (hi - lo).max(0.0).round();
        if n > TURNS as f64 {
            return Err(Unknown::Never);
        }
        Ok((0..n as usize).map(|k| Value::Number(lo + k as f64)).collect())
    }

    /// The values of the variable of a loop that is unrolled here.
    fn turn_values(&mut self, l: &hir::Loop) -> Option<Vec<Value>> {
        let mut read = Vec::new();
        let values = self.values_of(l, &mut read);
        match values {
            Err(Unknown::Turn(v)) => {
                self.wanted.push(v);
                return None;
            }
            Err(Unknown::Unbound) => return None,
            _ => {}
        }
        self.fix(read, l.start.span);
        if values.is_err() {
            let name = self.program.value(l.variable).name.clone();
            self.diags.push(
                Diagnostic::error(REGION_ARRAY, "the turns of this loop are not known before the circuit runs")
                    .label(l.start.span, format!("`{name}` picks a region"))
                    .help(format!("take literals, lets, labels and params for its ends; at most {TURNS} turns")),
            );
        }
        values.ok()
    }
}
