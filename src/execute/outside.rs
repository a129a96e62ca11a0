//! A process that answers for an environment, one JSON object a line.
//!
//! It is sent `{"reset": true, "seed": n}` and, for a step, an object with what `step` binds, and with `lasting` in ms where that
//! was given. It answers each line with one object. The fields that the experiment reads are checked as they arrive, so a wrong
//! answer is told where it was given.

use super::error::Halt;
use crate::backend::RunError;
use crate::ir::environment::Outside;
use crate::random::{Stream, StreamKey};
use crate::script::{EvalError, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
#[cfg(unix)]
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Bytes of one answer; a process that never ends its line must not fill the memory.
const LINE_LIMIT: u64 = 16 << 20;
/// Lines of its standard error that are kept.
const LAST_WORDS: usize = 8;
/// Characters of a line that a message shows.
const SHOWN: usize = 200;
/// How often a wait looks whether the run was stopped.
const LOOK: Duration = Duration::from_millis(100);
/// How long a process that has closed its output may take to end, and one whose input was closed.
const FAREWELL: Duration = Duration::from_millis(500);

/// The door to one process. It is started by the first reset and killed with the run.
pub(super) struct Process<'a> {
    spec: &'a Outside,
    name: String,
    key: StreamKey,
    resets: u64,
    dt_ms: f64,
    stop: &'a AtomicBool,
    link: Option<Link>,
    /// What the experiment reads, of the last answer.
    shown: Vec<Value>,
}

struct Link {
    child: Child,
    /// `None` once it is told to end.
    input: Option<ChildStdin>,
    lines: Receiver<Line>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    /// Keeps the last words until its standard error ends.
    overhearing: Option<JoinHandle<()>>,
}

enum Line {
    Text(String),
    TooLong,
    Unreadable(String),
}

/// What is wrong, before it has a place.
struct Fault {
    message: String,
    notes: Vec<String>,
    help: Option<&'static str>,
}

impl Fault {
    fn new(message: impl Into<String>) -> Fault {
        Fault { message: message.into(), notes: Vec::new(), help: None }
    }

    fn note(mut self, note: impl Into<String>) -> Fault {
        self.notes.push(note.into());
        self
    }

    fn help(self, help: &'static str) -> Fault {
        Fault { help: Some(help), ..self }
    }
}

/// Why there is no answer.
enum Unanswered {
    Fault(Fault),
    Interrupted,
}

impl From<Fault> for Unanswered {
    fn from(f: Fault) -> Unanswered {
        Unanswered::Fault(f)
    }
}

impl<'a> Process<'a> {
    pub fn new(spec: &'a Outside, name: &str, key: StreamKey, dt_ms: f64, stop: &'a AtomicBool) -> Process<'a> {
        Process { spec, name: name.to_string(), key, resets: 0, dt_ms, stop, link: None, shown: Vec::new() }
    }

    pub fn reset(&mut self, place: &str) -> Result<(), Halt> {
        // 31 bits, for what takes a signed or an unsigned seed.
        let seed = Stream::new(self.key, self.resets).next_u32() >> 1;
        self.resets += 1;
        let mut request = Map::new();
        request.insert("reset".to_string(), json!(true));
        request.insert("seed".to_string(), json!(seed));
        self.ask(&request, true, place)
    }

    pub fn step(&mut self, given: &[(&str, Value)], lasting: Option<u64>, place: &str) -> Result<(), Halt> {
        let mut request = Map::new();
        for (name, value) in given {
            let Some(value) = sent(value) else {
                let fault = Fault::new(format!("`{name}` is {}, which has no form in JSON", value.describe()));
                return Err(self.fault(fault, place));
            };
            request.insert((*name).to_string(), value);
        }
        if let Some(steps) = lasting {
            request.insert("lasting".to_string(), json!(steps as f64 * self.dt_ms));
        }
        self.ask(&request, false, place)
    }

    pub fn show(&mut self, output: u32) -> Result<Value, EvalError> {
        let found = self.shown.get(output as usize).cloned();
        found.ok_or_else(|| EvalError::new(format!("`{}` has no output number {output}", self.name)))
    }

    /// The one place through which answers come into a run.
    fn ask(&mut self, request: &Map<String, Json>, reset: bool, place: &str) -> Result<(), Halt> {
        let answer = match self.answer(request) {
            Ok(line) => line,
            Err(Unanswered::Interrupted) => return Err(Halt::Interrupted),
            Err(Unanswered::Fault(f)) => return Err(self.fault(f, place)),
        };
        match self.understand(&answer, reset) {
            Ok(shown) => {
                self.shown = shown;
                Ok(())
            }
            Err(f) => {
                let f = f.note(format!("its answer: {}", short(&answer)));
                Err(self.fault(f, place))
            }
        }
    }

    /// Why a run with it has no checkpoints.
    pub fn unsaved(&self) -> RunError {
        RunError::Outside {
            place: "the start of the run".to_string(),
            message: format!("`{}` is a process, and what a process knows is in no checkpoint", self.name),
            notes: Vec::new(),
            help: Some("run it without checkpoints, or write the environment in the language".to_string()),
        }
    }

    fn answer(&mut self, request: &Map<String, Json>) -> Result<String, Unanswered> {
        let link = match &mut self.link {
            Some(link) => link,
            None => self.link.insert(Link::start(self.spec)?),
        };
        let mut line = Json::Object(request.clone()).to_string();
        line.push('\n');
        let written = match &mut link.input {
            Some(input) => input.write_all(line.as_bytes()).and_then(|()| input.flush()),
            None => Ok(()),
        };
        if written.is_err() {
            // Its end was closed: mostly because it ended.
            return Err(link.ended(self.stop));
        }
        link.answer(Duration::from_secs_f64(self.spec.timeout_ms * 1e-3), self.stop)
    }

    /// Every field that the experiment reads.
    fn understand(&self, line: &str, reset: bool) -> Result<Vec<Value>, Fault> {
        let protocol = "a process answers each line with one JSON object on a line of its own; what else it has to say \
                        belongs to standard error";
        let answer: Json =
            serde_json::from_str(line).map_err(|e| Fault::new(format!("not JSON: {e}")).help(protocol))?;
        let Json::Object(fields) = answer else {
            return Err(Fault::new("not a JSON object").help(protocol));
        };
        self.spec.outputs.iter().map(|name| self.field(&fields, name, reset)).collect()
    }

    fn field(&self, fields: &Map<String, Json>, name: &str, reset: bool) -> Result<Value, Fault> {
        let value = match (fields.get(name), name) {
            (Some(value), _) => value,
            // At the start nothing was won, and nothing is over.
            (None, "reward") if reset => return Ok(Value::Number(0.0)),
            (None, "done") if reset => return Ok(Value::Bool(false)),
            (None, _) => return Err(Fault::new(format!("the field `{name}` is missing, and the experiment reads it"))),
        };
        let wrong = |wanted: &str| Fault::new(format!("`{name}` is no {wanted}: {}", short(&value.to_string())));
        if name == "done" {
            return value.as_bool().map(Value::Bool).ok_or_else(|| wrong("truth value"));
        }
        let number = |v: &Json| v.as_f64().or_else(|| v.as_bool().map(|b| f64::from(u8::from(b))));
        match (value, self.spec.observations.filter(|_| name == "observation")) {
            (Json::Array(items), Some(n)) => {
                if items.len() != n as usize {
                    let found = format!("`observation` has {} numbers, expected {n}", items.len());
                    return Err(Fault::new(found).help("`observations` of Exec says how many"));
                }
                let items = items.iter().map(|v| number(v).map(Value::Number)).collect::<Option<_>>();
                items.map(Value::List).ok_or_else(|| wrong("list of numbers"))
            }
            (_, Some(_)) => Err(wrong("list of numbers")),
            (Json::Array(items), None) if name == "observation" => {
                Err(Fault::new(format!("`observation` is a list of {}, expected one number", items.len()))
                    .help("say how long it is: Exec(command = \"...\", observations = 4)"))
            }
            (value, None) => number(value).map(Value::Number).ok_or_else(|| wrong("number")),
        }
    }

    fn fault(&mut self, fault: Fault, place: &str) -> Halt {
        let mut notes = fault.notes;
        let words = self.link.as_ref().map(Link::last_words).unwrap_or_default();
        if !words.is_empty() {
            notes.push(format!("its last lines on standard error:\n{}", words.join("\n")));
        }
        notes.push("what was recorded up to then is kept".to_string());
        Halt::Failed(RunError::Outside {
            place: place.to_string(),
            message: format!("`{}` (`{}`): {}", self.name, self.spec.command, fault.message),
            notes,
            help: fault.help.map(str::to_string),
        })
    }
}

impl Link {
    fn start(spec: &Outside) -> Result<Link, Fault> {
        let words = shlex::split(&spec.command).unwrap_or_default();
        let Some((program, args)) = words.split_first() else { return Err(Fault::new("no command")) };
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if !spec.folder.is_empty() && Path::new(&spec.folder).is_dir() {
            command.current_dir(&spec.folder);
        }
        // An interruption is the run's, which ends the process; and what the process started ends with it.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|e| {
            Fault::new(format!("can't be started: {e}")).help(
                "the command is a program and its arguments; it is started in the folder of the file that names it",
            )
        })?;
        let (sender, lines) = sync_channel(1);
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || listen(BufReader::new(output), &sender));
        }
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        let overhearing = child.stderr.take().map(|errors| {
            let kept = Arc::clone(&last_words);
            thread::spawn(move || overhear(BufReader::new(errors), &kept))
        });
        let input = child.stdin.take();
        Ok(Link { child, input, lines, last_words, overhearing })
    }

    fn answer(&mut self, timeout: Duration, stop: &AtomicBool) -> Result<String, Unanswered> {
        let begin = Instant::now();
        loop {
            let left = timeout.saturating_sub(begin.elapsed());
            match self.lines.recv_timeout(left.min(LOOK)) {
                Ok(Line::Text(text)) => return Ok(text),
                Ok(Line::TooLong) => {
                    return Err(Fault::new(format!("an answer of more than {LINE_LIMIT} bytes")).into());
                }
                Ok(Line::Unreadable(why)) => return Err(Fault::new(format!("its answer can't be read: {why}")).into()),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended(stop)),
                Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => return Err(Unanswered::Interrupted),
                Err(RecvTimeoutError::Timeout) if begin.elapsed() >= timeout => {
                    let fault = Fault::new(format!("no answer within {} s", timeout.as_secs_f64()));
                    let help = "does it flush its output after each line (in Python: print(..., flush=True))? Time it needs \
                                beyond that is given by `timeout` of Exec";
                    return Err(fault.help(help).into());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// It closed its output, or its input.
    fn ended(&mut self, stop: &AtomicBool) -> Unanswered {
        let how = match self.wait(FAREWELL) {
            Some(status) => format!("it ended ({status}) without an answer"),
            None => "it closed its output without an answer".to_string(),
        };
        // What it said at last may still be on its way; what it has started may keep the way open.
        let begin = Instant::now();
        while self.overhearing.as_ref().is_some_and(|thread| !thread.is_finished()) && begin.elapsed() < FAREWELL {
            thread::sleep(Duration::from_millis(2));
        }
        // What stops the run may have stopped the process, too.
        if stop.load(Ordering::Relaxed) { Unanswered::Interrupted } else { Fault::new(how).into() }
    }

    fn wait(&mut self, longest: Duration) -> Option<ExitStatus> {
        let begin = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if begin.elapsed() < longest => thread::sleep(Duration::from_millis(2)),
                _ => return None,
            }
        }
    }

    fn last_words(&self) -> Vec<String> {
        let kept = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The end of its input is the polite word; a process that does not hear it is killed, with what it has started.
        self.input = None;
        if self.wait(FAREWELL).is_none() {
            #[cfg(unix)]
            if let Ok(group) = i32::try_from(self.child.id()) {
                // Nobody has waited for it, so the number is its own still. Fails where it has just ended.
                let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL);
            }
            // Both fail only where it has just ended.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Hands over what the process writes, line by line, until it or the run ends.
fn listen(mut output: impl BufRead, lines: &SyncSender<Line>) {
    loop {
        let mut bytes = Vec::new();
        let line = match output.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut bytes) {
            Ok(0) => return,
            Ok(_) if bytes.last() != Some(&b'\n') && bytes.len() as u64 == LINE_LIMIT => Line::TooLong,
            Ok(_) => match String::from_utf8(bytes) {
                Ok(text) => Line::Text(text.trim().to_string()),
                Err(_) => Line::Unreadable("it is not UTF-8 text".to_string()),
            },
            Err(e) => Line::Unreadable(e.to_string()),
        };
        let last = !matches!(line, Line::Text(_));
        if lines.send(line).is_err() || last {
            return;
        }
    }
}

/// Keeps the last lines of its standard error.
fn overhear(mut errors: impl BufRead, kept: &Mutex<VecDeque<String>>) {
    loop {
        let mut bytes = Vec::new();
        match errors.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut bytes) {
            Ok(n) if n > 0 => {}
            _ => return,
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == LAST_WORDS {
            kept.pop_front();
        }
        kept.push_back(short(String::from_utf8_lossy(&bytes).trim_end()));
    }
}

/// A value as JSON: whole numbers without a point, for those who take an index.
fn sent(value: &Value) -> Option<Json> {
    match value {
        Value::Number(v) if v.trunc() == *v && v.abs() < 9.0e15 => Some(json!(*v as i64)),
        Value::Number(v) if v.is_finite() => Some(json!(v)),
        Value::Number(_) => None,
        Value::Bool(b) => Some(json!(b)),
        Value::Text(t) => Some(json!(t)),
        Value::List(items) => items.iter().map(sent).collect::<Option<_>>().map(Json::Array),
        Value::Mask(flags) => Some(json!(flags)),
    }
}

fn short(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN).collect();
    if out.len() < text.len() {
        out.push_str(" ...");
    }
    out
}
