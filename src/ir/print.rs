//! The readable form of a network: one line per fact, for snapshots and for people. RON is the complete form.

use super::*;
use std::fmt::Write;

/// Prints a whole network. Numbers are in internal units (ms, mV, pA, nS, pF, ms^-1).
pub fn print(network: &Network) -> String {
    let mut out = String::new();
    let w = &mut out;
    let _ = writeln!(w, "network {} dt {} ms", network.name, network.dt_ms);
    for (k, table) in network.tables.iter().enumerate() {
        let _ = writeln!(w, "table {k} {} {:?} of {} values", table.name, table.shape, table.data.len());
    }
    for e in &network.events {
        let carried = e.dimension.map_or(String::new(), |d| format!(": {d}"));
        let _ = writeln!(w, "event {}{carried}", e.path);
        for r in &e.readers {
            let _ = writeln!(w, "  reaches {} p{}, p{}", network.graph[r.population].path(), r.flag, r.number);
        }
    }
    for s in &network.sensors {
        let sizes: Vec<String> = s.shape.iter().map(u32::to_string).collect();
        let _ = writeln!(w, "sensor {}[{}]: {} = {}", s.path, sizes.join(", "), s.dimension, s.initial);
        for r in &s.readers {
            let path = network.graph[r.population].path();
            match r.index {
                Some(k) => writeln!(w, "  read by {path} p{} at p{k}", r.param),
                None => writeln!(w, "  read by {path} p{}", r.param),
            }
            .ok();
        }
    }
    for node in network.graph.node_indices() {
        match &network.graph[node] {
            Node::Private { path, model } => {
                let _ = writeln!(w, "\nsource {path}: {model} private");
            }
            Node::Population(p) => population(w, network, p),
        }
    }
    for edge in network.graph.edge_indices() {
        projection(w, network, edge);
        for rule in network.plasticity.iter().filter(|r| r.projection == edge) {
            plasticity(w, network, rule);
        }
    }
    out
}

fn population(w: &mut String, network: &Network, p: &Population) {
    let axes: Vec<String> = p
        .axes
        .iter()
        .map(|a| {
            let sizes: Vec<String> = a.sizes.iter().map(u32::to_string).collect();
            match &a.name {
                Some(n) => format!("{n}: {}", sizes.join("|")),
                None => sizes.join("|"),
            }
        })
        .collect();
    let kind = if p.source { "source" } else { "population" };
    let d = &p.dynamics;
    let _ = writeln!(w, "\n{kind} {}[{}]: {} ({} cells)", p.path, axes.join(", "), d.model, p.size);
    for (k, param) in d.params.iter().enumerate() {
        let value = match &param.kind {
            ParamKind::Scalar(v) => format!("{v}"),
            ParamKind::PerNeuron(e) => format!("per neuron {}", build_text(network, *e)),
            ParamKind::Derived(Derived::Expr(e)) => format!("derived {}", expr_text(d, *e)),
            ParamKind::Derived(Derived::Propagator { system, row, column }) => {
                format!("derived exp(A{system} dt)[{row}, {column}]")
            }
            ParamKind::Derived(Derived::Integral { system, row, column }) => {
                format!("derived integral of exp(A{system} s)[{row}, {column}]")
            }
            ParamKind::Derived(Derived::Noise { system, row, column }) => {
                format!("derived noise{system}[{row}, {column}]")
            }
        };
        let settable = if param.settable { " settable" } else { "" };
        let _ = writeln!(w, "  param p{k} {}: {} = {value}{settable}", param.name, param.dimension);
    }
    for (k, s) in d.systems.iter().enumerate() {
        let rows: Vec<String> =
            s.a.chunks(s.n.max(1) as usize)
                .map(|r| format!("[{}]", r.iter().map(|e| expr_text(d, *e)).collect::<Vec<_>>().join(", ")))
                .collect();
        let _ = writeln!(w, "  system A{k} = [{}]", rows.join(", "));
    }
    for s in &d.states {
        let _ = writeln!(w, "  state {}: {} = {}", s.name, s.dimension, build_text(network, s.initial));
    }
    if d.single {
        let _ = writeln!(w, "  in single precision");
    }
    for s in &d.solvers {
        let _ = writeln!(w, "  solve {} by {}: {}", s.states.join(", "), s.method, s.reason);
    }
    if let Some(a) = &d.adaptive {
        let _ = writeln!(w, "  before");
        assigns(w, d, &a.before.assigns);
        let _ = writeln!(w, "  repeat until {} == dt, at most {} times", d.states[a.elapsed as usize].name, a.limit);
        assigns(w, d, &a.trial.assigns);
    }
    for (k, stage) in d.integrate.iter().enumerate() {
        let _ = if d.integrate.len() > 1 { writeln!(w, "  integrate {k}") } else { writeln!(w, "  integrate") };
        assigns(w, d, &stage.assigns);
    }
    for r in &d.receptors {
        let terms: Vec<String> = r.arrivals.iter().map(|a| arrival(network, d, a)).collect();
        let _ = writeln!(w, "  receptor {}: {} <- {}", r.name, r.dimension, terms.join(" + "));
        assigns(w, d, &r.body);
    }
    for (k, c) in d.coupled.iter().enumerate() {
        let path = network.graph.edge_weight(c.projection).map_or("?", |p| p.path.as_str());
        let _ = writeln!(w, "  coupled#{k} = {} of {path}", c.sum.name());
    }
    match &d.spike {
        Spike::Never => {}
        Spike::When(c) => {
            let _ = writeln!(w, "  spike when {}", expr_text(d, *c));
        }
        Spike::Schedule(trains) => {
            let _ = writeln!(w, "  spike at {} given steps", trains.spikes(p.size));
        }
    }
    if !d.reset.is_empty() {
        let _ = writeln!(w, "  reset");
        assigns(w, d, &d.reset);
    }
    if let Some(r) = &d.refractory {
        let held: Vec<&str> = r.held.iter().map(|s| d.states[*s as usize].name.as_str()).collect();
        let _ = writeln!(w, "  refractory {} steps holds {}", expr_text(d, r.steps), held.join(", "));
    }
    for e in &d.every {
        let _ = writeln!(w, "  every {} steps", e.steps);
        assigns(w, d, &e.stage.assigns);
    }
    for winners in &network.winners {
        if network.population(winners.population).is_some_and(|q| std::ptr::eq(q, p)) {
            let margin = expr_text(d, winners.margin);
            let _ = writeln!(w, "  active at most {} within {} steps by {margin}", winners.most, winners.window);
        }
    }
    for o in &d.observables {
        let _ = writeln!(w, "  observe {}: {} = {}", o.name, o.dimension, expr_text(d, o.value));
    }
}

fn plasticity(w: &mut String, network: &Network, rule: &plasticity::Plasticity) {
    let show = |e: ExprId| {
        let mut out = String::new();
        text(&mut out, &rule.exprs, e, 0, &|e| match e {
            Expr::State(k) => rule.variables.get(*k as usize).map(|v| v.name.clone()),
            _ => None,
        });
        out
    };
    let _ = writeln!(w, "  plasticity {} (dendritic delay {} steps)", rule.name, rule.dendritic);
    let _ = writeln!(w, "    {}", rule.summary());
    for v in &rule.variables {
        let _ = writeln!(w, "    {:?} {}: {} = {}", v.place, v.name, v.dimension, v.initial);
    }
    let target = network.graph.edge_endpoints(rule.projection).and_then(|(_, to)| network.population(to));
    for (k, read) in rule.reads.iter().enumerate() {
        if rule.total == Some(k as u32) {
            let _ = writeln!(w, "    post#{k} is the sum of the weights onto it");
        } else if rule.total_out == Some(k as u32) {
            let _ = writeln!(w, "    post#{k} is the sum of the weights that leave its presynaptic neuron");
        } else if let Some(p) = target {
            let _ = writeln!(w, "    post#{k} is {}", expr_text(&p.dynamics, *read));
        }
    }
    for (k, i) in rule.integrals.iter().enumerate() {
        let guarded = if i.guarded { ", guarded" } else { "" };
        let _ = writeln!(w, "    integral#{k} of {} (rates {}, {} per ms{guarded})", show(i.value), i.decay, i.own);
    }
    if let Some(weight) = rule.regrow {
        let _ = writeln!(w, "    regrows to the in-degree with weight {weight}");
    }
    for note in &rule.notes {
        let _ = writeln!(w, "    {note}");
    }
    let list = |w: &mut String, head: &str, assigns: &[Assign]| {
        if !assigns.is_empty() {
            let _ = writeln!(w, "    {head}");
        }
        for a in assigns {
            let _ = writeln!(w, "      {} = {}", rule.variables[a.state as usize].name, show(a.value));
        }
    };
    list(w, "each step, traces", &rule.advance);
    list(w, if rule.lazy { "since the last event" } else { "each step, synapses" }, &rule.drift);
    for h in &rule.handlers {
        list(w, &format!("on {:?}", h.event), &h.assigns);
        if let Some(d) = h.deliver {
            let _ = writeln!(w, "      deliver {}", show(d));
        }
        if let Some(d) = h.still {
            let _ = writeln!(w, "      deliver {} while weights stand still", show(d));
        }
    }
}

fn assigns(w: &mut String, d: &Dynamics, list: &[Assign]) {
    for a in list {
        let _ = writeln!(w, "    {} = {}", d.states[a.state as usize].name, expr_text(d, a.value));
    }
}

fn arrival(network: &Network, d: &Dynamics, a: &Arrival) -> String {
    let names =
        |list: &[ProjectionId]| list.iter().map(|p| network.graph[*p].path.clone()).collect::<Vec<_>>().join(" ");
    let times = |gain: &Option<ExprId>| gain.map(|g| format!(" * {}", expr_text(d, g))).unwrap_or_default();
    match a {
        Arrival::Count { projections, weight, gain } => {
            format!("count({}) * {}{}", names(projections), expr_text(d, *weight), times(gain))
        }
        Arrival::Sum { projections, gain } => format!("sum({}){}", names(projections), times(gain)),
        Arrival::Poisson(k) => match d.poisson.get(*k as usize) {
            Some(p) => {
                format!("poisson({} * dt, {} steps ago) * {}", expr_text(d, p.rate), p.delay, expr_text(d, p.weight))
            }
            None => format!("poisson #{k}"),
        },
    }
}

fn projection(w: &mut String, network: &Network, id: ProjectionId) {
    let p = &network.graph[id];
    let Some((from, to)) = network.graph.edge_endpoints(id) else { return };
    let (from, to) = (&network.graph[from], &network.graph[to]);
    let subset = |s: &Subset| match s {
        Subset::All => String::new(),
        Subset::Range(a, b) => format!("[{a} .. {b}]"),
        Subset::Cells(c) => format!("[{} cells]", c.len()),
    };
    let receptor = match to {
        _ if p.coupling.is_some() => "".to_string(),
        Node::Population(t) => {
            let receptor = t.dynamics.receptors.get(p.receptor as usize).map(|r| r.name.as_str());
            format!(".{}", receptor.unwrap_or("?"))
        }
        Node::Private { .. } => ".?".to_string(),
    };
    let _ = writeln!(
        w,
        "\nprojection {}: {}{} -> {}{}{receptor}",
        p.path,
        from.path(),
        subset(&p.pre),
        to.path(),
        subset(&p.post)
    );
    if p.private {
        let _ = writeln!(w, "  an independent train for each target");
        return;
    }
    let rule = match &p.spec.rule {
        crate::connect::Rule::Pairs { pre, .. } => format!("pairs, {} edges", pre.len()),
        rule => format!("{rule:?}"),
    };
    let flags = [
        (p.spec.autapses, " with autapses"),
        (p.spec.multapses, " with multapses"),
        (p.symmetric, " symmetric"),
        (p.procedural.is_some(), " procedural"),
    ];
    let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, t)| *t).collect();
    let _ = writeln!(w, "  connect {rule}{flags}");
    if let (Some(c), Node::Population(source)) = (p.coupling, from) {
        let gather = match c.gather {
            Gather::Rows => "synapse by synapse",
            Gather::Classes => "by classes",
        };
        let _ = writeln!(w, "  value {} in round {}, {gather}", expr_text(&source.dynamics, c.value), c.rank);
    }
    if let Some(f) = p.filter {
        let _ = writeln!(w, "  where {}", build_text(network, f));
    }
    let _ = match p.weight {
        Weight::Constant(v) => writeln!(w, "  weight {v}"),
        Weight::PerSynapse { value, single } => {
            let width = if single { "f32" } else { "f64" };
            writeln!(w, "  weight per synapse ({width}) {}", build_text(network, value))
        }
    };
    let _ = match p.delay {
        Delay::Constant(d) => writeln!(w, "  delay {d} steps"),
        Delay::PerSynapse { value, max } => {
            writeln!(w, "  delay per synapse {} ms, at most {max} steps", build_text(network, value))
        }
    };
    if let (Some(g), Node::Population(t)) = (p.gain, to) {
        let _ = writeln!(w, "  gain {}", expr_text(&t.dynamics, g));
    }
}

/// An expression of a dynamics arena, states and params by name.
pub fn expr_text(d: &Dynamics, id: ExprId) -> String {
    let mut out = String::new();
    text(&mut out, &d.exprs, id, 0, &|e| match e {
        Expr::State(k) => d.states.get(*k as usize).map(|s| s.name.clone()),
        Expr::Param(k) => d.params.get(*k as usize).map(|p| p.name.clone()),
        _ => None,
    });
    out
}

fn build_text(network: &Network, id: ExprId) -> String {
    let mut out = String::new();
    text(&mut out, &network.build, id, 0, &|e| match e {
        Expr::Table { table, .. } => network.tables.get(*table as usize).map(|t| t.name.clone()),
        _ => None,
    });
    out
}

/// Longest text of one expression: an RK4 step of a big model would fill pages; RON has the whole DAG.
const LIMIT: usize = 4000;

fn text(out: &mut String, exprs: &Exprs, id: ExprId, parent: u8, name: &dyn Fn(&Expr) -> Option<String>) {
    if out.len() > LIMIT {
        if !out.ends_with("...") {
            out.push_str("...");
        }
        return;
    }
    let e = exprs.get(id);
    let list = |out: &mut String, head: &str, items: &[ExprId]| {
        let _ = write!(out, "{head}(");
        for (k, i) in items.iter().enumerate() {
            if k > 0 {
                out.push_str(", ");
            }
            text(out, exprs, *i, 0, name);
        }
        out.push(')');
    };
    match e {
        Expr::Const(Real(v)) => {
            let _ = write!(out, "{v}");
        }
        Expr::State(k) => out.push_str(&name(e).unwrap_or_else(|| format!("s{k}"))),
        Expr::Param(k) => out.push_str(&name(e).unwrap_or_else(|| format!("p{k}"))),
        Expr::Arrival => out.push_str("arrival"),
        Expr::Time => out.push('t'),
        Expr::Noise(k) => {
            let _ = write!(out, "normal#{k}");
        }
        Expr::Uniform => out.push_str("uniform#"),
        Expr::Held => out.push_str("refractory"),
        Expr::Read(k) => {
            let _ = write!(out, "post#{k}");
        }
        Expr::Elapsed => out.push_str("elapsed"),
        Expr::Integral(k) => {
            let _ = write!(out, "integral#{k}");
        }
        Expr::Coupled(k) => {
            let _ = write!(out, "coupled#{k}");
        }
        Expr::Before(a) => list(out, "before", &[*a]),
        Expr::Unary(op @ (UnaryOp::Neg | UnaryOp::Not), a) => {
            out.push_str(if *op == UnaryOp::Neg { "-" } else { "not " });
            text(out, exprs, *a, 7, name);
        }
        Expr::Unary(op, a) => list(out, op.name(), &[*a]),
        Expr::Binary(op @ (BinaryOp::Min | BinaryOp::Max | BinaryOp::Pow), a, b) => {
            let head = match op {
                BinaryOp::Min => "min",
                BinaryOp::Max => "max",
                _ => "pow",
            };
            list(out, head, &[*a, *b]);
        }
        Expr::Binary(op, a, b) => {
            let (symbol, level) = match op {
                BinaryOp::Add => ("+", 4),
                BinaryOp::Sub => ("-", 4),
                BinaryOp::Mul => ("*", 5),
                BinaryOp::Div => ("/", 5),
                BinaryOp::And => ("and", 2),
                _ => ("or", 1),
            };
            infix(out, exprs, (*a, *b), symbol, level, parent, name);
        }
        Expr::Compare(op, a, b) => infix(out, exprs, (*a, *b), op.symbol(), 3, parent, name),
        Expr::Select(c, a, b) => list(out, "select", &[*c, *a, *b]),
        Expr::Element(side, attribute) => {
            let _ = match side {
                Side::Own => Ok(()),
                Side::Pre => write!(out, "pre."),
                Side::Post => write!(out, "post."),
            };
            let _ = match attribute {
                Attribute::Index => write!(out, "index"),
                Attribute::Axis(k) => write!(out, "axis{k}"),
                Attribute::Param(k) => write!(out, "p{k}"),
            };
        }
        Expr::Random { distribution, args, .. } => list(out, distribution.name(), args),
        Expr::Table { table, indices } => {
            let head = name(e).unwrap_or_else(|| format!("table{table}"));
            list(out, &head, indices);
        }
        Expr::Column(k) => {
            let _ = write!(out, "column{k}");
        }
    }
}

fn infix(
    out: &mut String,
    exprs: &Exprs,
    (a, b): (ExprId, ExprId),
    symbol: &str,
    level: u8,
    parent: u8,
    name: &dyn Fn(&Expr) -> Option<String>,
) {
    let wrap = level < parent;
    if wrap {
        out.push('(');
    }
    text(out, exprs, a, level, name);
    let _ = write!(out, " {symbol} ");
    // The right side binds one tighter: `a - (b - c)` and `a + (b + c)` are not what `a - b - c` computes.
    text(out, exprs, b, level + 1, name);
    if wrap {
        out.push(')');
    }
}
