//! The parts of an instance that WASI functions reach. They work on the guest's memory itself and
//! keep a session from call to call.

use super::{Shared, StoreData, canceller::Canceller, limiter::InstanceLimiter, meter::Meter};
use crate::base::fuel::Spending;
use alloc::{boxed::Box, vec::Vec};
use core::any::Any;
use wasmi::StoreContextMut;

/// An instance's WASI session, kept from call to call. A trait, so that a program that grants no
/// WASI is linked without it.
pub(crate) trait WasiState: Any + Send + Sync {
    /// Ends a call: an unfinished line of output becomes a log record.
    fn end_call(&mut self, shared: &Shared, meter: &mut Meter);

    /// Takes the collected bytes of stdout.
    fn take_stdout(&mut self) -> Vec<u8>;

    /// Takes the collected bytes of stderr.
    fn take_stderr(&mut self) -> Vec<u8>;
}

/// The host's side of an instance whose convention is not the native one, between the functions that its
/// guest calls. A trait, so that a program that grants no such convention is linked without them.
pub(crate) trait Session: Any + Send + Sync {
    /// Returns the output of the last call that ended well.
    fn output(&self) -> &[u8];
}

impl dyn Session {
    /// Returns the session as the convention's own type. `None` can't happen: an instance has one
    /// convention, which made the session.
    pub(crate) fn own<S: Session>(&mut self) -> Option<&mut S> {
        (self as &mut dyn Any).downcast_mut()
    }
}

/// The parts of an instance that a WASI function can reach.
pub(crate) struct InstanceAccess<'a> {
    /// The guest's memory; empty if it has none.
    pub(crate) memory: &'a mut [u8],
    pub(crate) session: &'a mut Option<Box<dyn WasiState>>,
    /// The host's side of a convention other than the native one.
    pub(crate) exchange: &'a mut Option<Box<dyn Session>>,
    pub(crate) shared: &'a Shared,
    pub(crate) meter: &'a mut Meter,
    pub(crate) limiter: &'a mut InstanceLimiter,
    pub(crate) canceller: Option<&'a Canceller>,
    /// The fuel that the function may spend.
    pub(crate) spending: Spending<'a>,
    /// Whether a guest that waits blocks the thread. If not, the guest is suspended.
    pub(crate) blocks: bool,
}

impl<'a> InstanceAccess<'a> {
    /// Borrows the parts of an instance for a function that has nothing to do with its memory.
    #[cfg(feature = "contract")]
    pub(crate) fn without_memory<T>(state: &'a mut StoreData<T>, spending: Spending<'a>) -> Self {
        Self {
            memory: &mut [],
            session: &mut state.wasi,
            exchange: &mut state.exchange,
            shared: &state.shared,
            meter: &mut state.meter,
            limiter: &mut state.limiter,
            canceller: state.canceller.as_ref(),
            spending,
            blocks: state.pace.is_none(),
        }
    }

    /// Borrows the parts of the instance that called the function.
    pub(crate) fn of<T>(
        guest: &'a mut StoreContextMut<'_, StoreData<T>>,
        spending: Spending<'a>,
    ) -> Self {
        let (memory, state) = match guest.data().guest.memory {
            Some(memory) => memory.data_and_store_mut(guest),
            None => (&mut [][..], guest.data_mut()),
        };
        Self {
            memory,
            session: &mut state.wasi,
            exchange: &mut state.exchange,
            shared: &state.shared,
            meter: &mut state.meter,
            limiter: &mut state.limiter,
            canceller: state.canceller.as_ref(),
            spending,
            blocks: state.pace.is_none() && !state.guest.nested,
        }
    }
}
