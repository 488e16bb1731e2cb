//! Runs a call to its end on the calling thread.

use super::{StoreData, canceller::Canceller};
use crate::base::platform::Platform;
use alloc::{sync::Arc, task::Wake};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// What ends a thread's wait for a call before the call is ready.
pub(crate) struct WaitBounds {
    platform: Arc<dyn Platform>,
    until: Option<Duration>,
    canceller: Option<Canceller>,
}

impl WaitBounds {
    /// Returns those of the running call.
    pub(crate) fn of<T>(state: &StoreData<T>) -> Self {
        Self {
            platform: state.shared.platform.clone(),
            until: state.meter.until(),
            canceller: state.canceller.clone(),
        }
    }
}

/// Calls `poll` on this thread until it is ready. A call that is not stepped is pending only while
/// an asynchronous host function is: the thread then waits by the platform, and polls again when it
/// is woken, at the latest at the deadline.
// What the wait needs is looked up only for it, since most calls never wait.
pub(crate) fn block<S, R>(
    state: &mut S,
    bounds: impl Fn(&S) -> WaitBounds,
    mut poll: impl FnMut(&mut S, &mut Context<'_>) -> Poll<R>,
) -> R {
    let mut polled = poll(state, &mut Context::from_waker(Waker::noop()));
    loop {
        match polled {
            Poll::Ready(result) => return result,
            Poll::Pending => {
                let bounds = bounds(state);
                wait(&bounds, &mut |context| {
                    polled = poll(state, context);
                    polled.is_ready()
                });
            }
        }
    }
}

/// Waits until `is_ready` returns true. Calls it after each wake, after a cancellation and at the
/// deadline.
#[cold]
#[inline(never)]
fn wait(bounds: &WaitBounds, is_ready: &mut dyn FnMut(&mut Context<'_>) -> bool) {
    let WaitBounds {
        platform,
        until,
        canceller,
    } = bounds;
    let signal = Arc::new(Signal {
        woken: AtomicBool::new(true),
        thread: platform.thread_waker(),
        platform: platform.clone(),
    });
    if let Some(canceller) = canceller {
        canceller.wakes_this_thread();
    }
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        let cancelled = || canceller.as_ref().is_some_and(Canceller::is_cancelled);
        platform.wait_until(
            &|| signal.woken.swap(false, Ordering::AcqRel) || cancelled(),
            *until,
        );
        if is_ready(&mut context) {
            return;
        }
    }
}

/// Wakes a blocked thread.
struct Signal {
    woken: AtomicBool,
    /// Wakes this thread; `None` if the platform can only wake all of them.
    thread: Option<Waker>,
    platform: Arc<dyn Platform>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        match &self.thread {
            Some(thread) => thread.wake_by_ref(),
            None => self.platform.wake(),
        }
    }
}
