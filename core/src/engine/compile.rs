//! Compiles modules, by a configuration of wasmi's for the engine's limits.

use super::{Code, Engine};
use crate::{
    error::LoadError,
    module::{self, Changes, ModuleInfo},
};
use alloc::{borrow::Cow, sync::Arc};
use core::sync::atomic::{AtomicUsize, Ordering};
use wasmi::{CompilationMode, Config, Module, OperatorCost};

impl Engine {
    /// Compiles the module. Further copies of the code are made when calls need them.
    pub(super) fn compile(&self, info: &mut ModuleInfo, wasm: &[u8]) -> Result<Code, LoadError> {
        // Takes the bytes: the module is changed once more for an error, and both may not fit.
        let changed = rewritten(info, wasm)?;
        #[cfg(feature = "profile")]
        let changed = profiled(info, wasm, changed)?;
        let compiled = Code::compile(self, changed);
        let code = compiled.map_err(|error| in_module(error, wasm, &info.changes))?;
        info.changes.forget_code();
        Ok(code)
    }

    /// Returns the most copies of a plugin's code. Only one if anything bounds the heap, since a plugin
    /// is let in by the memory of one.
    pub(super) fn copies(&self) -> usize {
        if self.heap_left() == usize::MAX {
            self.limits.most_copies().min(self.platform.processors())
        } else {
            1
        }
    }

    /// Counts one more compilation in the background, until the value is dropped. `None` if as many run as
    /// there are processors: the plugins of one engine share these, and more would only take memory.
    pub(super) fn compile_in_background(&self) -> Option<Compiling> {
        let most = self.platform.processors();
        let more = |running: usize| (running < most).then_some(running.saturating_add(1));
        let counted = self
            .compiling
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.ok().map(|_| Compiling(self.compiling.clone()))
    }

    /// Compiles the module in a wasmi engine of its own. A panic of the compiler becomes an error if the
    /// platform can contain it.
    pub(crate) fn compile_once(&self, wasm: &[u8]) -> Result<Module, LoadError> {
        // Apart, so that the configuration is freed before the module is compiled.
        let engine = wasmi::Engine::new(&self.config());
        self.compile_in(&engine, wasm)
    }

    /// As [`compile_once`](Self::compile_once), in a wasmi engine that may have other modules.
    pub(super) fn compile_in(
        &self,
        engine: &wasmi::Engine,
        wasm: &[u8],
    ) -> Result<Module, LoadError> {
        let mut result = None;
        self.platform
            .contain(&mut || result = Some(Module::new(engine, wasm)));
        match result {
            Some(Ok(module)) => {
                // wasmi keeps the working memory of a compilation for the next one, a third of what
                // a plugin holds in all. A compilation that fails frees it.
                drop(Module::new(engine, INVALID));
                Ok(module)
            }
            Some(Err(error)) => Err(module::refused(&error)),
            None => Err(LoadError::Refused {
                reason: "the compiler panicked on it; please report the module".into(),
            }),
        }
    }

    /// Returns wasmi's configuration for these limits.
    pub(super) fn config(&self) -> Config {
        let stack = self.limits.stack_bytes;
        let mut config = Config::default();
        config
            .consume_fuel(true)
            .compilation_mode(self.compilation_mode())
            .ignore_custom_sections(true)
            // `module::rewrite` has turned it into an export, so that it runs in slices as any call.
            .allow_start_fn(false)
            .set_max_recursion_depth(self.limits.call_depth)
            // The minimum is set first: wasmi panics if it exceeds the maximum.
            .set_min_stack_height(stack.min(module::FIRST_STACK))
            .set_max_stack_height(stack);
        #[cfg(feature = "lazy")]
        if self.lazy {
            // Else a function's first call is charged for its translation, and equal calls use different fuel.
            config.fuel_cost(wasmi::CustomFuelCosts {
                // As without this.
                bytes_copied_per_fuel: 64,
                fuel_per_bytes_translated: 0,
                fuel_per_bytes_validated: 0,
            });
        }
        // Under tail dispatch a growth that fails leaves native stack in use until its slice ends. A
        // high fuel cost keeps them few per slice.
        config.operator_cost(OperatorCost {
            memory_grow: u8::MAX,
            ..OperatorCost::default()
        });
        module::configure_features(&mut config);
        config
    }

    /// Returns how the interpreter compiles.
    fn compilation_mode(&self) -> CompilationMode {
        #[cfg(feature = "lazy")]
        if self.lazy && self.heap_left() == usize::MAX {
            return CompilationMode::LazyTranslation;
        }
        CompilationMode::Eager
    }
}

/// A compilation in the background, counted until it is dropped.
pub(super) struct Compiling(Arc<AtomicUsize>);

impl Drop for Compiling {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the module with its changes made.
pub(super) fn rewritten<'a>(info: &ModuleInfo, wasm: &'a [u8]) -> Result<Cow<'a, [u8]>, LoadError> {
    if info.changes.is_none() {
        return Ok(Cow::Borrowed(wasm));
    }
    let changed = module::rewrite(wasm, &info.changes);
    // Never compiled unchanged: the changes keep the guest from faults of the interpreter.
    let refused = || LoadError::refused("a part of it can't be rewritten");
    Ok(Cow::Owned(changed.ok_or_else(refused)?))
}

/// Returns the module `changed` to tell of its functions too, if `wasm` asks for that by an import.
#[cfg(feature = "profile")]
fn profiled<'a>(
    info: &ModuleInfo,
    wasm: &[u8],
    changed: Cow<'a, [u8]>,
) -> Result<Cow<'a, [u8]>, LoadError> {
    let mut imports = info.imports.iter();
    if !imports.any(|import| (&*import.module, &*import.name) == module::profile::EVENT) {
        return Ok(changed);
    }
    let refused = || {
        LoadError::refused("it can't be profiled: it has tail calls, or a faulty list of positions")
    };
    module::profile::profiled(&changed, wasm, &info.changes)
        .map(Cow::Owned)
        .ok_or_else(refused)
}

/// Returns the error with its offset in the module as it was before the changes.
#[cold]
pub(super) fn in_module(mut error: LoadError, wasm: &[u8], changes: &Changes) -> LoadError {
    if let LoadError::Invalid { at, .. } | LoadError::NeedsProposal { at, .. } = &mut error {
        *at = module::offset_before(wasm, changes, *at);
    }
    error
}

/// An invalid module: its one function lacks the result that its type declares.
const INVALID: &[u8] =
    b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x0a\x04\x01\x02\0\x0b";
