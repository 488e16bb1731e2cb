//! `hostel snapshot`.

use super::{Files, guest, hostel, path};
use serde_json::json;

/// A plugin whose `sum` returns the number of bytes learned, from 1000.
const LEARNER: &str = r#"(module
    (memory (export "memory") 1)
    (global $sum (mut i32) (i32.const 0))
    (func $start (global.set $sum (i32.const 1000)))
    (start $start)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "learn") (param $ptr i32) (param $size i32) (result i64)
      (global.set $sum (i32.add (global.get $sum) (local.get $size)))
      (i64.const 0))
    (func (export "add") (param i32)
      (global.set $sum (i32.add (global.get $sum) (local.get 0))))
    (func (export "sum") (result i32) (global.get $sum))
    (func (export "fail") unreachable))"#;

#[test]
fn a_snapshot_starts_where_the_plugin_was() {
    let files = Files::new();
    let (plugin, out) = (files.wat(LEARNER), files.path("learned.wasm"));
    let out = path(&out);
    for (arguments, sum) in [
        (&[][..], "1000\n"),
        (&["--call", "learn", "12345"], "1005\n"),
        (&["--call", "add", "7"], "1007\n"),
    ] {
        let all = [&["snapshot", &plugin, "--output", out][..], arguments].concat();
        let ended = hostel(&all).expect(0);
        let size = std::fs::metadata(out).unwrap().len();
        assert_eq!(ended.text(), format!("{out}: {size} bytes\n"));
        let answer = hostel(&["run", out, "--call", "sum"]).expect(0);
        assert_eq!(answer.text(), sum);
    }
    // A snapshot can be made of a snapshot.
    hostel(&["snapshot", out, "-o", out, "--call", "add", "3"]).expect(0);
    let answer = hostel(&["run", out, "--call", "sum"]).expect(0);
    assert_eq!(answer.text(), "1010\n");
}

#[test]
fn a_real_plugin_answers_as_before() {
    let files = Files::new();
    let out = files.path("warm.wasm");
    let out = path(&out);
    let customize = guest("customize");
    let call = ["--call", "process", "warm up", "--config", "prefix=A"];
    let told = [&["snapshot", &customize, "-o", out, "--json"][..], &call].concat();
    let told = hostel(&told).expect(0).json();
    let size = std::fs::metadata(out).unwrap().len();
    let expected = json!({ "path": out, "bytes": size, "error": null, "code": 0 });
    assert_eq!(told, expected);
    let answer = hostel(&["run", out, "hello", "--config", "prefix=B"]).expect(0);
    assert_eq!(answer.text(), "B_HELLO");
}

#[test]
fn what_goes_wrong_leaves_no_file() {
    let files = Files::new();
    let (plugin, out) = (files.wat(LEARNER), files.path("learned.wasm"));
    let out = path(&out);
    let nowhere = files.path("nowhere/learned.wasm");
    for (arguments, code, said) in [
        (
            &["-o", out, "--call", "fail"][..],
            4,
            "executed `unreachable`",
        ),
        (&["-o", out, "--call", "missing"], 3, "missing"),
        (&["-o", out, "12345"], 2, "INPUT without a function"),
        (&["-o", out, "--call", "add", "x"], 2, "found `x`"),
        (&["-o", out, "--fuel", "10"], 5, "fuel"),
        (&["-o", path(&nowhere)], 2, "can't write"),
        (&[], 2, "--output <FILE>"),
    ] {
        let all = [&["snapshot", &plugin][..], arguments].concat();
        let ended = hostel(&all).expect(code);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(!std::path::Path::new(out).exists());
    }
    let told = hostel(&["snapshot", &plugin, "-o", out, "--call", "fail", "--json"]);
    let told = told.expect(4).json();
    assert_eq!(told["bytes"], json!(null));
    assert_eq!(told["error"]["code"], json!("trap-unreachable"));
}
