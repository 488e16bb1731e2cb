//! `hostel run`, `bench`, `inspect`, `probe` and `snapshot` with manifests of Extism plugins.

use super::{Ended, Files, command, hostel, path};

/// Returns a block's bytes as they are, and logs nothing.
const LIBRARY: &str = r#"(module
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (memory 1)
    (func (export "size") (param i64) (result i64) (call $length (local.get 0))))"#;

const MAIN: &str = r#"(module
    (import "library" "size" (func $size (param i64) (result i64)))
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "f")
    (func (export "echo") (call $output (call $input) (call $size (call $input))))
    (func (export "spin") (loop (br 0)))
    (func (export "directories") (result i32)
      (local $fd i32)
      (local.set $fd (i32.const 3))
      (loop $next
        (if (i32.eqz (call $prestat (local.get $fd) (i32.const 16)))
          (then (local.set $fd (i32.add (local.get $fd) (i32.const 1))) (br $next))))
      (i32.sub (local.get $fd) (i32.const 3)))
    (func (export "create") (result i32)
      (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1)
        (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16))))"#;

/// Writes the modules, and a manifest with `more` fields. Returns the manifest's path.
fn manifest(files: &Files, more: &str) -> String {
    for (name, text) in [("library.wasm", LIBRARY), ("main.wasm", MAIN)] {
        files.file(name, &wat::parse_str(text).expect("it is WAT"));
    }
    let text = format!(
        r#"{{"wasm": [{{"path": "library.wasm", "name": "library"}}, {{"path": "main.wasm"}}]{more}}}"#
    );
    files.file("manifest.json", text.as_bytes())
}

#[test]
fn a_manifest_is_run_in_place_of_a_plugin() {
    let files = Files::new();
    let json = manifest(&files, "");
    let unnamed = files.file("unnamed", &std::fs::read(&json).expect("it was written"));
    let toml = "[[wasm]]\npath = 'library.wasm'\nname = 'library'\n[[wasm]]\npath = 'main.wasm'\n";
    let toml = files.file("manifest.toml", toml.as_bytes());
    for manifest in [&json, &unnamed, &toml] {
        let ran = hostel(&["run", manifest, "--call", "echo", "hello"]).expect(0);
        assert_eq!(ran.text(), "hello");
    }
    let bench = [
        "bench", &json, "hello", "--call", "echo", "--calls", "20", "--json",
    ];
    assert_eq!(
        hostel(&bench).expect(0).json()["measured"]["errors"],
        serde_json::json!([])
    );
    let snapshot = hostel(&["snapshot", &json, "-o", path(&files.path("out.wasm"))]).expect(2);
    assert!(
        snapshot.stderr.contains("begins with one module"),
        "{}",
        snapshot.stderr
    );
    let traced = hostel(&["run", &json, "--call", "echo", "--trace-calls"]).expect(2);
    assert!(
        traced.stderr.contains("several modules"),
        "{}",
        traced.stderr
    );
    let broken = files.file("broken.json", br#"{"wasm": [], "wams": 1}"#);
    for command in ["run", "inspect", "probe"] {
        let refused = hostel(&[command, &broken]).expect(3);
        assert!(
            refused
                .stderr
                .contains("unknown field `wams`, expected one of `wasm`"),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn a_manifests_limits_narrow_those_of_the_options() {
    let files = Files::new();
    let quick = manifest(&files, r#", "timeout_ms": 50"#);
    for more in [&[][..], &["--timeout", "1h"]] {
        let late = hostel(&[&["run", &quick, "--call", "spin"], more].concat()).expect(6);
        assert!(
            late.stderr.contains("50ms") || late.stderr.contains("50 ms"),
            "{}",
            late.stderr
        );
    }
    let small = manifest(&files, r#", "memory": {"max_pages": 1}"#);
    let refused = hostel(&["run", &small, "--call", "echo", "--memory", "1GiB"]).expect(3);
    assert!(
        refused.stderr.contains("65536 allowed, 131072 found"),
        "{}",
        refused.stderr
    );
    let probed = hostel(&["probe", &small, "--json"]).expect(3).json();
    assert_eq!(probed["limits"]["memory_bytes"], 65_536);
    assert_eq!(probed["refusals"][0]["found"], 131_072);
}

#[test]
fn a_manifest_opens_directories_below_those_of_dir_only() {
    let files = Files::new();
    let data = files.path("data");
    std::fs::create_dir(&data).expect("a directory can be made");
    let asks = manifest(&files, r#", "allowed_paths": {"data": "/data"}"#);
    std::fs::create_dir(files.path("other")).expect("a directory can be made");
    let (data, folder) = (path(&data), path(files.0.path()));
    let run = |more: &[&str]| {
        let run = ["run", &*asks, "--call", "create"];
        hostel(&[&run, more].concat())
    };
    let refused = run(&[]).expect(3);
    for word in ["`data`", "is not permitted", "--dir", "--trust-manifest"] {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    run(&["--dir", path(&files.path("other"))]).expect(3);
    // Errno 69: a file system for reading.
    let reads = run(&["--dir", data]).expect(1);
    assert!(reads.stderr.contains("the code 69"), "{}", reads.stderr);
    for more in [
        &["--dir", &format!("{data}:rw")][..],
        &["--dir", &format!("{folder}:rw")],
        &["--trust-manifest"],
    ] {
        run(more).expect(0);
        assert!(
            std::fs::remove_file(files.path("data/f")).is_ok(),
            "{more:?}"
        );
    }
    let misspelt = run(&["--dir", data, "--dir", "nosuch"]).expect(2);
    assert!(
        misspelt.stderr.contains("can't open the directory nosuch"),
        "{}",
        misspelt.stderr
    );
    // What is permitted is not granted beyond what the manifest names, unless it gets a name.
    let count = |more: &[&str]| {
        let run = ["run", &*asks, "--call", "directories", "--dir", folder];
        let told = hostel(&[&run, more].concat()).expect(1).stderr;
        let code = told.split("the code ").nth(1).expect("a code");
        code.split(',').next().expect("a number").to_owned()
    };
    assert_eq!(count(&[]), "1");
    assert_eq!(count(&["--dir", &format!("{data}:/other")]), "2");
}

#[test]
fn inspect_and_probe_show_each_module() {
    let files = Files::new();
    let json = manifest(&files, "");
    let shown = hostel(&["inspect", &json]).expect(0);
    for words in [
        "module `library`",
        "module `main`",
        "library.size",
        "grant `wasi`",
    ] {
        assert!(shown.text().contains(words), "{}", shown.text());
    }
    let told = hostel(&["inspect", &json, "--json"]).expect(0).json();
    assert_eq!(told["loads"], true);
    assert_eq!(told["modules"][0]["name"], "library");
    assert_eq!(told["modules"][1]["module"]["exports"][0]["name"], "memory");
    let probed = hostel(&["probe", &json, "--json"]).expect(0).json();
    assert_eq!(probed["footprint"]["instance"]["memory_at_start"], 131_072);
    assert_eq!(probed["grants"], serde_json::json!(["extism", "wasi"]));
    let cycle = r#"(module (import "main" "f" (func)) (func (export "f")))"#;
    files.file("library.wasm", &wat::parse_str(cycle).expect("it is WAT"));
    files.file(
        "main.wasm",
        &wat::parse_str(r#"(module (import "library" "f" (func)) (func (export "f")))"#)
            .expect("it is WAT"),
    );
    for command in ["run", "inspect", "probe"] {
        let refused = hostel(&[command, &json]).expect(3);
        assert!(
            refused
                .stderr
                .contains("in a cycle: `library` → `main` → `library`"),
            "{}",
            refused.stderr
        );
    }
    files.file("main.wasm", b"<html>");
    for command in ["run", "inspect", "probe"] {
        let refused = hostel(&[command, &json]).expect(3);
        for words in ["manifest.json", "main.wasm: not a WebAssembly module"] {
            assert!(refused.stderr.contains(words), "{}", refused.stderr);
        }
    }
    // The only one, which lacks a module.
    let only = r#"(module (import "b" "g" (func))
        (import "extism:host/env" "input_offset" (func (result i64))))"#;
    files.file("only.wasm", &wat::parse_str(only).expect("it is WAT"));
    let lacks = files.file("only.json", br#"{"wasm": [{"path": "only.wasm"}]}"#);
    let refused = hostel(&["run", &lacks]).expect(3);
    for words in [
        "only.json, module ",
        "only.wasm: 1 problem",
        "link a module named `b`",
    ] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    files.file("main.wasm", &wat::parse_str(MAIN).expect("it is WAT"));
    files.file("library.wasm", b"\0asm\x01\0\0\0");
    let refused = hostel(&["run", &json]).expect(3);
    assert!(
        refused.stderr.contains("manifest.json, module `main`"),
        "{}",
        refused.stderr
    );
    assert!(
        refused
            .stderr
            .contains("the module of this name exports: none"),
        "{}",
        refused.stderr
    );
}

#[test]
fn modules_outside_of_the_folder_are_read_only_if_the_operator_permits() {
    let files = Files::new();
    let inner = files.path("inner");
    std::fs::create_dir(&inner).expect("a directory can be made");
    let add = r#"(module (func (export "one") (result i32) (i32.const 1)))"#;
    files.file("outer.wasm", &wat::parse_str(add).expect("it is WAT"));
    let json = files.file("inner/m.json", br#"{"wasm": [{"path": "../outer.wasm"}]}"#);
    let folder = path(files.0.path());
    for command in ["run", "inspect", "probe"] {
        let refused = hostel(&[command, &json]).expect(3);
        assert!(
            refused.stderr.contains("outside of the manifest's folder"),
            "{}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("--trust-manifest"),
            "{}",
            refused.stderr
        );
    }
    for command in ["inspect", "probe"] {
        hostel(&[command, &json, "--trust-manifest"]).expect(0);
    }
    // A manifest without a folder lies in the one in which the program runs.
    files.file("m.json", br#"{"wasm": [{"path": "outer.wasm"}]}"#);
    let mut here = command(&["inspect", "m.json"]);
    let ran: Ended = here.current_dir(folder).output().expect("it starts").into();
    ran.expect(0);
    for more in [&["--trust-manifest"][..], &["--dir", folder]] {
        let run = ["run", &json, "--call", "one"];
        // It is called, and returns a code that is no success.
        let ran = hostel(&[&run, more].concat()).expect(1);
        assert!(ran.stderr.contains("the code 1"), "{}", ran.stderr);
    }
}

#[test]
fn inspect_and_probe_read_modules_of_a_manifest_within_a_bound() {
    let files = Files::new();
    let json = files.file("m.json", br#"{"wasm": [{"path": "large.wasm"}]}"#);
    let large = files.file("large.wasm", b"\0asm\x01\0\0\0");
    let file = std::fs::OpenOptions::new().write(true).open(&large);
    // Without contents on the disk.
    let length = file.and_then(|file| file.set_len(65 << 20));
    length.expect("a file can be made longer");
    for command in ["inspect", "probe"] {
        let refused = hostel(&[command, &json]).expect(3);
        assert!(
            refused
                .stderr
                .contains("68157440 bytes, the limits allow 67108864"),
            "{}",
            refused.stderr
        );
        let read = hostel(&[command, &json, "--limit", "module_bytes=70MiB"]).expect(3);
        assert!(!read.stderr.contains("the limits allow"), "{}", read.stderr);
        let single = hostel(&[command, &large]).expect(3);
        assert!(!single.stderr.contains("67108864"), "{}", single.stderr);
    }
}
