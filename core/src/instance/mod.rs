//! One running sandbox of a plugin, and the calls made to it.

mod export_call;
mod image;
mod loaded;
mod pending_call;
mod runs;
mod sandbox;
mod typed;

pub(crate) use self::{
    image::Image,
    loaded::Loaded,
    sandbox::{IdleInstance, Sandbox, Start},
};
pub use self::{
    pending_call::{PendingCall, Step},
    typed::{Numbers, TypedFunction},
};

use crate::{
    base::{
        limits::{Budget, Usage},
        value::Value,
    },
    call::{canceller::Canceller, meter, pace::Pace, run::Run},
    error::CallError,
    marshal::{Lift, Lower},
    memory::copied,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    future::Future,
    task::{Context, Poll},
    time::Duration,
};

/// One running sandbox of a plugin, isolated from all others.
///
/// After a call that [stopped](CallError::stops) the guest, it refuses further calls.
///
/// The guest's buffer for input is kept from call to call, up to 64 KiB, and so is one for results
/// by pointer: a call with a longer input than any before also pays for its buffer.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
/// #   (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
/// use hostel_core::{Engine, Grants};
/// let plugin = Engine::default().load("echo", &wasm, &Grants::new())?;
/// let mut instance = plugin.instantiate(())?;
/// assert_eq!(instance.process(b"hello")?, b"hello");
/// assert!(instance.usage().fuel > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Instance<T: 'static = ()> {
    sandbox: Box<Sandbox<T>>,
    loaded: Arc<Loaded<T>>,
    budget: Budget,
    start_usage: Usage,
    /// Whether the first call goes on with the budget that making the instance began with.
    continues_budget: bool,
    stopped: bool,
}

impl<T: 'static> Instance<T> {
    /// Makes an instance, whose [start](Start) is to run. All of it, and of the instance's first call
    /// if it `carries` on with the budget, has to be over at `until`. What was used is put in `used`,
    /// where this fails.
    pub(crate) fn new(
        loaded: &Arc<Loaded<T>>,
        budget: &Budget,
        until: Option<Duration>,
        continues_budget: bool,
        pace: Option<Arc<Pace>>,
        data: T,
        used: &mut Usage,
    ) -> Result<Self, CallError> {
        loaded.check_fits(loaded.instance_heap)?;
        // There is always one.
        let code = loaded.code().ok_or(CallError::Closed)?;
        let mut sandbox = Sandbox::open(loaded, code, budget, until, pace, data);
        if let Err(error) = sandbox.instantiate(loaded, code) {
            meter::end(&mut sandbox.store);
            *used = sandbox.store.data().meter.usage;
            return Err(error);
        }
        Ok(Self {
            sandbox,
            loaded: loaded.clone(),
            budget: *budget,
            start_usage: Usage::ZERO,
            continues_budget,
            stopped: true,
        })
    }

    /// Runs its start.
    pub(crate) fn poll_start(
        &mut self,
        start: &mut Start,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        start.poll(&mut self.sandbox, context)
    }

    /// Ends its start. What was used is put in `used`, also where this fails.
    pub(crate) fn finish_start(
        &mut self,
        ran: Result<(), CallError>,
        used: &mut Usage,
    ) -> Result<(), CallError> {
        let store = &mut self.sandbox.store;
        *used = meter::usage(store);
        store.data_mut().meter.usage = *used;
        if ran.is_err() || !self.continues_budget {
            meter::end(store);
        }
        // Whoever runs the first call by steps says so again.
        self.sandbox.store.data_mut().pace = None;
        self.start_usage = *used;
        self.stopped = ran.is_err();
        ran
    }

    /// An instance that was made before, for whose making is charged again: a call costs the same
    /// whether its instance is new or as new.
    pub(crate) fn reused(
        loaded: &Arc<Loaded<T>>,
        budget: &Budget,
        until: Option<Duration>,
        idle: IdleInstance<T>,
    ) -> Result<Self, CallError> {
        let IdleInstance { mut sandbox, usage } = idle;
        meter::begin(&mut sandbox.store, budget, until);
        sandbox.store.data_mut().meter.usage = usage;
        meter::charge(&mut sandbox.store, usage.fuel)?;
        Ok(Self {
            sandbox,
            loaded: loaded.clone(),
            budget: *budget,
            start_usage: usage,
            continues_budget: true,
            stopped: false,
        })
    }

    pub(crate) const fn loaded(&self) -> &Arc<Loaded<T>> {
        &self.loaded
    }

    /// What is left when it is given back: nothing of one that was stopped.
    pub(crate) fn into_idle(self) -> Option<IdleInstance<T>> {
        (!self.stopped).then_some(IdleInstance {
            sandbox: self.sandbox,
            usage: self.start_usage,
        })
    }

    /// Its sandbox, after the guest got back the buffers that were kept for it.
    pub(crate) fn into_sandbox(mut self) -> Result<Box<Sandbox<T>>, CallError> {
        let interrupts = self.begin_call()?;
        let mut run = Run::default();
        let released = self.block(&interrupts, |sandbox, context| {
            sandbox.poll_release(&mut run, context)
        });
        self.end_call(released)?;
        Ok(self.sandbox)
    }

    /// What it holds, where instances can be made like it.
    pub(crate) fn image(&mut self) -> Option<Image> {
        // What host functions answered may differ from time to time.
        if self.loaded.info.changes.not_resettable || self.start_usage.host_calls > 0 {
            return None;
        }
        let (store, mutable) = self.sandbox.mutable_state();
        Some(Image::capture(store, mutable))
    }

    /// A hash of all that the guest can change: its memory and its globals. Two instances with the
    /// same are in the same state, unless the module changes tables or drops segments. It does not
    /// withstand somebody who looks for two states with one hash.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module (global $n (mut i32) (i32.const 0))
    /// #   (func (export "count") (global.set $n (i32.add (global.get $n) (i32.const 1)))))"#)?;
    /// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
    /// let (mut one, mut other) = (plugin.instantiate(())?, plugin.instantiate(())?);
    /// assert_eq!(one.state_hash(), other.state_hash());
    /// one.call::<(), ()>("count", ())?;
    /// assert_ne!(one.state_hash(), other.state_hash());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn state_hash(&mut self) -> u64 {
        let (store, mutable) = self.sandbox.mutable_state();
        mutable.hash(store)
    }

    /// Calls `process` with `input` and gives a copy of its answer.
    ///
    /// # Errors
    ///
    /// [`CallError::Guest`] is the guest's own answer; for the others see there.
    pub fn process(&mut self, input: &[u8]) -> Result<Vec<u8>, CallError> {
        self.process_with(input, copied)?
    }

    /// Calls `process` with `input`, copies its answer to the start of `output` and gives the
    /// answer's length.
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process), and [`CallError::BufferTooSmall`] with the length that
    /// is needed; then nothing was copied.
    pub fn process_into(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, CallError> {
        let found = output.len();
        self.process_with(input, |answer| {
            let needed = answer.len();
            let place = output
                .get_mut(..needed)
                .ok_or_else(|| CallError::BufferTooSmall { needed, found })?;
            place.copy_from_slice(answer);
            Ok(needed)
        })?
    }

    /// Calls `process` with `input` and hands its answer to `take` where it lies, in the guest's
    /// memory, without a copy. The guest gets the buffer back when `take` is done.
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process).
    pub fn process_with<R>(
        &mut self,
        input: &[u8],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        self.call_bytes("process", input, take)
    }

    /// Calls the export `name`, from bytes to bytes, as [`process_with`](Self::process_with).
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process); [`CallError::UnknownExport`] or
    /// [`CallError::ExportType`] where there is no such function.
    pub fn call_bytes<R>(
        &mut self,
        name: &str,
        input: &[u8],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        let interrupts = self.begin_call()?;
        let result = self.run_bytes(&interrupts, name, input, take);
        self.end_call(result)
    }

    /// Calls the export `name` with `params` lowered and its result lifted.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module
    /// #   (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#)?;
    /// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
    /// let mut instance = plugin.instantiate(())?;
    /// assert_eq!(instance.call::<(u32, u32), u32>("add", (10, 20))?, 30);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError::ExportType`] tells which signatures the asked types could have.
    pub fn call<P, R>(&mut self, name: &str, params: P) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        let interrupts = self.begin_call()?;
        let result = self.run_typed(&interrupts, name, &params);
        self.end_call(result)
    }

    /// Calls the export `name` with plain core values, whatever its type.
    ///
    /// # Errors
    ///
    /// [`CallError::ExportType`] where `params` are not what it takes.
    pub fn call_values(&mut self, name: &str, params: &[Value]) -> Result<Vec<Value>, CallError> {
        let interrupts = self.begin_call()?;
        let result = self.run_values(&interrupts, name, params);
        self.end_call(result)
    }

    /// A call of `process` with `input`, to be run by steps or awaited: see [`PendingCall`].
    ///
    /// # Errors
    ///
    /// Its result is that of [`process`](Self::process).
    pub fn process_async<'a>(
        &'a mut self,
        input: &'a [u8],
    ) -> PendingCall<impl Future<Output = Result<Vec<u8>, CallError>> + use<'a, T>> {
        PendingCall::begin(|pace| self.process_paced(input, pace))
    }

    pub(crate) async fn process_paced(
        &mut self,
        input: &[u8],
        pace: Arc<Pace>,
    ) -> Result<Vec<u8>, CallError> {
        self.begin_paced_call(pace)?;
        let result = self.run_bytes_paced("process", input).await;
        self.end_call(result)
    }

    /// A call of the export `name`, to be run by steps or awaited: see [`PendingCall`].
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module
    /// #   (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#)?;
    /// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
    /// use hostel_core::Step;
    /// let mut instance = plugin.instantiate(())?;
    /// let mut call = instance.call_async::<(u32, u32), u32>("add", (10, 20));
    /// assert_eq!(call.step(1_000), Step::Done(Ok(30)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Its result is that of [`call`](Self::call).
    pub fn call_async<'a, P, R>(
        &'a mut self,
        name: &'a str,
        params: P,
    ) -> PendingCall<impl Future<Output = Result<R, CallError>> + use<'a, T, P, R>>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        PendingCall::begin(|pace| self.call_paced(name, params, pace))
    }

    pub(crate) async fn call_paced<P, R>(
        &mut self,
        name: &str,
        params: P,
        pace: Arc<Pace>,
    ) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        self.begin_paced_call(pace)?;
        let result = self.run_typed_paced(name, &params).await;
        self.end_call(result)
    }

    /// Runs a WASI command: calls its `_start`, once, and gives its exit code, 0 where it just
    /// returned. The instance can't be used again.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] or [`CallError::ExportType`] where the plugin is no command;
    /// for the others see there.
    pub fn run_command(&mut self) -> Result<u32, CallError> {
        let interrupts = self.begin_call()?;
        let ended = self.run_start(&interrupts);
        let ended = self.end_call(ended);
        // What a command leaves behind is not made to be started twice.
        self.stopped |= ended.is_ok();
        match ended {
            Ok(()) => Ok(0),
            Err(CallError::Exited { code }) => Ok(code),
            Err(error) => Err(error),
        }
    }

    /// What the guest has written to stdout since the last time, where that goes to a
    /// [buffer](crate::WasiOutput::buffer).
    pub fn take_stdout(&mut self) -> Vec<u8> {
        let wasi = self.sandbox.store.data_mut().wasi.as_mut();
        wasi.map(|wasi| wasi.take_stdout()).unwrap_or_default()
    }

    /// What the guest has written to stderr since the last time, as for
    /// [`take_stdout`](Self::take_stdout).
    pub fn take_stderr(&mut self) -> Vec<u8> {
        let wasi = self.sandbox.store.data_mut().wasi.as_mut();
        wasi.map(|wasi| wasi.take_stderr()).unwrap_or_default()
    }

    /// A handle by which another thread, or an interrupt, can stop what this instance runs.
    pub fn canceller(&mut self) -> Canceller {
        let platform = self.loaded.platform();
        let canceller = &mut self.sandbox.store.data_mut().canceller;
        canceller
            .get_or_insert_with(|| Canceller::new(platform.clone()))
            .clone()
    }

    /// Sets the budget of each further call.
    pub fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// What the last call used; before the first, what instantiating did. Where that shared the
    /// first call's budget (see [`Plugin::with_instance`]), both.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.sandbox.store.data().meter.usage
    }

    /// What instantiating used: start function and `_initialize`.
    #[must_use]
    pub const fn start_usage(&self) -> Usage {
        self.start_usage
    }

    /// The instance's data.
    #[must_use]
    pub fn data(&self) -> &T {
        &self.sandbox.store.data().data
    }

    /// The instance's data, to be changed.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.sandbox.store.data_mut().data
    }

    /// Bytes of linear memory that the instance holds.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.sandbox
            .store
            .data()
            .guest
            .memory
            .map_or(0, |memory| memory.data_size(&self.sandbox.store))
    }

    /// Whether an earlier call stopped it, so that it refuses further ones.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }
}

impl<T: 'static> core::fmt::Debug for Instance<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Instance")
            .field("plugin", &self.loaded.shared.name)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}
