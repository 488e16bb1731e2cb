//! A05: memory that grows, and may move, while the host works with it: `allocate` returns a new
//! page each time.

use super::{FINE, IMPORTS, V};
use crate::case::{Case, Verdict, returns};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    under_a_setting(&mut cases);
    under_arguments(&mut cases);
    under_the_input(&mut cases);
    cases
}

/// The code of an `allocate` that returns a new page of 64 KiB.
const NEW_PAGE: &str = "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))";

/// The text of a module with such an `allocate`, and with `export`.
fn with_new_pages(imports: &str, export: &str) -> String {
    format!(
        r#"(module {imports} (memory (export "memory") 1) (data (i32.const 64) "key") {FINE}
            (func (export "allocate") (param i32) (result i32) {NEW_PAGE}) {export})"#
    )
}

/// A row: the shape in which the guest gets a setting, the import's type, the code of the call.
fn under_a_setting(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("values",
            "(param i32 i32) (result i32 i32)",
            "(call $it (i32.const 64) (i32.const 3)) (drop) (local.set 0)
             (i32.load8_u (local.get 0))"),
        ("packed",
            "(param i32 i32) (result i64)",
            "(i32.load8_u (i32.wrap_i64 (i64.shr_u
               (call $it (i32.const 64) (i32.const 3)) (i64.const 32))))"),
        ("pointer",
            "(param i32 i32 i32)",
            "(call $it (i32.const 65528) (i32.const 64) (i32.const 3))
             (i32.load8_u (i32.load (i32.const 65528)))"),
    ];
    for (shape, ty, run) in rows {
        let import = format!(r#"(import "env" "host_get_config" (func $it {ty}))"#);
        let export = format!(r#"(func (export "run") (result i32) (local i32) {run})"#);
        let name = format!("A05/memory moves under a setting, {shape}");
        let text = with_new_pages(&import, &export);
        cases.push(Case::run_export(name, text, returns(V)));
    }
}

fn under_arguments(cases: &mut Vec<Case>) {
    let echo = r#"(func (export "run") (result i32) (local i32)
        (call $echo (i32.const 64) (i32.const 3)) (drop) (local.set 0)
        (i32.load8_u offset=2 (local.get 0)))"#;
    // The `y` of `key`, echoed.
    let text = with_new_pages(IMPORTS, echo);
    let name = "A05/memory moves under an argument";
    cases.push(Case::run_export(name, text, returns("121")));
    // `a` and `b`, summed.
    let two = r#"(func (export "two") (param i32 i32 i32 i32) (result i32)
        (i32.add (i32.load8_u (local.get 0)) (i32.load8_u (local.get 2))))"#;
    let name = "A05/memory moves between two arguments";
    let text = with_new_pages(IMPORTS, two);
    cases.push(Case::script(name, text, returns("195"), |setup| {
        Verdict::of_answer(setup.instance().call::<_, u32>("two", ("a", "b")))
    }));
}

fn under_the_input(cases: &mut Vec<Case>) {
    let process = format!(
        r#"(func (export "process") (param i32 i32) (result i32 i32) (local $to i32)
            (local.set $to {NEW_PAGE}) (memory.copy (local.get $to) (local.get 0) (local.get 1))
            (local.get $to) (local.get 1))"#
    );
    let name = "A05/memory moves under the input and the result";
    let text = with_new_pages(IMPORTS, &process);
    cases.push(Case::process(name, text, "hello", returns("hello")));
    let record = r#"(func (export "process") (param i32 i32 i32)
        (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (local.get 2)))"#;
    let name = "A05/memory moves between the record and the input";
    let text = with_new_pages(IMPORTS, record);
    cases.push(Case::process(name, text, "hello", returns("hello")));
}
