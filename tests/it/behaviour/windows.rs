//! Spikes are kept as long as some statistic may ask for them.

use crate::lab::{Lab, NATIVE};
use nsm::backend::Keep;
use nsm::driver::{self, MemoryLimit};
use nsm::execute::{self, Control, Needs};
use std::sync::atomic::AtomicBool;

const TEXT: &str = "
use std.neurons.LifDelta
network Net {
    population E[20]: LifDelta(bias = 30 mV)
    population F[20]: LifDelta(bias = 30 mV)
}
experiment Go of Net {
    for k in 0 .. 20 {
        simulate 20 ms
        measure short = rate(E over 5 ms)
        measure long = rate(E[..10] over 30 ms)
    }
    measure all = rate(F)
}
";

#[test]
fn spikes_of_the_longest_window_are_kept_and_no_others() {
    let lab = Lab::new(TEXT);
    let (unit, point) = (lab.unit(), &lab.job.points[0]);
    let Needs { spikes, traces } = execute::needs(unit, point, true).expect("needs");
    // 30 ms in steps of 0.1 ms; of F the running sums are enough.
    assert_eq!(spikes, [Keep::Last(300), Keep::None]);
    let made = driver::engine(unit, 1, traces, &spikes, NATIVE.backend, 1, MemoryLimit::Default);
    let (mut engine, _) = made.unwrap_or_else(|d| panic!("{}", d.message));
    let stop = AtomicBool::new(false);
    let control = Control { stop: &stop, progress: &|_| {}, quick: false, memory: f64::INFINITY };
    let outcome = execute::run(unit, point, 1, engine.as_mut(), &control);
    let whole = lab.run(NATIVE);
    assert_eq!(format!("{:?}", outcome.rows), format!("{:?}", whole.outcome.rows));
    let (kept, all) = (engine.spikes(0), whole.engine.spikes(0));
    let recent = |steps: &[u64]| steps.iter().filter(|s| **s > 3700).count();
    assert_eq!((recent(&kept.steps), kept.count), (recent(&all.steps), all.count));
    // At most twice the window, and the steps of one wave of spikes.
    assert!(kept.steps.iter().all(|s| *s >= 4000 - 2 * 300 - 200), "{:?}", kept.steps.first());
    assert!(engine.spikes(1).steps.is_empty());
}
