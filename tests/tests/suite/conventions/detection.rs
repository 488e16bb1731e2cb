//! Which convention a module has, and what it lacks.

use hostel::{Convention, Extism, Grants, LoadError, ModuleInfo, Wapc};
use hostel_tests::{assemble, load_code, load_wat, try_load_wat};

fn found(text: &str) -> Convention {
    Convention::of(&ModuleInfo::read(&assemble(text)).unwrap())
}

#[test]
fn imports_decide_and_then_exports() {
    for (text, expected) in [
        ("(module)", Convention::Native),
        (
            r#"(module (import "env" "host_log" (func (param i32 i32))))"#,
            Convention::Native,
        ),
        (
            r#"(module (import "wapc" "__guest_request" (func (param i32 i32))))"#,
            Convention::Wapc,
        ),
        (
            r#"(module (import "extism:host/env" "reset" (func)))"#,
            Convention::Extism,
        ),
        (
            r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
                (import "typst_env" "wasm_minimal_protocol_write_args_to_buffer" (func (param i32))))"#,
            Convention::Typst,
        ),
        (
            r#"(module (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#,
            Convention::Wapc,
        ),
        (
            r#"(module (func (export "f") (result i32) (i32.const 1)))"#,
            Convention::Native,
        ),
    ] {
        assert_eq!(found(text), expected, "{text}");
        assert_eq!(Convention::from_name(expected.name()), Some(expected));
    }
    assert_eq!(Convention::from_name("wasm"), None);
}

#[test]
fn a_convention_that_is_not_granted_is_named() {
    for (module, import, grant) in [
        (
            "wapc",
            r#"(import "wapc" "__host_error_len" (func (result i32)))"#,
            "wapc",
        ),
        (
            "extism",
            r#"(import "extism:host/env" "input_length" (func (result i64)))"#,
            "extism",
        ),
        (
            "typst",
            r#"(import "typst_env" "wasm_minimal_protocol_write_args_to_buffer" (func (param i32)))"#,
            "typst",
        ),
    ] {
        let text = format!(r#"(module {import} (memory (export "memory") 1) (func (export "f")))"#);
        let error = try_load_wat::<()>(&hostel::engine(), &text, &Grants::new()).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(&format!("the grant `{grant}` would")),
            "{module}: {said}"
        );
    }
}

#[test]
fn an_import_that_the_convention_lacks_is_a_load_error_that_names_it() {
    let text = r#"(module (import "extism:host/env" "open" (func)) (func (export "f")))"#;
    let grants = Grants::<()>::new().extism(Extism::new());
    let error = try_load_wat(&hostel::engine(), text, &grants).unwrap_err();
    assert!(
        error.to_string().contains("`extism:host/env.open`"),
        "{error}"
    );
}

#[test]
fn missing_and_mistyped_exports_are_all_named() {
    let text = r#"(module (import "wapc" "__guest_request" (func (param i32 i32)))
        (func (export "__guest_call") (param i32) (result i32) (i32.const 1))
        (func (export "wapc_init") (result i32) (i32.const 1)))"#;
    let grants = Grants::<()>::new().wapc(Wapc::new());
    let Err(LoadError::Mismatch(found)) = try_load_wat(&hostel::engine(), text, &grants) else {
        panic!("it loads");
    };
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    for name in ["`__guest_call`", "`wapc_init`", "`memory`"] {
        assert!(
            said.iter().any(|said| said.contains(name)),
            "{name}: {said:?}"
        );
    }
}

#[test]
fn the_embedder_can_choose_the_convention() {
    let text = r#"(module (func (export "count") (result i32) (i32.const 3)))"#;
    let grants = Grants::<()>::new().extism(Extism::new());
    let native = load_wat(text, &grants);
    assert_eq!(native.convention(), Convention::Native);
    assert_eq!(native.call::<(), u32>("count", ()), Ok(3));
    let extism = load_wat(text, &grants.with_convention(Convention::Extism));
    assert_eq!(extism.convention(), Convention::Extism);
    let error = extism.call_bytes("count", b"").unwrap_err();
    assert!(error.to_string().contains("the code 3"), "{error}");
}

#[test]
fn one_module_does_not_get_the_environment_of_two_conventions() {
    let text = r#"(module (import "wapc" "__guest_request" (func (param i32 i32)))
        (import "extism:host/env" "reset" (func))
        (memory (export "memory") 1)
        (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#;
    let grants = Grants::<()>::new().wapc(Wapc::new()).extism(Extism::new());
    let refused = try_load_wat(&hostel::engine(), text, &grants);
    assert_eq!(load_code(&refused), "mismatch");
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("`extism:host/env.reset`")
    );
}
