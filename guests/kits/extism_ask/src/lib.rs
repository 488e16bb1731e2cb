//! A plugin for Extism that asks a function of its host's, made with the kit `extism-pdk`.

use extism_pdk::{FnResult, host_fn, plugin_fn};

#[host_fn]
extern "ExtismHost" {
    /// Returns the value that the host knows by this key, or the fallback.
    fn lookup(key: String, fallback: String) -> String;
}

/// Returns the value that the host knows by the input.
#[plugin_fn]
pub fn ask(key: String) -> FnResult<String> {
    // SAFETY: the host has the function `lookup`, with this type.
    let value = unsafe { lookup(key, "nothing".into())? };
    Ok(format!("the host says: {value}"))
}
