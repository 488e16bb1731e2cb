//! A validated module with its imports bound, from which instances are made.

use crate::{
    abi::{native, shape::Shape},
    call::{self, Shared},
    engine::Engine,
    error::{CallError, listed},
    host::{Binding, LogSink},
    instance::Instance,
    limits::{Budget, Limits, Usage},
    marshal::{Lift, Lower, Types},
    module::{Extern, ModuleInfo, Signature, in_order},
    platform::Platform,
    pool::{Place, Pool, PoolFigures},
    run::{Pace, block},
    running::PendingCall,
    sandbox::Start,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    future::{Future, poll_fn},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
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
    inner: Arc<Inner<T>>,
    budget: Budget,
}

struct Inner<T: 'static> {
    info: ModuleInfo,
    /// Its code, each compiled in an engine of its own.
    copies: Vec<Module>,
    /// The copy that the next instance is made of, modulo their number.
    next_copy: AtomicUsize,
    /// One for each import.
    bindings: Vec<Arc<Binding<T>>>,
    /// Where memories are, if not on the heap.
    #[cfg(feature = "slots")]
    slots: Option<hostel_slots::Slots>,
    /// Where each export is among the exports, in the order of their names.
    by_name: Vec<usize>,
    shared: Arc<Shared>,
    limits: Limits,
    /// Bytes of the heap that an instance, and that a call, may take before the guest runs.
    needs: (u64, u64),
    pool: Pool<T>,
    closed: AtomicBool,
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
        let export = |at: usize| info.exports.get(at).map(|export| &*export.name);
        let compare = |one, other| export(one).cmp(&export(other));
        let by_name = in_order(info.exports.len(), &compare, &mut |_, _| {});
        let shared = Arc::new(Shared {
            name: name.into(),
            platform: engine.platform().clone(),
            containment: engine.platform().containment(),
            log,
        });
        let limits = *engine.limits();
        let pool = Pool::new(&limits);
        let footprint = engine.footprint(&info);
        let inner = Inner {
            needs: (footprint.instance_to_run(), footprint.frames),
            info,
            copies,
            next_copy: AtomicUsize::new(0),
            bindings,
            #[cfg(feature = "slots")]
            slots: engine.slots().cloned(),
            by_name,
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

    /// The budget of calls made through this handle.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
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
    // Apart, so that its native stack does not stay in use while the instance's calls run.
    #[inline(never)]
    pub fn instantiate(&self, data: T) -> Result<Instance<T>, CallError> {
        self.check_open()?;
        let until = call::until(&self.budget, &**self.platform());
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
        let mut instance = Instance::new(self, budget, until, carries, None, data, used)?;
        let mut start = Start::default();
        let ran = block(self.platform(), until, None, |context| {
            instance.poll_start(&mut start, context)
        });
        instance.started(ran, used)?;
        Ok(instance)
    }

    fn check_open(&self) -> Result<(), CallError> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(CallError::Closed);
        }
        Ok(())
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
        let shape = self.shape_of(name, &params, &results)?;
        let gives = params.bytes || shape == Shape::Pointer;
        native::check_exchange(&self.inner.info, gives, gives || results.bytes)
    }

    /// Refuses further calls and instances, through this handle and its clones. What runs is not
    /// disturbed; memory is given back when the last handle and instance go.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.pool.clear();
    }

    /// What its pool of instances does.
    #[must_use]
    pub fn pool_figures(&self) -> PoolFigures {
        self.inner.pool.figures()
    }

    /// Whether both are handles of one plugin.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(crate) fn platform(&self) -> &Arc<dyn Platform> {
        &self.inner.shared.platform
    }

    /// The code for one more instance.
    pub(crate) fn code(&self) -> Option<&Module> {
        let next = self.inner.next_copy.fetch_add(1, Ordering::Relaxed);
        let copies = &self.inner.copies;
        copies.get(next.checked_rem(copies.len())?)
    }

    /// One for each import, in the module's order.
    pub(crate) fn bindings(&self) -> &[Arc<Binding<T>>] {
        &self.inner.bindings
    }

    /// Where memories are, if not on the heap.
    #[cfg(feature = "slots")]
    pub(crate) fn slots(&self) -> Option<&hostel_slots::Slots> {
        self.inner.slots.as_ref()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Bytes of the heap that an instance, and that a call, may take before the guest runs.
    pub(crate) fn needs(&self) -> (u64, u64) {
        self.inner.needs
    }

    /// Refuses what the heap has no room for.
    pub(crate) fn admit(&self, needed: u64) -> Result<(), CallError> {
        let free = self.platform().free_bytes().map(|free| free as u64);
        if free.is_some_and(|free| needed > free) {
            return Err(CallError::DoesNotFit { needed, free });
        }
        Ok(())
    }

    fn function(&self, name: &str) -> Result<&Signature, CallError> {
        let Inner { info, by_name, .. } = &*self.inner;
        let export = |at: &usize| info.exports.get(*at);
        let found =
            by_name.binary_search_by(|at| export(at).map(|export| &*export.name).cmp(&Some(name)));
        let found = found.ok().and_then(|at| by_name.get(at)).and_then(export);
        match found.map(|export| &export.ty) {
            Some(Extern::Function(ty)) => Ok(ty),
            _ => Err(self.unknown_export(name)),
        }
    }

    /// The type of the exported function `name`.
    pub(crate) fn signature(&self, name: &str) -> Result<Signature, CallError> {
        self.function(name).cloned()
    }

    /// The shape in which the export `name` takes and gives such values.
    pub(crate) fn shape_of(
        &self,
        name: &str,
        params: &Types,
        results: &Types,
    ) -> Result<Shape, CallError> {
        let found = self.function(name)?;
        native::shape_of(params, results, found).ok_or_else(|| {
            CallError::export_type(name, Shape::expected(&params.flat, &results.flat), found)
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
        self.with_instance(|instance| instance.process(input))
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
        self.with_instance(|instance| instance.call(name, params))
    }

    /// Runs the plugin as a WASI command, in an instance of its own; see
    /// [`Instance::run_command`].
    ///
    /// # Errors
    ///
    /// As there, and [`CallError::Busy`] where no place came free in time.
    pub fn run_command(&self) -> Result<u32, CallError> {
        self.with_instance(Instance::run_command)
    }

    /// Runs `work` with an instance of its own, one of at most [`Limits::instances`]. Waiting for
    /// a place, making the instance and its first call share one budget.
    ///
    /// # Errors
    ///
    /// [`CallError::Busy`] where no place came free before the budget's deadline; those of the
    /// guest's start; those of `work`.
    pub fn lend<R>(
        &self,
        work: impl FnOnce(&mut Instance<T>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        self.with_instance_metered(work).0
    }

    /// The same, and what was used, whether or not it went well: by making the instance and the
    /// last of its calls.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (func $f (loop (br 0))) (start $f) (func (export "g")))"#)?;
    /// use hostel_core::{Budget, Engine, Grants};
    /// let engine = Engine::default().with_budget(Budget::device());
    /// let plugin = engine.load("endless", &wasm, &Grants::new())?;
    /// let (result, used) = plugin.with_instance_metered(|instance| instance.call::<(), ()>("g", ()));
    /// assert_eq!(result.unwrap_err().code(), "out-of-fuel");
    /// assert_eq!(used.fuel, Budget::device().fuel);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metered<R>(
        &self,
        work: impl FnOnce(&mut Instance<T>) -> Result<R, CallError>,
    ) -> (Result<R, CallError>, Usage) {
        let mut used = Usage::default();
        let result = self.lend_metered(&mut used, work);
        (result, used)
    }

    fn lend_metered<R>(
        &self,
        used: &mut Usage,
        work: impl FnOnce(&mut Instance<T>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let platform = &**self.platform();
        let until = call::until(&self.budget, platform);
        let mut place = self.inner.pool.enter_blocking(platform, until)?;
        let mut instance = match self.reuse(until, used)? {
            Some(instance) => instance,
            None => {
                let mut instance = self.make(until, true, T::default(), used)?;
                self.inner.pool.note(|| instance.image());
                instance
            }
        };
        place.with_instance();
        let result = work(&mut instance);
        *used = instance.usage();
        self.give_back(place, instance);
        result
    }

    /// Makes instances for later calls, until [`Limits::warm`] are kept, and tells how many it made.
    /// Each takes a place of [`Limits::instances`] and a call's budget, while it is made.
    ///
    /// No call does so, since it would pay for others: it is for the time after loading, and then for
    /// whoever has time whenever fewer are [idle](PoolFigures::idle), such as a thread.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
    /// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    /// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
    /// use hostel_core::{Engine, Grants, Limits};
    /// let mut limits = Limits::server();
    /// limits.warm = 2;
    /// let plugin = Engine::new(limits).load("echo", &wasm, &Grants::new())?;
    /// assert_eq!(plugin.warm_up()?, 2);
    /// assert_eq!(plugin.pool_figures().idle, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the guest's start, and [`CallError::Busy`] where no place came free in time.
    pub fn warm_up(&self) -> Result<usize, CallError> {
        let platform = &**self.platform();
        let pool = &self.inner.pool;
        let mut made = 0usize;
        while pool.is_cool() {
            let until = call::until(&self.budget, platform);
            let place = pool.enter_blocking(platform, until)?;
            self.check_open()?;
            let (data, mut used) = (T::default(), Usage::default());
            let mut instance = self.make(until, false, data, &mut used)?;
            pool.note(|| instance.image());
            if let Some(idle) = instance.into_idle() {
                pool.keep(idle);
            }
            self.clear_if_closed();
            drop(place);
            made = made.saturating_add(1);
        }
        Ok(made)
    }

    /// A call of `process` with `input` in an instance of its own, to be run by steps or awaited,
    /// start function and all: see [`PendingCall`]. While there is no place for it, it
    /// [waits](crate::Step::Waiting), without holding up the thread.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
    /// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    /// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
    /// use hostel_core::{Engine, Grants, Step};
    /// let plugin = Engine::default().load("echo", &wasm, &Grants::new())?;
    /// let mut calls = [plugin.process_async(b"one"), plugin.process_async(b"two")];
    /// let answers = calls.each_mut().map(|call| call.step(10_000));
    /// assert_eq!(answers, [Step::Done(Ok(b"one".to_vec())), Step::Done(Ok(b"two".to_vec()))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Its result is that of [`process`](Self::process).
    pub fn start<'a>(
        &'a self,
        input: &'a [u8],
    ) -> PendingCall<impl Future<Output = Result<Vec<u8>, CallError>> + use<'a, T>> {
        PendingCall::begin(|pace| {
            self.paced(pace, async move |instance, pace| {
                instance.process_paced(input, pace).await
            })
        })
    }

    /// A call of the export `name` in an instance of its own, as [`start`](Self::start).
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module
    /// #   (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#)?;
    /// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
    /// use hostel_core::Step;
    /// let mut call = plugin.call_async::<(u32, u32), u32>("add", (10, 20));
    /// assert_eq!(call.step(1_000), Step::Done(Ok(30)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Its result is that of [`call`](Self::call).
    pub fn start_call<'a, P, R>(
        &'a self,
        name: &'a str,
        params: P,
    ) -> PendingCall<impl Future<Output = Result<R, CallError>> + use<'a, T, P, R>>
    where
        P: Lower + 'a,
        R: for<'m> Lift<View<'m> = R> + 'a,
    {
        PendingCall::begin(|pace| {
            self.paced(pace, async move |instance, pace| {
                instance.call_paced(name, params, pace).await
            })
        })
    }

    async fn paced<R>(
        &self,
        pace: Arc<Pace>,
        work: impl AsyncFnOnce(&mut Instance<T>, Arc<Pace>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let platform = &**self.platform();
        let until = call::until(&self.budget, platform);
        let mut place = self.inner.pool.enter(platform, until).await?;
        let mut used = Usage::default();
        let obtained = self.obtain(until, pace.clone(), &mut used).await;
        pace.note(used);
        let mut instance = obtained?;
        place.with_instance();
        let result = work(&mut instance, pace).await;
        self.give_back(place, instance);
        result
    }

    /// An instance for one call.
    async fn obtain(
        &self,
        until: Option<Duration>,
        pace: Arc<Pace>,
        used: &mut Usage,
    ) -> Result<Instance<T>, CallError> {
        if let Some(instance) = self.reuse(until, used)? {
            return Ok(instance);
        }
        let (budget, data) = (&self.budget, T::default());
        let mut instance = Instance::new(self, budget, until, true, Some(pace), data, used)?;
        let mut start = Start::default();
        let ran = poll_fn(|context| instance.poll_start(&mut start, context)).await;
        instance.started(ran, used)?;
        self.inner.pool.note(|| instance.image());
        Ok(instance)
    }

    /// An instance for one call that was made before, if there is one.
    fn reuse(
        &self,
        until: Option<Duration>,
        used: &mut Usage,
    ) -> Result<Option<Instance<T>>, CallError> {
        self.check_open()?;
        let pool = &self.inner.pool;
        let Some(idle) = pool.idle() else {
            return Ok(None);
        };
        let fuel = self.budget.fuel;
        *used = idle.usage;
        if used.fuel > fuel {
            // As where a new one can't be made for this budget. Others may have a larger one.
            used.fuel = fuel;
            pool.keep(idle);
            return Err(CallError::OutOfFuel { fuel });
        }
        Instance::reused(self, &self.budget, until, idle).map(Some)
    }

    /// Takes an instance back. Whoever used it may have put another plugin's in its place.
    fn give_back(&self, mut place: Place<'_, T>, instance: Instance<T>) {
        let own = self.is_same(instance.plugin());
        place.give_back(instance.into_idle().filter(|_| own), T::default());
        self.clear_if_closed();
    }

    fn clear_if_closed(&self) {
        if self.check_open().is_err() {
            // It was closed meanwhile.
            self.inner.pool.clear();
        }
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
