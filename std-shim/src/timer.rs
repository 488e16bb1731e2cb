//! Wakes tasks at set times.

use std::{
    collections::{BTreeMap, HashMap},
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
    /// The waiting tasks by time, and by the address of their waker's data.
    queue: BTreeMap<(Instant, usize), Waker>,
    /// The time of each of these addresses.
    times: HashMap<usize, Instant>,
    /// Whether the thread runs.
    runs: bool,
}

impl State {
    /// Adds a task. Returns the one that had this address, if it is another.
    fn add(&mut self, at: Instant, waker: Waker) -> Option<Waker> {
        let address = waker.data().addr();
        let before = self.times.get(&address).copied();
        let entry = before.and_then(|before| self.queue.remove_entry(&(before, address)));
        let (at, other) = match entry {
            // Its earliest time counts.
            Some(((before, _), found)) if found.will_wake(&waker) => (at.min(before), None),
            Some((_, other)) => (at, Some(other)),
            None => (at, None),
        };
        self.times.insert(address, at);
        self.queue.insert((at, address), waker);
        other
    }

    /// Removes the task that has the address of `waker`.
    fn remove(&mut self, waker: &Waker) -> Option<Waker> {
        let address = waker.data().addr();
        let at = self.times.remove(&address)?;
        self.queue.remove(&(at, address))
    }

    /// Removes the tasks whose time has come.
    fn take_due(&mut self, now: Instant) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(first) = self.queue.first_entry()
            && first.key().0 <= now
        {
            let ((_, address), waker) = first.remove_entry();
            self.times.remove(&address);
            due.push(waker);
        }
        due
    }

    /// Returns the time of the next task.
    fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }
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
        let before = state.next();
        let other = state.add(at, comparable(waker));
        let is_first = state.next() != before;
        drop(state);
        if is_first {
            self.0.changed.notify_one();
        }
        // Another waker had this address: its task is gone, or shares the data. Waking it early is
        // harmless, forgetting it is not.
        if let Some(other) = other {
            wake(other);
        }
    }

    /// Forgets the time of `waker`.
    pub(crate) fn forget(&self, waker: &Waker) {
        let forgotten = self.0.lock().remove(waker);
        // Without the lock: dropping a waker may run its executor's code.
        if let Some(forgotten) = forgotten
            && !forgotten.will_wake(&comparable(waker))
        {
            // Another waker had this address; as above.
            wake(forgotten);
        }
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
            let due = state.take_due(now);
            if !due.is_empty() {
                // Woken without the lock: a task may ask for its next time at once.
                drop(state);
                due.into_iter().for_each(wake);
                state = self.lock();
                idle = false;
                continue;
            }
            let next = state.next();
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

/// Returns a clone of `waker`. Two wakers of one [`Wake`](std::task::Wake) may have tables of functions
/// at different addresses, which tells them apart, if they were made at different places; but their
/// clones are all made at one.
fn comparable(waker: &Waker) -> Waker {
    waker.clone()
}

/// Wakes a task. A panic in its executor must not end the timer.
fn wake(waker: Waker) {
    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
}
