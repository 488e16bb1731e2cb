//! The plugin `customize` in the layout that the compiler chooses by itself: 1 MiB of stack, then the data.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use hostel_guest::{config, log};

hostel_guest::plugin!(process);

/// With the setting `prefix` = `CUSTOM`, "hello world" becomes "CUSTOM_HELLO WORLD".
fn process(text: &str) -> String {
    log(&format!("processing {} bytes", text.len()));
    let prefix = config("prefix").unwrap_or("DEFAULT_PREFIX".into());
    format!("{prefix}_{}", text.to_ascii_uppercase())
}
