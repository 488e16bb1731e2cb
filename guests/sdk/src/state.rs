//! Values that the host keeps for the plugin, beyond the call and the instance. If the host stores them
//! in a file, they outlive the host program too.
//!
//! Keys and values are any bytes, including none. Plugins can't see each other's values.
//!
//! After an error nothing has changed. Its message begins with a code, such as `state-keys: `, and says
//! which limit was exceeded.
//!
//! Each function is atomic. A sequence of functions is not: if the host runs several instances of a
//! plugin at once, another one may change a value between a [`get`] and a [`set`].
//!
//! In native tests, [`testing::Host`](crate::testing::Host) keeps the values. Without one, [`set`] and [`delete`] do
//! nothing, [`get`] and [`list`] find nothing.
//!
//! ```
//! use hostel_guest::{Error, state};
//!
//! fn seen_before(name: &str) -> Result<bool, Error> {
//!     let seen = state::get(name)?.is_some();
//!     state::set(name, "")?;
//!     Ok(seen)
//! }
//!
//! assert_eq!(seen_before("Gopher"), Ok(false));
//! ```

use crate::Error;
#[cfg(target_arch = "wasm32")]
use crate::host::answer;
use alloc::vec::Vec;

// Safe with any arguments: the host only reads, and traps if they lie outside of the memory.
#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    safe fn host_state_get(key: *const u8, key_size: usize) -> i64;
    safe fn host_state_set(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> i64;
    safe fn host_state_delete(key: *const u8, key_size: usize) -> i64;
    safe fn host_state_list(
        prefix: *const u8,
        prefix_size: usize,
        after: *const u8,
        after_size: usize,
        max: u32,
    ) -> i64;
}

/// Calls the host's functions.
#[cfg(target_arch = "wasm32")]
mod imports {
    use super::{
        Error, Vec, answer, host_state_delete, host_state_get, host_state_list, host_state_set,
        keys,
    };

    #[inline(always)]
    pub(super) fn state_get(key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        answer(host_state_get(key.as_ptr(), key.len()))
    }
    #[inline(always)]
    pub(super) fn state_set(key: &[u8], value: &[u8]) -> Result<(), Error> {
        let done = host_state_set(key.as_ptr(), key.len(), value.as_ptr(), value.len());
        answer(done).map(drop)
    }
    #[inline(always)]
    pub(super) fn state_delete(key: &[u8]) -> Result<(), Error> {
        answer(host_state_delete(key.as_ptr(), key.len())).map(drop)
    }
    #[inline(always)]
    pub(super) fn state_list(
        prefix: &[u8],
        after: Option<&[u8]>,
        max: u32,
    ) -> Result<Vec<Vec<u8>>, Error> {
        // Null means that there is no `after`. A slice's pointer is never null, not even an empty one's.
        let (after, after_size) =
            after.map_or((core::ptr::null(), 0), |key| (key.as_ptr(), key.len()));
        let page = host_state_list(prefix.as_ptr(), prefix.len(), after, after_size, max);
        Ok(keys(&answer(page)?.unwrap_or_default()))
    }
}
/// Those of a native test.
#[cfg(not(target_arch = "wasm32"))]
use crate::testing as imports;

/// Returns the value of `key`, or `None` if it has none. Uses the import `env.host_state_get`.
///
/// # Errors
///
/// If the key is longer than the host allows, or the host's store fails.
pub fn get(key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Error> {
    imports::state_get(key.as_ref())
}

/// Sets the value of `key`, replacing any earlier one. Uses the import `env.host_state_set`.
///
/// # Errors
///
/// If the key, the value, the number of keys, or the total of bytes would exceed the host's limit, or
/// if the host's store fails. The key then keeps its earlier value.
pub fn set(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), Error> {
    imports::state_set(key.as_ref(), value.as_ref())
}

/// Removes `key` and its value. Succeeds if there was none. Uses the import `env.host_state_delete`.
///
/// # Errors
///
/// As for [`get`].
pub fn delete(key: impl AsRef<[u8]>) -> Result<(), Error> {
    imports::state_delete(key.as_ref())
}

/// Returns all keys that begin with `prefix`, in the order of their bytes. Uses the import
/// `env.host_state_list`, once for each page of 64 KiB. Keys set or deleted meanwhile may be missed.
///
/// # Errors
///
/// As for [`get`].
pub fn list(prefix: impl AsRef<[u8]>) -> Result<Vec<Vec<u8>>, Error> {
    let mut keys = Vec::new();
    loop {
        let page = page(&prefix, keys.last().map(Vec::as_slice), u32::MAX)?;
        if page.is_empty() {
            return Ok(keys);
        }
        keys.extend(page);
    }
}

/// Returns at most `max` of the keys that begin with `prefix` and are greater than `after`, in the order
/// of their bytes; fewer if they would exceed 64 KiB. An empty page means that there are no more keys.
///
/// # Errors
///
/// As for [`get`].
pub fn page(
    prefix: impl AsRef<[u8]>,
    after: Option<&[u8]>,
    max: u32,
) -> Result<Vec<Vec<u8>>, Error> {
    imports::state_list(prefix.as_ref(), after, max)
}

// Native tests have keys, not pages.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
/// Splits a page into keys. Each is a length, as a little-endian u32, and that many bytes.
fn keys(mut page: &[u8]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    while let Some((size, rest)) = page.split_first_chunk() {
        let size = u32::from_le_bytes(*size) as usize;
        let Some((key, rest)) = rest.split_at_checked(size) else {
            break;
        };
        keys.push(key.into());
        page = rest;
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn natively_nothing_is_kept() {
        assert_eq!(set("key", "value"), Ok(()));
        assert_eq!(get("key"), Ok(None));
        assert_eq!(delete("key"), Ok(()));
        assert_eq!(list(""), Ok(Vec::new()));
    }

    #[test]
    fn a_page_is_lengths_and_keys() {
        assert_eq!(keys(b""), [b""; 0]);
        assert_eq!(keys(b"\0\0\0\0"), [b""]);
        assert_eq!(
            keys(b"\x01\0\0\0a\0\0\0\0\x02\0\0\0\0\xff"),
            [&b"a"[..], b"", b"\0\xff"]
        );
        assert_eq!(keys(b"\x01\0\0\0a\x02\0\0\0b"), [b"a"], "cut");
    }
}
