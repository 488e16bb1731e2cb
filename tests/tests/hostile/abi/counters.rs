//! A13: budgets and charges so large that counters could overflow.

use super::{V, with_allocate};
use crate::case::{Case, FUEL, Verdict, out_of_fuel, returns};
use hostel::{Budget, Context, Grants};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    largest_budgets(&mut cases);
    largest_charges(&mut cases);
    cases
}

fn largest_budgets(cases: &mut Vec<Case>) {
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
        let name = format!("A13/{what}");
        let case = Case::process(name.clone(), text.clone(), "hello", returns("hello"));
        cases.push(case.budget(change));
        let case = Case::run_export(name + ", and a setting", text.clone(), returns(V));
        cases.push(case.budget(change));
    }
}

/// A host function that charges all fuel that 64 bits can say, and again, ignoring the refusal.
fn largest_charges(cases: &mut Vec<Case>) {
    let charging = r#"(module (import "host" "charge" (func $charge (param i64)))
        (func (export "run") (call $charge (i64.const -1)) (call $charge (i64.const -1))))"#;
    for fuel in [FUEL, u64::MAX] {
        let name = format!("A13/charged twice all there can be, of {fuel}");
        let case = Case::script(name, charging, out_of_fuel(), |setup| {
            let charge = |context: &mut Context<'_, ()>, fuel: u64| {
                let _ = context.charge(fuel);
                let _ = context.charge(fuel);
            };
            let grants = Grants::new().function("host", "charge", charge);
            let plugin = setup
                .engine
                .load("guest", setup.wasm, &grants)
                .expect("it loads");
            Verdict::of_answer(plugin.call::<(), ()>("run", ()).map(|()| "ended"))
        });
        cases.push(case.fuel(fuel));
    }
}
