//! Clocks (P05): coarse, and only those that were granted.

use super::{EINVAL, ENOTSUP, Guest, SUCCESS};
use hostel::{Engine, Platform, Wasi};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A clock that advances by 700 µs each time it is read.
struct Ticking(AtomicU64);

impl Platform for Ticking {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_micros(
            self.0.fetch_add(700, Ordering::Relaxed),
        ))
    }
}

fn ticking(wasi: Wasi) -> Guest {
    let platform = Ticking(AtomicU64::new(86_400_000_123));
    Guest::start(
        &Engine::default().with_platform(platform),
        super::NEW,
        1,
        wasi,
    )
}

fn read(guest: &mut Guest, id: u64) -> u64 {
    assert_eq!(guest.errno("clock_time_get", &[id, 0, 64]), SUCCESS);
    guest.u64(64)
}

#[test]
fn the_monotonic_clock_is_coarse_and_begins_in_the_instance() {
    let mut guest = ticking(Wasi::new());
    let mut last = read(&mut guest, 1);
    // It begins with the instance, not with the host.
    assert_eq!(last, 1_000_000_000);
    for _ in 0..20 {
        let now = read(&mut guest, 1);
        assert!(now >= last && now.is_multiple_of(1_000_000), "{now}");
        last = now;
    }
    assert!(last > 1_010_000_000);
    let mut guest = ticking(Wasi::new().resolution(Duration::from_secs(10)));
    assert_eq!(read(&mut guest, 1), 0);
    assert_eq!(guest.errno("clock_res_get", &[1, 64]), SUCCESS);
    assert_eq!(guest.u64(64), 10_000_000_000);
    let mut guest = ticking(Wasi::new().resolution(Duration::ZERO));
    assert_eq!(guest.errno("clock_res_get", &[1, 64]), SUCCESS);
    assert_eq!(guest.u64(64), 1);
}

#[test]
fn the_time_of_day_is_granted_apart() {
    let now = || Duration::new(1_700_000_000, 123_456_789);
    for mut guest in [
        Guest::new(Wasi::new().realtime(now)),
        Guest::bare(Wasi::new().realtime(now)),
        Guest::old(Wasi::new().realtime(now)),
    ] {
        assert_eq!(read(&mut guest, 0), 1_700_000_000_123_000_000);
        assert_eq!(guest.errno("clock_res_get", &[0, 64]), SUCCESS);
        assert_eq!(guest.u64(64), 1_000_000);
    }
    let mut guest = Guest::new(Wasi::new());
    assert_eq!(guest.errno("clock_time_get", &[0, 0, 64]), ENOTSUP);
    let mut guest = Guest::new(Wasi::new().realtime(|| Duration::MAX));
    read(&mut guest, 0);
    assert!(read(&mut Guest::new(hostel::wasi()), 0) > 1_700_000_000_000_000_000);
}

#[test]
fn there_are_no_other_clocks() {
    let mut guest = Guest::new(hostel::wasi());
    let mut bare = Guest::bare(Wasi::new());
    for (id, answer) in [
        (2, ENOTSUP),
        (3, ENOTSUP),
        (4, EINVAL),
        (0xffff_ffff, EINVAL),
    ] {
        for guest in [&mut guest, &mut bare] {
            assert_eq!(guest.errno("clock_time_get", &[id, 0, 64]), answer);
            assert_eq!(guest.errno("clock_res_get", &[id, 64]), answer);
        }
    }
    // On a machine without a clock.
    for id in 0..2 {
        assert_eq!(bare.errno("clock_time_get", &[id, 0, 64]), ENOTSUP);
        assert_eq!(bare.errno("clock_res_get", &[id, 64]), ENOTSUP);
    }
}
