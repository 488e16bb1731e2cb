//! M16: exports that are missing, of another type than hostel calls them with, or malformed.
//!
//! A row: what is exported, the module with it, the verdict.

use super::encode::{EXPORT, empty_code, module, one_of_type_0, one_type, section};
use super::with_run;
use crate::case::{Case, loads, refused};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    of_the_abi(&mut cases);
    optional_ones(&mut cases);
    names(&mut cases);
    indices(&mut cases);
    cases
}

/// The parts that a module needs to process bytes.
const PARTS: [(&str, &str); 3] = [
    ("memory", r#"(memory (export "memory") 1)"#),
    (
        "allocate",
        r#"(func (export "allocate") (param i32) (result i32) (i32.const 1024))"#,
    ),
    (
        "process",
        r#"(func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))"#,
    ),
];

/// The text of a module with these parts, but `instead` for the part of its name.
fn with_part(name: &str, instead: &str) -> String {
    let parts = PARTS.map(|(part, text)| if part == name { instead } else { text });
    format!("(module {})", parts.join(" "))
}

fn global(export: &str) -> String {
    format!(r#"(global (export "{export}") i32 (i32.const 0))"#)
}

fn table(export: &str) -> String {
    format!(r#"(table (export "{export}") 1 funcref)"#)
}

fn func(export: &str, ty: &str) -> String {
    format!(r#"(func (export "{export}") {ty} (unreachable))"#)
}

fn of_the_abi(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        // What is exported, the part that it replaces, its text, the kind of the mismatch.
        ("no memory", "memory", String::new(), "missing-export"),
        ("memory that is a function", "memory", func("memory", ""), "export-type"),
        ("memory that is a global", "memory", global("memory"), "export-type"),
        ("memory that is a table", "memory", table("memory"), "export-type"),
        ("no allocate", "allocate", String::new(), "missing-export"),
        ("allocate that is a global", "allocate", global("allocate"), "export-type"),
        ("allocate that is a table", "allocate", table("allocate"), "export-type"),
        ("allocate of nothing", "allocate", func("allocate", ""), "export-type"),
        ("allocate of i64",
            "allocate", func("allocate", "(param i64) (result i64)"), "export-type"),
        ("allocate without a result", "allocate", func("allocate", "(param i32)"), "export-type"),
        ("allocate with two results",
            "allocate", func("allocate", "(param i32) (result i32 i32)"), "export-type"),
        ("malloc of floats", "allocate", func("malloc", "(param f32) (result f32)"), "export-type"),
        ("process that is a global", "process", global("process"), "export-type"),
        ("process that is a table", "process", table("process"), "export-type"),
    ];
    for (what, part, text, kind) in rows {
        let verdict = refused(format!("mismatch {kind}"));
        let name = format!("M16/{what}");
        cases.push(Case::load(name, with_part(part, &text), verdict));
    }
}

/// Exports that a module may lack, but not have with another type.
fn optional_ones(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("deallocate of three", func("deallocate", "(param i32 i32 i32)")),
        ("deallocate with a result", func("deallocate", "(param i32 i32) (result i32)")),
        ("deallocate that is a global", global("deallocate")),
        ("free of i64", func("free", "(param i64)")),
        ("_initialize that is a memory's name", global("_initialize")),
        ("__wasm_call_ctors with a result", func("__wasm_call_ctors", "(result i32)")),
        ("_start with a parameter", func("_start", "(param i32)")),
    ];
    for (what, item) in rows {
        let text = with_part("process", &format!("{} {item}", PARTS[2].1));
        let name = format!("M16/{what}");
        cases.push(Case::load(name, text, refused("mismatch export-type")));
    }
}

fn names(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("nothing exported", "(module)".to_owned(), refused("mismatch missing-export")),
        ("only a memory exported",
            format!("(module {})", PARTS[0].1), refused("mismatch missing-export")),
        ("export name of 1,025 bytes",
            with_run(&func(&"n".repeat(1_025), "")), refused("over-limit name_bytes")),
        ("export name of 100,000 bytes",
            with_run(&func(&"n".repeat(100_000), "")), refused("over-limit name_bytes")),
        ("export name of control characters", with_run(&func("\\1b[2J\\n", "")), loads()),
        ("export of the empty name", with_run(&func("", "")), loads()),
    ];
    for (what, text, verdict) in rows {
        cases.push(Case::load(format!("M16/{what}"), text, verdict));
    }
    let exports = section(EXPORT, b"\x02\x01a\0\0\x01a\0\0");
    let twice = module(&[one_type(&[], &[]), one_of_type_0(), exports, empty_code()]);
    let name = "M16/one name exported twice";
    cases.push(Case::load(name, twice, refused("invalid-module")));
}

fn indices(cases: &mut Vec<Case>) {
    for (what, index) in [
        ("function 1", [0, 1]),
        ("table 0", [1, 0]),
        ("memory 0", [2, 0]),
        ("global 0", [3, 0]),
    ] {
        let exports = section(EXPORT, &[&b"\x01\x01a"[..], &index].concat());
        let wasm = module(&[one_type(&[], &[]), one_of_type_0(), exports, empty_code()]);
        let name = format!("M16/export of {what}, which is not there");
        cases.push(Case::load(name, wasm, refused("invalid-module")));
    }
}
