//! `HttpAccess`: requests of plugins to servers on this machine, whose addresses are named.

mod guests;
mod hosts;
mod limits;
mod secrets;
mod server;

use self::server::{Server, get, ok, send, text, write};
use hostel::HttpRequest;

#[test]
fn a_request_arrives_as_it_was_written() {
    let server = Server::start(|request, connection| write(connection, ok(request).as_bytes()));
    let client = server.client();
    let mut request = HttpRequest::new("PROPFIND", &server.url("/a/../b?c=\u{e9}#d"));
    request.headers = vec![
        ("X-Twice".into(), b"1".to_vec()),
        ("X-Twice".into(), b"2".to_vec()),
        ("User-Agent".into(), b"guest".to_vec()),
    ];
    request.body = b"body".to_vec();
    let told = text(send(&client, request));
    let address = server.address;
    assert!(
        told.starts_with("PROPFIND /b?c=%C3%A9 HTTP/1.1\r\n"),
        "{told}"
    );
    for line in [
        format!("host: {address}"),
        "x-twice: 1".into(),
        "x-twice: 2".into(),
        "user-agent: guest".into(),
        "content-length: 4".into(),
        "accept-encoding: identity".into(),
    ] {
        let lower = told.to_ascii_lowercase();
        assert!(lower.contains(&format!("\r\n{line}\r\n")), "{line}: {told}");
    }
    assert!(told.ends_with("\r\n\r\nbody"), "{told}");
    let told = text(get(&client, &server.url("/"))).to_ascii_lowercase();
    assert!(told.contains("\r\nuser-agent: hostel/"), "{told}");
    assert!(!told.contains("content-length"), "{told}");
    let told = text(send(&client, HttpRequest::new("POST", &server.url("/"))));
    assert!(
        told.to_ascii_lowercase().contains("content-length: 0"),
        "{told}"
    );
}

#[test]
fn a_response_is_handed_over_as_it_came() {
    let chunked = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nX-A: 2\r\n\
        Content-Encoding: gzip\r\nSet-Cookie: a=b\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let server = Server::saying(chunked);
    let response = get(&server.client(), &server.url("/")).unwrap();
    assert_eq!((response.status, &response.body[..]), (404, &b"abcde"[..]));
    let values = |name: &str| {
        let named = response.headers.iter().filter(|(n, _)| n == name);
        let values: Vec<_> = named.map(|(_, value)| &value[..]).collect();
        values
    };
    assert_eq!(values("x-a"), [b"1", b"2"]);
    assert_eq!(values("content-encoding"), [b"gzip"]);
    // No cookie is kept for the next request, and no connection.
    get(&server.client(), &server.url("/")).unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(!seen[1].to_ascii_lowercase().contains("cookie"), "{seen:?}");
    // A length without a body.
    let head = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n");
    let response = send(&head.client(), HttpRequest::new("HEAD", &head.url("/"))).unwrap();
    assert_eq!((response.status, response.body.len()), (200, 0));
    // Until the connection ends.
    let closed = Server::saying("HTTP/1.0 200 OK\r\n\r\nto the end");
    assert_eq!(text(get(&closed.client(), &closed.url("/"))), "to the end");
}

#[test]
fn what_is_no_response_is_an_error() {
    for answer in [
        "",
        "HTTP/1.1",
        "HTTP/9.9 200 OK\r\n\r\n",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let server = Server::saying(answer);
        let found = get(&server.client(), &server.url("/"));
        assert_eq!(server::code(&found), "http-failed", "{answer:?}: {found:?}");
    }
    // A server without TLS, which speaks first.
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = plain.local_addr().unwrap();
    std::thread::spawn(move || write(&mut plain.accept().unwrap().0, ok("no TLS").as_bytes()));
    let client = hostel::HttpAccess::new(server::allowed(&["127.0.0.1"]));
    let error = get(&client, &format!("https://{address}/")).unwrap_err();
    assert!(error.to_string().contains("TLS failed"), "{error}");
    // A port that is closed: that of a server which has gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let error = get(&client, &format!("http://{address}/")).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}
