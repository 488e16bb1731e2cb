//! One call of a guest: the store's data, the meter, the run in slices of fuel, and the host
//! functions for which a guest waits.

pub(crate) mod access;
pub(crate) mod alarm;
pub(crate) mod block;
pub(crate) mod canceller;
pub(crate) mod delivery;
pub(crate) mod later;
pub(crate) mod limiter;
pub(crate) mod meter;
pub(crate) mod nested;
pub(crate) mod pace;
pub(crate) mod paused;
pub(crate) mod result_shape;
pub(crate) mod run;
pub(crate) mod suspend;

use self::{
    access::{Session, WasiState},
    canceller::Canceller,
    limiter::InstanceLimiter,
    meter::Meter,
    pace::Pace,
    suspend::Suspended,
};
use crate::base::{log::LogSink, platform::Platform};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use spin::Mutex;
#[cfg(feature = "trace")]
use wasmi::Global;
use wasmi::{Func, Memory, TypedFunc};

/// Data that all instances of a plugin share.
pub(crate) struct Shared {
    pub(crate) name: Box<str>,
    pub(crate) platform: Arc<dyn Platform>,
    /// The platform's [`containment`](Platform::containment), looked up once.
    pub(crate) containment: Option<fn(&mut dyn FnMut())>,
    /// The platform's [`nesting`](Platform::nesting), looked up once.
    pub(crate) nesting: Option<nested::WithNesting>,
    /// Whether the guest can call the host, and the host other guests.
    pub(crate) imports: bool,
    pub(crate) log: Option<Arc<dyn LogSink>>,
}

/// The data of a store: the host's side of one instance.
pub(crate) struct StoreData<T> {
    /// The embedder's data.
    pub(crate) data: T,
    pub(crate) shared: Arc<Shared>,
    pub(crate) guest: Guest,
    pub(crate) meter: Meter,
    pub(crate) limiter: InstanceLimiter,
    /// Set once the embedder has asked for a [`Canceller`].
    pub(crate) canceller: Option<Canceller>,
    /// Set while a call is stepped or awaited.
    pub(crate) pace: Option<Arc<Pace>>,
    /// The host call for which the guest waits: set by a host function that can't return at once,
    /// taken by the run that resumes the guest. The mutex is never locked. It makes the store `Sync`
    /// although futures are not.
    pub(crate) suspended: Mutex<Option<Suspended>>,
    /// Set once the instance has called a WASI function. If unset, the next such call starts a new
    /// session.
    pub(crate) wasi: Option<Box<dyn WasiState>>,
    /// The host's side of a convention other than the native one; set by its first call.
    pub(crate) exchange: Option<Box<dyn Session>>,
    /// The instances of a plugin of several modules. `None` for a plugin of one module.
    pub(crate) linked: Option<Box<LinkedInstances>>,
}

/// The instances of a plugin of several modules.
#[derive(Default)]
pub(crate) struct LinkedInstances {
    /// All guests, the main one last.
    pub(crate) guests: Vec<Guest>,
    /// The instances of the other modules.
    pub(crate) others: Vec<wasmi::Instance>,
    /// The functions that run before those of the main module when an instance is made, with their names.
    pub(crate) starts: Vec<(&'static str, Func)>,
}

impl<T> StoreData<T> {
    /// Makes the linked module of this number the guest on which host functions work. Returns the guest
    /// before, for [`leave`](Self::leave).
    pub(crate) fn enter(&mut self, module: usize) -> Guest {
        let before = self.guest;
        let linked = self.linked.as_ref();
        if let Some(own) = linked.and_then(|linked| linked.guests.get(module)) {
            self.guest = Guest {
                nested: before.nested,
                ..*own
            };
        }
        before
    }

    /// Makes `before` the guest again, unless the one that called a host function waits for it.
    pub(crate) fn leave(&mut self, before: Guest) {
        if self.suspended.get_mut().is_none() {
            self.guest = before;
        }
    }

    /// Makes the main module the guest again, after a host function for which a guest waited.
    pub(crate) fn leave_suspended(&mut self) {
        if let Some(linked) = &self.linked
            && let Some(main) = linked.guests.last()
        {
            self.guest = *main;
        }
    }
}

/// The guest's memory and allocator, looked up once.
#[derive(Clone, Copy, Default)]
pub(crate) struct Guest {
    pub(crate) memory: Option<Memory>,
    pub(crate) allocate: Option<Allocate>,
    pub(crate) deallocate: Option<Deallocate>,
    /// The allocator of the canonical ABI.
    #[cfg(feature = "contract")]
    pub(crate) realloc: Option<Func>,
    /// The global in which the guest keeps a trace of its functions, if it does.
    #[cfg(feature = "trace")]
    pub(crate) trace: Option<Global>,
    /// Whether the guest runs `allocate` while a host function waits for the buffer, or a component its `realloc` or
    /// `post-return`. It can call no imports then, but for a few.
    pub(crate) nested: bool,
}

/// The function by which a guest gives a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Allocate {
    /// The export's name: `allocate` or `malloc`. One word, since each instance has it.
    pub(crate) name: &'static &'static str,
    pub(crate) function: TypedFunc<u32, u32>,
}

/// The function by which a guest takes a buffer back.
#[derive(Clone, Copy)]
pub(crate) struct Deallocate {
    /// The export's name: `deallocate` or `free`.
    pub(crate) name: &'static &'static str,
    pub(crate) function: Func,
    /// Number of parameters: 2 for `(ptr, size)`, 1 for `(ptr)` as in C's `free`.
    pub(crate) params: usize,
}
