//! An engine of plain clocks stands in for a network: cell k of population p fires every (p + 1) * (k + 1) steps where its
//! param is 0, and never where it is something else. Its observable is the param.

use super::*;
use crate::backend::{EngineState, Keep, SpikeLog, TraceLog};
use crate::execute::needs;
use crate::ir::protocol::{Expect, Loop, Plot, PlotItem, Protocol, Record, Variable};
use crate::ir::{Axis, Dynamics, Network, Node, Observable, Param, ParamKind};
use crate::script::{PlotKind, Slot, Stat};
use crate::units::Dimension;

pub(in crate::execute) fn population(path: &str, size: u32) -> Population {
    Population {
        path: path.to_string(),
        source: false,
        size,
        axes: vec![Axis { name: None, labels: Vec::new(), sizes: vec![size] }],
        dynamics: dynamics(),
    }
}

fn dynamics() -> Dynamics {
    let param = Param {
        name: "I".into(),
        dimension: Dimension::CURRENT,
        kind: ParamKind::Scalar(0.0),
        settable: true,
        bounds: None,
    };
    let mut exprs = crate::ir::Exprs::default();
    let value = exprs.real(0.0);
    Dynamics {
        model: "Clock".into(),
        exprs,
        params: vec![param],
        states: Vec::new(),
        systems: Vec::new(),
        noises: 0,
        adaptive: None,
        integrate: Vec::new(),
        receptors: Vec::new(),
        poisson: Vec::new(),
        coupled: Vec::new(),
        spike: crate::ir::Spike::Never,
        reset: Vec::new(),
        refractory: None,
        every: vec![],
        observables: vec![Observable { name: "V".into(), dimension: Dimension::VOLTAGE, value }],
        solvers: Vec::new(),
        single: false,
    }
}

/// Two populations, dt 0.5 ms.
fn unit(protocol: Protocol) -> Unit {
    let mut network = Network { name: "Clocks".into(), dt_ms: 0.5, ..Network::default() };
    network.graph.add_node(Node::Population(population("A", 2)));
    network.graph.add_node(Node::Population(population("B", 3)));
    Unit { network, protocol }
}

struct Clocks {
    step: u64,
    params: Vec<Vec<f64>>,
    spikes: Vec<SpikeLog>,
    traces: Vec<TraceLog>,
    fail_at: Option<u64>,
    settings: Vec<(u64, Setting)>,
}

impl Clocks {
    fn new(unit: &Unit, needs: &super::super::Needs) -> Clocks {
        let sizes: Vec<u32> = unit.network.populations().map(|(_, p)| p.size).collect();
        let log =
            |r: &crate::backend::TraceRequest| TraceLog { request: r.clone(), steps: Vec::new(), values: Vec::new() };
        Clocks {
            step: 0,
            params: sizes.iter().map(|n| vec![0.0; *n as usize]).collect(),
            spikes: sizes.iter().zip(&needs.spikes).map(|(n, keep)| SpikeLog::new(*n, *keep)).collect(),
            traces: needs.traces.iter().map(log).collect(),
            fail_at: None,
            settings: Vec::new(),
        }
    }
}

impl Engine for Clocks {
    fn step(&self) -> u64 {
        self.step
    }

    fn advance(&mut self, steps: u64, stop: &AtomicBool) -> Result<u64, RunError> {
        for done in 0..steps {
            if stop.load(Ordering::Relaxed) {
                return Ok(done);
            }
            self.step += 1;
            if self.fail_at == Some(self.step) {
                return Err(RunError::NotFinite {
                    population: "A".into(),
                    neuron: 0,
                    step: self.step,
                    variable: "V".into(),
                    value: f64::NAN,
                });
            }
            for (p, log) in self.spikes.iter_mut().enumerate() {
                let fires = |k: &u32| {
                    let period = (p as u64 + 1) * (u64::from(*k) + 1);
                    self.step.is_multiple_of(period) && self.params[p][*k as usize] == 0.0
                };
                let fired: Vec<u32> = (0..self.params[p].len() as u32).filter(fires).collect();
                log.push(self.step, &fired);
            }
            for log in &mut self.traces {
                if self.step.is_multiple_of(log.request.every) {
                    log.steps.push(self.step);
                    let r = &log.request;
                    log.values.extend(r.cells.iter().map(|c| self.params[r.population][*c as usize]));
                }
            }
        }
        Ok(steps)
    }

    fn set(&mut self, s: &Setting) -> Result<(), RunError> {
        self.settings.push((self.step, s.clone()));
        let all: Vec<u32> = (0..self.params[s.population].len() as u32).collect();
        for (k, cell) in s.cells.as_ref().unwrap_or(&all).iter().enumerate() {
            let value = if s.values.len() == 1 { s.values[0] } else { s.values[k] };
            let slot = &mut self.params[s.population][*cell as usize];
            *slot = match s.op {
                Some(BinaryOp::Add) => *slot + value,
                _ => value,
            };
        }
        Ok(())
    }

    fn param(&self, population: usize, _: u32, cells: &[u32]) -> Vec<f64> {
        cells.iter().map(|c| self.params[population][*c as usize]).collect()
    }

    fn observe(&self, population: usize, _: u32, cells: &[u32]) -> Vec<f64> {
        self.param(population, 0, cells)
    }

    fn state(&self, population: usize, _: u32) -> Vec<f64> {
        self.params[population].clone()
    }

    fn spikes(&self, population: usize) -> &SpikeLog {
        &self.spikes[population]
    }

    fn traces(&self) -> &[TraceLog] {
        &self.traces
    }

    fn weights(&mut self, _: usize) -> Vec<f64> {
        Vec::new()
    }

    fn edges(&mut self, _: usize) -> Vec<(u32, u32)> {
        Vec::new()
    }

    fn set_weights(&mut self, _: usize, _: &[f64]) -> Result<(), RunError> {
        Ok(())
    }

    fn set_edges(&mut self, _: usize, _: &[(u32, u32)]) -> Result<(), RunError> {
        Ok(())
    }

    fn reset(&mut self, _: usize, _: &[Vec<f64>]) -> Result<(), RunError> {
        Ok(())
    }

    fn set_learning(&mut self, _: usize, _: bool) {}

    fn save(&mut self) -> EngineState {
        EngineState {
            step: self.step,
            spikes: self.spikes.clone(),
            traces: self.traces.clone(),
            ..EngineState::default()
        }
    }

    fn load(&mut self, state: EngineState) -> Result<(), RunError> {
        self.step = state.step;
        self.spikes = state.spikes;
        self.traces = state.traces;
        Ok(())
    }

    fn synapses(&self) -> u64 {
        0
    }

    fn synapse_bytes(&self) -> u64 {
        0
    }

    fn synaptic_events(&self) -> u64 {
        0
    }

    fn touches(&self) -> crate::backend::Touches {
        crate::backend::Touches::default()
    }
}

const PLACE: &str = "clocks.nsm:1:1";

fn simulate(ms: f64, window: Option<&str>) -> Stmt {
    Stmt::Simulate { time: Expr::number(ms), window: window.map(str::to_string), place: PLACE.into() }
}

fn cells(population: u32, slots: Vec<Slot>) -> Cells {
    Cells { population, slots }
}

fn one(k: f64) -> Vec<Slot> {
    vec![Slot::At(Expr::number(k))]
}

fn set(of: Cells, op: Option<BinaryOp>, value: Expr, lasting: Option<f64>) -> Stmt {
    let target = SetTarget { cells: of, param: 0, text: "A.I".into(), bounds: None };
    Stmt::Set { target, op, value, lasting: lasting.map(Expr::number), place: PLACE.into() }
}

fn spikes(stat: Stat, of: Cells, window: Window) -> Expr {
    Expr::Query(Box::new(Query::Spikes { stat, of, window, by: None, bin: None }))
}

fn level(of: Cells) -> Expr {
    Expr::Query(Box::new(Query::Trace { of, observable: 0, window: None }))
}

fn measure(name: &str, value: Expr) -> Stmt {
    Stmt::Measure { name: name.into(), value, dimension: Dimension::NUMBER, place: PLACE.into() }
}

fn point() -> Point {
    Point { sweep: Vec::new(), unit: 0 }
}

fn quiet(stop: &AtomicBool) -> Control<'_> {
    Control { stop, progress: &|_| {}, quick: false, memory: f64::INFINITY }
}

fn outcome(protocol: Protocol) -> RunOutcome {
    let unit = unit(protocol);
    let needs = needs(&unit, &point(), true).unwrap();
    let mut engine = Clocks::new(&unit, &needs);
    run(&unit, &point(), 5, &mut engine, &quiet(&AtomicBool::new(false)))
}

fn measured(statements: Vec<Stmt>) -> Vec<f64> {
    let out = outcome(Protocol { statements, ..Protocol::default() });
    assert_eq!(out.error, None);
    out.rows.list.iter().map(|r| r.value).collect()
}

#[test]
fn time_becomes_the_nearest_number_of_steps() {
    let out = outcome(Protocol { statements: vec![simulate(10.2, None), simulate(0.3, None)], ..Protocol::default() });
    assert_eq!((out.steps, out.duration_ms()), (21, 10.5));
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let out = outcome(Protocol { statements: vec![simulate(bad, None)], ..Protocol::default() });
        assert!(matches!(out.error, Some(RunError::Script { ref place, .. }) if place == PLACE));
    }
}

#[test]
fn windows_follow_each_other_without_gap_or_overlap() {
    // A[0] fires at every step of 0.5 ms.
    let count = |w| spikes(Stat::Count, cells(0, one(0.0)), w);
    let named = |name: &str, part: Option<(f64, Option<f64>)>| {
        Window::Named(name.into(), part.map(|(a, b)| (Expr::number(a), b.map(Expr::number))))
    };
    let statements = vec![
        simulate(10.0, Some("w")),
        measure("first", count(named("w", None))),
        simulate(5.0, Some("w")),
        measure("latest", count(named("w", None))),
        measure("part", count(named("w", Some((1.0, Some(2.0)))))),
        measure("rest", count(named("w", Some((1.0, None))))),
        measure("interval", count(Window::Interval(Expr::number(10.0), None))),
        measure("last", count(Window::Last(Expr::number(2.0)))),
        measure("whole", count(Window::Whole)),
        measure("all", spikes(Stat::Count, cells(0, Vec::new()), Window::Whole)),
    ];
    assert_eq!(measured(statements), [20.0, 10.0, 2.0, 8.0, 10.0, 4.0, 30.0, 45.0]);
    let unknown = vec![measure("x", count(named("v", None)))];
    assert!(outcome(Protocol { statements: unknown, ..Protocol::default() }).error.is_some());
    let long = vec![simulate(5.0, Some("w")), measure("x", count(named("w", Some((1.0, Some(6.0))))))];
    assert!(outcome(Protocol { statements: long, ..Protocol::default() }).error.is_some());
}

#[test]
fn temporary_values_return_within_a_simulate() {
    let all = || cells(1, Vec::new());
    let statements = vec![
        set(all(), None, Expr::number(1.0), None),
        set(all(), Some(BinaryOp::Add), Expr::number(4.0), Some(10.0)),
        set(cells(1, one(2.0)), None, Expr::number(7.0), Some(5.0)),
        measure("before", level(cells(1, one(2.0)))),
        simulate(5.0, None),
        measure("middle", level(cells(1, one(2.0)))),
        simulate(20.0, None),
        measure("after", level(cells(1, one(2.0)))),
    ];
    let unit = unit(Protocol { statements, ..Protocol::default() });
    let mut engine = Clocks::new(&unit, &needs(&unit, &point(), true).unwrap());
    let out = run(&unit, &point(), 5, &mut engine, &quiet(&AtomicBool::new(false)));
    let values: Vec<f64> = out.rows.list.iter().map(|r| r.value).collect();
    assert_eq!(values, [7.0, 5.0, 1.0]);
    let last = engine.settings.last().unwrap();
    assert_eq!(last, &(20, Setting { population: 1, param: 0, cells: None, op: None, values: vec![1.0] }));
}

#[test]
fn lists_set_cell_by_cell() {
    let list = |v: &[f64]| Expr::List(v.iter().map(|v| Expr::number(*v)).collect());
    let statements =
        vec![set(cells(1, Vec::new()), None, list(&[1.0, 2.0, 3.0]), None), measure("last", level(cells(1, one(2.0))))];
    assert_eq!(measured(statements), [3.0]);
    let short = vec![set(cells(1, Vec::new()), None, list(&[1.0, 2.0]), None)];
    assert!(outcome(Protocol { statements: short, ..Protocol::default() }).error.is_some());
}

fn variables(names: &[(&str, bool)]) -> Vec<Variable> {
    let one = |(name, in_rows): &(&str, bool)| Variable {
        name: name.to_string(),
        dimension: Dimension::NUMBER,
        labels: Vec::new(),
        in_rows: *in_rows,
    };
    names.iter().map(one).collect()
}

#[test]
fn loops_bind_rows_and_stop_when_told() {
    let draw =
        Expr::Draw { distribution: Distribution::Uniform, args: vec![Expr::number(0.0), Expr::number(1.0)], site: 4 };
    let add = Stmt::Assign {
        variable: 1,
        slots: Vec::new(),
        op: Some(BinaryOp::Add),
        value: Expr::number(1.0),
        place: PLACE.into(),
    };
    let start =
        Stmt::Assign { variable: 1, slots: Vec::new(), op: None, value: Expr::number(0.0), place: PLACE.into() };
    let enough = Expr::Binary(BinaryOp::Ge, Box::new(Expr::Var(1)), Box::new(Expr::number(3.0)));
    let statements = vec![
        start,
        Stmt::Repeat { times: Expr::number(10.0), until: Some(enough), body: vec![add], place: PLACE.into() },
        Stmt::For {
            loops: vec![Loop { variable: 0, start: Expr::number(2.0), end: Some(Expr::number(4.0)) }],
            body: vec![measure("draw", draw.clone())],
            place: PLACE.into(),
        },
        measure("rounds", Expr::Var(1)),
    ];
    let protocol =
        Protocol { statements, variables: variables(&[("trial", true), ("x", false)]), ..Protocol::default() };
    let first = outcome(protocol.clone());
    assert_eq!(first.error, None);
    let rows = &first.rows.list;
    assert_eq!(
        rows.iter().map(|r| r.variable(0).cloned()).collect::<Vec<_>>(),
        [Some(Value::Number(2.0)), Some(Value::Number(3.0)), None]
    );
    assert_eq!(rows[2].value, 3.0);
    assert!(rows[0].value != rows[1].value && rows.iter().all(|r| r.seed == 5));
    assert_eq!(outcome(protocol).rows, first.rows);
    let many = vec![Stmt::Repeat { times: Expr::number(2e9), until: None, body: Vec::new(), place: PLACE.into() }];
    let out = outcome(Protocol { statements: many, ..Protocol::default() });
    assert!(matches!(out.error, Some(RunError::Limit(_))));
}

#[test]
fn tables_have_index_variables_of_their_own() {
    let far = 1 << 20;
    let table = Expr::Table {
        axes: vec![(far, Expr::number(3.0)), (far + 1, Expr::number(2.0))],
        body: Box::new(Expr::Binary(BinaryOp::Mul, Box::new(Expr::Var(far)), Box::new(Expr::Var(far + 1)))),
    };
    assert_eq!(measured(vec![measure("sum", Expr::Call(crate::script::Func::Sum, vec![table]))]), [3.0]);
}

#[test]
fn expectations_tell_what_was_measured() {
    let rate = spikes(Stat::Rate, cells(0, one(0.0)), Window::Whole);
    let expect = |limit: f64| {
        Stmt::Expect(Expect {
            text: format!("rate(A[0]) > {limit}"),
            condition: Expr::Binary(BinaryOp::Gt, Box::new(rate.clone()), Box::new(Expr::number(limit))),
            measured: Some(rate.clone()),
            dimension: Dimension::RATE,
            place: PLACE.into(),
        })
    };
    let out =
        outcome(Protocol { statements: vec![simulate(10.0, None), expect(1.0), expect(3.0)], ..Protocol::default() });
    let told: Vec<(bool, String)> = out.expectations.iter().map(|e| (e.holds(), e.measured_text().unwrap())).collect();
    assert_eq!(told, [(true, "2 kHz".to_string()), (false, "2 kHz".to_string())]);
}

#[test]
fn records_and_plots_hold_what_was_named() {
    let range = |a: f64, b: f64| vec![Slot::Range(Some(Expr::number(a)), Some(Expr::number(b)))];
    let protocol = Protocol {
        statements: vec![simulate(3.0, None)],
        records: vec![
            Record::Spikes { of: cells(1, range(0.0, 1.0)) },
            Record::Spikes { of: cells(1, range(2.0, 3.0)) },
            Record::Observable { of: cells(0, Vec::new()), observable: 0, every: Some(Expr::number(1.0)) },
        ],
        plots: vec![Plot {
            kind: PlotKind::Trace,
            of: vec![PlotItem { cells: cells(0, one(1.0)), observable: Some(0) }],
            weights: Vec::new(),
        }],
        ..Protocol::default()
    };
    let out = outcome(protocol.clone());
    let b = out.recording.population("B").unwrap();
    assert_eq!(b.steps, [2, 4, 6, 6]);
    assert_eq!(b.senders, [0, 0, 0, 2]);
    assert_eq!(out.recording.states[0].steps, [2, 4, 6]);
    assert_eq!(out.plots[0].recording.states[0].neurons, [1]);
    let mut twice = protocol.clone();
    twice.records.push(Record::Observable { of: cells(0, one(0.0)), observable: 0, every: None });
    let error = needs(&unit(twice), &point(), true).unwrap_err();
    assert!(matches!(error, RunError::Script { ref message, .. } if message.contains("`A.V`")));
    // Nothing is to be written: nothing is kept.
    assert_eq!(needs(&unit(protocol), &point(), false).unwrap().spikes, [Keep::None; 2]);
}

#[test]
fn an_error_or_an_interruption_keeps_what_was_recorded() {
    let protocol = Protocol {
        statements: vec![simulate(2.0, None), measure("x", Expr::number(1.0)), simulate(10.0, None)],
        records: vec![Record::Spikes { of: cells(0, Vec::new()) }],
        ..Protocol::default()
    };
    let unit = unit(protocol);
    let needs = needs(&unit, &point(), true).unwrap();
    let mut engine = Clocks::new(&unit, &needs);
    engine.fail_at = Some(10);
    let out = run(&unit, &point(), 1, &mut engine, &quiet(&AtomicBool::new(false)));
    assert!(matches!(out.error, Some(RunError::NotFinite { step: 10, .. })));
    assert_eq!((out.rows.list.len(), out.recording.spikes[0].steps.last()), (1, Some(&9)));

    let stop = AtomicBool::new(false);
    let mut engine = Clocks::new(&unit, &needs);
    let after = |p: Progress| stop.store(p.time_ms >= 2.0, Ordering::Relaxed);
    let out = run(
        &unit,
        &point(),
        1,
        &mut engine,
        &Control { stop: &stop, progress: &after, quick: false, memory: f64::INFINITY },
    );
    assert!(out.interrupted && out.error.is_none() && out.steps < 24);
    assert!(out.recording.spikes[0].steps.len() >= 4);

    // A spike takes 12 bytes, and room for it is needed twice.
    let mut engine = Clocks::new(&unit, &needs);
    let out = run(
        &unit,
        &point(),
        1,
        &mut engine,
        &Control { stop: &AtomicBool::new(false), progress: &|_| {}, quick: false, memory: 300.0 },
    );
    let Some(RunError::Memory { most, step, .. }) = out.error else { panic!("{:?}", out.error) };
    assert_eq!((most.as_str(), step), ("the spikes", out.steps));
    assert!(out.steps < 24 && !out.recording.spikes[0].steps.is_empty());
}

#[test]
fn draws_of_lists_are_valid() {
    let stream = || Stream::new(StreamKey::new(1, "", Purpose::Experiment), 0);
    let number = |v: f64| Value::Number(v);
    let Ok(Value::List(items)) = list_draw(ListDraw::Permutation, &[number(5.0)], &mut stream()) else { panic!() };
    let mut order: Vec<f64> = items.iter().map(|v| v.number().unwrap()).collect();
    order.sort_by(f64::total_cmp);
    assert_eq!(order, [0.0, 1.0, 2.0, 3.0, 4.0]);
    let Ok(Value::Mask(flags)) = list_draw(ListDraw::Sample, &[number(10.0), number(3.0)], &mut stream()) else {
        panic!()
    };
    assert_eq!((flags.len(), flags.iter().filter(|f| **f).count()), (10, 3));
    assert!(list_draw(ListDraw::Sample, &[number(2.0), number(3.0)], &mut stream()).is_err());
    assert!(list_draw(ListDraw::Choose, &[number(0.0)], &mut stream()).is_err());
}
