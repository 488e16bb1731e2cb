//! New versions, rollback and removal over HTTP, and changes of the directory by hand.

use super::serving::{GivenToken, Serving, eventually, process, says, token};
use std::fs;

fn with_admin(plugins: &[(&str, &[u8])]) -> (Serving, GivenToken) {
    let admin = token("root", "role = \"admin\"");
    let config = format!(
        "[server]\nanonymous = true\nkeep_versions = 3\n{}",
        admin.section
    );
    (Serving::with(&config, plugins), admin)
}

#[test]
fn a_plugin_is_put_replaced_rolled_back_and_removed() {
    let (serving, admin) = with_admin(&[]);
    let auth = [("authorization", &*admin.header)];
    let put = |text: &str| serving.ask("PUT /v1/plugins/greeter", &auth, &says(text));
    let back = |query: &str| {
        serving.ask(
            &format!("POST /v1/versions/greeter/rollback{query}"),
            &auth,
            b"",
        )
    };
    let versions = || {
        let answer = serving.ask("GET /v1/versions/greeter", &auth, b"").json();
        let each = answer["versions"].as_array().unwrap().clone();
        let loaded = each.iter().position(|it| it["loaded"] == true);
        (each, loaded)
    };
    let first = put("one");
    assert_eq!(first.status, 201, "{}", first.text());
    let sha256 = first.json()["sha256"].as_str().unwrap().to_owned();
    serving.post("greeter", b"").says("one");
    assert_eq!(put("two").status, 200);
    assert_eq!(put("three").status, 200);
    serving.post("greeter", b"").says("three");
    let (kept, loaded) = versions();
    assert_eq!((kept.len(), loaded), (3, Some(2)));

    assert_eq!(back("").status, 200);
    serving.post("greeter", b"").says("two");
    // The version before that was the third one.
    assert_eq!(back("").status, 200);
    serving.post("greeter", b"").says("three");
    assert_eq!(back(&format!("?to={sha256}")).status, 200);
    serving.post("greeter", b"").says("one");
    let third = kept[2]["sha256"].as_str().unwrap();
    assert_eq!(back(&format!("?to={third}")).status, 200);
    serving.post("greeter", b"").says("three");
    back("?to=abc").is(400, "bad-query");
    back(&format!("?to={}", "0".repeat(64))).is(404, "unknown-version");

    // Not the version before by number, which may be the one that was rolled back from.
    assert_eq!(put("one").status, 200);
    assert_eq!(back("").status, 200);
    serving.post("greeter", b"").says("three");

    // The one that was not loaded for longest goes when there are too many.
    let second = kept[1]["sha256"].as_str().unwrap();
    assert_eq!(put("four").status, 200);
    back(&format!("?to={second}")).is(404, "unknown-version");

    assert_eq!(
        serving.ask("DELETE /v1/plugins/greeter", &auth, b"").status,
        204
    );
    serving.post("greeter", b"").is(404, "unknown-plugin");
    serving
        .ask("DELETE /v1/plugins/greeter", &auth, b"")
        .is(404, "unknown-plugin");
    // What was removed comes back.
    assert_eq!(back("").status, 200);
    serving.post("greeter", b"").says("four");
}

#[test]
fn a_module_that_does_not_fit_changes_nothing() {
    let (serving, admin) = with_admin(&[("greeter", &says("old"))]);
    let auth = [("authorization", &*admin.header)];
    let put = |wasm: &[u8]| serving.ask("PUT /v1/plugins/greeter", &auth, wasm);
    put(b"no module").is(422, "not-wasm");
    put(b"").is(422, "empty-module");
    let wat = r#"(module (import "env" "secrets" (func)) (func (export "f")))"#;
    let refused = put(&wat::parse_str(wat).unwrap());
    refused.is(422, "mismatch");
    assert!(refused.text().contains("env.secrets"), "{}", refused.text());
    serving.post("greeter", b"").says("old");
    let versions = serving.ask("GET /v1/versions/greeter", &auth, b"").json();
    // The loaded one is kept before the first change, and nothing else.
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1);
}

#[test]
fn only_an_administrator_changes_plugins() {
    let admin = token("root", "role = \"admin\"");
    let caller = token("anna", "role = \"caller\"\nplugins = [\"*\"]");
    let monitor = token("watch", "role = \"monitor\"");
    let config = [&*admin.section, &*caller.section, &*monitor.section].concat();
    let serving = Serving::with(&config, &[("greeter", &says("old"))]);
    for line in [
        "PUT /v1/plugins/greeter",
        "DELETE /v1/plugins/greeter",
        "GET /v1/versions/greeter",
        "POST /v1/versions/greeter/rollback",
    ] {
        for token in [&caller, &monitor] {
            let auth = [("authorization", &*token.header)];
            serving.ask(line, &auth, &says("new")).is(403, "forbidden");
        }
        serving.ask(line, &[], &says("new")).is(401, "unauthorized");
    }
    // Without a configuration nobody does.
    let plain = Serving::plainly(&[("greeter", &says("old"))]);
    plain
        .ask("PUT /v1/plugins/greeter", &[], &says("new"))
        .is(403, "forbidden");
    plain.post("greeter", b"").says("old");
    assert!(!plain.file(".hostel").exists());
}

#[test]
fn the_directory_is_watched() {
    let (serving, admin) = with_admin(&[("greeter", &says("old"))]);
    let install = |name: &str, wasm: &[u8]| {
        hostel_server::hostel::install_module(serving.file(name), wasm).unwrap();
    };
    install("greeter.wasm", &says("by hand"));
    eventually("new version", || {
        serving.post("greeter", b"").text() == "by hand"
    });
    install("second.wasm", &says("second"));
    eventually("new plugin", || serving.post("second", b"").status == 200);
    fs::remove_file(serving.file("second.wasm")).unwrap();
    eventually("removal", || serving.post("second", b"").status == 404);
    install("second.wasm", b"broken");
    eventually("refusal", || {
        serving
            .server
            .not_loaded()
            .iter()
            .any(|it| it.name == "second")
    });
    // What came by hand can be rolled back to.
    let auth = [("authorization", &*admin.header)];
    assert_eq!(
        serving
            .ask("PUT /v1/plugins/greeter", &auth, &says("new"))
            .status,
        200
    );
    serving.post("greeter", b"").says("new");
    assert_eq!(
        serving
            .ask("POST /v1/versions/greeter/rollback", &auth, b"")
            .status,
        200
    );
    serving.post("greeter", b"").says("by hand");
}

#[test]
fn a_slow_upload_keeps_nobody_from_changing_plugins() {
    let (serving, admin) = with_admin(&[]);
    let auth = [("authorization", &*admin.header)];
    let mut slow = serving.client();
    let wasm = says("slow");
    slow.send(format!(
        "PUT /v1/plugins/slow HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\ncontent-length: {}\r\n\r\n",
        admin.header,
        wasm.len()
    ));
    slow.send(&wasm[..10]);
    // Long before the time for a body has passed.
    let began = std::time::Instant::now();
    let put = serving.ask("PUT /v1/plugins/quick", &auth, &says("quick"));
    assert_eq!(put.status, 201, "{}", put.text());
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
    // Its token is looked at again when it has arrived.
    serving.reload("[server]\nanonymous = true\n").unwrap();
    slow.send(&wasm[10..]);
    slow.answer().unwrap().is(401, "unauthorized");
    serving.post("slow", b"").is(404, "unknown-plugin");
    serving.post("quick", b"").says("quick");
}

#[test]
fn calls_go_on_while_a_plugin_is_replaced() {
    let (serving, admin) = with_admin(&[("greeter", &says("0"))]);
    let auth = [("authorization", &*admin.header)];
    std::thread::scope(|threads| {
        let caller = threads.spawn(|| {
            let mut client = serving.client();
            let mut seen = std::collections::BTreeSet::new();
            while !seen.contains("20") {
                let answer = client.ask("POST /v1/plugins/greeter", &[], b"");
                assert_eq!(answer.status, 200, "{}", answer.text());
                seen.insert(answer.text());
            }
        });
        for number in 1..=20 {
            let text = number.to_string();
            assert_eq!(
                serving
                    .ask("PUT /v1/plugins/greeter", &auth, &says(&text))
                    .status,
                200
            );
        }
        caller.join().unwrap();
    });
    // A call ends in the version in which it began.
    let slow = process("(loop $on (br $on)) (local.get 0) (local.get 1)");
    assert_eq!(
        serving.ask("PUT /v1/plugins/slow", &auth, &slow).status,
        201
    );
}

#[test]
fn a_change_can_ask_for_the_version_that_it_replaces() {
    let (serving, admin) = with_admin(&[]);
    let change = |line: &str, condition: (&str, &str), body: &[u8]| {
        let headers = [("authorization", &*admin.header), condition];
        serving.ask(line, &headers, body)
    };
    let put = |condition, text: &str| change("PUT /v1/plugins/p", condition, &says(text));
    put(("if-match", "*"), "one").is(412, "precondition-failed");
    let first = put(("if-none-match", "*"), "one");
    assert_eq!(first.status, 201);
    let tag = format!("\"{}\"", first.json()["sha256"].as_str().unwrap());
    put(("if-none-match", "*"), "two").is(412, "precondition-failed");
    for wrong in ["", "\"", "a", "\"a\", W/\"b\"", "\u{ff}", &tag[1..]] {
        put(("if-match", wrong), "two").is(412, "precondition-failed");
        assert_eq!(put(("if-none-match", wrong), "one").status, 200, "{wrong}");
    }
    let both = format!("\"a\" , {tag}");
    assert_eq!(put(("if-match", &both), "two").status, 200);
    serving.post("p", b"").says("two");
    // It is replaced now.
    let old = ("if-match", &*tag);
    put(old, "three").is(412, "precondition-failed");
    for line in ["DELETE /v1/plugins/p", "POST /v1/versions/p/rollback"] {
        change(line, old, b"").is(412, "precondition-failed");
    }
    serving.post("p", b"").says("two");
    let any = ("if-match", "*");
    assert_eq!(change("DELETE /v1/plugins/p", any, b"").status, 204);
}

#[test]
fn an_unloaded_plugin_has_no_figures() {
    let (serving, admin) = with_admin(&[("stays", &says("a")), ("goes", &process("unreachable"))]);
    let metrics = || serving.get("/metrics").text();
    serving.post("stays", b"").says("a");
    serving.post("goes", b"").is(502, "trap-unreachable");
    serving.post("goes/none", b"").is(404, "unknown-export");
    let before = metrics();
    for series in [
        "hostel_calls_total{plugin=\"goes\",code=\"trap-unreachable\"} 1",
        "hostel_call_seconds_count{plugin=\"goes\"} 2",
        "hostel_plugin_info{plugin=\"goes\",",
    ] {
        assert!(before.contains(series), "{series}: {before}");
    }
    let auth = [("authorization", &*admin.header)];
    serving.ask("DELETE /v1/plugins/goes", &auth, b"");
    let after = metrics();
    assert!(!after.contains("goes"), "{after}");
    assert!(after.contains("hostel_calls_total{plugin=\"stays\",code=\"ok\"} 1"));
    // One of this name begins anew.
    serving.ask("PUT /v1/plugins/goes", &auth, &says("b"));
    serving.post("goes", b"").says("b");
    let again = metrics();
    assert!(
        again.contains("hostel_call_seconds_count{plugin=\"goes\"} 1"),
        "{again}"
    );
    assert!(!again.contains("trap-unreachable"), "{again}");
}
