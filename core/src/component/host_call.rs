//! One call of a host function by a component.

use super::{
    Lower,
    lift::LiftBounds,
    lower::Lowered,
    parts::LiftParts,
    program::Options,
    types::{FunctionType, FunctionTypeId, Types},
};
use crate::{call::StoreData, error::CallError};
use alloc::boxed::Box;
use core::task::{Context, Poll};
use wasmi::{StoreContextMut, Val};

/// A host function for components, of any type.
pub(crate) trait HostFunction<T>: Send + Sync + 'static {
    /// Returns whether it is one for imports of type `ty`. If not, loading fails and names both types.
    fn fits(&self, types: &Types, ty: &FunctionType) -> bool;

    /// Returns the type that it has, as WIT, for the message if it does not fit.
    fn shown(&self) -> alloc::string::String;

    /// Lifts the arguments, does the work, and gives the result to `call`; or returns what the guest waits for.
    fn call(&self, call: &mut HostCall<'_, T>) -> Result<Answered<T>, CallError>;
}

/// Whether a host function has its result.
pub(crate) enum Answered<T> {
    /// It was given to the call, or there is none.
    Now,
    /// The guest is suspended until this is ready.
    Later(Box<dyn Pending<T>>),
}

/// Work of a host function for which a guest is suspended.
pub(crate) trait Pending<T>: Send {
    /// Tries again. Gives the result to `call` if it is ready.
    fn poll(
        &mut self,
        call: &mut HostCall<'_, T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>>;
}

/// One call of a host function by a component.
pub(crate) struct HostCall<'a, T> {
    /// The store of the instance that calls.
    pub(crate) guest: StoreContextMut<'a, StoreData<T>>,
    pub(crate) types: &'a Types,
    pub(crate) ty: FunctionTypeId,
    /// Core values of the arguments, or a pointer to them.
    flat: &'a [Val],
    /// The result, once it is given.
    answer: Option<Lowered<'static>>,
}
