//! Runs an instance's calls: on this thread, or by steps.
//!
//! An [`ExportCall`] is large to move, so each function here makes its own in place.

use super::{
    Instance,
    export_call::{ExportCall, Target},
    sandbox::Sandbox,
};
use crate::{
    abi::native::BytesFunction,
    base::{
        fuel::BASE,
        shape::FlatValues,
        signature::{Signature, ValType},
        value::Value,
    },
    call::{
        block::block,
        canceller::Canceller,
        meter,
        nested::Entered,
        pace::Pace,
        run::{self, Run},
    },
    error::CallError,
    marshal::{Lift, Lifter, Lower, Types},
    memory::copied,
    module::COMMAND,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};
use wasmi::{Func, Val};

impl<T: 'static> Instance<T> {
    /// Begins a call with a new budget, or with what making the instance left of its budget. Returns
    /// the deadline and the canceller.
    pub(super) fn begin_call(&mut self) -> Result<Interrupts, CallError> {
        if self.stopped {
            return Err(CallError::Stopped);
        }
        self.loaded.check_fits(self.loaded.call_heap)?;
        let entered = self.loaded.shared.enter()?;
        let store = &mut self.sandbox.store;
        if !core::mem::take(&mut self.continues_budget) {
            let until = meter::until(&self.budget, &**self.loaded.platform())?;
            meter::begin(store, &self.budget, until);
        }
        // Cleared by `end_call`, which is not reached if the caller's code unwinds or the call is
        // dropped: the guest is then in the middle of something.
        self.stopped = true;
        let state = store.data();
        Ok(Interrupts {
            until: state.meter.until(),
            canceller: state.canceller.clone(),
            _entered: entered,
        })
    }

    /// Begins a call that runs at the pace that `pace` sets.
    pub(super) fn begin_paced_call(&mut self, pace: Arc<Pace>) -> Result<(), CallError> {
        self.begin_call()?;
        self.sandbox.store.data_mut().pace = Some(pace);
        Ok(())
    }

    /// Ends a call: stops metering, and stops the instance if `result` is a trap.
    pub(super) fn end_call<R>(&mut self, result: Result<R, CallError>) -> Result<R, CallError> {
        let result = meter::in_time(self.sandbox.store.data(), result);
        meter::end(&mut self.sandbox.store);
        let state = self.sandbox.store.data_mut();
        if let Some(pace) = state.pace.take() {
            pace.note(state.meter.usage);
        }
        self.stopped = stopped(&result);
        result
    }

    /// Polls `poll` on this thread until it is ready.
    pub(super) fn block<R>(
        &mut self,
        interrupts: &Interrupts,
        mut poll: impl FnMut(&mut Sandbox<T>, &mut Context<'_>) -> Poll<R>,
    ) -> R {
        let Self {
            sandbox, loaded, ..
        } = self;
        let canceller = interrupts.canceller.as_ref();
        block(loaded.platform(), interrupts.until, canceller, |context| {
            poll(sandbox, context)
        })
    }

    /// Calls the export `name` from bytes to bytes, on this thread.
    pub(super) fn run_bytes<R>(
        &mut self,
        interrupts: &Interrupts,
        name: &str,
        input: &[u8],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        let target = self.bytes_target(name)?;
        let mut call = ExportCall::new(&self.sandbox, name, target);
        call.begin_with_bytes(&mut self.sandbox, input)?;
        self.finish(interrupts, &mut call, |from| Ok(take(from.bytes()?)))
    }

    /// Calls the export `name` from bytes to bytes, by steps or awaited.
    pub(super) async fn run_bytes_paced(
        &mut self,
        name: &str,
        input: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        let target = self.bytes_target(name)?;
        let mut call = ExportCall::new(&self.sandbox, name, target);
        call.begin_with_bytes(&mut self.sandbox, input)?;
        self.finish_paced(&mut call, |from| copied(from.bytes()?))
            .await
    }

    /// Calls the export `name` with typed values, on this thread.
    pub(super) fn run_typed<P, R>(
        &mut self,
        interrupts: &Interrupts,
        name: &str,
        params: &P,
    ) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        let target = self.target::<P, R>(name)?;
        let mut call = ExportCall::new(&self.sandbox, name, target);
        call.begin_with(&mut self.sandbox, params)?;
        self.finish(interrupts, &mut call, R::lift)
    }

    /// Calls the export `name` with typed values, by steps or awaited.
    pub(super) async fn run_typed_paced<P, R>(
        &mut self,
        name: &str,
        params: &P,
    ) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        let target = self.target::<P, R>(name)?;
        let mut call = ExportCall::new(&self.sandbox, name, target);
        call.begin_with(&mut self.sandbox, params)?;
        self.finish_paced(&mut call, R::lift).await
    }

    /// Runs a call that has begun: lifts its results, and returns the buffers to the guest's
    /// allocator. A guest that was stopped can't run again, so its buffers are left.
    fn finish<R>(
        &mut self,
        interrupts: &Interrupts,
        call: &mut ExportCall<'_>,
        lift: impl FnOnce(&mut Lifter<'_>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let ran = self.block(interrupts, |sandbox, context| {
            call.poll_results(sandbox, context)
        });
        let answer = ran.and_then(|()| call.lift(&mut self.sandbox, lift));
        if !stopped(&answer) {
            self.block(interrupts, |sandbox, context| {
                call.poll_return(sandbox, context)
            })?;
        }
        answer
    }

    /// As [`finish`](Self::finish), by steps or awaited.
    // Separate, since one future for both ways costs a blocking call 10 % more instructions and half
    // a kilobyte of native stack.
    async fn finish_paced<R>(
        &mut self,
        call: &mut ExportCall<'_>,
        lift: impl FnOnce(&mut Lifter<'_>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let ran = poll_fn(|context| {
            let _entered = self.loaded.enter_poll()?;
            call.poll_results(&mut self.sandbox, context)
        })
        .await;
        let answer = ran.and_then(|()| call.lift(&mut self.sandbox, lift));
        if !stopped(&answer) {
            poll_fn(|context| {
                let _entered = self.loaded.enter_poll()?;
                call.poll_return(&mut self.sandbox, context)
            })
            .await?;
        }
        answer
    }

    /// Returns the export `name` if it is a function from bytes to bytes.
    fn bytes_target(&self, name: &str) -> Result<Target, CallError> {
        if let Some(BytesFunction { function, shape }) = self.sandbox.bytes_function(name) {
            let types = [ValType::I32, ValType::I32].into_iter().collect();
            return Ok(Target {
                function,
                shape,
                types,
            });
        }
        let found = self.loaded.signature(name)?;
        Err(CallError::export_type(
            name,
            BytesFunction::expected(),
            found,
        ))
    }

    /// Returns the export `name` if it takes `P` and returns `R`.
    fn target<P: Lower, R: Lift>(&self, name: &str) -> Result<Target, CallError> {
        let (params, results) = (Types::collect(P::types), Types::collect(R::types));
        Ok(Target {
            shape: self.loaded.shape_of(name, &params, &results)?,
            function: self.function(name)?,
            types: results.flat,
        })
    }

    /// Returns the exported function `name`.
    pub(super) fn function(&self, name: &str) -> Result<Func, CallError> {
        let function = self.sandbox.function(name);
        function.ok_or_else(|| self.loaded.unknown_export(name))
    }

    /// Runs the export `name` with core values. `params` must match its parameters in number and
    /// type, `results` its results in number.
    fn run_export(
        &mut self,
        interrupts: &Interrupts,
        name: &str,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<(), CallError> {
        let function = self.function(name)?;
        run::begin(&mut self.sandbox.store, BASE)?;
        meter::check_time(self.sandbox.store.data())?;
        if self.sandbox.command_pending {
            self.run_pending_command(interrupts, name)?;
        }
        let mut run = Run::default();
        let ran = self.block(interrupts, |sandbox, context| {
            run.poll(&mut sandbox.store, context, function, params, results)
        });
        ran.map_err(|error| error.in_export(name))
    }

    /// Runs `_start` of a command, on this thread, before the export `name` is called.
    #[cold]
    pub(super) fn run_pending_command(
        &mut self,
        interrupts: &Interrupts,
        name: &str,
    ) -> Result<(), CallError> {
        let mut run = Run::default();
        self.block(interrupts, |sandbox, context| {
            sandbox.poll_command(&mut run, context, name)
        })
    }

    /// Runs `_start` of a WASI command.
    pub(super) fn run_start(&mut self, interrupts: &Interrupts) -> Result<(), CallError> {
        let nothing = || Types::collect(|_| {});
        self.loaded.shape_of(COMMAND, &nothing(), &nothing())?;
        self.run_export(interrupts, COMMAND, &[], &mut [])
    }

    /// Calls the export `name` with core values, after comparing them with its type.
    pub(super) fn run_values(
        &mut self,
        interrupts: &Interrupts,
        name: &str,
        params: &[Value],
    ) -> Result<Vec<Value>, CallError> {
        let ty = self.loaded.signature(name)?.clone();
        let mistyped = |expected: &str| CallError::export_type(name, expected, &ty);
        if !params.iter().map(Value::ty).eq(ty.params.iter().copied()) {
            let given: Vec<_> = params.iter().map(Value::ty).collect();
            let expected = Signature::new(&given, &ty.results);
            return Err(mistyped(&alloc::format!("{expected}")));
        }
        let mut values = FlatValues::new();
        for param in params {
            values
                .push((*param).into())
                .map_err(|_| mistyped("at most 16 parameters"))?;
        }
        let mut results = FlatValues::new();
        for result in &ty.results {
            results
                .push(result.zero())
                .map_err(|_| mistyped("at most 16 results"))?;
        }
        self.run_export(interrupts, name, &values, &mut results)?;
        results
            .iter()
            .map(|value| Value::new(value).ok_or_else(|| mistyped("numbers as results")))
            .collect()
    }
}

/// What ends a blocked call before it is ready: the deadline `until`, or the canceller. The call
/// counts as one of its thread's until this is dropped.
pub(super) struct Interrupts {
    until: Option<Duration>,
    canceller: Option<Canceller>,
    _entered: Entered,
}

/// Returns whether this result means that the guest was stopped.
fn stopped<R>(result: &Result<R, CallError>) -> bool {
    result.as_ref().is_err_and(CallError::stops)
}
