//! `hostel run`, `snapshot` and `inspect` with plugins made with other hosts' own kits.

use super::{Files, guest, hostel, path};

#[test]
fn an_extism_kit_has_settings_variables_and_errors() {
    let files = Files::new();
    for name in ["extism_kit", "as_extism_kit"] {
        let plugin = guest(name);
        let run = |arguments: &[&str]| hostel(&[&["run", &plugin, "--call"], arguments].concat());
        assert_eq!(run(&["greet", "Ann"]).expect(0).text(), "Hello, Ann!");
        let greeted = run(&["greet", "Ann", "--config", "greeting=Moin"]).expect(0);
        assert_eq!(greeted.text(), "Moin, Ann!");
        let failed = run(&["fail", "too late"]).expect(1);
        assert!(failed.stderr.contains("too late"), "{}", failed.stderr);
        // In a file, variables outlive the program.
        let state = files.path(name);
        for expected in ["1", "2"] {
            let counted = run(&["count", "Ann", "--state", path(&state)]).expect(0);
            assert_eq!(counted.text(), expected, "{name}");
        }
        assert_eq!(run(&["count", "Ann"]).expect(0).text(), "1");
    }
}

#[test]
fn an_extism_kit_gets_the_answer_of_callback() {
    let plugin = guest("extism_ask");
    let run = |callback: &str| {
        let arguments = ["run", &plugin, "--call", "ask", "one"];
        hostel(&[&arguments[..], &["--callback", callback]].concat())
    };
    // Echo returns the first argument, the key.
    assert_eq!(run("echo").expect(0).text(), "the host says: one");
    let stopped = run("fail:not today").expect(4);
    assert!(stopped.stderr.contains("not today"), "{}", stopped.stderr);
}

#[test]
fn logs_and_traps_of_kits_are_told() {
    let logged = hostel(&["run", &guest("extism_kit"), "--call", "log", "hello"]).expect(0);
    for line in ["extism_kit [warn]: hello", "extism_kit: hello"] {
        assert!(logged.stderr.contains(line), "{}", logged.stderr);
    }
    let logged = hostel(&["run", &guest("wapc_kit"), "--call", "log", "hello"]).expect(0);
    assert!(
        logged.stderr.contains("wapc_kit: hello"),
        "{}",
        logged.stderr
    );
    for name in ["extism_kit", "wapc_kit"] {
        hostel(&["run", &guest(name), "--call", "panic"]).expect(4);
    }
    hostel(&["run", &guest("typst_kit"), "--call", "panic"]).expect(4);
}

#[test]
fn an_extism_kit_has_no_http_by_itself() {
    let arguments = ["--call", "fetch", "http://127.0.0.1:9/"];
    let refused = hostel(&[&["run", &guest("extism_kit")], &arguments[..]].concat()).expect(4);
    assert!(refused.stderr.contains("HTTP"), "{}", refused.stderr);
}

#[test]
fn a_wapc_kit_gets_the_answer_of_callback() {
    let plugin = guest("wapc_kit");
    let run = |arguments: &[&str]| hostel(&[&["run", &plugin, "--call"], arguments].concat());
    let echoed = run(&["ask", "one", "--callback", "echo"]).expect(0);
    assert_eq!(echoed.text(), "one");
    let failed = run(&["ask", "one", "--callback", "fail:not today"]).expect(1);
    assert!(failed.stderr.contains("not today"), "{}", failed.stderr);
    let tried = run(&["try", "one", "--callback", "fail:not today"]).expect(0);
    assert!(tried.text().starts_with("refused: "), "{}", tried.text());
    let unknown = run(&["dance"]).expect(1);
    assert!(unknown.stderr.contains("dance"), "{}", unknown.stderr);
}

#[test]
fn a_snapshot_of_a_typst_kit_is_its_transition() {
    let files = Files::new();
    let (base, derived) = (guest("typst_kit"), files.path("derived.wasm"));
    let derived = path(&derived);
    hostel(&["snapshot", &base, "--call", "count", "--output", derived]).expect(0);
    for (plugin, expected) in [(&*base, "1"), (derived, "2"), (derived, "2")] {
        let counted = hostel(&["run", plugin, "--call", "count"]).expect(0);
        assert_eq!(counted.text(), expected);
    }
    let joined = hostel(&["run", derived, "--call", "join", "one", "two", "three"]).expect(0);
    assert_eq!(joined.text(), "one*two*three");
}

/// As Go's compiler makes Extism's plugins without `-buildmode=c-shared`.
#[test]
fn start_is_a_function_like_any_other_of_an_extism_plugin() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (import "extism:host/env" "input_offset" (func $at (result i64)))
            (import "extism:host/env" "input_length" (func $len (result i64)))
            (import "extism:host/env" "output_set" (func $output (param i64 i64)))
            (func (export "_start") (call $output (call $at) (call $len))))"#,
    );
    let started = hostel(&["run", &plugin, "--call", "_start", "hello"]).expect(0);
    assert_eq!(started.text(), "hello");
    // A command takes none.
    let command = files.wat(r#"(module (func (export "_start")))"#);
    let refused = hostel(&["run", &command, "--call", "_start", "hello"]).expect(2);
    assert!(refused.stderr.contains("no INPUT"), "{}", refused.stderr);
}
