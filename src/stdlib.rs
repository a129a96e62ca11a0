//! The standard library's sources, embedded. `std.neurons.LifDelta` is found in `std/neurons/*.nsm`.

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        /// Name in the program (`std/...`) and text of every file.
        pub const FILES: &[(&str, &str)] =
            &[$((concat!("std/", $path), include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/stdlib/", $path)))),*];
    };
}

files![
    "neurons/active_cable.nsm",
    "neurons/ball_and_stick.nsm",
    "neurons/ad_ex.nsm",
    "neurons/ad_ex_current.nsm",
    "neurons/glif.nsm",
    "neurons/hh_psc_alpha.nsm",
    "neurons/hodgkin_huxley.nsm",
    "neurons/izhikevich.nsm",
    "neurons/lif_adaptive.nsm",
    "neurons/lif_alpha.nsm",
    "neurons/lif_cond_exp.nsm",
    "neurons/lif_cuba.nsm",
    "neurons/lif_cuba_adaptive.nsm",
    "neurons/lif_delta.nsm",
    "neurons/lif_escape.nsm",
    "neurons/lif_exp.nsm",
    "neurons/lif_homeostatic.nsm",
    "neurons/lif_synapses.nsm",
    "neurons/lif_threshold.nsm",
    "neurons/mat2.nsm",
    "neurons/poisson_neuron.nsm",
    "neurons/purkinje.nsm",
    "neurons/traub_hh.nsm",
    "neurons/wang_buzsaki.nsm",
    "neurons/wang_cell.nsm",
    "modulators/level.nsm",
    "physics/nernst.nsm",
    "plasticity/pair_stdp.nsm",
    "plasticity/release.nsm",
    "plasticity/reward_stdp.nsm",
    "plasticity/saturating.nsm",
    "plasticity/triplet.nsm",
    "plasticity/tsodyks_markram.nsm",
    "plasticity/vogels.nsm",
    "neurons/passive_cable.nsm",
    "neurons/pinsky_rinzel.nsm",
    "neurons/lif_gap.nsm",
    "neurons/rate_linear.nsm",
    "neurons/rate_sigmoid.nsm",
    "neurons/rate_to_spikes.nsm",
    "neurons/spikes_to_rate.nsm",
    "sources/poisson.nsm",
    "sources/regular.nsm",
    "sources/spike_times.nsm",
];
