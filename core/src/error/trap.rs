//! Traps, their kinds and their places.

use super::call::CallError;
use crate::base::{growth::RefusedGrowth, text::shown};
use alloc::{boxed::Box, string::String};
use core::{error::Error, fmt};

/// The error that stops a guest. A host function returns it to stop its caller; to return an error
/// that the guest can handle, return a `Result` of two values for the guest instead.
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
    /// Boxed, since errors are returned by value, and room for it would lie on every call's stack.
    details: Option<Box<Details>>,
}

/// Where a guest was stopped, and what came before. wasmi keeps no trace of guest functions, so the host
/// notes the two names that it knows: the export that it had called, and the import that the guest had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Details {
    export: Option<Box<str>>,
    import: Option<Box<str>>,
    refused_growth: Option<RefusedGrowth>,
    #[cfg(feature = "trace")]
    functions: Box<[Box<str>]>,
}

impl Trap {
    /// Returns a trap of kind [`HostFunction`](TrapKind::HostFunction). The caller of the guest sees
    /// `message`; the guest does not.
    #[must_use]
    pub fn host(message: impl Into<String>) -> Self {
        Self::new(TrapKind::HostFunction, message)
    }

    pub(crate) fn new(kind: TrapKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into_boxed_str(),
            details: None,
        }
    }

    /// Returns the kind of trap.
    #[must_use]
    pub const fn kind(&self) -> TrapKind {
        self.kind
    }

    /// Returns the text that explains the kind further. Often empty. Not escaped: it may hold the
    /// guest's words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the export that ran, such as `process` or `allocate`. `start function` for the
    /// module's start function.
    #[must_use]
    pub fn export(&self) -> Option<&str> {
        self.details.as_ref()?.export.as_deref()
    }

    /// Returns the host function that failed, as `module.name`. `None` if the guest's own code did.
    #[must_use]
    pub fn import(&self) -> Option<&str> {
        self.details.as_ref()?.import.as_deref()
    }

    /// Returns the names of the guest's innermost functions that ran, three at most, the outermost
    /// first. A function without a name has that of its export, or else is `function N`, by its number in
    /// the module. Empty without [`Engine::with_call_trace`](crate::Engine::with_call_trace). Not escaped:
    /// they are the guest's words.
    #[cfg(feature = "trace")]
    #[must_use]
    pub fn functions(&self) -> &[Box<str>] {
        let details = self.details.as_deref();
        details.map_or(&[], |details| &details.functions)
    }

    /// Returns the last growth of its memory that the guest asked for in this call and did not get.
    /// That is often why it trapped.
    #[must_use]
    pub fn refused_growth(&self) -> Option<RefusedGrowth> {
        self.details.as_ref()?.refused_growth
    }

    fn details(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.describe())?;
        let remedies = !f.alternate();
        if remedies && self.kind == TrapKind::StackOverflow {
            f.write_str("; raise `call_depth` or `stack_bytes` if that is expected")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", shown(&self.message))?;
        }
        if let Some(import) = self.import() {
            write!(f, ", in host function `{}`", shown(import))?;
        }
        if let Some(export) = self.export() {
            write!(f, ", while `{}` ran", shown(export))?;
        }
        #[cfg(feature = "trace")]
        for (at, name) in self.functions().iter().enumerate() {
            f.write_str(if at == 0 { ", in " } else { " → " })?;
            write!(f, "{}", shown(name))?;
        }
        if let Some(refused) = self.refused_growth() {
            write!(f, "; before that, {refused}")?;
            if remedies && refused.limit.is_some() {
                f.write_str(": raise `memory_bytes` if that is expected")?;
            }
        }
        Ok(())
    }
}

impl Error for Trap {}

/// The kind of a [`Trap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrapKind {
    /// The guest executed `unreachable`: usually a panic or an assertion of its own.
    Unreachable,
    /// A load, store or bulk operation outside the guest's memory.
    MemoryOutOfBounds,
    /// An access outside a table.
    TableOutOfBounds,
    /// An indirect call through an empty table element.
    IndirectCallToNull,
    /// An indirect call to a function of another type.
    BadSignature,
    /// An integer division by zero.
    DivisionByZero,
    /// An integer result that does not fit.
    IntegerOverflow,
    /// A conversion of a float that is not a number or too large for the integer type.
    BadConversion,
    /// Guest calls nested deeper than [`Limits::call_depth`](crate::Limits::call_depth), or used
    /// more than [`Limits::stack_bytes`](crate::Limits::stack_bytes).
    StackOverflow,
    /// The host machine has no memory left for the guest.
    OutOfMemory,
    /// A host function returned a [`Trap`].
    HostFunction,
    /// A host function panicked, and the platform
    /// [contained](crate::Platform::containment) the panic.
    HostPanic,
    /// The guest called a host function with values that break the ABI.
    BadHostCall,
    /// The guest broke the canonical ABI of the Component Model.
    Abi,
    /// The guest called a host function inside `allocate` while another host function waited for the
    /// buffer. WASI functions may be called there, but must not have to wait.
    Reentered,
    /// The guest called an import that is only a stub; see [`Grants::trap`](crate::Grants::trap).
    Stub,
    /// Instantiation failed: a data or element segment does not fit, or a limit was exceeded.
    Instantiation,
    /// The interpreter stopped the guest for another reason.
    Other,
}

impl TrapKind {
    /// Returns the stable code of this kind of trap, such as `trap-memory`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.words().0
    }

    const fn describe(self) -> &'static str {
        self.words().1
    }

    /// Returns the code and the description of this kind.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Unreachable => (
                "trap-unreachable",
                "it executed `unreachable` (a panic or assertion in the plugin)",
            ),
            Self::MemoryOutOfBounds => ("trap-memory", "it accessed bytes outside its memory"),
            Self::TableOutOfBounds => ("trap-table", "it accessed an element outside a table"),
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
                "conversion of a float that does not fit the integer type",
            ),
            Self::StackOverflow => ("trap-stack", "its call stack overflowed"),
            Self::OutOfMemory => (
                "trap-out-of-memory",
                "the machine has no memory left for it",
            ),
            Self::HostFunction => ("trap-host", "a host function stopped it"),
            Self::HostPanic => ("trap-host-panic", "a host function panicked"),
            Self::BadHostCall => (
                "trap-host-call",
                "it called a host function with bad values",
            ),
            Self::Abi => ("trap-abi", "it broke the canonical ABI"),
            Self::Reentered => (
                "trap-reentered",
                "it called a host function inside its allocator",
            ),
            Self::Stub => (
                "trap-stub",
                "it called an import that is only a stub; grant the host function",
            ),
            Self::Instantiation => ("trap-instantiation", "it can't be instantiated"),
            Self::Other => ("trap", "the interpreter stopped it"),
        }
    }
}

impl CallError {
    /// Notes that a trap happened in the export `name`. A second note is ignored: errors travel
    /// outwards, so the first one names the innermost export.
    pub(crate) fn in_export(mut self, name: &str) -> Self {
        if let Self::Trap(trap) = &mut self {
            trap.details().export.get_or_insert_with(|| name.into());
        }
        self
    }

    /// Notes the guest's functions that ran when a trap happened.
    #[cfg(feature = "trace")]
    pub(crate) fn in_functions(mut self, functions: impl FnOnce() -> Box<[Box<str>]>) -> Self {
        if let Self::Trap(trap) = &mut self {
            trap.details().functions = functions();
        }
        self
    }

    /// Notes the last growth of the guest's memory that was refused before a trap.
    pub(crate) fn after_refusal(mut self, refused: Option<RefusedGrowth>) -> Self {
        if let Self::Trap(trap) = &mut self
            && refused.is_some()
        {
            trap.details().refused_growth = refused;
        }
        self
    }

    /// Notes that a trap happened in the host function `name`. Ignored if an export is noted: then
    /// the host function had called the guest's `allocate`, and the trap happened there.
    pub(crate) fn in_import(mut self, name: &str) -> Self {
        if let Self::Trap(trap) = &mut self
            && trap.export().is_none()
        {
            trap.details().import.get_or_insert_with(|| name.into());
        }
        self
    }
}
