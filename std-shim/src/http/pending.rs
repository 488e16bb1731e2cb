//! The answer to a request, which a thread gives and a guest awaits.

use hostel_core::{HttpError, HttpResponse};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

type Outcome = Result<HttpResponse, HttpError>;

/// A request that counts as running until this is dropped.
pub(super) struct Running(Arc<AtomicUsize>);

impl Running {
    /// Counts a request; `None` if `limit` are running.
    pub(super) fn begin(running: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let more = |now: usize| (now < limit).then_some(now.saturating_add(1));
        let counted = running.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        counted.is_ok().then(|| Self(running.clone()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Shared(Mutex<State>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the first outcome, and wakes the guest.
    fn complete(&self, outcome: Outcome) {
        let mut state = self.lock();
        state.outcome.get_or_insert(outcome);
        let waker = state.waker.take();
        // Without the lock: a waker runs its executor's code.
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The thread's end. Dropped without an outcome, it tells the guest so.
pub(super) struct Answer {
    shared: Arc<Shared>,
    running: Option<Running>,
}

impl Answer {
    pub(super) fn complete(mut self, outcome: Outcome) {
        // Before the guest goes on, which may send the next request at once.
        self.running = None;
        self.shared.complete(outcome);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.running = None;
        let reason = "its thread could not be started, or panicked".into();
        self.shared.complete(Err(HttpError::Failed { reason }));
    }
}

/// The guest's end. Dropped, it gives the request up.
pub(super) struct Pending {
    shared: Arc<Shared>,
    given_up: Arc<AtomicBool>,
}

impl Pending {
    /// Returns whether the request is given up, for its thread to look at.
    pub(super) fn given_up(&self) -> Arc<AtomicBool> {
        self.given_up.clone()
    }
}

impl Future for Pending {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.shared.lock();
        match state.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                let before = state.waker.replace(context.waker().clone());
                drop(state);
                // Without the lock, as above.
                drop(before);
                Poll::Pending
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

/// Returns both ends of a request.
pub(super) fn new(running: Running) -> (Answer, Pending) {
    let shared = Arc::<Shared>::default();
    let answer = Answer {
        shared: shared.clone(),
        running: Some(running),
    };
    let given_up = Arc::default();
    (answer, Pending { shared, given_up })
}
