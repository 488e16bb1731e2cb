//! What of an instance a host function can reach that works on the guest's memory itself, and what
//! such a function keeps from call to call.

use super::{
    Shared, StoreData,
    canceller::Canceller,
    meter::{self, Meter},
};
use alloc::{boxed::Box, vec::Vec};
use core::any::Any;
use wasmi::StoreContextMut;

/// What an instance keeps of WASI from call to call. A trait, so that a program is linked with WASI
/// only where it is granted.
pub(crate) trait KeptSession: Any + Send + Sync {
    /// Ends a call: what is left of a line becomes a log record.
    fn end_call(&mut self, shared: &Shared, meter: &mut Meter);

    fn take_stdout(&mut self) -> Vec<u8>;

    fn take_stderr(&mut self) -> Vec<u8>;
}

/// What of an instance a function of WASI's can reach.
pub(crate) struct InstanceAccess<'a> {
    /// The guest's memory; empty where it has none.
    pub(crate) memory: &'a mut [u8],
    pub(crate) resident: &'a mut Option<Box<dyn KeptSession>>,
    pub(crate) shared: &'a Shared,
    pub(crate) meter: &'a mut Meter,
    pub(crate) canceller: Option<&'a Canceller>,
    /// What the call may still use.
    pub(crate) fuel: u64,
    /// Whether the thread waits where the guest does.
    pub(crate) blocks: bool,
}

impl<'a> InstanceAccess<'a> {
    pub(crate) fn of<T>(guest: &'a mut StoreContextMut<'_, StoreData<T>>) -> Self {
        let fuel = meter::fuel_left(guest);
        let (memory, state) = match guest.data().guest.memory {
            Some(memory) => memory.data_and_store_mut(guest),
            None => (&mut [][..], guest.data_mut()),
        };
        Self {
            memory,
            resident: &mut state.wasi,
            shared: &state.shared,
            meter: &mut state.meter,
            canceller: state.canceller.as_ref(),
            fuel,
            blocks: state.pace.is_none() && !state.guest.nested,
        }
    }
}
