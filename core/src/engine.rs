//! A configured interpreter, from which plugins are loaded.

use crate::{
    abi::native,
    error::{LoadError, Mismatch, text},
    host::{self, Binding, Grants},
    limits::{Budget, Limits},
    module::{self, Footprint, ModuleInfo},
    platform::{Bare, Platform},
    plugin::Plugin,
};
use alloc::{sync::Arc, vec::Vec};
use wasmi::{CompilationMode, Config, Module, OperatorCost};

/// Limits, default budget and platform for the plugins that are loaded from it. Cheap to clone.
///
/// Each plugin gets an interpreter engine of its own, since wasmi's keeps all code that it ever
/// compiled; when the plugin goes, so does its code.
///
/// ```
/// use hostel_core::{Budget, Engine, Grants, Limits};
///
/// let wasm = wat::parse_str(r#"(module (func (export "add") (param i32 i32) (result i32)
///     (i32.add (local.get 0) (local.get 1))))"#)?;
/// let engine = Engine::new(Limits::device(256 << 10)).with_budget(Budget::device());
/// let plugin = engine.load("adder", &wasm, &Grants::<()>::new())?;
/// assert_eq!(plugin.call::<(u32, u32), u32>("add", (10, 20))?, 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Engine {
    limits: Limits,
    budget: Budget,
    platform: Arc<dyn Platform>,
    #[cfg(feature = "slots")]
    slots: Option<hostel_slots::Slots>,
}

impl Engine {
    /// An engine with these limits, the default budget and no platform.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            budget: Budget::default(),
            platform: Arc::new(Bare),
            #[cfg(feature = "slots")]
            slots: None,
        }
    }

    /// The same with `budget` for each call that does not bring its own.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The same on `platform`.
    #[must_use]
    pub fn with_platform(mut self, platform: impl Platform) -> Self {
        self.platform = Arc::new(platform);
        self
    }

    /// The same with other limits.
    pub(crate) fn with_limits(&self, limits: Limits) -> Self {
        Self {
            limits,
            ..self.clone()
        }
    }

    /// The same with the memories of instances in `slots` instead of on the heap: each instance has
    /// one until it goes, and its memory grows as far as that does. An instance for which none is
    /// free is refused.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1000 (pagesize 1)) (func (export "f")))"#)?;
    /// use hostel_core::{Engine, Grants, Limits, Slots};
    /// let buffer = vec![0; 8192].leak(); // a `static` on a device
    /// let engine = Engine::new(Limits::device(256 << 10)).with_memory_slots(Slots::split(buffer, 4096));
    /// let plugin = engine.load("m", &wasm, &Grants::<()>::new())?;
    /// let held = [plugin.instantiate(())?, plugin.instantiate(())?];
    /// assert_eq!(plugin.instantiate(()).unwrap_err().code(), "does-not-fit");
    /// drop(held);
    /// plugin.instantiate(())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "slots")]
    #[must_use]
    pub fn with_memory_slots(mut self, slots: hostel_slots::Slots) -> Self {
        self.slots = Some(slots);
        self
    }

    /// What plugins and instances may be.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The budget of a call that does not bring its own.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The platform.
    pub(crate) fn platform(&self) -> &Arc<dyn Platform> {
        &self.platform
    }

    /// Checks and compiles `wasm` to a plugin called `name`, with `grants` and nothing else.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says what the module is, what is wrong with it, or each import and export
    /// that does not fit. Nothing is kept.
    // Apart, so that the compiler's native stack does not come on top of its caller's other work.
    #[inline(never)]
    pub fn load<T: 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, LoadError> {
        let mut info = self.check(wasm, grants)?;
        #[cfg(feature = "slots")]
        {
            info.changes.slotted = self.slots.is_some() && !info.memories.is_empty();
        }
        let rewritten = if info.changes.is_none() {
            None
        } else {
            let changed = module::rewrite(wasm, &mut info.changes);
            // Never as it was: the interpreter's faults are contained by the changes.
            Some(changed.ok_or_else(|| refused("a part of it can't be written anew"))?)
        };
        let changed = rewritten.as_deref().unwrap_or(wasm);
        let mut copies = Vec::new();
        for _ in 0..self.limits.copies.max(1) {
            let engine = wasmi::Engine::new(&self.config());
            copies.push(self.compile(&engine, changed)?);
        }
        let bindings = bind(&info, grants)?;
        let log = grants.sink();
        Ok(Plugin::new(self, name, info, copies, bindings, log))
    }

    /// Checks `wasm` as [`load`](Self::load) does, without compiling it.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load), but for faults in functions' bodies.
    // Apart, as `load`.
    #[inline(never)]
    pub fn check<T: 'static>(
        &self,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<ModuleInfo, LoadError> {
        if wasm.len() > self.limits.module_bytes {
            return Err(LoadError::TooLarge {
                limit: self.limits.module_bytes,
                found: wasm.len(),
            });
        }
        let info = ModuleInfo::read_in(wasm, &self.limits.module, self.room())?;
        let bytes = info
            .memories
            .iter()
            .fold(0u64, |sum, memory| sum.saturating_add(memory.min_bytes));
        let elements = info
            .tables
            .iter()
            .fold(0u64, |sum, table| sum.saturating_add(table.min));
        for (cap, limit, found) in [
            ("memory_bytes", self.limits.memory_bytes, bytes),
            ("table_elements", self.limits.table_elements, elements),
        ] {
            let limit = limit as u64;
            if found > limit {
                return Err(LoadError::OverLimit { cap, limit, found });
            }
        }
        let mut mismatches = native::check(&info, grants);
        mismatches.extend(conflicting_imports(&info));
        if mismatches.is_empty() {
            self.admit(&info)?;
            Ok(info)
        } else {
            Err(LoadError::Mismatch(mismatches))
        }
    }

    /// Where memories are, if not on the heap.
    #[cfg(feature = "slots")]
    pub(crate) const fn slots(&self) -> Option<&hostel_slots::Slots> {
        self.slots.as_ref()
    }

    /// What a plugin takes from the heap.
    pub(crate) fn footprint(&self, info: &ModuleInfo) -> Footprint {
        let footprint = info.footprint(&self.limits);
        #[cfg(feature = "slots")]
        if self.slots.is_some() {
            return footprint.without_memory(self.limits.idle as u64);
        }
        footprint
    }

    /// Bytes of the heap that a plugin may take; all of them where nobody says how many.
    fn room(&self) -> usize {
        let free = self.platform.free_bytes().unwrap_or(usize::MAX);
        free.min(self.limits.heap_bytes)
    }

    /// Refuses what the heap has no room for.
    fn admit(&self, info: &ModuleInfo) -> Result<(), LoadError> {
        #[cfg(feature = "slots")]
        if let Some(slots) = &self.slots {
            let (needed, free) = (info.memory_at_start(), slots.largest() as u64);
            if needed > free {
                return Err(LoadError::DoesNotFit { needed, free });
            }
        }
        let free = self.room();
        let needed = self.footprint(info).to_run();
        if free == usize::MAX || needed <= free as u64 {
            return Ok(());
        }
        let free = free as u64;
        Err(LoadError::DoesNotFit { needed, free })
    }

    fn config(&self) -> Config {
        let stack = self.limits.stack_bytes;
        let mut config = Config::default();
        config
            .consume_fuel(true)
            // Lazy modes charge translation to a function's first call: fuel would not repeat.
            .compilation_mode(CompilationMode::Eager)
            .ignore_custom_sections(true)
            // It is an export by now; see `module::rewrite`.
            .allow_start_fn(false)
            .set_max_recursion_depth(self.limits.call_depth)
            // The minimum first: wasmi panics where it exceeds the maximum.
            .set_min_stack_height(stack.min(module::FIRST_STACK))
            .set_max_stack_height(stack);
        // Under tail dispatch a growth that fails leaves native stack in use until its slice ends:
        // this dear, few of them fit into one.
        config.operator_cost(OperatorCost {
            memory_grow: u8::MAX,
            ..OperatorCost::default()
        });
        module::configure_features(&mut config);
        config
    }

    fn compile(&self, engine: &wasmi::Engine, wasm: &[u8]) -> Result<Module, LoadError> {
        let mut result = None;
        self.platform
            .contain(&mut || result = Some(Module::new(engine, wasm)));
        match result {
            Some(Ok(module)) => {
                // wasmi keeps the working memory of a function's compilation for the next one, a
                // third of what a plugin keeps in all, unless that fails.
                drop(Module::new(engine, INVALID));
                Ok(module)
            }
            Some(Err(error)) => Err(module::refused(&error)),
            None => Err(LoadError::Refused {
                reason: "it panicked while compiling; please report the module".into(),
            }),
        }
    }
}

/// A module with one function, which lacks the result that its type promises.
const INVALID: &[u8] =
    b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x0a\x04\x01\x02\0\x0b";

impl Default for Engine {
    /// [`Limits::server`], [`Budget::server`], no platform.
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine")
            .field("limits", &self.limits)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// Binds what the module imports, in its order, to what was granted.
// Apart, so that its native stack does not stay in use while the module is compiled.
#[inline(never)]
fn bind<T: 'static>(
    info: &ModuleInfo,
    grants: &Grants<T>,
) -> Result<Vec<Arc<Binding<T>>>, LoadError> {
    let mut bindings = Vec::with_capacity(info.imports.len());
    for import in &info.imports {
        // Each has one: see `check`. One left out would shift all after it.
        let binding = host::bind(import, grants);
        bindings.push(binding.ok_or_else(|| refused("an import is bound to nothing"))?);
    }
    Ok(bindings)
}

/// What should have been found before.
#[cold]
fn refused(reason: &str) -> LoadError {
    LoadError::Refused {
        reason: reason.into(),
    }
}

/// Imports that are declared twice with two types: one name can be bound to one of them only.
fn conflicting_imports(info: &ModuleInfo) -> Vec<Mismatch> {
    let mut found = Vec::new();
    info.imports_in_order(&mut |first, again| {
        if let (Some(first), Some(import)) = (info.imports.get(first), info.imports.get(again))
            && first.ty != import.ty
        {
            found.push(Mismatch::ImportType {
                module: import.module.clone(),
                name: import.name.clone(),
                expected: text(format_args!("{}, as it is declared before", first.ty)),
                found: text(format_args!("{}", import.ty)),
            });
        }
    });
    found
}
