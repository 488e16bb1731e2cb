//! `hostel run` with WASI commands, and with plugins that use WASI.

use super::{Ended, Files, command, guest, hostel, hostel_with_stdin};
use std::{fs, io::Read as _, process::Stdio};

const REPORTS: [&str; 5] = [
    "wasi_rust_report",
    "wasi_c_report",
    "wasi_zigcc_report",
    "wasi_zig_report",
    "wasi_go_report",
];

#[test]
fn a_command_has_the_streams_and_gives_the_exit_code() {
    for name in REPORTS {
        let report = guest(name);
        let run = ["run", &report, "--env", "A=1", "--arg", "-x", "--arg=7"];
        let ended = hostel_with_stdin(&run, b"first\nsecond").expect(7);
        let out = format!("arg {name}.wasm\narg -x\narg 7\nenv A=1\nfirst\nsecond");
        assert_eq!((ended.text(), &*ended.stderr), (&*out, ""));
        hostel(&["run", &report, "--arg", "0"]).expect(0);
        hostel(&["run", &report, "--call", "_start", "--arg", "3"]).expect(3);
        let ended = hostel(&["run", &report, "--arg", "files"]).expect(1);
        assert!(ended.stderr.starts_with("files: "), "{}", ended.stderr);
    }
}

#[test]
fn a_command_has_the_directory_that_is_given() {
    for name in REPORTS {
        let files = Files::new();
        let input = files.file("input", b"hello");
        let data = input.strip_suffix("/input").expect("it is in a directory");
        let run = |access: &str| {
            let dir = format!("{data}:/data{access}");
            hostel(&["run", &guest(name), "--dir", &dir, "--arg", "files"])
        };
        let ended = run("").expect(1);
        assert!(!ended.stderr.is_empty() && !files.path("output").exists());
        let ended = run(":rw").expect(0);
        let out =
            "input 5 bytes: hello\nlist input\noutside refused\noutput 13 bytes, then second\n";
        assert!(ended.text().contains(out), "{name}: {}", ended.text());
        let output = fs::read(files.path("output")).expect("it was written");
        assert_eq!(output, b"first\nsecond\n", "{name}");
    }
}

#[test]
fn a_plugin_in_go_is_called_as_any_other() {
    let run = [
        "run",
        &guest("go_customize"),
        "--config",
        "prefix=CUSTOM",
        "hello",
    ];
    let ended = hostel(&run).expect(0);
    assert_eq!(ended.text(), "CUSTOM_HELLO");
    assert_eq!(ended.stderr, "go_customize: processing 5 bytes\n");
}

#[test]
fn exit_codes_that_the_system_has_no_room_for_stay_failures() {
    let files = Files::new();
    for (code, expected) in [
        ("1", 1),
        ("126", 126),
        ("255", 255),
        ("256", 255),
        ("-1", 255),
    ] {
        let plugin = files.wat(&format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (func (export "_start") (call $exit (i32.const {code}))))"#
        ));
        let ended = hostel(&["run", &plugin]).expect(expected);
        assert_eq!((ended.text(), &*ended.stderr), ("", ""));
    }
}

#[test]
fn the_host_s_environment_does_not_show() {
    let mut command = command(&["run", &guest("wasi_rust_report")]);
    let output = command.env("SECRET", "s3cret").output().expect("it starts");
    assert_eq!(output.stdout, b"arg wasi_rust_report.wasm\n");
}

#[test]
fn bytes_pass_through_as_they_are() {
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let files = Files::new();
    let input = files.file("input", &bytes);
    for name in REPORTS {
        let stdin = fs::File::open(&input).expect("it was written");
        let mut command = command(&["run", &guest(name)]);
        let output = command.stdin(stdin).output().expect("it starts");
        let ended = Ended::from(output).expect(0);
        let first = format!("arg {name}.wasm\n");
        assert!(ended.stdout.starts_with(first.as_bytes()));
        assert!(ended.stdout[first.len()..] == bytes, "{name}");
    }
}

#[test]
fn a_panic_is_on_stderr_before_the_failure() {
    let ended = hostel(&["run", &guest("wasi_rust_report"), "--arg", "panic"]).expect(4);
    let (said, failed) = (
        ended.stderr.find("as asked"),
        ended.stderr.find("error: the guest trapped"),
    );
    assert!(said.is_some() && said < failed, "{}", ended.stderr);
}

#[test]
fn a_command_waits_for_stdin_no_longer_than_it_may() {
    for name in REPORTS {
        let mut command = command(&["run", &guest(name), "--timeout", "100ms"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut child = child.expect("it starts");
        // Kept open, so that there is no end to read.
        let pipe = child.stdin.take();
        assert_eq!(child.wait().expect("it ends").code(), Some(6), "{name}");
        drop(pipe);
    }
}

#[test]
fn an_output_that_nobody_reads_ends_a_command_quietly() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\00\10\00\00")
            (func (export "_start") (loop $on
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (br $on))))"#,
    );
    let mut command = command(&["run", &plugin]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stderr, b"");
}

#[test]
fn json_tells_all_of_a_command() {
    for name in REPORTS {
        let ended = hostel(&["run", "--json", &guest(name), "--arg", "7"]).expect(7);
        let told = ended.json();
        assert_eq!(told["output"], format!("arg {name}.wasm\narg 7\n"));
        assert_eq!(
            (&told["code"], &told["error"]),
            (&7.into(), &serde_json::Value::Null)
        );
        let told = hostel(&["run", "--json", &guest(name), "--arg", "files"])
            .expect(1)
            .json();
        let logs = told["logs"].as_array().expect("a list");
        assert!(logs[0].as_str().unwrap().starts_with("files: "), "{told}");
    }
}

#[test]
fn a_command_takes_no_input() {
    let ended = hostel(&["run", &guest("wasi_c_report"), "text"]).expect(2);
    assert!(ended.stderr.contains("--arg"), "{}", ended.stderr);
}

#[test]
fn what_a_plugin_prints_is_logged() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\08\00\00\00\08\00\00\00\1b[2Jtext")
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "_start") (unreachable))
            (func (export "process") (param i32 i32) (result i32 i32)
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
                (local.get 0) (local.get 1)))"#,
    );
    let ended = hostel(&["run", &plugin, "answer"]).expect(0);
    assert_eq!(ended.text(), "answer");
    assert_eq!(ended.stderr, "plugin: \\u{1b}[2Jtext\n");
}

#[test]
fn a_command_is_inspected_as_one() {
    let ended = hostel(&["inspect", &guest("wasi_c_report")]).expect(0);
    for words in ["WASI command", "grant `wasi`", "`run`\n"] {
        assert!(ended.text().contains(words), "{words}: {}", ended.text());
    }
}
