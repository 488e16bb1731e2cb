//! A greeting by a plugin with a heap, in a memory that is as small as its heap.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::string::String;

hostel_guest::plugin!(greet);

/// "Gopher" becomes "Hello, Gopher!".
fn greet(name: &str) -> String {
    ["Hello, ", name, "!"].concat()
}
