//! Calls of a plugin, each in an instance of its own from the pool.

use super::{
    Plugin,
    pool::{Permit, Unfinished},
};
use crate::{
    base::{limits::Usage, value::Value},
    call::{meter, pace::Pace},
    error::CallError,
    instance::{IdleInstance, Instance, PendingCall, Start},
    marshal::{Lift, Lower},
    memory::copied,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    future::{Future, poll_fn},
    time::Duration,
};

/// An instance that is used for a call, and the permit for it.
pub(super) struct Taken<'a, T: 'static> {
    pub(super) instance: Instance<T>,
    permit: Permit<'a, T>,
    /// Of an awaited call, which may be dropped before its end.
    unfinished: Option<Unfinished<'a, T>>,
}

impl<T: Default + 'static> Plugin<T> {
    /// Calls `process` with `input` in an instance of its own and returns a copy of the output; see
    /// [`Instance::process`].
    ///
    /// # Errors
    ///
    /// As for [`Instance::process`] and [`with_instance`](Self::with_instance).
    pub fn process(&self, input: &[u8]) -> Result<Vec<u8>, CallError> {
        self.with_instance(|instance| instance.process(input))
    }

    /// Calls the function or operation `name` with `input` in an instance of its own, and returns a copy of
    /// the output; see [`Instance::call_bytes`].
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module
    /// #   (import "extism:host/env" "input_offset" (func $at (result i64)))
    /// #   (import "extism:host/env" "input_length" (func $len (result i64)))
    /// #   (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    /// #   (func (export "echo") (call $output (call $at) (call $len))))"#)?;
    /// use hostel_core::{Engine, Extism, Grants};
    /// // A plugin that was made for Extism:
    /// let plugin = Engine::default().load("echo", &wasm, &Grants::new().extism(Extism::new()))?;
    /// assert_eq!(plugin.call_bytes("echo", b"hello")?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Instance::call_bytes`] and [`with_instance`](Self::with_instance).
    pub fn call_bytes(&self, name: &str, input: &[u8]) -> Result<Vec<u8>, CallError> {
        self.call_arguments(name, &[input])
    }

    /// Calls the function or operation `name` with any number of byte strings in an instance of its own, and
    /// returns a copy of the output; see [`Instance::call_arguments`].
    ///
    /// # Errors
    ///
    /// As for [`Instance::call_arguments`] and [`with_instance`](Self::with_instance).
    pub fn call_arguments(&self, name: &str, inputs: &[&[u8]]) -> Result<Vec<u8>, CallError> {
        self.with_instance(|instance| instance.call_arguments(name, inputs, copied)?)
    }

    /// Calls the export `name` in an instance of its own; see [`Instance::call`].
    ///
    /// # Errors
    ///
    /// As for [`Instance::call`] and [`with_instance`](Self::with_instance).
    pub fn call<P, R>(&self, name: &str, params: P) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        self.with_instance(|instance| instance.call(name, params))
    }

    /// Runs the plugin as a WASI command, in an instance of its own, and returns its exit code; see
    /// [`Instance::run_command`].
    ///
    /// # Errors
    ///
    /// As for [`Instance::run_command`] and [`with_instance`](Self::with_instance).
    pub fn run_command(&self) -> Result<u32, CallError> {
        self.with_instance(Instance::run_command)
    }

    /// Runs `work` with an instance of its own, one of at most
    /// [`Limits::instances`](crate::Limits::instances). Waiting for the instance, making it and its
    /// first call share one budget; each further call in `work` has its own.
    ///
    /// # Errors
    ///
    /// [`CallError::Busy`] if all instances are in use and the queue is full or the budget's deadline
    /// passed; [`CallError::NestedWait`] if a host function makes the call and it must not wait;
    /// [`CallError::TooNested`] if host functions have called plugins too deep inside one another;
    /// [`CallError::Closed`] after [`close`](Self::close); the errors of the guest's start;
    /// those of `work`.
    pub fn with_instance<R>(
        &self,
        work: impl FnOnce(&mut Instance<T>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        self.run_metered(&mut Usage::default(), work)
    }

    /// As [`with_instance`](Self::with_instance), and also returns what the last call in `work` used,
    /// whether or not it succeeded. If that is the first call, making the instance is included.
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
        let platform = self.loaded.platform();
        let began = platform.now();
        let result = self.run_metered(&mut used, work);
        if let (Some(began), Some(now)) = (began, platform.now()) {
            used.time = now.saturating_sub(began);
        }
        (result, used)
    }

    /// Runs `work` with an instance of its own, and stores what was used in `used`.
    fn run_metered<R>(
        &self,
        used: &mut Usage,
        work: impl FnOnce(&mut Instance<T>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let shared = &*self.loaded.shared;
        let until = meter::until(&self.budget, &*shared.platform)?;
        let mut permit = self.pool.acquire_blocking(shared, until)?;
        let mut instance = match self.reuse(&mut permit, until, used)? {
            Some(instance) => instance,
            None => {
                let mut instance = self.make(until, true, T::default(), used)?;
                self.pool.record_image(|| instance.image());
                instance
            }
        };
        permit.mark_in_use();
        let result = work(&mut instance);
        *used = instance.usage();
        self.return_to_pool(Taken {
            instance,
            permit,
            unfinished: None,
        });
        result
    }

    /// Makes instances for later calls, until [`Limits::warm`](crate::Limits::warm) are idle, and
    /// returns how many it made. While one is made, it counts against
    /// [`Limits::instances`](crate::Limits::instances) and has a call's budget.
    ///
    /// Calls never do this themselves: one call would pay for others. Call it after loading, and then
    /// from a background thread whenever fewer instances are [idle](crate::PoolFigures::idle).
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
    /// The errors of the guest's start, [`CallError::Busy`] if all instances stayed in use, and
    /// [`CallError::Closed`] after [`close`](Self::close).
    pub fn warm_up(&self) -> Result<usize, CallError> {
        let shared = &*self.loaded.shared;
        let pool = &self.pool;
        let mut made = 0usize;
        while pool.needs_warm_up() {
            let until = meter::until(&self.budget, &*shared.platform)?;
            let mut permit = pool.acquire_blocking(shared, until)?;
            permit.leave_idle();
            self.loaded.check_open()?;
            let idle = match self.make_from_image(until) {
                Some(idle) => Some(idle),
                None => {
                    let (data, mut used) = (T::default(), Usage::default());
                    let mut instance = self.make(until, false, data, &mut used)?;
                    pool.record_image(|| instance.image());
                    instance.into_idle()
                }
            };
            if let Some(idle) = idle {
                pool.keep(idle);
            }
            drop(permit);
            made = made.saturating_add(1);
        }
        Ok(made)
    }

    /// Prepares a call of `process` with `input` in an instance of its own, to run by steps or to
    /// await, the instance's start included: see [`PendingCall`]. While all instances are in use, it
    /// [waits](crate::Step::Waiting) without blocking the thread.
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
    /// The call ends with the result of [`process`](Self::process).
    pub fn process_async<'a>(
        &'a self,
        input: &'a [u8],
    ) -> PendingCall<impl Future<Output = Result<Vec<u8>, CallError>> + use<'a, T>> {
        PendingCall::begin(|pace| async move {
            let mut taken = self.take_paced(&pace, None).await?;
            let result = taken.instance.process_paced(input, pace).await;
            self.return_to_pool(taken);
            result
        })
    }

    /// Prepares a [`call_arguments`](Self::call_arguments), as [`process_async`](Self::process_async) does.
    ///
    /// # Errors
    ///
    /// The call ends with the result of [`call_arguments`](Self::call_arguments).
    pub fn call_arguments_async<'a>(
        &'a self,
        name: &'a str,
        inputs: &'a [&'a [u8]],
    ) -> PendingCall<impl Future<Output = Result<Vec<u8>, CallError>> + use<'a, T>> {
        PendingCall::begin(|pace| async move {
            let mut taken = self.take_paced(&pace, None).await?;
            let result = taken
                .instance
                .call_arguments_paced(name, inputs, pace)
                .await;
            self.return_to_pool(taken);
            result
        })
    }

    /// Prepares a call of the export `name` in an instance of its own, as
    /// [`process_async`](Self::process_async) does.
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
    /// The call ends with the result of [`call`](Self::call).
    pub fn call_async<'a, P, R>(
        &'a self,
        name: &'a str,
        params: P,
    ) -> PendingCall<impl Future<Output = Result<R, CallError>> + use<'a, T, P, R>>
    where
        P: Lower + 'a,
        R: for<'m> Lift<View<'m> = R> + 'a,
    {
        PendingCall::begin(|pace| async move {
            let mut taken = self.take_paced(&pace, None).await?;
            let result = taken.instance.call_paced(name, params, pace).await;
            self.return_to_pool(taken);
            result
        })
    }

    /// Prepares a call of the export `name` with core values in an instance of its own, for types that are
    /// known only at run time: see [`Instance::call_values`], and [`process_async`](Self::process_async).
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module
    /// #   (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#)?;
    /// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
    /// use hostel_core::{Step, Value};
    /// let params = [Value::I32(10), Value::I32(20)];
    /// let mut call = plugin.call_values_async("add", &params);
    /// assert_eq!(call.step(1_000), Step::Done(Ok(vec![Value::I32(30)])));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Instance::call_values`] and [`with_instance`](Self::with_instance).
    pub fn call_values_async<'a>(
        &'a self,
        name: &'a str,
        params: &'a [Value],
    ) -> PendingCall<impl Future<Output = Result<Vec<Value>, CallError>> + use<'a, T>> {
        PendingCall::begin(|pace| async move {
            let mut taken = self.take_paced(&pace, None).await?;
            let result = taken.instance.call_values_paced(name, params, pace).await;
            self.return_to_pool(taken);
            result
        })
    }

    /// Takes an instance for one call without blocking the thread, and gives it `data` if there is
    /// one.
    pub(super) async fn take_paced(
        &self,
        pace: &Arc<Pace>,
        data: Option<T>,
    ) -> Result<Taken<'_, T>, CallError> {
        pace.start_clock(self.loaded.platform());
        let mut unfinished = self.pool.count_if_dropped(pace);
        let taken = self.take(pace, data).await;
        if taken.is_err() {
            unfinished.end();
        }
        let (instance, permit) = taken?;
        Ok(Taken {
            instance,
            permit,
            unfinished: Some(unfinished),
        })
    }

    /// As [`take_paced`](Self::take_paced), without counting calls that are dropped meanwhile.
    async fn take(
        &self,
        pace: &Arc<Pace>,
        data: Option<T>,
    ) -> Result<(Instance<T>, Permit<'_, T>), CallError> {
        let shared = &*self.loaded.shared;
        let until = meter::until(&self.budget, &*shared.platform)?;
        let mut permit = self.pool.acquire(shared, until).await?;
        let mut used = Usage::default();
        let obtained = self
            .obtain(&mut permit, until, pace.clone(), &mut used)
            .await;
        pace.note(used);
        let mut instance = obtained?;
        if let Some(data) = data {
            *instance.data_mut() = data;
        }
        permit.mark_in_use();
        Ok((instance, permit))
    }

    /// Takes an idle instance for one call, or makes one.
    async fn obtain(
        &self,
        permit: &mut Permit<'_, T>,
        until: Option<Duration>,
        pace: Arc<Pace>,
        used: &mut Usage,
    ) -> Result<Instance<T>, CallError> {
        if let Some(instance) = self.reuse(permit, until, used)? {
            return Ok(instance);
        }
        let (budget, data) = (&self.budget, T::default());
        let mut instance =
            Instance::new(&self.loaded, budget, until, true, Some(pace), data, used)?;
        let mut start = Start::default();
        let ran = poll_fn(|context| instance.poll_start(&mut start, context)).await;
        instance.finish_start(ran, used)?;
        self.pool.record_image(|| instance.image());
        Ok(instance)
    }

    /// Takes an idle instance for one call, if there is one, and charges for its making.
    fn reuse(
        &self,
        permit: &mut Permit<'_, T>,
        until: Option<Duration>,
        used: &mut Usage,
    ) -> Result<Option<Instance<T>>, CallError> {
        self.loaded.check_open()?;
        let pool = &self.pool;
        let idle = permit.take_idle().or_else(|| self.make_from_image(until));
        let Some(idle) = idle else {
            return Ok(None);
        };
        let fuel = self.budget.fuel;
        if !idle.fits(&self.budget) {
            // It is kept for calls with a larger budget.
            let usage = idle.usage;
            pool.keep(idle);
            if usage.host_calls > 0 {
                // Which limit a new one meets first is seen by making it.
                return Ok(None);
            }
            *used = Usage { fuel, ..usage };
            return Err(CallError::OutOfFuel { fuel });
        }
        *used = idle.usage;
        Instance::reused(&self.budget, until, idle).map(Some)
    }

    /// Makes an instance with its start behind it, if the pool has an image of that.
    fn make_from_image(&self, until: Option<Duration>) -> Option<IdleInstance<T>> {
        let image = self.pool.image()?;
        IdleInstance::from_image(&self.loaded, image, &self.budget, until, T::default)
    }

    /// Returns an instance to the pool after a call.
    pub(super) fn return_to_pool(&self, taken: Taken<'_, T>) {
        let Taken {
            permit,
            instance,
            unfinished,
        } = taken;
        if let Some(mut unfinished) = unfinished {
            unfinished.end();
        }
        // The embedder's `work` may have swapped in an instance of another plugin.
        let own = self.owns(&instance);
        permit.return_instance(instance.into_idle().filter(|_| own), T::default());
    }
}
