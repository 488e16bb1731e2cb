//! The exit codes.

use hostel::CallError;

/// How the program ends.
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
    /// As a command ended itself.
    Command(u8),
}

/// The codes, as the help shows them.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  the plugin answered with an error, or its answer can't be used
  2  wrong arguments, or an INPUT or FILE that can't be used
  3  the plugin can't be loaded, or lacks the function
  4  the plugin trapped: it crashed, or broke the rules
  5  out of fuel, or of another quota
  6  the time was up
  7  hostel's own failure, such as a closed output";

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

    /// This one, or `other` where all went well so far.
    pub(super) const fn or(self, other: Self) -> Self {
        match self {
            Self::Ok => other,
            failed => failed,
        }
    }
}

impl From<u32> for Exit {
    /// The exit code of a command. One that the operating system has no room for stays a failure.
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
        match error {
            CallError::UnknownExport { .. }
            | CallError::ExportType { .. }
            | CallError::MissingExport { .. } => Self::Load,
            CallError::Trap(_) => Self::Trap,
            CallError::OutOfFuel { .. }
            | CallError::HostCalls { .. }
            | CallError::ArgumentTooLarge { .. }
            | CallError::BytesToGuest { .. } => Self::Quota,
            CallError::Deadline { .. } | CallError::Cancelled => Self::Deadline,
            // Of a plugin that nobody else uses and that is called once.
            CallError::Busy { .. } | CallError::Closed | CallError::Stopped => Self::Own,
            _ => Self::Guest,
        }
    }
}
