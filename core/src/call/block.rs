//! Runs a call to its end on the calling thread.

use super::canceller::Canceller;
use crate::base::platform::Platform;
use alloc::{sync::Arc, task::Wake};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Runs what `poll` does to its end on this thread. Without steps it is only ever not ready where an
/// asynchronous host function waits: then the platform waits, until `until` at most between two
/// looks.
pub(crate) fn block<R>(
    platform: &Arc<dyn Platform>,
    until: Option<Duration>,
    canceller: Option<&Canceller>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> R {
    let mut polled = poll(&mut Context::from_waker(Waker::noop()));
    loop {
        match polled {
            Poll::Ready(result) => return result,
            Poll::Pending => wait(platform, until, canceller, &mut |context| {
                polled = poll(context);
                polled.is_ready()
            }),
        }
    }
}

/// Waits until `is_ready`, which is asked whenever it has been woken.
#[cold]
#[inline(never)]
fn wait(
    platform: &Arc<dyn Platform>,
    until: Option<Duration>,
    canceller: Option<&Canceller>,
    is_ready: &mut dyn FnMut(&mut Context<'_>) -> bool,
) {
    let signal = Arc::new(Signal {
        woken: AtomicBool::new(true),
        platform: platform.clone(),
    });
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        let cancelled = || canceller.is_some_and(Canceller::is_cancelled);
        platform.wait_until(
            &|| signal.woken.swap(false, Ordering::AcqRel) || cancelled(),
            until,
        );
        if is_ready(&mut context) {
            return;
        }
    }
}

/// Wakes a thread that blocks.
struct Signal {
    woken: AtomicBool,
    platform: Arc<dyn Platform>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.platform.wake();
    }
}
