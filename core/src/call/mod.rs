//! One request to a guest: what the store holds for it, what it may still use, how it is run in
//! slices, and what a guest waits for.

pub(crate) mod access;
pub(crate) mod block;
pub(crate) mod canceller;
pub(crate) mod delivery;
pub(crate) mod limiter;
pub(crate) mod meter;
pub(crate) mod pace;
pub(crate) mod result_shape;
pub(crate) mod run;
pub(crate) mod suspend;

use self::{
    access::KeptSession, canceller::Canceller, limiter::InstanceLimiter, meter::Meter, pace::Pace,
    suspend::Suspended,
};
use crate::base::{log::LogSink, platform::Platform};
use alloc::{boxed::Box, sync::Arc};
use spin::Mutex;
use wasmi::{Func, Memory};

/// What all instances of a plugin share.
pub(crate) struct Shared {
    pub(crate) name: Box<str>,
    pub(crate) platform: Arc<dyn Platform>,
    /// What the platform stops panics with.
    pub(crate) containment: Option<fn(&mut dyn FnMut())>,
    pub(crate) log: Option<Arc<dyn LogSink>>,
}

/// What a store holds: one instance's side of the host.
pub(crate) struct StoreData<T> {
    pub(crate) data: T,
    pub(crate) shared: Arc<Shared>,
    pub(crate) guest: Guest,
    pub(crate) meter: Meter,
    pub(crate) limiter: InstanceLimiter,
    /// Set once somebody asked for a [`Canceller`].
    pub(crate) canceller: Option<Canceller>,
    /// Set where a call is run by steps.
    pub(crate) pace: Option<Arc<Pace>>,
    /// What the guest waits for, between a host function that can't answer at once and the run
    /// that goes on with it. Behind a mutex, which is never locked, because futures are not to be
    /// shared between threads, and stores are.
    pub(crate) suspended: Mutex<Option<Suspended>>,
    /// Set once the instance called a function of WASI's. Without it, the next such call finds
    /// WASI as in a new instance.
    pub(crate) wasi: Option<Box<dyn KeptSession>>,
}

/// The guest's memory and allocator, found once.
#[derive(Clone, Copy, Default)]
pub(crate) struct Guest {
    pub(crate) memory: Option<Memory>,
    pub(crate) allocate: Option<Func>,
    pub(crate) deallocate: Option<Deallocate>,
    /// Whether the guest runs `allocate` for a host function that waits for it.
    pub(crate) nested: bool,
}

/// How a guest takes a buffer back.
#[derive(Clone, Copy)]
pub(crate) struct Deallocate {
    pub(crate) function: Func,
    /// 2 for `(ptr, size)`, 1 for `(ptr)`, as C's `free`.
    pub(crate) params: usize,
}
