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
    base::{fuel::BASE, shape::FlatValues, signature::Signature, value::Value},
    call::{
        block::{WaitBounds, block},
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
    task::{Context, Poll, ready},
};
use wasmi::{Func, Val};

impl<T: 'static> Instance<T> {
    /// Begins a call with a new budget, or with what making the instance left of its budget. It counts
    /// as one of its thread's calls until the returned value is dropped.
    pub(super) fn begin_call(&mut self) -> Result<Entered, CallError> {
        self.begin_call_here()
    }

    /// As [`begin_call`](Self::begin_call), compiled into its caller: for calls that are short.
    #[inline(always)]
    pub(super) fn begin_call_here(&mut self) -> Result<Entered, CallError> {
        if self.stopped {
            return Err(CallError::Stopped);
        }
        self.loaded.check_fits(self.loaded.call_heap)?;
        let entered = self.loaded.shared.enter()?;
        let store = &mut self.sandbox.store;
        if !core::mem::take(&mut self.continues_budget) {
            let until = meter::until(&self.budget, &**self.loaded.platform())?;
            if core::mem::take(&mut self.budget_is_new) {
                store.data_mut().meter.set_budget(&self.budget);
            }
            meter::begin(store, until);
        }
        // Cleared by `end_call`, which is not reached if the caller's code unwinds or the call is
        // dropped: the guest is then in the middle of something.
        self.stopped = true;
        Ok(entered)
    }

    /// Begins a call that runs at the pace that `pace` sets.
    pub(super) fn begin_paced_call(&mut self, pace: Arc<Pace>) -> Result<(), CallError> {
        // Each poll counts by itself: they may be made on different threads.
        drop(self.begin_call()?);
        pace.start_clock(self.loaded.platform());
        self.sandbox.store.data_mut().pace = Some(pace);
        Ok(())
    }

    /// Ends a call: stops metering, and stops the instance if `result` is a trap. A result that comes
    /// after the deadline becomes an error.
    pub(super) fn end_call<R>(&mut self, result: Result<R, CallError>) -> Result<R, CallError> {
        // The check between slices misses a call that ends in the slice in which its deadline passes.
        if result.is_ok() && meter::is_late(self.sandbox.store.data()) {
            drop(result);
            return self.end_late();
        }
        self.close_call(stopped(&result));
        #[cfg(feature = "trace")]
        let result = result.map_err(|error| self.traced(error));
        result
    }

    /// As [`end_call`](Self::end_call), compiled into its caller: for calls that are short.
    #[inline(always)]
    pub(super) fn end_call_here<R>(
        &mut self,
        result: Result<R, CallError>,
    ) -> Result<R, CallError> {
        if result.is_err() || meter::is_late(self.sandbox.store.data()) {
            return self.end_call(result);
        }
        self.close_call_here(false);
        result
    }

    /// Ends a call that has passed its deadline.
    // Apart, so that other calls use no native stack for its error.
    #[cold]
    #[inline(never)]
    fn end_late<R>(&mut self) -> Result<R, CallError> {
        self.close_call(true);
        Err(self.sandbox.store.data().meter.deadline_passed())
    }

    /// Stops metering a call, and notes whether it stopped the guest.
    fn close_call(&mut self, stopped: bool) {
        self.close_call_here(stopped);
    }

    /// As [`close_call`](Self::close_call), compiled into its caller.
    #[inline(always)]
    fn close_call_here(&mut self, stopped: bool) {
        meter::end(&mut self.sandbox.store);
        let state = self.sandbox.store.data_mut();
        if let Some(pace) = state.pace.take() {
            pace.note(meter::usage(state));
        }
        self.stopped = stopped || core::mem::take(&mut self.broken);
    }

    /// Adds the guest's functions to a trap, if the guest keeps a trace of them.
    #[cfg(feature = "trace")]
    #[cold]
    pub(super) fn traced(&self, error: CallError) -> CallError {
        let store = &self.sandbox.store;
        let trace = store.data().guest.trace.map(|trace| trace.get(store));
        match (trace, &self.loaded.functions) {
            (Some(Val::I64(trace)), Some(names)) => {
                error.in_functions(|| names.told(trace.cast_unsigned()))
            }
            _ => error,
        }
    }

    /// Polls `poll` on this thread until it is ready.
    pub(super) fn block<R>(
        &mut self,
        mut poll: impl FnMut(&mut Sandbox<T>, &mut Context<'_>) -> Poll<R>,
    ) -> R {
        let bounds = |sandbox: &Sandbox<T>| WaitBounds::of(sandbox.store.data());
        block(&mut *self.sandbox, bounds, &mut poll)
    }

    /// Calls the export `name` from bytes to bytes, on this thread.
    pub(super) fn run_bytes<R>(
        &mut self,
        name: &str,
        input: &[u8],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        if let Some(protocol) = self.loaded.protocol.clone() {
            return self.run_foreign(protocol, name, &[input], take);
        }
        let target = self.bytes_target(name)?;
        let mut call = ExportCall::new(&self.sandbox, name, target);
        call.begin_with_bytes(&mut self.sandbox, input)?;
        self.finish(&mut call, |from| Ok(take(from.bytes()?)))
    }

    /// Calls the export `name` from bytes to bytes, by steps or awaited.
    pub(super) async fn run_bytes_paced(
        &mut self,
        name: &str,
        input: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        if let Some(protocol) = self.loaded.protocol.clone() {
            return self.run_foreign_paced(protocol, name, &[input]).await;
        }
        let target = self.bytes_target(name)?;
        let mut call = ExportCall::new(&self.sandbox, name, target);
        call.begin_with_bytes(&mut self.sandbox, input)?;
        self.finish_paced(&mut call, |from| copied(from.bytes()?))
            .await
    }

    /// Calls the export `name` with typed values, on this thread.
    pub(super) fn run_typed<P, R>(&mut self, name: &str, params: &P) -> Result<R, CallError>
    where
        P: Lower,
        R: for<'m> Lift<View<'m> = R>,
    {
        let target = self.target::<P, R>(name)?;
        let mut call = ExportCall::new(&self.sandbox, name, target);
        call.begin_with(&mut self.sandbox, params)?;
        self.finish(&mut call, R::lift)
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
        call: &mut ExportCall<'_>,
        lift: impl FnOnce(&mut Lifter<'_>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let ran = self.block(|sandbox, context| call.poll_results(sandbox, context));
        let answer = ran.and_then(|()| call.lift(&mut self.sandbox, lift));
        if !stopped(&answer) {
            self.block(|sandbox, context| call.poll_return(sandbox, context))?;
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
        let ran = self
            .paced(|sandbox, context| call.poll_results(sandbox, context))
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

    /// Polls a call until it is ready. Notes what it has used each time it pauses.
    pub(super) async fn paced<R>(
        &mut self,
        mut poll: impl FnMut(&mut Sandbox<T>, &mut Context<'_>) -> Poll<Result<R, CallError>>,
    ) -> Result<R, CallError> {
        poll_fn(|context| {
            let _entered = self.loaded.enter_poll()?;
            let polled = poll(&mut self.sandbox, context);
            if polled.is_pending() {
                self.note_progress();
            }
            polled
        })
        .await
    }

    /// Notes what a paced call has used so far, in case it is dropped.
    pub(super) fn note_progress(&mut self) {
        let store = &mut self.sandbox.store;
        meter::update(store);
        let state = store.data();
        if let Some(pace) = &state.pace {
            pace.note(meter::usage(state));
        }
    }

    /// Returns the export `name` if it is a function from bytes to bytes.
    fn bytes_target(&self, name: &str) -> Result<Target, CallError> {
        match self.sandbox.process() {
            Some(process) if name == "process" => Ok(Target::of_bytes(process)),
            _ => {
                let (_, ty) = self.loaded.function(name)?;
                let found = self.sandbox.bytes_function(name, ty);
                let expected = BytesFunction::expected;
                let found = found.ok_or_else(|| CallError::export_type(name, expected(), ty));
                found.map(Target::of_bytes)
            }
        }
    }

    /// Returns the export `name` if it takes `P` and returns `R`.
    fn target<P: Lower, R: Lift>(&mut self, name: &str) -> Result<Target, CallError> {
        let (params, results) = (Types::collect(P::types), Types::collect(R::types));
        let (export, shape) = self.loaded.shape_of(name, &params, &results)?;
        let function = self.sandbox.exported(export, name);
        Ok(Target {
            shape,
            function: function.ok_or_else(|| self.loaded.unknown_export(name))?,
            packed: None,
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
        name: &str,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<(), CallError> {
        let function = self.function(name)?;
        run::begin(&mut self.sandbox.store, BASE)?;
        meter::check_time(self.sandbox.store.data())?;
        if self.sandbox.command_pending {
            self.run_pending_command(name)?;
        }
        let mut run = Run::default();
        let ran = self.block(|sandbox, context| {
            run.poll(&mut sandbox.store, context, function, params, results)
        });
        ran.map_err(|error| error.in_export(name))
    }

    /// Runs `_start` of a command, on this thread, before the export `name` is called.
    #[cold]
    pub(super) fn run_pending_command(&mut self, name: &str) -> Result<(), CallError> {
        let mut run = Run::default();
        self.block(|sandbox, context| sandbox.poll_command(&mut run, context, name))
    }

    /// Runs `_start` of a WASI command.
    pub(super) fn run_start(&mut self) -> Result<(), CallError> {
        let nothing = || Types::collect(|_| {});
        self.loaded.shape_of(COMMAND, &nothing(), &nothing())?;
        self.run_export(COMMAND, &[], &mut [])
    }

    /// Calls the export `name` with core values, after comparing them with its type.
    pub(super) fn run_values(
        &mut self,
        name: &str,
        params: &[Value],
    ) -> Result<Vec<Value>, CallError> {
        let (values, mut results) = self.lower_values(name, params)?;
        self.run_export(name, &values, &mut results)?;
        self.lift_values(name, &results)
    }

    /// As [`run_values`](Self::run_values), by steps or awaited.
    pub(super) async fn run_values_paced(
        &mut self,
        name: &str,
        params: &[Value],
    ) -> Result<Vec<Value>, CallError> {
        let (values, mut results) = self.lower_values(name, params)?;
        let function = self.function(name)?;
        run::begin(&mut self.sandbox.store, BASE)?;
        let mut run = Run::default();
        let ran = poll_fn(|context| {
            let _entered = self.loaded.enter_poll()?;
            if self.sandbox.command_pending {
                ready!(self.sandbox.poll_command(&mut run, context, name))?;
            }
            let store = &mut self.sandbox.store;
            let polled = run.poll(store, context, function, &values, &mut results);
            if polled.is_pending() {
                self.note_progress();
            }
            polled
        })
        .await;
        ran.map_err(|error| error.in_export(name))?;
        self.lift_values(name, &results)
    }

    /// Compares `params` with the type of the export `name`. Returns them as values of the interpreter, and
    /// places for its results.
    fn lower_values(
        &self,
        name: &str,
        params: &[Value],
    ) -> Result<(FlatValues, FlatValues), CallError> {
        let ty = self.loaded.signature(name)?;
        let mistyped = |expected: &str| CallError::export_type(name, expected, ty);
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
        Ok((values, results))
    }

    /// Returns the results of the export `name`, if they are numbers.
    fn lift_values(&self, name: &str, results: &FlatValues) -> Result<Vec<Value>, CallError> {
        let ty = self.loaded.signature(name)?;
        let mistyped = || CallError::export_type(name, "numbers as results", ty);
        let values = results.iter();
        values
            .map(|value| Value::new(value).ok_or_else(mistyped))
            .collect()
    }
}

/// Returns whether this result means that the guest was stopped.
pub(super) fn stopped<R>(result: &Result<R, CallError>) -> bool {
    result.as_ref().is_err_and(CallError::stops)
}
