//! Whom a request may reach: by name, by address, and after redirects.

use super::server::{Server, allowed, code, get, ok, send, text};
use hostel::{HttpAccess, HttpRequest};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Returns a client for whom each name has these addresses, in turn.
fn client(entries: &[&str], addresses: &[&str]) -> (HttpAccess, Arc<AtomicUsize>) {
    let lookups = Arc::new(AtomicUsize::new(0));
    let count = lookups.clone();
    let addresses: Vec<Vec<IpAddr>> = addresses
        .iter()
        .map(|turn| turn.split(' ').map(|one| one.parse().unwrap()).collect())
        .collect();
    let client = HttpAccess::new(allowed(entries)).resolver(move |_| {
        let turn = count.fetch_add(1, Ordering::SeqCst);
        Ok(addresses[turn % addresses.len()].clone())
    });
    (client, lookups)
}

#[test]
fn only_hosts_that_are_allowed_are_reached() {
    let server = Server::saying(ok("reached"));
    let port = server.address.port();
    let here = server.address.to_string();
    let url = |host: &str| format!("http://{host}:{port}/");
    let (client, lookups) = client(&["a.example", "*.b.example", &here], &["127.0.0.1"]);
    for host in ["a.example", "A.EXAMPLE", "x.b.example", "127.0.0.1"] {
        assert_eq!(text(get(&client, &url(host))), "reached", "{host}");
    }
    let (reached, looked) = (server.seen().len(), lookups.load(Ordering::SeqCst));
    assert_eq!((reached, looked), (4, 3));
    for host in [
        "b.example",
        "x.a.example",
        "a.example.evil.example",
        "127.0.0.2",
        "[::1]",
    ] {
        let answer = get(&client, &url(host));
        assert_eq!(code(&answer), "http-not-allowed", "{host}");
    }
    for host in [
        "127.1",
        "0x7f000001",
        "2130706433",
        "a.example@evil",
        "evil\\@a.example",
    ] {
        let answer = get(&client, &url(host));
        assert_eq!(code(&answer), "http-invalid", "{host}");
    }
    let closed = HttpAccess::new(allowed(&[]));
    assert_eq!(code(&get(&closed, &url("127.0.0.1"))), "http-not-allowed");
    // Nothing is resolved or connected to before it is allowed.
    assert_eq!(server.seen().len(), reached);
    assert_eq!(lookups.load(Ordering::SeqCst), looked);
}

/// A name that is allowed, and whose address is not public.
#[test]
fn private_addresses_are_refused_unless_they_are_named() {
    let server = Server::saying(ok("reached"));
    let url = format!("http://a.example:{}/", server.address.port());
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "224.0.0.1",
        "0.0.0.0",
        "::",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
    ] {
        for entries in [&["*"][..], &["a.example"], &["*", "127.*", "1?7.0.0.1"]] {
            let (client, _) = client(entries, &[address]);
            let error = get(&client, &url).unwrap_err();
            assert_eq!(error.code(), "http-not-allowed", "{address}");
            assert!(error.to_string().contains(address), "{error}");
        }
    }
    assert_eq!(server.seen(), [""; 0]);
    // Named, with another port, and with this one.
    let (other, _) = client(&["a.example", "127.0.0.1:1"], &["127.0.0.1"]);
    assert_eq!(code(&get(&other, &url)), "http-not-allowed");
    let (named, _) = client(&["a.example", "127.0.0.1"], &["127.0.0.1"]);
    assert_eq!(text(get(&named, &url)), "reached");
    // Of several addresses, only those are tried that are allowed.
    let (several, _) = client(
        &["a.example", "127.0.0.1"],
        &["169.254.169.254 127.0.0.1 10.0.0.1"],
    );
    assert_eq!(text(get(&several, &url)), "reached");
}

/// DNS rebinding: a name with an allowed address when it is checked, and another one afterwards.
#[test]
fn the_address_that_was_checked_is_the_one_connected_to() {
    let server = Server::saying(ok("reached"));
    let url = format!("http://a.example:{}/", server.address.port());
    let (client, lookups) = client(
        &["a.example", "127.0.0.1"],
        &["127.0.0.1", "169.254.169.254"],
    );
    assert_eq!(text(get(&client, &url)), "reached");
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    // The next request looks the name up again, and checks again.
    assert_eq!(code(&get(&client, &url)), "http-not-allowed");
    assert_eq!(lookups.load(Ordering::SeqCst), 2);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_redirect_is_checked_as_the_request_is() {
    let secret = Server::saying(ok("secret"));
    for location in [
        secret.url("/"),
        format!("//{}/", secret.address),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://[fd00:ec2::254]/".into(),
        "http://metadata.example/".into(),
        "http://user@127.0.0.1/".into(),
        "file:///etc/passwd".into(),
        "gopher://127.0.0.1/".into(),
    ] {
        let server = Server::redirecting(302, location.clone());
        let here = server.address.to_string();
        let (client, _) = client(&[&here, "*.example"], &["169.254.169.254"]);
        let error = get(&client, &server.url("/")).unwrap_err();
        let codes = ["http-not-allowed", "http-failed"];
        assert!(codes.contains(&error.code()), "{location}: {error:?}");
    }
    assert_eq!(secret.seen(), [""; 0]);
}

/// A name that has an allowed address for the request, and another one for its redirect to itself.
#[test]
fn a_redirect_is_resolved_anew() {
    let server = Server::redirecting(302, "/next");
    let url = format!("http://a.example:{}/", server.address.port());
    let (rebound, lookups) = client(
        &["a.example", "127.0.0.1"],
        &["127.0.0.1", "169.254.169.254"],
    );
    assert_eq!(code(&get(&rebound, &url)), "http-not-allowed");
    assert_eq!(lookups.load(Ordering::SeqCst), 2);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn redirects_are_followed_as_http_says() {
    let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    for (method, status, expected, body) in [
        ("GET", 301, "GET /next HTTP/1.1", ""),
        ("POST", 301, "GET /next HTTP/1.1", ""),
        ("POST", 302, "GET /next HTTP/1.1", ""),
        ("PUT", 302, "PUT /next HTTP/1.1", "body"),
        ("PUT", 303, "GET /next HTTP/1.1", ""),
        ("POST", 307, "POST /next HTTP/1.1", "body"),
        ("POST", 308, "POST /next HTTP/1.1", "body"),
    ] {
        let server = Server::redirecting(status, "/next");
        let mut request = HttpRequest::new(method, &server.url("/"));
        if method != "GET" {
            request.body = b"body".to_vec();
            request
                .headers
                .push(("Content-Type".into(), b"text/x".to_vec()));
        }
        let told = text(send(&server.client(), request));
        assert_eq!(first_line(&told), expected, "{method} {status}");
        let (head, told_body) = told.split_once("\r\n\r\n").unwrap();
        assert_eq!(told_body, body, "{method} {status}");
        let typed = head.to_ascii_lowercase().contains("content-type");
        assert_eq!(typed, !body.is_empty(), "{method} {status}: {head}");
    }
    // Statuses that only look like one.
    for answer in [
        "HTTP/1.1 304 Not Modified\r\nLocation: /next\r\n\r\n",
        "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 201 Created\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n",
    ] {
        let server = Server::saying(answer);
        let response = get(&server.client(), &server.url("/")).unwrap();
        assert_eq!(response.status.to_string(), answer[9..12]);
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn redirects_end() {
    let server = Server::redirecting(302, "/");
    let error = get(&server.client(), &server.url("/")).unwrap_err();
    assert!(
        error.to_string().contains("more than 10 redirects"),
        "{error}"
    );
    assert_eq!(server.seen().len(), 11);
    let none = server.client().redirects(0);
    assert_eq!(code(&get(&none, &server.url("/"))), "http-failed");
    assert_eq!(server.seen().len(), 12);
}

#[test]
fn what_a_guest_tells_one_host_is_not_told_another() {
    let other = Server::start(|request, connection| {
        super::write(connection, ok(request).as_bytes());
    });
    let server = Server::redirecting(307, other.url("/next"));
    let [here, there] = [&server, &other].map(|server| server.address.to_string());
    let (client, _) = client(&[&here, &there], &["127.0.0.1"]);
    let mut request = HttpRequest::new("GET", &server.url("/"));
    for name in ["Authorization", "Cookie", "X-Kept"] {
        request.headers.push((name.into(), b"value".to_vec()));
    }
    let told = text(send(&client, request)).to_ascii_lowercase();
    assert!(told.contains("x-kept: value"), "{told}");
    assert!(
        !told.contains("authorization") && !told.contains("cookie"),
        "{told}"
    );
    assert!(
        server.seen()[0]
            .to_ascii_lowercase()
            .contains("cookie: value")
    );
}
