//! The only place that names the order of the phases. No IO: files come through a [`Loader`], results go back as data.

mod beside;

pub use crate::backend::Profile;
use crate::backend::native::{self, Lanes, Native};
use crate::backend::{Engine, Keep, RunError, TraceRequest, interp::Interpreter};
use crate::base::{Code, Diagnostic, Diagnostics, LibraryError, LoadError, Loader, ProjectError, SourceMap, stack};
use crate::ir::artefact::{Job, Unit};
use crate::lower::{self, Origins, Overrides};
use crate::syntax::ast;
use crate::{checks, chip, hir, meanfield, nir, passes, sema, stdlib, valid};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

pub use self::beside::{beside, rates};
pub use crate::meanfield::{Expected, Prediction, Treatment};
pub use crate::valid::{Estimate, bytes_text};

/// A failure of the compiler's own rules: a bug, or a damaged artefact.
pub const INVALID_IR: Code = Code("E0606");

/// Of what cells compute and hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    #[default]
    F64,
    F32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Backend {
    #[default]
    Native,
    /// Native code with so many lanes at most, whatever the machine has; slower, and the same bits.
    Narrow(Lanes),
    Interp,
}

/// How much memory a network may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MemoryLimit {
    /// 80 % of what is free.
    #[default]
    Default,
    Bytes(u64),
}

/// What a circuit is compiled for.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Target {
    #[default]
    Native,
    /// One with these figures.
    Chip(Arc<chip::target::Target>),
    /// A file of the Neuromorphic Intermediate Representation.
    Nir,
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub set: Vec<(String, String)>,
    pub dt: Option<String>,
    /// `None`: the only experiment, or the circuit alone.
    pub experiment: Option<String>,
    pub for_time: Option<String>,
    /// The circuits alone, whatever experiments the file has.
    pub alone: bool,
    pub quick: bool,
    pub precision: Precision,
    /// What the chip can't do is an error where the target is one.
    pub target: Target,
}

/// What came of a compilation.
#[derive(Debug, Default)]
pub struct Outcome {
    pub sources: SourceMap,
    pub diagnostics: Diagnostics,
    /// One per experiment, in the order of the file; empty where there are errors.
    pub jobs: Vec<Job>,
    /// Of each job, where what its units are made of was written.
    pub origins: Vec<Vec<Origins>>,
    pub ast: Option<ast::File>,
    /// What every name of the program is.
    pub program: hir::Program,
    pub compile_s: f64,
}

/// Finds `std/...` in the embedded library and everything else with the user's loader.
struct WithStd<'l>(&'l dyn Loader);

impl Loader for WithStd<'_> {
    fn resolve(&self, from: &str, path: &str) -> Result<String, LoadError> {
        self.0.resolve(from, path)
    }

    fn folder(&self, name: &str) -> Option<Vec<String>> {
        if name != "std" && !name.starts_with("std/") {
            return self.0.folder(name);
        }
        let inside = format!("{name}/");
        let mut files = Vec::new();
        let mut any = false;
        for (file, _) in stdlib::FILES {
            if let Some(rest) = file.strip_prefix(&inside) {
                any = true;
                if !rest.contains('/') {
                    files.push(file.to_string());
                }
            }
        }
        any.then_some(files)
    }

    fn text(&self, name: &str) -> Result<String, LoadError> {
        if name.starts_with("std/") {
            let found = stdlib::FILES.iter().find(|(file, _)| *file == name);
            return found.map(|(_, text)| text.to_string()).ok_or(LoadError::NotFound);
        }
        self.0.text(name)
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, LoadError> {
        self.0.bytes(name)
    }

    fn subfolders(&self, folder: &str) -> Vec<String> {
        if folder != "std" && !folder.starts_with("std/") {
            return self.0.subfolders(folder);
        }
        let inside = format!("{folder}/");
        let below = stdlib::FILES.iter().filter_map(|(file, _)| file.strip_prefix(&inside)?.split_once('/'));
        let mut names: Vec<String> = below.map(|(first, _)| first.to_string()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn library(&self, from: &str, name: &str) -> Result<String, LibraryError> {
        self.0.library(from, name)
    }

    fn project(&self) -> Result<(), Box<ProjectError>> {
        self.0.project()
    }
}

/// A unit with the job that it is of, and where its parts were written.
pub type Circuit<'o> = (&'o Job, &'o Unit, &'o Origins);

impl Outcome {
    pub fn circuits(&self) -> impl Iterator<Item = Circuit<'_>> {
        let jobs = self.jobs.iter().zip(&self.origins);
        jobs.flat_map(|(job, origins)| job.units.iter().zip(origins).map(move |(unit, o)| (job, unit, o)))
    }
}

/// Text to verified IR: every experiment of the file, or the one asked for, or its network alone.
pub fn compile(loader: &dyn Loader, file: &str, options: &Options) -> Outcome {
    stack::deep(|| compiled(loader, file, options))
}

fn compiled(loader: &dyn Loader, file: &str, options: &Options) -> Outcome {
    let start = Instant::now();
    let mut out = Outcome::default();
    let loader = WithStd(loader);
    let analysis = sema::analyse(&loader, file, options.quick, &options.set, &mut out.sources, &mut out.diagnostics);
    if let Some(analysis) = analysis {
        let jobs = jobs(&analysis, options, &mut out.sources, &mut out.diagnostics);
        (out.jobs, out.origins) = jobs.into_iter().unzip();
        out.ast = Some(Rc::unwrap_or_clone(analysis.ast));
        out.program = analysis.program;
    }
    if out.diagnostics.has_errors() {
        out.jobs.clear();
        out.origins.clear();
    }
    out.compile_s = start.elapsed().as_secs_f64();
    out
}

/// Text to what a description of a file needs: its tree, the typed model, and IR of those circuits that have it as they
/// stand. A circuit whose params wait for whoever uses it is described without.
pub fn describe(loader: &dyn Loader, file: &str, options: &Options) -> Outcome {
    stack::deep(|| described(loader, file, options))
}

fn described(loader: &dyn Loader, file: &str, options: &Options) -> Outcome {
    let mut out = Outcome::default();
    let loader = WithStd(loader);
    let analysis = sema::analyse(&loader, file, options.quick, &options.set, &mut out.sources, &mut out.diagnostics);
    if let Some(analysis) = analysis {
        if !out.diagnostics.has_errors() {
            let jobs = jobs(&analysis, options, &mut out.sources, &mut Diagnostics::default());
            (out.jobs, out.origins) = jobs.into_iter().unzip();
        }
        out.ast = Some(Rc::unwrap_or_clone(analysis.ast));
        out.program = analysis.program;
    }
    out
}

fn jobs(
    analysis: &sema::Analysis,
    options: &Options,
    sources: &mut SourceMap,
    diags: &mut Diagnostics,
) -> Vec<(Job, Vec<Origins>)> {
    // Lowering what is broken would only repeat what was said.
    if diags.has_errors() {
        return Vec::new();
    }
    let program = &analysis.program;
    checks::written(program, analysis.file, &analysis.experiments, diags);
    let overrides = Overrides { set: options.set.clone(), dt: options.dt.clone(), duration: options.for_time.clone() };
    let wanted: Vec<(crate::hir::NetworkId, Option<usize>)> = match &options.experiment {
        Some(name) => match analysis.experiments.iter().find(|k| program.experiments[**k].name == *name) {
            Some(k) => vec![(program.experiments[*k].network, Some(*k))],
            None => {
                let all: Vec<&str> =
                    analysis.experiments.iter().map(|k| program.experiments[*k].name.as_str()).collect();
                let near = crate::base::diag::did_you_mean(name, all.iter().copied());
                let help =
                    near.map_or_else(|| format!("it has {}", all.join(", ")), |n| format!("did you mean `{n}`?"));
                diags.push(
                    Diagnostic::error(lower::error::UNKNOWN_EXPERIMENT, format!("the file has no experiment `{name}`"))
                        .help(help),
                );
                return Vec::new();
            }
        },
        None if !analysis.experiments.is_empty() && !options.alone => {
            analysis.experiments.iter().map(|k| (program.experiments[*k].network, Some(*k))).collect()
        }
        None => analysis.networks.iter().map(|n| (*n, None)).collect(),
    };
    let names = wanted.iter().flat_map(|(network, experiment)| {
        lower::overridable(program, *network, experiment.map(|k| &program.experiments[k]))
    });
    let names: BTreeSet<&str> = names.map(|v| program.value(v).name.as_str()).collect();
    for (name, text) in options.set.iter().filter(|(name, _)| !names.contains(name.as_str())) {
        let help = match names.is_empty() {
            true => "there are none: a param of the network can bind those of its regions and models".to_string(),
            false => sema::error::params_help(name, &names.iter().copied().collect::<Vec<_>>()),
        };
        diags.push(
            Diagnostic::error(
                lower::error::OVERRIDE,
                format!("--set {name}={text}: no param and no sweep is named `{name}`"),
            )
            .help(help),
        );
    }
    let mut out = Vec::new();
    for (network, experiment) in wanted {
        let lowered = lower::lower(program, sources, network, experiment, &overrides, diags);
        let Some(lower::Lowered { mut job, origins }) = lowered else { continue };
        for unit in &mut job.units {
            passes::run(&mut unit.network);
            if options.precision == Precision::F32 {
                passes::narrow(&mut unit.network);
            }
        }
        if let Err(d) = verify(&job) {
            diags.push(d);
            continue;
        }
        checks::laid_out(&job, &origins, diags);
        match &options.target {
            Target::Native => {}
            Target::Chip(target) => chip::legalise::judge(&job, &origins, target, diags),
            Target::Nir => {
                let found = job.units.iter().zip(&origins).flat_map(|(u, o)| nir::write::judge(u, o));
                found.for_each(|d| diags.push(d));
            }
        }
        out.push((job, origins));
    }
    out
}

/// A time as a flag gives it, such as `10 s`, in ms; an error is what is wrong and what to write.
pub fn time_ms(text: &str) -> Result<f64, (String, String)> {
    lower::time_ms(text)
}

/// The package that a unit becomes on a chip, and how it came about.
pub fn package(
    unit: &Unit,
    origins: &Origins,
    target: &chip::target::Target,
    options: chip::build::Options,
) -> Result<chip::build::Built, Vec<Diagnostic>> {
    // All synapses are listed before they are quantised.
    check_memory(unit, allowed(MemoryLimit::Default)).map_err(|d| vec![d])?;
    stack::deep(|| chip::build::build(unit, origins, target, options))
}

/// The bytes of a NIR file of a unit's circuit; `seed` is that of what is drawn.
///
/// # Errors
/// What NIR has no node for.
pub fn nir(unit: &Unit, origins: &Origins, seed: u64) -> Result<Vec<u8>, Vec<Diagnostic>> {
    let graph = stack::deep(|| nir::write::graph(unit, origins, seed))?;
    nir::hdf5::encode(&graph).map_err(|e| vec![Diagnostic::error(nir::write::WEIGHTS, format!("no HDF5 file: {e}"))])
}

/// What mean-field theory expects of a unit. `Err` says in words why nothing.
pub fn balance(unit: &Unit) -> Result<meanfield::Prediction, String> {
    meanfield::predict(&unit.network, unit.protocol.duration_hint_ms)
}

/// Mean excitatory and inhibitory input of each population at measured rates (see [`meanfield::received`]). `Err` says in words why
/// nothing.
pub fn received(unit: &Unit, rates: &[f64]) -> Result<Vec<Option<(f64, f64)>>, String> {
    meanfield::received(&unit.network, rates, unit.protocol.duration_hint_ms)
}

/// Memory and time that a unit will take.
pub fn budget(unit: &Unit) -> Vec<valid::Estimate> {
    valid::estimate(&unit.network)
}

/// Checks every network of a job again: after the passes, and after loading an artefact.
pub fn verify(job: &Job) -> Result<(), Diagnostic> {
    stack::deep(|| verified(job))
}

fn verified(job: &Job) -> Result<(), Diagnostic> {
    for unit in &job.units {
        valid::validate(&unit.network).map_err(|e| {
            Diagnostic::error(INVALID_IR, format!("the network is not valid: {e}"))
                .note("a compiled artefact may be damaged; from source, this is a bug of nsmc")
        })?;
        valid::protocol(unit).map_err(|e| {
            Diagnostic::error(INVALID_IR, format!("the experiment is not valid: {e}"))
                .note("a compiled artefact may be damaged; from source, this is a bug of nsmc")
        })?;
    }
    if let Some(p) = job.points.iter().find(|p| p.unit >= job.units.len()) {
        return Err(Diagnostic::error(INVALID_IR, format!("a run refers to network {}, which is not there", p.unit)));
    }
    Ok(())
}

/// Seconds that the parts of making an engine took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// IR to callable kernels.
    pub compile_s: f64,
    /// Elements and synapses.
    pub build_s: f64,
}

/// A unit whose memory was estimated, whose network was checked and whose kernels are compiled: once, for any number of runs,
/// which may build and run their engines at the same time.
pub struct Prepared<'u> {
    network: valid::Validated<'u>,
    runner: Runner<'u>,
    /// Seconds from IR to callable kernels.
    pub compile_s: f64,
}

/// What steps the network.
enum Runner<'u> {
    /// This machine; without kernels, the interpreter.
    Here(Option<native::Kernels>),
    Chip(&'u chip::host::Machine, &'u Unit),
}

/// Prepares a unit of which one run may take `allowed` bytes.
pub fn prepare(unit: &Unit, backend: Backend, allowed: f64) -> Result<Prepared<'_>, Diagnostic> {
    let network = checked(unit, allowed)?;
    let (kernels, compile_s) = stack::deep(|| kernels(network, backend))?;
    Ok(Prepared { network, runner: Runner::Here(kernels), compile_s })
}

/// Prepares the unit that a package was made of for runs on its chip, all of the package's seed.
pub fn prepare_on_chip<'u>(
    unit: &'u Unit,
    machine: &'u chip::host::Machine,
    allowed: f64,
) -> Result<Prepared<'u>, Diagnostic> {
    Ok(Prepared { network: checked(unit, allowed)?, runner: Runner::Chip(machine, unit), compile_s: 0.0 })
}

/// The network of a unit, if it fits into memory and is valid.
fn checked(unit: &Unit, allowed: f64) -> Result<valid::Validated<'_>, Diagnostic> {
    check_memory(unit, allowed)?;
    valid::validate(&unit.network).map_err(|e| Diagnostic::error(INVALID_IR, format!("the network is not valid: {e}")))
}

/// Kernels, where the back end has any, and the seconds that they took.
fn kernels(network: valid::Validated, backend: Backend) -> Result<(Option<native::Kernels>, f64), Diagnostic> {
    let lanes = match backend {
        Backend::Interp => return Ok((None, 0.0)),
        Backend::Native => Lanes::most(),
        Backend::Narrow(lanes) => lanes,
    };
    let start = Instant::now();
    let kernels = native::compile(network, lanes).map_err(|e| Diagnostic::error(native::CODEGEN, e))?;
    Ok((Some(kernels), start.elapsed().as_secs_f64()))
}

impl Prepared<'_> {
    /// Threads that a run keeps busy, of those that there are. The results are the same for any number.
    pub fn busy(&self, threads: usize) -> usize {
        match &self.runner {
            Runner::Here(Some(kernels)) => native::busy(self.network.network(), kernels, threads),
            Runner::Here(None) => 1,
            Runner::Chip(..) => threads,
        }
    }

    /// Builds the elements and synapses of one run. Gives the seconds that it took, too.
    pub fn engine(
        &self,
        seed: u64,
        traces: Vec<TraceRequest>,
        keep_spikes: &[Keep],
        threads: usize,
    ) -> Result<(Box<dyn Engine + '_>, f64), Diagnostic> {
        let start = Instant::now();
        let engine = match &self.runner {
            Runner::Here(kernels) => here(self.network, kernels.as_ref(), seed, traces, keep_spikes, threads),
            Runner::Chip(machine, unit) => {
                machine.engine(unit, self.network, traces, keep_spikes, threads).map(|e| Box::new(e) as _)
            }
        };
        let engine = engine.map_err(|e| run_error(&e, self.network.network().dt_ms))?;
        Ok((engine, start.elapsed().as_secs_f64()))
    }
}

/// An engine of this machine.
fn here(
    network: valid::Validated<'_>,
    kernels: Option<&native::Kernels>,
    seed: u64,
    traces: Vec<TraceRequest>,
    keep_spikes: &[Keep],
    threads: usize,
) -> Result<Box<dyn Engine>, RunError> {
    stack::deep(|| match kernels {
        None => Interpreter::new(network.network(), seed, traces, keep_spikes).map(|e| Box::new(e) as _),
        Some(kernels) => Native::new(network, kernels, seed, traces, keep_spikes, threads).map(|e| Box::new(e) as _),
    })
}

/// Makes a network runnable: estimates its memory first, compiles kernels, builds elements and synapses.
pub fn engine(
    unit: &Unit,
    seed: u64,
    traces: Vec<TraceRequest>,
    keep_spikes: &[Keep],
    backend: Backend,
    threads: usize,
    limit: MemoryLimit,
) -> Result<(Box<dyn Engine>, Timings), Diagnostic> {
    let network = checked(unit, allowed(limit))?;
    let (kernels, compile_s) = stack::deep(|| kernels(network, backend))?;
    let start = Instant::now();
    let engine = here(network, kernels.as_ref(), seed, traces, keep_spikes, threads);
    let engine = engine.map_err(|e| run_error(&e, network.network().dt_ms))?;
    Ok((engine, Timings { compile_s, build_s: start.elapsed().as_secs_f64() }))
}

fn run_error(e: &RunError, dt_ms: f64) -> Diagnostic {
    crate::execute::diagnostic(e, dt_ms)
}

/// Bytes that networks may take together; infinite where nothing is known.
pub fn allowed(limit: MemoryLimit) -> f64 {
    match limit {
        MemoryLimit::Bytes(b) => b as f64,
        MemoryLimit::Default => available_memory().map_or(f64::INFINITY, |free| 0.8 * free as f64),
    }
}

/// Bytes that one run of a unit will take, at most.
pub fn memory(unit: &Unit) -> f64 {
    valid::estimate(&unit.network).iter().map(|p| p.bytes).sum()
}

fn check_memory(unit: &Unit, allowed: f64) -> Result<(), Diagnostic> {
    let total = memory(unit);
    if total <= allowed {
        return Ok(());
    }
    let parts = valid::estimate(&unit.network);
    let (need, have) = (bytes_text(total), bytes_text(allowed));
    Err(Diagnostic::error(lower::error::MEMORY, format!("the network needs about {need}, allowed are {have}"))
        .note(format!("     bytes           items  part\n{}", valid::table(&parts, 12)))
        .help("lower sizes or connectivity, or raise the limit: --memory-limit 64GB"))
}

/// Bytes that may still be taken: of the machine, or of the control group if that is less. `None` where neither is known.
pub fn available_memory() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb * 1024)
    });
    let number = |path: &str| std::fs::read_to_string(path).ok().and_then(|t| t.trim().parse::<u64>().ok());
    let group = number("/sys/fs/cgroup/memory.max")
        .and_then(|max| number("/sys/fs/cgroup/memory.current").map(|used| max.saturating_sub(used)));
    match (machine, group) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitKind {
    Clif,
    Asm,
}

/// The kernels of a unit as text.
pub fn emit(unit: &Unit, kind: EmitKind) -> Result<String, Diagnostic> {
    let network = stack::deep(|| valid::validate(&unit.network))
        .map_err(|e| Diagnostic::error(INVALID_IR, format!("the network is not valid: {e}")))?;
    let text = stack::deep(|| match kind {
        EmitKind::Clif => native::clif(network),
        EmitKind::Asm => native::disassembly(network),
    });
    text.map_err(|e| Diagnostic::error(native::CODEGEN, e.to_string()))
}
