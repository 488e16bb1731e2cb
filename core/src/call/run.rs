//! Runs guest code, in slices of fuel.
//!
//! Guest code runs a quantum at a time and is resumed until it is done. Between two slices the
//! deadline is looked at, and wasmi gives back native stack that a guest's failing `memory.grow`
//! leaves in use under tail-call dispatch. Who runs a call by steps gets control back there.

use super::{
    Deallocate, StoreData,
    delivery::allocator,
    meter,
    pace::Pace,
    suspend::{Suspend, Suspended},
};
use crate::{
    base::shape::{FlatValues, unsigned},
    error::{CallError, Trap, TrapKind},
};
use alloc::boxed::Box;
use core::{
    mem,
    task::{Context, Poll, ready},
};
use wasmi::{
    AsContextMut, Func, ResumableCall, ResumableCallHostTrap, ResumableCallOutOfFuel, Store, Val,
};

/// The most fuel of one slice, whatever a step's quantum is. Longer ones cost nothing less to run,
/// but a hundred times as much lets a loop of failing `memory.grow` use up a native stack of 256 KiB.
pub(super) const SLICE: u32 = 50_000;

/// A run of guest code, as far as it has come.
#[derive(Default)]
pub(crate) enum Run {
    /// It has not begun.
    #[default]
    New,
    /// It has used up its slice.
    OutOfFuel(ResumableCallOutOfFuel),
    /// It waits in a host function.
    Waits(Box<(ResumableCallHostTrap, Suspended)>),
}

impl Run {
    /// Runs `function` to its end, from wherever the run is. `params` must have its parameters'
    /// number and types, `results` its results' number. They must be the same until it is ready.
    pub(crate) fn poll<T>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        function: Func,
        params: &[Val],
        results: &mut [Val],
    ) -> Poll<Result<(), CallError>> {
        if let Self::New = self {
            ready!(first_slice(store, context))?;
            match function.call_resumable(&mut *store, params, results) {
                Ok(ResumableCall::Finished) => return Poll::Ready(Ok(())),
                outcome => self.note(store, outcome)?,
            }
        }
        self.go_on(store, context, results)
    }

    /// Goes on with what has begun, and did not end at once.
    #[cold]
    #[inline(never)]
    fn go_on<T>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        results: &mut [Val],
    ) -> Poll<Result<(), CallError>> {
        loop {
            let mut values = FlatValues::new();
            match self {
                Self::New => return Poll::Ready(Ok(())),
                Self::OutOfFuel(paused) => {
                    ready!(next_slice(store, context, paused.required_fuel()))?;
                }
                Self::Waits(waits) => ready!(waits.1.poll(store, context, &mut values))?,
            }
            let outcome = match mem::take(self) {
                Self::New => Ok(ResumableCall::Finished),
                Self::OutOfFuel(paused) => paused.resume(&mut *store, results),
                Self::Waits(waits) => waits.0.resume(&mut *store, &values, results),
            };
            self.note(store, outcome)?;
        }
    }

    /// Notes how far it has come by `outcome`.
    #[cold]
    #[inline(never)]
    fn note<T>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        outcome: Result<ResumableCall, wasmi::Error>,
    ) -> Result<(), CallError> {
        *self = match outcome {
            Ok(ResumableCall::Finished) => Self::New,
            Ok(ResumableCall::OutOfFuel(paused)) => Self::OutOfFuel(paused),
            Ok(ResumableCall::HostTrap(paused)) => {
                let suspended = Suspended::take(store, paused.host_error())?;
                Self::Waits(Box::new((paused, suspended)))
            }
            Err(error) => return Err(stopped(store, &error)),
        };
        Ok(())
    }

    /// What the guest's allocator answers for a buffer of `size` bytes; 0 where it has no memory.
    pub(crate) fn poll_allocate<T>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        size: u32,
    ) -> Poll<Result<u32, CallError>> {
        let allocate = allocator(store.data())?;
        let mut ptr = [Val::I32(0)];
        let ran = ready!(self.poll(store, context, allocate, &[word(size)], &mut ptr));
        Poll::Ready(match ran {
            Ok(()) => Ok(pointer(&ptr)),
            Err(error) => Err(error.in_export("allocate")),
        })
    }

    /// Gives the guest a buffer back, a pointer and a size, if it takes any.
    pub(crate) fn poll_deallocate<T>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        (ptr, size): (u32, u32),
    ) -> Poll<Result<(), CallError>> {
        let Some(Deallocate { function, params }) = store.data().guest.deallocate else {
            return Poll::Ready(Ok(()));
        };
        let values = [word(ptr), word(size)];
        let values = values.get(..params).unwrap_or_default();
        let ran = ready!(self.poll(store, context, function, values, &mut []));
        Poll::Ready(ran.map_err(|error| error.in_export("deallocate")))
    }
}

/// A pointer or length as a guest's function takes it.
pub(crate) const fn word(value: u32) -> Val {
    Val::I32(value.cast_signed())
}

/// What `allocate` answered.
pub(super) fn pointer(results: &[Val]) -> u32 {
    match results {
        [Val::I32(ptr)] => unsigned(*ptr),
        _ => 0,
    }
}

/// Begins a call: charged, and with its first slice, where it is not run by steps. Before guest code
/// runs the time is to be looked at.
pub(crate) fn begin<T>(store: &mut Store<StoreData<T>>, units: u64) -> Result<(), CallError> {
    let mut cx = store.as_context_mut();
    if cx.data().pace.is_some() || meter::fuel(&cx) > 0 {
        return meter::charge(&mut cx, units);
    }
    let meter = &mut cx.data_mut().meter;
    let Some(left) = meter.reserve.checked_sub(units) else {
        return Err(meter.out_of_fuel());
    };
    let slice = left.min(SLICE.into());
    meter.reserve = left.saturating_sub(slice);
    meter::set_fuel(&mut cx, slice);
    Ok(())
}

/// A slice for a run of guest code that begins. What an earlier run of the call left goes on.
pub(super) fn first_slice<T>(
    store: &mut Store<StoreData<T>>,
    context: &Context<'_>,
) -> Poll<Result<(), CallError>> {
    if meter::fuel(&store.as_context_mut()) == 0 {
        next_slice(store, context, 0)
    } else {
        Poll::Ready(Ok(()))
    }
}

/// Hands the store fuel for the next slice, at least `required`; before that, control to whoever
/// runs the call by steps, if its step is over.
pub(crate) fn next_slice<T>(
    store: &mut Store<StoreData<T>>,
    context: &Context<'_>,
    required: u64,
) -> Poll<Result<(), CallError>> {
    let pace = store.data().pace.as_deref();
    if pace.is_some_and(|pace| pace.ends_step(context)) {
        return Poll::Pending;
    }
    Poll::Ready(refuel(store, required))
}

fn refuel<T>(store: &mut Store<StoreData<T>>, required: u64) -> Result<(), CallError> {
    let mut cx = store.as_context_mut();
    let slice = meter::fuel(&cx);
    let state = cx.data_mut();
    meter::check_time(state)?;
    if slice >= required && required > 0 {
        let why = "it was stopped for fuel that it had: a resumed call would make no progress";
        return Err(CallError::Trap(Trap::new(TrapKind::Other, why)));
    }
    let all = slice.saturating_add(state.meter.reserve);
    if all < required {
        let error = state.meter.out_of_fuel();
        meter::set_fuel(&mut cx, 0);
        return Err(error);
    }
    let pace = state.pace.as_deref();
    let most = pace.map_or(SLICE.into(), Pace::slice);
    let next = most.max(required).min(all);
    if let Some(pace) = pace {
        pace.take(next.saturating_sub(slice));
    }
    state.meter.reserve = all.saturating_sub(next);
    meter::set_fuel(&mut cx, next);
    Ok(())
}

/// What the interpreter's error means.
pub(crate) fn stopped<T, C>(cx: &mut C, error: &wasmi::Error) -> CallError
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let mut cx = cx.as_context_mut();
    if error.downcast_ref::<Suspend>().is_some() {
        // Where the host calls an import that the guest hands on, no guest is there to wait.
        drop(cx.data_mut().suspended.get_mut().take());
        let why = "a host function that has to wait can be called by guest code alone";
        return CallError::Trap(Trap::new(TrapKind::Other, why));
    }
    let budget = cx.data().meter.budget().fuel;
    let error = CallError::from_wasmi(error, budget);
    if matches!(error, CallError::OutOfFuel { .. }) {
        // What wasmi left over was too little; the call has no further use for it.
        meter::set_fuel(&mut cx, 0);
        cx.data_mut().meter.reserve = 0;
    }
    error
}
