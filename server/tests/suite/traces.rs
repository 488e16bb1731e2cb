//! Spans of requests, at a collector that is a stub.

use super::serving::{Serving, echo, token};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

const TRACE: [u8; 16] = *b"\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36";
const PARENT: [u8; 8] = *b"\x00\xf0\x67\xaa\x0b\xa9\x02\xb7";

/// Takes requests on a port, and hands over each one's head and body.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (send, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let (head, length) = loop {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).unwrap();
                assert!(read > 0, "the head ends");
                bytes.extend(&part[..read]);
                let end = bytes.windows(4).position(|it| it == b"\r\n\r\n");
                if let Some(end) = end {
                    let body = bytes.split_off(end + 4);
                    let head = String::from_utf8(std::mem::replace(&mut bytes, body)).unwrap();
                    let head = head.to_ascii_lowercase();
                    let length = head.split("content-length: ").nth(1).unwrap();
                    let length: usize = length.lines().next().unwrap().parse().unwrap();
                    break (head, length);
                }
            };
            let mut rest = vec![0; length - bytes.len()];
            stream.read_exact(&mut rest).unwrap();
            bytes.extend(rest);
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
            if send.send((head, bytes)).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

#[test]
fn requests_are_spans_at_a_collector() {
    let (url, requests) = collector();
    let root = token("root", "role = \"admin\"");
    let config = format!(
        "[server]\nanonymous = true\ntraces = \"{url}\"\n{}",
        root.section
    );
    let serving = Serving::with(&config, &[("echo", &echo())]);
    let ask = |trace: &str| {
        let headers = [("traceparent", trace), ("authorization", &*root.header)];
        serving
            .ask("POST /v1/plugins/echo", &headers, b"x")
            .says("x");
    };
    ask("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    // Its caller records nothing, so this one is none of the trace's spans.
    ask("00-11111111111111111111111111111111-00f067aa0ba902b7-00");
    serving.get("/nowhere").is(404, "unknown-route");
    serving.post("echo/nothing", b"x").is(404, "unknown-export");
    // The end sends what waits.
    let Serving {
        server, runtime, ..
    } = serving;
    runtime.block_on(server.shut_down());
    drop(runtime);
    let (head, body) = requests.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(head.starts_with("post /v1/traces "), "{head}");
    assert!(
        head.contains("content-type: application/x-protobuf"),
        "{head}"
    );
    let has = |part: &[u8]| body.windows(part.len()).any(|it| it == part);
    for text in [
        "service.name",
        "hostel",
        "POST /v1/plugins/{name}",
        "hostel.plugin",
        "echo",
        "hostel.fuel",
        "unknown-export",
    ] {
        assert!(has(text.as_bytes()), "{text}");
    }
    assert!(has(&TRACE) && has(&PARENT));
    assert!(!has(&[0x11; 16]));
    // Of the client, its token's name alone.
    assert!(has(b"root") && !has(&root.header.as_bytes()["Bearer ".len()..]));
}

#[test]
fn a_collector_that_is_not_there_delays_no_call() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = format!("[server]\ntraces = \"http://{closed}/v1/traces\"\n");
    let serving = Serving::with(&config, &[("echo", &echo())]);
    let mut client = serving.client();
    // More than the queue holds.
    for _ in 0..3_000 {
        client.ask("POST /v1/plugins/echo", &[], b"x").says("x");
    }
}
