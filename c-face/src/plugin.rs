//! Plugins.

use crate::{HostelCode, HostelEngine, HostelGrants, HostelMessage, message::failed, raw};
use core::{ffi::c_char, ptr};
use hostel_core::{Grants, Plugin};

/// A plugin, loaded. May be used from several threads.
#[derive(Debug)]
pub struct HostelPlugin(pub(crate) Plugin<()>);

/// Checks and compiles a module of `size` bytes to a plugin called `name`, with `grants` and nothing
/// else; null for none. The module's bytes are not needed afterwards. Where it does not load,
/// `plugin` becomes null, and `message`, which may be null, says why.
///
/// # Safety
///
/// `engine` and `grants` are handles; `name` is a text with a zero at its end; `wasm` points at
/// `size` bytes; `plugin` may be written to; `message` is as it says.
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
    raw::ended(load())
}

/// Gives a plugin back. Its memory is free when its last instance has gone too; these refuse no
/// calls until then. Null is fine.
///
/// # Safety
///
/// `plugin` is null, or from `hostel_load` and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_unload(plugin: *mut HostelPlugin) {
    // SAFETY: by the caller's promise.
    unsafe { raw::take_back(plugin) };
}
