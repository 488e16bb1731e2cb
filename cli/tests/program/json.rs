//! `hostel run --json`.

use super::{Files, guest, hostel};
use serde_json::{Value, json};

#[test]
fn all_of_a_call_is_told() {
    let customize = guest("customize");
    let ended = hostel(&["run", "--json", &customize, "--config=prefix=A", "b\u{9b}"]).expect(0);
    assert!(ended.text().contains("\"A_B\\u009b\""), "{}", ended.text());
    let told = ended.json();
    assert_eq!(told["output"], "A_B\u{9b}");
    assert_eq!(told["output_base64"], Value::Null);
    assert_eq!(told["error"], Value::Null);
    assert_eq!(told["code"], 0);
    assert_eq!(
        told["logs"],
        json!([{ "level": "info", "speaker": "guest", "text": "processing 3 bytes" }])
    );
    assert_eq!(told["host_calls"], 2);
    for part in ["start", "call"] {
        assert!(told["fuel"][part].as_u64() > Some(0), "{told}");
    }
    for part in ["load", "instantiate", "call"] {
        assert!(told["micros"][part].is_u64(), "{told}");
    }
    let keys: Vec<_> = told.as_object().expect("an object").keys().collect();
    assert_eq!(keys.len(), 9);
}

#[test]
fn bytes_are_told_as_base64() {
    let files = Files::new();
    let input = format!("@{}", files.file("input", b"\xff\x00"));
    let told = hostel(&["run", "--json", &guest("wat_no_dealloc"), &input])
        .expect(0)
        .json();
    assert_eq!(
        (&told["output"], &told["output_base64"]),
        (&Value::Null, &json!("/wA="))
    );
}

#[test]
fn numbers_are_told_as_lines() {
    let add = guest("add");
    let told = hostel(&["run", "--json", &add, "--call", "add", "1", "2"])
        .expect(0)
        .json();
    assert_eq!(told["output"], "3\n");
}

#[test]
fn control_characters_are_escaped() {
    let files = Files::new();
    let plugin =
        files.process("(call $log (i32.const 0) (i32.const 14)) (i32.const 0) (i32.const 13)");
    let ended = hostel(&["run", "--json", &plugin]).expect(0);
    let told = ended.json();
    assert_eq!(told["output"], "\x1b[2Jred\n\u{9b}\u{202e}");
    assert_eq!(
        told["logs"],
        json!([{ "level": "info", "speaker": "guest", "text": "\x1b[2Jred\n\u{9b}\u{202e}\u{fffd}" }])
    );
    let mut printed = ended.text().trim_end().chars();
    assert!(!printed.any(|c| c.is_control() || c == '\u{202e}'));
}

#[test]
fn what_ended_a_call_is_told() {
    let (files, customize) = (Files::new(), guest("customize"));
    let input = format!("@{}", files.file("input", b"\xff"));
    let told = hostel(&["run", "--json", &customize, &input])
        .expect(1)
        .json();
    assert_eq!(told["code"], 1);
    assert_eq!(told["output"], Value::Null);
    assert_eq!(told["error"]["code"], "guest-error");
    let message = "the plugin returned an error: input is not UTF-8";
    assert_eq!(told["error"]["message"], message);
    assert_eq!(told["error"]["details"], json!([]));
    assert_eq!(told["error"]["hint"], Value::Null);
    assert!(told["micros"]["call"].is_u64());

    let told = hostel(&["run", "--json", &customize, "--fuel=2k"])
        .expect(5)
        .json();
    assert_eq!(told["error"]["code"], "out-of-fuel");
    assert!(told["error"]["hint"].is_string());
    assert_eq!(
        (&told["code"], &told["fuel"]["call"]),
        (&json!(5), &json!(2000))
    );

    // Steps that were not reached are null.
    let told = hostel(&["run", "--json", "missing.wasm"]).expect(3).json();
    assert_eq!(told["error"]["code"], "file-missing");
    assert_eq!(told["fuel"], json!({ "start": null, "call": null }));
    assert_eq!(
        (&told["micros"]["call"], &told["host_calls"]),
        (&Value::Null, &json!(0))
    );
    let told = hostel(&["run", "--json", &customize, "@missing"])
        .expect(2)
        .json();
    assert_eq!(
        (&told["error"]["code"], &told["code"]),
        (&json!("usage"), &json!(2))
    );
}

#[test]
fn each_fault_of_a_module_is_told() {
    let plugin = Files::new();
    let plugin = plugin.wat(
        r#"(module (import "env" "open" (func)) (import "env" "host_log" (func))
            (func (export "process")))"#,
    );
    let told = hostel(&["run", "--json", &plugin]).expect(3).json();
    assert_eq!(told["error"]["code"], "mismatch");
    let details = told["error"]["details"].as_array().expect("an array");
    for word in [
        "`env.open`",
        "`env.host_log`",
        "`process`",
        "`memory`",
        "`allocate`",
    ] {
        assert!(
            details
                .iter()
                .any(|detail| detail.to_string().contains(word)),
            "{told}"
        );
    }
}
