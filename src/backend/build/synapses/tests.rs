use super::super::{elements, tests::dynamics};
use super::*;
use crate::connect::{Rule, Spec};
use crate::ir::{Axis, Compare, Expr, Node, Subset};
use crate::random::Stream;
use crate::script::Distribution;

/// 6 sources on axes [2, 3] onto 4 targets on axes [2, 2], all to all.
fn network() -> Network {
    let mut net = Network { dt_ms: 0.1, ..Network::default() };
    let axis = |n: u32| Axis { name: None, labels: vec![], sizes: vec![n] };
    let mut add = |path: &str, size, axes| {
        let dynamics = dynamics();
        net.graph.add_node(Node::Population(Population { path: path.into(), source: false, size, axes, dynamics }))
    };
    let from = add("A", 6, vec![axis(2), axis(3)]);
    let to = add("B", 4, vec![axis(2), axis(2)]);
    let projection = Projection {
        path: "A->B".into(),
        receptor: 0,
        pre: Subset::All,
        post: Subset::All,
        spec: Spec { rule: Rule::AllToAll, autapses: false, multapses: false },
        filter: None,
        weight: Weight::Constant(1.0),
        delay: Delay::Constant(1),
        gain: None,
        columns: vec![],
        private: false,
        coupling: None,
        symmetric: false,
        procedural: None,
    };
    net.graph.add_edge(from, to, projection);
    net
}

fn the(net: &mut Network) -> &mut Projection {
    net.graph.edge_weights_mut().next().unwrap()
}

fn element(net: &mut Network, side: Side, attribute: Attribute) -> ExprId {
    net.build.intern(Expr::Element(side, attribute))
}

type Rows = Vec<(u32, Vec<u32>, Vec<f64>, Vec<u32>)>;

/// All rows, in one range and by one thread for each target: both must give the same.
fn rows(net: &Network) -> Result<Rows, RunError> {
    let built = elements(net, 5)?;
    let plan = SynapsePlan::new(net, &built, ProjectionId::new(0), 5)?;
    let synapses = plan.expand()?;
    let collect = |range: Range<u32>| -> Result<Rows, RunError> {
        let mut out = vec![];
        synapses.incoming(range, &mut |post, pre, weights, delays| {
            out.push((post, pre.to_vec(), weights.to_vec(), delays.to_vec()));
        })?;
        Ok(out)
    };
    let whole = collect(0..plan.posts())?;
    let split = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.posts()).map(|k| scope.spawn(move || collect(k..k + 1))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Result<Vec<Rows>, _>>()
    })?;
    assert_eq!(whole, split.concat());
    Ok(whole)
}

fn message(net: &Network) -> String {
    match rows(net) {
        Err(RunError::Build(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn constant_projections_give_sources_alone() {
    let net = network();
    let all: Vec<u32> = (0..6).collect();
    let expected: Rows = (0..4).map(|post| (post, all.clone(), vec![], vec![])).collect();
    assert_eq!(rows(&net).unwrap(), expected);
}

#[test]
fn subsets_are_translated_to_indices() {
    let mut net = network();
    let index = element(&mut net, Side::Pre, Attribute::Index);
    let p = the(&mut net);
    p.pre = Subset::Range(2, 4);
    p.post = Subset::Cells(vec![1, 3]);
    p.weight = Weight::PerSynapse { value: index, single: false };
    let row = |post| (post, vec![2, 3], vec![2.0, 3.0], vec![]);
    assert_eq!(rows(&net).unwrap(), [row(1), row(3)]);
}

#[test]
fn weights_and_delays_are_drawn_per_synapse() {
    let mut net = network();
    let [low, high] = [0.5, 0.9].map(|v| net.build.real(v));
    let args = vec![low, high];
    let draw = net.build.intern(Expr::Random { distribution: Distribution::Uniform, args, site: 9 });
    let p = the(&mut net);
    p.post = Subset::Range(1, 4);
    p.weight = Weight::PerSynapse { value: draw, single: true };
    p.delay = Delay::PerSynapse { value: draw, max: 7 };
    let rows = rows(&net).unwrap();
    let expected = |purpose, position: u64, i: u64| {
        let key = StreamKey::new(5, "A->B", purpose).derive(0);
        Distribution::Uniform.draw(&mut Stream::new(key, position << 32 | i), &[0.5, 0.9])
    };
    assert_eq!(rows[2].0, 3);
    for i in 0..6 {
        assert_eq!(rows[2].2[i], f64::from(expected(Purpose::Weight, 2, i as u64) as f32));
        let steps = (expected(Purpose::Delay, 2, i as u64) / 0.1).round().min(7.0);
        assert_eq!(f64::from(rows[2].3[i]), steps);
    }
    let delays: Vec<u32> = rows.iter().flat_map(|r| r.3.clone()).collect();
    assert!(delays.contains(&5) && delays.contains(&7) && !delays.contains(&8), "{delays:?}");
}

/// Longer rows than a column holds, by columns and, where a table is read, one by one.
#[test]
fn rows_of_any_length_are_the_same_by_columns() {
    let mut net = network();
    for node in net.graph.node_weights_mut() {
        let Node::Population(p) = node else { continue };
        if p.path == "A" {
            (p.size, p.axes) = (1300, vec![]);
        }
    }
    net.tables = vec![crate::ir::Table { name: "one".into(), shape: vec![1], data: vec![1.0], draw: None }];
    let [mean, sd, zero, half] = [2.0, 0.5, 0.0, 650.0].map(|v| net.build.real(v));
    let args = vec![mean, sd];
    let draw = net.build.intern(Expr::Random { distribution: Distribution::Normal, args, site: 0 });
    let index = element(&mut net, Side::Pre, Attribute::Index);
    let late = net.build.compare(Compare::Ge, index, half);
    let value = net.build.select(late, draw, index);
    the(&mut net).weight = Weight::PerSynapse { value, single: false };
    let by_columns = rows(&net).unwrap();
    let key = StreamKey::new(5, "A->B", Purpose::Weight).derive(0);
    for post in 0..4 {
        let drawn = |i: u64| Distribution::Normal.draw(&mut Stream::new(key, post << 32 | i), &[2.0, 0.5]);
        let expected: Vec<f64> = (0..1300).map(|i| if i < 650 { i as f64 } else { drawn(i) }).collect();
        assert_eq!(by_columns[post as usize].2, expected);
    }
    // Times one, from a table that is looked up with an index of the source.
    let none = net.build.mul(index, zero);
    let one = net.build.intern(Expr::Table { table: 0, indices: vec![none] });
    let value = net.build.mul(value, one);
    the(&mut net).weight = Weight::PerSynapse { value, single: false };
    assert_eq!(rows(&net).unwrap(), by_columns);
}

#[test]
fn a_filter_by_axis_restricts_the_candidates() {
    let mut net = network();
    let (a, b) = (element(&mut net, Side::Pre, Attribute::Axis(0)), element(&mut net, Side::Post, Attribute::Axis(0)));
    let same = net.build.compare(Compare::Eq, a, b);
    the(&mut net).filter = Some(same);
    let sources: Vec<Vec<u32>> = rows(&net).unwrap().into_iter().map(|r| r.1).collect();
    assert_eq!(sources, [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]]);
}

#[test]
fn a_filter_may_draw() {
    let mut net = network();
    let p = net.build.real(0.5);
    let draw = Expr::Random { distribution: Distribution::Bernoulli, args: vec![p], site: 0 };
    let filter = net.build.intern(draw);
    the(&mut net).filter = Some(filter);
    let sources: Vec<Vec<u32>> = rows(&net).unwrap().into_iter().map(|r| r.1).collect();
    let count = sources.iter().map(Vec::len).sum::<usize>();
    assert!((4..=20).contains(&count), "{count} of 24");
    assert!(sources.iter().any(|s| *s != sources[0]), "{sources:?}");
}

#[test]
fn columns_follow_their_edges() {
    let mut net = network();
    let value = net.build.intern(Expr::Column(0));
    let p = the(&mut net);
    p.spec.rule = Rule::Pairs { pre: vec![5, 0, 2], post: vec![1, 3, 1] };
    p.columns = vec![vec![0.1, 0.2, 0.3]];
    p.weight = Weight::PerSynapse { value, single: false };
    let rows = rows(&net).unwrap();
    assert_eq!(rows[1], (1, vec![2, 5], vec![0.3, 0.1], vec![]));
    assert_eq!(rows[3], (3, vec![0], vec![0.2], vec![]));
    assert!(rows[0].1.is_empty());
    the(&mut net).columns[0].pop();
    assert_eq!(message(&net), "A->B: the weight of the synapse from A[2] to B[1]: it is NaN");
}

#[test]
fn what_cannot_be_built_names_the_projection() {
    let mut net = network();
    the(&mut net).spec.rule = Rule::FixedIndegree { k: 7 };
    assert!(message(&net).starts_with("A->B: fixed_indegree(7) wants more distinct sources"));

    let mut net = network();
    let (index, two) = (element(&mut net, Side::Pre, Attribute::Index), net.build.real(2.0));
    let (rest, one) = (net.build.sub(index, two), net.build.real(1.0));
    let value = net.build.div(one, rest);
    the(&mut net).weight = Weight::PerSynapse { value, single: true };
    assert_eq!(message(&net), "A->B: the weight of the synapse from A[2] to B[0]: it is inf");

    let mut net = network();
    let index = element(&mut net, Side::Post, Attribute::Index);
    net.tables = vec![crate::ir::Table { name: "near".into(), shape: vec![3], data: vec![1.0; 3], draw: None }];
    let value = net.build.intern(Expr::Table { table: 0, indices: vec![index] });
    the(&mut net).filter = Some(value);
    let expected = "A->B: `where` of A[0] and B[3]: index [3] is out of range in the table near of shape [3]";
    assert_eq!(message(&net), expected);
}

#[test]
fn estimates_need_no_elements() {
    let mut net = network();
    the(&mut net).spec.rule = Rule::Bernoulli { p: 0.25 };
    assert_eq!(estimate(&net), [Estimate { path: "A->B".into(), synapses: 6.0, max_indegree: 6 }]);
}

#[test]
fn symmetric_pairs_have_one_weight_and_one_delay() {
    let mut net = network();
    let target = net.graph.node_indices().next().unwrap();
    let edge = net.graph.edge_indices().next().unwrap();
    let mut projection = net.graph.remove_edge(edge).unwrap();
    let [lo, hi] = [0.5, 1.5].map(|v| net.build.real(v));
    let drawn = net.build.intern(Expr::Random { distribution: Distribution::Uniform, args: vec![lo, hi], site: 0 });
    projection.symmetric = true;
    projection.weight = Weight::PerSynapse { value: drawn, single: true };
    projection.delay = Delay::PerSynapse { value: drawn, max: 20 };
    projection.spec.rule = Rule::Bernoulli { p: 0.5 };
    net.graph.add_edge(target, target, projection);
    let table = |net: &Network| {
        let mut all = std::collections::BTreeMap::new();
        for (post, pres, weights, delays) in rows(net).unwrap() {
            for ((pre, w), d) in pres.iter().zip(weights).zip(delays) {
                assert!(all.insert((*pre, post), (w.to_bits(), d)).is_none());
            }
        }
        all
    };
    let drawn = table(&net);
    assert!(!drawn.is_empty() && drawn.len() < 30 && drawn.keys().all(|(a, b)| a != b));
    for ((a, b), synapse) in &drawn {
        assert_eq!(drawn.get(&(*b, *a)), Some(synapse), "{a} and {b}");
    }
    the(&mut net).spec.rule = Rule::Pairs { pre: vec![0, 4, 2], post: vec![3, 1, 5] };
    let listed: Vec<(u32, u32)> = table(&net).into_keys().collect();
    assert_eq!(listed, [(0, 3), (1, 4), (2, 5), (3, 0), (4, 1), (5, 2)]);
    the(&mut net).spec.rule = Rule::Pairs { pre: vec![0, 3], post: vec![3, 0] };
    assert_eq!(message(&net), "A->B: the pair of 0 and 3 is listed twice; a symmetric projection needs each pair once");
}
