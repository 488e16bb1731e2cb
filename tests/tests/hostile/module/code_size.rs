//! M08, M09: code that becomes much larger when it is compiled, and a great many tiny functions.
//!
//! A row: the code, the module, the verdict.

use super::encode::{
    CODE, FUNCTION, I32, I64, TYPE, body, code_of, export_run, function_type, functions, leb,
    module, one_function, one_of_type_0, one_type, repeated, section,
};
use crate::case::{Case, Source, loads, out_of_fuel, refused, starts};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    branch_tables(&mut cases);
    nesting(&mut cases);
    branches_with_values(&mut cases);
    blocks_with_parameters(&mut cases);
    tiny_functions(&mut cases);
    cases
}

/// M08: branch tables.
fn branch_tables(cases: &mut Vec<Case>) {
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
    #[rustfmt::skip] // a table
    let rows = [
        ("of 10,001 targets", table(10_001, 1), refused("over-limit branch_targets")),
        ("of 131,072 targets", table(131_072, 1), refused("over-limit branch_targets")),
        ("of 1,000,000 targets", table(1_000_000, 1), refused("invalid-module")),
        ("of 10,000 targets, 100 times", table(10_000, 100), loads()),
        ("of 1 target, 100,000 times", table(1, 100_000), loads()),
    ];
    for (what, source, verdict) in rows {
        let name = format!("M08/branch table {what}");
        cases.push(Case::load(name, source, verdict));
    }
}

/// M08: blocks within blocks.
fn nesting(cases: &mut Vec<Case>) {
    let nested = |open: &'static [u8], depth: usize| {
        Source::made(move || {
            let code = [open.repeat(depth), vec![0x0b; depth]].concat();
            one_function(&[], &[], &[0], &code)
        })
    };
    let kinds: [(&str, &'static [u8]); 3] = [
        ("blocks", &[0x02, 0x40]),
        ("loops", &[0x03, 0x40]),
        ("ifs", &[0x41, 0, 0x04, 0x40]),
    ];
    for (what, open) in kinds {
        for (shown, depth, verdict) in [
            ("4,000", 4_000, loads()),
            ("4,001", 4_001, refused("over-limit nesting")),
            ("200,000", 200_000, refused("over-limit nesting")),
        ] {
            let name = format!("M08/{shown} nested {what}");
            cases.push(Case::load(name, nested(open, depth), verdict));
        }
    }
    let blocks = nested(&[0x02, 0x40], 3_000_000);
    let verdict = refused("over-limit function_bytes");
    cases.push(Case::load("M08/3,000,000 nested blocks", blocks, verdict));
    let in_many = Source::made(|| {
        let code = [[0x02, 0x40].repeat(4_000), vec![0x0b; 4_000]].concat();
        let functions = repeated(FUNCTION, 50, &[0]);
        let bodies = repeated(CODE, 50, &body(&[0], &code));
        module(&[one_type(&[], &[]), functions, export_run(), bodies])
    });
    let name = "M08/4,000 nested blocks in each of 50 functions";
    cases.push(Case::load(name, in_many, loads()));
    let beside = Source::made(|| one_function(&[], &[], &[0], &[2, 0x40, 0x0b].repeat(300_000)));
    let name = "M08/300,000 blocks side by side";
    cases.push(Case::load(name, beside, loads()));
}

/// The limit on values that branches carry, with its name.
const CARRIED: &str = "over-limit carried_values";

/// M08: branches that carry values. Each is compiled to copies of all of them, which cost no fuel.
fn branches_with_values(cases: &mut Vec<Case>) {
    let of_the_function = function_type(&[I32], &[I64; 8]);
    let of_a_block = function_type(&[], &[I64; 8]);
    let types = section(TYPE, &[vec![2], of_the_function, of_a_block].concat());
    let with = |code: Vec<u8>| {
        let body = body(&[0], &code);
        module(&[types.clone(), one_of_type_0(), export_run(), code_of(&body)])
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
    #[rustfmt::skip] // a table
    let rows = [
        ("conditional branches out of a block with 8 results (W9)", block(&br_if(20_000, 0))),
        ("conditional branches out of a function with 8 results (W9)", here(&br_if(20_000, 0))),
        ("branch table out of a block with 8 results (W9)", block(&table(10_000, 0))),
        ("branch table out of a function with 8 results (W9)", here(&table(10_000, 0))),
        ("branch table through a block, out of a function", block(&table(10_000, 1))),
    ];
    for (what, code) in rows {
        let name = format!("M08/{what}");
        cases.push(Case::load(name, with(code), refused(CARRIED)));
    }
    // A return is as long as its values, which stand in the code.
    let one = [&[0x20, 0, 0x04, 0x40][..], &zeros, &[0x0f, 0x0b]].concat();
    let code = [one.repeat(20_000), zeros].concat();
    let name = "M08/20,000 returns of 8 results";
    cases.push(Case::load(name, with(code), loads()));
}

/// M08: blocks that take parameters. wasmi 2.0.0 reads stack slots around them that were never
/// set (W11).
fn blocks_with_parameters(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("block", "(drop (block (param i32) (result i32)))"),
        ("loop", "(drop (loop (param i32) (result i32)))"),
        ("loop that is branched to (W9)", "(loop (param i32) (br 0))"),
        ("if", "(i32.const 1) (if (param i32) (then (drop)) (else (drop)))"),
    ];
    for (what, items) in rows {
        let text = format!(r#"(module (func (export "run") (i32.const 7) {items}))"#);
        let name = format!("M08/{what} that takes a parameter");
        cases.push(Case::load(name, text, refused("unsupported")));
    }
}

/// M09: functions that cost more to set up than their bytes tell.
fn tiny_functions(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("1,900 empty functions", functions(1_900, &[0])),
        ("1,900 functions that trap", functions(1_900, &[0, 0])),
        ("50,000 functions that loop", functions(50_000, &[0, 3, 0x40, 0x0c, 0, 0x0b])),
    ];
    for (what, module) in rows {
        cases.push(Case::load(format!("M09/{what}"), module, loads()));
    }
    let empty = || functions(1_900, &[0]);
    let name = "M09/1,900 empty functions, instantiated";
    cases.push(Case::start(name, empty(), starts()));
    let name = "M09/1,900 functions cost fuel to instantiate";
    cases.push(Case::start(name, empty(), out_of_fuel()).fuel(100));
}
