//! Commands and a plugin that real toolchains built for WASI, with this crate alone: no operating
//! system's clock, no randomness of a machine's. They print what they print on one.
#![allow(clippy::expect_used, clippy::panic)]

use core::time::Duration;
use hostel_core::{CallError, Engine, Grants, Instance, LogRecord, Platform, Wasi, WasiOutput};
use std::sync::Mutex;

macro_rules! guest {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../guests/prebuilt/", $name, ".wasm")).as_slice(),
        )
    };
}

/// The same command, by five compilers.
const REPORTS: [(&str, &[u8]); 5] = [
    guest!("wasi_rust_report"),
    guest!("wasi_c_report"),
    guest!("wasi_zigcc_report"),
    guest!("wasi_zig_report"),
    guest!("wasi_go_report"),
];

/// A clock that stands still while nobody waits for it.
struct Still(Mutex<Duration>);

impl Platform for Still {
    fn now(&self) -> Option<Duration> {
        Some(*self.0.lock().expect("nobody panics"))
    }

    fn wait_until(&self, ready: &dyn Fn() -> bool, until: Option<Duration>) -> bool {
        let mut now = self.0.lock().expect("nobody panics");
        *now = until.unwrap_or(*now).max(*now);
        drop(now);
        ready()
    }
}

fn engine() -> Engine {
    Engine::default().with_platform(Still(Mutex::new(Duration::ZERO)))
}

/// A grant of what a guest needs to say who it is: a time, a seed, places for its output.
fn wasi() -> Wasi {
    Wasi::new()
        .realtime(|| Duration::from_secs(1_800_000_000))
        .random_seed(7)
        .stdout(WasiOutput::buffer(64 << 10))
        .stderr(WasiOutput::buffer(64 << 10))
}

/// How a command ended, what it wrote to stdout and stderr, and the fuel that it took.
#[derive(Debug, PartialEq)]
struct Ended(Result<u32, CallError>, String, String, u64);

fn run(wasm: &[u8], wasi: &Wasi) -> Ended {
    let plugin = engine().load("report", wasm, &Grants::new().wasi(wasi.clone()));
    let mut instance = plugin
        .expect("it loads")
        .instantiate(())
        .expect("it starts");
    let ended = instance.run_command();
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    let (out, err) = (text(instance.take_stdout()), text(instance.take_stderr()));
    Ended(ended, out, err, instance.usage().fuel)
}

#[test]
fn a_command_prints_what_it_was_given_and_gives_its_exit_code() {
    for (name, wasm) in REPORTS {
        for code in [0, 1, 3, 125] {
            let last = code.to_string();
            let wasi = wasi()
                .args(["report", "two words", &last])
                .env([("A", "1"), ("B", "x=y")])
                .stdin(*b"first\nsecond");
            let Ended(ended, out, err, _) = run(wasm, &wasi);
            let told =
                format!("arg report\narg two words\narg {last}\nenv A=1\nenv B=x=y\nfirst\nsecond");
            assert_eq!((ended, &*out, &*err), (Ok(code), &*told, ""), "{name}");
        }
    }
}

#[test]
fn a_command_repeats_itself_where_clock_and_seed_do() {
    for (name, wasm) in REPORTS {
        for last in ["0", "random", "time", "files", "panic"] {
            let wasi = wasi().args(["report", last]);
            assert_eq!(run(wasm, &wasi), run(wasm, &wasi), "{name} {last}");
        }
        let random = |seed| run(wasm, &wasi().args(["report", "random"]).random_seed(seed)).1;
        assert_ne!(random(1), random(2), "{name}");
    }
}

#[test]
fn a_command_waits_by_the_clock_that_there_is() {
    for (name, wasm) in REPORTS {
        let Ended(ended, out, ..) = run(wasm, &wasi().args(["report", "time"]));
        let told = "arg report\narg time\nslept true\nsince 1970 true\n";
        assert_eq!((ended, &*out), (Ok(0), told), "{name}");
    }
}

#[test]
fn a_command_that_wants_files_says_that_there_are_none() {
    for (name, wasm) in REPORTS {
        let Ended(ended, out, err, _) = run(wasm, &wasi().args(["report", "files"]));
        assert_eq!((ended, &*out), (Ok(1), "arg report\narg files\n"), "{name}");
        assert!(err.starts_with("files: "), "{name}: {err}");
    }
}

#[test]
fn a_command_that_panics_says_so_and_does_not_succeed() {
    for (name, wasm) in REPORTS {
        let Ended(ended, _, err, _) = run(wasm, &wasi().args(["report", "panic"]));
        assert!(err.contains("as asked"), "{name}: {err}");
        match ended {
            // Go's run time exits; the others trap.
            Ok(code) => assert_eq!((name, code), ("wasi_go_report", 2)),
            Err(error) => assert_eq!(error.code(), "trap-unreachable", "{name}"),
        }
    }
}

fn plugin(prefix: &str) -> Instance {
    let grants = Grants::new()
        .wasi(wasi())
        .config([("prefix", prefix)])
        .log(|record: &LogRecord<'_>| assert!(record.text.raw().starts_with(b"processing ")));
    let (_, wasm) = guest!("go_customize");
    let plugin = engine().load("customize", wasm, &grants);
    plugin
        .expect("it loads")
        .instantiate(())
        .expect("it starts")
}

#[test]
fn a_plugin_with_a_run_time_of_its_own_answers_call_after_call() {
    let mut instance = plugin("CUSTOM");
    for round in 0..300 {
        let input = "word ".repeat(round);
        let answer = instance.process(input.as_bytes()).expect("it answers");
        let expected = format!("CUSTOM_{}", input.to_uppercase());
        assert!(answer == expected.as_bytes(), "round {round}");
    }
}

#[test]
fn a_plugin_collects_its_garbage_also_while_the_host_waits_for_a_buffer() {
    // Each call leaves some megabytes, most of them allocated for the host.
    let prefix = "P".repeat(1 << 20);
    let mut instance = plugin(&prefix);
    for round in 0..30 {
        let answer = instance.process(b"text");
        assert_eq!(
            answer.map(|answer| answer.len()),
            Ok((1 << 20) + 5),
            "round {round}"
        );
    }
}
