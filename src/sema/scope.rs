//! Scopes and what a name may mean.

use super::array::ArrayId;
use super::error::*;
use super::plasticity::RuleId;
use super::region::{PortId, RegionId};
use super::sensor::ModulatorId;
use super::sleep::ScheduleId;
use super::{ModuleId, Sema};
use crate::base::diag::did_you_mean;
use crate::base::{Diagnostic, Span};
use crate::hir::{Kind, ModelId, NetworkId, PopulationId, Type, ValueDef, ValueId, ValueKind};
use crate::syntax::ast;
use crate::units;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeId(pub usize);

#[derive(Clone, Debug, PartialEq)]
pub enum Entity {
    Value(ValueId),
    Model(ModelId),
    Network(NetworkId),
    Labels(Vec<ValueId>),
    Population(NetworkId, PopulationId),
    /// A compartment of a model, by position.
    Compartment(ModelId, u32),
    Module(ModuleId),
    Folder(String),
    /// A `simulate ... as` window.
    Window,
    /// A named projection, by its path.
    Projection(String),
    /// One use of a region in a circuit.
    Region(RegionId),
    /// Several of one region, told apart by indices.
    Regions(ArrayId),
    Port(PortId),
    /// A plasticity rule.
    Rule(RuleId),
    /// A modulator model that is nothing but a level.
    Modulator(ModulatorId),
    /// A model of an environment, by position in the program.
    EnvironmentModel(u32),
    /// An environment of the experiment at hand, by position in it.
    Environment(u32),
    /// An event of a network, by position.
    Event(NetworkId, u32),
    /// A schedule of sleep.
    Schedule(ScheduleId),
    /// A memory of a network, by position.
    Memory(NetworkId, u32),
    Experiment,
    /// Defined wrongly; already reported.
    Poison,
}

impl Entity {
    /// How a message says what stands where something else is expected.
    pub fn seen(found: Option<&Entity>) -> String {
        found.map_or("not found".to_string(), |e| format!("this is {}", e.words()))
    }

    pub fn words(&self) -> &'static str {
        match self {
            Entity::Value(_) => "a value",
            Entity::Model(_) => "a model",
            Entity::Network(_) => "a network",
            Entity::Labels(_) => "a set of labels",
            Entity::Population(..) => "a population",
            Entity::Compartment(..) => "a compartment",
            Entity::Module(_) | Entity::Folder(_) => "a module",
            Entity::Window => "a window of time",
            Entity::Projection(_) => "a projection",
            Entity::Region(_) => "a region",
            Entity::Regions(_) => "an array of regions",
            Entity::Port(_) => "a port",
            Entity::Rule(_) => "a plasticity rule",
            Entity::Modulator(_) => "a modulator model",
            Entity::EnvironmentModel(_) => "a model of an environment",
            Entity::Environment(_) => "an environment",
            Entity::Event(..) => "an event",
            Entity::Schedule(_) => "a schedule of sleep",
            Entity::Memory(..) => "a memory",
            Entity::Experiment => "an experiment",
            Entity::Poison => "something wrong",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub parent: Option<ScopeId>,
    pub names: BTreeMap<String, Entity>,
    pub spans: BTreeMap<String, Span>,
}

/// Names of the language that can't be redefined.
pub const BUILTINS: [&str; 10] = ["t", "dt", "pi", "inf", "xi", "pre", "post", "distance", "index", "quick"];

impl Sema<'_> {
    pub(super) fn new_scope(&mut self, parent: Option<ScopeId>) -> ScopeId {
        self.scopes.push(Scope { parent, ..Scope::default() });
        ScopeId(self.scopes.len() - 1)
    }

    /// Declares a name; a name that is visible already is an error.
    pub(super) fn declare(&mut self, scope: ScopeId, name: &ast::Name, entity: Entity) {
        if BUILTINS.contains(&name.text.as_str()) {
            self.diags.push(
                Diagnostic::error(NAME_TAKEN, format!("`{}` is a name of the language", name.text))
                    .label(name.span, "can't be redefined")
                    .help(format!("choose another name; the language's own are {}", BUILTINS.join(", "))),
            );
            return;
        }
        if let Some((old, other)) = self.lookup_with_span(scope, &name.text) {
            // A broken item was declared as poison; its repair or repetition says nothing new.
            if old != Entity::Poison && entity != Entity::Poison {
                self.name_taken(scope, name, &old, other);
            }
            return;
        }
        let s = &mut self.scopes[scope.0];
        s.names.insert(name.text.clone(), entity);
        s.spans.insert(name.text.clone(), name.span);
    }

    /// `conclude` would read what the name of a measure stands for already. Variables of the run are no part of it, so a measure may
    /// have the name of one.
    pub(super) fn measure_hides_nothing(&mut self, name: &ast::Name, scope: ScopeId) {
        let Some((old, other)) = self.lookup_with_span(scope, &name.text) else { return };
        let variable = matches!(old, Entity::Value(id) if matches!(self.program.value(id).kind, ValueKind::Variable));
        if old != Entity::Poison && !variable {
            self.name_taken(scope, name, &old, other);
        }
    }

    /// Tells that `name` is taken: declared twice, or visible from further out, which it must not hide.
    fn name_taken(&mut self, scope: ScopeId, name: &ast::Name, old: &Entity, other: Option<Span>) {
        let text = &name.text;
        let hides = !self.scopes[scope.0].spans.contains_key(text);
        let (message, label, help) = if hides {
            (
                format!("`{text}` is {} here already, and no name may hide another", old.words()),
                "would hide it",
                "choose another name: what stands inside sees all names around it, an experiment those of its network \
                 and its file",
            )
        } else {
            (format!("`{text}` is already defined"), "second definition", "choose another name")
        };
        let mut d = Diagnostic::error(NAME_TAKEN, message).label(name.span, label);
        if let Some(other) = other {
            d = d.label(other, format!("first defined here, as {}", old.words()));
        }
        self.diags.push(d.help(help));
        // What is meant where it is used further in is anyone's guess.
        if hides {
            self.scopes[scope.0].names.insert(text.clone(), Entity::Poison);
        }
    }

    /// Declares a formal of a function or receptor: its scope is so small that it may hide an outer name.
    pub(super) fn declare_formal(&mut self, scope: ScopeId, name: &ast::Name, id: ValueId) {
        let s = &mut self.scopes[scope.0];
        s.names.insert(name.text.clone(), Entity::Value(id));
        s.spans.insert(name.text.clone(), name.span);
    }

    pub(super) fn poison(&mut self, scope: ScopeId, name: &ast::Name) {
        let s = &mut self.scopes[scope.0];
        s.names.entry(name.text.clone()).or_insert(Entity::Poison);
        s.spans.entry(name.text.clone()).or_insert(name.span);
    }

    pub(super) fn lookup(&self, scope: ScopeId, name: &str) -> Option<Entity> {
        self.lookup_with_span(scope, name).map(|(e, _)| e)
    }

    fn lookup_with_span(&self, scope: ScopeId, name: &str) -> Option<(Entity, Option<Span>)> {
        let mut here = Some(scope);
        while let Some(id) = here {
            let s = &self.scopes[id.0];
            if let Some(e) = s.names.get(name) {
                return Some((e.clone(), s.spans.get(name).copied()));
            }
            here = s.parent;
        }
        None
    }

    /// Every visible name, for suggestions.
    pub(super) fn visible(&self, scope: ScopeId) -> Vec<String> {
        let mut all = Vec::new();
        let mut here = Some(scope);
        while let Some(id) = here {
            all.extend(self.scopes[id.0].names.keys().cloned());
            here = self.scopes[id.0].parent;
        }
        all
    }

    /// Reports a name that is not there; `otherwise` is what to try where no other name is near.
    pub(super) fn unknown_name(
        &mut self,
        scope: ScopeId,
        name: &str,
        span: Span,
        extra: &[&str],
        what: &str,
        otherwise: Option<&str>,
    ) {
        let mut names = self.visible(scope);
        names.extend(extra.iter().map(|s| s.to_string()));
        names.extend(BUILTINS.iter().map(|s| s.to_string()));
        let help = match name {
            "I_axial" => Some("couplings bring it into a compartment: it stands in the equations of one".to_string()),
            _ if self.measured.contains(name) => Some(format!(
                "what is measured is read in `conclude`; within the run, name it first: `let {name} = ..`"
            )),
            _ if name.len() > 1 && units::parse_unit(name).is_ok() => Some(format!(
                "`{name}` is a unit, and a unit stands right after its number: `1 {name}`, and `1 {name}^-1` for one over it"
            )),
            _ => said_here(name).map(|here| format!("write {here}")).or_else(|| {
                let near = did_you_mean(name, names.iter().map(String::as_str));
                near.map(|n| format!("did you mean `{n}`?")).or_else(|| otherwise.map(str::to_string))
            }),
        };
        self.diags.push(
            Diagnostic::error(UNKNOWN_NAME, format!("there is no {what} `{name}` here"))
                .label(span, "not found")
                .maybe_help(help),
        );
    }

    pub(super) fn new_value(&mut self, name: &ast::Name, ty: Type, kind: ValueKind) -> ValueId {
        let path = self.path_of(&name.text);
        self.program.values.push(ValueDef {
            name: name.text.clone(),
            path,
            loops: self.loops_around,
            span: name.span,
            ty,
            kind,
        });
        ValueId(self.program.values.len() as u32 - 1)
    }

    /// A value whose definition could not be understood: its uses raise nothing further.
    pub(super) fn broken_value(&mut self, name: &ast::Name) -> ValueId {
        self.new_value(name, Type { kind: Kind::Unknown, rank: 0, dim: None }, ValueKind::Broken)
    }
}

/// What names of other languages are here.
fn said_here(name: &str) -> Option<&'static str> {
    Some(match name {
        "gauss" | "gaussian" | "randn" => "`normal(mean, sd)`",
        "rand" | "random" => "`uniform(lo, hi)`",
        "log" => "`ln(x)`, or `log2(x)` and `log10(x)` to those bases",
        "pow" | "power" => "a power as `x^2`",
        "step" | "heaviside" => "`if x > 0 then 1 else 0`",
        "mod" | "fmod" => "`a - b * floor(a / b)`",
        "Infinity" | "infinity" | "Inf" | "INF" => "`inf`",
        "NaN" | "nan" | "NAN" | "None" | "none" | "null" => "a number: there is no value for what is missing",
        "True" | "TRUE" => "`true`",
        "False" | "FALSE" => "`false`",
        _ => return None,
    })
}
