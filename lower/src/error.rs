//! Reasons why a component can't be lowered.

use std::fmt;

/// The reason why a component can't be lowered.
#[derive(Debug)]
#[non_exhaustive]
pub enum LowerError {
    /// The bytes are no component.
    NotComponent,
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
}

impl LowerError {
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
            Self::NotComponent => f.write_str("expected a component, found other bytes"),
            Self::Invalid { message } => write!(f, "the component is invalid: {message}"),
            Self::Unsupported { message } => write!(f, "the component can't be lowered: {message}"),
            Self::TooLarge { what, limit, found } => write!(
                f,
                "the component is too large to be lowered: at most {limit} {what}, found {found}"
            ),
        }
    }
}

impl std::error::Error for LowerError {}
