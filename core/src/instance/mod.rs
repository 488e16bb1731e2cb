//! [`Instance`]: one running sandbox of a plugin, and the calls made to it.

#[cfg(feature = "component")]
mod component;
mod export_call;
#[cfg(feature = "contract")]
mod fixed;
mod foreign;
mod idle;
mod image;
mod linked;
mod loaded;
#[cfg(feature = "component")]
mod making;
mod memory_access;
mod pending_call;
mod runs;
mod sandbox;
mod typed;
mod written;

#[cfg(feature = "component")]
pub(crate) use self::{component::Component, image::MutableState};
pub(crate) use self::{
    idle::IdleInstance,
    image::Image,
    linked::{Linked, Other, Supplier, instantiate},
    loaded::Loaded,
    sandbox::{Sandbox, Start},
};
pub use self::{
    pending_call::{PendingCall, Step},
    typed::{Numbers, TypedFunction},
};

use crate::{
    base::{
        limits::{Budget, Usage},
        signature::Signature,
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

/// One running sandbox of a plugin, isolated from all others. It keeps the guest's state from call
/// to call.
///
/// Each call has a budget of its own, at first that of the handle that made the instance: see
/// [`set_budget`](Self::set_budget). An error leaves the instance usable. After a
/// trap, or a call that was dropped before its end, it refuses further calls with
/// [`CallError::Stopped`] (see [`CallError::stops`]).
///
/// If its module is a WASI command that exports other functions too, the first call of one of them runs
/// `_start` before it, in the budget of that call. `_start` may return or exit with code 0.
///
/// The guest's buffers for input, up to 64 KiB, and for results by pointer are reused from call to
/// call. A call with a longer input than any before also pays for allocating its buffer.
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
    /// Whether the budget was set after the last call began. It is large to copy for each call.
    budget_is_new: bool,
    start_usage: Usage,
    /// Whether the first call goes on with the budget of making the instance.
    continues_budget: bool,
    /// Whether further calls are refused.
    stopped: bool,
    /// Whether the running call stopped the guest, although it may return another error, or an output.
    broken: bool,
}

impl<T: 'static> Instance<T> {
    /// Makes an instance; its [`Start`] runs afterwards. Making it must end at `until`, and so must
    /// the first call if it `continues_budget`. If this fails, stores what was used in `used`.
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
        let mut sandbox = Sandbox::open(loaded, budget, until, pace, data);
        if let Err(error) = sandbox.instantiate(loaded) {
            meter::end(&mut sandbox.store);
            *used = meter::usage(sandbox.store.data());
            return Err(error);
        }
        Ok(Self {
            sandbox,
            loaded: loaded.clone(),
            budget: *budget,
            budget_is_new: false,
            start_usage: Usage::ZERO,
            continues_budget,
            // Until its start has ended well.
            stopped: true,
            broken: false,
        })
    }

    /// Runs its start until that ends or is suspended.
    pub(crate) fn poll_start(
        &mut self,
        start: &mut Start,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let _entered = self.loaded.shared.enter()?;
        let polled = start.poll(&self.loaded, &mut self.sandbox, context);
        if polled.is_pending() {
            self.note_progress();
        }
        polled
    }

    /// Runs its start to the end, on this thread.
    pub(crate) fn run_start_here(&mut self) -> Result<(), CallError> {
        let _entered = self.loaded.shared.enter()?;
        let mut start = Start::default();
        let loaded = self.loaded.clone();
        self.block(|sandbox, context| start.poll(&loaded, sandbox, context))
    }

    /// Ends its start, with the result `ran`. Stores what was used in `used`, also if this fails.
    pub(crate) fn finish_start(
        &mut self,
        ran: Result<(), CallError>,
        used: &mut Usage,
    ) -> Result<(), CallError> {
        #[cfg(feature = "trace")]
        let ran = ran.map_err(|error| self.traced(error));
        let store = &mut self.sandbox.store;
        let ran = match ran {
            Ok(()) if meter::is_late(store.data()) => Err(store.data().meter.deadline_passed()),
            ran => ran,
        };
        meter::update(store);
        *used = meter::usage(store.data());
        if ran.is_err() || !self.continues_budget {
            meter::end(store);
        }
        // A first call by steps sets its own pace.
        self.sandbox.store.data_mut().pace = None;
        self.start_usage = *used;
        self.stopped = ran.is_err();
        ran
    }

    /// Takes an idle instance for a call, and charges for its making again: a call uses the same fuel
    /// whether its instance is new or reset.
    pub(crate) fn reused(
        budget: &Budget,
        until: Option<Duration>,
        idle: IdleInstance<T>,
    ) -> Result<Self, CallError> {
        let IdleInstance {
            mut sandbox,
            loaded,
            usage,
        } = idle;
        sandbox.store.data_mut().meter.set_budget(budget);
        meter::begin(&mut sandbox.store, until);
        sandbox.store.data_mut().meter.usage = usage;
        meter::charge(&mut sandbox.store, usage.fuel)?;
        Ok(Self {
            sandbox,
            loaded,
            budget: *budget,
            budget_is_new: false,
            start_usage: usage,
            continues_budget: true,
            stopped: false,
            broken: false,
        })
    }

    /// Gives the pages of its memory that are all 0 back to the system, if they can be.
    #[cfg(feature = "mappings")]
    pub(crate) fn give_back_zeros(&mut self) -> Result<(), CallError> {
        if !self.sandbox.give_back_zeros() {
            self.stopped = true;
            return Err(CallError::Stopped);
        }
        Ok(())
    }

    /// Returns the data that all instances of its plugin share.
    pub(crate) const fn loaded(&self) -> &Arc<Loaded<T>> {
        &self.loaded
    }

    /// Returns it as an idle instance; `None` if it was stopped.
    pub(crate) fn into_idle(self) -> Option<IdleInstance<T>> {
        (!self.stopped).then_some(IdleInstance {
            sandbox: self.sandbox,
            loaded: self.loaded,
            usage: self.start_usage,
        })
    }

    /// Returns its sandbox, after returning the reused buffers to the guest's allocator.
    pub(crate) fn into_sandbox(mut self) -> Result<Box<Sandbox<T>>, CallError> {
        let _entered = self.begin_call()?;
        let mut run = Run::default();
        let released = self.block(|sandbox, context| sandbox.poll_release(&mut run, context));
        self.end_call(released)?;
        Ok(self.sandbox)
    }

    /// Returns a 64-bit hash (FNV-1a) of the guest's memory and globals, equal on every machine.
    /// Instances in equal states have equal hashes. Tables and dropped segments are not included. It is
    /// not collision-resistant: don't use it against a guest that wants to hide a change.
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
        self.sandbox.state_hash(&self.loaded)
    }

    /// Calls `process` with `input` and returns a copy of its output.
    ///
    /// # Errors
    ///
    /// [`CallError::Guest`] if the guest returns an error; every other variant of [`CallError`] says
    /// what the host refused or why the guest was stopped.
    pub fn process(&mut self, input: &[u8]) -> Result<Vec<u8>, CallError> {
        self.process_with(input, copied)?
    }

    /// Calls `process` with `input`, copies its output to the start of `output` and returns the
    /// number of bytes copied. Allocates no buffer for it.
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process), and [`CallError::BufferTooSmall`] with the length that
    /// is needed; then nothing was copied, though the guest has run.
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

    /// Calls `process` with `input` and passes its output to `take` without a copy, as a slice of the
    /// guest's memory. The buffer goes back to the guest's allocator when `take` returns.
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

    /// Calls the export `name`, a function from bytes to bytes, as
    /// [`process_with`](Self::process_with) calls `process`.
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process); [`CallError::UnknownExport`] if no function has this name,
    /// [`CallError::ExportType`] if it takes or returns something else.
    pub fn call_bytes<R>(
        &mut self,
        name: &str,
        input: &[u8],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        let _entered = self.begin_call()?;
        let result = self.run_bytes(name, input, take);
        self.end_call(result)
    }

    /// Calls the function or operation `name` with byte strings, and passes its output to `take`. A plugin
    /// of Typst's convention takes as many as its function has parameters, any other one takes one.
    ///
    /// # Errors
    ///
    /// As for [`call_bytes`](Self::call_bytes).
    pub fn call_arguments<R>(
        &mut self,
        name: &str,
        inputs: &[&[u8]],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        let _entered = self.begin_call()?;
        let result = self.run_arguments(name, inputs, take);
        self.end_call(result)
    }

    /// Calls the export `name`: lowers `params` into the guest, and lifts its result.
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
    /// As for [`process`](Self::process); [`CallError::UnknownExport`] if no function has this name,
    /// [`CallError::ExportType`] if its type differs: it lists the signatures that `P` and `R` allow.
    pub fn call<P, R>(&mut self, name: &str, params: P) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        let _entered = self.begin_call()?;
        let result = self.run_typed(name, &params);
        self.end_call(result)
    }

    /// Calls the export `name` with core values, and returns its results: for types that are known
    /// only at run time. At most 16 parameters and 16 results, all numbers.
    ///
    /// # Errors
    ///
    /// As for [`process`](Self::process); [`CallError::UnknownExport`] if no function has this name,
    /// [`CallError::ExportType`] if `params` differ from its parameters or its results are not numbers.
    pub fn call_values(&mut self, name: &str, params: &[Value]) -> Result<Vec<Value>, CallError> {
        let _entered = self.begin_call()?;
        let result = self.run_values(name, params);
        self.end_call(result)
    }

    /// Returns the type of the exported function `name`.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] if no function has this name.
    pub fn signature(&self, name: &str) -> Result<&Signature, CallError> {
        self.loaded.signature(name)
    }

    /// Prepares a call of `process` with `input`, to run by steps or to await: see [`PendingCall`].
    ///
    /// # Errors
    ///
    /// The call ends with the result of [`process`](Self::process).
    pub fn process_async<'a>(
        &'a mut self,
        input: &'a [u8],
    ) -> PendingCall<impl Future<Output = Result<Vec<u8>, CallError>> + use<'a, T>> {
        PendingCall::begin(|pace| self.process_paced(input, pace))
    }

    /// Calls `process` at the pace that `pace` sets.
    pub(crate) async fn process_paced(
        &mut self,
        input: &[u8],
        pace: Arc<Pace>,
    ) -> Result<Vec<u8>, CallError> {
        self.begin_paced_call(pace)?;
        let result = self.run_bytes_paced("process", input).await;
        self.end_call(result)
    }

    /// As [`call_arguments`](Self::call_arguments), at the pace that `pace` sets.
    pub(crate) async fn call_arguments_paced(
        &mut self,
        name: &str,
        inputs: &[&[u8]],
        pace: Arc<Pace>,
    ) -> Result<Vec<u8>, CallError> {
        self.begin_paced_call(pace)?;
        let result = self.run_arguments_paced(name, inputs).await;
        self.end_call(result)
    }

    /// Prepares a call of the export `name`, to run by steps or to await: see [`PendingCall`].
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
    /// The call ends with the result of [`call`](Self::call).
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

    /// Calls the export `name` at the pace that `pace` sets.
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

    /// As [`call_values`](Self::call_values), at the pace that `pace` sets.
    pub(crate) async fn call_values_paced(
        &mut self,
        name: &str,
        params: &[Value],
        pace: Arc<Pace>,
    ) -> Result<Vec<Value>, CallError> {
        self.begin_paced_call(pace)?;
        let result = self.run_values_paced(name, params).await;
        self.end_call(result)
    }

    /// Runs a WASI command: calls `_start` and returns the exit code, which is 0 if `_start` returns.
    /// A component's command is the function `run` of `wasi:cli/run`, whose error is the exit code 1.
    /// A command runs once: the instance refuses further calls afterwards.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] or [`CallError::ExportType`] if the plugin is not a command,
    /// [`CallError::Stopped`] if `_start` has run before, and those of [`process`](Self::process).
    pub fn run_command(&mut self) -> Result<u32, CallError> {
        #[cfg(feature = "component")]
        if self.loaded.component.is_some() {
            return self.run_component_command();
        }
        if self.sandbox.command_has_run() {
            return Err(CallError::Stopped);
        }
        let _entered = self.begin_call()?;
        let ended = self.run_start();
        let ended = self.end_call(ended);
        self.end_command(ended.map(|()| 0))
    }

    /// Ends a command. Returns its exit code.
    fn end_command(&mut self, ended: Result<u32, CallError>) -> Result<u32, CallError> {
        // WASI allows one call of `_start`: a command may leave its runtime shut down.
        self.stopped |= ended.is_ok();
        match ended {
            Err(CallError::Exited { code }) => Ok(code),
            ended => ended,
        }
    }

    /// Takes what the guest has written to stdout since this was last called. Empty unless stdout
    /// goes to a [buffer](crate::WasiOutput::buffer).
    pub fn take_stdout(&mut self) -> Vec<u8> {
        let wasi = self.sandbox.store.data_mut().wasi.as_mut();
        wasi.map(|wasi| wasi.take_stdout()).unwrap_or_default()
    }

    /// Takes what the guest has written to stderr since this was last called, as
    /// [`take_stdout`](Self::take_stdout) does for stdout.
    pub fn take_stderr(&mut self) -> Vec<u8> {
        let wasi = self.sandbox.store.data_mut().wasi.as_mut();
        wasi.map(|wasi| wasi.take_stderr()).unwrap_or_default()
    }

    /// Returns a handle by which another thread, or an interrupt handler, stops this instance's call.
    pub fn canceller(&mut self) -> Canceller {
        let platform = self.loaded.platform();
        let canceller = &mut self.sandbox.store.data_mut().canceller;
        canceller
            .get_or_insert_with(|| Canceller::new(platform.clone()))
            .clone()
    }

    /// Sets the budget of each further call. If the first call shares its budget with making the
    /// instance (see [`Plugin::with_instance`](crate::Plugin::with_instance)), that call keeps it.
    pub fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
        self.budget_is_new = true;
    }

    /// Returns what the last call used, up to its last step if it was dropped; before the first call,
    /// what making the instance used. If both
    /// share a budget (see [`Plugin::with_instance`](crate::Plugin::with_instance)), the first call's
    /// usage includes making the instance.
    #[must_use]
    pub fn usage(&self) -> Usage {
        meter::usage(self.sandbox.store.data())
    }

    /// Returns what making the instance used, its start function and `_initialize` or
    /// `__wasm_call_ctors` included. `_start` belongs to the call that it runs in.
    #[must_use]
    pub const fn start_usage(&self) -> Usage {
        self.start_usage
    }

    /// Returns the instance's data, which host functions reach through
    /// [`Context`](crate::Context).
    #[must_use]
    pub fn data(&self) -> &T {
        &self.sandbox.store.data().data
    }

    /// Returns the instance's data for changing.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.sandbox.store.data_mut().data
    }

    /// Returns the size of the guest's linear memory, in bytes; 0 if it has none. Of a component, it is the sum of all
    /// memories of the instance.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        #[cfg(feature = "component")]
        if self.loaded.component.is_some() {
            return self.sandbox.store.data().limiter.memory_bytes();
        }
        self.sandbox
            .store
            .data()
            .guest
            .memory
            .map_or(0, |memory| memory.data_size(&self.sandbox.store))
    }

    /// Returns whether the instance refuses further calls, since an earlier one stopped the guest.
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
