//! The program's exit codes.

use hostel::{CallError, ErrorClass};

/// The reason why the program ends, which determines its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Ok,
    Guest,
    Usage,
    Load,
    Trap,
    Quota,
    Deadline,
    Own,
    /// The exit code that a WASI command chose.
    Command(u8),
}

/// The exit codes as `--help` lists them.
pub(super) const HELP: &str = "\
Exit codes:
  0  success
  1  the plugin returned an error, or a result that breaks the ABI
  2  invalid arguments, or an INPUT or FILE that can't be read or written
  3  the plugin can't be loaded, does not fit, or does not export the function
  4  the plugin trapped: it crashed or broke a rule, and was stopped
  5  the plugin ran out of fuel or exceeded another limit of a call
  6  the timeout expired
  7  hostel itself failed: stdout can't be written or the heap is full, for example
  A WASI command that ends by itself sets the exit code.";

impl Exit {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Guest => 1,
            Self::Usage => 2,
            Self::Load => 3,
            Self::Trap => 4,
            Self::Quota => 5,
            Self::Deadline => 6,
            Self::Own => 7,
            Self::Command(code) => code,
        }
    }

    /// Returns this exit, or `other` if this one is a success.
    pub(super) const fn or(self, other: Self) -> Self {
        match self {
            Self::Ok => other,
            failed => failed,
        }
    }
}

impl From<u32> for Exit {
    /// Converts a command's exit code. A code above 255 becomes 255, so that a failure stays one.
    fn from(code: u32) -> Self {
        match u8::try_from(code) {
            Ok(0) => Self::Ok,
            Ok(code) => Self::Command(code),
            Err(_) => Self::Command(u8::MAX),
        }
    }
}

impl From<&CallError> for Exit {
    fn from(error: &CallError) -> Self {
        match error.class() {
            // The guest goes on after it, but what ended the call is a limit.
            _ if matches!(error, CallError::OutputTooLarge { .. }) => Self::Quota,
            ErrorClass::Guest => Self::Guest,
            ErrorClass::Caller => Self::Usage,
            ErrorClass::Contract => Self::Load,
            ErrorClass::Trap => Self::Trap,
            ErrorClass::Quota => Self::Quota,
            ErrorClass::Deadline => Self::Deadline,
            // `ErrorClass::Host`, and classes to come.
            _ => Self::Own,
        }
    }
}
