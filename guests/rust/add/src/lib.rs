//! A sum: a plugin of numbers, which needs no memory from the host.

#![cfg_attr(target_arch = "wasm32", no_std)]

// For its panic handler.
use hostel_guest as _;

/// The sum modulo 2³².
#[unsafe(no_mangle)]
pub extern "C" fn add(a: u32, b: u32) -> u32 {
    a.wrapping_add(b)
}
