//! Functions that are translated when they are first called.

use hostel::{CallError, Engine, Grants, Limits, LogRecord, Plugin};
use hostel_tests::{guest_bytes, try_load_wat};

/// Makes an instance and then three calls in one that is kept, and returns each result with the fuel that it
/// used. The charge for making an instance covers the module's size.
fn calls(engine: &Engine, guest: &str) -> Vec<(Result<Vec<u8>, CallError>, u64)> {
    let grants = Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "P"), ("punctuation", "!")]);
    let plugin: Plugin = engine.load(guest, &guest_bytes(guest), &grants).unwrap();
    let mut calls = Vec::new();
    let made = plugin.instantiate(()).unwrap().usage().fuel;
    assert!(
        made > guest_bytes(guest).len() as u64 / 64,
        "{guest}: {made}"
    );
    calls.push((Ok(Vec::new()), made));
    for input in [&b"hello"[..], b"", b"hello, again"] {
        let called = plugin.with_instance_metered(|instance| instance.process(input));
        let (result, usage) = called;
        calls.push((result, usage.fuel));
    }
    calls
}

#[test]
fn fuel_output_and_errors_are_those_of_functions_that_are_translated_at_load() {
    for guest in [
        "customize",
        "default_std_customize",
        "c_customize",
        "as_customize",
        "zig_customize",
        "wat_customize_multi",
        "wat_customize_retptr",
    ] {
        let eager = calls(&hostel::engine(), guest);
        // Loaded twice, so that the first calls are measured alone and of code that is shared.
        let engine = hostel::engine().with_lazy_translation();
        assert_eq!(calls(&engine, guest), eager, "{guest}");
        assert_eq!(calls(&engine, guest), eager, "{guest}");
    }
}

#[test]
fn a_module_is_checked_whole_when_it_is_loaded() {
    let engine = hostel::engine().with_lazy_translation();
    let wrong_types = "(func (export \"f\")) (func (result i32) i64.const 0)";
    let grows_tables = "(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))";
    for (text, code) in [
        (wrong_types, "invalid-module"),
        (grows_tables, "unsupported"),
    ] {
        let refused = try_load_wat(&engine, &format!("(module {text})"), &Grants::new());
        assert_eq!(refused.map(drop).unwrap_err().code(), code);
    }
}

#[test]
fn calls_in_many_threads_translate_a_function_once() {
    let engine = hostel::engine().with_lazy_translation();
    let grants = Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "P")]);
    for _ in 0..20 {
        let bytes = guest_bytes("customize");
        let plugin: Plugin = engine.load("p", &bytes, &grants).unwrap();
        let instances = [(); 4].map(|()| plugin.instantiate(()).unwrap());
        std::thread::scope(|scope| {
            let called = instances.map(|mut instance| {
                scope.spawn(move || (instance.process(b"hello").unwrap(), instance.usage().fuel))
            });
            let called = called.map(|thread| thread.join().unwrap());
            assert!(
                called.windows(2).all(|pair| pair[0] == pair[1]),
                "{called:?}"
            );
        });
    }
}

#[test]
fn code_is_translated_at_load_if_the_heap_is_bounded() {
    // More values than wasmi translates, which is told when it tries.
    let (values, drops) = ("i32.const 1 ".repeat(300_000), "drop ".repeat(300_000));
    let text = format!(r#"(module (func (export "f") {values} {drops}))"#);
    let load = |engine: &Engine| try_load_wat(engine, &text, &Grants::new());
    let refused = |engine: &Engine| load(engine).map(drop).unwrap_err().code();
    let lazy = hostel::engine().with_lazy_translation();
    let plugin = load(&lazy).unwrap();
    for _ in 0..2 {
        let error = plugin.call::<(), ()>("f", ()).unwrap_err();
        assert!(error.code().starts_with("trap"), "{error}");
    }
    assert_eq!(refused(&hostel::engine()), "refused");
    let mut limits = Limits::server();
    limits.heap_bytes = 1 << 30;
    assert_eq!(refused(&lazy.with_limits(limits)), "refused");
}
