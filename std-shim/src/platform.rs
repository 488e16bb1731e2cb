//! The platform of a machine with an operating system.

use crate::timer::Timer;
use hostel_core::{Nesting, Platform};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Wake, Waker},
    thread,
    time::{Duration, Instant},
};

/// The [`Platform`] of a machine with an operating system.
///
/// * A monotonic clock, for deadlines.
/// * Blocking waits, for guests that sleep or wait in blocking calls. Each thread is woken by itself.
/// * A timer thread, for awaited calls that sleep or have a deadline. It runs only while such calls
///   wait.
/// * Further copies of a plugin's code for calls at the same time, compiled in a background thread.
/// * At most 16 calls inside one another on a thread, if host functions call plugins.
/// * A panic in a host function traps the guest, instead of ending the process.
///
/// ```
/// use hostel::{Engine, Limits, Std};
/// let engine = Engine::new(Limits::server()).with_platform(Std::new());
/// # drop(engine);
/// ```
#[derive(Debug)]
pub struct Std {
    start: Instant,
    waiting: Mutex<Waiting>,
    timer: Timer,
}

/// The threads in [`Std::wait_until`], each by the number of its wait.
#[derive(Debug, Default)]
struct Waiting {
    threads: BTreeMap<u64, Arc<Parker>>,
    last: u64,
}

impl Std {
    /// Creates a platform whose clock starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            waiting: Mutex::default(),
            timer: Timer::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Std {
    fn default() -> Self {
        Self::new()
    }
}

/// One thread's wait. A condition variable for each thread, so that a wake costs the other threads
/// nothing.
#[derive(Debug, Default)]
struct Parker {
    /// Number of wakes so far.
    wakes: Mutex<u64>,
    woken: Condvar,
}

impl Parker {
    fn wakes(&self) -> MutexGuard<'_, u64> {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut wakes = self.wakes();
        *wakes = wakes.wrapping_add(1);
        drop(wakes);
        self.woken.notify_one();
    }
}

thread_local! {
    static PARKER: Arc<Parker> = Arc::default();
}

/// A wait that is listed, until this is dropped.
struct Listed<'a> {
    platform: &'a Std,
    number: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let thread = self.platform.waiting().threads.remove(&self.number);
        drop(thread);
    }
}

impl Platform for Std {
    fn now(&self) -> Option<Duration> {
        Some(self.start.elapsed())
    }

    fn wait_until(&self, ready: &dyn Fn() -> bool, until: Option<Duration>) -> bool {
        if ready() {
            return true;
        }
        // While the thread ends, its own one is gone: then one for this wait.
        let parker = PARKER.try_with(Arc::clone).unwrap_or_default();
        let number = {
            let mut waiting = self.waiting();
            waiting.last = waiting.last.wrapping_add(1);
            let number = waiting.last;
            waiting.threads.insert(number, parker.clone());
            number
        };
        let platform = self;
        let _listed = Listed { platform, number };
        loop {
            let before = *parker.wakes();
            // Called without the lock: `ready` may be slow, may wake this thread, and may itself wait.
            if ready() {
                return true;
            }
            let wakes = parker.wakes();
            let same = |wakes: &mut u64| *wakes == before;
            match until {
                None => drop(parker.woken.wait_while(wakes, same)),
                Some(until) => {
                    let left = until.saturating_sub(self.start.elapsed());
                    if left.is_zero() {
                        return false;
                    }
                    drop(parker.woken.wait_timeout_while(wakes, left, same));
                }
            }
        }
    }

    fn wake(&self) {
        let waiting: Vec<_> = self.waiting().threads.values().cloned().collect();
        waiting.into_iter().for_each(Wake::wake);
    }

    fn thread_waker(&self) -> Option<Waker> {
        let parker = PARKER.try_with(Arc::clone).ok()?;
        Some(Waker::from(parker))
    }

    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        let at = match at {
            None => Some(Instant::now()),
            Some(at) => self.start.checked_add(at),
        };
        // A time that the system can't tell never comes.
        if let Some(at) = at {
            self.timer.wake_at(at, waker);
        }
    }

    fn forget_wake(&self, waker: &Waker) {
        self.timer.forget(waker);
    }

    fn processors(&self) -> usize {
        // Asked once: it reads files of the system.
        static PROCESSORS: OnceLock<usize> = OnceLock::new();
        *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get))
    }

    fn run_in_background(&self, work: Box<dyn FnOnce() + Send>) {
        let thread = thread::Builder::new().name("hostel-background".into());
        // Without a thread, the work is dropped: calls go on without its result.
        drop(thread.spawn(work));
    }

    fn nesting(&self) -> Option<fn(&mut dyn FnMut(&mut Nesting))> {
        thread_local! {
            static NESTING: RefCell<Nesting> = const { RefCell::new(Nesting::new(usize::MAX)) };
        }
        Some(|change| NESTING.with_borrow_mut(change))
    }

    fn containment(&self) -> Option<fn(&mut dyn FnMut())> {
        // Unwind safety is asserted: a panic leaves the guest's data half changed, but the guest traps
        // and is never used again. The embedder's own data is the embedder's to protect.
        Some(|work| drop(catch_unwind(AssertUnwindSafe(work))))
    }
}
