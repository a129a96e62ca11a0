//! From the tree to the typed model: imports, names, dimensions, and everything else an author can get wrong before a size is
//! known. Nothing stops at the first error; what is broken is marked and its uses stay silent.

mod array;
mod call;
mod circuit;
mod compartment;
mod coupling;
mod environment;
pub mod error;
mod event;
mod experiment;
mod expr;
mod given;
mod matrix;
mod model;
mod modules;
mod pair_input;
mod plasticity;
mod population;
mod position;
mod procedural;
mod projection;
mod query;
mod region;
mod rule_param;
mod scope;
mod sensor;
mod sleep;
mod synapses;

use crate::base::{Diagnostic, Diagnostics, FileId, Loader, SourceMap};
use crate::hir;
use crate::syntax::ast;
pub use expr::threshold;
pub use given::given;
use scope::{Entity, Scope, ScopeId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(pub usize);

#[derive(Clone, Copy, Debug, PartialEq)]
enum ModuleState {
    /// Nothing of it has been asked for.
    Parsed,
    Loading,
    Declared,
}

struct Module {
    name: String,
    scope: ScopeId,
    ast: Rc<ast::File>,
    state: ModuleState,
    /// Of the user's own: the library's rules are looked into where they are used.
    main: bool,
    exports: Vec<(String, Entity)>,
}

/// Where an expression stands, and so what it may read.
#[derive(Clone, Debug)]
enum Place {
    /// File level, sizes, `dt`: nothing that varies.
    Constant,
    /// The body of a model.
    Dynamics,
    /// An environment, but for its equations.
    Environment,
    /// Bindings of a population, drives, lets of a network: `t`, `index`, axes, draws per neuron.
    Binding,
    /// Weight, delay and `where` of a projection.
    Synapse { pre: Vec<End>, post: Vec<End> },
    /// Statements of an experiment.
    Experiment(hir::NetworkId),
    /// `conclude`: rows of measures.
    Conclude(hir::NetworkId),
    /// A plasticity rule as attached.
    Rule(plasticity::RulePlace),
}

/// What `pre.` or `post.` can reach at one end.
#[derive(Clone, Debug)]
struct End {
    axes: Vec<String>,
    model: hir::ModelId,
    /// Number of coordinates of its positions.
    coordinates: usize,
}

#[derive(Clone, Copy)]
struct Cx<'c> {
    scope: ScopeId,
    place: &'c Place,
}

/// A let or param that is declared but not yet resolved: circuits are declarative, so order does not matter.
enum Pending {
    Let(ast::Let),
    Param(ast::Binding),
    State(ast::Binding),
    Output(ast::Expr),
    /// A region's param with what its user binds, in the user's scope.
    Bound(ast::Binding, ast::Expr, ScopeId),
}

struct Sema<'a> {
    loader: &'a dyn Loader,
    sources: &'a mut SourceMap,
    diags: &'a mut Diagnostics,
    modules: Vec<Module>,
    by_name: HashMap<String, ModuleId>,
    loading: Vec<String>,
    scopes: Vec<Scope>,
    pending: BTreeMap<hir::ValueId, (Pending, ScopeId, Place)>,
    resolving: Vec<hir::ValueId>,
    program: hir::Program,
    /// Names in the scope of each network, for the experiments of it.
    network_scopes: Vec<ScopeId>,
    /// What each network was declared by, and how far it is resolved.
    declared: Vec<region::Declared>,
    /// Uses of regions, in order of their declaration.
    regions: Vec<region::Region>,
    arrays: Vec<array::RegionArray>,
    /// Loops around what is at hand whose turns are alike so far, by variable.
    open: Vec<hir::ValueId>,
    /// Turns of the loops that are unrolled here.
    turns: Vec<(hir::ValueId, crate::script::Value)>,
    /// What each `let` of an experiment stands for.
    told: HashMap<hir::ValueId, hir::Expr>,
    /// Loops whose variable picks an element of an array.
    wanted: Vec<hir::ValueId>,
    ports: Vec<region::Port>,
    modulators: Vec<sensor::DeclaredModulator>,
    schedules: Vec<sleep::DeclaredSchedule>,
    /// Regions of matrices, by network.
    matrices: Vec<(hir::NetworkId, Vec<matrix::Member>)>,
    /// Drives and kicks of phases so far.
    gates: u32,
    /// Memories whose cells and sizes are not known yet: network, position.
    memories: Vec<(hir::NetworkId, ScopeId, ast::Circuit)>,
    /// Sensors whose sizes and first values are not known yet: network, position.
    sensors: Vec<(hir::NetworkId, u32, sensor::Waiting)>,
    rules: Vec<plasticity::DeclaredRule>,
    /// Rules that some projection uses.
    used_rules: BTreeSet<usize>,
    /// The dimension of the weights of each named projection, by network and path.
    projection_dims: BTreeMap<(hir::NetworkId, String), crate::units::Dimension>,
    /// What `weight` is in the rule at hand.
    weight_dim: Option<crate::units::Dimension>,
    /// Loops of the circuit around what is at hand.
    loops_around: usize,
    /// What the experiment at hand has measured so far.
    measured: BTreeSet<String>,
    /// The use of a region whose items are at hand.
    here: Option<region::RegionId>,
    /// Number of random draws written so far: each keys its own numbers.
    sites: u32,
    /// Variables that may be assigned: `var`s, not `let`s.
    mutable: BTreeSet<hir::ValueId>,
    /// `xi`s of the model at hand.
    xis: u32,
    /// Of the experiment at hand.
    environments: Vec<hir::Environment>,
    /// Names that unreadable pieces would have declared.
    lost: BTreeSet<String>,
    quick: bool,
    /// `--set`
    set: &'a [(String, String)],
}

/// What came of a compilation's front half.
pub struct Analysis {
    pub program: hir::Program,
    pub ast: Rc<ast::File>,
    /// The main file.
    pub file: FileId,
    /// The networks and experiments that the main file itself declares.
    pub networks: Vec<hir::NetworkId>,
    pub experiments: Vec<usize>,
}

/// Analyses `file` and what it imports. `None` where the file itself could not be read.
pub fn analyse(
    loader: &dyn Loader,
    file: &str,
    quick: bool,
    set: &[(String, String)],
    sources: &mut SourceMap,
    diags: &mut Diagnostics,
) -> Option<Analysis> {
    let mut sema = Sema {
        loader,
        sources,
        diags,
        modules: Vec::new(),
        by_name: HashMap::new(),
        loading: Vec::new(),
        scopes: Vec::new(),
        pending: BTreeMap::new(),
        resolving: Vec::new(),
        program: hir::Program::default(),
        network_scopes: Vec::new(),
        declared: Vec::new(),
        regions: Vec::new(),
        arrays: Vec::new(),
        open: Vec::new(),
        turns: Vec::new(),
        told: HashMap::new(),
        wanted: Vec::new(),
        ports: Vec::new(),
        modulators: Vec::new(),
        schedules: Vec::new(),
        matrices: Vec::new(),
        gates: 0,
        memories: Vec::new(),
        sensors: Vec::new(),
        rules: Vec::new(),
        used_rules: BTreeSet::new(),
        projection_dims: BTreeMap::new(),
        weight_dim: None,
        loops_around: 0,
        measured: BTreeSet::new(),
        here: None,
        sites: 0,
        mutable: BTreeSet::new(),
        xis: 0,
        environments: Vec::new(),
        lost: BTreeSet::new(),
        quick,
        set,
    };
    if let Err(e) = sema.loader.project() {
        sema.project_error(*e, None);
    }
    let main = sema.module(file, None);
    sema.forgive();
    let main = main?;
    let scope = sema.modules[main.0].scope;
    let module_ast = sema.modules[main.0].ast.clone();
    let mut networks = Vec::new();
    for item in &module_ast.items {
        if let ast::ItemKind::Network(n) = &item.kind
            && let Some(Entity::Network(id)) = sema.scopes[scope.0].names.get(&n.name.text)
            && !networks.contains(id)
        {
            networks.push(*id);
        }
    }
    // A region runs alone where the file has no network, and it needs nothing from a user.
    let program = &sema.program;
    if networks.iter().any(|n| !program.network(*n).region) {
        networks.retain(|n| !program.network(*n).region);
    }
    networks.retain(|n| {
        let unbound = |v: &hir::ValueId| matches!(program.value(*v).kind, hir::ValueKind::Param { default: None, .. });
        !program.network(*n).region || !program.network(*n).names.iter().any(unbound)
    });
    let main_file = sema.sources.iter().find(|(_, f)| f.name == file).map(|(id, _)| id)?;
    let experiments =
        (0..sema.program.experiments.len()).filter(|k| sema.program.experiments[*k].span.file == main_file).collect();
    Some(Analysis { program: sema.program, ast: module_ast, file: main_file, networks, experiments })
}

/// What says that a name is not there.
const MISSING: [crate::base::Code; 5] =
    [error::UNKNOWN_NAME, error::UNKNOWN_MEMBER, error::UNKNOWN_ARGUMENT, error::UNKNOWN_STATE, error::UNKNOWN_WINDOW];

impl Sema<'_> {
    /// A name is not missing if it stands in a piece that could not be read: that piece has its error.
    fn forgive(&mut self) {
        let Sema { lost, sources, diags, .. } = self;
        if lost.is_empty() {
            return;
        }
        diags.retain(|d| {
            let text = d.span().map_or("", |s| sources.snippet(s));
            let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            !MISSING.contains(&d.code) || !words.any(|w| lost.contains(w))
        });
    }

    /// Declares every item of a file, then resolves them: models before networks before experiments.
    fn declare_file(&mut self, id: ModuleId) {
        let file = self.modules[id.0].ast.clone();
        let scope = self.modules[id.0].scope;
        for item in &file.items {
            if let ast::ItemKind::Use(u) = &item.kind {
                self.import(id, u);
            }
        }
        for item in &file.items {
            match &item.kind {
                ast::ItemKind::Let(l) => {
                    self.declare_let(l, scope, Place::Constant);
                }
                ast::ItemKind::Labels(l) => self.declare_labels(l, scope),
                ast::ItemKind::Model(m) => match m.kind {
                    ast::ModelKind::Neuron | ast::ModelKind::Source => self.declare_model(m, scope),
                    ast::ModelKind::Modulator => self.declare_modulator(m, scope),
                    ast::ModelKind::Environment => self.declare_environment(id, m, scope),
                },
                ast::ItemKind::Plasticity(p) => self.declare_rule(p, scope),
                ast::ItemKind::Sleep(s) => self.declare_schedule(s, scope),
                ast::ItemKind::Network(n) => self.declare_network(n, scope),
                ast::ItemKind::Experiment(e) => self.declare(scope, &e.name, Entity::Experiment),
                ast::ItemKind::Broken { name } => {
                    if let Some(name) = name {
                        self.poison(scope, name);
                    }
                }
                ast::ItemKind::Use(_) => {}
            }
        }
        for item in &file.items {
            if let ast::ItemKind::Model(m) = &item.kind
                && let Some(Entity::Model(model)) = self.scopes[scope.0].names.get(&m.name.text).cloned()
                && self.program.model(model).span == m.name.span
            {
                self.resolve_model(model, m, scope);
            }
            if let ast::ItemKind::Model(m) = &item.kind
                && let Some(Entity::EnvironmentModel(model)) = self.scopes[scope.0].names.get(&m.name.text).cloned()
                && self.program.environments[model as usize].span == m.name.span
            {
                self.resolve_environment(model, m, scope);
            }
        }
        self.resolve_pending();
        for item in &file.items {
            if let ast::ItemKind::Network(n) = &item.kind
                && let Some(Entity::Network(network)) = self.scopes[scope.0].names.get(&n.name.text).cloned()
                && self.program.network(network).span == n.name.span
            {
                self.resolve_network(network);
            }
        }
        self.resolve_pending();
        for item in &file.items {
            if let ast::ItemKind::Plasticity(p) = &item.kind
                && let Some(Entity::Rule(rule)) = self.scopes[scope.0].names.get(&p.name.text).cloned()
                && self.modules[id.0].main
            {
                self.check_rule_alone(rule);
            }
        }
        self.resolve_pending();
        for item in &file.items {
            if let ast::ItemKind::Experiment(e) = &item.kind {
                self.resolve_experiment(e, scope);
            }
        }
        self.resolve_pending();
    }

    fn declare_labels(&mut self, l: &ast::Labels, scope: ScopeId) {
        let mut ids = Vec::new();
        for (k, member) in l.members.iter().enumerate() {
            let id = self.new_value(member, hir::Type::NUMBER, hir::ValueKind::Label(k as u32));
            self.declare(scope, member, Entity::Value(id));
            ids.push(id);
        }
        let labels = hir::Labels { name: l.name.text.clone(), span: l.name.span, members: ids.clone(), used: false };
        self.program.labels.push(labels);
        self.declare(scope, &l.name, Entity::Labels(ids));
    }

    /// Declares a let; its value is resolved when it is first used, or at the end.
    fn declare_let(&mut self, l: &ast::Let, scope: ScopeId, place: Place) -> hir::ValueId {
        let id = self.broken_value(&l.name);
        self.declare(scope, &l.name, Entity::Value(id));
        self.pending.insert(id, (Pending::Let(l.clone()), scope, place));
        id
    }

    fn declare_params(&mut self, list: &[ast::Binding], scope: ScopeId, place: &Place) -> Vec<hir::ValueId> {
        let mut out = Vec::new();
        for b in list {
            let id = self.broken_value(&b.name);
            self.declare(scope, &b.name, Entity::Value(id));
            self.pending.insert(id, (Pending::Param(b.clone()), scope, place.clone()));
            out.push(id);
        }
        out
    }

    /// Bindings of a network's params by an experiment.
    fn bind_network(&mut self, network: hir::NetworkId, of: &ast::Instance, cx: Cx) -> Vec<(hir::ValueId, hir::Expr)> {
        let names: Vec<(String, hir::ValueId)> = self
            .program
            .network(network)
            .names
            .iter()
            .map(|v| (self.program.value(*v).name.clone(), *v))
            .filter(|(_, v)| matches!(self.program.value(*v).kind, hir::ValueKind::Param { .. }))
            .collect();
        let mut out: Vec<(hir::ValueId, hir::Expr)> = Vec::new();
        for arg in of.args.iter().flatten() {
            let found = arg.name.as_ref().and_then(|n| names.iter().find(|(m, _)| *m == n.text).map(|(_, v)| *v));
            let Some(v) = found else {
                let written = arg.name.as_ref().map_or("", |n| n.text.as_str());
                let all: Vec<&str> = names.iter().map(|(n, _)| n.as_str()).collect();
                if !self.program.network(network).broken {
                    self.diags.push(
                        Diagnostic::error(error::UNKNOWN_ARGUMENT, format!("the network has no param `{written}`"))
                            .label(arg.span, "not known")
                            .help(error::params_help(written, &all)),
                    );
                }
                self.expr(&arg.value, cx, None);
                continue;
            };
            let ty = self.program.value(v).ty;
            let (dim, known) = (ty.dimension(), ty.kind != hir::Kind::Unknown);
            let value = self.expr(&arg.value, cx, Some(dim).filter(|_| known));
            let name = self.program.value(v).name.clone();
            if known {
                self.fits(
                    &value,
                    dim,
                    error::BINDING_DIMENSION,
                    &format!("`{name}` is {}", error::dimension_words(dim)),
                );
            }
            out.push((v, value));
        }
        for (name, v) in &names {
            if let hir::ValueKind::Param { default: None, .. } = &self.program.value(*v).kind
                && !out.iter().any(|(w, _)| w == v)
            {
                self.diags.push(
                    Diagnostic::error(error::UNBOUND_PARAM, format!("the network needs `{name}`"))
                        .label(of.span, format!("`{name}` is not bound here"))
                        .help(format!("bind it: {}({name} = ...)", self.program.network(network).name)),
                );
            }
        }
        out
    }

    fn resolve_pending(&mut self) {
        while let Some(id) = self.pending.keys().next().copied() {
            self.ensure(id);
        }
    }
}
