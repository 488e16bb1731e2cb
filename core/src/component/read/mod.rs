//! Bytes to a [`Program`].
//!
//! | file | does |
//! |---|---|
//! | `check` | validates the whole component, and bounds what the validator can't |
//! | `scope` | keeps the index spaces of component instances and instance types |
//! | `inline` | goes through the sections, those of a nested component once for each instance of it |
//! | `define` | resolves types, each with the resources of the instance that it is for |

mod check;
mod define;
mod inline;
mod scope;

use super::program::Program;
use crate::{base::limits::ComponentLimits, error::LoadError, module};
use wasmparser::BinaryReaderError;

/// Reads and validates a component, except for the bodies of its core functions.
///
/// # Errors
///
/// [`LoadError::Invalid`], [`LoadError::OverLimit`], and [`LoadError::Unsupported`] for what hostel does not
/// run.
pub(crate) fn read(wasm: &[u8], limits: &ComponentLimits) -> Result<Program, LoadError> {
    let modules = check::check(wasm, limits)?;
    inline::inline(wasm, limits, modules)
}

/// Returns whether `wasm` begins as a component does.
pub(crate) fn is_component(wasm: &[u8]) -> bool {
    wasm.starts_with(b"\0asm") && wasm.get(6..8) == Some(&[1, 0])
}

/// Returns the error for what the parser or the validator says.
#[cold]
fn invalid(error: &BinaryReaderError) -> LoadError {
    let reason = error.message();
    if reason.contains('`') {
        // It quotes the guest, whose names must not be taken for those of proposals.
        return LoadError::Invalid {
            at: error.offset(),
            reason: reason.into(),
            truncated: false,
        };
    }
    module::invalid(error)
}

/// Returns the error for what the validator should have found.
#[cold]
fn missed() -> LoadError {
    LoadError::refused("an index or a name of the component leads nowhere, though it was validated")
}

/// Returns the error for more than a limit allows.
#[cold]
fn over(name: &'static str, limit: usize, found: usize) -> LoadError {
    LoadError::OverLimit {
        name,
        limit: limit as u64,
        found: found as u64,
    }
}
