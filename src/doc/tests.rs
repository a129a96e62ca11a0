//! Pages are well-formed, complete and free of what a file could smuggle into them.

use super::*;
use crate::base::SourceMap;
use crate::syntax;

fn page_of(text: &str) -> String {
    let mut sources = SourceMap::default();
    let id = sources.add("dir/a.nsm", text);
    let parsed = syntax::parse(id, text);
    assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
    let program = hir::Program::default();
    let drawings = vec![("Net".to_string(), "<svg class=\"drawing\"></svg>\n".to_string())];
    page(&Source { file: &parsed.file, id, sources: &sources, program: &program, drawings })
}

fn formula(text: &str) -> String {
    let file = format!("let a = {text}\n");
    let parsed = syntax::parse(FileId(0), &file);
    assert!(parsed.errors.is_empty(), "{text}: {:?}", parsed.errors);
    let ast::ItemKind::Let(l) = &parsed.file.items[0].kind else { panic!("{text}") };
    mathml::expr(&l.value)
}

/// Tags that are opened and closed in the wrong order, if any.
fn unbalanced(html: &str) -> Option<String> {
    const VOID: [&str; 4] = ["meta", "br", "mspace", "!DOCTYPE"];
    let mut open: Vec<&str> = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, _) = part.split_once('>')?;
        let word = tag.split([' ', '\n']).next().unwrap_or(tag);
        let name = word.trim_end_matches('/');
        if let Some(closed) = name.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Some(format!("</{closed}> after {open:?}"));
            }
        } else if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    (!open.is_empty()).then(|| format!("{open:?}"))
}

const CELL: &str = "/// A cell & its `V`.\n///\n/// - `tau_m`: membrane time constant\nneuron Cell {\n    param tau_m = 20 ms in 1 ms .. 1 s\n\
    state V = -65 mV   // membrane\n    input I: voltage\n    V' = (I - V) / tau_m\n    receptor exc(w: voltage) { V += w }\n\
    spike when V >= 20 mV { V = 0 mV }\n    refractory 2 ms holds V\n}\n";

#[test]
fn a_model_is_described() {
    let page = page_of(CELL);
    assert_eq!(unbalanced(&page), None);
    for part in [
        "<p>A cell &amp; its <code>V</code>.</p>",
        "<msub><mi>τ</mi><mrow><mi>m</mi></mrow></msub>",
        "membrane time constant",
        "<code>1 ms</code> .. <code>1 s</code>",
        "<msup><mi>V</mi><mo>′</mo></msup><mo>=</mo><mfrac>",
        "receptor <code>exc</code>",
        "weight: voltage",
        "spike when <math><mrow><mi>V</mi><mo>≥</mo>",
        "refractory for",
        "<td>membrane</td>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("<script") && page.contains("prefers-color-scheme:dark"));
}

#[test]
fn a_circuit_and_its_experiment_are_described() {
    let text = format!(
        "{CELL}\n/// A net.\nnetwork Net {{\n    param n = 3\n    /// the only one\n    population E[pool: 2, cell: n]: Cell(tau_m = 10 ms)\n\
         projection rec: E -> E.exc {{ connect bernoulli(0.1) where pre != post  weight 1 mV  delay 2 ms }}\n}}\n\
         experiment X of Net {{\n    sweep n in [3, 4]\n    record spikes of E\n    for k in 0 .. 2 {{\n        simulate 1 s // long\n        expect rate(E) < 5 Hz\n    }}\n\
         conclude {{ expect 1 < 2 within 5 % }}\n}}\n"
    );
    let page = page_of(&text);
    assert_eq!(unbalanced(&page), None);
    for part in [
        "<svg class=\"drawing\">",
        "the only one",
        "<code>[pool: 2, cell: n]</code>",
        "<code>bernoulli(0.1) where pre != post</code>",
        "<code>sweep n in [3, 4]</code>",
        "<code>rate(E) &lt; 5 Hz</code></td><td>in every run",
        "<code>1 &lt; 2 within 5 %</code></td><td>over all runs",
        "<a href=\"#network-Net\">",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn formulas_read_like_formulas() {
    let cases = [
        (
            "(a + b) / (2 * c)",
            "<mfrac><mrow><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow></mrow><mrow><mrow><mrow><mn>2</mn></mrow><mo>·</mo><mi>c</mi></mrow></mrow></mfrac>",
        ),
        ("-x^2", "<mrow><mo>−</mo><msup><mi>x</mi><mrow><mrow><mn>2</mn></mrow></mrow></msup></mrow>"),
        ("sqrt(tau_m)", "<msqrt><msub><mi>τ</mi><mrow><mi>m</mi></mrow></msub></msqrt>"),
        ("1e-3", "<mrow><mn>1</mn><mo>·</mo><msup><mn>10</mn><mn>−3</mn></msup></mrow>"),
        (
            "0.04 mV^-1/ms",
            "<mrow><mn>0.04</mn><mspace width=\"0.2em\"/><msup><mi mathvariant=\"normal\">mV</mi><mn>−1</mn></msup><mo>/</mo><mi mathvariant=\"normal\">ms</mi></mrow>",
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(formula(text), wanted, "{text}");
    }
    let cases = formula("if x > 1 then y else if x in 0 .. 1 then z else 0");
    assert_eq!(cases.matches("<mtr>").count(), 3);
    assert_eq!(unbalanced(&cases), None);
    assert!(cases.contains("otherwise") && cases.contains("∈"));
}

#[test]
fn nothing_of_a_file_becomes_a_tag() {
    let page =
        page_of("/// <script>alert(1)</script> `<b>` `\nlet x = 1 // <i>\n/// y\nlet y = \"<u>\" == \"</section>\"\n");
    assert_eq!(unbalanced(&page), None);
    for tag in ["<script", "<b>", "<i>", "<u>"] {
        assert!(!page.contains(tag), "{tag}");
    }
}
