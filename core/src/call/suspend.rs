//! What a guest waits for in a host function that can't answer at once, because it is asynchronous
//! or because the guest's allocator needs longer than its slice.
//!
//! The host function leaves the guest by an error of ours. What it waits for is then done here,
//! outside of the guest, which goes on with the answer.

use super::{
    StoreData,
    access::InstanceAccess,
    delivery::{Delivery, allocator},
    meter,
    result_shape::ResultShape,
    run::{first_slice, next_slice, pointer, stopped, word},
};
use crate::{
    base::shape::FlatValues,
    error::{CallError, Trap, TrapKind},
};
use alloc::boxed::Box;
use core::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use wasmi::{AsContextMut, Caller, ResumableCall, ResumableCallOutOfFuel, Store, Val};

/// A guest that waits in a host function.
pub(crate) struct Suspended {
    pub(crate) work: Work,
    pub(crate) result_shape: ResultShape,
    /// Where its results' record is, where the shape has one.
    pub(crate) at: u32,
}

/// What a guest waits for.
pub(crate) enum Work {
    /// Buffers for the host function's results; its own allocator may have used up the slice.
    Buffers(Option<ResumableCallOutOfFuel>, Box<Delivery<'static>>),
    /// The results themselves.
    Results(Results),
    /// A time, or input.
    Wasi(Box<dyn PendingHostCall>),
}

/// A guest that waits in a function of WASI's while other work may be done. A trait, so that a program
/// is linked with WASI only where it is granted.
pub(crate) trait PendingHostCall: Send {
    /// What the function answers, once it is done, and the fuel that is to be charged.
    fn attempt(&mut self, reach: InstanceAccess<'_>) -> (u64, Result<Option<Val>, CallError>);

    /// When to try again, on the platform's clock, if that is known.
    fn next(&self) -> Option<Duration>;
}

/// A host function's results that come later.
pub(crate) type Results =
    Pin<Box<dyn Future<Output = Result<Box<Delivery<'static>>, CallError>> + Send>>;

/// The error by which a host function leaves a guest that has to wait.
#[derive(Debug)]
pub(crate) struct Suspend;

impl fmt::Display for Suspend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest waits")
    }
}

impl wasmi::errors::HostError for Suspend {}

/// Brings a host function's results into the guest that waits for them, in its call: runs its
/// allocator with what is left of the slice. Answers with what is still to be run, if that is not
/// enough.
///
/// The guest's imports that may run guest code are refused meanwhile: each level of re-entry would
/// take native stack that no limit of wasmi's counts.
pub(crate) fn deliver_in_call<T>(
    guest: &mut Caller<'_, StoreData<T>>,
    delivery: &mut Delivery<'_>,
) -> Result<Option<ResumableCallOutOfFuel>, CallError> {
    while let Some(size) = delivery.next(guest)? {
        let allocate = allocator(guest.data())?;
        guest.data_mut().guest.nested = true;
        let mut ptr = [Val::I32(0)];
        let outcome = allocate.call_resumable(&mut *guest, &[word(size)], &mut ptr);
        guest.data_mut().guest.nested = false;
        match in_allocate(guest, outcome)? {
            None => delivery.got(guest, pointer(&ptr))?,
            paused => return Ok(paused),
        }
    }
    Ok(None)
}

/// What is still to be run of an allocator that runs while its guest waits.
fn in_allocate<T, C>(
    cx: &mut C,
    outcome: Result<ResumableCall, wasmi::Error>,
) -> Result<Option<ResumableCallOutOfFuel>, CallError>
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let error = match outcome {
        Ok(ResumableCall::Finished) => return Ok(None),
        Ok(ResumableCall::OutOfFuel(paused)) => return Ok(Some(paused)),
        // Not to wait: imports that could are refused.
        Ok(ResumableCall::HostTrap(trap)) => stopped(cx, trap.host_error()),
        Err(error) => stopped(cx, &error),
    };
    Err(error.in_export("allocate"))
}

impl Suspended {
    /// What the guest waits for, if it was not stopped by `error`.
    pub(crate) fn take<T>(
        store: &mut Store<StoreData<T>>,
        error: &wasmi::Error,
    ) -> Result<Self, CallError> {
        let waits = error.downcast_ref::<Suspend>().is_some();
        let suspended = store.data_mut().suspended.get_mut().take();
        let suspended = suspended.filter(|_| waits);
        suspended.ok_or_else(|| stopped(store, error))
    }

    /// Does what the guest waits for, and puts what its import returns in `values`.
    pub(crate) fn poll<T>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        let done = ready!(self.work.poll(store, context, values));
        let brought = done.and_then(|()| self.result_shape.bring(store, self.at, values));
        let located = |error: CallError| error.into_stop().in_import(&self.result_shape.name);
        Poll::Ready(brought.map_err(located))
    }
}

impl Work {
    /// The host function's results, in the guest.
    fn poll<T>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        if let Self::Results(results) = self {
            let delivery = ready!(poll_results(store, context, results))?;
            *self = Self::Buffers(None, delivery);
        }
        match self {
            Self::Buffers(paused, delivery) => {
                ready!(poll_deliver(store, context, paused, delivery))?;
                values.extend(delivery.values().iter().cloned());
            }
            Self::Wasi(waiting) => {
                let reach = &mut store.as_context_mut();
                let (spent, done) = waiting.attempt(InstanceAccess::of(reach));
                meter::charge(store, spent)?;
                let Some(done) = done? else {
                    let platform = &store.data().shared.platform;
                    platform.wake_at(waiting.next(), context.waker());
                    return Poll::Pending;
                };
                values.extend([done]);
            }
            Self::Results(_) => {}
        }
        Poll::Ready(Ok(()))
    }
}

/// The same as [`deliver_in_call`], from outside of the guest's call. `paused` is its allocator.
fn poll_deliver<T>(
    store: &mut Store<StoreData<T>>,
    context: &mut Context<'_>,
    paused: &mut Option<ResumableCallOutOfFuel>,
    delivery: &mut Delivery<'_>,
) -> Poll<Result<(), CallError>> {
    while let Some(size) = delivery.next(store)? {
        match paused {
            Some(paused) => ready!(next_slice(store, context, paused.required_fuel()))?,
            None => ready!(first_slice(store, context))?,
        }
        let allocate = allocator(store.data())?;
        let mut ptr = [Val::I32(0)];
        store.data_mut().guest.nested = true;
        let outcome = match paused.take() {
            Some(paused) => paused.resume(&mut *store, &mut ptr),
            None => allocate.call_resumable(&mut *store, &[word(size)], &mut ptr),
        };
        store.data_mut().guest.nested = false;
        *paused = in_allocate(store, outcome)?;
        if paused.is_none() {
            delivery.got(store, pointer(&ptr))?;
        }
    }
    Poll::Ready(Ok(()))
}

/// The results of an asynchronous host function, no longer than the call may last. Its code is the
/// embedder's.
fn poll_results<T>(
    store: &Store<StoreData<T>>,
    context: &mut Context<'_>,
    results: &mut Results,
) -> Poll<Result<Box<Delivery<'static>>, CallError>> {
    let mut polled = None;
    let platform = &store.data().shared.platform;
    platform.contain(&mut || polled = Some(results.as_mut().poll(context)));
    match polled {
        Some(Poll::Ready(results)) => Poll::Ready(results),
        Some(Poll::Pending) => match meter::check_time(store.data()) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        },
        None => Poll::Ready(Err(CallError::Trap(Trap::new(TrapKind::HostPanic, "")))),
    }
}
