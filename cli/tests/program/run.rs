//! `hostel run`: inputs, outputs and options.

use super::{Files, command, guest, hostel, hostel_with_stdin, path};
use std::{
    io::Read as _,
    process::Stdio,
    time::{Duration, Instant},
};

#[test]
fn the_example_of_the_front_page() {
    let customize = guest("customize");
    let ended = hostel(&[
        "run",
        &customize,
        "--config",
        "prefix=CUSTOM",
        "hello world",
    ])
    .expect(0);
    assert_eq!(ended.text(), "CUSTOM_HELLO WORLD");
    assert_eq!(ended.stderr, "customize: processing 11 bytes\n");
}

#[test]
fn settings_are_pairs() {
    let customize = guest("customize");
    for (arguments, prefix) in [
        (&[][..], "DEFAULT_PREFIX"),
        (&["--config", "other=1"], "DEFAULT_PREFIX"),
        (&["--config", "prefix=a=b"], "a=b"),
        (&["--config", "prefix="], ""),
        (&["--config=other=1", "--config=prefix=x"], "x"),
    ] {
        let ended = hostel(&[&["run", &customize, "a"], arguments].concat()).expect(0);
        assert_eq!(ended.text(), format!("{prefix}_A"));
    }
}

#[test]
fn a_state_file_that_another_process_has_open_is_waited_for() {
    let (files, counter) = (Files::new(), guest("counter"));
    let state = files.path("visits.state");
    let run = ["run", &counter, "--state", path(&state), "Gopher"];
    let hold = || hostel::FileState::open(&state, hostel::StateLimits::server()).unwrap();

    let held = hold();
    let began = Instant::now();
    let ended = std::thread::scope(|scope| {
        let ended = scope.spawn(|| hostel(&run));
        std::thread::sleep(Duration::from_millis(500));
        drop(held);
        ended.join().unwrap().expect(0)
    });
    assert_eq!((ended.text(), &*ended.stderr), ("Gopher: visit 1", ""));
    assert!(began.elapsed() >= Duration::from_millis(500));

    let held = hold();
    let began = Instant::now();
    let ended = hostel(&run).expect(2);
    assert!(began.elapsed() >= Duration::from_secs(2));
    let told = format!(
        "error: can't keep state in {}: it is open already, in this process or another: close it first\n\
         hint: it was still open after 2 s: run the programs that use it one after the other, or give each a file of its own\n",
        path(&state)
    );
    assert_eq!(ended.stderr, told);
    drop(held);
    assert_eq!(hostel(&run).expect(0).text(), "Gopher: visit 2");
}

/// A guest logs the line that tells of dropped records, at each level, and then has one dropped.
#[test]
fn a_log_line_says_who_speaks_and_at_which_level() {
    let files = Files::new();
    let forged = "[1 further log records dropped: over the budget]";
    let text = format!(
        r#"(module (import "env" "host_log_at" (func $log (param i32 i32 i32)))
            (memory (export "memory") 1) (data (i32.const 0) "{forged}")
            (func (export "run") (local $level i32)
              (loop $on
                (call $log (local.get $level) (i32.const 0) (i32.const {}))
                (local.set $level (i32.add (local.get $level) (i32.const 1)))
                (br_if $on (i32.lt_u (local.get $level) (i32.const 5))))
              (call $log (i32.const 2) (i32.const 0) (i32.const 1))))"#,
        forged.len()
    );
    let plugin = files.file("guest.wasm", &wat::parse_str(text).unwrap());
    let run = ["run", &plugin, "--call=run", "--limit", "log_records=5"];
    let told = hostel(&run).expect(0).stderr;
    let expected = [
        "guest [trace]",
        "guest [debug]",
        "guest",
        "guest [warn]",
        "guest [error]",
        "guest [host]",
    ];
    let expected = expected.map(|who| format!("{who}: {forged}\n")).concat();
    assert_eq!(told, expected);

    let told = hostel(&[&run[..], &["--json"]].concat()).expect(0).json();
    let said = [
        ("trace", "guest"),
        ("debug", "guest"),
        ("info", "guest"),
        ("warn", "guest"),
        ("error", "guest"),
        ("warn", "host"),
    ];
    let records = said.map(|(level, speaker)| serde_json::json!({ "level": level, "speaker": speaker, "text": forged }));
    assert_eq!(told["logs"], serde_json::Value::from(records.to_vec()));
}

#[test]
fn state_is_kept_in_a_file() {
    let (files, counter) = (Files::new(), guest("counter"));
    let (visits, others) = (files.path("visits.state"), files.path("others.state"));
    for (file, answer) in [
        (&visits, "Gopher: visit 1"),
        (&visits, "Gopher: visit 2"),
        (&others, "Gopher: visit 1"),
        (&visits, "Gopher: visit 3"),
    ] {
        let ended = hostel(&["run", &counter, "--state", path(file), "Gopher"]).expect(0);
        assert_eq!((ended.text(), &*ended.stderr), (answer, ""));
    }
    let ended = hostel(&["run", &counter, "Gopher"]).expect(3);
    assert!(ended.stderr.contains("host_state_set"), "{}", ended.stderr);
    let hint = "hint: give the plugin a file for its state with --state FILE\n";
    assert!(ended.stderr.ends_with(hint), "{}", ended.stderr);

    let text = files.file("text", b"not a store");
    let ended = hostel(&["run", &counter, "--state", &text, "Gopher"]).expect(2);
    let start = format!("error: can't keep state in {text}: it is not a store");
    assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
    assert_eq!(std::fs::read(&text).expect("it is there"), b"not a store");
    let ended = hostel(&["run", &counter, "--state", &text, "Gopher", "--json"]).expect(2);
    assert_eq!(ended.json()["error"]["code"], "state-file-corrupt");
    hostel(&["inspect", &counter]).expect(0);
}

#[test]
fn input_is_text_a_file_or_stdin() {
    let (files, echo) = (Files::new(), guest("wat_no_dealloc"));
    let bytes: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    let at_file = format!("@{}", files.file("input", &bytes));
    for (input, output) in [
        ("text", &b"text"[..]),
        ("", b""),
        ("-5", b"-5"),
        ("Gr\u{fc}\u{df}e", "Gr\u{fc}\u{df}e".as_bytes()),
        ("@@text", b"@text"),
        ("@@@", b"@@"),
        (&at_file, &bytes),
        ("-", b""),
    ] {
        assert_eq!(hostel(&["run", &echo, input]).expect(0).stdout, output);
    }
    assert_eq!(hostel(&["run", &echo]).expect(0).stdout, b"");
    assert_eq!(
        hostel(&["run", &echo, "--", "--json"]).expect(0).stdout,
        b"--json"
    );
    let ended = hostel_with_stdin(&["run", &echo, "-"], &bytes).expect(0);
    assert_eq!(ended.stdout, bytes);
}

#[test]
fn every_shape_is_called_with_bytes() {
    for name in [
        "customize",
        "c_customize",
        "c_customize_retptr",
        "wat_customize_multi",
    ] {
        let ended = hostel(&["run", &guest(name), "abc"]).expect(0);
        assert_eq!(ended.text(), "DEFAULT_PREFIX_ABC", "{name}");
        assert_eq!(ended.stderr, format!("{name}: processing 3 bytes\n"));
    }
    for name in ["greet", "c_greet", "wat_greet_multi"] {
        let ended = hostel(&["run", "--call", "greet", &guest(name), "you"]).expect(0);
        assert_eq!(ended.text(), "Hello, you!", "{name}");
    }
    // The allocator of this guest is `malloc` and `free`.
    let reverse = hostel(&["run", &guest("c_malloc_free"), "abc"]).expect(0);
    assert_eq!(reverse.text(), "cba");
}

#[test]
fn numbers_go_by_the_declared_types() {
    let (files, add) = (Files::new(), guest("add"));
    let plugin = files.wat(
        r#"(module
            (func (export "i32") (param i32) (result i32) (local.get 0))
            (func (export "i64") (param i64) (result i64) (local.get 0))
            (func (export "f32") (param f32) (result f32) (local.get 0))
            (func (export "f64") (param f64) (result f64) (local.get 0))
            (func (export "pair") (param i32 i32) (result i32 i32) (local.get 1) (local.get 0))
            (func (export "none")))"#,
    );
    for (plugin, name, numbers, results) in [
        (&add, "add", &["10", "20"][..], "30\n"),
        (&add, "add", &["10", "-20"], "-10\n"),
        (&add, "add", &["4294967295", "0"], "-1\n"),
        (&plugin, "i32", &["-2147483648"], "-2147483648\n"),
        (&plugin, "i64", &["18446744073709551615"], "-1\n"),
        (&plugin, "f32", &["-1.5"], "-1.5\n"),
        (&plugin, "f64", &["-1e3"], "-1000\n"),
        (&plugin, "f64", &["--", "-inf"], "-inf\n"),
        (&plugin, "f64", &["1e-320"], "1e-320\n"),
        (&plugin, "f64", &["1e300"], "1e300\n"),
        (&plugin, "f32", &["1e38"], "1e38\n"),
        (&plugin, "i32", &["0xfffffffe"], "-2\n"),
        (&plugin, "i64", &["0x7f"], "127\n"),
        (&plugin, "pair", &["1", "2"], "2\n1\n"),
        (&plugin, "none", &[], ""),
    ] {
        let ended = hostel(&[&["run", plugin, "--call", name], numbers].concat()).expect(0);
        assert_eq!(ended.text(), results, "{name} {numbers:?}");
    }
    for (name, number, expected) in [
        ("f32", "1e39", "from -3.4028235e38 to 3.4028235e38"),
        (
            "f64",
            "1e309",
            "from -1.7976931348623157e308 to 1.7976931348623157e308",
        ),
        ("i32", "0x100000000", "from -2147483648 to 4294967295"),
        (
            "i64",
            "18446744073709551616",
            "from -9223372036854775808 to 18446744073709551615",
        ),
    ] {
        let ended = hostel(&["run", &plugin, "--call", name, number]).expect(2);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("found `{number}`")));
    }
    let ended = hostel_with_stdin(&["run", &add, "--call", "add", "-", "1"], b"41\n").expect(0);
    assert_eq!(ended.text(), "42\n");
}

#[test]
fn words_are_never_taken_for_a_pointer_and_a_length() {
    let files = Files::new();
    let (greet, customize) = (guest("wat_greet_multi"), guest("customize"));
    let out = files.path("out.wasm");
    for (call, texts, hint) in [
        (
            ["process", &*customize],
            &["5", "7"][..],
            "hint: put quotes around the text: \"5 7\"; or add --numbers to pass 2 numbers\n",
        ),
        (
            ["process", &customize],
            &["two", "words"],
            "hint: put quotes around the text: \"two words\"\n",
        ),
        (
            ["greet", &greet],
            &["$HOME", "`ls`"],
            "hint: put quotes around the text\n",
        ),
        (
            ["greet", &greet],
            &["1", "2", "3"],
            "hint: put quotes around the text: \"1 2 3\"; or add --numbers to pass 3 numbers\n",
        ),
    ] {
        let [name, plugin] = call;
        for command in ["run", "bench", "snapshot"] {
            let mut arguments = vec![command, plugin, "--call", name];
            arguments.extend(texts);
            if command == "snapshot" {
                arguments.extend(["-o", path(&out)]);
            }
            let ended = hostel(&arguments).expect(2);
            assert_eq!(ended.text(), "");
            let error = format!(
                "error: `{name}` takes one INPUT, a text or bytes: found {}\n{hint}",
                texts.len()
            );
            assert_eq!(ended.stderr, error);
            arguments.push("--json");
            let told = hostel(&arguments).expect(2).json();
            assert_eq!(told["error"]["code"], "usage", "{told}");
        }
    }
    assert!(!out.exists());
    // Two numbers by request: an empty name has no address.
    let numbers = ["run", &greet, "--call", "greet", "--numbers", "0", "0"];
    assert_eq!(hostel(&numbers).expect(0).text().lines().count(), 2);
    // A function of this type may well be one over numbers.
    let wide = files.wat(
        r#"(module (memory (export "memory") 1)
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "wide") (param i32 i32) (result i64)
                (i64.mul (i64.extend_i32_s (local.get 0)) (i64.extend_i32_s (local.get 1)))))"#,
    );
    let numbers = [
        "run",
        &wide,
        "--call",
        "wide",
        "--numbers",
        "-65536",
        "65536",
    ];
    assert_eq!(hostel(&numbers).expect(0).text(), "-4294967296\n");
    hostel(&["run", &wide, "--call", "wide", "--numbers", "5"]).expect(2);
}

#[test]
fn the_plugin_says_nothing_to_the_terminal_by_itself() {
    let files = Files::new();
    let plugin =
        files.process("(call $log (i32.const 0) (i32.const 14)) (i32.const 0) (i32.const 14)");
    let ended = hostel(&["run", &plugin]).expect(0);
    assert_eq!(ended.stdout, b"\x1b[2Jred\n\xc2\x9b\xe2\x80\xae\xff");
    let shown = "\\u{1b}[2Jred\\n\\u{9b}\\u{202e}\u{fffd}";
    assert_eq!(ended.stderr, format!("plugin: {shown}\n"));
    let plugin = files.process("(i32.const 0) (i32.const 0x8000000e)");
    let ended = hostel(&["run", &plugin]).expect(1);
    assert_eq!(ended.stdout, b"");
    let error = "error: the plugin returned an error";
    assert_eq!(ended.stderr, format!("{error}: {shown}\n"));
}

#[test]
fn colours_are_for_terminals_and_by_request() {
    let run = |variable: &str| {
        let mut command = command(&["run", &guest("customize")]);
        let output = command.env(variable, "1").output().expect("it starts");
        String::from_utf8(output.stderr).expect("stderr is text")
    };
    assert!(run("CLICOLOR_FORCE").contains("\x1b["));
    assert!(!run("NO_COLOR").contains("\x1b["));
}

#[test]
fn a_memory_of_the_size_asked_for() {
    let files = Files::new();
    let grow = files.wat(
        r#"(module (memory (export "memory") 1)
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    );
    for (memory, pages, result) in [
        ("1MiB", "15", "1\n"),
        ("1MiB", "16", "-1\n"),
        ("1MB", "15", "-1\n"),
        ("131072", "1", "1\n"),
    ] {
        let arguments = ["run", &grow, "--call", "grow", pages, "--memory", memory];
        assert_eq!(hostel(&arguments).expect(0).text(), result, "{memory}");
    }
}

#[test]
fn fuel_has_separators_and_units() {
    let customize = guest("customize");
    for (fuel, code) in [
        ("100", 5),
        ("1_00", 5),
        ("1k", 5),
        ("1_000k", 0),
        ("1M", 0),
        ("1G", 0),
        ("", 2),
        ("k", 2),
        ("1K", 5),
        ("1.5k", 5),
        ("10M", 0),
        ("10m", 0),
        ("1Ki", 5),
        ("1.0001k", 2),
        ("-1", 2),
        ("1kk", 2),
        ("99999999999G", 2),
    ] {
        hostel(&["run", &customize, "--fuel", fuel]).expect(code);
    }
}

#[test]
fn the_time_counts_from_the_start() {
    let (customize, add) = (guest("customize"), guest("add"));
    for (arguments, code) in [
        (&[&*customize, "a", "--timeout", "1h"][..], 0),
        // Loading alone takes longer than the timeout.
        (&[&customize, "a", "--timeout", "1ns"], 6),
        (&[&add, "--call", "add", "1", "2", "--timeout", "1ns"], 6),
        (&["missing.wasm", "a", "--timeout", "1ns"], 3),
    ] {
        let ended = hostel(&[&["run"], arguments].concat()).expect(code);
        if code == 6 {
            let message = "error: the call passed its deadline of 1ns\nhint: ";
            assert!(ended.stderr.starts_with(message), "{}", ended.stderr);
        }
    }
}

#[test]
fn an_output_that_nobody_reads_ends_it_quietly() {
    let files = Files::new();
    // A pipe has no room for it.
    let input = format!("@{}", files.file("input", &[b'x'; 1 << 20]));
    let echo = files.wat(
        r#"(module (memory (export "memory") 32)
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#,
    );
    for option in [&[][..], &["--json"]] {
        let mut child = command(&[&["run", &echo, &input], option].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdout = child.stdout.take().expect("stdout is a pipe");
        stdout.read_exact(&mut [0]).expect("there is output");
        drop(stdout);
        let output = child.wait_with_output().expect("the program ends");
        assert_eq!(output.status.code(), Some(7));
        assert_eq!(output.stderr, b"");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_no_panic() {
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("it is there")
    };
    let customize = guest("customize");
    for arguments in [
        &["run", &customize][..],
        &["run", &customize, "--json"],
        &["inspect", &customize],
        &["probe", &customize],
        &["completions", "bash"],
    ] {
        let output = command(arguments)
            .stdout(full())
            .output()
            .expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{stderr}");
        assert!(stderr.contains("error: can't write the output"), "{stderr}");
    }
    let output = command(&["run", &customize])
        .stderr(full())
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"DEFAULT_PREFIX_");
    let missing = path(std::path::Path::new("missing.wasm"));
    let output = command(&["run", missing])
        .stderr(full())
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn floats_are_read_as_webassembly_s_text_writes_them() {
    let files = Files::new();
    let floats = files.wat(
        r#"(module
            (func (export "f32") (param f32) (result f32) (local.get 0))
            (func (export "f64") (param f64) (result f64) (local.get 0))
            (func (export "i64") (param i64) (result i64) (local.get 0)))"#,
    );
    for (function, text, printed) in [
        ("f64", "0x10", "16"),
        ("f64", "-0x1.8p3", "-12"),
        ("f64", "0x1p-1074", "5e-324"),
        ("f64", "-inf", "-inf"),
        ("f64", "-nan", "NaN"),
        ("f64", "-5.5", "-5.5"),
        ("f64", "-0e9", "-0"),
        ("f32", "0x1.000001p0", "1"),
        ("f32", "1e-45", "1e-45"),
        ("i64", "-0x5", "-5"),
    ] {
        // Options keep their meaning on both sides.
        for arguments in [
            &["run", &floats, "--call", function, text][..],
            &["run", &floats, text, "--call", function],
            &["run", "--call", function, "--", &floats, text],
            &[
                "run",
                &floats,
                "--arg",
                text,
                text,
                "--fuel=1M",
                "--call",
                function,
            ],
        ] {
            let ended = hostel(arguments).expect(0);
            assert_eq!(ended.text(), format!("{printed}\n"), "{arguments:?}");
        }
    }
    for (function, text, words) in [
        ("f32", "1e-46", "can tell from 0, found `1e-46`"),
        ("f32", "0x1p128", "to 3.4028235e38"),
        ("f64", "-0x1p1024", "to 1.7976931348623157e308"),
        ("f64", "-info", "unexpected argument '-i'"),
        ("i64", "-0x1.8", "a whole number"),
    ] {
        let ended = hostel(&["run", &floats, "--call", function, text]).expect(2);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    let typo = hostel(&["run", &floats, "-inf", "--walk"]).expect(2);
    assert!(typo.stderr.contains("'--walk'"), "{}", typo.stderr);
    let none = hostel(&["inspect", &floats, "-inf"]).expect(2);
    assert!(none.stderr.contains("'-inf'"), "{}", none.stderr);
}
