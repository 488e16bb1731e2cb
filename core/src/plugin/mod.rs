//! A validated module with its imports bound, from which instances are made.

mod calls;
mod load;
mod pool;

pub use self::pool::PoolFigures;

use self::pool::Pool;
use crate::{
    abi::native,
    base::{
        limits::{Budget, Limits, Usage},
        log::LogSink,
        shape::Shape,
    },
    call::{block::block, meter},
    engine::Engine,
    error::CallError,
    host_functions::Binding,
    instance::{Instance, Loaded, Start},
    marshal::{Lift, Lower, Types},
    module::ModuleInfo,
};
use alloc::{sync::Arc, vec::Vec};
use core::{sync::atomic::Ordering, time::Duration};
use wasmi::Module;

/// A plugin: compiled once, instantiated as often as needed. A cheap handle to clone and to share
/// between threads.
///
/// Its own `process` and `call` run each request in an instance of its own, at most
/// [`Limits::instances`] at a time, so that no request sees what another one left behind: it is
/// made for it, or one of [`Limits::idle`] that were made as new after a request, with memory and
/// globals as they were right after its start. That costs the call the same fuel and is some
/// times as fast. It is not done where it can't be sound: where the start called host functions,
/// the memory has grown, or the module changes tables or drops segments. Hold an [`Instance`] to
/// keep a guest's state.
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
    pub(crate) fn new(
        engine: &Engine,
        name: &str,
        info: ModuleInfo,
        copies: Vec<Module>,
        bindings: Vec<Arc<Binding<T>>>,
        log: Option<Arc<dyn LogSink>>,
    ) -> Self {
        Self {
            loaded: Arc::new(Loaded::new(engine, name, info, copies, bindings, log)),
            pool: Arc::new(Pool::new(engine.limits())),
            budget: *engine.budget(),
        }
    }

    /// The same plugin, with `budget` for each call made through this handle.
    #[must_use]
    pub fn with_budget(&self, budget: Budget) -> Self {
        Self {
            loaded: self.loaded.clone(),
            pool: self.pool.clone(),
            budget,
        }
    }

    /// The name under which it was loaded.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.loaded.shared.name
    }

    /// What its module declares.
    #[must_use]
    pub fn info(&self) -> &ModuleInfo {
        &self.loaded.info
    }

    /// The budget of calls made through this handle.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What its instances may be.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.loaded.limits
    }

    /// Makes an instance to keep, with `data` for the host functions. It is not counted against
    /// [`Limits::instances`].
    ///
    /// # Errors
    ///
    /// Those of the guest's start function and `_initialize`.
    // Apart, so that its native stack does not stay in use while the instance's calls run.
    #[inline(never)]
    pub fn instantiate(&self, data: T) -> Result<Instance<T>, CallError> {
        self.loaded.check_open()?;
        let until = meter::until(&self.budget, &**self.loaded.platform());
        let mut used = Usage::default();
        self.make(until, false, data, &mut used)
    }

    /// Makes an instance on this thread.
    fn make(
        &self,
        until: Option<Duration>,
        carries: bool,
        data: T,
        used: &mut Usage,
    ) -> Result<Instance<T>, CallError> {
        let budget = &self.budget;
        let mut instance = Instance::new(&self.loaded, budget, until, carries, None, data, used)?;
        let mut start = Start::default();
        let ran = block(self.loaded.platform(), until, None, |context| {
            instance.poll_start(&mut start, context)
        });
        instance.started(ran, used)?;
        Ok(instance)
    }

    /// Checks that a call of the export `name` with these types is possible.
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
    /// [`CallError::UnknownExport`], [`CallError::ExportType`] or [`CallError::MissingExport`].
    pub fn check<P, R>(&self, name: &str) -> Result<(), CallError>
    where
        P: Lower,
        R: Lift,
    {
        let (params, results) = (Types::collect(P::types), Types::collect(R::types));
        let shape = self.loaded.shape_of(name, &params, &results)?;
        let gives = params.bytes || shape == Shape::Pointer;
        native::check_exchange(&self.loaded.info, gives, gives || results.bytes)
    }

    /// Refuses further calls and instances, through this handle and its clones. What runs is not
    /// disturbed; memory is given back when the last handle and instance go.
    pub fn close(&self) {
        self.loaded.closed.store(true, Ordering::Release);
        self.pool.clear();
    }

    /// What its pool of instances does.
    #[must_use]
    pub fn pool_figures(&self) -> PoolFigures {
        self.pool.figures()
    }

    /// Whether `instance` is one of this plugin's.
    pub(crate) fn made(&self, instance: &Instance<T>) -> bool {
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
