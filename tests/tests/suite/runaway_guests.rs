//! Guests that trap, never end, or use up memory, time and stack.

use core::time::Duration;
use hostel::{Budget, CallError, Engine, Grants, Instance, Limits, LogRecord, Trap};
use hostel_tests::{
    Ticking, a_good_plugin_still_answers, assemble, code, in_its_own_process, load_wat,
    try_load_wat,
};

fn start(text: &str) -> Instance {
    load_wat(text, &Grants::new())
        .with_budget(Budget::server().with_fuel(100_000))
        .instantiate(())
        .expect("it starts")
}

#[test]
fn each_trap_has_its_code_and_stops_the_instance() {
    for (body, expected) in [
        ("(unreachable)", "trap-unreachable"),
        ("(drop (i32.load (i32.const 131069)))", "trap-memory"),
        (
            "(i32.store offset=0xffffffff (i32.const -1) (i32.const 0))",
            "trap-memory",
        ),
        (
            "(memory.fill (i32.const 1) (i32.const 0) (i32.const 131072))",
            "trap-memory",
        ),
        (
            "(memory.copy (i32.const 0) (i32.const 1) (i32.const -1))",
            "trap-memory",
        ),
        ("(call_indirect (i32.const 2))", "trap-table"),
        ("(call_indirect (i32.const 0))", "trap-null-call"),
        (
            "(call_indirect (param i32) (i32.const 0) (i32.const 1))",
            "trap-signature",
        ),
        (
            "(drop (i32.div_u (i32.const 1) (global.get $zero)))",
            "trap-division",
        ),
        (
            "(drop (i64.rem_s (i64.const 1) (i64.extend_i32_u (global.get $zero))))",
            "trap-division",
        ),
        (
            "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (global.get $zero) (i32.const 1))))",
            "trap-overflow",
        ),
        (
            "(drop (i32.trunc_f64_s (f64.const 1e300)))",
            "trap-overflow",
        ),
        (
            "(drop (i32.trunc_f32_u (f32.const nan)))",
            "trap-conversion",
        ),
        ("(call $run)", "trap-stack"),
        ("(loop $on (br $on))", "out-of-fuel"),
        (
            "(loop $on (drop (memory.grow (i32.const 0))) (br $on))",
            "out-of-fuel",
        ),
    ] {
        let text = format!(
            r#"(module (memory 2) (table 2 funcref) (elem (i32.const 1) $run)
                (global $zero (mut i32) (i32.const 0))
                (func (export "fine") (result i32) (i32.const 7))
                (func $run (export "run") {body}))"#
        );
        let mut instance = start(&text);
        assert_eq!(instance.call::<(), u32>("fine", ()), Ok(7));
        assert_eq!(
            code(&instance.call::<(), ()>("run", ())),
            expected,
            "{body}"
        );
        assert!(instance.is_stopped(), "{body}");
        assert_eq!(
            instance.call::<(), u32>("fine", ()),
            Err(CallError::Stopped)
        );
        assert_eq!(instance.call_values("fine", &[]), Err(CallError::Stopped));
        assert_eq!(instance.process(b""), Err(CallError::Stopped));
        a_good_plugin_still_answers();
    }
}

/// Returns the export and the host function that a trap names.
fn placed(error: &CallError) -> (Option<&str>, Option<&str>) {
    match error {
        CallError::Trap(trap) => (trap.export(), trap.import()),
        other => panic!("{other}"),
    }
}

#[test]
fn a_trap_says_which_export_ran_and_which_host_function_was_called() {
    let load = |items: &str| {
        let text = format!(
            r#"(module
            (import "env" "host_get_config" (func $get (param i32 i32) (result i64)))
            (import "env" "host_log" (func $log (param i32 i32)))
            (import "env" "fail" (func $fail))
            (memory (export "memory") 1) (data (i32.const 0) "key") {items})"#
        );
        let grants = Grants::new()
            .config([("key", "value")])
            .log(|_: &LogRecord<'_>| {})
            .function("env", "fail", || -> Result<(), Trap> {
                Err(Trap::host("no"))
            });
        load_wat(&text, &grants)
    };
    let fine = r#"(func (export "allocate") (param i32) (result i32) (i32.const 1024))"#;
    let process = |body: &str| {
        format!(r#"(func (export "process") (param i32 i32) (result i64) {body} (i64.const 0))"#)
    };
    for (items, export, import) in [
        (process("(unreachable)") + fine, "process", None),
        (process("(call $fail)") + fine, "process", Some("env.fail")),
        (
            process("(call $log (i32.const -1) (i32.const 1))") + fine,
            "process",
            Some("env.host_log"),
        ),
        (
            process("") + &fine.replace("(i32.const 1024)", "(unreachable)"),
            "allocate",
            None,
        ),
        (
            process("").replace("(i64.const 0)", "(i64.const 0x80000000001)")
                + fine
                + r#"(func (export "deallocate") (param i32 i32) (unreachable))"#,
            "deallocate",
            None,
        ),
        // The lookup asks for three bytes, the input for more.
        (
            process("(drop (call $get (i32.const 0) (i32.const 3)))")
                + r#"(func (export "allocate") (param i32) (result i32)
                     (if (i32.eq (local.get 0) (i32.const 5)) (then (call $fail)))
                     (i32.const 1024))"#,
            "allocate",
            Some("env.fail"),
        ),
    ] {
        let mut instance = load(&items).instantiate(()).unwrap();
        let error = instance.process(b"a longer input").expect_err(&items);
        assert_eq!(placed(&error), (Some(export), import), "{error}");
        let message = error.to_string();
        assert!(
            message.ends_with(&format!("while `{export}` ran")),
            "{message}"
        );
    }
    for (items, export) in [
        ("(func $run (unreachable)) (start $run)", "start function"),
        (
            r#"(func (export "_initialize") (unreachable))"#,
            "_initialize",
        ),
    ] {
        let plugin = load(&(items.to_owned() + fine));
        let error = plugin.instantiate(()).err().unwrap();
        assert_eq!(placed(&error), (Some(export), None), "{error}");
    }
}

#[test]
fn copying_segments_counts_against_the_deadline() {
    // The clock advances each time it is read: when the call begins, and after the segments.
    let engine = Engine::default().with_platform(Ticking::default());
    let text = r#"(module (memory 1) (data (i32.const 0) "data") (func (export "f")))"#;
    let plugin = try_load_wat(&engine, text, &Grants::new()).unwrap();
    let after = Duration::from_millis(1);
    let plugin = plugin.with_budget(Budget::server().with_deadline(after));
    let error = plugin.instantiate(()).err();
    assert_eq!(error, Some(CallError::Deadline { after }));
}

#[test]
fn memory_stays_within_its_limit() {
    let mut limits = Limits::server();
    limits.memory_bytes = 3 << 16;
    let text = r#"(module (memory (export "memory") 1)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let plugin = try_load_wat(&Engine::new(limits), text, &Grants::new()).unwrap();
    let mut instance = plugin.instantiate(()).unwrap();
    for (pages, expected) in [(3, -1), (1, 1), (2, -1), (-1, -1), (1, 2), (1, -1), (0, 3)] {
        assert_eq!(
            instance.call::<i32, i32>("grow", pages),
            Ok(expected),
            "{pages}"
        );
    }
    assert_eq!(instance.memory_bytes(), 3 << 16);
    assert!(!instance.is_stopped());
}

#[test]
fn a_guest_that_never_ends_is_stopped_at_its_deadline() {
    let after = Duration::from_millis(50);
    let engine = Engine::default().with_platform(Ticking::default());
    let text = r#"(module (func (export "run") (loop $on (br $on))))"#;
    let plugin = try_load_wat(&engine, text, &Grants::new()).unwrap();
    let mut instance = plugin
        .with_budget(Budget::server().with_deadline(after))
        .instantiate(())
        .unwrap();
    assert_eq!(
        instance.call::<(), ()>("run", ()),
        Err(CallError::Deadline { after })
    );
    assert!(instance.is_stopped());
    assert!(instance.usage().fuel < Budget::server().fuel);
}

/// Makes an instance of a module that never starts, with a deadline. Returns the error.
fn start_until_deadline(item: &str) -> Option<CallError> {
    let engine = Engine::default().with_platform(Ticking::default());
    let text = format!(r#"(module (func (export "f")) {item})"#);
    let plugin = try_load_wat(&engine, &text, &Grants::new()).unwrap();
    let budget = Budget::server()
        .with_fuel(20_000_000)
        .with_deadline(Duration::from_millis(50));
    plugin.with_budget(budget).instantiate(()).err()
}

#[test]
fn an_initialize_that_never_ends_is_stopped_at_its_deadline() {
    let error = start_until_deadline(r#"(func (export "_initialize") (loop $on (br $on)))"#);
    let after = Duration::from_millis(50);
    assert_eq!(error, Some(CallError::Deadline { after }));
}

#[test]
fn a_start_function_that_never_ends_is_stopped_at_its_deadline() {
    let error = start_until_deadline("(func $run (loop $on (br $on))) (start $run)");
    let after = Duration::from_millis(50);
    assert_eq!(error, Some(CallError::Deadline { after }));
}

// These would end the whole process if they failed. Under tail dispatch, a failing `memory.grow`
// leaves native stack in use until its slice ends. A debug build dispatches otherwise.

const GROWING: &str = "(loop $on (drop (memory.grow (i32.const 65535))) (br $on))";

#[test]
fn a_call_of_failing_growths_leaves_the_native_stack_alone() {
    in_its_own_process(
        "runaway_guests::a_call_of_failing_growths_leaves_the_native_stack_alone",
        || {
            let text = format!(r#"(module (memory 1) (func (export "run") {GROWING}))"#);
            let mut instance = start(&text);
            instance.set_budget(Budget::server().with_fuel(2_000_000));
            assert_eq!(code(&instance.call::<(), ()>("run", ())), "out-of-fuel");
        },
    );
}

/// Makes an instance with little fuel. Returns the error's code.
fn start_with(item: &str) -> &'static str {
    let text = format!(r#"(module (memory 1) (func (export "f")) {item})"#);
    let plugin = load_wat(&text, &Grants::new());
    code(
        &plugin
            .with_budget(Budget::server().with_fuel(2_000_000))
            .instantiate(()),
    )
}

#[test]
fn an_initialize_of_failing_growths_leaves_the_native_stack_alone() {
    in_its_own_process(
        "runaway_guests::an_initialize_of_failing_growths_leaves_the_native_stack_alone",
        || {
            let item = format!(r#"(func (export "_initialize") {GROWING})"#);
            assert_eq!(start_with(&item), "out-of-fuel");
        },
    );
}

#[test]
fn a_start_function_of_failing_growths_leaves_the_native_stack_alone() {
    in_its_own_process(
        "runaway_guests::a_start_function_of_failing_growths_leaves_the_native_stack_alone",
        || {
            let item = format!("(func $run {GROWING}) (start $run)");
            assert_eq!(start_with(&item), "out-of-fuel");
        },
    );
}

#[test]
fn failing_growths_between_host_calls_leave_the_native_stack_alone() {
    in_its_own_process(
        "runaway_guests::failing_growths_between_host_calls_leave_the_native_stack_alone",
        || {
            // Each lookup runs `allocate`, which must not begin a new slice for the caller.
            let text = r#"(module
            (import "env" "host_get_config" (func $get (param i32 i32) (result i64)))
            (memory (export "memory") 1)
            (data (i32.const 0) "key")
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "run") (local $n i32)
              (loop $on
                (local.set $n (i32.const 100))
                (loop $grow
                  (drop (memory.grow (i32.const 65535)))
                  (br_if $grow (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                (drop (call $get (i32.const 0) (i32.const 3)))
                (br $on))))"#;
            let grants = Grants::new().config([("key", "value")]);
            let mut instance = load_wat(text, &grants).instantiate(()).unwrap();
            instance.set_budget(Budget::server().with_fuel(2_000_000));
            assert_eq!(code(&instance.call::<(), ()>("run", ())), "out-of-fuel");
        },
    );
}

#[test]
fn a_fault_of_the_interpreters_compiler_refuses_one_module_alone() {
    // A store far from its address, with the address as its value. wasmi 2.0.0 panics when it
    // compiles it.
    let text = r#"(module (memory 2) (func (export "f") (param i32) (local i32)
        (local.set 1 (i32.add (local.get 0) (i32.const 1)))
        (i32.store offset=65536 (local.get 1) (local.get 1))))"#;
    let result = hostel::engine().load("guest", &assemble(text), &Grants::new());
    match result {
        Ok(plugin) => assert_eq!(plugin.call::<u32, ()>("f", 3), Ok(())),
        Err(error) => assert_eq!(error.code(), "refused", "{error}"),
    }
    a_good_plugin_still_answers();
}
