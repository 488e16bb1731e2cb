//! Runs guest code, in slices of fuel.
//!
//! Guest code runs one slice at a time and is resumed until it returns. Between two slices the run
//! checks the deadline, and a step of a stepped call may end. Leaving the interpreter there also
//! frees native stack, which a failing `memory.grow` leaves in use under tail-call dispatch.

use super::{
    Allocate, Deallocate, StoreData,
    delivery::allocator,
    meter,
    pace::Pace,
    paused::{Keep, Paused, settle},
    suspend::{Suspend, Suspended},
};
use crate::{
    base::shape::FlatValues,
    error::{CallError, Trap, TrapKind},
};
use alloc::boxed::Box;
use core::{
    mem,
    task::{Context, Poll, ready},
};
use wasmi::{
    AsContextMut, Func, ResumableCall, ResumableCallHostTrap, ResumableCallOutOfFuel, Store,
    TypedFunc, TypedResumableCall, Val, WasmParams,
};

/// Most fuel of one slice, whatever a step's quantum. Longer slices run no faster. With a hundred
/// times as much, a loop of failing `memory.grow` would overflow a native stack of 256 KiB.
pub(super) const SLICE: u32 = 50_000;

/// The state of a run of guest code.
#[derive(Default)]
pub(crate) enum Run {
    /// It has not begun, or has returned.
    #[default]
    New,
    /// Its slice is used up.
    OutOfFuel(ResumableCallOutOfFuel),
    /// The guest waits in a host function.
    Suspended(Box<(ResumableCallHostTrap, Suspended)>),
    /// The function is itself one of the host's, of a component, and waits.
    #[cfg(feature = "contract")]
    Alone(Box<Suspended>),
    /// A paused function with one i32 as its result that is called by its type.
    Word(Paused<u32>),
    /// A paused function with one i64 as its result that is called by its type.
    Long(Paused<u64>),
}

impl Run {
    /// Runs `function`, or resumes it. `params` must fit its parameters in number and types, and
    /// `results` its results in number. Pass equal arguments until the run is ready.
    pub(crate) fn poll<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        function: Func,
        params: &[Val],
        results: &mut [Val],
    ) -> Poll<Result<(), CallError>> {
        if let Self::New = self {
            ready!(first_slice(store, context))?;
            #[cfg(feature = "trace")]
            begin_trace(store);
            match function.call_resumable(&mut *store, params, results) {
                Ok(ResumableCall::Finished) => return Poll::Ready(Ok(())),
                outcome => self.set_state(store, outcome)?,
            }
        }
        self.resume(store, context, results)
    }

    /// Resumes a run that has not returned. Kept out of [`poll`](Self::poll), since most calls return
    /// in their first slice.
    #[cold]
    #[inline(never)]
    fn resume<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        results: &mut [Val],
    ) -> Poll<Result<(), CallError>> {
        loop {
            let mut values = FlatValues::new();
            match self {
                // Those that are called by their types are resumed by `poll_typed`.
                Self::New | Self::Word(_) | Self::Long(_) => return Poll::Ready(Ok(())),
                Self::OutOfFuel(paused) => {
                    ready!(next_slice(store, context, paused.required_fuel()))?;
                }
                Self::Suspended(waits) => ready!(waits.1.poll(store, context, &mut values))?,
                #[cfg(feature = "contract")]
                Self::Alone(waits) => {
                    ready!(waits.poll(store, context, &mut values))?;
                    for (result, value) in results.iter_mut().zip(&values) {
                        *result = value.clone();
                    }
                    *self = Self::New;
                    return Poll::Ready(Ok(()));
                }
            }
            let outcome = match mem::take(self) {
                Self::OutOfFuel(paused) => paused.resume(&mut *store, results),
                Self::Suspended(waits) => waits.0.resume(&mut *store, &values, results),
                // Excluded above.
                _ => Ok(ResumableCall::Finished),
            };
            self.set_state(store, outcome)?;
        }
    }

    /// Sets the state after `outcome` of a slice.
    #[cold]
    #[inline(never)]
    fn set_state<T>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        outcome: Result<ResumableCall, wasmi::Error>,
    ) -> Result<(), CallError> {
        *self = match outcome {
            Ok(ResumableCall::Finished) => Self::New,
            Ok(ResumableCall::OutOfFuel(paused)) => Self::OutOfFuel(paused),
            Ok(ResumableCall::HostTrap(paused)) => {
                let suspended = Suspended::take(store, paused.host_error())?;
                Self::Suspended(Box::new((paused, suspended)))
            }
            #[cfg(feature = "contract")]
            Err(error) => match Suspended::take_aside(store, &error) {
                Some(suspended) => Self::Alone(Box::new(suspended)),
                None => return Err(stopped(store, &error)),
            },
            #[cfg(not(feature = "contract"))]
            Err(error) => return Err(stopped(store, &error)),
        };
        Ok(())
    }

    /// Runs `function`, or resumes it, as [`poll`](Self::poll) does: in fewer instructions, since its
    /// type is known. Pass equal arguments until the run is ready.
    #[inline]
    pub(crate) fn poll_typed<T: 'static, P: WasmParams, R: Keep>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        function: TypedFunc<P, R>,
        params: P,
    ) -> Poll<Result<R, CallError>> {
        let mut paused = None;
        if let Self::New = self {
            ready!(first_slice(store, context))?;
            #[cfg(feature = "trace")]
            begin_trace(store);
            match function.call_resumable(&mut *store, params) {
                Ok(TypedResumableCall::Finished(results)) => return Poll::Ready(Ok(results)),
                outcome => settle(store, outcome, &mut paused)?,
            };
        }
        self.resume_typed(store, context, paused)
    }

    /// Resumes a run of [`poll_typed`](Self::poll_typed): `paused`, or if that is `None`, the one that
    /// this keeps.
    #[cold]
    #[inline(never)]
    fn resume_typed<T: 'static, R: Keep>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        paused: Option<Paused<R>>,
    ) -> Poll<Result<R, CallError>> {
        let mut paused = paused.or_else(|| R::take(mem::take(self)));
        let polled = Paused::poll(&mut paused, store, context);
        *self = paused.map(R::keep).unwrap_or_default();
        polled
    }

    /// Runs the guest's allocator for a buffer of `size` bytes. Returns the pointer, which is 0 if the
    /// guest has no memory.
    pub(crate) fn poll_allocate<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        size: u32,
    ) -> Poll<Result<u32, CallError>> {
        let Allocate { name, function } = allocator(store.data())?;
        let ran = ready!(self.poll_typed(store, context, function, size));
        Poll::Ready(ran.map_err(|error| error.in_export(name)))
    }

    /// Gives a buffer back to the guest, if it exports a function for that.
    pub(crate) fn poll_deallocate<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        (ptr, size): (u32, u32),
    ) -> Poll<Result<(), CallError>> {
        let Some(Deallocate {
            name,
            function,
            params,
        }) = store.data().guest.deallocate
        else {
            return Poll::Ready(Ok(()));
        };
        let values = [word(ptr), word(size)];
        let values = values.get(..params).unwrap_or_default();
        // Not by its type: calls without results would be 4 KB of flash on devices.
        let ran = ready!(self.poll(store, context, function, values, &mut []));
        Poll::Ready(ran.map_err(|error| error.in_export(name)))
    }
}

/// Forgets the functions of an earlier run, if the guest keeps a trace.
#[cfg(feature = "trace")]
fn begin_trace<T>(store: &mut Store<StoreData<T>>) {
    if let Some(trace) = store.data().guest.trace {
        // Can't fail: the global is mutable, and an i64.
        let _ = trace.set(store, Val::I64(0));
    }
}

/// Converts a pointer or length to a core value.
pub(crate) const fn word(value: u32) -> Val {
    Val::I32(value.cast_signed())
}

/// Begins a call: charges `units` and, unless the call is stepped, hands the store its first slice.
/// Does not check the deadline; the caller must before guest code runs.
#[inline]
pub(crate) fn begin<T>(store: &mut Store<StoreData<T>>, units: u64) -> Result<(), CallError> {
    let mut cx = store.as_context_mut();
    if cx.data().pace.is_some() || meter::fuel(&cx) > 0 {
        return meter::charge(&mut cx, units);
    }
    // The usual case: charge and hand out the slice at once, which sets the store's fuel only once.
    let meter = &mut cx.data_mut().meter;
    let Some(left) = meter.reserve.checked_sub(units) else {
        return Err(meter.out_of_fuel());
    };
    let slice = left.min(SLICE.into());
    meter.reserve = left.saturating_sub(slice);
    meter::set_fuel(&mut cx, slice);
    Ok(())
}

/// Hands the store fuel for a new run of guest code, unless an earlier run of the call left fuel in
/// it.
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

/// Returns whether the call is stepped and its step is over.
fn ends_step<T>(store: &Store<StoreData<T>>, context: &Context<'_>) -> bool {
    let pace = store.data().pace.as_deref();
    pace.is_some_and(|pace| pace.ends_step(context))
}

/// Checks the deadline between two parts of the host's work. Pending if the call is stepped and its step
/// is over.
pub(crate) fn poll_step<T>(
    store: &Store<StoreData<T>>,
    context: &Context<'_>,
) -> Poll<Result<(), CallError>> {
    if ends_step(store, context) {
        return Poll::Pending;
    }
    Poll::Ready(meter::check_time(store.data()))
}

/// Hands the store fuel for the next slice, at least `required`. Pending if the call is stepped and
/// its step is over.
// Not inlined: each of its callers exists for several types.
#[inline(never)]
pub(crate) fn next_slice<T>(
    store: &mut Store<StoreData<T>>,
    context: &Context<'_>,
    required: u64,
) -> Poll<Result<(), CallError>> {
    if ends_step(store, context) {
        return Poll::Pending;
    }
    Poll::Ready(refuel(store, required))
}

/// Checks the deadline and hands the store fuel for the next slice, at least `required`.
fn refuel<T>(store: &mut Store<StoreData<T>>, required: u64) -> Result<(), CallError> {
    let mut cx = store.as_context_mut();
    let slice = meter::fuel(&cx);
    let state = cx.data_mut();
    meter::check_time(state)?;
    if slice >= required && required > 0 {
        // The interpreter stopped although the slice had the fuel. Resuming would loop for ever.
        let why = "the interpreter stopped for fuel that it had, and would make no progress";
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

/// Translates the interpreter's error.
pub(crate) fn stopped<T, C>(cx: &mut C, error: &wasmi::Error) -> CallError
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let mut cx = cx.as_context_mut();
    if error.downcast_ref::<Suspend>().is_some() {
        // The host called a re-exported import, so there is no guest code that could wait.
        drop(cx.data_mut().suspended.get_mut().take());
        let why = "a host function that waits was called by the host: call it from guest code";
        return CallError::Trap(Trap::new(TrapKind::Other, why));
    }
    let budget = cx.data().meter.budget().fuel;
    let error =
        CallError::from_wasmi(error, budget).after_refusal(meter::refused_growth(cx.data()));
    if matches!(error, CallError::OutOfFuel { .. }) {
        // wasmi leaves the fuel that was too little. A later call must not find it.
        meter::set_fuel(&mut cx, 0);
        cx.data_mut().meter.reserve = 0;
    }
    error
}
