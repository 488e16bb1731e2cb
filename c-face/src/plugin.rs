//! Plugins.

use crate::{
    HostelCode, HostelEngine, HostelGrants, HostelMessage,
    message::{ended, failed},
    raw,
};
use core::{ffi::c_char, ptr};
use hostel_core::{Grants, Plugin};

/// A checked and compiled module. Threads may share it.
#[derive(Debug)]
pub struct HostelPlugin(pub(crate) Plugin<()>);

/// Checks and compiles the module of `size` bytes at `wasm`, and sets `plugin` to a plugin called
/// `name`. Free it with `hostel_unload`. The module's bytes are not needed afterwards.
///
/// `grants` may be null for no grants. On an error, sets `plugin` to null, and writes the reason to
/// `message`, which may be null. The reasons of `HOSTEL_CODE_MISMATCH` name every import and export
/// that does not fit.
///
/// # Safety
///
/// `engine` comes from `hostel_engine_new`. `grants` is null, or comes from `hostel_grants_new`. `name`
/// is a text that ends with a zero byte. `wasm` points to `size` bytes. `plugin` may be written to.
/// `message` is null, or fulfils the contract of `HostelMessage`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_load(
    engine: *const HostelEngine,
    name: *const c_char,
    wasm: *const u8,
    size: usize,
    grants: *const HostelGrants,
    plugin: *mut *mut HostelPlugin,
    message: *mut HostelMessage,
) -> HostelCode {
    // SAFETY: by the caller's promise.
    unsafe { HostelMessage::say(message, None) };
    let load = || {
        // SAFETY: by the caller's promise.
        unsafe { raw::put(plugin, ptr::null_mut()) }?;
        // SAFETY: by the caller's promise.
        let engine = unsafe { raw::borrowed(engine) }?;
        // SAFETY: by the caller's promise.
        let name = unsafe { raw::text(name) }?;
        // SAFETY: by the caller's promise.
        let wasm = unsafe { raw::items(wasm, size) }?;
        // SAFETY: by the caller's promise.
        let granted = unsafe { raw::borrowed(grants) }.map(HostelGrants::grants);
        let none = Grants::new();
        match engine.0.load(name, wasm, granted.unwrap_or(&none)) {
            // SAFETY: by the caller's promise.
            Ok(loaded) => unsafe { raw::put(plugin, raw::hand_out(HostelPlugin(loaded))) },
            // SAFETY: by the caller's promise.
            Err(error) => Err(unsafe { failed(message, &error) }),
        }
    };
    // SAFETY: by the caller's promise.
    unsafe { ended(load(), message) }
}

/// Frees a plugin. Its instances stay usable, and its memory is released when the last of them has been
/// freed too. Does nothing for null.
///
/// # Safety
///
/// `plugin` is null, or comes from `hostel_load` and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_unload(plugin: *mut HostelPlugin) {
    // SAFETY: by the caller's promise.
    unsafe { raw::take_back(plugin) };
}
