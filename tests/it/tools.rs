//! What authors use beside compiling and running: pages, drawings, completions, layout, messages for programs.

use crate::common::{corpus, fresh_root};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn run_with(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nsmc"))
        .args(args)
        .env("NO_COLOR", "1")
        .current_dir(fresh_root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nsmc starts");
    // A command that doesn't read leaves the pipe: that is no failure of the test.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn run(args: &[&str]) -> Output {
    run_with(args, "")
}

fn stdout(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nsm-tools-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("temporary folder");
    path
}

/// The tags of a text in their order, if every one is closed where it must be.
fn balanced(text: &str) -> Result<usize, String> {
    const VOID: [&str; 4] = ["meta", "br", "mspace", "!DOCTYPE"];
    let mut open: Vec<&str> = Vec::new();
    let mut count = 0;
    for part in text.split('<').skip(1) {
        let tag = part.split_once('>').ok_or("a tag without an end")?.0;
        let word = tag.split([' ', '\n', '/']).find(|w| !w.is_empty()).unwrap_or("");
        if tag.starts_with('/') {
            if open.pop() != Some(word) {
                return Err(format!("</{word}> closes {open:?}"));
            }
        } else if !tag.ends_with('/') && !VOID.contains(&word) {
            open.push(word);
        }
        count += 1;
    }
    if open.is_empty() { Ok(count) } else { Err(format!("{open:?} stay open")) }
}

#[test]
fn every_file_of_the_corpus_has_a_page() {
    for file in corpus().iter().filter(|f| f.starts_with("examples") || f.starts_with("stdlib")) {
        let out = run(&["doc", file, "-o", "-"]);
        assert_eq!(out.status.code(), Some(0), "{file}: {}", stderr(&out));
        let page = stdout(&out);
        let tags = balanced(&page).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(tags > 20, "{file}");
        let text = std::fs::read_to_string(file).expect("readable");
        // A region by itself is drawn where an experiment of the file runs it.
        let has = |word: &str| text.contains(word);
        let drawn = has("\nnetwork ") || has("\nregion ") && has("\nexperiment ");
        assert_eq!(page.contains("<svg"), drawn, "{file}");
        assert!(!page.contains("<script") && !page.contains("http://") || page.contains("http://www.w3.org"), "{file}");
    }
    let page = stdout(&run(&["doc", "stdlib/neurons/lif_cuba.nsm", "-o", "-"]));
    for part in ["voltage (mV)", "membrane time constant", "<mfrac>", "receptor <code>exc</code>", "0 ms</code> .. "] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_library_whose_params_wait_for_a_user_has_a_page_without_drawing() {
    let text = "use std.neurons.LifDelta\n\nnetwork Part {\n    param n: number\n    population E[n]: LifDelta\n}\n";
    let out = run_with(&["doc", "-"], text);
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert!(stdout(&out).contains("must be given") && !stdout(&out).contains("<svg"));
    let wrong = run_with(&["doc", "-"], "neuron A { state V = 1 mV; V' = V }\n");
    assert_eq!((wrong.status.code(), stdout(&wrong).as_str()), (Some(1), ""));
}

#[test]
fn a_drawing_shows_every_population_and_is_the_same_every_time() {
    let f = folder("graph");
    let path = f.join("brunel.svg");
    let draw = || {
        let out = run(&["graph", "examples/brunel.nsm", "-o", &path.to_string_lossy()]);
        assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
        std::fs::read_to_string(&path).expect("the drawing")
    };
    let svg = draw();
    assert_eq!(svg, draw());
    balanced(&svg).expect("well-formed");
    for part in ["10000 × LifDelta", ">drive<", "inhibits"] {
        assert!(svg.contains(part), "{part}");
    }
    // E -> E and E -> I excite, I -> E and I -> I inhibit, the drive reaches both.
    assert_eq!(svg.matches("class=\"e x\" d=").count(), 2 + 1, "{svg}");
    assert_eq!(svg.matches("class=\"e i\" d=").count(), 2 + 1, "{svg}");
    assert_eq!(svg.matches("class=\"e x own\" d=").count(), 2 + 1, "{svg}");
    // What a loop made is one edge, and the trains that a private source has for a slice are that source.
    let chain = stdout(&run(&["graph", "examples/chain.nsm", "-o", "-"]));
    assert!(chain.contains("of this and 8 more projections") && !chain.contains("volley@"), "{chain}");
    assert_eq!(run(&["graph", "stdlib/neurons/passive_cable.nsm"]).status.code(), Some(2));
}

/// A figure with everything that a drawing can show: regions in regions, circles, loops, edges across boxes.
#[test]
fn regions_are_boxes() {
    use nsm::graph::{Cell, Edge, Figure, Sign, draw};
    let cell = |path: &str, size: Option<u32>| {
        let model = if path.starts_with("cortex.in") || size.is_none() { "Poisson" } else { "LifCuba" };
        Cell { path: path.to_string(), model: model.to_string(), source: model == "Poisson", size }
    };
    let nodes = vec![
        cell("drive", None),
        cell("cortex.input", Some(100)),
        cell("cortex.E", Some(800)),
        cell("cortex.I", Some(200)),
        cell("bg.D1", Some(300)),
        cell("bg.D2", Some(300)),
        cell("bg.pallidum.GPe", Some(100)),
        cell("bg.pallidum.GPi", Some(100)),
        cell("bg.STN", Some(100)),
        cell("thal", Some(100)),
    ];
    let links = [
        (0, 2, Sign::Excites),
        (1, 2, Sign::Excites),
        (2, 2, Sign::Excites),
        (2, 3, Sign::Excites),
        (3, 2, Sign::Inhibits),
        (3, 3, Sign::Inhibits),
        (2, 4, Sign::Excites),
        (2, 5, Sign::Excites),
        (2, 8, Sign::Excites),
        (4, 7, Sign::Inhibits),
        (5, 6, Sign::Inhibits),
        (6, 8, Sign::Inhibits),
        (8, 6, Sign::Excites),
        (8, 7, Sign::Excites),
        (6, 7, Sign::Inhibits),
        (7, 9, Sign::Inhibits),
        (9, 2, Sign::Mixed),
        (0, 9, Sign::Excites),
    ];
    let edges = links.iter().enumerate().map(|(k, (from, to, sign))| Edge {
        path: format!("p{k}"),
        from: *from,
        to: *to,
        sign: *sign,
        synapses: (*from > 0).then_some(100.0 * 3f64.powi(k as i32 % 8)),
        note: format!("p{k}"),
    });
    let figure = Figure { name: "Loop".to_string(), edges: edges.collect(), nodes };
    insta::assert_snapshot!("drawing", draw::svg(&figure));
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let out = run(&["completions", shell]);
        assert_eq!(out.status.code(), Some(0));
        assert!(stdout(&out).contains("message-format"), "{shell}");
    }
    assert_eq!(run(&["completions", "none"]).status.code(), Some(2));
}

const LOOSE: &str = "let a=1   // kept\nlet b   = 2\n";

#[test]
fn layout_is_checked_shown_and_given() {
    let f = folder("fmt");
    let (a, b) = (f.join("a.nsm"), f.join("b.nsm"));
    std::fs::write(&a, LOOSE).expect("temporary file");
    std::fs::write(&b, "let c = 3\n").expect("temporary file");
    let names = [a.to_string_lossy().into_owned(), b.to_string_lossy().into_owned()];
    let out = run(&["fmt", "--check", &names[0], &names[1]]);
    assert_eq!(out.status.code(), Some(1));
    for line in ["-let a=1   // kept", "+let a = 1    // kept", "+let b = 2"] {
        let found = stdout(&out).lines().any(|l| l.split_whitespace().eq(line.split_whitespace()));
        assert!(found, "{line} in {}", stdout(&out));
    }
    assert!(!stdout(&out).contains("b.nsm") && stderr(&out).contains("a.nsm: not in its layout"));
    assert_eq!(std::fs::read_to_string(&a).expect("a.nsm"), LOOSE, "checking changes nothing");

    let given = run_with(&["fmt", "-"], LOOSE);
    assert_eq!(given.status.code(), Some(0));
    assert!(stdout(&given).starts_with("let a = 1") && stdout(&given).contains("// kept"));
    assert_eq!(run_with(&["fmt", "--check", "-"], &stdout(&given)).status.code(), Some(0));

    assert_eq!(run(&["fmt", &f.to_string_lossy()]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&a).expect("a.nsm"), stdout(&given));
    assert_eq!(run(&["fmt", "--check", &names[0], &names[1]]).status.code(), Some(0));
}

#[test]
fn every_command_tells_its_findings_as_json() {
    let f = folder("json");
    let file = f.join("wrong.nsm");
    std::fs::write(&file, "network A {\n    param V = 20 mv\n}\n").expect("temporary file");
    let file = file.to_string_lossy().into_owned();
    for command in ["check", "compile", "run", "test", "doc", "graph"] {
        let out = run(&[command, &file, "--message-format", "json"]);
        assert_eq!(out.status.code(), Some(1), "{command}: {}", stderr(&out));
        let lines: Vec<serde_json::Value> = stdout(&out)
            .lines()
            .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{command}: {e}: {l}")))
            .collect();
        assert_eq!(lines.len(), 1, "{command}");
        let m = &lines[0];
        assert_eq!((m["code"]["code"].as_str(), m["level"].as_str()), (Some("E0301"), Some("error")), "{command}");
        assert!(m["code"]["explanation"].as_str().is_some_and(|e| e.starts_with("# E0301")));
        let span = &m["spans"][0];
        assert_eq!((span["line_start"].as_u64(), span["column_start"].as_u64()), (Some(2), Some(18)), "{span}");
        assert_eq!(span["is_primary"].as_bool(), Some(true));
        assert!(m["children"].as_array().is_some_and(|c| c.iter().any(|k| k["level"] == "help")), "{m}");
    }
    // `fmt` has nothing to say of units; syntax it reads.
    let out = run_with(&["fmt", "-", "--message-format", "json"], "let a = = 1\n");
    let m: serde_json::Value = serde_json::from_str(stdout(&out).trim()).expect("one object");
    assert_eq!((out.status.code(), m["code"]["code"].as_str()), (Some(1), Some("E0001")));
    // A file that is not there is a finding too, without a place.
    let out = run(&["run", "nowhere.nsm", "--message-format", "json"]);
    let m: serde_json::Value = serde_json::from_str(stdout(&out).trim()).expect("one object");
    assert_eq!((out.status.code(), m["code"]["code"].as_str()), (Some(2), Some("E0801")));
    // Results for people go to the other stream.
    let out = run(&["run", "examples/lif.nsm", "--message-format", "json"]);
    assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(0), ""), "{}", stderr(&out));
    assert!(stderr(&out).contains("population"));
}

#[test]
fn all_pages_are_one_page() {
    let out = run(&["explain", "--all", "--markdown"]);
    assert_eq!(stdout(&out), nsm::cli::markdown());
    assert_eq!(run(&["explain", "E0302", "--all"]).status.code(), Some(2));
}
