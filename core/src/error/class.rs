//! The code and the class of each error of a call.

use super::call::CallError;

/// The party at fault for an error of a call. Map it to an exit code, an HTTP status or a metric
/// instead of each error.
///
/// ```
/// use hostel_core::{CallError, ErrorClass};
/// let status = |error: &CallError| match error.class() {
///     ErrorClass::Guest => 422,
///     ErrorClass::Caller => 400,
///     ErrorClass::Contract => 404,
///     ErrorClass::Quota => 429,
///     ErrorClass::Deadline => 504,
///     _ => 500,
/// };
/// assert_eq!(status(&CallError::InputTooLarge { limit: 10, found: 11 }), 400);
/// assert_eq!(status(&CallError::OutOfFuel { fuel: 1_000 }), 429);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The guest returned an error of its own, or a result that breaks the ABI. Its instance stays
    /// usable.
    Guest,
    /// The caller passed a bad argument, such as an input above the budget.
    Caller,
    /// The plugin lacks an export, or has it with other types than the caller's.
    Contract,
    /// The guest crashed or broke a rule, and was stopped.
    Trap,
    /// The guest used up its fuel or another part of the budget, and was stopped.
    Quota,
    /// The deadline passed or the call was cancelled, and the guest was stopped.
    Deadline,
    /// The host could not serve the call: no heap, no free instance, no clock for its deadline, a
    /// plugin that was closed.
    Host,
}

impl CallError {
    /// Returns the stable code of this kind of error, in kebab case, such as `out-of-fuel`. Match on
    /// it instead of the text.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind().0
    }

    /// Returns the error's class.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        self.kind().1
    }

    /// Returns whether the guest was stopped: its instance can't be used again.
    #[must_use]
    pub const fn stops(&self) -> bool {
        match self.class() {
            ErrorClass::Trap | ErrorClass::Quota | ErrorClass::Deadline => true,
            _ => matches!(self, Self::Stopped),
        }
    }

    /// Returns the error's code and class. One table, so that no error has only one of them.
    const fn kind(&self) -> (&'static str, ErrorClass) {
        use ErrorClass::{Caller, Contract, Deadline, Guest, Host, Quota, Trap};
        match self {
            Self::Guest { .. } => ("guest-error", Guest),
            Self::OutputTooLarge { .. } => ("output-too-large", Guest),
            Self::ErrorTooLarge { .. } => ("error-too-large", Guest),
            Self::OutOfBounds { .. } => ("out-of-bounds", Guest),
            Self::NotUtf8 { .. } => ("not-utf8", Guest),
            Self::BadValue { .. } => ("bad-value", Guest),
            Self::NoMemory { .. } => ("no-memory", Guest),
            Self::Serialization { .. } => ("serialization", Guest),
            Self::OtherInstance { .. } => ("other-instance", Caller),
            Self::ValueType { .. } => ("value-type", Caller),
            Self::InputTooLarge { .. } => ("input-too-large", Caller),
            Self::BufferTooSmall { .. } => ("buffer-too-small", Caller),
            Self::UnknownExport { .. } => ("unknown-export", Contract),
            Self::ExportType { .. } => ("export-type", Contract),
            Self::MissingExport { .. } => ("missing-export", Contract),
            Self::Trap(trap) => (trap.kind().code(), Trap),
            Self::Exited { .. } => ("exited", Trap),
            Self::OutOfFuel { .. } => ("out-of-fuel", Quota),
            Self::HostCalls { .. } => ("host-calls", Quota),
            Self::ArgumentTooLarge { .. } => ("argument-too-large", Quota),
            // Older than the variant's name; codes are stable.
            Self::BytesToGuest { .. } => ("arena-bytes", Quota),
            Self::DeserializedTooLarge { .. } => ("deserialized-too-large", Quota),
            Self::NestedTooDeep { .. } => ("nested-too-deep", Quota),
            Self::Deadline { .. } => ("deadline", Deadline),
            Self::Cancelled => ("cancelled", Deadline),
            Self::NoClock => ("no-clock", Host),
            Self::DoesNotFit { .. } => ("does-not-fit", Host),
            Self::Busy { .. } => ("busy", Host),
            Self::TooNested { .. } => ("too-nested", Host),
            Self::NestedWait { .. } => ("nested-wait", Host),
            Self::Closed => ("closed", Host),
            Self::Stopped => ("stopped", Host),
        }
    }
}
