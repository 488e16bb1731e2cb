//! `env.abort`, which AssemblyScript's compiler imports for `throw`, `assert` and failures of the run time.

use hostel::{Budget, Grants, LogLevel, LogRecord, Plugin, TrapKind};
use hostel_tests::{Lines, code, load_guest, load_wat, try_load_wat};
use std::sync::{Arc, Mutex};

#[test]
fn what_assemblyscript_throws_is_logged_and_told() {
    let lines = Lines::default();
    let plugin = load_guest::<()>("as_aborts", &lines.granted());
    assert_eq!(plugin.process(b"").as_deref(), Ok(&b""[..]));
    assert_eq!(lines.take(), [""; 0]);
    for _ in 0..2 {
        let error = plugin.process("bäd 🦀\x1b".as_bytes()).unwrap_err();
        assert_eq!(error.code(), "trap-host");
        let text = r"the input is bäd 🦀\u{1b} at assemblyscript/aborts.ts:7:13";
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.to_string().contains("`env.abort`"), "{error}");
        assert_eq!(lines.take(), [format!("as_aborts [error]: {text}")]);
    }
}

/// Returns a plugin whose `f` aborts with any pointers. Strings lie at 8 ("hi"), 24 (an unpaired
/// surrogate), 40 (5 bytes), 60 (more than 2 KiB), and 65532 (2 bytes, cut by the memory's end).
fn plugin(grants: &Grants) -> Plugin {
    load_wat(
        r#"(module (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 4) "\04\00\00\00h\00i\00")
            (data (i32.const 20) "\02\00\00\00\00\d8")
            (data (i32.const 36) "\05\00\00\00h\00i\00!")
            (data (i32.const 56) "\00\40\00\00")
            (data (i32.const 65528) "\06\00\00\00o\00k\00")
            (func (export "f") (param i32 i32)
              (call $abort (local.get 0) (local.get 1) (i32.const -1) (i32.const 2))))"#,
        grants,
    )
}

#[test]
fn strings_are_read_within_the_memory() {
    let lines = Lines::default();
    let plugin = plugin(&lines.granted());
    for (message, file, expected) in [
        (0u32, 0u32, "abort"),
        (8, 0, "hi"),
        (0, 8, "abort at hi:4294967295:2"),
        (8, 8, "hi at hi:4294967295:2"),
        (24, 0, "\u{fffd}"),
        (40, 0, "hi"),
    ] {
        let error = plugin.call::<_, ()>("f", (message, file)).unwrap_err();
        assert_eq!(error.code(), "trap-host");
        assert!(
            error
                .to_string()
                .contains(&format!(": {expected}, in host function")),
            "{error}"
        );
        assert_eq!(lines.take(), [format!("guest [error]: {expected}")]);
    }
    // A string of 16 KiB.
    let error = plugin.call::<_, ()>("f", (60u32, 0u32)).unwrap_err();
    assert_eq!(error.code(), "trap-host");
    assert_eq!(lines.take().len(), 1);
    for outside in [1, 3, 65_532, 65_536, 65_537, u32::MAX] {
        for (message, file) in [(outside, 0), (8, outside)] {
            let error = plugin.call::<_, ()>("f", (message, file)).unwrap_err();
            assert_eq!(error.code(), "trap-host-call", "{outside}: {error}");
            assert_eq!(lines.take(), [""; 0]);
        }
    }
}

#[test]
fn the_record_has_the_level_error_and_the_budget_of_the_log() {
    let levels = Arc::new(Mutex::new(Vec::new()));
    let seen = levels.clone();
    let grants = Grants::new().log(move |record: &LogRecord<'_>| {
        seen.lock().unwrap().push(record.level);
    });
    let plugin = plugin(&grants);
    assert_eq!(code(&plugin.call::<_, ()>("f", (8u32, 0u32))), "trap-host");
    assert_eq!(*levels.lock().unwrap(), [LogLevel::Error]);
    let mut budget = Budget::server();
    budget.log_records = 0;
    let silent = plugin.with_budget(budget);
    assert_eq!(code(&silent.call::<_, ()>("f", (8u32, 0u32))), "trap-host");
    // The host's own record, of one that was dropped.
    assert_eq!(*levels.lock().unwrap(), [LogLevel::Error, LogLevel::Warn]);
}

#[test]
fn an_abort_is_charged_by_its_bytes() {
    let plugin = plugin(&Lines::default().granted());
    let fuel = |message: u32| {
        let (_, used) =
            plugin.with_instance_metered(|instance| instance.call::<_, ()>("f", (message, 0u32)));
        used.fuel
    };
    // Two strings of characters are read, at one unit each for the length and the characters. One unit more
    // for each byte of the text: "abort", and "hi".
    assert_eq!(fuel(8), fuel(0) - 5 + 2 + 2);
    // 2 KiB of them, and 1,024 characters of one byte.
    assert_eq!(fuel(60), fuel(0) - 5 + 1 + 32 + 1_024);
}

#[test]
fn a_function_of_the_embedders_takes_precedence_and_the_log_has_to_be_granted() {
    let own = |_: u32, _: u32, line: u32, _: u32| assert_eq!(line, u32::MAX);
    let lines = Lines::default();
    let grants = lines.granted();
    for grants in [
        grants.clone().function("env", "abort", own),
        Grants::new()
            .function("env", "abort", own)
            .log(|_: &LogRecord<'_>| {}),
    ] {
        assert_eq!(plugin(&grants).call::<_, ()>("f", (8u32, 0u32)), Ok(()));
    }
    assert_eq!(lines.take(), [""; 0]);
    let text = r#"(module (import "env" "abort" (func)) (func (export "f") (call 0)))"#;
    let error = try_load_wat(&hostel::engine(), text, &Grants::new()).unwrap_err();
    assert!(
        error.to_string().contains("the grant `log` would"),
        "{error}"
    );
    // A C compiler's function of that name has another type.
    let error = try_load_wat(&hostel::engine(), text, &grants).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected (i32, i32, i32, i32) -> ()"),
        "{error}"
    );
    let stubbed = load_wat(text, &grants.trap("env", "abort"));
    let hostel::CallError::Trap(trap) = stubbed.call::<(), ()>("f", ()).unwrap_err() else {
        panic!("it did not trap")
    };
    assert_eq!(trap.kind(), TrapKind::Stub);
}
