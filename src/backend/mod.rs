//! Back ends: what executes a validated network.
//!
//! [`interp`] walks the IR, slowly and plainly; [`native`] compiles kernels. Both implement [`Engine`], build the same elements
//! through [`build`], and must agree to the last bit.

pub mod build;
pub mod engine;
pub mod eval;
mod held;
pub mod interp;
pub mod native;
pub mod profile;
mod running;
pub mod state;

pub use engine::{Engine, Keep, RunError, Setting, SpikeLog, Touches, TraceLog, TraceRequest};
pub use profile::Profile;
pub use state::EngineState;
