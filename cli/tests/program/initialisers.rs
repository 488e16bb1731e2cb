//! Plugins that are initialised before their functions are called: each subcommand says so alike.

use super::{Files, hostel, path};
use serde_json::{Value, json};

/// Plugins by the export that initialises them. `limit` returns 640 then, else 0.
fn plugins(files: &Files) -> [(&'static str, String); 3] {
    ["__wasm_call_ctors", "_initialize", "_start"].map(|name| {
        let text = format!(
            r#"(module (memory (export "memory") 1) (global $limit (mut i32) (i32.const 0))
                (func (export "{name}") (global.set $limit (i32.const 640)))
                (func (export "limit") (result i32) (global.get $limit)))"#
        );
        let wasm = wat::parse_str(text).expect("it is WAT");
        (name, files.file(&format!("{name}.wasm"), &wasm))
    })
}

#[test]
fn each_subcommand_initialises_a_plugin() {
    let files = Files::new();
    let out = files.path("out.wasm");
    let out = path(&out);
    for (name, plugin) in plugins(&files) {
        let ended = hostel(&["run", &plugin, "--call", "limit"]).expect(0);
        assert_eq!(ended.text(), "640\n", "{name}");
        let told = hostel(&["run", &plugin, "--call", "limit", "--json"]).expect(0);
        assert_eq!(told.json()["output"], "640\n", "{name}");
        hostel(&["probe", &plugin]).expect(0);
        let bench = [
            "bench", &plugin, "--call", "limit", "--calls", "10", "--json",
        ];
        let told = hostel(&bench).expect(0).json();
        assert_eq!(told["measured"]["errors"], json!([]), "{name}: {told}");
        for call in [&[][..], &["--call", "limit"]] {
            let all = [&["snapshot", &plugin, "-o", out][..], call].concat();
            hostel(&all).expect(0);
            let ended = hostel(&["run", out, "--call", "limit"]).expect(0);
            assert_eq!(ended.text(), "640\n", "{name}");
        }
    }
}

#[test]
fn inspect_names_what_initialises_a_plugin() {
    let files = Files::new();
    for (name, plugin) in plugins(&files) {
        let ended = hostel(&["inspect", &plugin]).expect(0);
        let when = match name {
            "_start" => "before another function is called",
            _ => "when an instance is made",
        };
        let line = ended
            .text()
            .lines()
            .find(|line| line.contains("initializer"));
        let line = line.expect("a line for it");
        assert!(
            line.contains(&format!("`{name}`")) && line.ends_with(when),
            "{line}"
        );
        let told = hostel(&["inspect", &plugin, "--json"]).expect(0).json();
        assert_eq!(told["module"]["initializers"], json!([name]));
    }
}

/// A plugin that exports `_start` and `process` is no command to `run`, nor to `inspect`.
#[test]
fn inspect_and_run_agree_on_commands() {
    let files = Files::new();
    let process = r#"(func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i32 i32) (i32.const 0) (i32.const 4))"#;
    for (items, abi, says, output) in [
        ("", "WASI command", "`run`", ""),
        (process, "native", "`run` with numbers", "done"),
    ] {
        let plugin = files.wat(&format!(
            r#"(module (memory (export "memory") 1)
                (func (export "_start") (i32.store (i32.const 0) (i32.const 0x656e6f64))) {items})"#
        ));
        let told = hostel(&["inspect", &plugin, "--json"]).expect(0).json();
        assert_eq!(told["module"]["abi"], abi);
        let ended = hostel(&["inspect", &plugin]).expect(0);
        let start = ended.text().lines().find(|line| line.contains("  _start "));
        assert!(start.expect("a line for it").ends_with(says));
        let ended = hostel(&["run", &plugin]).expect(0);
        assert_eq!(ended.text(), output);
    }
}

#[test]
fn a_command_that_fails_before_its_function_is_called_says_what_to_build() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (func (export "_start") (call $exit (i32.const 3)))
            (func (export "limit") (result i32) (i32.const 640)))"#,
    );
    let ended = hostel(&["run", &plugin, "--call", "limit", "--json"]);
    let told: Value = ended.json();
    assert_eq!(told["error"]["code"], "exited");
    let message = told["error"]["message"].as_str().expect("a text");
    assert!(message.ends_with("as a reactor"), "{message}");
}
