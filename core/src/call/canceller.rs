//! Cancels a call from outside.

use crate::base::platform::Platform;
use alloc::sync::Arc;
use core::{
    mem,
    sync::atomic::{AtomicBool, Ordering},
    task::Waker,
};
use spin::Mutex;

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
pub struct Canceller(Arc<State>);

struct State {
    cancelled: AtomicBool,
    /// The thread that last waited in the instance's call.
    thread: Mutex<Option<Waker>>,
    platform: Arc<dyn Platform>,
}

impl Canceller {
    /// Cancels the call. Waits for no lock and does not allocate, so it may run in an interrupt if
    /// [`Platform::wake`](crate::Platform::wake) may.
    pub fn cancel(&self) {
        let state = &*self.0;
        state.cancelled.store(true, Ordering::SeqCst);
        match state.thread.try_lock().as_deref() {
            Some(Some(thread)) => thread.wake_by_ref(),
            // No thread waits yet. One that begins to looks for the cancellation first.
            Some(None) if state.platform.thread_waker().is_some() => {}
            _ => state.platform.wake(),
        }
    }

    /// Returns whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Returns whether the call is cancelled, for host work to look at.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.0.cancelled
    }

    pub(crate) fn new(platform: Arc<dyn Platform>) -> Self {
        Self(Arc::new(State {
            cancelled: AtomicBool::new(false),
            thread: Mutex::new(None),
            platform,
        }))
    }

    /// Makes a cancellation wake the calling thread. Call it before the thread waits, and check for a
    /// cancellation after it.
    pub(crate) fn wakes_this_thread(&self) {
        let waker = self.0.platform.thread_waker();
        let before = mem::replace(&mut *self.0.thread.lock(), waker);
        // Without the lock: dropping a waker may run the embedder's code.
        drop(before);
    }
}

impl core::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Canceller")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
