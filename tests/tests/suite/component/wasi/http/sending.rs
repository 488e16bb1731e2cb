//! Requests and their responses.

use super::{Fetched, Headers, attempt, echo, fetch, load, load_with, wasi};
use hostel::{
    AllowedHosts, Budget, Grants, HttpAccess, HttpError, HttpResponse, LogRecord, Step, Wasi,
};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

#[test]
fn a_request_is_sent_as_the_guest_makes_it() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = seen.clone();
    let (wasi, _) = wasi(move |request| {
        requests.lock().unwrap().push(request.clone());
        echo(request)
    });
    let plugin = load(wasi);
    let headers: Headers = vec![
        ("X-A".into(), b"1".to_vec()),
        ("Content-Length".into(), b"5".to_vec()),
        ("x-a".into(), b"\xe9".to_vec()),
    ];
    let params = ("PUT", "https://h:1/p?q", headers, Some(&b"12345"[..]));
    let got: Fetched = plugin.call_component("fetch", params).unwrap();
    let (status, headers, body) = got.unwrap();
    assert_eq!((status, &*body), (200, &b"PUT https://h:1/p?q 12345"[..]));
    assert_eq!(headers, [("X-Of".into(), b"echo".to_vec())]);
    // Without a path, a URL has the shortest one.
    let (_, _, body) = fetch(&plugin, "GET", "http://[::1]", None).unwrap();
    assert_eq!(body, b"GET http://[::1]/ ");
    let seen = seen.lock().unwrap();
    let [put, get] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((&*put.plugin, &*put.method), ("fetch", "PUT"));
    // The client sets the length itself.
    let values: Vec<_> = put
        .headers
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(values, [("X-A", &b"1"[..]), ("x-a", b"\xe9")]);
    assert_eq!((put.timeout, put.connect_timeout), (None, None));
    assert!(get.body.is_empty() && get.headers.is_empty() && get.hosts.is_none());
    assert_eq!(get.max_header_bytes, 64 << 10);
    assert_eq!(get.max_body_bytes, 16 << 20);
}

#[test]
fn a_large_body_goes_there_and_comes_back() {
    let plugin = load(wasi(echo).0);
    let body: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let (_, _, got) = fetch(&plugin, "POST", "http://h/", Some(&body)).unwrap();
    assert_eq!(got.strip_prefix(b"POST http://h/ ").unwrap(), body);
}

#[test]
fn a_body_that_is_finished_first_is_sent_when_the_request_is() {
    let plugin = load(wasi(echo).0);
    let told = attempt(&plugin, "finish a body before sending").unwrap();
    assert_eq!(told, "POST http://host/path early");
}

#[test]
fn several_requests_are_on_their_way_at_one_time() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, highest) = (running.clone(), most.clone());
    let (wasi, dropped) = wasi(move |request| {
        let count = now.fetch_add(1, Ordering::SeqCst) + 1;
        highest.fetch_max(count, Ordering::SeqCst);
        echo(request)
    });
    let urls: Vec<String> = (0..5).map(|at| format!("http://h/{at}")).collect();
    let plugin = load(wasi);
    let mut bodies: Vec<String> = plugin.call_component("fetch-all", (urls,)).unwrap();
    bodies.sort();
    let expected: Vec<_> = (0..5).map(|at| format!("GET http://h/{at} ")).collect();
    assert_eq!(bodies, expected);
    assert_eq!(most.load(Ordering::SeqCst), 5);
    assert_eq!(dropped.load(Ordering::SeqCst), 5);
}

#[test]
fn without_a_client_each_request_is_denied() {
    let plugin = load(Wasi::new());
    let denied = fetch(&plugin, "GET", "http://h/", None).unwrap_err();
    assert_eq!(denied, "ErrorCode::HttpRequestDenied");
    // What needs no client works.
    assert_eq!(attempt(&plugin, "take a body twice").unwrap(), "true true");
}

#[test]
fn an_error_has_a_code_and_its_reason_is_logged() {
    let records = Arc::new(Mutex::new(Vec::new()));
    let sink = records.clone();
    let failed = |reason: &str| HttpError::Failed {
        reason: reason.into(),
    };
    let errors = [
        HttpError::NotAllowed {
            reason: "no \u{202e}".into(),
            entry: None,
        },
        HttpError::Timeout {
            after: Duration::from_millis(7),
        },
        HttpError::Busy { limit: 3 },
        HttpError::TooLarge {
            part: "body",
            limit: 9,
        },
        HttpError::TooLarge {
            part: "headers",
            limit: 8,
        },
        HttpError::Secret {
            name: "TOKEN".into(),
        },
        failed("why"),
    ];
    let expected = [
        (
            "ErrorCode::HttpRequestDenied",
            "is not allowed: no \u{202e}",
        ),
        ("ErrorCode::HttpResponseTimeout", "within 7 ms"),
        ("ErrorCode::ConnectionLimitReached", "3 HTTP requests"),
        (
            "ErrorCode::HttpResponseBodySize(Some(9))",
            "exceeds 9 bytes",
        ),
        (
            "ErrorCode::HttpResponseHeaderSectionSize(Some(8))",
            "exceed 8 bytes",
        ),
        (
            "ErrorCode::InternalError(Some(\"the HTTP response is withheld: it contains the secret `TOKEN`\"))",
            "`TOKEN`",
        ),
        (
            "ErrorCode::InternalError(Some(\"the HTTP request failed: why\"))",
            "failed: why",
        ),
    ];
    let (wasi, _) = wasi(move |request| {
        let at: usize = request.url.rsplit('/').next().unwrap().parse().unwrap();
        Some(Err(errors[at].clone()))
    });
    let log = move |record: &LogRecord<'_>| {
        sink.lock()
            .unwrap()
            .push(String::from_utf8(record.message.raw().to_vec()).unwrap());
    };
    let plugin = load_with(Grants::new().wasi(wasi).log(log));
    for (at, (code, reason)) in expected.into_iter().enumerate() {
        let got = fetch(&plugin, "GET", &format!("http://h/{at}"), None);
        assert_eq!(got.unwrap_err(), code);
        let records = std::mem::take(&mut *records.lock().unwrap());
        assert_eq!(records.len(), 1, "{records:?}");
        assert!(records[0].contains(reason), "{records:?}");
    }
}

#[test]
fn what_no_guest_may_send_is_refused() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let (wasi, _) = wasi(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        echo(request)
    });
    let plugin = load(wasi);
    for (method, url, expected) in [
        (
            "CONNECT",
            "http://h/",
            "ErrorCode::HttpRequestMethodInvalid",
        ),
        ("trace", "http://h/", "ErrorCode::HttpRequestMethodInvalid"),
        ("A B", "http://h/", "the method is refused"),
        ("GET", "ftp://h/", "ErrorCode::HttpProtocolError"),
        ("GET", "http://u:p@h/", "the authority is refused"),
        ("GET", "http://h:70000/", "the authority is refused"),
        ("GET", "http://h/a\r\nX: y", "the path is refused"),
    ] {
        let got = fetch(&plugin, method, url, None);
        assert_eq!(got.unwrap_err(), expected, "{method} {url}");
    }
    let headers: Headers = (0..101).map(|_| ("a".into(), Vec::new())).collect();
    let none = None::<&[u8]>;
    let got: Fetched = plugin
        .call_component("fetch", ("GET", "http://h/", headers, none))
        .unwrap();
    assert_eq!(
        got.unwrap_err(),
        "ErrorCode::HttpRequestHeaderSectionSize(None)"
    );
    assert_eq!(sent.load(Ordering::SeqCst), 0);
}

#[test]
fn a_guest_that_waits_is_suspended_and_its_fuel_does_not_depend_on_that() {
    let plugin = load(wasi(echo).0);
    let params = || ("POST", "http://h/", Headers::new(), Some(&b"abc"[..]));
    let (whole, used) = plugin
        .with_instance_metered(|instance| instance.call_component::<_, Fetched>("fetch", params()));
    assert!(whole.unwrap().is_ok());
    assert!(used.fuel > 10_000, "{}", used.fuel);
    for quantum in [1_000, 1_000_000] {
        let mut call = plugin.call_component_async::<_, Fetched>("fetch", params());
        let mut waits = 0;
        let result = loop {
            match call.step(quantum) {
                Step::Done(result) => break result,
                Step::Waiting => waits += 1,
                _ => {}
            }
        };
        assert!(result.unwrap().is_ok());
        assert!(waits > 0);
        assert_eq!(call.usage().fuel, used.fuel, "{quantum}");
    }
    let poor = plugin.with_budget(Budget::server().with_fuel(10_000));
    let result = poor.call_component::<_, Fetched>("fetch", params());
    assert_eq!(result.unwrap_err().code(), "out-of-fuel");
}

#[test]
fn a_server_on_this_machine_is_reached_if_it_is_allowed() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let mut len = 0;
        while !request[..len].ends_with(b"body") {
            len += connection.read(&mut request[len..]).unwrap();
        }
        connection
            .write_all(b"HTTP/1.1 203 x\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello")
            .unwrap();
        String::from_utf8(request[..len].to_vec()).unwrap()
    });
    let hosts = AllowedHosts::parse([format!("http://{address}")]).unwrap();
    let plugin = load(Wasi::new().http(HttpAccess::new(hosts)));
    let url = format!("http://{address}/a?b");
    let (status, headers, body) = fetch(&plugin, "POST", &url, Some(b"body")).unwrap();
    assert_eq!((status, &*body), (203, &b"hello"[..]));
    assert!(
        headers.contains(&("x-a".into(), b"1".to_vec())),
        "{headers:?}"
    );
    let request = server.join().unwrap();
    assert!(request.starts_with("POST /a?b HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-length: 4\r\n"), "{request}");
    let other = fetch(&plugin, "GET", "http://other.example/", None);
    assert_eq!(other.unwrap_err(), "ErrorCode::HttpRequestDenied");
}

#[test]
fn a_status_of_an_error_is_none() {
    let (wasi, _) = wasi(|_| Some(Ok(HttpResponse::new(500))));
    let (status, headers, body) = fetch(&load(wasi), "GET", "http://h/", None).unwrap();
    assert_eq!((status, headers.len(), body.len()), (500, 0, 0));
}
