//! A01: pointers and lengths that do not lie in the guest's memory, in each place where a guest may
//! give one, and in each shape that the ABI has for it.

use super::FINE;
use crate::case::{Case, fails, returns, traps};
use Range::{Error, Inside, Outside};
use hostel::Value;
use hostel_tests::{packed, with_allocator};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    results(&mut cases);
    arguments(&mut cases);
    records(&mut cases);
    cases
}

/// The end of a guest's memory of two pages.
pub(super) const END: u32 = 2 << 16;

/// The bit of a result's length that marks it as an error.
pub(super) const ERROR_BIT: u32 = 1 << 31;

/// The place of the bytes that a pointer and a length mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    /// They lie in memory.
    Inside,
    /// Some do not lie in memory, or lie past the end of 32 bits.
    Outside,
    /// As a result, they lie in memory and are an error's text. As an argument, they are longer
    /// than memory.
    Error,
}

/// A pointer, a length, and the place of their bytes.
const RANGES: [(u32, u32, Range); 26] = [
    (0, 0, Inside),
    (0, 1, Inside),
    (1, 0, Inside),
    (END, 0, Inside),
    (END - 1, 1, Inside),
    (0, END, Inside),
    (1, END - 1, Inside),
    (END + 1, 0, Outside),
    (u32::MAX, 0, Outside),
    (END, 1, Outside),
    (END - 1, 2, Outside),
    (1, END, Outside),
    (0, END + 1, Outside),
    (0x7fff_ffff, 1, Outside),
    (0x8000_0000, 1, Outside),
    (u32::MAX, 1, Outside),
    (u32::MAX, 2, Outside),
    (u32::MAX - 7, 8, Outside),
    (u32::MAX - 7, 16, Outside),
    (1, 0x7fff_ffff, Outside),
    (0x8000_0001, 0x7fff_ffff, Outside),
    (0, ERROR_BIT, Error),
    (0, ERROR_BIT | 5, Error),
    (END, ERROR_BIT | 1, Outside),
    (0, u32::MAX, Outside),
    (u32::MAX, u32::MAX, Outside),
];

/// Results of `process`: two values, one value that packs both, or a record at a pointer.
fn results(cases: &mut Vec<Case>) {
    for (ptr, len, range) in RANGES {
        let shapes = [
            (
                "values",
                format!("(param i32 i32) (result i32 i32) (i32.const {ptr}) (i32.const {len})"),
            ),
            (
                "packed",
                format!("(param i32 i32) (result i64) {}", packed(ptr, len)),
            ),
            (
                "pointer",
                format!(
                    "(param i32 i32 i32) (i32.store (local.get 0) (i32.const {ptr}))
                     (i32.store offset=4 (local.get 0) (i32.const {len}))"
                ),
            ),
        ];
        for (shape, process) in shapes {
            let items = format!(r#"{FINE} (func (export "process") {process})"#);
            let verdict = match range {
                Inside => returns(zeros(len)),
                Outside => fails("out-of-bounds"),
                Error => fails("guest-error"),
            };
            let name = format!("A01/result ptr={ptr:#x} len={len:#x} {shape}");
            let text = with_allocator("", &items);
            cases.push(Case::process(name, text, "hello", verdict));
        }
    }
}

/// How a verdict shows `len` bytes of an empty memory. The input and the record are not zeros, but
/// lie only in ranges so long that their number is shown instead.
fn zeros(len: u32) -> String {
    if len > 64 {
        format!("{len} bytes")
    } else {
        "\\x00".repeat(len as usize)
    }
}

/// Arguments of host functions.
fn arguments(cases: &mut Vec<Case>) {
    let two = "(local.get 0) (local.get 1)";
    #[rustfmt::skip] // a table
    let functions = [
        // The function, its import, its type, the call with its results dropped.
        ("log", r#""env" "host_log""#, "(param i32 i32)", format!("(call $take {two})")),
        ("text", r#""host" "text""#, "(param i32 i32)", format!("(call $take {two})")),
        ("bytes", r#""host" "bytes""#, "(param i32 i32)", format!("(call $take {two})")),
        ("get values",
            r#""env" "host_get_config""#, "(param i32 i32) (result i32 i32)",
            format!("(call $take {two}) (drop) (drop)")),
        ("get packed",
            r#""env" "host_get_config""#, "(param i32 i32) (result i64)",
            format!("(drop (call $take {two}))")),
        ("get pointer",
            r#""env" "host_get_config""#, "(param i32 i32 i32)",
            format!("(call $take (i32.const 64) {two})")),
    ];
    for (what, names, ty, call) in functions {
        let import = format!("(import {names} (func $take {ty}))");
        let items = format!(r#"{FINE} (func (export "run") (param i32 i32) {call})"#);
        let text = with_allocator(&import, &items);
        for (ptr, len, range) in RANGES {
            let verdict = match range {
                Inside => returns(""),
                Outside | Error => traps("trap-host-call"),
            };
            let name = format!("A01/argument ptr={ptr:#x} len={len:#x} {what}");
            let params = [ptr, len].map(|value| Value::I32(value.cast_signed()));
            let case = Case::call(name, text.clone(), ("run", &params), verdict);
            // Logging all memory is allowed, and costs that much.
            cases.push(case.fuel(200_000));
        }
    }
}

/// Addresses at which a guest wants a record of two values: eight bytes, aligned or not.
fn records(cases: &mut Vec<Case>) {
    for (at, range) in [
        (0, Inside),
        (1, Inside),
        (END - 8, Inside),
        (END - 7, Outside),
        (END - 4, Outside),
        (END - 1, Outside),
        (END, Outside),
        (END + 1, Outside),
        (0x7fff_ffff, Outside),
        (0x7fff_fff8, Outside),
        (0x8000_0000, Outside),
        (u32::MAX - 7, Outside),
        (u32::MAX - 3, Outside),
        (u32::MAX, Outside),
    ] {
        #[rustfmt::skip] // a table
        let records = [
            // The record, the import, the call that fills it, its second value.
            ("pair",
                r#"(import "host" "pair" (func $fill (param i32)))"#, "(call $fill (local.get 0))",
                "8"),
            ("setting",
                r#"(import "env" "host_get_config" (func $fill (param i32 i32 i32)))"#,
                "(call $fill (local.get 0) (i32.const 64) (i32.const 3))", "5"),
        ];
        for (what, import, call, second) in records {
            let items = format!(
                r#"{FINE} (data (i32.const 64) "key")
                (func (export "run") (param i32) (result i32)
                  {call} (i32.load offset=4 (local.get 0)))"#
            );
            let verdict = if range == Inside {
                returns(second)
            } else {
                traps("trap-host-call")
            };
            let name = format!("A01/record at {at:#x} for a {what}");
            let text = with_allocator(import, &items);
            let params = [Value::I32(at.cast_signed())];
            cases.push(Case::call(name, text, ("run", &params), verdict));
        }
    }
}
