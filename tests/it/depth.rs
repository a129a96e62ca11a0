//! No input overflows the stack, of whatever thread and build.

use crate::lab::{Files, INTERP, Lab, NATIVE};
use nsm::driver::{self, Options};

/// On the least stack that a thread of the standard library has.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).expect("a thread");
    thread.join().expect("no overflow and no failed assertion");
}

/// Codes of the findings, each once.
fn codes(text: &str) -> Vec<&'static str> {
    let out = driver::compile(&Files::new(text), "main.nsm", &Options::default());
    let mut codes: Vec<&str> = out.diagnostics.iter().map(|d| d.code.0).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

const CELLS: &str = "neuron Cell { param p = 0; state V = 0; V' = p / 1 ms }\n";

#[test]
fn text_nested_ten_thousand_deep_is_refused() {
    on_a_small_stack(|| {
        let n = 10_000;
        let nested = |open: &str, core: &str, close: &str| format!("{}{core}{}", open.repeat(n), close.repeat(n));
        let network = |items: &str| format!("{CELLS}network N {{ population E[1]: Cell; {items} }}");
        let run = |body: &str| format!("{}\nexperiment X of N {{ {body} }}", network(""));
        for text in [
            network(&format!("let x = {}", nested("(", "1", ")"))),
            network(&format!("let x = {}", nested("exp(", "1", ")"))),
            network(&format!("let x = {}", nested("-", "1", ""))),
            network(&format!("let x = {}", nested("1 + ", "1", ""))),
            network(&format!("let x = {}", nested("if true then 1 else ", "1", ""))),
            network(&nested("if true { ", "", " }")),
            network(&nested("for i in 0 .. 1 { ", "", " }")),
            run(&nested("if t > 0 ms { ", "simulate 1 ms", " }")),
            run(&nested("repeat 2 { ", "simulate 1 ms", " }")),
            run(&nested("if t > 0 ms { simulate 1 ms } else ", "{ simulate 1 ms }", "")),
        ] {
            let found = codes(&text);
            assert!(found.contains(&"E0002"), "{found:?}: {}", &text[..200]);
        }
    });
}

/// Definitions that name the next one, up to far more than a stack would hold.
#[test]
fn long_chains_of_definitions_are_refused() {
    on_a_small_stack(|| {
        let n = 10_000;
        let chain = |head: &str, of: fn(usize) -> String, last: &str| {
            let all: String = (0..n).map(|k| format!("{head}{}\n", of(k))).collect();
            format!("{CELLS}{all}{head}{last}\nnetwork N {{ population E[1]: Cell(p = a0) }}")
        };
        let lets = chain("let ", |k| format!("a{k} = a{} + 1", k + 1), "a10000 = 1");
        assert!(codes(&lets).contains(&"E0513"));
        let functions = chain("let ", |k| format!("a{k}(x) = a{}(x) + 1", k + 1), "a10000(x) = x");
        assert!(codes(&functions.replace("p = a0", "p = a0(1)")).contains(&"E0513"));
        let one_by_one: String =
            (0..150).map(|k| format!("let a{k} = {}a{}{}\n", "1 + (".repeat(20), k + 1, ")".repeat(20))).collect();
        let deep =
            format!("{CELLS}network N {{ {one_by_one} let a150 = uniform(0, 1); population E[1]: Cell(p = a0) }}");
        assert!(codes(&deep).contains(&"E0513"), "an expression of 3000 levels");
    });
}

/// What the language allows is compiled and run.
#[test]
fn the_deepest_circuit_runs_on_a_small_stack() {
    on_a_small_stack(|| {
        let deep = |core: &str| format!("{}{core}{}", "(1 + ".repeat(120), ")".repeat(120));
        let lets: String =
            (0..30).map(|k| format!("let a{k} = {}a{}{}\n", "0.5 * (1 + ".repeat(4), k + 1, ")".repeat(4))).collect();
        let text = format!(
            "neuron Cell {{ param p = 0; {lets} let a30 = V * p; state V = 1; V' = (a0 - {}) / 1 s }}
network N {{ param q = {}; sensor s: number = 0; population E[2]: Cell(p = q) }}
experiment X of N {{
    set s = {}
    simulate 5 ms
    if {} > 0 {{ measure m = {} }}
    measure v = mean(E.V)
}}",
            deep("V"),
            deep("1"),
            deep("2"),
            deep("s"),
            deep("s")
        );
        let lab = Lab::new(&text);
        let rows = [INTERP, NATIVE].map(|place| {
            let ran = lab.run(place);
            ran.outcome.rows.list.iter().map(|r| r.value).collect::<Vec<_>>()
        });
        assert_eq!(rows[0][0], 242.0);
        assert_eq!(rows[0], rows[1]);
    });
}
