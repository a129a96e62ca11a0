//! The command line: one file per command, and all of the program's input and output.
//!
//! Everything here takes for granted that the rooms below never panic on input; if one does, that is a bug, the hook says so
//! and the exit status is 101. Text for people goes to standard error except for results, which go to standard output; with
//! `--summary json` and `--message-format json` standard output holds JSON alone.

mod alike;
mod args;
mod artefact;
mod balance;
mod budget;
mod check;
mod checkpoint;
mod chip;
mod codes;
mod compile;
mod completions;
mod doc;
mod dot;
mod explain;
mod files;
mod format;
mod graph;
mod job;
mod loader;
mod manifest;
mod messages;
mod new;
mod nir;
mod output;
mod pool;
mod progress;
mod project;
mod render;
mod report;
mod run;
mod source;
mod target;
mod terminal;
mod test;

pub use codes::{CLI_CODES, unreadable};
pub use explain::{PAGES, markdown};
pub use loader::FileLoader;
pub use render::plain;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;
use terminal::Terminal;

/// How a command ended. Ordered: of several, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    /// 0
    Fine,
    /// 1: the circuit is wrong or an expectation failed.
    Wrong,
    /// 2: usage or files, a damaged artefact among them.
    Usage,
    /// 3: a run failed.
    Failed,
    /// 130: interrupted, after what was recorded was written.
    Interrupted,
}

impl Status {
    fn code(self) -> u8 {
        match self {
            Status::Fine => 0,
            Status::Wrong => 1,
            Status::Usage => 2,
            Status::Failed => 3,
            Status::Interrupted => 130,
        }
    }
}

/// Deep circuits recurse deeply: as deep as the language allows, in every room. Pages that aren't touched cost nothing.
const STACK: usize = 256 << 20;

/// Runs `nsmc` with the arguments of the process.
pub fn main() -> ExitCode {
    terminal::install_panic_hook();
    let worker = std::thread::Builder::new().name("nsmc".to_string()).stack_size(STACK).spawn(command);
    match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => ExitCode::from(code),
        // The hook has told why.
        Ok(Err(_)) => ExitCode::from(101),
        Err(e) => {
            terminal::err(&format!("nsmc: no thread could be started: {e}\n"));
            ExitCode::from(Status::Failed.code())
        }
    }
}

fn command() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let text = e.render();
            match e.use_stderr() {
                true => terminal::err(&text.to_string()),
                false => terminal::out(&text.to_string()),
            }
            return if e.use_stderr() { Status::Usage.code() } else { Status::Fine.code() };
        }
    };
    let terminal = Terminal::new(cli.color, cli.quiet);
    let status = match &cli.command {
        Command::Check(args) => check::check(args, &terminal),
        Command::Compile(args) => compile::compile(args, &terminal),
        Command::Run(args) => run::run(args, &terminal),
        Command::Test(args) => test::test(args, &terminal),
        Command::Fmt(args) => format::fmt(args, &terminal),
        Command::Explain(args) => explain::explain(args),
        Command::Doc(args) => doc::doc(args, &terminal),
        Command::Graph(args) => graph::graph(args, &terminal),
        Command::Import(args) => nir::import(args, &terminal),
        Command::New(args) => new::new(&args.dir, &terminal),
        Command::Completions(args) => completions::completions(args.shell),
    };
    if status == Status::Fine && !terminal::complete() { Status::Failed.code() } else { status.code() }
}
