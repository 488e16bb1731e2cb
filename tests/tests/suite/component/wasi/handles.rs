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
    // It declares that a splice reads from an output stream. The types alone fit: they do not name resources.
    let text = r#"(component
      (import "wasi:io/streams@0.2.0" (instance $streams
        (export "error" (type $err (sub resource)))
        (export "output-stream" (type $out (sub resource)))
        (type $se0 (variant (case "last-operation-failed" (own $err)) (case "closed")))
        (export "stream-error" (type $se (eq $se0)))
        (export "[method]output-stream.blocking-splice" (func (param "self" (borrow $out)) (param "src" (borrow $out))
          (param "len" u64) (result (result u64 (error $se)))))))
      (alias export $streams "output-stream" (type $out))
      (import "wasi:cli/stdout@0.2.0" (instance $stdout
        (alias outer 1 $out (type $t)) (export "output-stream" (type $o (eq $t)))
        (export "get-stdout" (func (result (own $o))))))
      (core module $Memory (memory (export "memory") 1))
      (core instance $memory (instantiate $Memory))
      (core func $stdout (canon lower (func $stdout "get-stdout")))
      (core func $splice (canon lower (func $streams "[method]output-stream.blocking-splice")
        (memory (core memory $memory "memory"))))
      (core module $M
        (import "w" "stdout" (func $stdout (result i32)))
        (import "w" "splice" (func $splice (param i32 i32 i64 i32)))
        (func (export "test") (result i32)
          (call $splice (call $stdout) (call $stdout) (i64.const 1) (i32.const 16)) (i32.const 0)))
      (core instance $m (instantiate $M (with "w" (instance
        (export "stdout" (func $stdout)) (export "splice" (func $splice))))))
      (func (export "test") (result u32) (canon lift (core func $m "test"))))"#;
    let wasm = hostel_tests::assemble(text);
    let grants = Grants::new().wasi(Wasi::new());
    let plugin = Engine::default()
        .load_component("guest", &wasm, &grants)
        .unwrap();
    let error = plugin.call_component::<(), u32>("test", ()).unwrap_err();
    assert_eq!(error.code(), "trap-host");
    assert!(
        error.to_string().contains("a resource of another type"),
        "{error}"
    );
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
    assert_eq!(code, "trap-host");
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
