//! Conversions that take long look at the deadline and at the canceller.

use super::{GUEST, MOST, MOST_ELEMENTS, length};
use core::time::Duration;
use hostel::{Budget, CallError, Canceller, Engine, Grants, Lift, Limits, Platform, Postcard};
use hostel_tests::assemble;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// A clock that moves by a millisecond each time it is looked at, and cancels a call at `cancels`.
#[derive(Clone, Default)]
struct Clock {
    now: Arc<AtomicU64>,
    cancels: u64,
    canceller: Arc<OnceLock<Canceller>>,
}

impl Platform for Clock {
    fn now(&self) -> Option<Duration> {
        let now = self.now.fetch_add(1, Ordering::Relaxed);
        if let (true, Some(canceller)) = (now == self.cancels, self.canceller.get()) {
            canceller.cancel();
        }
        Some(Duration::from_millis(now))
    }
}

const AFTER: Duration = Duration::from_millis(50);

/// Passes `input` to `export`, with endless fuel and a deadline of [`AFTER`], and returns the error.
fn interrupted<R>(clock: &Clock, export: &str, input: &[u8]) -> CallError
where
    R: for<'m> Lift<View<'m> = R>,
{
    let budget = Budget::server().with_fuel(u64::MAX).with_deadline(AFTER);
    let engine = Engine::new(Limits::server()).with_platform(clock.clone());
    let grants = Grants::new().function("host", "take", |_: Postcard<Vec<()>>| {});
    let plugin = engine.load("guest", &assemble(GUEST), &grants).unwrap();
    let mut instance = plugin.with_budget(budget).instantiate(()).unwrap();
    let _ = clock.canceller.set(instance.canceller());
    let error = instance.call::<&[u8], R>(export, input);
    let looks = clock.now.load(Ordering::Relaxed);
    assert!(looks < 70, "{looks} looks");
    error.err().unwrap()
}

#[test]
fn a_conversion_without_end_ends_at_the_deadline_or_by_the_canceller() {
    let endless = length(MOST_ELEMENTS);
    let text = "\u{e9}".repeat(MOST / 2).into_bytes();
    for (cancels, expected) in [
        (u64::MAX, CallError::Deadline { after: AFTER }),
        (20, CallError::Cancelled),
    ] {
        let clock = || Clock {
            cancels,
            ..Clock::default()
        };
        let result = interrupted::<Postcard<Vec<()>>>(&clock(), "value", &endless);
        assert_eq!(result, expected, "a serialised result");
        let result = interrupted::<()>(&clock(), "give", &endless);
        assert_eq!(result, expected, "a serialised argument");
        let result = interrupted::<String>(&clock(), "value", &text);
        assert_eq!(result, expected, "a text");
    }
}
