//! Patterns of modules that take as much memory as they can for their size.

/// Code that can be repeated, since it leaves the stack as it found it.
#[derive(Default)]
pub(crate) struct Pattern {
    pub(crate) name: String,
    /// The items that the code needs: functions, types, imports.
    pub(crate) items: String,
    /// The locals that it needs, beyond those of each function.
    pub(crate) locals: &'static str,
    pub(crate) code: String,
}

fn pattern(name: impl Into<String>, code: impl Into<String>) -> Pattern {
    Pattern {
        name: name.into(),
        items: String::new(),
        code: format!("{}\n", code.into()),
        ..Pattern::default()
    }
}

/// The types of numbers, with expressions for a value of each: a local, a constant, a global and a
/// result in a register.
pub(crate) const VALUES: [(&str, &[&str]); 4] = [
    (
        "i32",
        &[
            "(local.get $i)",
            "(i32.const 100000)",
            "(global.get $gi)",
            "(i32.load (local.get $i))",
        ],
    ),
    (
        "i64",
        &[
            "(local.get $j)",
            "(i64.const 100000)",
            "(global.get $gj)",
            "(i64.mul (local.get $j) (local.get $j))",
        ],
    ),
    (
        "f32",
        &[
            "(local.get $e)",
            "(f32.const 1.5)",
            "(global.get $ge)",
            "(f32.abs (local.get $e))",
        ],
    ),
    (
        "f64",
        &[
            "(local.get $d)",
            "(f64.const 1.5)",
            "(global.get $gd)",
            "(f64.neg (local.get $d))",
        ],
    ),
];

/// Calls of the guest's functions, of imported ones and by a table, with arguments of each kind.
fn calls(patterns: &mut Vec<Pattern>) {
    for (ty, values) in VALUES {
        for value in values {
            for count in [1, 64] {
                let params = format!("{ty} ").repeat(count);
                let items = format!(
                    "(func $callee (param {params})) (type $callee (func (param {params})))"
                );
                let values = value.repeat(count);
                for call in [
                    "(call $callee)",
                    "(call_indirect $t (type $callee) (i32.const 1))",
                    "(call_indirect $s (type $callee) (local.get $i))",
                ] {
                    patterns.push(Pattern {
                        name: format!("{call} of {count} {value}"),
                        items: items.clone(),
                        code: format!("{values} {call}\n"),
                        ..Pattern::default()
                    });
                }
            }
        }
    }
    for count in 1..=8 {
        let results = "i64 ".repeat(count);
        let zeros = "(i64.const 0)".repeat(count);
        patterns.push(Pattern {
            name: format!("call of {count} results"),
            items: format!("(func $callee (result {results}) {zeros})"),
            code: format!("(call $callee) {}\n", "drop ".repeat(count)),
            ..Pattern::default()
        });
        patterns.push(Pattern {
            name: format!("call of {count} results of a call"),
            items: format!(
                "(func $callee (result {results}) {zeros}) (func $taker (param {results}))"
            ),
            code: "(call $callee) (call $taker)".to_owned(),
            ..Pattern::default()
        });
    }
    patterns.push(Pattern {
        name: "call of an import".to_owned(),
        items: String::new(),
        code: "(call $imported (i32.const 5) (i64.const 5))".to_owned(),
        ..Pattern::default()
    });
}

/// Every store and load, of values and addresses of each kind, near and far.
fn memory(patterns: &mut Vec<Pattern>) {
    let stores = [
        ("i32", "i32.store"),
        ("i32", "i32.store8"),
        ("i64", "i64.store"),
        ("i64", "i64.store16"),
        ("f32", "f32.store"),
        ("f64", "f64.store"),
    ];
    for (ty, store) in stores {
        let (_, values) = VALUES.iter().find(|(of, _)| *of == ty).unwrap();
        for value in &values[..3] {
            for address in ["(local.get $i)", "(i32.const 64)"] {
                for offset in [8, 70_000] {
                    patterns.push(pattern(
                        format!("{store} at {address} + {offset} of {value}"),
                        format!("({store} offset={offset} {address} {value})"),
                    ));
                }
            }
        }
    }
    for load in ["i32.load", "i64.load8_u", "f32.load", "f64.load"] {
        for address in ["(local.get $i)", "(i32.const 64)"] {
            for offset in [8, 70_000] {
                patterns.push(pattern(
                    format!("{load} at {address} + {offset}"),
                    format!("({load} offset={offset} {address}) drop"),
                ));
            }
        }
    }
    patterns.push(pattern(
        "loads that are kept",
        "(i32.load (local.get $i)) (local.set $k) (i64.load (local.get $i)) (local.set $l)",
    ));
    for (name, code) in [
        (
            "memory.fill",
            "(memory.fill (i32.const 1) (i32.const 2) (i32.const 3))",
        ),
        (
            "memory.copy",
            "(memory.copy (i32.const 1) (i32.const 2) (i32.const 3))",
        ),
        (
            "memory.init",
            "(memory.init $data (i32.const 1) (i32.const 2) (i32.const 3))",
        ),
        (
            "memory.fill of registers",
            "(memory.fill (local.get $i) (i32.load (local.get $i)) (i32.const 3))",
        ),
        (
            "table.fill",
            "(table.fill $t (i32.const 1) (ref.null func) (i32.const 1))",
        ),
        (
            "table.copy",
            "(table.copy $t $t (i32.const 1) (i32.const 2) (i32.const 1))",
        ),
        (
            "table.init",
            "(table.init $t $elem (i32.const 1) (i32.const 0) (i32.const 1))",
        ),
        ("table.set", "(table.set $t (i32.const 1) (ref.null func))"),
        (
            "table.set of a function",
            "(table.set $t (i32.const 1) (ref.func $target))",
        ),
        ("table.get", "(drop (table.get $t (local.get $i)))"),
        (
            "ref.is_null",
            "(drop (ref.is_null (table.get $t (local.get $i))))",
        ),
        ("table.size", "(drop (table.size $t))"),
        ("memory.size", "(drop (memory.size))"),
        ("data.drop", "(data.drop $data)"),
        ("elem.drop", "(elem.drop $elem)"),
    ] {
        patterns.push(pattern(name, code));
    }
}

/// Branches, blocks and choices, with and without values.
fn control(patterns: &mut Vec<Pattern>) {
    for (name, code) in [
        ("block", "(block)"),
        ("loop", "(loop)"),
        ("if", "(if (local.get $i) (then))"),
        ("if else", "(if (local.get $i) (then) (else))"),
        ("if else of a constant", "(if (i32.const 1) (then) (else))"),
        ("if else of 0", "(if (i32.const 0) (then) (else))"),
        (
            "if of a comparison",
            "(if (i64.lt_u (local.get $j) (i64.const 5)) (then))",
        ),
        (
            "if with a result",
            "(drop (if (result i64) (local.get $i) (then (i64.const 5)) (else (i64.const 6))))",
        ),
        (
            "if nested",
            "(if (local.get $i) (then (if (local.get $k) (then (if (local.get $i) (then))))))",
        ),
        ("br", "(block (br 0))"),
        ("br_if", "(block (br_if 0 (local.get $i)))"),
        (
            "br_if of a comparison",
            "(block (br_if 0 (i64.eq (local.get $j) (i64.const 5))))",
        ),
        (
            "br_if back",
            "(loop (br_if 0 (f64.lt (local.get $d) (f64.const 5))))",
        ),
        (
            "br_if with a value",
            "(drop (block (result i64) (i64.const 5) (br_if 0 (local.get $i))))",
        ),
        (
            "br_if with a value below",
            "(block (result i64) (i64.const 5) (local.get $j) (br_if 0 (local.get $i)) drop) drop",
        ),
        (
            "br_table",
            "(block (block (br_table 0 1 0 1 0 1 (local.get $i))))",
        ),
        (
            "br_table with a value",
            "(drop (block (result i64) (block (result i64) (br_table 0 1 0 1 (i64.const 5) (local.get $i)))))",
        ),
        ("br_table of one", "(block (br_table 0 (local.get $i)))"),
        // What these may skip is put into loops.
        (
            "br_if before code",
            "(block (br_if 0 (local.get $i)) (local.set $j (i64.add (local.get $j) (local.get $j))) (block))",
        ),
        (
            "br_if after br_if",
            "(block (br_if 0 (local.get $i)) (block) (br_if 0 (local.get $i)) (block))",
        ),
        (
            "br_table after br_if",
            "(block (block (br_if 1 (local.get $i)) (block) (br_table 0 1 1 0 (local.get $i))) (block))",
        ),
        ("return", "(if (local.get $i) (then (return)))"),
        ("unreachable", "(if (local.get $i) (then (unreachable)))"),
        (
            "dead code",
            "(block (br 0) (drop (i64.add (i64.const 5) (i64.const 6))) (if (i32.const 1) (then)))",
        ),
        (
            "select",
            "(drop (select (local.get $j) (local.get $l) (local.get $i)))",
        ),
        (
            "select of constants",
            "(drop (select (i64.const 5) (i64.const 6) (local.get $i)))",
        ),
        (
            "select of one",
            "(drop (select (local.get $j) (local.get $j) (local.get $i)))",
        ),
        (
            "select of f64",
            "(drop (select (f64.const 5) (f64.const 6) (local.get $i)))",
        ),
        (
            "select kept apart",
            "(drop (select (i64.const 5) (i64.const 6) (i32.eqz (local.get $i))))",
        ),
        (
            "select of a reference",
            "(drop (select (i64.const 5) (i64.const 6) (ref.is_null (table.get $t (local.get $i)))))",
        ),
        ("local.set", "(local.set $i (local.get $k))"),
        ("local.set of a constant", "(local.set $j (i64.const 5))"),
        (
            "local.set of a sum",
            "(local.set $j (i64.add (local.get $l) (i64.const 5)))",
        ),
        (
            "local.tee",
            "(local.set $l (local.tee $j (i64.mul (local.get $l) (local.get $j))))",
        ),
        (
            "a local kept while it is set",
            "(local.get $j) (local.set $j (i64.const 5)) drop",
        ),
        (
            "locals kept while they are set",
            "(local.get $j) (local.get $j) (local.get $j) (local.get $j) (local.set $j (i64.const 5)) drop drop drop drop",
        ),
        ("global.set", "(global.set $gj (local.get $j))"),
        ("global.set of a constant", "(global.set $gj (i64.const 5))"),
        ("global.get", "(drop (global.get $gj))"),
        ("global.get of a constant", "(drop (global.get $cj))"),
        (
            "operators kept apart",
            "(i64.mul (local.get $j) (local.get $l)) (i64.mul (local.get $j) (local.get $l)) (i64.mul (local.get $j) (local.get $l)) drop drop drop",
        ),
        (
            "constants folded",
            "(drop (i64.add (i64.const 5) (i64.const 6)))",
        ),
        ("nop", "nop"),
        ("drop", "(drop (i32.const 5))"),
    ] {
        patterns.push(pattern(name, code));
    }
    for count in [2, 8] {
        let (gets, drops) = ("(local.get $j)".repeat(count), "drop ".repeat(count));
        let zeros = "(i64.const 5)".repeat(count);
        let results = "i64 ".repeat(count);
        for (name, code) in [
            ("locals over a block", format!("{gets} (block) {drops}")),
            (
                "locals over an if",
                format!("{gets} (if (local.get $i) (then)) {drops}"),
            ),
            ("locals over a loop", format!("{gets} (loop) {drops}")),
            (
                "br_if with values",
                format!("(block (result {results}) {zeros} (br_if 0 (local.get $i))) {drops}"),
            ),
            (
                "br_if with locals",
                format!(
                    "(block (result {results}) {gets} (br_if 0 (local.get $i)) (br_if 0 (local.get $k))) {drops}"
                ),
            ),
            (
                "if with results",
                format!(
                    "(if (result {results}) (local.get $i) (then {zeros}) (else {gets})) {drops}"
                ),
            ),
            (
                "block with results",
                format!("(block (result {results}) (br_if 1 (local.get $i)) {zeros}) {drops}"),
            ),
            (
                "br with results",
                format!("(block (result {results}) {zeros} (br 0)) {drops}"),
            ),
        ] {
            patterns.push(pattern(format!("{name}, {count}"), code));
        }
    }
}

/// Operators of each type and number of operands, of locals and constants.
fn operators(patterns: &mut Vec<Pattern>) {
    for (operator, ty) in [
        ("i32.add", 0),
        ("i32.sub", 0),
        ("i32.div_s", 0),
        ("i32.shl", 0),
        ("i32.lt_s", 0),
        ("i64.add", 1),
        ("i64.sub", 1),
        ("i64.xor", 1),
        ("i64.rem_u", 1),
        ("i64.eq", 1),
        ("f32.add", 2),
        ("f32.copysign", 2),
        ("f32.le", 2),
        ("f64.div", 3),
        ("f64.min", 3),
        ("f64.ne", 3),
    ] {
        let (_, values) = VALUES[ty];
        for (left, right) in [(0, 0), (0, 1), (1, 0), (3, 3), (3, 1)] {
            let (left, right) = (values[left], values[right]);
            patterns.push(pattern(
                format!("{operator} of {left} and {right}"),
                format!("(drop ({operator} {left} {right}))"),
            ));
        }
    }
    for (operator, ty) in [
        ("i32.eqz", 0),
        ("i32.clz", 0),
        ("i32.extend8_s", 0),
        ("i64.extend_i32_s", 0),
        ("i64.extend_i32_u", 0),
        ("f32.convert_i32_s", 0),
        ("f32.reinterpret_i32", 0),
        ("i64.eqz", 1),
        ("i32.wrap_i64", 1),
        ("f64.convert_i64_u", 1),
        ("f32.sqrt", 2),
        ("i32.trunc_sat_f32_s", 2),
        ("f64.promote_f32", 2),
        ("f64.abs", 3),
        ("i64.reinterpret_f64", 3),
    ] {
        let value = VALUES[ty].1[0];
        patterns.push(pattern(
            format!("{operator} of {value}"),
            format!("(drop ({operator} {value}))"),
        ));
        patterns.push(pattern(
            format!("{operator} of a register"),
            format!("(drop ({operator} {}))", VALUES[ty].1[3]),
        ));
    }
}

/// Returns all patterns of code.
pub(crate) fn code() -> Vec<Pattern> {
    let mut patterns = Vec::new();
    calls(&mut patterns);
    memory(&mut patterns);
    control(&mut patterns);
    operators(&mut patterns);
    patterns
}

/// Returns the items of modules with 30 to 900 of each thing that a module declares, and their names.
pub(crate) fn declarations() -> Vec<(String, String)> {
    let long = "n".repeat(200);
    let mut modules = Vec::new();
    for count in [30, 33, 300, 900] {
        let each = |item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<String>();
        let many = |item: &str| item.repeat(count);
        let (functions, text) = ("$f ".repeat(count), "text".repeat(count * 100));
        let bits = |at: usize| {
            let bits = (0..10).map(|bit| if at >> bit & 1 == 0 { "i32 " } else { "i64 " });
            bits.collect::<String>()
        };
        for (name, items) in [
            (
                "types",
                each(&|at| {
                    format!(
                        "(type (func (param {}) (result i32)))",
                        "i32 ".repeat(at % 16)
                    )
                }),
            ),
            ("types alike", many("(type (func (param i32 i64)))")),
            (
                "types unlike",
                each(&|at| format!("(type (func (param {})))", bits(at))),
            ),
            ("functions", many("(func)")),
            (
                "functions with locals",
                many(&format!("(func (local {}))", "i32 i64 ".repeat(100))),
            ),
            (
                "functions unlike",
                each(&|at| format!("(func (param {}))", "i64 ".repeat(at % 60))),
            ),
            (
                "imports",
                many(r#"(import "host" "take" (func (param i32 i64)))"#),
            ),
            (
                "exports",
                "(func $f)".to_owned() + &each(&|at| format!(r#"(export "e{at}" (func $f))"#)),
            ),
            (
                "functions exported",
                each(&|at| format!(r#"(func (export "e{at}") (param i32 i64))"#)),
            ),
            (
                "exports with long names",
                "(func $f)".to_owned() + &each(&|at| format!(r#"(export "{long}{at}" (func $f))"#)),
            ),
            ("globals", many("(global (mut i64) (i64.const 5))")),
            ("globals that stay", many("(global i32 (i32.const 5))")),
            (
                "globals of sums",
                many("(global i32 (i32.add (i32.const 5) (i32.mul (i32.const 5) (i32.const 6))))"),
            ),
            (
                "globals of functions",
                "(func $f)".to_owned() + &many("(global funcref (ref.func $f))"),
            ),
            (
                "globals exported",
                each(&|at| format!(r#"(global (export "g{at}") (mut i32) (i32.const 5))"#)),
            ),
            (
                "data",
                "(memory 1)".to_owned() + &each(&|at| format!(r#"(data (i32.const {at}) "text")"#)),
            ),
            (
                "data at sums",
                "(memory 1)".to_owned()
                    + &many(r#"(data (offset (i32.add (i32.const 3) (i32.const 5))) "text")"#),
            ),
            (
                "data that waits",
                "(memory 1)".to_owned() + &many(r#"(data "text")"#),
            ),
            (
                "much data",
                format!(r#"(memory 6) (data (i32.const 0) "{text}")"#),
            ),
            (
                "much data in parts",
                "(memory 6)".to_owned()
                    + &many(&format!(r#"(data (i32.const 0) "{}")"#, "text".repeat(100))),
            ),
            (
                "much data that waits",
                format!(r#"(memory 6) (data "{text}")"#),
            ),
            (
                "elements",
                format!("(table {count} funcref) (func $f) (elem (i32.const 0) {functions})"),
            ),
            (
                "elements of expressions",
                format!(
                    "(table {count} funcref) (func $f) (elem (i32.const 0) funcref {})",
                    many("(ref.func $f)")
                ),
            ),
            (
                "elements that wait",
                format!("(func $f) (elem func {functions})"),
            ),
            (
                "segments of elements",
                "(table 10 funcref) (func $f)".to_owned() + &many("(elem (i32.const 0) func $f)"),
            ),
            (
                "segments of elements that wait",
                "(func $f)".to_owned() + &many("(elem func $f)"),
            ),
            (
                "functions beside a start",
                "(start $f) (func $f)".to_owned() + &many("(func)"),
            ),
        ] {
            modules.push((format!("{count} {name}"), items));
        }
    }
    modules.push(("tables".to_owned(), "(table 10 funcref)".repeat(16)));
    modules
}
