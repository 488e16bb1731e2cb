//! A09, A14: host work is charged before it is done, and stays charged however it ends.

use super::{FINE, IMPORTS};
use crate::case::{Case, FUEL, Verdict, exceeds, out_of_fuel, returns, traps};
use hostel::{Budget, CallError, Context, Grants, Trap, Value};
use hostel_tests::with_allocator;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    prices(&mut cases);
    however_it_ends(&mut cases);
    cases
}

/// A09: a row says what is done, by which export, with which parameter and fuel, and the verdict.
fn prices(cases: &mut Vec<Case>) {
    let items = format!(
        r#"{FINE}
        (func (export "many") (param i32)
          (loop $on (call $log (i32.const 64) (i32.const 1))
            (br_if $on (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "nothing") (param i32)
          (loop $on (call $log (i32.const 64) (i32.const 0))
            (br_if $on (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "log") (param i32) (call $log (i32.const 0) (local.get 0)))
        (func (export "get") (param i32) (call $get (i32.const 0) (local.get 0)) (drop) (drop))
        (func (export "echo") (param i32) (call $echo (i32.const 0) (local.get 0)) (drop) (drop))"#
    );
    let text = with_allocator(IMPORTS, &items);
    #[rustfmt::skip] // a table
    let rows = [
        ("10,000 small log records", "many", 10_000, FUEL, out_of_fuel()),
        ("10,000 empty log records", "nothing", 10_000, FUEL, out_of_fuel()),
        ("100 small log records", "many", 100, FUEL, returns("")),
        // 0 less one is the largest number.
        ("2 to the 32 log records", "many", 0, FUEL, out_of_fuel()),
        ("one log record of all memory, too expensive", "log", 131_072, 100_000, out_of_fuel()),
        ("one log record of all memory, paid", "log", 131_072, 140_000, returns("")),
        ("one key of all memory, too expensive", "get", 131_072, 2_000, out_of_fuel()),
        ("one key of all memory, paid", "get", 131_072, 2_300, returns("")),
        ("one echo of half of memory, too expensive", "echo", 60_000, 2_800, out_of_fuel()),
        ("one echo of half of memory, paid", "echo", 60_000, 3_300, returns("")),
    ];
    for (what, export, number, fuel, verdict) in rows {
        let name = format!("A09/{what}");
        cases.push(Case::script(name, text.clone(), verdict, move |setup| {
            let mut instance = setup.instance();
            instance.set_budget(Budget::server().with_fuel(fuel));
            let called = instance.call_values(export, &[Value::I32(number)]);
            if called.is_err() && export == "log" {
                let written = setup.lines.take();
                assert!(written.is_empty(), "written before it was charged");
            }
            Verdict::of_answer(called.map(|_| ""))
        }));
    }
    let name = "A09/more host calls than the budget has";
    let many = ("many", &[Value::I32(100)][..]);
    let quota = Case::call(name, text, many, exceeds("host-calls"));
    cases.push(quota.budget(|budget| budget.host_calls = 99));
}

/// A guest whose host function `it` charges, and then does what `it` does.
fn charging(
    name: &str,
    verdict: Verdict,
    panics: usize,
    it: fn(&mut Context<'_, ()>, u32) -> Result<(), Trap>,
) -> Case {
    let text = r#"(module (import "host" "it" (func $it (param i32)))
        (func (export "fine") (result i32) (i32.const 7))
        (func (export "run") (param i32) (call $it (local.get 0))))"#;
    let case = Case::script(format!("A14/{name}"), text, verdict, move |setup| {
        let grants = Grants::new().function("host", "it", it);
        let plugin = setup
            .engine
            .load("guest", setup.wasm, &grants)
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
        Verdict::of_answer(result.map(|()| ""))
    });
    case.panics(panics).instances(2)
}

/// A14: a panic, a trap or an ignored error after the charge does not take it back.
fn however_it_ends(cases: &mut Vec<Case>) {
    cases.extend([
        charging(
            "charged, then a panic",
            traps("trap-host-panic"),
            1,
            |context, fuel| {
                context.charge(fuel.into())?;
                panic!("on purpose")
            },
        ),
        charging(
            "charged, then a trap",
            traps("trap-host"),
            0,
            |context, fuel| {
                context.charge(fuel.into())?;
                Err(Trap::host("on purpose"))
            },
        ),
        charging(
            "charged too much, then a panic",
            out_of_fuel(),
            1,
            |context, _| {
                let _ = context.charge(FUEL);
                panic!("on purpose")
            },
        ),
        charging(
            "charged too much, unseen",
            out_of_fuel(),
            0,
            |context, _| {
                let _ = context.charge(FUEL);
                Ok(())
            },
        ),
        charging("charged and done", returns(""), 0, |context, fuel| {
            context.charge(fuel.into())
        }),
    ]);
}
