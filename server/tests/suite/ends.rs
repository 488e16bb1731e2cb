//! Slow clients, idle connections, and the server's end.

use super::serving::{Serving, echo, endless, process};
use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    thread::JoinHandle,
    time::Duration,
};
use tempfile::TempDir;

const SHORT: &str = "
    [server]
    head_timeout = \"200ms\"
    body_timeout = \"300ms\"
    connections = 8
";

/// A server that shuts down on a thread of its own.
struct Ending {
    address: SocketAddr,
    ended: JoinHandle<()>,
    /// Its plugins, which it may read until its end.
    _files: TempDir,
}

impl Ending {
    fn of(serving: Serving) -> Self {
        let Serving {
            address,
            server,
            runtime,
            files,
            ..
        } = serving;
        Self {
            address,
            ended: std::thread::spawn(move || runtime.block_on(server.shut_down())),
            _files: files,
        }
    }

    /// Waits for its end, after which nothing listens.
    fn closes_the_port(self) {
        self.ended.join().unwrap();
        assert!(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_err());
    }
}

#[test]
fn slow_clients_and_idle_connections_end() {
    let serving = Serving::with(SHORT, &[("echo", &echo())]);
    // A head that does not end.
    let mut slow = serving.client();
    slow.send("POST /v1/plugins/echo HTTP/1.1\r\nhost: localhost\r\n");
    assert!(slow.is_closed());
    // Nothing at all.
    assert!(serving.client().is_closed());
    // A connection that was used, and is idle.
    let mut idle = serving.client();
    idle.ask("POST /v1/plugins/echo", &[], b"x").says("x");
    assert!(idle.is_closed());
    // A body that does not end.
    let mut slow = serving.client();
    slow.send("POST /v1/plugins/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nab");
    slow.answer().unwrap().is(408, "body-timeout");
    // They have given their places back.
    for _ in 0..20 {
        serving.post("echo", b"x").says("x");
    }
}

#[test]
fn a_client_that_takes_no_answer_ends() {
    let config = format!(
        "{SHORT}\n[plugin.large]\nbudget = {{ output_bytes = \"64MiB\" }}\nlimits = {{ memory_bytes = \"64MiB\" }}"
    );
    let wat = r#"(module (memory (export "memory") 800)
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i32 i32) (i32.const 0) (i32.const 52428800)))"#;
    let serving = Serving::with(&config, &[("large", &wat::parse_str(wat).unwrap())]);
    let mut client = TcpStream::connect(serving.address).unwrap();
    let head = "POST /v1/plugins/large HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    let called = "hostel_calls_total{plugin=\"large\",code=\"ok\"} 1";
    super::serving::eventually("answer", || serving.get("/metrics").text().contains(called));
    // Only that of the metrics is left: the client above reads nothing, and is ended.
    super::serving::eventually("end", || serving.metric("hostel_connections ") <= 1.0);
}

#[test]
fn an_answer_that_is_not_taken_holds_its_place() {
    let config = "[server]\nbody_timeout = \"60s\"\n[plugin.large]\nconcurrency = 1\nqueue = 1\nbudget = { output_bytes = \"64MiB\" }\nlimits = { memory_bytes = \"64MiB\" }\n";
    let wat = r#"(module (memory (export "memory") 800)
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i32 i32) (i32.const 0) (i32.const 52428800)))"#;
    let serving = Serving::with(config, &[("large", &wat::parse_str(wat).unwrap())]);
    let mut clients: Vec<_> = (0..2).map(|_| serving.client()).collect();
    for (number, client) in (1..).zip(&mut clients) {
        client.request("POST /v1/plugins/large", &[], b"");
        let called = format!("hostel_calls_total{{plugin=\"large\",code=\"ok\"}} {number}");
        super::serving::eventually("call", || serving.get("/metrics").text().contains(&called));
    }
    // Neither has read anything: there is no room for a third result.
    serving.post("large", b"").is(429, "queue-full");
    drop(clients);
    super::serving::eventually("place", || serving.post("large", b"").status == 200);
}

#[test]
fn load_balancers_see_a_shutdown_before_the_port_closes() {
    let config = "[server]\ndrain_delay = \"2s\"\n";
    let serving = Serving::with(config, &[("echo", &echo())]);
    let mut client = serving.client();
    client.ask("GET /readyz", &[], b"").says("ready\n");
    let ending = Ending::of(serving);
    super::serving::eventually("readiness", || {
        client.ask("GET /readyz", &[], b"").status == 503
    });
    // Old connections and new ones are served meanwhile.
    client.ask("POST /v1/plugins/echo", &[], b"x").says("x");
    let mut late = super::client::Client::connect(ending.address);
    late.ask("POST /v1/plugins/echo", &[], b"y").says("y");
    ending.closes_the_port();
}

#[test]
fn bodies_are_limited_before_they_are_read() {
    let config = "[plugin.echo]\nbudget = { input_bytes = 10 }\n";
    let serving = Serving::with(config, &[("echo", &echo())]);
    // By the head alone.
    let mut client = serving.client();
    client.send(
        "POST /v1/plugins/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n",
    );
    client.answer().unwrap().is(413, "body-too-large");
    // By its bytes, if it does not say how many they are.
    let mut client = serving.client();
    client.send("POST /v1/plugins/echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n");
    client.send("5\r\nabcde\r\n5\r\nabcde\r\n");
    client.answer().unwrap().is(413, "body-too-large");
    serving.post("echo", b"0123456789").says("0123456789");
}

#[test]
fn a_shutdown_lets_requests_end() {
    let config = "[server]\ndrain_timeout = \"60s\"\n[plugin.slow]\ndeadline = \"1h\"\nbudget = { fuel = \"100G\" }\n";
    // Some hundred milliseconds of work.
    let slow = process(
        "(local $n i32) (local.set $n (i32.const 20000000))
        (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $ptr) (local.get $len)",
    );
    let serving = Serving::with(config, &[("slow", &slow)]);
    let mut waiting = serving.client();
    waiting.request("POST /v1/plugins/slow", &[], b"done");
    serving.wait_in_flight("slow", 1);
    let ending = Ending::of(serving);
    let answer = waiting.answer().expect("the request ends");
    answer.says("done");
    assert!(waiting.is_closed());
    ending.closes_the_port();
}

#[test]
fn a_shutdown_does_not_wait_for_ever() {
    let config = "[server]\ndrain_timeout = \"100ms\"\n[plugin.endless]\ndeadline = \"1h\"\nbudget = { fuel = \"1000T\" }\n";
    let serving = Serving::with(config, &[("endless", &endless())]);
    let mut client = serving.client();
    client.request("POST /v1/plugins/endless", &[], b"x");
    serving.wait_in_flight("endless", 1);
    let Serving {
        server, runtime, ..
    } = serving;
    runtime.block_on(server.shut_down());
    assert!(client.answer().is_none());
}
