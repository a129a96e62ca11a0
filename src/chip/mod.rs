//! Neuromorphic chips: what of a circuit fits on one, its numbers as integers, the package that such a chip would load, and an
//! emulator that runs a package and nothing else.
//!
//! | room | takes | gives |
//! |---|---|---|
//! | [`target`] | a `.ron` file | the figures of a chip, each with its mark and source |
//! | [`map`] | resources and connections of neurons | neurons to cores, cores to places on the mesh; checks of each |
//! | [`legalise`] | jobs | diagnostics |
//! | [`build`] | a unit, a target | its package, by way of all that follows |
//! | [`writes`] | a unit | what its experiment changes of the circuit |
//! | [`quantise`] | a validated network | the same in integers, and what that costs; or what the chip can't do |
//! | [`fixed`] | – | a network of integers: programs, states, quantised synapses |
//! | [`microcode`] | text | programs of neuron cores |
//! | [`assign`] | a fixed network | rates of a trial run, the mapper's problem, neurons by core |
//! | [`limits`] | a target | what of it a package carries along |
//! | [`emit`] | a fixed network, neurons by core | a package |
//! | [`package`] | – | tables of every core, packed synapses, as one file with checksums |
//! | [`emulator`] | the bytes of a package | spikes, states, counts |
//! | [`host`] | a package, the unit that it was made of | an engine, so that experiments run on the emulator |
//! | [`beside`] | a run on the emulator, engines of this machine | rates, correlation of spike trains, what of quantising changes them |
//! | [`energy`] | counts | joules, by a named profile |
//! | [`sanafe`] | a run, or a package | its packets as a network of SANA-FE, or its cells |
//! | [`report`] | what was built | how it fits, what it sends, what it costs |
//!
//! The instruction set is nsmc's own over the operations that are public. The emulator is exact to it, and bit for bit equal to the
//! fixed-point models of Lava where those define something; nothing here claims to be what the silicon computes.

pub mod assign;
pub mod beside;
pub mod build;
pub mod emit;
pub mod emulator;
pub mod energy;
pub mod fixed;
pub mod host;
pub mod legalise;
pub mod limits;
pub mod map;
pub mod microcode;
pub mod package;
pub mod quantise;
pub mod report;
pub mod sanafe;
pub mod target;
pub mod writes;
