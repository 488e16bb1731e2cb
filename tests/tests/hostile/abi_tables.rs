//! A01, A02 and A06 as tables: bad pointers and lengths, in each place where a guest may give one
//! and in each shape of the ABI.

use crate::case::{Act, Case, by_code};
use hostel::Value;
use hostel_tests::{packed, with_allocator};

/// The end of a guest's memory: two pages.
const END: u32 = 2 << 16;

/// The bit of a length that marks an answer as an error.
const ERROR: u32 = 1 << 31;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    results(&mut cases);
    arguments(&mut cases);
    records(&mut cases);
    allocators(&mut cases);
    cases
}

/// Pointers and lengths, whether they lie inside, and what an answer of them is.
const PAIRS: [(u32, u32, bool, &str); 26] = [
    (0, 0, true, "ok"),
    (0, 1, true, "ok"),
    (1, 0, true, "ok"),
    (END, 0, true, "ok"),
    (END - 1, 1, true, "ok"),
    (0, END, true, "ok"),
    (1, END - 1, true, "ok"),
    (END + 1, 0, false, "out-of-bounds"),
    (u32::MAX, 0, false, "out-of-bounds"),
    (END, 1, false, "out-of-bounds"),
    (END - 1, 2, false, "out-of-bounds"),
    (1, END, false, "out-of-bounds"),
    (0, END + 1, false, "out-of-bounds"),
    (0x7fff_ffff, 1, false, "out-of-bounds"),
    (0x8000_0000, 1, false, "out-of-bounds"),
    (u32::MAX, 1, false, "out-of-bounds"),
    (u32::MAX, 2, false, "out-of-bounds"),
    (u32::MAX - 7, 8, false, "out-of-bounds"),
    (u32::MAX - 7, 16, false, "out-of-bounds"),
    (1, 0x7fff_ffff, false, "out-of-bounds"),
    (0x8000_0001, 0x7fff_ffff, false, "out-of-bounds"),
    (0, ERROR, false, "guest-error"),
    (0, ERROR | 5, false, "guest-error"),
    (END, ERROR | 1, false, "out-of-bounds"),
    (0, u32::MAX, false, "out-of-bounds"),
    (u32::MAX, u32::MAX, false, "out-of-bounds"),
];

const FINE: &str = r#"(func (export "fine") (result i32) (i32.const 7))"#;

/// What the host shows of so many bytes of an empty memory.
fn zeros(len: u32) -> String {
    if len > 64 {
        format!("{len} bytes")
    } else {
        "\\x00".repeat(len as usize)
    }
}

// What `process` answers

fn results(cases: &mut Vec<Case>) {
    for (ptr, len, _, code) in PAIRS {
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
            let name = format!("A01/result ptr={ptr:#x} len={len:#x} {shape}");
            // What lies in memory is the input and the record: longer answers are told by length.
            let verdict = by_code(code, &zeros(len.min(END)));
            cases.push(Case::new(
                name,
                with_allocator("", &items),
                Act::hello(),
                verdict,
            ));
        }
    }
    for (what, len, code) in [
        ("of 1,001 bytes", 1_001, "output-too-large"),
        ("of all memory", END, "output-too-large"),
        (
            "that is an error of 1,001 bytes",
            ERROR | 1_001,
            "output-too-large",
        ),
        ("of 4 GiB", u32::MAX, "out-of-bounds"),
        ("of 1,000 bytes", 1_000, "ok"),
    ] {
        let items = format!(
            r#"{FINE} (func (export "process") (param i32 i32) (result i64) {})"#,
            packed(0, len)
        );
        let case = Case::new(
            format!("A06/answer {what}"),
            with_allocator("", &items),
            Act::hello(),
            by_code(code, "1000 bytes"),
        );
        cases.push(case.budget(|budget| budget.output_bytes = 1_000));
    }
}

// What a guest hands to a host function

/// Host functions that take bytes, as a guest imports and calls them.
const TAKING: [(&str, &str, &str); 6] = [
    (
        "log",
        r#"(import "env" "host_log" (func $take (param i32 i32)))"#,
        "(call $take (local.get 0) (local.get 1))",
    ),
    (
        "text",
        r#"(import "host" "text" (func $take (param i32 i32)))"#,
        "(call $take (local.get 0) (local.get 1))",
    ),
    (
        "bytes",
        r#"(import "host" "bytes" (func $take (param i32 i32)))"#,
        "(call $take (local.get 0) (local.get 1))",
    ),
    (
        "get values",
        r#"(import "env" "host_get_config" (func $take (param i32 i32) (result i32 i32)))"#,
        "(call $take (local.get 0) (local.get 1)) (drop) (drop)",
    ),
    (
        "get packed",
        r#"(import "env" "host_get_config" (func $take (param i32 i32) (result i64)))"#,
        "(drop (call $take (local.get 0) (local.get 1)))",
    ),
    (
        "get pointer",
        r#"(import "env" "host_get_config" (func $take (param i32 i32 i32)))"#,
        "(call $take (i32.const 64) (local.get 0) (local.get 1))",
    ),
];

fn arguments(cases: &mut Vec<Case>) {
    for (what, import, call) in TAKING {
        let items = format!(r#"{FINE} (func (export "run") (param i32 i32) {call})"#);
        let text = with_allocator(import, &items);
        for (ptr, len, inside, _) in PAIRS {
            let act = Act::Call(
                "run",
                [ptr, len]
                    .map(|value| Value::I32(value.cast_signed()))
                    .into(),
            );
            let name = format!("A01/argument ptr={ptr:#x} len={len:#x} {what}");
            let code = if inside { "ok" } else { "trap-host-call" };
            let case = Case::new(name, text.clone(), act, by_code(code, ""));
            // Logging all memory is allowed, and dear.
            cases.push(case.fuel(200_000));
        }
    }
}

// Where a guest wants results

fn records(cases: &mut Vec<Case>) {
    for (at, inside) in [
        (0, true),
        (1, true),
        (END - 8, true),
        (END - 7, false),
        (END - 4, false),
        (END - 1, false),
        (END, false),
        (END + 1, false),
        (0x7fff_ffff, false),
        (0x7fff_fff8, false),
        (0x8000_0000, false),
        (u32::MAX - 7, false),
        (u32::MAX - 3, false),
        (u32::MAX, false),
    ] {
        for (what, import, call) in [
            (
                "pair",
                r#"(import "host" "pair" (func $fill (param i32)))"#,
                "(call $fill (local.get 0))",
            ),
            (
                "setting",
                r#"(import "env" "host_get_config" (func $fill (param i32 i32 i32)))"#,
                "(call $fill (local.get 0) (i32.const 64) (i32.const 3))",
            ),
        ] {
            let items = format!(
                r#"{FINE} (data (i32.const 64) "key")
                (func (export "run") (param i32) (result i32) {call} (i32.load offset=4 (local.get 0)))"#
            );
            let answer = if what == "pair" { "8" } else { "5" };
            let code = if inside { "ok" } else { "trap-host-call" };
            cases.push(Case::new(
                format!("A01/record at {at:#x} for a {what}"),
                with_allocator(import, &items),
                Act::Call("run", vec![Value::I32(at.cast_signed())]),
                by_code(code, answer),
            ));
        }
    }
}

// What `allocate` answers

/// What `allocate` may answer when it is asked for room, and how much room there is from there.
const ANSWERS: [(u32, u32); 17] = [
    (0, 0),
    (1, END - 1),
    (3, END - 3),
    (17, END - 17),
    (1024, END - 1024),
    (END - 9, 9),
    (END - 8, 8),
    (END - 7, 7),
    (END - 5, 5),
    (END - 4, 4),
    (END - 1, 1),
    (END, 0),
    (END + 1, 0),
    (0x7fff_ffff, 0),
    (0x8000_0000, 0),
    (u32::MAX - 4, 0),
    (u32::MAX, 0),
];

fn allocators(cases: &mut Vec<Case>) {
    let module = |imports: &str, answer: u32, of: &str, items: &str| {
        format!(
            r#"(module {imports} (memory (export "memory") 2) {FINE}
                (data (i32.const 64) "key")
                (func (export "allocate") (param $size i32) (result i32)
                  (select (i32.const {answer}) (i32.const 2048) {of}))
                {items})"#
        )
    };
    let any = "(i32.const 1)";
    let echo =
        r#"(func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))"#;
    let by_pointer = r#"(func (export "process") (param i32 i32 i32)
        (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (local.get 2)))"#;
    let code_for = |answer: u32, room: u32, size: u32| match answer {
        0 => "no-memory",
        _ if room >= size => "ok",
        _ => "out-of-bounds",
    };
    for (answer, room) in ANSWERS {
        cases.push(Case::new(
            format!("A02/allocate answers {answer:#x} for the input"),
            module("", answer, any, echo),
            Act::hello(),
            by_code(code_for(answer, room, 5), "hello"),
        ));
        cases.push(Case::new(
            format!("A02/allocate answers {answer:#x} for the record"),
            module(
                "",
                answer,
                "(i32.eq (local.get $size) (i32.const 8))",
                by_pointer,
            ),
            Act::hello(),
            match code_for(answer, room, 8) {
                // The guest stores in it before the host looks.
                "out-of-bounds" => by_code("trap-memory", ""),
                code => by_code(code, "hello"),
            },
        ));
        for (shape, ty, run) in [
            (
                "values",
                "(param i32 i32) (result i32 i32)",
                "(call $get (i32.const 64) (i32.const 3)) (drop) (local.set 0) (i32.load (local.get 0))",
            ),
            (
                "packed",
                "(param i32 i32) (result i64)",
                "(i32.load (i32.wrap_i64 (i64.shr_u (call $get (i32.const 64) (i32.const 3)) (i64.const 32))))",
            ),
            (
                "pointer",
                "(param i32 i32 i32)",
                "(call $get (i32.const 128) (i32.const 64) (i32.const 3)) (i32.load (i32.load (i32.const 128)))",
            ),
        ] {
            let import = format!(r#"(import "env" "host_get_config" (func $get {ty}))"#);
            // "value" is five bytes; the first four of them, as a number.
            let items = format!(r#"(func (export "run") (result i32) (local i32) {run})"#);
            let code = if answer != 0 && room >= 5 {
                "ok"
            } else {
                "trap-host-call"
            };
            let first = u32::from_le_bytes(*b"valu").to_string();
            cases.push(Case::new(
                format!("A02/allocate answers {answer:#x} for a setting {shape}"),
                module(&import, answer, any, &items),
                Act::run(),
                by_code(code, &first),
            ));
        }
    }
}
