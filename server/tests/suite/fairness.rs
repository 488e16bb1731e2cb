//! Plugins that loop, flood and wait, beside one that does not.

use super::{
    components::kit,
    serving::{Serving, echo, endless},
};

#[test]
fn a_plugin_answers_beside_one_that_loops_and_one_that_is_flooded() {
    let config = "
        [server]
        workers = 1
        [plugin.endless]
        concurrency = 8
        deadline = \"1h\"
        budget = { fuel = \"1000T\" }
        [plugin.flooded]
        concurrency = 64
        queue = 1000
        deadline = \"1h\"
        budget = { fuel = \"1000T\" }
    ";
    let plugins: &[(&str, &[u8])] = &[
        ("endless", &endless()),
        ("flooded", &endless()),
        ("echo", &echo()),
    ];
    let serving = Serving::with(config, plugins);
    let ask = |name: &str| {
        let mut client = serving.client();
        client.request(&format!("POST /v1/plugins/{name}"), &[], b"x");
        client
    };
    let looping: Vec<_> = (0..8).map(|_| ask("endless")).collect();
    let flood: Vec<_> = (0..100).map(|_| ask("flooded")).collect();
    serving.wait_in_flight("endless", 8);
    serving.wait_in_flight("flooded", 100);
    // On one thread, with 108 calls that never end, another plugin's calls all end.
    let mut client = serving.client();
    for _ in 0..200 {
        client
            .ask("POST /v1/plugins/echo", &[], b"hello")
            .says("hello");
    }
    serving.get("/healthz").says("ok\n");
    drop((looping, flood));
    serving.wait_in_flight("endless", 0);
    serving.wait_in_flight("flooded", 0);
}

#[test]
fn the_time_for_a_thread_counts_towards_the_deadline() {
    let config = "
        [server]
        workers = 1
        [plugin.endless]
        concurrency = 1
        queue = 10
        deadline = \"300ms\"
        budget = { fuel = \"1000T\" }
    ";
    let serving = Serving::with(config, &[("endless", &endless())]);
    let mut clients: Vec<_> = (0..5).map(|_| serving.client()).collect();
    for client in &mut clients {
        client.request("POST /v1/plugins/endless", &[], b"x");
    }
    // One runs at a time, so five would take 1.5 s if the deadline began with the guest. Those that never
    // got an instance say so.
    let codes = clients.iter_mut().map(|client| {
        let answer = client.answer().unwrap();
        (
            answer.status,
            answer.json()["code"].as_str().unwrap().to_owned(),
        )
    });
    let codes: Vec<_> = codes.collect();
    let late = codes
        .iter()
        .filter(|(status, code)| *status == 504 && code == "deadline");
    let busy = codes
        .iter()
        .filter(|(status, code)| *status == 429 && code == "busy");
    assert_eq!(late.count() + busy.count(), 5, "{codes:?}");
    assert!(codes.contains(&(504, "deadline".to_owned())), "{codes:?}");
    serving.wait_in_flight("endless", 0);
}

#[test]
fn long_json_holds_no_thread_of_another_plugin_s_calls() {
    let config = "
        [server]
        workers = 1
        [plugin.kit]
        deadline = \"1h\"
        budget = { input_bytes = \"64MiB\" }
    ";
    let serving = Serving::with(config, &[("kit", &kit()), ("echo", &echo())]);
    let body = format!("{}[[1]]", " ".repeat(8 << 20));
    let json = [("content-type", "application/json")];
    let send = |_| {
        let mut client = serving.client();
        client.request("POST /v1/plugins/kit/numbers", &json, body.as_bytes());
        client
    };
    let mut clients: Vec<_> = (0..6).map(send).collect();
    // With one thread for all, each of these calls would wait until one of the bodies is read.
    let mut echo = serving.client();
    for _ in 0..20 {
        echo.ask("POST /v1/plugins/echo", &[], b"x").says("x");
    }
    let shown = serving.get("/v1/plugins/kit").json();
    assert_ne!(shown["figures"]["in_flight"], 0);
    for client in &mut clients {
        client.answer().expect("it is read").says("[1]");
    }
}
