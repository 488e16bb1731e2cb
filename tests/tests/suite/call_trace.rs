//! `Engine::with_call_trace`: a trap names the guest's functions that ran.

use hostel::{CallError, Engine, Grants, Limits, LogRecord, Plugin, Trap};
use hostel_tests::{CUSTOMIZE, assemble, guest_bytes, load_wat};

fn traced(text: &str) -> Plugin {
    let grants = Grants::new().function("env", "fail", || -> Result<(), Trap> {
        Err(Trap::host("no"))
    });
    let engine = hostel::engine().with_call_trace();
    let loaded = engine.load("guest", &assemble(text), &grants);
    loaded.unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn functions<R>(result: Result<R, CallError>) -> String {
    match result.map(|_| ()) {
        Err(CallError::Trap(trap)) => trap.functions().join(" → "),
        other => panic!("{other:?}"),
    }
}

const GUEST: &str = r#"(module
    (import "env" "fail" (func $fail))
    (table 4 funcref) (elem (i32.const 0) func $inner $returns $fail)
    (func $inner unreachable)
    (func $returns (param i32 i64) (result i32) (local f32 i32)
        (if (local.get 0) (then (return (i32.const 7))))
        (block (br 1 (i32.const 8))) (i32.const 9))
    (func $middle (drop (call $returns (i32.const 1) (i64.const 2))) (call $inner))
    (func $f (export "deep") (call $middle))
    (func $outer (export "deeper") (call $f))
    (func $recurs (export "recurs") (param i32)
        (if (local.get 0) (then (call $recurs (i32.sub (local.get 0) (i32.const 1)))))
        unreachable)
    (func $many (export "many") (local i32)
        (loop $on
            (drop (call $returns (i32.const 0) (i64.const 2)))
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (br_if $on (i32.lt_u (local.get 0) (i32.const 100))))
        (i32.store8 offset=0 (i32.const -1) (i32.const 0)))
    (func $by_table (export "by_table") (call_indirect (i32.const 0)))
    (func $asks (export "asks") (call $fail))
    (func $asks_by_table (export "asks_by_table") (call_indirect (i32.const 2)))
    (func (export "nameless") (call 13))
    (func $well (export "well") (result i32) (call $returns (i32.const 0) (i64.const 0)))
    (func unreachable)
    (memory 1))"#;

#[test]
fn a_trap_names_the_innermost_functions_that_ran() {
    let plugin = traced(GUEST);
    for (name, expected) in [
        ("deep", "f → middle → inner"),
        ("deeper", "f → middle → inner"),
        ("many", "many"),
        ("by_table", "by_table → inner"),
        ("asks", "asks"),
        ("asks_by_table", "asks_by_table"),
        ("nameless", "nameless → function 13"),
    ] {
        assert_eq!(functions(plugin.call::<(), ()>(name, ())), expected);
    }
    for (depth, expected) in [
        (0, "recurs"),
        (1, "recurs → recurs"),
        (9, "recurs → recurs → recurs"),
    ] {
        assert_eq!(functions(plugin.call::<u32, ()>("recurs", depth)), expected);
    }
    // Calls that returned leave nothing.
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.call::<(), i32>("well", ()), Ok(8));
    assert_eq!(
        functions(instance.call::<(), ()>("deep", ())),
        "f → middle → inner"
    );
    let text = plugin.call::<(), ()>("deep", ()).unwrap_err().to_string();
    assert!(
        text.ends_with(", while `deep` ran, in f → middle → inner"),
        "{text}"
    );
}

#[test]
fn without_a_trace_no_functions_are_named() {
    let grants = Grants::new().function("env", "fail", || {});
    let plugin = load_wat(GUEST, &grants);
    assert_eq!(functions(plugin.call::<(), ()>("deep", ())), "");
}

#[test]
fn the_start_and_the_allocator_are_traced_too() {
    let plugin = traced(
        r#"(module (func $sets_up (call $inner)) (start $sets_up) (func $inner unreachable)
            (func (export "f")))"#,
    );
    assert_eq!(functions(plugin.call::<(), ()>("f", ())), "sets_up → inner");
    let plugin = traced(
        r#"(module (memory (export "memory") 1)
            (func $room (export "allocate") (param i32) (result i32) (call $grows) (i32.const 8))
            (func $grows (if (i32.eqz (memory.size)) (then unreachable)))
            (func $p (export "process") (param i32 i32) (result i64) (unreachable)))"#,
    );
    // Not of the allocator, which ran before.
    assert_eq!(functions(plugin.process(b"input")), "p");
}

#[test]
fn names_control_no_terminal() {
    let plugin = traced("(module (func (@name \"a\\n\\1b[2J\") (export \"f\") unreachable))");
    let text = plugin.call::<(), ()>("f", ()).unwrap_err().to_string();
    assert!(text.ends_with(", in a\\n\\u{1b}[2J"), "{text}");
}

#[test]
fn real_guests_do_the_same_with_a_trace() {
    let grants = || {
        Grants::new()
            .log(|_: &LogRecord<'_>| {})
            .config([("prefix", "A")])
    };
    for name in CUSTOMIZE {
        let wasm = guest_bytes(name);
        let plain = hostel::engine().load(name, &wasm, &grants()).unwrap();
        let traced = hostel::engine()
            .with_call_trace()
            .load(name, &wasm, &grants())
            .unwrap();
        for round in 0..3 {
            let input = format!("input {round}").into_bytes();
            assert_eq!(traced.process(&input), plain.process(&input), "{name}");
        }
        assert!(traced.pool_figures().idle > 0, "{name} is reset");
        assert_eq!(traced.limits(), plain.limits());
    }
}

#[test]
fn a_module_at_its_limits_is_traced_all_the_same() {
    let wasm =
        assemble(r#"(module (func $f (export "f") (local i32) (call $g)) (func $g unreachable))"#);
    let mut limits = Limits::server();
    limits.module_bytes = wasm.len();
    limits.module.locals = 1;
    limits.module.globals = 0;
    let engine = Engine::new(limits).with_call_trace();
    let plugin = engine.load("m", &wasm, &Grants::new()).unwrap();
    assert_eq!(functions(plugin.call::<(), ()>("f", ())), "f → g");
    limits.module.locals = 0;
    let engine = Engine::new(limits).with_call_trace();
    let error = engine.load("m", &wasm, &Grants::new()).unwrap_err();
    assert_eq!(error.code(), "over-limit");
    // Faults are told where they are in the caller's module.
    let broken = assemble(r#"(module (func (export "f") (result i32)))"#);
    let errors = [hostel::engine(), hostel::engine().with_call_trace()]
        .map(|engine| engine.load("m", &broken, &Grants::new()).unwrap_err());
    assert_eq!(errors[0], errors[1]);
}

#[test]
fn a_snapshot_is_taken_without_a_trace() {
    let wasm = assemble(
        r#"(module (global $n (mut i32) (i32.const 0))
            (func (export "learn") (global.set $n (i32.const 42)))
            (func $known (export "known") (result i32) (global.get $n))
            (func $trap (export "trap") unreachable))"#,
    );
    let engine = hostel::engine().with_call_trace();
    let plugin = engine
        .load_warmed("m", &wasm, &Grants::new(), |instance| {
            instance.call::<(), ()>("learn", ())
        })
        .unwrap();
    assert_eq!(plugin.call::<(), u32>("known", ()), Ok(42));
    assert_eq!(functions(plugin.call::<(), ()>("trap", ())), "trap");
}
