//! Engines and platforms.

use crate::raw;
use core::{ffi::c_void, time::Duration};
use hostel_core::{Budget, Engine, Limits, Platform};

/// A configured interpreter, which loads plugins. Threads may share it.
#[derive(Debug)]
pub struct HostelEngine(pub(crate) Engine);

/// Functions of the machine. Each may be null if the machine lacks it. hostel calls them with
/// `context`, on any thread that calls hostel. At most 64 calls of plugins with imports run at a time
/// in all threads together; further ones fail with `HOSTEL_CODE_TOO_NESTED`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HostelPlatform {
    /// Passed to the functions.
    pub context: *mut c_void,
    /// Returns the time in microseconds since a fixed moment; never goes back. If null, calls with a
    /// deadline fail.
    pub now: Option<unsafe extern "C" fn(context: *mut c_void) -> u64>,
    /// Returns the number of free bytes of the heap. If given, a plugin, instance or call without room
    /// is refused before it begins.
    pub free_bytes: Option<unsafe extern "C" fn(context: *mut c_void) -> usize>,
}

// SAFETY: the caller of `hostel_engine_new` promises that any thread may call the functions.
unsafe impl Send for HostelPlatform {}
// SAFETY: as above.
unsafe impl Sync for HostelPlatform {}

impl Platform for HostelPlatform {
    fn now(&self) -> Option<Duration> {
        // SAFETY: the caller promised that the function is safe to call with its context.
        let now = self.now.map(|now| unsafe { now(self.context) });
        now.map(Duration::from_micros)
    }

    fn free_bytes(&self) -> Option<usize> {
        // SAFETY: as above.
        self.free_bytes.map(|free| unsafe { free(self.context) })
    }
}

/// Creates an engine. Free it with `hostel_engine_free`.
///
/// `heap_bytes` is the size of a device's heap, and sets limits and budgets that fit it: a quarter for
/// a module, and a quarter for an instance's memory. 0 sets the limits and budgets of a server.
/// `platform` may be null, and is copied.
///
/// # Safety
///
/// `platform` is null or points to a platform. Its functions are safe to call from any thread, until
/// the engine and everything loaded from it have been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_engine_new(
    heap_bytes: usize,
    platform: *const HostelPlatform,
) -> *mut HostelEngine {
    let mut engine = match heap_bytes {
        0 => Engine::new(Limits::server()).with_budget(Budget::server()),
        heap => Engine::new(Limits::device(heap)).with_budget(Budget::device()),
    };
    // SAFETY: by the caller's promise.
    if let Ok(platform) = unsafe { raw::borrowed(platform) } {
        engine = engine.with_platform(*platform);
    }
    raw::hand_out(HostelEngine(engine))
}

/// Frees an engine. Plugins loaded from it stay usable. Does nothing for null.
///
/// # Safety
///
/// `engine` is null, or comes from `hostel_engine_new` and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_engine_free(engine: *mut HostelEngine) {
    // SAFETY: by the caller's promise.
    unsafe { raw::take_back(engine) };
}
