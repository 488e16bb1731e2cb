//! A08: exports that are imports handed through. hostel would call its own host functions as if
//! they were the guest's.

use crate::case::{Case, Verdict, loads, refused, returns, traps};
use hostel::Value;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    of_the_abi(&mut cases);
    of_a_log(&mut cases);
    cases
}

/// A row: what the import is handed through as, the export's name, the import.
fn of_the_abi(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("allocate", "allocate", r#"(import "host" "one" (func $it (param i32) (result i32)))"#),
        ("process in values",
            "process",
            r#"(import "env" "host_get_config" (func $it (param i32 i32) (result i32 i32)))"#),
        ("process packed",
            "process",
            r#"(import "env" "host_get_config" (func $it (param i32 i32) (result i64)))"#),
        ("deallocate", "deallocate", r#"(import "env" "host_log" (func $it (param i32 i32)))"#),
        ("_initialize", "_initialize", r#"(import "host" "noop" (func $it))"#),
    ];
    for (what, export, import) in rows {
        let mut text = format!(
            r#"(module {import} (memory (export "memory") 1) (export "{export}" (func $it))"#
        );
        // The others are the guest's own.
        if export != "allocate" {
            text += r#"(func (export "allocate") (param i32) (result i32) (i32.const 1024))"#;
        }
        if export != "process" {
            text += r#"(func (export "process") (param i32 i32) (result i32 i32)
                (local.get 0) (local.get 1))"#;
        }
        text += ")";
        let name = format!("A08/import handed through as {what}");
        let verdict = refused("mismatch reexported-import");
        cases.push(Case::script(name, text, verdict, |setup| {
            let grants = setup
                .grants
                .clone()
                .function("host", "one", |size: u32| size);
            match setup.engine.load("guest", setup.wasm, &grants) {
                Ok(_) => loads(),
                Err(error) => Verdict::of_load_error(&error),
            }
        }));
    }
}

/// An export that is not the ABI's: the host may call it, and it checks its arguments as ever.
fn of_a_log(cases: &mut Vec<Case>) {
    let text = r#"(module (import "env" "host_log" (func $it (param i32 i32)))
        (memory (export "memory") 1) (export "run" (func $it)))"#;
    for (what, ptr, verdict) in [
        ("inside", 0, returns("")),
        ("outside", -1, traps("trap-host-call")),
    ] {
        let name = format!("A08/log handed through, called from the host with what lies {what}");
        let params = [Value::I32(ptr), Value::I32(1)];
        cases.push(Case::call(name, text, ("run", &params), verdict));
    }
}
