//! Faults of wasmi 2.0.0 that a plugin could reach (W1 to W17 in docs/threats.md), each contained.
//! On bare wasmi each of these modules panics, ends the process, returns a wrong answer, or costs
//! far more than its fuel.

use hostel::{Budget, CallError, Engine, Grants, Limits, LoadError, Plugin, Std, Trap, TrapKind};
use hostel_tests::load_wat;
use std::{thread, time::Duration};

/// Does `work` on a thread with a native stack of 256 KiB.
fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(256 << 10).spawn(work);
    thread
        .expect("a thread starts")
        .join()
        .expect("the work is done without a panic");
}

fn load(text: &str) -> Result<Plugin<()>, LoadError> {
    let wasm = wat::parse_str(text).expect("the test's module is well-formed text");
    hostel::engine().load("guest", &wasm, &Grants::new())
}

fn over_limit(text: &str) -> &'static str {
    match load(text) {
        Err(LoadError::OverLimit {
            name: cap,
            limit,
            found,
        }) => {
            assert!(found > limit, "{cap}: {found} is over {limit}");
            cap
        }
        other => panic!("expected a limit to be passed, found {other:?}"),
    }
}

/// Stores at an offset of 64 KiB or more whose address and value are the same local.
#[test]
fn wide_stores_of_a_local_at_itself_are_compiled_and_right() {
    let stores = [
        ("i32", "i32.store", 4),
        ("i32", "i32.store8", 1),
        ("i32", "i32.store16", 2),
        ("i64", "i64.store", 8),
        ("i64", "i64.store8", 1),
        ("i64", "i64.store16", 2),
        ("i64", "i64.store32", 4),
    ];
    // Ways to push the address and the value, both of which are local 1.
    let operands = [
        "(local.get 1) (local.get 1)",
        "(local.get 1) (local.tee 1 (local.get 1))",
        "(local.get 1) (local.get 1) (local.get 0) (drop)",
        "(local.get 1) (block (result i32) (local.get 1))",
        "(local.get 1) (local.get 1) (local.set 0 (i32.const 3))",
        "(local.get 1) (local.get 1) (nop)",
        // Arithmetic that changes nothing, and that the interpreter drops.
        "(local.get 1) (i32.add (local.get 1) (i32.const 0))",
        "(local.get 1) (i32.sub (local.get 1) (i32.const 0))",
        "(local.get 1) (i32.mul (local.get 1) (i32.const 1))",
        "(local.get 1) (i32.or (local.get 1) (i32.const 0))",
        "(local.get 1) (i32.xor (local.get 1) (i32.const 0))",
        "(local.get 1) (i32.and (local.get 1) (i32.const -1))",
        "(local.get 1) (i32.and (local.get 1) (local.get 1))",
        "(local.get 1) (i32.shl (local.get 1) (i32.const 0))",
        "(local.get 1) (i32.shr_u (local.get 1) (i32.const 32))",
        "(local.get 1) (i32.rotl (local.get 1) (i32.const 0))",
        "(local.get 1) (i32.div_u (local.get 1) (i32.const 1))",
        "(local.get 1) (i32.wrap_i64 (i64.extend_i32_u (local.get 1)))",
        "(local.get 1) (select (local.get 1) (local.get 0) (i32.const 1))",
    ];
    for (ty, store, size) in stores {
        for operands in operands {
            for offset in [65_535u32, 65_536, 100_000] {
                let extend = if ty == "i64" {
                    "(i64.extend_i32_u)"
                } else {
                    ""
                };
                let text = format!(
                    r#"(module (memory 3) (func (export "f") (param i32) (result i64) (local i32)
                        (local.set 1 (i32.add (local.get 0) (i32.const 1)))
                        {operands} {extend} ({store} offset={offset})
                        (i64.load (i32.add (local.get 1) (i32.const {offset})))))"#
                );
                let plugin = load(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                let stored: u64 = plugin.call("f", (0x0102u32,)).expect("the guest answers");
                let expected = if size == 1 { 0x03 } else { 0x0103 };
                assert_eq!(stored, expected, "{text}");
            }
        }
    }
}

#[test]
fn a_wide_store_in_a_called_function_does_not_end_the_process() {
    on_small_stack(|| {
        let plugin = load(
            r#"(module (memory 2)
                (func $g (param i32) (i32.store offset=65536 (local.get 0) (local.get 0)))
                (func (export "f") (call $g (i32.const 4)) (call $g (i32.const 8))))"#,
        )
        .expect("the module loads");
        plugin.call::<(), ()>("f", ()).expect("the guest answers");
    });
}

#[test]
fn wide_stores_beside_a_start_function_keep_both_right() {
    let plugin = load(
        r#"(module (memory 2) (global $g (mut i32) (i32.const 0)) (start $s)
            (func $s (local i32) (i32.store offset=65536 (local.get 0) (local.get 0)) (global.set $g (i32.const 7)))
            (func (export "g") (result i32) (global.get $g)))"#,
    )
    .expect("the module loads");
    assert_eq!(
        plugin.call::<(), u32>("g", ()).expect("the guest answers"),
        7
    );
}

#[test]
fn a_code_section_that_lies_about_its_size_is_refused() {
    let wasm = b"\0asm\x01\0\0\0\x0a\xd0\x0f\0";
    let error = hostel::engine().load("guest", wasm, &Grants::new());
    assert_eq!(error.expect_err("it is broken").code(), "invalid-module");
    let mut padded = wasm.to_vec();
    padded.resize(2_100, 0);
    let error = hostel::engine().load("guest", &padded, &Grants::new());
    assert_eq!(error.expect_err("it is broken").code(), "invalid-module");
}

#[test]
fn memories_of_64_bits_are_refused() {
    let error = load(r#"(module (memory i64 1 0x1000000000000) (func (export "f")))"#);
    assert!(error.is_err_and(|error| error.to_string().contains("memory64")));
}

/// Under tail dispatch each failing `memory.grow` leaves native stack in use until a slice ends.
#[test]
fn a_loop_of_failing_growth_runs_out_of_fuel_not_of_stack() {
    for (text, in_start) in [
        (
            r#"(module (memory 1) (func (export "f") (loop $l (drop (memory.grow (i32.const 65535))) (br $l))))"#,
            false,
        ),
        (
            r#"(module (memory 1) (func (export "f")) (start $s) (func $s (loop $l (drop (memory.grow (i32.const 65535))) (br $l))))"#,
            true,
        ),
    ] {
        // The size of the stack that Rust gives to a thread.
        let thread = thread::Builder::new().stack_size(2 << 20).spawn(move || {
            let budget = Budget::server().with_fuel(20_000_000);
            let plugin = load(text).expect("the module loads").with_budget(budget);
            let instance = plugin.instantiate(());
            let error = match instance {
                Ok(mut instance) => instance.call::<(), ()>("f", ()),
                Err(error) => Err(error),
            };
            assert_eq!(
                error,
                Err(CallError::OutOfFuel { fuel: 20_000_000 }),
                "start: {in_start}"
            );
        });
        thread
            .expect("a thread starts")
            .join()
            .expect("the work is done without a panic");
    }
}

#[test]
fn a_panic_in_a_host_function_traps_the_guest_alone() {
    let grants = Grants::new().function("env", "boom", || -> u32 { panic!("on purpose") });
    let plugin = load_wat(
        r#"(module (import "env" "boom" (func $boom (result i32)))
            (func (export "f") (result i32) (call $boom)))"#,
        &grants,
    );
    let mut instance = plugin.instantiate(()).expect("the guest starts");
    let error = instance
        .call::<(), u32>("f", ())
        .expect_err("the host function panics");
    assert!(
        matches!(&error, CallError::Trap(trap) if trap.kind() == TrapKind::HostPanic),
        "{error}"
    );
    assert!(instance.is_stopped());
}

#[test]
fn a_guest_is_not_re_entered_without_end() {
    on_small_stack(|| {
        let grants = Grants::new().config([("", "value")]);
        let plugin = load_wat(
            r#"(module (import "env" "host_get_config" (func $g (param i32 i32) (result i64)))
                (memory (export "memory") 1)
                (func (export "allocate") (param i32) (result i32)
                    (drop (call $g (i32.const 0) (i32.const 0))) (i32.const 1024))
                (func (export "f") (result i64) (call $g (i32.const 0) (i32.const 0))))"#,
            &grants,
        );
        let error = plugin
            .call::<(), u64>("f", ())
            .expect_err("re-entering traps");
        assert!(
            matches!(&error, CallError::Trap(trap) if trap.kind() == TrapKind::Reentered),
            "{error}"
        );
    });
}

#[test]
fn locals_that_cost_no_fuel_are_limited() {
    let locals = "i64 ".repeat(30_000);
    let text = format!(r#"(module (func (export "f") (local {locals})))"#);
    assert_eq!(over_limit(&text), "locals");
}

#[test]
fn branches_that_carry_many_values_are_limited() {
    let results = "i64 ".repeat(8);
    let zeros = "(i64.const 0)".repeat(8);
    let branches = "local.get 0 br_if 0 ".repeat(5_000);
    let text = format!(
        r#"(module (func (export "f") (param i32) (block (result {results}) {zeros} {branches}) {}))"#,
        "drop ".repeat(8)
    );
    assert_eq!(over_limit(&text), "carried_values");
    let results = "i64 ".repeat(9);
    let text = format!(r#"(module (func (export "f") (result {results}) unreachable))"#);
    assert_eq!(over_limit(&text), "results");
}

/// On bare wasmi 2.0.0 the first of these returns what an unset stack slot contains.
#[test]
fn blocks_that_take_parameters_are_refused() {
    let around = |before: &str, block: &str, inside: &str| {
        format!(
            r#"(module (memory 1) (func (export "f") (result i32) (local i32)
                (local.set 0 (i32.const 7))
                (local.get 0)
                {before}
                ({block}
                    {inside}
                    (br_if 0 (i32.eqz (i32.load (i32.const 4))))
                    (drop) (local.set 0 (i32.const 99)) (i32.const 0))
                i32.add))"#
        )
    };
    let load_0 = "(i32.load (i32.const 0))";
    for block in [
        "block (param i32) (result i32)",
        "loop (param i32) (result i32)",
    ] {
        let error = load(&around(load_0, block, "")).expect_err("a block takes a parameter");
        assert!(error.to_string().contains("takes parameters"), "{error}");
    }
    let plugin = load(&around("", "block (result i32)", load_0)).expect("the module loads");
    assert_eq!(plugin.call::<(), u32>("f", ()).expect("it answers"), 7);
}

#[test]
fn branches_out_of_the_function_are_counted_too() {
    let results = "i32 ".repeat(8);
    let zeros = "(i32.const 0)".repeat(8);
    let targets = "0 ".repeat(9_000);
    let text = format!(
        r#"(module (func (export "f") (result {results}) {zeros} (br_table {targets} (i32.const 0))))"#
    );
    let cap = over_limit(&text);
    assert_eq!(cap, "carried_values");
}

#[test]
fn elements_that_every_instance_copies_are_limited() {
    let functions = "$f ".repeat(100_001);
    let text = format!(r#"(module (func $f (export "f")) (elem func {functions}))"#);
    assert_eq!(over_limit(&text), "elements");
}

/// On bare wasmi 2.0.0 the first of these returns 1.
#[test]
fn a_choice_by_a_comparison_with_0_is_right() {
    let conditions = [
        "(i32.eqz (local.get 0))",
        "(i32.eq (local.get 0) (i32.const 0))",
        "(i32.eq (i32.const 0) (local.get 0))",
        "(i32.eqz (i32.ne (local.get 0) (i32.const 0)))",
        "(i32.or (i32.eqz (local.get 0)) (i32.const 0))",
        "(i32.and (i32.eqz (local.get 0)) (i32.const -1))",
        "(i32.eqz (local.get 0)) (nop)",
        "(i32.eqz (local.get 0)) (drop (local.get 0))",
        "(i32.eqz (local.get 0)) (drop (i32.const 5))",
        "(block (result i32) (i32.eqz (local.get 0)))",
        "(local.tee 1 (i32.eqz (local.get 0)))",
        // Changes nothing, and is turned into the comparison.
        "(i32.eqz (i32.xor (local.get 0) (i32.const 0)))",
        "(i64.eqz (i64.extend_i32_u (i32.xor (local.get 0) (i32.const 0))))",
        "(i64.eq (i64.const 0) (i64.extend_i32_u (i32.xor (i32.const 0) (local.get 0)))) (i64.extend_i32_u) (i64.const 0) (i64.ne)",
        "(i32.xor (local.get 0) (i32.const 0)) (i64.extend_i32_u) (i64.const 0) (i64.eq)",
        "(i32.xor (local.get 0) (i32.const 0)) (i64.extend_i32_u) (i64.const 0) (i64.ne) (i64.extend_i32_u) (i64.eqz)",
    ];
    for condition in conditions {
        for select in ["select", "select (result i32)"] {
            for (before, value) in [
                ("", 3u32),
                ("", 0),
                ("(drop (i32.add (local.get 0) (i32.const 9)))", 3),
            ] {
                let text = format!(
                    r#"(module (func (export "f") (param i32) (result i32) (local i32)
                        {before} (i32.const 1) (local.get 0) {condition} {select}))"#
                );
                let plugin = load(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                let expected = if value == 0 { 1 } else { value };
                assert_eq!(plugin.call::<u32, u32>("f", value), Ok(expected), "{text}");
            }
        }
    }
}

/// wasmi 2.0.0 compares a reference with null as a number with 0: on it alone these choose by the
/// number.
#[test]
fn a_choice_by_whether_a_reference_is_null_is_right() {
    for (ty, reference, expected) in [
        ("funcref", "(ref.null func)", 5),
        ("externref", "(ref.null extern)", 5),
        ("funcref", "(table.get (i32.const 0))", 77),
    ] {
        for select in ["select", "select (result i32)"] {
            let text = format!(
                r#"(module (table 1 funcref) (elem (i32.const 0) $choose)
                    (func $choose (param {ty} i32) (result i32)
                        (drop (i32.mul (local.get 1) (i32.const 3)))
                        (i32.const 5) (i32.const 77) (ref.is_null (local.get 0)) {select})
                    (func (export "f") (param i32) (result i32)
                        {reference} (local.get 0) (call $choose)))"#
            );
            let plugin = load(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            for number in [0u32, 1] {
                assert_eq!(plugin.call::<u32, u32>("f", number), Ok(expected), "{text}");
            }
        }
    }
}

/// On bare wasmi 2.0.0 this returns what an unset stack slot contains.
#[test]
fn branch_tables_that_carry_several_values_are_refused() {
    let text = r#"(module (func (export "f") (param i64) (result i32 i64) (local i32)
        (block (result i32 i64)
            (local.get 0) (i32.const 58) (i64.clz (local.get 0)) (local.get 1) (br_table 0 1 0))))"#;
    let text = text.replace("(i64.clz (local.get 0))", "(local.get 0) (i64.clz)");
    let error = load(&text).expect_err("the table carries two values");
    assert!(error.to_string().contains("branch table"), "{error}");
}

/// wasmi 2.0.0 panics on these operators before it finds them to be too many.
#[test]
fn operators_after_the_end_of_a_function_are_refused() {
    let wasm = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x08\x01\x06\0\x03\x40\x0b\x0b\x0b";
    let checked = hostel::engine().check(wasm, &Grants::new());
    assert_eq!(checked.expect_err("it goes on").code(), "invalid-module");
}

/// wasmi 2.0.0 evaluates them by recursion on the native stack.
#[test]
fn long_constant_expressions_are_limited() {
    let sum = format!("(i32.const 0) {}", "(i32.const 1) (i32.add)".repeat(10_000));
    for text in [
        format!(r#"(module (global i32 {sum}) (func (export "f")))"#),
        format!(r#"(module (memory 1) (data (offset {sum}) "x") (func (export "f")))"#),
        format!(r#"(module (table 1 funcref) (elem (offset {sum}) func) (func (export "f")))"#),
    ] {
        assert_eq!(over_limit(&text), "expression_bytes");
    }
}

#[test]
fn growing_tables_is_refused() {
    let error = load(
        r#"(module (table 1 funcref) (func (export "f")
            (loop $l (drop (table.grow (ref.null func) (i32.const 1))) (br $l))))"#,
    )
    .expect_err("the module grows a table");
    assert_eq!(error.code(), "unsupported");
    assert!(error.to_string().contains("table.grow"), "{error}");
}

#[test]
fn a_loop_in_a_start_function_ends_at_the_deadline() {
    let wasm =
        wat::parse_str(r#"(module (func (export "f")) (start $s) (func $s (loop $l (br $l))))"#);
    let budget = Budget::server()
        .with_fuel(u64::MAX)
        .with_deadline(Duration::from_millis(20));
    let plugin = Engine::new(Limits::server())
        .with_platform(Std::new())
        .with_budget(budget)
        .load(
            "guest",
            &wasm.expect("the text is well-formed"),
            &Grants::new(),
        )
        .expect("the module loads");
    let error = plugin
        .instantiate(())
        .expect_err("the start does not end by itself");
    assert_eq!(
        error,
        CallError::Deadline {
            after: Duration::from_millis(20)
        }
    );
}

#[test]
fn a_host_functions_trap_keeps_its_words() {
    let grants = Grants::new().function("env", "no", || -> Result<(), Trap> {
        Err(Trap::host("not today"))
    });
    let plugin = load_wat(
        r#"(module (import "env" "no" (func $no)) (func (export "f") (call $no)))"#,
        &grants,
    );
    let error = plugin
        .call::<(), ()>("f", ())
        .expect_err("the host function traps");
    assert!(error.to_string().contains("not today"), "{error}");
}
