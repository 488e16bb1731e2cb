//! R07: every kind of trap. The instance is stopped, and the error says which trap it was.
//!
//! A row: the operation in words, its code, the trap's code.

use super::run;
use crate::case::{Case, returns, traps};
use core::fmt::Display;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    of_memory(&mut cases);
    of_tables(&mut cases);
    of_numbers(&mut cases);
    others(&mut cases);
    cases
}

/// A guest that traps with `code` when it does `body`.
fn trap(what: impl Display, body: &str, code: &str) -> Case {
    run(format!("R07/{what}"), body, traps(code))
}

fn of_memory(cases: &mut Vec<Case>) {
    for (load, size) in [
        ("i32.load", 4),
        ("i32.load8_s", 1),
        ("i32.load16_u", 2),
        ("i64.load", 8),
        ("i64.load32_s", 4),
        ("f32.load", 4),
        ("f64.load", 8),
    ] {
        let at = 65_536 - size + 1;
        let body = format!("(drop ({load} (i32.const {at})))");
        cases.push(trap(format!("{load} across the end"), &body, "trap-memory"));
    }
    for (store, zero, size) in [
        ("i32.store", "i32", 4),
        ("i32.store8", "i32", 1),
        ("i64.store", "i64", 8),
        ("i64.store32", "i64", 4),
        ("f64.store", "f64", 8),
    ] {
        let at = 65_536 - size + 1;
        let body = format!("({store} (i32.const {at}) ({zero}.const 0))");
        cases.push(trap(
            format!("{store} across the end"),
            &body,
            "trap-memory",
        ));
    }
    #[rustfmt::skip] // a table
    let rows = [
        ("offset and pointer that wrap", "(drop (i32.load offset=0xffffffff (i32.const -1)))"),
        ("offset that wraps to inside", "(drop (i32.load offset=0xfffffff0 (i32.const 32)))"),
        ("store at -1", "(i32.store8 (i32.const -1) (i32.const 0))"),
        ("fill across the end", "(memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))"),
        ("fill of nothing behind the end",
            "(memory.fill (i32.const 65537) (i32.const 0) (i32.const 0))"),
        ("fill of -1", "(memory.fill (i32.const 1) (i32.const 0) (i32.const -1))"),
        ("copy from outside", "(memory.copy (i32.const 0) (i32.const 65536) (i32.const 1))"),
        ("copy to outside", "(memory.copy (i32.const 65536) (i32.const 0) (i32.const 1))"),
        ("copy of -1", "(memory.copy (i32.const 1) (i32.const 1) (i32.const -1))"),
        ("init from behind its data",
            "(memory.init $data (i32.const 0) (i32.const 16) (i32.const 1))"),
        ("init to outside", "(memory.init $data (i32.const 65530) (i32.const 0) (i32.const 16))"),
        ("init of dropped data",
            "(data.drop $data) (memory.init $data (i32.const 0) (i32.const 0) (i32.const 1))"),
    ];
    for (what, body) in rows {
        cases.push(trap(what, body, "trap-memory"));
    }
}

fn of_tables(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("table get from outside", "(drop (table.get $table (i32.const 4)))", "trap-table"),
        ("table get at -1", "(drop (table.get $table (i32.const -1)))", "trap-table"),
        ("table set outside", "(table.set $table (i32.const 4) (ref.null func))", "trap-table"),
        ("table fill across the end",
            "(table.fill $table (i32.const 3) (ref.null func) (i32.const 2))", "trap-table"),
        ("table copy from outside",
            "(table.copy $table $table (i32.const 0) (i32.const 4) (i32.const 1))", "trap-table"),
        ("table init from behind its elements",
            "(table.init $table $passive (i32.const 0) (i32.const 1) (i32.const 1))", "trap-table"),
        ("table init of dropped elements",
            "(elem.drop $passive)
             (table.init $table $passive (i32.const 0) (i32.const 0) (i32.const 1))",
            "trap-table"),
        ("indirect call outside", "(call_indirect (type $nothing) (i32.const 4))", "trap-table"),
        ("indirect call at -1", "(call_indirect (type $nothing) (i32.const -1))", "trap-table"),
        ("indirect call of nothing",
            "(call_indirect (type $nothing) (i32.const 0))", "trap-null-call"),
        ("indirect call of another type",
            "(drop (call_indirect (type $other) (f64.const 0) (i32.const 1)))", "trap-signature"),
        ("indirect call of fewer parameters",
            "(call_indirect (type $nothing) (i32.const 2))", "trap-signature"),
        ("indirect call of a dropped function",
            "(table.set $table (i32.const 1) (ref.null func))
             (call_indirect (type $nothing) (i32.const 1))",
            "trap-null-call"),
    ];
    for (what, body, code) in rows {
        cases.push(trap(what, body, code));
    }
}

fn of_numbers(cases: &mut Vec<Case>) {
    for ty in ["i32", "i64"] {
        for op in ["div_s", "div_u", "rem_s", "rem_u"] {
            let body =
                format!("(local $zero {ty}) (drop ({ty}.{op} ({ty}.const 1) (local.get $zero)))");
            cases.push(trap(format!("{ty}.{op} by zero"), &body, "trap-division"));
        }
        let least = if ty == "i32" {
            "0x80000000"
        } else {
            "0x8000000000000000"
        };
        let body = format!(
            "(local $n {ty}) (local.set $n ({ty}.const -1))
             (drop ({ty}.div_s ({ty}.const {least}) (local.get $n)))"
        );
        let what = format!("{ty}.div_s of the least by -1");
        cases.push(trap(what, &body, "trap-overflow"));
        for float in ["f32", "f64"] {
            for sign in ["s", "u"] {
                for (value, code) in [
                    ("nan", "trap-conversion"),
                    ("inf", "trap-overflow"),
                    ("-1e30", "trap-overflow"),
                ] {
                    let body = format!(
                        "(local $f {float}) (local.set $f ({float}.const {value}))
                         (drop ({ty}.trunc_{float}_{sign} (local.get $f)))"
                    );
                    let what = format!("{ty}.trunc_{float}_{sign} of {value}");
                    cases.push(trap(what, &body, code));
                }
            }
        }
    }
    // The remainder is 0: the one case in which dividing overflows, and this does not.
    cases.push(run(
        "R07/remainder of the least by -1 is none",
        "(if (i32.rem_s (i32.const 0x80000000) (i32.const -1)) (then (unreachable)))",
        returns(""),
    ));
}

fn others(cases: &mut Vec<Case>) {
    cases.push(trap("unreachable", "(unreachable)", "trap-unreachable"));
    cases.push(trap("host panic", "(drop (call $boom))", "trap-host-panic").panics(1));
}
