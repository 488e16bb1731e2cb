//! Wakes tasks at set times.

use std::{
    collections::{HashMap, hash_map::Entry},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
    thread,
    time::{Duration, Instant},
};

/// How long the thread waits for further work before it ends.
const IDLE: Duration = Duration::from_secs(1);

/// A thread that wakes tasks at set times. It runs only while tasks wait.
#[derive(Debug, Default)]
pub(crate) struct Timer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The earliest time of each waiting task, by the address of its waker's data.
    waits: HashMap<usize, (Instant, Waker)>,
    /// Whether the thread runs.
    runs: bool,
}

impl Timer {
    /// Wakes `waker` at `at`, or at once if no thread can be started.
    pub(crate) fn wake_at(&self, at: Instant, waker: &Waker) {
        let mut state = self.0.lock();
        if !state.runs {
            let shared = self.0.clone();
            let started = thread::Builder::new().spawn(move || shared.run());
            if started.is_err() {
                drop(state);
                waker.wake_by_ref();
                return;
            }
            state.runs = true;
        }
        let wait = state.waits.entry(waker.data().addr());
        match wait {
            Entry::Occupied(mut wait) if wait.get().1.will_wake(waker) => {
                let first = &mut wait.get_mut().0;
                *first = at.min(*first);
            }
            Entry::Occupied(mut wait) => {
                // Another waker had this address: its task is gone, or shares the data. Waking it
                // early is harmless, forgetting it is not.
                let (_, other) = wait.insert((at, waker.clone()));
                drop(state);
                wake(other);
                self.0.changed.notify_one();
                return;
            }
            Entry::Vacant(wait) => drop(wait.insert((at, waker.clone()))),
        }
        drop(state);
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes tasks until none has waited for [`IDLE`]. Runs on the timer's thread.
    fn run(&self) {
        let mut state = self.lock();
        let mut idle = false;
        loop {
            let now = Instant::now();
            let due = state.waits.extract_if(|_, (at, _)| *at <= now);
            let due: Vec<_> = due.map(|(_, (_, waker))| waker).collect();
            if !due.is_empty() {
                // Woken without the lock: a task may ask for its next time at once.
                drop(state);
                due.into_iter().for_each(wake);
                state = self.lock();
                idle = false;
                continue;
            }
            let next = state.waits.values().map(|(at, _)| *at).min();
            if next.is_none() && idle {
                state.runs = false;
                return;
            }
            idle = next.is_none();
            let time = next.map_or(IDLE, |next| next.saturating_duration_since(now));
            let waited = self.changed.wait_timeout(state, time);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Wakes a task. A panic in its executor must not end the timer.
fn wake(waker: Waker) {
    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
}
