//! Tasks that are woken at set times.

use super::{engine, grants_and, load, load_with};
use core::{future::Future as _, pin::pin, task::Context};
use hostel_core::{Budget, CallError, Platform as _};
use hostel_schedules::{Std, advance, explore, run_out};
use shuttle::{
    future::block_on,
    sync::{Condvar, Mutex},
};
use std::{
    sync::Arc,
    task::{Wake, Waker},
    time::Duration,
};

const MS: Duration = Duration::from_millis(1);

/// A thread that waits to be woken.
#[derive(Default)]
struct Sleeper {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

impl Sleeper {
    /// Asks to be woken at `at`, and waits until it is.
    fn sleep(platform: &Std, at: Duration) {
        let sleeper = Arc::<Self>::default();
        platform.wake_at(Some(at), &Waker::from(sleeper.clone()));
        let woken = sleeper.woken.lock().unwrap();
        drop(sleeper.changed.wait_while(woken, |woken| !*woken).unwrap());
        assert!(platform.now() >= Some(at), "woken early");
    }
}

#[test]
fn each_task_is_woken_at_its_time() {
    explore(|| {
        let platform = Arc::new(Std::new());
        let sleepers = [3, 1, 2, 3].map(|at| {
            let platform = platform.clone();
            shuttle::thread::spawn(move || Sleeper::sleep(&platform, MS * at))
        });
        // After this time no more passes: a task that is not woken now, never is.
        for _ in 0..3 {
            advance(MS);
        }
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        run_out();
    });
}

#[test]
fn a_task_that_comes_as_the_idle_thread_ends_is_woken() {
    explore(|| {
        let platform = Arc::new(Std::new());
        platform.wake_at(None, Waker::noop());
        let late = platform.clone();
        let sleeper = shuttle::thread::spawn(move || Sleeper::sleep(&late, MS * 2_000));
        // The timer's thread ends after a second without tasks.
        advance(MS * 1_000);
        advance(MS * 1_000);
        sleeper.join().unwrap();
        run_out();
    });
}

#[test]
fn a_task_that_is_forgotten_takes_no_other_with_it() {
    explore(|| {
        let platform = Arc::new(Std::new());
        let forgotten = Arc::<Sleeper>::default();
        let waker = Waker::from(forgotten.clone());
        platform.wake_at(Some(MS), &waker);
        let other = platform.clone();
        let sleeper = shuttle::thread::spawn(move || Sleeper::sleep(&other, MS * 2));
        let forgets = platform.clone();
        let forgetter = shuttle::thread::spawn(move || forgets.forget_wake(&waker));
        advance(MS);
        advance(MS);
        sleeper.join().unwrap();
        forgetter.join().unwrap();
        run_out();
        assert_eq!(
            Arc::strong_count(&forgotten),
            1,
            "the timer holds its waker"
        );
    });
}

#[test]
fn a_deadline_wakes_a_call_that_waits_in_a_host_function() {
    explore(|| {
        let after = MS * 5;
        let waiting = Arc::new((Mutex::new(0), Condvar::new()));
        let begins = waiting.clone();
        let grants = grants_and(2, move || {
            *begins.0.lock().unwrap() += 1;
            begins.1.notify_one();
        });
        let plugin = load_with(&engine(2, Std::new()), &grants);
        let plugin = plugin.with_budget(Budget::server().with_deadline(after));
        let calls = [0, 1].map(|number| {
            let plugin = plugin.clone();
            shuttle::thread::spawn(move || match number {
                0 => plugin.call::<(), ()>("never", ()),
                _ => block_on(plugin.call_async::<(), ()>("never", ())),
            })
        });
        let number = waiting.0.lock().unwrap();
        drop(waiting.1.wait_while(number, |number| *number < 2).unwrap());
        // Both have begun at 0, and perhaps wait. After their deadline no more time passes.
        advance(after);
        for call in calls {
            assert_eq!(call.join().unwrap(), Err(CallError::Deadline { after }));
        }
        run_out();
    });
}

#[test]
fn a_call_that_is_dropped_leaves_no_timer_behind() {
    explore(|| {
        let platform = Arc::new(Std::new());
        let budget = Budget::server().with_deadline(MS * 5);
        let plugin = load(&engine(1, platform.clone())).with_budget(budget);
        let thread = shuttle::thread::spawn(move || {
            let waker = Waker::from(Arc::<Sleeper>::default());
            let call = pin!(plugin.call_async::<(), ()>("never", ()));
            assert!(call.poll(&mut Context::from_waker(&waker)).is_pending());
        });
        thread.join().unwrap();
        // Before its time has passed.
        assert_eq!(
            Arc::strong_count(&platform),
            1,
            "a timer of the call holds it"
        );
        run_out();
    });
}
