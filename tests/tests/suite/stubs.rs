//! Imports that are supplied by their name alone, and stop the guest that calls one.

use hostel::{CallError, Extism, Grants, LoadError, LogRecord, Step, TrapKind, Wapc};
use hostel_tests::{code, load_wat, try_load_wat, with_allocator};

/// Returns a module that imports `env.x` in this type; its `f` calls it, and its `g` returns 7.
fn module(ty: &str, call: &str) -> String {
    format!(
        r#"(module (import "env" "x" (func $x {ty}))
            (func (export "f") {call})
            (func (export "g") (result i32) (i32.const 7)))"#
    )
}

#[test]
fn a_stub_has_any_type_and_names_itself() {
    let many = "(i32.const 0)".repeat(20);
    let types = "i32 ".repeat(20);
    for (ty, call) in [
        ("", "call $x"),
        (
            "(param i32 i32) (result i64)",
            "(drop (call $x (i32.const 1) (i32.const 2)))",
        ),
        ("(result f32 f64)", "call $x drop drop"),
        ("(result i32 i32)", "call $x drop drop"),
        (
            "(param externref funcref) (result externref)",
            "(drop (call $x (ref.null extern) (ref.null func)))",
        ),
        // More than a host function of the embedder's may have.
        (&*format!("(param {types})"), &*format!("{many} call $x")),
    ] {
        let text = module(ty, call);
        let plugin = load_wat(&text, &Grants::new().trap("env", "x"));
        assert_eq!(plugin.call::<(), u32>("g", ()), Ok(7), "{ty}");
        let error = plugin.call::<(), ()>("f", ()).unwrap_err();
        let CallError::Trap(trap) = &error else {
            panic!("{error}")
        };
        assert_eq!((trap.kind(), error.code()), (TrapKind::Stub, "trap-stub"));
        assert_eq!((trap.import(), trap.export()), (Some("env.x"), Some("f")));
        assert!(
            error.to_string().contains("grant the host function"),
            "{error}"
        );
        assert!(error.stops());
    }
}

#[test]
fn a_stepped_call_stops_at_a_stub() {
    let plugin = load_wat(&module("", "call $x"), &Grants::new().trap("env", "x"));
    let mut call = plugin.call_async::<(), ()>("f", ());
    let Step::Done(ended) = call.step(10_000) else {
        panic!("it did not end")
    };
    assert_eq!(code(&ended), "trap-stub");
}

#[test]
fn nothing_is_stubbed_that_was_not_named() {
    let text = module("", "call $x");
    for grants in [
        Grants::new(),
        Grants::new().trap("env", "y"),
        Grants::new().trap("en", "*"),
        Grants::new().trap("*", "x"),
        Grants::new().trap("env", "*x"),
    ] {
        let error = try_load_wat(&hostel::engine(), &text, &grants).unwrap_err();
        assert_eq!(error.code(), "mismatch");
        assert!(
            error.to_string().contains("`Grants::trap(module, name)`"),
            "{error}"
        );
        assert!(!format!("{error:#}").contains("Grants::trap"), "{error:#}");
    }
    let all = load_wat(&text, &Grants::new().trap("env", "*"));
    assert_eq!(code(&all.call::<(), ()>("f", ())), "trap-stub");
}

#[test]
fn a_granted_function_that_fits_takes_precedence() {
    let text = module("(result i32)", "(drop (call $x))");
    let granted = || Grants::new().function("env", "x", || 5u32);
    for grants in [
        granted().trap("env", "x"),
        Grants::new().trap("env", "*").function("env", "x", || 5u32),
    ] {
        assert_eq!(load_wat(&text, &grants).call::<(), ()>("f", ()), Ok(()));
    }
    // A function of another type would be refused.
    let other = module("(param f32)", "(call $x (f32.const 0))");
    let refused = try_load_wat(&hostel::engine(), &other, &granted());
    assert!(matches!(refused, Err(LoadError::Mismatch(_))));
    let stubbed = load_wat(&other, &granted().trap("env", "x"));
    assert_eq!(code(&stubbed.call::<(), ()>("f", ())), "trap-stub");
}

#[test]
fn only_functions_are_stubbed() {
    for import in ["(memory 1)", "(table 1 funcref)", "(global i32)"] {
        let text = format!(r#"(module (import "env" "x" {import}) (func (export "f")))"#);
        let error =
            try_load_wat(&hostel::engine(), &text, &Grants::new().trap("env", "x")).unwrap_err();
        assert!(error.to_string().contains("or stubbed"), "{error}");
    }
}

#[test]
fn each_convention_loads_with_stubs() {
    for (import, grants) in [
        ("extism:host/env", Grants::new().extism(Extism::new())),
        ("wapc", Grants::new().wapc(Wapc::new())),
        ("typst_env", Grants::new().typst()),
    ] {
        let text = format!(
            r#"(module (import "{import}" "no_such_function" (func $x))
                (memory (export "memory") 1)
                (func (export "__guest_call") (param i32 i32) (result i32) (call $x) (i32.const 0))
                (func (export "f") (result i32) (call $x) (i32.const 0)))"#
        );
        let plugin = load_wat(&text, &grants.trap(import, "no_such_function"));
        let ended = plugin.call_arguments("f", if import == "typst_env" { &[] } else { &[b""] });
        assert_eq!(code(&ended), "trap-stub", "{import}");
    }
}

#[test]
fn a_stub_called_by_an_allocator_or_a_start_names_itself() {
    let start = r#"(module (import "env" "x" (func $x)) (start $x) (func (export "f")))"#;
    let plugin = load_wat(start, &Grants::new().trap("env", "x"));
    assert_eq!(code(&plugin.call::<(), ()>("f", ())), "trap-stub");

    let text = r#"(module
        (import "env" "x" (func $x)) (import "env" "text" (func $text (result i32 i32)))
        (memory (export "memory") 1)
        (func (export "allocate") (param i32) (result i32) (call $x) (i32.const 0))
        (func (export "f") (call $text) drop drop))"#;
    let grants = Grants::new()
        .trap("env", "x")
        .function("env", "text", || "text");
    assert_eq!(
        code(&load_wat(text, &grants).call::<(), ()>("f", ())),
        "trap-stub"
    );
}

#[test]
fn a_plugin_is_reset_and_used_again_with_stubs() {
    let text = with_allocator(
        r#"(import "env" "x" (func $x))"#,
        r#"(func (export "process") (param i32 i32) (result i32 i32)
             (if (i32.eqz (local.get 1)) (then (call $x))) (local.get 0) (local.get 1))"#,
    );
    let grants = Grants::new().trap("env", "x").log(|_: &LogRecord<'_>| {});
    let plugin = load_wat(&text, &grants);
    for _ in 0..3 {
        assert_eq!(plugin.process(b"hello").unwrap(), b"hello");
        assert_eq!(code(&plugin.process(b"")), "trap-stub");
    }
}
