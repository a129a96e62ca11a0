//! The standard library's sources, embedded. `std.neurons.LifDelta` is found in `std/neurons/*.nsm`.

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        /// Name in the program (`std/...`) and text of every file.
        pub const FILES: &[(&str, &str)] =
            &[$((concat!("std/", $path), include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/stdlib/", $path)))),*];
    };
}

files![
    "neurons/izhikevich.nsm",
    "neurons/lif_alpha.nsm",
    "neurons/lif_cond_exp.nsm",
    "neurons/lif_cuba.nsm",
    "neurons/lif_delta.nsm",
    "neurons/lif_exp.nsm",
    "neurons/lif_gap.nsm",
    "neurons/rate_linear.nsm",
    "neurons/rate_sigmoid.nsm",
    "neurons/rate_to_spikes.nsm",
    "neurons/spikes_to_rate.nsm",
    "neurons/wang_cell.nsm",
    "sources/poisson.nsm",
    "sources/regular.nsm",
    "sources/spike_times.nsm",
];
