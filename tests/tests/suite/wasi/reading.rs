//! Reading from stdin (P08).

use super::{EAGAIN, Guest, NEW, SMALL, SUCCESS};
use hostel::{Engine, Grants, Trap, Wasi, WasiInput};
use hostel_tests::{a_good_plugin_still_answers, code};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

fn read(guest: &mut Guest, buffers: &[(u64, u64)]) -> Vec<u8> {
    guest.buffers(0, buffers);
    assert_eq!(
        guest.errno("fd_read", &[0, 0, buffers.len() as u64, 512]),
        SUCCESS
    );
    let mut left = u64::from(guest.u32(512));
    let mut bytes = Vec::new();
    for (ptr, len) in buffers {
        bytes.extend(guest.get(*ptr, left.min(*len)));
        left = left.saturating_sub(*len);
    }
    bytes
}

#[test]
fn stdin_is_empty_at_first() {
    for mut guest in [
        Guest::new(Wasi::new()),
        Guest::new(hostel::wasi()),
        Guest::bare(Wasi::new()),
    ] {
        assert_eq!(read(&mut guest, &[(1_024, 100)]), b"");
    }
}

#[test]
fn bytes_come_to_an_end_and_begin_anew_in_each_instance() {
    let wasi = Wasi::new().stdin(*b"Hello, world!");
    let plugin = super::load(&Engine::default(), NEW, 1, Grants::new().wasi(wasi));
    for _ in 0..2 {
        let mut guest = Guest(plugin.instantiate(()).unwrap());
        assert_eq!(read(&mut guest, &[(1_024, 5)]), b"Hello");
        assert_eq!(read(&mut guest, &[]), b"");
        assert_eq!(
            read(&mut guest, &[(1_024, 0), (2_000, 1), (1_500, 3)]),
            b", wo"
        );
        assert_eq!(read(&mut guest, &[(1_024, 60_000)]), b"rld!");
        assert!(guest.0.usage().fuel < 200, "paid is what is read");
        assert_eq!(read(&mut guest, &[(1_024, 5)]), b"");
    }
}

#[test]
fn reading_over_the_list_of_buffers_does_no_harm() {
    // The bytes that are read overwrite the second buffer's entry by one outside of memory.
    let mut guest = Guest::new(Wasi::new().stdin([0xff; 100]));
    guest.buffers(0, &[(0, 16), (32, 16)]);
    assert_eq!(guest.errno("fd_read", &[0, 0, 2, 512]), super::EFAULT);
    // Here they overwrite it by a larger one.
    let mut bytes = [0; 3_000];
    bytes[8..16].copy_from_slice(&[0, 4, 0, 0, 0, 8, 0, 0]);
    let mut guest = Guest::new(Wasi::new().stdin(bytes));
    guest.buffers(0, &[(0, 16), (32, 16)]);
    assert_eq!(guest.errno("fd_read", &[0, 0, 2, 512]), SUCCESS);
    assert_eq!(guest.u32(512), 32, "no more than was asked and paid for");
}

#[test]
fn a_source_is_asked_once_for_each_read() {
    let wasi = Wasi::new().stdin_from(|into: &mut [u8]| {
        assert!(!into.is_empty() && into.len() <= 64 << 10);
        into[0] = b'x';
        Ok(1)
    });
    let mut guest = Guest::start(&hostel::engine(), NEW, 4, wasi);
    assert_eq!(
        read(&mut guest, &[(1_024, 0), (1_024, 7), (2_048, 7)]),
        b"x"
    );
    assert_eq!(read(&mut guest, &[(1_024, 200_000)]), b"x");
    assert!(guest.0.usage().fuel < 2_000);
    assert_eq!(read(&mut guest, &[(1_024, 0)]), b"");
}

#[test]
fn a_source_that_lies_is_bounded_and_one_that_fails_stops_the_guest() {
    let mut guest = Guest::new(Wasi::new().stdin_from(|_: &mut [u8]| Ok(usize::MAX)));
    assert_eq!(read(&mut guest, &[(1_024, 4)]).len(), 4);
    let mut guest = Guest::new(Wasi::new().stdin_from(|_: &mut [u8]| Err(Trap::host("broken"))));
    guest.buffers(0, &[(64, 8)]);
    assert_eq!(code(&guest.call("fd_read", &[0, 0, 1, 16])), "trap-host");
    let mut guest = Guest::new(Wasi::new().stdin_from(|_: &mut [u8]| panic!("expected")));
    guest.buffers(0, &[(64, 8)]);
    assert_eq!(
        code(&guest.call("fd_read", &[0, 0, 1, 16])),
        "trap-host-panic"
    );
    a_good_plugin_still_answers();
}

#[test]
fn stdin_without_end_is_ended_by_fuel() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\00\10\00\00")
        (func (export "_start") (loop $on
          (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))) (br $on))))"#;
    let endless = Wasi::new().stdin_from(|into: &mut [u8]| Ok(into.len()));
    let plugin = hostel_tests::load_wat(text, &Grants::new().wasi(endless));
    let result = plugin.with_budget(SMALL).run_command();
    assert_eq!(code(&result), "out-of-fuel");
    let budget = SMALL
        .with_fuel(u64::MAX)
        .with_deadline(Duration::from_millis(50));
    let result = plugin.with_budget(budget).run_command();
    assert_eq!(code(&result), "deadline");
}

/// A source that is ready after it was asked a number of times.
struct Late(AtomicU32);

impl WasiInput for Late {
    fn read(&self, into: &mut [u8]) -> Result<usize, Trap> {
        assert_eq!(self.0.load(Ordering::Relaxed), 0, "it was not ready");
        into[0] = b'x';
        Ok(1)
    }

    fn ready(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            == Err(0)
    }
}

#[test]
fn a_read_waits_for_input() {
    let late = || Wasi::new().stdin_from(Late(AtomicU32::new(3)));
    assert_eq!(read(&mut Guest::new(late()), &[(64, 8)]), b"x");
    // On a platform that can't wait, the guest gets an error number.
    let mut bare = Guest::bare(late());
    bare.buffers(0, &[(64, 8)]);
    assert_eq!(bare.errno("fd_read", &[0, 0, 1, 512]), EAGAIN);
}

#[test]
fn waiting_for_input_ends() {
    let never = || Wasi::new().stdin_from(Late(AtomicU32::new(u32::MAX)));
    let deadline = SMALL
        .with_fuel(u64::MAX)
        .with_deadline(Duration::from_millis(50));
    for (budget, expected) in [
        (deadline, "deadline"),
        (SMALL.with_fuel(5_000), "out-of-fuel"),
    ] {
        let mut guest = Guest::new(never());
        guest.buffers(0, &[(64, 8)]);
        guest.0.set_budget(budget);
        assert_eq!(code(&guest.call("fd_read", &[0, 0, 1, 16])), expected);
    }
    let mut guest = Guest::new(never());
    guest.buffers(0, &[(64, 8)]);
    guest.0.set_budget(SMALL.with_fuel(u64::MAX));
    let canceller = guest.0.canceller();
    let waiter = thread::spawn(move || code(&guest.call("fd_read", &[0, 0, 1, 16])));
    thread::sleep(Duration::from_millis(30));
    canceller.cancel();
    assert_eq!(waiter.join().unwrap(), "cancelled");
}

#[test]
fn instances_share_a_source() {
    let next = Arc::new(AtomicU32::new(0));
    let wasi = Wasi::new().stdin_from(move |into: &mut [u8]| {
        into[0] = next.fetch_add(1, Ordering::Relaxed) as u8;
        Ok(1)
    });
    let plugin = super::load(&hostel::engine(), NEW, 1, Grants::new().wasi(wasi));
    for expected in 0..3 {
        let mut guest = Guest(plugin.instantiate(()).unwrap());
        assert_eq!(read(&mut guest, &[(64, 8)]), [expected]);
    }
}
