//! Random bytes (P06).

use super::{EFAULT, END, ENOTSUP, Guest, NEW, SMALL, SUCCESS};
use hostel::{Trap, Wasi};
use hostel_tests::{a_good_plugin_still_answers, code};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

fn random(guest: &mut Guest, at: u64, len: u64) -> Vec<u8> {
    assert_eq!(guest.errno("random_get", &[at, len]), SUCCESS);
    guest.get(at, len)
}

#[test]
fn a_seed_repeats_in_each_instance() {
    let mut guest = Guest::bare(Wasi::new().random_seed(7));
    let (first, second) = (random(&mut guest, 0, 32), random(&mut guest, 0, 32));
    assert_ne!(first, second);
    assert_eq!(
        random(&mut Guest::new(Wasi::new().random_seed(7)), 0, 32),
        first
    );
    assert_ne!(
        random(&mut Guest::new(Wasi::new().random_seed(8)), 0, 32),
        first
    );
    for len in [0, 1, 7, 9] {
        assert_eq!(random(&mut guest, END - len, len).len() as u64, len);
    }
}

#[test]
fn without_a_grant_there_are_no_random_bytes() {
    assert_eq!(
        Guest::new(Wasi::new()).errno("random_get", &[0, 8]),
        ENOTSUP
    );
}

#[test]
fn a_source_is_asked_for_at_most_64_kib_and_charged_first() {
    let asked = Arc::new(AtomicU64::new(0));
    let counted = asked.clone();
    let wasi = Wasi::new().random(move |bytes| {
        assert!(bytes.len() <= 64 << 10);
        counted.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        bytes.fill(0xaa);
        Ok(())
    });
    let size = 3 * END + 10;
    let mut guest = Guest::start(&hostel::engine(), NEW, 4, wasi);
    assert_eq!(guest.errno("random_get", &[5, size]), SUCCESS);
    assert_eq!(asked.swap(0, Ordering::Relaxed), size);
    assert!(guest.0.usage().fuel >= size / 8);
    assert_eq!(guest.get(3, 4), [0, 0, 0xaa, 0xaa]);
    assert_eq!(guest.get(size + 3, 4), [0xaa, 0xaa, 0, 0]);
    // Lengths of 4 GiB and more than memory: no byte is made.
    for (at, len) in [(0, 0xffff_ffff), (0, 4 * END + 1), (END, 4 * END)] {
        assert_eq!(guest.errno("random_get", &[at, len]), EFAULT);
    }
    assert_eq!(asked.swap(0, Ordering::Relaxed), 0);
    guest.0.set_budget(SMALL.with_fuel(9_000));
    assert_eq!(
        code(&guest.call("random_get", &[0, 4 * END])),
        "out-of-fuel"
    );
    assert_eq!(
        asked.load(Ordering::Relaxed),
        END,
        "the first piece was paid for"
    );
    assert_eq!(guest.0.usage().fuel, 9_000);
}

#[test]
fn a_source_that_fails_stops_the_guest() {
    let mut guest = Guest::new(Wasi::new().random(|_| Err(Trap::host("no entropy"))));
    assert_eq!(code(&guest.call("random_get", &[0, 8])), "trap-host");
    assert!(guest.0.is_stopped());
    let mut guest = Guest::new(Wasi::new().random(|_| panic!("expected")));
    assert_eq!(code(&guest.call("random_get", &[0, 8])), "trap-host-panic");
    a_good_plugin_still_answers();
}
