//! A call as a task of the scheduler.

use super::scheduler::Lane;
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};
use tokio::sync::oneshot;

/// A future that a lane runs slice by slice.
pub(super) struct Task {
    /// `None` once it has ended.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    lane: Arc<Lane>,
    state: AtomicU8,
    cancelled: AtomicBool,
}

/// It waits to be woken.
const WAITS: u8 = 0;
/// It is in its lane.
const QUEUED: u8 = 1;
/// A thread runs its slice.
const RUNS: u8 = 2;
/// As [`RUNS`], and it was woken meanwhile.
const WOKEN: u8 = 3;
/// It has ended.
const ENDED: u8 = 4;

impl Task {
    /// Runs one slice. Returns whether the task can go on at once.
    pub(super) fn run(self: &Arc<Self>) -> bool {
        self.state.store(RUNS, Ordering::Release);
        let mut future = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        let ended = match &mut *future {
            Some(_) if self.cancelled.load(Ordering::Acquire) => true,
            // A panic ends the task alone. Its caller learns that there is no result.
            Some(future) => catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)))
                .map_or(true, |polled| polled.is_ready()),
            None => true,
        };
        if ended {
            self.state.store(ENDED, Ordering::Release);
            let dropped = future.take();
            // Its drop may run the embedder's code, and may panic.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(dropped)));
            return false;
        }
        drop(future);
        let waits = self
            .state
            .compare_exchange(RUNS, WAITS, Ordering::AcqRel, Ordering::Acquire);
        if waits.is_ok() {
            return false;
        }
        self.state.store(QUEUED, Ordering::Release);
        true
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let change = |state| match state {
            WAITS => Some(QUEUED),
            RUNS => Some(WOKEN),
            _ => None,
        };
        let before = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        if before == Ok(WAITS) {
            let lane = self.lane.clone();
            lane.push(self);
        }
    }
}

/// The result of a task, to be awaited. If it is dropped, the task ends before its next slice.
pub(crate) struct Running<R> {
    result: oneshot::Receiver<R>,
    task: Arc<Task>,
}

/// A task ended without a result: it panicked, or its scheduler was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// Runs a future in a lane.
pub(crate) fn spawn<R: Send + 'static>(
    lane: Arc<Lane>,
    future: impl Future<Output = R> + Send + 'static,
) -> Running<R> {
    let running = new(lane.clone(), future);
    lane.push(running.task.clone());
    running
}

/// As [`spawn`], but runs the first slice at once, on this thread, if no thread of the lane's scheduler has work. For a
/// call that ends in it, that saves two changes of threads. The slice is as short as any other.
pub(crate) fn spawn_here<R: Send + 'static>(
    lane: Arc<Lane>,
    future: impl Future<Output = R> + Send + 'static,
) -> Running<R> {
    if !lane.is_quiet() {
        return spawn(lane, future);
    }
    let running = new(lane.clone(), future);
    let began = Instant::now();
    let again = running.task.run();
    lane.charge(began.elapsed());
    if again {
        lane.push(running.task.clone());
    }
    running
}

fn new<R: Send + 'static>(
    lane: Arc<Lane>,
    future: impl Future<Output = R> + Send + 'static,
) -> Running<R> {
    let (send, result) = oneshot::channel();
    let task = Arc::new(Task {
        future: Mutex::new(Some(Box::pin(async move {
            // The receiver may have gone.
            let _ = send.send(future.await);
        }))),
        lane,
        state: AtomicU8::new(QUEUED),
        cancelled: AtomicBool::new(false),
    });
    Running { result, task }
}

impl<R> Future for Running<R> {
    type Output = Result<R, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.result).poll(context);
        polled.map(|result| result.map_err(|_| Lost))
    }
}

impl<R> Drop for Running<R> {
    fn drop(&mut self) {
        if self.task.state.load(Ordering::Acquire) != ENDED {
            self.task.cancelled.store(true, Ordering::Release);
            self.task.clone().wake();
        }
    }
}
