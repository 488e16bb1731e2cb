//! What is not granted, and what it costs.

use super::{component, load, run, stopped};
use hostel::{Budget, Engine, Grants, LoadError, Wasi};
use hostel_tests::code;
use std::time::Duration;

#[test]
fn a_function_without_an_error_stops_a_guest_that_lacks_the_grant() {
    for body in [
        "(drop (call $number))",
        "(call $random (i64.const 1) (i32.const 16))",
        "(call $wall (i32.const 16))",
    ] {
        let (code, message) = stopped(&format!("{body} (i32.const 0)"), Wasi::new());
        assert_eq!(code, "trap-host", "{body}");
        assert!(message.contains("not granted to the plugin"), "{message}");
    }
    let wasi = Wasi::new()
        .random_seed(1)
        .realtime(|| Duration::from_secs(77));
    let body = "(drop (call $number)) (call $wall (i32.const 16)) (i32.load (i32.const 16))";
    assert_eq!(run(body, wasi).0, Ok(77));
}

#[test]
fn without_a_clock_there_is_no_time() {
    let wasm = hostel_tests::assemble(&component("(drop (call $now)) (i32.const 0)"));
    let grants = Grants::new().wasi(Wasi::new());
    let plugin = Engine::default()
        .load_component("guest", &wasm, &grants)
        .unwrap();
    let error = plugin.call_component::<(), u32>("test", ()).unwrap_err();
    assert_eq!(error.code(), "trap-host");
}

#[test]
fn the_insecure_seed_needs_no_grant_and_is_no_secret() {
    let body = "(call $seed (i32.const 16)) (call $seed (i32.const 32))
        (if (i64.ne (i64.load (i32.const 16)) (i64.load (i32.const 32))) (then (return (i32.const 0))))
        (i32.or (i32.load (i32.const 16)) (i32.const 1))";
    let first = run(body, Wasi::new()).0.unwrap();
    assert!(first > 1);
    assert_eq!(
        run(body, Wasi::new()).0,
        Ok(first),
        "equal in each instance"
    );
    assert_ne!(run(body, Wasi::new().random_seed(5)).0, Ok(first));
}

#[test]
fn random_bytes_are_bounded_before_they_are_made() {
    let body = "(call $random (i64.const -1) (i32.const 16)) (i32.const 0)";
    let (code, _) = stopped(body, Wasi::new().random_seed(1));
    assert_eq!(code, "arena-bytes");
}

#[test]
fn work_is_charged_as_in_preview_1() {
    let cost = |body: &str| {
        let wasi = Wasi::new().random_seed(1).stdin(vec![1; 64 << 10]);
        let mut instance = load(body, wasi).instantiate(()).unwrap();
        instance.call_component::<(), u32>("test", ()).unwrap();
        instance.usage().fuel
    };
    let bytes = |len: u32| {
        cost(&format!(
            "(call $random (i64.const {len}) (i32.const 16)) (i32.const 0)"
        ))
    };
    // 8 for each 64 bytes made; the guest also pays for what it gets.
    assert!(bytes(6_464) - bytes(64) >= 100 * 8);
    let read = |len: u32| {
        cost(&format!(
            "(call $read (call $stdin) (i64.const {len}) (i32.const 16)) (i32.const 0)"
        ))
    };
    assert!(read(6_464) - read(64) >= 100);
    // A guest that has too little does not get so far.
    let body = "(call $random (i64.const 60000) (i32.const 16)) (i32.const 0)";
    let mut instance = load(body, Wasi::new().random_seed(1))
        .instantiate(())
        .unwrap();
    instance.set_budget(Budget::server().with_fuel(5_000));
    assert_eq!(
        code(&instance.call_component::<(), u32>("test", ())),
        "out-of-fuel"
    );
}

#[test]
fn without_the_grant_no_interface_links() {
    let wasm = hostel_tests::assemble(&component("(i32.const 0)"));
    let error = Engine::default().load_component("guest", &wasm, &Grants::<()>::new());
    let error = error.unwrap_err();
    let LoadError::Mismatch(found) = &error else {
        panic!("{error}");
    };
    assert_eq!(found.len(), 35, "each function and each resource");
    assert!(
        error.to_string().contains("the grant `wasi` would"),
        "{error}"
    );
}

#[test]
fn a_grant_of_wasi_supplies_http() {
    let wasm = hostel_tests::assemble(
        r#"(component (import "wasi:http/types@0.2.0" (instance (export "fields" (type (sub resource))))))"#,
    );
    let loaded = Engine::default().load_component("guest", &wasm, &Grants::<()>::new());
    let error = loaded.unwrap_err().to_string();
    assert!(error.contains("the grant `wasi` would"), "{error}");
    let grants = Grants::<()>::new().wasi(Wasi::new());
    Engine::default()
        .load_component("guest", &wasm, &grants)
        .unwrap();
}

#[test]
fn each_version_of_0_2_links_and_no_other() {
    for (version, loads) in [
        ("0.2.0", true),
        ("0.2.3", true),
        ("0.2.99", true),
        ("0.3.0", false),
        ("0.1.0", false),
    ] {
        let wasm = hostel_tests::assemble(&format!(
            r#"(component (import "wasi:random/random@{version}" (instance (export "get-random-u64" (func (result u64))))))"#,
        ));
        let grants = Grants::<()>::new().wasi(Wasi::new());
        let loaded = Engine::default().load_component("guest", &wasm, &grants);
        assert_eq!(loaded.is_ok(), loads, "{version}");
    }
}

#[test]
fn a_function_of_another_type_is_refused() {
    for (interface, function) in [
        (
            "wasi:random/random",
            r#""get-random-u64" (func (result u32))"#,
        ),
        (
            "wasi:random/random",
            r#""get-random-bytes" (func (param "len" u64))"#,
        ),
        (
            "wasi:random/random",
            r#""get-random-i64" (func (result s64))"#,
        ),
        (
            "wasi:cli/exit",
            r#""exit" (func (param "status" (result u8)))"#,
        ),
    ] {
        let wasm = hostel_tests::assemble(&format!(
            r#"(component (import "{interface}@0.2.0" (instance (export {function}))))"#,
        ));
        let grants = Grants::<()>::new().wasi(Wasi::new());
        let error = Engine::default().load_component("guest", &wasm, &grants);
        assert_eq!(error.unwrap_err().code(), "mismatch", "{function}");
    }
}

#[test]
fn sockets_link_and_are_not_supported() {
    let text = r#"(component
      (import "wasi:sockets/network@0.2.0" (instance $network
        (type $f0 (enum "ipv4" "ipv6")) (export "ip-address-family" (type $f (eq $f0)))
        (type $c0 (enum "unknown" "access-denied" "not-supported")) (export "error-code" (type $c (eq $c0)))))
      (alias export $network "ip-address-family" (type $f))
      (alias export $network "error-code" (type $c))
      (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
      (alias export $tcp "tcp-socket" (type $s))
      (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
        (alias outer 1 $f (type $f0)) (export "ip-address-family" (type $family (eq $f0)))
        (alias outer 1 $c (type $c0)) (export "error-code" (type $code (eq $c0)))
        (alias outer 1 $s (type $s0)) (export "tcp-socket" (type $socket (eq $s0)))
        (export "create-tcp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $code)))))))
      (core module $Memory (memory (export "memory") 1))
      (core instance $memory (instantiate $Memory))
      (core func $create (canon lower (func $create "create-tcp-socket") (memory (core memory $memory "memory"))))
      (core module $M
        (import "m" "memory" (memory 1))
        (import "w" "create" (func $create (param i32 i32)))
        (func (export "test") (result i32)
          (call $create (i32.const 0) (i32.const 16))
          (i32.add (i32.mul (i32.load8_u (i32.const 16)) (i32.const 10)) (i32.load8_u (i32.const 20)))))
      (core instance $m (instantiate $M (with "m" (instance $memory))
        (with "w" (instance (export "create" (func $create))))))
      (func (export "test") (result u32) (canon lift (core func $m "test"))))"#;
    let wasm = hostel_tests::assemble(text);
    let grants = Grants::new().wasi(Wasi::new());
    let plugin = Engine::default()
        .load_component("guest", &wasm, &grants)
        .unwrap();
    assert_eq!(plugin.call_component::<(), u32>("test", ()), Ok(12));
}
