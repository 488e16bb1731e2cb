//! Imports and exports that do not fit. The error tells all of them at once, each with its name,
//! what was expected and what was found.

use hostel::{Grants, LoadError, LogRecord, Mismatch};
use hostel_tests::{
    a_good_plugin_still_answers, assemble, code, load_code, load_wat, try_load_wat,
};

/// Loads a module with these grants. Returns its mismatches as they are shown.
fn mismatches(text: &str, grants: &Grants<()>) -> Vec<String> {
    match hostel::engine().load("guest", &assemble(text), grants) {
        Err(LoadError::Mismatch(all)) => all.iter().map(Mismatch::to_string).collect(),
        other => panic!("{text}: {other:?}"),
    }
}

fn granted() -> Grants<()> {
    Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")])
        .function("shop", "price", |_: &str| -> Option<u32> { None })
}

// Imports

#[test]
fn the_error_for_an_import_that_is_not_granted_names_the_grant() {
    for (import, grants, expected) in [
        (
            r#"(import "env" "host_log" (func (param i32 i32)))"#,
            Grants::new(),
            "import `env.host_log` (i32, i32) -> (): nothing supplies it; the grant `log` would",
        ),
        (
            r#"(import "env" "host_log_message" (func (param i32 i32)))"#,
            Grants::new(),
            "import `env.host_log_message` (i32, i32) -> (): nothing supplies it; the grant `log` would",
        ),
        (
            r#"(import "env" "host_get_config" (func (param i32 i32) (result i64)))"#,
            Grants::new(),
            "import `env.host_get_config` (i32, i32) -> i64: nothing supplies it; the grant `config` would",
        ),
        (
            r#"(import "host" "host_log" (func (param i32 i32)))"#,
            granted(),
            "import `host.host_log` (i32, i32) -> (): nothing supplies it; the same name is known as `env.host_log`",
        ),
        (
            r#"(import "env" "price" (func (param f64) (result f32 i64)))"#,
            granted(),
            "import `env.price` (f64) -> (f32, i64): nothing supplies it; the same name is known as `shop.price`",
        ),
        (
            r#"(import "env" "log" (func (param i32 i32)))"#,
            Grants::new(),
            "import `env.log` (i32, i32) -> (): nothing supplies it; the nearest known name is `env.host_log`",
        ),
        (
            r#"(import "env" "price_of" (func))"#,
            granted(),
            "import `env.price_of` () -> (): nothing supplies it; the nearest known name is `shop.price`",
        ),
        (
            r#"(import "env" "lo" (func))"#,
            Grants::new(),
            "import `env.lo` () -> (): nothing supplies it; granted are: none",
        ),
        (
            r#"(import "env" "open" (func))"#,
            granted(),
            "import `env.open` () -> (): nothing supplies it; granted are: `env.host_get_config`, \
             `env.host_log`, `env.host_log_at`, `env.host_log_message`, `shop.price`",
        ),
        (
            r#"(import "env" "open" (func))"#,
            Grants::new(),
            "import `env.open` () -> (): nothing supplies it; granted are: none",
        ),
    ] {
        let text = format!(r#"(module {import} (func (export "f")))"#);
        assert_eq!(mismatches(&text, &grants), [expected]);
        a_good_plugin_still_answers();
    }
}

#[test]
fn what_is_granted_is_listed_once() {
    let text = r#"(module (import "env" "open" (func)) (import "env" "host_logs" (func))
        (import "env" "shut" (func (param i32))) (func (export "f")))"#;
    assert_eq!(
        mismatches(text, &granted()),
        [
            "import `env.open` () -> (): nothing supplies it; granted are: `env.host_get_config`, \
             `env.host_log`, `env.host_log_at`, `env.host_log_message`, `shop.price`",
            "import `env.host_logs` () -> (): nothing supplies it; the nearest known name is `env.host_log`",
            "import `env.shut` (i32) -> (): nothing supplies it",
        ]
    );
}

#[test]
fn the_error_for_a_missing_allocator_names_both_that_serve() {
    let text = r#"(module (memory (export "memory") 1)
        (func (export "process") (param i32 i32) (result i64) (i64.const 0))
        (func (export "send") (param i32 i32)))"#;
    assert_eq!(
        mismatches(text, &granted()),
        [
            "export `allocate` is missing: expected (i32) -> i32, as `allocate` or `malloc`; the input of \
             `process` needs a buffer"
        ]
    );
    let text = text.replace("process", "other");
    let plugin = hostel::engine()
        .load("guest", &assemble(&text), &granted())
        .unwrap();
    let error = plugin.call::<&str, ()>("send", "text").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plugin can't exchange text or bytes: export `allocate` or `malloc` from it"
    );
}

#[test]
fn the_error_for_an_import_of_wasi_says_that_it_is_wasi() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (func (export "f")))"#;
    let [message] = &mismatches(text, &granted())[..] else {
        panic!("one import, one mismatch");
    };
    assert!(
        message.contains("`wasi_snapshot_preview1.fd_write`"),
        "{message}"
    );
    assert!(message.contains("the grant `wasi` would"), "{message}");
}

#[test]
fn the_error_for_an_import_of_another_type_lists_those_that_fit() {
    for (ty, found) in [
        ("(param i32 i32) (result i32)", "(i32, i32) -> i32"),
        ("(param i32) (result i64)", "(i32) -> i64"),
        ("(param i64) (result i64)", "(i64) -> i64"),
        ("(param i32 i32)", "(i32, i32) -> ()"),
        ("(param i32 i32 i32 i32)", "(i32, i32, i32, i32) -> ()"),
        ("(param i32 i32 i32) (result i32)", "(i32, i32, i32) -> i32"),
        (
            "(param i32 i32) (result i64 i64)",
            "(i32, i32) -> (i64, i64)",
        ),
        ("(param i32 i32) (result funcref)", "(i32, i32) -> funcref"),
    ] {
        let text = format!(
            r#"(module (import "env" "host_get_config" (func {ty}))
                (memory (export "memory") 1)
                (func (export "allocate") (param i32) (result i32) (i32.const 8)))"#
        );
        let expected = format!(
            "import `env.host_get_config`: expected (i32, i32) -> (i32, i32) or (i32, i32) -> i64 \
             or (i32, i32, i32) -> (), found {found}"
        );
        assert_eq!(mismatches(&text, &granted()), [expected]);
    }
}

#[test]
fn memories_tables_and_globals_cannot_be_imported() {
    for (import, kind) in [
        ("(memory 1)", "memory"),
        ("(table 1 funcref)", "table"),
        ("(global i32)", "global"),
        ("(global (mut i64))", "global"),
    ] {
        // The name of a granted function makes no difference.
        for name in ["thing", "host_log"] {
            let text = format!(r#"(module (import "env" "{name}" {import}) (func (export "f")))"#);
            let expected = format!(
                "import `env.{name}` is a {kind}: only functions can be imported, or stubbed; define the {kind} \
                 in the module and export it"
            );
            assert_eq!(mismatches(&text, &granted()), [expected]);
        }
    }
}

#[test]
fn an_import_may_be_declared_twice_with_one_type() {
    let twice = |second: &str| {
        format!(
            r#"(module
                (import "env" "host_get_config" (func (param i32 i32) (result i64)))
                (import "env" "host_get_config" (func {second}))
                (memory (export "memory") 1)
                (func (export "allocate") (param i32) (result i32) (i32.const 8)))"#
        )
    };
    let same = twice("(param i32 i32) (result i64)");
    assert!(load_wat(&same, &granted()).instantiate(()).is_ok());
    let expected = "import `env.host_get_config`: expected (i32, i32) -> i64, as it is declared before, \
        found (i32, i32) -> (i32, i32)";
    let other = twice("(param i32 i32) (result i32 i32)");
    assert_eq!(mismatches(&other, &granted()), [expected]);
}

// Exports

#[test]
fn the_error_for_an_export_of_another_type_lists_those_that_fit() {
    let bytes = "(i32, i32) -> (i32, i32) or (i32, i32) -> i64 or (i32, i32, i32) -> ()";
    for (item, name, expected, found) in [
        (
            r#"(func (export "process") (param i32 i32) (result i32) (i32.const 0))"#,
            "process",
            bytes,
            "(i32, i32) -> i32",
        ),
        (r#"(func (export "process"))"#, "process", bytes, "() -> ()"),
        (
            r#"(func (export "process") (param i64) (result i64) (local.get 0))"#,
            "process",
            bytes,
            "(i64) -> i64",
        ),
        (
            r#"(global (export "process") i32 (i32.const 0))"#,
            "process",
            bytes,
            "global",
        ),
        (
            r#"(table (export "process") 1 funcref)"#,
            "process",
            bytes,
            "table",
        ),
        (
            r#"(func (export "_initialize") (param i32))"#,
            "_initialize",
            "() -> ()",
            "(i32) -> ()",
        ),
        (
            r#"(func (export "_initialize") (result i32) (i32.const 0))"#,
            "_initialize",
            "() -> ()",
            "() -> i32",
        ),
        (
            r#"(global (export "_initialize") i32 (i32.const 0))"#,
            "_initialize",
            "() -> ()",
            "global",
        ),
        (
            r#"(func (export "__wasm_call_ctors") (param i32))"#,
            "__wasm_call_ctors",
            "() -> ()",
            "(i32) -> ()",
        ),
        (
            r#"(func (export "_start") (result i32) (i32.const 0))"#,
            "_start",
            "() -> ()",
            "() -> i32",
        ),
        (
            r#"(table (export "_start") 1 funcref)"#,
            "_start",
            "() -> ()",
            "table",
        ),
    ] {
        let text = format!(
            r#"(module {item} (memory (export "memory") 1)
                (func (export "allocate") (param i32) (result i32) (i32.const 8)))"#
        );
        let expected = format!("export `{name}`: expected {expected}, found {found}");
        assert_eq!(mismatches(&text, &granted()), [expected]);
    }
    for (item, name, expected, found) in [
        (
            r#"(func (export "allocate") (param i64) (result i32) (i32.const 8))"#,
            "allocate",
            "(i32) -> i32",
            "(i64) -> i32",
        ),
        (
            r#"(func (export "allocate") (param i32))"#,
            "allocate",
            "(i32) -> i32",
            "(i32) -> ()",
        ),
        (
            r#"(func (export "malloc") (param i32 i32) (result i32) (i32.const 8))"#,
            "malloc",
            "(i32) -> i32",
            "(i32, i32) -> i32",
        ),
        (
            r#"(memory (export "allocate") 1)"#,
            "allocate",
            "(i32) -> i32",
            "memory",
        ),
        (
            r#"(func (export "deallocate") (param i32 i32 i32))"#,
            "deallocate",
            "(i32, i32) -> () or (i32) -> ()",
            "(i32, i32, i32) -> ()",
        ),
        (
            r#"(func (export "deallocate") (param i32 i32) (result i32) (i32.const 8))"#,
            "deallocate",
            "(i32, i32) -> () or (i32) -> ()",
            "(i32, i32) -> i32",
        ),
        (
            r#"(func (export "free") (param f32))"#,
            "free",
            "(i32, i32) -> () or (i32) -> ()",
            "(f32) -> ()",
        ),
        (
            r#"(func (export "memory"))"#,
            "memory",
            "a memory",
            "() -> ()",
        ),
        (
            r#"(global (export "memory") i32 (i32.const 0))"#,
            "memory",
            "a memory",
            "global",
        ),
        (
            r#"(table (export "memory") 1 funcref)"#,
            "memory",
            "a memory",
            "table",
        ),
    ] {
        let text = format!(r#"(module {item} (func (export "f")))"#);
        let expected = format!("export `{name}`: expected {expected}, found {found}");
        assert_eq!(mismatches(&text, &granted()), [expected]);
    }
}

#[test]
fn the_error_names_the_exports_that_process_lacks() {
    let text = r#"(module (func (export "process") (param i32 i32) (result i64) (i64.const 0)))"#;
    assert_eq!(
        mismatches(text, &granted()),
        [
            "export `allocate` is missing: expected (i32) -> i32, as `allocate` or `malloc`; the input of `process` needs a buffer",
            "export `memory` is missing: expected a memory; `process` takes and gives bytes in it",
        ]
    );
}

#[test]
fn the_error_names_the_exports_that_an_import_needs() {
    let text = r#"(module
        (import "env" "host_get_config" (func (param i32 i32) (result i64)))
        (func (export "f")))"#;
    assert_eq!(
        mismatches(text, &granted()),
        [
            "export `allocate` is missing: expected (i32) -> i32, as `allocate` or `malloc`; the result of \
             `env.host_get_config` needs a buffer",
            "export `memory` is missing: expected a memory; `env.host_get_config` exchanges bytes in it",
        ]
    );
}

#[test]
fn the_error_for_a_module_without_functions_says_what_to_export() {
    for text in [
        "(module)",
        r#"(module (memory (export "memory") 1) (func))"#,
    ] {
        assert_eq!(
            mismatches(text, &granted()),
            [
                "export `process` is missing: expected (i32, i32) -> (i32, i32) or (i32, i32) -> i64 or \
                 (i32, i32, i32) -> (); the module exports no function: export it, or others to call, in C \
                 with `-Wl,--export=NAME`, in Rust as `extern \"C\"` with `#[unsafe(no_mangle)]` in a `cdylib`"
            ]
        );
    }
}

#[test]
fn a_known_export_must_not_be_an_import_handed_through() {
    for (name, ty) in [
        ("process", "(param i32 i32) (result i64)"),
        ("allocate", "(param i32) (result i32)"),
        ("malloc", "(param i32) (result i32)"),
        ("deallocate", "(param i32 i32)"),
        ("free", "(param i32)"),
        ("_initialize", ""),
        ("__wasm_call_ctors", ""),
        ("_start", ""),
    ] {
        let grants = Grants::new()
            .function("host", "process", |pair: (u32, u32)| pair)
            .function("host", "allocate", |size: u32| size)
            .function("host", "malloc", |size: u32| size)
            .function("host", "deallocate", |_: u32, _: u32| {})
            .function("host", "free", |_: u32| {})
            .function("host", "_initialize", || {})
            .function("host", "__wasm_call_ctors", || {})
            .function("host", "_start", || {});
        let text = format!(
            r#"(module (import "host" "{name}" (func $f {ty}))
                (memory (export "memory") 1) (func (export "f"))
                (func $allocate (param i32) (result i32) (i32.const 8))
                {}
                (export "{name}" (func $f)))"#,
            if name == "process" {
                r#"(export "allocate" (func $allocate))"#
            } else {
                ""
            }
        );
        let expected = format!("export `{name}` is a re-exported import: define it in the module");
        assert_eq!(mismatches(&text, &grants), [expected]);
    }
}

#[test]
fn other_exports_may_be_imports_handed_through_and_are_as_safe() {
    let text = r#"(module
        (import "env" "host_log" (func $log (param i32 i32)))
        (import "env" "host_get_config" (func $get (param i32 i32) (result i64)))
        (memory (export "memory") 1)
        (data (i32.const 0) "prefix")
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (export "log" (func $log)) (export "get" (func $get)))"#;
    let plugin = load_wat(text, &granted());
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.call::<&str, ()>("log", "hello"), Ok(()));
    assert_eq!(instance.usage().log_records, 1);
    let found = instance.call::<&str, Option<String>>("get", "prefix");
    assert_eq!(found, Ok(Some("CUSTOM".into())));
    assert!(instance.usage().fuel > 0);
    let result = instance.call::<(u32, u32), ()>("log", (65_536, 1));
    assert_eq!(code(&result), "trap-host-call");
    assert!(instance.is_stopped());
}

// All at once, and safe to show

#[test]
fn one_error_lists_all_mismatches() {
    let text = r#"(module
        (import "env" "host_log" (func (param i64)))
        (import "env" "nope" (func))
        (import "env" "table" (table 1 funcref))
        (import "host" "host_get_config" (func (param i32 i32) (result i64)))
        (memory $m 1)
        (func (export "process") (param i32) (result i32) (local.get 0))
        (func (export "allocate") (result i32) (i32.const 8))
        (func (export "deallocate"))
        (func (export "_initialize") (param f64))
        (func (export "memory")))"#;
    let found = mismatches(text, &granted());
    let starts = [
        "import `env.host_log`: expected (i32, i32) -> (), found (i64) -> ()",
        "import `env.nope` () -> (): nothing supplies it",
        "import `env.table` is a table",
        "import `host.host_get_config` (i32, i32) -> i64: nothing supplies it; the same name",
        "export `process`: expected (i32, i32) -> (i32, i32)",
        "export `allocate`: expected (i32) -> i32, found () -> i32",
        "export `deallocate`: expected (i32, i32) -> () or (i32) -> (), found () -> ()",
        "export `_initialize`: expected () -> (), found (f64) -> ()",
        "export `memory`: expected a memory, found () -> ()",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(
            found.starts_with(start),
            "{start:?} does not begin {found:?}"
        );
    }
    let error = try_load_wat(&hostel::engine(), text, &granted()).unwrap_err();
    assert_eq!(error.code(), "mismatch");
    let message = error.to_string();
    assert!(
        message.starts_with("the module does not fit, 9 mismatches:\n  import "),
        "{message}"
    );
    // The heading, a line for each, and the advice to stub what is not needed.
    assert_eq!(message.lines().count(), 11);
    // `check` returns an equal error, without compiling.
    let checked = hostel::engine()
        .check(&assemble(text), &granted())
        .unwrap_err();
    assert_eq!(checked, error);
    a_good_plugin_still_answers();
}

#[test]
fn a_modules_names_are_shown_without_control_characters() {
    let name = r"a\1b[2J\nb\e2\80\ae\c2\9bc";
    let shown = r"a\u{1b}[2J\nb\u{202e}\u{9b}c";
    for item in [
        format!(r#"(import "{name}" "x" (func))"#),
        format!(r#"(import "x" "{name}" (func))"#),
        format!(r#"(import "x" "{name}" (memory 1))"#),
    ] {
        let text = format!(r#"(module {item} (func (export "f")))"#);
        let [message] = &mismatches(&text, &granted())[..] else {
            panic!("one import, one mismatch");
        };
        assert!(message.contains(shown), "{message:?}");
    }
    let text = format!(r#"(module (func (export "{name}")) (func (export "ok")))"#);
    let plugin = load_wat::<()>(&text, &granted());
    let mut instance = plugin.instantiate(()).unwrap();
    let evil = "a\x1b[2J\nb\u{202e}\u{9b}c";
    for message in [
        plugin.check::<(), ()>("other").unwrap_err().to_string(),
        plugin.check::<u32, ()>(evil).unwrap_err().to_string(),
        instance.process(b"").unwrap_err().to_string(),
        plugin.info().export_named(evil).unwrap().to_string(),
    ] {
        assert!(message.contains(shown), "{message:?}");
        assert!(
            !message.contains(['\x1b', '\n', '\u{202e}', '\u{9b}']),
            "{message:?}"
        );
    }
    assert_eq!(
        plugin.call::<(), ()>(evil, ()),
        Ok(()),
        "it can be called all the same"
    );
}

#[test]
fn a_name_may_be_empty_or_strange_and_is_not_mistaken() {
    for name in ["", " process", "Process", "process\\00", "pr\\c3\\b6cess"] {
        let text = format!(r#"(module (func (export "{name}") (result i32) (i32.const 7)))"#);
        let result = try_load_wat::<()>(&hostel::engine(), &text, &Grants::new());
        assert_eq!(load_code(&result), "ok", "{name}");
        let found = result.unwrap().process(b"");
        assert_eq!(code(&found), "unknown-export", "{name}");
    }
}
