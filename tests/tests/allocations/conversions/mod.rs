//! Each conversion of a guest's bytes, with those that expand most: the heap stays within its bound,
//! and the fuel pays for what is written.
//!
//! The bound is for the host's share: the guest's memory has 16 MiB for the bytes, and the host takes
//! no more than that again, and 1 MiB.

mod interrupted;
mod serialised;

use super::peak;
use hostel::{Budget, CallError, Grants, Instance, Lift};
use hostel_tests::load_wat;

/// The most bytes that a guest returns by default.
const MOST: usize = 16 << 20;

/// Most heap of the host for one conversion, beside the guest's memory.
const BOUND: i64 = MOST as i64 + (1 << 20);

/// A guest that returns its input: as bytes, as an error, as four values, or to `host.take`.
const GUEST: &str = r#"(module
    (import "host" "take" (func $take (param i32 i32)))
    (memory (export "memory") 258 258)
    (func (export "allocate") (param i32) (result i32) (i32.const 65536))
    (func (export "value") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))
    (func (export "error") (param i32 i32) (result i32 i32)
      (local.get 0) (i32.or (local.get 1) (i32.const 0x80000000)))
    (func (export "four") (param i32 i32) (result i32 i32 i32 i32 i32 i32 i32 i32)
      (local.get 0) (local.get 1) (local.get 0) (local.get 1)
      (local.get 0) (local.get 1) (local.get 0) (local.get 1))
    (func (export "give") (param i32 i32) (call $take (local.get 0) (local.get 1))))"#;

/// What a conversion came to, and took.
struct Found<R> {
    result: Result<R, CallError>,
    fuel: u64,
    peak: i64,
}

impl<R> Found<R> {
    fn error(&self) -> &CallError {
        match &self.result {
            Ok(_) => panic!("the conversion did not fail"),
            Err(error) => error,
        }
    }

    /// Asserts that the conversion was refused with a message that names `limit`, before it took heap.
    fn refused_for(&self, limit: &str) {
        let message = self.error().to_string();
        assert!(message.contains(&format!("raise `{limit}`")), "{message}");
        assert!(self.peak < 64 << 10, "{} bytes: {message}", self.peak);
    }
}

/// The greatest length of a list that this machine can express: postcard refuses a longer one.
const MOST_ELEMENTS: u64 = usize::MAX as u64;

/// Writes `value` as postcard writes a length.
fn length(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn without_take() -> Grants<()> {
    Grants::new().function("host", "take", |_: &[u8]| {})
}

fn start(grants: &Grants<()>, budget: Budget) -> Instance {
    let plugin = load_wat(GUEST, grants).with_budget(budget);
    plugin.instantiate(()).unwrap()
}

/// Calls `export` with `bytes`, and lifts its result as `R`.
fn lifted<R>(budget: Budget, export: &str, bytes: &[u8]) -> Found<R>
where
    R: for<'m> Lift<View<'m> = R>,
{
    let mut instance = start(&without_take(), budget);
    let (mut result, mut fuel) = (None, 0);
    let peak = peak(|| {
        result = Some(instance.call::<&[u8], R>(export, bytes));
        fuel = instance.usage().fuel;
    });
    Found {
        result: result.unwrap(),
        fuel,
        peak,
    }
}

#[test]
fn a_long_error_is_refused_before_it_is_read() {
    for byte in [b'a', 0xff, 0x1b] {
        let found = lifted::<Vec<u8>>(Budget::server(), "error", &vec![byte; MOST]);
        assert_eq!(found.error().code(), "error-too-large");
        found.refused_for("error_bytes");
    }
}

#[test]
fn an_error_is_bounded_by_the_bytes_that_are_written() {
    let limit = Budget::server().error_bytes;
    // Each byte that is not UTF-8 becomes three.
    let fits = limit / 3;
    let found = lifted::<Vec<u8>>(Budget::server(), "error", &vec![0xff; fits]);
    let message = "\u{fffd}".repeat(fits).into_boxed_str();
    let written = message.len();
    assert_eq!(found.result, Err(CallError::Guest { message }));
    assert!(found.peak <= written as i64 + 4_096, "{}", found.peak);
    assert!(found.fuel >= fits as u64, "{}", found.fuel);

    let found = lifted::<Vec<u8>>(Budget::server(), "error", &vec![0xff; fits + 1]);
    let (limit, needed) = (limit, 3 * (fits + 1));
    let error = CallError::ErrorTooLarge {
        limit,
        found: needed,
    };
    assert_eq!(found.error(), &error);
    found.refused_for("error_bytes");
}

#[test]
fn a_raised_limit_lets_a_long_error_through_for_its_fuel() {
    let mut budget = Budget::server();
    budget.error_bytes = 3 * MOST;
    for (byte, written, least) in [(b'a', MOST, 2 * MOST / 64), (0xff, 3 * MOST, MOST)] {
        let found = lifted::<Vec<u8>>(budget, "error", &vec![byte; MOST]);
        let CallError::Guest { message } = found.error() else {
            panic!("{}", found.error());
        };
        assert_eq!(message.len(), written);
        assert!(found.peak <= written as i64 + 4_096, "{}", found.peak);
        assert!(found.fuel >= least as u64, "{}", found.fuel);
    }
}

#[test]
fn one_buffer_returned_several_times_counts_each_time() {
    type Four = (Vec<u8>, String, Vec<u8>, String);
    let found = lifted::<Four>(Budget::server(), "four", &vec![b'a'; MOST / 4]);
    assert!(found.result.is_ok(), "{:?}", found.error());
    assert!(found.peak <= BOUND, "{}", found.peak);

    let found = lifted::<Four>(Budget::server(), "four", &vec![b'a'; MOST / 4 + 1]);
    let error = CallError::OutputTooLarge {
        limit: MOST,
        found: MOST + 4,
    };
    assert_eq!(found.error(), &error);
    assert!(found.peak <= BOUND, "{}", found.peak);
}

#[test]
fn text_and_bytes_take_their_own_length() {
    let input = vec![b'a'; MOST];
    let bytes = lifted::<Vec<u8>>(Budget::server(), "value", &input);
    let text = lifted::<String>(Budget::server(), "value", &input);
    assert_eq!(bytes.result.map(|bytes| bytes.len()), Ok(MOST));
    assert_eq!(text.result.map(|text| text.len()), Ok(MOST));
    for peak in [bytes.peak, text.peak] {
        assert!(peak <= MOST as i64 + 4_096, "{peak}");
    }
}

#[test]
fn text_is_read_in_pieces_that_show_nowhere() {
    let text = |bytes: &[u8]| lifted::<String>(Budget::server(), "value", bytes).result;
    for offset in 0..4 {
        let long = "a".repeat(offset) + &"\u{20ac}\u{1f600}".repeat(30_000);
        assert_eq!(text(long.as_bytes()), Ok(long), "{offset} bytes before");
    }
    // Around the end of the first piece.
    for at in (1 << 16) - 5..(1 << 16) + 5 {
        let mut bytes = "\u{20ac}".repeat(30_000).into_bytes();
        bytes[at] = 0xff;
        let expected = std::str::from_utf8(&bytes).unwrap_err().valid_up_to();
        let Err(CallError::NotUtf8 { at, .. }) = text(&bytes) else {
            panic!("not UTF-8 at {at}");
        };
        assert_eq!(at, expected);
    }
}

#[test]
fn one_text_passed_several_times_counts_each_time_that_it_is_copied() {
    let guest = r#"(module
        (import "host" "copy" (func $copy (param i32 i32 i32 i32 i32 i32)))
        (import "host" "view" (func $view (param i32 i32 i32 i32 i32 i32)))
        (memory (export "memory") 258 258)
        (func (export "copy") (param i32)
          (call $copy (i32.const 0) (local.get 0) (i32.const 0) (local.get 0)
            (i32.const 0) (local.get 0)))
        (func (export "view") (param i32)
          (call $view (i32.const 0) (local.get 0) (i32.const 0) (local.get 0)
            (i32.const 0) (local.get 0))))"#;
    let grants = Grants::new()
        .function("host", "copy", |_: Vec<u8>, _: String, _: Vec<u8>| {})
        .function("host", "view", |_: &[u8], _: &str, _: &[u8]| {});
    let limit = Budget::server().argument_bytes;
    let plugin = load_wat(guest, &grants);
    for (export, size, expected) in [
        ("view", limit, Ok(())),
        ("copy", limit / 3, Ok(())),
        (
            "copy",
            limit / 3 + 1,
            Err(CallError::ArgumentTooLarge {
                limit,
                found: 3 * (limit / 3 + 1),
            }),
        ),
    ] {
        let mut instance = plugin.instantiate(()).unwrap();
        let mut result = Ok(());
        let peak = peak(|| result = instance.call::<u32, ()>(export, size as u32));
        assert_eq!(result, expected, "{export}");
        assert!(peak <= limit as i64 + 4_096, "{export}: {peak}");
    }
}
