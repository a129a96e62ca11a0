//! The embedding library: the same bits as an experiment that does the same, errors as diagnostics, what a call costs.

use crate::lab::{Lab, NATIVE};
use nsm::Simulation;
use nsm::driver::Backend;
use nsm::simulation::{Failure, Setup};
use std::time::{Duration, Instant};

const CIRCUIT: &str = "
use std.neurons.LifCuba
use std.modulators.Transient
use std.sources.Poisson

network Reflex {
    dt 1 ms
    sensor light[side: 2]: rate = 0 Hz
    sensor arousal: voltage = 0 mV
    event reward(r: number)
    event tick
    modulator dopamine: Transient(tau = 200 ms, reward = reward)
    source eye[side: 2, cell: 20]: Poisson(rate = light[side])
    population motor[side: 2, cell: 10]: LifCuba(tau_m = 10 ms, sigma = 1 mV, bias = arousal + 2 mV * dopamine)
    projection eye -> motor.exc { connect all_to_all where pre.side == post.side  weight 3 mV  delay 1 ms }
    actuator turn = argmax(rate(motor by side over 50 ms))
    actuator rates = rate(motor by side over 50 ms)
    actuator level = dopamine
    actuator voltage = mean(motor.V)
}
";

fn simulation(backend: Backend, threads: usize) -> Simulation {
    let setup = Setup { seed: 3, backend, threads, spikes: vec!["motor".to_string()], ..Setup::default() };
    Simulation::from_text(CIRCUIT, &setup).unwrap_or_else(|e| panic!("{e}"))
}

/// Everything that a little life of the circuit gives.
fn life(s: &mut Simulation) -> Result<Vec<f64>, Failure> {
    let mut out = Vec::new();
    s.set_sensor("arousal", &[0.008])?;
    for k in 0..6 {
        let side = if k % 2 == 0 { [80.0, 0.0] } else { [0.0, 80.0] };
        s.set_sensor("light", &side)?;
        s.step(Duration::from_millis(60))?;
        for actuator in ["turn", "rates", "level", "voltage"] {
            out.extend(s.read_actuator(actuator)?);
        }
        out.extend(s.spikes("motor")?.iter().map(|s| s.time + f64::from(s.neuron)));
        s.emit("reward", Some(out[0] + 1.0), Duration::from_millis(10))?;
    }
    Ok(out)
}

#[test]
fn it_lives_the_same_on_every_back_end() {
    let first = life(&mut simulation(Backend::Interp, 1)).expect("a life");
    assert!(first.len() > 60, "{first:?}");
    for threads in [1, 2, 3] {
        let bits = |list: &[f64]| list.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let other = life(&mut simulation(Backend::Native, threads)).expect("a life");
        assert_eq!(bits(&other), bits(&first), "{threads} threads");
    }
}

#[test]
fn it_does_what_an_experiment_does() {
    let experiment = format!(
        "{CIRCUIT}\nexperiment Same of Reflex {{\n set light = [80 Hz, 0 Hz]\n simulate 60 ms\n emit reward(1) after 10 ms\n emit tick\n\
         simulate 40 ms\n measure left = rate(motor[0] over 50 ms)\n measure reached = dopamine\n expect rate(motor) >= 0 Hz }}\n"
    );
    let lab = Lab::new(&experiment);
    let ran = lab.run_seed(NATIVE, 3);
    let rows = &ran.outcome.rows;
    let value = |name: &str| rows.list.iter().find(|r| rows.measures[r.measure].0 == name).expect("a row").value;
    let mut s = simulation(Backend::Native, 2);
    s.set_sensor("light", &[80.0, 0.0]).expect("set");
    s.step(Duration::from_millis(60)).expect("step");
    s.emit("reward", Some(1.0), Duration::from_millis(10)).expect("sent");
    s.emit("tick", None, Duration::ZERO).expect("sent");
    s.step(Duration::from_millis(40)).expect("step");
    assert_eq!(s.time(), Duration::from_millis(100));
    // kHz inside
    assert_eq!(s.read_actuator("rates").expect("read")[0], value("left") * 1000.0);
    assert_eq!(s.read_actuator("level").expect("read"), [value("reached")]);
    assert!(value("left") > 0.0 && value("reached") > 0.0);
}

#[test]
fn wrong_calls_are_told() {
    let mut s = simulation(Backend::Interp, 1);
    let told = |r: Result<(), Failure>, code: &str, words: &str| {
        let failure = r.expect_err("a failure");
        assert_eq!(failure.diagnostics[0].code.0, code, "{failure}");
        assert!(failure.to_string().contains(words), "{failure}");
    };
    told(s.set_sensor("lights", &[1.0]), "E0708", "did you mean `light`?");
    told(s.set_sensor("light", &[1.0; 3]), "E0708", "3 values for the 2 positions of `light`");
    told(s.set_sensor("light", &[f64::NAN]), "E0708", "`light` is set to NaN");
    told(s.read_actuator("walk").map(drop), "E0708", "it has turn, rates, level, voltage");
    told(s.read_actuator("turn").map(drop), "E0703", "at the actuator `turn`");
    told(s.emit("rewards", Some(1.0), Duration::ZERO), "E0708", "did you mean `reward`?");
    told(s.emit("reward", None, Duration::ZERO), "E0708", "carries a number");
    told(s.emit("tick", Some(1.0), Duration::ZERO), "E0708", "carries no number");
    told(s.emit("reward", Some(f64::INFINITY), Duration::ZERO), "E0708", "inf");
    told(s.spikes("eye").map(drop), "E0708", "name it in `Setup::spikes`");
    told(s.spikes("leg").map(drop), "E0708", "the circuit has no population `leg`");
    // It goes on after all of that.
    s.step(Duration::from_millis(60)).expect("step");
    s.read_actuator("turn").expect("read");
}

#[test]
fn wrong_circuits_are_told() {
    let of = |text: &str, setup: &Setup| match Simulation::from_text(text, setup) {
        Ok(_) => panic!("no failure"),
        Err(e) => (e.diagnostics[0].code.0, e.to_string()),
    };
    let plain = Setup::default();
    let (code, text) = of(&CIRCUIT.replace("weight 3 mV", "weight 3 nS"), &plain);
    assert_eq!(code, "E0306", "{text}");
    assert!(text.contains("circuit.nsm:15"), "{text}");
    let (code, text) = of(&format!("{CIRCUIT}\nnetwork Other {{ source s[3]: Poisson(rate = 1 Hz) }}\n"), &plain);
    assert_eq!(code, "E0708", "{text}");
    let named = Setup { network: Some("Reflexes".to_string()), ..Setup::default() };
    assert!(of(CIRCUIT, &named).1.contains("did you mean `Reflex`?"));
    let kept = Setup { spikes: vec!["motors".to_string()], ..Setup::default() };
    assert!(of(CIRCUIT, &kept).1.contains("did you mean `motor`?"));
    let missing = Simulation::from_file("no/such/file.nsm", &plain).err().expect("a failure");
    assert!(missing.to_string().contains("there is no file"), "{missing}");
}

/// What the documentation of `simulation` states.
#[test]
#[ignore = "a measurement: cargo test --release --test it cost_of_calls -- --ignored --nocapture"]
fn cost_of_calls() {
    let mut s =
        Simulation::from_file("examples/closed_loop/cartpole.nsm", &Setup::default()).unwrap_or_else(|e| panic!("{e}"));
    let rounds = 2000;
    let mut spent = [Duration::ZERO; 4];
    for k in 0..rounds {
        let lean = 0.02 * f64::from(k % 20) - 0.2;
        let calls: [&mut dyn FnMut(&mut Simulation); 4] = [
            &mut |s| s.set_sensor("seen", &[0.0, 0.0, lean, 0.0]).expect("set"),
            &mut |s| s.step(Duration::ZERO).expect("step"),
            &mut |s| s.step(Duration::from_millis(10)).expect("step"),
            &mut |s| assert!(s.read_actuator("push").expect("read")[0] <= 1.0),
        ];
        for (call, spent) in calls.into_iter().zip(&mut spent) {
            let begin = Instant::now();
            call(&mut s);
            *spent += begin.elapsed();
        }
    }
    for (name, spent) in
        ["set_sensor (200 readers)", "step(0 ms)", "step(10 ms), 500 cells", "read_actuator"].iter().zip(spent)
    {
        println!("{name}: {:.2} us", spent.as_secs_f64() * 1e6 / f64::from(rounds));
    }
}
