//! Extism: the environment's functions, and the rules that plugins of other houses depend on.

use hostel::{
    Budget, CallError, Extism, Grants, MemoryState, Plugin, StateLimits, StateStore as _,
};
use hostel_tests::{Lines, code, load_wat};
use std::sync::Arc;

/// The functions of the environment, with their types.
const ENVIRONMENT: &str = r#"
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "free" (func $free (param i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "length_unsafe" (func $length_unsafe (param i64) (result i64)))
    (import "extism:host/env" "load_u8" (func $load8 (param i64) (result i32)))
    (import "extism:host/env" "load_u64" (func $load64 (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store8 (param i64 i32)))
    (import "extism:host/env" "store_u64" (func $store64 (param i64 i64)))
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "input_length" (func $input_length (result i64)))
    (import "extism:host/env" "input_load_u8" (func $input8 (param i64) (result i32)))
    (import "extism:host/env" "input_load_u64" (func $input64 (param i64) (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "extism:host/env" "error_set" (func $error (param i64)))
    (import "extism:host/env" "error_get" (func $error_get (result i64)))
    (import "extism:host/env" "config_get" (func $config (param i64) (result i64)))
    (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
    (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
    (import "extism:host/env" "log_warn" (func $warn (param i64)))
    (import "extism:host/env" "get_log_level" (func $level (result i32)))
    (import "extism:host/env" "http_request" (func $http (param i64 i64) (result i64)))
    (import "extism:host/env" "http_status_code" (func $status (result i32)))"#;

/// Functions for the tests: a block of a text, and an answer of numbers as text of 8 bytes each.
const HELP: &str = r#"
    (func $byte (param $c i32) (result i64) (local $at i64)
      (local.set $at (call $alloc (i64.const 1)))
      (call $store8 (local.get $at) (local.get $c))
      (local.get $at))
    (func $answer (param $number i64) (local $at i64)
      (local.set $at (call $alloc (i64.const 8)))
      (call $store64 (local.get $at) (local.get $number))
      (call $output (local.get $at) (i64.const 8)))"#;

fn with(functions: &str, grants: Grants) -> Plugin {
    load_wat(
        &format!("(module {ENVIRONMENT} {HELP} {functions})"),
        &grants,
    )
}

fn plugin(functions: &str) -> Plugin {
    with(functions, Grants::new().extism(Extism::new()))
}

/// Calls `f`, which answers a number.
fn number(plugin: &Plugin, input: &[u8]) -> u64 {
    let output = plugin.call_bytes("f", input).unwrap();
    u64::from_le_bytes(output.try_into().unwrap())
}

/// Returns the number that the expression has in a plugin's function `f`.
fn value(expression: &str, input: &[u8]) -> u64 {
    let text =
        format!(r#"(func (export "f") (local $a i64) (local $b i64) (call $answer {expression}))"#);
    number(&plugin(&text), input)
}

#[test]
fn blocks_are_zeroed_padded_and_below_four_gigabytes() {
    assert_eq!(value("(call $alloc (i64.const 0))", b""), 0);
    let handle = value("(call $alloc (i64.const 5))", b"");
    assert!(handle > 0 && handle < 1 << 32, "{handle}");
    let set = "(local.set $a (call $alloc (i64.const 5)))";
    let text =
        |then: &str| format!(r#"(func (export "f") (local $a i64) (local $b i64) {set} {then})"#);
    // Eight bytes at its end, and behind it.
    for offset in [0, 4, 5, 8] {
        let load =
            format!("(call $answer (call $load64 (i64.add (local.get $a) (i64.const {offset}))))");
        assert_eq!(number(&plugin(&text(&load)), b""), 0);
    }
    let padded = text(
        "(call $store64 (i64.add (local.get $a) (i64.const 4)) (i64.const -1))
         (local.set $b (call $alloc (i64.const 8)))
         (call $answer (call $load64 (local.get $b)))",
    );
    assert_eq!(number(&plugin(&padded), b""), 0);
}

#[test]
fn offsets_are_never_used_again_and_freed_bytes_stay_readable() {
    let text = r#"(func (export "f") (local $a i64) (local $b i64)
        (local.set $a (call $byte (i32.const 7)))
        (call $free (local.get $a))
        (local.set $b (call $byte (i32.const 9)))
        ;; Freed a second time: it must not free the other one.
        (call $free (local.get $a))
        (call $answer (i64.add
          (i64.mul (i64.const 1000) (i64.extend_i32_u (call $load8 (local.get $a))))
          (i64.add
            (i64.mul (i64.const 100) (call $length (local.get $b)))
            (i64.extend_i32_u (i64.eq (local.get $a) (local.get $b)))))))"#;
    assert_eq!(number(&plugin(text), b""), 7_100);
}

#[test]
fn only_the_start_of_a_live_block_has_a_length() {
    for (expression, expected) in [
        ("(call $length (call $alloc (i64.const 3)))", 3),
        ("(call $length_unsafe (call $alloc (i64.const 3)))", 3),
        (
            "(call $length (i64.add (call $alloc (i64.const 3)) (i64.const 1)))",
            0,
        ),
        ("(call $length (i64.const 0))", 0),
        ("(call $length (i64.const -1))", 0),
        ("(call $length (i64.const 123456789))", 0),
    ] {
        assert_eq!(value(expression, b""), expected, "{expression}");
    }
}

#[test]
fn loads_outside_give_zero_and_stores_outside_do_nothing() {
    for at in ["0", "1", "-1", "-8", "0x7fffffffffffffff", "100000"] {
        let wide = format!("(call $load64 (i64.const {at}))");
        assert_eq!(value(&wide, b""), 0, "{at}");
        let narrow = format!("(i64.extend_i32_u (call $load8 (i64.const {at})))");
        assert_eq!(value(&narrow, b""), 0, "{at}");
        let text = format!(
            r#"(func (export "f")
                (call $store8 (i64.const {at}) (i32.const 1)) (call $store64 (i64.const {at}) (i64.const 1))
                (call $answer (i64.const 5)))"#
        );
        assert_eq!(number(&plugin(&text), b""), 5, "{at}");
    }
}

#[test]
fn the_input_is_a_block_and_an_empty_one_is_none() {
    assert_eq!(value("(call $input)", b""), 0);
    assert_eq!(value("(call $input_length)", b""), 0);
    assert_eq!(value("(call $input_length)", b"abc"), 3);
    assert_eq!(value("(call $length (call $input))", b"abc"), 3);
    let first = u64::from(b'a');
    assert_eq!(
        value("(i64.extend_i32_u (call $load8 (call $input)))", b"abc"),
        first
    );
    for (at, expected) in [(0, first), (2, u64::from(b'c')), (3, 0), (u64::MAX, 0)] {
        let load = format!("(i64.extend_i32_u (call $input8 (i64.const {at})))");
        assert_eq!(value(&load, b"abc"), expected, "{at}");
    }
    let all = u64::from_le_bytes(*b"abcdefgh");
    for (at, expected) in [(0, all), (1, 0), (u64::MAX, 0)] {
        let load = format!("(call $input64 (i64.const {at}))");
        assert_eq!(value(&load, b"abcdefgh"), expected, "{at}");
    }
    let freed =
        r#"(func (export "f") (call $free (call $input)) (call $answer (call $input_length)))"#;
    assert_eq!(number(&plugin(freed), b"abc"), 0);
}

#[test]
fn the_output_is_any_range_also_of_a_freed_block() {
    let inside = r#"(func (export "f") (call $output (i64.add (call $input) (i64.const 1)) (i64.const 2))
        (call $free (call $input)))"#;
    assert_eq!(plugin(inside).call_bytes("f", b"abcd").unwrap(), b"bc");
    for ignored in ["0 0", "-1 5", "16 -1", "0x100000000 1", "16 1000000"] {
        let (at, len) = ignored.split_once(' ').unwrap();
        let text = format!(
            r#"(func (export "f") (call $output (call $input) (i64.const 3))
                (call $output (i64.const {at}) (i64.const {len})))"#
        );
        assert_eq!(
            plugin(&text).call_bytes("f", b"abc").unwrap(),
            b"abc",
            "{ignored}"
        );
    }
    let none = plugin(r#"(func (export "f"))"#);
    assert_eq!(none.call_bytes("f", b"abc").unwrap(), b"");
}

#[test]
fn an_error_text_counts_whatever_else_happens() {
    let set = "(call $error (call $input))";
    for (body, result) in [
        (set.to_owned(), Ok(())),
        (format!("{set} (return (i32.const 3))"), Ok(())),
        (format!("{set} unreachable"), Ok(())),
        (format!("{set} (call $error (i64.const 0))"), Err("")),
        (format!("{set} (call $free (call $input))"), Err("")),
        (
            "(call $error (i64.add (call $input) (i64.const 1)))".to_owned(),
            Err(""),
        ),
    ] {
        let text = format!(r#"(func (export "f") (result i32) {body} (i32.const 0))"#);
        let plugin = plugin(&text);
        let found = plugin.call_bytes("f", b"wrong");
        match result {
            Ok(()) => {
                let found = found.unwrap_err();
                assert_eq!(
                    found,
                    CallError::Guest {
                        message: "wrong".into()
                    },
                    "{body}"
                );
            }
            Err(_) => assert_eq!(found.unwrap(), b"", "{body}"),
        }
    }
}

#[test]
fn an_instance_that_trapped_is_not_used_again_though_it_set_an_error() {
    let text = r#"(global $n (mut i64) (i64.const 0))
        (func (export "f") (call $error (call $input))
          (global.set $n (i64.const 1)) unreachable)
        (func (export "g") (call $answer (global.get $n)))"#;
    let plugin = plugin(text);
    let mut instance = plugin.instantiate(()).unwrap();
    let failed = instance.call_bytes("f", b"x", |_| ());
    assert_eq!(code(&failed), "guest-error");
    assert!(instance.is_stopped());
    assert_eq!(code(&instance.call_bytes("g", b"", |_| ())), "stopped");
    assert_eq!(code(&plugin.call_bytes("f", b"x")), "guest-error");
    assert_eq!(plugin.pool_figures().idle, 0);
    assert_eq!(plugin.call_bytes("g", b"").unwrap(), [0; 8]);
}

#[test]
fn codes_exits_and_other_types() {
    let wasi = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    let load = |body: &str| {
        let text = format!("(module {wasi} {ENVIRONMENT} {HELP} {body})");
        load_wat::<()>(
            &text,
            &Grants::new().extism(Extism::new()).wasi(hostel::wasi()),
        )
    };
    let call = |body: &str| load(body).call_bytes("f", b"in");
    let nine = call(r#"(func (export "f") (result i32) (i32.const 9))"#).unwrap_err();
    assert!(nine.to_string().contains("the code 9"), "{nine}");
    let zero = r#"(func (export "f") (call $output (call $input) (i64.const 2)) (call $exit (i32.const 0)))"#;
    assert_eq!(call(zero).unwrap(), b"in");
    let three = call(r#"(func (export "f") (call $exit (i32.const 3)))"#);
    assert_eq!(three.unwrap_err(), CallError::Exited { code: 3 });
    for other in [
        r#"(func (export "f") (result i64) (i64.const 0))"#,
        r#"(func (export "f") (param i32))"#,
        r#"(func (export "f") (result i32 i32) (i32.const 0) (i32.const 0))"#,
    ] {
        assert_eq!(code(&call(other)), "export-type", "{other}");
    }
    assert_eq!(code(&call(r#"(func (export "g"))"#)), "unknown-export");
    let start = load(r#"(func (export "_start") (call $output (call $input) (i64.const 2)))"#);
    assert_eq!(start.call_bytes("_start", b"in").unwrap(), b"in");
}

#[test]
fn settings_free_their_key() {
    let extism = Extism::new().config([("k", "first"), ("k", "value"), ("e", "")]);
    let text = r#"(func (export "f") (local $key i64) (local $value i64)
        (local.set $key (call $byte (call $input8 (i64.const 0))))
        (local.set $value (call $config (local.get $key)))
        (call $output (local.get $value) (call $length (local.get $value)))
        (call $free (local.get $key))
        (if (i64.ne (call $length (local.get $key)) (i64.const 0)) (then unreachable)))
        (func (export "forged") (drop (call $config (i64.const 99))))"#;
    let plugin = with(text, Grants::new().extism(extism));
    assert_eq!(plugin.call_bytes("f", b"k").unwrap(), b"value");
    assert_eq!(plugin.call_bytes("f", b"e").unwrap(), b"");
    assert_eq!(plugin.call_bytes("f", b"x").unwrap(), b"");
    assert_eq!(code(&plugin.call_bytes("f", b"\xff")), "trap-host-call");
    let forged = plugin.call_bytes("forged", b"").unwrap_err();
    assert!(forged.to_string().contains("99"), "{forged}");
}

/// Sets the variable `v` to the input, or removes it; returns it.
const VARIABLES: &str = r#"
    (func (export "set") (local $v i64)
      (local.set $v (call $alloc (call $input_length)))
      (if (i64.ne (local.get $v) (i64.const 0))
        (then (call $store64 (local.get $v) (call $load64 (call $input)))))
      (call $var_set (call $byte (i32.const 118)) (local.get $v))
      (if (i64.ne (call $length (local.get $v)) (i64.const 0)) (then unreachable)))
    (func (export "get") (local $v i64)
      (local.set $v (call $var_get (call $byte (i32.const 118))))
      (call $output (local.get $v) (call $length (local.get $v))))"#;

#[test]
fn variables_outlive_instances_and_handles_do_not() {
    let plugin = plugin(VARIABLES);
    assert_eq!(plugin.call_bytes("get", b"").unwrap(), b"");
    plugin.call_bytes("set", b"kept").unwrap();
    assert_eq!(plugin.call_bytes("get", b"").unwrap(), b"kept");
    plugin.call_bytes("set", b"").unwrap();
    assert_eq!(plugin.call_bytes("get", b"").unwrap(), b"");
}

#[test]
fn variables_are_bounded_or_off_and_can_lie_in_a_store() {
    let store = Arc::new(MemoryState::new(StateLimits::server()));
    let extism = Extism::new().variables(store.clone()).variable_bytes(55);
    let bounded = with(VARIABLES, Grants::new().extism(extism));
    // 1 byte of key, 6 of value, and 48.
    bounded.call_bytes("set", b"123456").unwrap();
    bounded.call_bytes("set", b"654321").unwrap();
    let full = bounded.call_bytes("set", b"1234567").unwrap_err();
    assert!(full.to_string().contains("variable_bytes"), "{full}");
    assert_eq!(
        store.get("guest", b"v").unwrap().as_deref(),
        Some(&b"654321"[..])
    );
    let off = with(
        VARIABLES,
        Grants::new().extism(Extism::new().variable_bytes(0)),
    );
    let disabled = off.call_bytes("set", b"1").unwrap_err();
    assert!(disabled.to_string().contains("disabled"), "{disabled}");
}

#[test]
fn log_records_have_levels_and_free_their_block() {
    let lines = Lines::default();
    let text = r#"(func (export "f") (local $at i64)
        (local.set $at (call $byte (i32.const 104)))
        (call $warn (local.get $at))
        (call $answer (i64.add (call $length (local.get $at)) (i64.extend_i32_u (call $level)))))"#;
    let logged = with(text, lines.granted::<()>().extism(Extism::new()));
    assert_eq!(number(&logged, b""), 0);
    let found = lines.take();
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("warn") && found[0].ends_with('h'),
        "{found:?}"
    );
    // Without a sink, nothing would be logged.
    assert_eq!(number(&plugin(text), b""), i32::MAX as u64);
}

#[test]
fn functions_of_the_embedder_take_and_return_blocks() {
    let join = |arguments: &[&[u8]]| match arguments {
        [b"no", _] => Err("refused".to_owned()),
        _ => Ok(arguments.concat()),
    };
    let text = format!(
        r#"(module (import "extism:host/user" "join" (func $join (param i64 i64) (result i64)))
            (import "extism:host/user" "note" (func $note (param i64)))
            {ENVIRONMENT} {HELP}
            (func (export "f") (local $v i64)
              (call $note (call $input))
              (local.set $v (call $join (call $input) (call $byte (i32.const 33))))
              (call $output (local.get $v) (call $length (local.get $v)))
              ;; The arguments are the guest's still.
              (if (i64.ne (call $length (call $input)) (call $input_length)) (then unreachable)))
            (func (export "forged") (call $note (i64.const 77))))"#
    );
    let noted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let notes = noted.clone();
    let extism = Extism::new()
        .function("extism:host/user", "join", join)
        .function("extism:host/user", "note", move |arguments| {
            notes.lock().unwrap().push(arguments.concat());
            Ok(Vec::new())
        });
    let plugin = load_wat(&text, &Grants::<()>::new().extism(extism));
    assert_eq!(plugin.call_bytes("f", b"hi").unwrap(), b"hi!");
    assert_eq!(plugin.call_bytes("f", b"").unwrap(), b"!");
    assert_eq!(*noted.lock().unwrap(), [b"hi".to_vec(), Vec::new()]);
    let refused = plugin.call_bytes("f", b"no").unwrap_err();
    assert!(refused.to_string().contains("refused"), "{refused}");
    assert_eq!(refused.code(), "trap-host");
    assert!(
        plugin
            .call_bytes("forged", b"")
            .unwrap_err()
            .to_string()
            .contains("77")
    );
}

#[test]
fn http_is_not_granted() {
    let text = r#"(func (export "f") (drop (call $http (call $input) (i64.const 0))))
        (func (export "g") (call $answer (i64.extend_i32_u (call $status))))"#;
    let plugin = plugin(text);
    let refused = plugin.call_bytes("f", b"{}").unwrap_err();
    assert!(
        refused.to_string().contains("HTTP is not granted"),
        "{refused}"
    );
    assert_eq!(plugin.call_bytes("g", b"").unwrap(), [0; 8]);
}

#[test]
fn runtimes_are_initialised_in_their_order() {
    let count = r#"(global $n (mut i64) (i64.const 0))
        (func $note (param $digit i64)
          (global.set $n (i64.add (i64.mul (global.get $n) (i64.const 10)) (local.get $digit))))
        (func (export "f") (call $answer (global.get $n)))"#;
    let initialize = r#"(func (export "_initialize") (call $note (i64.const 1)))"#;
    let constructors = r#"(func (export "__wasm_call_ctors") (call $note (i64.const 2)))"#;
    let haskell = r#"(func (export "hs_init") (param i32 i32)
        (call $note (i64.extend_i32_u (i32.add (i32.const 3) (i32.or (local.get 0) (local.get 1))))))"#;
    let start = r#"(func (export "_start") (call $note (i64.const 9)))"#;
    for (exports, expected) in [
        (vec![initialize, haskell, constructors], 13),
        (vec![haskell], 3),
        (vec![initialize, constructors], 2),
        (vec![initialize, start], 1),
        (vec![start], 0),
    ] {
        let text = format!("{count} {}", exports.concat());
        assert_eq!(number(&plugin(&text), b""), expected, "{exports:?}");
    }
}

#[test]
fn blocks_are_bounded_in_bytes_and_number() {
    let many = r#"(func (export "f") (local $n i64) (local $answer i64)
        (local.set $answer (call $alloc (i64.const 8)))
        (loop $on
          (local.set $n (i64.add (local.get $n) (i64.const 1)))
          (br_if $on (i64.ne (call $alloc (i64.const 1)) (i64.const 0))))
        (call $store64 (local.get $answer) (local.get $n))
        (call $output (local.get $answer) (i64.const 8)))"#;
    let small = with(
        many,
        Grants::new().extism(Extism::new().memory_bytes(100_000)),
    );
    let blocks = number(&small, b"");
    assert!((1_000..3_200).contains(&blocks), "{blocks}");
    // A call begins with all of the memory.
    assert_eq!(number(&small, b""), blocks);
    for huge in ["0x8000000000000000", "-1", "0x100000000", "0x7fffffff"] {
        assert_eq!(
            value(&format!("(call $alloc (i64.const {huge}))"), b""),
            0,
            "{huge}"
        );
    }
}

#[test]
fn bytes_are_charged_and_bounded_by_the_budget() {
    let text = r#"(func (export "f") (drop (call $alloc (i64.const 60000000))))
        (func (export "g") (call $output (call $input) (call $input_length)))"#;
    let plugin = plugin(text);
    let poor = plugin.with_budget(Budget::server().with_fuel(100_000));
    assert_eq!(code(&poor.call_bytes("f", b"")), "out-of-fuel");
    let mut budget = Budget::server();
    budget.output_bytes = 3;
    let narrow = plugin.with_budget(budget);
    assert_eq!(code(&narrow.call_bytes("g", b"abcd")), "output-too-large");
    // The guest itself was not stopped.
    assert_eq!(narrow.call_bytes("g", b"abc").unwrap(), b"abc");
    let wide = plugin.call_bytes("g", &[7; 100_000]).unwrap();
    assert_eq!(wide, [7; 100_000]);
}

#[test]
fn guest_memory_is_not_needed_and_holds_nothing() {
    let text = r#"(func (export "f") (call $output (call $input) (call $input_length)))"#;
    let plugin = plugin(text);
    assert!(plugin.info().memories.is_empty());
    assert_eq!(plugin.process(b"x").unwrap_err().code(), "unknown-export");
    assert_eq!(plugin.call_bytes("f", b"x").unwrap(), b"x");
}

#[test]
fn error_texts_are_bounded_and_charged() {
    let text = r#"(func (export "f") (call $error (call $alloc (i64.const 5000))))
        (func (export "g") (local $at i64)
          (local.set $at (call $alloc (i64.const 5000)))
          (call $store8 (local.get $at) (i32.const 255))
          (call $error (local.get $at)))"#;
    let plugin = plugin(text);
    let mut budget = Budget::server();
    budget.error_bytes = 4_999;
    assert_eq!(
        code(&plugin.with_budget(budget).call_bytes("f", b"")),
        "error-too-large"
    );
    budget.error_bytes = 5_000;
    assert_eq!(
        code(&plugin.with_budget(budget).call_bytes("f", b"")),
        "guest-error"
    );
    let fuel = |name: &str| {
        let call = |instance: &mut hostel::Instance| instance.call_bytes(name, b"", |_| ());
        let (result, used) = plugin.with_instance_metered(call);
        assert_eq!(code(&result), "guest-error");
        used.fuel
    };
    // Each byte of a text that is not UTF-8 is charged, besides one unit for each 64 bytes.
    let (text, no_text) = (fuel("f"), fuel("g"));
    assert!(no_text > text + 4_800, "{text} {no_text}");
    let poor = plugin.with_budget(Budget::server().with_fuel(no_text - 100));
    assert_eq!(code(&poor.call_bytes("g", b"")), "out-of-fuel");
}

#[test]
fn blocks_count_against_the_limit_of_memory_and_the_heap() {
    let text = format!(
        r#"(module {ENVIRONMENT} {HELP} (memory 2)
            (func (export "f") (call $answer (call $length (call $alloc (i64.const 100000))))))"#
    );
    let load = |memory: usize| {
        let mut limits = hostel::Limits::server();
        limits.memory_bytes = memory;
        let grants = Grants::<()>::new()
            .extism(Extism::new())
            .with_limits(limits);
        load_wat(&text, &grants)
    };
    assert_eq!(number(&load(300_000), b""), 100_000);
    assert_eq!(number(&load(200_000), b""), 0);
}

#[test]
fn the_bytes_of_blocks_are_told_at_no_cost_of_their_number() {
    let import = r#"(import "extism:host/env" "memory_bytes" (func $bytes (result i64)))"#;
    let text = format!(
        r#"(module {import} {ENVIRONMENT} {HELP}
            (func (export "f") (local $a i64) (local $n i64)
              (local.set $a (call $alloc (i64.const 7)))
              (drop (call $alloc (i64.const 10)))
              (call $free (local.get $a)) (call $free (local.get $a))
              (local.set $n (call $bytes))
              (call $answer (local.get $n))))"#
    );
    let plugin = load_wat(&text, &Grants::<()>::new().extism(Extism::new()));
    // The input, and the block that was not freed.
    assert_eq!(number(&plugin, b"abc"), 13);
}

#[test]
fn a_guest_gets_the_error_of_a_function_that_returns_them() {
    let answers = |arguments: &[&[u8]]| match arguments {
        [b"no"] => Err("refused".to_owned()),
        [b"silent"] => Err(String::new()),
        [b"nothing"] => Ok(Vec::new()),
        _ => Ok(b"fine".to_vec()),
    };
    let text = format!(
        r#"(module (import "extism:host/user" "ask" (func $ask (param i64) (result i64)))
            (import "extism:host/user" "tell" (func $tell (param i64)))
            {ENVIRONMENT} {HELP}
            (func $show (param $at i64) (call $output (local.get $at) (call $length (local.get $at))))
            ;; Shows the answer, or else the error.
            (func (export "asks") (local $v i64)
              (local.set $v (call $ask (call $input)))
              (if (i64.eqz (local.get $v)) (then (local.set $v (call $error_get))))
              (call $show (local.get $v)))
            (func (export "tells") (call $tell (call $input)) (call $show (call $error_get)))
            ;; Asks, fails, and asks again with another handle: the error is the last call's.
            (func (export "twice") (drop (call $ask (call $input))) (drop (call $ask (i64.const 0)))
              (call $answer (call $error_get)))
            (func (export "clears") (drop (call $ask (call $input))) (call $error (i64.const 0))
              (call $answer (call $error_get)))
            (func (export "gives_up") (drop (call $ask (call $input))) (call $error (call $error_get)))
            (func (export "forgets") (call $answer (call $error_get))))"#
    );
    let extism = Extism::new()
        .function_with_errors("extism:host/user", "ask", answers)
        .function_with_errors("extism:host/user", "tell", answers);
    let plugin = load_wat(&text, &Grants::<()>::new().extism(extism));
    let mut instance = plugin.instantiate(()).unwrap();
    let mut call = |name: &str, input: &[u8]| instance.call_bytes(name, input, <[u8]>::to_vec);
    for name in ["asks", "tells"] {
        assert_eq!(call(name, b"no").unwrap(), b"refused", "{name}");
        assert_eq!(
            call(name, b"silent").unwrap(),
            b"the host function failed",
            "{name}"
        );
        assert_eq!(call(name, b"nothing").unwrap(), b"", "{name}");
    }
    assert_eq!(call("asks", b"yes").unwrap(), b"fine");
    assert_eq!(call("tells", b"yes").unwrap(), b"");
    assert_eq!(call("twice", b"no").unwrap(), [0; 8]);
    assert_eq!(call("clears", b"no").unwrap(), [0; 8]);
    let error = call("gives_up", b"no").unwrap_err();
    assert_eq!((error.code(), error.stops()), ("guest-error", false));
    assert!(error.to_string().ends_with(": refused"), "{error}");
    // Of the call before.
    assert_eq!(call("forgets", b"").unwrap(), [0; 8]);
}

#[test]
fn an_error_for_the_guest_is_within_its_budget() {
    let long = |_: &[&[u8]]| Err("x".repeat(1_000));
    let text = format!(
        r#"(module (import "extism:host/user" "ask" (func $ask (result i64)))
            {ENVIRONMENT} {HELP}
            (func (export "f") (drop (call $ask)) (call $answer (call $length (call $error_get)))))"#
    );
    let extism = Extism::new().function_with_errors("extism:host/user", "ask", long);
    let plugin = load_wat(&text, &Grants::<()>::new().extism(extism));
    assert_eq!(number(&plugin, b""), 1_000);
    let mut budget = Budget::server();
    budget.bytes_to_guest = 999;
    let refused = plugin.with_budget(budget).call_bytes("f", b"");
    assert_eq!(code(&refused), "arena-bytes");
}

#[test]
fn calls_in_parallel_do_not_exceed_the_bytes_of_variables_together() {
    // The input is the key. Each variable counts 1 + 1 + 48 bytes.
    let set = r#"(func (export "f") (call $var_set (call $input) (call $byte (i32.const 49))))"#;
    for _ in 0..20 {
        let store = Arc::new(MemoryState::new(StateLimits::server()));
        let extism = Extism::new().variables(store.clone()).variable_bytes(150);
        let plugin = with(set, Grants::new().extism(extism));
        let fit: usize = std::thread::scope(|scope| {
            let calls = [b"a", b"b", b"c", b"d", b"e", b"f"].map(|key| {
                let plugin = &plugin;
                scope.spawn(move || plugin.call_bytes("f", key).is_ok())
            });
            calls
                .map(|call| usize::from(call.join().unwrap()))
                .into_iter()
                .sum()
        });
        assert_eq!((fit, store.used("guest").unwrap().keys), (3, 3));
    }
}
