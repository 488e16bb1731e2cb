//! M04: sections out of order, and lies about lengths and counts.

use crate::{
    bytes::{body, export_run, leb, module, name, one_function, one_of_each, one_type, section},
    case::{Case, load},
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    section_order(&mut cases);
    section_sizes(&mut cases);
    counts(&mut cases);
    code_lies(&mut cases);
    operators(&mut cases);
    encodings(&mut cases);
    cases
}

// M04

fn section_order(cases: &mut Vec<Case>) {
    let sections = one_of_each();
    let known = &sections[..12];
    let put = |order: &[usize]| {
        let all: Vec<_> = order.iter().map(|at| known[*at].1.clone()).collect();
        module(&all)
    };
    for first in 0..11 {
        let mut order: Vec<_> = (0..12).collect();
        order.swap(first, first + 1);
        let name = format!("M04/{} before {}", known[first + 1].0, known[first].0);
        load(cases, name, put(&order), "invalid-module");
    }
    for (twice, (what, _)) in known.iter().enumerate() {
        let mut order: Vec<_> = (0..12).collect();
        order.insert(twice, twice);
        let name = format!("M04/{what} section twice");
        load(cases, name, put(&order), "invalid-module");
    }
    let mut backwards: Vec<_> = (0..12).collect();
    backwards.reverse();
    load(
        cases,
        "M04/sections backwards",
        put(&backwards),
        "invalid-module",
    );
    for id in [13, 14, 0x40, 0x7f, 0xff] {
        let wasm = module(&[
            section(id, &[0]),
            put(&(0..12).collect::<Vec<_>>())[8..].to_vec(),
        ]);
        load(
            cases,
            format!("M04/section of id {id}"),
            wasm,
            "invalid-module",
        );
    }
}

fn section_sizes(cases: &mut Vec<Case>) {
    let ty = [0x60, 0, 0];
    let rest = [
        section(3, &[1, 0]),
        export_run(),
        section(10, &[1, 2, 0, 0x0b]),
    ];
    for (what, size, code) in [
        ("in 5 bytes", &[0x84, 0x80, 0x80, 0x80, 0][..], "loaded"),
        (
            "in 6 bytes",
            &[0x84, 0x80, 0x80, 0x80, 0x80, 0],
            "invalid-module",
        ),
        (
            "in 33 bits",
            &[0x84, 0x80, 0x80, 0x80, 0x10],
            "invalid-module",
        ),
        (
            "in 35 bits",
            &[0xff, 0xff, 0xff, 0xff, 0x7f],
            "invalid-module",
        ),
        (
            "of 4 GiB",
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            "truncated-module",
        ),
        (
            "of 2 GiB",
            &[0x80, 0x80, 0x80, 0x80, 0x08],
            "truncated-module",
        ),
        ("without end", &[0x80; 40], "invalid-module"),
        ("of 0", &[0], "truncated-module"),
        ("one too small", &[3], "truncated-module"),
        ("one too large", &[5], "invalid-module"),
    ] {
        let first = [&[1][..], size, &[1], &ty].concat();
        let wasm = module(&[&[first][..], &rest].concat());
        load(cases, format!("M04/section size {what}"), wasm, code);
    }
    let cut = module(&[vec![1, 0x80, 0x80]]);
    load(cases, "M04/section size cut off", cut, "truncated-module");
    // The code section of 0 entries that wasmi's own limits divide by.
    let lie = b"\0asm\x01\0\0\0\x0a\xd0\x0f\0";
    load(
        cases,
        "M04/code count 0, size 2000, cut (W2)",
        lie.to_vec(),
        "invalid-module",
    );
    let full = [&lie[..], &[0; 1_999]].concat();
    load(
        cases,
        "M04/code count 0, size 2000 (W2)",
        full,
        "invalid-module",
    );
    let empty = module(&[section(10, &[0])]);
    load(
        cases,
        "M04/code count 0, size 1 (W2)",
        empty,
        "mismatch missing-export",
    );
}

fn counts(cases: &mut Vec<Case>) {
    const MOST: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x0f];
    let codes = [
        "over-limit types",
        "over-limit imports",
        "over-limit functions",
        "over-limit tables",
        "invalid-module",
        "over-limit globals",
        "over-limit exports",
        "",
        "over-limit segments",
        "invalid-module",
        "invalid-module",
        "over-limit segments",
    ];
    let sections = one_of_each();
    for (at, code) in codes.into_iter().enumerate() {
        let (what, bytes) = &sections[at];
        if *what == "start" {
            continue;
        }
        let with_count = |count: &[u8]| {
            let mut all: Vec<_> = sections.iter().map(|(_, bytes)| bytes.clone()).collect();
            all[at] = section(bytes[0], &[count, &bytes[3..]].concat());
            module(&all)
        };
        let of = |count: &str| format!("M04/{what} count of {count}");
        load(cases, of("4294967295"), with_count(MOST), code);
        load(cases, of("0"), with_count(&[0]), "invalid-module");
        let one_more = with_count(&[bytes[2] + 1]);
        let told_at_once = ["memory", "code", "data count"].contains(what);
        let code = if told_at_once {
            "invalid-module"
        } else {
            "truncated-module"
        };
        load(cases, of("one too many"), one_more, code);
    }
}

fn code_lies(cases: &mut Vec<Case>) {
    let with = |code: &[u8]| {
        module(&[
            one_type(&[], &[]),
            section(3, &[1, 0]),
            export_run(),
            section(10, code),
        ])
    };
    for (what, code, expected) in [
        ("body size of 0", &[1, 0][..], "truncated-module"),
        (
            "body size one too small",
            &[1, 1, 0, 0x0b],
            "invalid-module",
        ),
        (
            "body size one too large",
            &[1, 3, 0, 0x0b],
            "truncated-module",
        ),
        (
            "body size of 4 GiB",
            &[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0x0b],
            "truncated-module",
        ),
        ("body without end", &[1, 2, 0, 0x01], "invalid-module"),
        (
            "body with two ends",
            &[1, 3, 0, 0x0b, 0x0b],
            "invalid-module",
        ),
        (
            "bytes behind the last body",
            &[1, 2, 0, 0x0b, 0],
            "invalid-module",
        ),
        (
            "groups of locals without bytes",
            &[1, 2, 5, 0x0b],
            "truncated-module",
        ),
        (
            "4294967295 groups of locals",
            &[1, 7, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0x0b],
            "truncated-module",
        ),
        (
            "locals of no type",
            &[1, 4, 1, 1, 0x40, 0x0b],
            "invalid-module",
        ),
    ] {
        load(cases, format!("M04/{what}"), with(code), expected);
    }
    let no_code = module(&[one_type(&[], &[]), section(3, &[1, 0]), export_run()]);
    load(
        cases,
        "M04/functions without code",
        no_code,
        "invalid-module",
    );
    let no_function = module(&[one_type(&[], &[]), section(10, &[1, 2, 0, 0x0b])]);
    load(
        cases,
        "M04/code without functions",
        no_function,
        "invalid-module",
    );
    let one_data = section(11, b"\x01\x01\x01x");
    for (what, count, data) in [
        ("data count without data", 1, None),
        ("data count 0 for 1", 0, Some(&one_data)),
        ("data count 2 for 1", 2, Some(&one_data)),
        ("data count 4294967295 for 1", u32::MAX, Some(&one_data)),
    ] {
        let mut sections = vec![one_type(&[], &[]), section(3, &[1, 0]), export_run()];
        sections.push(section(12, &leb(count.into())));
        sections.push(section(10, &[1, 2, 0, 0x0b]));
        sections.extend(data.cloned());
        load(
            cases,
            format!("M04/{what}"),
            module(&sections),
            "invalid-module",
        );
    }
}

fn operators(cases: &mut Vec<Case>) {
    let most = &[0xff, 0xff, 0xff, 0xff, 0x0f];
    let with = |before: &[u8], after: &[u8]| [before, most, after].concat();
    for (what, code) in [
        (
            "i32.const in 6 bytes",
            vec![0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a],
        ),
        (
            "i32.const in 33 bits",
            vec![0x41, 0xff, 0xff, 0xff, 0xff, 0x4f, 0x1a],
        ),
        (
            "i64.const in 11 bytes",
            [&[0x42][..], &[0x80; 10], &[0, 0x1a]].concat(),
        ),
        ("f64.const cut off", vec![0x44, 0, 0, 0]),
        ("local of index 4294967295", with(&[0x20], &[0x1a])),
        ("global of index 4294967295", with(&[0x23], &[0x1a])),
        ("call of function 4294967295", with(&[0x10], &[])),
        (
            "call_indirect of type 4294967295",
            with(&[0x41, 0, 0x11], &[0]),
        ),
        ("branch to depth 4294967295", with(&[0x0c], &[])),
        (
            "branch table of 4294967295 targets",
            with(&[0x41, 0, 0x0e], &[]),
        ),
        ("block of type 4294967295", with(&[0x02], &[0x0b])),
        ("block of negative type", vec![0x02, 0x41, 0x0b]),
        (
            "load aligned to 2 to the 4294967295",
            with(&[0x41, 0, 0x28], &[0, 0x1a]),
        ),
        ("load without memory", vec![0x41, 0, 0x28, 2, 0, 0x1a]),
        ("data.drop of segment 4294967295", with(&[0xfc, 9], &[])),
        ("else without if", vec![0x05]),
        ("drop of nothing", vec![0x1a]),
        ("value left over", vec![0x41, 0]),
        ("opcode 0x27", vec![0x27]),
        ("opcode 0xff", vec![0xff]),
        ("opcode 0xfc 0xff", vec![0xfc, 0xff, 0x7f]),
        (
            "opcode 0xfc in 6 bytes",
            vec![0xfc, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
        ),
        ("opcode 0xfd 0", vec![0xfd, 0, 0, 0]),
        ("opcode 0xfe 3", vec![0xfe, 3, 0]),
        (
            "select of two types",
            vec![0x41, 0, 0x42, 0, 0x41, 0, 0x1b, 0x1a],
        ),
        (
            "typed select of no type",
            vec![0x41, 0, 0x41, 0, 0x41, 0, 0x1c, 0, 0x1a],
        ),
    ] {
        let wasm = one_function(&[], &[], &[0], &code);
        let cut = what.ends_with("cut off");
        let expected = if cut {
            "truncated-module"
        } else {
            "invalid-module"
        };
        load(cases, format!("M04/{what}"), wasm, expected);
    }
}

fn encodings(cases: &mut Vec<Case>) {
    let run = [
        section(3, &[1, 0]),
        export_run(),
        section(10, &[1, 2, 0, 0x0b]),
    ];
    let with = |before: Vec<u8>, at: usize| {
        let mut sections = vec![one_type(&[], &[])];
        sections.extend(run.iter().cloned());
        sections.insert(at, before);
        module(&sections)
    };
    for (what, at, bytes) in [
        (
            "table of a type that is off",
            2,
            section(4, &[1, 0x6e, 0, 1]),
        ),
        (
            "table of unknown flags",
            2,
            section(4, &[1, 0x70, 0xff, 0x01, 1]),
        ),
        (
            "table with max below min",
            2,
            section(4, &[1, 0x70, 1, 2, 1]),
        ),
        ("memory of unknown flags", 2, section(5, &[1, 0x20, 1])),
        ("memory with max below min", 2, section(5, &[1, 1, 2, 1])),
        (
            "memory of 65537 pages",
            2,
            section(5, &[1, 0, 0x81, 0x80, 0x04]),
        ),
        (
            "global of mutability 2",
            2,
            section(6, &[1, 0x7f, 2, 0x41, 0, 0x0b]),
        ),
        (
            "global of no type",
            2,
            section(6, &[1, 0x40, 0, 0x41, 0, 0x0b]),
        ),
        (
            "import of kind 9",
            1,
            section(2, b"\x01\x03env\x01x\x09\x00"),
        ),
        (
            "import of type 7",
            1,
            section(2, b"\x01\x03env\x01x\x00\x07"),
        ),
        (
            "element of flags 8",
            3,
            section(9, &[1, 8, 0x41, 0, 0x0b, 0]),
        ),
        ("data of flags 3", 4, section(11, &[1, 3, 0])),
    ] {
        load(
            cases,
            format!("M04/{what}"),
            with(bytes, at),
            "invalid-module",
        );
    }
    for (what, form) in [("form 0x5f", 0x5f), ("form 0x00", 0), ("form 0x40", 0x40)] {
        let wasm = module(&[section(1, &[1, form, 0])]);
        load(cases, format!("M04/type of {what}"), wasm, "invalid-module");
    }
    for (what, bytes) in [
        ("a cut character", &b"\xf0\x9f\x98"[..]),
        ("a surrogate", b"\xed\xa0\x80"),
        ("a byte of 0xff", b"\xff"),
        ("an over-long slash", b"\xc0\xaf"),
    ] {
        let export = [&[1][..], &name(bytes), &[0, 0]].concat();
        let code = section(10, &[&[1][..], &body(&[0], &[])].concat());
        let wasm = module(&[
            one_type(&[], &[]),
            section(3, &[1, 0]),
            section(7, &export),
            code,
        ]);
        load(
            cases,
            format!("M04/export name with {what}"),
            wasm,
            "invalid-module",
        );
        let import = [&[1][..], &name(bytes), &name(b"x"), &[0, 0]].concat();
        let wasm = module(&[one_type(&[], &[]), section(2, &import)]);
        load(
            cases,
            format!("M04/import module with {what}"),
            wasm,
            "invalid-module",
        );
    }
    for (what, size, code) in [
        (
            "4 GiB",
            &[0xff, 0xff, 0xff, 0xff, 0x0f][..],
            "invalid-module",
        ),
        ("9 of 3", &[9], "truncated-module"),
    ] {
        let export = [&[1][..], size, b"run", &[0, 0]].concat();
        let wasm = module(&[one_type(&[], &[]), section(3, &[1, 0]), section(7, &export)]);
        load(
            cases,
            format!("M04/export name of {what} bytes"),
            wasm,
            code,
        );
    }
}
