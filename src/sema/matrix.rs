//! `matrix omega { ... }`: which regions project to which, as a table that stands for projections from the first output port of one to
//! the first input port of the other.

use super::error::*;
use super::region::{PortId, RegionId};
use super::scope::{Entity, ScopeId};
use super::{Cx, Place, Sema};
use crate::base::{Diagnostic, Span};
use crate::hir::{Item, NetworkId};
use crate::syntax::ast;

/// A region of a matrix, to be looked at once all projections are known.
pub(super) struct Member {
    /// `bg.`
    prefix: String,
    span: Span,
    /// Where the matrix says that it is recurrent.
    recurrent: Option<Span>,
    /// Whether another region of the matrix projects to it.
    reached: bool,
}

/// What a cell says of row and column: to the column, from the column, each with where it says so.
#[derive(Clone, Copy, PartialEq)]
struct Said {
    to_column: bool,
    from_column: bool,
}

impl Sema<'_> {
    pub(super) fn matrix(&mut self, id: NetworkId, m: &ast::Matrix, scope: ScopeId, out: &mut Vec<Item>) {
        let m = &self.element_by_element(m, scope);
        let Some(columns) = self.matrix_regions(&m.columns, scope) else { return };
        let rows: Vec<ast::Path> = m.rows.iter().map(|r| r.region.clone()).collect();
        let Some(rows) = self.matrix_regions(&rows, scope) else { return };
        let errors = self.diags.error_count();
        let mut members: Vec<Member> = Vec::new();
        for (k, region) in columns.iter().enumerate() {
            let prefix = self.regions[region.0].prefix.clone();
            members.push(Member { prefix, span: m.columns[k].span, recurrent: None, reached: false });
        }
        // Said of (from, to), positions among the columns, by which cell.
        let mut links: Vec<((usize, usize), Span)> = Vec::new();
        let mut denied: Vec<((usize, usize), Span)> = Vec::new();
        for (row, region) in m.rows.iter().zip(&rows) {
            let Some(r) = columns.iter().position(|c| c == region) else {
                self.diags.push(
                    Diagnostic::error(MATRIX, "a row of a region that is no column")
                        .label(row.region.span, "not among the columns")
                        .help("each region has a column and a row"),
                );
                continue;
            };
            if row.cells.len() != columns.len() {
                let (found, n) = (row.cells.len(), columns.len());
                self.diags.push(
                    Diagnostic::error(MATRIX, format!("{found} cells in a row, {n} columns"))
                        .label(row.region.span, "this row")
                        .help("one of `->`, `<-`, `B`, `R`, `.` under each column"),
                );
                continue;
            }
            for (c, cell) in row.cells.iter().enumerate() {
                self.matrix_cell((r, c), cell, &mut members, &mut links, &mut denied);
            }
        }
        for (k, region) in columns.iter().enumerate() {
            if !rows.contains(region) {
                self.diags.push(
                    Diagnostic::error(MATRIX, "a column of a region that has no row")
                        .label(m.columns[k].span, "no row")
                        .help("each region has a column and a row"),
                );
            }
        }
        for (link, yes) in &links {
            if let Some((_, no)) = denied.iter().find(|(d, _)| d == link) {
                let name = |k: usize| members[k].prefix.trim_end_matches('.');
                let (from, to) = (name(link.0), name(link.1));
                self.diags.push(
                    Diagnostic::error(MATRIX, format!("two cells disagree about {from} -> {to}"))
                        .label(*yes, "says that there is one")
                        .label(*no, "says that there is none")
                        .help("each pair has two cells that say the same: `->` and `<-`, `B` and `B`, `.` and `.`"),
                );
            }
        }
        links.sort_by_key(|(link, _)| *link);
        links.dedup_by_key(|(link, _)| *link);
        if self.diags.error_count() > errors {
            return;
        }
        for ((from, to), span) in links {
            members[to].reached = true;
            let ends = ((columns[from], &m.columns[from]), (columns[to], &m.columns[to]));
            if let Some(p) = self.matrix_projection(id, m, ends, span, scope) {
                out.push(Item::Projection(p));
            }
        }
        self.matrices.push((id, members));
    }

    /// The matrix with a row and a column for each element of an array: its cells are those of the array, `R` and `.` those of each
    /// element to itself, and no element projects to another.
    fn element_by_element(&mut self, m: &ast::Matrix, scope: ScopeId) -> ast::Matrix {
        let text = |p: &ast::Path| p.names.iter().map(|n| n.text.clone()).collect::<Vec<_>>();
        let mut each = |p: &ast::Path| match self.instance_entity(p, scope) {
            Some(Entity::Regions(a)) => self.element_paths(a, p),
            _ => vec![p.clone()],
        };
        let columns: Vec<Vec<ast::Path>> = m.columns.iter().map(&mut each).collect();
        let mut rows = Vec::new();
        for row in &m.rows {
            for (i, region) in each(&row.region).into_iter().enumerate() {
                let mut cells = Vec::new();
                for (c, cell) in row.cells.iter().enumerate() {
                    let own = m.columns.get(c).is_some_and(|p| text(p) == text(&row.region));
                    let n = columns.get(c).map_or(1, Vec::len);
                    cells.extend((0..n).map(|j| match own && i != j {
                        true => ast::Name { text: ".".to_string(), span: cell.span },
                        false => cell.clone(),
                    }));
                }
                rows.push(ast::MatrixRow { region, cells });
            }
        }
        ast::Matrix { columns: columns.concat(), rows, ..m.clone() }
    }

    fn matrix_regions(&mut self, paths: &[ast::Path], scope: ScopeId) -> Option<Vec<RegionId>> {
        let mut out: Vec<RegionId> = Vec::new();
        let mut ok = true;
        for p in paths {
            match self.thing(&path_expr(p), scope) {
                Some(Entity::Region(r)) if out.contains(&r) => {
                    self.diags.push(
                        Diagnostic::error(MATRIX, "a region stands twice in a matrix").label(p.span, "second time"),
                    );
                    ok = false;
                }
                Some(Entity::Region(r)) => out.push(r),
                other => {
                    ok = false;
                    if matches!(other, Some(Entity::Poison)) {
                        continue;
                    }
                    let what = Entity::seen(other.as_ref());
                    self.diags.push(
                        Diagnostic::error(MATRIX, "a matrix is of regions")
                            .label(p.span, what)
                            .help("use a region in this network: `region pfc: Pfc`"),
                    );
                }
            }
        }
        ok.then_some(out)
    }

    fn matrix_cell(
        &mut self,
        (r, c): (usize, usize),
        cell: &ast::Name,
        members: &mut [Member],
        links: &mut Vec<((usize, usize), Span)>,
        denied: &mut Vec<((usize, usize), Span)>,
    ) {
        let said = |to_column, from_column| Some(Said { to_column, from_column });
        let found = match (cell.text.as_str(), r == c) {
            ("R", true) => {
                members[r].recurrent = Some(cell.span);
                None
            }
            (".", true) => None,
            (".", false) => said(false, false),
            ("->", false) => said(true, false),
            ("<-", false) => said(false, true),
            ("B", false) => said(true, true),
            (_, diagonal) => {
                let (is, help) = if diagonal {
                    ("a region to itself", "`R` where it is recurrent, else `.`")
                } else {
                    ("two regions", "`->`, `<-`, `B` for both ways, or `.`; `R` stands under a region's own column")
                };
                self.diags.push(
                    Diagnostic::error(MATRIX, format!("`{}` does not fit {is}", cell.text))
                        .label(cell.span, "here")
                        .help(help),
                );
                None
            }
        };
        let Some(found) = found else { return };
        for (link, yes) in [((r, c), found.to_column), ((c, r), found.from_column)] {
            if yes { links.push((link, cell.span)) } else { denied.push((link, cell.span)) }
        }
    }

    fn matrix_projection(
        &mut self,
        id: NetworkId,
        m: &ast::Matrix,
        (from, to): ((RegionId, &ast::Path), (RegionId, &ast::Path)),
        span: Span,
        scope: ScopeId,
    ) -> Option<crate::hir::Projection> {
        let output = self.first_port(from, true)?;
        let input = self.first_port(to, false)?;
        let at = |path: &ast::Path, port: &str| {
            let name = ast::Name { text: port.to_string(), span: path.span };
            ast::Expr { kind: ast::ExprKind::Field(Box::new(path_expr(path)), name), span }
        };
        let weight = || {
            let name = ast::Name { text: "weight".to_string(), span };
            ast::Expr { kind: ast::ExprKind::Field(Box::new(at(to.1, &input)), name), span }
        };
        let mut clauses: Vec<ast::Clause> = m.clauses.clone();
        let mut scaled = false;
        for clause in &mut clauses {
            if let ast::ClauseKind::Weight(factor) = &mut clause.kind {
                scaled = true;
                let both = (Box::new(factor.clone()), Box::new(weight()));
                *factor =
                    ast::Expr { kind: ast::ExprKind::Binary(ast::BinaryOp::Mul, both.0, both.1), span: factor.span };
            }
        }
        if !scaled {
            clauses.push(ast::Clause { kind: ast::ClauseKind::Weight(weight()), span });
        }
        let ends = |e: ast::Expr| ast::Ends { list: vec![e], parenthesised: false, span };
        let p = ast::Projection {
            name: Some(m.name.clone()),
            from: ends(at(from.1, &output)),
            to: ends(at(to.1, &input)),
            clauses,
        };
        let place = Place::Binding;
        let mut resolved = self.projection(id, &p, span, Cx { scope, place: &place })?;
        let name = |r: RegionId| self.regions[r.0].prefix.trim_end_matches('.').to_string();
        resolved.name = Some(format!("{}:{}->{}", self.path_of(&m.name.text), name(from.0), name(to.0)));
        Some(resolved)
    }

    /// The name of the first port of a kind that a region declares.
    fn first_port(&mut self, (region, path): (RegionId, &ast::Path), output: bool) -> Option<String> {
        let scope = self.regions[region.0].scope;
        let ports = self.ports.iter().enumerate();
        let first = ports.filter(|(_, p)| p.scope == scope && p.output == output).map(|(k, _)| PortId(k)).next();
        let name = first.and_then(|first| {
            let names = self.scopes[scope.0].names.iter();
            names.filter(|(_, e)| matches!(e, Entity::Port(p) if *p == first)).map(|(n, _)| n.clone()).next()
        });
        if name.is_none() {
            let kind = if output { "output" } else { "input" };
            self.diags.push(
                Diagnostic::error(MATRIX, format!("the region has no {kind} port"))
                    .label(path.span, "a matrix joins the first ports of regions")
                    .help(
                        "declare one in the region: `port input cortex = E.exc weight 1.5 mV`, `port output out = E`",
                    ),
            );
        }
        name
    }

    /// What the matrices of a network say of regions as a whole.
    pub(super) fn check_matrices(&mut self, id: NetworkId, items: &[Item]) {
        let all = std::mem::take(&mut self.matrices);
        let (own, others) = all.into_iter().partition(|(n, _)| *n == id);
        self.matrices = others;
        let own: Vec<(NetworkId, Vec<Member>)> = own;
        let mut pairs = Vec::new();
        self.projected(id, items, &mut pairs);
        for m in own.iter().flat_map(|(_, members)| members) {
            let inside = |p: &str| p.starts_with(&m.prefix);
            let name = m.prefix.trim_end_matches('.');
            if let Some(span) = m.recurrent
                && !pairs.iter().any(|(a, b)| inside(a) && inside(b))
            {
                self.diags.push(
                    Diagnostic::error(MATRIX, format!("`{name}` is not recurrent"))
                        .label(span, "`R` says that it is")
                        .help("no projection of the region lands in it: add one there, or write `.`"),
                );
            }
            if !m.reached && !pairs.iter().any(|(a, b)| !inside(a) && inside(b)) {
                self.diags.push(
                    Diagnostic::error(MATRIX, format!("nothing comes into `{name}`"))
                        .label(m.span, "no other region, population or source projects to it")
                        .help("write `->` in the row of a region that projects to it, or add a projection"),
                );
            }
        }
    }

    /// Sources and targets of all projections, by the names of the populations.
    fn projected(&self, id: NetworkId, items: &[Item], out: &mut Vec<(String, String)>) {
        let name = |c: &crate::hir::Cells| self.program.network(id).populations[c.population.0 as usize].name.clone();
        for item in items {
            match item {
                Item::Projection(p) => {
                    for from in &p.from {
                        out.extend(p.to.iter().map(|(to, _)| (name(from), name(to))));
                    }
                }
                Item::For { items, .. } => self.projected(id, items, out),
                Item::If { then, otherwise, .. } => {
                    self.projected(id, then, out);
                    self.projected(id, otherwise, out);
                }
                Item::Population(_) | Item::Drive { .. } => {}
            }
        }
    }
}

/// `hpc.ca3` as an expression.
fn path_expr(p: &ast::Path) -> ast::Expr {
    let mut names = p.names.iter();
    let head = names.next().map_or("", |n| n.text.as_str()).to_string();
    let mut e = ast::Expr { kind: ast::ExprKind::Name(head), span: p.span };
    for n in names {
        e = ast::Expr { kind: ast::ExprKind::Field(Box::new(e), n.clone()), span: p.span };
    }
    e
}
