//! Reasons why a component can't be lowered.

use hostel_contract::ReadError;
use hostel_core::LoadError;
use std::{fmt, io};

/// The reason why a component can't be lowered.
#[derive(Debug)]
#[non_exhaustive]
pub enum LowerError {
    /// The bytes are no component.
    NotComponent,
    /// The component can't be read.
    Load(LoadError),
    /// The component's contract can't be read.
    Contract(ReadError),
    /// The component breaks a rule of WebAssembly.
    Invalid {
        /// The broken rule, and its place.
        message: String,
    },
    /// A valid component that one core module can't replace.
    Unsupported {
        /// What the component has, and what to do.
        message: String,
    },
    /// The component is larger than this crate lowers.
    TooLarge {
        /// The thing that is limited.
        what: &'static str,
        /// The most there may be.
        limit: usize,
        /// The number that was found.
        found: usize,
    },
    /// There is no thread to lower on.
    Thread(io::Error),
    /// A library that parses or validates failed: a fault of its own.
    Fault,
}

impl LowerError {
    /// Returns the stable code of this kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotComponent => "not-component",
            Self::Load(error) => error.code(),
            Self::Contract(error) => error.code(),
            Self::Invalid { .. } => "invalid",
            Self::Unsupported { .. } => "not-lowerable",
            Self::TooLarge { .. } => "too-large",
            Self::Thread(_) => "threads",
            Self::Fault => "lower-fault",
        }
    }

    pub(crate) fn invalid(error: impl fmt::Display) -> Self {
        Self::Invalid {
            message: error.to_string(),
        }
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::Unsupported {
            message: message.into(),
        }
    }

    /// Fails if `found` things are more than `limit`.
    pub(crate) fn at_most(what: &'static str, limit: usize, found: usize) -> Result<(), Self> {
        if found > limit {
            return Err(Self::TooLarge { what, limit, found });
        }
        Ok(())
    }
}

impl From<wasmparser::Error> for LowerError {
    fn from(error: wasmparser::Error) -> Self {
        Self::invalid(error)
    }
}

impl fmt::Display for LowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotComponent => f.write_str(
                "expected a component, found other bytes: a core module needs no lowering",
            ),
            Self::Load(error) => error.fmt(f),
            Self::Contract(error) => write!(f, "can't read its contract: {error}"),
            Self::Invalid { message } => write!(f, "it is invalid: {message}"),
            Self::Unsupported { message } => f.write_str(message),
            Self::TooLarge { what, limit, found } => {
                write!(f, "it is too large: {limit} {what} allowed, {found} found")
            }
            Self::Thread(error) => write!(f, "can't start a thread: {error}"),
            Self::Fault => f.write_str(
                "a library that parses or validates failed on it. Please report this as a bug",
            ),
        }
    }
}

impl std::error::Error for LowerError {}
