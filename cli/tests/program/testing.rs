//! `hostel test`: the cases of a file.

use super::{Ended, Files, command, guest, hostel, path};
use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

/// Runs the cases `text` on a plugin.
fn run(files: &Files, plugin: &str, text: &str) -> Ended {
    let tests = files.file("tests.toml", text.as_bytes());
    hostel(&["test", plugin, &tests])
}

/// Expects that all cases pass.
#[track_caller]
fn pass(plugin: &str, text: &str) {
    let ended = run(&Files::new(), plugin, text).expect(0);
    assert!(
        ended.text().ends_with(" passed, 0 failed\n"),
        "{}",
        ended.text()
    );
}

/// Expects that the first case fails, with these lines.
#[track_caller]
fn fails(plugin: &str, text: &str, lines: &[&str]) {
    let ended = run(&Files::new(), plugin, text).expect(1);
    let found: Vec<_> = ended.text().lines().collect();
    assert!(found[0].starts_with("FAILED  "), "{found:?}");
    let below: Vec<_> = found[1..]
        .iter()
        .map_while(|line| line.strip_prefix("        "))
        .collect();
    assert_eq!(below, lines);
}

/// Expects that the file is refused before anything runs.
#[track_caller]
fn refused(plugin: &str, text: &str, code: i32, messages: &[&str]) {
    let ended = run(&Files::new(), plugin, text).expect(code);
    assert_eq!(ended.text(), "");
    for message in messages {
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}

#[test]
fn a_plugin_is_called_with_settings_and_its_log_is_compared() {
    pass(
        &guest("customize"),
        r#"
            settings = { prefix = "CUSTOM" }
            [[case]]
            name = "text"
            input = "hello world"
            [case.expect]
            output = "CUSTOM_HELLO WORLD"
            log_contains = [{ level = "info", contains = "" }]
            fuel = { min = 100, max = "1M" }
            [[case]]
            name = "other setting"
            settings = { prefix = "X" }
            input = { hex = "61 62" }
            [case.expect]
            output = { base64 = "WF9BQg==" }
        "#,
    );
}

#[test]
fn differences_are_told() {
    let files = Files::new();
    let plugin = files.process(
        "(call $log (local.get $ptr) (local.get $size)) (local.get $ptr) (local.get $size)",
    );
    fails(
        &plugin,
        r#"
            [[case]]
            name = "all of them"
            input = "grey"
            [case.expect]
            output = "gray"
            log = [{ level = "warn", text = "grey" }, "more"]
            fuel = 1
            state = { key = "value" }
            exit = 3
        "#,
        &[
            "output: character 3 differs",
            "expected \"gray\"",
            "found    \"grey\"",
            "exit code: expected 3, found 0",
            "log record 1: expected [warn] \"grey\", found [info] \"grey\"",
            "log record 2: expected [any level] \"more\", found none",
        ]
        .into_iter()
        .chain([
            &*fuel_line(&plugin),
            "state \"key\": expected \"value\", found none",
        ])
        .collect::<Vec<_>>(),
    );
    fails(
        &plugin,
        "[[case]]\nname = \"a\"\ninput = \"x\"\n[case.expect]\nerror = { code = \"trap\", contains = \"y\" }",
        &[
            "expected an error of the code trap with \"y\"",
            "found the output \"x\"",
        ],
    );
}

/// Returns the line about fuel of a call with the input `grey`.
fn fuel_line(plugin: &str) -> String {
    let ended = hostel(&["run", plugin, "grey", "--json"]).expect(0);
    format!("fuel: expected 1, found {}", ended.json()["fuel"]["call"])
}

#[test]
fn errors_are_compared_by_code_and_text() {
    let files = Files::new();
    // Answers with an error of the first 3 bytes.
    let plugin = files.process("(local.get $ptr) (i32.const 0x80000003)");
    pass(
        &plugin,
        r#"
            [[case]]
            name = "its text"
            input = "why not"
            [case.expect]
            error = "why"
            [[case]]
            name = "its code"
            input = "why not"
            [case.expect]
            error = { code = "guest-error", contains = "hy" }
            [[case]]
            name = "fuel"
            input = "why"
            fuel = 1
            [case.expect]
            error = { code = "out-of-fuel" }
            [[case]]
            name = "a limit"
            input = "why"
            limits = { input_bytes = 2 }
            [case.expect]
            error = { code = "input-too-large" }
        "#,
    );
    fails(
        &plugin,
        "[[case]]\nname = \"a\"\ninput = \"why\"\n[case.expect]\noutput = \"\"",
        &["error: why (guest-error)"],
    );
    fails(
        &plugin,
        "[[case]]\nname = \"a\"\ninput = \"why\"\n[case.expect]\nerror = { code = \"trap-stub\", text = \"who\" }",
        &[
            "error code: expected trap-stub, found guest-error",
            "error: character 3 differs",
            "expected \"who\"",
            "found    \"why\"",
        ],
    );
}

#[test]
fn state_is_set_before_and_compared_after() {
    let plugin = guest("counter");
    let ended = run(
        &Files::new(),
        &plugin,
        r#"
            [[case]]
            name = "first"
            input = "a"
            [[case]]
            name = "second"
            continues = true
            input = "a"
            [[case]]
            name = "fresh"
            input = "a"
        "#,
    )
    .expect(0);
    assert_eq!(ended.text().lines().count(), 4, "{}", ended.text());
    // A fresh instance has the state of its case alone.
    let output = |state: &str, continues: bool, expected: &str| {
        let state = match state {
            "" => String::new(),
            state => format!("state = {{ {state} }}\n"),
        };
        format!(
            "[[case]]\nname = \"a\"\ncontinues = {continues}\ninput = \"a\"\n{state}[case.expect]\noutput = {{ contains = \"{expected}\" }}\n"
        )
    };
    let text = [
        output("", false, "1"),
        output("", true, "2"),
        output("", false, "1"),
    ]
    .concat();
    pass(&plugin, &text);
}

/// Imports functions in all shapes, and one that it can do without.
const IMPORTS: &str = r#"(module
    (import "shop" "price" (func $price (param i32 i32 f64) (result i32)))
    (import "shop" "name" (func $name (param i64) (result i64)))
    (import "shop" "find" (func $find (param i32 i32)))
    (import "shop" "none" (func $none))
    (memory (export "memory") 1)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "price") (result i32) (call $price (i32.const 0) (i32.const 0) (f64.const 0)))
    (func (export "name") (param i32 i32) (result i64) (call $name (i64.const 1)))
    (func (export "find") (result i32)
        (call $find (i32.const 64) (i32.const 0))
        (i32.add (i32.mul (i32.load (i32.const 64)) (i32.const 1000)) (i32.load (i32.const 68))))
    (func (export "none") (call $none)))"#;

#[test]
fn host_functions_are_answered_by_their_types() {
    let files = Files::new();
    let plugin = files.wat(IMPORTS);
    pass(
        &plugin,
        r#"
            [host]
            "shop.price" = 1999
            "shop.name" = "lamp"
            "shop.find" = { some = 7 }
            "shop.none" = { trap = true }
            [[case]]
            name = "a number"
            call = "price"
            expect = { output = "1999" }
            [[case]]
            name = "a text"
            call = "name"
            input = ""
            expect = { output = "lamp" }
            [[case]]
            name = "by pointer"
            call = "find"
            expect = { output = 1007 }
            [[case]]
            name = "absent"
            call = "find"
            host = { "shop.find" = { none = true } }
            expect = { output = 0 }
            [[case]]
            name = "a trap"
            call = "none"
            expect = { error = { code = "trap-stub", contains = "shop.none" } }
            [[case]]
            name = "an error"
            call = "price"
            host = { "shop.price" = { error = "closed" } }
            expect = { error = { contains = "closed" } }
            [[case]]
            name = "nothing"
            call = "none"
            host = { "shop.none" = { nothing = true } }
        "#,
    );
    let case =
        |host: &str| format!("[[case]]\nname = \"one\"\ncall = \"none\"\n[case.host]\n{host}");
    let message = [
        "case `one`",
        "does not import `shop.prize`",
        "did you mean `shop.price`?",
    ];
    refused(&plugin, &case("\"shop.prize\" = 1"), 2, &message);
    let message = ["can't answer `shop.price`", "(i32, i32, f64) -> i32"];
    refused(&plugin, &case("\"shop.price\" = \"text\""), 2, &message);
    refused(
        &plugin,
        &case("\"shop.none\" = 1"),
        2,
        &["does not return one number"],
    );
    refused(&plugin, &case(""), 3, &["4 problems", "shop.price"]);
}

#[test]
fn other_conventions_are_tested_too() {
    pass(
        &guest("wapc_kit"),
        r#"
            host = { "*" = { echo = true } }
            [[case]]
            name = "echoed"
            call = "ask"
            input = "one"
            expect = { output = { contains = "one" } }
            [[case]]
            name = "refused"
            call = "ask"
            input = "one"
            host = { "*" = { error = "not today" } }
            expect = { error = { code = "guest-error", contains = "not today" } }
        "#,
    );
    pass(
        &guest("extism_ask"),
        r#"
            [[case]]
            name = "extism's import"
            call = "ask"
            input = "key"
            host = { "extism:host/user.lookup" = "found" }
            expect = { output = "the host says: found" }
        "#,
    );
    pass(
        &guest("extism_customize"),
        r#"
            settings = { prefix = "CUSTOM" }
            [[case]]
            name = "extism"
            input = "hello world"
            expect = { output = "CUSTOM_HELLO WORLD" }
        "#,
    );
    let files = Files::new();
    let component = files.wat(
        r#"(component
            (import "price" (func $price (param "article" string) (result u32)))
            (core module $libc (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
            (core instance $libc (instantiate $libc))
            (core func $lowered (canon lower (func $price) (memory (core memory $libc "memory"))))
            (core module $code
                (import "host" "price" (func $price (param i32 i32) (result i32)))
                (func (export "twice") (param i32) (result i32)
                    (i32.add (local.get 0) (call $price (i32.const 0) (i32.const 0)))))
            (core instance $code (instantiate $code
                (with "host" (instance (export "price" (func $lowered))))))
            (func (export "sum") (param "more" u32) (result u32)
                (canon lift (core func $code "twice"))))"#,
    );
    pass(
        &component,
        "host = { price = 40 }\n[[case]]\nname = \"a\"\ncall = \"sum(2)\"\nexpect = { output = 42 }",
    );
}

#[test]
fn a_command_gets_its_input_as_stdin() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read"
                (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\10\00\00\00\40\00\00\00")
            (func (export "_start")
                (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (call $exit (i32.const 3))))"#,
    );
    pass(
        &plugin,
        "[[case]]\nname = \"a\"\ninput = \"hello\"\nexpect = { output = \"hello\", exit = 3 }\n[[case]]\nname = \"b\"\ninput = \"other\"\nexpect = { output = \"other\", exit = 3 }",
    );
    fails(
        &plugin,
        "[[case]]\nname = \"a\"\n",
        &["exit code: expected 0, found 3"],
    );
}

#[test]
fn files_are_found_beside_the_tests() {
    let files = Files::new();
    let plugin = files.process("(local.get $ptr) (local.get $size)");
    files.file("in.bin", b"\0\xff");
    let text = "[[case]]\nname = \"a\"\ninput = { file = \"in.bin\" }\nexpect = { output = { file = \"in.bin\" } }";
    run(&files, &plugin, text).expect(0);
    let text = "[[case]]\nname = \"a\"\ninput = { file = \"no.bin\" }";
    let ended = run(&files, &plugin, text).expect(2);
    assert!(
        ended
            .stderr
            .contains("tests.toml:3:9: `case[0].input`: can't read")
    );
}

#[test]
fn nothing_runs_if_the_file_has_a_fault() {
    let files = Files::new();
    let plugin = files.process("(local.get $ptr) (local.get $size)");
    let good = "[[case]]\nname = \"good\"\n";
    let tests = [
        good,
        "[[case]]\nname = \"bad\"\nfule = 1\n[case.expect]\noutput = 1.5.\n",
    ]
    .concat();
    refused(&plugin, &tests, 2, &["1 fault in ", "tests.toml:7:13"]);
    let tests = [good, "[[case]]\nname = \"bad\"\nfule = 1\n"].concat();
    let message = "tests.toml:5:1: there is no key `case[1].fule`: did you mean `fuel`?";
    refused(&plugin, &tests, 2, &[message]);
    let tests = [good, "[[case]]\nname = \"bad\"\ncall = \"missing\"\n"].concat();
    refused(&plugin, &tests, 3, &["case `bad`", "`missing`"]);
    let missing = hostel(&["test", &plugin, path(&files.path("none.toml"))]).expect(2);
    assert!(missing.stderr.contains("can't read the tests"));
    hostel(&[
        "test",
        path(&files.path("none.wasm")),
        &files.file("t.toml", good.as_bytes()),
    ])
    .expect(3);
}

#[test]
fn a_filter_runs_a_case_and_those_that_it_continues() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module (global $count (mut i32) (i32.const 0))
            (func (export "next") (result i32)
                (global.set $count (i32.add (global.get $count) (i32.const 1)))
                (global.get $count)))"#,
    );
    let case = |name: &str, continues: bool, output: u32| {
        format!(
            "[[case]]\nname = \"{name}\"\ncontinues = {continues}\ncall = \"next\"\nexpect = {{ output = {output} }}\n"
        )
    };
    let text = [
        case("one", false, 1),
        case("two", true, 2),
        case("three", false, 1),
    ]
    .concat();
    let tests = files.file("tests.toml", text.as_bytes());
    let ended = hostel(&["test", &plugin, &tests, "--filter", "two"]).expect(0);
    assert!(ended.text().ends_with("2 passed, 0 failed, 1 left out\n"));
    let ended = hostel(&["test", &plugin, &tests, "--filter", "four"]).expect(2);
    assert!(
        ended
            .stderr
            .contains("the cases are: `one`, `two`, `three`")
    );
}

#[test]
fn a_report_is_written_as_xml() {
    let files = Files::new();
    let plugin = files.process("(local.get $ptr) (local.get $size)");
    let text =
        "[[case]]\nname = \"<good>\"\n[[case]]\nname = \"bad\"\nexpect = { output = \"x\" }\n";
    let tests = files.file("tests.toml", text.as_bytes());
    let report = files.path("report.xml");
    hostel(&["test", &plugin, &tests, "--junit", path(&report)]).expect(1);
    let report = std::fs::read_to_string(&report).expect("there is a report");
    assert!(report.contains("tests=\"2\" failures=\"1\""));
    assert!(report.contains("<testcase name=\"&lt;good&gt;\""));
    assert!(report.contains("<failure message=\"output: character 1 differs\">"));
    let folder = path(&files.path("none/report.xml")).to_owned();
    let ended = hostel(&["test", &plugin, &tests, "--junit", &folder]).expect(2);
    assert!(ended.stderr.contains("can't write"));
}

#[test]
fn watching_runs_again_after_a_change() {
    let files = Files::new();
    let plugin = files.process("(local.get $ptr) (local.get $size)");
    let case = |output: &str| {
        format!("[[case]]\nname = \"a\"\ninput = \"x\"\nexpect = {{ output = \"{output}\" }}\n")
    };
    let tests = files.file("tests.toml", case("long").as_bytes());
    let mut child = command(&["test", &plugin, &tests, "--watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let out = child.stdout.take().expect("stdout is a pipe");
    let mut lines = BufReader::new(out)
        .lines()
        .map(|line| line.expect("it is text"));
    let mut until = |end: &str| lines.by_ref().find(|line| line == end).expect("more lines");
    until("0 passed, 1 failed");
    files.file("tests.toml", case("x").as_bytes());
    until("1 passed, 0 failed");
    // A fault does not end it.
    files.file("tests.toml", b"fault = 1");
    let mut err = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
    assert!(err.any(|line| {
        line.expect("it is text")
            .contains("there is no key `fault`")
    }));
    files.file("tests.toml", case("").as_bytes());
    until("0 passed, 1 failed");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn requests_get_the_responses_of_the_case() {
    let fetch = guest("components/rust_fetch");
    pass(
        &fetch,
        r#"
            [http."GET http://api.example/price"]
            status = 404
            headers = { x = "y" }
            body = "none"
            [[case]]
            name = "status, headers and body"
            call = 'fetch("GET", "http://api.example/price", [], none)'
            [case.expect]
            output = 'ok((404, [("x", [121])], [110, 111, 110, 101]))'
            [[case]]
            name = "body alone, of this case"
            http = { "POST http://api.example/price" = { json = [1] } }
            call = 'fetch("POST", "http://api.example/price", [], none)'
            [case.expect]
            output = { contains = "ok((200, [], [91, 49, 93]))" }
            [[case]]
            name = "nothing else is reached"
            call = 'fetch("GET", "http://127.0.0.1/", [], none)'
            [case.expect]
            error = { contains = "HttpRequestDenied" }
        "#,
    );
    let files = Files::new();
    let extism = files.wat(super::conventions::HTTP);
    pass(
        &extism,
        r#"
            abi = "extism"
            http = { "GET https://api.example/" = "answer" }
            [[case]]
            name = "a plugin of Extism"
            call = "get"
            input = { json = { url = "https://api.example/" } }
            [case.expect]
            output = "answer"
            [[case]]
            name = "a response that the case lacks"
            call = "get"
            input = { json = { url = "https://api.example/other" } }
            [case.expect]
            error = { contains = "the table `http` has no response to `GET https://api.example/other`" }
        "#,
    );
    let ended = run(
        &files,
        &extism,
        "[[case]]\nname = \"a\"\nhttp = { \"GET x\" = { status = 99 }, \"GET y\" = { sttus = 1 } }\n",
    );
    let ended = ended.expect(2);
    assert!(
        ended.stderr.contains("expected 100 to 599, found 99"),
        "{}",
        ended.stderr
    );
}
