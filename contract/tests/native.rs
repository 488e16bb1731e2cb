//! Core modules without a contract beside a world: names and core types.
#![allow(clippy::expect_used, missing_docs)]

use hostel_contract::{Contract, Kind, Side, check_native};

const WIT: &str = "
    package demo:shop@1.0.0;
    interface shop { price: func(product: string) -> option<u64>; }
    interface tax { rate: func(country: string) -> f64; }
    world plugin {
        import shop;
        import now: func() -> u64;
        export tax;
        export add: func(a: u32, b: s64) -> u64;
        export to-upper: func(text: string) -> result<string, string>;
        export find: func(text: string, letter: char) -> option<string>;
        export run: func();
    }
";

/// All that the world wants, each export in another shape.
const MODULE: &str = r#"(module
    (import "shop" "price" (func (param i32 i32) (result i32 i64)))
    (import "env" "now" (func (result i64)))
    (import "env" "host_log" (func (param i32 i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
    (memory (export "memory") 1)
    (func (export "rate") (param i32 i32) (result f64) f64.const 0)
    (func (export "add") (param i32 i64) (result i64) i64.const 0)
    (func (export "toUpper") (param i32 i32) (result i64) i64.const 0)
    (func (export "find") (param i32 i32 i32 i32))
    (func (export "run")))"#;

/// Returns the differences of a module from the world.
fn differences(module: &str) -> Vec<String> {
    let wanted = Contract::from_wit("shop.wit", WIT, None).expect("it is WIT");
    let wasm = wat::parse_str(module).expect("it is WAT");
    let found = check_native(&wasm, &wanted).expect("it is a module");
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_module_that_has_all_fits() {
    assert_eq!(differences(MODULE), [""; 0]);
}

#[test]
fn each_shape_of_a_text_or_an_error_fits() {
    let shape = r#""toUpper") (param i32 i32) (result i64) i64.const 0"#;
    assert!(MODULE.contains(shape));
    for other in [
        r#""to_upper") (param i32 i32) (result i32 i32) unreachable"#,
        r#""to-upper") (param i32 i32 i32)"#,
        // A result as any other: whether it is an error, the text, the error's text.
        r#""to_upper") (param i32 i32) (result i32 i32 i32 i32 i32) unreachable"#,
    ] {
        assert_eq!(
            differences(&MODULE.replace(shape, other)),
            [""; 0],
            "{other}"
        );
    }
}

#[test]
fn what_differs_is_told_with_what_to_do() {
    let module = MODULE
        .replace(
            "(param i32 i64) (result i64)",
            "(param i32 i32) (result i64)",
        )
        .replace("\"rate\"", "\"quote\"")
        .replace("(result i32 i64)))", "(result i64)))")
        .replace("\"now\"", "\"today\"");
    assert_eq!(
        differences(&module),
        [
            "export `add`: expected `(i32, i64) -> i64`, found `(i32, i32) -> i64`: change it in the plugin: the world has `func(a: u32, b: s64) -> u64`",
            "export `demo:shop/tax@1.0.0`, `rate`: expected `(i32, i32) -> f64`, found none: the plugin lacks it: export `rate`",
            "import `demo:shop/shop@1.0.0`, `price`: expected `(i32, i32, i32) -> ()` or `(i32, i32) -> (i32, i64)`, found `(i32, i32) -> i64`: change it in the plugin: the world has `func(product: string) -> option<u64>`",
            "import `env`, `today`: found `() -> i64`, not in the world: the world does not supply it: remove it from the plugin, or add it to the world",
        ]
    );
}

#[test]
fn a_type_that_no_core_module_can_pass_is_told() {
    let wit =
        "package demo:it; world it { record point { x: u32 } export at: func(point: point); }";
    let wanted = Contract::from_wit("it.wit", wit, None).expect("it is WIT");
    let wasm = wat::parse_str(r#"(module (func (export "at") (param i32)))"#).expect("it is WAT");
    let found = check_native(&wasm, &wanted).expect("it is a module");
    assert_eq!(
        (found.len(), found[0].side, found[0].kind),
        (1, Side::Export, Kind::Mismatch)
    );
    assert!(
        found[0].remedy.contains("record point { x: u32 }")
            && found[0].remedy.contains("hostel bindgen"),
        "{}",
        found[0]
    );
}

#[test]
fn a_broken_module_is_refused() {
    let wanted = Contract::from_wit("shop.wit", WIT, None).expect("it is WIT");
    let error = check_native(b"\0asm\x01\0\0\0\x01\xff", &wanted).expect_err("it is broken");
    assert_eq!(error.code(), "invalid-contract");
}

#[test]
fn a_page_has_functions_types_and_comments() {
    let wit = "
        /// Greets.
        package demo:greet@1.0.0;
        /// A plugin.
        world plugin {
            /// How loud.
            enum volume {
                /// Barely | audible.
                low,
                high,
            }
            /// Greets a person.
            export greet: func(name: string, volume: volume) -> string;
        }
    ";
    let contract = Contract::from_wit("greet.wit", wit, None).expect("it is WIT");
    let page = contract.to_markdown().expect("it is short");
    assert_eq!(
        page,
        "# `demo:greet/plugin@1.0.0`

A plugin.

## Exports

What a plugin of this world does.

### `greet`

```wit
greet: func(name: string, volume: volume) -> string;
```

Greets a person.

## Imports

What the host does for a plugin.

### enum `volume`

How loud.

| case | type | |
|---|---|---|
| `low` |  | Barely \\| audible. |
| `high` |  |  |
"
    );
}
