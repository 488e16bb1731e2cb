//! X: guests that send HTTP requests, against the rules of requests and against `HttpAccess`. No case makes a
//! connection: what servers do is in the suite.

use crate::case::{Case, Setup, Verdict, exceeds, traps};
use core::time::Duration;
use hostel::{
    AllowedHosts, Budget, Extism, Grants, HttpAccess, HttpClient, HttpRequest, HttpResponse,
    PendingHttp,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    requests(&mut cases);
    addresses(&mut cases);
    responses(&mut cases);
    cases
}

/// Sends the input as request, again and again.
const GUEST: &str = r#"(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "input_length" (func $length (result i64)))
    (import "extism:host/env" "input_load_u8" (func $load (param i64) (result i32)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "extism:host/env" "http_request" (func $http (param i64 i64) (result i64)))
    (func $copy (result i64) (local $at i64) (local $n i64)
      (local.set $at (call $alloc (call $length)))
      (loop $on
        (if (i64.lt_u (local.get $n) (call $length)) (then
          (call $store (i64.add (local.get $at) (local.get $n)) (call $load (local.get $n)))
          (local.set $n (i64.add (local.get $n) (i64.const 1)))
          (br $on))))
      (local.get $at))
    (func (export "run") (loop $on (drop (call $http (call $copy) (i64.const 0))) (br $on))))"#;

/// Calls the guest with a request, and judges how it ended.
fn run(setup: &Setup<'_>, budget: Budget, extism: Extism, request: &[u8]) -> Verdict {
    let grants = Grants::new().extism(extism).with_budget(budget);
    let plugin = setup.engine.load("guest", setup.wasm, &grants).unwrap();
    let mut instance = plugin.instantiate(()).unwrap();
    let ended = instance.call_bytes("run", request, |_| ());
    assert!(instance.is_stopped(), "{ended:?}");
    Verdict::of_answer(ended.map(|()| ""))
}

/// A client that answers each request by a function of the tests, and never without a response.
struct Fake(Option<HttpResponse>, Arc<AtomicUsize>);

impl HttpClient for Fake {
    fn send(&self, _: HttpRequest) -> PendingHttp {
        self.1.fetch_add(1, Ordering::SeqCst);
        match self.0.clone() {
            Some(response) => Box::pin(core::future::ready(Ok(response))),
            None => Box::pin(core::future::pending()),
        }
    }
}

/// X09: a row says what is wrong with the request. None reaches the client.
fn requests(cases: &mut Vec<Case>) {
    let url = r#"{"url":"http://a/""#;
    let rows = [
        ("no JSON", "\u{0}".to_owned()),
        ("no end", url.to_owned()),
        (
            "nested 20,000 times",
            format!("{url},\"x\":{}", "{\"a\":".repeat(10_000)),
        ),
        (
            "lists nested 50,000 times",
            format!("{url},\"x\":{}", "[".repeat(50_000)),
        ),
        (
            "10,000 headers",
            format!(
                "{url},\"headers\":{{{}\"a\":\"\"}}}}",
                "\"a\":\"\",".repeat(8_000)
            ),
        ),
        (
            "a string without end",
            format!("{url},\"method\":\"{}", "a".repeat(50_000)),
        ),
        (
            "70,000 bytes",
            format!("{url},\"x\":\"{}\"}}", "a".repeat(70_000)),
        ),
        (
            "a line end in a header",
            format!(r#"{url},"headers":{{"a":"b\r\nHost: c"}}}}"#),
        ),
        (
            "a line end in a header's name",
            format!(r#"{url},"headers":{{"a\r\nb":"c"}}}}"#),
        ),
        (
            "a line end in the method",
            format!(r#"{url},"method":"GET / HTTP/1.1\r\nA: b"}}"#),
        ),
        (
            "a line end in the URL",
            r#"{"url":"http://a/ HTTP/1.1\r\nA: b"}"#.to_owned(),
        ),
        (
            "a header that tells a length",
            format!(r#"{url},"headers":{{"Content-Length":"5"}}}}"#),
        ),
        (
            "a header that tells chunks",
            format!(r#"{url},"headers":{{"transfer-encoding":"chunked"}}}}"#),
        ),
        (
            "a header that tells a host",
            format!(r#"{url},"headers":{{"HOST":"b"}}}}"#),
        ),
        ("a tunnel", format!(r#"{url},"method":"CONNECT"}}"#)),
        (
            "an echo of its headers",
            format!(r#"{url},"method":"TRACE"}}"#),
        ),
        ("half a character", format!(r#"{url},"method":"\ud800"}}"#)),
    ];
    for (what, json) in rows {
        let name = format!("X09/request with {what}");
        let script = move |setup: &Setup<'_>| {
            let sent = Arc::new(AtomicUsize::new(0));
            let client = Fake(Some(HttpResponse::new(200)), sent.clone());
            let budget = Budget::server().with_fuel(20_000_000);
            let ended = run(setup, budget, Extism::new().http(client), json.as_bytes());
            assert_eq!(sent.load(Ordering::SeqCst), 0, "it was sent");
            ended
        };
        // The host copies 70,000 bytes, into a block and out of it.
        cases.push(Case::script(name, GUEST, traps("trap-host"), script).blocks(512 << 10));
    }
}

/// X10: a row says where the guest turns to, though all names are allowed.
fn addresses(cases: &mut Vec<Case>) {
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://168.63.129.16/",
        "http://100.100.100.200/",
        "http://224.0.0.1/",
        "http://localhost.example/",
        "http://a@127.0.0.1/",
        "http://allowed.example@127.0.0.1/",
        "http://127.0.0.1\\@allowed.example/",
        "http://allowed.example:80@127.0.0.1/",
        "file:///etc/passwd",
        "unix:///run/docker.sock",
        "//127.0.0.1/",
    ] {
        let name = format!("X10/{url}");
        let json = format!("{{\"url\":\"{}\"}}", url.replace('\\', "\\\\"));
        let script = move |setup: &Setup<'_>| {
            let hosts = AllowedHosts::parse(["*"]).unwrap();
            let resolve = |_: &str| Ok(vec!["127.0.0.1".parse().unwrap()]);
            let http = HttpAccess::new(hosts).resolver(resolve);
            let budget = Budget::server().with_fuel(1_000_000);
            run(setup, budget, Extism::new().http(http), json.as_bytes())
        };
        cases.push(Case::script(name, GUEST, traps("trap-host"), script));
    }
}

/// X13, X14: a row says what the server answers, or what it does not.
fn responses(cases: &mut Vec<Case>) {
    let with = |body: usize, headers: usize| {
        let mut response = HttpResponse::new(200);
        response.body = vec![7; body];
        response.headers = vec![("a".into(), Vec::new()); headers];
        Some(response)
    };
    let deadline = Budget::server().with_deadline(Duration::from_millis(20));
    #[rustfmt::skip] // a table
    let rows = [
        ("X13/response that is larger than allowed", with(1_001, 0), Budget::server(), traps("trap-host")),
        ("X13/response that is all that is allowed, without end", with(1_000, 0), Budget::server().with_fuel(1_000_000), exceeds("out-of-fuel")),
        ("X13/response with more headers than allowed", with(0, 1_000), Budget::server().with_fuel(1_000_000), exceeds("out-of-fuel")),
        ("X14/response that never comes", None, deadline, exceeds("deadline")),
    ];
    for (name, response, budget, verdict) in rows {
        let script = move |setup: &Setup<'_>| {
            let client = Fake(response.clone(), Arc::default());
            let extism = Extism::new().http(client).http_response_bytes(1_000);
            run(setup, budget, extism, br#"{"url":"http://a/"}"#)
        };
        cases.push(Case::script(name, GUEST, verdict, script).blocks(256 << 10));
    }
}
