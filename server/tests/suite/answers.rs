//! Calls and their answers: bodies, types, and each class of errors.

use super::serving::{Serving, echo, endless, prebuilt, process, says};

#[test]
fn without_a_configuration_a_plugin_answers() {
    let serving = Serving::plainly(&[("customize", &prebuilt("customize"))]);
    let answer = serving.post("customize", b"hello world");
    answer.says("DEFAULT_PREFIX_HELLO WORLD");
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["x-request-id"].len(), 32);
    // Many on one connection.
    let mut client = serving.client();
    for text in ["a", "bc", ""] {
        let expected = format!("DEFAULT_PREFIX_{}", text.to_uppercase());
        client
            .ask("POST /v1/plugins/customize", &[], text.as_bytes())
            .says(&expected);
    }
    assert_eq!(
        serving.metric("hostel_calls_total{plugin=\"customize\",code=\"ok\"}"),
        4.0
    );
}

#[test]
fn settings_and_named_functions() {
    let config =
        "[plugin.customize]\ngrants = [\"log\", \"config\"]\nconfig = { prefix = \"CUSTOM\" }\n";
    let plugins: &[(&str, &[u8])] = &[("customize", &prebuilt("customize")), ("echo", &echo())];
    let serving = Serving::with(config, plugins);
    serving
        .post("customize", b"hello world")
        .says("CUSTOM_HELLO WORLD");
    serving.post("customize/process", b"x").says("CUSTOM_X");
    // Functions over numbers take and return JSON.
    let json = [("content-type", "application/json")];
    let twice = |body: &str| serving.ask("POST /v1/plugins/echo/twice", &json, body.as_bytes());
    let answer = twice("[21]");
    answer.says("[42]");
    assert_eq!(answer.headers["content-type"], "application/json");
    twice("[\"-3\"]").says("[-6]");
    twice("[1, 2]").is(400, "bad-json");
    twice("[1.5]").is(400, "bad-json");
    twice("{").is(400, "bad-json");
    serving
        .post("echo/twice", b"[21]")
        .is(415, "bad-media-type");
    let text = [
        ("content-type", "application/json"),
        ("accept", "text/plain"),
    ];
    serving
        .ask("POST /v1/plugins/echo/twice", &text, b"[1]")
        .is(406, "not-acceptable");
}

#[test]
fn an_answer_has_the_accepted_type() {
    let serving = Serving::plainly(&[("echo", &echo())]);
    let ask = |accept: &str, body: &[u8]| {
        serving.ask("POST /v1/plugins/echo", &[("accept", accept)], body)
    };
    for (accept, kind) in [
        ("application/json", "application/json"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/html, */*;q=0.1", "application/octet-stream"),
    ] {
        let answer = ask(accept, b"{\"a\": 1}");
        answer.says("{\"a\": 1}");
        assert_eq!(answer.headers["content-type"], kind);
    }
    ask("application/json", b"{").is(502, "not-json");
    ask("text/plain", b"\xff").is(502, "not-text");
    ask("image/png", b"x").is(406, "not-acceptable");
}

/// Each class of errors once.
#[test]
fn errors_have_a_status_and_a_code() {
    let config = "
        [defaults]
        grants = [\"log\", \"config\"]
        [plugin.small]
        budget = { input_bytes = 4, output_bytes = 3 }
        [plugin.endless]
        budget = { fuel = \"1M\" }
        [plugin.late]
        deadline = \"20ms\"
        budget = { fuel = \"1000G\" }
    ";
    let outside = process("(i32.const 65536) (i32.const 1)");
    let plugins: &[(&str, &[u8])] = &[
        ("small", &echo()),
        ("endless", &endless()),
        ("late", &endless()),
        ("customize", &prebuilt("customize")),
        ("outside", &outside),
        ("traps", &process("unreachable")),
        ("add", &prebuilt("add")),
    ];
    let serving = Serving::with(config, plugins);
    serving.post("customize", b"\xff").is(422, "guest-error");
    serving.post("outside", b"x").is(502, "out-of-bounds");
    serving.post("traps", b"x").is(502, "trap-unreachable");
    serving.post("small", b"12345").is(413, "body-too-large");
    serving.post("small", b"1234").is(502, "output-too-large");
    serving.post("endless", b"x").is(422, "out-of-fuel");
    serving.post("endless/spin", b"").is(422, "out-of-fuel");
    let late = serving.post("late", b"x");
    late.is(504, "deadline");
    assert!(late.text().contains("20ms"), "{}", late.text());
    serving
        .post("small/nothing", b"x")
        .is(404, "unknown-export");
    serving.post("add", b"x").is(404, "unknown-export");
    serving.post("nobody", b"x").is(404, "unknown-plugin");
    serving.get("/nowhere").is(404, "unknown-route");
    serving.get("/v1/plugins/a/b/c").is(404, "unknown-route");
    let answer = serving.ask("PATCH /v1/plugins/small", &[], b"");
    answer.is(405, "method-not-allowed");
    let allowed: Vec<_> = answer.headers["allow"].split(',').collect();
    for method in ["GET", "POST", "PUT", "DELETE"] {
        assert!(allowed.contains(&method), "{allowed:?}");
    }
    serving.post("%ff", b"x").is(400, "bad-path");
    // The figures tell them by code.
    let fuel = serving.metric("hostel_calls_total{plugin=\"endless\",code=\"out-of-fuel\"}");
    assert_eq!(fuel, 2.0);
    assert_eq!(
        serving.metric("hostel_http_requests_total{status=\"504\"}"),
        1.0
    );
}

#[test]
fn plugins_are_shown() {
    let config = "
        [plugin.echo]
        grants = [\"log\"]
        concurrency = 3
        queue = 7
        rate = { calls = 1000, burst = 5000 }
        fuel = { units = \"1G\", per = \"1h\" }
    ";
    let serving = Serving::with(config, &[("echo", &echo()), ("other", &says("hi"))]);
    let listed = serving.get("/v1/plugins").json();
    let names: Vec<_> = listed["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["echo", "other"]);
    serving.post("echo", b"hello").says("hello");
    let shown = serving.get("/v1/plugins/echo").json();
    assert_eq!(shown["sha256"], listed["plugins"][0]["sha256"]);
    assert_eq!(shown["abi"], "native");
    assert_eq!(shown["grants"], serde_json::json!(["log"]));
    assert_eq!(shown["limits"]["instances"], 3);
    assert_eq!(shown["limits"]["waiting"], 7);
    assert_eq!(shown["rate"]["burst"], 5000);
    assert_eq!(shown["budget"]["deadline_ms"], 10_000);
    assert_eq!(shown["figures"]["succeeded"], 1);
    let used = shown["figures"]["fuel"].as_u64().unwrap();
    assert!(used > 0);
    assert_eq!(shown["fuel"]["left"], 1_000_000_000 - used);
    let exports = shown["exports"].as_array().unwrap();
    let twice = exports.iter().find(|it| it["name"] == "twice").unwrap();
    assert_eq!(
        (&twice["takes"], &twice["type"]),
        (&"numbers".into(), &"(i64) -> i64".into())
    );
    serving.get("/v1/plugins/nobody").is(404, "unknown-plugin");
}

#[test]
fn health_and_the_description() {
    let serving = Serving::plainly(&[]);
    serving.get("/healthz").says("ok\n");
    serving.get("/readyz").says("ready\n");
    let document = serving.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    for path in [
        "/v1/plugins",
        "/v1/plugins/{name}",
        "/v1/plugins/{name}/{export}",
        "/metrics",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    // What is described is there: no route answers as an unknown one does.
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{name}", "x").replace("{export}", "y");
        for method in methods.as_object().unwrap().keys() {
            let answer = serving.ask(&format!("{} {path}", method.to_uppercase()), &[], b"");
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(!answer.text().contains("unknown-route"), "{method} {path}");
        }
    }
}

#[test]
fn a_trace_goes_on_in_the_answer() {
    let serving = Serving::plainly(&[("echo", &echo())]);
    let header = (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    );
    let answer = serving.ask("POST /v1/plugins/echo", &[header], b"x");
    assert_eq!(
        answer.headers["x-request-id"],
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    // Errors have one, too.
    let answer = serving.ask("POST /nowhere", &[header], b"x");
    assert_eq!(
        answer.headers["x-request-id"],
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
}
