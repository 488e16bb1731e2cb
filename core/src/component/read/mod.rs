//! Bytes to a [`Program`].
//!
//! | file | does |
//! |---|---|
//! | `bare` | makes the program of a core module with a contract |
//! | `check` | validates the whole component, and bounds how deep it is nested |
//! | `weigh` | bounds the validator's work, and the depth of value types |
//! | `scope` | keeps the index spaces of component instances and instance types |
//! | `inline` | goes through the sections, those of a nested component once for each instance of it |
//! | `built_in` | tells the names and types of built-in functions for tasks, threads, streams, futures and errors |
//! | `core_level` | resolves core instances, and functions that lift and lower |
//! | `define` | resolves types, each with the resources of the instance that it is for |

mod bare;
mod built_in;
mod check;
mod core_level;
mod define;
mod inline;
mod scope;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
mod tests;
mod weigh;

pub(crate) use self::bare::read_module;

pub use self::bare::has_contract;

use super::program::Program;
use crate::{
    base::{limits::ComponentLimits, text::text},
    error::LoadError,
    module,
};
use component_parser::BinaryReaderError;

/// What reading a component may take.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'l> {
    pub(crate) limits: &'l ComponentLimits,
    /// Bytes of the heap that are free.
    pub(crate) room: usize,
}

/// Reads and validates a component, except for the bodies of its core functions.
///
/// # Errors
///
/// [`LoadError::Invalid`], [`LoadError::OverLimit`], [`LoadError::DoesNotFit`] if there is too little heap to read
/// it, and [`LoadError::Unsupported`] for what hostel does not run.
pub(crate) fn read(wasm: &[u8], bounds: Bounds<'_>) -> Result<Program, LoadError> {
    let modules = check::check(wasm, bounds)?;
    inline::inline(wasm, bounds, modules)
}

/// Returns whether `wasm` begins as a component does; a core module begins otherwise.
///
/// ```
/// assert!(hostel_core::component::is_component(b"\0asm\x0d\0\x01\0"));
/// assert!(!hostel_core::component::is_component(b"\0asm\x01\0\0\0"));
/// ```
#[must_use]
pub fn is_component(wasm: &[u8]) -> bool {
    wasm.starts_with(b"\0asm") && wasm.get(6..8) == Some(&[1, 0])
}

/// Returns the error for what the parser or the validator says.
#[cold]
fn invalid(error: &BinaryReaderError) -> LoadError {
    let reason = error.message();
    let at = usize::try_from(error.offset()).unwrap_or(usize::MAX);
    if let Some((what, _)) = reason.split_once(" requires the component model async") {
        return asynchronous(what);
    }
    if reason.contains('`') {
        // It quotes the guest, whose names must not be taken for those of proposals.
        return LoadError::Invalid {
            at,
            reason: reason.into(),
            truncated: false,
        };
    }
    module::invalid(reason, at)
}

/// Returns the error for an asynchronous part of a component.
#[cold]
fn asynchronous(what: &str) -> LoadError {
    LoadError::Unsupported {
        what: text(format_args!(
            "it has {what}: asynchronous functions are not run yet"
        )),
    }
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

/// Returns the error for too little heap.
#[cold]
fn does_not_fit(needed: usize, room: usize) -> LoadError {
    LoadError::DoesNotFit {
        needed: needed as u64,
        free: room as u64,
    }
}
