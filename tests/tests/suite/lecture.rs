//! The programs of the introductory lecture, in its order. `std-shim/examples` has them as programs
//! that print.

use hostel::{Grants, load_file};
use hostel_tests::{Lines, code, guest, load_guest, load_wat};
use std::{sync::Barrier, thread};

#[test]
fn load_compile_once_and_instantiate_many_times() {
    let plugin = load_file(&hostel::engine(), guest("wat_reactor"), &Grants::new()).unwrap();
    assert_eq!(plugin.name(), "wat_reactor");
    let exports: Vec<_> = plugin
        .info()
        .exports
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        exports,
        [
            "memory: memory",
            "_initialize: () -> ()",
            "process: (i32, i32) -> i64",
            "allocate: (i32) -> i32",
            "deallocate: (i32, i32) -> ()",
        ]
    );
    let instances = [(); 3].map(|()| plugin.instantiate(()).unwrap());
    for mut instance in instances {
        let answer = instance.process(b"").unwrap();
        assert_eq!(answer, b"initialized 1 times");
    }
}

#[test]
fn add_two_numbers() {
    let plugin = load_guest("add", &Grants::new());
    assert_eq!(plugin.call::<(u32, u32), u32>("add", (10, 20)), Ok(30));
    let error = plugin.call::<&str, String>("add", "ten").unwrap_err();
    assert_eq!(
        error.to_string(),
        "export `add` has the wrong type: expected (i32, i32) -> (i32, i32) or (i32, i32) -> i64 \
         or (i32, i32, i32) -> (), found (i32, i32) -> i32"
    );
}

#[test]
fn greet_by_name() {
    for guest in ["greet", "c_greet", "wat_greet_multi"] {
        let plugin = load_guest(guest, &Grants::new());
        let greeting = plugin.call::<&str, String>("greet", "Gopher");
        assert_eq!(greeting.as_deref(), Ok("Hello, Gopher!"), "{guest}");
    }
}

#[test]
fn log_through_the_host() {
    let refused = load_file(&hostel::engine(), guest("customize"), &Grants::new());
    let message = refused.unwrap_err().to_string();
    for import in ["import `env.host_log` ", "import `env.host_get_config` "] {
        assert!(message.contains(import), "{message}");
    }

    let lines = Lines::default();
    let settings: [(&str, &str); 0] = [];
    let plugin = load_guest::<()>("customize", &lines.granted().config(settings));
    assert_eq!(
        plugin.process(b"hello world").unwrap(),
        b"DEFAULT_PREFIX_HELLO WORLD"
    );
    assert_eq!(lines.take(), ["customize: processing 11 bytes"]);
}

#[test]
fn log_through_the_host_from_any_function() {
    let lines = Lines::default();
    let plugin = load_wat::<()>(
        r#"(module
            (import "env" "host_log_message" (func $log (param i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "hello from the plugin")
            (func (export "run") (call $log (i32.const 0) (i32.const 21))))"#,
        &lines.granted(),
    );
    assert_eq!(plugin.call::<(), ()>("run", ()), Ok(()));
    assert_eq!(lines.take(), ["guest: hello from the plugin"]);
}

#[test]
fn the_processing_engine_with_two_inputs_and_a_setting() {
    let lines = Lines::default();
    let grants = lines.granted().config([("prefix", "CUSTOM")]);
    let mut instance = load_guest::<()>("customize", &grants)
        .instantiate(())
        .unwrap();
    assert_eq!(
        instance.process(b"hello world").unwrap(),
        b"CUSTOM_HELLO WORLD"
    );
    assert_eq!(
        instance.process(b"customize me").unwrap(),
        b"CUSTOM_CUSTOMIZE ME"
    );
    assert_eq!(
        lines.take(),
        [
            "customize: processing 11 bytes",
            "customize: processing 12 bytes"
        ]
    );
    assert!(instance.usage().fuel > 0);
    assert_eq!(code(&instance.process(b"\xff")), "guest-error");
    assert_eq!(
        instance.process(b"still here").unwrap(),
        b"CUSTOM_STILL HERE"
    );
}

#[test]
fn three_concurrent_calls() {
    let lines = Lines::default();
    let grants = lines.granted().config([("prefix", "CUSTOM")]);
    let plugin = load_guest::<()>("customize", &grants);
    let together = Barrier::new(3);
    let outputs = thread::scope(|scope| {
        let calls = ["request one", "request two", "request three"].map(|input| {
            let (plugin, together) = (&plugin, &together);
            scope.spawn(move || {
                together.wait();
                plugin.process(input.as_bytes())
            })
        });
        calls.map(|call| String::from_utf8(call.join().unwrap().unwrap()).unwrap())
    });
    assert_eq!(
        outputs,
        [
            "CUSTOM_REQUEST ONE",
            "CUSTOM_REQUEST TWO",
            "CUSTOM_REQUEST THREE"
        ]
    );
    let mut logged = lines.take();
    logged.sort();
    assert_eq!(
        logged,
        [
            "customize: processing 11 bytes",
            "customize: processing 11 bytes",
            "customize: processing 13 bytes",
        ]
    );
}
