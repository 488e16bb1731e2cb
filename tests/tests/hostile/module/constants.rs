//! M12: constant expressions that compute what is not constant, or are nested too deep.
//!
//! A row: the expression in words, the items of a module with it.

use super::encode::{
    DATA, ELEMENT, GLOBAL, MEMORY, TABLE, empty_code, export_run, module, one_of_type_0, one_type,
    section,
};
use super::with_run;
use crate::case::{Case, Source, loads, refused, starts};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    expressions(&mut cases);
    deep_expressions(&mut cases);
    cases
}

fn expressions(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("later global", "(global i32 (global.get 1)) (global i32 (i32.const 0))"),
        ("itself", "(global i32 (global.get 0))"),
        ("mutable global", "(global (mut i32) (i32.const 0)) (global i32 (global.get 0))"),
        ("function call", "(func $f (result i32) (i32.const 0)) (global i32 (call $f))"),
        ("load", "(memory 1) (global i32 (i32.load (i32.const 0)))"),
        ("memory's size", "(memory 1) (global i32 (memory.size))"),
        ("division", "(global i32 (i32.div_u (i32.const 1) (i32.const 0)))"),
        ("float sum", "(global f32 (f32.add (f32.const 0) (f32.const 0)))"),
        ("block", "(global i32 (block (result i32) (i32.const 0)))"),
        ("two values", "(global i32 (i32.const 0) (i32.const 0))"),
        ("no value", "(global i32)"),
        ("other type", "(global i32 (i64.const 0))"),
        ("unknown function", "(global funcref (ref.func 9))"),
    ];
    for (what, items) in rows {
        let name = format!("M12/global of a {what}");
        cases.push(Case::load(name, with_run(items), refused("invalid-module")));
    }
    let sum = with_run("(global i32 (i32.add (i32.const 1) (i32.const 2)))");
    cases.push(Case::load("M12/global of a sum", sum, loads()));
    for (what, items) in [
        ("data", r#"(memory 1) (data (memory.size) "x")"#),
        ("element", "(table 1 funcref) (elem (table.size) func)"),
    ] {
        let name = format!("M12/{what} at an offset that is computed");
        cases.push(Case::load(name, with_run(items), refused("invalid-module")));
    }
}

/// Encodes a constant expression that sums `terms` terms, nested on the left or on the right.
fn sum(terms: usize, left: bool) -> Vec<u8> {
    let value = if left {
        [&[0x41, 0][..], &[0x41, 0, 0x6a].repeat(terms)].concat()
    } else {
        [[0x41, 0].repeat(terms + 1), vec![0x6a; terms]].concat()
    };
    [value, vec![0x0b]].concat()
}

/// A module with `constant` as a global's value or as a segment's offset.
fn with_constant(place: &str, constant: &[u8]) -> Vec<u8> {
    let code = empty_code();
    let mut sections = vec![one_type(&[], &[]), one_of_type_0()];
    match place {
        "global" => {
            sections.push(section(GLOBAL, &[&[1, 0x7f, 0][..], constant].concat()));
            sections.extend([export_run(), code]);
        }
        "element's offset" => {
            sections.extend([section(TABLE, &[1, 0x70, 0, 1]), export_run()]);
            sections.push(section(ELEMENT, &[&[1, 0][..], constant, &[0]].concat()));
            sections.push(code);
        }
        _ => {
            sections.extend([section(MEMORY, &[1, 0, 1]), export_run(), code]);
            sections.push(section(DATA, &[&[1, 0][..], constant, &[0]].concat()));
        }
    }
    module(&sections)
}

/// wasmi evaluates constant expressions by recursion on the native stack (W16).
fn deep_expressions(cases: &mut Vec<Case>) {
    for place in ["global", "element's offset", "data's offset"] {
        for (side, left) in [("left", true), ("right", false)] {
            for (terms, verdict) in [
                (10, starts()),
                (10_000, refused("over-limit expression_bytes")),
                (200_000, refused("over-limit expression_bytes")),
            ] {
                let name = format!("M12/{place} that sums {terms} terms from the {side}");
                let made = Source::made(move || with_constant(place, &sum(terms, left)));
                let case = Case::start(name, made, verdict);
                cases.push(if terms > 10 { case.own_process() } else { case });
            }
        }
    }
}
