//! A validated module with its imports bound, from which instances are made.

use crate::{
    abi::{native, shape::Shape},
    call::{Shared, State},
    engine::Engine,
    error::{CallError, listed},
    host::LogSink,
    instance::Instance,
    limits::{Budget, Limits},
    marshal::{Lift, Lower, Types},
    module::{Extern, ModuleInfo, Signature},
    pool::{Place, Pool},
};
use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};
use hashbrown::HashMap;
use wasmi::{Linker, Module};

/// A plugin: compiled once, instantiated as often as needed. A cheap handle to clone and to share
/// between threads.
///
/// Its own `process` and `call` run each request in an instance of its own, made for it, at most
/// [`Limits::instances`] at a time, so that no request sees what another one left behind. Hold an
/// [`Instance`] to keep a guest's state.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
/// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
/// use hostel_core::{Engine, Grants};
/// let plugin = Engine::default().load("echo", &wasm, &Grants::<()>::new())?;
/// assert_eq!(plugin.process(b"hello")?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Plugin<T: 'static = ()> {
    inner: Arc<Inner<T>>,
    budget: Budget,
}

struct Inner<T: 'static> {
    info: ModuleInfo,
    module: Module,
    linker: Linker<State<T>>,
    /// Where each exported function is among the exports.
    functions: HashMap<alloc::boxed::Box<str>, Signature>,
    shared: Arc<Shared>,
    limits: Limits,
    pool: Pool,
    closed: AtomicBool,
}

impl<T: 'static> Plugin<T> {
    pub(crate) fn new(
        engine: &Engine,
        name: &str,
        info: ModuleInfo,
        module: Module,
        linker: Linker<State<T>>,
        log: Option<Arc<dyn LogSink>>,
    ) -> Self {
        let functions = info
            .exports
            .iter()
            .filter_map(|export| match &export.ty {
                Extern::Function(ty) => Some((export.name.clone(), ty.clone())),
                _ => None,
            })
            .collect();
        let shared = Arc::new(Shared {
            name: name.into(),
            platform: engine.platform().clone(),
            log,
        });
        let limits = *engine.limits();
        let pool = Pool::new(limits.instances);
        let inner = Inner {
            info,
            module,
            linker,
            functions,
            shared,
            limits,
            pool,
            closed: AtomicBool::new(false),
        };
        Self {
            inner: Arc::new(inner),
            budget: *engine.budget(),
        }
    }

    /// The same plugin, with `budget` for each call made through this handle.
    #[must_use]
    pub fn with_budget(&self, budget: Budget) -> Self {
        Self {
            inner: self.inner.clone(),
            budget,
        }
    }

    /// The name under which it was loaded.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.shared.name
    }

    /// What its module declares.
    #[must_use]
    pub fn info(&self) -> &ModuleInfo {
        &self.inner.info
    }

    /// What its instances may be.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Makes an instance to keep, with `data` for the host functions. It is not counted against
    /// [`Limits::instances`].
    ///
    /// # Errors
    ///
    /// Those of the guest's start function and `_initialize`.
    pub fn instantiate(&self, data: T) -> Result<Instance<T>, CallError> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(CallError::Closed);
        }
        Instance::new(self, &self.budget, data)
    }

    /// Checks that a call of the export `name` with these types is possible.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (func (export "add") (param i32 i32) (result i32) i32.const 0))"#)?;
    /// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::<()>::new())?;
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
        let shape = self.shape_of::<P, R>(name)?;
        let gives = Types::collect(P::types).bytes || shape == Shape::Pointer;
        let takes = Types::collect(R::types).bytes;
        native::check_exchange(&self.inner.info, gives, gives || takes)
    }

    /// Refuses further calls and instances, through this handle and its clones. What runs is not
    /// disturbed; memory is given back when the last handle and instance go.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
    }

    pub(crate) fn code(&self) -> (&Module, &Linker<State<T>>) {
        (&self.inner.module, &self.inner.linker)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// The type of the exported function `name`.
    pub(crate) fn signature(&self, name: &str) -> Result<Signature, CallError> {
        self.inner
            .functions
            .get(name)
            .cloned()
            .ok_or_else(|| self.unknown_export(name))
    }

    pub(crate) fn shape_of<P, R>(&self, name: &str) -> Result<Shape, CallError>
    where
        P: Lower,
        R: Lift,
    {
        let (params, results) = (Types::collect(P::types), Types::collect(R::types));
        let found = self
            .inner
            .functions
            .get(name)
            .ok_or_else(|| self.unknown_export(name))?;
        native::shape_of(&params, &results, found).ok_or_else(|| CallError::ExportType {
            name: name.into(),
            expected: Shape::expected(&params.flat, &results.flat).into(),
            found: alloc::format!("{found}").into(),
        })
    }

    pub(crate) fn unknown_export(&self, name: &str) -> CallError {
        CallError::UnknownExport {
            name: name.into(),
            exports: listed(self.inner.info.function_names()).into(),
        }
    }
}

impl<T: Default + 'static> Plugin<T> {
    /// Calls `process` in an instance of its own; see [`Instance::process`].
    ///
    /// # Errors
    ///
    /// As there, and [`CallError::Busy`] where no place came free in time.
    pub fn process(&self, input: &[u8]) -> Result<Vec<u8>, CallError> {
        self.lend(|instance| instance.process(input))
    }

    /// Calls an export in an instance of its own; see [`Instance::call`].
    ///
    /// # Errors
    ///
    /// As there, and [`CallError::Busy`] where no place came free in time.
    pub fn call<P, R>(&self, name: &str, params: P) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        self.lend(|instance| instance.call(name, params))
    }

    /// Runs the plugin as a WASI command, in an instance of its own; see
    /// [`Instance::run_command`].
    ///
    /// # Errors
    ///
    /// As there, and [`CallError::Busy`] where no place came free in time.
    pub fn run_command(&self) -> Result<u32, CallError> {
        self.lend(Instance::run_command)
    }

    /// Runs `work` with an instance of its own, one of at most [`Limits::instances`].
    ///
    /// # Errors
    ///
    /// [`CallError::Busy`] where no place came free before the budget's deadline; those of the
    /// guest's start; those of `work`.
    pub fn lend<R>(
        &self,
        work: impl FnOnce(&mut Instance<T>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let _place = self.place()?;
        work(&mut self.instantiate(T::default())?)
    }

    fn place(&self) -> Result<Place<'_>, CallError> {
        let platform = &*self.inner.shared.platform;
        let until = self
            .budget
            .deadline
            .and_then(|after| Some(platform.now()?.saturating_add(after)));
        self.inner.pool.enter(platform, until)
    }
}

impl<T> Clone for Plugin<T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
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
