//! Writing to stdout and stderr (P08).

use super::{EAGAIN, EFAULT, EINVAL, END, ENOSPC, Guest, NEW, SMALL, SUCCESS};
use hostel::{Grants, Trap, Wasi, WasiOutput};
use hostel_tests::{Lines, a_good_plugin_still_answers, code};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

fn buffered(limit: usize) -> Guest {
    let buffer = || WasiOutput::buffer(limit);
    Guest::new(Wasi::new().stdout(buffer()).stderr(buffer()))
}

/// Makes a guest whose two streams are logged.
fn logged(lines: &Lines) -> Guest {
    let wasi = Wasi::new()
        .stdout(WasiOutput::log())
        .stderr(WasiOutput::log());
    let plugin = super::load(&hostel::engine(), NEW, 1, lines.granted().wasi(wasi));
    Guest(plugin.instantiate(()).unwrap())
}

#[test]
fn buffers_are_written_one_after_another() {
    let mut guest = buffered(1_000);
    guest.put(128, b"Hello, world!\n");
    for (buffers, text) in [
        (&[][..], ""),
        (&[(128, 14)], "Hello, world!\n"),
        (&[(128, 5), (133, 2), (128, 0), (135, 7)], "Hello, world!\n"),
        // Overlapping buffers, and an empty one at the end of memory.
        (&[(128, 5), (128, 5), (129, 4), (END, 0)], "HelloHelloello"),
    ] {
        guest.buffers(0, buffers);
        for (fd, name) in [(1, "stdout"), (2, "stderr")] {
            let args = [fd, 0, buffers.len() as u64, 64];
            assert_eq!(guest.errno("fd_write", &args), SUCCESS, "{name}");
            assert_eq!(guest.u32(64) as usize, text.len());
        }
        let (out, err) = (guest.0.take_stdout(), guest.0.take_stderr());
        assert_eq!((&*out, &*err), (text.as_bytes(), text.as_bytes()));
    }
    // Buffers that are the list itself, and the place of the result.
    guest.buffers(0, &[(0, 16), (0, 16)]);
    assert_eq!(guest.errno("fd_write", &[1, 0, 2, 4]), SUCCESS);
    assert_eq!(guest.0.take_stdout().len(), 32);
}

#[test]
fn no_more_buffers_than_1024() {
    let mut guest = buffered(1_000);
    for count in [1_025, 10_000, 1 << 29, 1 << 31, 0xffff_ffff] {
        assert_eq!(
            guest.errno("fd_write", &[1, 0, count, 8]),
            EINVAL,
            "{count}"
        );
        assert_eq!(guest.errno("fd_read", &[0, 0, count, 8]), EINVAL, "{count}");
        assert!(guest.0.usage().fuel < 100);
    }
    assert_eq!(guest.errno("fd_write", &[1, 0, 1_024, 8]), SUCCESS);
    assert!(guest.0.usage().fuel > 1_024);
    assert_eq!(guest.errno("fd_write", &[1, END - 8_191, 1_024, 8]), EFAULT);
}

#[test]
fn lengths_that_add_up_to_too_much_are_invalid() {
    let pages = 65;
    let wasi = Wasi::new().stdin(*b"x");
    let mut guest = Guest::start(&hostel::engine(), NEW, pages, wasi);
    let all = u64::from(pages) * END;
    for (count, answer) in [(1_008, SUCCESS), (1_009, EINVAL), (1_024, EINVAL)] {
        guest.0.set_budget(SMALL.with_fuel(1 << 30));
        guest.buffers(0, &vec![(0, all); count]);
        guest.0.set_budget(SMALL.with_fuel(1_000_000));
        let args = [0, 0, count as u64, 16 << 10];
        assert_eq!(guest.errno("fd_read", &args), answer, "{count}");
    }
    // The sum fits in 32 bits, but is far over the budget. As much as the budget allows is written,
    // and charged.
    guest.buffers(0, &[(0, all), (0, all), (0, all), (0, all), (0, all)]);
    assert_eq!(guest.errno("fd_write", &[1, 0, 5, 128]), SUCCESS);
    assert_eq!(guest.u32(128) as usize, SMALL.output_bytes);
    guest.0.set_budget(SMALL.with_fuel(100_000));
    assert_eq!(
        code(&guest.call("fd_write", &[1, 0, 5, 128])),
        "out-of-fuel"
    );
}

#[test]
fn a_full_buffer_has_no_space() {
    let mut guest = buffered(10);
    assert_eq!(guest.write(1, b"123456"), (SUCCESS, 6));
    assert_eq!(guest.write(1, b"123456"), (SUCCESS, 4));
    assert_eq!(guest.write(1, b"123456"), (ENOSPC, 0));
    assert_eq!(guest.write(1, b""), (SUCCESS, 0));
    assert_eq!(guest.write(2, b"123"), (SUCCESS, 3), "each has its own");
    assert_eq!(guest.0.take_stdout(), b"1234561234");
    assert_eq!(guest.write(1, b"123456"), (SUCCESS, 6));
    assert_eq!(buffered(0).write(1, b"1"), (ENOSPC, 0));
}

#[test]
fn output_counts_against_the_budget_of_the_call() {
    let mut budget = SMALL;
    budget.output_bytes = 5;
    for wasi in [Wasi::new(), Wasi::new().stdout(WasiOutput::buffer(100))] {
        let mut guest = Guest::new(wasi);
        guest.0.set_budget(budget);
        for _ in 0..3 {
            // Each write is a call of its own.
            assert_eq!(guest.write(1, b"1234567"), (SUCCESS, 5));
        }
    }
}

#[test]
fn output_without_end_is_ended() {
    let forever = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\00\10\00\00")
        (func (export "run") (result i32) (local $errno i32)
          (loop $on
            (local.set $errno (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br_if $on (i32.eqz (local.get $errno))))
          (local.get $errno))
        (func (export "flood") (loop $on
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $on))))"#;
    let lines = Lines::default();
    for (output, kept) in [
        (WasiOutput::discard(), 0),
        (WasiOutput::log(), 0),
        (WasiOutput::buffer(1 << 20), 1 << 20),
        (WasiOutput::to(|_| Ok(())), 0),
        (WasiOutput::queue(|bytes| Ok(bytes.len())), 0),
    ] {
        let grants = lines.granted().wasi(Wasi::new().stdout(output));
        let plugin = hostel_tests::try_load_wat(&hostel::engine(), forever, &grants).unwrap();
        let mut instance = plugin
            .with_budget(SMALL.with_fuel(100_000_000))
            .instantiate(())
            .unwrap();
        assert_eq!(instance.call::<(), u32>("run", ()), Ok(ENOSPC));
        assert_eq!(instance.take_stdout().len(), kept);
        instance.set_budget(SMALL);
        assert_eq!(code(&instance.call::<(), ()>("flood", ())), "out-of-fuel");
        a_good_plugin_still_answers();
    }
    // 1 MiB of log in each of two calls, and a record that tells how many were dropped.
    let lines = lines.take();
    assert!(
        lines.len() <= 2 * 1_001 && lines.len() > 2,
        "{}",
        lines.len()
    );
    assert!(
        lines
            .last()
            .unwrap()
            .contains("further log records dropped")
    );
}

#[test]
fn lines_become_log_records() {
    let lines = Lines::default();
    let mut guest = logged(&lines);
    guest.write(1, b"one\ntwo\n\n\x1b[2Jthree");
    assert_eq!(
        lines.take(),
        [
            "guest: one",
            "guest: two",
            "guest: ",
            "guest: \\u{1b}[2Jthree"
        ],
        "a line without an end ends with the call"
    );
    guest.write(2, b"\xff\xe2\x80\xae\r\n");
    assert_eq!(lines.take(), ["guest: \u{fffd}\\u{202e}\\r"]);
    // A line in several pieces, in one call.
    guest.put(128, b"abcdef\nghi");
    guest.buffers(0, &[(128, 2), (130, 2), (132, 4), (136, 2)]);
    assert_eq!(guest.errno("fd_write", &[1, 0, 4, 64]), SUCCESS);
    assert_eq!(lines.take(), ["guest: abcdef", "guest: ghi"]);
    // Lines that are too long for one record.
    for (len, records) in [(1_023, 1), (1_024, 1), (1_025, 2), (2_048, 2), (10_000, 10)] {
        guest.put(4_096, &vec![b'x'; len]);
        guest.put(4_096 + len as u64, b"\n");
        guest.buffers(0, &[(4_096, len as u64 + 1)]);
        assert_eq!(guest.errno("fd_write", &[1, 0, 1, 64]), SUCCESS);
        assert!(
            guest.0.usage().fuel > len as u64,
            "a byte of log is a unit of fuel"
        );
        let lines = lines.take();
        assert_eq!(lines.len(), records, "{len}");
        let text: usize = lines.iter().map(|line| line.len() - "guest: ".len()).sum();
        assert_eq!(text, len);
    }
}

#[test]
fn logged_lines_count_against_the_budget_for_log() {
    let lines = Lines::default();
    let mut guest = logged(&lines);
    guest.put(1_024, &b"x\n".repeat(50));
    guest.buffers(0, &[(1_024, 100)]);
    let mut budget = SMALL;
    budget.log_records = 3;
    guest.0.set_budget(budget);
    assert_eq!(guest.errno("fd_write", &[1, 0, 1, 64]), SUCCESS);
    let closing = "guest [host]: [47 further log records dropped: over the budget]";
    assert_eq!(lines.take(), ["guest: x", "guest: x", "guest: x", closing]);
    assert_eq!(
        (guest.0.usage().log_records, guest.0.usage().log_dropped),
        (3, 47)
    );
}

#[test]
fn without_a_log_its_lines_go_nowhere() {
    let wasi = Wasi::new().stdout(WasiOutput::log());
    assert_eq!(Guest::new(wasi).write(1, b"one\n"), (SUCCESS, 4));
}

#[test]
fn a_function_of_the_embedder_gets_the_bytes() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = got.clone();
    let wasi = Wasi::new().stdout(WasiOutput::to(move |bytes| {
        kept.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }));
    let mut guest = Guest::new(wasi);
    guest.write(1, b"\x00\xff\x1b");
    guest.write(2, b"not this");
    assert_eq!(*got.lock().unwrap(), b"\x00\xff\x1b");
    assert_eq!(guest.0.take_stdout(), b"");
}

#[test]
fn a_function_of_the_embedder_that_fails_stops_the_guest() {
    for (output, expected) in [
        (
            WasiOutput::to(|_| Err(Trap::host("nobody reads"))),
            "trap-host",
        ),
        (WasiOutput::to(|_| panic!("expected")), "trap-host-panic"),
        (
            WasiOutput::queue(|_| Err(Trap::host("nobody reads"))),
            "trap-host",
        ),
        (WasiOutput::queue(|_| panic!("expected")), "trap-host-panic"),
    ] {
        let mut guest = Guest::new(Wasi::new().stderr(output));
        assert_eq!(guest.write(1, b"a"), (SUCCESS, 1));
        guest.buffers(0, &[(0, 8)]);
        assert_eq!(code(&guest.call("fd_write", &[2, 0, 1, 16])), expected);
        assert!(guest.0.is_stopped());
        a_good_plugin_still_answers();
    }
}

#[test]
fn a_queue_takes_what_it_has_room_for() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = got.clone();
    let take = move |bytes: &[u8]| {
        let taken = bytes.len().min(5);
        kept.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    };
    let mut guest = Guest::new(Wasi::new().stdout(WasiOutput::queue(take)));
    guest.put(128, b"Hello, world!");
    guest.buffers(0, &[(128, 3), (131, 0), (131, 8), (139, 2)]);
    assert_eq!(guest.errno("fd_write", &[1, 0, 4, 64]), SUCCESS);
    assert_eq!(
        guest.u32(64),
        8,
        "not the buffers after the one that was cut"
    );
    assert_eq!(*got.lock().unwrap(), b"Hello, w");
    assert_eq!(guest.write(1, b""), (SUCCESS, 0));
    // The function is offered 64 KiB at most, and can't have taken more.
    let lies = |bytes: &[u8]| {
        assert!(bytes.len() <= 64 << 10);
        Ok(usize::MAX)
    };
    let wasi = Wasi::new().stdout(WasiOutput::queue(lies));
    let mut guest = Guest::start(&hostel::engine(), NEW, 2, wasi);
    guest.buffers(0, &[(0, 100_000)]);
    assert_eq!(guest.errno("fd_write", &[1, 0, 1, 64]), SUCCESS);
    assert_eq!(guest.u32(64), 64 << 10);
}

#[test]
fn a_full_queue_is_waited_for_no_longer_than_it_may() {
    // There is room after it was asked for four times.
    let asked = AtomicUsize::new(0);
    let later = move |bytes: &[u8]| match asked.fetch_add(1, Ordering::Relaxed) {
        0..3 => Ok(0),
        _ => Ok(bytes.len()),
    };
    let mut guest = Guest::new(Wasi::new().stdout(WasiOutput::queue(later)));
    guest.buffers(0, &[(0, 4)]);
    assert_eq!(guest.errno("fd_write", &[1, 0, 1, 64]), SUCCESS);
    assert!(guest.0.usage().fuel >= 3 * 100, "waiting is paid for");
    assert_eq!(guest.u32(64), 4);
    let full = || Wasi::new().stdout(WasiOutput::queue(|_| Ok(0)));
    for (budget, expected) in [
        (SMALL.with_deadline(Duration::from_millis(20)), "deadline"),
        (SMALL.with_fuel(5_000), "out-of-fuel"),
    ] {
        let mut guest = Guest::new(full());
        guest.buffers(0, &[(0, 8)]);
        guest.0.set_budget(budget);
        assert_eq!(code(&guest.call("fd_write", &[1, 0, 1, 16])), expected);
        assert!(guest.0.is_stopped());
    }
    // Without a clock no guest can wait.
    assert_eq!(Guest::bare(full()).write(1, b"text").0, EAGAIN);
}

#[test]
fn nothing_is_left_for_the_next_instance() {
    let wasi = Wasi::new().stdout(WasiOutput::buffer(100));
    let plugin = super::load(&hostel::engine(), NEW, 1, Grants::new().wasi(wasi));
    let mut first = Guest(plugin.instantiate(()).unwrap());
    first.write(1, b"secret");
    first.errno("fd_close", &[0]);
    let mut second = Guest(plugin.instantiate(()).unwrap());
    assert_eq!(second.0.take_stdout(), b"");
    assert_eq!(second.errno("fd_close", &[0]), SUCCESS);
    assert_eq!(first.0.take_stdout(), b"secret");
}
