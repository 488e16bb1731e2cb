//! Ends a call from outside.

use crate::base::platform::Platform;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

/// Stops the call that an instance runs, or its next one, from another thread or an interrupt.
///
/// Acts within one slice of 50,000 fuel, on this instance alone, also where a thread waits for an
/// asynchronous host function; one that runs is not interrupted. A call that is awaited looks when
/// it is next polled. It can't be taken back.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (func (export "spin") (loop $l (br $l))))"#)?;
/// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
/// let mut instance = plugin.instantiate(())?;
/// let canceller = instance.canceller();
/// std::thread::spawn(move || canceller.cancel());
/// let error = instance.call::<(), ()>("spin", ()).unwrap_err();
/// assert_eq!(error.code(), "cancelled");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Canceller {
    cancelled: Arc<AtomicBool>,
    platform: Arc<dyn Platform>,
}

impl Canceller {
    /// Asks for the stop. Cheap; safe in an interrupt.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.platform.wake();
    }

    /// Whether the stop was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(crate) fn new(platform: Arc<dyn Platform>) -> Self {
        Self {
            cancelled: Arc::default(),
            platform,
        }
    }
}

impl core::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Canceller")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
