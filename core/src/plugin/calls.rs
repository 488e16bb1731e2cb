//! Calls of a plugin, each in an instance of its own.

use super::{Plugin, pool::Place};
use crate::{
    base::limits::Usage,
    call::{meter, pace::Pace},
    error::CallError,
    instance::{Instance, PendingCall, Start},
    marshal::{Lift, Lower},
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    future::{Future, poll_fn},
    time::Duration,
};

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
    pub fn with_instance<R>(
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
    pub fn with_instance_metered<R>(
        &self,
        work: impl FnOnce(&mut Instance<T>) -> Result<R, CallError>,
    ) -> (Result<R, CallError>, Usage) {
        let mut used = Usage::default();
        let result = self.run_metered(&mut used, work);
        (result, used)
    }

    fn run_metered<R>(
        &self,
        used: &mut Usage,
        work: impl FnOnce(&mut Instance<T>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let platform = &**self.loaded.platform();
        let until = meter::until(&self.budget, platform);
        let mut place = self.pool.enter_blocking(platform, until)?;
        let mut instance = match self.reuse(until, used)? {
            Some(instance) => instance,
            None => {
                let mut instance = self.make(until, true, T::default(), used)?;
                self.pool.note(|| instance.image());
                instance
            }
        };
        place.mark_in_use();
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
        let platform = &**self.loaded.platform();
        let pool = &self.pool;
        let mut made = 0usize;
        while pool.needs_warm_up() {
            let until = meter::until(&self.budget, platform);
            let place = pool.enter_blocking(platform, until)?;
            self.loaded.check_open()?;
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
    pub fn process_async<'a>(
        &'a self,
        input: &'a [u8],
    ) -> PendingCall<impl Future<Output = Result<Vec<u8>, CallError>> + use<'a, T>> {
        PendingCall::begin(|pace| {
            self.paced(pace, async move |instance, pace| {
                instance.process_paced(input, pace).await
            })
        })
    }

    /// A call of the export `name` in an instance of its own, as [`process_async`](Self::process_async).
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
    pub fn call_async<'a, P, R>(
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
        let platform = &**self.loaded.platform();
        let until = meter::until(&self.budget, platform);
        let mut place = self.pool.enter(platform, until).await?;
        let mut used = Usage::default();
        let obtained = self.obtain(until, pace.clone(), &mut used).await;
        pace.note(used);
        let mut instance = obtained?;
        place.mark_in_use();
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
        let mut instance =
            Instance::new(&self.loaded, budget, until, true, Some(pace), data, used)?;
        let mut start = Start::default();
        let ran = poll_fn(|context| instance.poll_start(&mut start, context)).await;
        instance.started(ran, used)?;
        self.pool.note(|| instance.image());
        Ok(instance)
    }

    /// An instance for one call that was made before, if there is one.
    fn reuse(
        &self,
        until: Option<Duration>,
        used: &mut Usage,
    ) -> Result<Option<Instance<T>>, CallError> {
        self.loaded.check_open()?;
        let pool = &self.pool;
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
        Instance::reused(&self.loaded, &self.budget, until, idle).map(Some)
    }

    /// Takes an instance back. Whoever used it may have put another plugin's in its place.
    fn give_back(&self, mut place: Place<'_, T>, instance: Instance<T>) {
        let own = self.made(&instance);
        place.give_back(instance.into_idle().filter(|_| own), T::default());
        self.clear_if_closed();
    }

    fn clear_if_closed(&self) {
        if self.loaded.check_open().is_err() {
            // It was closed meanwhile.
            self.pool.clear();
        }
    }
}
