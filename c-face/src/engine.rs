//! Engines and platforms.

use crate::raw;
use core::{ffi::c_void, time::Duration};
use hostel_core::{Budget, Engine, Limits, Platform};

/// What plugins are loaded from. May be used from several threads.
#[derive(Debug)]
pub struct HostelEngine(pub(crate) Engine);

/// What the machine can do, each null where it can't. The functions may be called from any thread
/// that calls hostel, with `context`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HostelPlatform {
    /// Handed to the functions.
    pub context: *mut c_void,
    /// Microseconds since any fixed moment; never goes back. Without it there are no deadlines.
    pub now: Option<unsafe extern "C" fn(context: *mut c_void) -> u64>,
    /// Bytes of the heap that are free. With it, what has no room is refused before it is tried.
    pub free_bytes: Option<unsafe extern "C" fn(context: *mut c_void) -> usize>,
}

// SAFETY: who hands it over promises that its functions may be called from any thread.
unsafe impl Send for HostelPlatform {}
// SAFETY: as above.
unsafe impl Sync for HostelPlatform {}

impl Platform for HostelPlatform {
    fn now(&self) -> Option<Duration> {
        // SAFETY: the function is the caller's, with the context that belongs to it.
        let now = self.now.map(|now| unsafe { now(self.context) });
        now.map(Duration::from_micros)
    }

    fn free_bytes(&self) -> Option<usize> {
        // SAFETY: as above.
        self.free_bytes.map(|free| unsafe { free(self.context) })
    }
}

/// An engine for a device whose heap has `heap_bytes` bytes, with limits and budgets that fit; or
/// for a server, where that is 0. `platform` may be null. Give it back with `hostel_engine_free`.
///
/// # Safety
///
/// `platform` is null or points at a platform, whose functions are safe to call for as long as the
/// engine, or anything loaded from it, is there.
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

/// Gives an engine back. What was loaded from it goes on. Null is fine.
///
/// # Safety
///
/// `engine` is null, or from `hostel_engine_new` and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hostel_engine_free(engine: *mut HostelEngine) {
    // SAFETY: by the caller's promise.
    unsafe { raw::take_back(engine) };
}
