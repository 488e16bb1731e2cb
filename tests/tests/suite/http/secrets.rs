//! Headers of the embedder's: where they go, and that no guest sees their secrets.

use super::server::{Server, allowed, code, get, ok, send, text, write};
use hostel::{HttpAccess, HttpError, HttpRequest};
use std::sync::{Mutex, Once};

const SECRET: &str = "s3cr3t-0123456789";

/// Returns a client for these servers, with a header for the first.
fn client(servers: &[&Server]) -> HttpAccess {
    let entries: Vec<_> = servers
        .iter()
        .map(|server| server.address.to_string())
        .collect();
    let entries: Vec<_> = entries.iter().map(|entry| &**entry).collect();
    HttpAccess::new(allowed(&entries))
        .secret("TOKEN", SECRET)
        .unwrap()
        .header(
            &format!("http://{}", servers[0].address),
            "Authorization",
            "Bearer ${TOKEN}",
        )
        .unwrap()
}

/// A server that tells whether it got the secret, without repeating it.
fn judge() -> Server {
    Server::start(|request, connection| {
        let right = request.contains(&format!("Bearer {SECRET}"));
        let told = request.replace(SECRET, "");
        write(connection, ok(&format!("{right} {told}")).as_bytes());
    })
}

#[test]
fn the_header_is_added_for_its_origin_in_place_of_the_guests() {
    let (server, other) = (judge(), judge());
    let client = client(&[&server, &other]);
    let mut request = HttpRequest::new("GET", &server.url("/"));
    request.headers = vec![
        ("authorization".into(), b"guest's".to_vec()),
        ("X-Name".into(), b"${TOKEN}".to_vec()),
    ];
    request.body = b"${TOKEN}".to_vec();
    let told = text(send(&client, request.clone()));
    assert!(told.starts_with("true"), "{told}");
    assert!(!told.contains("guest's"), "{told}");
    // What the guest writes is not replaced.
    assert!(
        told.contains(": ${TOKEN}") && told.ends_with("${TOKEN}"),
        "{told}"
    );
    request.url = other.url("/");
    let told = text(send(&client, request));
    assert!(
        told.starts_with("false") && told.contains("guest's"),
        "{told}"
    );
}

#[test]
fn a_redirect_to_another_origin_loses_the_header_for_good() {
    let last = judge();
    let back = Server::redirecting(302, last.url("/last"));
    let first = Server::redirecting(302, back.url("/"));
    // From the first, whose header it is, to the second, and to the last.
    let away = client(&[&first, &back, &last]);
    assert!(text(get(&away, &first.url("/"))).starts_with("false"));
    assert!(first.seen()[0].contains(SECRET));
    assert!(!back.seen()[0].contains(SECRET));
    // From another origin to that of the header.
    let to = client(&[&last, &back]);
    assert!(text(get(&to, &back.url("/"))).starts_with("false"));
    assert!(text(get(&to, &last.url("/"))).starts_with("true"));
    // Within one origin it stays.
    let same = Server::redirecting(302, "/next");
    let error = get(&client(&[&same]), &same.url("/")).unwrap_err();
    assert_eq!(error.code(), "http-secret", "{error}");
    assert!(same.seen().iter().all(|request| request.contains(SECRET)));
}

#[test]
fn a_response_that_repeats_the_secret_is_withheld() {
    let body = ok(&format!("you sent {SECRET}"));
    let in_header = format!("HTTP/1.1 200 OK\r\nX-You: {SECRET}\r\nContent-Length: 0\r\n\r\n");
    let in_redirect = format!("HTTP/1.1 302 Found\r\nLocation: /?{SECRET}\r\n\r\n");
    let in_name = format!("HTTP/1.1 200 OK\r\n{SECRET}: x\r\nContent-Length: 0\r\n\r\n");
    for answer in [body, in_header, in_redirect, in_name] {
        let server = Server::saying(answer.clone());
        let error = get(&client(&[&server]), &server.url("/")).unwrap_err();
        let name = "TOKEN".to_owned();
        assert_eq!(error, HttpError::Secret { name }, "{answer}");
        // A request without the secret may get this.
        let plain = get(&server.client().redirects(0), &server.url("/"));
        assert!(["ok", "http-failed"].contains(&code(&plain)), "{plain:?}");
    }
}

/// The guest's headers that ask for a form in which the secret is not found.
const OF_FORM: [(&str, &str); 10] = [
    ("Accept-Encoding", "gzip"),
    ("aCCEPT-eNCODING", "br, identity;q=0"),
    ("Range", "bytes=0-9"),
    ("Request-Range", "bytes=0-9"),
    ("If-Range", "\"etag\""),
    ("Accept-Charset", "utf-16"),
    ("A-IM", "vcdiff"),
    ("Want-Digest", "sha-256"),
    ("Want-Repr-Digest", "sha-256=1"),
    ("Want-Content-Digest", "sha-256=1"),
];

#[test]
fn a_guest_does_not_choose_the_form_of_a_response_to_a_secret() {
    let (server, other) = (judge(), judge());
    let client = client(&[&server, &other]);
    for (name, value) in OF_FORM {
        let told = |server: &Server| {
            let mut request = HttpRequest::new("GET", &server.url("/"));
            request.headers = vec![(name.into(), value.into())];
            text(send(&client, request)).to_ascii_lowercase()
        };
        let name = name.to_ascii_lowercase();
        let line = |value: &str| format!("\r\n{name}: {value}\r\n");
        let with_secret = told(&server);
        assert!(!with_secret.contains(&line(value)), "{with_secret}");
        let encoding = "\r\naccept-encoding: identity\r\n";
        assert!(with_secret.contains(encoding), "{with_secret}");
        // Without a secret, the guest may have it.
        let without = told(&other);
        assert!(without.contains(&line(value)), "{without}");
    }
}

#[test]
fn a_response_in_which_the_secret_would_not_be_found_is_withheld() {
    let length = "Content-Length: 2\r\n\r\nzz";
    for (answer, found) in [
        (
            format!("206 Partial\r\nContent-Range: bytes 0-1/9\r\n{length}"),
            "206",
        ),
        (format!("226 IM Used\r\nIM: vcdiff\r\n{length}"), "226"),
        (
            format!("200 OK\r\nContent-Encoding: gzip\r\n{length}"),
            "Content-Encoding",
        ),
        (
            format!("404 No\r\ncontent-encoding: identity, BR\r\n{length}"),
            "Content-Encoding",
        ),
        (
            format!("200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: x\r\n{length}"),
            "Content-Encoding",
        ),
        (
            "200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nzz\r\n0\r\n\r\n".into(),
            "Transfer-Encoding",
        ),
        // A guest may ask for it by `Accept`.
        (
            format!("200 OK\r\nContent-Type: text/plain; Charset=\"UTF-16\"\r\n{length}"),
            "charset",
        ),
        (
            format!("200 OK\r\nContent-Type: text/plain;charset=ibm037\r\n{length}"),
            "charset",
        ),
    ] {
        let server = Server::saying(format!("HTTP/1.1 {answer}"));
        let error = get(&client(&[&server]), &server.url("/")).unwrap_err();
        assert_eq!(error.code(), "http-withheld", "{answer}: {error}");
        assert!(error.to_string().contains(found), "{error}");
        let plain = get(&server.client(), &server.url("/"));
        assert_eq!(code(&plain), "ok", "{answer}: {plain:?}");
    }
    for answer in [
        format!("200 OK\r\nContent-Encoding: Identity\r\n{length}"),
        format!("200 OK\r\nContent-Type: text/html; charset=UTF-8\r\n{length}"),
        format!("200 OK\r\nContent-Encoding:\r\n{length}"),
        "200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nzz\r\n0\r\n\r\n".into(),
    ] {
        let server = Server::saying(format!("HTTP/1.1 {answer}"));
        assert_eq!(text(get(&client(&[&server]), &server.url("/"))), "zz");
    }
}

#[test]
fn no_error_and_no_description_contains_the_secret() {
    for answer in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n"),
        format!("{SECRET} 200 OK\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n"),
        format!("HTTP/1.1 302 Found\r\nLocation: http://{SECRET}@a/\r\n\r\n"),
    ] {
        let server = Server::saying(answer.clone());
        let client = client(&[&server]);
        let error = get(&client, &server.url("/")).unwrap_err();
        let shown = format!("{error} {error:?} {client:?}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

/// Keeps what the HTTP client logs.
struct Kept(Mutex<String>);

impl log::Log for Kept {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}

static KEPT: Kept = Kept(Mutex::new(String::new()));

#[test]
fn the_secret_is_in_no_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&KEPT).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    let server = judge();
    let told = text(get(&client(&[&server]), &server.url("/logged")));
    assert!(told.starts_with("true"), "{told}");
    let kept = KEPT.0.lock().unwrap();
    assert!(kept.contains("/logged"), "the client logs: {kept}");
    assert!(!kept.contains(SECRET), "{kept}");
}

#[test]
fn faults_of_the_configuration_are_told() {
    let http = || HttpAccess::new(allowed(&["a.example"]));
    let short = http().secret("TOKEN", "1234567").unwrap_err();
    assert!(short.to_string().contains("7 bytes"), "{short}");
    for (origin, name, value, expected) in [
        ("*.example", "X", "v", "one host"),
        ("a.example", "X", "${NONE}", "`NONE`"),
        ("a.example", "X Y", "v", "name"),
        ("a.example", "X", "v\r\nY: z", "characters"),
        ("a.example", "User-Agent", "${TOKEN}", "no place"),
        ("b.example", "X", "v", "`https://b.example` is not among"),
    ] {
        let with = http().secret("TOKEN", SECRET).unwrap();
        let error = with.header(origin, name, value).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
