//! A call that is cancelled by another thread.

use super::{WakesAll, engine, load};
use hostel_core::{CallError, Platform};
use hostel_schedules::{Std, explore};

/// Two threads cancel a call that waits for ever, at any time.
fn is_cancelled(platform: impl Platform + 'static) {
    let plugin = load(&engine(1, platform));
    let mut instance = plugin.instantiate(()).unwrap();
    let canceller = instance.canceller();
    let cancellers = [canceller.clone(), canceller]
        .map(|canceller| shuttle::thread::spawn(move || canceller.cancel()));
    let result = instance.call::<(), ()>("never", ());
    assert_eq!(result, Err(CallError::Cancelled));
    for thread in cancellers {
        thread.join().unwrap();
    }
}

#[test]
fn a_call_that_waits_is_cancelled_whenever_that_comes() {
    explore(|| is_cancelled(Std::new()));
}

#[test]
fn a_call_that_waits_is_cancelled_on_a_platform_that_wakes_all_threads() {
    explore(|| is_cancelled(WakesAll(Std::new())));
}

#[test]
fn a_cancellation_wakes_no_call_of_another_instance() {
    explore(|| {
        let plugin = load(&engine(2, Std::new()));
        let mut cancelled = plugin.instantiate(()).unwrap();
        let mut other = plugin.instantiate(()).unwrap();
        let canceller = cancelled.canceller();
        let calls = [
            shuttle::thread::spawn(move || {
                drop(cancelled.call::<(), ()>("never", ()).unwrap_err())
            }),
            shuttle::thread::spawn(move || assert_eq!(other.process(b"a").unwrap(), b"a")),
        ];
        canceller.cancel();
        for thread in calls {
            thread.join().unwrap();
        }
    });
}
