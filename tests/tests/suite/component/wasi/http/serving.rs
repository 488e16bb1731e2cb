//! Requests that the embedder passes to the guest.

use super::{load, load_with};
use hostel::{Budget, CallError, Grants, HttpRequest, HttpResponse, Limits, Wasi};
use hostel_tests::code;

fn request(method: &str, url: &str, body: &[u8]) -> HttpRequest {
    let mut request = HttpRequest::new(method, url);
    request.body = body.to_vec();
    request
}

fn text(response: Result<HttpResponse, CallError>) -> String {
    String::from_utf8(response.unwrap().body).unwrap()
}

#[test]
fn a_request_reaches_the_guest_and_its_response_comes_back() {
    let plugin = load(Wasi::new());
    let mut posted = request("post", "http://h:1/a?b", b"body");
    posted.headers = vec![
        ("X-A".into(), b"1".to_vec()),
        ("Connection".into(), b"close".to_vec()),
        ("Transfer-Encoding".into(), b"chunked".to_vec()),
    ];
    let response = plugin.handle_http(posted).unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(response.headers, [("x-of".into(), b"fetch".to_vec())]);
    assert_eq!(
        String::from_utf8(response.body).unwrap(),
        "Method::Post Some(Scheme::Http) Some(\"h:1\") /a?b\nX-A: 1\nbody"
    );
    // A server may know the path alone.
    let told = text(plugin.handle_http(request("GET", "/p", b"")));
    assert_eq!(told, "Method::Get None None /p\n");
}

#[test]
fn an_instance_handles_one_request_after_the_other() {
    let plugin = load(Wasi::new());
    let mut instance = plugin.instantiate(()).unwrap();
    // More than it may have resources of WASI, if one were left each time.
    for at in 0..1_500 {
        let told = text(instance.handle_http(request("GET", &format!("/{at}"), b"")));
        assert_eq!(told, format!("Method::Get None None /{at}\n"));
    }
}

#[test]
fn a_guest_without_a_whole_response_is_an_error() {
    let plugin = load(Wasi::new());
    for (path, expected) in [
        ("/unset", "it set no response"),
        ("/error", "LoopDetected"),
        ("/unfinished", "body failed: ProtocolError"),
    ] {
        let error = plugin.handle_http(request("GET", path, b"")).unwrap_err();
        assert_eq!(error.code(), "guest-error", "{path}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn requests_and_responses_are_bounded() {
    let with = |change: fn(&mut Budget)| {
        let mut budget = Budget::server();
        change(&mut budget);
        load(Wasi::new()).with_budget(budget)
    };
    let handle = |plugin: &hostel::Plugin| plugin.handle_http(request("PUT", "/", &[b'a'; 2_000]));
    assert_eq!(code(&handle(&with(|_| ()))), "ok");
    let input = handle(&with(|budget| budget.input_bytes = 1_999));
    assert_eq!(code(&input), "input-too-large");
    let output = handle(&with(|budget| budget.output_bytes = 1_999));
    assert_eq!(code(&output), "output-too-large");
    let held = handle(&load(Wasi::new().http_bytes(1_000)));
    assert!(held.unwrap_err().to_string().contains("`http_bytes`"));
    let mut limits = Limits::server();
    limits.memory_bytes = 2 << 20;
    let plugin = load_with(Grants::new().wasi(Wasi::new()).with_limits(limits));
    let large = plugin.handle_http(request("PUT", "/", &vec![0; 1 << 20]));
    assert!(large.unwrap_err().to_string().contains("`memory_bytes`"));
}

#[test]
fn a_plugin_that_handles_no_requests_says_so() {
    let grants = Grants::new();
    let text = r#"(component (core module $M (func (export "f"))) (core instance $m (instantiate $M))
        (func (export "f") (canon lift (core func $m "f"))))"#;
    let wasm = hostel_tests::assemble(text);
    let plugin = hostel::engine()
        .load_component("m", &wasm, &grants)
        .unwrap();
    let error = plugin.handle_http(request("GET", "/", b"")).unwrap_err();
    assert_eq!(error.code(), "unknown-export");
}
