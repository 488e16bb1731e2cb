//! M12-M14: constant expressions, custom sections and start functions.

use crate::{
    bytes::{export_run, module, name, one_type, section},
    case::{Act, Case, Source, by_code, clean, load, refused},
};
use hostel::Budget;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    constants(&mut cases);
    deep_constants(&mut cases);
    custom_sections(&mut cases);
    starts(&mut cases);
    cases
}

fn with_run(items: &str) -> String {
    format!(r#"(module {items} (func (export "run")))"#)
}

// M12

fn constants(cases: &mut Vec<Case>) {
    for (what, items, code) in [
        (
            "later global",
            "(global i32 (global.get 1)) (global i32 (i32.const 0))",
            "invalid-module",
        ),
        ("itself", "(global i32 (global.get 0))", "invalid-module"),
        (
            "mutable global",
            "(global (mut i32) (i32.const 0)) (global i32 (global.get 0))",
            "invalid-module",
        ),
        (
            "function call",
            "(func $f (result i32) (i32.const 0)) (global i32 (call $f))",
            "invalid-module",
        ),
        (
            "load",
            "(memory 1) (global i32 (i32.load (i32.const 0)))",
            "invalid-module",
        ),
        (
            "memory's size",
            "(memory 1) (global i32 (memory.size))",
            "invalid-module",
        ),
        (
            "division",
            "(global i32 (i32.div_u (i32.const 1) (i32.const 0)))",
            "invalid-module",
        ),
        (
            "float sum",
            "(global f32 (f32.add (f32.const 0) (f32.const 0)))",
            "invalid-module",
        ),
        (
            "block",
            "(global i32 (block (result i32) (i32.const 0)))",
            "invalid-module",
        ),
        (
            "two values",
            "(global i32 (i32.const 0) (i32.const 0))",
            "invalid-module",
        ),
        ("no value", "(global i32)", "invalid-module"),
        ("other type", "(global i32 (i64.const 0))", "invalid-module"),
        (
            "unknown function",
            "(global funcref (ref.func 9))",
            "invalid-module",
        ),
        (
            "sum",
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
            "loaded",
        ),
    ] {
        load(
            cases,
            format!("M12/global of a {what}"),
            with_run(items),
            code,
        );
    }
    for (what, items) in [
        ("data", r#"(memory 1) (data (memory.size) "x")"#),
        ("element", "(table 1 funcref) (elem (table.size) func)"),
    ] {
        let name = format!("M12/{what} at an offset that is computed");
        load(cases, name, with_run(items), "invalid-module");
    }
}

/// A constant expression that sums so many terms, from the left or from the right.
fn sum(terms: usize, left: bool) -> Vec<u8> {
    let value = if left {
        [&[0x41, 0][..], &[0x41, 0, 0x6a].repeat(terms)].concat()
    } else {
        [[0x41, 0].repeat(terms + 1), vec![0x6a; terms]].concat()
    };
    [value, vec![0x0b]].concat()
}

/// A module with a constant expression as a global's value or a segment's offset.
fn with_constant(place: &str, constant: &[u8]) -> Vec<u8> {
    let code = section(10, &[1, 2, 0, 0x0b]);
    let mut sections = vec![one_type(&[], &[]), section(3, &[1, 0])];
    match place {
        "global" => {
            sections.push(section(6, &[&[1, 0x7f, 0][..], constant].concat()));
            sections.extend([export_run(), code]);
        }
        "element's offset" => {
            sections.extend([section(4, &[1, 0x70, 0, 1]), export_run()]);
            sections.push(section(9, &[&[1, 0][..], constant, &[0]].concat()));
            sections.push(code);
        }
        _ => {
            sections.extend([section(5, &[1, 0, 1]), export_run(), code]);
            sections.push(section(11, &[&[1, 0][..], constant, &[0]].concat()));
        }
    }
    module(&sections)
}

fn deep_constants(cases: &mut Vec<Case>) {
    for place in ["global", "element's offset", "data's offset"] {
        for (side, left) in [("left", true), ("right", false)] {
            for (terms, verdict) in [
                (10, clean("started")),
                (10_000, refused("over-limit expression_bytes")),
                (200_000, refused("over-limit expression_bytes")),
            ] {
                let name = format!("M12/{place} that sums {terms} terms from the {side}");
                let made = Source::made(move || with_constant(place, &sum(terms, left)));
                let case = Case::new(name, made, Act::Start, verdict);
                cases.push(if terms > 10 { case.apart() } else { case });
            }
        }
    }
}

// M13

fn custom_sections(cases: &mut Vec<Case>) {
    let with = |customs: Vec<u8>| {
        let run = [
            one_type(&[], &[]),
            section(3, &[1, 0]),
            export_run(),
            section(10, &[1, 2, 0, 0x0b]),
            customs,
        ];
        module(&run)
    };
    let one =
        |title: &[u8], contents: &[u8]| section(0, &[name(title), contents.to_vec()].concat());
    for (what, customs, code) in [
        ("100 of them", one(b"x", b"").repeat(100), "loaded"),
        (
            "101 of them",
            one(b"x", b"").repeat(101),
            "over-limit custom_sections",
        ),
        (
            "10,000 of them",
            one(b"x", b"").repeat(10_000),
            "over-limit custom_sections",
        ),
        ("4 MB", one(b"x", &vec![0; 4_000_000]), "loaded"),
        (
            "a name of 90,000 bytes",
            one(&[b'n'; 90_000], b""),
            "loaded",
        ),
        (
            "a name of 1 MB",
            one(&vec![b'n'; 1_000_000], b""),
            "invalid-module",
        ),
        (
            "a name of control characters",
            one(b"\x1b[2J\n\xe2\x80\xae", b""),
            "loaded",
        ),
        (
            "a name that is not text",
            one(b"\xff", b""),
            "invalid-module",
        ),
        (
            "a name longer than itself",
            section(0, b"\x09x"),
            "truncated-module",
        ),
        ("no name", section(0, b""), "truncated-module"),
        ("names of rubbish", one(b"name", &[0xff; 300]), "loaded"),
        (
            "names of 4294967295 functions",
            one(b"name", &[1, 6, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]),
            "loaded",
        ),
        (
            "producers of rubbish",
            one(b"producers", &[0xff; 300]),
            "loaded",
        ),
        (
            "linking of rubbish",
            one(b"linking", &[0xff; 300]),
            "loaded",
        ),
        (
            "dylink of rubbish",
            one(b"dylink.0", &[0xff; 300]),
            "loaded",
        ),
        (
            "branch hints of rubbish",
            one(b"metadata.code.branch_hint", &[0xff; 300]),
            "loaded",
        ),
        (
            "debug lines of rubbish",
            one(b".debug_line", &[0xff; 300]),
            "loaded",
        ),
        (
            "a module inside",
            one(b"x", b"\0asm\x01\0\0\0\x0a\xd0\x0f\0"),
            "loaded",
        ),
    ] {
        load(
            cases,
            format!("M13/custom section: {what}"),
            with(customs),
            code,
        );
    }
    let only = module(&[one(b"x", &[0; 100])]);
    load(
        cases,
        "M13/custom section: nothing else",
        only,
        "mismatch missing-export",
    );
}

// M14

fn starts(cases: &mut Vec<Case>) {
    let imports = r#"(import "env" "host_log" (func $log (param i32 i32)))
        (import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))
        (import "host" "boom" (func $boom (result i32)))"#;
    for (what, body, code) in [
        ("does nothing", "(nop)", "ok"),
        ("loops", "(loop $on (br $on))", "out-of-fuel"),
        (
            "loops in a grown memory",
            "(loop $on (drop (memory.grow (i32.const 1))) (br $on))",
            "out-of-fuel",
        ),
        ("traps", "(unreachable)", "trap-unreachable"),
        (
            "stores outside",
            "(i32.store (i32.const -1) (i32.const 0))",
            "trap-memory",
        ),
        (
            "divides by zero",
            "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 64))))",
            "trap-division",
        ),
        ("calls itself", "(call $start)", "trap-stack"),
        (
            "calls nothing",
            "(call_indirect (i32.const 0))",
            "trap-null-call",
        ),
        ("logs", "(call $log (i32.const 0) (i32.const 3))", "ok"),
        (
            "logs for ever",
            "(loop $on (call $log (i32.const 0) (i32.const 3)) (br $on))",
            "out-of-fuel",
        ),
        (
            "logs from outside",
            "(call $log (i32.const -1) (i32.const 1))",
            "trap-host-call",
        ),
        (
            "asks for a setting",
            "(call $get (i32.const 0) (i32.const 3)) (drop) (drop)",
            "ok",
        ),
        (
            "asks from outside",
            "(call $get (i32.const 65536) (i32.const 1)) (drop) (drop)",
            "trap-host-call",
        ),
    ] {
        for (how, section) in [
            ("start", "(start $start)"),
            ("_initialize", r#"(export "_initialize" (func $start))"#),
        ] {
            let text = format!(
                r#"(module {imports} (memory (export "memory") 1) (table 1 funcref)
                    (data (i32.const 0) "key")
                    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
                    (func (export "run"))
                    (func $start {body}) {section})"#
            );
            let verdict = by_code(code, "started");
            cases.push(Case::new(
                format!("M14/{how} that {what}"),
                text,
                Act::Start,
                verdict,
            ));
        }
    }
    let panics = format!(
        r#"(module {imports} (memory (export "memory") 1)
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "run")) (func $start (drop (call $boom))) (start $start))"#
    );
    let panics = Case::new(
        "M14/start whose host function panics",
        panics,
        Act::Start,
        by_code("trap-host-panic", ""),
    );
    cases.push(panics.panics(1));
    let both = with_run(
        r#"(start $a) (func $a (loop $on (br $on))) (func (export "_initialize") (unreachable))"#,
    );
    cases.push(Case::new(
        "M14/start loops before _initialize traps",
        both,
        Act::Start,
        by_code("out-of-fuel", ""),
    ));
    let deadline = with_run("(start $a) (func $a (loop $on (br $on)))");
    let deadline = Case::new(
        "M14/start that loops until its deadline",
        deadline,
        Act::Start,
        by_code("deadline", ""),
    );
    cases.push(deadline.budget(|budget| {
        *budget = Budget::server()
            .fuel(u64::MAX)
            .deadline(core::time::Duration::from_millis(10));
    }));
    for (what, items, code) in [
        (
            "with a parameter",
            "(func $s (param i32)) (start $s)",
            "invalid-module",
        ),
        (
            "with a result",
            "(func $s (result i32) (i32.const 0)) (start $s)",
            "invalid-module",
        ),
        ("that is not there", "(start 9)", "invalid-module"),
        (
            "that is an import nobody grants",
            r#"(import "x" "y" (func $s)) (start $s)"#,
            "mismatch unknown-import",
        ),
        (
            "under a reserved name",
            r#"(func (export "hostel:start"))"#,
            "unsupported",
        ),
        (
            "that is an import",
            r#"(import "host" "noop" (func $s)) (start $s)"#,
            "loaded",
        ),
    ] {
        load(cases, format!("M14/start {what}"), with_run(items), code);
    }
    for (what, ty) in [
        ("with a parameter", "(param i32)"),
        ("with a result", "(result i32)"),
    ] {
        let items = format!(r#"(func (export "_initialize") {ty} (unreachable))"#);
        load(
            cases,
            format!("M14/_initialize {what}"),
            with_run(&items),
            "mismatch export-type",
        );
    }
}
