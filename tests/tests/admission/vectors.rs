//! Patterns of vectors, for hosts that are built with them.

use super::patterns::{Pattern, VALUES};
use hostel::{Engine, Grants};
use hostel_tests::assemble;

/// A local, a constant, a global and a result.
const VECTORS: [&str; 4] = [
    "(local.get $v)",
    "(v128.const i64x2 5 6)",
    "(global.get $gv)",
    "(v128.not (local.get $w))",
];

/// Whether the library is built with vectors: other packages of the workspace may have switched them on.
pub(crate) fn are_on() -> bool {
    let text = r#"(module (func (export "f") (drop (v128.const i64x2 1 2))))"#;
    let loaded = Engine::default().load("vectors", &assemble(text), &Grants::new());
    match loaded {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code(), "needs-proposal", "{error}");
            false
        }
    }
}

fn pattern(name: impl Into<String>, code: impl Into<String>) -> Pattern {
    Pattern {
        name: name.into(),
        items: "(global $gv (mut v128) (v128.const i64x2 0 0))".to_owned(),
        locals: "(local $v v128) (local $w v128)",
        code: format!("{}\n", code.into()),
    }
}

/// Returns all patterns of vectors.
pub(crate) fn code() -> Vec<Pattern> {
    let mut patterns = Vec::new();
    memory(&mut patterns);
    operators(&mut patterns);
    control(&mut patterns);
    calls(&mut patterns);
    patterns
}

/// Loads and stores, of values and addresses of each kind, near and far.
fn memory(patterns: &mut Vec<Pattern>) {
    let addresses = [
        "(local.get $i)",
        "(i32.const 64)",
        "(i32.load (local.get $i))",
    ];
    for address in addresses {
        for offset in [8, 70_000] {
            for load in [
                "load",
                "load8x8_s",
                "load32x2_u",
                "load8_splat",
                "load64_splat",
                "load32_zero",
            ] {
                patterns.push(pattern(
                    format!("v128.{load} at {address} + {offset}"),
                    format!("(drop (v128.{load} offset={offset} {address}))"),
                ));
            }
            for vector in VECTORS {
                patterns.push(pattern(
                    format!("v128.store at {address} + {offset} of {vector}"),
                    format!("(v128.store offset={offset} {address} {vector})"),
                ));
                for width in [8, 16, 32, 64] {
                    patterns.push(pattern(
                        format!("v128.store{width}_lane at {address} + {offset} of {vector}"),
                        format!("(v128.store{width}_lane offset={offset} 1 {address} {vector})"),
                    ));
                }
                for width in [8, 64] {
                    patterns.push(pattern(
                        format!("v128.load{width}_lane at {address} + {offset} of {vector}"),
                        format!(
                            "(drop (v128.load{width}_lane offset={offset} 1 {address} {vector}))"
                        ),
                    ));
                }
            }
        }
    }
}

/// Operators of each number and kind of operands.
fn operators(patterns: &mut Vec<Pattern>) {
    for left in VECTORS {
        for operator in ["i8x16.neg", "f64x2.sqrt", "i64x2.extend_high_i32x4_s"] {
            patterns.push(pattern(
                format!("{operator} of {left}"),
                format!("(drop ({operator} {left}))"),
            ));
        }
        for operator in [
            "v128.any_true",
            "i8x16.all_true",
            "i16x8.bitmask",
            "i8x16.extract_lane_s 5",
            "i64x2.extract_lane 1",
            "f32x4.extract_lane 1",
            "f64x2.extract_lane 1",
        ] {
            patterns.push(pattern(
                format!("{operator} of {left}"),
                format!("(drop ({operator} {left}))"),
            ));
        }
        for right in VECTORS {
            for operator in [
                "i8x16.add",
                "f64x2.div",
                "i16x8.gt_u",
                "i8x16.swizzle",
                "i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31",
            ] {
                patterns.push(pattern(
                    format!("{operator} of {left} and {right}"),
                    format!("(drop ({operator} {left} {right}))"),
                ));
            }
            patterns.push(pattern(
                format!("bitselect of {left} and {right}"),
                format!("(drop (v128.bitselect {left} {right} {left}))"),
            ));
        }
    }
    for (ty, values) in VALUES {
        let (of, lane) = match ty {
            "i32" => ("i32x4", 3),
            "i64" => ("i64x2", 1),
            "f32" => ("f32x4", 3),
            _ => ("f64x2", 1),
        };
        for value in values {
            patterns.push(pattern(
                format!("{of}.splat of {value}"),
                format!("(drop ({of}.splat {value}))"),
            ));
            for vector in VECTORS {
                patterns.push(pattern(
                    format!("{of}.replace_lane of {vector} by {value}"),
                    format!("(drop ({of}.replace_lane {lane} {vector} {value}))"),
                ));
                if ty == "i32" {
                    patterns.push(pattern(
                        format!("i16x8.shl of {vector} by {value}"),
                        format!("(drop (i16x8.shl {vector} {value}))"),
                    ));
                }
            }
        }
    }
}

/// Branches, blocks, choices, locals and globals.
fn control(patterns: &mut Vec<Pattern>) {
    for (name, code) in [
        (
            "select",
            "(drop (select (local.get $v) (local.get $w) (local.get $i)))",
        ),
        (
            "select of constants",
            "(drop (select (v128.const i64x2 1 2) (v128.const i64x2 3 4) (local.get $i)))",
        ),
        (
            "select kept apart",
            "(drop (select (local.get $v) (v128.const i64x2 3 4) (i32.eqz (local.get $i))))",
        ),
        (
            "select by a constant",
            "(drop (select (local.get $v) (local.get $w) (i32.const 1)))",
        ),
        (
            "select by a vector",
            "(drop (select (local.get $v) (local.get $w) (v128.any_true (local.get $v))))",
        ),
        (
            "if with a vector",
            "(drop (if (result v128) (local.get $i) (then (v128.const i64x2 1 2)) (else (local.get $v))))",
        ),
        (
            "br_if with a vector",
            "(drop (block (result v128) (v128.const i64x2 1 2) (br_if 0 (local.get $i))))",
        ),
        (
            "br_if with a vector below",
            "(block (result v128) (v128.const i64x2 1 2) (local.get $v) (br_if 0 (local.get $i)) drop) drop",
        ),
        (
            "br with a vector",
            "(drop (block (result v128) (br 0 (v128.const i64x2 1 2))))",
        ),
        ("local.set of a vector", "(local.set $v (local.get $w))"),
        (
            "local.set of a constant vector",
            "(local.set $v (v128.const i64x2 1 2))",
        ),
        (
            "local.tee of a vector",
            "(local.set $v (local.tee $w (i8x16.add (local.get $v) (local.get $w))))",
        ),
        (
            "a vector kept while it is set",
            "(local.get $v) (local.set $v (v128.const i64x2 1 2)) drop",
        ),
        (
            "vectors kept while they are set",
            "(local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.set $v (local.get $w)) drop drop drop drop",
        ),
        ("global.set of a vector", "(global.set $gv (local.get $v))"),
        (
            "global.set of a constant vector",
            "(global.set $gv (v128.const i64x2 1 2))",
        ),
        ("global.get of a vector", "(drop (global.get $gv))"),
        ("constant vectors", "(drop (v128.const i64x2 1 2))"),
        (
            "constant vectors folded",
            "(drop (i8x16.add (v128.const i64x2 1 2) (v128.const i64x2 3 4)))",
        ),
    ] {
        patterns.push(pattern(name, code));
    }
    for count in [2, 8] {
        let (gets, drops) = ("(local.get $v)".repeat(count), "drop ".repeat(count));
        let constants = "(v128.const i64x2 1 2)".repeat(count);
        let results = "v128 ".repeat(count);
        for (name, code) in [
            ("vectors over a block", format!("{gets} (block) {drops}")),
            (
                "vectors over an if",
                format!("{gets} (if (local.get $i) (then)) {drops}"),
            ),
            (
                "br_if with vectors",
                format!("(block (result {results}) {constants} (br_if 0 (local.get $i))) {drops}"),
            ),
            (
                "br_if with locals of vectors",
                format!(
                    "(block (result {results}) {gets} (br_if 0 (local.get $i)) (br_if 0 (local.get $k))) {drops}"
                ),
            ),
            (
                "if with results of vectors",
                format!(
                    "(if (result {results}) (local.get $i) (then {constants}) (else {gets})) {drops}"
                ),
            ),
        ] {
            patterns.push(pattern(format!("{name}, {count}"), code));
        }
    }
}

/// Calls with arguments and results of each kind.
fn calls(patterns: &mut Vec<Pattern>) {
    for value in VECTORS {
        for count in [1, 64] {
            let params = "v128 ".repeat(count);
            let values = value.repeat(count);
            for call in [
                "(call $callee)",
                "(call_indirect $t (type $callee) (i32.const 1))",
                "(call_indirect $s (type $callee) (local.get $i))",
            ] {
                let mut called = pattern(
                    format!("{call} of {count} {value}"),
                    format!("{values} {call}"),
                );
                called.items += &format!(
                    "(func $callee (param {params})) (type $callee (func (param {params})))"
                );
                patterns.push(called);
            }
        }
    }
    for count in [1, 2, 8] {
        let results = "v128 ".repeat(count);
        let constants = "(v128.const i64x2 1 2)".repeat(count);
        let drops = "drop ".repeat(count);
        let mut called = pattern(
            format!("call of {count} vectors as results"),
            format!("(call $callee) {drops}"),
        );
        called.items += &format!("(func $callee (result {results}) {constants})");
        patterns.push(called);
    }
}

/// Returns the items of modules with 30 and 900 of each thing that a module declares with vectors, and their names.
pub(crate) fn declarations() -> Vec<(String, String)> {
    let mut modules = Vec::new();
    for count in [30, 900] {
        let vectors = "v128 ".repeat(60);
        for (name, item) in [
            (
                "globals of vectors",
                "(global (mut v128) (v128.const i64x2 1 2))".to_owned(),
            ),
            (
                "globals of vectors that stay",
                "(global v128 (v128.const i64x2 1 2))".to_owned(),
            ),
            (
                "functions with locals of vectors",
                format!("(func (local {vectors}))"),
            ),
            (
                "functions that take vectors",
                format!("(func (param {vectors}))"),
            ),
            (
                "functions of vectors",
                "(func (param v128) (result v128) (local.get 0))".to_owned(),
            ),
        ] {
            modules.push((format!("{count} {name}"), item.repeat(count)));
        }
    }
    modules
}
