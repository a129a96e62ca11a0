//! Tests of the formatter: same tree, same text the second time, every comment kept.

use super::*;
use crate::base::FileId;
use crate::syntax::scan::MAX_DEPTH;
use crate::syntax::tests::{Dice, corpus, erased, mutants};
use crate::syntax::{Parsed, parse};

fn parse_text(text: &str) -> Parsed {
    parse(FileId(0), text)
}

fn formatted(text: &str) -> String {
    let parsed = parse_text(text);
    assert!(parsed.errors.is_empty(), "{text}\n{:#?}", parsed.errors);
    format(&parsed.file, text)
}

/// Formats, and checks all that is promised; gives the canonical text.
fn check(text: &str) -> String {
    let before = parse_text(text);
    let once = formatted(text);
    let after = parse_text(&once);
    assert!(after.errors.is_empty(), "{text}\n--\n{once}\n{:#?}", after.errors);
    assert_eq!(erased(&before.file), erased(&after.file), "{text}\n--\n{once}");
    assert_eq!(format(&after.file, &once), once, "{text}");
    let sorted = |parsed: &Parsed| {
        let mut list: Vec<String> = parsed.file.comments.iter().map(|c| c.text.clone()).collect();
        list.sort();
        list
    };
    assert_eq!(sorted(&before), sorted(&after), "{text}\n--\n{once}");
    for line in once.lines() {
        assert_eq!(line.trim_end(), line);
    }
    once
}

#[test]
fn the_corpus_keeps_its_tree() {
    for (_, text) in corpus() {
        let once = check(&text);
        for line in once.lines().filter(|l| !l.contains("//")) {
            assert!(line.chars().count() <= doc::WIDTH, "{line}");
        }
    }
}

#[test]
fn layout() {
    let cases = [
        ("use a.b;use c", "use a.b\nuse c\n"),
        ("neuron A{}", "neuron A {}\n"),
        ("neuron A { dV/dt=-V/tau }", "neuron A {\n    V' = -V / tau\n}\n"),
        ("let x=-a^ -2*( b+c )^2", "let x = -a^-2 * (b + c)^2\n"),
        ("let x = 5 mV ^ 2 + 2^3", "let x = 5 mV ^ 2 + 2^3\n"),
        ("let x = 20mV+3%", "let x = 20 mV + 3 %\n"),
        ("let x = a[0..4,..,3..,.. 5]", "let x = a[0 .. 4, .., 3 .., ..5]\n"),
        ("let s = f( E where a by b during w over 2 s )", "let s = f(E where a by b during w over 2 s)\n"),
        ("use \"a\\\\b\\\"\".( x,y ) as z", "use \"a\\\\b\\\"\".(x, y) as z\n"),
        (
            "network N{projection A->B{connect x;weight 3;delay 1 ms}}",
            "network N {\n    projection A -> B { connect x  weight 3  delay 1 ms }\n}\n",
        ),
        (
            "experiment E of N{for i in 0..3{x=i}for i in 0..3{x=i y=2}repeat 2{if a{b=1}}}",
            "experiment E of N {\n    for i in 0 .. 3 { x = i }\n    for i in 0 .. 3 {\n        x = i\n        y = 2\n    }\n    repeat 2 {\n        if a { b = 1 }\n    }\n}\n",
        ),
        (
            "experiment E of N { if a {b=1} else if c {d=2} else {e=3} if a {b=1 mV; c=2} else {d=3} }",
            "experiment E of N {\n    if a { b = 1 } else if c { d = 2 } else { e = 3 }\n    if a {\n        b = 1 mV\n        c = 2\n    } else {\n        d = 3\n    }\n}\n",
        ),
        (
            "neuron A { receptor e(w:rate){a+=w;b-=w}every 1 s{if a{b=1}} }",
            "neuron A {\n    receptor e(w: rate) { a += w; b -= w }\n    every 1 s {\n        if a { b = 1 }\n    }\n}\n",
        ),
        ("let x = 1\n\n\n\nlet y = 2\nlet z = 3", "let x = 1\n\nlet y = 2\nlet z = 3\n"),
        (
            "let p = [[100000000, 200000000, 300000000, 400000000], [500000000, 600000000, 700000000, 800000000], [900000000, 1, 2, 3, 4]]",
            "let p = [\n    [100000000, 200000000, 300000000, 400000000],\n    [500000000, 600000000, 700000000, 800000000],\n    [900000000, 1, 2, 3, 4]\n]\n",
        ),
        ("", ""),
        ("// only", "// only\n"),
    ];
    for (text, expected) in cases {
        assert_eq!(check(text), expected, "{text}");
    }
}

#[test]
fn comments_stay_where_they_are() {
    let text = "\
// head
use a // of use

/// doc of N
// aside
network N { // of N
    // first
    dt 1 ms // of dt
    population E[3]: Lif(
        a = 1, // of a
        // before b
        b = 2 // of b
        // after b
    )

    // alone

    projection E -> E {
        connect all_to_all // of connect
        weight 1
        // last
    }
    // end of N
}
// end
";
    let expected = "\
// head
use a // of use

// aside
/// doc of N
network N { // of N
    // first
    dt 1 ms // of dt
    population E[3]: Lif(
        a = 1, // of a
        // before b
        b = 2 // of b
        // after b
    )

    // alone

    projection E -> E {
        connect all_to_all // of connect
        weight 1
        // last
    }
    // end of N
}
// end
";
    assert_eq!(check(text), expected);
    let text = "neuron A {\n    V' = a // first\n        + b // second\n}\n";
    assert_eq!(check(text), "neuron A {\n    // first\n    V' = a + b // second\n}\n");
}

/// A comment between any two tokens of the corpus is neither lost nor does it change anything.
#[test]
fn a_comment_anywhere_is_kept() {
    use crate::syntax::scan::{Lexer, TokenKind};
    let mut dice = Dice(3);
    for (_, text) in corpus() {
        let plain = erased(&parse_text(&text).file);
        let tokens: Vec<_> = Lexer::new(&text, 0).filter(|t| t.kind != TokenKind::Comment).collect();
        for _ in 0..12 {
            let mut out = String::new();
            let mut last = 0;
            for token in &tokens {
                out.push_str(&text[last..token.start]);
                // Where something attaches, a comment would take it apart.
                let gap = &text[last..token.start];
                let may = gap.ends_with([' ', '\n']) && !gap.contains("//");
                if may && dice.below(8) == 0 {
                    let n = dice.below(1000);
                    out.push_str(&if dice.below(2) == 0 { format!("// c{n}\n") } else { format!("\n// c{n}\n") });
                }
                out.push_str(&text[token.start..token.end]);
                last = token.end;
            }
            out.push_str(&text[last..]);
            let parsed = parse_text(&out);
            // A unit that the comment has parted from its number is a name now.
            if parsed.errors.is_empty() {
                check(&out);
                continue;
            }
            assert_ne!(erased(&parsed.file), plain);
        }
    }
}

/// The layout does not depend on the line ends of the text.
#[test]
fn the_layout_depends_on_the_tree_alone() {
    for (_, text) in corpus() {
        let without: String =
            text.lines().map(|l| l.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
        if !parse_text(&without).errors.is_empty() {
            // A string holds `//`.
            continue;
        }
        let once = check(&without);
        let spread = once.replace(", ", ",\n").replace("{ ", "{\n").replace("  ", "\n");
        assert_eq!(check(&spread).replace("\n\n", "\n"), once.replace("\n\n", "\n"));
    }
}

#[test]
fn long_things_are_broken() {
    let args: Vec<String> = (0..40).map(|k| format!("parameter_{k} = {k} mV")).collect();
    let terms: Vec<String> = (0..40).map(|k| format!("f_{k}(x)")).collect();
    let text = format!(
        "network N {{\n    population E[3]: Lif({})\n    param {}\n    let s = {}\n    projection A -> B {{ weight {} }}\n}}\n",
        args.join(", "),
        args.join(", "),
        terms.join(" + "),
        terms.join(" * "),
    );
    let once = check(&text);
    assert!(once.lines().all(|l| l.chars().count() <= doc::WIDTH), "{once}");
    assert!(once.lines().count() > 20, "{once}");
}

#[test]
fn broken_items_are_given_back() {
    let text = "network N {\n  population E[3 Lif // why\n  dt   1 ms\n}\nlet x = = 3\nlet   y = 2\n";
    let parsed = parse_text(text);
    assert_eq!(parsed.errors.len(), 2);
    let out = format(&parsed.file, text);
    assert!(out.contains("population E[3 Lif"), "{out}");
    assert!(out.contains("    dt 1 ms\n") && out.contains("let x = = 3\nlet y = 2\n"), "{out}");
}

/// Changed texts that still parse keep their tree; those that do not are formatted without a panic.
#[test]
fn changed_texts() {
    for text in mutants(11) {
        let parsed = parse_text(&text);
        if parsed.errors.is_empty() {
            check(&text);
        } else {
            format(&parsed.file, &text);
        }
    }
}

#[test]
fn the_deepest_tree_is_formatted_on_a_small_stack() {
    let run = || {
        let n = MAX_DEPTH - 2;
        for (open, close) in
            [("(", ")"), ("f(", ")"), ("[", "]"), ("-", ""), ("2^", ""), ("x + ", ""), ("if a then b else ", "")]
        {
            check(&format!("let x = {}1{}", open.repeat(n), close.repeat(n)));
        }
        check(&format!("experiment A of B {{ if x {{ }} {} }}", "else if x { y = 1 } ".repeat(MAX_DEPTH - 8)));
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).expect("a thread");
    thread.join().expect("no overflow and no failed assertion");
}
