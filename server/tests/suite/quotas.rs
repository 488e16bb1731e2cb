//! Concurrency, queue, rate and fuel by time.

use super::serving::{Serving, echo, endless};

#[test]
fn a_full_queue_is_told_at_once() {
    let config = "
        [plugin.endless]
        concurrency = 1
        queue = 1
        deadline = \"1h\"
        budget = { fuel = \"1000T\" }
    ";
    let serving = Serving::with(config, &[("endless", &endless()), ("echo", &echo())]);
    let mut running = [serving.client(), serving.client()];
    for client in &mut running {
        client.request("POST /v1/plugins/endless", &[], b"x");
    }
    serving.wait_in_flight("endless", 2);
    let refused = serving.post("endless", b"x");
    refused.is(429, "queue-full");
    assert_eq!(refused.headers["retry-after"], "1");
    // The body is not waited for: the client has announced it, but sends none.
    let mut client = serving.client();
    client
        .send("POST /v1/plugins/endless HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n");
    client.answer().unwrap().is(429, "queue-full");
    serving.post("echo", b"hello").says("hello");
    // Clients that go give their places back.
    drop(running);
    serving.wait_in_flight("endless", 0);
    assert_eq!(
        serving.metric("hostel_calls_total{plugin=\"endless\",code=\"abandoned\"}"),
        2.0
    );
}

#[test]
fn calls_above_the_rate_are_refused() {
    let config = "[plugin.echo]\nrate = { calls = 1, per = \"1h\", burst = 3 }\n";
    let serving = Serving::with(config, &[("echo", &echo()), ("other", &echo())]);
    for _ in 0..3 {
        serving.post("echo", b"x").says("x");
    }
    let refused = serving.post("echo", b"x");
    refused.is(429, "rate-limited");
    let seconds: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((3_000..=3_600).contains(&seconds), "{seconds}");
    serving.post("other", b"x").says("x");
}

#[test]
fn fuel_by_time_ends_a_call_that_runs() {
    let config = "
        [plugin.endless]
        deadline = \"1h\"
        budget = { fuel = \"1000T\" }
        fuel = { units = \"1M\", per = \"1h\" }
    ";
    let serving = Serving::with(config, &[("endless", &endless())]);
    let stopped = serving.post("endless", b"x");
    stopped.is(429, "fuel-window");
    let used = serving.get("/v1/plugins/endless").json()["figures"]["fuel"]
        .as_u64()
        .unwrap();
    // A slice more than the quota at most.
    assert!((1_000_000..=1_050_000).contains(&used), "{used}");
    let refused = serving.post("endless", b"x");
    refused.is(429, "fuel-window");
    let seconds: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((3_000..=3_600).contains(&seconds), "{seconds}");
}
