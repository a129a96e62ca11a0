//! What statements of experiments promise: values within declared bounds, names of loops, one value for each `let`.

use crate::lab::{INTERP, Lab, NARROW, NATIVE, Place};
use nsm::backend::RunError;
use nsm::execute::{self, RunOutcome};

/// The run of a circuit's only experiment, whether or not it ends well.
fn run(text: &str, place: Place) -> RunOutcome {
    let lab = Lab::new(text);
    let ran = crate::lab::run(lab.unit(), &lab.job.points[0], 1, place, false).expect("an engine");
    ran.outcome
}

/// Message and place of the error with which the experiment ends on every back end.
fn refused(text: &str) -> String {
    let told = |place| {
        let outcome = run(text, place);
        let error = outcome.error.unwrap_or_else(|| panic!("nothing is refused: {text}"));
        assert!(matches!(error, RunError::Script { .. }), "{error:?}");
        let d = execute::diagnostic(&error, outcome.dt_ms);
        format!("{} {}; {}", d.code.0, d.message, d.notes.join("; "))
    };
    let all = [INTERP, NATIVE].map(told);
    assert_eq!(all[0], all[1]);
    all[0].clone()
}

/// Cells with bounds and synapses whose rule has some; `body` is the experiment, from line 17 on.
fn bounded(body: &str) -> String {
    format!(
        "use std.sources.Poisson
neuron Cell {{
    param tau = 10 ms in 1 ms .. 100 ms
    state V = 0 mV
    V' = -V / tau
    receptor syn(w: voltage) {{ V += w }}
    spike when V >= 5 mV {{ V = 0 mV }}
}}
plasticity Rule {{ param rate = 0.5 in 0 .. 1; weight w in 1 mV .. 3 mV; on pre {{ w += rate * 0.1 mV }} }}
network Small {{
    source train[3]: Poisson(rate = 100 Hz)
    population E[4]: Cell
    projection rec: train -> E {{ connect all_to_all  weight 2 mV  delay 1 ms  plasticity Rule }}
}}
sleep Night of Small {{ cycle {{ phase sws 10 ms {{ set E.tau = E.tau[0] * 20 }} }} }}
experiment Look of Small {{
    {body}
}}
"
    )
}

#[test]
fn a_param_that_differs_between_cells_is_built_within_its_bounds() {
    let cells = |tau: &str| {
        Lab::new(&format!(
            "neuron Cell {{ param tau = 10 ms in 1 ms .. 100 ms; state V = 0 mV; V' = -V / tau }}
network Small {{ population E[50]: Cell(tau = {tau}) }}
experiment Look of Small {{ simulate 1 ms }}
"
        ))
    };
    let built = |tau: &str, place| {
        let lab = cells(tau);
        crate::lab::run(lab.unit(), &lab.job.points[0], 1, place, false).map(drop)
    };
    for place in [INTERP, NATIVE, NARROW[0], NARROW[1]] {
        assert_eq!(built("uniform(1 ms, 100 ms)", place), Ok(()));
        let drawn = built("uniform(200 ms, 300 ms)", place).expect_err("out of bounds");
        assert!(
            drawn.contains("E: `tau` of neuron 0 is 2") && drawn.contains("outside its bounds 1 ms .. 100 ms"),
            "{drawn}"
        );
        let placed = built("95 ms + index * 1 ms", place).expect_err("out of bounds");
        assert!(placed.contains("E: `tau` of neuron 6 is 101 ms, outside its bounds 1 ms .. 100 ms"), "{placed}");
    }
}

#[test]
fn a_param_is_set_within_its_bounds() {
    let outside = "outside its bounds 1 ms .. 100 ms";
    let drawn = refused(&bounded("set E[2].tau = uniform(200 ms, 300 ms)"));
    assert!(drawn.starts_with("E0703 `tau` is set to 2") && drawn.contains(outside), "{drawn}");
    assert!(drawn.ends_with("at main.nsm:17:5"), "{drawn}");
    let scaled = refused(&bounded("set E.tau = 60 ms; simulate 1 ms; set E.tau *= 2 lasting 5 ms"));
    assert!(scaled.starts_with("E0703 `tau` is set to 120 ms") && scaled.contains(outside), "{scaled}");
    let listed = refused(&bounded("let x = [1, 2, 3, 400]; set E.tau = x * 1 ms"));
    assert!(listed.starts_with("E0703 `tau` is set to 400 ms"), "{listed}");
    let asleep = refused(&bounded("sleep Night for 1 cycles"));
    assert!(asleep.starts_with("E0703 `tau` is set to 200 ms") && asleep.ends_with("at main.nsm:15:50"), "{asleep}");
    let learning = refused(&bounded("set rec.Rule.rate += 0.7"));
    assert!(learning.starts_with("E0703 `rec.Rule.rate` is set to 1.2, outside its bounds 0 .. 1"), "{learning}");
    // Both ends are within.
    let edges = bounded("set E.tau = 1 ms; set E.tau *= 100; set rec.Rule.rate += 0.5; simulate 5 ms");
    assert_eq!(run(&edges, NATIVE).error, None);
}

/// Weights of a rule stay where its own handlers hold them, whoever writes them.
#[test]
fn updates_stay_within_the_bounds_of_a_rule() {
    let body = "record weights of rec every 1 ms
    simulate 20 ms
    update rec { w = 1.15 * w }
    expect max(weight(rec)) <= 3 mV
    update rec { w = if post == 0 then 10 mV else -10 mV }
    expect weight(rec[1, 0]) == 3 mV
    expect weight(rec[1, 1]) == 1 mV
    downscale rec by 50 %
    expect weight(rec[1, 0]) == 1.5 mV
    expect weight(rec[1, 1]) == 1 mV
    simulate 20 ms";
    let text = bounded(body);
    let lab = Lab::new(&text);
    let weights = |place| {
        let ran = lab.run(place);
        let failed: Vec<_> = ran.outcome.expectations.iter().filter(|e| !e.holds()).collect();
        assert!(failed.is_empty(), "{place:?}: {failed:?}");
        ran.outcome.recording.weights[0].values.iter().map(|w| w.to_bits()).collect::<Vec<_>>()
    };
    let oracle = weights(INTERP);
    assert_eq!(oracle, weights(NATIVE));
    NARROW.into_iter().for_each(|place| assert_eq!(oracle, weights(place)));
}

/// A table of the circuit with draws in it is drawn once in a run: an experiment sees what the cells see.
#[test]
fn a_drawn_table_has_one_value_in_a_run() {
    let text = "neuron Cell { param x = 0; state V = x; V' = 0 / 1 ms }
network Small {
    let code[i: 2, k: 3] = normal(0, 1)
    let scale = uniform(1, 2)
    population E[i: 2, k: 3]: Cell(x = code[i, k])
    population S[2]: Cell(x = scale)
}
experiment Look of Small {
    let own[k: 3] = uniform(0, 1)
    let twice[k: 3] = 2 * code[1, k]
    expect E.V[0] != E.V[1]
    expect scale == S.V[0]
    expect scale == S.V[1]
    for k in 0 .. 3 {
        expect code[0, k] == E.V[k]
        expect code[1, k] == E.V[3 + k]
        expect twice[k] == 2 * E.V[3 + k]
        simulate 1 ms
    }
    expect all(code[0] == code[0])
    expect all(own == own)
}
";
    let lab = Lab::new(text);
    for place in [INTERP, NATIVE] {
        for seed in [1, 2] {
            let ran = lab.run_seed(place, seed);
            let failed: Vec<_> = ran.outcome.expectations.iter().filter(|e| !e.holds()).collect();
            assert!(failed.is_empty(), "{place:?}: {failed:?}");
        }
    }
}
