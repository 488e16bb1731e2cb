//! Compiled code that plugins of equal modules share.

use hostel::{Engine, Grants, Limits, LogRecord, NoPlatform, Plugin, Std};
use hostel_tests::{guest_bytes, try_load_wat, with_allocator};

fn customize(engine: &Engine, name: &str) -> Plugin {
    let grants = Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", name)]);
    engine
        .load(name, &guest_bytes("customize"), &grants)
        .unwrap()
}

#[test]
fn plugins_of_equal_modules_share_code_and_nothing_else() {
    let engine = hostel::engine();
    let names = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
    let plugins = names.map(|name| customize(&engine, name));
    let own = customize(&hostel::engine().without_code_cache(), "A");
    assert!(!own.shares_code_with(&plugins[0]));
    let (_, alone) = metered(&own);
    for (name, plugin) in names.iter().zip(&plugins) {
        assert!(plugin.shares_code_with(&plugins[0]));
        let (output, fuel) = metered(plugin);
        assert_eq!(output, format!("{name}_HELLO").as_bytes());
        assert_eq!(fuel, alone, "{name}");
        assert_eq!(plugin.name(), *name);
    }
    // What is done to one plugin is done to that one.
    plugins[3].close();
    assert_eq!(plugins[3].process(b"hello").unwrap_err().code(), "closed");
    plugins[4].process(b"hello").unwrap();
}

/// Runs a call, and returns its output and its fuel.
fn metered(plugin: &Plugin) -> (Vec<u8>, u64) {
    let mut instance = plugin.instantiate(()).unwrap();
    let output = instance.process(b"hello").unwrap();
    (output, instance.usage().fuel)
}

#[test]
fn instances_of_plugins_that_share_code_keep_their_memory_to_themselves() {
    let text = with_allocator(
        "",
        r#"(global $kept (mut i64) (i64.const 0))
        (func (export "keep") (param i64) (global.set $kept (local.get 0)))
        (func (export "found") (result i64) (global.get $kept))"#,
    );
    let engine = hostel::engine();
    let plugins = [(); 2].map(|()| try_load_wat(&engine, &text, &Grants::new()).unwrap());
    assert!(plugins[0].shares_code_with(&plugins[1]));
    let mut instances = plugins
        .each_ref()
        .map(|plugin| plugin.instantiate(()).unwrap());
    for (secret, instance) in (1..).zip(&mut instances) {
        instance.call::<i64, ()>("keep", secret).unwrap();
    }
    for (secret, instance) in (1..).zip(&mut instances) {
        assert_eq!(instance.call::<(), i64>("found", ()), Ok(secret));
    }
    drop(plugins);
    assert_eq!(instances[0].call::<(), i64>("found", ()), Ok(1));
}

#[test]
fn code_is_shared_only_within_equal_limits_and_on_one_platform() {
    let engine = hostel::engine();
    let first = customize(&engine, "A");
    let mut limits = *engine.limits();
    assert!(customize(&engine.clone().with_limits(limits), "A").shares_code_with(&first));
    limits.stack_bytes /= 2;
    let (clone, other) = (engine.clone(), engine.clone().with_limits(limits));
    for other in [
        other,
        clone.with_platform(Std::new()),
        engine.clone().with_code_cache(),
        engine.clone().without_code_cache(),
        hostel::engine(),
        Engine::new(Limits::server()).with_platform(NoPlatform),
    ] {
        assert!(!customize(&other, "A").shares_code_with(&first));
    }
    let mut bytes = guest_bytes("customize");
    // An empty custom section.
    bytes.extend([0, 1, 0]);
    let grants = Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "A")]);
    let other: Plugin = engine.load("A", &bytes, &grants).unwrap();
    assert!(!other.shares_code_with(&first));
}

#[test]
fn a_module_whose_code_is_found_is_checked_as_any_other() {
    let engine = hostel::engine();
    let first = customize(&engine, "A");
    let bytes = guest_bytes("customize");
    let refusal = |engine: &Engine| {
        let loaded = engine.load("B", &bytes, &Grants::<()>::new());
        loaded.map(drop).unwrap_err()
    };
    let own = hostel::engine().without_code_cache();
    assert_eq!(refusal(&engine), refusal(&own));
    assert_eq!(refusal(&engine).code(), "mismatch");

    let mut limits = *engine.limits();
    limits.module_bytes = bytes.len() - 1;
    assert_eq!(
        refusal(&engine.clone().with_limits(limits)).code(),
        "module-too-large"
    );
    limits = *engine.limits();
    limits.heap_bytes = 1_000;
    assert_eq!(refusal(&engine.with_limits(limits)).code(), "does-not-fit");
    first.process(b"hello").unwrap();
}
