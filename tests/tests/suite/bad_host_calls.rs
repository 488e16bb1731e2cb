//! Guests that call host functions with bytes outside of their memory, from inside `allocate`, or
//! too often; and the two services `log` and `config`.

use hostel::{Budget, CallError, Context, Grants, Instance, Plugin, Trap};
use hostel_tests::{Lines, a_good_plugin_still_answers, code, load_wat, with_allocator};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// The end of the memory of a module from `with_allocator`.
const END: u32 = 2 << 16;

/// A budget for guests that never end.
const SMALL: Budget = Budget::server().with_fuel(100_000);

fn start<T: Default + 'static>(text: &str, grants: &Grants<T>) -> Instance<T> {
    load_wat(text, grants)
        .with_budget(SMALL)
        .instantiate(T::default())
        .expect("it starts")
}

/// Counts how often a host function ran.
#[derive(Clone, Default)]
struct Ran(Arc<AtomicU32>);

impl Ran {
    fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn times(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

// Arguments

/// A guest that passes its two parameters on to the host's `text` and `bytes`.
const FORWARDING: &str = r#"
    (func (export "text") (param i32 i32) (call $text (local.get 0) (local.get 1)))
    (func (export "bytes") (param i32 i32) (call $bytes (local.get 0) (local.get 1)))
    (func (export "log") (param i32 i32) (call $log (local.get 0) (local.get 1)))
    (func (export "get") (param i32 i32) (result i64)
      (call $get (local.get 0) (local.get 1)))"#;

fn forwarding(ran: &Ran) -> Plugin {
    let imports = r#"
        (import "host" "text" (func $text (param i32 i32)))
        (import "host" "bytes" (func $bytes (param i32 i32)))
        (import "env" "host_log" (func $log (param i32 i32)))
        (import "env" "host_get_config" (func $get (param i32 i32) (result i64)))"#;
    let (text, bytes, log) = (ran.clone(), ran.clone(), ran.clone());
    let grants = Grants::new()
        .log(move |_: &hostel::LogRecord<'_>| log.note())
        .config([("", "")])
        .function("host", "text", move |_: &str| text.note())
        .function("host", "bytes", move |_: &[u8]| bytes.note());
    load_wat(&with_allocator(imports, FORWARDING), &grants)
}

#[test]
fn an_argument_over_the_budget_stops_the_guest_before_it_is_read() {
    let text = r#"(module (import "env" "host_log" (func $log (param i32 i32)))
        (memory (export "memory") 1)
        (func (export "say") (param i32) (call $log (i32.const 0) (local.get 0))))"#;
    let grants = Grants::new().log(|_: &hostel::LogRecord<'_>| {});
    let mut budget = hostel::Budget::server();
    budget.argument_bytes = 1_000;
    let plugin = load_wat(text, &grants).with_budget(budget);
    assert_eq!(plugin.call::<u32, ()>("say", 1_000), Ok(()));
    let (limit, found) = (1_000, 1_001);
    let error = plugin.call::<u32, ()>("say", 1_001);
    assert_eq!(error, Err(CallError::ArgumentTooLarge { limit, found }));
}

#[test]
fn an_argument_is_taken_only_from_inside_memory() {
    let ran = Ran::default();
    let plugin = forwarding(&ran);
    for (ptr, len, fits) in [
        (0, 0, true),
        (0, 1, true),
        (0, END, true),
        (END - 1, 1, true),
        (END, 0, true),
        (END + 1, 0, false),
        (u32::MAX, 0, false),
        (END, 1, false),
        (END - 1, 2, false),
        (0, END + 1, false),
        (1, END, false),
        (0x7fff_ffff, 1, false),
        (0x8000_0000, 0x8000_0000, false),
        (1, 0x7fff_ffff, false),
        (0, u32::MAX, false),
        (1, u32::MAX, false),
        (u32::MAX, 1, false),
        (u32::MAX, u32::MAX, false),
    ] {
        for name in ["text", "bytes", "log", "get"] {
            let mut instance = plugin.instantiate(()).unwrap();
            let before = ran.times();
            let what = format!("{name}({ptr:#x}, {len:#x})");
            let result = if name == "get" {
                instance.call::<(u32, u32), u64>(name, (ptr, len)).map(drop)
            } else {
                instance.call::<(u32, u32), ()>(name, (ptr, len))
            };
            let expected = if fits { "ok" } else { "trap-host-call" };
            assert_eq!(code(&result), expected, "{what}");
            assert_eq!(instance.is_stopped(), !fits, "{what}");
            if name != "get" {
                assert_eq!(ran.times() - before, u32::from(fits), "{what}");
            }
            a_good_plugin_still_answers();
        }
    }
}

#[test]
fn an_argument_costs_fuel_before_it_is_looked_at() {
    let ran = Ran::default();
    let plugin = forwarding(&ran);
    for name in ["text", "bytes", "log"] {
        let fuel = |len: u32| {
            let mut instance = plugin.instantiate(()).unwrap();
            instance.call::<(u32, u32), ()>(name, (0, len)).unwrap();
            instance.usage().fuel
        };
        let (one, all) = (fuel(1), fuel(END));
        assert!(all - one >= u64::from(END / 64) - 1, "{name}: {one}, {all}");
        let mut instance = plugin.instantiate(()).unwrap();
        instance.set_budget(SMALL.with_fuel(all - 1));
        let before = ran.times();
        let result = instance.call::<(u32, u32), ()>(name, (0, END));
        assert_eq!(code(&result), "out-of-fuel", "{name}");
        assert_eq!(instance.usage().fuel, all - 1);
        assert_eq!(ran.times(), before, "{name} ran without fuel for it");
    }
}

#[test]
fn a_result_pointer_of_the_guests_is_checked_before_the_function_runs() {
    let imports = r#"(import "host" "pair" (func $pair (param i32)))"#;
    let item = r#"(func (export "pair") (param i32) (call $pair (local.get 0)))
        (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))"#;
    let text = with_allocator(imports, item);
    for (at, fits) in [
        (0, true),
        (1, true),
        (END - 8, true),
        (END - 7, false),
        (END, false),
        (0x7fff_ffff, false),
        (0x8000_0000, false),
        (u32::MAX - 3, false),
        (u32::MAX, false),
    ] {
        let ran = Ran::default();
        let noted = ran.clone();
        let pair = move || {
            noted.note();
            (7u32, 8u32)
        };
        let grants = Grants::new().function("host", "pair", pair);
        let mut instance = start(&text, &grants);
        let result = instance.call::<u32, ()>("pair", at);
        let expected = if fits { "ok" } else { "trap-host-call" };
        assert_eq!(code(&result), expected, "{at:#x}");
        assert_eq!(ran.times(), u32::from(fits), "{at:#x}");
        if fits {
            assert_eq!(instance.call::<u32, u32>("load", at), Ok(7));
            assert_eq!(instance.call::<u32, u32>("load", at + 4), Ok(8));
        } else {
            let message = result.unwrap_err().to_string();
            assert!(
                message.contains("host function's result pointer"),
                "{message}"
            );
        }
        a_good_plugin_still_answers();
    }
}

#[test]
fn without_memory_a_guest_cannot_pass_text() {
    let text = r#"(module (import "host" "text" (func $text (param i32 i32)))
        (func (export "run") (call $text (i32.const 0) (i32.const 0))))"#;
    let grants = Grants::new().function("host", "text", |_: &str| {});
    let error = hostel::engine().load("guest", &hostel_tests::assemble(text), &grants);
    let error = error.unwrap_err().to_string();
    assert!(
        error
            .contains("export `memory` is missing: expected a memory; `host.text` exchanges bytes"),
        "{error}"
    );
}

// The buffer for a result

/// Returns the texts of guests, one for each shape, whose `allocate` does `body` while the host
/// asks for a buffer for the result of `host.text`. `run` returns that result.
fn receiving(body: &str) -> [String; 3] {
    let shapes = [
        (
            "(result i32 i32)",
            r#"(func (export "run") (result i32 i32) (call $text))"#,
        ),
        (
            "(result i64)",
            r#"(func (export "run") (result i64) (call $text))"#,
        ),
        (
            "(param i32)",
            r#"(func (export "run") (result i32 i32) (call $text (i32.const 64))
                (i32.load (i32.const 64)) (i32.load (i32.const 68)))"#,
        ),
    ];
    shapes.map(|(ty, run)| {
        format!(
            r#"(module
                (import "host" "text" (func $text {ty}))
                (import "host" "noop" (func $noop))
                (memory (export "memory") 2)
                (func $allocate (export "allocate") (param $size i32) (result i32) {body})
                {run})"#
        )
    })
}

fn receiving_grants() -> Grants<()> {
    Grants::new()
        .function("host", "text", || "hello")
        .function("host", "noop", || {})
}

#[test]
fn bad_addresses_from_allocate_in_a_host_call_harm_the_guest_alone() {
    for (body, expected) in [
        ("(i32.const 1024)", "ok"),
        ("(i32.const 1)", "ok"),
        ("(i32.const 131067)", "ok"),
        // Memory grows, and may move, while the host function runs.
        (
            "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))",
            "ok",
        ),
        ("(i32.const 0)", "trap-host-call"),
        ("(i32.const -1)", "trap-host-call"),
        ("(i32.const 0x80000000)", "trap-host-call"),
        ("(i32.const 131068)", "trap-host-call"),
        ("(unreachable)", "trap-unreachable"),
        ("(i32.load (i32.const -1))", "trap-memory"),
        ("(loop $on (br $on)) (unreachable)", "out-of-fuel"),
        ("(call $allocate (i32.const 1))", "trap-stack"),
        ("(call $noop) (i32.const 1024)", "trap-reentered"),
    ] {
        for text in receiving(body) {
            let mut instance = start(&text, &receiving_grants());
            let result = instance.call::<(), String>("run", ());
            assert_eq!(code(&result), expected, "{text}");
            assert_eq!(instance.is_stopped(), expected != "ok", "{text}");
            if let Ok(answer) = result {
                assert_eq!(answer, "hello", "{text}");
            }
            a_good_plugin_still_answers();
        }
    }
}

#[test]
fn an_allocator_that_asks_for_more_settings_ends_at_the_second_level() {
    let text = r#"(module
        (import "env" "host_get_config" (func $get (param i32 i32) (result i64)))
        (memory (export "memory") 1)
        (data (i32.const 0) "key")
        (func (export "allocate") (param i32) (result i32)
          (drop (call $get (i32.const 0) (i32.const 3))) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i32 i32)
          (local.get 0) (local.get 1)))"#;
    let mut instance = start(text, &Grants::new().config([("key", "value")]));
    assert_eq!(code(&instance.process(b"hello")), "trap-reentered");
    assert!(instance.is_stopped());
    assert_eq!(instance.usage().host_calls, 1);
    a_good_plugin_still_answers();
}

#[test]
fn outside_of_a_host_call_an_allocator_may_log() {
    let lines = Lines::default();
    let text = r#"(module
        (import "env" "host_log" (func $log (param i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "allocating")
        (func (export "allocate") (param i32) (result i32)
          (call $log (i32.const 0) (i32.const 10)) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i32 i32)
          (local.get 0) (local.get 1)))"#;
    let mut instance = start::<()>(text, &lines.granted());
    assert_eq!(instance.process(b"hello").as_deref(), Ok(&b"hello"[..]));
    assert_eq!(lines.take(), ["guest: allocating"]);
}

// How often, and at what price

#[test]
fn host_calls_are_counted_and_limited() {
    let text = r#"(module (import "host" "note" (func $note))
        (func (export "run") (param i32)
          (loop $on (call $note)
            (br_if $on (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;
    let ran = Ran::default();
    let noted = ran.clone();
    let grants = Grants::new().function("host", "note", move || noted.note());
    let mut instance = start(text, &grants);
    let mut budget = SMALL;
    budget.host_calls = 3;
    instance.set_budget(budget);
    for _ in 0..2 {
        assert_eq!(instance.call::<u32, ()>("run", 3), Ok(()));
        assert_eq!(instance.usage().host_calls, 3);
    }
    assert_eq!(
        instance.call::<u32, ()>("run", 4),
        Err(CallError::HostCalls { limit: 3 })
    );
    assert!(instance.is_stopped());
    assert_eq!(ran.times(), 3 * 3);
}

#[test]
fn a_charge_stays_if_the_host_function_ignores_its_error() {
    let text = r#"(module (import "host" "dear" (func $dear (param i32)))
        (func (export "run") (param i32) (call $dear (local.get 0))))"#;
    for honest in [true, false] {
        let dear = move |context: &mut Context<'_, ()>, fuel: u32| -> Result<(), Trap> {
            let charged = context.charge(fuel.into());
            if honest { charged } else { Ok(()) }
        };
        let grants = Grants::new().function("host", "dear", dear);
        let mut instance = start(text, &grants);
        assert_eq!(instance.call::<u32, ()>("run", 0), Ok(()));
        let free = instance.usage().fuel;
        assert_eq!(instance.call::<u32, ()>("run", 50_000), Ok(()));
        assert_eq!(instance.usage().fuel, free + 50_000);
        let most = u32::try_from(SMALL.fuel - free).unwrap();
        assert_eq!(instance.call::<u32, ()>("run", most), Ok(()));
        let error = instance.call::<u32, ()>("run", most + 1);
        assert_eq!(
            error,
            Err(CallError::OutOfFuel { fuel: SMALL.fuel }),
            "{honest}"
        );
        assert!(instance.is_stopped());
    }
}

// The service `log`

/// A guest that logs its input, by either name.
const LOGGING: &str = r#"(module
    (import "env" "host_log" (func $log (param i32 i32)))
    (import "env" "host_log_message" (func $message (param i32 i32)))
    (memory (export "memory") 2)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "log") (param i32 i32) (call $log (local.get 0) (local.get 1)))
    (func (export "message") (param i32 i32) (call $message (local.get 0) (local.get 1)))
    (func (export "flood") (param $n i32) (param $size i32)
      (loop $on
        (call $log (i32.const 0) (local.get $size))
        (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

#[test]
fn a_log_record_is_one_visible_line_behind_the_plugins_name() {
    let lines = Lines::default();
    let mut instance = start::<()>(LOGGING, &lines.granted());
    for (text, shown) in [
        (&b"plain"[..], "plain"),
        (b"", ""),
        (b"one\nroot: two\r\n", "one\\nroot: two\\r\\n"),
        (b"\x1b]52;c;AAAA\x07", "\\u{1b}]52;c;AAAA\\u{7}"),
        (b"\x9b31m \xff\xfe", "\u{fffd}31m \u{fffd}\u{fffd}"),
        ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
        (
            "a\u{202e}b\u{2028}c\u{2029}d".as_bytes(),
            "a\\u{202e}b\\u{2028}c\\u{2029}d",
        ),
        ("\u{feff}mark".as_bytes(), "\\u{feff}mark"),
        (b"nul\0 del\x7f", "nul\\u{0} del\\u{7f}"),
        (b"cut \xf0\x9f\x98", "cut \u{fffd}"),
        (b"{} %s %n", "{} %s %n"),
        ("Grüße 😀".as_bytes(), "Grüße 😀"),
    ] {
        for name in ["log", "message"] {
            assert_eq!(instance.call::<&[u8], ()>(name, text), Ok(()));
            assert_eq!(lines.take(), [format!("guest: {shown}")]);
            let usage = instance.usage();
            assert_eq!(
                (usage.log_records, usage.log_bytes as usize),
                (1, text.len())
            );
        }
    }
    a_good_plugin_still_answers();
}

#[test]
fn a_flood_of_records_ends_at_the_budget_with_one_closing_record() {
    let lines = Lines::default();
    let mut instance = start::<()>(LOGGING, &lines.granted());
    let mut budget = SMALL;
    budget.log_records = 5;
    instance.set_budget(budget);
    // The budget is each call's.
    for _ in 0..2 {
        assert_eq!(instance.call::<(u32, u32), ()>("flood", (1000, 0)), Ok(()));
        let mut expected = vec!["guest: "; 5];
        expected.push("guest [host]: [995 further log records dropped: over the budget]");
        assert_eq!(lines.take(), expected);
        let usage = instance.usage();
        assert_eq!((usage.log_records, usage.log_dropped), (5, 995));
    }
    assert_eq!(instance.call::<(u32, u32), ()>("flood", (5, 0)), Ok(()));
    assert_eq!(lines.take(), ["guest: "; 5]);
}

#[test]
fn a_flood_of_bytes_ends_at_the_budget_with_one_closing_record() {
    let lines = Lines::default();
    let mut instance = start::<()>(LOGGING, &lines.granted());
    let mut budget = SMALL;
    budget.log_bytes = 2500;
    instance.set_budget(budget);
    assert_eq!(instance.call::<(u32, u32), ()>("flood", (7, 1000)), Ok(()));
    let found = lines.take();
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[2],
        "guest [host]: [5 further log records dropped: over the budget]"
    );
    let usage = instance.usage();
    let counts = (usage.log_records, usage.log_bytes, usage.log_dropped);
    assert_eq!(counts, (2, 2000, 5));
    // A record that is too long is dropped as a whole.
    assert_eq!(instance.call::<(u32, u32), ()>("flood", (1, 2501)), Ok(()));
    let found = lines.take();
    assert_eq!(
        found,
        ["guest [host]: [1 further log records dropped: over the budget]"]
    );
}

#[test]
fn a_guest_that_floods_and_is_stopped_leaves_its_closing_record() {
    let lines = Lines::default();
    let plugin = load_wat::<()>(LOGGING, &lines.granted());
    let mut budget = SMALL;
    budget.log_records = 1;
    let mut instance = plugin.with_budget(budget).instantiate(()).unwrap();
    // A count of 0 is reached again only after 2³² records.
    let result = instance.call::<(u32, u32), ()>("flood", (0, 0));
    assert_eq!(code(&result), "out-of-fuel");
    let dropped = instance.usage().log_dropped;
    assert!(dropped > 100, "{dropped}");
    let closing = format!("guest [host]: [{dropped} further log records dropped: over the budget]");
    assert_eq!(lines.take(), ["guest: ".to_owned(), closing]);
}

#[test]
fn a_start_function_that_floods_and_traps_leaves_its_closing_record() {
    let text = r#"(module
        (import "env" "host_log" (func $log (param i32 i32)))
        (memory (export "memory") 1)
        (func (export "f"))
        (func (export "_initialize")
          (call $log (i32.const 0) (i32.const 0)) (call $log (i32.const 0) (i32.const 0))
          (call $log (i32.const 0) (i32.const 0)) (unreachable)))"#;
    let lines = Lines::default();
    let mut budget = SMALL;
    budget.log_records = 1;
    let plugin = load_wat::<()>(text, &lines.granted()).with_budget(budget);
    assert_eq!(code(&plugin.instantiate(())), "trap-unreachable");
    let closing = "guest [host]: [2 further log records dropped: over the budget]";
    assert_eq!(lines.take(), ["guest: ", closing]);
}

#[test]
fn a_sink_that_panics_stops_the_guest_alone() {
    let grants = Grants::new().log(|_: &hostel::LogRecord<'_>| {
        panic!("this panic belongs to the test: the host contains it");
    });
    let mut instance = start(LOGGING, &grants);
    let result = instance.call::<&str, ()>("log", "hello");
    assert_eq!(code(&result), "trap-host-panic");
    assert!(instance.is_stopped());
    a_good_plugin_still_answers();
}

// The service `config`

/// Makes an instance of a guest that returns the setting whose key it gets.
fn asking(values: &[(&str, &str)]) -> Instance {
    let import = r#"(import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))"#;
    let item = r#"(func (export "get") (param i32 i32) (result i32 i32)
        (call $get (local.get 0) (local.get 1)))"#;
    let values = values.iter().copied();
    start(&with_allocator(import, item), &Grants::new().config(values))
}

#[test]
fn a_setting_is_set_or_unset_or_empty() {
    let mut instance = asking(&[
        ("key", "value"),
        ("empty", ""),
        ("", "no key"),
        ("ключ", "значение"),
    ]);
    let huge = "key".repeat(20_000);
    for (key, expected) in [
        ("key", Some("value")),
        ("empty", Some("")),
        ("", Some("no key")),
        ("ключ", Some("значение")),
        ("unset", None),
        ("Key", None),
        ("key\0", None),
        ("../key", None),
        (&huge, None),
    ] {
        let found = instance.call::<&str, Option<String>>("get", key);
        assert_eq!(found, Ok(expected.map(String::from)), "{key:.20}");
    }
}

#[test]
fn a_key_that_is_not_text_is_unset() {
    let mut instance = asking(&[("\u{fffd}", "not this one"), ("key", "value")]);
    for key in [&b"\xff"[..], b"key\xff", b"\xed\xa0\x80"] {
        let found = instance.call::<&[u8], Option<String>>("get", key);
        assert_eq!(found, Ok(None), "{key:?}");
    }
    assert!(!instance.is_stopped());
}

#[test]
fn a_guest_without_memory_for_a_setting_is_stopped() {
    let huge = "x".repeat(1 << 20);
    let mut instance = asking(&[("key", "value"), ("huge", &huge)]);
    assert_eq!(
        instance.call::<&str, Option<String>>("get", "key"),
        Ok(Some("value".into()))
    );
    let result = instance.call::<&str, Option<String>>("get", "huge");
    assert_eq!(code(&result), "trap-host-call");
    let message = result.unwrap_err().to_string();
    assert!(message.contains("no memory for 1048576 bytes"), "{message}");
    assert!(instance.is_stopped());
    a_good_plugin_still_answers();
}

#[test]
fn a_huge_setting_is_charged_before_it_is_passed_on() {
    let huge = "x".repeat(100_000);
    let mut instance = asking(&[("huge", &huge)]);
    let mut budget = SMALL.with_fuel(1_500);
    budget.output_bytes = 1 << 20;
    instance.set_budget(budget);
    assert_eq!(
        code(&instance.call::<&str, Option<String>>("get", "huge")),
        "out-of-fuel"
    );
    assert_eq!(instance.usage().fuel, 1_500);
}
