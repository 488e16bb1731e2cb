//! Counts visits, in state that the host keeps.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{format, string::String, vec::Vec};
use hostel_guest::{Error, state};

hostel_guest::plugin!(process, names, forget);

/// "Gopher" becomes "Gopher: visit 1", and the next time "Gopher: visit 2".
fn process(name: &str) -> Result<String, Error> {
    let before = match state::get(name)? {
        Some(bytes) => u64::from_le_bytes(bytes.as_slice().try_into()?),
        None => 0,
    };
    let visit = before.saturating_add(1);
    state::set(name, visit.to_le_bytes())?;
    Ok(format!("{name}: visit {visit}"))
}

/// The names that begin with the input, one a line.
fn names(prefix: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(state::list(prefix)?.join(&b'\n'))
}

/// Counts from the beginning.
fn forget(name: &[u8]) -> Result<Vec<u8>, Error> {
    state::delete(name)?;
    Ok(Vec::new())
}
