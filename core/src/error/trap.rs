//! What stops a guest, and where that happened.

use super::call::CallError;
use crate::base::text::shown;
use alloc::{boxed::Box, string::String};
use core::{error::Error, fmt};

/// Stops the guest: the way out of a host function that is not an answer.
///
/// ```
/// use hostel_core::Trap;
/// let check = |key: &str| -> Result<u32, Trap> {
///     if key.is_empty() { return Err(Trap::host("empty key")) }
///     Ok(1)
/// };
/// assert!(check("").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    kind: TrapKind,
    message: Box<str>,
    place: Place,
}

/// Where a guest was when it was stopped. wasmi keeps no trace of its functions, so this is what
/// the host itself knows: which export it had called, and which import the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    export: Option<Box<str>>,
    import: Option<Box<str>>,
}

impl Trap {
    /// A trap by an embedder's host function, with a message for whoever made the call.
    #[must_use]
    pub fn host(message: impl Into<String>) -> Self {
        Self::new(TrapKind::HostFunction, message)
    }

    pub(crate) fn new(kind: TrapKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into_boxed_str(),
            place: Place::default(),
        }
    }

    /// What kind of trap it was.
    #[must_use]
    pub const fn kind(&self) -> TrapKind {
        self.kind
    }

    /// What was said beyond the kind; often empty.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The export that ran: `process`, `allocate` and so on; `start function` for that.
    #[must_use]
    pub fn export(&self) -> Option<&str> {
        self.place.export.as_deref()
    }

    /// The host function that the guest had called, as `module.name`, where that is what failed.
    #[must_use]
    pub fn import(&self) -> Option<&str> {
        self.place.import.as_deref()
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.describe())?;
        if !self.message.is_empty() {
            write!(f, ": {}", shown(&self.message))?;
        }
        if let Some(import) = &self.place.import {
            write!(f, ", in host function `{}`", shown(import))?;
        }
        if let Some(export) = &self.place.export {
            write!(f, ", while `{}` ran", shown(export))?;
        }
        Ok(())
    }
}

impl Error for Trap {}

/// The kinds of trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrapKind {
    /// The guest executed `unreachable`: usually a panic or an assertion of its own.
    Unreachable,
    /// A load, store or bulk operation outside of the guest's memory.
    MemoryOutOfBounds,
    /// An access outside of a table.
    TableOutOfBounds,
    /// An indirect call through an empty table element.
    IndirectCallToNull,
    /// An indirect call to a function of another type.
    BadSignature,
    /// An integer division by zero.
    DivisionByZero,
    /// An integer result that does not fit.
    IntegerOverflow,
    /// A float that has no integer counterpart.
    BadConversion,
    /// Guest calls nested too deeply, or used too much value stack.
    StackOverflow,
    /// The host machine has no memory left for the guest.
    OutOfMemory,
    /// A host function of the embedder trapped.
    HostFunction,
    /// A host function of the embedder panicked and the platform contained it.
    HostPanic,
    /// The guest called a host function with values that break the ABI.
    BadHostCall,
    /// The guest called a host function from inside `allocate`, while the host waited for it; or one
    /// of WASI's, which it may call there, and had to wait.
    Reentered,
    /// Instantiating failed: a data or element segment does not fit, or a limit was passed.
    Instantiation,
    /// The interpreter stopped the guest for another reason.
    Other,
}

impl TrapKind {
    /// The stable code of this kind of trap.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.words().0
    }

    const fn describe(self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Unreachable => (
                "trap-unreachable",
                "it executed `unreachable` (a panic or assertion in the plugin)",
            ),
            Self::MemoryOutOfBounds => ("trap-memory", "access outside of its memory"),
            Self::TableOutOfBounds => ("trap-table", "access outside of a table"),
            Self::IndirectCallToNull => {
                ("trap-null-call", "indirect call to an empty table element")
            }
            Self::BadSignature => (
                "trap-signature",
                "indirect call to a function of another type",
            ),
            Self::DivisionByZero => ("trap-division", "integer division by zero"),
            Self::IntegerOverflow => ("trap-overflow", "integer overflow"),
            Self::BadConversion => (
                "trap-conversion",
                "conversion of a float that has no integer value",
            ),
            Self::StackOverflow => ("trap-stack", "its call stack overflowed"),
            Self::OutOfMemory => (
                "trap-out-of-memory",
                "the machine has no memory left for it",
            ),
            Self::HostFunction => ("trap-host", "a host function stopped it"),
            Self::HostPanic => ("trap-host-panic", "a host function panicked"),
            Self::BadHostCall => ("trap-host-call", "it called a host function wrongly"),
            Self::Reentered => (
                "trap-reentered",
                "it called a host function from inside its allocator",
            ),
            Self::Instantiation => ("trap-instantiation", "it can't be instantiated"),
            Self::Other => ("trap", "the interpreter stopped it"),
        }
    }
}

impl CallError {
    /// The same, said to have happened in the export `name`. The innermost counts.
    pub(crate) fn in_export(mut self, name: &str) -> Self {
        if let Self::Trap(trap) = &mut self {
            trap.place.export.get_or_insert_with(|| name.into());
        }
        self
    }

    /// The same, said to have happened in the host function `name`; not so where that had called
    /// the guest's `allocate`, and it happened there.
    pub(crate) fn in_import(mut self, name: &str) -> Self {
        if let Self::Trap(trap) = &mut self
            && trap.place.export.is_none()
        {
            trap.place.import.get_or_insert_with(|| name.into());
        }
        self
    }
}
