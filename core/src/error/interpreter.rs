//! Passes errors through the interpreter, and translates the interpreter's own.

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

/// Carries a [`CallError`] out of a host function and through the interpreter.
pub(crate) struct Stop(pub(crate) CallError);

/// wasmi requires it. Writes the text, so that the code for `Debug` of each field is not linked.
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

impl CallError {
    /// Wraps the error, so that the interpreter carries it out of a host function.
    pub(crate) fn into_wasmi(self) -> wasmi::Error {
        wasmi::Error::host(Stop(self.into_stop()))
    }

    /// Translates an error of the interpreter. `fuel` is the call's budget, for the message.
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
            // wasmi's own text has internal numbers that differ from run to run.
            ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit {
                table_index,
                len,
                ..
            }) => alloc::format!("{len} elements at {table_index} are outside their table"),
            ErrorKind::Instantiation(error) => alloc::format!("{error}"),
            _ => String::new(),
        };
        Self::Trap(Trap::new(kind, message))
    }
}
