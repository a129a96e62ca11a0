//! Commands and their flags.

use super::terminal::Color;
use crate::driver::{Backend, MemoryLimit, Precision};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Checks, compiles and runs circuits of spiking neurons.
#[derive(Debug, Parser)]
#[command(name = "nsmc", version, disable_help_subcommand = true)]
pub(super) struct Cli {
    /// Colours in messages
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
    /// Only errors and what was asked for
    #[arg(short, long, global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check a file in every way, without output
    Check(CheckArgs),
    /// Compile a file to an artefact, or print a stage of its compilation
    Compile(CompileArgs),
    /// Run an experiment
    Run(RunArgs),
    /// Run every experiment and judge what it expects
    Test(TestArgs),
    /// Give files their one layout
    Fmt(FmtArgs),
    /// Explain a code such as E0302; without a code, list all of them
    Explain(ExplainArgs),
    /// Describe a file's models, circuits and experiments on one HTML page
    Doc(DocArgs),
    /// Draw the circuit as SVG
    Graph(GraphArgs),
    /// Write a file of the Neuromorphic Intermediate Representation (NIR) as a circuit
    Import(ImportArgs),
    /// Start a project in a new folder
    New(NewArgs),
    /// Print the completions of a shell: nsmc completions bash > ~/.local/share/bash-completion/completions/nsmc
    Completions(CompletionsArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MessageFormat {
    Human,
    /// One object per line, with the fields of rustc's
    Json,
}

/// What changes the circuit before it is compiled.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct CircuitArgs {
    /// Bind a param, or leave a sweep some of its values: --set g=4.5, --set "J=0.2 mV", --set "gap=1 mV, 2 mV"
    #[arg(long, value_name = "NAME=VALUE", value_parser = binding)]
    pub set: Vec<(String, String)>,
    /// Time step: --dt "0.1 ms"
    #[arg(long, value_name = "TIME")]
    pub dt: Option<String>,
    /// Only this experiment
    #[arg(long, value_name = "NAME")]
    pub experiment: Option<String>,
    /// Duration of the only `simulate`, or of a circuit without experiment: --for "2 s"
    #[arg(long = "for", value_name = "TIME")]
    pub for_time: Option<String>,
    /// What cells compute in and hold; synapses that learn hold so what they keep
    #[arg(long, value_enum, default_value = "f64")]
    pub precision: PrecisionArg,
}

/// Which chip it is.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ChipArgs {
    /// The chip of --target loihi2: loihi2, loihi1, nsm_paper or a file with figures of your own; loihi2 if not given
    #[arg(long, value_name = "NAME|FILE.ron")]
    pub chip: Option<String>,
}

/// What changes how a run is executed, and nothing of its result.
#[derive(Clone, Debug, Args)]
pub(super) struct ExecutionArgs {
    /// First seed, 1 if not given; run k takes the first seed + k. A package for a chip has its own
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Threads; as many as have enough to do if not given, at most all cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub threads: Option<u16>,
    #[arg(long, value_enum, default_value = "native")]
    pub backend: BackendArg,
    /// Memory that a network may take: 4GiB, 500MB; 80 % of what is free if not given
    #[arg(long, value_name = "BYTES", value_parser = memory)]
    pub memory_limit: Option<u64>,
    /// Print one JSON object per experiment and nothing else
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub summary: Option<SummaryFormat>,
}

/// Where the time of a run went.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ProfileArgs {
    /// Print where the time went: per phase, population and projection
    #[arg(long)]
    pub profile: bool,
    /// Write every piece of work as a trace that Perfetto and Chrome (about:tracing) show
    #[arg(long, value_name = "FILE.json")]
    pub trace: Option<PathBuf>,
}

impl ProfileArgs {
    /// Whether time is to be measured.
    pub fn wanted(&self) -> bool {
        self.profile || self.trace.is_some()
    }
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// A .nsm file, or - for standard input
    pub file: String,
    #[command(flatten)]
    pub circuit: CircuitArgs,
    /// What the circuit is for: what a chip can't do is an error
    #[arg(long, value_enum, default_value = "native")]
    pub target: TargetArg,
    #[command(flatten)]
    pub chip: ChipArgs,
    /// Print the expected input and rate of each population (mean-field theory)
    #[arg(long)]
    pub balance: bool,
    /// Print the memory and time that each part will take
    #[arg(long)]
    pub budget: bool,
    #[arg(long, value_enum, default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
pub(super) struct CompileArgs {
    /// A .nsm file, or - for standard input
    pub file: String,
    #[command(flatten)]
    pub circuit: CircuitArgs,
    #[arg(long, value_enum, default_value = "native")]
    pub target: TargetArg,
    #[command(flatten)]
    pub chip: ChipArgs,
    /// Regions share no core of the chip
    #[arg(long)]
    pub apart: bool,
    /// Where to write; the file's name with .nsmart (.nsmpkg for a chip, .nir for NIR) if not given
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// How the circuit lies on the chip: what it takes, sends and costs, and what quantising did to it
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub report: Option<ReportFormat>,
    /// Also run the circuit's first steps on the chip and here, and tell which quantised parameter changes its rates
    #[arg(long, value_enum, value_name = "WHAT")]
    pub quantise: Option<QuantiseArg>,
    /// Seed of what is drawn when a package is built, of the search for a mapping and of draws on the chip
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Print a stage instead of writing an artefact
    #[arg(long, value_enum)]
    pub emit: Option<Emit>,
    #[arg(long, value_enum, default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// A .nsm file, an artefact, a chip's package, or - for standard input
    pub file: String,
    #[command(flatten)]
    pub circuit: CircuitArgs,
    #[command(flatten)]
    pub execution: ExecutionArgs,
    #[command(flatten)]
    pub profiling: ProfileArgs,
    /// Folder for what `record` and `plot` ask for
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write what came of the experiment as one page, report.html in the folder of --out
    #[arg(long, value_enum, value_name = "FORMAT", requires = "out")]
    pub report: Option<RunReport>,
    /// File for the state of the run, written at its end and on Ctrl-C
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Time of the circuit between checkpoints: --every "10 s"
    #[arg(long, value_name = "TIME", requires = "checkpoint")]
    pub every: Option<String>,
    /// Go on from a checkpoint, to the total time of the experiment or of --for
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,
    /// Print expected rates beside the measured ones (mean-field theory)
    #[arg(long)]
    pub balance: bool,
    /// Judge whether rates stay below 100 Hz and activity in windows below 10 %, but for what the source exempts; exit with 1 if not
    #[arg(long)]
    pub plausible: bool,
    /// Write what the run of a package sent as a network of SANA-FE, which counts packets and energy by itself
    #[arg(long, value_name = "FILE.yaml")]
    pub sanafe: Option<PathBuf>,
    /// Run the experiment of a package on this machine as well, and compare rates and spike trains
    #[arg(long, value_enum, value_name = "BACKEND")]
    pub against: Option<AgainstArg>,
    /// Let a package wrap and saturate as lava-nc 0.10.0 does, instead of stopping
    #[arg(long)]
    pub lava: bool,
    #[arg(long, value_enum, default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// .nsm files, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<String>,
    #[command(flatten)]
    pub circuit: CircuitArgs,
    #[command(flatten)]
    pub execution: ExecutionArgs,
    /// Make `quick` true in experiments
    #[arg(long)]
    pub quick: bool,
    #[arg(long, value_enum, default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
pub(super) struct FmtArgs {
    /// .nsm files or folders of them; - reads standard input and writes standard output
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<String>,
    /// Change nothing; show what would change and exit with 1 if a file is not in its layout
    #[arg(long)]
    pub check: bool,
    #[arg(long, value_enum, default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    pub code: Option<String>,
    /// Print every page
    #[arg(long, conflicts_with = "code")]
    pub all: bool,
    /// As one page of Markdown, its headings one level down
    #[arg(long, requires = "all")]
    pub markdown: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(super) struct DocArgs {
    /// A .nsm file, or - for standard input
    pub file: String,
    /// Where to write; the file's name with .html if not given, - is standard output
    #[arg(short, long, value_name = "OUT.html")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub circuit: CircuitArgs,
    #[arg(long, value_enum, default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    /// A .nsm file, or - for standard input
    pub file: String,
    /// Where to write; the file's name with .svg if not given, - is standard output
    #[arg(short, long, value_name = "OUT.svg")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub circuit: CircuitArgs,
    #[arg(long, value_enum, default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// A .nir file
    pub file: String,
    /// Where to write, edges beside it; the file's name with .nsm if not given
    #[arg(short, long, value_name = "OUT.nsm")]
    pub output: Option<PathBuf>,
    /// Time step, which NIR has none of: --dt "0.1 ms"; what the file's writer noted if not given, else 0.1 ms
    #[arg(long, value_name = "TIME")]
    pub dt: Option<String>,
    #[arg(long, value_enum, default_value = "human")]
    pub message_format: MessageFormat,
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    pub dir: PathBuf,
}

/// What a run is told as, beside its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RunReport {
    Html,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum PrecisionArg {
    #[default]
    F64,
    /// Faster; results are the same on all machines as well, and other ones than in f64
    F32,
}

impl PrecisionArg {
    pub fn precision(self) -> Precision {
        match self {
            PrecisionArg::F64 => Precision::F64,
            PrecisionArg::F32 => Precision::F32,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum BackendArg {
    Native,
    /// The reference interpreter: slow and plain
    Interp,
    Loihi2,
}

impl BackendArg {
    pub fn name(self) -> &'static str {
        match self {
            BackendArg::Native => "native",
            BackendArg::Interp => "interp",
            BackendArg::Loihi2 => "loihi2",
        }
    }

    /// `None` where it isn't there yet.
    pub fn backend(self) -> Option<Backend> {
        match self {
            BackendArg::Native => Some(Backend::Native),
            BackendArg::Interp => Some(Backend::Interp),
            BackendArg::Loihi2 => None,
        }
    }
}

/// What a run of a chip is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AgainstArg {
    Native,
    Interp,
}

impl AgainstArg {
    pub fn backend(self) -> Backend {
        match self {
            AgainstArg::Native => Backend::Native,
            AgainstArg::Interp => Backend::Interp,
        }
    }
}

/// What is told of quantising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum QuantiseArg {
    Report,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TargetArg {
    Native,
    Loihi2,
    /// A file of the Neuromorphic Intermediate Representation
    Nir,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    Text,
    Json,
    /// A page beside the package
    Html,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SummaryFormat {
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Emit {
    /// The syntax tree
    Ast,
    /// The intermediate representation, for people
    Ir,
    /// The intermediate representation, complete
    Ron,
    /// Cranelift's IR of the kernels
    Clif,
    /// Machine code of the kernels
    Asm,
    /// The network as a graph for Graphviz
    Dot,
    /// What a chip's package holds as a network of SANA-FE that computes for itself
    Sanafe,
}

impl ExecutionArgs {
    /// The first seed.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(1)
    }

    pub fn limit(&self) -> MemoryLimit {
        self.memory_limit.map_or(MemoryLimit::Default, MemoryLimit::Bytes)
    }

    pub fn threads(&self) -> usize {
        match self.threads {
            Some(n) => usize::from(n),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

fn binding(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((name.trim().to_string(), value.trim().to_string()))
        }
        _ => Err("write NAME=VALUE, such as g=4.5".to_string()),
    }
}

/// A number of bytes: `4GiB`, `500 MB`, `1e9`.
fn memory(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 10] = [
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
        ("kB", 1e3),
        ("KB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("B", 1.0),
    ];
    let text = text.trim();
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1.0));
    match number.trim().parse::<f64>() {
        Ok(v) if v > 0.0 && v * factor < 1.8e19 => Ok((v * factor) as u64),
        _ => Err("write a number of bytes, such as 4GiB or 500MB".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_understood() {
        let line = "nsmc run a.nsm --set g=4.5 --set J=0.2=x --for 2s --seed 7 --memory-limit 2GiB --summary json -q";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Run(args) = cli.command else { panic!() };
        assert_eq!(args.circuit.set, [("g".to_string(), "4.5".to_string()), ("J".to_string(), "0.2=x".to_string())]);
        assert_eq!(args.execution.memory_limit, Some(2 << 30));
        assert!(cli.quiet && args.execution.seed() == 7 && args.circuit.for_time.as_deref() == Some("2s"));
        for bad in
            ["nsmc run", "nsmc run a --set g", "nsmc run a --threads 0", "nsmc run a --memory-limit -1GB", "nsmc what"]
        {
            assert_eq!(Cli::try_parse_from(bad.split(' ')).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn memory_has_units() {
        assert_eq!(memory("500 MB"), Ok(500_000_000));
        assert_eq!(memory("1e3"), Ok(1000));
        assert_eq!(memory("1.5KiB"), Ok(1536));
        assert!(memory("much").is_err() && memory("0").is_err() && memory("infB").is_err() && memory("NaN").is_err());
    }
}
