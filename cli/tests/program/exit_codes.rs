//! The exit codes, and the message with each.

use super::{Ended, Files, guest, hostel, path};

fn says(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.text(), "");
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
}

#[test]
fn the_guest_s_error_is_1() {
    let files = Files::new();
    let input = format!("@{}", files.file("input", b"\xff"));
    let ended = hostel(&["run", &guest("customize"), &input]).expect(1);
    says(
        &ended,
        &["error: the plugin returned an error: input is not UTF-8\n"],
    );
    let outside = files.process("(i32.const 65536) (i32.const 1)");
    says(
        &hostel(&["run", &outside]).expect(1),
        &["outside the guest's memory"],
    );
    let large = files.wat(
        r#"(module (memory (export "memory") 300)
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "process") (param i32 i32) (result i32 i32)
                (i32.const 0) (i32.const 16777217)))"#,
    );
    says(
        &hostel(&["run", &large]).expect(5),
        &[
            "the budget allows 16777216\nhint: ",
            "--limit output_bytes=",
        ],
    );
}

#[test]
fn wrong_arguments_are_2() {
    let (files, add, customize) = (Files::new(), guest("add"), guest("customize"));
    let directory = format!("@{}", path(files.0.path()));
    for (arguments, words) in [
        (&[][..], &["Usage"][..]),
        (&["walk"], &["walk"]),
        (&["run"], &["PLUGIN"]),
        (&["run", &customize, "--walk"], &["--walk"]),
        (&["run", &customize, "--config", "a"], &["KEY=VALUE"]),
        (&["run", &customize, "--config", "=a"], &["KEY=VALUE"]),
        (
            &["run", &customize, "--memory", "lots"],
            &["--memory", "expected a size in bytes", "16MiB"],
        ),
        (
            &["probe", &customize, "--heap", "lots"],
            &["--heap", "expected a size in bytes"],
        ),
        (
            &["run", &customize, "--timeout", "2"],
            &["--timeout", "unit"],
        ),
        (
            &["run", &customize, "@missing"],
            &["INPUT", "missing", "hint: ", "@@"],
        ),
        (&["run", &customize, &directory], &["INPUT"]),
        (
            &["run", &customize, "two", "words"],
            &["`process`", "one INPUT", "hint: ", "quotes"],
        ),
        (
            &["run", &add, "--call", "add", "1"],
            &["(i32, i32) -> i32", "expected 2 numbers, found 1"],
        ),
        (
            &["run", &add, "--call", "add", "1", "x\x1b"],
            &["`x\\u{1b}`"],
        ),
        (&["run", &add, "--call", "add", "1", "1.5"], &["`1.5`"]),
        (
            &["run", &add, "--call", "add", "1", "4294967296"],
            &["`4294967296`"],
        ),
    ] {
        says(&hostel(arguments).expect(2), words);
    }
    let limit = |setting| hostel(&["probe", &customize, "--limit", setting]).expect(2);
    says(&limit("types"), &["NAME=N"]);
    says(
        &limit("type=1"),
        &["unknown limit `type`; near it: `types`, `component.type_depth`; `--limit list`"],
    );
    says(&limit("memorybytes=1"), &["near it: `memory_bytes`;"]);
    says(
        &limit("odd=1"),
        &["limits are: ", "memory_bytes, ", ", types, "],
    );
    says(&limit("list=1"), &["unknown limit `list`"]);
    for none in ["copies=0", "instances=0"] {
        says(&limit(none), &["is at least 1, found 0"]);
    }
    for (option, values, words) in [
        (
            "--calls",
            &["x", "0", "-1"][..],
            "expected a whole number of calls, at least 1, such as 1000",
        ),
        (
            "--concurrency",
            &["x", "0", "10001"],
            "expected a whole number from 1 to 10000, such as 8",
        ),
        (
            "--timeout",
            &["soon", "2", ""],
            "expected a time with its unit, such as 500ms, 2s",
        ),
        ("--seconds", &["x", "-1"], "expected seconds, such as 10"),
        (
            "--sliced",
            &["x"],
            "expected a whole number, such as 5000000",
        ),
    ] {
        for value in values {
            let option = format!("{option}={value}");
            says(&hostel(&["bench", &customize, &option]).expect(2), &[words]);
        }
    }
    for number in [
        "types=",
        "types=1x",
        "types=-1",
        "types=99999999999999999999",
    ] {
        says(&limit(number), &["expected a whole number", "64KiB"]);
    }
    says(
        &hostel(&["probe", &customize, "--limits", "desk"]).expect(2),
        &["server, device"],
    );
    let vectors = files.wat(r#"(module (func (export "f") (param v128 i32)))"#);
    for arguments in [
        &["run", &*vectors, "--call", "f"][..],
        &["run", &vectors, "--call", "f", "1", "2"],
    ] {
        says(
            &hostel(arguments).expect(2),
            &["(v128, i32) -> ()", "a v128 can't be passed"],
        );
    }
    let references = files.wat(r#"(module (func (export "f") (param externref)))"#);
    says(
        &hostel(&["run", &references, "--call", "f"]).expect(2),
        &["an externref can't be passed"],
    );
    let large = format!("@{}", files.file("large", &[0; (16 << 20) + 1]));
    let ended = hostel(&["run", &customize, &large]).expect(2);
    says(&ended, &["expected at most 16777216 bytes, found more"]);
    assert!(!ended.stderr.contains("@@"), "{}", ended.stderr);
    let raised = ["run", &customize, &large, "--limit", "input_bytes=17M"];
    assert_ne!(hostel(&raised).code, Some(2));
    #[cfg(target_os = "linux")]
    says(
        &hostel(&["run", &customize, "@/dev/zero"]).expect(2),
        &["at most 16777216 bytes"],
    );
}

#[test]
fn files_that_are_no_modules_are_named() {
    let files = Files::new();
    let tar = [&[b'a'; 257][..], b"ustar\0", &[0; 249]].concat();
    for (bytes, words) in [
        (
            &b"\xcf\xfa\xed\xfe\x07\0\0\x01"[..],
            "a native file: build the plugin",
        ),
        (b"MZ\x90\0\x03\0", "a native file: build the plugin"),
        (b"BC\xc0\xde\x35\x14", "LLVM bitcode: link it without -flto"),
        (b"!<arch>\n/  ", "a static library: link it first"),
        (&tar, "a tar archive: unpack it first"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00",
            "a Git LFS pointer: run `git lfs pull`",
        ),
        (
            b"\n<!DOCTYPE html><html>",
            "a web page: download the file itself",
        ),
        (b"<HTML lang=en>", "a web page: download the file itself"),
        (b"%PDF-1.7\n%\xe2\xe3", "found a PDF"),
        (b"\x89PNG\r\n\x1a\n\0", "found a PNG image"),
        (b"<htm", "found text"),
        (b"BC\xc0\xdd\0", "found unknown binary data"),
    ] {
        let file = files.file("plugin.wasm", bytes);
        says(&hostel(&["inspect", &file]).expect(3), &[words]);
    }
}

#[test]
fn what_can_t_be_loaded_is_3() {
    let files = Files::new();
    let customize = std::fs::read(guest("customize")).expect("the guest is there");
    let large = files.file("large.wasm", b"");
    std::fs::File::options()
        .write(true)
        .open(&large)
        .and_then(|file| file.set_len((16 << 20) + 1))
        .expect("the file can be made larger");
    let bad = [
        (
            path(&files.path("missing.wasm")).to_owned(),
            "error: can't read ",
        ),
        (path(files.0.path()).to_owned(), "it is a directory"),
        (files.file("empty.wasm", b""), "the module is empty"),
        (files.file("text.wasm", b"some text\n"), "found text"),
        (
            files.file("elf.wasm", b"\x7fELF\x02\x01\x01\0"),
            "a native file",
        ),
        (files.file("plugin.wat", b"(module)"), "WebAssembly text"),
        (
            files.file("component.wasm", b"\0asm\x0d\0\x01\0\xff"),
            "component",
        ),
        (
            files.file("cut.wasm", &customize[..customize.len() / 2]),
            "cut off",
        ),
    ];
    // No limit makes a module of it.
    for command in ["run", "inspect", "probe"] {
        let ended = hostel(&[command, &large]).expect(3);
        says(&ended, &["not a WebAssembly module"]);
        assert!(!ended.stderr.contains("limit"), "{}", ended.stderr);
    }
    for (file, word) in &bad {
        for command in ["run", "inspect", "probe"] {
            says(
                &hostel(&[command, file]).expect(3),
                &[&file.replace('\n', "\\n"), word],
            );
            let told = hostel(&[command, "--json", file]).expect(3).json();
            assert_eq!(told["code"], 3, "{told}");
            assert!(
                told["error"]["message"]
                    .to_string()
                    .contains(word.trim_start_matches("error: ")),
                "{told}"
            );
        }
    }
    let (add, greet) = (guest("add"), guest("greet"));
    let memory = ["run", &greet, "--call", "greet", "--memory", "1KiB"];
    says(
        &hostel(&memory).expect(3),
        &[
            "`memory_bytes`: 1024 allowed, 65536 found",
            "hint: ",
            "--limit memory_bytes=65536",
        ],
    );
    says(
        &hostel(&["run", &add]).expect(3),
        &["no function `process`", "`add`", "hint: ", "--call"],
    );
    says(
        &hostel(&["run", &add, "--call", "memory"]).expect(3),
        &["no function `memory`"],
    );
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let files = Files::new();
    let pipe = files.path("pipe.wasm");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo starts").success());
    says(
        &hostel(&["run", path(&pipe)]).expect(3),
        &["expected a regular file"],
    );
    says(
        &hostel(&["inspect", path(&pipe)]).expect(3),
        &["expected a regular file"],
    );
}

#[cfg(unix)]
#[test]
fn names_of_files_forge_no_message() {
    let files = Files::new();
    let file = files.file("a\nerror: \x1b[2J.wasm", b"text");
    let ended = hostel(&["run", &file]).expect(3);
    says(&ended, &["a\\nerror: \\u{1b}[2J.wasm"]);
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[test]
fn a_trap_is_4() {
    let files = Files::new();
    let plugin = files.process("unreachable");
    says(
        &hostel(&["run", &plugin]).expect(4),
        &["error: the guest trapped: it executed `unreachable`"],
    );
    let plugin = files.wat(
        r#"(module (memory (export "memory") 1) (data (i32.const 65536) "x") (func (export "f")))"#,
    );
    hostel(&["run", &plugin, "--call", "f"]).expect(4);
    let plugin = files.wat("(module (func $f unreachable) (start $f) (export \"f\" (func $f)))");
    let told = hostel(&["run", &plugin, "--call", "f", "--json"])
        .expect(4)
        .json();
    assert_eq!(told["error"]["code"], "trap-unreachable");
}

#[test]
fn a_quota_is_5_and_the_deadline_6() {
    let files = Files::new();
    let endless = files.process("(loop $l (br $l)) unreachable");
    let ended = hostel(&["run", &endless, "--fuel", "100000"]).expect(5);
    says(
        &ended,
        &[
            "error: the call used up its fuel of 100000 units",
            "hint: ",
            "--fuel",
        ],
    );
    let ended = hostel(&[
        "run",
        &endless,
        "--timeout",
        "200ms",
        "--fuel",
        "1_000_000G",
    ])
    .expect(6);
    says(
        &ended,
        &[
            "error: the call passed its deadline of 200ms",
            "hint: ",
            "--timeout",
        ],
    );
    let talks =
        files.process("(loop $l (call $log (i32.const 0) (i32.const 0)) (br $l)) unreachable");
    let ended = hostel(&["run", &talks, "--fuel", "1_000_000G", "--json"])
        .expect(5)
        .json();
    assert_eq!(ended["error"]["code"], "host-calls");
    assert_eq!(ended["host_calls"], 1_000_000);
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_breaks_errors_between_words() {
    let counter = guest("counter");
    for (arguments, code) in [
        (format!("run {counter}"), 3),
        (format!("run {counter} --limit unknown=1"), 2),
        (format!("run {counter} --state /missing/directory/state"), 2),
    ] {
        let Some(terminal) = super::on_a_terminal(&arguments, 60) else {
            return;
        };
        let terminal = terminal.expect(code);
        let plain = terminal
            .text()
            .replace("\x1b[1m", "")
            .replace("\x1b[31m", "");
        let plain = plain.replace("\x1b[0m", "");
        assert!(plain.lines().count() > 1, "{plain}");
        for line in plain.lines() {
            // A path longer than the terminal is one word.
            let is_word = !line.trim().contains(' ');
            assert!(line.chars().count() <= 60 || is_word, "{line}");
        }
        // A pipe gets whole lines, with the same words.
        let arguments: Vec<_> = arguments.split(' ').collect();
        let piped = hostel(&arguments).expect(code);
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&plain), words(&piped.stderr));
        assert!(piped.stderr.lines().count() < plain.lines().count());
    }
}

#[test]
fn the_functions_of_a_trap_are_named_where_that_is_asked_for() {
    let files = Files::new();
    let deep = files.wat(
        r#"(module (func $inner unreachable) (func $middle (call $inner))
            (func $f (export "deep") (call $middle)))"#,
    );
    let run = ["run", &deep, "--call", "deep"];
    let without = hostel(&run).expect(4);
    assert!(!without.stderr.contains("middle"), "{}", without.stderr);
    let traced = [&run[..], &["--trace-calls"]].concat();
    says(
        &hostel(&traced).expect(4),
        &["while `deep` ran, in f → middle → inner"],
    );
    let bench = [
        "bench",
        &deep,
        "--call",
        "deep",
        "--trace-calls",
        "--calls",
        "1",
    ];
    let ended = hostel(&bench).expect(4);
    assert!(
        ended.text().contains("f → middle → inner"),
        "{}",
        ended.text()
    );
    let out = files.path("out.wasm");
    let snapshot = ["snapshot", &deep, "--trace-calls", "-o", path(&out)];
    says(&hostel(&snapshot).expect(2), &["no effect on `snapshot`"]);
}
