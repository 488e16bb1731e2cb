//! Calls of plugins whose convention is not the native one.

use super::{Instance, sandbox::Sandbox};
use crate::{
    abi::{Ending, Protocol},
    base::fuel::{BASE, Spending, fuel_for},
    call::{
        meter,
        run::{self, Run},
    },
    error::CallError,
    memory::copied,
};
use alloc::{sync::Arc, vec::Vec};
use core::{
    cell::Cell,
    task::{Context, Poll},
};
use wasmi::{Func, Val};

/// A call in progress.
struct ForeignCall<'a> {
    protocol: Arc<dyn Protocol>,
    /// The export, for messages.
    export: &'a str,
    function: Func,
    params: Vec<Val>,
    results: Vec<Val>,
    run: Run,
}

impl ForeignCall<'_> {
    fn poll<T: 'static>(
        &mut self,
        sandbox: &mut Sandbox<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let store = &mut sandbox.store;
        let (params, results) = (&self.params, &mut self.results);
        let polled = self
            .run
            .poll(store, context, self.function, params, results);
        polled.map_err(|error| error.in_export(self.export))
    }
}

impl<T: 'static> Instance<T> {
    /// Calls `name` with any number of byte strings, on this thread.
    pub(super) fn run_arguments<R>(
        &mut self,
        name: &str,
        inputs: &[&[u8]],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        match self.loaded.protocol.clone() {
            Some(protocol) => self.run_foreign(protocol, name, inputs, take),
            None => {
                let input = self.only(name, inputs)?;
                self.run_bytes(name, input, take)
            }
        }
    }

    /// Calls `name` with any number of byte strings, by steps or awaited.
    pub(super) async fn run_arguments_paced(
        &mut self,
        name: &str,
        inputs: &[&[u8]],
    ) -> Result<Vec<u8>, CallError> {
        match self.loaded.protocol.clone() {
            Some(protocol) => self.run_foreign_paced(protocol, name, inputs).await,
            None => {
                let input = self.only(name, inputs)?;
                self.run_bytes_paced(name, input).await
            }
        }
    }

    /// Returns the one input that a native function from bytes to bytes takes.
    fn only<'a>(&self, name: &str, inputs: &[&'a [u8]]) -> Result<&'a [u8], CallError> {
        match inputs {
            [input] => Ok(input),
            _ => {
                let found = self.loaded.signature(name)?;
                Err(CallError::export_type(name, "one argument of bytes", found))
            }
        }
    }

    /// Calls the function or operation `name`, on this thread.
    pub(super) fn run_foreign<R>(
        &mut self,
        protocol: Arc<dyn Protocol>,
        name: &str,
        inputs: &[&[u8]],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        let mut call = self.begin_foreign(protocol, name, inputs)?;
        let ran = self.block(|sandbox, context| call.poll(sandbox, context));
        self.end_foreign(&call, ran, take)
    }

    /// Calls the function or operation `name`, by steps or awaited.
    pub(super) async fn run_foreign_paced(
        &mut self,
        protocol: Arc<dyn Protocol>,
        name: &str,
        inputs: &[&[u8]],
    ) -> Result<Vec<u8>, CallError> {
        let mut call = self.begin_foreign(protocol, name, inputs)?;
        let ran = self
            .paced(|sandbox, context| call.poll(sandbox, context))
            .await;
        self.end_foreign(&call, ran, copied)?
    }

    /// Checks and charges the inputs, and hands them to the convention.
    fn begin_foreign<'a>(
        &mut self,
        protocol: Arc<dyn Protocol>,
        name: &'a str,
        inputs: &[&[u8]],
    ) -> Result<ForeignCall<'a>, CallError> {
        let export = protocol.export(name);
        let function = self.function(export)?;
        let store = &mut self.sandbox.store;
        let found = inputs
            .iter()
            .fold(0usize, |sum, input| sum.saturating_add(input.len()));
        let limit = store.data().meter.budget().input_bytes;
        if found > limit {
            run::begin(store, BASE)?;
            return Err(CallError::InputTooLarge { limit, found });
        }
        let units = fuel_for(found.saturating_add(name.len()));
        run::begin(store, BASE.saturating_add(units))?;
        if store.data().pace.is_none() {
            meter::check_time(store.data())?;
        }
        let ty = self.loaded.signature(export)?;
        let state = store.data_mut();
        let session = state.exchange.get_or_insert_with(|| protocol.session());
        let params = protocol.begin(&mut **session, &mut state.limiter, name, inputs, ty)?;
        Ok(ForeignCall {
            protocol,
            export,
            function,
            params,
            results: ty.results.iter().map(|result| result.zero()).collect(),
            run: Run::default(),
        })
    }

    /// Takes the output, or the error, of a call that ended.
    fn end_foreign<R>(
        &mut self,
        call: &ForeignCall<'_>,
        ran: Result<(), CallError>,
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        // Whatever the convention makes of it: a guest that was stopped does not run again.
        self.broken = ran.as_ref().is_err_and(CallError::stops);
        let store = &mut self.sandbox.store;
        let fuel = meter::fuel_left(store);
        let state = store.data_mut();
        let Some(session) = &mut state.exchange else {
            return Err(CallError::Stopped);
        };
        let spent = Cell::new(0);
        let ending = Ending {
            budget: state.meter.budget(),
            spending: Spending::new(fuel, &spent),
        };
        let ended = call
            .protocol
            .end(&mut **session, ran, &call.results, &ending);
        if let Err(error) = ended {
            meter::charge(store, spent.get())?;
            return Err(error);
        }
        let (limit, found) = (state.meter.budget().output_bytes, session.output().len());
        if found > limit {
            return Err(CallError::OutputTooLarge { limit, found });
        }
        meter::charge(store, fuel_for(found))?;
        let session = store.data().exchange.as_ref();
        Ok(take(session.map_or(&[], |session| session.output())))
    }
}
