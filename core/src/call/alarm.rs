//! Wakes a task that waits, at a set time.

use crate::base::platform::Platform;
use alloc::{sync::Arc, task::Wake};
use core::{
    task::{Context, Waker},
    time::Duration,
};
use spin::Mutex;

/// Wakes a task that waits at the call's deadline. Dropping it makes the platform forget the time, so
/// that a call which ended early leaves no timer behind.
pub(crate) struct Alarm {
    task: Arc<Task>,
    /// Wakes the task. Kept, because a platform finds what it forgets by comparing wakers, and two that
    /// are made of one task at different places may differ.
    waker: Waker,
}

/// The task to wake. The platform gets a waker of its own, since calls of one task may share theirs.
struct Task {
    platform: Arc<dyn Platform>,
    at: Duration,
    waker: Mutex<Option<Waker>>,
}

impl Alarm {
    /// Returns an alarm for the time `at` on the platform's clock. It does nothing before it is
    /// [set](Self::set).
    pub(crate) fn new(platform: &Arc<dyn Platform>, at: Duration) -> Self {
        let task = Arc::new(Task {
            platform: platform.clone(),
            at,
            waker: Mutex::new(None),
        });
        // A clone, as those that the platform keeps: it may differ from the original too.
        let waker = Waker::from(task.clone()).clone();
        Self { task, waker }
    }

    /// Has the task of `context` woken at the alarm's time. Call it in each poll that is pending.
    pub(crate) fn set(&self, context: &Context<'_>) {
        if context.waker().will_wake(Waker::noop()) {
            // The call is stepped: nobody waits to be woken.
            return;
        }
        let task = &self.task;
        let before = task.waker.lock().replace(context.waker().clone());
        // Without the lock: dropping a waker may run its executor's code.
        drop(before);
        task.platform.wake_at(Some(task.at), &self.waker);
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let waker = self.task.waker.lock().take();
        if waker.is_some() {
            self.task.platform.forget_wake(&self.waker);
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waker = self.waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
