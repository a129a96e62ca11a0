//! Every rule against its definition, and every expansion against any partition of it.

use super::*;
use crate::random::{Purpose, StreamKey};

type Edges = Vec<(u32, u32)>;

fn key(seed: u64) -> StreamKey {
    StreamKey::new(seed, "net.rec", Purpose::Connect)
}

fn spec(rule: Rule) -> Spec {
    Spec { rule, autapses: false, multapses: false }
}

fn between(pre: u32, post: u32) -> Ends<'static> {
    Ends { pre: Cells::all(pre), post: Cells::all(post), same_population: false }
}

fn within(n: u32) -> Ends<'static> {
    Ends { same_population: true, ..between(n, n) }
}

/// (source, target) in the order of the sink.
fn edges_of(expansion: &Expansion<'_>, posts: std::ops::Range<u32>) -> Edges {
    let mut edges = Vec::new();
    let mut next = posts.start;
    expansion.incoming(posts, &mut |post, pres, _| {
        assert_eq!(post, next);
        next += 1;
        assert!(pres.is_sorted(), "sources of {post} are not in order");
        edges.extend(pres.iter().map(|&pre| (pre, post)));
    });
    edges
}

fn expand_with(spec: &Spec, ends: Ends<'_>, candidates: Candidates<'_>, seed: u64) -> Edges {
    let expansion = Expansion::prepare(spec, ends, candidates, key(seed)).unwrap();
    edges_of(&expansion, 0..ends.post.len())
}

fn expand(spec: &Spec, ends: Ends<'_>) -> Edges {
    expand_with(spec, ends, Candidates::ALL, 1)
}

fn error(spec: &Spec, ends: Ends<'_>) -> ConnectError {
    match Expansion::prepare(spec, ends, Candidates::ALL, key(1)) {
        Err(error) => error,
        Ok(_) => panic!("{spec:?} should not be possible"),
    }
}

fn degrees(edges: &Edges, size: u32, end: impl Fn(&(u32, u32)) -> u32) -> Vec<u32> {
    let mut degrees = vec![0; size as usize];
    for edge in edges {
        degrees[end(edge) as usize] += 1;
    }
    degrees
}

fn has_repeats(edges: &Edges) -> bool {
    let mut sorted = edges.clone();
    sorted.sort_unstable();
    sorted.windows(2).any(|two| two[0] == two[1])
}

fn random_rules() -> Vec<Rule> {
    vec![
        Rule::Bernoulli { p: 0.07 },
        Rule::Bernoulli { p: 0.6 },
        Rule::FixedIndegree { k: 9 },
        Rule::FixedOutdegree { k: 9 },
        Rule::FixedTotalNumber { n: 500 },
    ]
}

#[test]
fn one_to_one() {
    assert_eq!(expand(&spec(Rule::OneToOne), between(3, 3)), [(0, 0), (1, 1), (2, 2)]);
    assert_eq!(error(&spec(Rule::OneToOne), between(3, 4)), ConnectError::SizesDiffer { pre: 3, post: 4 });
    // Within a population every such pair is an autapse.
    assert_eq!(expand(&spec(Rule::OneToOne), within(3)), []);
    assert_eq!(expand(&Spec { autapses: true, ..spec(Rule::OneToOne) }, within(3)).len(), 3);
    // Shifted slices of one population: 0, 1, 2 onto 1, 2, 3.
    let slices = Ends {
        pre: Cells::Range { first: 0, step: 1, count: 3 },
        post: Cells::Range { first: 1, step: 1, count: 3 },
        same_population: true,
    };
    assert_eq!(expand(&spec(Rule::OneToOne), slices).len(), 3);
}

#[test]
fn all_to_all_with_and_without_autapses() {
    assert_eq!(expand(&spec(Rule::AllToAll), between(2, 2)), [(0, 0), (1, 0), (0, 1), (1, 1)]);
    assert_eq!(expand(&spec(Rule::AllToAll), within(3)), [(1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2)]);
    assert_eq!(expand(&Spec { autapses: true, ..spec(Rule::AllToAll) }, within(3)).len(), 9);
    assert_eq!(expand(&spec(Rule::AllToAll), between(0, 3)), []);
    assert_eq!(expand(&spec(Rule::AllToAll), between(3, 0)), []);
}

#[test]
fn fixed_indegree_is_exact() {
    for (autapses, multapses) in [(false, false), (true, false), (false, true), (true, true)] {
        let spec = Spec { rule: Rule::FixedIndegree { k: 7 }, autapses, multapses };
        let edges = expand(&spec, within(40));
        assert!(degrees(&edges, 40, |e| e.1).iter().all(|&d| d == 7));
        assert_eq!(edges.iter().any(|e| e.0 == e.1), autapses);
        assert_eq!(has_repeats(&edges), multapses);
    }
    let full = expand(&spec(Rule::FixedIndegree { k: 39 }), within(40));
    assert_eq!(full, expand(&spec(Rule::AllToAll), within(40)));
    assert_eq!(expand(&spec(Rule::FixedIndegree { k: 0 }), between(0, 2)), []);
}

#[test]
fn fixed_outdegree_is_exact() {
    for (autapses, multapses) in [(false, false), (true, false), (false, true), (true, true)] {
        let spec = Spec { rule: Rule::FixedOutdegree { k: 7 }, autapses, multapses };
        let edges = expand(&spec, within(40));
        assert!(degrees(&edges, 40, |e| e.0).iter().all(|&d| d == 7));
        assert_eq!(edges.iter().any(|e| e.0 == e.1), autapses);
        assert_eq!(has_repeats(&edges), multapses);
        assert_eq!(edges.len(), 280);
    }
    assert_eq!(expand(&spec(Rule::FixedOutdegree { k: 39 }), within(40)), expand(&spec(Rule::AllToAll), within(40)));
    assert_eq!(expand(&spec(Rule::FixedOutdegree { k: 0 }), between(3, 0)), []);
}

#[test]
fn fixed_total_number_is_exact() {
    for (autapses, multapses) in [(false, false), (true, false), (false, true), (true, true)] {
        for n in [0, 1, 100, 1500] {
            let spec = Spec { rule: Rule::FixedTotalNumber { n }, autapses, multapses };
            let edges = expand(&spec, within(40));
            assert_eq!(edges.len() as u64, n);
            assert!(autapses || edges.iter().all(|e| e.0 != e.1));
            assert!(multapses || !has_repeats(&edges));
        }
    }
    assert_eq!(expand(&spec(Rule::FixedTotalNumber { n: 40 * 39 }), within(40)).len(), 40 * 39);
    let many = Spec { rule: Rule::FixedTotalNumber { n: 100_000 }, autapses: true, multapses: true };
    assert_eq!(expand(&many, between(3, 5)).len(), 100_000);
}

/// Chi-square of counts that should all be equal stays within chance.
fn assert_even(what: &str, counts: &[u32]) {
    let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    let statistic: f64 = counts.iter().map(|&c| (f64::from(c) - mean) * (f64::from(c) - mean) / mean).sum();
    let freedom = counts.len() as f64 - 1.0;
    assert!(statistic < freedom + 5.0 * (2.0 * freedom).sqrt(), "{what}: {statistic} at {freedom}");
}

#[test]
fn every_candidate_pair_is_equally_likely() {
    let n = 6;
    for multapses in [false, true] {
        for rule in [
            Rule::Bernoulli { p: 0.2 },
            Rule::Bernoulli { p: 0.5 },
            Rule::FixedIndegree { k: 2 },
            Rule::FixedOutdegree { k: 2 },
            Rule::FixedTotalNumber { n: 12 },
            Rule::FixedTotalNumber { n: 25 },
        ] {
            let spec = Spec { rule, autapses: false, multapses };
            let mut counts = vec![0; (n * n) as usize];
            for seed in 0..2000 {
                for (pre, post) in expand_with(&spec, within(n), Candidates::ALL, seed) {
                    counts[(pre * n + post) as usize] += 1;
                }
            }
            let candidates: Vec<u32> = (0..n * n).filter(|i| i / n != i % n).map(|i| counts[i as usize]).collect();
            assert_eq!(candidates.iter().sum::<u32>(), counts.iter().sum::<u32>());
            assert_even(&format!("{spec:?}"), &candidates);
        }
    }
}

#[test]
fn bernoulli_moments() {
    for p in [0.0, 0.001, 0.1, 0.3, 0.75, 1.0] {
        let (sources, targets) = (400, 500);
        let edges = expand(&spec(Rule::Bernoulli { p }), between(sources, targets));
        let pairs = f64::from(sources * targets);
        let (mean, deviation) = (pairs * p, (pairs * p * (1.0 - p)).sqrt());
        assert!((edges.len() as f64 - mean).abs() <= 5.0 * deviation, "{} for {p}", edges.len());
        assert!(!has_repeats(&edges));
        if p > 0.0 && p < 1.0 {
            // In-degrees and out-degrees are binomial: the variance of their counts gives it away if not.
            for (size, other, end) in [(targets, sources, 1), (sources, targets, 0)] {
                let degrees = degrees(&edges, size, |e| if end == 1 { e.1 } else { e.0 });
                let (mean, variance) = (f64::from(other) * p, f64::from(other) * p * (1.0 - p));
                let sum: f64 = degrees.iter().map(|&d| (f64::from(d) - mean) * (f64::from(d) - mean)).sum();
                let found = sum / f64::from(size) / variance;
                let error = ((2.0 + 1.0 / variance) / f64::from(size)).sqrt();
                assert!((found - 1.0).abs() < 5.0 * error, "variance of degrees for {p}: {found} of the binomial one");
            }
        }
    }
}

#[test]
fn total_number_counts_have_the_right_spread() {
    // In-degrees without multapses are hypergeometric, with multapses binomial.
    for (multapses, variance) in
        [(false, 50.0 * 0.9 * (1000.0 - 100.0) / 999.0 * 10.0 / 10.0), (true, 500.0 * 0.1 * 0.9)]
    {
        let spec = Spec { rule: Rule::FixedTotalNumber { n: 500 }, autapses: true, multapses };
        let variance = if multapses { variance } else { 500.0 * 0.1 * 0.9 * (1000.0 - 500.0) / 999.0 };
        let (mut sum, mut count) = (0.0, 0.0);
        for seed in 0..500 {
            for degree in degrees(&expand_with(&spec, between(100, 10), Candidates::ALL, seed), 10, |e| e.1) {
                sum += (f64::from(degree) - 50.0) * (f64::from(degree) - 50.0);
                count += 1.0;
            }
        }
        let found: f64 = sum / count / variance;
        assert!((found - 1.0).abs() < 0.1, "multapses {multapses}: {found} of the expected variance");
    }
}

#[test]
fn any_partition_gives_the_same_network() {
    for multapses in [false, true] {
        for rule in random_rules() {
            let spec = Spec { rule, autapses: false, multapses };
            let ends = within(60);
            let expansion = Expansion::prepare(&spec, ends, Candidates::ALL, key(5)).unwrap();
            let whole = edges_of(&expansion, 0..60);
            for split in [1, 7, 30, 59] {
                // A second expansion, as another process would make it.
                let other = Expansion::prepare(&spec, ends, Candidates::ALL, key(5)).unwrap();
                let mut parts = edges_of(&expansion, 0..split);
                parts.extend(edges_of(&other, split..60));
                assert_eq!(parts, whole, "{spec:?} split at {split}");
            }
            let other_seed = Expansion::prepare(&spec, ends, Candidates::ALL, key(6)).unwrap();
            assert_ne!(edges_of(&other_seed, 0..60), whole);
            assert_eq!(edges_of(&expansion, 58..99), edges_of(&expansion, 58..60));
        }
    }
}

#[test]
fn threads_share_an_expansion() {
    let spec = spec(Rule::FixedIndegree { k: 9 });
    let filter = |pre: u32, post: u32| (pre + post).is_multiple_of(2);
    let candidates = Candidates { filter: Some(&filter), class: None };
    let expansion = Expansion::prepare(&spec, within(60), candidates, key(5)).unwrap();
    let whole = edges_of(&expansion, 0..60);
    let (low, high) = std::thread::scope(|scope| {
        let low = scope.spawn(|| edges_of(&expansion, 0..31));
        let high = scope.spawn(|| edges_of(&expansion, 31..60));
        (low.join().unwrap(), high.join().unwrap())
    });
    assert_eq!([low, high].concat(), whole);
}

#[test]
fn adding_targets_leaves_the_others_alone() {
    let spec = spec(Rule::FixedIndegree { k: 9 });
    let (few, many) = (expand(&spec, between(50, 10)), expand(&spec, between(50, 20)));
    assert_eq!(few[..], many[..few.len()]);
}

#[test]
fn filters_restrict_the_candidates() {
    let filter = |pre: u32, post: u32| pre % 4 == post % 4 || (pre > 30 && post % 4 == 1);
    let class = |post: u32| u64::from(post % 4);
    for multapses in [false, true] {
        for rule in [
            Rule::AllToAll,
            Rule::OneToOne,
            Rule::Bernoulli { p: 0.3 },
            Rule::FixedIndegree { k: 5 },
            Rule::FixedOutdegree { k: 5 },
            Rule::FixedTotalNumber { n: 300 },
        ] {
            let spec = Spec { rule, autapses: false, multapses };
            let ends = within(48);
            let asked = expand_with(&spec, ends, Candidates { filter: Some(&filter), class: None }, 3);
            let listed = expand_with(&spec, ends, Candidates { filter: Some(&filter), class: Some(&class) }, 3);
            assert_eq!(asked, listed, "{spec:?}");
            assert!(asked.iter().all(|e| filter(e.0, e.1) && e.0 != e.1), "{spec:?}");
            match spec.rule {
                Rule::AllToAll => {
                    let all = (0..48u32).flat_map(|j| (0..48u32).map(move |i| (i, j)));
                    let expected: Edges = all.filter(|e| filter(e.0, e.1) && e.0 != e.1).collect();
                    assert_eq!(asked, expected);
                    let candidates = Candidates { filter: Some(&filter), class: Some(&class) };
                    assert_eq!(expected_synapses(&spec, &ends, &candidates), expected.len() as f64);
                }
                Rule::FixedIndegree { .. } => assert!(degrees(&asked, 48, |e| e.1).iter().all(|&d| d == 5)),
                Rule::FixedOutdegree { .. } => assert!(degrees(&asked, 48, |e| e.0).iter().all(|&d| d == 5)),
                Rule::FixedTotalNumber { .. } => assert_eq!(asked.len(), 300),
                _ => {}
            }
        }
    }
}

#[test]
fn own_cells_of_slices_and_lists() {
    let (pre_list, post_list) = ([9, 4, 7, 2], [2, 3, 4, 5, 6, 7, 8, 9]);
    let lists = Ends { pre: Cells::List(&pre_list), post: Cells::List(&post_list), same_population: true };
    let edges = expand(&spec(Rule::AllToAll), lists);
    let expected: Edges = (0..8u32)
        .flat_map(|j| (0..4u32).map(move |i| (i, j)))
        .filter(|&(i, j)| pre_list[i as usize] != post_list[j as usize])
        .collect();
    assert_eq!(edges, expected);
    // Every third cell onto every second one; 6 and 12 are in both.
    let slices = Ends {
        pre: Cells::Range { first: 3, step: 3, count: 5 },
        post: Cells::Range { first: 6, step: 2, count: 5 },
        same_population: true,
    };
    assert_eq!(expand(&spec(Rule::AllToAll), slices).len(), 23);
    let stranger = Ends { same_population: false, ..slices };
    assert_eq!(expand(&spec(Rule::AllToAll), stranger).len(), 25);
    // All rules keep clear of the own cell.
    for rule in random_rules() {
        let rule = match rule {
            Rule::FixedIndegree { .. } => Rule::FixedIndegree { k: 3 },
            Rule::FixedOutdegree { .. } => Rule::FixedOutdegree { k: 3 },
            Rule::FixedTotalNumber { .. } => Rule::FixedTotalNumber { n: 20 },
            other => other,
        };
        for (pre, post) in expand(&spec(rule), lists) {
            assert_ne!(pre_list[pre as usize], post_list[post as usize]);
        }
    }
}

#[test]
fn listed_pairs() {
    let rule = Rule::Pairs { pre: vec![2, 0, 1, 0], post: vec![1, 1, 0, 0] };
    let listed = spec(rule);
    let expansion = Expansion::prepare(&listed, between(3, 3), Candidates::ALL, key(1)).unwrap();
    let mut rows = Vec::new();
    expansion.incoming(0..3, &mut |post, pres, edges| rows.push((post, pres.to_vec(), edges.unwrap().to_vec())));
    assert_eq!(rows, [(0, vec![0, 1], vec![3, 2]), (1, vec![0, 2], vec![1, 0]), (2, vec![], vec![])]);
    // A filter drops pairs; the others keep their numbers.
    let filter = |pre: u32, _: u32| pre == 0;
    let expansion =
        Expansion::prepare(&listed, between(3, 3), Candidates { filter: Some(&filter), class: None }, key(1)).unwrap();
    let mut kept = Vec::new();
    expansion.incoming(0..3, &mut |_, _, edges| kept.extend_from_slice(edges.unwrap()));
    assert_eq!(kept, [3, 1]);
}

#[test]
fn repeated_pairs_keep_their_order_with_multapses() {
    let rule = Rule::Pairs { pre: vec![1, 1, 0, 1], post: vec![0, 0, 0, 0] };
    assert_eq!(
        error(&spec(rule.clone()), between(2, 1)),
        ConnectError::DuplicatePair { first: 0, second: 1, pre: 1, post: 0 }
    );
    let listed = Spec { multapses: true, ..spec(rule) };
    let expansion = Expansion::prepare(&listed, between(2, 1), Candidates::ALL, key(1)).unwrap();
    expansion.incoming(0..1, &mut |_, pres, edges| {
        assert_eq!((pres, edges), (&[0, 1, 1, 1][..], Some(&[2, 0, 1, 3][..])));
    });
}

#[test]
fn errors_carry_their_numbers() {
    assert_eq!(
        error(&spec(Rule::FixedIndegree { k: 10 }), within(10)),
        ConnectError::IndegreeTooLarge { k: 10, candidates: 9, post: 0 }
    );
    assert_eq!(
        error(&spec(Rule::FixedOutdegree { k: 10 }), within(10)),
        ConnectError::OutdegreeTooLarge { k: 10, candidates: 9, pre: 0 }
    );
    assert_eq!(
        error(&spec(Rule::FixedTotalNumber { n: 91 }), within(10)),
        ConnectError::TotalTooLarge { n: 91, possible: 90 }
    );
    for p in [-0.1, 1.5, f64::INFINITY] {
        assert_eq!(error(&spec(Rule::Bernoulli { p }), within(10)), ConnectError::Probability { p });
    }
    assert!(matches!(error(&spec(Rule::Bernoulli { p: f64::NAN }), within(10)), ConnectError::Probability { .. }));
    let pairs = |pre: Vec<u32>, post: Vec<u32>| spec(Rule::Pairs { pre, post });
    assert_eq!(error(&pairs(vec![0], vec![]), within(10)), ConnectError::PairsLength { pre: 1, post: 0 });
    assert_eq!(
        error(&pairs(vec![0, 10], vec![1, 1]), within(10)),
        ConnectError::PairSourceOutOfRange { edge: 1, index: 10, size: 10 }
    );
    assert_eq!(
        error(&pairs(vec![0], vec![11]), within(10)),
        ConnectError::PairTargetOutOfRange { edge: 0, index: 11, size: 10 }
    );
    assert_eq!(error(&pairs(vec![3], vec![3]), within(10)), ConnectError::AutapsePair { edge: 0, pre: 3, post: 3 });
    // With replacement a degree may exceed the candidates, but there must be one.
    let repeated = Spec { multapses: true, ..spec(Rule::FixedIndegree { k: 10 }) };
    assert_eq!(expand(&repeated, within(2)).len(), 20);
    assert_eq!(error(&repeated, within(1)), ConnectError::IndegreeTooLarge { k: 10, candidates: 0, post: 0 });
    let total = Spec { multapses: true, ..spec(Rule::FixedTotalNumber { n: 5 }) };
    assert_eq!(error(&total, within(1)), ConnectError::TotalTooLarge { n: 5, possible: 0 });
    // A filter can starve a single target.
    let filter = |pre: u32, post: u32| post != 4 || pre < 2;
    let result = Expansion::prepare(
        &Spec { rule: Rule::FixedIndegree { k: 3 }, autapses: true, multapses: false },
        within(10),
        Candidates { filter: Some(&filter), class: None },
        key(1),
    );
    assert_eq!(result.err(), Some(ConnectError::IndegreeTooLarge { k: 3, candidates: 2, post: 4 }));
    let message = error(&spec(Rule::FixedIndegree { k: 10 }), within(10)).to_string();
    assert_eq!(message, "fixed_indegree(10) wants more distinct sources than the 9 candidates of target 0");
}

#[test]
fn estimates() {
    let ends = within(40);
    let cases: [(Rule, f64, u64); 7] = [
        (Rule::OneToOne, 0.0, 1),
        (Rule::AllToAll, 1560.0, 40),
        (Rule::Bernoulli { p: 0.25 }, 390.0, 40),
        (Rule::FixedIndegree { k: 6 }, 240.0, 6),
        (Rule::FixedOutdegree { k: 6 }, 240.0, 40),
        (Rule::FixedTotalNumber { n: 30 }, 30.0, 30),
        (Rule::Pairs { pre: vec![1, 2, 3], post: vec![0, 0, 1] }, 3.0, 2),
    ];
    for (rule, expected, bound) in cases {
        let spec = spec(rule);
        assert_eq!(expected_synapses(&spec, &ends, &Candidates::ALL), expected, "{spec:?}");
        assert_eq!(max_indegree_bound(&spec, &ends), bound, "{spec:?}");
        let edges = expand(&spec, ends);
        assert!(degrees(&edges, 40, |e| e.1).iter().all(|&d| u64::from(d) <= bound), "{spec:?}");
    }
    let repeated = Spec { multapses: true, ..spec(Rule::FixedOutdegree { k: 6 }) };
    assert_eq!(max_indegree_bound(&repeated, &ends), 240);
    assert_eq!(max_indegree_bound(&spec(Rule::AllToAll), &between(5, 0)), 0);
}

#[test]
fn networks_are_pinned() {
    // Part of the output contract: these change only with a new major version.
    let found = |rule: Rule, multapses: bool| expand(&Spec { multapses, ..spec(rule) }, within(12))[..6].to_vec();
    assert_eq!(found(Rule::FixedIndegree { k: 3 }, false), [(2, 0), (7, 0), (10, 0), (2, 1), (3, 1), (8, 1)]);
    assert_eq!(found(Rule::FixedIndegree { k: 3 }, true), [(2, 0), (7, 0), (10, 0), (2, 1), (3, 1), (3, 1)]);
    assert_eq!(found(Rule::FixedOutdegree { k: 3 }, false), [(4, 0), (7, 0), (9, 0), (5, 1), (7, 1), (0, 2)]);
    assert_eq!(found(Rule::FixedTotalNumber { n: 20 }, false), [(2, 0), (10, 0), (2, 1), (3, 1), (4, 2), (10, 2)]);
    assert_eq!(found(Rule::FixedTotalNumber { n: 20 }, true), [(2, 0), (3, 1), (3, 1), (10, 2), (8, 3), (9, 3)]);
    assert_eq!(found(Rule::Bernoulli { p: 0.2 }, false), [(7, 0), (0, 1), (2, 1), (6, 1), (8, 1), (11, 1)]);
}

#[test]
fn rules_survive_serialisation() {
    for rule in random_rules() {
        let text = serde_json::to_string(&spec(rule.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap().rule, rule);
    }
}

/// (source, target) in rows by source, with the number of each synapse.
fn rows_of(outgoing: &Outgoing<'_>, sources: u32, posts: std::ops::Range<u32>) -> Vec<(u32, u32, u64)> {
    let (mut out, mut scratch) = (Vec::new(), Scratch::default());
    for pre in 0..sources {
        outgoing.row(pre, posts.clone(), &mut scratch, &mut |number, targets| {
            assert!(targets.is_sorted());
            out.extend(targets.iter().zip(number..).map(|(post, number)| (pre, *post, number)));
        });
    }
    out
}

fn outgoing<'a>(spec: &Spec, ends: Ends<'a>) -> Outgoing<'a> {
    Outgoing::prepare(spec, ends, None, key(5)).unwrap().unwrap()
}

fn rules_by_source() -> Vec<Rule> {
    let p = [0.0, 1e-9, 0.01, 0.2, 0.25, 0.7, 1.0];
    let mut rules: Vec<Rule> = p.into_iter().map(|p| Rule::Bernoulli { p }).collect();
    rules.extend([Rule::AllToAll, Rule::FixedOutdegree { k: 0 }, Rule::FixedOutdegree { k: 300 }]);
    rules
}

#[test]
fn a_part_of_a_row_is_a_part_of_the_row() {
    let (sources, n) = (20, 3000);
    for rule in rules_by_source() {
        for multapses in [false, true] {
            let spec = Spec { rule: rule.clone(), autapses: false, multapses };
            let ends = Ends { pre: Cells::all(sources), post: Cells::all(n), same_population: true };
            let rows = outgoing(&spec, ends);
            let whole = rows_of(&rows, sources, 0..n);
            assert!(whole.iter().all(|e| e.0 != e.1), "{spec:?}");
            let numbers: std::collections::BTreeSet<_> = whole.iter().map(|e| (e.0, e.2)).collect();
            assert_eq!(numbers.len(), whole.len(), "{spec:?}: a number stands twice");
            for part in [0..1, 0..64, 500..1500, 2047..2049, 1024..1024, 2999..3000, 2000..9999] {
                let inside: Vec<_> = whole.iter().copied().filter(|e| part.contains(&e.1)).collect();
                assert_eq!(rows_of(&rows, sources, part.clone()), inside, "{spec:?} {part:?}");
            }
        }
    }
}

#[test]
fn rows_by_source_keep_clear_of_the_own_cell_and_of_what_a_filter_leaves_out() {
    let (pre_list, post_list) = ([2, 4, 7, 9], [2, 3, 4, 5, 6, 7, 8, 9]);
    let lists = Ends { pre: Cells::List(&pre_list), post: Cells::List(&post_list), same_population: true };
    for rule in [Rule::AllToAll, Rule::Bernoulli { p: 1.0 }, Rule::FixedOutdegree { k: 7 }] {
        let found = rows_of(&outgoing(&spec(rule.clone()), lists), 4, 0..8);
        assert_eq!(found.len(), 28);
        assert!(found.iter().all(|e| pre_list[e.0 as usize] != post_list[e.1 as usize]), "{rule:?}");
        let with = Spec { autapses: true, ..spec(rule.clone()) };
        assert_eq!(
            rows_of(&outgoing(&with, lists), 4, 0..8).len(),
            if let Rule::FixedOutdegree { .. } = rule { 28 } else { 32 }
        );
    }
    let filter = |pre: u32, post: u32| (pre + post).is_multiple_of(3);
    for rule in [Rule::AllToAll, Rule::Bernoulli { p: 0.4 }] {
        let all = rows_of(&outgoing(&spec(rule.clone()), within(500)), 500, 0..500);
        let thinned = Outgoing::prepare(&spec(rule), within(500), Some(&filter), key(5)).unwrap().unwrap();
        let left: Edges = all.iter().map(|e| (e.0, e.1)).filter(|e| filter(e.0, e.1)).collect();
        let found: Edges = rows_of(&thinned, 500, 0..500).iter().map(|e| (e.0, e.1)).collect();
        assert_eq!(found, left);
    }
    let fixed = spec(Rule::FixedOutdegree { k: 3 });
    assert!(Outgoing::prepare(&fixed, within(500), Some(&filter), key(5)).unwrap().is_none());
    for rule in [Rule::OneToOne, Rule::FixedIndegree { k: 1 }, Rule::FixedTotalNumber { n: 4 }] {
        assert!(Outgoing::prepare(&spec(rule), within(500), None, key(5)).unwrap().is_none());
    }
    let refused = |rule| Outgoing::prepare(&spec(rule), within(10), None, key(1)).err();
    let too_large = ConnectError::OutdegreeTooLarge { k: 10, candidates: 9, pre: 0 };
    assert_eq!(refused(Rule::FixedOutdegree { k: 10 }), Some(too_large));
    assert_eq!(refused(Rule::Bernoulli { p: 1.5 }), Some(ConnectError::Probability { p: 1.5 }));
}

#[test]
fn fixed_outdegrees_are_those_of_the_stored_rule() {
    for (autapses, multapses) in [(false, false), (true, false), (false, true), (true, true)] {
        let spec = Spec { rule: Rule::FixedOutdegree { k: 7 }, autapses, multapses };
        let mut stored = expand_with(&spec, within(40), Candidates::ALL, 5);
        stored.sort_unstable();
        let made: Edges = rows_of(&outgoing(&spec, within(40)), 40, 0..40).iter().map(|e| (e.0, e.1)).collect();
        assert_eq!(made, stored);
    }
}

#[test]
fn blocks_of_a_row_are_independent() {
    // Targets at the same place of neighbouring blocks, and of the same block of neighbouring sources: p of both is p^2.
    let (p, n, sources) = (0.3, 8192_u32, 40_u32);
    let rows = outgoing(&spec(Rule::Bernoulli { p }), between(sources, n));
    let mut hit = vec![false; (sources * n) as usize];
    rows_of(&rows, sources, 0..n).iter().for_each(|e| hit[(e.0 * n + e.1) as usize] = true);
    for distance in [1, 256, 512, 1024, n] {
        let pairs = hit.len() - distance as usize;
        let both = (0..pairs).filter(|k| hit[*k] && hit[k + distance as usize]).count() as f64;
        let (mean, deviation) = (p * p * pairs as f64, (p * p * (1.0 - p * p) * pairs as f64).sqrt());
        // Overlapping pairs are correlated: their variance is at most 1 + 2 p / (1 + p) times that of independent ones.
        assert!(
            (both - mean).abs() < 5.0 * deviation * (1.0 + 2.0 * p / (1.0 + p)).sqrt(),
            "{distance}: {both}, {mean}"
        );
    }
}

#[test]
fn marked_sources_are_the_listed_ones() {
    let subset: Vec<u32> = (0..200).map(|k| 3 * k).collect();
    let some = Ends { pre: Cells::List(&subset), post: Cells::all(600), same_population: true };
    let mut marked = 0;
    for rule in [
        Rule::FixedIndegree { k: 9 },
        Rule::FixedIndegree { k: 40 },
        Rule::FixedIndegree { k: 130 },
        Rule::Bernoulli { p: 0.5 },
    ] {
        for (ends, autapses) in
            [(within(200), false), (within(129), true), (within(193), false), (between(300, 7), false), (some, false)]
        {
            let spec = Spec { rule: rule.clone(), autapses, multapses: false };
            if matches!(rule, Rule::FixedIndegree { k } if k >= ends.pre.len()) {
                continue;
            }
            let expansion = Expansion::prepare(&spec, ends, Candidates::ALL, key(1)).unwrap();
            let mut found = Edges::new();
            expansion.marked(0..ends.post.len(), &mut |post, sources| match sources {
                Sources::Listed(pres) => found.extend(pres.iter().map(|pre| (*pre, post))),
                Sources::Marked(words) => {
                    marked += 1;
                    assert_eq!(words.len(), ends.pre.len().div_ceil(64) as usize);
                    let set = (0..64 * words.len() as u32).filter(|k| words[(k / 64) as usize] >> (k % 64) & 1 == 1);
                    found.extend(set.map(|pre| (pre, post)));
                }
            });
            assert!(found == edges_of(&expansion, 0..ends.post.len()), "{rule:?} {}", ends.pre.len());
        }
    }
    // Nine are few enough to be sorted, and other rules list.
    assert_eq!(marked, 200 + 129 + 193 + 7 + 600 + 200 + 193 + 7 + 600);
}
