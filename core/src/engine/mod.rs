//! [`Engine`]: a configured interpreter, from which plugins are loaded.

#[cfg(feature = "cache")]
mod cache;
mod code;
mod compile;
#[cfg(feature = "component")]
mod component;
mod linked;
mod memories;
mod program;

#[cfg(feature = "component")]
pub(crate) use self::component::CompiledComponent;
pub(crate) use self::{
    code::{Code, Lease},
    linked::{CompiledModule, LinkedModule},
    memories::{Memories, Placed},
    program::Gate,
};

use crate::{
    abi::native,
    base::{
        limits::{Budget, Limits},
        platform::{NoPlatform, Platform},
    },
    error::LoadError,
    grants::{self, Grants},
    module::{Footprint, ModuleInfo},
};
#[cfg(feature = "trace")]
use crate::{
    base::limits::ModuleLimits,
    module::{self, FunctionNames},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
#[cfg(feature = "cache")]
use cache::{Cache, Key};
use core::sync::atomic::AtomicUsize;

/// A module that was read and compiled.
pub(crate) type Compiled = (Arc<ModuleInfo>, Arc<Code>);

/// A configured interpreter: the limits, default budget and platform of the plugins that are
/// loaded from it. Cheap to clone.
///
/// Each plugin gets a wasmi engine of its own, unless it shares its code (`Engine::with_code_cache`). A wasmi
/// engine keeps all code that it ever compiled, so one for all would grow with each load; a plugin's own is
/// freed with the plugin.
///
/// ```
/// use hostel_core::{Budget, Engine, Grants, Limits};
///
/// let wasm = wat::parse_str(r#"(module (func (export "add") (param i32 i32) (result i32)
///     (i32.add (local.get 0) (local.get 1))))"#)?;
/// let engine = Engine::new(Limits::device(256 << 10)).with_budget(Budget::device());
/// let plugin = engine.load("adder", &wasm, &Grants::new())?;
/// assert_eq!(plugin.call::<(u32, u32), u32>("add", (10, 20))?, 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Engine {
    limits: Limits,
    budget: Budget,
    platform: Arc<dyn Platform>,
    memories: Memories,
    /// Number of compilations in the background, of all plugins.
    compiling: Arc<AtomicUsize>,
    /// The code of loaded modules. `None` if each plugin has its own.
    #[cfg(feature = "cache")]
    cache: Option<Arc<Cache>>,
    /// Whether functions are translated when they are first called.
    #[cfg(feature = "lazy")]
    lazy: bool,
    /// Whether plugins keep the names of the functions that run.
    #[cfg(feature = "trace")]
    traces: bool,
}

impl Engine {
    /// Creates an engine with these limits, the default [`Budget`] and no platform: no clock, no
    /// random numbers, nothing to wait with. A budget with a deadline needs a platform with a clock; on
    /// an operating system, `hostel::engine_with` makes an engine that has one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            budget: Budget::default(),
            platform: Arc::new(NoPlatform),
            memories: Memories::Heap,
            compiling: Arc::default(),
            #[cfg(feature = "cache")]
            cache: None,
            #[cfg(feature = "lazy")]
            lazy: false,
            #[cfg(feature = "trace")]
            traces: false,
        }
    }

    /// Sets the budget of each call that has none of its own.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets the platform, which supplies time, randomness and waiting. On an operating system use
    /// `hostel::Std`.
    #[must_use]
    pub fn with_platform(mut self, platform: impl Platform) -> Self {
        self.platform = Arc::new(platform);
        self.renew_cache();
        self
    }

    /// Sets the limits of plugins that are loaded from now on. The budget and the platform stay.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Puts the memories of instances into `slots` instead of on the heap. Each instance holds one
    /// slot until it is dropped, and its memory can grow to the size of that slot. If no slot is
    /// free, making an instance fails with [`CallError::DoesNotFit`](crate::CallError::DoesNotFit).
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1000 (pagesize 1)) (func (export "f")))"#)?;
    /// use hostel_core::{Engine, Grants, Limits, Slots};
    /// let buffer = vec![0; 8192].leak(); // a `static` on a device
    /// let engine = Engine::new(Limits::device(256 << 10)).with_memory_slots(Slots::split(buffer, 4096));
    /// let plugin = engine.load("m", &wasm, &Grants::new())?;
    /// let held = [plugin.instantiate(())?, plugin.instantiate(())?];
    /// assert_eq!(plugin.instantiate(()).unwrap_err().code(), "does-not-fit");
    /// drop(held);
    /// plugin.instantiate(())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "slots")]
    #[must_use]
    pub fn with_memory_slots(mut self, slots: hostel_slots::Slots) -> Self {
        self.memories = Memories::Slots(slots);
        self.renew_cache();
        self
    }

    /// Puts the memories of instances into `mappings` of the operating system instead of on the heap, if
    /// they begin with more than 128 KiB. Reusing an instance then takes time for the pages that the call
    /// touched, instead of for the whole memory; and an instance that was reset keeps these pages only. Results, fuel
    /// and limits are those of memories on the heap. If the system has no address space for a mapping, that
    /// memory is on the heap.
    ///
    /// On Linux, `hostel::engine` does this by itself.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 17) (func (export "f")))"#)?;
    /// use hostel_core::{Engine, Grants, Mappings};
    /// let mut engine = Engine::default();
    /// if let Some(mappings) = Mappings::new() {
    ///     engine = engine.with_mapped_memories(mappings);
    /// }
    /// let plugin = engine.load("m", &wasm, &Grants::new())?;
    /// assert_eq!(plugin.call::<(), ()>("f", ()), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "mappings")]
    #[must_use]
    pub fn with_mapped_memories(mut self, mappings: hostel_mappings::Mappings) -> Self {
        self.memories = Memories::Mappings(mappings);
        self.renew_cache();
        self
    }

    /// Makes plugins share compiled code: a module that is loaded again from equal bytes, within equal
    /// limits, is neither read nor compiled again while a plugin of it is loaded. The engine's clones share
    /// the code too, and so do engines that get other limits or another budget from it.
    ///
    /// Each plugin still has its own grants, name, state and instances; only the code is shared, which
    /// nothing changes. When the last plugin of a module is dropped, its code is freed.
    ///
    /// The time that loading takes tells the loader whether an equal module is loaded. Give tenants who must
    /// not learn that of each other engines of their own.
    ///
    /// `hostel::engine` switches this on; [`Engine::new`] does not.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (func (export "f")))"#)?;
    /// use hostel_core::{Engine, Grants};
    /// let engine = Engine::default().with_code_cache();
    /// let one = engine.load("one", &wasm, &Grants::new())?;
    /// let other = engine.load("other", &wasm, &Grants::new())?;
    /// assert!(one.shares_code_with(&other));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn with_code_cache(mut self) -> Self {
        self.cache = Some(Arc::default());
        self
    }

    /// Makes each plugin have code of its own, as it is without [`with_code_cache`](Self::with_code_cache).
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn without_code_cache(mut self) -> Self {
        self.cache = None;
        self
    }

    /// Makes loading check all of a module, but translate none of it: each function is translated when it is
    /// first called. Off by default. A plugin in Go of 1.9 MB then loads in 0.56 of the instructions, and takes
    /// 0.7 of them to its first answer. Small plugins gain nothing, since they soon call most of their functions.
    ///
    /// Fuel, output and errors stay as they are without it. Translating costs no fuel: making an instance is
    /// charged by the module's size in both modes, 1 unit for each 64 bytes. But it gives up guarantees, so use
    /// it for modules whose authors you trust not to attack the interpreter:
    ///
    /// * A step, or the time after a deadline, may last as long as translating all of the module: about a
    ///   millisecond for each 20 KB of code.
    /// * A function that the interpreter can't translate traps when it is called. Without this, its module is
    ///   refused when it is loaded.
    /// * Should the interpreter's translator panic, the panic reaches the caller, and later calls of that
    ///   function wait for ever. Without this, the module is refused.
    ///
    /// Has no effect if the heap is bounded, by [`Limits::heap_bytes`] or by the platform: then memory for the
    /// code has to be there from the start.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (func (export "f") (result i32) i32.const 1))"#)?;
    /// use hostel_core::{Engine, Grants};
    /// let engine = Engine::default().with_lazy_translation();
    /// let plugin = engine.load("m", &wasm, &Grants::new())?;
    /// assert_eq!(plugin.call::<(), u32>("f", ())?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "lazy")]
    #[must_use]
    pub fn with_lazy_translation(mut self) -> Self {
        self.lazy = true;
        self.renew_cache();
        self
    }

    /// Begins another cache, if there is one: code that is compiled otherwise, or for another platform, is not this engine's.
    fn renew_cache(&mut self) {
        #[cfg(feature = "cache")]
        if let Some(cache) = &mut self.cache {
            *cache = Arc::default();
        }
    }

    /// Makes traps name the three innermost guest functions; see
    /// [`Trap::functions`](crate::Trap::functions). Off by default, since it costs.
    ///
    /// The interpreter keeps no such names, so each function of a plugin is changed to keep them: by
    /// seven operators at its entry, and two after each call. Loops without calls run as fast as
    /// before. Plugins of ordinary compilers used 4 to 7 % more fuel, and up to 13 % more time; a
    /// function that does little but call itself, 1.8 times the fuel and 1.4 times the time. Equal calls
    /// use other fuel than without it. Snapshots are taken without it.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (func $inner unreachable) (func $middle (call $inner))
    /// #   (func $f (export "f") (call $middle)))"#)?;
    /// use hostel_core::{CallError, Engine, Grants};
    /// let engine = Engine::default().with_call_trace();
    /// let plugin = engine.load("m", &wasm, &Grants::new())?;
    /// let Err(CallError::Trap(trap)) = plugin.call::<(), ()>("f", ()) else { panic!() };
    /// assert_eq!(trap.functions().join(" → "), "f → middle → inner");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "trace")]
    #[must_use]
    pub fn with_call_trace(mut self) -> Self {
        self.traces = true;
        self
    }

    /// Returns this engine without [`with_call_trace`](Self::with_call_trace).
    pub(crate) fn untraced(&self) -> Self {
        #[cfg_attr(not(feature = "trace"), allow(unused_mut))]
        let mut engine = self.clone();
        #[cfg(feature = "trace")]
        {
            engine.traces = false;
        }
        engine
    }

    /// Returns `wasm` changed to keep the names of the functions that run, and the names that it has;
    /// `None` if this engine does not trace, or the module has no functions.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check), and faults in the bodies of functions.
    #[cfg(feature = "trace")]
    pub(crate) fn trace<T: 'static>(
        &self,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Option<(Vec<u8>, FunctionNames)>, LoadError> {
        if !self.traces {
            return Ok(None);
        }
        // The module itself has to be within the limits, not what becomes of it.
        self.check_within(wasm, grants)?;
        module::validate(wasm)?;
        Ok(module::traced(wasm).map(|traced| (traced, FunctionNames::read(wasm))))
    }

    /// Returns this engine without limits on modules, for one that was within them before it was
    /// changed.
    #[cfg(feature = "trace")]
    pub(crate) fn without_module_limits(&self) -> Self {
        self.clone().with_limits(Limits {
            module_bytes: usize::MAX,
            module: ModuleLimits::none(),
            ..self.limits
        })
    }

    /// Returns the limits of plugins and instances.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the budget of each call that has none of its own.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Returns the platform.
    pub(crate) fn platform(&self) -> &Arc<dyn Platform> {
        &self.platform
    }

    /// Checks `wasm` as [`load`](Self::load) does, without compiling it, and returns what the module
    /// declares.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), except for faults in the bodies of functions, which are found
    /// when these are compiled.
    // Not inlined, so that its native stack does not stay in use while the module is compiled.
    #[inline(never)]
    pub fn check<T: 'static>(
        &self,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<ModuleInfo, LoadError> {
        match self.bounded_by(grants) {
            Some(own) => own.check_within(wasm, grants),
            None => self.check_within(wasm, grants),
        }
    }

    /// Returns this engine with the limits and the budget that `grants` set, if they do.
    pub(crate) fn bounded_by<T: 'static>(&self, grants: &Grants<T>) -> Option<Box<Self>> {
        let (limits, budget) = (grants.limits(), grants.budget());
        if limits.is_none() && budget.is_none() {
            return None;
        }
        let mut own = Box::new(self.clone());
        own.limits = *limits.unwrap_or(&self.limits);
        own.budget = *budget.unwrap_or(&self.budget);
        Some(own)
    }

    /// As [`check`](Self::check), within this engine's limits.
    #[inline(never)]
    pub(crate) fn check_within<T: 'static>(
        &self,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<ModuleInfo, LoadError> {
        self.check_size(wasm)?;
        let info = self.read(wasm)?;
        self.check_grants(&info, grants)?;
        Ok(info)
    }

    /// Checks the budget, and the module's size.
    fn check_size(&self, wasm: &[u8]) -> Result<(), LoadError> {
        // Told before a call fails for it. Handles and instances with budgets of their own are checked
        // at each call.
        if self.budget.deadline.is_some() && self.platform.now().is_none() {
            return Err(LoadError::NoClock);
        }
        if wasm.len() > self.limits.module_bytes {
            return Err(LoadError::TooLarge {
                limit: self.limits.module_bytes,
                found: wasm.len(),
            });
        }
        Ok(())
    }

    /// Reads a module within the limits.
    fn read(&self, wasm: &[u8]) -> Result<ModuleInfo, LoadError> {
        let info = ModuleInfo::read_in(wasm, &self.limits.module, self.heap_left())?;
        let bytes = info
            .memories
            .iter()
            .fold(0u64, |sum, memory| sum.saturating_add(memory.min_bytes));
        let elements = info
            .tables
            .iter()
            .fold(0u64, |sum, table| sum.saturating_add(table.min));
        for (name, limit, found) in [
            ("memory_bytes", self.limits.memory_bytes, bytes),
            ("table_elements", self.limits.table_elements, elements),
        ] {
            let limit = limit as u64;
            if found > limit {
                return Err(LoadError::OverLimit { name, limit, found });
            }
        }
        Ok(info)
    }

    /// Checks that a module's imports and exports fit the grants, and that there is memory for its plugin.
    fn check_grants<T: 'static>(
        &self,
        info: &ModuleInfo,
        grants: &Grants<T>,
    ) -> Result<(), LoadError> {
        let mut mismatches = Vec::new();
        // Collected, so that one error lists every import and export that does not fit.
        let needs = grants::check_imports(info, grants, &mut mismatches);
        match grants.protocol_of(info) {
            #[cfg(feature = "contract")]
            None if grants.has_fixed_contract() => {
                native::check_canonical_exports(info, &mut mismatches);
            }
            None => native::check_exports(info, needs, &mut mismatches),
            Some(protocol) => protocol.check_exports(info, &mut mismatches),
        }
        mismatches.extend(grants::conflicting_imports(info));
        if mismatches.is_empty() {
            self.check_fits(info)
        } else {
            Err(LoadError::Mismatch(mismatches))
        }
    }

    /// Returns where the memories of instances live.
    pub(crate) const fn memories(&self) -> &Memories {
        &self.memories
    }

    /// Returns the bytes of heap that a plugin takes.
    pub(crate) fn footprint(&self, info: &ModuleInfo) -> Footprint {
        let footprint = info.footprint(&self.limits);
        #[cfg(feature = "slots")]
        if self.memories.are_apart() {
            let idle = self.limits.idle as u64;
            let memory = info.memory_after_start(&self.limits);
            return footprint.without_memory(memory.saturating_mul(idle));
        }
        footprint
    }

    /// Returns the bytes of heap that a plugin may take. `usize::MAX` if neither the platform nor the
    /// limits bound them.
    fn heap_left(&self) -> usize {
        let free = self.platform.free_bytes().unwrap_or(usize::MAX);
        free.min(self.limits.heap_bytes)
    }

    /// Returns [`LoadError::DoesNotFit`] if the heap, or the largest slot, is too small.
    fn check_fits(&self, info: &ModuleInfo) -> Result<(), LoadError> {
        #[cfg(feature = "slots")]
        if let Memories::Slots(slots) = &self.memories {
            let (needed, free) = (info.memory_at_start(), slots.largest() as u64);
            if needed > free {
                return Err(LoadError::DoesNotFit { needed, free });
            }
        }
        let free = self.heap_left();
        let needed = self.footprint(info).to_run();
        if free == usize::MAX || needed <= free as u64 {
            return Ok(());
        }
        let free = free as u64;
        Err(LoadError::DoesNotFit { needed, free })
    }

    /// Checks and compiles `wasm`, or finds the code of a plugin that was loaded from it. Stores the SHA-256
    /// of its bytes in `sha256` if that is computed for this.
    pub(crate) fn compiled<T: 'static>(
        &self,
        wasm: &[u8],
        grants: &Grants<T>,
        #[cfg_attr(not(feature = "cache"), allow(unused_variables))] sha256: &mut Option<[u8; 32]>,
    ) -> Result<Compiled, LoadError> {
        #[cfg(feature = "cache")]
        if let Some(cache) = &self.cache {
            // Before the module is hashed, which takes time by its size.
            self.check_size(wasm)?;
            let key = Key::new(wasm, &self.limits);
            *sha256 = Some(key.sha256());
            if let Some(found) = cache.find(&key) {
                self.check_grants(&found.0, grants)?;
                return Ok(found);
            }
            let compiled = self.check_and_compile(wasm, grants)?;
            cache.add(key, &compiled);
            return Ok(compiled);
        }
        self.check_and_compile(wasm, grants)
    }

    fn check_and_compile<T: 'static>(
        &self,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Compiled, LoadError> {
        let mut info = self.check_within(wasm, grants)?;
        #[cfg(any(feature = "slots", feature = "mappings"))]
        {
            info.changes.imports_memory = self.memories().place(&info);
        }
        let code = self.compile(&mut info, wasm)?;
        Ok((Arc::new(info), Arc::new(code)))
    }
}

impl Default for Engine {
    /// Creates an engine with [`Limits::server`], [`Budget::server`] and no platform.
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
