//! Why a module did not become a plugin.

use crate::base::text::shown;
use alloc::{boxed::Box, vec::Vec};
use core::{error::Error, fmt};

/// Why a module did not become a plugin. Nothing of it is kept.
///
/// ```
/// use hostel_core::{Engine, Grants, LoadError};
/// let error = Engine::default().load("demo", b"\0asm\x0d\0\x01\0", &Grants::new()).unwrap_err();
/// assert_eq!(error.code(), "component");
/// assert!(error.to_string().contains("core module"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// More bytes than [`Limits::module_bytes`](crate::Limits::module_bytes).
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The module's size, in bytes.
        found: usize,
    },
    /// No bytes at all.
    Empty,
    /// Not WebAssembly: the first bytes are something else.
    NotWasm {
        /// What it looks like.
        looks_like: &'static str,
    },
    /// A component, not a core module.
    Component,
    /// Begins as a module but is broken or cut off.
    Invalid {
        /// Offset of the fault, in bytes from the start.
        at: usize,
        /// What is wrong there.
        reason: Box<str>,
        /// Whether the bytes just end too early.
        truncated: bool,
    },
    /// Valid, but uses something that hostel does not run.
    Unsupported {
        /// What it uses, and what to do.
        what: Box<str>,
    },
    /// It has, or starts with, more of something than the limits allow.
    OverLimit {
        /// The limit's name, a field of [`Limits`](crate::Limits) or
        /// [`ModuleLimits`](crate::ModuleLimits).
        name: &'static str,
        /// The limit.
        limit: u64,
        /// What it has.
        found: u64,
    },
    /// It needs more heap than the limits allow or the machine has left; told before it is compiled.
    DoesNotFit {
        /// The bytes that it [needs to run](crate::Footprint::to_run); where there is no room to
        /// find that out, those that reading it needs.
        needed: u64,
        /// [`Limits::heap_bytes`](crate::Limits::heap_bytes), or what the
        /// [`Platform`](crate::Platform) has left if that is less.
        free: u64,
    },
    /// Imports or exports do not fit: all of them, not only the first.
    Mismatch(Vec<Mismatch>),
    /// The interpreter refused it.
    Refused {
        /// The interpreter's words.
        reason: Box<str>,
    },
}

impl LoadError {
    /// What should have been found before.
    #[cold]
    pub(crate) fn refused(reason: &str) -> Self {
        Self::Refused {
            reason: reason.into(),
        }
    }

    /// The stable code of this kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "module-too-large",
            Self::Empty => "empty-module",
            Self::NotWasm { .. } => "not-wasm",
            Self::Component => "component",
            Self::Invalid {
                truncated: true, ..
            } => "truncated-module",
            Self::Invalid { .. } => "invalid-module",
            Self::Unsupported { .. } => "unsupported",
            Self::OverLimit { .. } => "over-limit",
            Self::DoesNotFit { .. } => "does-not-fit",
            Self::Mismatch(_) => "mismatch",
            Self::Refused { .. } => "refused",
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit, found } => write!(
                f,
                "the module has {found} bytes, the limits allow {limit}: raise `module_bytes` if that is expected"
            ),
            Self::Empty => f.write_str("the module is empty: expected a WebAssembly module"),
            Self::NotWasm { looks_like } => write!(
                f,
                "not a WebAssembly module: expected the bytes `\\0asm` at the start, found {looks_like}"
            ),
            Self::Component => f.write_str(
                "a WebAssembly component: expected a core module (build for `wasm32-unknown-unknown`, not for `wasm32-wasip2`)",
            ),
            Self::Invalid { at, reason, truncated } => {
                let what = if *truncated { "the module is cut off" } else { "the module is invalid" };
                write!(f, "{what} at byte {at:#x}: {}", shown(reason))
            }
            Self::Unsupported { what } => write!(f, "the module is not supported: {}", shown(what)),
            Self::OverLimit { name, limit, found } => write!(
                f,
                "the module is over the limit `{name}`: {limit} allowed, {found} found"
            ),
            Self::DoesNotFit { needed, free } => write!(
                f,
                "the module does not fit into memory: it needs {needed} bytes of heap, there are {free}: unload another plugin, or give it less memory or code"
            ),
            Self::Mismatch(all) => {
                write!(f, "the module does not fit ({} found):", all.len())?;
                for mismatch in all {
                    write!(f, "\n  {mismatch}")?;
                }
                Ok(())
            }
            Self::Refused { reason } => write!(f, "the interpreter refused the module: {}", shown(reason)),
        }
    }
}

impl Error for LoadError {}

/// One import or export that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// An import that nothing supplies.
    UnknownImport {
        /// The import's module.
        module: Box<str>,
        /// The import's name.
        name: Box<str>,
        /// The type that the module declares.
        found: Box<str>,
        /// What would supply it.
        hint: Box<str>,
    },
    /// An import of a known name with a type that it does not have.
    ImportType {
        /// The import's module.
        module: Box<str>,
        /// The import's name.
        name: Box<str>,
        /// The types that it may have.
        expected: Box<str>,
        /// The type that the module declares.
        found: Box<str>,
    },
    /// A memory, table or global is imported.
    ImportKind {
        /// The import's module.
        module: Box<str>,
        /// The import's name.
        name: Box<str>,
        /// What it is.
        found: &'static str,
    },
    /// An export that the plugin needs is missing.
    MissingExport {
        /// The export's name.
        name: Box<str>,
        /// The types that it may have.
        expected: Box<str>,
        /// Why it is needed.
        needed: Box<str>,
    },
    /// An export of a known name has another type.
    ExportType {
        /// The export's name.
        name: Box<str>,
        /// The types that it may have.
        expected: Box<str>,
        /// The type that it has.
        found: Box<str>,
    },
    /// An export of a known name is an import handed through.
    ReexportedImport {
        /// The export's name.
        name: Box<str>,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownImport {
                module,
                name,
                found,
                hint,
            } => write!(
                f,
                "import `{}.{}` {found}: nothing supplies it; {hint}",
                shown(module),
                shown(name)
            ),
            Self::ImportType {
                module,
                name,
                expected,
                found,
            } => write!(
                f,
                "import `{}.{}`: expected {expected}, found {found}",
                shown(module),
                shown(name)
            ),
            Self::ImportKind {
                module,
                name,
                found,
            } => write!(
                f,
                "import `{}.{}` is a {found}: only functions can be imported; define the {found} in the module and export it",
                shown(module),
                shown(name)
            ),
            Self::MissingExport {
                name,
                expected,
                needed,
            } => {
                write!(
                    f,
                    "export `{name}` is missing: expected {expected}; {}",
                    shown(needed)
                )
            }
            Self::ExportType {
                name,
                expected,
                found,
            } => {
                write!(f, "export `{name}`: expected {expected}, found {found}")
            }
            Self::ReexportedImport { name } => {
                write!(
                    f,
                    "export `{name}` is an import handed through: define it in the module"
                )
            }
        }
    }
}
