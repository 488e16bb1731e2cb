//! Reasons why a file has no contract that can be read.

use std::{fmt, io, path::PathBuf};

/// The reason why a contract can't be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes are neither WebAssembly nor WIT text.
    NotWasm,
    /// The bytes are a core module without a section `component-type`.
    NoContract,
    /// The component, or its contract, breaks a rule of the component model.
    Invalid {
        /// The broken rule, and its place.
        message: String,
    },
    /// Something is larger than a contract may be.
    TooLarge {
        /// The thing that is limited.
        what: &'static str,
        /// The most there may be.
        limit: u64,
        /// The number that was found, or that counting stopped at.
        found: u64,
    },
    /// The component is valid, but WIT can't say what it imports or exports.
    NotInWit {
        /// The part that WIT can't say.
        message: String,
    },
    /// The WIT text does not parse, or names things that it does not define.
    Wit {
        /// The mistake, with its line.
        message: String,
    },
    /// The package has no such world, or several to choose from.
    World {
        /// The worlds that there are.
        message: String,
    },
    /// A file can't be read.
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A library that reads contracts failed: a fault of its own.
    Fault,
}

impl ReadError {
    pub(crate) fn invalid(error: impl fmt::Display) -> Self {
        Self::Invalid {
            message: error.to_string(),
        }
    }

    pub(crate) fn not_in_wit(message: impl Into<String>) -> Self {
        Self::NotInWit {
            message: message.into(),
        }
    }

    /// Refuses more than `limit` things.
    pub(crate) fn at_most(what: &'static str, limit: u64, found: u64) -> Result<(), Self> {
        match found > limit {
            true => Err(Self::TooLarge { what, limit, found }),
            false => Ok(()),
        }
    }

    /// Returns the stable code of this kind of error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotWasm => "not-wasm",
            Self::NoContract => "no-contract",
            Self::Invalid { .. } => "invalid-contract",
            Self::TooLarge { .. } => "contract-too-large",
            Self::NotInWit { .. } => "not-in-wit",
            Self::Wit { .. } => "invalid-wit",
            Self::World { .. } => "unknown-world",
            Self::File { .. } => "file-unreadable",
            Self::Fault => "contract-fault",
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWasm => {
                f.write_str("expected a WebAssembly component or module, found other bytes")
            }
            Self::NoContract => f.write_str(
                "a core module without a contract: expected a custom section `component-type`, as wit-bindgen leaves it",
            ),
            Self::Invalid { message } => write!(f, "invalid component or contract: {message}"),
            Self::TooLarge { what, limit, found } => {
                write!(f, "the contract is too large: {limit} {what} allowed, {found} found")
            }
            Self::NotInWit { message } => {
                write!(f, "WIT can't say what the component declares: {message}")
            }
            Self::Wit { message } | Self::World { message } => f.write_str(message),
            Self::File { path, error } => write!(f, "can't read {}: {error}", path.display()),
            Self::Fault => f.write_str(
                "the contract can't be read: a library failed on it. Please report this as a bug",
            ),
        }
    }
}

impl std::error::Error for ReadError {}
