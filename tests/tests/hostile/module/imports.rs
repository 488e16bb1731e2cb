//! M15: imports that are not granted, or of other types than those that are granted.
//!
//! A row: the import in words, the items of a module with it, and the kinds of its mismatches.

use super::with_run;
use crate::case::{Case, loads, refused};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    mismatches(&mut cases);
    names(&mut cases);
    cases
}

fn mismatches(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("unknown function", r#"(import "env" "open" (func))"#, "unknown-import"),
        ("unknown module", r#"(import "x" "host_log" (func (param i32 i32)))"#, "unknown-import"),
        ("empty names", r#"(import "" "" (func))"#, "unknown-import"),
        ("names with a zero byte",
            r#"(import "env\00" "host_log" (func (param i32 i32)))"#, "unknown-import"),
        ("names in capitals",
            r#"(import "ENV" "HOST_LOG" (func (param i32 i32)))"#, "unknown-import"),
        ("names of control characters",
            r#"(import "\1b[2J\n" "\e2\80\ae\07" (func))"#, "unknown-import"),
        ("WASI",
            r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#,
            "unknown-import"),
        ("the reserved name", r#"(import "hostel" "hostel:start" (func))"#, "unknown-import"),
        ("five unknown",
            r#"(import "a" "1" (func)) (import "a" "2" (func)) (import "a" "3" (func))
            (import "a" "4" (func)) (import "a" "5" (func))"#,
            "unknown-import+unknown-import+unknown-import+unknown-import+unknown-import"),
        ("log of one value",
            r#"(import "env" "host_log" (func (param i32)))"#, "import-type+missing-export"),
        ("log of i64",
            r#"(import "env" "host_log" (func (param i64 i64)))"#, "import-type+missing-export"),
        ("log with a result",
            r#"(import "env" "host_log" (func (param i32 i32) (result i32)))"#,
            "import-type+missing-export"),
        ("a function of another type",
            r#"(import "host" "noop" (func (param i32)))"#, "import-type"),
        ("a function of float result",
            r#"(import "host" "noop" (func (result f64)))"#, "import-type"),
        ("one name with two types",
            r#"(import "host" "noop" (func)) (import "host" "noop" (func (param i32)))"#,
            "import-type+import-type"),
        ("memory", r#"(import "env" "memory" (memory 1))"#, "import-kind"),
        ("table", r#"(import "env" "table" (table 1 funcref))"#, "import-kind"),
        ("global", r#"(import "env" "global" (global i32))"#, "import-kind"),
        ("mutable global", r#"(import "env" "global" (global (mut i32)))"#, "import-kind"),
        ("a function's name as memory", r#"(import "env" "host_log" (memory 1))"#, "import-kind"),
    ];
    for (what, items, kinds) in rows {
        let verdict = refused(format!("mismatch {kinds}"));
        let name = format!("M15/import of {what}");
        cases.push(Case::load(name, with_run(items), verdict));
    }
    let shapes = [
        ("multi", "(result i32 i32 i32)"),
        ("i32", "(result i32)"),
        ("f64", "(result f64)"),
    ];
    for (what, result) in shapes {
        let text = with_run(&format!(
            r#"(import "env" "host_get_config" (func (param i32 i32) {result}))
                (memory (export "memory") 1)
                (func (export "allocate") (param i32) (result i32) (unreachable))"#
        ));
        let name = format!("M15/settings with a result of {what}");
        cases.push(Case::load(name, text, refused("mismatch import-type")));
    }
}

fn names(cases: &mut Vec<Case>) {
    let twice = with_run(r#"(import "host" "noop" (func)) (import "host" "noop" (func))"#);
    cases.push(Case::load("M15/import of one name twice", twice, loads()));
    for size in [1_025, 90_000] {
        let text = with_run(&format!(r#"(import "{}" "x" (func))"#, "n".repeat(size)));
        let name = format!("M15/import name of {size} bytes");
        cases.push(Case::load(name, text, refused("over-limit name_bytes")));
    }
}
