//! Small networks by hand, whose course follows from the order of one step.

use super::*;
use crate::backend::engine::{Keep, Setting};
use crate::connect::{Rule, Spec};
use crate::ir::*;
use crate::random::{self, Purpose, StreamKey};
use crate::script::BinaryOp as Op;
use crate::units::Dimension;

const NUMBER: Dimension = Dimension::NUMBER;

fn go(engine: &mut Interpreter, steps: u64) -> Result<u64, RunError> {
    engine.advance(steps, &AtomicBool::new(false))
}

fn start(network: &Network) -> Interpreter {
    let keep = vec![Keep::All; network.populations().count()];
    Interpreter::new(network, 7, vec![], &keep).unwrap()
}

fn spikes(engine: &Interpreter, population: usize) -> Vec<(u64, u32)> {
    let log = engine.spikes(population);
    log.steps.iter().copied().zip(log.senders.iter().copied()).collect()
}

/// Dynamics with one state `V` that adds what arrives; nothing decays, nothing fires.
fn counter(arrivals: Vec<Arrival>, initial: ExprId) -> Dynamics {
    let mut exprs = Exprs::default();
    let (v, arrival) = (exprs.intern(Expr::State(0)), exprs.intern(Expr::Arrival));
    let sum = exprs.add(v, arrival);
    Dynamics {
        model: "Counter".into(),
        params: vec![],
        states: vec![State { name: "V".into(), dimension: NUMBER, initial }],
        systems: vec![],
        noises: 0,
        adaptive: None,
        integrate: vec![],
        receptors: vec![Receptor {
            name: "in".into(),
            dimension: NUMBER,
            arrivals,
            body: vec![Assign { state: 0, value: sum }],
        }],
        poisson: vec![],
        coupled: Vec::new(),
        spike: Spike::Never,
        reset: vec![],
        refractory: None,
        every: vec![],
        observables: vec![Observable { name: "V".into(), dimension: NUMBER, value: v }],
        solvers: vec![],
        single: false,
        exprs,
    }
}

fn network() -> (Network, ExprId) {
    let mut network = Network { name: "net".into(), dt_ms: 0.1, ..Network::default() };
    let zero = network.build.real(0.0);
    (network, zero)
}

fn add(network: &mut Network, path: &str, size: u32, dynamics: Dynamics) -> PopulationId {
    let source = matches!(dynamics.spike, Spike::Schedule(_));
    network.graph.add_node(Node::Population(Population { path: path.into(), source, size, axes: vec![], dynamics }))
}

fn connect(network: &mut Network, from: PopulationId, to: PopulationId, weight: Weight, delay: Delay) -> ProjectionId {
    let path = format!("p{}", network.graph.edge_count());
    let spec = Spec { rule: Rule::AllToAll, autapses: true, multapses: false };
    let projection = Projection {
        path,
        receptor: 0,
        pre: Subset::All,
        post: Subset::All,
        spec,
        filter: None,
        weight,
        delay,
        gain: None,
        columns: vec![],
        private: false,
        coupling: None,
        symmetric: false,
        procedural: None,
    };
    network.graph.add_edge(from, to, projection)
}

fn train(network: &mut Network, zero: ExprId, path: &str, steps: &[&[u64]]) -> PopulationId {
    let dynamics = Dynamics {
        spike: Spike::Schedule(Trains::Each(steps.iter().map(|s| s.to_vec()).collect())),
        receptors: vec![],
        ..counter(vec![], zero)
    };
    add(network, path, steps.len() as u32, dynamics)
}

/// V' = (E - V) / tau by its propagator, E = 20, tau = 20 ms; fires at 15, falls to 0, holds V for `refractory` steps.
fn lif(zero: ExprId, arrivals: Vec<Arrival>, refractory: u64) -> Dynamics {
    let mut d = counter(arrivals, zero);
    let e = &mut d.exprs;
    let decay = (-0.1_f64 / 20.0).exp();
    let (v, p, drive, threshold) =
        (e.intern(Expr::State(0)), e.real(decay), e.real(20.0 * (1.0 - decay)), e.real(15.0));
    let (left, reset, steps) = (e.mul(p, v), e.real(0.0), e.real(refractory as f64));
    let next = e.add(left, drive);
    let condition = e.compare(Compare::Ge, v, threshold);
    d.integrate = vec![Stage { assigns: vec![Assign { state: 0, value: next }] }];
    d.spike = Spike::When(condition);
    d.reset = vec![Assign { state: 0, value: reset }];
    d.refractory = Some(Refractory { steps, held: vec![0] });
    d
}

#[test]
fn a_driven_lif_fires_at_its_exact_interval() {
    let (mut net, zero) = network();
    add(&mut net, "E", 2, lif(zero, vec![], 20));
    let mut engine = start(&net);
    go(&mut engine, 1000).unwrap();
    // V(t) = E (1 - exp(-t / tau)) reaches 15 after tau ln 4; then t_ref, then the same again.
    let climb = (200.0 * 4.0_f64.ln()).ceil() as u64;
    let times: Vec<u64> = (0..).map(|k| climb + k * (climb + 20)).take_while(|t| *t <= 1000).collect();
    let expected: Vec<(u64, u32)> = times.iter().flat_map(|t| [(*t, 0), (*t, 1)]).collect();
    assert_eq!(spikes(&engine, 0), expected);
    assert_eq!(engine.spikes(0).count, 2 * times.len() as u64);
    assert_eq!(engine.step(), 1000);
}

#[test]
fn the_earliest_next_spike_is_one_step_after_the_refractory_time() {
    let (mut net, zero) = network();
    let mut always = lif(zero, vec![], 3);
    always.spike = Spike::When(always.exprs.real(1.0));
    // A second state, which is not held, counts the refractory steps.
    let (n, held) = (always.exprs.intern(Expr::State(1)), always.exprs.intern(Expr::Held));
    let more = always.exprs.add(n, held);
    always.states.push(State { name: "n".into(), dimension: NUMBER, initial: zero });
    always.integrate.push(Stage { assigns: vec![Assign { state: 1, value: more }] });
    add(&mut net, "E", 1, always);
    let mut engine = start(&net);
    go(&mut engine, 10).unwrap();
    assert_eq!(spikes(&engine, 0), [(1, 0), (5, 0), (9, 0)]);
    assert_eq!(engine.state(0, 1), [3.0 + 3.0 + 1.0]);
}

#[test]
fn a_jump_onto_a_held_state_is_lost() {
    let (mut net, zero) = network();
    let source = train(&mut net, zero, "S", &[&[1, 2, 4]]);
    let target = add(&mut net, "E", 1, lif(zero, vec![], 2));
    let p = connect(&mut net, source, target, Weight::Constant(30.0), Delay::Constant(1));
    let one = net.population_mut(target).unwrap().dynamics.exprs.real(30.0);
    net.population_mut(target).unwrap().dynamics.receptors[0].arrivals =
        vec![Arrival::Count { projections: vec![p], weight: one, gain: None }];
    let mut engine = start(&net);
    go(&mut engine, 4).unwrap();
    // Arrives at 2 and fires; the one at 3 falls into the refractory time.
    assert_eq!(spikes(&engine, 1), [(2, 0)]);
    assert_eq!(engine.state(1, 0), [0.0]);
    go(&mut engine, 1).unwrap();
    // The refractory steps 3 and 4 are over: the one at 5 counts.
    assert_eq!(spikes(&engine, 1), [(2, 0), (5, 0)]);
    assert_eq!((engine.synapses(), engine.synaptic_events()), (1, 3));
}

#[test]
fn weights_add_up_in_the_order_of_emission_and_sender() {
    let (mut net, zero) = network();
    let late = train(&mut net, zero, "late", &[&[3], &[3], &[3]]);
    let early = train(&mut net, zero, "early", &[&[1]]);
    let target = add(&mut net, "E", 2, counter(vec![], zero));
    // The senders of `late` weigh 1, 1 and -1e16; `early` weighs 1e16 and sends two steps before.
    let index = net.build.intern(Expr::Element(Side::Pre, Attribute::Index));
    let [one, big, negative] = [1.0, 1e16, -1e16].map(|v| net.build.real(v));
    let last = net.build.compare(Compare::Gt, index, one);
    let by_sender = net.build.select(last, negative, one);
    let weight = |value| Weight::PerSynapse { value, single: false };
    let first = connect(&mut net, late, target, weight(by_sender), Delay::Constant(2));
    let second = connect(&mut net, early, target, weight(big), Delay::Constant(4));
    net.population_mut(target).unwrap().dynamics.receptors[0].arrivals =
        vec![Arrival::Sum { projections: vec![first, second], gain: None }];
    let mut engine = start(&net);
    go(&mut engine, 4).unwrap();
    assert_eq!(engine.state(2, 0), [0.0, 0.0]);
    go(&mut engine, 1).unwrap();
    // 1e16 swallows a 1 that is added to it: two of them vanish only in the stated order.
    assert_eq!(1.0 + 1.0 - 1e16 + 1e16, 2.0);
    assert_eq!(engine.state(2, 0), [0.0; 2]);
    assert_eq!(engine.weights(0), [1.0, 1.0, 1.0, 1.0, -1e16, -1e16]);
    assert_eq!(engine.weights(1), [1e16, 1e16]);
}

#[test]
fn the_terms_of_a_receptor_are_weighed_and_added() {
    let (mut net, zero) = network();
    let source = train(&mut net, zero, "S", &[&[1], &[1], &[1]]);
    let target = add(&mut net, "E", 1, counter(vec![], zero));
    let p = connect(&mut net, source, target, Weight::Constant(0.7), Delay::Constant(1));
    let q = connect(&mut net, source, target, Weight::Constant(0.3), Delay::Constant(1));
    let d = &mut net.population_mut(target).unwrap().dynamics;
    let [weight, gain] = [0.7, 0.9].map(|v| d.exprs.real(v));
    d.receptors[0].arrivals = vec![
        Arrival::Count { projections: vec![p], weight, gain: Some(gain) },
        Arrival::Sum { projections: vec![q], gain: Some(gain) },
    ];
    let mut engine = start(&net);
    go(&mut engine, 2).unwrap();
    assert_eq!(engine.state(1, 0), [3.0 * 0.7 * 0.9 + (0.3 + 0.3 + 0.3) * 0.9]);
    assert_eq!(engine.synaptic_events(), 6);
    net.population_mut(target).unwrap().dynamics.receptors[0].arrivals.pop();
    let message = "p1: no receptor takes its spikes";
    assert_eq!(Interpreter::new(&net, 7, vec![], &[]).err(), Some(RunError::Build(message.into())));
}

#[test]
fn delays_drawn_from_an_expression_are_rounded_and_bounded() {
    let (mut net, zero) = network();
    let source = train(&mut net, zero, "S", &[&[1]]);
    let target = add(&mut net, "E", 4, counter(vec![], zero));
    // 0, 0.24, 0.48 and 0.72 ms: 0, 2.4, 4.8 and 7.2 steps.
    let index = net.build.intern(Expr::Element(Side::Post, Attribute::Index));
    let unit = net.build.real(0.24);
    let value = net.build.mul(index, unit);
    let p = connect(&mut net, source, target, Weight::Constant(1.0), Delay::PerSynapse { value, max: 6 });
    net.population_mut(target).unwrap().dynamics.receptors[0].arrivals =
        vec![Arrival::Sum { projections: vec![p], gain: None }];
    let mut engine = start(&net);
    let mut seen = vec![0; 4];
    for step in 1..=10 {
        go(&mut engine, 1).unwrap();
        for (neuron, v) in engine.state(1, 0).iter().enumerate() {
            if *v == 1.0 && seen[neuron] == 0 {
                seen[neuron] = step;
            }
        }
    }
    assert_eq!(seen, [1 + 1, 1 + 2, 1 + 5, 1 + 6]);
}

/// `count` neurons with a private Poisson input of 2 / ms over 3 steps, weight 0.5.
fn poisson_driven(count: u32) -> Network {
    let (mut net, zero) = network();
    let mut d = counter(vec![Arrival::Poisson(0)], zero);
    let rate = d.exprs.intern(Expr::Param(0));
    let weight = d.exprs.real(0.5);
    d.params = vec![Param {
        name: "rate".into(),
        dimension: Dimension::RATE,
        kind: ParamKind::Scalar(2.0),
        settable: true,
        bounds: None,
    }];
    d.poisson = vec![PoissonInput { path: "drive->E".into(), receptor: 0, rate, weight, delay: 3 }];
    add(&mut net, "E", count, d);
    net
}

#[test]
fn poisson_input_has_its_mean_and_arrives_after_its_delay() {
    let mut engine = start(&poisson_driven(400));
    go(&mut engine, 3).unwrap();
    assert!(engine.state(0, 0).iter().all(|v| *v == 0.0));
    go(&mut engine, 500).unwrap();
    let counts: Vec<f64> = engine.state(0, 0).iter().map(|v| v / 0.5).collect();
    let mean = counts.iter().sum::<f64>() / 400.0;
    let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / 399.0;
    // 100 events each: the mean's standard error is 0.5, the variance's about 7.
    assert!((mean - 100.0).abs() < 2.5, "{mean}");
    assert!((variance - 100.0).abs() < 35.0, "{variance}");
}

#[test]
fn poisson_counts_are_keyed_by_the_step_of_emission() {
    let mut engine = start(&poisson_driven(3));
    go(&mut engine, 3).unwrap();
    let key = StreamKey::new(7, "drive->E", Purpose::Input);
    let mut sum = [0.0; 3];
    for sent in 0..40 {
        go(&mut engine, 1).unwrap();
        for (neuron, sum) in (0..).zip(&mut sum) {
            *sum += 0.5 * random::poisson_each(key, sent, neuron, 0, 2.0 * 0.1);
        }
        assert_eq!(engine.state(0, 0), sum);
    }
    assert!(sum.iter().sum::<f64>() > 0.0);
}

#[test]
fn settings_promote_single_values() {
    let mut engine = start(&poisson_driven(3));
    go(&mut engine, 3).unwrap();
    let off = Setting { population: 0, param: 0, cells: Some(vec![1]), op: Some(Op::Mul), values: vec![0.0] };
    engine.set(&off).unwrap();
    assert_eq!(engine.param(0, 0, &[2, 1]), [2.0, 0.0]);
    go(&mut engine, 300).unwrap();
    let state = engine.state(0, 0);
    assert!(state[0] > 0.0 && state[1] == 0.0 && state[2] > 0.0, "{state:?}");
    assert!(engine.set(&Setting { population: 4, ..off }).is_err());
}

#[test]
fn a_hazard_fires_with_its_probability() {
    let (mut net, zero) = network();
    let mut d = counter(vec![], zero);
    let (uniform, p) = (d.exprs.intern(Expr::Uniform), d.exprs.real(0.1));
    d.spike = Spike::When(d.exprs.compare(Compare::Lt, uniform, p));
    add(&mut net, "E", 50, d);
    let mut engine = start(&net);
    go(&mut engine, 1000).unwrap();
    // Binomial: 5000 with a standard deviation of 67.
    let count = engine.spikes(0).count;
    assert!((4700..5300).contains(&count), "{count}");
    let cv = engine.spikes(0).cv_isi().unwrap();
    assert!((cv - 0.9_f64.sqrt()).abs() < 0.05, "{cv}");
}

#[test]
fn a_crossing_compares_with_the_start_of_the_step() {
    // V = 1, 2, 3 ...; crosses 2.5 once.
    let (mut net, zero) = network();
    let mut d = counter(vec![], zero);
    let e = &mut d.exprs;
    let (v, one, level) = (e.intern(Expr::State(0)), e.real(1.0), e.real(2.5));
    let next = e.add(v, one);
    let above = e.compare(Compare::Ge, v, level);
    let below = e.compare(Compare::Lt, v, level);
    let before = e.intern(Expr::Before(below));
    let condition = e.binary(BinaryOp::And, above, before);
    d.integrate = vec![Stage { assigns: vec![Assign { state: 0, value: next }] }];
    d.spike = Spike::When(condition);
    add(&mut net, "E", 1, d);
    let mut engine = start(&net);
    go(&mut engine, 10).unwrap();
    assert_eq!(spikes(&engine, 0), [(3, 0)]);
}

#[test]
fn a_stage_reads_the_states_before_it() {
    let (mut net, zero) = network();
    let index = net.build.intern(Expr::Element(Side::Own, Attribute::Index));
    let mut d = counter(vec![], zero);
    let (a, b) = (d.exprs.intern(Expr::State(0)), d.exprs.intern(Expr::State(1)));
    d.states.push(State { name: "W".into(), dimension: NUMBER, initial: index });
    d.integrate = vec![Stage { assigns: vec![Assign { state: 0, value: b }, Assign { state: 1, value: a }] }];
    add(&mut net, "E", 3, d);
    let mut engine = start(&net);
    go(&mut engine, 1).unwrap();
    assert_eq!((engine.state(0, 0), engine.state(0, 1)), (vec![0.0, 1.0, 2.0], vec![0.0; 3]));
}

#[test]
fn traces_sample_at_the_end_of_the_step() {
    let (mut net, zero) = network();
    let mut d = counter(vec![], zero);
    let (time, v) = (d.exprs.intern(Expr::Time), d.exprs.intern(Expr::State(0)));
    d.integrate = vec![Stage { assigns: vec![Assign { state: 0, value: time }] }];
    let late = d.exprs.sub(time, v);
    d.observables = vec![
        Observable { name: "t".into(), dimension: NUMBER, value: time },
        Observable { name: "late".into(), dimension: NUMBER, value: late },
    ];
    add(&mut net, "E", 4, d);
    let request = TraceRequest { population: 0, observable: 0, cells: vec![2, 0], every: 3 };
    let mut engine = Interpreter::new(&net, 1, vec![request], &[]).unwrap();
    go(&mut engine, 7).unwrap();
    let log = &engine.traces()[0];
    assert_eq!(log.steps, [3, 6]);
    assert_eq!(log.values, [3.0 * 0.1, 3.0 * 0.1, 6.0 * 0.1, 6.0 * 0.1]);
    // Integration saw the start of the step, the observable its end.
    assert_eq!(engine.observe(0, 1, &[0]), [7.0 * 0.1 - 6.0 * 0.1]);
    assert!(engine.spikes(0).steps.is_empty());
}

#[test]
fn a_state_that_is_not_finite_ends_the_run() {
    let (mut net, zero) = network();
    let index = net.build.intern(Expr::Element(Side::Own, Attribute::Index));
    let mut d = counter(vec![], zero);
    d.states[0].initial = index;
    let v = d.exprs.intern(Expr::State(0));
    let square = d.exprs.mul(v, v);
    let square = d.exprs.add(square, square);
    d.integrate = vec![Stage { assigns: vec![Assign { state: 0, value: square }] }];
    add(&mut net, "E", 4, d);
    // Doubly exponential: neuron 3 is first to leave the range of numbers.
    let error = go(&mut start(&net), 100).unwrap_err();
    let RunError::NotFinite { population, neuron, step, variable, value } = error else { panic!("{error:?}") };
    assert_eq!((population.as_str(), neuron, variable.as_str(), value), ("E", 3, "V", f64::INFINITY));
    // 2 v is squared each step: ln 6 * 2^step passes ln(2 max) = 710.5 first at step 9.
    assert_eq!(step, 9);
}

#[test]
fn a_run_stops_between_steps() {
    let (mut net, zero) = network();
    add(&mut net, "E", 1, counter(vec![], zero));
    let mut engine = start(&net);
    assert_eq!(engine.advance(5, &AtomicBool::new(true)), Ok(0));
    assert_eq!(engine.step(), 0);
    assert_eq!(engine.advance(5, &AtomicBool::new(false)), Ok(5));
}

#[test]
fn noise_is_a_standard_normal_per_neuron_and_step() {
    let (mut net, zero) = network();
    let mut d = counter(vec![], zero);
    let noise = d.exprs.intern(Expr::Noise(1));
    d.noises = 2;
    d.integrate = vec![Stage { assigns: vec![Assign { state: 0, value: noise }] }];
    add(&mut net, "E", 3, d);
    let mut engine = start(&net);
    go(&mut engine, 5).unwrap();
    let key = StreamKey::new(7, "E", Purpose::Noise);
    let expected: Vec<f64> = (0..3).map(|neuron| random::normal(key, 4, neuron, 1)).collect();
    assert_eq!(engine.state(0, 0), expected);
}
