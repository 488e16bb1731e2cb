//! The built-in host functions, and the grants that supply them.

use crate::{
    abi::{Convention, extism::HTTP_REQUEST},
    wasi,
};

/// The built-in host functions: module, name, and the grant that supplies it.
const SERVICES: [(&str, &str, &str); 10] = [
    ("env", "host_log", "log"),
    ("env", "host_log_message", "log"),
    ("env", "host_log_at", "log"),
    ("env", "abort", "log"),
    ("env", "host_get_config", "config"),
    ("env", "host_state_get", "state"),
    ("env", "host_state_set", "state"),
    ("env", "host_state_delete", "state"),
    ("env", "host_state_list", "state"),
    ("env", "host_http_request", "http"),
];

/// Returns the grant that supplies a built-in host function; `None` for any other function. For Extism's
/// `http_request` that is `http`, which is granted within `extism`.
///
/// ```
/// assert_eq!(hostel_core::grant_for("env", "host_log"), Some("log"));
/// assert_eq!(hostel_core::grant_for("wasi_snapshot_preview1", "fd_write"), Some("wasi"));
/// assert_eq!(hostel_core::grant_for("extism:host/env", "http_request"), Some("http"));
/// assert_eq!(hostel_core::grant_for("env", "open"), None);
/// ```
#[must_use]
pub fn grant_for(module: &str, name: &str) -> Option<&'static str> {
    match linked_by(module, name) {
        Some("extism") if name == HTTP_REQUEST => Some("http"),
        grant => grant,
    }
}

/// Returns the grant without which an import of a built-in host function does not load.
pub(super) fn linked_by(module: &str, name: &str) -> Option<&'static str> {
    SERVICES
        .iter()
        .find(|(m, n, _)| (*m, *n) == (module, name))
        .map(|(_, _, grant)| *grant)
        .or_else(|| wasi::is_function(module, name).then_some("wasi"))
        .or_else(|| Convention::of_import(module).map(Convention::name))
}

/// Returns the built-in host functions: module, name, and the grant that supplies it. WASI's are not
/// included.
///
/// ```
/// assert!(hostel_core::services().any(|service| service == ("env", "host_log", "log")));
/// ```
pub fn services() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    SERVICES.into_iter()
}
