//! `hostel run` with WASI commands, and with plugins that use WASI.

use super::{Ended, Files, command, guest, hostel, hostel_with_stdin};
use std::{
    fs,
    io::Read as _,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

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
fn a_component_runs_as_its_twin_for_preview_1_does() {
    for (module, component) in [
        ("wasi_rust_report", "components/rust_report"),
        ("wasi_c_report", "components/c_report"),
    ] {
        let [expected, ended] = [module, component].map(|name| {
            let report = guest(name);
            let run = ["run", &report, "--env", "A=1", "--arg", "-x", "--arg=0"];
            let ended = hostel_with_stdin(&run, b"first\nsecond").expect(0);
            // The first line names the file.
            let (_, rest) = ended.text().split_once('\n').expect("it has lines");
            rest.to_owned()
        });
        assert_eq!(ended, expected, "{component}");
        let report = guest(component);
        // WASI 0.2 has no other code for a failure.
        hostel(&["run", &report, "--arg", "7"]).expect(1);
        let ended = hostel(&["run", &report, "--arg", "files"]).expect(1);
        assert!(ended.stderr.starts_with("files: "), "{}", ended.stderr);
        let ended = hostel(&["run", &report, "--json", "--arg", "0"]).expect(0);
        assert!(ended.text().contains("arg 0"), "{}", ended.text());
        let ended = hostel(&["run", &report, "input"]).expect(2);
        assert!(ended.stderr.contains("takes no INPUT"), "{}", ended.stderr);
    }
}

#[test]
fn a_component_that_exports_no_run_is_told_so() {
    let files = Files::new();
    let plugin = files.wat("(component)");
    let ended = hostel(&["run", &plugin]);
    assert_ne!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("wasi:cli/run#run"),
        "{}",
        ended.stderr
    );
}

/// A command that prints the kinds of stdin, stdout and stderr as digits, 2 for a terminal, and then its
/// environment.
const KINDS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $kind (param $fd i32)
        (drop (call $stat (local.get $fd) (i32.const 0)))
        (i32.store8 (i32.add (i32.const 64) (local.get $fd))
            (i32.add (i32.const 48) (i32.load8_u (i32.const 0)))))
    (func (export "_start")
        (call $kind (i32.const 0))
        (call $kind (i32.const 1))
        (call $kind (i32.const 2))
        (drop (call $env (i32.const 128) (i32.const 67)))
        (i32.store (i32.const 0) (i32.const 64))
        (i32.store (i32.const 4) (i32.const 12))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_is_told_to_a_command_as_one() {
    let files = Files::new();
    let plugin = files.wat(KINDS);
    let piped = hostel(&["run", &plugin]).expect(0);
    assert!(piped.text().starts_with("000"), "{}", piped.text());
    let run = |arguments: &str| {
        let ended = super::on_a_terminal(&format!("run {plugin} {arguments}"), 80);
        ended.map(|ended| ended.expect(0).text().to_owned())
    };
    let Some(shown) = run("") else { return };
    // Control characters are shown there, so that the guest is told to write none.
    assert!(shown.starts_with("222TERM=dumb"), "{shown}");
    let shown = run("--env TERM=x").expect("there is `script`, as above");
    assert!(shown.starts_with("222TERM=x"), "{shown}");
    // Each stream is told by itself.
    for (redirected, kinds) in [("</dev/null", "022"), ("2>/dev/null", "220")] {
        let shown = run(redirected).expect("there is `script`, as above");
        assert!(shown.starts_with(kinds), "{redirected}: {shown}");
    }
}

#[test]
fn a_command_has_the_directory_that_is_given() {
    for name in REPORTS {
        if cfg!(windows) && name == "wasi_rust_report" {
            // It removes a file that it has open, whose name Windows then keeps until it is closed.
            continue;
        }
        let files = Files::new();
        let input = files.file("input", b"hello");
        let data = Path::new(&input).parent().expect("it is in a directory");
        let data = data.display();
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
        // Stays open, so that stdin has no end.
        let pipe = child.stdin.take();
        assert_eq!(child.wait().expect("it ends").code(), Some(6), "{name}");
        drop(pipe);
    }
}

/// Returns a command that writes to the stream `fd` without end.
fn spam(files: &Files, fd: u32) -> String {
    files.wat(&format!(
        r#"(module
            (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\00\10\00\00")
            (func (export "_start") (loop $on
                (drop (call $write (i32.const {fd}) (i32.const 0) (i32.const 1) (i32.const 8)))
                (br $on))))"#
    ))
}

#[test]
fn a_command_waits_for_a_reader_no_longer_than_it_may() {
    let files = Files::new();
    for fd in [1, 2] {
        let mut command = command(&["run", &spam(&files, fd), "--timeout", "500ms"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        // The pipes stay open, and nobody reads.
        let patience = Instant::now() + Duration::from_secs(60);
        let ended = loop {
            match child.try_wait().expect("it can be asked") {
                None if Instant::now() < patience => thread::sleep(Duration::from_millis(10)),
                ended => break ended,
            }
        };
        child.kill().expect("it has ended or can be");
        let output = child.wait_with_output().expect("it ends");
        let code = ended.and_then(|ended| ended.code());
        assert_eq!(code, Some(6), "stream {fd}");
        if fd == 1 {
            let told = String::from_utf8(output.stderr).expect("it is text");
            assert!(told.starts_with("error: "), "{told}");
        }
    }
}

#[test]
fn what_was_written_comes_in_order_before_the_end() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 4)
            (data (i32.const 0) "\00\01\00\00\00\00\00\00\18\00\00\00\00\00\00\00")
            (data (i32.const 24) "!")
            (func $all (param $fd i32) (param $list i32) (local $left i32)
                (local.set $left (i32.load offset=4 (local.get $list)))
                (loop $on
                    (drop (call $write (local.get $fd) (local.get $list) (i32.const 1) (i32.const 16)))
                    (local.set $left (i32.sub (local.get $left) (i32.load (i32.const 16))))
                    (i32.store offset=4 (local.get $list) (local.get $left))
                    (br_if $on (local.get $left))))
            (func (export "_start") (local $round i32)
                (loop $on
                    (i32.store (i32.const 4) (i32.const 100000))
                    (i32.store (i32.const 12) (i32.const 1))
                    (call $all (i32.const 1) (i32.const 0))
                    (call $all (i32.const 2) (i32.const 8))
                    (local.set $round (i32.add (local.get $round) (i32.const 1)))
                    (br_if $on (i32.lt_u (local.get $round) (i32.const 5))))
                (unreachable)))"#,
    );
    // stdout and stderr go to one file.
    let path = files.path("output");
    let file = fs::File::create(&path).expect("it can be made");
    let mut command = command(&["run", &plugin]);
    command.stdout(file.try_clone().expect("it can be shared"));
    let status = command.stderr(file).status().expect("it starts");
    assert_eq!(status.code(), Some(4));
    let output = fs::read(path).expect("it was written");
    let mut rest = &output[..];
    for _ in 0..5 {
        let (zeros, after) = rest.split_at(100_000);
        assert!(zeros.iter().all(|byte| *byte == 0));
        rest = after.strip_prefix(b"!").expect("the other stream is next");
    }
    assert!(rest.starts_with(b"error: the guest trapped"));
}

#[test]
fn an_output_that_nobody_reads_ends_a_command_quietly() {
    let files = Files::new();
    let mut command = command(&["run", &spam(&files, 1)]);
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
        assert!(
            logs[0]["text"].as_str().unwrap().starts_with("files: "),
            "{told}"
        );
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
            (func (export "_start"))
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
