//! Backtraces, core dumps and coverage: what the functions and lines of a plugin did.

use super::{Files, guest, hostel, path};
use std::{collections::BTreeMap, fs, process::Command};

/// A plugin whose line numbers the tests name.
const SOURCE: &str = "\
#![no_std]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

#[unsafe(no_mangle)]
pub extern \"C\" fn sum(n: u32) -> u32 {
    let mut total = 0;
    let mut i = 0;
    while i < n {
        total += double(i);
        i += 1;
    }
    if total > 1000 {
        return stop(total);
    }
    total
}

fn double(i: u32) -> u32 {
    inlined(i) * 2
}

#[inline(always)]
fn inlined(i: u32) -> u32 {
    i
}

#[inline(never)]
fn stop(total: u32) -> u32 {
    if total == 7 {
        return double(total);
    }
    core::arch::wasm32::unreachable()
}
";

/// Builds the plugin with debug information, without optimisation. `None` if there is no compiler, which is a failure in
/// CI, but for Wine.
fn built(files: &Files) -> Option<String> {
    if cfg!(windows) {
        eprintln!("SKIPPED, there is no compiler under Wine");
        return None;
    }
    let source = files.file("plugin.rs", SOURCE.as_bytes());
    let plugin = files.path("plugin.wasm");
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition",
        "2024",
        "--crate-type",
        "cdylib",
        "-g",
        "-C",
        "opt-level=0",
    ]);
    rustc.args(["-C", "panic=abort", "--target", "wasm32-unknown-unknown"]);
    rustc.args([
        "-C",
        "link-arg=-zstack-size=65536",
        "-o",
        path(&plugin),
        &source,
    ]);
    match rustc.output() {
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{stderr}");
            Some(path(&plugin).to_owned())
        }
        Err(error) if std::env::var_os("CI").is_some() => panic!("rustc: {error}"),
        Err(error) => {
            eprintln!("SKIPPED, without `rustc`: {error}");
            None
        }
    }
}

/// Returns the line of the source that has a text.
fn line(text: &str) -> u32 {
    let number = SOURCE.lines().position(|line| line.contains(text));
    u32::try_from(number.expect("the source has it") + 1).expect("it is short")
}

/// The coverage of a file: how many times each line and each function ran.
#[derive(Debug, Default)]
struct Coverage {
    lines: BTreeMap<u32, u64>,
    functions: BTreeMap<String, u64>,
}

/// Reads the records of lcov by their files.
fn coverage(file: &str) -> BTreeMap<String, Coverage> {
    let text = fs::read_to_string(file).expect("there is coverage");
    let mut files = BTreeMap::new();
    let mut current = (String::new(), Coverage::default());
    for record in text.lines() {
        let (kind, value) = record.split_once(':').unwrap_or((record, ""));
        let fields = || value.split_once(',').expect("it has two fields");
        let number = |text: &str| -> u64 { text.parse().expect("it is a number") };
        match kind {
            "SF" => current.0 = value.to_owned(),
            "DA" => {
                let (line, count) = fields();
                let line = u32::try_from(number(line)).expect("it is small");
                assert_eq!(current.1.lines.insert(line, number(count)), None);
            }
            "FNDA" => {
                let (count, name) = fields();
                current.1.functions.insert(name.to_owned(), number(count));
            }
            "LF" => assert_eq!(number(value), current.1.lines.len() as u64),
            "LH" => {
                let hit = current.1.lines.values().filter(|count| **count > 0).count();
                assert_eq!(number(value), hit as u64);
            }
            "end_of_record" => {
                let (file, coverage) = std::mem::take(&mut current);
                files.insert(file, coverage);
            }
            "TN" | "FN" | "FNF" | "FNH" => {}
            other => panic!("{other}"),
        }
    }
    files
}

#[test]
fn each_line_is_counted_as_many_times_as_it_ran() {
    let files = Files::new();
    let Some(plugin) = built(&files) else { return };
    let to = files.path("lcov.info");
    let run = ["run", &plugin, "--call", "sum", "5"];
    let ended = hostel(&[&run[..], &["--coverage", path(&to)]].concat()).expect(0);
    assert_eq!(ended.text(), "20\n");
    let all = coverage(path(&to));
    let source = files.path("plugin.rs");
    let found = &all[path(&source)];
    for (text, count) in [
        ("let mut i = 0", 1),
        ("while i < n", 6),
        ("total += double(i)", 5),
        ("i += 1", 5),
        ("if total > 1000", 1),
        ("return stop(total)", 0),
        ("    inlined(i) * 2", 5),
        ("fn stop(", 0),
        ("if total == 7", 0),
        ("return double(total)", 0),
    ] {
        let line = line(text);
        assert_eq!(found.lines.get(&line), Some(&count), "{text}: {found:#?}");
    }
    let counts = |name: &str| {
        let mut functions = found.functions.iter();
        functions
            .find(|(known, _)| known.ends_with(name))
            .map(|(_, count)| *count)
    };
    assert_eq!(
        ["sum", "double", "stop"].map(counts),
        [Some(1), Some(5), Some(0)]
    );
}

#[test]
fn the_coverage_of_a_test_is_the_sum_of_its_cases() {
    let files = Files::new();
    let Some(plugin) = built(&files) else { return };
    let to = files.path("lcov.info");
    let text = r#"
        [[case]]
        name = "five"
        call = "sum"
        input = 5
        [[case]]
        name = "seven, with another setup"
        call = "sum"
        input = 7
        fuel = "1M"
        [[case]]
        name = "again, in its instance"
        continues = true
        call = "sum"
        input = 1
        [[case]]
        name = "stops"
        call = "sum"
        input = 50
        [case.expect]
        error = { code = "trap-unreachable" }
    "#;
    let tests = files.file("tests.toml", text.as_bytes());
    hostel(&["test", &plugin, &tests, "--coverage", path(&to)]).expect(0);
    let all = coverage(path(&to));
    let source = files.path("plugin.rs");
    let found = &all[path(&source)];
    for (text, count) in [
        ("let mut i = 0", 4),
        ("total += double(i)", 5 + 7 + 1 + 50),
        ("return stop(total)", 1),
        ("if total == 7", 1),
        ("return double(total)", 0),
    ] {
        assert_eq!(
            found.lines.get(&line(text)),
            Some(&count),
            "{text}: {found:#?}"
        );
    }
}

#[test]
fn a_backtrace_has_functions_and_lines() {
    let files = Files::new();
    let Some(plugin) = built(&files) else { return };
    let run = ["run", &plugin, "--call", "sum", "50"];
    let ended = hostel(&[&run[..], &["--backtrace"]].concat()).expect(4);
    let source = files.path("plugin.rs");
    // The library's functions that are inlined have places of their own.
    let in_source = |line: &&str| line.starts_with("  at ") && line.contains(path(&source));
    let places: Vec<_> = ended.stderr.lines().filter(in_source).collect();
    let last = u32::try_from(SOURCE.lines().count() - 1).expect("it is short");
    let expected = [("stop", last), ("sum", line("return stop(total)"))];
    assert_eq!(places.len(), expected.len(), "{}", ended.stderr);
    for (place, (name, line)) in places.iter().zip(expected) {
        let at = format!("({}:{line}:", path(&source));
        assert!(place.contains(name) && place.contains(&at), "{place}");
    }
    let tests = files.file(
        "tests.toml",
        b"[[case]]\nname = \"stops\"\ncall = \"sum\"\ninput = 50\n",
    );
    let ended = hostel(&["test", &plugin, &tests, "--backtrace"]).expect(1);
    for place in places {
        assert!(ended.text().contains(place.trim()), "{}", ended.text());
    }
}

#[test]
fn without_debug_information_functions_are_named_and_counted() {
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (import "env" "host_log" (func $log (param i32 i32)))
            (memory (export "memory") 1)
            (func $inner (param i32) (if (local.get 0) (then (unreachable))))
            (func $unused)
            (func $deep (param i32)
                (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (unreachable))))
            (func $log_outside (call $log (i32.const -1) (i32.const 4)))
            (func (export "logs") (call $log_outside))
            (func (export "deep") (call $deep (i32.const 99)))
            (func (export "f") (param i32) (call $inner (i32.const 0)) (call $inner (local.get 0))))"#,
    );
    let stopped = |call: &[&str]| {
        let arguments = [&["run", &plugin, "--backtrace", "--call"], call].concat();
        let ended = hostel(&arguments).expect(4);
        let lines = ended
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("  "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(stopped(&["f", "1"]), ["at inner", "at f"]);
    assert_eq!(
        stopped(&["logs"]),
        ["at env.host_log", "at log_outside", "at logs"]
    );
    let deep = stopped(&["deep"]);
    assert_eq!(deep.len(), 24 + 1 + 8);
    assert_eq!(deep[24], "… 69 functions left out …");
    assert_eq!(deep.last().map(|line| &**line), Some("at deep"));

    let to = files.path("lcov.info");
    hostel(&["run", &plugin, "--call", "f", "0", "--coverage", path(&to)]).expect(0);
    let all = coverage(path(&to));
    let functions = &all[&plugin].functions;
    let counts = ["f", "inner", "unused"].map(|name| functions[name]);
    assert_eq!(counts, [1, 2, 0], "{functions:?}");
    // The line of a function is its number, from 1 on; the first one is imported.
    let lines = [(2, 2), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 1)];
    assert_eq!(all[&plugin].lines, BTreeMap::from(lines));
}

/// Being observed changes neither the result, nor the fuel and host calls, nor where the budget ends.
#[test]
fn an_observed_call_has_the_usage_of_one_that_is_not() {
    let files = Files::new();
    let to = files.path("lcov.info");
    let usage = |arguments: &[&str]| {
        let report = hostel(&[&["run", "--json"], arguments].concat()).json();
        let field = |name: &str| report[name].clone();
        let fields = ["code", "output", "host_calls", "logs"].map(field);
        let error = report["error"]["message"].clone();
        (fields, report["fuel"]["call"].clone(), error)
    };
    let compare = |arguments: &[&str]| {
        let observed = [arguments, &["--backtrace", "--coverage", path(&to)]].concat();
        assert_eq!(usage(&observed), usage(arguments), "{arguments:?}");
    };
    for name in ["customize", "c_customize", "zig_customize", "as_customize"] {
        let plugin = guest(name);
        compare(&[&plugin, "hello world", "--config", "prefix=CUSTOM"]);
    }
    // They have custom sections, whose room the changes take.
    for name in ["customize", "c_customize", "zig_customize"] {
        let plugin = guest(name);
        let start = |more: &[&str]| {
            let report = hostel(&[&["run", "--json", &*plugin, "hello"], more].concat()).json();
            report["fuel"]["start"].clone()
        };
        assert_eq!(start(&["--coverage", path(&to)]), start(&[]), "{name}");
    }
    if let Some(plugin) = built(&files) {
        for arguments in [
            &["5"][..],
            &["50"],
            &["50", "--fuel", "1500"],
            &["200", "--fuel", "12000"],
        ] {
            compare(&[&[&*plugin, "--call", "sum"], arguments].concat());
        }
    }
    let plugin = guest("customize");
    compare(&[&plugin, "hello", "--limit", "host_calls=1"]);
    let told = hostel(&[
        "run",
        &plugin,
        "hello",
        "--limit",
        "host_calls=1",
        "--backtrace",
    ]);
    assert!(told.expect(5).stderr.contains("more than 1 times"));
}

#[test]
fn a_core_dump_has_the_stack_the_memory_and_the_globals() {
    use wasmparser::{CoreDumpStackSection, KnownCustom, Operator, Parser, Payload};
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (memory (export "memory") 2)
            (global $one i32 (i32.const 7))
            (global $changed (mut i64) (i64.const 1))
            (func $inner (i32.store (i32.const 70000) (i32.const 0x01020304)) (global.set $changed (i64.const -5)) (unreachable))
            (func (export "f") (call $inner)))"#,
    );
    let file = files.path("core.dump");
    let run = ["run", &plugin, "--coredump", path(&file), "--call", "f"];
    hostel(&run).expect(4);
    let dump = fs::read(&file).expect("there is a core dump");
    let mut stacks = Vec::new();
    let (mut pages, mut globals, mut data, mut sections) = (0, Vec::new(), Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(&dump) {
        match payload.expect("it is a module") {
            Payload::CustomSection(section) => {
                sections.push(section.name().to_owned());
                if let KnownCustom::CoreDumpStack(CoreDumpStackSection { name, frames }) =
                    section.as_known()
                {
                    assert_eq!(name, "main");
                    stacks.extend(
                        frames
                            .iter()
                            .map(|frame| (frame.instanceidx, frame.funcidx)),
                    );
                }
            }
            Payload::MemorySection(section) => {
                pages = section
                    .into_iter()
                    .next()
                    .expect("one memory")
                    .expect("it is valid")
                    .initial;
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global.expect("it is valid");
                    let value = global
                        .init_expr
                        .get_operators_reader()
                        .read()
                        .expect("it has a value");
                    globals.push(match value {
                        Operator::I32Const { value } => i64::from(value),
                        Operator::I64Const { value } => value,
                        other => panic!("{other:?}"),
                    });
                    assert!(!global.ty.mutable);
                }
            }
            Payload::DataSection(section) => {
                data = section
                    .into_iter()
                    .map(|data| data.expect("it is valid").data.to_vec())
                    .collect();
            }
            _ => {}
        }
    }
    assert_eq!(
        sections,
        ["core", "coremodules", "coreinstances", "corestack"]
    );
    assert_eq!(stacks, [(0, 0), (0, 1)]);
    assert_eq!((pages, globals), (2, vec![7, -5]));
    // 70000 is 368 bytes into a chunk of 4 KiB.
    assert_eq!(data.len(), 1);
    assert_eq!(data[0][368..372], [4, 3, 2, 1]);

    // None of a call that ends well.
    fs::remove_file(&file).expect("it was written");
    hostel(&[
        "run",
        &guest("add"),
        "--call",
        "add",
        "1",
        "2",
        "--coredump",
        path(&file),
    ])
    .expect(0);
    assert!(!file.exists());
}

#[test]
fn what_can_not_be_observed_is_said() {
    let files = Files::new();
    let to = files.path("out");
    let component = guest("components/rust_small");
    for option in [
        &["--backtrace"][..],
        &["--coverage", path(&to)],
        &["--coredump", path(&to)],
    ] {
        let ended = hostel(&[&["run", &component], option].concat()).expect(3);
        let message = format!("{} can't observe a component", option[0]);
        assert!(ended.stderr.contains(&message), "{}", ended.stderr);
        assert!(!to.exists());
    }
    let own = files.wat(
        r#"(module (import "hostel-profile" "event" (func (param i32 i32 i32))) (func (export "f")))"#,
    );
    let ended = hostel(&["run", &own, "--call", "f", "--backtrace"]).expect(3);
    assert!(
        ended.stderr.contains("imports `hostel-profile`"),
        "{}",
        ended.stderr
    );
    let missing = files.path("missing/lcov.info");
    let run = [
        "run",
        &guest("add"),
        "--call",
        "add",
        "1",
        "2",
        "--coverage",
        path(&missing),
    ];
    let ended = hostel(&run).expect(2);
    assert!(ended.stderr.contains("can't write"), "{}", ended.stderr);
}
