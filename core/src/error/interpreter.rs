//! Errors on their way through the interpreter, and what its own mean.

use super::{
    call::CallError,
    trap::{Trap, TrapKind},
};
use alloc::string::String;
use core::fmt;
use wasmi::{
    TrapCode,
    errors::{ErrorKind, InstantiationError},
};

/// Carries a [`CallError`] through the interpreter, out of a host function.
pub(crate) struct Stop(pub(crate) CallError);

/// wasmi asks for it. As text, so that the code to show every field is not linked.
impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl wasmi::errors::HostError for Stop {}

impl From<CallError> for wasmi::Error {
    fn from(error: CallError) -> Self {
        Self::host(Stop(error.into_stop()))
    }
}

impl CallError {
    /// What the interpreter's error means. `fuel` is the call's budget, for the message.
    pub(crate) fn from_wasmi(error: &wasmi::Error, fuel: u64) -> Self {
        if let Some(Stop(error)) = error.downcast_ref::<Stop>() {
            return error.clone();
        }
        let kind = match error.as_trap_code() {
            Some(TrapCode::OutOfFuel) => return Self::OutOfFuel { fuel },
            Some(TrapCode::UnreachableCodeReached) => TrapKind::Unreachable,
            Some(TrapCode::MemoryOutOfBounds) => TrapKind::MemoryOutOfBounds,
            Some(TrapCode::TableOutOfBounds) => TrapKind::TableOutOfBounds,
            Some(TrapCode::IndirectCallToNull) => TrapKind::IndirectCallToNull,
            Some(TrapCode::BadSignature) => TrapKind::BadSignature,
            Some(TrapCode::IntegerDivisionByZero) => TrapKind::DivisionByZero,
            Some(TrapCode::IntegerOverflow) => TrapKind::IntegerOverflow,
            Some(TrapCode::BadConversionToInteger) => TrapKind::BadConversion,
            Some(TrapCode::StackOverflow) => TrapKind::StackOverflow,
            Some(TrapCode::OutOfSystemMemory) => TrapKind::OutOfMemory,
            _ if matches!(error.kind(), ErrorKind::Instantiation(_)) => TrapKind::Instantiation,
            _ => return Self::Trap(Trap::new(TrapKind::Other, alloc::format!("{error}"))),
        };
        let message = match error.kind() {
            // wasmi names its own numbers, which differ from time to time.
            ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit {
                table_index,
                len,
                ..
            }) => alloc::format!("{len} elements at {table_index} are outside of their table"),
            ErrorKind::Instantiation(error) => alloc::format!("{error}"),
            _ => String::new(),
        };
        Self::Trap(Trap::new(kind, message))
    }
}
