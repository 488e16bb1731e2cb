//! Calls of components, and of core modules with a contract: `run`, `bench`, `probe`, `inspect` and `snapshot`.

use super::{Ended, Files, conventions::server, guest, hostel, hostel_with_stdin};
use serde_json::{Value, json};

const HOST: &str = "hostel:example/host@0.1.0";

/// Guests with the contract of the world `plugin`.
const PLUGINS: [&str; 5] = [
    "rust_plugin",
    "rust_small",
    "c_plugin",
    "rust_module",
    "c_module",
];

fn component(name: &str) -> String {
    guest(&format!("components/{name}"))
}

/// Runs a call of a guest whose host returns the setting `prefix`, as WAVE.
fn call(name: &str, prefix: &str, call: &[&str]) -> Ended {
    let answer = format!("{HOST}#config={prefix}");
    let plugin = component(name);
    let host = ["--callback", "log=", "--callback", &answer, "--call"];
    hostel(&[&["run", &plugin], &host[..], call].concat())
}

/// Compares what a call prints with a result in WAVE.
#[track_caller]
fn expect(ended: Ended, expected: &str, what: &str) {
    let error = expected
        .strip_prefix("err(")
        .and_then(|error| error.strip_suffix(')'));
    let Some(error) = error else {
        let ended = ended.expect(0);
        assert_eq!(ended.text(), format!("{expected}\n"), "{what}");
        assert_eq!(ended.stderr, "", "{what}");
        return;
    };
    let ended = ended.expect(1);
    assert_eq!(ended.text(), "", "{what}");
    let error = error.trim_matches('"');
    let message = format!("error: the plugin returned an error: {error}\n");
    assert_eq!(ended.stderr, message, "{what}");
}

#[test]
fn every_call_of_the_small_guests_prints_its_result() {
    let expected = include_str!("../../../guests/components/expected.json");
    let expected: Value = serde_json::from_str(expected).expect("it is JSON");
    let cases = expected["cases"].as_array().expect("an array");
    let mut calls = 0;
    for case in cases {
        let kinds = case["kinds"].as_array().expect("an array");
        let guests: &[&str] = if kinds.contains(&json!("plugin")) {
            &PLUGINS
        } else if kinds.contains(&json!("composed")) {
            &["composed", "composed_rust"]
        } else {
            continue;
        };
        let prefix = match case["config"]["prefix"].as_str() {
            Some(prefix) => format!("some(\"{prefix}\")"),
            None => "none".to_owned(),
        };
        let steps = case["steps"].as_array().expect("an array");
        // Handles live in one instance: no text stands for them.
        if steps.iter().any(|step| step.get("handle").is_some()) {
            continue;
        }
        for step in steps {
            let text = step["call"].as_str().expect("a text");
            let result = step["result"].as_str().expect("a text");
            let text = match step["interface"].as_str() {
                Some(interface) => format!("{interface}#{text}"),
                None => text.to_owned(),
            };
            for guest in guests {
                expect(
                    call(guest, &prefix, &[&text]),
                    result,
                    &format!("{guest}: {text}"),
                );
                calls += 1;
            }
        }
    }
    assert!(calls >= 60, "{calls} calls");
}

#[test]
fn bytes_go_in_and_out_unchanged() {
    for name in PLUGINS {
        let ended = call(name, "some(\"CUSTOM\")", &["process", "hello world"]).expect(0);
        assert_eq!(ended.text(), "CUSTOM_HELLO WORLD", "{name}");
        let ended = call(name, "none", &["process"]).expect(0);
        assert_eq!(ended.text(), "DEFAULT_PREFIX_", "{name}");
    }
    let plugin = component("rust_small");
    let host = ["--callback", "log=", "--callback", "config=none"];
    // `process` is the function without --call.
    let run = [&["run", &plugin, "-"], &host[..]].concat();
    let ended = hostel_with_stdin(&run, "Grüße".as_bytes()).expect(0);
    assert_eq!(ended.text(), "DEFAULT_PREFIX_GRüßE");
    let told = hostel(&[&["run", &plugin, "x", "--json"], &host[..]].concat());
    let told = told.expect(0).json();
    assert_eq!(told["output"], "DEFAULT_PREFIX_X");
    assert!(told["fuel"]["call"].as_u64().is_some_and(|fuel| fuel > 100));
    assert_eq!(told["host_calls"], 2);
}

#[test]
fn what_is_no_call_is_told() {
    for (text, code, part) in [
        (
            "nope()",
            3,
            "the world exports no function `nope`; it exports `process`",
        ),
        ("nope", 3, "the world exports no function `nope`"),
        (
            "process(7)",
            2,
            "`process(7)`: expected `list<u8>`, found `7`, at character 9",
        ),
        (
            "text#customize({text: 5, style: {upper}})",
            2,
            "expected `string`, found `5`, at character 23",
        ),
        ("process([1]", 2, "expected a call such as"),
        ("process()", 2, "`process()`: "),
        (
            "text#customize",
            2,
            "write the arguments into the call: --call 'text#customize(...)'",
        ),
        (
            "[constructor]tally(\"a\")",
            2,
            "a handle to the resource `tally` has no text",
        ),
    ] {
        for name in ["rust_small", "rust_module"] {
            if name == "rust_module" && !text.contains('(') && !text.contains('#') {
                continue;
            }
            let ended = call(name, "none", &[text]).expect(code);
            assert!(ended.stderr.contains(part), "{text}: {}", ended.stderr);
        }
    }
    let ended = call("rust_small", "none", &["process([1])", "input"]).expect(2);
    assert!(ended.stderr.contains("takes no INPUT"), "{}", ended.stderr);
    let ended = call("rust_small", "none", &["process", "--numbers", "1"]).expect(2);
    assert!(ended.stderr.contains("--numbers"), "{}", ended.stderr);
    let ended = hostel(&["run", &guest("add"), "--call", "add(1, 2)"]).expect(3);
    assert!(
        ended.stderr.contains("can't read the contract"),
        "{}",
        ended.stderr
    );
}

#[test]
fn imports_are_answered_stubbed_or_told() {
    let plugin = component("rust_small");
    let ended = hostel(&["run", &plugin, "x"]).expect(3);
    for part in [
        "import `hostel:example/host@0.1.0#log` func(level: enum",
        "import `hostel:example/host@0.1.0#config` func(key: string) -> option<string>",
        "--callback 'hostel:example/host@0.1.0#log=VALUE'",
        "--stub 'hostel:example/host@0.1.0#log'",
    ] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    for stub in [
        "hostel:example/host@0.1.0#*",
        "hostel:example/host@0.1.0.*",
        "hostel:example/host@0.1.7#*",
        "hostel:example/host#*",
    ] {
        let ended = hostel(&["run", &plugin, "x", "--stub", stub]).expect(4);
        assert!(ended.stderr.contains("stub"), "{}", ended.stderr);
    }
    let other = ["run", &plugin, "x", "--stub", "hostel:example/host@0.2.0#*"];
    hostel(&other).expect(3);
    for (answer, part) in [
        (
            "nope=1",
            "the world imports no function `nope`; it imports `hostel:example/host@0.1.0#log`",
        ),
        (
            "config=nonee",
            "`config=nonee`: expected `option<string>`, found `nonee`, at character 8",
        ),
        ("log=7", "expected nothing: `log` has no result"),
        (
            "shop.price=1",
            "of a component, --callback answers one function each",
        ),
        (
            "echo",
            "of a component, --callback answers one function each",
        ),
        (
            "=1",
            "expected echo, fail:TEXT, @FILE, FUNCTION=VALUE or MODULE.NAME=VALUE",
        ),
    ] {
        let ended = hostel(&["run", &plugin, "x", "--callback", answer]).expect(2);
        assert!(ended.stderr.contains(part), "{answer}: {}", ended.stderr);
    }
    let ended = hostel(&[
        "run",
        &guest("add"),
        "--call",
        "add",
        "1",
        "2",
        "--callback",
        "f=1",
    ]);
    assert!(
        ended
            .expect(2)
            .stderr
            .contains("the plugin has no contract")
    );
}

#[test]
fn limits_of_a_call_hold_for_components() {
    let ended = call("rust_small", "none", &["process", "x", "--fuel", "100"]).expect(5);
    assert!(ended.stderr.contains("--fuel N"), "{}", ended.stderr);
    for option in [
        "--trace-calls",
        "--config=a=b",
        "--state=none",
        "--abi=native",
    ] {
        let ended = call("rust_small", "none", &["process", "x", option]).expect(2);
        let name = option.split('=').next().unwrap_or_default();
        let message = format!("{name} has no effect on a component: leave it out");
        assert!(ended.stderr.contains(&message), "{}", ended.stderr);
    }
    let limit = ["process", "x", "--limit", "functions=1"];
    let ended = call("rust_small", "none", &limit).expect(3);
    assert!(
        ended.stderr.contains("--limit functions="),
        "{}",
        ended.stderr
    );
    let limit = ["process", "x", "--limit", "component.modules=0"];
    let ended = call("rust_small", "none", &limit).expect(3);
    assert!(
        ended.stderr.contains("--limit component.modules=1"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_component_is_measured() {
    let plugin = component("rust_small");
    let host = [
        "--callback",
        "log=",
        "--callback",
        "config=none",
        "--calls",
        "20",
        "--json",
    ];
    let run = ["bench", &plugin, "--call", "process([104, 105])"];
    let told = hostel(&[&run, &host[..]].concat()).expect(0).json();
    let measured = &told["measured"];
    assert_eq!(measured["calls"], 20);
    assert_eq!(measured["errors"], json!([]));
    assert_eq!(measured["function"], "process([104, 105])");
    assert_eq!(measured["memory"]["linear"], 65536);
    let ended = hostel(&[&run, &host[..], &["--sliced"]].concat()).expect(2);
    assert!(
        ended
            .text()
            .contains("--sliced can call functions over bytes only"),
        "{}",
        ended.text()
    );
}

#[test]
fn a_component_is_probed() {
    let plugin = component("rust_small");
    let told = hostel(&["probe", &plugin, "--json"]).expect(3).json();
    assert_eq!(told["can_run"], false);
    assert_eq!(told["refusals"].as_array().map(Vec::len), Some(2));
    assert_eq!(told["footprint"]["instance"]["memory_at_start"], 65536);
    let stub = ["--stub", "hostel:example/host@0.1.0#*"];
    let told = hostel(&[&["probe", &plugin, "--json"], &stub[..]].concat());
    let told = told.expect(0).json();
    assert_eq!(
        (&told["can_run"], &told["grants"]),
        (&json!(true), &json!([]))
    );
    // Each limit that it exceeds is told, with the option that raises it.
    let small = ["--limit", "functions=2", "--limit", "exports=1"];
    let ended = hostel(&[&["probe", &plugin], &small[..], &stub].concat()).expect(3);
    for part in [
        "core module 0`: limit `functions`: 2 allowed",
        "component.module.exports",
        "--limit functions=",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    let small = ["component.instances=1", "component.depth=0", "locals=1"]
        .map(|limit| ["--limit", limit])
        .concat();
    let told = hostel(&[&["probe", &plugin, "--json"], &small[..], &stub].concat());
    let told = told.expect(3).json();
    let exceeded = told["refusals"].as_array().expect("refusals").iter();
    let exceeded: Vec<_> = exceeded.map(|one| one["cap"].as_str()).collect();
    for name in ["component.depth", "component.instances", "locals"] {
        assert!(exceeded.contains(&Some(name)), "{name}: {exceeded:?}");
    }
    assert_eq!(told["limits"]["component.instances"], 1);
    assert_eq!(told["limits"]["component.module.locals"], 1);
    for (name, grants) in [
        ("rust_report", json!(["wasi"])),
        ("rust_fetch", json!(["http", "wasi"])),
    ] {
        let told = hostel(&["probe", &component(name), "--json"]).expect(0);
        assert_eq!(told.json()["grants"], grants, "{name}");
    }
    let lowered = Files::new();
    let lowered = lowered.path("lowered.wasm");
    let lowered = super::path(&lowered);
    hostel(&["lower", &component("rust_fetch"), "-o", lowered]).expect(0);
    let told = hostel(&["inspect", lowered]).expect(0);
    for grant in ["grant `http`", "grant `wasi`"] {
        assert!(told.text().contains(grant), "{}", told.text());
    }
}

#[test]
fn a_component_is_inspected_with_what_lacks() {
    let report = component("rust_report");
    let told = hostel(&["inspect", &report, "--json"]).expect(0).json();
    assert_eq!(told["loads"], true);
    let plugin = component("rust_small");
    let told = hostel(&["inspect", &plugin, "--json"]).expect(3).json();
    assert_eq!(told["error"]["details"].as_array().map(Vec::len), Some(2));
    assert_eq!(told["component"]["memory"]["bytes"], 65536);
}

/// `inspect` and `probe` have --stub; `test` has neither it nor --callback, but keys of its file.
#[test]
fn advice_names_options_that_the_command_has() {
    let files = Files::new();
    let plugin = component("rust_small");
    for command in ["inspect", "probe"] {
        let ended = hostel(&[command, &plugin]).expect(3);
        let hint = ended.stderr.lines().last().expect("a hint");
        assert!(
            hint.contains("or `hostel run --callback 'hostel:example/host@0.1.0#log=VALUE'`; "),
            "{hint}"
        );
        assert!(
            hint.ends_with("--stub 'hostel:example/host@0.1.0#log'"),
            "{hint}"
        );
    }
    let probed = hostel(&["probe", &plugin]).expect(3);
    let needs = "needs grants  2 imports that the embedder supplies\n";
    assert!(probed.text().contains(needs), "{}", probed.text());
    for (case, hint) in [
        (
            "input = \"x\"",
            "\"hostel:example/host@0.1.0#log\" = { trap = true }",
        ),
        (
            "limits = { \"component.modules\" = 0 }",
            "raise the limit in the key `limits`: component.modules=1",
        ),
        ("abi = \"wapc\"", "`abi` has no effect on a component"),
        (
            "settings = { a = \"b\" }",
            "values of other imports in the table `host`",
        ),
    ] {
        let text = format!("[[case]]\nname = \"one\"\n{case}\n");
        let tests = files.file("tests.toml", text.as_bytes());
        let ended = hostel(&["test", &plugin, &tests]);
        assert!(ended.stderr.contains(hint), "{}", ended.stderr);
        for option in ["--callback", "--stub", "--limit", "--abi", "--config"] {
            assert!(!ended.stderr.contains(option), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_component_reaches_the_hosts_that_are_allowed() {
    let address = server("none").to_string();
    let fetch = component("rust_fetch");
    let call = format!("fetch(\"GET\", \"http://{address}/path\", [], none)");
    let run = |allowed: &[&str]| hostel(&[&["run", &fetch, "--call", &call], allowed].concat());
    let hint = format!("--allow-host http://{address}");
    let refused = run(&["--allow-host", "https://127.0.0.1"]).expect(1);
    let stderr = &refused.stderr;
    assert!(stderr.contains(&hint), "{stderr}");
    assert!(stderr.contains("HttpRequestDenied"), "{stderr}");
    let reached = run(&["--allow-host", &format!("http://{address}")]).expect(0);
    let body = b"false GET /path HTTP/1.1".map(|byte| byte.to_string());
    let body = format!("[{}]))\n", body.join(", "));
    let text = reached.text();
    assert!(
        text.starts_with("ok((200, [(") && text.ends_with(&body),
        "{text}"
    );
}

#[test]
fn a_core_module_with_a_contract_is_inspected_probed_and_measured_by_it() {
    let plugin = component("rust_module");
    let lacks = hostel(&["inspect", &plugin, "--json"]).expect(3).json();
    assert_eq!(lacks["module"]["abi"], "contract");
    let lacks = lacks["error"]["details"].as_array().expect("reasons");
    assert_eq!(lacks.len(), 2, "{lacks:?}");
    assert!(lacks[0].as_str().expect("a text").contains(HOST));
    let stub = format!("{HOST}#*");
    let stub = ["--stub", &stub, "--json"];
    let told = hostel(&[&["inspect", &plugin], &stub[..]].concat()).expect(0);
    assert_eq!(told.json()["loads"], true);
    let lacks = hostel(&["probe", &plugin, "--json"]).expect(3).json();
    assert_eq!(lacks["refusals"].as_array().map(Vec::len), Some(2));
    let told = hostel(&[&["probe", &plugin], &stub[..]].concat()).expect(0);
    assert_eq!(told.json()["can_run"], true);
    let config = format!("{HOST}#config=none");
    let host = ["--callback", "log=", "--callback", &config];
    let run = ["bench", &plugin, "hello", "--calls=20", "--json"];
    let measured = hostel(&[&run, &host[..]].concat()).expect(0).json();
    assert_eq!(measured["measured"]["errors"], json!([]));
}

#[test]
fn a_lowered_command_runs_as_its_component_does() {
    let (report, files) = (component("c_report"), Files::new());
    let lowered = files.path("lowered.wasm");
    let lowered = super::path(&lowered);
    hostel(&["lower", &report, "-o", lowered]).expect(0);
    let arguments = ["--arg=one", "--env", "KEY=value"];
    let run = |plugin: &str| hostel(&[&["run", plugin], &arguments[..]].concat()).expect(0);
    let own = |ended: &Ended| {
        ended
            .text()
            .split_once('\n')
            .map(|(_, rest)| rest.to_owned())
    };
    let (expected, found) = (run(&report), run(lowered));
    // All but the name of the program.
    assert_eq!(own(&expected), own(&found));
    assert_eq!(own(&found).as_deref(), Some("arg one\nenv KEY=value\n"));
    let told = hostel(&["probe", lowered, "--json"]).expect(0).json();
    assert_eq!(told["grants"], json!(["wasi"]));
    assert_eq!(told["limits"]["call_depth"], 10_000);
    let told = hostel(&["inspect", lowered]).expect(0);
    assert!(told.text().contains("grant `wasi`"), "{}", told.text());
    let measured = hostel(&["bench", lowered, "--calls=5", "--json"]).expect(0);
    assert_eq!(measured.json()["measured"]["errors"], json!([]));
}

#[test]
fn a_snapshot_of_a_component_is_one() {
    let files = Files::new();
    let output = files.path("out.wasm");
    let output = super::path(&output);
    let options = ["--callback", "log=", "--callback", "config=none"];
    let call = "text#customize({text: \"warm\", style: {upper}, frame: some(configured)})";
    for (guest, calls) in [
        ("rust_plugin", &["--call", "process", "warm up"][..]),
        ("rust_small", &["--call", call]),
        ("c_plugin", &["--call", call]),
        ("rust_module", &["--call", call]),
        ("composed", &["--call", "process", "warm up"]),
    ] {
        let guest = component(guest);
        let all = [&["snapshot", &guest, "-o", output][..], calls, &options].concat();
        let ended = hostel(&all).expect(0);
        let size = std::fs::metadata(output).unwrap().len();
        assert_eq!(ended.text(), format!("{output}: {size} bytes\n"));
        let run = |plugin| {
            let all = [&["run", plugin, "--call", "process", "hello"][..], &options].concat();
            hostel(&all).expect(0).text().to_owned()
        };
        assert_eq!(run(output), run(&guest), "{guest}");
    }
}

#[test]
fn a_snapshot_has_no_handles() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(component
  (import "wasi:cli/environment@0.2.6" (instance))
  (type $t (resource (rep i32)))
  (core func $new (canon resource.new $t))
  (func (export "keep") (param "n" u32) (result u32) (canon lift (core func $new))))"#,
    );
    let output = files.path("out.wasm");
    let all = [
        "snapshot",
        &plugin,
        "-o",
        super::path(&output),
        "--call",
        "keep(5)",
    ];
    let ended = hostel(&all).expect(3);
    let said = "the component holds a handle to a resource that the component defines";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert!(!output.exists());
}

#[test]
fn a_component_without_process_tells_the_functions_that_it_has() {
    let files = Files::new();
    let component = r#"(component
        (core module $code (func (export "double") (param i32) (result i32)
            (i32.mul (local.get 0) (i32.const 2))))
        (core instance $code (instantiate $code))
        (func (export "double") (param "number" u32) (result u32)
            (canon lift (core func $code "double"))))"#;
    let plugin = files.wat(component);
    for input in [&[][..], &["4"]] {
        let ended = hostel(&[&["run", &plugin], input].concat()).expect(3);
        for part in ["`process`", "hint: ", "--call 'double(VALUES)'"] {
            assert!(ended.stderr.contains(part), "{}", ended.stderr);
        }
    }
    let ended = hostel(&["run", &plugin, "--call", "double(4)"]).expect(0);
    assert_eq!(ended.text(), "8\n");
}
