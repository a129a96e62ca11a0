//! The Neuromorphic Intermediate Representation (NIR 1.0.8), in which simulators and chips exchange networks: a graph of cells and
//! linear maps in continuous time, as an HDF5 file.
//!
//! | room | takes | gives |
//! |---|---|---|
//! | [`graph`] | – | nodes with named arrays, and edges |
//! | [`hdf5`] | a graph or bytes | bytes or a graph; nobody else knows the file format |
//! | [`recognise`] | a population's dynamics | which cell of NIR it is, with its numbers |
//! | [`write`] | a validated network | its graph, or what NIR has no node for |
//! | [`read`] | a graph | populations and lists of synapses |
//! | [`text`] | those | `.nsm` text and its edge files |
//!
//! NIR leaves to both ends what a grid of time steps makes of its equations. Here it is this:
//!
//! - Numbers are in SI units: s, V, A.
//! - A spike is an input of height 1 that lasts one step, as other readers of NIR take it. So it moves the V of a `LIF` by r w dt / tau
//!   and the current of a `CubaLIF` by w_in w dt / tau_syn. Written are r = tau / dt and w_in = tau_syn / dt, so a weight is the jump that
//!   it makes.
//! - An edge takes the one step that every spike takes. `Delay` holds what is beyond.
//! - The step stands in the graph's metadata as `dt`, and where V starts in a cell's as `v`. NIR itself has neither.
//! - NIR fires where V > v_threshold. Library cells fire where V >= V_th; only a V that is exactly V_th tells the difference.

pub mod graph;
pub mod hdf5;
pub mod read;
mod recognise;
pub mod text;
pub mod write;

pub use write::CODES;

/// Elements of all arrays of a file: 1 GiB of numbers.
const MOST_NUMBERS: usize = 1 << 27;

/// The decimal with fewest digits within `relative` of a value: what was meant, where a value is known but for rounding.
fn shortest(value: f64, relative: f64) -> f64 {
    let near = |digits: usize| {
        let short: f64 = format!("{value:.digits$e}").parse().ok()?;
        ((short - value).abs() <= relative * value.abs()).then_some(short)
    };
    (0..17).find_map(near).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_shortest_decimal_nearby_is_found() {
        assert_eq!(super::shortest(9.999_999_999_999_998, 1e-14), 10.0);
        assert_eq!(super::shortest(-0.035_000_000_000_000_01, 1e-14), -0.035);
        assert_eq!(super::shortest(1.0 / 3.0, 0.0), 1.0 / 3.0);
        assert_eq!(super::shortest(0.0, 1e-14), 0.0);
        assert!(super::shortest(f64::NAN, 1e-14).is_nan());
    }
}
