//! M15-M18: imports, exports, reloading, and what of WebAssembly is switched off.

use crate::{
    bytes::{export_run, leb, module, one_function, one_type, repeated, section},
    case::{Act, Case, Kit, Source, clean, load},
    counting,
};
use hostel::{Budget, House};
use hostel_tests::guest_bytes;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    imports(&mut cases);
    exports(&mut cases);
    reloads(&mut cases);
    features(&mut cases);
    cases
}

fn with_run(items: &str) -> String {
    format!(r#"(module {items} (func (export "run")))"#)
}

// M15

fn imports(cases: &mut Vec<Case>) {
    for (what, items, code) in [
        (
            "unknown function",
            r#"(import "env" "open" (func))"#,
            "unknown-import",
        ),
        (
            "unknown module",
            r#"(import "x" "host_log" (func (param i32 i32)))"#,
            "unknown-import",
        ),
        ("empty names", r#"(import "" "" (func))"#, "unknown-import"),
        (
            "names with a zero byte",
            r#"(import "env\00" "host_log" (func (param i32 i32)))"#,
            "unknown-import",
        ),
        (
            "names in capitals",
            r#"(import "ENV" "HOST_LOG" (func (param i32 i32)))"#,
            "unknown-import",
        ),
        (
            "names of control characters",
            r#"(import "\1b[2J\n" "\e2\80\ae\07" (func))"#,
            "unknown-import",
        ),
        (
            "WASI",
            r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#,
            "unknown-import",
        ),
        (
            "the reserved name",
            r#"(import "hostel" "hostel:start" (func))"#,
            "unknown-import",
        ),
        (
            "five unknown",
            r#"(import "a" "1" (func)) (import "a" "2" (func)) (import "a" "3" (func))
            (import "a" "4" (func)) (import "a" "5" (func))"#,
            "unknown-import+unknown-import+unknown-import+unknown-import+unknown-import",
        ),
        (
            "log of one value",
            r#"(import "env" "host_log" (func (param i32)))"#,
            "import-type+missing-export",
        ),
        (
            "log of i64",
            r#"(import "env" "host_log" (func (param i64 i64)))"#,
            "import-type+missing-export",
        ),
        (
            "log with a result",
            r#"(import "env" "host_log" (func (param i32 i32) (result i32)))"#,
            "import-type+missing-export",
        ),
        (
            "a function of another type",
            r#"(import "host" "noop" (func (param i32)))"#,
            "import-type",
        ),
        (
            "a function of float result",
            r#"(import "host" "noop" (func (result f64)))"#,
            "import-type",
        ),
        (
            "one name with two types",
            r#"(import "host" "noop" (func)) (import "host" "noop" (func (param i32)))"#,
            "import-type+import-type",
        ),
        (
            "memory",
            r#"(import "env" "memory" (memory 1))"#,
            "import-kind",
        ),
        (
            "table",
            r#"(import "env" "table" (table 1 funcref))"#,
            "import-kind",
        ),
        (
            "global",
            r#"(import "env" "global" (global i32))"#,
            "import-kind",
        ),
        (
            "mutable global",
            r#"(import "env" "global" (global (mut i32)))"#,
            "import-kind",
        ),
        (
            "a function's name as memory",
            r#"(import "env" "host_log" (memory 1))"#,
            "import-kind",
        ),
    ] {
        load(
            cases,
            format!("M15/import of {what}"),
            with_run(items),
            &format!("mismatch {code}"),
        );
    }
    let twice = with_run(r#"(import "host" "noop" (func)) (import "host" "noop" (func))"#);
    load(cases, "M15/import of one name twice", twice, "loaded");
    for (size, code) in [
        (1_025, "over-limit name_bytes"),
        (90_000, "over-limit name_bytes"),
    ] {
        let text = with_run(&format!(r#"(import "{}" "x" (func))"#, "n".repeat(size)));
        load(
            cases,
            format!("M15/import name of {size} bytes"),
            text,
            code,
        );
    }
    let shapes = [
        ("multi", "(result i32 i32 i32)"),
        ("i32", "(result i32)"),
        ("f64", "(result f64)"),
    ];
    for (what, result) in shapes {
        let text = with_run(&format!(
            r#"(import "env" "host_get_config" (func (param i32 i32) {result})) (memory (export "memory") 1)
                (func (export "allocate") (param i32) (result i32) (unreachable))"#
        ));
        load(
            cases,
            format!("M15/settings with a result of {what}"),
            text,
            "mismatch import-type",
        );
    }
}

// M16

const PARTS: [(&str, &str); 3] = [
    ("memory", r#"(memory (export "memory") 1)"#),
    (
        "allocate",
        r#"(func (export "allocate") (param i32) (result i32) (i32.const 1024))"#,
    ),
    (
        "process",
        r#"(func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))"#,
    ),
];

fn exports(cases: &mut Vec<Case>) {
    let whole = |instead: (&str, &str)| {
        let parts: Vec<_> = PARTS
            .iter()
            .map(|(what, text)| if *what == instead.0 { instead.1 } else { *text })
            .collect();
        format!("(module {})", parts.join(" "))
    };
    let global = |export: &str| format!(r#"(global (export "{export}") i32 (i32.const 0))"#);
    let table = |export: &str| format!(r#"(table (export "{export}") 1 funcref)"#);
    let func = |export: &str, ty: &str| format!(r#"(func (export "{export}") {ty} (unreachable))"#);
    for (what, part, text, code) in [
        ("no memory", "memory", String::new(), "missing-export"),
        (
            "memory that is a function",
            "memory",
            func("memory", ""),
            "export-type",
        ),
        (
            "memory that is a global",
            "memory",
            global("memory"),
            "export-type",
        ),
        (
            "memory that is a table",
            "memory",
            table("memory"),
            "export-type",
        ),
        ("no allocate", "allocate", String::new(), "missing-export"),
        (
            "allocate that is a global",
            "allocate",
            global("allocate"),
            "export-type",
        ),
        (
            "allocate that is a table",
            "allocate",
            table("allocate"),
            "export-type",
        ),
        (
            "allocate of nothing",
            "allocate",
            func("allocate", ""),
            "export-type",
        ),
        (
            "allocate of i64",
            "allocate",
            func("allocate", "(param i64) (result i64)"),
            "export-type",
        ),
        (
            "allocate without a result",
            "allocate",
            func("allocate", "(param i32)"),
            "export-type",
        ),
        (
            "allocate with two results",
            "allocate",
            func("allocate", "(param i32) (result i32 i32)"),
            "export-type",
        ),
        (
            "malloc of floats",
            "allocate",
            func("malloc", "(param f32) (result f32)"),
            "export-type",
        ),
        (
            "process that is a global",
            "process",
            global("process"),
            "export-type",
        ),
        (
            "process that is a table",
            "process",
            table("process"),
            "export-type",
        ),
    ] {
        load(
            cases,
            format!("M16/{what}"),
            whole((part, &text)),
            &format!("mismatch {code}"),
        );
    }
    let with = |items: &str| whole(("process", &format!("{} {items}", PARTS[2].1)));
    for (what, item) in [
        (
            "deallocate of three",
            func("deallocate", "(param i32 i32 i32)"),
        ),
        (
            "deallocate with a result",
            func("deallocate", "(param i32 i32) (result i32)"),
        ),
        ("deallocate that is a global", global("deallocate")),
        ("free of i64", func("free", "(param i64)")),
        ("_initialize that is a memory's name", global("_initialize")),
    ] {
        load(
            cases,
            format!("M16/{what}"),
            with(&item),
            "mismatch export-type",
        );
    }
    for (what, text, code) in [
        (
            "nothing exported",
            "(module)".to_owned(),
            "mismatch missing-export",
        ),
        (
            "only a memory exported",
            format!("(module {})", PARTS[0].1),
            "mismatch missing-export",
        ),
        (
            "export name of 1,025 bytes",
            with_run(&func(&"n".repeat(1_025), "")),
            "over-limit name_bytes",
        ),
        (
            "export name of 100,000 bytes",
            with_run(&func(&"n".repeat(100_000), "")),
            "over-limit name_bytes",
        ),
        (
            "export name of control characters",
            with_run(&func("\\1b[2J\\n", "")),
            "loaded",
        ),
        (
            "export of the empty name",
            with_run(&func("", "")),
            "loaded",
        ),
    ] {
        load(cases, format!("M16/{what}"), text, code);
    }
    let twice = Source::made(|| {
        let exports = section(7, b"\x02\x01a\0\0\x01a\0\0");
        module(&[
            one_type(&[], &[]),
            section(3, &[1, 0]),
            exports,
            section(10, &[1, 2, 0, 0x0b]),
        ])
    });
    load(
        cases,
        "M16/one name exported twice",
        twice,
        "invalid-module",
    );
    for (what, index) in [
        ("function 1", [0, 1]),
        ("table 0", [1, 0]),
        ("memory 0", [2, 0]),
        ("global 0", [3, 0]),
    ] {
        let exports = section(7, &[&b"\x01\x01a"[..], &index].concat());
        let code = section(10, &[1, 2, 0, 0x0b]);
        let wasm = module(&[one_type(&[], &[]), section(3, &[1, 0]), exports, code]);
        load(
            cases,
            format!("M16/export of {what}, which is not there"),
            wasm,
            "invalid-module",
        );
    }
}

// M17

fn reloads(cases: &mut Vec<Case>) {
    const ROUNDS: usize = 60;
    let flat = |name: &str, module: Source, round: fn(&Kit<'_>)| {
        let act = Act::that(move |kit| {
            round(kit);
            let before = counting::live();
            (0..ROUNDS).for_each(|_| round(kit));
            let grown = counting::live().saturating_sub(before);
            clean(if grown < 1_000 {
                "flat".into()
            } else {
                format!("{grown} bytes more")
            })
        });
        Case::new(format!("M17/{name}"), module, act, clean("flat"))
    };
    let good = || Source::made(|| guest_bytes("c_customize"));
    cases.extend([
        flat("loaded again and again", good(), |kit| drop(kit.plugin())),
        flat("called, and loaded again", good(), |kit| {
            assert_eq!(kit.plugin().process(b"x").as_deref(), Ok(&b"CUSTOM_X"[..]));
            let _ = kit.lines.take();
        }),
        flat(
            "replaced in a house, every other time by rubbish",
            good(),
            |kit| {
                let house = House::new(kit.engine.clone());
                house.load("it", kit.wasm, &kit.grants).expect("it loads");
                for wasm in [kit.wasm, b"rubbish", kit.wasm, &kit.wasm[..100]] {
                    let replaced = house.replace("it", wasm, &kit.grants);
                    assert_eq!(replaced.is_ok(), wasm.len() == kit.wasm.len());
                    assert_eq!(house.process("it", b"x").as_deref(), Ok(&b"CUSTOM_X"[..]));
                }
                house.unload("it").expect("it is there");
                let _ = kit.lines.take();
            },
        ),
        flat(
            "invalid in its last function (W7)",
            Source::made(|| {
                let bodies = [leb(501), [2, 0, 0x0b].repeat(500), vec![3, 0, 0x1a, 0x0b]].concat();
                module(&[
                    one_type(&[], &[]),
                    repeated(3, 501, &[0]),
                    export_run(),
                    section(10, &bodies),
                ])
            }),
            |kit| assert!(kit.load().is_err()),
        ),
        flat(
            "trapping at start",
            with_run("(func $s (unreachable)) (start $s)").into(),
            |kit| {
                assert!(kit.plugin().instantiate(()).is_err());
            },
        ),
        flat(
            "out of fuel",
            r#"(module (memory 4) (func (export "run") (loop $on (br $on))))"#.into(),
            |kit| {
                let plugin = kit.plugin().with_budget(Budget::device().fuel(1_000));
                assert!(plugin.call::<(), ()>("run", ()).is_err());
            },
        ),
    ]);
}

// M18

fn features(cases: &mut Vec<Case>) {
    for (what, items) in [
        ("vectors", "(func (drop (v128.const i64x2 0 0)))"),
        ("a vector as parameter", "(func (param v128))"),
        (
            "relaxed vectors",
            "(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))",
        ),
        ("tail calls", "(func $f (return_call $f))"),
        (
            "indirect tail calls",
            "(table 1 funcref) (func (return_call_indirect (i32.const 0)))",
        ),
        ("structs", "(type (struct))"),
        ("arrays", "(type (array i8))"),
        ("31-bit references", "(func (drop (ref.i31 (i32.const 0))))"),
        ("subtypes", "(type (sub (func)))"),
        ("typed references", "(func (param (ref func)))"),
        (
            "calls of references",
            "(type $t (func)) (func (param (ref null $t)) (call_ref $t (local.get 0)))",
        ),
        ("any references", "(func (param anyref))"),
        ("exception tags", "(tag)"),
        ("throwing", "(tag $t) (func (throw $t))"),
        ("catching", "(func (try_table (catch_all 0)))"),
        ("atomic fences", "(func (atomic.fence))"),
        (
            "atomic loads",
            "(memory 1 1 shared) (func (drop (i32.atomic.load (i32.const 0))))",
        ),
        ("memory of 64 bits", "(memory i64 1)"),
        ("several memories", "(memory 1) (memory 1)"),
        (
            "wide arithmetic",
            "(func (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)) (drop) (drop))",
        ),
        ("continuations", "(type $f (func)) (type (cont $f))"),
        (
            "memory discarding",
            "(memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))",
        ),
        (
            "tables with a first value",
            "(table 1 (ref null func) (ref.null func))",
        ),
    ] {
        load(
            cases,
            format!("M18/{what}"),
            with_run(items),
            "invalid-module",
        );
    }
    let grows =
        with_run("(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))");
    let catching = one_function(&[], &[], &[0], &[0x06, 0x40, 0x19, 0x0b]);
    load(cases, "M18/old catching", catching, "invalid-module");
    load(cases, "M18/growing tables", grows, "unsupported");
}
