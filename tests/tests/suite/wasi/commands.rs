//! The built commands, by five compilers, with and without an operating system.

use hostel::{CallError, Engine, Grants, Instance, Platform, Wasi, WasiOutput, files::Access};
use hostel_tests::{Ticking, guest_bytes};
use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const REPORTS: [&str; 5] = [
    "wasi_rust_report",
    "wasi_c_report",
    "wasi_zigcc_report",
    "wasi_zig_report",
    GO,
];
const GO: &str = "wasi_go_report";

fn report(engine: &Engine, name: &str, wasi: Wasi) -> Instance {
    let buffer = || WasiOutput::buffer(64 << 10);
    let wasi = wasi.stdout(buffer()).stderr(buffer());
    let grants = Grants::new().wasi(wasi);
    let plugin = engine.load(name, &guest_bytes(name), &grants);
    plugin
        .expect("it loads")
        .instantiate(())
        .expect("it starts")
}

/// How a command ended, and what it wrote to stdout and stderr.
type Ended = (Result<u32, CallError>, String, String);

/// Runs a command on an engine with an operating system, and on one without.
fn both(name: &str, wasi: &Wasi) -> [Ended; 2] {
    // Go's run time reads the clock. It needs one, and its fuel depends on the time.
    let bare = match name {
        GO => Engine::default().with_platform(Ticking::default()),
        _ => Engine::default(),
    };
    let mut fuel = Vec::new();
    let both = [hostel::engine(), bare].map(|engine| {
        let mut instance = report(&engine, name, wasi.clone());
        let ended = instance.run_command();
        let text = |bytes| String::from_utf8(bytes).expect("it is text");
        fuel.push(instance.usage().fuel);
        (
            ended,
            text(instance.take_stdout()),
            text(instance.take_stderr()),
        )
    });
    assert!(name == GO || fuel[0] == fuel[1], "{name}: {fuel:?}");
    both
}

#[test]
fn a_command_ends_alike_with_and_without_an_operating_system() {
    for name in REPORTS {
        for code in [0, 1, 3, 125, 126, 255] {
            let last = code.to_string();
            let wasi = Wasi::new()
                .args(["report", "two words", &last])
                .env([("A", "1"), ("B", "x=y")])
                .stdin(*b"first\nsecond");
            let [std, bare] = both(name, &wasi);
            assert_eq!(std, bare, "{name}");
            let out =
                format!("arg report\narg two words\narg {last}\nenv A=1\nenv B=x=y\nfirst\nsecond");
            assert_eq!(
                (std.0, std.1, std.2),
                (Ok(code), out, String::new()),
                "{name}"
            );
        }
    }
}

#[test]
fn with_a_seed_randomness_repeats() {
    for name in REPORTS {
        let wasi = |seed| Wasi::new().args(["report", "random"]).random_seed(seed);
        let [std, bare] = both(name, &wasi(1));
        assert_eq!(std, bare);
        assert!(std.1.contains("\nrandom "), "{}", std.1);
        assert_ne!(both(name, &wasi(2))[0].1, std.1);
    }
}

#[test]
fn a_command_without_grants_sees_nothing() {
    for name in REPORTS {
        let [std, bare] = both(name, &Wasi::new());
        assert_eq!(std, bare);
        assert_eq!((std.0, &*std.1, &*std.2), (Ok(0), "", ""), "{name}");
    }
}

#[test]
fn a_command_without_a_directory_finds_no_files() {
    for name in REPORTS {
        let [std, bare] = both(name, &Wasi::new().args(["report", "files"]));
        assert_eq!(std, bare);
        assert_eq!(std.0, Ok(1), "{name}");
        assert!(std.2.starts_with("files: "), "{name}: {}", std.2);
    }
}

/// The output of a command that finds only the file `input` in its directory.
const FILES: &str = "\
input 5 bytes: hello
list input
outside refused
output 13 bytes, then second
made moved
list input output
";

#[test]
fn files_are_read_and_written_in_a_granted_directory_alone() {
    for name in REPORTS {
        if cfg!(windows) && name == "wasi_rust_report" {
            // It removes a file that it has open, whose name Windows then keeps until it is closed.
            continue;
        }
        for access in [Access::ReadWrite, Access::Read] {
            let parent = tempfile::tempdir().unwrap();
            let data = parent.path().join("data");
            fs::create_dir(&data).unwrap();
            fs::write(data.join("input"), "hello").unwrap();
            fs::write(parent.path().join("outside"), "secret").unwrap();
            let wasi = hostel::wasi().args(["files"]).directory(
                "/data",
                access,
                hostel::directory(&data).unwrap(),
            );
            let mut instance = report(&hostel::engine(), name, wasi);
            let ended = instance.run_command();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            let (out, err) = (text(instance.take_stdout()), text(instance.take_stderr()));
            let out = out.strip_prefix("arg files\n").expect("it says its name");
            let found = fs::read_dir(&data).unwrap().count();
            if access == Access::ReadWrite {
                assert_eq!((ended, out, &*err), (Ok(0), FILES, ""), "{name}");
                let output = fs::read_to_string(data.join("output")).unwrap();
                assert_eq!((found, &*output), (2, "first\nsecond\n"), "{name}");
            } else {
                // Output from before the refusal may still be in the guest's own buffer.
                assert_eq!((ended, found), (Ok(1), 1), "{name}: {err}");
                assert!(FILES.starts_with(out) && !err.is_empty(), "{name}: {out}");
            }
        }
    }
}

#[test]
fn a_panic_goes_to_stderr_and_traps() {
    for name in REPORTS {
        let [std, bare] = both(name, &Wasi::new().args(["panic"]));
        assert_eq!(std, bare);
        assert!(std.2.contains("as asked"), "{}", std.2);
        match std.0 {
            // Go's run time exits with 2 instead.
            Ok(code) => assert_eq!((name, code), (GO, 2)),
            Err(error) => assert_eq!(error.code(), "trap-unreachable", "{name}"),
        }
    }
}

#[test]
fn go_says_that_it_needs_a_clock() {
    let mut instance = report(&Engine::default(), GO, Wasi::new().args(["report"]));
    assert_eq!(instance.run_command(), Ok(2));
    let err = String::from_utf8(instance.take_stderr()).unwrap();
    assert!(err.contains("clock_time_get failed"), "{err}");
}

/// A platform with a clock and nothing else.
struct Board(AtomicU64);

impl Platform for Board {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_micros(
            self.0.fetch_add(10, Ordering::Relaxed),
        ))
    }
}

#[test]
fn time_advances_with_a_clock() {
    let board = Engine::default().with_platform(Board(AtomicU64::new(0)));
    for engine in [hostel::engine(), board] {
        for name in REPORTS {
            let mut instance = report(&engine, name, hostel::wasi().args(["time"]));
            assert_eq!(instance.run_command(), Ok(0));
            let out = String::from_utf8(instance.take_stdout()).unwrap();
            assert_eq!(out, "arg time\nslept true\nsince 1970 true\n", "{name}");
        }
    }
}

#[test]
fn a_full_stdout_is_an_error_to_the_guest() {
    let wasi = Wasi::new().args(["report"]).stdin(vec![b'x'; 200_000]);
    for name in REPORTS {
        let mut instance = report(&hostel::engine(), name, wasi.clone());
        let ended = instance.run_command();
        assert_eq!(instance.take_stdout().len(), 64 << 10, "{name}");
        match name {
            "wasi_rust_report" => assert_eq!(ended.unwrap_err().code(), "trap-unreachable"),
            // Those in C ignore the error.
            "wasi_c_report" | "wasi_zigcc_report" => assert_eq!(ended, Ok(0)),
            _ => assert_eq!(ended, Ok(1), "{name}"),
        }
    }
}
