//! The errors of loading a module.

use super::call::NO_CLOCK;
use crate::base::text::{separator, shown, text};
use alloc::{boxed::Box, vec::Vec};
use core::{error::Error, fmt};

/// An error of loading a module as a plugin. Nothing of the module is kept.
///
/// [`code`](Self::code) is stable; the text of `Display` is for people and may change. With `{:#}` it
/// leaves out which limit to raise.
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
    /// The module has more bytes than [`Limits::module_bytes`](crate::Limits::module_bytes).
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The module's size, in bytes.
        found: usize,
    },
    /// There are no bytes.
    Empty,
    /// The bytes do not start as WebAssembly does.
    NotWasm {
        /// The format of the bytes, as far as it is recognised.
        looks_like: &'static str,
    },
    /// The bytes are a component, not a core module.
    Component,
    /// The module is broken or cut off.
    Invalid {
        /// Offset of the fault, in bytes from the start.
        at: usize,
        /// The fault.
        reason: Box<str>,
        /// Whether the bytes end too early and are valid up to there.
        truncated: bool,
    },
    /// The module needs a proposal to WebAssembly that hostel does not run, or that is switched off in
    /// this build. The rest of the module was not validated.
    NeedsProposal {
        /// The proposal's name, such as `tail-call`. Stable.
        proposal: &'static str,
        /// How to build without it.
        remedy: &'static str,
        /// Offset of its first use, in bytes from the start.
        at: usize,
    },
    /// The module is valid, but uses a feature that hostel does not run.
    Unsupported {
        /// The feature, and what to do.
        what: Box<str>,
    },
    /// The module declares, or starts with, more of something than a limit allows.
    OverLimit {
        /// The limit's name, a field of [`Limits`](crate::Limits) or
        /// [`ModuleLimits`](crate::ModuleLimits).
        name: &'static str,
        /// The limit, in the field's unit.
        limit: u64,
        /// The module's figure, in the field's unit.
        found: u64,
    },
    /// The module needs more heap than the limits allow or the machine has left. Found before it is
    /// compiled.
    DoesNotFit {
        /// The bytes that it [needs to run](crate::Footprint::to_run), or those that reading it
        /// needs if there is too little heap to compute the former.
        needed: u64,
        /// [`Limits::heap_bytes`](crate::Limits::heap_bytes), or the
        /// [free bytes](crate::Platform::free_bytes) of the platform if they are fewer.
        free: u64,
    },
    /// The engine's budget has a [`deadline`](crate::Budget::deadline), but its platform has no clock.
    NoClock,
    /// Imports or exports do not fit. Lists all of them, not only the first.
    Mismatch(Vec<Mismatch>),
    /// Several modules can't be linked to one plugin: two have one name, they supply imports in a cycle,
    /// there are too many.
    Linking {
        /// The reason, with the names of the modules.
        reason: Box<str>,
    },
    /// One of several modules that are linked is refused.
    InModule {
        /// The module's name.
        module: Box<str>,
        /// The reason.
        error: Box<LoadError>,
    },
    /// The interpreter refused the module, though hostel's own check passed it.
    Refused {
        /// The interpreter's error.
        reason: Box<str>,
    },
}

impl LoadError {
    /// Returns the error for a fault that hostel's own check should have found.
    #[cold]
    pub(crate) fn refused(reason: &str) -> Self {
        Self::Refused {
            reason: reason.into(),
        }
    }

    /// Returns the error for a feature that hostel does not run.
    #[cfg(feature = "contract")]
    #[cold]
    pub(crate) fn unsupported(what: &str) -> Self {
        Self::Unsupported { what: what.into() }
    }

    /// Returns the error for modules that can't be linked.
    #[cold]
    pub(crate) fn linking(reason: fmt::Arguments<'_>) -> Self {
        Self::Linking {
            reason: text(reason),
        }
    }

    /// Returns this error as that of the linked module `module`.
    #[cold]
    pub(crate) fn in_module(self, module: &str) -> Self {
        Self::InModule {
            module: module.into(),
            error: Box::new(self),
        }
    }

    /// Returns the stable code of this kind of error, in kebab case, such as `over-limit`. That of
    /// [`InModule`](Self::InModule) is the code of the error in the module.
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
            Self::NeedsProposal { .. } => "needs-proposal",
            Self::Unsupported { .. } => "unsupported",
            Self::OverLimit { .. } => "over-limit",
            Self::DoesNotFit { .. } => "does-not-fit",
            Self::NoClock => "no-clock",
            Self::Mismatch(_) => "mismatch",
            Self::Linking { .. } => "linking",
            Self::InModule { error, .. } => error.code(),
            Self::Refused { .. } => "refused",
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::InModule { module, error } = self {
            write!(f, "module `{}`: ", shown(module))?;
            return error.fmt(f);
        }
        self.problem(f)?;
        if f.alternate() {
            return Ok(());
        }
        match self {
            Self::TooLarge { .. } => f.write_str(": raise `module_bytes` if that is expected"),
            Self::OverLimit { name, .. } => write!(f, "; raise `{name}` if that is expected"),
            Self::DoesNotFit { .. } => f.write_str(
                ": unload another plugin, raise `heap_bytes`, or give the module less memory or code",
            ),
            Self::NeedsProposal { remedy, .. } => write!(f, ": {remedy}"),
            Self::Mismatch(all) if all.iter().any(Mismatch::could_be_stubbed) => f.write_str(
                "\n  if the plugin can do without a function, stub it: `Grants::trap(module, name)`",
            ),
            _ => Ok(()),
        }
    }
}

impl LoadError {
    fn problem(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit, found } => write!(
                f,
                "the module has {found} bytes, the limits allow {limit}"
            ),
            Self::Empty => f.write_str("the module is empty: expected a WebAssembly module"),
            Self::NotWasm { looks_like } => write!(
                f,
                "not a WebAssembly module: expected the bytes `\\0asm` at the start, found {looks_like}"
            ),
            Self::Component => f.write_str(
                "a WebAssembly component: expected a core module (load it with `Engine::load_component`, of the feature `component`; or build for `wasm32-unknown-unknown` instead of `wasm32-wasip2`)",
            ),
            Self::Invalid { at, reason, truncated } => {
                let what = if *truncated { "the module is cut off" } else { "the module is invalid" };
                write!(f, "{what} at byte {at:#x}: {}", shown(reason))
            }
            Self::NeedsProposal { proposal, at, .. } => write!(
                f,
                "the module needs the proposal `{proposal}` to WebAssembly, at byte {at:#x}, which is not supported"
            ),
            Self::Unsupported { what } => write!(f, "the module is not supported: {}", shown(what)),
            Self::OverLimit { name, limit, found } => write!(
                f,
                "the module is over the limit `{name}`: {limit} allowed, {found} found"
            ),
            Self::DoesNotFit { needed, free } => write!(
                f,
                "the module does not fit into the heap: it needs {needed} bytes, {free} are free"
            ),
            Self::NoClock => f.write_str(NO_CLOCK),
            Self::Mismatch(all) => {
                let (count, noun) = (all.len(), if all.len() == 1 { "mismatch" } else { "mismatches" });
                write!(f, "the module does not fit, {count} {noun}:")?;
                for mismatch in all {
                    write!(f, "\n  {mismatch}")?;
                }
                Ok(())
            }
            Self::Linking { reason } => write!(f, "the modules can't be linked: {}", shown(reason)),
            Self::InModule { error, .. } => error.problem(f),
            Self::Refused { reason } => write!(f, "the interpreter refused the module: {}", shown(reason)),
        }
    }
}

impl Error for LoadError {}

/// One import or export that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// No grant supplies the import.
    UnknownImport {
        /// The import's module.
        module: Box<str>,
        /// The import's name.
        name: Box<str>,
        /// The type that the module declares.
        found: Box<str>,
        /// The nearest remedy, for the message. Empty if an import before it has the same.
        hint: Box<str>,
    },
    /// The module declares the import with another type than the host function's.
    ImportType {
        /// The import's module.
        module: Box<str>,
        /// The import's name.
        name: Box<str>,
        /// The types that the module may declare.
        expected: Box<str>,
        /// The type that the module declares.
        found: Box<str>,
    },
    /// The import is a memory, table or global. hostel supplies, and stubs, functions only.
    ImportKind {
        /// The import's module.
        module: Box<str>,
        /// The import's name.
        name: Box<str>,
        /// The import's kind.
        found: &'static str,
    },
    /// The module lacks an export that it needs.
    MissingExport {
        /// The export's name.
        name: Box<str>,
        /// The types that it may have.
        expected: Box<str>,
        /// The reason why the module needs it.
        needed: Box<str>,
    },
    /// An export that hostel uses has another type than it must have.
    ExportType {
        /// The export's name.
        name: Box<str>,
        /// The types that it may have.
        expected: Box<str>,
        /// The type that it has.
        found: Box<str>,
    },
    /// An export that hostel uses is a re-exported import.
    ReexportedImport {
        /// The export's name.
        name: Box<str>,
    },
}

impl Mismatch {
    /// Returns whether it is an import that nothing supplies: [`Grants::trap`](crate::Grants::trap) can stub it.
    #[must_use]
    pub const fn could_be_stubbed(&self) -> bool {
        matches!(self, Self::UnknownImport { .. })
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownImport {
                module,
                name,
                found,
                hint,
            } => {
                write!(
                    f,
                    "import `{}{}{}` {found}: nothing supplies it",
                    shown(module),
                    separator(module),
                    shown(name)
                )?;
                if hint.is_empty() {
                    return Ok(());
                }
                write!(f, "; {hint}")
            }
            Self::ImportType {
                module,
                name,
                expected,
                found,
            } => write!(
                f,
                "import `{}{}{}`: expected {expected}, found {found}",
                shown(module),
                separator(module),
                shown(name)
            ),
            Self::ImportKind {
                module,
                name,
                found,
            } => write!(
                f,
                "import `{}{}{}` is a {found}: only functions can be imported, or stubbed; define the {found} in the module and export it",
                shown(module),
                separator(module),
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
                    "export `{name}` is a re-exported import: define it in the module"
                )
            }
        }
    }
}
