//! `hostel run` and `inspect` with plugins of other conventions.

use super::{Ended, Files, command, hostel, path};

const EXTISM: &str = r#"(module
    (import "extism:host/env" "input_offset" (func $at (result i64)))
    (import "extism:host/env" "input_length" (func $len (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (func (export "echo") (result i32) (call $output (call $at) (call $len)) (i32.const 0))
    (func (export "fails") (result i32) (i32.const 4)))"#;

/// Asks the host by the payload, and responds with its answer, or fails with its error.
const WAPC: &str = r#"(module
    (import "wapc" "__guest_request" (func $request (param i32 i32)))
    (import "wapc" "__guest_response" (func $respond (param i32 i32)))
    (import "wapc" "__guest_error" (func $fail (param i32 i32)))
    (import "wapc" "__host_call" (func $host (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wapc" "__host_response_len" (func $response_len (result i32)))
    (import "wapc" "__host_response" (func $response (param i32)))
    (import "wapc" "__host_error_len" (func $error_len (result i32)))
    (import "wapc" "__host_error" (func $error (param i32)))
    (memory (export "memory") 1)
    (func (export "_start"))
    (func (export "__guest_call") (param $op i32) (param $len i32) (result i32)
      (call $request (i32.const 0) (i32.const 1000))
      (if (result i32) (call $host (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (local.get $op) (i32.const 1000) (local.get $len))
        (then (call $response (i32.const 2000))
          (call $respond (i32.const 2000) (call $response_len)) (i32.const 1))
        (else (call $error (i32.const 2000))
          (call $fail (i32.const 2000) (call $error_len)) (i32.const 0)))))"#;

const TYPST: &str = r#"(module
    (import "typst_env" "wasm_minimal_protocol_write_args_to_buffer" (func $args (param i32)))
    (import "typst_env" "wasm_minimal_protocol_send_result_to_host" (func $send (param i32 i32)))
    (memory (export "memory") 1)
    (func (export "join") (param $a i32) (param $b i32) (result i32)
      (call $args (i32.const 0))
      (call $send (i32.const 0) (i32.add (local.get $a) (local.get $b))) (i32.const 0)))"#;

#[test]
fn an_extism_plugin_takes_one_input() {
    let files = Files::new();
    let plugin = files.wat(EXTISM);
    let run = |arguments: &[&str]| hostel(&[&["run", &plugin], arguments].concat());
    assert_eq!(run(&["--call", "echo", "hello"]).expect(0).text(), "hello");
    assert_eq!(run(&["--call", "echo"]).expect(0).text(), "");
    let failed = run(&["--call", "fails"]).expect(1);
    assert!(failed.stderr.contains("the code 4"), "{}", failed.stderr);
    let several = run(&["--call", "echo", "two", "words"]).expect(2);
    assert!(
        several.stderr.contains("\"two words\""),
        "{}",
        several.stderr
    );
    let unknown = run(&["hello"]).expect(3);
    assert!(unknown.stderr.contains("`process`"), "{}", unknown.stderr);
}

#[test]
fn a_wapc_plugin_gets_the_answer_of_callback() {
    let files = Files::new();
    let (plugin, answer) = (files.wat(WAPC), files.path("answer"));
    std::fs::write(&answer, "from a file").unwrap();
    let run = |callback: &[&str]| {
        hostel(&[&["run", &plugin, "--call", "say", "hello"], callback].concat())
    };
    assert_eq!(run(&["--callback", "echo"]).expect(0).text(), "hello");
    let from_file = format!("@{}", path(&answer));
    assert_eq!(
        run(&["--callback", &from_file]).expect(0).text(),
        "from a file"
    );
    let failed = run(&["--callback", "fail:not today"]).expect(1);
    assert!(failed.stderr.contains("not today"), "{}", failed.stderr);
    let none = run(&[]).expect(1);
    assert!(none.stderr.contains("no callback"), "{}", none.stderr);
    let unknown = run(&["--callback", "shout"]).expect(2);
    assert!(unknown.stderr.contains("fail:TEXT"), "{}", unknown.stderr);
}

#[test]
fn the_file_of_callback_is_a_plain_one_within_the_budget() {
    let files = Files::new();
    for (text, call) in [(WAPC, "say"), (ASKS, "asks")] {
        let plugin = files.wat(text);
        let answer = files.path("answer");
        std::fs::write(&answer, "12345678").unwrap();
        let run = |file: &str, more: &[&str]| {
            let callback = format!("@{file}");
            let all = ["run", &plugin, "--call", call, "x", "--callback", &callback];
            hostel(&[&all[..], more].concat())
        };
        let file = path(&answer);
        let within = run(file, &["--limit", "bytes_to_guest=8"]);
        assert!(!within.stderr.contains("--callback"), "{}", within.stderr);
        let over = run(file, &["--limit", "bytes_to_guest=7"]).expect(2);
        let hint = "--limit bytes_to_guest=N";
        assert!(over.stderr.contains(hint), "{}", over.stderr);
        let absent = run(path(&files.path("absent")), &[]).expect(2);
        assert!(absent.stderr.contains("--callback"), "{}", absent.stderr);
        // Neither is read: one has no end, and the other is no file.
        let directory = answer.parent().unwrap();
        let endless = cfg!(unix).then_some("/dev/zero");
        for other in [path(directory)].into_iter().chain(endless) {
            let refused = run(other, &[]).expect(2);
            let stderr = &refused.stderr;
            assert!(stderr.contains("expected a plain file"), "{stderr}");
        }
    }
}

#[test]
fn a_typst_plugin_takes_an_input_for_each_parameter() {
    let files = Files::new();
    let plugin = files.wat(TYPST);
    let run = |inputs: &[&str]| hostel(&[&["run", &plugin, "--call", "join"], inputs].concat());
    assert_eq!(run(&["one", "two"]).expect(0).text(), "onetwo");
    let few = run(&["one"]).expect(2);
    assert!(
        few.stderr.contains("`join` takes 2 INPUTs: found 1"),
        "{}",
        few.stderr
    );
    let many = run(&["one", "two", "three"]).expect(2);
    assert!(
        many.stderr.contains("`join` takes 2 INPUTs: found 3"),
        "{}",
        many.stderr
    );
}

#[test]
fn abi_sets_the_convention_and_inspect_shows_it() {
    let files = Files::new();
    let plain = files.wat(r#"(module (func (export "five") (result i32) (i32.const 5)))"#);
    let as_numbers = hostel(&["run", &plain, "--call", "five"]).expect(0);
    assert_eq!(as_numbers.text(), "5\n");
    let as_extism = hostel(&["run", &plain, "--call", "five", "--abi", "extism"]).expect(1);
    assert!(
        as_extism.stderr.contains("the code 5"),
        "{}",
        as_extism.stderr
    );
    let unknown = hostel(&["run", &plain, "--abi", "wasi"]).expect(2);
    assert!(unknown.stderr.contains("typst"), "{}", unknown.stderr);

    let bare = r#"(module (memory (export "memory") 1)
        (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))"#;
    for (text, reason) in [
        (EXTISM, "by the import `extism:host/env."),
        (WAPC, "by the import `wapc."),
        (
            TYPST,
            "by the import `typst_env.wasm_minimal_protocol_write_args_to_buffer`",
        ),
        (bare, "by the export `__guest_call`"),
        (
            r#"(module (func (export "_start")))"#,
            "by the export `_start`",
        ),
        ("(module)", "by the lack of an exported memory"),
    ] {
        let plugin = files.wat(text);
        let shown = hostel(&["inspect", &plugin]);
        let shown = shown.text();
        assert!(shown.contains(reason), "{shown}");
        let told = hostel(&["inspect", &plugin, "--json"]).json();
        let told = told["module"]["abi_reason"]
            .as_str()
            .expect("a text")
            .to_owned();
        assert!(told.starts_with(reason), "{told}");
    }
    for (text, name) in [(EXTISM, "extism"), (WAPC, "wapc"), (TYPST, "typst")] {
        let shown = hostel(&["inspect", &files.wat(text)]).expect(0);
        let shown = shown.text();
        assert!(
            shown.contains(&format!("ABI             {name}")),
            "{shown}"
        );
        assert!(shown.contains(&format!("grant `{name}`")), "{shown}");
        let probed = hostel(&["probe", &files.wat(text)]).expect(0);
        let probed = probed.text();
        assert!(
            probed.contains(&format!("needs grants  {name}")),
            "{probed}"
        );
    }
}

#[test]
fn inspect_shows_what_the_convention_calls() {
    let files = Files::new();
    let shown = |text: &str| {
        hostel(&["inspect", &files.wat(text)])
            .expect(0)
            .text()
            .to_owned()
    };
    let wapc = shown(WAPC);
    assert!(
        wapc.contains("`_start`") && wapc.contains("when an instance is made"),
        "{wapc}"
    );
    assert!(wapc.contains("`run` with operations"), "{wapc}");
    let extism = shown(EXTISM);
    assert!(
        extism.contains("`run` with bytes") && !extism.contains("with numbers"),
        "{extism}"
    );
    assert!(shown(TYPST).contains("`run` with arguments"));
}

#[test]
fn functions_that_the_embedder_would_supply_are_told_as_such() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module (import "extism:host/user" "kv" (func (param i64) (result i64))) (func (export "f")))"#,
    );
    let refused = hostel(&["run", &plugin, "--call", "f"]).expect(3);
    assert!(
        refused
            .stderr
            .contains("embedder's: --callback ANSWER of `hostel run` answers it")
            && !refused.stderr.contains("Extism::")
            && refused.stderr.contains("--callback ANSWER, or, if"),
        "{}",
        refused.stderr
    );
}

/// Sends the input as request, and returns the response.
pub(super) const HTTP: &str = r#"(module
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "extism:host/env" "http_request" (func $http (param i64 i64) (result i64)))
    (func (export "get") (local $at i64)
      (local.set $at (call $http (call $input) (i64.const 0)))
      (call $output (local.get $at) (call $length (local.get $at)))))"#;

/// Starts a server that returns each request's lines without the secret, and tells whether it was there.
pub(super) fn server(secret: &'static str) -> std::net::SocketAddr {
    use std::io::{BufRead as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let lines = std::io::BufReader::new(connection.try_clone().unwrap()).lines();
            let head: Vec<_> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let found = head.iter().any(|line| line.contains(secret));
            let body = format!("{found} {}", head[0]);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            // The program may have gone.
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn an_extism_plugin_reaches_the_hosts_that_are_allowed() {
    const SECRET: &str = "s3cr3t-0123456789";
    let files = Files::new();
    let plugin = files.wat(HTTP);
    let address = server(SECRET).to_string();
    let json = format!(r#"{{"url":"http://{address}/path"}}"#);
    let run = |arguments: &[&str]| {
        let all = [&["run", &plugin, "--call", "get", &json], arguments].concat();
        let mut command = command(&all);
        // No proxy is used, whatever the environment says.
        for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
            command.env(name, "http://127.0.0.1:1");
        }
        command.env("TOKEN", SECRET).env("SHORT", "1234567");
        Ended::from(command.output().unwrap())
    };
    let hint = format!("--allow-host http://{address}");
    let refused = run(&[]).expect(4);
    assert!(refused.stderr.contains(&hint), "{}", refused.stderr);
    let other = run(&["--allow-host", "https://127.0.0.1"]).expect(4);
    assert!(other.stderr.contains(&hint), "{}", other.stderr);
    let allowed = [
        "--allow-host",
        "example.org",
        "--allow-host",
        &format!("http://{address}"),
    ];
    let reached = run(&allowed).expect(0);
    assert_eq!(reached.text(), "false GET /path HTTP/1.1");
    let with = |header: &str| run(&[&allowed[..], &["--http-header", header]].concat());
    let header = format!("http://{address} Authorization: Bearer ${{TOKEN}}");
    let secret = with(&header).expect(0);
    assert_eq!(secret.text(), "true GET /path HTTP/1.1");
    for (header, expected) in [
        ("Authorization: x", "HOST NAME: VALUE"),
        // Of an http server, but without its scheme, and of none of the allowed hosts.
        (&format!("{address} Authorization: x"), "https is meant"),
        (
            "b Authorization: ${TOKEN}",
            "`https://b` is not among the allowed hosts",
        ),
        ("a Authorization: ${ABSENT_FROM_ALL}", "`ABSENT_FROM_ALL`"),
        ("a Authorization: ${SHORT}", "7 bytes"),
        ("*.a Authorization: ${TOKEN}", "one host"),
    ] {
        let wrong = with(header).expect(2);
        assert!(wrong.stderr.contains(expected), "{}", wrong.stderr);
        assert!(!wrong.stderr.contains("123456"), "{}", wrong.stderr);
    }
    let alone = run(&["--http-header", &header]).expect(2);
    assert!(alone.stderr.contains("--allow-host"), "{}", alone.stderr);
    let wrong = run(&["--allow-host", "ftp://a"]).expect(2);
    assert!(wrong.stderr.contains("[SCHEME://]HOST"), "{}", wrong.stderr);
}

#[test]
fn refused_requests_name_the_option_that_allows_them() {
    let files = Files::new();
    let plugin = files.wat(HTTP);
    let run = |plugin: &str, url: &str, more: &[&str]| {
        let json = format!(r#"{{"url":"{url}"}}"#);
        let all = ["run", plugin, "--call", "get", &json];
        let stderr = hostel(&[&all[..], more].concat()).expect(4).stderr;
        assert!(!stderr.contains("Extism::"), "{stderr}");
        stderr
    };
    // The name is allowed, but not its address.
    let local = run(
        &plugin,
        "http://localhost:9/",
        &["--allow-host", "localhost"],
    );
    let [v4, v6] = ["http://127.0.0.1:9", "http://[::1]:9"];
    let hint = |at: &str| format!("--allow-host {at}");
    let named = local.contains(&hint(v4)) || local.contains(&hint(v6));
    assert!(named && local.contains("not public"), "{local}");
    // No option gives what the manifest does not ask for.
    let manifest = |hosts: &str| {
        let text = format!(r#"{{"wasm": [{{"path": "plugin.wasm"}}]{hosts}}}"#);
        files.file("plugin.json", text.as_bytes())
    };
    let none = run(&manifest(""), "http://a.test/", &["--allow-host", "a.test"]);
    assert!(none.contains("`allowed_hosts` of the manifest"), "{none}");
    let hosts = r#", "allowed_hosts": ["b.test"]"#;
    let other = run(
        &manifest(hosts),
        "http://a.test/",
        &["--allow-host", "a.test"],
    );
    let expected = "not among the hosts of the plugin's manifest";
    assert!(
        other.contains(expected) && !other.contains("--allow-host"),
        "{other}"
    );
}

#[test]
fn a_plugin_that_wants_http_is_told_as_such() {
    let files = Files::new();
    let plugin = files.wat(HTTP);
    let shown = hostel(&["inspect", &plugin]).expect(0);
    assert!(shown.text().contains("grant `http`"), "{}", shown.text());
    let probed = hostel(&["probe", &plugin]).expect(0);
    let needs = "needs grants  extism, http";
    assert!(probed.text().contains(needs), "{}", probed.text());
}

/// Imports a function that its `f` never calls, and one with a dot in its module's name.
const NEEDY: &str = r#"(module
    (import "env" "fork" (func $fork (param i64 externref) (result f32 i32)))
    (import "wasi:io/poll@0.2.0" "poll" (func $poll))
    (func (export "f") (result i32) (i32.const 7))
    (func (export "polls") (call $poll)))"#;

#[test]
fn stubbed_imports_let_a_plugin_run_until_it_calls_one() {
    let files = Files::new();
    let plugin = files.wat(NEEDY);
    let stubs = ["--stub", "env.fork", "--stub", "wasi:io/poll@0.2.0.*"];
    for command in ["run", "bench"] {
        let options: &[&str] = if command == "bench" {
            &["--calls", "3"]
        } else {
            &[]
        };
        let refused = hostel(&[&[command, &plugin, "--call", "f"], options].concat()).expect(3);
        assert!(
            refused.stderr.contains(
                "hint: answer it with --callback 'env.fork=VALUE', or, if the plugin can do without the function, \
                 add --stub env.fork"
            ),
            "{}",
            refused.stderr
        );
        hostel(&[&[command, &plugin, "--call", "f"], options, &stubs].concat()).expect(0);
    }
    let stopped = hostel(&[&["run", &plugin, "--call", "polls"], &stubs[..]].concat()).expect(4);
    assert!(
        stopped.stderr.contains("only a stub")
            && stopped.stderr.contains("`wasi:io/poll@0.2.0#poll`"),
        "{}",
        stopped.stderr
    );
    for command in ["probe", "inspect"] {
        hostel(&[command, &plugin]).expect(3);
        hostel(&[&[command, &plugin], &stubs[..]].concat()).expect(0);
    }
    let output = files.path("snapshot.wasm");
    let snapshot = ["snapshot", &plugin, "--output", path(&output)];
    hostel(&snapshot).expect(3);
    hostel(&[&snapshot[..], &stubs].concat()).expect(0);
    for wrong in ["env", ".fork", "env."] {
        let usage = hostel(&["run", &plugin, "--stub", wrong]).expect(2);
        assert!(usage.stderr.contains("MODULE.NAME"), "{}", usage.stderr);
    }
}

/// Asks the host by two functions of the embedder's, and returns the answer of the first.
const ASKS: &str = r#"(module
    (import "extism:host/user" "ask" (func $ask (param i64 i64) (result i64)))
    (import "extism:host/user" "tell" (func $tell))
    (import "extism:host/env" "input_offset" (func $at (result i64)))
    (import "extism:host/env" "length" (func $len (param i64) (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (func (export "asks") (local $v i64)
      (call $tell)
      (local.set $v (call $ask (call $at) (i64.const 0)))
      (call $output (local.get $v) (call $len (local.get $v)))))"#;

#[test]
fn an_extism_plugin_gets_the_answer_of_callback() {
    let files = Files::new();
    let (plugin, answer) = (files.wat(ASKS), files.path("answer"));
    std::fs::write(&answer, "from a file").unwrap();
    let run = |callback: &[&str]| {
        hostel(&[&["run", &plugin, "--call", "asks", "hello"], callback].concat())
    };
    assert_eq!(run(&["--callback", "echo"]).expect(0).text(), "hello");
    let from_file = format!("@{}", path(&answer));
    assert_eq!(
        run(&["--callback", &from_file]).expect(0).text(),
        "from a file"
    );
    let failed = run(&["--callback", "fail:not today"]).expect(4);
    assert!(failed.stderr.contains("not today"), "{}", failed.stderr);
    run(&[]).expect(3);
    let bench = [
        "bench",
        &plugin,
        "--call",
        "asks",
        "hello",
        "--calls",
        "3",
        "--callback",
        "echo",
    ];
    hostel(&bench).expect(0);
}

#[test]
fn a_snapshot_derives_a_typst_plugin() {
    let files = Files::new();
    let plugin = files.wat(&TYPST.replace(
        r#"(func (export "join")"#,
        r#"(global $len (mut i32) (i32.const 0))
           (func (export "keep") (param $a i32) (result i32)
             (call $args (i32.const 0)) (global.set $len (local.get $a)) (i32.const 0))
           (func (export "kept") (result i32)
             (call $send (i32.const 0) (global.get $len)) (i32.const 0))
           (func (export "join")"#,
    ));
    let derived = files.path("derived.wasm");
    let derived = path(&derived);
    hostel(&["snapshot", &plugin, "--call", "keep", "milk", "-o", derived]).expect(0);
    assert_eq!(
        hostel(&["run", derived, "--call", "kept"]).expect(0).text(),
        "milk"
    );
    assert_eq!(
        hostel(&["run", &plugin, "--call", "kept"]).expect(0).text(),
        ""
    );
}
