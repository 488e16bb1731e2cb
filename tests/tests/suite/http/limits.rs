//! Bytes, time and threads of requests.

use super::server::{Server, code, get, ok, send, text, write};
use hostel::{HttpClient as _, HttpError, HttpRequest};
use std::{
    io::Read as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

#[test]
fn a_body_is_refused_before_it_is_kept() {
    let limited = |server: &Server, limit: usize| {
        let mut request = HttpRequest::new("GET", &server.url("/"));
        request.max_body_bytes = limit;
        send(&server.client(), request)
    };
    let told = Server::saying(ok("12345678"));
    assert_eq!(text(limited(&told, 8)), "12345678");
    let error = limited(&told, 7).unwrap_err();
    let part = "body";
    assert_eq!(error, HttpError::TooLarge { part, limit: 7 });
    // A length that is told and never sent.
    let huge = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        u64::MAX / 2
    );
    let huge = Server::start(move |_, connection| {
        write(connection, huge.as_bytes());
        thread::sleep(Duration::from_secs(5));
    });
    let begun = Instant::now();
    assert_eq!(code(&limited(&huge, 1 << 20)), "http-too-large");
    assert!(begun.elapsed() < Duration::from_secs(3));
    // Without a length, and without end.
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (head, part) in [
        (chunks, "5\r\nabcde\r\n"),
        ("HTTP/1.0 200 OK\r\n\r\n", "abcde"),
    ] {
        let endless = Server::start(move |_, connection| {
            write(connection, head.as_bytes());
            let many = part.repeat(1000);
            use std::io::Write as _;
            while connection.write_all(many.as_bytes()).is_ok() {}
        });
        assert_eq!(code(&limited(&endless, 100_000)), "http-too-large");
    }
    // A small file that becomes a large one if it is decompressed: it is not.
    let zipped = Server::saying(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\u{b}zz",
    );
    assert_eq!(limited(&zipped, 4).unwrap().body, b"\x1f\x0bzz");
}

#[test]
fn headers_are_refused_before_they_are_kept() {
    let limited = |server: &Server, limit: usize| {
        let mut request = HttpRequest::new("GET", &server.url("/"));
        request.max_header_bytes = limit;
        send(&server.client(), request)
    };
    let long = Server::saying(format!(
        "HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 0\r\n\r\n",
        "a".repeat(5000)
    ));
    assert_eq!(limited(&long, 6000).unwrap().headers.len(), 2);
    for limit in [100, 4000] {
        let error = limited(&long, limit).unwrap_err();
        let part = "headers";
        assert_eq!(error, HttpError::TooLarge { part, limit });
        let text = error.to_string();
        assert!(
            text.contains("exceed ") && !text.contains("raise"),
            "{text}"
        );
    }
    let endless = |head: &'static str, part: &'static str| {
        Server::start(move |_, connection| {
            use std::io::Write as _;
            write(connection, head.as_bytes());
            let many = part.repeat(100);
            while connection.write_all(many.as_bytes()).is_ok() {}
        })
    };
    for (head, part) in [
        ("HTTP/1.1 200 OK\r\n", "X-A: b\r\n"),
        ("HTTP/1.1 200 OK\r\nX-A: ", "a"),
        ("HTTP/1.1 200 ", "a"),
    ] {
        let server = endless(head, part);
        let codes = ["http-too-large", "http-failed"];
        let found = code(&limited(&server, 1 << 16));
        assert!(codes.contains(&found), "{head:?} {part:?}: {found}");
    }
    // Responses before the response, without end, until the time is over.
    let server = endless("", "HTTP/1.1 103 Early Hints\r\n\r\n");
    let mut request = HttpRequest::new("GET", &server.url("/"));
    request.timeout = Some(Duration::from_millis(100));
    let begun = Instant::now();
    let found = code(&send(&server.client(), request));
    let codes = ["http-timeout", "http-failed", "http-too-large"];
    assert!(codes.contains(&found), "{found}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_request_ends_in_time_however_slow_the_server_is() {
    let drips = |bytes: &'static [u8]| {
        Server::start(move |_, connection| {
            for byte in bytes.iter().cycle() {
                use std::io::Write as _;
                if connection.write_all(&[*byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(10));
            }
        })
    };
    let silent = Server::start(|_, connection| {
        // Until the client has gone.
        let _ = connection.read(&mut [0; 1]);
    });
    let head = Server::start(|_, connection| {
        write(
            connection,
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123",
        );
        let _ = connection.read(&mut [0; 1]);
    });
    for server in [silent, head, drips(b"HTTP/1.1 200 OK\r\n"), drips(b"H")] {
        let after = Duration::from_millis(150);
        let mut request = HttpRequest::new("GET", &server.url("/"));
        request.timeout = Some(after);
        let begun = Instant::now();
        let answer = send(&server.client(), request);
        let codes = ["http-timeout", "http-failed"];
        assert!(codes.contains(&code(&answer)), "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{answer:?}");
    }
    // The client's own time, though the call has more.
    let silent = Server::start(|_, connection| drop(connection.read(&mut [0; 1])));
    let client = silent.client().timeout(Duration::from_millis(50));
    let mut request = HttpRequest::new("GET", &silent.url("/"));
    request.timeout = Some(Duration::from_secs(100));
    let after = Duration::from_millis(50);
    let error = send(&client, request).unwrap_err();
    assert_eq!(error, HttpError::Timeout { after });
}

#[test]
fn a_request_that_is_given_up_closes_its_connection() {
    let (closed, ended) = mpsc::channel();
    let closed = Mutex::new(closed);
    let server = Server::start(move |_, connection| {
        let read = connection.read(&mut [0; 1]);
        closed.lock().unwrap().send(read.unwrap_or(0)).unwrap();
    });
    let client = server.client();
    let pending = client.send(HttpRequest::new("GET", &server.url("/")));
    while server.seen().is_empty() {
        thread::yield_now();
    }
    drop(pending);
    let read = ended.recv_timeout(Duration::from_secs(5));
    assert_eq!(read, Ok(0), "the connection is closed");
}

#[test]
fn requests_at_one_time_are_limited() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let server = Server::start(move |_, connection| {
        let _ = gate.lock().unwrap().recv();
        write(connection, ok("done").as_bytes());
    });
    let client = server.client().requests(2);
    let url = server.url("/");
    let done = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            // A clone shares the number.
            let (client, url, done) = (client.clone(), &url, &done);
            scope.spawn(move || {
                assert_eq!(text(get(&client, url)), "done");
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        while server.seen().len() < 2 {
            thread::yield_now();
        }
        let error = get(&client, &url).unwrap_err();
        assert_eq!(error, HttpError::Busy { limit: 2 });
        open.send(()).unwrap();
        while done.load(Ordering::SeqCst) < 1 {
            thread::yield_now();
        }
        // One has ended, so there is room for one.
        open.send(()).unwrap();
        open.send(()).unwrap();
        assert_eq!(text(get(&client, &url)), "done");
    });
}
