//! Handles to WASI's resources that a guest forges, drops twice, confuses or hoards.

use super::{run, stopped};
use hostel::{Engine, Grants, Wasi};

#[test]
fn forged_handles_stop_the_guest() {
    for (forged, why) in [
        ("(call $block (i32.const 77))", "unknown handle index 77"),
        ("(call $drop_in (i32.const 77))", "unknown handle index 77"),
        ("(call $block (call $stdin))", "of another type"),
        ("(call $drop_p (call $stdin))", "of another type"),
        (
            "(local.set $a (call $stdin)) (call $drop_in (local.get $a)) (call $drop_in (local.get $a))",
            "unknown handle index",
        ),
        (
            "(local.set $a (call $stdin)) (call $drop_in (local.get $a))
             (call $read (local.get $a) (i64.const 1) (i32.const 16))",
            "unknown handle index",
        ),
    ] {
        let (code, message) = stopped(&format!("{forged} (i32.const 0)"), Wasi::new());
        assert_eq!(code, "trap-abi", "{forged}");
        assert!(message.contains(why), "{forged}: {message}");
    }
}

#[test]
fn types_that_a_guest_confuses_do_not_reach_another_resource() {
    // It declares that a read takes an output stream. The type alone fits: resources have no names in it.
    let text = r#"(component
      (import "wasi:io/streams@0.2.0" (instance $streams
        (export "input-stream" (type $in (sub resource)))
        (export "output-stream" (type $out (sub resource)))
        (export "[method]output-stream.subscribe" (func (param "self" (borrow $in)) (result (own $in))))))
      (alias export $streams "input-stream" (type $in))
      (import "wasi:cli/stdin@0.2.0" (instance $stdin
        (alias outer 1 $in (type $t)) (export "input-stream" (type $i (eq $t)))
        (export "get-stdin" (func (result (own $i))))))
      (core func $stdin (canon lower (func $stdin "get-stdin")))
      (core func $subscribe (canon lower (func $streams "[method]output-stream.subscribe")))
      (core module $M
        (import "w" "stdin" (func $stdin (result i32)))
        (import "w" "subscribe" (func $subscribe (param i32) (result i32)))
        (func (export "test") (result i32) (call $subscribe (call $stdin))))
      (core instance $m (instantiate $M (with "w" (instance
        (export "stdin" (func $stdin)) (export "subscribe" (func $subscribe))))))
      (func (export "test") (result u32) (canon lift (core func $m "test"))))"#;
    let wasm = hostel_tests::assemble(text);
    let grants = Grants::new().wasi(Wasi::new());
    // The validator may refuse a method whose first parameter is not of its resource.
    let Ok(plugin) = Engine::default().load_component("guest", &wasm, &grants) else {
        return;
    };
    let error = plugin.call_component::<(), u32>("test", ()).unwrap_err();
    assert_eq!(error.code(), "trap-host-function");
    assert!(error.to_string().contains("a resource of another type"));
}

#[test]
fn resources_are_limited_and_dropping_them_makes_room() {
    let many = |work: &str, times: u32| {
        format!(
            "(loop $l {work}
               (local.set $a (i32.add (local.get $a) (i32.const 1)))
               (br_if $l (i32.lt_u (local.get $a) (i32.const {times})))) (local.get $a)"
        )
    };
    assert_eq!(
        run(&many("(drop (call $stdin))", 4_096), Wasi::new()).0,
        Ok(4_096)
    );
    let (code, message) = stopped(&many("(drop (call $stdin))", 4_097), Wasi::new());
    assert_eq!(code, "trap-host-function");
    assert!(message.contains("more than 4,096 resources"), "{message}");
    let dropped = many("(call $drop_in (call $stdin))", 10_000);
    assert_eq!(run(&dropped, Wasi::new()).0, Ok(10_000));
}

#[test]
fn a_stream_outlives_its_pollable_and_the_other_way_round() {
    let body = "(local.set $a (call $stdin)) (local.set $b (call $subscribe (local.get $a)))
        (call $drop_in (local.get $a)) (call $block (local.get $b)) (call $ready (local.get $b))";
    assert_eq!(run(body, Wasi::new()).0, Ok(1));
}
