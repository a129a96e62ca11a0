//! The traffic and energy of a mapped package against SANA-FE, which counts both by itself.
//!
//! `pip install sanafe==2.2.9`, then `NSM_PYTHON=python cargo test --test it sanafe -- --ignored`.

use super::{WAVE, built, narrow};
use nsm::chip::build::Options;
use nsm::chip::emulator::{Counters, Emulator, Mode};
use nsm::chip::energy::LOIHI1_SANAFE;
use std::process::Command;

const SCRIPT: &str = "
import json, sys, sanafe
arch = sanafe.load_loihi()
chip = sanafe.SpikingChip(arch)
chip.load(sanafe.load_net(sys.argv[1], arch))
r = chip.sim(int(sys.argv[2]), timing_model='simple', processing_threads=1)
print(json.dumps({'packets': r['packets_sent'], 'synapses': r['spikes'], **{k: float(v) for k, v in r['energy'].items()}}))
";

#[test]
#[ignore = "needs Python with sanafe 2.2.9"]
fn sanafe_counts_the_same_packets_and_energy() {
    let python = std::env::var("NSM_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let dir = tempfile::tempdir().expect("a folder");
    for (file, each, seed) in [(WAVE, 16, 1), (WAVE, 40, 2), (WAVE, 100, 3)] {
        let made = built(file, &narrow(each), Options { seed, apart: false });
        let mut chip = Emulator::load(&made.package.write().unwrap(), Mode::Strict).unwrap();
        chip.run(200).unwrap();
        let network = nsm::chip::sanafe::network(&chip).unwrap();
        let path = dir.path().join("network.yaml");
        std::fs::write(&path, network).expect("temporary file");
        // The first bit of a train is for what is sent before the first step.
        let out = Command::new(&python).args(["-c", SCRIPT]).arg(&path).arg("201").output().expect("Python starts");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8_lossy(&out.stdout);
        let said: serde_json::Value = serde_json::from_str(text.lines().last().unwrap_or("")).unwrap();
        let number = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
        let (cores, host) = (Counters::sum(chip.counters()), chip.host_counters());
        let ours = LOIHI1_SANAFE.energy(&cores, &host);
        assert_eq!(number("packets"), (cores.packets_out + host.packets_out) as f64, "{file}: packets");
        assert_eq!(number("synapses"), cores.synaptic_operations as f64, "{file}: synaptic events");
        // Sums of the same terms in another order.
        let same = |what: &str, a: f64, b: f64| assert!((a - b).abs() <= 1e-9 * b, "{file}, {what}: {a}, {b}");
        same("synapses", number("synapse"), ours.synapses);
        if host.packets_out == 0 {
            same("network", number("network"), ours.network);
        }
        // One step more than ours, in which cells are updated and nothing fires.
        let updates = cores.updates as f64 / 200.0 * 201.0;
        same("cells", number("soma"), updates * LOIHI1_SANAFE.update);
    }
}
