//! The log as it comes, and the page that shows it.

use super::{
    client::Client,
    serving::{Serving, eventually, prebuilt, token},
};
use serde_json::Value as Json;
use std::time::{Duration, Instant};

const LOGS: &str = "[defaults]\ngrants = [\"log\", \"config\"]\n";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Begins to follow the log.
fn follow(serving: &Serving, headers: &[(&str, &str)]) -> Client {
    let mut client = serving.client();
    let answer = client.ask("GET /v1/logs", headers, b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    assert_eq!(answer.headers["cache-control"], "no-store");
    client
}

/// Reads events until one has a word, and returns all.
fn until(client: &mut Client, word: &str) -> Vec<Json> {
    let mut events = Vec::new();
    loop {
        let line = client.line().expect("the stream goes on");
        if let Some(data) = line.strip_prefix("data: ") {
            events.push(serde_json::from_str(data).unwrap());
            if data.contains(word) {
                return events;
            }
        }
    }
}

#[test]
fn log_lines_come_as_they_are_written() {
    let serving = Serving::with(LOGS, &[("customize", &prebuilt("customize"))]);
    let mut client = follow(&serving, &[]);
    // What was before.
    let first = until(&mut client, "loaded `customize`");
    assert_eq!(first[0]["speaker"], "server");
    let trace = format!("00-{TRACE}-00f067aa0ba902b7-01");
    serving.ask(
        "POST /v1/plugins/customize",
        &[("traceparent", &trace)],
        b"abc",
    );
    let line = until(&mut client, "processing 3 bytes").pop().unwrap();
    assert_eq!(
        (&line["plugin"], &line["speaker"], &line["level"]),
        (&"customize".into(), &"guest".into(), &"info".into())
    );
    assert_eq!(line["request"], TRACE);
    assert!(line["time"].as_f64().unwrap() > 1e9);
    serving
        .reload(&format!("{LOGS}\n[plugin.customize]\nqueue = 7\n"))
        .unwrap();
    let line = until(&mut client, "reloaded the configuration")
        .pop()
        .unwrap();
    assert_eq!(line["request"], Json::Null);
    // A client that comes again gets what is new.
    let mut again = follow(&serving, &[]);
    let tag = loop {
        let line = again.line().expect("the stream goes on");
        if let Some(tag) = line.strip_prefix("id: ") {
            break tag.to_owned();
        }
    };
    let texts = |tag: &str| -> Vec<_> {
        let mut again = follow(&serving, &[("last-event-id", tag)]);
        let lines = until(&mut again, "reloaded the configuration");
        lines.into_iter().map(|line| line["text"].clone()).collect()
    };
    let all = texts("");
    assert_eq!(texts(&tag), all[1..]);
    // An earlier run of the server wrote this one.
    assert_eq!(texts("0123456789abcdef"), all);
}

#[test]
fn a_client_follows_the_plugins_that_it_may_see() {
    let anna = token("anna", "role = \"caller\"\nplugins = [\"mine\"]");
    let root = token("root", "role = \"admin\"");
    let config = format!("{LOGS}{}{}", anna.section, root.section);
    let customize = prebuilt("customize");
    let serving = Serving::with(&config, &[("mine", &customize), ("other", &customize)]);
    serving
        .ask("GET /v1/logs", &[], b"")
        .is(401, "unauthorized");
    let auth = [("authorization", &*anna.header)];
    let mut client = follow(&serving, &auth);
    let admin = [("authorization", &*root.header)];
    serving
        .ask("POST /v1/plugins/other", &admin, b"secret")
        .says("DEFAULT_PREFIX_SECRET");
    serving
        .ask("POST /v1/plugins/mine", &admin, b"")
        .says("DEFAULT_PREFIX_");
    let lines = until(&mut client, "processing 0 bytes");
    assert!(
        lines
            .iter()
            .all(|line| line["plugin"] == "mine" && line["speaker"] == "guest"),
        "{lines:?}"
    );
    // It ends when its token does.
    serving.reload(&format!("{LOGS}{}", root.section)).unwrap();
    assert!(client.is_closed());
}

#[test]
fn those_that_follow_are_limited_and_end_with_the_server() {
    let config = format!("[server]\ndrain_timeout = \"1h\"\n{LOGS}");
    let serving = Serving::with(&config, &[]);
    let mut clients: Vec<_> = (0..48).map(|_| follow(&serving, &[])).collect();
    let refused = serving.get("/v1/logs");
    refused.is(429, "too-many-watchers");
    assert!(refused.headers.contains_key("retry-after"));
    // One that goes gives its place back when it is written to.
    clients.pop();
    eventually("place", || {
        serving.reload(&config).unwrap();
        let status = serving.get("/v1/logs").status;
        status == 200
    });
    let Serving {
        server, runtime, ..
    } = serving;
    let began = Instant::now();
    runtime.block_on(server.shut_down());
    assert!(began.elapsed() < Duration::from_secs(50));
    assert!(clients.iter_mut().all(Client::is_closed));
}

#[test]
fn the_dashboard_is_one_page_under_a_strict_policy() {
    let serving = Serving::plainly(&[]);
    let page = serving.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = &page.headers["content-security-policy"];
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(page.text().contains("<title>hostel</title>"));
    serving
        .ask("POST /", &[], b"")
        .is(405, "method-not-allowed");
}
