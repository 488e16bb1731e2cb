//! The errors of a call.

use super::trap::{Trap, TrapKind};
use crate::base::{fuel::Overdrawn, signature::Signature, text::shown};
use alloc::boxed::Box;
use core::{error::Error, fmt, time::Duration};

/// An error of a call.
///
/// If [`stops`](Self::stops) returns true, the guest was stopped in the middle of its work, and its
/// instance refuses further calls with [`Stopped`](Self::Stopped). After all other errors the
/// instance stays usable.
///
/// [`code`](Self::code) is stable and [`class`](Self::class) groups the errors; the text of
/// `Display` is for people and may change. With `{:#}` it leaves out which limit to raise.
///
/// ```
/// use hostel_core::CallError;
/// let error = CallError::InputTooLarge { limit: 10, found: 11 };
/// assert_eq!(error.code(), "input-too-large");
/// assert!(!error.stops());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// The guest returned an error of its own.
    Guest {
        /// The guest's text, with invalid UTF-8 replaced by U+FFFD.
        message: Box<str>,
    },
    /// The plugin exports no function of this name.
    UnknownExport {
        /// The name that the caller gave.
        name: Box<str>,
        /// The functions that the plugin exports, for the message.
        exports: Box<str>,
    },
    /// The export can't be called with the caller's types.
    ExportType {
        /// The export's name.
        name: Box<str>,
        /// The signatures that fit the caller's types.
        expected: Box<str>,
        /// The signature that the module declares.
        found: Box<str>,
    },
    /// A value does not have the type that a component's function takes or returns.
    ValueType {
        /// The expected type, and the value.
        reason: Box<str>,
    },
    /// A [`TypedFunction`](crate::TypedFunction) was called on another instance than its own.
    OtherInstance {
        /// The export's name.
        name: Box<str>,
    },
    /// The input is larger than [`Budget::input_bytes`](crate::Budget::input_bytes).
    InputTooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The input's length, in bytes.
        found: usize,
    },
    /// The guest's output is larger than [`Budget::output_bytes`](crate::Budget::output_bytes).
    OutputTooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The output's length, in bytes: that of all texts and byte strings up to the one that
        /// exceeds the limit.
        found: usize,
    },
    /// The guest returned an error whose message is longer than
    /// [`Budget::error_bytes`](crate::Budget::error_bytes).
    ErrorTooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The message's length, in bytes.
        found: usize,
    },
    /// The caller's buffer is smaller than the output. Nothing was copied.
    BufferTooSmall {
        /// The output's length, in bytes.
        needed: usize,
        /// The buffer's length, in bytes.
        found: usize,
    },
    /// A pointer and length from the guest describe bytes outside its memory.
    OutOfBounds {
        /// The value that they describe, for the message.
        what: &'static str,
        /// The pointer.
        ptr: u32,
        /// The length, in bytes.
        len: u32,
        /// The memory's size at that time, in bytes.
        memory: usize,
    },
    /// Text from the guest is not UTF-8.
    NotUtf8 {
        /// The value that holds the text, for the message.
        what: &'static str,
        /// The offset of the first byte that is not part of a character.
        at: usize,
    },
    /// A number from the guest is not a value of the expected type.
    BadValue {
        /// The expected type.
        expected: &'static str,
        /// The number, extended to 64 bits.
        found: i64,
    },
    /// The guest's allocator returned 0: it has no memory for a buffer of this size.
    NoMemory {
        /// The size of the buffer, in bytes.
        asked: usize,
    },
    /// The plugin can't exchange text or bytes because it lacks this export.
    MissingExport {
        /// `memory` or `allocate`.
        name: &'static str,
    },
    /// A value could not be serialised or deserialised.
    Serialization {
        /// The serialiser's error.
        reason: Box<str>,
    },
    /// Serialised values from the guest take more heap than
    /// [`Budget::deserialized_bytes`](crate::Budget::deserialized_bytes).
    DeserializedTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A serialised value from the guest nests deeper than
    /// [`Budget::deserialized_levels`](crate::Budget::deserialized_levels).
    NestedTooDeep {
        /// The limit, a number of levels.
        limit: usize,
    },
    /// The machine's heap has no room for the instance, the call or its output. Either nothing was
    /// done, or the output is lost.
    DoesNotFit {
        /// The most bytes that it takes.
        needed: u64,
        /// The bytes that were free, if the [`Platform`](crate::Platform) knows.
        free: Option<u64>,
    },
    /// All instances of the plugin are in use, and the call could not wait for one: the queue
    /// ([`Limits::waiting`](crate::Limits::waiting)) is full, the deadline passed, or the platform
    /// can't wait.
    Busy {
        /// The limit, [`Limits::instances`](crate::Limits::instances).
        limit: usize,
    },
    /// Too many calls run inside one another: host functions call plugins whose host functions call
    /// plugins. Nothing has run.
    TooNested {
        /// The limit: 16 on `hostel::Std`, or as [`Platform::nesting`](crate::Platform::nesting) says.
        limit: usize,
    },
    /// A host function called a plugin whose instances are all in use. The call does not wait, since
    /// the wait might never end: a call on its own thread holds one of these instances, or the call
    /// has no [`deadline`](crate::Budget::deadline).
    NestedWait {
        /// The limit, [`Limits::instances`](crate::Limits::instances).
        limit: usize,
    },
    /// The plugin was closed.
    Closed,
    /// An earlier call stopped the instance, which can't be used again.
    Stopped,
    /// The guest ended itself with WASI's `proc_exit` in the middle of a call.
    /// [`Instance::run_command`](crate::Instance::run_command) returns the code instead.
    Exited {
        /// The exit code; 0 for success.
        code: u32,
    },
    /// The guest, or a host function that it called, trapped.
    Trap(Trap),
    /// The call used up [`Budget::fuel`](crate::Budget::fuel).
    OutOfFuel {
        /// The budget, in units of fuel.
        fuel: u64,
    },
    /// The call passed [`Budget::deadline`](crate::Budget::deadline).
    Deadline {
        /// The budget, counted from the call's start.
        after: Duration,
    },
    /// The budget has a [`deadline`](crate::Budget::deadline), but the platform has no clock. Nothing
    /// has run.
    NoClock,
    /// A [`Canceller`](crate::Canceller) cancelled the call.
    Cancelled,
    /// The guest called host functions more often than
    /// [`Budget::host_calls`](crate::Budget::host_calls).
    HostCalls {
        /// The budget, a number of calls.
        limit: u32,
    },
    /// The guest passed a host function a text or byte string longer than
    /// [`Budget::argument_bytes`](crate::Budget::argument_bytes).
    ArgumentTooLarge {
        /// The budget, in bytes.
        limit: usize,
        /// The argument's length, in bytes.
        found: usize,
    },
    /// Host functions had more bytes for the guest than
    /// [`Budget::bytes_to_guest`](crate::Budget::bytes_to_guest).
    BytesToGuest {
        /// The budget, in bytes.
        limit: usize,
    },
}

impl CallError {
    /// Returns the error that the export `name` has the type `found` instead of `expected`.
    pub(crate) fn export_type(
        name: &str,
        expected: impl Into<Box<str>>,
        found: &Signature,
    ) -> Self {
        Self::ExportType {
            name: name.into(),
            expected: expected.into(),
            found: alloc::format!("{found}").into(),
        }
    }

    /// Turns an error of a host function's arguments or results into one that stops the guest. A
    /// guest that breaks the ABI could not receive an error.
    pub(crate) fn into_stop(self) -> Self {
        if self.stops() {
            self
        } else {
            Self::Trap(Trap::new(TrapKind::BadHostCall, alloc::format!("{self}")))
        }
    }
}

impl From<Overdrawn> for CallError {
    /// Leaves the budget at 0: charging the tally, which follows, fails with the real figure.
    #[cold]
    fn from(_: Overdrawn) -> Self {
        Self::OutOfFuel { fuel: 0 }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem(f)?;
        match self.remedy() {
            Some(remedy) if !f.alternate() => write!(f, ": {remedy}"),
            _ => Ok(()),
        }
    }
}

impl CallError {
    /// Returns the limit to raise, for the message.
    const fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::InputTooLarge { .. } => "pass less or raise `input_bytes`",
            Self::OutputTooLarge { .. } => "raise `output_bytes` if that is expected",
            Self::ErrorTooLarge { .. } => "raise `error_bytes` if that is expected",
            Self::DeserializedTooLarge { .. } => "raise `deserialized_bytes` if that is expected",
            Self::NestedTooDeep { .. } => "raise `deserialized_levels` if that is expected",
            Self::NestedWait { .. } => {
                "make the call after the host function has returned, set a `deadline`, or raise `instances`"
            }
            Self::NoMemory { .. } => "raise `memory_bytes` if the guest needs more",
            Self::Busy { .. } => "try again, or raise `instances`",
            Self::OutOfFuel { .. } => "raise `fuel` if that is expected",
            Self::Deadline { .. } => "raise `deadline` if that is expected",
            Self::HostCalls { .. } => "raise `host_calls` if that is expected",
            Self::ArgumentTooLarge { .. } => "raise `argument_bytes` if that is expected",
            Self::BytesToGuest { .. } => "raise `bytes_to_guest` if that is expected",
            _ => return None,
        })
    }

    fn problem(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest { message } => {
                write!(f, "the plugin returned an error: {}", shown(message))
            }
            Self::UnknownExport { name, exports } => {
                write!(
                    f,
                    "the plugin exports no function `{}`; it exports {}",
                    shown(name),
                    shown(exports)
                )
            }
            Self::ExportType {
                name,
                expected,
                found,
            } => {
                write!(
                    f,
                    "export `{}` has the wrong type: expected {expected}, found {found}",
                    shown(name)
                )
            }
            Self::OtherInstance { name } => write!(
                f,
                "function `{}` was looked up in another instance: look it up in this one",
                shown(name)
            ),
            Self::InputTooLarge { limit, found } => {
                write!(f, "the input has {found} bytes, the budget allows {limit}")
            }
            Self::OutputTooLarge { limit, found } => write!(
                f,
                "the plugin's output has {found} bytes, the budget allows {limit}"
            ),
            Self::ErrorTooLarge { limit, found } => write!(
                f,
                "the plugin returned an error with a message of {found} bytes, the budget allows {limit}"
            ),
            Self::BufferTooSmall { needed, found } => {
                write!(
                    f,
                    "the output has {needed} bytes, the caller's buffer has {found}: pass a larger one"
                )
            }
            Self::OutOfBounds {
                what,
                ptr,
                len,
                memory,
            } => write!(
                f,
                "the {what} lies outside the guest's memory: {len} bytes at {ptr:#x}, but the memory has {memory} bytes"
            ),
            Self::NotUtf8 { what, at } => {
                write!(
                    f,
                    "the {what} is not UTF-8: byte {at} does not belong to a character"
                )
            }
            Self::BadValue { expected, found } => {
                write!(
                    f,
                    "the guest passed a bad value: expected {expected}, found {found}"
                )
            }
            Self::NoMemory { asked } => {
                write!(
                    f,
                    "the guest's allocator has no memory for {asked} bytes (it returned 0)"
                )
            }
            Self::MissingExport { name } => {
                let or = if *name == "allocate" {
                    " or `malloc`"
                } else {
                    ""
                };
                write!(
                    f,
                    "the plugin can't exchange text or bytes: export `{name}`{or} from it"
                )
            }
            Self::ValueType { reason } => {
                write!(
                    f,
                    "a value is not of the component's type: {}",
                    shown(reason)
                )
            }
            Self::Serialization { reason } => {
                write!(
                    f,
                    "a serialised value can't be written or read: {}",
                    shown(reason)
                )
            }
            Self::DeserializedTooLarge { limit } => write!(
                f,
                "the guest's serialised values take more than {limit} bytes of heap"
            ),
            Self::NestedTooDeep { limit } => write!(
                f,
                "the guest's serialised value nests deeper than {limit} levels"
            ),
            Self::DoesNotFit { needed, free } => {
                write!(f, "the heap has no room for {needed} bytes")?;
                if let Some(free) = free {
                    write!(f, ", {free} are free")?;
                }
                f.write_str(": drop an instance or unload a plugin")
            }
            Self::Busy { limit } => write!(f, "all {limit} instances of the plugin are in use"),
            Self::TooNested { limit } => write!(
                f,
                "calls are nested too deep: host functions have started {limit} calls inside one another; make the call after the host function has returned"
            ),
            Self::NestedWait { limit } => write!(
                f,
                "all {limit} instances of the plugin are in use, and this call may be waiting for its own caller"
            ),
            Self::Closed => f.write_str("the plugin was closed: load it again"),
            Self::Stopped => {
                f.write_str("an earlier call stopped the instance: make a new one from the plugin")
            }
            Self::Exited { code } => {
                write!(
                    f,
                    "the guest ended itself with exit code {code}: a plugin must return from its calls instead; if the module is a command, build it as a reactor"
                )
            }
            Self::Trap(trap) => {
                f.write_str("the guest trapped: ")?;
                fmt::Display::fmt(trap, f)
            }
            Self::OutOfFuel { fuel } => write!(f, "the call used up its fuel of {fuel} units"),
            Self::NoClock => f.write_str(NO_CLOCK),
            Self::Cancelled => f.write_str("the call was cancelled"),
            Self::Deadline { after } => {
                let (count, unit) = largest_whole_unit(*after);
                write!(f, "the call passed its deadline of {count}{unit}")
            }
            Self::HostCalls { limit } => {
                write!(f, "the guest called host functions more than {limit} times")
            }
            Self::ArgumentTooLarge { limit, found } => write!(
                f,
                "the guest passed a host function {found} bytes, the budget allows {limit}"
            ),
            Self::BytesToGuest { limit } => write!(
                f,
                "host functions had more than {limit} bytes for the guest"
            ),
        }
    }
}

impl Error for CallError {}

/// The message for a deadline on a platform without a clock.
pub(super) const NO_CLOCK: &str = "the budget has a deadline, but the engine's platform has no clock: make the engine with `hostel::engine_with`, give it a platform with `Platform::now`, or set no `deadline`";

/// Returns `time` in the largest unit that gives a whole number. Compiles to less code than the
/// `Debug` of `Duration`.
fn largest_whole_unit(time: Duration) -> (u64, &'static str) {
    let nanos = time.as_secs().saturating_mul(1_000_000_000);
    let nanos = nanos.saturating_add(time.subsec_nanos().into());
    [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")]
        .into_iter()
        .find(|(unit, _)| nanos > 0 && nanos.is_multiple_of(*unit))
        .and_then(|(unit, name)| Some((nanos.checked_div(unit)?, name)))
        .unwrap_or((nanos, "ns"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_whole_units() {
        for (nanos, text) in [
            (0, "0ns"),
            (1, "1ns"),
            (1_001, "1001ns"),
            (20_000, "20µs"),
            (50_000_000, "50ms"),
            (1_500_000_000, "1500ms"),
            (2_000_000_000, "2s"),
        ] {
            let after = Duration::from_nanos(nanos);
            let error = CallError::Deadline { after };
            let expected = alloc::format!("the call passed its deadline of {text}: ");
            let message = alloc::format!("{error}");
            assert!(message.starts_with(&expected), "{message}");
        }
    }
}
