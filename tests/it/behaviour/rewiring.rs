//! Synapses that go and come: what is there afterwards, and what is on its way meanwhile.

use crate::lab::{INTERP, Lab, NATIVE, Ran, native};
use std::collections::BTreeSet;

/// Half of the synapses go after 5 ms; others come in their place.
const HALF: &str = "
plasticity Rewire {
    param w_min: weight, w_new: weight
    weight w
    every 5 ms { remove when w < w_min }
    regrow to indegree with weight w_new
}
neuron Silent { state n = 0; n' = 0; receptor syn(w: number) { n += w }; spike when n >= 1e9 { n = 0 } }
network Small {
    dt 0.5 ms
    population E[40]: Silent
    projection free: E -> E {
        connect fixed_indegree(8)  weight if pre - 2 * floor(pre / 2) == 0 then 0.5 else 2  delay 1 ms
        plasticity Rewire(w_min = 1, w_new = 3)
    }
    projection halves: E -> E {
        connect bernoulli(0.3) where (pre < 20) == (post < 20)  weight if pre - 2 * floor(pre / 2) == 0 then 0.5 else 2  delay 1 ms
        plasticity Rewire(w_min = 1, w_new = 3)
    }
    projection listed: E -> E {
        connect pairs([[0, 1], [2, 1], [4, 1], [6, 9]])  weight 0.5  delay 1 ms
        plasticity Rewire(w_min = 1, w_new = 3)
    }
}
experiment Go of Small { simulate 0.5 ms as early  simulate TIME }
";

/// Presynaptic and postsynaptic cell, and weight.
type Synapse = ((u32, u32), f64);

fn synapses(ran: &mut Ran, projection: usize) -> Vec<Synapse> {
    ran.engine.edges(projection).into_iter().zip(ran.engine.weights(projection)).collect()
}

#[test]
fn what_goes_comes_back_from_elsewhere() {
    let before = Lab::new(&HALF.replace("TIME", "1 ms"));
    let after = Lab::new(&HALF.replace("TIME", "6 ms"));
    for place in [INTERP, NATIVE, native(3)] {
        let (mut old, mut new) = (before.run(place), after.run(place));
        for (projection, allowed) in [
            (0, &(|pre, post| pre != post) as &dyn Fn(u32, u32) -> bool),
            (1, &|pre, post| pre != post && (pre < 20) == (post < 20)),
            (2, &|pre, post| [(0, 1), (2, 1), (4, 1), (6, 9)].contains(&(pre, post))),
        ] {
            let (old, new) = (synapses(&mut old, projection), synapses(&mut new, projection));
            let (weak, strong): (Vec<Synapse>, Vec<Synapse>) = old.iter().copied().partition(|(_, w)| *w < 1.0);
            assert!(!weak.is_empty());
            let degrees = |list: &[Synapse]| {
                let mut n = [0; 40];
                list.iter().for_each(|((_, post), _)| n[*post as usize] += 1);
                n
            };
            assert_eq!(degrees(&old), degrees(&new), "projection {projection}: in-degrees");
            let pairs: BTreeSet<(u32, u32)> = new.iter().map(|(e, _)| *e).collect();
            assert_eq!(pairs.len(), new.len(), "projection {projection}: two synapses between two cells");
            assert!(pairs.iter().all(|(pre, post)| allowed(*pre, *post)), "projection {projection}: {pairs:?}");
            assert!(strong.iter().all(|s| new.contains(s)), "projection {projection}: a strong synapse went");
            assert!(new.iter().all(|(_, w)| *w >= 1.0), "projection {projection}: a weak synapse stayed");
            assert_eq!(new.iter().filter(|(_, w)| *w == 3.0).count(), weak.len());
        }
    }
}

/// All of 3000 cells look for another source: each of the 20 is found as often.
#[test]
fn all_sources_are_equally_likely() {
    let text = "
plasticity Rewire { param low: weight, new: weight; weight w; every 1 ms { remove when w < low }; regrow to indegree with weight new }
neuron Silent { state n = 0; n' = 0; receptor syn(w: number) { n += w }; spike when n >= 1e9 { n = 0 } }
network Wide {
    dt 0.5 ms
    population before[20]: Silent
    population cells[3000]: Silent
    projection p: before -> cells { connect fixed_indegree(2)  weight 0.5  delay 1 ms  plasticity Rewire(low = 1, new = 2) }
}
experiment Go of Wide { simulate 2 ms }
";
    let lab = Lab::new(text);
    let mut ran = lab.run(NATIVE);
    let mut found = [0.0; 20];
    ran.engine.edges(0).iter().for_each(|(pre, _)| found[*pre as usize] += 1.0);
    let expected = 300.0;
    let chi: f64 = found.iter().map(|n: &f64| (n - expected).powi(2) / expected).sum();
    // 19 degrees of freedom: above 43.8 with a probability of 0.001
    assert!(chi < 43.8, "{found:?}");
}

/// A spike sent before its synapse went reaches the one that came in its place, with that one's weight, and nothing twice.
#[test]
fn spikes_on_their_way_find_what_is_there() {
    let text = "
use std.sources.SpikeTimes
plasticity Rewire { param low: weight, new: weight; weight w; every 5 ms { remove when w < low }; regrow to indegree with weight new }
neuron Adder { state n = 0; n' = 0; receptor syn(w: number) { n += w }; spike when n >= 1e9 { n = 0 } }
network Late {
    dt 0.5 ms
    source before[1]: SpikeTimes(times = [1 ms, 3 ms])
    population cells[2]: Adder
    projection p: before -> cells { connect all_to_all  weight 0.25  delay DELAY  plasticity Rewire(low = 1, new = 2) }
}
experiment Go of Late { simulate 20 ms }
";
    // The first arrives before the turn at 5 ms, the second after it; with the dendritic part it has left its synapse before.
    for (delay, sum) in [("3 ms", 0.25 + 2.0), ("axonal 1 ms dendritic 8 ms", 0.5), ("8 ms", 4.0)] {
        let lab = Lab::new(&text.replace("DELAY", delay));
        for place in [INTERP, NATIVE] {
            assert_eq!(lab.run(place).state("cells", "n"), [sum, sum], "{delay} {place:?}");
        }
    }
}
