//! The exit codes.

use hostel::CallError;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Ok = 0,
    Guest = 1,
    Usage = 2,
    Load = 3,
    Trap = 4,
    Quota = 5,
    Deadline = 6,
    Own = 7,
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
        self as u8
    }

    /// This one, or `other` where all went well so far.
    pub(super) const fn or(self, other: Self) -> Self {
        match self {
            Self::Ok => other,
            failed => failed,
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
            | CallError::ArenaBytes { .. } => Self::Quota,
            CallError::Deadline { .. } | CallError::Cancelled => Self::Deadline,
            // Of a plugin that nobody else uses and that is called once.
            CallError::Busy { .. } | CallError::Closed | CallError::Stopped => Self::Own,
            _ => Self::Guest,
        }
    }
}
