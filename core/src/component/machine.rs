//! [`Machine`]: the state of a component's instance, in the store.

use super::{program::ComponentInstance, resource::Handles};
use crate::{
    call::{StoreData, access::Session},
    error::CallError,
};
use alloc::{boxed::Box, vec::Vec};
use core::marker::PhantomData;
use wasmi::Store;

/// The state of a component's instance.
pub(crate) struct Machine<T> {
    pub(crate) handles: Handles,
    /// By component instance.
    flags: Vec<Flags>,
    data: PhantomData<fn(T)>,
}

/// What a component instance may do.
struct Flags {
    /// Whether it may call imports.
    may_leave: bool,
}

impl<T: 'static> Session for Machine<T> {
    fn output(&self) -> &[u8] {
        &[]
    }
}

impl<T: 'static> Machine<T> {
    /// Returns the machine that a store keeps.
    pub(crate) fn of(exchange: &mut Option<Box<dyn Session>>) -> Result<&mut Self, CallError> {
        let machine = exchange.as_mut().and_then(|session| session.own());
        machine.ok_or_else(|| CallError::Stopped)
    }

    /// Returns the machine of `store`.
    pub(crate) fn of_store(store: &mut Store<StoreData<T>>) -> Result<&mut Self, CallError> {
        Self::of(&mut store.data_mut().exchange)
    }

    /// Returns whether a component instance may call imports, to be set.
    pub(crate) fn may_leave(
        &mut self,
        instance: ComponentInstance,
    ) -> Result<&mut bool, CallError> {
        let at = usize::try_from(instance.0).unwrap_or(usize::MAX);
        let flags = self.flags.get_mut(at).ok_or_else(|| CallError::Stopped)?;
        Ok(&mut flags.may_leave)
    }
}
