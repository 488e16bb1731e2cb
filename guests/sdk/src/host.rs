//! Functions that the host may grant: log and configuration. And the forms of what host functions return.
//!
//! The plugin imports a function of the host only if it uses the function here, so it asks for no
//! grant that it does not need.

use alloc::string::String;
use alloc::vec::Vec;

// Safe with any arguments: the host only reads, and traps if they lie outside of the memory.
#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    safe fn host_log(ptr: *const u8, size: usize);
    safe fn host_log_message(ptr: *const u8, size: usize);
    safe fn host_log_at(level: u32, ptr: *const u8, size: usize);
    safe fn host_get_config(key_ptr: *const u8, key_size: usize) -> i64;
}

/// Calls the host's functions.
#[cfg(target_arch = "wasm32")]
mod imports {
    use super::{Level, Vec, host_get_config, host_log, host_log_at, host_log_message, received};

    pub(super) fn log(line: &str) {
        host_log(line.as_ptr(), line.len());
    }
    pub(super) fn log_message(line: &str) {
        host_log_message(line.as_ptr(), line.len());
    }
    pub(super) fn log_at(level: Level, line: &str) {
        host_log_at(level as u32, line.as_ptr(), line.len());
    }
    pub(super) fn config(key: &[u8]) -> Option<Vec<u8>> {
        let (ptr, size) = crate::abi::unpack(host_get_config(key.as_ptr(), key.len()));
        received(ptr, size)
    }
}

/// Those of a native test.
#[cfg(not(target_arch = "wasm32"))]
mod imports {
    pub(super) use crate::testing::{config, log as log_at};

    pub(super) fn log(line: &str) {
        log_at(super::Level::Info, line);
    }
    pub(super) use self::log as log_message;
}

/// Writes one line to the plugin's log, at the level info, by the import `env.host_log`.
///
/// Control characters, line breaks among them, appear escaped in the host's log. Lines over the host's
/// limits are dropped. In a native test,
/// [`testing::Host`](crate::testing::Host) records them.
///
/// ```
/// hostel_guest::log("starting");
/// ```
pub fn log(line: &str) {
    imports::log(line);
}

/// Writes one line to the plugin's log, by the import `env.host_log_message`.
///
/// Works as [`log`] does, for hosts that grant only the function of this name.
pub fn log_message(line: &str) {
    imports::log_message(line);
}

/// The importance of a line in the plugin's log, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Each step.
    Trace = 0,
    /// For finding errors.
    Debug = 1,
    /// What happens in normal use.
    Info = 2,
    /// May be wrong.
    Warn = 3,
    /// Is wrong.
    Error = 4,
}

/// Writes one line to the plugin's log, at `level`, by the import `env.host_log_at`. Otherwise works as
/// [`log`] does.
///
/// ```
/// use hostel_guest::{Level, log_at};
/// log_at(Level::Warn, "the setting `prefix` is missing");
/// ```
pub fn log_at(level: Level, line: &str) {
    imports::log_at(level, line);
}

/// Returns the setting `key` as text, by the import `env.host_get_config`.
///
/// Returns `None` if it is unset. In a native test, [`testing::Host`](crate::testing::Host) has the settings. An empty setting is `Some("")`. Bytes that are
/// not UTF-8 become U+FFFD; [`config_bytes`] returns them unchanged.
///
/// The host writes the value to memory from the export `allocate`, which [`plugin!`](crate::plugin)
/// makes.
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

/// Returns the setting `key` as bytes. Otherwise works as [`config`] does.
///
/// ```
/// assert_eq!(hostel_guest::config_bytes("public key"), None);
/// ```
pub fn config_bytes(key: &str) -> Option<Vec<u8>> {
    imports::config(key.as_bytes())
}

/// Takes over a buffer that a host function filled. Returns `None` for the pointer 0.
pub(crate) fn received(ptr: u32, size: u32) -> Option<Vec<u8>> {
    match (ptr, size) {
        (0, _) => None,
        (_, 0) => Some(Vec::new()),
        // SAFETY: the host got this buffer from the export `allocate` with this size, filled it, and
        // passed it to us to free. It has alignment 1 and no spare bytes, like a vector of this
        // capacity.
        (ptr, size) => Some(unsafe {
            Vec::from_raw_parts(ptr as usize as *mut u8, size as usize, size as usize)
        }),
    }
}

#[cfg(target_arch = "wasm32")]
/// Translates a result of the host: bytes, nothing or an error.
pub(crate) fn answer(packed: i64) -> Result<Option<Vec<u8>>, crate::Error> {
    let (ptr, size) = crate::abi::unpack(packed);
    let bytes = received(ptr, size & !crate::abi::ERROR_BIT);
    if size & crate::abi::ERROR_BIT == 0 {
        return Ok(bytes);
    }
    let message = bytes.unwrap_or_default();
    Err(crate::Error::new(String::from_utf8_lossy(&message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn natively_nothing_is_granted() {
        log("discarded");
        log_message("discarded");
        log_at(Level::Error, "discarded");
        assert_eq!(config("prefix"), None);
        assert_eq!(config_bytes("prefix"), None);
    }
}
