//! The plugin `customize` with the standard library and all that it chooses by itself: its allocator grows the
//! memory in the first call.

use hostel_guest::{config, log};

hostel_guest::plugin!(process);

/// With the setting `prefix` = `CUSTOM`, "hello world" becomes "CUSTOM_HELLO WORLD".
fn process(text: &str) -> String {
    log(&format!("processing {} bytes", text.len()));
    let prefix = config("prefix").unwrap_or("DEFAULT_PREFIX".into());
    format!("{prefix}_{}", text.to_ascii_uppercase())
}
