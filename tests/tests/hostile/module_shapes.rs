//! M08-M11: code that grows when it is compiled, and sizes that do not fit.

use crate::{
    bytes::{
        I32, I64, around, body, code, export_run, function_type, functions, leb, module, name,
        one_function, one_type, repeated, section,
    },
    case::{Act, Case, Source, clean, load, spent, trap},
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    branches(&mut cases);
    nesting(&mut cases);
    carried(&mut cases);
    tiny_functions(&mut cases);
    tables_and_memories(&mut cases);
    segments(&mut cases);
    cases
}

// M08

fn branches(cases: &mut Vec<Case>) {
    let table = |targets: usize, times: usize| {
        Source::made(move || {
            let one = [
                &[0x41, 0, 0x0e][..],
                &leb(targets as u64),
                &vec![0; targets + 1],
            ]
            .concat();
            let code = [&[0x02, 0x40][..], &one, &[0x0b]].concat().repeat(times);
            one_function(&[], &[], &[0], &code)
        })
    };
    for (what, source, code) in [
        (
            "of 10,001 targets",
            table(10_001, 1),
            "over-limit branch_targets",
        ),
        (
            "of 131,072 targets",
            table(131_072, 1),
            "over-limit branch_targets",
        ),
        (
            "of 1,000,000 targets",
            table(1_000_000, 1),
            "invalid-module",
        ),
        ("of 10,000 targets, 100 times", table(10_000, 100), "loaded"),
        ("of 1 target, 100,000 times", table(1, 100_000), "loaded"),
    ] {
        load(cases, format!("M08/branch table {what}"), source, code);
    }
}

fn nesting(cases: &mut Vec<Case>) {
    let nested = |open: &'static [u8], depth: usize| {
        Source::made(move || {
            one_function(
                &[],
                &[],
                &[0],
                &[open.repeat(depth), vec![0x0b; depth]].concat(),
            )
        })
    };
    let kinds: [(&str, &'static [u8]); 3] = [
        ("blocks", &[0x02, 0x40]),
        ("loops", &[0x03, 0x40]),
        ("ifs", &[0x41, 0, 0x04, 0x40]),
    ];
    for (what, open) in kinds {
        let name = |depth: &str| format!("M08/{depth} nested {what}");
        load(cases, name("4,000"), nested(open, 4_000), "loaded");
        load(
            cases,
            name("4,001"),
            nested(open, 4_001),
            "over-limit nesting",
        );
        load(
            cases,
            name("200,000"),
            nested(open, 200_000),
            "over-limit nesting",
        );
    }
    let three_million = nested(&[0x02, 0x40], 3_000_000);
    load(
        cases,
        "M08/3,000,000 nested blocks",
        three_million,
        "over-limit function_bytes",
    );
    let in_many = Source::made(|| {
        let code = [[0x02, 0x40].repeat(4_000), vec![0x0b; 4_000]].concat();
        let bodies = repeated(10, 50, &body(&[0], &code));
        module(&[
            one_type(&[], &[]),
            repeated(3, 50, &[0]),
            export_run(),
            bodies,
        ])
    });
    load(
        cases,
        "M08/4,000 nested blocks in each of 50 functions",
        in_many,
        "loaded",
    );
    let beside = Source::made(|| one_function(&[], &[], &[0], &[2, 0x40, 0x0b].repeat(300_000)));
    load(cases, "M08/300,000 blocks side by side", beside, "loaded");
}

const CARRIED: &str = "over-limit values carried by branches for each byte of code";

/// Branches that carry values: each copies all of them, in code that nobody charges for.
fn carried(cases: &mut Vec<Case>) {
    // The function's type, and that of a block.
    let types = [
        function_type(&[I32], &[I64; 8]),
        function_type(&[], &[I64; 8]),
    ]
    .concat();
    let types = section(1, &[&[2][..], &types].concat());
    let with = |code: Vec<u8>| {
        let body = body(&[0], &code);
        module(&[
            types.clone(),
            section(3, &[1, 0]),
            export_run(),
            section(10, &[&[1][..], &body].concat()),
        ])
    };
    let zeros = [0x42, 0].repeat(8);
    let br_if = |times: usize, depth: u8| [0x20, 0, 0x0d, depth].repeat(times);
    let table = |targets: usize, depth: u8| {
        [
            &[0x20, 0, 0x0e][..],
            &leb(targets as u64),
            &vec![depth; targets + 1],
        ]
        .concat()
    };
    let block = |code: &[u8]| [&[0x02, 1][..], &zeros, code, &[0x0b]].concat();
    let here = |code: &[u8]| [&zeros[..], code].concat();
    for (what, code, expected) in [
        (
            "conditional branches out of a block with 8 results (W9)",
            block(&br_if(20_000, 0)),
            CARRIED,
        ),
        (
            "conditional branches out of a function with 8 results (W9)",
            here(&br_if(20_000, 0)),
            CARRIED,
        ),
        (
            "branch table out of a block with 8 results (W9)",
            block(&table(10_000, 0)),
            CARRIED,
        ),
        (
            "branch table out of a function with 8 results (W9)",
            here(&table(10_000, 0)),
            CARRIED,
        ),
        (
            "branch table through a block, out of a function",
            block(&table(10_000, 1)),
            CARRIED,
        ),
    ] {
        load(cases, format!("M08/{what}"), with(code), expected);
    }
    let returns = [&[0x20, 0, 0x04, 0x40][..], &zeros, &[0x0f, 0x0b]]
        .concat()
        .repeat(20_000);
    load(
        cases,
        "M08/20,000 returns of 8 results",
        with([&returns[..], &zeros].concat()),
        "loaded",
    );
    // Around blocks that take parameters, wasmi 2.0.0 reads stack slots that were not set.
    for (what, items) in [
        ("block", "(drop (block (param i32) (result i32)))"),
        ("loop", "(drop (loop (param i32) (result i32)))"),
        ("loop that is branched to (W9)", "(loop (param i32) (br 0))"),
        (
            "if",
            "(i32.const 1) (if (param i32) (then (drop)) (else (drop)))",
        ),
    ] {
        let text = format!(r#"(module (func (export "run") (i32.const 7) {items}))"#);
        load(
            cases,
            format!("M08/{what} that takes a parameter"),
            text,
            "unsupported",
        );
    }
}

// M09

fn tiny_functions(cases: &mut Vec<Case>) {
    load(
        cases,
        "M09/1,900 empty functions",
        functions(1_900, &[0]),
        "loaded",
    );
    load(
        cases,
        "M09/1,900 functions that trap",
        functions(1_900, &[0, 0]),
        "loaded",
    );
    load(
        cases,
        "M09/50,000 functions that loop",
        functions(50_000, &[0, 3, 0x40, 0x0c, 0, 0x0b]),
        "loaded",
    );
    let start = Case::new(
        "M09/1,900 empty functions, instantiated",
        functions(1_900, &[0]),
        Act::Start,
        clean("started"),
    );
    cases.push(start);
    let dear = Case::new(
        "M09/1,900 functions cost fuel to instantiate",
        functions(1_900, &[0]),
        Act::Start,
        spent("out-of-fuel"),
    );
    cases.push(dear.fuel(100));
}

// M10

fn tables_and_memories(cases: &mut Vec<Case>) {
    for (what, items, expected) in [
        (
            "table of 10,000,000 elements",
            "(table 10000000 funcref)",
            "over-limit table_elements",
        ),
        (
            "table of 100,001 elements",
            "(table 100001 funcref)",
            "over-limit table_elements",
        ),
        (
            "table of 4294967295 elements",
            "(table 4294967295 externref)",
            "over-limit table_elements",
        ),
        (
            "two tables over the limit together",
            "(table 50000 funcref) (table 50001 externref)",
            "over-limit table_elements",
        ),
        (
            "table of 100,000 elements",
            "(table 100000 funcref)",
            "loaded",
        ),
        (
            "table that may have 4294967295 elements",
            "(table 0 4294967295 funcref)",
            "loaded",
        ),
        (
            "table of 64 bits",
            "(table i64 1 funcref)",
            "invalid-module",
        ),
        (
            "memory of 4 GiB",
            "(memory 65536)",
            "over-limit memory_bytes",
        ),
        (
            "memory of a page too much",
            "(memory 17)",
            "over-limit memory_bytes",
        ),
        ("memory as large as allowed", "(memory 16)", "loaded"),
        ("memory that may have 4 GiB", "(memory 0 65536)", "loaded"),
        (
            "memory of 64 bits (W3)",
            "(memory i64 1 0x1000000000000)",
            "invalid-module",
        ),
        ("two memories", "(memory 1) (memory 1)", "invalid-module"),
        ("shared memory", "(memory 1 1 shared)", "invalid-module"),
        (
            "memory with pages of a byte",
            "(memory 1 (pagesize 1))",
            "loaded",
        ),
    ] {
        let text = format!(r#"(module {items} (func (export "run")))"#);
        load(cases, format!("M10/{what}"), text, expected);
    }
    for (what, count, size, expected) in [
        ("17 tables", 17, 0, "over-limit tables"),
        ("100 tables", 100, 0, "over-limit tables"),
        (
            "100 tables of 10,000,000 elements",
            100,
            10_000_000,
            "over-limit tables",
        ),
        (
            "16 tables of 10,000 elements",
            16,
            10_000,
            "over-limit table_elements",
        ),
        ("16 tables", 16, 1_000, "loaded"),
    ] {
        let tables = repeated(4, count, &[&[0x70, 0][..], &leb(size)].concat());
        let wasm = around(vec![], vec![tables], vec![code()]);
        load(cases, format!("M10/{what}"), wasm, expected);
    }
    cases.push(Case::new(
        "M10/full table is instantiated",
        r#"(module (table 100000 externref) (func (export "run")))"#,
        Act::run(),
        clean(""),
    ));
}

// M11

fn segments(cases: &mut Vec<Case>) {
    for (what, item, expected) in [
        (
            "data at the end",
            r#"(memory 1) (data (i32.const 65535) "x")"#,
            "ok",
        ),
        (
            "data one over the end",
            r#"(memory 1) (data (i32.const 65536) "x")"#,
            "trap-memory",
        ),
        (
            "data across the end",
            r#"(memory 1) (data (i32.const 65535) "xy")"#,
            "trap-memory",
        ),
        (
            "data at -1",
            r#"(memory 1) (data (i32.const -1) "x")"#,
            "trap-memory",
        ),
        (
            "data at 2 GiB",
            r#"(memory 1) (data (i32.const 0x80000000) "x")"#,
            "trap-memory",
        ),
        (
            "no data at the end",
            r#"(memory 1) (data (i32.const 65536) "")"#,
            "ok",
        ),
        (
            "no data behind the end",
            r#"(memory 1) (data (i32.const 65537) "")"#,
            "trap-memory",
        ),
        (
            "data for a memory of no pages",
            r#"(memory 0) (data (i32.const 0) "x")"#,
            "trap-memory",
        ),
        (
            "data at a wrapping sum",
            r#"(memory 1) (data (i32.add (i32.const -1) (i32.const 2)) "x")"#,
            "ok",
        ),
        (
            "element at the end",
            "(table 1 funcref) (elem (i32.const 0) $f)",
            "ok",
        ),
        (
            "element one over the end",
            "(table 1 funcref) (elem (i32.const 1) $f)",
            "trap-instantiation",
        ),
        (
            "element across the end",
            "(table 1 funcref) (elem (i32.const 0) $f $f)",
            "trap-instantiation",
        ),
        (
            "element at -1",
            "(table 1 funcref) (elem (i32.const -1) $f)",
            "trap-instantiation",
        ),
        (
            "no element behind the end",
            "(table 1 funcref) (elem (i32.const 2) func)",
            "trap-instantiation",
        ),
        (
            "second of two segments",
            r#"(memory 1) (data (i32.const 0) "x") (data (i32.const -1) "x")"#,
            "trap-memory",
        ),
    ] {
        let text = format!(r#"(module (func $f (export "run")) {item})"#);
        let verdict = if expected == "ok" {
            clean("started")
        } else {
            trap(expected)
        };
        cases.push(Case::new(format!("M11/{what}"), text, Act::Start, verdict));
    }
    for (what, before, after, expected) in [
        (
            "data without memory",
            vec![],
            section(11, b"\x01\x00\x41\x00\x0b\x01x"),
            "invalid-module",
        ),
        (
            "data of memory 1",
            vec![section(5, &[1, 0, 1])],
            section(11, b"\x01\x02\x01\x41\x00\x0b\x01x"),
            "invalid-module",
        ),
        (
            "data at an i64",
            vec![section(5, &[1, 0, 1])],
            section(11, b"\x01\x00\x42\x00\x0b\x01x"),
            "invalid-module",
        ),
        (
            "50,000,000 data segments",
            vec![section(5, &[1, 0, 1])],
            section(11, &[&leb(50_000_000)[..], &[1, 0]].concat()),
            "over-limit segments",
        ),
        (
            "10,001 data segments",
            vec![section(5, &[1, 0, 1])],
            repeated(11, 10_001, &[1, 0]),
            "over-limit segments",
        ),
        (
            "10,000 data segments",
            vec![section(5, &[1, 0, 1])],
            repeated(11, 10_000, &[1, 0]),
            "loaded",
        ),
        (
            "data size of 4 GiB",
            vec![section(5, &[1, 0, 1])],
            section(11, &[1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]),
            "truncated-module",
        ),
        (
            "more data than memory",
            vec![section(5, &[1, 0, 1])],
            section(11, &[&[1, 1][..], &name(&vec![7; 1 << 20])].concat()),
            "loaded",
        ),
    ] {
        let wasm = around(vec![], before, vec![code(), after]);
        load(cases, format!("M11/{what}"), wasm, expected);
    }
    let passive = |count: usize| {
        let elements = [&[1, 1, 0][..], &leb(count as u64), &vec![0; count]];
        section(9, &elements.concat())
    };
    let table = || vec![section(4, &[1, 0x70, 0, 1])];
    for (what, before, element, expected) in [
        (
            "element without table",
            vec![],
            section(9, &[1, 0, 0x41, 0, 0x0b, 1, 0]),
            "invalid-module",
        ),
        (
            "element of function 9",
            table(),
            section(9, &[1, 0, 0x41, 0, 0x0b, 1, 9]),
            "invalid-module",
        ),
        (
            "10,001 element segments",
            table(),
            repeated(9, 10_001, &[1, 0, 0]),
            "over-limit segments",
        ),
        (
            "10,000 element segments",
            table(),
            repeated(9, 10_000, &[1, 0, 0]),
            "loaded",
        ),
        (
            "segment of 100,001 elements",
            table(),
            passive(100_001),
            "over-limit elements",
        ),
        (
            "segment of 100,000 elements",
            table(),
            passive(100_000),
            "loaded",
        ),
        (
            "element count of 4294967295",
            table(),
            section(9, &[1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]),
            "truncated-module",
        ),
    ] {
        let wasm = around(vec![], before, vec![element, code()]);
        load(cases, format!("M11/{what}"), wasm, expected);
    }
}
