//! R05, R06: operations that cost much time for their fuel.
//!
//! A row: what is repeated for ever, and its code.

use super::{run, with_run};
use crate::case::{Case, Verdict, out_of_fuel, returns};
use std::time::{Duration, Instant};

/// Longest time in which a guest must have used up its fuel.
const LONGEST: Duration = Duration::from_secs(5);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    bulk_operations(&mut cases);
    slow_operations(&mut cases);
    cases
}

/// R05: operations on many bytes or elements at once. Their fuel must grow with the length.
fn bulk_operations(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("fills of 63 bytes", "(memory.fill (i32.const 0) (i32.const 1) (i32.const 63))"),
        ("fills of nothing", "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0))"),
        ("fills of all", "(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536))"),
        ("copies of 63 bytes", "(memory.copy (i32.const 0) (i32.const 1) (i32.const 63))"),
        ("copies of all", "(memory.copy (i32.const 0) (i32.const 1) (i32.const 65535))"),
        ("copies onto themselves", "(memory.copy (i32.const 0) (i32.const 0) (i32.const 65536))"),
        ("inits", "(memory.init $data (i32.const 0) (i32.const 0) (i32.const 16))"),
        ("table copies", "(table.copy $table $table (i32.const 0) (i32.const 1) (i32.const 3))"),
        ("table fills", "(table.fill $table (i32.const 0) (ref.null func) (i32.const 4))"),
        ("table inits", "(table.init $table $passive (i32.const 0) (i32.const 0) (i32.const 1))"),
        ("segment drops", "(data.drop $data) (elem.drop $passive)"),
    ];
    for (what, body) in rows {
        let body = format!("(loop $on {body} (br $on))");
        cases.push(run(format!("R05/{what} for ever"), &body, out_of_fuel()));
    }
    let large = r#"(module (memory 16) (table $t 100000 externref)
        (func (export "run") (loop $on
          (memory.copy (i32.const 0) (i32.const 1) (i32.const 1048575)) (br $on)))
        (func (export "table") (loop $on
          (table.fill $t (i32.const 0) (ref.null extern) (i32.const 100000)) (br $on))))"#;
    for (what, export) in [
        ("copies of 1 MiB for ever", "run"),
        ("fills of 100,000 elements for ever", "table"),
    ] {
        let name = format!("R05/{what}");
        cases.push(Case::call(name, large, (export, &[]), out_of_fuel()));
    }
    let whole = r#"(module (memory 16) (func (export "run")
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576))))"#;
    let name = "R05/fill that costs more than there is";
    let case = Case::run_export(name, whole, out_of_fuel());
    cases.push(case.fuel(10_000));
}

/// R06: the operations that take longest for a unit of fuel.
fn slow_operations(cases: &mut Vec<Case>) {
    let many_locals = format!("(func $dear (local {}))", "i64 ".repeat(2_000));
    #[rustfmt::skip] // a table
    let rows = [
        // What is repeated, more items of the module, the code.
        ("loads that miss the cache",
            "",
            "(drop (i32.load8_u (i32.and (i32.const 65535)
               (local.tee $n (i32.add (local.get $n) (i32.const 12289))))))"),
        ("growth by nothing", "", "(drop (memory.grow (i32.const 0)))"),
        ("host calls", "", "(call $noop)"),
        ("settings", "", "(call $get (i32.const 0) (i32.const 3)) (drop) (drop)"),
        ("log records", "", "(call $log (i32.const 0) (i32.const 3))"),
        ("divisions",
            "",
            "(drop (i64.div_s (i64.const -1)
               (i64.or (i64.const 3) (i64.extend_i32_u (local.get $n)))))"),
        ("square roots", "", "(drop (f64.sqrt (f64.convert_i32_u (local.get $n))))"),
        ("calls of 2,000 locals", &*many_locals, "(call $dear)"),
        ("indirect calls",
            "", "(drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 2)))"),
        ("branch tables",
            "", "(block $a (block $b (br_table $a $b $a (i32.and (local.get $n) (i32.const 1)))))"),
    ];
    for (what, items, body) in rows {
        let body = format!("(local $n i32) (loop $on {body} (br $on))");
        let text = with_run(items, &body);
        let name = format!("R06/{what} end in time");
        let case = Case::script(name, text, out_of_fuel(), |setup| {
            let mut instance = setup.instance();
            let began = Instant::now();
            let called = instance.call_values("run", &[]);
            if began.elapsed() > LONGEST {
                returns("too slow")
            } else {
                Verdict::of_answer(called.map(|_| "ended"))
            }
        });
        cases.push(case.fuel(100_000));
    }
}
