//! A11: functions of other types than the host calls them with, and numbers that are no value of
//! the Rust type that the caller asks for.

use super::FINE;
use crate::case::{Case, Verdict, fails, refused};
use core::fmt::Display;
use hostel::{Lift, Value};
use hostel_tests::with_allocator;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    of_functions(&mut cases);
    of_values(&mut cases);
    cases
}

fn of_functions(cases: &mut Vec<Case>) {
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
        let (name, text) = (format!("A11/process of {ty}"), with_allocator("", &item));
        cases.push(Case::load(name, text, refused("mismatch export-type")));
        let item = format!(r#"{FINE} (func (export "other") {ty} (unreachable))"#);
        let (name, text) = (
            format!("A11/bytes to an export of {ty}"),
            with_allocator("", &item),
        );
        cases.push(Case::script(name, text, fails("export-type"), |setup| {
            let mut instance = setup.instance();
            let verdict = Verdict::of_answer(instance.call_bytes("other", b"x", <[u8]>::len));
            assert_eq!(instance.call::<(), u32>("fine", ()), Ok(7));
            verdict
        }));
    }
    let many = format!(
        r#"{FINE} (func (export "many") (param {}) (result i32) (i32.const 0))"#,
        "i32 ".repeat(64)
    );
    let (name, text) = ("A11/64 parameters from the host", with_allocator("", &many));
    let params = [Value::I32(0); 64];
    cases.push(Case::call(
        name,
        text,
        ("many", &params),
        fails("export-type"),
    ));
}

fn of_values(cases: &mut Vec<Case>) {
    cases.extend([
        value::<bool>("flag of 2", "flag", "2"),
        value::<bool>("flag of -1", "flag", "-1"),
        value::<u8>("256 as a byte", "byte", "256"),
        value::<u8>("-1 as a byte", "byte", "-1"),
        value::<char>("a surrogate as a character", "char", "0xd800"),
        value::<char>("a character past the last", "char", "0x110000"),
    ]);
}

/// An export that returns `number`, which is no value of `T`.
fn value<T>(what: &str, export: &'static str, number: &str) -> Case
where
    T: for<'m> Lift<View<'m> = T> + Display,
{
    let text = format!(r#"(module (func (export "{export}") (result i32) (i32.const {number})))"#);
    Case::script(
        format!("A11/{what}"),
        text,
        fails("bad-value"),
        move |setup| Verdict::of_answer(setup.instance().call::<(), T>(export, ())),
    )
}
