//! Panics with its input: the host logs the message.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::string::String;

hostel_guest::plugin!(process);

/// Panics, unless the input is empty.
fn process(text: &str) -> String {
    assert!(text.is_empty(), "the input is {text}");
    String::new()
}
