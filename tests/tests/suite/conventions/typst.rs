//! Typst's plugins: any number of arguments in, one result out.

use hostel::{Budget, Derivable, Engine, Extism, Grants, Plugin, Step};
use hostel_tests::{assemble, code, load_wat};

/// Returns a plugin whose functions get the two imports.
fn plugin(functions: &str) -> Plugin {
    let text = format!(
        r#"(module
            (import "typst_env" "wasm_minimal_protocol_write_args_to_buffer" (func $args (param i32)))
            (import "typst_env" "wasm_minimal_protocol_send_result_to_host" (func $send (param i32 i32)))
            (memory (export "memory") 1)
            {functions})"#
    );
    load_wat(&text, &Grants::new().typst())
}

/// Returns all arguments back to back.
const JOIN: &str = r#"(func (export "join") (param $a i32) (param $b i32) (result i32)
    (call $args (i32.const 100))
    (call $send (i32.const 100) (i32.add (local.get $a) (local.get $b)))
    (i32.const 0))"#;

#[test]
fn arguments_lie_back_to_back() {
    let plugin = plugin(JOIN);
    assert_eq!(
        plugin.call_arguments("join", &[b"one", b""]).unwrap(),
        b"one"
    );
    assert_eq!(
        plugin.call_arguments("join", &[b"", b"two"]).unwrap(),
        b"two"
    );
    assert_eq!(
        plugin.call_arguments("join", &[b"one", b"two"]).unwrap(),
        b"onetwo"
    );
    assert!(plugin.pool_figures().resets > 0);
}

#[test]
fn the_number_of_arguments_must_fit() {
    let plugin = plugin(JOIN);
    for inputs in [&[][..], &[&b"one"[..]], &[b"1", b"2", b"3"]] {
        let error = plugin.call_arguments("join", inputs).unwrap_err();
        assert_eq!(error.code(), "export-type", "{error}");
        let expected = format!("expected {} arguments", inputs.len());
        assert!(error.to_string().contains(&expected), "{error}");
    }
    let missing = plugin.call_arguments("part", &[]);
    assert_eq!(code(&missing), "unknown-export");
}

#[test]
fn arguments_are_written_once() {
    let plugin = plugin(
        r#"(func (export "again") (param i32) (result i32)
            (call $args (i32.const 0)) (call $args (i32.const 50))
            (call $send (i32.const 50) (i32.const 3)) (i32.const 0))"#,
    );
    assert_eq!(plugin.call_bytes("again", b"abc").unwrap(), [0, 0, 0]);
}

#[test]
fn the_last_result_counts_and_none_is_empty() {
    let plugin = plugin(
        r#"(data (i32.const 0) "firstlast")
           (func (export "twice") (result i32)
             (call $send (i32.const 0) (i32.const 5)) (call $send (i32.const 5) (i32.const 4)) (i32.const 0))
           (func (export "none") (result i32) (i32.const 0))"#,
    );
    assert_eq!(plugin.call_arguments("twice", &[]).unwrap(), b"last");
    assert_eq!(plugin.call_arguments("none", &[]).unwrap(), b"");
}

#[test]
fn the_code_tells_success_error_or_a_broken_protocol() {
    let plugin = plugin(
        r#"(data (i32.const 0) "bad\ff")
           (func (export "fails") (result i32) (call $send (i32.const 0) (i32.const 3)) (i32.const 1))
           (func (export "gibberish") (result i32) (call $send (i32.const 0) (i32.const 4)) (i32.const 1))
           (func (export "seven") (result i32) (i32.const 7))
           (func (export "traps") (result i32) unreachable)"#,
    );
    let result = |name: &str| plugin.call_arguments(name, &[]);
    assert_eq!(code(&result("fails")), "guest-error");
    assert!(result("fails").unwrap_err().to_string().ends_with(": bad"));
    assert_eq!(code(&result("gibberish")), "not-utf8");
    assert_eq!(code(&result("seven")), "bad-value");
    assert!(result("seven").unwrap_err().to_string().contains('7'));
    assert_eq!(code(&result("traps")), "trap-unreachable");
}

#[test]
fn a_range_outside_the_memory_is_told_after_the_call() {
    let plugin = plugin(
        r#"(func (export "reads") (result i32)
             (call $send (i32.const 65530) (i32.const 10)) (call $send (i32.const 0) (i32.const 1)) (i32.const 1))
           (func (export "writes") (param i32) (result i32) (call $args (i32.const 65535)) (i32.const 0))"#,
    );
    // Though the guest says error, and sent a result afterwards.
    let read = plugin.call_arguments("reads", &[]).unwrap_err();
    assert_eq!(read.code(), "out-of-bounds");
    assert!(!read.stops());
    assert!(read.to_string().contains("0xfffa"), "{read}");
    let written = plugin.call_bytes("writes", b"abc").unwrap_err();
    assert_eq!(written.code(), "out-of-bounds");
    assert!(
        written.to_string().contains("buffer for the arguments"),
        "{written}"
    );
}

#[test]
fn initialize_is_not_called() {
    let plugin = plugin(
        r#"(global $n (mut i32) (i32.const 0))
           (func (export "_initialize") (global.set $n (i32.const 9)))
           (func (export "count") (result i32) (global.get $n))"#,
    );
    assert_eq!(plugin.call_arguments("count", &[]).unwrap(), b"");
}

#[test]
fn inputs_and_results_are_bounded() {
    let mut budget = Budget::server();
    budget.input_bytes = 10;
    budget.output_bytes = 4;
    let plugin = plugin(JOIN).with_budget(budget);
    let result = |a: &[u8], b: &[u8]| plugin.call_arguments("join", &[a, b]);
    assert_eq!(result(b"12", b"34").unwrap(), b"1234");
    assert_eq!(code(&result(b"123", b"45")), "trap-host-call");
    assert_eq!(code(&result(b"123456", b"78901")), "input-too-large");
    let fails = self::plugin(
        r#"(func (export "f") (result i32) (call $send (i32.const 0) (i32.const 30)) (i32.const 1))"#,
    );
    let mut budget = Budget::server();
    budget.error_bytes = 29;
    let long = fails.with_budget(budget).call_arguments("f", &[]);
    assert_eq!(code(&long), "error-too-large");
}

#[test]
fn a_stepped_call_has_the_fuel_and_result_of_a_blocking_one() {
    let plugin = plugin(
        r#"(func (export "slow") (param $n i32) (result i32)
             (call $args (i32.const 0))
             (local.set $n (i32.const 5000))
             (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
             (call $send (i32.const 0) (i32.const 3)) (i32.const 0))"#,
    );
    let (output, used) = plugin.with_instance_metered(|instance| {
        instance.call_arguments("slow", &[b"abc"], <[u8]>::to_vec)
    });
    assert_eq!(output.unwrap(), b"abc");
    let inputs: [&[u8]; 1] = [b"abc"];
    let mut call = plugin.call_arguments_async("slow", &inputs);
    let mut steps = 0;
    let output = loop {
        steps += 1;
        if let Step::Done(output) = call.step(1_000) {
            break output;
        }
    };
    assert_eq!(output.unwrap(), b"abc");
    assert!(steps > 5, "{steps}");
    assert_eq!(call.usage().fuel, used.fuel);
}

/// A plugin with a state in its memory, a global and a table: a number, by how much `add` raises it, and which
/// function raises it.
const COUNTER: &str = r#"(module
    (import "typst_env" "wasm_minimal_protocol_write_args_to_buffer" (func $args (param i32)))
    (import "typst_env" "wasm_minimal_protocol_send_result_to_host" (func $send (param i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "0")
    (type $step (func (param i32) (result i32)))
    (table 1 funcref) (elem (i32.const 0) $up)
    (elem declare func $down)
    (global $by (mut i32) (i32.const 1))
    (func $up (param i32) (result i32) (i32.add (local.get 0) (global.get $by)))
    (func $down (param i32) (result i32) (i32.sub (local.get 0) (global.get $by)))
    (func (export "add") (result i32)
      (i32.store8 (i32.const 0)
        (call_indirect (type $step) (i32.load8_u (i32.const 0)) (i32.const 0)))
      (i32.const 0))
    (func (export "by") (param i32) (result i32)
      (call $args (i32.const 16))
      (global.set $by (i32.sub (i32.load8_u (i32.const 16)) (i32.const 48)))
      (i32.const 0))
    (func (export "turn") (result i32) (table.set (i32.const 0) (ref.func $down)) (i32.const 0))
    (func (export "grow") (result i32) (drop (memory.grow (i32.const 1))) (i32.const 0))
    (func (export "fails") (result i32)
      (i32.store8 (i32.const 0) (i32.const 57))
      (call $send (i32.const 0) (i32.const 1)) (i32.const 1))
    (func (export "get") (result i32) (call $send (i32.const 0) (i32.const 1)) (i32.const 0)))"#;

fn counter(engine: &Engine) -> Derivable {
    let loaded = engine.load_derivable("counter", &assemble(COUNTER), &Grants::new().typst());
    loaded.unwrap()
}

fn get(plugin: &Plugin) -> String {
    String::from_utf8(plugin.call_arguments("get", &[]).unwrap()).unwrap()
}

#[test]
fn a_transition_keeps_memory_globals_and_tables_and_leaves_its_base() {
    let base = counter(&hostel::engine());
    let one = base.transition("add", &[]).unwrap();
    let three = one
        .transition("by", &[b"2"])
        .and_then(|it| it.transition("add", &[]))
        .unwrap();
    let two = three
        .transition("turn", &[])
        .and_then(|it| it.transition("by", &[b"1"]));
    let two = two
        .and_then(|it| it.transition("grow", &[]))
        .and_then(|it| it.transition("add", &[]));
    let two = two.unwrap();
    for _ in 0..3 {
        let all = [&base, &one, &three, &two].map(|plugin| get(plugin));
        assert_eq!(all, ["0", "1", "3", "2"]);
        // A call that changes an instance's state leaves the plugin's.
        for plugin in [&base, &one, &three, &two] {
            plugin.call_arguments("add", &[]).unwrap();
        }
    }
    // Two branches of one base.
    let branches = [b"3", b"5"].map(|by| {
        let branch = one
            .transition("by", &[by])
            .and_then(|it| it.transition("add", &[]));
        get(&branch.unwrap())
    });
    assert_eq!(branches, ["4", "6"]);
    // Equal calls lead to equal modules, and a module of its own starts from the state.
    assert_eq!(one.wasm(), base.transition("add", &[]).unwrap().wasm());
    let loaded = hostel::engine().load("copy", three.wasm(), &Grants::<()>::new().typst());
    assert_eq!(get(&loaded.unwrap()), "3");
    assert_eq!(three.name(), "counter");
    assert_eq!(get(two.clone().plugin()), "2");
}

#[test]
fn a_transition_that_fails_derives_nothing() {
    let engine = hostel::engine();
    let base = counter(&engine);
    let failed = base.transition("fails", &[]).unwrap_err();
    assert_eq!(failed.code(), "guest-error");
    assert!(failed.to_string().ends_with(": 9"), "{failed}");
    assert_eq!(
        base.transition("add", &[b"1"]).unwrap_err().code(),
        "export-type"
    );
    assert_eq!(
        base.transition("gone", &[]).unwrap_err().code(),
        "unknown-export"
    );
    assert_eq!(get(&base), "0");
    let mut budget = Budget::server();
    budget.fuel = 300;
    let short = counter(&engine.with_budget(budget));
    let slow = short.transition("add", &[]).map(drop);
    assert!(slow.is_err_and(|error| error.code() == "out-of-fuel"));
}

#[test]
fn plugins_of_any_convention_have_transitions() {
    let text = r#"(module
        (import "extism:host/env" "input_length" (func $len (result i64)))
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (import "extism:host/env" "store_u64" (func $store (param i64 i64)))
        (import "extism:host/env" "output_set" (func $output (param i64 i64)))
        (global $n (mut i64) (i64.const 0))
        (func (export "learn") (global.set $n (call $len)))
        (func (export "known") (local $at i64)
          (local.set $at (call $alloc (i64.const 8)))
          (call $store (local.get $at) (global.get $n)) (call $output (local.get $at) (i64.const 8))))"#;
    let grants = Grants::<()>::new().extism(Extism::new());
    let base = hostel::engine()
        .load_derivable("m", &assemble(text), &grants)
        .unwrap();
    let learned = base.transition("learn", &[b"abc"]).unwrap();
    assert_eq!(
        learned.call_bytes("known", b"").unwrap(),
        3u64.to_le_bytes()
    );
    assert_eq!(base.call_bytes("known", b"").unwrap(), [0; 8]);
}
