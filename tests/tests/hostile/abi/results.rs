//! A06: results that overlap others, or are too long, or are errors and texts of any bytes.

use super::{
    FINE,
    pointers::{END, ERROR_BIT},
};
use crate::case::{Case, Verdict, fails, returns};
use hostel_tests::{packed, with_allocator};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    too_long(&mut cases);
    overlapping(&mut cases);
    errors(&mut cases);
    texts(&mut cases);
    cases
}

/// A row: the result in words, its length with the error bit, the verdict. 1,000 bytes are allowed, and
/// 500 of an error.
fn too_long(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("of 1,001 bytes", 1_001, fails("output-too-large")),
        ("of all memory", END, fails("output-too-large")),
        ("that is an error of 1,001 bytes", ERROR_BIT | 1_001, fails("output-too-large")),
        ("that is an error of 501 bytes", ERROR_BIT | 501, fails("error-too-large")),
        ("of 4 GiB", u32::MAX, fails("out-of-bounds")),
        ("of 1,000 bytes", 1_000, returns("1000 bytes")),
    ];
    for (what, len, verdict) in rows {
        let result = packed(0, len);
        let items =
            format!(r#"{FINE} (func (export "process") (param i32 i32) (result i64) {result})"#);
        let text = with_allocator("", &items);
        let case = Case::process(format!("A06/result {what}"), text, "hello", verdict);
        cases.push(case.budget(|budget| {
            budget.output_bytes = 1_000;
            budget.error_bytes = 500;
        }));
    }
}

/// The text of a module whose `process` returns `result`.
fn with_result(result: &str) -> String {
    let items =
        format!(r#"{FINE} (func (export "process") (param i32 i32) (result i32 i32) {result})"#);
    with_allocator("", &items)
}

/// A row: what the result is, its code, the answer.
fn overlapping(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("the input", "(local.get 0) (local.get 1)", "hello"),
        ("the input's tail",
            "(i32.add (local.get 0) (i32.const 1)) (i32.sub (local.get 1) (i32.const 1))", "ello"),
        ("over the input's end", "(i32.add (local.get 0) (i32.const 4)) (i32.const 2)", "o\\x00"),
        ("a block freed before",
            "(call $deallocate (local.get 0) (local.get 1)) (local.get 0) (local.get 1)", "hello"),
        ("all memory", "(i32.const 0) (i32.const 131072)", "131072 bytes"),
        ("nothing, at the end", "(i32.const 131072) (i32.const 0)", ""),
    ];
    for (what, result, answer) in rows {
        let name = format!("A06/result that is {what}");
        cases.push(Case::process(
            name,
            with_result(result),
            "hello",
            returns(answer),
        ));
    }
    let twice = with_allocator(
        "",
        r#"(func (export "both") (param i32 i32) (result i32 i32 i32 i32)
        (local.get 0) (local.get 1) (local.get 0) (local.get 1))"#,
    );
    let name = "A06/two results in one place";
    cases.push(Case::script(name, twice, returns("hello hello"), |setup| {
        let both = setup
            .instance()
            .call::<_, (String, String)>("both", "hello");
        Verdict::of_answer(both.map(|(a, b)| format!("{a} {b}")))
    }));
}

/// Errors of any bytes, which are the input.
fn errors(cases: &mut Vec<Case>) {
    let text = with_result("(local.get 0) (i32.or (local.get 1) (i32.const 0x80000000))");
    for (byte, len) in [(b'a', 1_001), (0x1b, 1_001), (0xff, 334)] {
        let name = format!("A06/error of {len} bytes of {byte:#x}");
        let verdict = fails("error-too-large");
        let case = Case::process(name, text.clone(), vec![byte; len], verdict);
        cases.push(case.budget(|budget| budget.error_bytes = 1_000));
    }
    let shown = "the plugin returned an error: a\\u{1b}\u{fffd}";
    cases.push(Case::script(
        "A06/error that is rubbish",
        text.clone(),
        returns(shown),
        |setup| {
            let result = setup.instance().process(b"a\x1b\xff");
            returns(result.expect_err("an error").to_string())
        },
    ));
    for (what, input) in [
        ("empty", &b""[..]),
        ("one byte", b"\xff"),
        ("a cut character", b"\xf0\x9f"),
        ("control characters", b"\x1b]52;c;\x07"),
        ("zeros", &[0; 300]),
    ] {
        let name = format!("A06/error of {what}");
        cases.push(Case::process(
            name,
            text.clone(),
            input,
            fails("guest-error"),
        ));
    }
}

/// Results that must be text, and are not UTF-8.
fn texts(cases: &mut Vec<Case>) {
    for (what, bytes) in [
        ("a byte of 0xff", "\\ff"),
        ("a surrogate", "\\ed\\a0\\80"),
        ("a cut character", "\\f0\\9f\\98"),
        ("an over-long slash", "\\c0\\af"),
    ] {
        // Each byte is written as three characters.
        let len = bytes.len() / 3;
        let items = format!(
            r#"(data (i32.const 64) "{bytes}")
            (func (export "text") (result i32 i32) (i32.const 64) (i32.const {len}))"#
        );
        let (name, text) = (
            format!("A06/text that is {what}"),
            with_allocator("", &items),
        );
        cases.push(Case::script(name, text, fails("not-utf8"), |setup| {
            Verdict::of_answer(setup.instance().call::<(), String>("text", ()))
        }));
    }
}
