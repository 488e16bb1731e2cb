//! Bytes that are no module, and modules that ask for more than they get. Each is refused with an
//! error that names the thing, what was expected and what was found. Imports and exports that do
//! not fit are in `mismatches.rs`.

use hostel::{Budget, Engine, Grants, Limits, LoadError, LogRecord};
use hostel_tests::{
    Lines, a_good_plugin_still_answers, assemble, code, guest, guest_bytes, load_code, load_wat,
    say, try_load_wat,
};
use std::{collections::BTreeSet, fs, path::PathBuf};

fn load(wasm: &[u8]) -> Result<hostel::Plugin, LoadError> {
    hostel::engine().load("guest", wasm, &everything())
}

/// Grants all that the built guests import.
fn everything() -> Grants<()> {
    Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")])
}

fn message_of(wasm: &[u8]) -> String {
    load(wasm).map(|_| ()).unwrap_err().to_string()
}

// Not modules

#[test]
fn the_error_for_bytes_that_are_no_module_says_what_they_look_like() {
    for (bytes, expected, says) in [
        (&b""[..], "empty-module", "the module is empty"),
        (b"\0", "truncated-module", "cut off at byte 0x1"),
        (b"\0asm", "truncated-module", "cut off at byte 0x4"),
        (b"\0asm\x01\0\0", "truncated-module", "cut off"),
        (b"\0asm\x02\0\0\0", "invalid-module", "version"),
        (b"\0asm\x0d\0\x01\0", "component", "expected a core module"),
        (b"hello, world", "not-wasm", "found text"),
        (b"{\"json\": true}", "not-wasm", "found text"),
        (b"(module)", "not-wasm", "`wat2wasm`"),
        (b"  \n(module (func))", "not-wasm", "`wat2wasm`"),
        (b";; a comment\n(module)", "not-wasm", "`wat2wasm`"),
        (
            b"\x7fELF\x02\x01\x01\0",
            "not-wasm",
            "`wasm32-unknown-unknown`",
        ),
        (b"\x1f\x8b\x08\0\0\0", "not-wasm", "unpack it first"),
        (b"PK\x03\x04", "not-wasm", "unpack it first"),
        (b"\xfd7zXZ\0\0\x04", "not-wasm", "unpack it first"),
        (b"\x28\xb5\x2f\xfd\x04\0", "not-wasm", "unpack it first"),
        (b"BZh91AY", "not-wasm", "unpack it first"),
        (&[0xff; 600], "not-wasm", "found unknown binary data"),
        ("ü".repeat(400).as_bytes(), "not-wasm", "found text"),
    ] {
        let error = load(bytes).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), expected, "{bytes:.20?}");
        let message = error.to_string();
        assert!(message.contains(says), "{says:?} is not in {message:?}");
        a_good_plugin_still_answers();
    }
}

#[test]
fn data_with_zeros_in_it_is_not_called_text() {
    let message = message_of(b"\0asn\x01\0\0\0");
    assert!(message.ends_with("found unknown binary data"), "{message}");
}

#[test]
fn a_section_that_lies_about_its_size_is_refused() {
    // wasmi's own limits divide by zero at these 12 bytes: a code section of 0 entries that claims
    // 2,000 bytes. The second module has those bytes.
    let short = b"\0asm\x01\0\0\0\x0a\xd0\x0f\x00";
    assert_eq!(load_code(&load(short)), "invalid-module");
    let full = [&short[..], &[0; 1_999]].concat();
    assert_eq!(load_code(&load(&full)), "invalid-module");
    a_good_plugin_still_answers();
}

#[test]
fn every_truncation_of_a_guest_is_refused() {
    for name in ["wat_customize_multi", "c_customize_retptr", "greet"] {
        let wasm = guest_bytes(name);
        // A module that is cut behind its code, between two sections, is whole.
        let mut whole = BTreeSet::new();
        for at in 0..wasm.len() {
            match load(&wasm[..at]) {
                Ok(plugin) => {
                    whole.insert(at);
                    assert_eq!(
                        plugin.info().functions,
                        load(&wasm).unwrap().info().functions
                    );
                }
                Err(error) => {
                    let expected = [
                        "truncated-module",
                        "invalid-module",
                        "empty-module",
                        "mismatch",
                    ];
                    assert!(
                        expected.contains(&error.code()),
                        "{name} cut at {at}: {error}"
                    );
                }
            }
        }
        let sections = load(&wasm).unwrap().info().sections.len();
        assert!(whole.len() < sections, "{name} cut at {whole:?} loads");
    }
    a_good_plugin_still_answers();
}

/// Pseudo-random numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

#[test]
fn mutated_guests_are_refused_or_contained() {
    let engine = hostel::engine().with_budget(Budget::device().with_fuel(20_000));
    let mut random = Random(20_240_611);
    let (mut loaded, mut answered) = (0, 0);
    for name in [
        "wat_customize_multi",
        "wat_customize_retptr",
        "c_greet",
        "wat_reactor",
    ] {
        let wasm = guest_bytes(name);
        for _ in 0..700 {
            let mut mutant = wasm.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(mutant.len());
                match random.below(4) {
                    0 => mutant[at] = random.below(256) as u8,
                    1 => mutant[at] ^= 1 << random.below(8),
                    2 => drop(mutant.remove(at)),
                    _ => mutant.insert(at, random.below(256) as u8),
                }
            }
            let Ok(plugin) = engine.load("guest", &mutant, &everything()) else {
                continue;
            };
            loaded += 1;
            let Ok(mut instance) = plugin.instantiate(()) else {
                continue;
            };
            for name in ["process", "greet"] {
                let result = instance.call_bytes(name, b"hello world", <[u8]>::len);
                answered += u32::from(result.is_ok());
                assert!(instance.usage().fuel <= 20_000);
                assert_eq!(
                    instance.is_stopped(),
                    result.is_err_and(|error| error.stops())
                );
            }
        }
    }
    assert!(
        loaded > 100 && answered > 100,
        "the mutants are too wild: {loaded}, {answered}"
    );
    a_good_plugin_still_answers();
}

#[test]
fn the_error_for_an_invalid_module_says_where_without_control_characters() {
    // Two exports of one name, which contains an escape and a line end.
    let twice = assemble(r#"(module (func (export "a\1b[2J\nb")) (func (export "a\1b[2J\nc")))"#);
    let at = twice.windows(2).rposition(|pair| pair == b"\nc").unwrap();
    let mut twice = twice;
    twice[at + 1] = b'b';
    let message = message_of(&twice);
    assert!(message.contains("duplicate export name"), "{message}");
    assert!(
        message.contains("the module is invalid at byte 0x"),
        "{message}"
    );
    assert!(!message.contains(['\x1b', '\n']), "{message:?}");
}

#[test]
fn a_fault_in_changed_code_is_told_by_its_place_in_the_file() {
    // hostel adds exports, and changes most of the code.
    let text = r#"(module (memory 4 20) (global (mut i32) (i32.const 0)) (func $s) (start $s)
      (func $f (param $x i32) (result i32)
        block
          (br_if 0 (local.get $x))
          (local.set $x (i32.add (local.get $x) (i32.const 7)))
          (memory.fill (local.get $x) (local.get $x) (local.get $x))
          (i32.store offset=65536 (local.get $x) (local.get $x))
        end
        (if (local.get $x) (then (return (local.get $x))))
        (local.set $x (i32.mul (local.get $x) (i32.const 7)))
        (local.set $x (i32.mul (local.get $x) (i32.const 7)))
        (local.set $x (i32.mul (local.get $x) (i32.const 7)))
        (local.get $x))
      (func (export "g") (param i32) (result i32) (call $f (local.get 0))))"#;
    let wasm = assemble(text);
    let code = wasm
        .windows(4)
        .position(|bytes| bytes == [0x02, 0x40, 0x20, 0]);
    let mut faults = 0;
    for at in code.unwrap()..wasm.len() {
        for byte in [0x6a, 0x92, 0x0b, 0x1a] {
            let mut wasm = wasm.clone();
            wasm[at] = byte;
            let Err(expected) = wasmi::Module::new(&wasmi::Engine::default(), &wasm) else {
                continue;
            };
            let error = load(&wasm).map(|_| ()).unwrap_err();
            let LoadError::Invalid { at, reason, .. } = error else {
                continue;
            };
            let expected = expected.to_string();
            // Others are found before the interpreter sees the code.
            if expected.starts_with(&*reason) && !reason.starts_with("operators remaining") {
                let place = format!("(at offset {at:#x})");
                assert!(expected.ends_with(&place), "{expected}: {at:#x}");
                faults += 1;
            }
        }
    }
    assert!(faults > 100, "{faults}");
}

// Features that hostel does not run, and modules over the limits

#[test]
fn features_that_hostel_does_not_run_are_refused() {
    for items in [
        "(memory 1) (memory 1)",
        "(memory i64 1)",
        "(memory 1 1 shared)",
        "(func $f (return_call $f))",
        "(tag) (func)",
        "(type (struct))",
        "(func (result v128) (v128.const i64x2 0 0))",
        "(func (param (ref func)))",
        "(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))",
        r#"(func (export "hostel:start"))"#,
    ] {
        let wasm = assemble(&format!(r#"(module {items} (func (export "f")))"#));
        let error = load(&wasm).map(|_| ()).unwrap_err();
        let expected = ["needs-proposal", "unsupported"];
        assert!(expected.contains(&error.code()), "{items}: {error}");
        a_good_plugin_still_answers();
    }
}

#[test]
fn the_error_for_a_module_that_grows_a_table_says_what_to_do() {
    let text = r#"(module (table 1 funcref)
        (func (export "f") (drop (table.grow (ref.null func) (i32.const 1)))))"#;
    assert_eq!(
        message_of(&assemble(text)),
        "the module is not supported: a function uses `table.grow`; give the table its final size \
         instead, and don't use wasm-bindgen, whose table of `externref` grows"
    );
}

#[test]
fn a_module_over_the_limits_is_refused_with_both_figures() {
    let mut limits = Limits::device(256 << 10);
    limits.module_bytes = 100;
    let engine = Engine::new(limits);
    let largest = [b"\0asm\x01\0\0\0\0\x5a\0", &[0; 89][..]].concat();
    assert_eq!(largest.len(), 100);
    let result = engine.load::<()>("guest", &largest, &Grants::new());
    assert_eq!(
        load_code(&result),
        "mismatch",
        "it is read, and exports nothing"
    );
    let error = engine
        .load::<()>("guest", &[0; 101], &Grants::new())
        .unwrap_err();
    assert_eq!(
        error,
        LoadError::TooLarge {
            limit: 100,
            found: 101
        }
    );
    assert_eq!(
        error.to_string(),
        "the module has 101 bytes, the limits allow 100: raise `module_bytes` if that is expected"
    );
    let mut limits = Limits::device(256 << 10);
    limits.module.tables = 2;
    let engine = Engine::new(limits);
    for (item, expected) in [
        ("(memory 1)", None),
        ("(memory 1 65536)", None),
        (
            "(memory 2)",
            Some("`memory_bytes`: 65536 allowed, 131072 found"),
        ),
        (
            "(memory 65536)",
            Some("`memory_bytes`: 65536 allowed, 4294967296 found"),
        ),
        ("(table 512 funcref)", None),
        (
            "(table 513 funcref)",
            Some("`table_elements`: 512 allowed, 513 found"),
        ),
        (
            "(table 256 funcref) (table 257 externref)",
            Some("`table_elements`: 512 allowed, 513 found"),
        ),
    ] {
        let text = format!(r#"(module (func (export "f")) {item})"#);
        let result = try_load_wat::<()>(&engine, &text, &Grants::new());
        let found = result.map(|_| ()).map_err(|error| error.to_string());
        let expected = expected.map(|says| {
            let name = says.split(':').next().unwrap_or_default();
            format!("the module is over the limit {says}; raise {name} if that is expected")
        });
        assert_eq!(found.err(), expected, "{item}");
    }
}

// Segments and start functions: found out when an instance is made

#[test]
fn a_segment_that_does_not_fit_is_an_error_of_the_instance() {
    for item in [
        r#"(memory 1) (data (i32.const 65536) "x")"#,
        r#"(memory 1) (data (i32.const -1) "x")"#,
        "(table 1 funcref) (elem (i32.const 1) $f)",
        "(table 1 funcref) (elem (i32.const -1) $f)",
    ] {
        let text = format!(r#"(module (func $f (export "f")) {item})"#);
        let plugin = load_wat::<()>(&text, &Grants::new());
        for _ in 0..2 {
            let error = plugin.instantiate(()).err().map(|error| error.code());
            let expected = ["trap-instantiation", "trap-memory", "trap-table"];
            assert!(
                error.is_some_and(|code| expected.contains(&code)),
                "{item}: {error:?}"
            );
        }
        a_good_plugin_still_answers();
    }
}

#[test]
fn a_start_function_runs_once_under_the_budget() {
    for (body, expected) in [
        ("(nop)", "ok"),
        ("(unreachable)", "trap-unreachable"),
        ("(i32.store (i32.const -1) (i32.const 0))", "trap-memory"),
        ("(loop $on (br $on))", "out-of-fuel"),
        ("(call $start)", "trap-stack"),
    ] {
        for section in ["(start $start)", r#"(export "_initialize" (func $start))"#] {
            let text = format!(
                r#"(module (memory 1) (global $starts (mut i32) (i32.const 0))
                    (func $start {body} (global.set $starts (i32.add (global.get $starts) (i32.const 1))))
                    {section}
                    (func (export "starts") (result i32) (global.get $starts)))"#
            );
            let plugin = load_wat::<()>(&text, &Grants::new())
                .with_budget(Budget::server().with_fuel(100_000));
            let result = plugin.call::<(), u32>("starts", ());
            assert_eq!(code(&result), expected, "{section} {body}");
            assert!(matches!(result, Ok(1) | Err(_)));
            a_good_plugin_still_answers();
        }
    }
}

#[test]
fn a_start_function_may_call_host_functions() {
    let lines = Lines::default();
    let grants = lines.granted().config([("key", "value")]);
    for section in ["(start $start)", r#"(export "_initialize" (func $start))"#] {
        let text = format!(
            r#"(module
                (import "env" "host_log" (func $log (param i32 i32)))
                (import "env" "host_get_config" (func $get (param i32 i32) (result i32 i32)))
                (memory (export "memory") 1)
                (data (i32.const 0) "key")
                (func (export "allocate") (param i32) (result i32) (i32.const 1024))
                (func $start
                  (call $get (i32.const 0) (i32.const 3))
                  (call $log))
                (func (export "f"))
                {section})"#
        );
        let instance = load_wat::<()>(&text, &grants).instantiate(()).unwrap();
        assert_eq!(lines.take(), ["guest: value"], "{section}");
        assert_eq!(instance.start_usage().host_calls, 2, "{section}");
    }
}

#[test]
fn a_start_function_may_be_the_hosts_own() {
    let lines = Lines::default();
    let text =
        r#"(module (import "host" "begin" (func $begin)) (func (export "f")) (start $begin))"#;
    let begin = {
        let lines = lines.clone();
        let grants: Grants<()> = lines.granted();
        let log = load_wat(
            r#"(module (import "env" "host_log" (func $log (param i32 i32)))
                (memory (export "memory") 1) (data (i32.const 0) "begun")
                (func (export "log") (call $log (i32.const 0) (i32.const 5))))"#,
            &grants,
        );
        move || drop(log.call::<(), ()>("log", ()))
    };
    let plugin = load_wat(text, &Grants::new().function("host", "begin", begin));
    assert!(lines.take().is_empty(), "loading runs nothing");
    assert_eq!(plugin.call::<(), ()>("f", ()), Ok(()));
    assert_eq!(lines.take(), ["guest: begun"]);
}

#[test]
fn a_start_function_needs_no_other_export_and_no_order() {
    // Custom sections between all others; an export section or none; a start function with a large
    // index.
    let many = "(func)".repeat(200);
    for item in ["", r#"(memory (export "m") 1) (data (i32.const 0) "x")"#] {
        for exports in ["", r#"(func (export "f"))"#] {
            let text = format!(
                r#"(module {many} {item} {exports}
                    (@custom "a" (before first) "x") (@custom "b" (before start) "y")
                    (@custom "c" (after start) "z") (@custom "d" (after last) "")
                    (func $start (unreachable)) (start $start))"#
            );
            let result = try_load_wat::<()>(&hostel::engine(), &text, &Grants::new());
            if exports.is_empty() {
                assert_eq!(load_code(&result), "mismatch", "nothing to call");
            } else {
                assert_eq!(code(&result.unwrap().instantiate(())), "trap-unreachable");
            }
        }
    }
}

// Files

/// Makes a directory for one test.
fn place(name: &str) -> PathBuf {
    let place = std::env::temp_dir().join(format!("hostel-{}-{name}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    place
}

fn load_path(path: &std::path::Path) -> hostel::FileError {
    hostel::load_file(&hostel::engine(), path, &everything())
        .map(|_| ())
        .unwrap_err()
}

#[test]
fn a_file_that_is_no_plugin_is_named_with_what_is_wrong() {
    let place = place("files");
    let (large, text) = (place.join("large.wasm"), place.join("text.wasm"));
    // A sparse file, which takes no space on the disk. It is refused before a byte is read.
    fs::File::create(&large).unwrap().set_len(1 << 40).unwrap();
    fs::write(&text, "(module)").unwrap();
    for (path, expected, says) in [
        (place.join("missing.wasm"), "file-missing", "can't read"),
        (
            place.clone(),
            "file-is-directory",
            "it is a directory, expected a .wasm file",
        ),
        (
            large,
            "module-too-large",
            "the module has 1099511627776 bytes",
        ),
        (text, "not-wasm", "`wat2wasm`"),
    ] {
        let error = load_path(&path);
        assert_eq!(error.code(), expected);
        assert_eq!(error.path(), path);
        let message = error.to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
        assert!(message.contains(says), "{message}");
    }
    fs::remove_dir_all(place).unwrap();
}

#[cfg(unix)]
#[test]
fn a_pipe_or_a_device_is_not_waited_for() {
    let place = place("pipe");
    let pipe = place.join("pipe.wasm");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is there").success());
    for path in [pipe, "/dev/zero".into()] {
        let error = load_path(&path);
        assert_eq!(error.code(), "file-not-regular", "{}", path.display());
        assert!(error.to_string().contains("expected a regular file"));
    }
    fs::remove_dir_all(place).unwrap();
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let place = place("unreadable");
    let path = place.join("secret.wasm");
    fs::copy(guest("add"), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        say("SKIPPED: an_unreadable_file_is_named, because root can read every file");
        let plugin = hostel::load_file(&hostel::engine(), &path, &everything());
        assert_eq!(plugin.unwrap().name(), "secret");
    } else {
        let error = load_path(&path);
        assert_eq!(error.code(), "file-unreadable");
        assert!(error.to_string().contains("secret.wasm"), "{error}");
    }
    fs::remove_dir_all(place).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_is_followed() {
    let place = place("link");
    let link = place.join("link.wasm");
    std::os::unix::fs::symlink(guest("add"), &link).unwrap();
    let plugin = hostel::load_file(&hostel::engine(), &link, &everything()).unwrap();
    assert_eq!(plugin.name(), "link");
    assert_eq!(plugin.call::<(u32, u32), u32>("add", (1, 2)), Ok(3));
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_module_is_refused_before_its_reading_takes_more_than_the_heap() {
    let text = format!(
        r#"(module (import "env" "unknown" (func)) (func {} {}))"#,
        "block ".repeat(4_000),
        "end ".repeat(4_000)
    );
    let wasm = assemble(&text);
    for (heap_bytes, expected) in [(1 << 20, "mismatch"), (40 << 10, "does-not-fit")] {
        let mut limits = Limits::server();
        limits.heap_bytes = heap_bytes;
        let loaded = hostel::engine_with(limits).load::<()>("guest", &wasm, &Grants::new());
        assert_eq!(load_code(&loaded), expected, "{heap_bytes}");
    }
}
