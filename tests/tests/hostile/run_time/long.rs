//! R11: work of one instruction, or of the host for one call, that grows with what it is given. It must
//! end a step in time: `--steps` measures each. Here it must cost its fuel, and fail as it should.
//!
//! A row: what is done, on the most memory that a server allows by default, and its code.

use crate::case::{Case, Source, Verdict, out_of_fuel, returns};
use hostel::{Limits, Value};
use hostel_tests::assemble;

/// Fuel for about five times all of the memory.
const FUEL: u64 = 5_500_000;

/// Bytes of a long argument.
const ARGUMENT: usize = 16 << 20;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    operators(&mut cases);
    growth(&mut cases);
    host_work(&mut cases);
    instances(&mut cases);
    cases
}

/// A case with a server's default limits, and [`FUEL`].
fn on_a_server(what: &str, module: impl Into<Source>, verdict: Verdict) -> Case {
    let case = Case::run_export(format!("R11/{what}"), module, verdict);
    let memory = Limits::server().memory_bytes;
    case.fuel(FUEL)
        .limits(|limits| limits.memory_bytes = memory)
        .budget(|budget| budget.bytes_to_guest = 64 << 20)
}

/// Operators on all memory, or as much as there can be, for ever.
fn operators(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("fills of all", "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x4000000))"),
        ("fills of a length that is not constant",
            "(memory.fill (i32.const 0) (i32.const 1) (i32.shl (memory.size) (i32.const 16)))"),
        ("copies forward", "(memory.copy (i32.const 0) (i32.const 1) (i32.const 0x3ffffff))"),
        ("copies backward", "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0x3ffffff))"),
        ("copies between halves",
            "(memory.copy (i32.const 0) (i32.const 0x2000000) (i32.const 0x2000000))"),
        ("inits", "(memory.init $data (i32.const 7) (i32.const 0) (i32.const 0x400000))"),
        ("table fills", "(table.fill $t (i32.const 0) (ref.null extern) (i32.const 99000))"),
        ("table copies", "(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 98999))"),
        ("table inits", "(table.init $u $elem (i32.const 0) (i32.const 0) (i32.const 1000))"),
    ];
    for (what, code) in rows {
        let module = Source::made(move || {
            let data = "0123456789abcdef".repeat(4 << 16);
            assemble(&format!(
                r#"(module (memory 1024) (table $t 99000 externref) (table $u 1000 funcref)
                    (data $data "{data}") (elem $elem funcref {})
                    (func (export "fine") (result i32) (i32.const 7))
                    (func (export "run") (loop $on {code} (br $on))))"#,
                "(ref.null func)".repeat(1_000)
            ))
        });
        cases.push(on_a_server(
            &format!("{what} for ever"),
            module,
            out_of_fuel(),
        ));
    }
}

/// Growth by all that is allowed, at once and in parts.
fn growth(cases: &mut Vec<Case>) {
    for (what, first, code, answer) in [
        ("to the limit", 1, "(memory.grow (i32.const 1023))", "1"),
        (
            "to the limit from half",
            512,
            "(memory.grow (i32.const 512))",
            "512",
        ),
        ("over the limit", 1, "(memory.grow (i32.const 1024))", "-1"),
        (
            "by doubling",
            1,
            "(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (memory.size)))))
             (memory.size)",
            "1024",
        ),
        (
            "page by page",
            1,
            "(loop $on (br_if $on (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
             (memory.size)",
            "1024",
        ),
    ] {
        let text = format!(
            r#"(module (memory {first}) (func (export "fine") (result i32) (i32.const 7))
                (func (export "run") (result i32) {code}))"#
        );
        cases.push(on_a_server(
            &format!("growth {what}"),
            text,
            returns(answer),
        ));
    }
}

/// A guest with 40 MiB of memory and an allocator that gives the same 16 MiB each time.
fn with_allocator(imports: &str, items: &str) -> String {
    format!(
        r#"(module {imports} (memory (export "memory") 640)
            (data (i32.const 0) "key")
            (func (export "fine") (result i32) (i32.const 7))
            (func (export "allocate") (param i32) (result i32) (i32.const 65536))
            {items})"#
    )
}

/// What the host does for one call with long bytes.
fn host_work(cases: &mut Vec<Case>) {
    let process = |what: &str, code: &str, verdict| {
        let process =
            format!(r#"(func (export "process") (param i32 i32) (result i32 i32) {code})"#);
        let text = with_allocator("", &process);
        let case = Case::process(format!("R11/{what}"), text, vec![b'a'; ARGUMENT], verdict);
        let memory = Limits::server().memory_bytes;
        case.fuel(FUEL)
            .limits(|limits| limits.memory_bytes = memory)
    };
    cases.push(process(
        "a long argument",
        "(i32.const 0) (i32.const 0)",
        returns(""),
    ));
    cases.push(process(
        "a long argument that is given back",
        "(local.get 0) (local.get 1)",
        returns(format!("{ARGUMENT} bytes")),
    ));
    #[rustfmt::skip] // a table
    let rows = [
        ("a long log record",
            r#"(import "env" "host_log" (func $log (param i32 i32)))"#,
            "(call $log (i32.const 65536) (i32.const 0x200000))"),
        ("a long text",
            r#"(import "host" "text" (func $text (param i32 i32)))"#,
            "(call $text (i32.const 65536) (i32.const 0x800000))"),
        ("long bytes",
            r#"(import "host" "bytes" (func $bytes (param i32 i32)))"#,
            "(call $bytes (i32.const 65536) (i32.const 0x800000))"),
        ("a long state value",
            r#"(import "env" "host_state_set" (func $set (param i32 i32 i32 i32) (result i32 i32)))"#,
            "(call $set (i32.const 0) (i32.const 3) (i32.const 65536) (i32.const 0x100000)) (drop) (drop)"),
    ];
    for (what, import, code) in rows {
        let run = format!(r#"(func (export "run") (loop $on {code} (br $on)))"#);
        let text = with_allocator(import, &run);
        cases.push(on_a_server(
            &format!("{what} for ever"),
            text,
            out_of_fuel(),
        ));
    }
}

/// Instances with much to set up.
fn instances(cases: &mut Vec<Case>) {
    let call = |what: &str, module: Source| {
        let name = format!("R11/{what}");
        let case = Case::call(name, module, ("fine", &[] as &[Value]), returns("7"));
        let memory = Limits::server().memory_bytes;
        cases.push(
            case.fuel(FUEL)
                .limits(|limits| limits.memory_bytes = memory),
        );
    };
    let fine = r#"(func (export "fine") (result i32) (i32.const 7))"#;
    let mut call = call;
    call(
        "an instance of all memory",
        format!("(module (memory 1024) {fine})").into(),
    );
    call(
        "an instance of 100,000 elements",
        format!("(module (table 100000 funcref) {fine})").into(),
    );
    call(
        "an instance with 4 MiB of data",
        Source::made(move || {
            let data = "0123456789abcdef".repeat(4 << 16);
            assemble(&format!(
                r#"(module (memory 1024) (data (i32.const 0) "{data}") {fine})"#
            ))
        }),
    );
    call(
        "an instance with 100,000 elements in segments",
        Source::made(move || {
            assemble(&format!(
                r#"(module (table 100000 funcref) (elem (i32.const 0) {}) (func $f) {fine})"#,
                "$f ".repeat(100_000)
            ))
        }),
    );
}
