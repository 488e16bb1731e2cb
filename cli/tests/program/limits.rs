//! `--limit`, and the hints that lead to it.

use super::{Ended, Files, guest, hostel, path};

/// Runs the program again and again, each time with the options that the last hint names, until it
/// succeeds. Returns the options.
#[track_caller]
fn raised(arguments: &[&str]) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for _ in 0..10 {
        let mut all = arguments.to_vec();
        all.extend(options.iter().map(String::as_str));
        let ended = hostel(&all);
        if ended.code == Some(0) {
            return options;
        }
        let hint = ended.stderr.lines().last().expect("there is a hint");
        let hinted = hint.split_once("--limit ").expect(hint).1;
        options.extend(["--limit".to_owned()]);
        options.extend(hinted.split(' ').map(str::to_owned));
    }
    panic!("it never succeeds: {options:?}")
}

/// Writes a module that exceeds several limits of a server, with a function `f`.
fn large(files: &Files) -> String {
    let locals = "i32 ".repeat(2_100);
    let params = "i32 ".repeat(70);
    files.wat(&format!(
        r#"(module (memory 1100) (table 100001 funcref)
            (func (local {locals})) (func (param {params}))
            (func (export "f")))"#
    ))
}

#[test]
fn each_hint_raises_a_limit_until_the_plugin_loads() {
    let files = Files::new();
    let plugin = large(&files);
    let out = files.path("out.wasm");
    let expected = [
        "memory_bytes=72089600",
        "table_elements=100001",
        "locals=2100",
        "params=70",
    ];
    for arguments in [
        &["run", &plugin, "--call", "f"][..],
        &["bench", &plugin, "--call", "f", "--calls", "1"],
        &["snapshot", &plugin, "-o", path(&out)],
        &["inspect", &plugin],
        &["probe", &plugin],
    ] {
        let options = raised(arguments);
        for option in expected {
            assert!(
                options.iter().any(|o| o == option),
                "{arguments:?}: {options:?}"
            );
        }
        assert_eq!(options.len(), 2 * expected.len(), "{options:?}");
    }
    // probe names all of them at once.
    let ended = hostel(&["probe", &plugin]).expect(3);
    let hint = ended.stderr.lines().last().expect("there is a hint");
    assert_eq!(hint.matches("--limit ").count(), 4, "{hint}");
    assert!(
        hint.starts_with("hint: raise the limits with --limit "),
        "{hint}"
    );
}

#[test]
fn a_file_larger_than_the_limit_is_inspected() {
    let files = Files::new();
    let data = "x".repeat(17 << 20);
    let plugin = files.wat(&format!(
        r#"(module (memory 300) (data (i32.const 0) "{data}") (func (export "f")))"#
    ));
    for command in ["inspect", "probe"] {
        let ended = hostel(&[command, &plugin]).expect(3);
        assert!(!ended.text().is_empty());
        assert!(
            ended.stderr.contains("--limit module_bytes=1782"),
            "{}",
            ended.stderr
        );
        hostel(&[command, &plugin, "--limit", "module_bytes=18MiB"]).expect(0);
    }
    let ended = hostel(&["inspect", &plugin]).expect(3);
    assert!(ended.text().contains("() -> ()"), "{}", ended.text());
    hostel(&["run", &plugin, "--call", "f"]).expect(3);
    hostel(&[
        "run",
        &plugin,
        "--call",
        "f",
        "--limit",
        "module_bytes=18MiB",
    ])
    .expect(0);
    // A file of more bytes than the machine has memory.
    let sparse = files.file("sparse.wasm", b"");
    let file = std::fs::File::options().write(true).open(&sparse);
    let made = file.and_then(|file| file.set_len(1 << 42));
    made.expect("a sparse file can be made");
    let ended = hostel(&["inspect", &sparse]).expect(3);
    assert!(ended.stderr.contains("can't read"), "{}", ended.stderr);
}

#[test]
fn each_limit_of_a_call_is_named_when_it_ends_one() {
    let files = Files::new();
    let guests = [
        files.wat(
            r#"(module
                (func $deep (export "deep") (param i32) (result i32)
                    (if (result i32) (local.get 0)
                        (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
                        (else (i32.const 7)))))"#,
        ),
        guest("customize"),
    ];
    let [deep, customize] = &guests;
    let says = |ended: &Ended, option: &str| {
        let hint = ended.stderr.lines().last().expect("there is a hint");
        assert!(
            hint.starts_with("hint: ") && hint.contains(option),
            "{hint}"
        );
    };
    let input = files.file("input", b"0123456789");
    let input = format!("@{input}");
    for (arguments, low, high, code) in [
        (
            &[customize, "0123456789"][..],
            "output_bytes=5",
            "output_bytes=25",
            5,
        ),
        (&[customize, &input], "input_bytes=9", "input_bytes=10", 2),
        (
            &[customize, "0123456789"],
            "host_calls=1",
            "host_calls=2",
            5,
        ),
        (
            &[customize, "0123456789"],
            "argument_bytes=3",
            "argument_bytes=1K",
            5,
        ),
        (
            &[customize, "a", "--config", "prefix=ABCDEF"],
            "bytes_to_guest=2",
            "bytes_to_guest=1K",
            5,
        ),
        (
            &[deep, "--call", "deep", "900"],
            "call_depth=100",
            "call_depth=1K",
            4,
        ),
        (
            &[deep, "--call", "deep", "900"],
            "stack_bytes=2Ki",
            "stack_bytes=64Ki",
            4,
        ),
    ] {
        let run = |limit| hostel(&[&["run", "--limit", limit], arguments].concat());
        let (name, _) = low.split_once('=').expect("it has a value");
        says(&run(low).expect(code), &format!("--limit {name}="));
        run(high).expect(0);
        // The last one counts.
        let both = ["run", "--limit", low, "--limit", high];
        hostel(&[&both[..], arguments].concat()).expect(0);
    }
}

/// The names that the message about an unknown limit lists.
fn names(command: &str) -> Vec<String> {
    let ended = hostel(&[command, &guest("add"), "--limit", "unknown=1"]).expect(2);
    let (_, list) = ended
        .stderr
        .split_once("unknown limit `unknown`; the limits are: ")
        .expect("the message lists the limits");
    let list = list.split("\n\n").next().unwrap_or_default();
    let names = list.split([',', ' ', '\n']).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

#[test]
fn every_limit_takes_any_number() {
    let customize = guest("customize");
    let all = names("run");
    assert_eq!(all.len(), 55, "{all:?}");
    for name in &all {
        let most = match &**name {
            "host_calls" | "log_records" | "log_bytes" | "created_files" => "4294967295",
            _ => "18446744073709551615",
        };
        for value in ["0", "1", most] {
            let limit = format!("{name}={value}");
            let ended = hostel(&["run", &customize, "hello", "--limit", &limit]);
            assert!(
                !ended.stderr.contains("panicked"),
                "{limit}: {}",
                ended.stderr
            );
            let code = ended.code.expect("it ends by itself");
            assert!((0..=7).contains(&code), "{limit}: {code}");
            if value == most {
                assert_eq!(code, 0, "{limit}: {}", ended.stderr);
            }
        }
    }
    for too_much in ["host_calls=4294967296", "created_files=5G"] {
        let ended = hostel(&["run", &customize, "--limit", too_much]).expect(2);
        assert!(
            ended.stderr.contains("is at most 4294967295"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn limits_are_listed() {
    let add = guest("add");
    for (command, count) in [
        ("run", 55),
        ("bench", 55),
        ("snapshot", 55),
        ("inspect", 41),
        ("probe", 41),
    ] {
        for list in [&["--limit", "list"][..], &["--limit=list", &add]] {
            let ended = hostel(&[&[command], list].concat()).expect(0);
            assert_eq!(ended.stderr, "");
            let mut rows = ended.text().lines();
            let head = rows.next().expect("a head");
            assert!(head.starts_with("limit ") && head.ends_with(" of a command"));
            let words = |row: &str| {
                row.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let rows: Vec<_> = rows.map(words).collect();
            let found: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
            assert_eq!((found.len(), &found), (count, &names(command)));
            let memory = ["memory_bytes", "67108864", "1073741824"].map(str::to_owned);
            assert!(rows.iter().any(|row| row[..] == memory), "{rows:?}");
        }
    }
}

#[test]
fn a_limit_without_effect_is_refused() {
    let of_call = names("bench");
    assert_eq!(of_call, names("run"));
    assert_eq!(of_call, names("snapshot"));
    let of_plugin = names("inspect");
    assert_eq!(of_plugin, names("probe"));
    assert_eq!(of_plugin.len(), 41, "{of_plugin:?}");
    assert_eq!(of_plugin, of_call[..41]);
    for command in ["inspect", "probe"] {
        let ended = hostel(&[command, &guest("add"), "--limit", "output_bytes=5"]).expect(2);
        let message = "`output_bytes` limits a call";
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}

/// A guest that asks for 80 MiB, and then fails in the way that its argument says.
const HUNGRY: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "no memory")
    (func $full (result i32) (i32.eq (memory.grow (i32.const 1280)) (i32.const -1)))
    (func (export "panics") (if (call $full) (then unreachable)))
    (func (export "exits") (if (call $full) (then (call $exit (i32.const 9)))))
    (func (export "allocate") (param i32) (result i32)
        (if (result i32) (call $full) (then (i32.const 0)) (else (i32.const 64))))
    (func (export "errs") (param i32 i32) (result i32 i32)
        (if (result i32 i32) (call $full)
            (then (i32.const 0) (i32.const 0x80000009))
            (else (i32.const 0) (i32.const 9)))))"#;

#[test]
fn the_limit_of_memory_is_named_however_the_guest_fails() {
    let files = Files::new();
    let hungry = files.wat(HUNGRY);
    let errs = HUNGRY.replace(
        r#"(if (result i32) (call $full) (then (i32.const 0)) (else "#,
        "(block (result i32) (block (result i32) ",
    );
    let errs = files.file("errs.wasm", &wat::parse_str(errs).expect("it is WAT"));
    let command = HUNGRY.replace(r#""exits""#, r#""_start""#);
    let command = files.file("command.wasm", &wat::parse_str(command).expect("it is WAT"));
    let memory = ["--memory", "64MiB"];
    let refused = "a growth of its memory to 83951616 bytes was refused by the limit `memory_bytes` of 67108864";
    for (arguments, code) in [
        (&[&*hungry, "--call", "panics"][..], 4),
        (&[&hungry, "--call", "exits"], 4),
        (&[&hungry, "--call", "errs"], 1),
        (&[&errs, "--call", "errs"], 1),
        (&[&command], 9),
    ] {
        let run = |more: &[&str]| hostel(&[&["run"], arguments, more].concat());
        let ended = run(&memory).expect(code);
        let hint = ended.stderr.lines().last().expect("there is a hint");
        assert!(ended.stderr.contains(refused), "{}", ended.stderr);
        assert!(
            hint.starts_with("hint: ") && hint.ends_with("--memory SIZE"),
            "{hint}"
        );
        assert_eq!(
            ended.stderr.matches("refused").count(),
            1,
            "{}",
            ended.stderr
        );
        let json = run(&[&memory[..], &["--json"]].concat())
            .expect(code)
            .json();
        assert_eq!(json["refused_growth"]["asked"], 83_951_616, "{json}");
        assert_eq!(json["refused_growth"]["limit"], 67_108_864, "{json}");
        let json = run(&["--memory", "164MiB", "--json"]).expect(0).json();
        assert!(json["refused_growth"].is_null(), "{json}");
        let bench = [&["bench"], arguments, &memory, &["--calls", "1"]].concat();
        let ended = hostel(&bench).expect(code);
        assert!(ended.text().contains(refused), "{}", ended.text());
    }
}
