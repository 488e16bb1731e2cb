//! `hostel inspect`.

use super::{Files, guest, hostel};
use serde_json::{Value, json};

#[test]
fn a_plugin_that_loads() {
    let customize = guest("customize");
    let ended = hostel(&["inspect", &customize]).expect(0);
    assert_eq!(ended.stderr, "");
    for line in [
        "ABI native by the exports of a memory and an allocator",
        "start function none",
        "memory 65536 bytes",
        "env.host_log (i32, i32) -> () grant `log`",
        "env.host_get_config (i32, i32) -> i64 grant `config`",
        "memory memory",
        "allocate (i32) -> i32 `run` with numbers",
        "process (i32, i32) -> i64 `run` with bytes",
    ] {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            ended.text().lines().any(|found| words(found) == line),
            "{line}"
        );
    }
    let told = hostel(&["inspect", &customize, "--json"]).expect(0).json();
    assert_eq!(told["path"], *customize);
    let size = std::fs::metadata(&customize)
        .expect("the guest is there")
        .len();
    assert!(ended.text().contains(&format!("  {size} bytes\n")));
    assert_eq!(
        (&told["bytes"], &told["loads"]),
        (&json!(size), &json!(true))
    );
    assert_eq!((&told["error"], &told["code"]), (&Value::Null, &json!(0)));
    let module = &told["module"];
    assert_eq!(module["abi"], "native");
    assert_eq!(module["start"], false);
    assert!(module["functions"].is_u64());
    let imports = module["imports"].as_array().expect("an array");
    let log = json!({ "module": "env", "name": "host_log", "kind": "function",
        "type": "(i32, i32) -> ()", "grant": "log" });
    assert!(imports.contains(&log));
    let exports = module["exports"].as_array().expect("an array");
    let process = json!({ "name": "process", "kind": "function",
        "type": "(i32, i32) -> i64", "takes": "bytes" });
    assert!(exports.contains(&process));
    assert_eq!(
        module["memories"],
        json!([{ "bytes": 65536, "max_bytes": null }])
    );
}

#[test]
fn a_plugin_of_numbers() {
    let add = guest("wat_add");
    let ended = hostel(&["inspect", &add]).expect(0);
    for words in ["numbers only", "imports\n  none\n", "`run` with numbers"] {
        assert!(ended.text().contains(words), "{}", ended.text());
    }
    let told = hostel(&["inspect", &add, "--json"]).expect(0).json();
    assert_eq!(told["module"]["abi"], "numbers only");
    assert_eq!(told["module"]["exports"][0]["takes"], "numbers");
}

#[test]
fn what_stops_a_module_is_told_with_what_it_declares() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (import "env" "open\1b[2J" (func (param i64)))
            (import "a\nb" "m" (memory 1 2))
            (table 3 funcref)
            (func $start)
            (start $start)
            (func (export "process"))
            (func (export "take\1b]0;x\07\u{202e}") (param externref))
            (@custom "se\1b" "12345"))"#,
    );
    let ended = hostel(&["inspect", &plugin]).expect(3);
    for words in [
        "env.open\\u{1b}[2J  (i64) -> ()  not supplied",
        "a\\nb.m ",
        "take\\u{1b}]0;x\\u{7}\\u{202e}  (externref) -> ()\n",
        "  se\\u{1b}  5 bytes   custom\n",
        "131072",
        "3 elements",
    ] {
        assert!(ended.text().contains(words), "{words}: {}", ended.text());
    }
    for words in [
        "error: can't load ",
        "5 problems with imports and exports",
        "\n  import `env.open\\u{1b}[2J` (i64) -> (): nothing supplies it",
        "\n  import `a\\nb.m` is a memory",
        "\n  export `process`: expected",
        "\n  export `allocate` is missing",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    let printed = format!("{}{}", ended.text(), ended.stderr);
    assert!(
        !printed
            .chars()
            .any(|c| c != '\n' && c.is_control() || c == '\u{202e}')
    );

    let ended = hostel(&["inspect", &plugin, "--json"]).expect(3);
    let told = ended.json();
    assert_eq!((&told["loads"], &told["code"]), (&json!(false), &json!(3)));
    assert_eq!(told["error"]["code"], "mismatch");
    assert_eq!(told["module"]["start"], true);
    let memory = json!({ "bytes": 65536, "max_bytes": 131_072 });
    assert_eq!(told["module"]["memories"], json!([memory]));
    let table = json!({ "elements": 3, "max_elements": null });
    assert_eq!(told["module"]["tables"], json!([table]));
    let sections = told["module"]["sections"].as_array().expect("an array");
    let custom = json!({ "name": "se\x1b", "bytes": 5, "custom": true });
    assert!(sections.contains(&custom));
    assert!(sections.iter().any(|section| section["name"] == "code"));
    assert_eq!(told["module"]["imports"][0]["name"], "open\x1b[2J");
    assert_eq!(told["module"]["imports"][0]["grant"], Value::Null);
    assert_eq!(told["module"]["exports"][1]["takes"], Value::Null);
    assert!(
        !ended
            .text()
            .trim_end()
            .chars()
            .any(|c| c.is_control() || c == '\u{202e}')
    );
}

#[test]
fn names_within_the_parser_s_words_are_visible_too() {
    // The parser's message quotes a name that is exported twice.
    let name = b"x\n\x1b[2J";
    let len = u8::try_from(name.len()).expect("it is short");
    let export = [&[len][..], name, &[0, 0]].concat();
    let exports = [&[2][..], &export, &export].concat();
    let size = u8::try_from(exports.len()).expect("it is short");
    let module = [
        &b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07"[..],
        &[size],
        &exports,
        b"\x0a\x04\x01\x02\0\x0b",
    ]
    .concat();
    let file = Files::new();
    let file = file.file("twice.wasm", &module);
    let ended = hostel(&["inspect", &file]).expect(3);
    assert!(ended.stderr.contains("x\\n\\u{1b}[2J"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[test]
fn faults_in_function_bodies_are_found() {
    let module = b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x04\x01\x02\0\x0b";
    let files = Files::new();
    let file = files.file("body.wasm", module);
    let told = hostel(&["inspect", &file, "--json"]).expect(3).json();
    assert_eq!(told["error"]["code"], "invalid-module", "{told}");
    assert_eq!(told["module"]["functions"], 1);
}

#[test]
fn columns_stay_columns_beside_long_names() {
    let files = Files::new();
    let long = "n".repeat(60);
    let params = "i32 ".repeat(12);
    let plugin = files.wat(&format!(
        r#"(module
            (func (export "short") (result i32) (i32.const 1))
            (func (export "{long}") (result i32) (i32.const 1))
            (func (export "many") (param {params}))
            (func (export "m{long}") (param {params}))
            (func (export "longer_than_short")))"#
    ));
    let ended = hostel(&["inspect", &plugin]).expect(0);
    let exports = ended.text().split("exports\n").nth(1).expect("a table");
    let exports = exports.split("sections\n").next().expect("a table");
    let types = format!("({}) -> ()", ["i32"; 12].join(", "));
    let (gap, wide) = (" ".repeat(21), " ".repeat(32));
    let expected = format!(
        "  short              () -> i32  `run` with numbers
  {long}
{gap}() -> i32  `run` with numbers
  many               {types}
{wide}`run` with numbers
  m{long}
{gap}{types}
{wide}`run` with numbers
  longer_than_short  () -> ()   `run` with numbers
"
    );
    assert_eq!(exports, expected);
}

/// Returns `count` as LEB128.
#[cfg(target_os = "linux")]
fn leb(mut count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while count > 0x7f {
        bytes.push(count as u8 | 0x80);
        count >>= 7;
    }
    bytes.push(count as u8);
    bytes
}

/// Returns the most memory that the program had until it began to print, in KiB. A value or a text
/// that it held as a whole would be complete then: the pipe is full long before the end.
#[cfg(target_os = "linux")]
fn most_memory(arguments: &[&str]) -> u64 {
    use std::{
        io::{Read as _, copy, sink},
        process::Stdio,
    };
    let mut child = super::command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut stdout = child.stdout.take().expect("stdout is a pipe");
    stdout.read_exact(&mut [0]).expect("it prints something");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    let printed = copy(&mut stdout, &mut sink()).expect("the pipe can be read");
    assert!(printed > 1 << 20, "the pipe held all {printed} bytes");
    assert_eq!(child.wait().expect("the program ends").code(), Some(3));
    let status = status.expect("the program still runs");
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let most = most.and_then(|most| most.trim().strip_suffix(" kB"));
    most.expect("Linux counts it").parse().expect("a number")
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_module_declares_is_printed_as_it_comes() {
    let files = Files::new();
    // Custom sections without a name, and imports `"" "a"` of functions.
    let sections = [b"\0asm\x01\0\0\0".to_vec(), b"\0\x01\0".repeat(200_000)].concat();
    let sections = files.file("sections.wasm", &sections);
    let imports = [leb(50_000), b"\0\x01a\0\0".repeat(50_000)].concat();
    let imports = [
        b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02",
        &*leb(imports.len()),
        &imports,
    ]
    .concat();
    let imports = files.file("imports.wasm", &imports);
    // A tree of JSON values takes 300 MB for the sections and 100 MB for the imports.
    for arguments in [
        &["inspect", &sections][..],
        &["inspect", "--json", &sections],
        &["inspect", &imports],
        &["inspect", "--json", &imports, "--limit", "imports=1M"],
        &["probe", "--json", &imports],
    ] {
        let found = most_memory(arguments);
        assert!(found < 60 << 10, "{arguments:?}: {found} KiB");
    }
}
