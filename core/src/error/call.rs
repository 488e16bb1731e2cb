//! Why a call gave no answer.

use super::trap::{Trap, TrapKind};
use crate::base::{fuel::Overdrawn, signature::Signature, text::shown};
use alloc::boxed::Box;
use core::{error::Error, fmt, time::Duration};

/// Why a call gave no result.
///
/// An *error* is an answer, from the guest ([`Guest`](Self::Guest)) or about the call; the
/// instance stays usable. Where [`stops`](Self::stops) is true the guest was stopped in the
/// middle of its work, and its instance refuses further calls.
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
    /// The guest answered with an error of its own.
    Guest {
        /// What the guest said; invalid UTF-8 is replaced by U+FFFD.
        message: Box<str>,
    },
    /// The plugin exports no function of this name.
    UnknownExport {
        /// The name asked for.
        name: Box<str>,
        /// The functions it does export, for the message.
        exports: Box<str>,
    },
    /// The export cannot be called with these types.
    ExportType {
        /// The export's name.
        name: Box<str>,
        /// The signatures that the asked types could have.
        expected: Box<str>,
        /// The signature that the module declares.
        found: Box<str>,
    },
    /// A [`TypedFunction`](crate::TypedFunction) of another instance.
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
        /// The length that the guest gave, in bytes.
        found: usize,
    },
    /// The caller's buffer is too small for the output; nothing was copied.
    BufferTooSmall {
        /// The output's length, in bytes.
        needed: usize,
        /// The buffer's length, in bytes.
        found: usize,
    },
    /// A pointer and length from the guest lie outside of its memory.
    OutOfBounds {
        /// Which value it was.
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
        /// Which value it was.
        what: &'static str,
        /// The first byte that is not part of a character.
        at: usize,
    },
    /// A number from the guest is not a value of the promised type.
    BadValue {
        /// The promised type.
        expected: &'static str,
        /// The number, in 64 bits.
        found: i64,
    },
    /// The guest's allocator answered 0: it has no memory for a buffer of this size.
    NoMemory {
        /// The size asked for, in bytes.
        asked: usize,
    },
    /// The plugin cannot take or give text or bytes: it lacks this export.
    MissingExport {
        /// `memory` or `allocate`.
        name: &'static str,
    },
    /// A serialised value could not be written or read.
    Serialization {
        /// What went wrong.
        reason: Box<str>,
    },
    /// The machine's heap has no room for the instance, the call or its answer. Nothing was done,
    /// or the answer is lost.
    DoesNotFit {
        /// The bytes that it takes at most.
        needed: u64,
        /// The bytes that were free, where the [`Platform`](crate::Platform) knows.
        free: Option<u64>,
    },
    /// All instances that the limits allow are in use.
    Busy {
        /// The limit, [`Limits::instances`](crate::Limits::instances).
        limit: usize,
    },
    /// The plugin was closed.
    Closed,
    /// The instance was stopped by an earlier call and can't be used again.
    Stopped,
    /// The guest ended itself with WASI's `proc_exit`, in the middle of a call.
    /// [`Instance::run_command`](crate::Instance::run_command) gives the code as its answer.
    Exited {
        /// The code; 0 for success.
        code: u32,
    },
    /// The guest, or a host function on its behalf, trapped.
    Trap(Trap),
    /// The call used up its fuel.
    OutOfFuel {
        /// The budget, in units of fuel.
        fuel: u64,
    },
    /// The call passed its deadline.
    Deadline {
        /// The time that it had.
        after: Duration,
    },
    /// The call was cancelled by a [`Canceller`](crate::Canceller).
    Cancelled,
    /// The guest called host functions more often than the budget allows.
    HostCalls {
        /// The budget.
        limit: u32,
    },
    /// The guest called a host function with more bytes in one argument than
    /// [`Budget::argument_bytes`](crate::Budget::argument_bytes).
    ArgumentTooLarge {
        /// The budget, in bytes.
        limit: usize,
        /// The argument's length, in bytes.
        found: usize,
    },
    /// Host functions were to hand the guest more bytes than
    /// [`Budget::bytes_to_guest`](crate::Budget::bytes_to_guest).
    BytesToGuest {
        /// The budget, in bytes.
        limit: usize,
    },
}

impl CallError {
    /// The export `name` has another type than expected.
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

    /// What a host function does with a value from the guest that it can't take: no answer could
    /// reach a guest that breaks the ABI, so it is trapped.
    pub(crate) fn into_stop(self) -> Self {
        if self.stops() {
            self
        } else {
            Self::Trap(Trap::new(TrapKind::BadHostCall, alloc::format!("{self}")))
        }
    }
}

impl From<Overdrawn> for CallError {
    /// Whoever charges what was spent says how much fuel there was.
    #[cold]
    fn from(_: Overdrawn) -> Self {
        Self::OutOfFuel { fuel: 0 }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest { message } => {
                write!(f, "the plugin answered with an error: {}", shown(message))
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
                "`{}` was looked up in another instance: look it up in this one",
                shown(name)
            ),
            Self::InputTooLarge { limit, found } => write!(
                f,
                "the input has {found} bytes, the budget allows {limit}: send less or raise `input_bytes`"
            ),
            Self::OutputTooLarge { limit, found } => write!(
                f,
                "the plugin's output has {found} bytes, the budget allows {limit}: raise `output_bytes` if that is expected"
            ),
            Self::BufferTooSmall { needed, found } => {
                write!(
                    f,
                    "the output has {needed} bytes, the buffer given for it has {found}"
                )
            }
            Self::OutOfBounds {
                what,
                ptr,
                len,
                memory,
            } => write!(
                f,
                "the {what} lies outside of the guest's memory: {len} bytes at {ptr:#x}, memory has {memory} bytes"
            ),
            Self::NotUtf8 { what, at } => {
                write!(
                    f,
                    "the {what} is not UTF-8: byte {at} does not belong to a character"
                )
            }
            Self::BadValue { expected, found } => {
                write!(f, "the guest gave {found} where {expected} was promised")
            }
            Self::NoMemory { asked } => {
                write!(
                    f,
                    "the guest's allocator has no memory for {asked} bytes (it answered 0)"
                )
            }
            Self::MissingExport { name } => {
                write!(
                    f,
                    "the plugin can't exchange text or bytes: it does not export `{name}`"
                )
            }
            Self::Serialization { reason } => {
                write!(f, "a serialised value is broken: {}", shown(reason))
            }
            Self::DoesNotFit { needed, free } => {
                write!(f, "the machine has no {needed} bytes of heap for it")?;
                if let Some(free) = free {
                    write!(f, ", {free} are free")?;
                }
                f.write_str(": drop an instance or unload a plugin")
            }
            Self::Busy { limit } => write!(
                f,
                "all {limit} instances of the plugin are in use: try again, or raise `instances`"
            ),
            Self::Closed => f.write_str("the plugin was closed: load it again"),
            Self::Stopped => f.write_str(
                "the instance was stopped by an earlier call: make a new one from the plugin",
            ),
            Self::Exited { code } => {
                write!(
                    f,
                    "the guest ended itself with exit code {code}: a plugin that answers calls must not"
                )
            }
            Self::Trap(trap) => write!(f, "the guest trapped: {trap}"),
            Self::OutOfFuel { fuel } => {
                write!(f, "the call used up its fuel of {fuel} units")
            }
            Self::Cancelled => f.write_str("the call was cancelled"),
            Self::Deadline { after } => {
                let (count, unit) = whole(*after);
                write!(f, "the call passed its deadline of {count}{unit}")
            }
            Self::HostCalls { limit } => {
                write!(f, "the guest called host functions more than {limit} times")
            }
            Self::ArgumentTooLarge { limit, found } => write!(
                f,
                "the guest called a host function with {found} bytes, the budget allows {limit}: raise `argument_bytes` if that is expected"
            ),
            Self::BytesToGuest { limit } => write!(
                f,
                "host functions had more than {limit} bytes for the guest: raise `bytes_to_guest` if that is expected"
            ),
        }
    }
}

impl Error for CallError {}

/// A time, in the largest unit of which it is a whole number: less code than `Debug` of it.
fn whole(time: Duration) -> (u64, &'static str) {
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
            let expected = alloc::format!("the call passed its deadline of {text}");
            assert_eq!(alloc::format!("{error}"), expected);
        }
    }
}
