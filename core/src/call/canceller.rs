//! Cancels a call from outside.

use crate::base::platform::Platform;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

/// Stops the call that an instance runs, or else its next one, from another thread or an interrupt.
/// The call ends with [`Cancelled`](crate::CallError::Cancelled).
///
/// It acts on one instance, within a slice of 50,000 units of fuel. It ends a thread's wait for an
/// asynchronous host function, but does not interrupt a host function that runs. A call that is
/// stepped or awaited notices it at the next step or poll. A cancellation can't be undone.
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
    /// Cancels the call. Takes no lock and does not allocate, so it may run in an interrupt if
    /// [`Platform::wake`](crate::Platform::wake) may.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.platform.wake();
    }

    /// Returns whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Returns whether the call is cancelled, for host work to look at.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.cancelled
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
