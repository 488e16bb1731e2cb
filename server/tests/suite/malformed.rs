//! Requests that are malformed, truncated, slow, or meant to confuse: each row has the bytes and what comes back.
//!
//! An answer is written `STATUS`, `STATUS CODE` if it is a problem of the server, or `200 BODY`. Those of one connection are
//! separated by `|`. What hyper refuses has an empty body, and ends the connection.

use super::{
    client::Answer,
    components::kit,
    serving::{GivenToken, Serving, echo, says, token},
};
use std::{
    panic,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Panics of the server's threads, which it survives.
static PANICS: AtomicUsize = AtomicUsize::new(0);
static COUNT_PANICS: Once = Once::new();

/// What is tried, the bytes, and the answers.
type Row = (&'static str, Vec<u8>, &'static str);

fn serving() -> (Serving, GivenToken) {
    let admin = token("root", "role = \"admin\"");
    let config = format!(
        "[server]\nhead_timeout = \"1s\"\nbody_timeout = \"1s\"\nanonymous = true\n{}\
        [plugin.small]\nbudget = {{ input_bytes = 10 }}\nlimits = {{ module_bytes = 1000 }}\n\
        [plugin.echo]\ndeadline = \"1h\"\nbudget = {{ fuel = \"1000T\" }}\n",
        admin.section
    );
    let plugins: &[(&str, &[u8])] = &[("echo", &echo()), ("small", &echo()), ("kit", &kit())];
    (Serving::with(&config, plugins), admin)
}

/// A request of these lines, without a body.
fn head(line: &str, headers: &str) -> Vec<u8> {
    let headers = headers.replace('\n', "\r\n");
    format!("{line}\r\nhost: localhost\r\n{headers}\r\n\r\n").into_bytes()
}

/// A request for a path, after which the connection ends.
fn get(path: &str) -> Vec<u8> {
    head(&format!("GET {path} HTTP/1.1"), "connection: close")
}

/// A call of the plugin that returns its input, with these headers and bytes after them.
fn echoes(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = head("POST /v1/plugins/echo HTTP/1.1", headers);
    bytes.extend_from_slice(body.as_ref());
    bytes
}

/// A call whose body has this length.
fn post(path: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    sends("POST", path, headers, body)
}

fn sends(method: &str, path: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let headers = format!(
        "connection: close\ncontent-length: {}\n{headers}",
        body.len()
    );
    let mut bytes = head(&format!("{method} {path} HTTP/1.1"), headers.trim_end());
    bytes.extend_from_slice(body);
    bytes
}

fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    echoes("transfer-encoding: chunked\nconnection: close", body)
}

/// Sends each row on a connection of its own, and one good request after it.
#[track_caller]
fn check(serving: &Serving, rows: &[Row]) {
    COUNT_PANICS.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let thread = thread::current();
            let name = thread.name().unwrap_or_default();
            if name.starts_with("tokio") || name.starts_with("hostel") {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
    let at = AtomicUsize::new(0);
    let wrong = thread::scope(|scope| {
        let each = || {
            let mut wrong = Vec::new();
            while let Some((what, bytes, expected)) = rows.get(at.fetch_add(1, Ordering::SeqCst)) {
                let found = answers(serving, bytes);
                if found != *expected {
                    wrong.push(format!("{what}: expected `{expected}`, found `{found}`"));
                }
                serving.post("echo", b"x").says("x");
            }
            wrong
        };
        // Some rows wait for a time-out.
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(each)).collect();
        let ended = threads.into_iter().flat_map(|it| it.join().unwrap());
        ended.collect::<Vec<_>>()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "the server panicked");
}

/// Returns all answers, until the server closes the connection.
fn answers(serving: &Serving, bytes: &[u8]) -> String {
    let mut client = serving.client();
    client.send(bytes);
    let all = std::iter::from_fn(|| client.answer());
    all.map(|answer| shown(&answer))
        .collect::<Vec<_>>()
        .join(" | ")
}

fn shown(answer: &Answer) -> String {
    let status = answer.status;
    let kind = answer.headers.get("content-type").map(String::as_str);
    let code = match kind {
        Some("application/problem+json") => {
            let problem = answer.json();
            assert_eq!(problem["status"], status);
            problem["code"].as_str().expect("a code").to_owned()
        }
        _ => answer.text().trim().to_owned(),
    };
    format!("{status} {code}").trim_end().to_owned()
}

#[test]
fn request_lines() {
    let (serving, _) = serving();
    let long = format!("/{}", "a".repeat(100_000));
    let near = format!("/{}", "a".repeat(30_000));
    let query = format!("/healthz?{}", "a".repeat(10_000));
    let raw = |text: &str| text.as_bytes().to_vec();
    #[rustfmt::skip] // a table
    let rows = [
        ("nothing but line breaks", raw("\r\n\r\n"), ""),
        ("line breaks before a request", [raw("\r\n\r\n"), get("/healthz")].concat(), "200 ok"),
        ("NULs", raw("\0\0\0\0"), "400"),
        ("a record of TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(), "400"),
        ("a greeting of SSH", raw("SSH-2.0-OpenSSH_9.9\r\n"), "400"),
        ("the preface of HTTP/2", raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ""),
        ("a method alone", raw("GET\r\n\r\n"), "400"),
        ("HTTP/0.9", raw("GET /healthz\r\n\r\n"), "400"),
        ("HTTP/1.0", raw("GET /healthz HTTP/1.0\r\n\r\n"), "200 ok"),
        ("HTTP/1.2", head("GET /healthz HTTP/1.2", "a: b"), "400"),
        ("HTTP/2.0", head("GET /healthz HTTP/2.0", "a: b"), "400"),
        ("HTTP/9.9", head("GET /healthz HTTP/9.9", "a: b"), "400"),
        ("a version in small letters", head("GET /healthz http/1.1", "a: b"), "400"),
        ("a version without a number", head("GET /healthz HTTP/", "a: b"), "400"),
        ("two spaces", head("GET  /healthz HTTP/1.1", "a: b"), "400"),
        ("tabs", head("GET\t/healthz\tHTTP/1.1", "a: b"), "400"),
        ("a space in the path", head("GET /health z HTTP/1.1", "a: b"), "400"),
        ("a space at the end", head("GET /healthz HTTP/1.1 ", "a: b"), "400"),
        ("a space at the start", head(" GET /healthz HTTP/1.1", "a: b"), "400"),
        ("a control byte in the method", head("GE\x01T /healthz HTTP/1.1", "a: b"), "400"),
        ("a NUL in the path", head("GET /health\0z HTTP/1.1", "a: b"), "400"),
        ("a carriage return in the path", head("GET /health\rz HTTP/1.1", "a: b"), "400"),
        ("letters beyond ASCII in the path", get("/v1/plugins/é"), "404 unknown-plugin"),
        ("no method", head("/healthz HTTP/1.1", "a: b"), "400"),
        ("an unknown method", head("BREW /healthz HTTP/1.1", "connection: close"), "405 method-not-allowed"),
        ("a method in small letters", head("get /healthz HTTP/1.1", "connection: close"), "405 method-not-allowed"),
        ("a wrong method", head("TRACE /healthz HTTP/1.1", "connection: close"), "405 method-not-allowed"),
        ("a wrong method of a plugin", head("PATCH /v1/plugins/echo HTTP/1.1", "connection: close"), "405 method-not-allowed"),
        ("a call by GET", get("/v1/plugins/echo/process"), "405 method-not-allowed"),
        ("a relative path", head("GET healthz HTTP/1.1", "connection: close"), "404 unknown-route"),
        ("an empty path", head("GET  HTTP/1.1", "connection: close"), "400"),
        ("the absolute form", head("GET http://localhost/healthz HTTP/1.1", "connection: close"), "200 ok"),
        ("the absolute form of another scheme", head("GET file:///etc/passwd HTTP/1.1", "connection: close"), "400"),
        ("the absolute form, broken", head("GET http://[::1 HTTP/1.1", "a: b"), "400"),
        ("the asterisk form", head("OPTIONS * HTTP/1.1", "connection: close"), "404 unknown-route"),
        ("the asterisk form with another method", head("GET * HTTP/1.1", "connection: close"), "404 unknown-route"),
        ("the authority form", head("CONNECT localhost:80 HTTP/1.1", "connection: close"), "404 unknown-route"),
        ("a path of 100 kB", head(&format!("GET {long} HTTP/1.1"), "a: b"), "431"),
        ("a path of 30 kB", get(&near), "404 unknown-route"),
        ("a query of 10 kB", get(&query), "200 ok"),
    ];
    check(&serving, &rows);
}

#[test]
fn paths_and_names() {
    let (serving, _) = serving();
    let name = |name: &str| get(&format!("/v1/plugins/{name}"));
    let long = "a".repeat(10_000);
    #[rustfmt::skip] // a table
    let rows = [
        ("a percent sign alone", name("%"), "404 unknown-plugin"),
        ("half an escape", name("%2"), "404 unknown-plugin"),
        ("an escape of no digits", name("%zz"), "404 unknown-plugin"),
        ("an escape within an escape", name("%2565cho"), "404 unknown-plugin"),
        ("an escaped letter", name("%65cho/process"), "405 method-not-allowed"),
        ("a byte that is not UTF-8", name("%ff"), "400 bad-path"),
        ("a long form of a slash", name("%c0%af"), "400 bad-path"),
        ("half a surrogate pair", name("%ed%a0%80"), "400 bad-path"),
        ("an escaped NUL", name("echo%00"), "404 unknown-plugin"),
        ("an escaped line break", name("echo%0d%0aset-cookie:%20a"), "404 unknown-plugin"),
        ("an escaped slash", name("..%2fecho"), "404 unknown-plugin"),
        ("an escaped backslash", name("..%5cecho"), "404 unknown-plugin"),
        ("dots", name(".."), "404 unknown-plugin"),
        ("escaped dots", name("%2e%2e"), "404 unknown-plugin"),
        ("dots that lead back", get("/v1/plugins/../plugins/echo"), "404 unknown-route"),
        ("dots before the root", get("/../../etc/passwd"), "404 unknown-route"),
        ("two slashes", get("//v1//plugins"), "404 unknown-route"),
        ("a slash at the end", get("/v1/plugins/echo/"), "404 unknown-route"),
        ("a matrix parameter", name("echo;v=1"), "404 unknown-plugin"),
        ("a name of 10 kB", name(&long), "404 unknown-plugin"),
        ("a function of 10 kB", post(&format!("/v1/plugins/echo/{long}"), "", ""), "404 unknown-export"),
        ("a function with a NUL", post("/v1/plugins/echo/a%00b", "", ""), "404 unknown-export"),
        ("a function that is not UTF-8", post("/v1/plugins/echo/%ff", "", ""), "400 bad-path"),
        ("a query that is no query", get("/healthz?%zz&=&&%ff#x"), "200 ok"),
    ];
    check(&serving, &rows);
}

#[test]
fn headers() {
    let (serving, _) = serving();
    let with = |headers: &str| {
        head(
            "GET /healthz HTTP/1.1",
            &format!("connection: close\n{headers}"),
        )
    };
    let raw = |text: &str| text.as_bytes().to_vec();
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1_000));
    let large = format!("a: {}", "b".repeat(100_000));
    let name = format!("{}: b", "a".repeat(100_000));
    let many_large = (0..60)
        .map(|_| format!("a: {}\n", "b".repeat(1_000)))
        .collect::<String>();
    let no_host = |rest: &str| {
        raw(&format!(
            "POST /v1/plugins/echo HTTP/1.1\r\n{rest}content-length: 1\r\nconnection: close\r\n\r\nx"
        ))
    };
    #[rustfmt::skip] // a table
    let rows = [
        ("a line without a colon", with("no colon"), "400"),
        ("an empty name", with(": a"), "400"),
        ("a space before the colon", with("a : b"), "400"),
        ("a space in a name", with("a b: c"), "400"),
        ("a control byte in a name", with("a\x01: b"), "400"),
        ("letters beyond ASCII in a name", with("é: b"), "400"),
        ("letters beyond ASCII in a value", with("a: é"), "200 ok"),
        ("a NUL in a value", with("a: \0"), "400"),
        ("a control byte in a value", with("a: \x01"), "400"),
        ("a carriage return in a value", with("a: b\rc"), "400"),
        ("a folded line", with("a: b\n c"), "400"),
        ("line feeds alone", raw("GET /healthz HTTP/1.1\nhost: localhost\nconnection: close\n\n"), "200 ok"),
        ("1,000 headers", raw(&many), "431"),
        ("a value of 100 kB", with(&large), "431"),
        ("a name of 100 kB", with(&name), "431"),
        ("60 values of 1 kB", with(many_large.trim_end()), "431"),
        ("no host", no_host(""), "400 bad-header"),
        ("two hosts", no_host("host: localhost\r\nhost: evil.example\r\n"), "400 bad-header"),
        ("a host that is none", no_host("host: a b\r\n"), "400 bad-header"),
        ("a host with a user", no_host("host: evil@localhost\r\n"), "400 bad-header"),
        ("a host with a path", no_host("host: localhost/evil\r\n"), "400 bad-header"),
        ("an upgrade to a websocket", with("connection: upgrade\nupgrade: websocket\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\nsec-websocket-version: 13"), "200 ok"),
        ("an upgrade to HTTP/2", with("connection: upgrade, http2-settings\nupgrade: h2c\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA"), "200 ok"),
        ("a range", with("range: bytes=5-1,-,a"), "200 ok"),
        ("types that are none", post("/v1/plugins/echo", "accept: ;;;,,,", "x"), "406 not-acceptable"),
        ("a type that is not text", post("/v1/plugins/echo", "accept: \u{80}", "x"), "406 not-acceptable"),
        ("a trace that is none", post("/v1/plugins/echo", "traceparent: 00-zz-zz-zz\ntraceparent: \u{ff}", "x"), "200 x"),
        ("an identifier of a log line that is none", head("GET /v1/logs HTTP/1.0", "last-event-id: -1\nauthorization: Bearer x"), "401 unauthorized"),
        ("two tokens", post("/v1/plugins/echo", "authorization: Bearer a\nauthorization: Bearer b", "x"), "400 bad-header"),
        ("a token that is not text", post("/v1/plugins/echo", "authorization: Bearer \u{ff}", "x"), "401 unauthorized"),
        ("another scheme of tokens", post("/v1/plugins/echo", "authorization: Negotiate a", "x"), "401 unauthorized"),
        ("an expectation that is unknown", post("/v1/plugins/echo", "expect: 200-ok", "x"), "200 x"),
        ("an expectation, and a body that is too large", echoes("expect: 100-continue\ncontent-length: 999999999\nconnection: close", ""), "413 body-too-large"),
        ("an expectation, and a body", echoes("expect: 100-continue\ncontent-length: 1\nconnection: close", "x"), "100 | 200 x"),
    ];
    check(&serving, &rows);
}

/// A request that a proxy and the server take for different ones: after it, no hidden request may be answered.
#[test]
fn lengths_and_chunks() {
    let (serving, _) = serving();
    let hidden = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let length =
        |length: &str| echoes(&format!("content-length: {length}\nconnection: close"), "x");
    let both = |headers: &str, body: &str| echoes(headers, format!("{body}{hidden}"));
    let coding = |coding: &str| {
        echoes(
            &format!("transfer-encoding: {coding}"),
            format!("0\r\n\r\n{hidden}"),
        )
    };
    let extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(100_000));
    let trailer = format!("1\r\nx\r\n0\r\na: {}\r\n\r\n", "b".repeat(100_000));
    let trailers = format!("1\r\nx\r\n0\r\n{}\r\n", "a: b\r\n".repeat(1_000));
    #[rustfmt::skip] // a table
    let rows = [
        ("a negative length", length("-1"), "400"),
        ("a length with a sign", length("+1"), "400"),
        ("a length in hexadecimal", length("0x1"), "400"),
        ("a length with a point", length("1.0"), "400"),
        ("a length of no digits", length("one"), "400"),
        ("an empty length", length(""), "400"),
        ("a length with spaces between", length("1 1"), "400"),
        ("a length above 64 bits", length("99999999999999999999"), "400"),
        ("the largest length", length("18446744073709551615"), "431"),
        ("a length that is too large", length("9999999999"), "413 body-too-large"),
        ("a list of lengths", length("1, 1"), "400"),
        ("two lengths", both("content-length: 1\ncontent-length: 68", "x"), "400"),
        ("one length twice", echoes("content-length: 1\ncontent-length: 1\nconnection: close", "x"), "200 x"),
        ("a length before chunks", both("content-length: 3\ntransfer-encoding: chunked", "0\r\n\r\n"), "200"),
        ("a length after chunks", both("transfer-encoding: chunked\ncontent-length: 3", "0\r\n\r\n"), "200"),
        ("a wrong length after chunks", both("transfer-encoding: chunked\ncontent-length: -3", "0\r\n\r\n"), "200"),
        ("another coding", coding("gzip"), "400"),
        ("chunks, then another coding", coding("chunked, gzip"), "400"),
        ("another coding, then chunks", coding("gzip, chunked"), "400 bad-header"),
        ("chunks twice", coding("chunked, chunked"), "400 bad-header"),
        ("chunks on two lines", coding("chunked\ntransfer-encoding: identity"), "400"),
        ("a coding like chunks", coding("xchunked"), "400"),
        ("a coding in quotation marks", coding("\"chunked\""), "400"),
        ("a vertical tab before chunks", coding("\x0bchunked"), "400"),
        ("chunks in capital letters", echoes("transfer-encoding: CHUNKED\nconnection: close", "0\r\n\r\n"), "200"),
        ("chunks in HTTP/1.0", head("POST /v1/plugins/echo HTTP/1.0", "transfer-encoding: chunked"), "400"),
        ("chunks without a size", chunked("\r\nx\r\n"), "400 bad-body"),
        ("chunks of no digits", chunked("zz\r\nab\r\n"), "400 bad-body"),
        ("a negative chunk", chunked("-1\r\nx\r\n"), "400 bad-body"),
        ("a chunk of 0x1", chunked("0x1\r\nx\r\n0\r\n\r\n"), "400 bad-body"),
        ("a chunk above 64 bits", chunked("fffffffffffffffff\r\nx\r\n"), "400 bad-body"),
        ("a chunk that is too large", post("/v1/plugins/small", "", "12345678901"), "413 body-too-large"),
        ("chunks that are too large", chunked("ffffffff\r\n"), "408 body-timeout"),
        ("a chunk that is longer than its size", chunked("1\r\nxyz\r\n0\r\n\r\n"), "400 bad-body"),
        ("a chunk with a line feed alone", chunked("1\nx\n0\n\n"), "400 bad-body"),
        ("an extension of a chunk", chunked("1;a=b\r\nx\r\n0\r\n\r\n"), "200 x"),
        ("an extension of 100 kB", chunked(extension), "400 bad-body"),
        ("a trailer", chunked("1\r\nx\r\n0\r\nhost: evil.example\r\n\r\n"), "200 x"),
        ("a trailer of 100 kB", chunked(trailer), "400 bad-body"),
        ("1,000 trailers", chunked(trailers), "400 bad-body"),
        ("no last chunk", chunked("1\r\nx\r\n"), "408 body-timeout"),
        ("a body that is cut", length("5"), "408 body-timeout"),
        ("a body that nobody announced", both("connection: keep-alive", ""), "200 | 200 ok"),
    ];
    check(&serving, &rows);
}

#[test]
fn bodies_of_typed_functions() {
    let (serving, _) = serving();
    let json = "content-type: application/json";
    let twice = |body: &[u8]| post("/v1/plugins/echo/twice", json, body);
    let add = |body: &[u8]| post("/v1/plugins/kit/add", json, body);
    let typed = |kind: &str| post("/v1/plugins/echo/twice", kind, "[1]");
    let deep = "[".repeat(100_000);
    let large = format!("[{}]", "9".repeat(10_000));
    let larger = format!("[\"{}\"]", "9".repeat(20_000));
    #[rustfmt::skip] // a table
    let rows = [
        ("no type", typed(""), "415 bad-media-type"),
        ("another type", typed("content-type: text/plain"), "415 bad-media-type"),
        ("a type that is none", typed("content-type: \u{ff};;"), "415 bad-media-type"),
        ("a type with a parameter", typed("content-type: application/json; charset=utf-8"), "200 [2]"),
        ("two types", typed("content-type: application/json\ncontent-type: text/plain"), "400 bad-header"),
        ("nothing", twice(b""), "400 bad-json"),
        ("a bracket", twice(b"["), "400 bad-json"),
        ("a mark of the byte order", twice(b"\xef\xbb\xbf[1]"), "400 bad-json"),
        ("UTF-16", twice(b"\xff\xfe[\x001\x00]\x00"), "400 bad-json"),
        ("a NUL", twice(b"[1]\0"), "400 bad-json"),
        ("two values", twice(b"[1] [2]"), "400 bad-json"),
        ("a comment", twice(b"[1 /* one */]"), "400 bad-json"),
        ("a comma too many", twice(b"[1,]"), "400 bad-json"),
        ("one quotation mark", twice(b"['1']"), "400 bad-json"),
        ("a number with a zero before", twice(b"[01]"), "400 bad-json"),
        ("a number with a sign", twice(b"[+1]"), "400 bad-json"),
        ("a number in hexadecimal", twice(b"[0x1]"), "400 bad-json"),
        ("not a number", twice(b"[NaN]"), "400 bad-json"),
        ("a number above 64 bits", twice(b"[18446744073709551616]"), "400 bad-json"),
        ("an unsigned number", twice(b"[9223372036854775809]"), "200 [2]"),
        ("a number of 10,000 digits", twice(large.as_bytes()), "400 bad-json"),
        ("a body of 20 kB for one number", twice(larger.as_bytes()), "413 body-too-large"),
        ("an exponent of 999", twice(b"[1e999]"), "400 bad-json"),
        ("100,000 brackets", add(deep.as_bytes()), "400 bad-json"),
        ("text that is not UTF-8", post("/v1/plugins/kit/echo", json, b"[[{\"name\": \"\xff\"}]]"), "400 bad-json"),
        ("half a surrogate pair", post("/v1/plugins/kit/echo", json, "[[{\"name\": \"\\ud800\"}]]"), "400 bad-json"),
        ("a line break in a text", post("/v1/plugins/kit/echo", json, "[[{\"name\": \"a\nb\"}]]"), "400 bad-json"),
        ("a name twice", add(b"{\"a\": 1, \"a\": 1, \"b\": 2}"), "400 bad-json"),
        ("a name that is missing", add(b"{\"a\": 1}"), "400 bad-json"),
        ("a name that is unknown", add(b"{\"a\": 1, \"b\": 2, \"__proto__\": 3}"), "400 bad-json"),
        ("an argument of another type", add(b"[true, {}]"), "400 bad-json"),
        ("what is right", add(b"{\"a\": 1, \"b\": 2}"), "200 3"),
        ("bytes to a function of bytes", post("/v1/plugins/kit", "content-type: \u{ff}", "x"), "200 x"),
        ("a function with a resource", post("/v1/plugins/kit/take", json, "[1]"), "400 resource-type"),
        ("a name that two functions have", post("/v1/plugins/kit/sum", json, "[1]"), "400 ambiguous-export"),
    ];
    check(&serving, &rows);
}

#[test]
fn uploads() {
    let (serving, admin) = serving();
    let auth = format!("authorization: {}", admin.header);
    let put = |name: &str, body: &[u8]| sends("PUT", &format!("/v1/plugins/{name}"), &auth, body);
    let mut cut = says("cut");
    cut.pop();
    let good = says("good");
    let rollback = |query: &str| post(&format!("/v1/versions/echo/rollback{query}"), &auth, "");
    #[rustfmt::skip] // a table
    let rows = [
        ("nothing", put("new", b""), "422 empty-module"),
        ("text", put("new", b"hello"), "422 not-wasm"),
        ("a page", put("new", b"<!doctype html>"), "422 not-wasm"),
        ("a program", put("new", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"), "422 not-wasm"),
        ("an archive", put("new", b"PK\x03\x04"), "422 not-wasm"),
        ("a module as text", put("new", b"(module)"), "422 not-wasm"),
        ("the start of a module", put("new", b"\0asm"), "422 truncated-module"),
        ("another version of modules", put("new", b"\0asm\x02\0\0\0"), "422 invalid-module"),
        ("a module that is cut", put("new", &cut), "422 truncated-module"),
        ("a module with more behind it", put("new", &[&*good, b"more"].concat()), "422 truncated-module"),
        ("a module without functions", put("new", b"\0asm\x01\0\0\0"), "422 mismatch"),
        ("a module that is too large", put("small", &[0; 1_001]), "413 body-too-large"),
        ("a name with a slash", put("..%2fnew", &good), "400 bad-name"),
        ("a name that is not UTF-8", put("%ff", &good), "400 bad-path"),
        ("a name with a NUL", put("new%00", &good), "400 bad-name"),
        ("a name of 65 letters", put(&"a".repeat(65), &good), "400 bad-name"),
        ("no name", put("", &good), "404 unknown-route"),
        ("a call's path", put("new/process", &good), "405 method-not-allowed"),
        ("a rollback to no version", rollback("?to=%00"), "400 bad-query"),
        ("a rollback with another key", rollback("?from=1"), "400 bad-query"),
        ("a rollback of a version that is not kept", rollback(&format!("?to={}", "0".repeat(64))), "404 unknown-version"),
        ("no token", sends("PUT", "/v1/plugins/new", "", &good), "401 unauthorized"),
    ];
    check(&serving, &rows);
    // Nothing of them is left.
    let listed = serving.get("/v1/plugins").json();
    assert_eq!(listed["plugins"].as_array().unwrap().len(), 3);
    serving.get("/v1/plugins/new").is(404, "unknown-plugin");
}

#[test]
fn requests_that_follow_each_other() {
    let (serving, _) = serving();
    let ok = || head("GET /healthz HTTP/1.1", "a: b");
    let call = |body: &str| echoes(&format!("content-length: {}", body.len()), body);
    let hundred = (0..100).flat_map(|at| call(&at.to_string())).collect();
    let each: Vec<_> = (0..100).map(|at| format!("200 {at}")).collect();
    let each: &'static str = each.join(" | ").leak();
    #[rustfmt::skip] // a table
    let rows = [
        ("100 calls at once", hundred, each),
        ("an error between", [ok(), head("GET /no HTTP/1.1", "a: b"), ok()].concat(), "200 ok | 404 unknown-route | 200 ok"),
        ("a wrong request between", [ok(), b"\0\r\n\r\n".to_vec(), ok()].concat(), "200 ok | 400"),
        ("a close between", [ok(), get("/healthz"), ok()].concat(), "200 ok | 200 ok"),
        ("a close in HTTP/1.0 between", [ok(), head("GET /healthz HTTP/1.0", "a: b"), ok()].concat(), "200 ok | 200 ok"),
        ("a body that nobody reads", [sends("GET", "/healthz", "", "x".repeat(100_000)), ok()].concat(), "200 ok"),
    ];
    check(&serving, &rows);
}

#[test]
fn clients_that_are_slow_or_go() {
    let (serving, _) = serving();
    // One byte after the other, each in time: the whole is not.
    let drip = |before: &[u8], expected: Option<&str>| {
        let mut client = serving.client();
        client.send(before);
        for _ in 0..100 {
            client.send("a");
            thread::sleep(Duration::from_millis(30));
        }
        let answer = client.answer();
        assert_eq!(answer.as_ref().map(shown).as_deref(), expected);
        assert!(answer.is_none() || client.is_closed());
        serving.post("echo", b"x").says("x");
    };
    let length = echoes("content-length: 1000", "");
    let chunk = echoes("transfer-encoding: chunked", "3e8\r\n");
    let size = echoes("transfer-encoding: chunked", "");
    thread::scope(|scope| {
        let drip = &drip;
        scope.spawn(|| drip(b"", None));
        scope.spawn(|| drip(b"GET /healthz?", None));
        scope.spawn(|| drip(b"GET /healthz HTTP/1.1\r\na: ", None));
        scope.spawn(|| drip(&length, Some("408 body-timeout")));
        scope.spawn(|| drip(&chunk, Some("408 body-timeout")));
        scope.spawn(|| drip(&size, Some("400 bad-body")));
    });
    // A client that has sent all and closes its side is one that has gone.
    let mut gone = serving.client();
    gone.send(post(
        "/v1/plugins/echo/spin",
        "content-type: application/json",
        "",
    ));
    serving.wait_in_flight("echo", 1);
    gone.close_sending();
    assert!(gone.answer().is_none());
    serving.wait_in_flight("echo", 0);
    for cut in [1, 10, 30, 60, 90] {
        let bytes = echoes("content-length: 30", "a body of ten");
        let mut client = serving.client();
        client.send(&bytes[..cut.min(bytes.len())]);
        client.close_sending();
        assert!(client.is_closed());
        serving.post("echo", b"x").says("x");
    }
}
