//! What the host grants: log lines and configuration.
//!
//! An import is in the plugin only if its function here is used, so a plugin asks for no grant that
//! it does not need.

use alloc::string::String;
use alloc::vec::Vec;

// Safe to call with any numbers: the host only reads, and refuses what is outside the memory.
#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    safe fn host_log(ptr: *const u8, size: usize);
    safe fn host_log_message(ptr: *const u8, size: usize);
    safe fn host_get_config(key_ptr: *const u8, key_size: usize) -> i64;
}

/// The functions of a host that grants nothing.
#[cfg(not(target_arch = "wasm32"))]
mod ungranted {
    pub(super) fn host_log(_: *const u8, _: usize) {}
    pub(super) fn host_log_message(_: *const u8, _: usize) {}
    pub(super) fn host_get_config(_: *const u8, _: usize) -> i64 {
        0
    }
}
#[cfg(not(target_arch = "wasm32"))]
use ungranted::{host_get_config, host_log, host_log_message};

/// Writes one line to the plugin's log, by the import `env.host_log`.
///
/// The host adds the line's end, and may cut a line that is over its limit. Natively the line is
/// discarded.
///
/// ```
/// hostel_guest::log("starting");
/// ```
pub fn log(line: &str) {
    host_log(line.as_ptr(), line.len());
}

/// Writes one line to the plugin's log, by the import `env.host_log_message`.
///
/// As [`log`], for hosts that grant the function under this name.
pub fn log_message(line: &str) {
    host_log_message(line.as_ptr(), line.len());
}

/// The text that the host has for `key`, by the import `env.host_get_config`.
///
/// `None` if it is unset, and natively; a value that is set but empty is `Some("")`. Bytes that are
/// not UTF-8 are replaced by U+FFFD; see [`config_bytes`] for the value as it is.
///
/// The host asks the plugin for memory to put the value in, so this needs the export that
/// [`plugin!`](crate::plugin) makes.
///
/// ```
/// let greeting = hostel_guest::config("greeting").unwrap_or("Hello".into());
/// assert_eq!(greeting, "Hello");
/// ```
pub fn config(key: &str) -> Option<String> {
    config_bytes(key).map(|value| {
        String::from_utf8(value)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    })
}

/// The bytes that the host has for `key`; otherwise as [`config`].
///
/// ```
/// assert_eq!(hostel_guest::config_bytes("public key"), None);
/// ```
pub fn config_bytes(key: &str) -> Option<Vec<u8>> {
    let (ptr, size) = crate::abi::unpack(host_get_config(key.as_ptr(), key.len()));
    received(ptr, size)
}

/// The bytes of a buffer that a host function gave us; `None` for a pointer of 0.
pub(crate) fn received(ptr: u32, size: u32) -> Option<Vec<u8>> {
    match (ptr, size) {
        (0, _) => None,
        (_, 0) => Some(Vec::new()),
        // SAFETY: the host got this buffer from the export `allocate`, with this size, filled it,
        // and left it to us. An allocation there has alignment 1 and no spare bytes, as a vector of
        // this capacity has.
        (ptr, size) => Some(unsafe {
            Vec::from_raw_parts(ptr as usize as *mut u8, size as usize, size as usize)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn natively_nothing_is_granted() {
        log("discarded");
        log_message("discarded");
        assert_eq!(config("prefix"), None);
        assert_eq!(config_bytes("prefix"), None);
    }
}
