//! P15 to P17: components that send HTTP requests, against the rules of `wasi:http`. The guest is `fetch`, built from
//! Rust. No case makes a connection.

use crate::case::{Case, Setup, Source, Verdict, exceeds, returns, traps};
use core::time::Duration;
use hostel::{
    Budget, Grants, HttpClient, HttpRequest, HttpResponse, Limits, PendingHttp, Wasi,
    component::Lift,
};
use hostel_tests::guest_bytes;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    requests(&mut cases);
    without_end(&mut cases);
    orders(&mut cases);
    cases
}

/// A client that returns this response to each request, or none ever, and counts them.
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

/// A case whose script runs the guest.
fn case(
    name: String,
    verdict: Verdict,
    script: impl Fn(&Setup<'_>) -> Verdict + Sync + 'static,
) -> Case {
    let guest = Source::made(|| guest_bytes("components/rust_fetch"));
    Case::script(name, guest, verdict, script)
}

/// Calls the guest's export with a budget of time and fuel for its own work.
fn call<R: Lift>(
    setup: &Setup<'_>,
    response: Option<HttpResponse>,
    sent: &Arc<AtomicUsize>,
    (export, params): (&str, impl hostel::component::LowerParts),
) -> Result<R, hostel::CallError> {
    let client = Fake(response, sent.clone());
    let mut limits = Limits::server();
    limits.memory_bytes = 8 << 20;
    let budget = Budget::server()
        .with_fuel(100_000_000)
        .with_deadline(Duration::from_secs(2));
    let grants = Grants::new()
        .wasi(Wasi::new().http(client).http_bytes(512 << 10))
        .with_limits(limits)
        .with_budget(budget);
    let plugin = setup.engine.load_component("guest", setup.wasm, &grants);
    let mut instance = plugin.unwrap().instantiate(()).unwrap();
    instance.call_component(export, params)
}

/// What the guest's `fetch` returns.
type Fetched = Result<(u16, Vec<(String, Vec<u8>)>, Vec<u8>), String>;

/// P15: a row says what is wrong with the request. None reaches the client.
fn requests(cases: &mut Vec<Case>) {
    let (url, none) = ("http://a/", ("", ""));
    let rows = [
        (
            "a line end in the path",
            "GET",
            "http://a/ HTTP/1.1\r\nA: b",
            none,
            "the path is refused",
        ),
        (
            "a line end in the authority",
            "GET",
            "http://a\r\nA: b/",
            none,
            "the authority is refused",
        ),
        (
            "a user",
            "GET",
            "http://allowed.example@b/",
            none,
            "the authority is refused",
        ),
        (
            "a backslash",
            "GET",
            "http://b\\@allowed.example/",
            none,
            "the authority is refused",
        ),
        (
            "a port beyond all",
            "GET",
            "http://a:65536/",
            none,
            "the authority is refused",
        ),
        (
            "a line end in the method",
            "GET / HTTP/1.1\r\nA: b",
            url,
            none,
            "the method is refused",
        ),
        (
            "a tunnel",
            "CONNECT",
            url,
            none,
            "ErrorCode::HttpRequestMethodInvalid",
        ),
        (
            "an echo of its headers",
            "TRACE",
            url,
            none,
            "ErrorCode::HttpRequestMethodInvalid",
        ),
        (
            "a file",
            "GET",
            "file:///etc/passwd",
            none,
            "the authority is refused",
        ),
        (
            "a header with a line end",
            "GET",
            url,
            ("a", "b\r\nHost: c"),
            "HeaderError::InvalidSyntax",
        ),
        (
            "a name with a line end",
            "GET",
            url,
            ("a\r\nb", "c"),
            "HeaderError::InvalidSyntax",
        ),
        (
            "a header that tells a host",
            "GET",
            url,
            ("HOST", "b"),
            "HeaderError::Forbidden",
        ),
        (
            "a header that tells chunks",
            "GET",
            url,
            ("transfer-encoding", "chunked"),
            "HeaderError::Forbidden",
        ),
        (
            "a length without a body",
            "GET",
            url,
            ("content-length", "5"),
            "ErrorCode::HttpRequestBodySize(Some(0))",
        ),
        (
            "two lengths",
            "GET",
            url,
            ("content-length", "5, 6"),
            "ErrorCode::HttpProtocolError",
        ),
    ];
    for (what, method, url, (name, value), expected) in rows {
        let script = move |setup: &Setup<'_>| {
            let sent = Arc::new(AtomicUsize::new(0));
            let headers = match name.is_empty() {
                true => Vec::new(),
                false => vec![(name.to_owned(), value.as_bytes().to_vec())],
            };
            let params = (method, url, headers, None::<&[u8]>);
            let got = call::<Fetched>(setup, None, &sent, ("fetch", params));
            assert_eq!(sent.load(Ordering::SeqCst), 0);
            Verdict::of_answer(got.map(|got| got.expect_err("it is refused")))
        };
        cases.push(case(format!("P15/{what}"), returns(expected), script));
    }
}

/// P16: a row says of what there is no end.
fn without_end(cases: &mut Vec<Case>) {
    let rows = [
        ("many headers", "hold many fields", traps("trap-host")),
        (
            "one header after the other",
            "fill one fields",
            traps("trap-host"),
        ),
        (
            "a body",
            "write for ever",
            returns(
                "524288 Some(ErrorCode::HttpRequestBodySize(Some(528384))) Err(ErrorCode::HttpRequestBodySize(Some(528384)))",
            ),
        ),
        (
            "requests",
            "send many",
            returns("[\"ErrorCode::ConnectionLimitReached\"]"),
        ),
    ];
    for (what, attempt, verdict) in rows {
        let script = move |setup: &Setup<'_>| attempted(setup, attempt, None);
        cases.push(case(format!("P16/{what} without end"), verdict, script));
    }
    let script = |setup: &Setup<'_>| {
        let mut response = HttpResponse::new(200);
        response.body = vec![0; 600_000];
        let sent = Arc::default();
        let params = (
            "GET",
            "http://a/",
            Vec::<(String, Vec<u8>)>::new(),
            None::<&[u8]>,
        );
        let got = call::<Fetched>(setup, Some(response), &sent, ("fetch", params));
        let code = got.map(|got| got.expect_err("it is too large"));
        let name = |code: String| code.split('(').next().unwrap_or_default().to_owned();
        Verdict::of_answer(code.map(name))
    };
    let verdict = returns("ErrorCode::HttpResponseBodySize");
    cases.push(case(
        "P16/a response of 600,000 bytes".into(),
        verdict,
        script,
    ));
}

/// P17: a row says what is done in which order.
fn orders(cases: &mut Vec<Case>) {
    for name in [
        "finish a body before its stream",
        "drop a body before its stream",
        "drop a response before its pollable",
        "finish reading before the stream",
        "drop a body that is read before its stream",
        "await what is not sent",
    ] {
        let response = HttpResponse::new(200);
        let script = move |setup: &Setup<'_>| attempted(setup, name, Some(response.clone()));
        cases.push(case(format!("P17/{name}"), traps("trap-host"), script));
    }
    let script = |setup: &Setup<'_>| {
        let params = (
            "GET",
            "http://a/",
            Vec::<(String, Vec<u8>)>::new(),
            None::<&[u8]>,
        );
        let got = call::<Fetched>(setup, None, &Arc::default(), ("fetch", params));
        Verdict::of_answer(got.map(|_| "a response"))
    };
    cases.push(case(
        "P17/await what never comes".into(),
        exceeds("deadline"),
        script,
    ));
}

/// Has the guest attempt something, and judges how that ended.
fn attempted(setup: &Setup<'_>, name: &str, response: Option<HttpResponse>) -> Verdict {
    let params = (name, "http://a/");
    let done = call::<String>(setup, response, &Arc::default(), ("attempt", params));
    Verdict::of_answer(done)
}
