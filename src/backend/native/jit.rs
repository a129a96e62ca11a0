//! Owns compiled code: Cranelift's module, ISA settings, and the pointers into it.

use super::plan::Plan;
use super::rules::{Draft, Rule};
use super::translate;
use super::wide::{self, Width};
use cranelift_codegen::Context;
use cranelift_codegen::ir::function::FunctionStencil;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilderContext;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Module};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// A compiled segment: table of pointers, scalars, number of neurons.
pub type Kernel = unsafe extern "C" fn(*const *mut u8, *const u8, u64);

/// Machine code; freed when this is dropped, so whoever holds a [`Kernel`] must not outlive it. Engines on several threads share
/// it; the lock is never taken while code runs.
pub struct Code {
    module: Mutex<Option<JITModule>>,
}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.module.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // SAFETY: `Kernel`s are called only by an engine's workers. Every engine shares this `Code` and joins its workers
            // before it gives up its share.
            unsafe { module.free_memory() };
        }
    }
}

fn module() -> Result<JITModule, String> {
    let mut flags = settings::builder();
    for (name, value) in [("opt_level", "speed"), ("use_colocated_libcalls", "false"), ("is_pic", "false")] {
        flags.set(name, value).map_err(|e| e.to_string())?;
    }
    // The verifier guards every test and debug build; a release build has run those kernels' shapes there.
    flags.set("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }).map_err(|e| e.to_string())?;
    let isa = cranelift_native::builder()
        .map_err(|e| e.to_string())?
        .finish(settings::Flags::new(flags))
        .map_err(|e| e.to_string())?;
    let mut builder = JITBuilder::with_isa(isa, cranelift_module::default_libcall_names());
    // No symbol of this process may be found by name: kernels call nothing.
    builder.symbol_lookup_fn(Box::new(|_| None));
    Ok(JITModule::new(builder))
}

/// What was compiled: the code, the kernels of each plan, the rules with theirs.
pub type Compiled = (Code, Vec<Vec<Kernel>>, Vec<Rule>);

/// Neurons that one instruction computes in double precision; in single precision twice as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// Cranelift's vectors of 128 bits.
    Two,
    /// AVX2, see [`wide`].
    Four,
    /// AVX-512.
    Eight,
}

impl Lanes {
    /// As many as this machine has.
    pub fn most() -> Lanes {
        Lanes::Eight.available()
    }

    /// As many as this machine has of these.
    #[must_use]
    pub fn available(self) -> Lanes {
        match self {
            Lanes::Eight if Width::Eight.available() => Lanes::Eight,
            Lanes::Eight | Lanes::Four if Width::Four.available() => Lanes::Four,
            _ => Lanes::Two,
        }
    }

    /// Of code that is not Cranelift's.
    fn width(self) -> Option<Width> {
        match self {
            Lanes::Two => None,
            Lanes::Four => Some(Width::Four),
            Lanes::Eight => Some(Width::Eight),
        }
    }
}

/// Bytes: a line of the cache.
const ALIGNMENT: u64 = 64;

/// Compiles the segments of each plan and the loops of each rule; segments that are equal share their code.
pub fn compile(plans: &[Arc<Plan>], mut drafts: Vec<Draft>, lanes: Lanes) -> Result<Compiled, String> {
    let width = lanes.available().width();
    let mut module = module()?;
    let config = module.target_config();
    let mut builder_context = FunctionBuilderContext::new();
    let mut context = module.make_context();
    let signature = translate::signature(config);
    let mut ids: Vec<Vec<FuncId>> = Vec::new();
    let mut made: HashMap<Vec<u8>, FuncId> = HashMap::new();
    // Where each plan stands first.
    let mut shared: HashMap<*const Plan, usize> = HashMap::new();
    for (at, plan) in plans.iter().enumerate() {
        let first = *shared.entry(Arc::as_ptr(plan)).or_insert(at);
        if first < at {
            ids.push(ids[first].clone());
            continue;
        }
        let mut segments = Vec::new();
        for k in 0..plan.segments.len() {
            let mut declare = || module.declare_anonymous_function(&signature).map_err(|e| e.to_string());
            let id = if let Some(width) = width {
                // What differs in values that the code does not read, such as the rate of an input, is the same code.
                let bytes = wide::segment(plan, k, width)?;
                match made.get(&bytes) {
                    Some(same) => *same,
                    None => {
                        let id = declare()?;
                        module.define_function_bytes(id, ALIGNMENT, &bytes, &[]).map_err(|e| format!("{e:?}"))?;
                        made.insert(bytes, id);
                        id
                    }
                }
            } else {
                let id = declare()?;
                translate::segment(&mut context.func, &mut builder_context, plan, k, config);
                module.define_function(id, &mut context).map_err(|e| format!("{e:?}"))?;
                module.clear_context(&mut context);
                id
            };
            segments.push(id);
        }
        ids.push(segments);
    }
    let mut loops = Vec::new();
    // By the hash of what they do: projections of an array have rules with the same loops.
    let mut alike: HashMap<u64, Vec<(FunctionStencil, FuncId)>> = HashMap::new();
    let hasher = RandomState::new();
    for draft in &mut drafts {
        loops.push(draft.define(&mut builder_context, config, &mut |_, fill| {
            fill(&mut context.func);
            let known = alike.entry(hasher.hash_one(&context.func.stencil)).or_default();
            let id = match known.iter().find(|(stencil, _)| *stencil == context.func.stencil) {
                Some((_, same)) => *same,
                None => {
                    let stencil = context.func.stencil.clone();
                    let id = module.declare_anonymous_function(&stencil.signature).map_err(|e| e.to_string())?;
                    module.define_function(id, &mut context).map_err(|e| format!("{e:?}"))?;
                    known.push((stencil, id));
                    id
                }
            };
            module.clear_context(&mut context);
            Ok(id)
        })?);
    }
    module.finalize_definitions().map_err(|e| e.to_string())?;
    let kernel = |id: &FuncId| {
        let code = module.get_finalized_function(*id);
        // SAFETY: the function was defined with exactly this signature in `translate::segment` or `rules::translate::segment`, for
        // this ISA's default calling convention, and finalised above.
        unsafe { std::mem::transmute::<*const u8, Kernel>(code) }
    };
    let kernels = ids.iter().map(|segments| segments.iter().map(kernel).collect()).collect();
    let rules = drafts.into_iter().zip(&loops).map(|(d, ids)| d.finish(&mut ids.iter().map(kernel))).collect();
    Ok((Code { module: Mutex::new(Some(module)) }, kernels, rules))
}

/// The kernels as Cranelift IR before (`asm` false) or as machine code after optimisation.
pub fn text(plans: &[(String, Plan)], drafts: Vec<Draft>, asm: bool) -> Result<String, String> {
    let mut module = module()?;
    let config = module.target_config();
    let mut builder_context = FunctionBuilderContext::new();
    let mut out = String::new();
    for (name, plan) in plans {
        for k in 0..plan.segments.len() {
            let mut context = module.make_context();
            translate::segment(&mut context.func, &mut builder_context, plan, k, config);
            out.push_str(&format!("; {name} segment {k}\n"));
            for call in &plan.segments[k].calls {
                out.push_str(&format!("; before it {call:?}\n"));
            }
            if let Some(width) = Lanes::most().width().filter(|_| asm) {
                out.push_str(&wide::text(plan, k, width)?);
                out.push('\n');
                continue;
            }
            print(&mut module, &mut context, asm, &mut out)?;
        }
    }
    for mut draft in drafts {
        let rule = draft.name().to_string();
        draft.define(&mut builder_context, config, &mut |name, fill| {
            let mut context = module.make_context();
            fill(&mut context.func);
            out.push_str(&format!("; {rule}: {name}\n"));
            print(&mut module, &mut context, asm, &mut out)
        })?;
    }
    Ok(out)
}

fn print(module: &mut JITModule, context: &mut Context, asm: bool, out: &mut String) -> Result<(), String> {
    if asm {
        context.set_disasm(true);
        let code = context.compile(module.isa(), &mut Default::default()).map_err(|e| format!("{:?}", e.inner))?;
        out.push_str(code.vcode.as_deref().unwrap_or(""));
    } else {
        out.push_str(&context.func.display().to_string());
    }
    out.push('\n');
    module.clear_context(context);
    Ok(())
}
