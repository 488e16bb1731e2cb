//! Guests that break the canonical ABI, and budgets that end a call of a component.

use super::guests::{Of, echo, load, one};
use hostel::{Budget, Grants, component::Value};
use hostel_tests::code;

/// A component that takes and returns text. Its `realloc` does `realloc`, and `give` returns the text at `ptr`.
fn texts(realloc: &str, give: &str) -> String {
    format!(
        r#"(component
  (import "f" (func $f (param "n" u32) (result u32)))
  (core func $f (canon lower (func $f)))
  (core module $M
    (import "h" "f" (func $f (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "\ff\fe\fd\fc")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
    (func (export "take") (param i32 i32))
    (func (export "numbers") (param i32 i32))
    (func (export "post") (param i32) (drop (call $f (i32.const 0))))
    (func (export "give") (result i32) {give}))
  (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f))))))
  (func (export "take") (param "text" string)
    (canon lift (core func $m "take") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
  (func (export "numbers") (param "all" (list u64))
    (canon lift (core func $m "numbers") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
  (func (export "give") (result string)
    (canon lift (core func $m "give") (memory (core memory $m "memory"))))
  (func (export "leave") (result string)
    (canon lift (core func $m "give") (memory (core memory $m "memory")) (post-return (core func $m "post"))))
  (func (export "wide") (result string)
    (canon lift (core func $m "give") (memory (core memory $m "memory")) string-encoding=utf16))
  (func (export "list") (result (list (tuple u64 u64)))
    (canon lift (core func $m "give") (memory (core memory $m "memory"))))
  (func (export "char") (result char) (canon lift (core func $m "give"))))"#
    )
}

/// Returns the code and message of the error of a call.
fn fails(realloc: &str, give: &str, name: &str, params: &[Value]) -> (&'static str, String) {
    let plugin = load(&texts(realloc, give), &echo());
    let mut instance = plugin.instantiate(()).unwrap();
    let ended = instance.call_component_values(name, params);
    assert!(instance.is_stopped(), "{name}: {ended:?}");
    (code(&ended), ended.unwrap_err().to_string())
}

#[test]
fn a_realloc_that_lies_traps() {
    let text = [Value::String("text".into())];
    let empty = [Value::String(String::new())];
    let numbers = [Value::List(vec![Value::U64(1)])];
    let cases: [(&str, &str, &[Value], &str); 7] = [
        ("(i32.const -1)", "take", &text, "beyond end of memory"),
        ("(i32.const 65533)", "take", &text, "beyond end of memory"),
        ("(i32.const 65537)", "take", &empty, "beyond end of memory"),
        ("(i32.const 12)", "numbers", &numbers, "result not aligned"),
        (
            "(i32.const 65536)",
            "numbers",
            &numbers,
            "beyond end of memory",
        ),
        (
            "(call $f (i32.const 64))",
            "take",
            &text,
            "cannot leave component instance",
        ),
        ("(unreachable)", "take", &text, "realloc"),
    ];
    for (realloc, name, params, reason) in cases {
        let (_, message) = fails(realloc, "(i32.const 0)", name, params);
        assert!(message.contains(reason), "{realloc}: {message}");
    }
    // 0 is an address like others.
    let plugin = load(&texts("(i32.const 0)", "(i32.const 0)"), &echo());
    assert_eq!(plugin.call_component_values("take", &text), Ok(None));
}

#[test]
fn results_that_are_no_values_trap() {
    let at = |ptr: u32, len: u32| {
        format!(
            "(i32.store (i32.const 32) (i32.const {ptr})) (i32.store (i32.const 36) (i32.const {len})) (i32.const 32)"
        )
    };
    for (give, name, reason) in [
        (at(8, 4), "give", "not UTF-8"),
        (at(65_533, 4), "give", "outside"),
        (at(0, u32::MAX), "give", "2 GiB"),
        ("(i32.const 2)".into(), "give", "not aligned"),
        ("(i32.const 65536)".into(), "give", "outside"),
        (at(9, 2), "wide", "not aligned"),
        (at(8, 1 << 31), "wide", "2 GiB"),
        (at(0, 1 << 31), "list", "4 GiB"),
        (at(4, 1), "list", "not aligned"),
        (at(65_528, 1), "list", "outside"),
        ("(i32.const 0xd800)".into(), "char", "no character"),
        ("(i32.const 0x110000)".into(), "char", "no character"),
        (at(0, 0), "leave", "cannot leave component instance"),
    ] {
        let (_, message) = fails("(i32.const 0)", &give, name, &[]);
        assert!(message.contains(reason), "{name} {give}: {message}");
    }
}

#[test]
fn budgets_bound_what_passes() {
    let of = Of {
        ty: "(type $u string)",
        flat: &["i32", "i32"],
    };
    let plugin = load(&one(&of, "utf16"), &echo());
    let long = [Value::String("x".repeat(1_000))];
    type Change = fn(&mut Budget);
    let bounds: [(Change, &str, bool); 6] = [
        (
            |budget| budget.input_bytes = 1_999,
            "input-too-large",
            false,
        ),
        (
            |budget| budget.argument_bytes = 999,
            "argument-too-large",
            true,
        ),
        (|budget| budget.bytes_to_guest = 1_999, "arena-bytes", true),
        (
            |budget| budget.output_bytes = 999,
            "output-too-large",
            false,
        ),
        (|budget| budget.host_calls = 0, "host-calls", true),
        (|budget| budget.fuel = 200, "out-of-fuel", true),
    ];
    for (change, expected, stops) in bounds {
        let mut instance = plugin.instantiate(()).unwrap();
        let mut budget = Budget::server();
        change(&mut budget);
        instance.set_budget(budget);
        let ended = instance.call_component_values("g", &long);
        assert_eq!(code(&ended), expected, "{ended:?}");
        assert_eq!(instance.is_stopped(), stops, "{expected}");
        instance.set_budget(Budget::server());
        if !stops {
            let again = instance.call_component_values("g", &long);
            assert_eq!(again, Ok(Some(long[0].clone())), "after {expected}");
        }
    }
}

#[test]
fn a_call_with_other_types_tells_both_and_leaves_the_instance_as_it_is() {
    let of = Of {
        ty: "(type $u (list string))",
        flat: &["i32", "i32"],
    };
    let plugin = load(&one(&of, "utf8"), &echo());
    let mut instance = plugin.instantiate(()).unwrap();
    let typed = instance.call_component::<(u32,), String>("g", (1,));
    assert_eq!(code(&typed), "export-type");
    let message = typed.unwrap_err().to_string();
    assert!(
        message.contains("func(v: list<string>) -> list<string>"),
        "{message}"
    );
    assert!(message.contains("func(u32) -> string"), "{message}");
    let unknown = instance.call_component::<(u32,), String>("h", (1,));
    assert_eq!(code(&unknown), "unknown-export");
    for values in [
        &[][..],
        &[Value::U8(1)],
        &[Value::List(vec![Value::Bool(true)])],
    ] {
        let called = instance.call_component_values("g", values);
        assert_eq!(code(&called), "value-type", "{called:?}");
    }
    let texts = vec![String::from("a"), String::from("b")];
    let called = instance.call_component::<(&[&str],), Vec<String>>("g", (&["a", "b"],));
    assert_eq!(called, Ok(texts));
}

#[test]
fn imports_that_do_not_fit_are_all_told() {
    let of = Of {
        ty: "(type $u (list string))",
        flat: &["i32", "i32"],
    };
    let wasm = wat::parse_str(one(&of, "utf8")).unwrap();
    let engine = hostel::Engine::default();
    let missing = engine.load_component("component", &wasm, &Grants::new());
    let message = missing.unwrap_err().to_string();
    assert!(
        message.contains("func(v: list<string>) -> list<string>"),
        "{message}"
    );
    let interface =
        hostel::component::Interface::root().function("f", |_: u32| Ok::<_, hostel::Trap>(()));
    let other = engine.load_component("component", &wasm, &Grants::new().interface(interface));
    let message = other.unwrap_err().to_string();
    assert!(message.contains("func(u32)"), "{message}");
    // A stub suffices until it is called.
    let stubbed = engine.load_component("component", &wasm, &Grants::new().trap("$root", "f"));
    let called = stubbed
        .unwrap()
        .call_component::<(Vec<String>,), Vec<String>>("g", (vec![],));
    assert_eq!(code(&called), "trap-stub");
}

/// Built-in functions for tasks and the like; `run` does `body`, and `leave` does `post` afterwards.
fn with_built_ins(body: &str, post: &str) -> String {
    format!(
        r#"(component
  (core func $get (canon context.get i32 0))
  (core func $set (canon context.set i32 0))
  (core func $inc (canon backpressure.inc))
  (core func $dec (canon backpressure.dec))
  (core func $new (canon waitable-set.new))
  (core module $M
    (import "h" "get" (func $get (result i32)))
    (import "h" "set" (func $set (param i32)))
    (import "h" "inc" (func $inc))
    (import "h" "dec" (func $dec))
    (import "h" "new" (func $new (result i32)))
    (func (export "run") (result i32) {body})
    (func (export "post") (param i32) {post}))
  (core instance $m (instantiate $M (with "h" (instance
    (export "get" (func $get)) (export "set" (func $set)) (export "inc" (func $inc)) (export "dec" (func $dec))
    (export "new" (func $new))))))
  (func (export "run") (result u32)
    (canon lift (core func $m "run") (post-return (core func $m "post")))))"#
    )
}

#[test]
fn built_ins_for_tasks_keep_numbers_for_a_call_or_tell_that_they_are_not_run() {
    // The numbers of a call are 0 when it begins, and are kept until it has ended.
    let plugin = load(
        &with_built_ins(
            "(local i32) (local.set 0 (call $get)) (call $set (i32.const 42)) (call $inc) (call $dec)
             (i32.add (local.get 0) (call $get))",
            "(if (i32.ne (call $get) (i32.const 42)) (then unreachable))",
        ),
        &Grants::new(),
    );
    let mut instance = plugin.instantiate(()).unwrap();
    for _ in 0..2 {
        assert_eq!(instance.call_component::<(), u32>("run", ()), Ok(42));
    }
    for (body, post, reason) in [
        (
            "(call $new)",
            "",
            "`waitable-set.new` is for asynchronous functions",
        ),
        (
            "(i32.const 0)",
            "(drop (call $new))",
            "cannot leave component instance",
        ),
        ("(call $dec) (i32.const 0)", "", "backpressure"),
    ] {
        let plugin = load(&with_built_ins(body, post), &Grants::new());
        let ended = plugin.call_component::<(), u32>("run", ());
        let message = ended.unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn calls_of_the_other_kind_of_plugin_name_what_is_there() {
    let of = Of {
        ty: "(type $u string)",
        flat: &["i32", "i32"],
    };
    let component = load(&one(&of, "utf8"), &echo());
    let called = component.process(b"");
    assert_eq!(code(&called), "unknown-export");
    let message = called.unwrap_err().to_string();
    assert!(message.contains("`g`"), "{message}");
    let engine = hostel::Engine::default();
    let module = wat::parse_str(r#"(module (func (export "f")))"#).unwrap();
    let module = engine.load_any("m", &module, &Grants::new()).unwrap();
    assert!(module.contract().is_none());
    let called = module.call_component::<(), ()>("g", ());
    let message = called.unwrap_err().to_string();
    assert!(message.contains("`f`"), "{message}");
    // `load` says how a component is loaded, `load_any` loads it.
    let wasm = wat::parse_str(one(&of, "utf8")).unwrap();
    let refused = engine.load("c", &wasm, &echo()).map(drop).unwrap_err();
    assert!(refused.to_string().contains("load_component"), "{refused}");
    let host = hostel::Host::new(engine);
    host.insert("c", &wasm, &echo()).unwrap();
    let value = [Value::String("text".into())];
    let called = host.get("c").unwrap().call_component_values("g", &value);
    assert_eq!(called, Ok(Some(value[0].clone())));
}
