//! R08: fuel that a call leaves, which must serve no later call.

use super::with_run;
use crate::case::{Case, Verdict, returns, traps};
use hostel::{Budget, CallError};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = leftovers();
    cases.push(carried_over());
    cases
}

/// Guests that are stopped by an operation that costs more than the fuel that is left. The rest
/// counts as used, and the next call is refused as stopped.
///
/// A row: what uses up the fuel, how much there is, the code.
fn leftovers() -> Vec<Case> {
    #[rustfmt::skip] // a table
    let rows = [
        ("fuel left by a fill that was too expensive",
            500, "(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))"),
        ("no fuel left by a loop", 500, "(loop $on (br $on))"),
        ("fuel left by a host call that was too expensive", 30, "(call $noop) (call $noop)"),
        ("fuel left by a log record that was too expensive",
            500, "(call $log (i32.const 0) (i32.const 65536))"),
        ("fuel of the third slice", 22_000, "(loop $on (br $on))"),
    ];
    let case = |(what, fuel, body): (&str, u64, &str)| {
        let (name, text) = (format!("R08/{what}"), with_run("", body));
        Case::script(name, text, traps("stopped"), move |setup| {
            let mut instance = setup.instance();
            instance.set_budget(Budget::server().with_fuel(fuel));
            let first = instance.call_values("run", &[]);
            assert_eq!(first, Err(CallError::OutOfFuel { fuel }));
            assert_eq!(instance.usage().fuel, fuel, "all of it is gone");
            Verdict::of_answer(instance.call::<(), u32>("fine", ()))
        })
    };
    rows.map(case).into()
}

/// A guest that is called three times, and needs the same fuel each time.
fn carried_over() -> Case {
    let name = "R08/fuel is not carried to the next call";
    Case::script(name, with_run("", ""), returns("each its own"), |setup| {
        let mut instance = setup.instance();
        instance.set_budget(Budget::server().with_fuel(1_000));
        let used = [(); 3].map(|()| {
            let answer: u32 = instance.call("fine", ()).expect("a result");
            assert_eq!(answer, 7);
            instance.usage().fuel
        });
        returns(if used[0] == used[1] && used[1] == used[2] {
            "each its own"
        } else {
            "carried"
        })
    })
}
