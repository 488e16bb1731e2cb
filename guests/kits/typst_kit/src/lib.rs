//! A plugin for Typst, made with the kit `wasm-minimal-protocol`.

use std::sync::atomic::{AtomicU32, Ordering};
use wasm_minimal_protocol::{initiate_protocol, wasm_func};

initiate_protocol!();

/// Returns nothing but a text.
#[wasm_func]
fn hello() -> Vec<u8> {
    b"Hello from the plugin".to_vec()
}

/// Returns its three arguments with a `*` between.
#[wasm_func]
fn join(first: &[u8], second: &[u8], third: &[u8]) -> Vec<u8> {
    [first, second, third].join(&b'*')
}

/// Returns the text with ASCII letters in upper case, or an error if it is not UTF-8.
#[wasm_func]
fn shout(text: &[u8]) -> Result<Vec<u8>, String> {
    let text = str::from_utf8(text).map_err(|error| format!("the argument is no text: {error}"))?;
    Ok(text.to_ascii_uppercase().into_bytes())
}

/// Returns how often this instance was called. Calls are pure: each sees 1.
#[wasm_func]
fn count() -> Vec<u8> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    calls.to_string().into_bytes()
}

/// Panics, which is a trap.
#[wasm_func]
fn panic() -> Vec<u8> {
    panic!("asked to panic");
}
