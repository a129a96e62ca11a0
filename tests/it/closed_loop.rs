//! Environments: a process at the other end, good, dead, silent or lying; checkpoints; Gymnasium where it is installed.

use crate::lab::{Files, INTERP, Lab, NATIVE, Place};
use nsm::backend::RunError;
use nsm::driver::{self, MemoryLimit, Options};
use nsm::execute::{self, Checkpoint, Control, Needs, Origin, RunOutcome, Saving, needs};
use std::cell::RefCell;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A circuit whose experiment asks `sh SCRIPT`, with `observations` and `timeout` as given.
fn asking(folder: &Path, script: &str, args: &str) -> Lab {
    let path = folder.join("task.sh");
    std::fs::write(&path, script).expect("script");
    let command = format!("sh '{}'", path.display());
    let text = format!(
        "use std.environments.Exec\nuse std.neurons.LifCuba\n\
         network N {{ dt 1 ms\n population E[3]: LifCuba(bias = 25 mV) }}\n\
         experiment Ask of N {{\n\
             environment task: Exec(command = \"{command}\"{args})\n\
             record spikes of E\n\
             for trial in 0 .. 3 {{\n\
                 simulate 30 ms\n\
                 step task(action = trial)\n\
                 measure reward = task.reward + sum(task.observation)\n\
             }}\n\
         }}\n"
    );
    Lab::of(&Files::new(&text), &Options::default())
}

fn run(lab: &Lab, stop: &AtomicBool, saving: Option<Saving>) -> RunOutcome {
    run_on(lab, INTERP, stop, saving)
}

fn run_on(lab: &Lab, place: Place, stop: &AtomicBool, saving: Option<Saving>) -> RunOutcome {
    let (unit, point) = (lab.unit(), &lab.job.points[0]);
    let Needs { spikes, traces } = needs(unit, point, true).expect("needs");
    let made = driver::engine(unit, 1, traces, &spikes, place.backend, place.threads, MemoryLimit::Default);
    let (mut engine, _) = made.expect("engine");
    execute::go_on(
        unit,
        point,
        1,
        engine.as_mut(),
        &Control { stop, progress: &|_| {}, quick: false, memory: f64::INFINITY },
        saving,
    )
}

fn values(outcome: &RunOutcome, measure: &str) -> Vec<f64> {
    let rows = &outcome.rows;
    rows.list.iter().filter(|r| rows.measures[r.measure].0 == measure).map(|r| r.value).collect()
}

/// The message of the error with which such a process ends a run; what was recorded before is kept.
fn complaint(script: &str, args: &str) -> String {
    let folder = tempfile::tempdir().expect("folder");
    let outcome = run(&asking(folder.path(), script, args), &AtomicBool::new(false), None);
    let error = outcome.error.expect("an error");
    let d = execute::diagnostic(&error, outcome.dt_ms);
    assert_eq!(d.code.0, "E0706", "{d:?}");
    format!("{}; {}; {}", d.message, d.notes.join("; "), d.help.unwrap_or_default())
}

#[test]
fn a_process_answers_line_by_line() {
    let folder = tempfile::tempdir().expect("folder");
    let script = r#"
while read line; do
    echo "$line" >> "$0.log"
    echo '{"observation": [1, 2.5], "reward": true, "done": false, "more": "is left alone"}'
done
"#;
    let lab = asking(folder.path(), script, ", observations = 2");
    let outcome = run(&lab, &AtomicBool::new(false), None);
    assert_eq!(outcome.error, None);
    assert_eq!(values(&outcome, "reward"), [4.5, 4.5, 4.5]);
    let said = std::fs::read_to_string(folder.path().join("task.sh.log")).expect("log");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert!(lines[0].starts_with(r#"{"reset":true,"seed":"#), "{said}");
    assert_eq!(lines[1..], [r#"{"action":0}"#, r#"{"action":1}"#, r#"{"action":2}"#]);
}

#[test]
fn a_process_that_is_dead_silent_or_lying_is_told_apart() {
    let answer = |text: &str| format!("while read line; do echo '{text}'; done\n");
    let good = r#"{"observation": [1, 2], "reward": 1, "done": false}"#;
    let cases = [
        ("echo 'no module named gymnasium' >&2; exit 3\n".to_string(), "ended (exit status: 3) without an answer"),
        ("echo 'no module named gymnasium' >&2; exit 3\n".to_string(), "no module named gymnasium"),
        ("exec 1>&-; while read line; do true; done\n".to_string(), "closed its output"),
        ("while read line; do sleep 30; done\n".to_string(), "no answer within 0.3 s"),
        (answer("hello"), "not JSON"),
        (answer("[1, 2]"), "not a JSON object"),
        (answer(r#"{"observation": [NaN, 1], "reward": 1}"#), "not JSON"),
        (answer(r#"{"observation": [1e999, 1], "reward": 1}"#), "not JSON"),
        (answer(r#"{"observation": [1, 2, 3], "reward": 1}"#), "`observation` has 3 numbers, expected 2"),
        (answer(r#"{"observation": 1, "reward": 1}"#), "`observation` is no list of numbers"),
        (answer(r#"{"observation": ["a", 2], "reward": 1}"#), "`observation` is no list of numbers"),
        (answer(r#"{"observation": [1, 2], "reward": "much"}"#), "`reward` is no number"),
        (answer(r#"{"reward": 1}"#), "the field `observation` is missing"),
        (format!("read line; echo '{good}'; read line; exit 0\n"), "ended (exit status: 0) without an answer"),
    ];
    for (script, expected) in cases {
        let found = complaint(&script, ", observations = 2, timeout = 300 ms");
        assert!(found.contains(expected), "expected {expected}\nfound {found}\nof {script}");
        assert!(found.contains("what was recorded up to then is kept"), "{found}");
    }
}

#[test]
fn what_was_recorded_before_a_process_died_is_kept() {
    let folder = tempfile::tempdir().expect("folder");
    let good = r#"{"observation": [1], "reward": 1, "done": false}"#;
    let script = format!("for k in 1 2 3; do read line; echo '{good}'; done\n");
    let outcome = run(&asking(folder.path(), &script, ", observations = 1"), &AtomicBool::new(false), None);
    assert!(matches!(outcome.error, Some(RunError::Outside { .. })), "{:?}", outcome.error);
    assert_eq!(outcome.steps, 90);
    assert_eq!(values(&outcome, "reward").len(), 2);
    assert!(outcome.populations[0].spikes > 0);
    assert!(!outcome.recording.spikes.is_empty());
}

#[test]
fn a_silent_process_is_killed_and_reaped() {
    let folder = tempfile::tempdir().expect("folder");
    // It holds its input and its output, and does not end by itself.
    let script = "echo $$ > \"$0.pid\"\ntrap '' TERM\nwhile true; do sleep 1; done\n";
    let lab = asking(folder.path(), script, ", observations = 1, timeout = 300 ms");
    let begin = Instant::now();
    let outcome = run(&lab, &AtomicBool::new(false), None);
    assert!(outcome.error.is_some());
    assert!(begin.elapsed() < Duration::from_secs(20));
    let pid = std::fs::read_to_string(folder.path().join("task.sh.pid")).expect("pid");
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "process {pid} is still there");
}

#[test]
fn an_interruption_ends_a_wait() {
    let folder = tempfile::tempdir().expect("folder");
    let lab = asking(folder.path(), "while read line; do sleep 60; done\n", ", observations = 1");
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    let outcome = std::thread::scope(|s| {
        s.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            stop.store(true, Ordering::Relaxed);
        });
        run(&lab, &stop, None)
    });
    assert!(outcome.interrupted, "{:?}", outcome.error);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_command_that_does_not_exist_is_told() {
    let text = "use std.environments.Exec\nuse std.neurons.LifCuba\n\
                network N { population E[3]: LifCuba }\n\
                experiment Ask of N { environment task: Exec(command = \"no-such-program-at-all\")\n\
                step task(action = 0)\nmeasure reward = task.reward }\n";
    let outcome = run(&Lab::new(text), &AtomicBool::new(false), None);
    let Some(RunError::Outside { message, .. }) = outcome.error else { panic!("{:?}", outcome.error) };
    assert!(message.contains("can't be started"), "{message}");
}

/// A walk through a grid and a swinging pendulum, which both draw.
fn worlds() -> Lab {
    let text = "
use std.environments.(GridWorld, Pendulum)
use std.neurons.LifCuba

network N {
    dt 1 ms
    sensor place[cell: 9]: number = 0
    population E[cell: 9]: LifCuba(bias = 20 mV + 5 mV * place[cell], sigma = 2 mV)
    actuator move = argmax(count(E by cell over 20 ms))
}

experiment Both of N {
    environment maze: GridWorld(size = 3)
    environment plant: Pendulum
    for episode in 0 .. 4 {
        reset maze
        repeat 12 until maze.done {
            set place = maze.place
            simulate 20 ms
            let go = move
            step maze(action = go - 4 * floor(go / 4))
            step plant(u = normal(0, 1) * 1 s^-2) lasting 20 ms
        }
        measure walked = maze.steps
        measure start = maze.shortest
        measure angle = plant.theta
    }
}
";
    Lab::new(text)
}

#[test]
fn environments_go_on_from_a_checkpoint() {
    let lab = worlds();
    let never = AtomicBool::new(false);
    let whole = run_on(&lab, NATIVE, &never, None);
    assert_eq!(whole.error, None);
    assert!(whole.steps > 100);
    let origin = || Origin::of(&lab.job, 0, 1, true).expect("origin");
    let kept: RefCell<Vec<Checkpoint>> = RefCell::default();
    let keep = |c: &Checkpoint| kept.borrow_mut().push(c.clone());
    let saving = Saving { origin: origin(), from: None, every: Some(50), write: Some(&keep) };
    let saved = run_on(&lab, NATIVE, &never, Some(saving));
    assert_eq!(saved.rows, whole.rows);
    let kept = kept.into_inner();
    assert!(kept.len() > 2);
    for checkpoint in [&kept[0], &kept[kept.len() / 2]] {
        let mut bytes = Vec::new();
        checkpoint.write(&mut bytes).expect("written");
        let from = Checkpoint::read(&bytes).expect("read");
        let saving = Saving { origin: origin(), from: Some(from), every: None, write: None };
        let resumed = run_on(&lab, INTERP, &never, Some(saving));
        assert_eq!(resumed.error, None);
        assert_eq!(resumed.rows, whole.rows, "from {} ms", checkpoint.time_ms());
        assert_eq!(resumed.steps, whole.steps);
    }
}

#[test]
fn a_process_is_in_no_checkpoint() {
    let folder = tempfile::tempdir().expect("folder");
    let lab = asking(folder.path(), "while read line; do echo '{}'; done\n", ", observations = 1");
    let origin = Origin::of(&lab.job, 0, 1, true).expect("origin");
    let saving = Saving { origin, from: None, every: Some(10), write: Some(&|_| panic!("a checkpoint")) };
    let outcome = run(&lab, &AtomicBool::new(false), Some(saving));
    let Some(RunError::Outside { message, .. }) = outcome.error else { panic!("{:?}", outcome.error) };
    assert!(message.contains("in no checkpoint"), "{message}");
    assert_eq!(outcome.steps, 0);
}

/// Chances as they are stated: 4000 pulls of the best arm, whose standard error is 0.0047, and of another one.
#[test]
fn a_bandit_pays_as_it_says() {
    let text = "use std.environments.Bandit\nuse std.neurons.LifCuba\n\
                network N { population E[1]: LifCuba }\n\
                experiment Pull of N {\n\
                    environment task: Bandit(arms = 4, contexts = 3)\n\
                    var won = 0; var other = 0\n\
                    repeat 4000 { step task(action = task.best); won += task.reward; expect task.correct == 1 }\n\
                    repeat 4000 {\n\
                        let arm = if task.best == 0 then 1 else 0\n\
                        step task(action = arm); other += task.reward; expect task.correct == 0\n\
                    }\n\
                    measure best = won / 4000; measure rest = other / 4000\n\
                    expect task.pulls == 8000; expect sum(task.cue) == 1\n\
                }\n";
    let lab = Lab::new(text);
    let ran = lab.run(INTERP);
    let of = |name: &str| values(&ran.outcome, name)[0];
    assert!((of("best") - 0.9).abs() < 4.0 * 0.0048, "{}", of("best"));
    assert!((of("rest") - 0.1).abs() < 4.0 * 0.0048, "{}", of("rest"));
    assert!(ran.outcome.expectations.all_hold());
}

#[test]
fn gymnasium_balances_a_pole() {
    let known = Command::new("python3").args(["-c", "import gymnasium"]).output();
    if !known.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: python3 has no gymnasium (pip install gymnasium)");
        return;
    }
    let ran = Command::new(env!("CARGO_BIN_EXE_nsmc"))
        .args(["test", "--quick", "examples/closed_loop/cartpole.nsm"])
        .output()
        .expect("nsmc");
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
}
