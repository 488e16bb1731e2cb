//! Waiting with `poll_oneoff` (P04).

use super::{EBADF, EFAULT, EINVAL, END, ENOTCAPABLE, ENOTSUP, Guest, SMALL, SUCCESS};
use hostel::{Engine, Platform, Step, Trap, Wasi, WasiInput};
use hostel_tests::{code, must_end};
use std::{
    thread,
    time::{Duration, Instant},
};

const CLOCK: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;

/// Where events and their number are written.
const EVENTS: u64 = 32 << 10;
const COUNT: u64 = 31 << 10;

/// Encodes a subscription; `of` is the clock or the descriptor.
fn subscription(
    old: bool,
    userdata: u64,
    kind: u8,
    of: u32,
    timeout: u64,
    absolute: bool,
) -> Vec<u8> {
    let mut bytes = vec![0; if old { 56 } else { 48 }];
    let clock = if old && kind == CLOCK { 24 } else { 16 };
    bytes[..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[8] = kind;
    bytes[clock..clock + 4].copy_from_slice(&of.to_le_bytes());
    if kind == CLOCK {
        bytes[clock + 8..clock + 16].copy_from_slice(&timeout.to_le_bytes());
        bytes[clock + 24] = u8::from(absolute);
    }
    bytes
}

fn clock(userdata: u64, id: u32, timeout: u64) -> Vec<u8> {
    subscription(false, userdata, CLOCK, id, timeout, false)
}

fn file(userdata: u64, kind: u8, fd: u32) -> Vec<u8> {
    subscription(false, userdata, kind, fd, 0, false)
}

/// Polls. Returns the userdata, error and kind of each event.
fn poll(guest: &mut Guest, subscriptions: &[Vec<u8>]) -> Vec<(u64, u16, u8)> {
    guest.put(0, &subscriptions.concat());
    let args = [0, EVENTS, subscriptions.len() as u64, COUNT];
    assert_eq!(guest.errno("poll_oneoff", &args), SUCCESS);
    let events = (0..u64::from(guest.u32(COUNT))).map(|at| EVENTS + 32 * at);
    events
        .map(|at| (guest.u64(at), guest.u16(at + 8), guest.get(at + 10, 1)[0]))
        .collect()
}

#[test]
fn the_number_of_subscriptions_is_limited() {
    let mut guest = Guest::new(Wasi::new());
    for count in [0, 1_025, 10_000, 1 << 29, 0xffff_ffff] {
        assert_eq!(
            guest.errno("poll_oneoff", &[0, EVENTS, count, COUNT]),
            EINVAL,
            "{count}"
        );
        assert!(guest.0.usage().fuel < 100);
    }
    // 1,024 subscriptions and as many events do not fit into memory; neither do 1,000 at its end.
    assert_eq!(
        guest.errno("poll_oneoff", &[END - 48_000 + 1, 0, 1_000, COUNT]),
        EFAULT
    );
    assert_eq!(
        guest.errno("poll_oneoff", &[0, END - 32_000 + 1, 1_000, COUNT]),
        EFAULT
    );
    let mut guest = Guest::start(&hostel::engine(), super::NEW, 2, Wasi::new());
    // All are for clock 0, which was not granted.
    assert_eq!(
        guest.errno("poll_oneoff", &[0, END, 1_024, END + 33_000]),
        SUCCESS
    );
    assert!(guest.0.usage().fuel > 5_000);
    assert_eq!(guest.u32(END + 33_000), 1_024);
}

#[test]
fn stdio_is_ready() {
    for mut guest in [Guest::new(Wasi::new()), Guest::bare(Wasi::new())] {
        let events = poll(
            &mut guest,
            &[file(7, READ, 0), file(8, WRITE, 1), file(9, WRITE, 2)],
        );
        assert_eq!(events, [(7, 0, READ), (8, 0, WRITE), (9, 0, WRITE)]);
        assert_eq!(guest.u64(EVENTS + 16), 1);
    }
}

#[test]
fn a_bad_subscription_is_an_event_with_an_error() {
    let mut guest = Guest::new(Wasi::new());
    let (badf, capable, inval, sup) = (
        EBADF as u16,
        ENOTCAPABLE as u16,
        EINVAL as u16,
        ENOTSUP as u16,
    );
    let events = poll(
        &mut guest,
        &[
            file(1, READ, 3),
            file(2, WRITE, 0xffff_ffff),
            file(3, READ, 1),
            file(4, WRITE, 0),
            clock(5, 9, 1),
            clock(6, 2, 1),
            clock(7, 0, 1),
        ],
    );
    let expected = [
        (1, badf, READ),
        (2, badf, WRITE),
        (3, capable, READ),
        (4, capable, WRITE),
        (5, inval, CLOCK),
        (6, sup, CLOCK),
        (7, sup, CLOCK),
    ];
    assert_eq!(events, expected);
    // With nothing else to wait for, the call fails.
    for closed in [
        &[file(1, READ, 3)][..],
        &[file(1, READ, 3), file(2, WRITE, 0xffff_ffff)],
    ] {
        guest.put(0, &closed.concat());
        let args = [0, EVENTS, closed.len() as u64, COUNT];
        assert_eq!(guest.errno("poll_oneoff", &args), EBADF);
    }
    for kind in [3, 0xff] {
        guest.put(0, &file(1, kind, 0));
        assert_eq!(guest.errno("poll_oneoff", &[0, EVENTS, 1, COUNT]), EINVAL);
    }
    // On a machine without a clock.
    let events = poll(&mut Guest::bare(Wasi::new()), &[clock(1, 1, 1)]);
    assert_eq!(events, [(1, sup, CLOCK)]);
}

#[test]
fn a_clock_is_waited_for() {
    let ms = 1_000_000;
    for (id, timeout) in [(1, 0), (1, 1), (1, 3 * ms), (1, 15 * ms), (0, 3 * ms)] {
        let mut guest = Guest::new(hostel::wasi());
        guest.errno("clock_time_get", &[1, 0, 128]);
        let (start, before) = (Instant::now(), guest.u64(128));
        // The first subscription is for a later time.
        guest.put(0, &[clock(1, 1, 1 << 62), clock(2, id, timeout)].concat());
        assert_eq!(guest.errno("poll_oneoff", &[0, EVENTS, 2, COUNT]), SUCCESS);
        // Waiting costs 100 fuel for a millisecond.
        assert!(guest.0.usage().fuel >= timeout / ms * 100);
        assert!(start.elapsed() >= Duration::from_nanos(timeout));
        assert_eq!((guest.u32(COUNT), guest.u64(EVENTS)), (1, 2));
        guest.errno("clock_time_get", &[1, 0, 128]);
        assert!(guest.u64(128) - before >= timeout, "as the guest sees it");
    }
}

#[test]
fn an_absolute_time_is_waited_for() {
    for id in [0, 1] {
        let mut guest = Guest::new(hostel::wasi());
        guest.errno("clock_time_get", &[u64::from(id), 0, 128]);
        let now = guest.u64(128);
        for until in [0, now, now + 3_500_000] {
            let wish = subscription(false, 3, CLOCK, id, until, true);
            assert_eq!(poll(&mut guest, &[wish]), [(3, 0, CLOCK)]);
            guest.errno("clock_time_get", &[u64::from(id), 0, 128]);
            assert!(guest.u64(128) >= until);
        }
    }
}

#[test]
fn the_old_name_has_longer_subscriptions() {
    let mut guest = Guest::old(Wasi::new());
    let wish = |userdata, timeout| subscription(true, userdata, CLOCK, 1, timeout, false);
    let mut read = subscription(true, 3, READ, 0, 0, false);
    read[24] = 9;
    assert_eq!(
        poll(&mut guest, &[wish(1, 1 << 62), wish(2, 1)]),
        [(2, 0, CLOCK)]
    );
    assert_eq!(poll(&mut guest, &[wish(1, 1 << 62), read]), [(3, 0, READ)]);
}

#[test]
fn a_wait_ends_with_the_deadline() {
    let deadline = SMALL
        .with_fuel(u64::MAX)
        .with_deadline(Duration::from_millis(100));
    for timeout in [200_000_000, 1 << 63, u64::MAX] {
        for absolute in [false, true] {
            let mut guest = Guest::new(Wasi::new());
            // The clock starts at 1 s, from which absolute times count.
            let timeout = timeout.saturating_add(if absolute { 1_000_000_000 } else { 0 });
            guest.put(0, &subscription(false, 1, CLOCK, 1, timeout, absolute));
            guest.0.set_budget(deadline);
            let result = guest.call("poll_oneoff", &[0, EVENTS, 1, COUNT]);
            assert_eq!(code(&result), "deadline", "{timeout:#x} {absolute}");
        }
    }
}

#[test]
fn without_a_deadline_a_wait_ends_with_the_fuel() {
    for timeout in [101_000_000_000, 1 << 63, u64::MAX] {
        let mut guest = Guest::new(Wasi::new());
        guest.put(0, &clock(1, 1, timeout));
        // Before it begins: else this test would not end.
        let result = guest.call("poll_oneoff", &[0, EVENTS, 1, COUNT]);
        assert_eq!(code(&result), "out-of-fuel");
    }
}

/// A machine whose threads can wait, but not until a time.
struct NoClock;

impl Platform for NoClock {
    fn wait_until(&self, ready: &dyn Fn() -> bool, _: Option<Duration>) -> bool {
        while !ready() {
            thread::yield_now();
        }
        true
    }
}

#[test]
fn without_a_platforms_clock_no_timeout_is_waited_for() {
    // The time of day is granted, yet nothing tells when a timeout on it has passed.
    let wasi = || Wasi::new().realtime(|| Duration::from_secs(1_700_000_000));
    for id in [0, 1] {
        let wish = clock(7, id, 1_000_000);
        let ended = must_end(move || {
            let engine = Engine::default().with_platform(NoClock);
            let mut guest = Guest::start(&engine, super::NEW, 1, wasi());
            poll(&mut guest, &[wish])
        });
        assert_eq!(ended, [(7, ENOTSUP as u16, CLOCK)]);
        // By steps, which would have waited for ever and cost nothing.
        let engine = Engine::default().with_platform(NoClock);
        let mut guest = Guest::start(&engine, super::NEW, 1, wasi());
        guest.put(0, &clock(7, id, 1_000_000));
        let params = (0, EVENTS as u32, 1, COUNT as u32);
        let mut call = guest
            .0
            .call_async::<(u32, u32, u32, u32), u32>("poll_oneoff", params);
        assert_eq!(call.step(10_000), Step::Done(Ok(SUCCESS)));
        drop(call);
        assert_eq!(u32::from(guest.u16(EVENTS + 8)), ENOTSUP);
    }
}

#[test]
fn a_wait_can_be_cancelled() {
    let mut guest = Guest::new(Wasi::new());
    guest.put(0, &clock(1, 1, 1 << 60));
    guest.0.set_budget(SMALL.with_fuel(u64::MAX));
    let canceller = guest.0.canceller();
    let waiter = thread::spawn(move || code(&guest.call("poll_oneoff", &[0, EVENTS, 1, COUNT])));
    thread::sleep(Duration::from_millis(30));
    canceller.cancel();
    assert_eq!(waiter.join().unwrap(), "cancelled");
}

/// A source whose input never comes.
struct Never;

impl WasiInput for Never {
    fn read(&self, _: &mut [u8]) -> Result<usize, Trap> {
        Err(Trap::host("it was not ready"))
    }

    fn ready(&self) -> bool {
        false
    }
}

#[test]
fn input_that_does_not_come_is_no_event() {
    let mut guest = Guest::new(Wasi::new().stdin_from(Never));
    let events = poll(&mut guest, &[file(1, READ, 0), clock(2, 1, 5_000_000)]);
    assert_eq!(events, [(2, 0, CLOCK)]);
    let events = poll(&mut guest, &[file(1, READ, 0), file(3, WRITE, 1)]);
    assert_eq!(events, [(3, 0, WRITE)]);
}

#[test]
fn events_over_the_subscriptions_do_no_harm() {
    let mut guest = Guest::new(Wasi::new());
    let all = vec![file(1, WRITE, 1); 100].concat();
    for at in [0, 1, 16, 40, 100] {
        guest.put(0, &all);
        let args = [0, at, 100, at];
        // Subscriptions that were overwritten may be of an unknown kind.
        assert!([SUCCESS, EINVAL].contains(&guest.errno("poll_oneoff", &args)));
    }
}
