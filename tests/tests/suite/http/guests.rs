//! Guests of Extism's convention that send requests by `HttpAccess`.

use super::server::{self, Server, ok, write};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hostel::{
    Budget, CallError, Extism, Grants, HttpAccess, Manifest, ManifestGrants, Plugin, Step,
};
use hostel_tests::{assemble, code, load_wat, must_end};
use std::{
    io::Read as _,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

const GUEST: &str = r#"(module
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "extism:host/env" "http_request" (func $http (param i64 i64) (result i64)))
    (func (export "get") (local $at i64)
      (local.set $at (call $http (call $input) (i64.const 0)))
      (call $output (local.get $at) (call $length (local.get $at)))))"#;

fn plugin(http: HttpAccess) -> Plugin {
    load_wat(GUEST, &Grants::new().extism(Extism::new().http(http)))
}

fn request(server: &Server) -> Vec<u8> {
    format!(r#"{{"url":"{}"}}"#, server.url("/")).into_bytes()
}

#[test]
fn a_guest_gets_a_response_in_each_kind_of_call() {
    let server = Server::saying(ok("from the server"));
    let plugin = plugin(server.client());
    let json = request(&server);
    let expected = b"from the server";
    assert_eq!(plugin.call_bytes("get", &json).unwrap(), expected);
    let inputs = [&json[..]];
    let mut call = plugin.call_arguments_async("get", &inputs);
    let stepped = loop {
        match call.step(10_000) {
            Step::Done(result) => break result,
            Step::Waiting => thread::sleep(Duration::from_millis(1)),
            Step::More => {}
        }
    };
    assert_eq!(stepped.unwrap(), expected);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let awaited = plugin.call_arguments_async("get", &inputs);
    let awaited = runtime.unwrap().block_on(awaited);
    assert_eq!(awaited.unwrap(), expected);
}

#[test]
fn a_slow_server_delays_no_call_past_its_deadline_or_its_cancellation() {
    let server = Server::start(|_, connection| drop(connection.read(&mut [0; 1])));
    let plugin = plugin(server.client());
    let json = request(&server);
    let deadline = Duration::from_millis(50);
    let late = plugin.with_budget(Budget::server().with_deadline(deadline));
    let begun = Instant::now();
    assert_eq!(code(&late.call_bytes("get", &json)), "deadline");
    let took = begun.elapsed();
    assert!(
        took >= deadline && took < Duration::from_secs(2),
        "{took:?}"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let inputs = [&json[..]];
    let awaited = runtime
        .unwrap()
        .block_on(late.call_arguments_async("get", &inputs));
    assert_eq!(code(&awaited), "deadline");
    let mut instance = plugin.instantiate(()).unwrap();
    let canceller = instance.canceller();
    let called = thread::spawn(move || instance.call_bytes("get", &json, |_| ()));
    while server.seen().len() < 3 {
        thread::yield_now();
    }
    canceller.cancel();
    let ended = must_end(|| called.join().unwrap());
    assert_eq!(ended, Err(CallError::Cancelled));
}

#[test]
fn a_refused_request_and_a_response_that_is_too_large_stop_the_guest() {
    let server = Server::start(|_, connection| {
        let body = "x".repeat(5000);
        write(connection, ok(&body).as_bytes());
    });
    let json = request(&server);
    let refused = plugin(HttpAccess::new(hostel::AllowedHosts::default()));
    let error = refused.call_bytes("get", &json).unwrap_err();
    assert_eq!(error.code(), "trap-host");
    assert!(error.to_string().contains("`http://127.0.0.1:"), "{error}");
    let extism = Extism::new()
        .http(server.client())
        .http_response_bytes(4999);
    let plugin: Plugin = load_wat(GUEST, &Grants::new().extism(extism));
    let error = plugin.call_bytes("get", &json).unwrap_err();
    assert!(error.to_string().contains("exceeds 4999 bytes"), "{error}");
}

#[test]
fn a_manifest_narrows_the_hosts_of_the_client() {
    let other = Server::saying(ok("reached"));
    let elsewhere = format!("http://b.example:{}/", other.address.port());
    let server = Server::redirecting(302, elsewhere);
    let port = server.address.port();
    let data = BASE64.encode(assemble(GUEST));
    let ask = |allowed: &[&str], fields: &str, path: &str| {
        let text =
            format!(r#"{{"wasm": [{{"data": "{data}"}}], "allowed_hosts": {allowed:?}{fields}}}"#);
        let client = HttpAccess::new(server::allowed(&["*.example", "127.0.0.1"]))
            .resolver(|_| Ok(vec![Ipv4Addr::LOCALHOST.into()]));
        let permitted = ManifestGrants::new().extism(Extism::new().http(client));
        let manifest = Manifest::parse(&text, "").unwrap();
        let plugin = manifest.load(&hostel::engine(), "p", Grants::new(), permitted);
        let request = format!(r#"{{"url": "http://a.example:{port}{path}"}}"#);
        let answer = plugin.unwrap().call_bytes("get", request.as_bytes());
        answer.map_err(|error| error.to_string())
    };
    let refused = |answer: Result<Vec<u8>, String>, words: &str| {
        let message = answer.unwrap_err();
        assert!(message.contains(words), "{message}");
    };
    // The request is sent to the one, and redirected to the other.
    assert_eq!(
        ask(&["a.example", "b.example"], "", "/").unwrap(),
        b"reached"
    );
    assert_eq!(ask(&["*"], "", "/").unwrap(), b"reached");
    refused(ask(&["a.example"], "", "/"), "`http://b.example");
    assert_eq!(other.seen().len(), 2);
    assert!(ask(&["A.example"], "", "/next").is_ok());
    let reached = server.seen().len();
    refused(
        ask(&["b.example"], "", "/next"),
        "not among the hosts of the plugin's manifest",
    );
    // What the manifest names beyond the client's hosts stays out of reach.
    refused(ask(&["c.test"], "", "/next"), "not among the hosts");
    refused(ask(&[], "", "/next"), "HTTP is not granted");
    assert_eq!(server.seen().len(), reached);
    let small = r#", "memory": {"max_http_response_bytes": 6}"#;
    refused(ask(&["*"], small, "/"), "exceeds 6 bytes");
}
