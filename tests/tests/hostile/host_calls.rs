//! A08-A14: imports handed through, what host work is charged, shapes, inputs and counters.

use crate::{
    abi::{FINE, IMPORTS, V, with_allocate},
    case::{Act, Case, FUEL, Verdict, by_code, clean, error, refused, spent, trap},
};
use hostel::{Budget, CallError, Context, Grants, Trap, Value};
use hostel_tests::with_allocator;
use std::time::Duration;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    handed_through(&mut cases);
    prices(&mut cases);
    changing(&mut cases);
    shapes(&mut cases);
    inputs(&mut cases);
    counters(&mut cases);
    accounting(&mut cases);
    cases
}

// A08

fn handed_through(cases: &mut Vec<Case>) {
    for (what, export, import) in [
        (
            "allocate",
            "allocate",
            r#"(import "host" "one" (func $it (param i32) (result i32)))"#,
        ),
        (
            "process in values",
            "process",
            r#"(import "env" "host_get_config" (func $it (param i32 i32) (result i32 i32)))"#,
        ),
        (
            "process packed",
            "process",
            r#"(import "env" "host_get_config" (func $it (param i32 i32) (result i64)))"#,
        ),
        (
            "deallocate",
            "deallocate",
            r#"(import "env" "host_log" (func $it (param i32 i32)))"#,
        ),
        (
            "_initialize",
            "_initialize",
            r#"(import "host" "noop" (func $it))"#,
        ),
    ] {
        let own = |name: &str, text: &'static str| if name == export { "" } else { text };
        let text = format!(
            r#"(module {import} (memory (export "memory") 1) (export "{export}" (func $it))
                {} {})"#,
            own(
                "allocate",
                r#"(func (export "allocate") (param i32) (result i32) (i32.const 1024))"#
            ),
            own(
                "process",
                r#"(func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))"#
            ),
        );
        let act = Act::that(|kit| {
            let grants = kit.grants.clone().function("host", "one", |size: u32| size);
            match kit.engine.load("guest", kit.wasm, &grants) {
                Ok(_) => clean("loaded"),
                Err(error) => Verdict::of_load(&error),
            }
        });
        cases.push(Case::new(
            format!("A08/import handed through as {what}"),
            text,
            act,
            refused("mismatch reexported-import"),
        ));
    }
    let other = r#"(module (import "env" "host_log" (func $it (param i32 i32))) (memory (export "memory") 1)
        (export "run" (func $it)))"#;
    for (what, ptr, verdict) in [
        ("inside", 0, clean("")),
        ("outside", -1, trap("trap-host-call")),
    ] {
        let act = Act::Call("run", vec![Value::I32(ptr), Value::I32(1)]);
        cases.push(Case::new(
            format!("A08/log handed through, called from the host with what lies {what}"),
            other,
            act,
            verdict,
        ));
    }
}

// A09

fn prices(cases: &mut Vec<Case>) {
    let items = format!(
        r#"{FINE}
        (func (export "many") (param i32) (loop $on (call $log (i32.const 64) (i32.const 1)) (br_if $on (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "nothing") (param i32) (loop $on (call $log (i32.const 64) (i32.const 0)) (br_if $on (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "log") (param i32) (call $log (i32.const 0) (local.get 0)))
        (func (export "get") (param i32) (call $get (i32.const 0) (local.get 0)) (drop) (drop))
        (func (export "echo") (param i32) (call $echo (i32.const 0) (local.get 0)) (drop) (drop))"#
    );
    let text = with_allocator(IMPORTS, &items);
    for (what, export, number, fuel, verdict) in [
        (
            "10,000 small log records",
            "many",
            10_000,
            FUEL,
            spent("out-of-fuel"),
        ),
        (
            "10,000 empty log records",
            "nothing",
            10_000,
            FUEL,
            spent("out-of-fuel"),
        ),
        ("100 small log records", "many", 100, FUEL, clean("")),
        (
            "2 to the 32 log records",
            "many",
            0,
            FUEL,
            spent("out-of-fuel"),
        ),
        (
            "one log record of all memory, too dear",
            "log",
            131_072,
            100_000,
            spent("out-of-fuel"),
        ),
        (
            "one log record of all memory, paid",
            "log",
            131_072,
            140_000,
            clean(""),
        ),
        (
            "one key of all memory, too dear",
            "get",
            131_072,
            2_000,
            spent("out-of-fuel"),
        ),
        (
            "one key of all memory, paid",
            "get",
            131_072,
            2_300,
            clean(""),
        ),
        (
            "one echo of half of memory, too dear",
            "echo",
            60_000,
            2_800,
            spent("out-of-fuel"),
        ),
        (
            "one echo of half of memory, paid",
            "echo",
            60_000,
            3_300,
            clean(""),
        ),
    ] {
        let act = Act::that(move |kit| {
            let mut instance = kit.instance();
            instance.set_budget(Budget::server().fuel(fuel));
            let verdict = Verdict::of(
                instance
                    .call_values(export, &[Value::I32(number)])
                    .map(|_| ""),
            );
            if verdict.code == "out-of-fuel" && number > 60_000 && export == "log" {
                assert!(
                    kit.lines.take().is_empty(),
                    "it was written before it was paid"
                );
            }
            verdict
        });
        cases.push(Case::new(format!("A09/{what}"), text.clone(), act, verdict));
    }
    let quota = Case::new(
        "A09/more host calls than the budget has",
        text,
        Act::Call("many", vec![Value::I32(100)]),
        spent("host-calls"),
    );
    cases.push(quota.budget(|budget| budget.host_calls = 99));
}

// A10

fn changing(cases: &mut Vec<Case>) {
    let wiping = "(memory.fill (i32.const 0) (i32.const 120) (i32.const 1024)) (i32.const 1024)";
    for (what, allocate, run, answer) in [
        (
            "key is wiped by allocate",
            wiping,
            "(call $get (i32.const 64) (i32.const 3)) (drop) (local.set 0) (i32.load8_u (local.get 0))",
            V,
        ),
        (
            "argument is wiped by allocate",
            wiping,
            "(call $echo (i32.const 64) (i32.const 3)) (drop) (local.set 0) (i32.load8_u (local.get 0))",
            "107",
        ),
        (
            "buffer is the argument itself",
            "(i32.const 64)",
            "(call $echo (i32.const 64) (i32.const 3)) (drop) (local.set 0) (i32.load8_u offset=2 (local.get 0))",
            "121",
        ),
        (
            "buffer is one into the argument",
            "(i32.const 65)",
            "(call $echo (i32.const 64) (i32.const 3)) (drop) (local.set 0) (i32.load8_u offset=2 (local.get 0))",
            "121",
        ),
        (
            "record is the key itself",
            "(i32.const 1024)",
            "(call $into (i32.const 64) (i32.const 64) (i32.const 3)) (i32.load8_u (i32.load (i32.const 64)))",
            V,
        ),
        (
            "record is wiped by allocate",
            wiping,
            "(call $into (i32.const 128) (i32.const 64) (i32.const 3)) (i32.load8_u (i32.load (i32.const 128)))",
            V,
        ),
        (
            "record is the value's buffer",
            "(i32.const 1024)",
            "(call $into (i32.const 1024) (i32.const 64) (i32.const 3)) (i32.load (i32.const 1024))",
            "1024",
        ),
    ] {
        let get = if run.contains("$into") {
            "$into (param i32 i32 i32)"
        } else {
            "$get (param i32 i32) (result i32 i32)"
        };
        let text = format!(
            r#"(module (import "env" "host_get_config" (func {get}))
                (import "host" "echo" (func $echo (param i32 i32) (result i32 i32)))
                (memory (export "memory") 2) (data (i32.const 64) "key") {FINE}
                (func (export "allocate") (param i32) (result i32) {allocate})
                (func (export "change") (result i32) (local i32) {run}))"#
        );
        let act = Act::Call("change", vec![]);
        cases.push(Case::new(format!("A10/{what}"), text, act, clean(answer)));
    }
}

// A11

fn shapes(cases: &mut Vec<Case>) {
    for ty in [
        "",
        "(param i32)",
        "(param i32 i32)",
        "(param i32 i32) (result i32)",
        "(param i32 i32) (result i32 i32 i32)",
        "(param i32 i32) (result i32 i64)",
        "(param i64) (result i64)",
        "(param i64 i64) (result i64)",
        "(param i32 i32 i32) (result i32 i32)",
        "(param i32 i32 i32) (result i32)",
        "(param i32 i32 i32 i32)",
        "(param f32 f32) (result f64)",
        "(param i32 externref) (result i64)",
    ] {
        let item = format!(r#"(func (export "process") {ty} (unreachable))"#);
        let case = Case::new(
            format!("A11/process of {ty}"),
            with_allocator("", &item),
            Act::Load,
            refused("mismatch export-type"),
        );
        cases.push(case);
        let item = format!(r#"{FINE} (func (export "other") {ty} (unreachable))"#);
        let act = Act::that(|kit| {
            let mut instance = kit.instance();
            let verdict = Verdict::of(instance.call_bytes("other", b"x", <[u8]>::len));
            assert_eq!(instance.call::<(), u32>("fine", ()), Ok(7));
            verdict
        });
        cases.push(Case::new(
            format!("A11/bytes to an export of {ty}"),
            with_allocator("", &item),
            act,
            error("export-type"),
        ));
    }
    let many = format!(
        r#"{FINE} (func (export "many") (param {}) (result i32) (i32.const 0))"#,
        "i32 ".repeat(64)
    );
    let act = Act::Call("many", vec![Value::I32(0); 64]);
    cases.push(Case::new(
        "A11/64 parameters from the host",
        with_allocator("", &many),
        act,
        error("export-type"),
    ));
    for (what, result, value) in [
        ("flag of 2", "i32", "(i32.const 2)"),
        ("flag of -1", "i32", "(i32.const -1)"),
    ] {
        let text = format!(r#"(module (func (export "flag") (result {result}) {value}))"#);
        let act = Act::that(|kit| Verdict::of(kit.instance().call::<(), bool>("flag", ())));
        cases.push(Case::new(
            format!("A11/{what}"),
            text,
            act,
            error("bad-value"),
        ));
    }
    for (what, value) in [("256 as a byte", 256), ("-1 as a byte", -1)] {
        let text = format!(r#"(module (func (export "byte") (result i32) (i32.const {value})))"#);
        let act = Act::that(|kit| Verdict::of(kit.instance().call::<(), u8>("byte", ())));
        cases.push(Case::new(
            format!("A11/{what}"),
            text,
            act,
            error("bad-value"),
        ));
    }
    for (what, value) in [
        ("a surrogate as a character", "0xd800"),
        ("a character past the last", "0x110000"),
    ] {
        let text = format!(r#"(module (func (export "char") (result i32) (i32.const {value})))"#);
        let act = Act::that(|kit| Verdict::of(kit.instance().call::<(), char>("char", ())));
        cases.push(Case::new(
            format!("A11/{what}"),
            text,
            act,
            error("bad-value"),
        ));
    }
}

// A12

fn inputs(cases: &mut Vec<Case>) {
    let echo = with_allocate(
        "(select (i32.const 1024) (i32.const 1) (i32.le_u (local.get $size) (i32.const 130048)))",
    );
    for (what, size, verdict) in [
        ("no bytes", 0, clean("")),
        ("one byte", 1, clean("A")),
        ("64 KiB", 65_536, clean("65536 bytes")),
        ("64 KiB and a byte", 65_537, clean("65537 bytes")),
        ("all memory but a byte", 131_071, clean("131071 bytes")),
        ("all memory", 131_072, error("out-of-bounds")),
        ("more than memory", 131_073, error("out-of-bounds")),
        ("as much as allowed", 200_000, error("out-of-bounds")),
        (
            "a byte more than allowed",
            200_001,
            error("input-too-large"),
        ),
    ] {
        let case = Case::new(
            format!("A12/input of {what}"),
            echo.clone(),
            Act::Process(vec![b'A'; size]),
            verdict,
        );
        cases.push(case.budget(|budget| budget.input_bytes = 200_000));
    }
    let dear = Case::new(
        "A12/input that is paid before it is written",
        echo.clone(),
        Act::Process(vec![b'A'; 65_000]),
        spent("out-of-fuel"),
    );
    cases.push(dear.fuel(1_000));
    let none = Case::new(
        "A12/input where none is allowed",
        echo,
        Act::Process(vec![b'A']),
        error("input-too-large"),
    );
    cases.push(none.budget(|budget| budget.input_bytes = 0));
}

// A13

fn counters(cases: &mut Vec<Case>) {
    let text = with_allocate("(i32.const 1024)");
    type Change = fn(&mut Budget);
    let whole: [(&str, Change); 4] = [
        ("all fuel there can be", |budget| budget.fuel = u64::MAX),
        ("a deadline after all time", |budget| {
            budget.deadline = Some(Duration::MAX)
        }),
        ("bytes without limit", |budget| {
            (budget.input_bytes, budget.output_bytes) = (usize::MAX, usize::MAX)
        }),
        ("host calls and log without limit", |budget| {
            (budget.host_calls, budget.log_records, budget.log_bytes) =
                (u32::MAX, u32::MAX, u32::MAX);
        }),
    ];
    for (what, change) in whole {
        cases.push(
            Case::new(
                format!("A13/{what}"),
                text.clone(),
                Act::hello(),
                clean("hello"),
            )
            .budget(change),
        );
        let act = Act::Call("run", vec![]);
        cases.push(
            Case::new(
                format!("A13/{what}, and a setting"),
                text.clone(),
                act,
                clean(V),
            )
            .budget(change),
        );
    }
    let charging = r#"(module (import "host" "charge" (func $charge (param i64)))
        (func (export "run") (call $charge (i64.const -1)) (call $charge (i64.const -1))))"#;
    for fuel in [FUEL, u64::MAX] {
        let act = Act::that(move |kit| {
            let charge = |context: &mut Context<'_, ()>, fuel: u64| {
                let _ = context.charge(fuel);
                let _ = context.charge(fuel);
            };
            let grants = Grants::new().function("host", "charge", charge);
            let plugin = kit
                .engine
                .load("guest", kit.wasm, &grants)
                .expect("it loads");
            Verdict::of(plugin.call::<(), ()>("run", ()).map(|()| "ended"))
        });
        cases.push(
            Case::new(
                format!("A13/charged twice all there can be, of {fuel}"),
                charging,
                act,
                spent("out-of-fuel"),
            )
            .fuel(fuel),
        );
    }
}

// A14

fn accounting(cases: &mut Vec<Case>) {
    let text = r#"(module (import "host" "it" (func $it (param i32)))
        (func (export "fine") (result i32) (i32.const 7))
        (func (export "run") (param i32) (call $it (local.get 0))))"#;
    let with = |name: &str,
                code: &'static str,
                panics: usize,
                it: fn(&mut Context<'_, ()>, u32) -> Result<(), Trap>| {
        let act = Act::that(move |kit| {
            let grants = Grants::new().function("host", "it", it);
            let plugin = kit
                .engine
                .load("guest", kit.wasm, &grants)
                .expect("it loads");
            let mut instance = plugin.instantiate(()).expect("it starts");
            let result = instance.call::<u32, ()>("run", 1_000);
            let used = instance.usage().fuel;
            assert!(used >= 1_000, "{used} charged");
            assert!(matches!(
                result,
                Ok(()) | Err(CallError::Trap(_) | CallError::OutOfFuel { .. })
            ));
            assert_eq!(plugin.call::<(), u32>("fine", ()), Ok(7));
            Verdict::of(result.map(|()| ""))
        });
        Case::new(format!("A14/{name}"), text, act, by_code(code, ""))
            .panics(panics)
            .instances(2)
    };
    cases.extend([
        with(
            "charged, then a panic",
            "trap-host-panic",
            1,
            |context, fuel| {
                context.charge(fuel.into())?;
                panic!("on purpose")
            },
        ),
        with("charged, then a trap", "trap-host", 0, |context, fuel| {
            context.charge(fuel.into())?;
            Err(Trap::host("on purpose"))
        }),
        with(
            "charged too much, then a panic",
            "out-of-fuel",
            1,
            |context, _| {
                let _ = context.charge(FUEL);
                panic!("on purpose")
            },
        ),
        with(
            "charged too much, unseen",
            "out-of-fuel",
            0,
            |context, _| {
                let _ = context.charge(FUEL);
                Ok(())
            },
        ),
        with("charged and done", "ok", 0, |context, fuel| {
            context.charge(fuel.into())
        }),
    ]);
}
