//! The built commands, in Rust and C, with an operating system and without.

use hostel::{CallError, Engine, Grants, Instance, Platform, Wasi, WasiOutput};
use hostel_tests::guest_bytes;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const REPORTS: [&str; 2] = ["wasi_rust_report", "wasi_c_report"];

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

/// What the two ways of having a machine give.
fn both(name: &str, wasi: &Wasi) -> [(Result<u32, CallError>, String, String, u64); 2] {
    [hostel::engine(), Engine::default()].map(|engine| {
        let mut instance = report(&engine, name, wasi.clone());
        let ended = instance.run_command();
        let text = |bytes| String::from_utf8(bytes).expect("it is text");
        let (out, err) = (text(instance.take_stdout()), text(instance.take_stderr()));
        (ended, out, err, instance.usage().fuel)
    })
}

#[test]
fn a_command_is_the_same_with_and_without_an_operating_system() {
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
fn nothing_granted_is_nothing_seen() {
    for name in REPORTS {
        let [std, bare] = both(name, &Wasi::new());
        assert_eq!(std, bare);
        assert_eq!((std.0, &*std.1, &*std.2), (Ok(0), "", ""), "{name}");
    }
}

#[test]
fn there_are_no_files() {
    for name in REPORTS {
        let [std, bare] = both(name, &Wasi::new().args(["report", "file"]));
        assert_eq!(std, bare);
        assert!(std.2.starts_with("file: "), "{}", std.2);
    }
}

#[test]
fn a_panic_goes_to_stderr_and_traps() {
    let [std, bare] = both("wasi_rust_report", &Wasi::new().args(["panic"]));
    assert_eq!(std, bare);
    assert_eq!(std.0.unwrap_err().code(), "trap-unreachable");
    assert!(std.2.contains("as asked"), "{}", std.2);
}

/// A machine with a clock and nothing else.
struct Board(AtomicU64);

impl Platform for Board {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_micros(
            self.0.fetch_add(10, Ordering::Relaxed),
        ))
    }
}

#[test]
fn time_goes_on_where_there_is_a_clock() {
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
fn a_full_stdout_is_told_to_the_guest() {
    let wasi = Wasi::new().args(["report"]).stdin(vec![b'x'; 200_000]);
    for name in REPORTS {
        let mut instance = report(&hostel::engine(), name, wasi.clone());
        let ended = instance.run_command();
        assert_eq!(instance.take_stdout().len(), 64 << 10, "{name}");
        // The one in Rust gives up, the one in C takes no notice.
        assert_eq!(ended.is_ok(), name == "wasi_c_report", "{ended:?}");
    }
}
