//! Names that lead elsewhere, tokens, what one client learns of another, and answers that would add headers.

use super::serving::{Serving, echo, prebuilt, process, says, token};
use hostel_server::{ServeOptions, Server};
use std::fs;

#[test]
fn a_name_leads_to_no_other_file() {
    let admin = token("root", "role = \"admin\"");
    let serving = Serving::with(&admin.section, &[("echo", &echo())]);
    let auth = [("authorization", &*admin.header)];
    let outside = serving.files.path().join("outside.wasm");
    fs::write(&outside, says("outside")).unwrap();
    for name in [
        "..%2foutside",
        "%2e%2e%2foutside",
        "..%5coutside",
        ".hidden",
        "a%00b",
        "a%0ab",
        "a%20b",
        "%c3%a9",
        "a.",
        "..",
        "%2e%2e",
        "-%2f..%2f..%2foutside",
        &"a".repeat(65),
    ] {
        for method in ["PUT", "DELETE"] {
            let answer = serving.ask(&format!("{method} /v1/plugins/{name}"), &auth, &says("new"));
            assert!(
                (400..500).contains(&answer.status),
                "{method} {name}: {}",
                answer.text()
            );
            assert!(answer.json()["code"].is_string(), "{name}");
        }
        assert_eq!(
            serving
                .ask(&format!("POST /v1/plugins/{name}"), &auth, b"x")
                .status,
            404,
            "{name}"
        );
        let back = serving.ask(&format!("POST /v1/versions/{name}/rollback"), &auth, b"");
        assert!((400..500).contains(&back.status), "{name}");
    }
    let entries = |path: &std::path::Path| {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        entries(serving.files.path()),
        ["hostel.toml", "outside.wasm", "plugins"]
    );
    assert_eq!(
        entries(&serving.files.path().join("plugins")),
        ["echo.wasm"]
    );
}

#[test]
fn a_caller_sees_and_calls_its_own_plugins_alone() {
    let anna = token("anna", "role = \"caller\"\nplugins = [\"mine\"]");
    let monitor = token("watch", "role = \"monitor\"");
    let config = [&*anna.section, &*monitor.section].concat();
    let plugins: &[(&str, &[u8])] = &[("mine", &echo()), ("other", &echo())];
    let serving = Serving::with(&config, plugins);
    let as_anna = |line: &str| serving.ask(line, &[("authorization", &*anna.header)], b"x");
    as_anna("POST /v1/plugins/mine").says("x");
    as_anna("POST /v1/plugins/other").is(403, "forbidden");
    // Whether there is one is not told.
    as_anna("POST /v1/plugins/nobody").is(403, "forbidden");
    as_anna("GET /v1/plugins/other").is(403, "forbidden");
    as_anna("GET /metrics").is(403, "forbidden");
    let listed = as_anna("GET /v1/plugins").json();
    assert_eq!(listed["plugins"].as_array().unwrap().len(), 1);
    assert_eq!(listed["plugins"][0]["name"], "mine");
    let as_monitor = |line: &str| serving.ask(line, &[("authorization", &*monitor.header)], b"x");
    as_monitor("POST /v1/plugins/mine").is(403, "forbidden");
    assert_eq!(
        as_monitor("GET /v1/plugins").json()["plugins"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(as_monitor("GET /metrics").status, 200);
    for header in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic YTpi",
        &anna.header[..70],
    ] {
        let answer = serving.ask("POST /v1/plugins/mine", &[("authorization", header)], b"x");
        answer.is(401, "unauthorized");
        assert!(answer.headers["www-authenticate"].starts_with("Bearer"));
        assert!(
            !answer.text().contains(&anna.header[7..]),
            "{}",
            answer.text()
        );
    }
    serving
        .ask("POST /v1/plugins/mine", &[], b"x")
        .is(401, "unauthorized");
    // These need none.
    serving.get("/healthz").says("ok\n");
}

#[test]
fn a_page_of_another_site_calls_nothing() {
    let serving = Serving::plainly(&[("echo", &echo())]);
    let ask = |origin: &str| serving.ask("POST /v1/plugins/echo", &[("origin", origin)], b"x");
    ask("https://example.com").is(403, "forbidden");
    ask("null").is(403, "forbidden");
    ask("http://localhost:81").is(403, "forbidden");
    // A page of the server's own host, which the test's client calls so.
    ask("http://localhost").says("x");
    serving
        .ask("GET /v1/plugins", &[("origin", "null")], b"")
        .is(403, "forbidden");
}

#[test]
fn values_are_a_plugin_s_own() {
    let config = "[defaults]\ngrants = [\"log\", \"state\"]\n";
    let counter = prebuilt("counter");
    let plugins: &[(&str, &[u8])] = &[("one", &counter), ("two", &counter)];
    let serving = Serving::with(config, plugins);
    let first = serving.post("one", b"key");
    assert_eq!(first.status, 200, "{}", first.text());
    let again = serving.post("one", b"key").text();
    assert_ne!(again, first.text());
    // The other plugin begins at the beginning.
    assert_eq!(serving.post("two", b"key").text(), first.text());
    // They outlive a reload.
    serving.reload(&format!("{config}queue = 7\n")).unwrap();
    assert_ne!(serving.post("one", b"key").text(), again);
}

#[test]
fn a_guest_s_answer_adds_no_header() {
    let wat = r#"(module (memory (export "memory") 1)
        (data (i32.const 0) "a\0d\0aset-cookie: b=c\0d\0a\0d\0a<script>alert(1)</script>")
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i32 i32) (i32.const 0) (i32.const 49)))"#;
    let serving = Serving::plainly(&[("forger", &wat::parse_str(wat).unwrap())]);
    let answer = serving.post("forger", b"");
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    assert_eq!(answer.body.len(), 49);
}

#[test]
fn nothing_is_granted_that_is_not_written_down() {
    let plugins: &[(&str, &[u8])] = &[
        ("customize", &prebuilt("customize")),
        ("counter", &prebuilt("counter")),
        ("echo", &echo()),
    ];
    let serving = Serving::with("", plugins);
    let names: Vec<_> = serving
        .server
        .not_loaded()
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    serving.post("echo", b"x").says("x");
    serving.post("customize", b"x").is(404, "unknown-plugin");
}

#[test]
fn a_plugin_that_fails_in_its_start_answers_with_an_error() {
    let wat = r#"(module (memory (export "memory") 1) (func $start unreachable) (start $start)
        (func (export "allocate") (param i32) (result i32) (i32.const 0))
        (func (export "process") (param i32 i32) (result i32 i32) (i32.const 0) (i32.const 0)))"#;
    let plugins: &[(&str, &[u8])] = &[
        ("broken", &wat::parse_str(wat).unwrap()),
        ("traps", &process("unreachable")),
    ];
    let serving = Serving::plainly(plugins);
    for _ in 0..3 {
        serving.post("broken", b"x").is(502, "trap-unreachable");
        serving.post("traps", b"x").is(502, "trap-unreachable");
    }
}

#[test]
fn a_request_for_another_name_needs_a_token() {
    let serving = Serving::with("", &[("echo", &echo())]);
    let named = |host: &str| {
        let mut client = serving.client();
        client.send(
            format!("POST /v1/plugins/echo HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\n\r\nx")
                .as_bytes(),
        );
        client.answer().unwrap()
    };
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:8080"] {
        named(host).says("x");
    }
    // A page of this name, whose owner leads the name to this machine, has the name as `Origin` too.
    for host in [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "",
    ] {
        named(host).is(403, "forbidden");
    }
    let serving = Serving::with("[server]\nanonymous = true\n", &[("echo", &echo())]);
    let answer = serving.ask("POST /v1/plugins/echo", &[], b"x");
    answer.says("x");
}

#[test]
fn an_address_beside_the_configuration_is_checked_as_the_one_in_it() {
    let files = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = ServeOptions {
        directory: files.path().to_owned(),
        config: None,
        listen: Some("0.0.0.0:0".parse().unwrap()),
    };
    let started = runtime.block_on(Server::start(options));
    let error = started.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("server.anonymous"), "{error}");
}

#[test]
fn a_request_with_two_tokens_is_refused() {
    let [anna, root] = [
        token("anna", "role = \"caller\"\nplugins = [\"echo\"]"),
        token("root", "role = \"admin\""),
    ];
    let config = format!("{}{}", anna.section, root.section);
    let serving = Serving::with(&config, &[("echo", &echo())]);
    let both = [
        ("authorization", &*anna.header),
        ("authorization", &*root.header),
    ];
    for line in [
        "POST /v1/plugins/echo",
        "GET /v1/logs",
        "DELETE /v1/plugins/echo",
    ] {
        serving.ask(line, &both, b"x").is(400, "bad-header");
    }
    serving
        .ask("POST /v1/plugins/echo", &both[..1], b"x")
        .says("x");
}

/// Each route that tells of a plugin, with a token of another plugin.
#[test]
fn a_token_reads_nothing_of_another_plugin() {
    let [anna, root] = [
        token("anna", "role = \"caller\"\nplugins = [\"mine\"]"),
        token("root", "role = \"admin\""),
    ];
    let config = format!(
        "[defaults]\ngrants = [\"log\", \"config\", \"state\"]\n{}{}",
        anna.section, root.section
    );
    let (counter, customize) = (prebuilt("counter"), prebuilt("customize"));
    let plugins: &[(&str, &[u8])] = &[
        ("mine", &counter),
        ("other", &counter),
        ("text", &customize),
    ];
    let serving = Serving::with(&config, plugins);
    let ask = |line: &str, header: &str| serving.ask(line, &[("authorization", header)], b"key");
    let first = ask("POST /v1/plugins/other", &root.header).text();
    assert_ne!(ask("POST /v1/plugins/other", &root.header).text(), first);
    ask("POST /v1/plugins/text", &root.header).says("DEFAULT_PREFIX_KEY");
    for line in [
        "POST /v1/plugins/other",
        "POST /v1/plugins/other/process",
        "GET /v1/plugins/other",
        "PUT /v1/plugins/other",
        "PUT /v1/plugins/mine",
        "DELETE /v1/plugins/other",
        "GET /v1/openapi/other",
        "GET /v1/versions/other",
        "GET /v1/versions/mine",
        "POST /v1/versions/other/rollback",
        "GET /v1/fleet",
        "GET /metrics",
        // Other spellings of the name.
        "POST /v1/plugins/%6fther",
        "GET /v1/plugins/OTHER",
        "GET /v1/plugins/*",
        "POST /v1/plugins/mine%2f..%2fother",
    ] {
        ask(line, &anna.header).is(403, "forbidden");
    }
    // One's own has values of its own, and is all that is listed.
    assert_eq!(ask("POST /v1/plugins/mine", &anna.header).text(), first);
    let listed = ask("GET /v1/plugins", &anna.header).text();
    assert!(
        listed.contains("mine") && !listed.contains("other"),
        "{listed}"
    );
    assert!(
        !ask("GET /v1/plugins/mine", &anna.header)
            .text()
            .contains("other")
    );
}

#[test]
fn a_guest_s_texts_add_no_header_and_no_event() {
    // An error of the guest's, and the same text in its log.
    let forged =
        "a\\0d\\0aset-cookie: b\\0d\\0a\\0d\\0adata: {}\\0a\\0aevent: missed\\0adata: 9\\0a\\0a";
    let length = 53;
    let wat = format!(
        r#"(module (import "env" "host_log" (func $log (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "{forged}")
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i32 i32)
            (call $log (i32.const 0) (i32.const {length}))
            (i32.const 0) (i32.const {length})))"#
    );
    let config = "[defaults]\ngrants = [\"log\"]\n";
    let serving = Serving::with(config, &[("forger", &wat::parse_str(wat).unwrap())]);
    let mut log = serving.client();
    log.request("GET /v1/logs", &[], b"");
    let answer = serving.post("forger", b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(answer.body.len(), length);
    // The log's stream has the text in one event.
    let found = std::iter::from_fn(|| log.line()).find(|line| line.contains("set-cookie"));
    let line = found.expect("the line comes");
    assert!(line.starts_with("data: {"), "{line}");
    assert!(line.contains("event: missed"), "{line}");
    // A name that is not that of a function is told in JSON.
    let unknown = serving.post("forger/a%0d%0aset-cookie:%20b", b"");
    unknown.is(404, "unknown-export");
    assert!(!unknown.headers.contains_key("set-cookie"));
}
