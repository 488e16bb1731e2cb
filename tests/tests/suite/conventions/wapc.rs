//! waPC: operations of the guest, and its calls of the host.

use hostel::{Budget, Grants, Host, HostAnswer, HostRequest, Plugin, Wapc};
use hostel_tests::{Lines, assemble, code, load_wat};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The environment, a buffer for the operation's name at 0 and one for the payload at 1000, and the text of
/// the functions given.
fn text(functions: &str) -> String {
    format!(
        r#"(module
            (import "wapc" "__guest_request" (func $request (param i32 i32)))
            (import "wapc" "__guest_response" (func $respond (param i32 i32)))
            (import "wapc" "__guest_error" (func $fail (param i32 i32)))
            (import "wapc" "__host_call" (func $host (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (import "wapc" "__host_response_len" (func $response_len (result i32)))
            (import "wapc" "__host_response" (func $response (param i32)))
            (import "wapc" "__host_error_len" (func $error_len (result i32)))
            (import "wapc" "__host_error" (func $error (param i32)))
            (import "wapc" "__console_log" (func $log (param i32 i32)))
            (memory (export "memory") 1)
            {functions})"#
    )
}

fn plugin(functions: &str, wapc: Wapc) -> Plugin {
    load_wat(&text(functions), &Grants::new().wapc(wapc))
}

/// Responds with the operation's name and the payload.
const ECHO: &str = r#"(func (export "__guest_call") (param $op i32) (param $len i32) (result i32)
    (call $request (i32.const 0) (local.get $op))
    (call $respond (i32.const 0) (i32.add (local.get $op) (local.get $len)))
    (i32.const 1))"#;

/// Makes one call of the host with the payload, and responds with the answer, or fails with the error.
const ASK: &str = r#"(data (i32.const 0) "bindingspaceoperation")
    (func (export "__guest_call") (param $op i32) (param $len i32) (result i32)
      (call $request (i32.const 100) (i32.const 1000))
      (if (call $host (i32.const 0) (i32.const 7) (i32.const 7) (i32.const 5) (i32.const 12) (i32.const 9)
            (i32.const 1000) (local.get $len))
        (then (call $response (i32.const 2000))
          (call $respond (i32.const 2000) (call $response_len)))
        (else (call $error (i32.const 2000))
          (call $fail (i32.const 2000) (call $error_len))))
      (i32.eqz (call $error_len)))"#;

fn answer(request: &HostRequest<'_>) -> HostAnswer {
    let HostRequest {
        plugin,
        binding,
        namespace,
        operation,
        payload,
        ..
    } = *request;
    if payload == b"no" {
        return Err("refused".to_owned());
    }
    let payload = String::from_utf8_lossy(payload);
    Ok(format!("{plugin} {binding}/{namespace}/{operation}: {payload}").into_bytes())
}

#[test]
fn the_operation_and_the_payload_reach_the_guest() {
    let echo = plugin(ECHO, Wapc::new());
    assert_eq!(echo.call_bytes("say", b"hello").unwrap(), b"sayhello");
    assert_eq!(echo.call_bytes("say", b"").unwrap(), b"say");
    assert_eq!(echo.call_bytes("", b"x").unwrap(), b"x");
    // The payload is written first: the name overwrites its start.
    let overlapping = r#"(func (export "__guest_call") (param $op i32) (param $len i32) (result i32)
        (call $request (i32.const 0) (i32.const 0))
        (call $respond (i32.const 0) (i32.const 5)) (i32.const 1))"#;
    let plugin = plugin(overlapping, Wapc::new());
    assert_eq!(plugin.call_bytes("say", b"hello").unwrap(), b"saylo");
}

#[test]
fn a_plugin_that_is_replaced_keeps_what_the_host_has_for_it() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let wapc = Wapc::new().callback(move |request| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        Ok(format!("{} of {}", call, request.plugin).into_bytes())
    });
    let grants = Grants::new().wapc(wapc);
    let host = Host::new(hostel::engine());
    let ask = |host: &Host| host.get("ask").unwrap().call_bytes("any", b"x").unwrap();
    host.insert("ask", &assemble(&text(ASK)), &grants).unwrap();
    let handle = host.get("ask").unwrap();
    assert_eq!(ask(&host), b"0 of ask");
    let second = text(&ASK.replace("bindingspaceoperation", "bindingplaceoperation"));
    host.replace("ask", &assemble(&second), &grants).unwrap();
    assert_eq!(ask(&host), b"1 of ask");
    // Calls of the earlier version go on beside it.
    assert_eq!(handle.call_bytes("any", b"x").unwrap(), b"2 of ask");
    // A failed replacement changes nothing.
    host.replace("ask", b"no module", &grants).unwrap_err();
    assert_eq!(ask(&host), b"3 of ask");
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

#[test]
fn the_result_follows_from_code_response_and_error() {
    let set = |response: &str, error: &str, code: u32| {
        let part = |text: &str, function: &str, at: u32| match text {
            "" => String::new(),
            text => format!(
                "(call ${function} (i32.const {at}) (i32.const {}))",
                text.len()
            ),
        };
        format!(
            r#"(data (i32.const 10) "{response}") (data (i32.const 50) "{error}")
            (func (export "__guest_call") (param i32 i32) (result i32) {} {} (i32.const {code}))"#,
            part(response, "respond", 10),
            part(error, "fail", 50)
        )
    };
    for (response, error, code, expected) in [
        ("fine", "", 1, Ok("fine")),
        ("fine", "bad", 1, Ok("fine")),
        ("fine", "", 2, Ok("fine")),
        ("", "bad", 1, Err("bad")),
        ("", "", 1, Err("no response")),
        ("fine", "bad", 0, Err("bad")),
        ("fine", "", 0, Err("no error text")),
    ] {
        let plugin = plugin(&set(response, error, code), Wapc::new());
        let found = plugin.call_bytes("x", b"");
        match expected {
            Ok(text) => assert_eq!(found.unwrap(), text.as_bytes(), "{response} {error} {code}"),
            Err(text) => {
                let found = found.unwrap_err();
                assert_eq!(found.code(), "guest-error");
                assert!(found.to_string().contains(text), "{found}");
            }
        }
    }
}

#[test]
fn the_last_response_counts() {
    let plugin = plugin(
        r#"(data (i32.const 0) "onetwo")
        (func (export "__guest_call") (param i32 i32) (result i32)
          (call $respond (i32.const 0) (i32.const 3)) (call $respond (i32.const 3) (i32.const 3)) (i32.const 1))"#,
        Wapc::new(),
    );
    assert_eq!(plugin.call_bytes("x", b"").unwrap(), b"two");
}

#[test]
fn the_host_answers_by_a_response_or_an_error() {
    let plugin = plugin(ASK, Wapc::new().callback(answer));
    let output = plugin.call_bytes("x", b"yes").unwrap();
    assert_eq!(output, b"guest binding/space/operation: yes");
    let error = plugin.call_bytes("x", b"no").unwrap_err();
    assert!(error.to_string().ends_with(": refused"), "{error}");
    // Nothing of a call is left for the next one.
    assert_eq!(plugin.call_bytes("x", b"yes").unwrap(), output);
}

#[test]
fn without_a_callback_the_guest_gets_an_error() {
    let plugin = plugin(ASK, Wapc::new());
    let error = plugin.call_bytes("x", b"yes").unwrap_err();
    assert!(error.to_string().contains("grants no callback"), "{error}");
}

#[test]
fn an_asynchronous_callback_suspends_the_guest() {
    let slow = |request: &HostRequest<'_>| {
        let answer = answer(request);
        let mut polls = 0;
        core::future::poll_fn(move |context| {
            polls += 1;
            if polls < 3 {
                context.waker().wake_by_ref();
                return core::task::Poll::Pending;
            }
            core::task::Poll::Ready(answer.clone())
        })
    };
    let plugin = plugin(ASK, Wapc::new().callback_async(slow));
    let output = b"guest binding/space/operation: yes";
    assert_eq!(plugin.call_bytes("x", b"yes").unwrap(), output);
    let inputs: [&[u8]; 1] = [b"no"];
    let mut call = plugin.call_arguments_async("x", &inputs);
    let mut waits = 0;
    let result = loop {
        match call.step(10_000) {
            hostel::Step::Done(result) => break result,
            hostel::Step::Waiting => waits += 1,
            _ => {}
        }
    };
    assert_eq!(code(&result), "guest-error");
    assert!(waits >= 1, "{waits}");
}

#[test]
fn an_answer_that_never_comes_ends_at_the_deadline() {
    let never = |_: &HostRequest<'_>| core::future::pending::<HostAnswer>();
    let plugin = plugin(ASK, Wapc::new().callback_async(never));
    let budget = Budget::server().with_deadline(core::time::Duration::from_millis(30));
    let result = plugin.with_budget(budget).call_bytes("x", b"yes");
    assert_eq!(code(&result), "deadline");
}

#[test]
fn a_callback_that_panics_traps_its_guest_alone() {
    let plugin = plugin(
        ASK,
        Wapc::new().callback(|_| panic!("a fault of the embedder's")),
    );
    assert_eq!(code(&plugin.call_bytes("x", b"yes")), "trap-host-panic");
    assert_eq!(code(&plugin.call_bytes("x", b"yes")), "trap-host-panic");
}

#[test]
fn start_and_then_init_run_when_an_instance_is_made() {
    let load = |start: &str| {
        let functions = format!(
            r#"(global $n (mut i32) (i32.const 0))
            (func (export "_start") (global.set $n (i32.add (global.get $n) (i32.const 1))) {start})
            (func (export "wapc_init")
              (global.set $n (i32.mul (global.get $n) (i32.const 10))))
            (func (export "__guest_call") (param i32 i32) (result i32)
              (i32.store8 (i32.const 0) (i32.add (global.get $n) (i32.const 48)))
              (call $respond (i32.const 0) (i32.const 1)) (i32.const 1))"#
        );
        let exit =
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
        let text = text(&functions).replacen("(module", exit, 1);
        let grants = Grants::<()>::new().wapc(Wapc::new()).wasi(hostel::wasi());
        load_wat(&text, &grants)
    };
    for start in ["", "(call $exit (i32.const 0))"] {
        let plugin = load(start);
        // 1 · 10, as a character from '0' on.
        for _ in 0..3 {
            assert_eq!(plugin.call_bytes("x", b"").unwrap(), [48 + 10], "{start}");
        }
    }
    let failed = load("(call $exit (i32.const 3))").call_bytes("x", b"");
    assert_eq!(code(&failed), "exited");
    let trapped = load("unreachable").call_bytes("x", b"");
    assert_eq!(code(&trapped), "trap-unreachable");
}

#[test]
fn console_log_writes_a_record_and_refuses_what_is_no_text() {
    let lines = Lines::default();
    let grants = lines.granted::<()>().wapc(Wapc::new());
    let text = text(
        r#"(data (i32.const 0) "said\ff")
        (func (export "__guest_call") (param $op i32) (param $len i32) (result i32)
          (call $log (i32.const 0) (i32.add (i32.const 4) (local.get $len)))
          (call $respond (i32.const 0) (i32.const 1)) (i32.const 1))"#,
    );
    let plugin = load_wat(&text, &grants);
    plugin.call_bytes("x", b"").unwrap();
    assert_eq!(lines.take(), ["guest: said"]);
    let refused = plugin.call_bytes("x", b"1").unwrap_err();
    assert_eq!(refused.code(), "trap-host-call", "{refused}");
}

#[test]
fn bytes_in_both_directions_are_bounded() {
    let set = |change: fn(&mut Budget)| {
        let mut budget = Budget::server();
        change(&mut budget);
        budget
    };
    let echo = plugin(ECHO, Wapc::new());
    let of = |plugin: &Plugin, budget: Budget| {
        code(&plugin.with_budget(budget).call_bytes("say", b"hello"))
    };
    assert_eq!(
        of(&echo, set(|budget| budget.input_bytes = 4)),
        "input-too-large"
    );
    assert_eq!(
        of(&echo, set(|budget| budget.output_bytes = 4)),
        "trap-host-call"
    );
    assert_eq!(
        of(&echo, set(|budget| budget.bytes_to_guest = 4)),
        "arena-bytes"
    );
    let ask = plugin(ASK, Wapc::new().callback(answer));
    assert_eq!(
        of(&ask, set(|budget| budget.argument_bytes = 20)),
        "argument-too-large"
    );
    assert_eq!(of(&ask, set(|budget| budget.host_calls = 2)), "host-calls");
    assert_eq!(
        of(&ask, set(|budget| budget.bytes_to_guest = 20)),
        "arena-bytes"
    );
}

#[test]
fn ranges_outside_the_memory_trap() {
    for call in [
        "(call $request (i32.const 65535) (i32.const 0))",
        "(call $request (i32.const 0) (i32.const -1))",
        "(call $respond (i32.const 65530) (i32.const 10))",
        "(call $fail (i32.const -1) (i32.const 1))",
        "(call $log (i32.const 1) (i32.const -1))",
        "(drop (call $host (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 65536) (i32.const 1)
            (i32.const 0) (i32.const 0)))",
    ] {
        let text = format!(
            r#"(func (export "__guest_call") (param i32 i32) (result i32) {call} (i32.const 1))"#
        );
        let error = plugin(&text, Wapc::new().callback(answer)).call_bytes("say", b"hello");
        assert_eq!(code(&error), "trap-host-call", "{call}");
    }
}
