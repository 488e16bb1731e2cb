//! Suspends a guest in a host function that can't return at once, because it is asynchronous or
//! because the guest's allocator needs more than the slice's fuel.
//!
//! The host function leaves the interpreter by the error [`Suspend`]. The pending work is then done
//! here, outside the guest, which is resumed with the result.

use super::{
    StoreData,
    access::InstanceAccess,
    delivery::{Delivery, allocator},
    later::Later,
    meter,
    result_shape::ResultShape,
    run::{first_slice, next_slice, stopped},
};
use crate::{
    base::{fuel::Spending, shape::FlatValues},
    error::CallError,
};
use alloc::boxed::Box;
#[cfg(feature = "contract")]
use core::any::Any;
use core::{
    cell::Cell,
    fmt, mem,
    task::{Context, Poll, ready},
    time::Duration,
};
use wasmi::{AsContextMut, Caller, Store, TypedResumableCall, TypedResumableCallOutOfFuel, Val};

/// A guest that waits in a host function.
pub(crate) struct Suspended {
    pub(crate) work: Work,
    pub(crate) result_shape: ResultShape,
    /// Address of the results' record, if the shape has one.
    pub(crate) at: u32,
}

/// A guest's allocator whose slice is used up.
pub(crate) type PausedAllocator = TypedResumableCallOutOfFuel<u32>;

/// The work for which a guest waits.
pub(crate) enum Work {
    /// Buffers for the host function's results. The guest's allocator may be paused. Boxed, since every
    /// idle instance has room for this.
    Buffers(Option<Box<PausedAllocator>>, Box<Delivery<'static>>),
    /// An asynchronous host function's results.
    Results(Later<Result<Box<Delivery<'static>>, CallError>>),
    /// A time, or input.
    Wasi(Box<dyn PendingHostCall>),
    /// Work of a component's machine, by pointer: a `Box<dyn Aside<T>>` for the store's `T`.
    #[cfg(feature = "contract")]
    Aside(Box<dyn Any + Send>),
}

/// Work that runs guest code while another guest waits for it.
#[cfg(feature = "contract")]
pub(crate) trait Aside<T>: Send {
    /// Does the work, and puts the import's results in `values`.
    fn poll(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>>;
}

/// A WASI function that waits. A trait, so that a program that grants no WASI is linked without it.
pub(crate) trait PendingHostCall: Send {
    /// Tries again. Returns the function's result once it has one.
    fn attempt(
        &mut self,
        access: InstanceAccess<'_>,
        context: &mut Context<'_>,
    ) -> Result<Option<Val>, CallError>;

    /// Returns the time of the next attempt, on the platform's clock, if that is known.
    fn next(&self) -> Option<Duration>;
}

/// The error by which a host function leaves the interpreter to suspend the guest.
#[derive(Debug)]
pub(crate) struct Suspend;

impl fmt::Display for Suspend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest waits")
    }
}

impl wasmi::errors::HostError for Suspend {}

/// Brings a host function's results into the guest inside its call, and charges the call what it owes
/// with the first buffer: runs the guest's allocator with the slice's remaining fuel. Returns the paused
/// allocator if that does not suffice.
///
/// Meanwhile imports that may run guest code are refused: each level of re-entry would take native
/// stack, which wasmi's recursion limit does not count.
pub(crate) fn deliver_in_call<T>(
    guest: &mut Caller<'_, StoreData<T>>,
    delivery: &mut Delivery<'_>,
    mut owed: u64,
) -> Result<Option<PausedAllocator>, CallError> {
    while let Some(size) = delivery.next(guest, mem::take(&mut owed))? {
        let allocate = allocator(guest.data())?;
        guest.data_mut().guest.nested = true;
        let outcome = allocate.function.call_resumable(&mut *guest, size);
        guest.data_mut().guest.nested = false;
        match in_allocate(guest, outcome)? {
            Ok(ptr) => delivery.got(guest, ptr)?,
            Err(paused) => return Ok(Some(paused)),
        }
    }
    Ok(None)
}

/// Returns the pointer that the allocator returned, or the allocator if `outcome` says that it is
/// paused.
fn in_allocate<T, C>(
    cx: &mut C,
    outcome: Result<TypedResumableCall<u32>, wasmi::Error>,
) -> Result<Result<u32, PausedAllocator>, CallError>
where
    C: AsContextMut<Data = StoreData<T>>,
{
    let error = match outcome {
        Ok(TypedResumableCall::Finished(ptr)) => return Ok(Ok(ptr)),
        Ok(TypedResumableCall::OutOfFuel(paused)) => return Ok(Err(paused)),
        // Not a suspension: imports that could wait are refused.
        Ok(TypedResumableCall::HostTrap(trap)) => stopped(cx, trap.host_error()),
        Err(error) => stopped(cx, &error),
    };
    let allocate = allocator(cx.as_context().data())?;
    Err(error.in_export(allocate.name))
}

impl Suspended {
    /// Takes the suspended guest from the store if `error` is a suspension. Otherwise returns the
    /// translated error.
    // Not inlined, and neither is `poll`: each of their callers exists for several types.
    #[cold]
    #[inline(never)]
    pub(crate) fn take<T>(
        store: &mut Store<StoreData<T>>,
        error: &wasmi::Error,
    ) -> Result<Self, CallError> {
        let waits = error.downcast_ref::<Suspend>().is_some();
        let suspended = store.data_mut().suspended.get_mut().take();
        let suspended = suspended.filter(|_| waits);
        suspended.ok_or_else(|| stopped(store, error))
    }

    /// Takes the work of a component's machine for which its function waits that the host called itself: a module may
    /// export a function that it imports, or start with it. `None` if `error` is not of that.
    #[cfg(feature = "contract")]
    #[cold]
    #[inline(never)]
    pub(crate) fn take_aside<T>(
        store: &mut Store<StoreData<T>>,
        error: &wasmi::Error,
    ) -> Option<Self> {
        error.downcast_ref::<Suspend>()?;
        let suspended = store.data_mut().suspended.get_mut();
        suspended.take_if(|suspended| matches!(suspended.work, Work::Aside(_)))
    }

    /// Does the pending work, and puts the import's results in `values`.
    #[cold]
    #[inline(never)]
    pub(crate) fn poll<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        let done = ready!(self.work.poll(store, context, values));
        let encoded = done.and_then(|()| self.result_shape.encode(store, self.at, values));
        let located = |error: CallError| error.into_stop().in_import(&self.result_shape.name);
        store.data_mut().leave_suspended();
        Poll::Ready(encoded.map_err(located))
    }
}

impl Work {
    /// Does the work, and puts the host function's results in `values`.
    fn poll<T: 'static>(
        &mut self,
        store: &mut Store<StoreData<T>>,
        context: &mut Context<'_>,
        values: &mut FlatValues,
    ) -> Poll<Result<(), CallError>> {
        if let Self::Results(results) = self {
            // Waiting costs no fuel.
            let spent = Cell::new(0);
            let cx = &mut store.as_context_mut();
            let access = InstanceAccess::of(cx, Spending::new(0, &spent));
            let delivery = ready!(results.poll(&access, context)?)?;
            *self = Self::Buffers(None, delivery);
        }
        match self {
            Self::Buffers(paused, delivery) => {
                ready!(poll_deliver(store, context, paused, delivery))?;
                values.extend(delivery.values().iter().cloned());
            }
            Self::Wasi(waiting) => {
                let spent = Cell::new(0);
                let spending = Spending::new(meter::fuel_left(store), &spent);
                let cx = &mut store.as_context_mut();
                let done = waiting.attempt(InstanceAccess::of(cx, spending), context);
                meter::charge(store, spent.get())?;
                let Some(done) = done? else {
                    let platform = &store.data().shared.platform;
                    platform.wake_at(waiting.next(), context.waker());
                    return Poll::Pending;
                };
                values.extend([done]);
            }
            #[cfg(feature = "contract")]
            Self::Aside(aside) => {
                // Made for this store.
                if let Some(aside) = aside.downcast_mut::<Box<dyn Aside<T>>>() {
                    ready!(aside.poll(store, context, values))?;
                }
            }
            // Replaced by `Buffers` above.
            Self::Results(..) => {}
        }
        Poll::Ready(Ok(()))
    }
}

/// Brings a host function's results into the guest outside its call. `paused` is the guest's paused
/// allocator. Unlike [`deliver_in_call`], it can use further slices.
fn poll_deliver<T>(
    store: &mut Store<StoreData<T>>,
    context: &mut Context<'_>,
    paused: &mut Option<Box<PausedAllocator>>,
    delivery: &mut Delivery<'_>,
) -> Poll<Result<(), CallError>> {
    while let Some(size) = delivery.next(store, 0)? {
        match paused {
            Some(paused) => ready!(next_slice(store, context, paused.required_fuel()))?,
            None => ready!(first_slice(store, context))?,
        }
        let allocate = allocator(store.data())?;
        store.data_mut().guest.nested = true;
        let outcome = match paused.take() {
            Some(paused) => paused.resume(&mut *store),
            None => allocate.function.call_resumable(&mut *store, size),
        };
        store.data_mut().guest.nested = false;
        match in_allocate(store, outcome)? {
            Ok(ptr) => delivery.got(store, ptr)?,
            Err(still) => *paused = Some(Box::new(still)),
        }
    }
    Poll::Ready(Ok(()))
}
