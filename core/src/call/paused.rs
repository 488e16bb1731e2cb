//! Guest functions that are called by their types and did not end in their first slice.

use super::{
    StoreData,
    run::{Run, next_slice, stopped},
    suspend::Suspended,
};
use crate::{base::shape::FlatValues, error::CallError};
use alloc::boxed::Box;
use core::task::{Context, Poll, ready};
use wasmi::{
    Store, TypedResumableCall, TypedResumableCallHostTrap, TypedResumableCallOutOfFuel, WasmResults,
};

/// A paused guest function with the results `R`.
pub(crate) enum Paused<R> {
    /// Its slice is used up.
    OutOfFuel(TypedResumableCallOutOfFuel<R>),
    /// The guest waits in a host function.
    Suspended(Box<(TypedResumableCallHostTrap<R>, Suspended)>),
}

impl<R: WasmResults> Paused<R> {
    /// Resumes `paused` until it returns. It is `None` afterwards.
    pub(crate) fn poll<T: 'static>(
        paused: &mut Option<Self>,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<R, CallError>> {
        loop {
            let mut values = FlatValues::new();
            match paused {
                Some(Self::OutOfFuel(paused)) => {
                    ready!(next_slice(store, context, paused.required_fuel()))?;
                }
                Some(Self::Suspended(waits)) => {
                    ready!(waits.1.poll(store, context, &mut values))?;
                }
                None => {}
            }
            let outcome = match paused.take() {
                Some(Self::OutOfFuel(paused)) => paused.resume(&mut *store),
                Some(Self::Suspended(waits)) => waits.0.resume(&mut *store, &values),
                // Can't happen: the callers have a paused function.
                None => return Poll::Ready(Err(CallError::Stopped)),
            };
            if let Some(results) = settle(store, outcome, paused)? {
                return Poll::Ready(Ok(results));
            }
        }
    }
}

/// Returns the results of a slice's `outcome` if the function has returned, or stores it in `paused`.
#[cold]
#[inline(never)]
pub(crate) fn settle<T, R: WasmResults>(
    store: &mut Store<StoreData<T>>,
    outcome: Result<TypedResumableCall<R>, wasmi::Error>,
    paused: &mut Option<Paused<R>>,
) -> Result<Option<R>, CallError> {
    *paused = Some(match outcome {
        Ok(TypedResumableCall::Finished(results)) => return Ok(Some(results)),
        Ok(TypedResumableCall::OutOfFuel(paused)) => Paused::OutOfFuel(paused),
        Ok(TypedResumableCall::HostTrap(paused)) => {
            let suspended = Suspended::take(store, paused.host_error())?;
            Paused::Suspended(Box::new((paused, suspended)))
        }
        Err(error) => return Err(stopped(store, &error)),
    });
    Ok(None)
}

/// Results of functions that a [`Run`] can keep while they are paused.
pub(crate) trait Keep: WasmResults {
    /// Returns a run that keeps `paused`.
    fn keep(paused: Paused<Self>) -> Run;

    /// Returns the paused function that `run` keeps. `None` if its results are others.
    fn take(run: Run) -> Option<Paused<Self>>;
}

impl Keep for u32 {
    fn keep(paused: Paused<Self>) -> Run {
        Run::Word(paused)
    }

    fn take(run: Run) -> Option<Paused<Self>> {
        match run {
            Run::Word(paused) => Some(paused),
            _ => None,
        }
    }
}

impl Keep for u64 {
    fn keep(paused: Paused<Self>) -> Run {
        Run::Long(paused)
    }

    fn take(run: Run) -> Option<Paused<Self>> {
        match run {
            Run::Long(paused) => Some(paused),
            _ => None,
        }
    }
}
