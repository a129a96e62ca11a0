//! Machine code: stub while the spine is joined.
use crate::backend::{Engine, RunError, TraceRequest};
use crate::base::Code;
use crate::valid::Validated;
pub const CODEGEN: Code = Code("E0607");
pub struct Kernels;
pub struct Native;
impl Native {
    pub fn new(_: Validated, _: Kernels, _: u64, _: Vec<TraceRequest>, _: &[bool], _: usize) -> Result<Interp, RunError> { Err(RunError::Build("no".into())) }
}
pub type Interp = crate::backend::interp::Interpreter;
pub fn compile(_: Validated) -> Result<Kernels, String> { Ok(Kernels) }
pub fn clif(_: Validated) -> Result<String, String> { Err("no".into()) }
pub fn disassembly(_: Validated) -> Result<String, String> { Err("no".into()) }
const _: Option<&dyn Engine> = None;
