//! [`Plugin`]: a validated module with its imports bound, from which instances are made.

mod calls;
#[cfg(feature = "component")]
mod component;
#[cfg(feature = "component")]
mod component_export;
#[cfg(feature = "contract")]
mod fixed;
mod linked;
mod load;
mod pool;
mod prepared;
mod request;

#[cfg(feature = "contract")]
pub use self::fixed::{FixedCallee, FixedExport};
#[cfg(feature = "component")]
pub use self::{
    component::{ComponentFunction, Contract},
    component_export::{ComponentCallee, ComponentExport},
};
pub use self::{
    pool::PoolFigures,
    prepared::{PluginBytesFunction, PluginFunction},
    request::Request,
};

use self::pool::Pool;
#[cfg(feature = "trace")]
use crate::module::FunctionNames;
use crate::{
    abi::{Convention, Protocol, native},
    base::{
        limits::{Budget, Limits, Usage},
        log::LogSink,
        shape::Shape,
    },
    call::meter,
    engine::{Code, Engine},
    error::CallError,
    host_functions::Binding,
    instance::{Instance, Linked, Loaded},
    marshal::{Lift, Lower, Types},
    module::{Footprint, ModuleInfo},
};
use alloc::{sync::Arc, vec::Vec};
use core::{sync::atomic::Ordering, time::Duration};

/// A plugin: compiled once, instantiated as often as needed. A handle that is cheap to clone and to
/// share between threads.
///
/// [`process`](Self::process), [`call`](Self::call) and [`run_command`](Self::run_command) run each
/// request in an instance of its own, so no request sees the state that another one left. At most
/// [`Limits::instances`] run at once; further calls wait. To keep a guest's state between calls, hold
/// an [`Instance`].
///
/// Exports that are called often can be looked up once: see [`typed`](Self::typed) and
/// [`bytes_function`](Self::bytes_function).
///
/// An instance is new, or one of up to [`Limits::idle`] that were reset after an earlier request:
/// its memory and globals are reset to their state after its start. Reuse charges the same fuel, and
/// every other result is the same too. A reset takes as long as writing the guest's memory once, or only what
/// the request touched of it if that is in a mapping: see `Engine::with_mapped_memories`.
///
/// An instance whose memory has grown can't be reset, since memories don't shrink. A new one takes its
/// place, whose memory the interpreter fills with 0: that takes most of the time of a short call. A guest that
/// grows its memory in each first call, as many with an allocator do, is reset if it is loaded from a
/// [snapshot](crate::Engine::snapshot) that was taken after a call like those to come. If its start is longer
/// than setting the memory would be, its state is copied instead of running the start again.
///
/// Both need a start that leads to the same state each time, and are skipped otherwise: if the start
/// called host functions, or if the module changes tables or drops segments. The start may call those
/// functions of WASI that only tell what was granted: `args_get`, `args_sizes_get`, `environ_get`,
/// `environ_sizes_get`, `fd_fdstat_get`, `fd_prestat_get`, `fd_prestat_dir_name` and `sched_yield`. It may
/// not read random bytes, of which each instance has its own, nor a clock.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
/// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
/// use hostel_core::{Engine, Grants};
/// let plugin = Engine::default().load("echo", &wasm, &Grants::new())?;
/// assert_eq!(plugin.process(b"hello")?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Plugin<T: 'static = ()> {
    loaded: Arc<Loaded<T>>,
    pool: Arc<Pool<T>>,
    budget: Budget,
}

impl<T: 'static> Plugin<T> {
    /// Puts a loaded plugin together, with an empty pool.
    pub(crate) fn new(
        engine: &Engine,
        name: &str,
        info: Arc<ModuleInfo>,
        code: Arc<Code>,
        bindings: Vec<Arc<Binding<T>>>,
        protocol: Option<Arc<dyn Protocol>>,
        log: Option<Arc<dyn LogSink>>,
    ) -> Self {
        Self {
            loaded: Arc::new(Loaded::new(
                engine, name, info, code, bindings, protocol, log,
            )),
            pool: Arc::new(Pool::new(engine.limits())),
            budget: *engine.budget(),
        }
    }

    /// Makes traps name functions, by the global that the module keeps for that, its last. `limits` are
    /// those of the module before it was changed for that.
    #[cfg(feature = "trace")]
    pub(crate) fn keep_trace(&mut self, names: FunctionNames, limits: Limits) {
        // A plugin that was just loaded has no other handle.
        if let Some(loaded) = Arc::get_mut(&mut self.loaded) {
            loaded.functions = Some(names);
            loaded.limits = limits;
        }
    }

    /// Adds the modules with which its own is linked. `footprint` is that of all.
    fn link(&mut self, linked: Linked<T>, footprint: &Footprint) {
        // A plugin that was just loaded has no other handle.
        if let Some(loaded) = Arc::get_mut(&mut self.loaded) {
            loaded.link(linked, footprint);
        }
    }

    /// Returns another handle of this plugin, which gives `budget` to each of its calls.
    #[must_use]
    pub fn with_budget(&self, budget: Budget) -> Self {
        Self {
            loaded: self.loaded.clone(),
            pool: self.pool.clone(),
            budget,
        }
    }

    /// Returns the name under which it was loaded.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.loaded.shared.name
    }

    /// Returns what its module declares: imports, exports, memories, tables. Of a component, its functions have types in
    /// WIT and names as in `interface#function`, and memories and tables are those of all core instances.
    #[must_use]
    pub fn info(&self) -> &ModuleInfo {
        #[cfg(feature = "component")]
        if let Some(of) = &self.loaded.component {
            return of.info.call_once(|| component::declared(of));
        }
        &self.loaded.info
    }

    /// Returns whether both plugins run one compiled code: they are handles of one plugin, or were loaded from
    /// equal bytes by an engine [with a cache](crate::Engine::with_code_cache).
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn shares_code_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.loaded.code, &other.loaded.code)
    }

    /// Returns its calling convention.
    #[must_use]
    pub fn convention(&self) -> Convention {
        let protocol = self.loaded.protocol.as_ref();
        protocol.map_or(Convention::Native, |protocol| protocol.convention())
    }

    /// Returns the budget of calls made through this handle; by default the engine's.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Returns the limits of its instances, which are the engine's.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.loaded.limits
    }

    /// Makes an instance to keep, with `data` for the host functions. Its start has a budget of its
    /// own. It does not count against [`Limits::instances`].
    ///
    /// # Errors
    ///
    /// [`CallError::Closed`] after [`close`](Self::close), [`CallError::DoesNotFit`] if the heap
    /// has no room, and the errors of the guest's start function, and of `_initialize` or
    /// `__wasm_call_ctors`.
    // Apart, so that its native stack does not stay in use while the instance's calls run.
    #[inline(never)]
    pub fn instantiate(&self, data: T) -> Result<Instance<T>, CallError> {
        self.loaded.check_open()?;
        let until = meter::until(&self.budget, &**self.loaded.platform())?;
        let mut used = Usage::default();
        #[cfg_attr(not(feature = "mappings"), allow(unused_mut))]
        let mut instance = self.make(until, false, data, &mut used)?;
        // It may be kept for long. One of the pool is given back with its first reset.
        #[cfg(feature = "mappings")]
        instance.give_back_zeros()?;
        Ok(instance)
    }

    /// Makes and starts an instance on this thread. If `continues_budget`, its first call goes on
    /// with what its start left of the budget. Stores what was used in `used`, also if this fails.
    fn make(
        &self,
        until: Option<Duration>,
        continues_budget: bool,
        data: T,
        used: &mut Usage,
    ) -> Result<Instance<T>, CallError> {
        let budget = &self.budget;
        let mut instance = Instance::new(
            &self.loaded,
            budget,
            until,
            continues_budget,
            None,
            data,
            used,
        )?;
        let ran = instance.run_start_here();
        instance.finish_start(ran, used)?;
        Ok(instance)
    }

    /// Checks that the export `name` can be called with parameters `P` and result `R`, without
    /// running the guest.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (func (export "add") (param i32 i32) (result i32) i32.const 0))"#)?;
    /// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
    /// assert!(plugin.check::<(u32, u32), u32>("add").is_ok());
    /// let error = plugin.check::<&str, String>("add").unwrap_err();
    /// assert_eq!(error.code(), "export-type");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] if no function has this name, [`CallError::ExportType`] if its
    /// type differs, [`CallError::MissingExport`] if these types need `memory` or an allocator that
    /// the plugin does not export.
    pub fn check<P, R>(&self, name: &str) -> Result<(), CallError>
    where
        P: Lower,
        R: Lift,
    {
        let (params, results) = (Types::collect(P::types), Types::collect(R::types));
        let (_, shape) = self.loaded.shape_of(name, &params, &results)?;
        // Bytes that go in, and a record of results, need a buffer from the guest's allocator.
        let allocates = params.bytes || shape == Shape::Pointer;
        native::check_buffers(&self.loaded.info, allocates, allocates || results.bytes)
    }

    /// Refuses further calls and instances, through this handle and its clones, with
    /// [`CallError::Closed`]. Running calls end normally. The memory is freed when the last handle
    /// and instance are dropped.
    pub fn close(&self) {
        self.loaded.closed.store(true, Ordering::Release);
        self.pool.close();
    }

    /// Returns the figures of its pool of instances.
    #[must_use]
    pub fn pool_figures(&self) -> PoolFigures {
        PoolFigures {
            copies: self.loaded.code.len(),
            ..self.pool.figures()
        }
    }

    /// Returns whether `instance` was made from this plugin.
    pub(crate) fn owns(&self, instance: &Instance<T>) -> bool {
        Arc::ptr_eq(&self.loaded, instance.loaded())
    }
}

impl<T> Clone for Plugin<T> {
    fn clone(&self) -> Self {
        Self {
            loaded: self.loaded.clone(),
            pool: self.pool.clone(),
            budget: self.budget,
        }
    }
}

impl<T> core::fmt::Debug for Plugin<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
