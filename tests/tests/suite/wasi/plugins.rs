//! Plugins in languages with a run time or an allocator of their own. Go's run time needs WASI,
//! Zig's allocator grows the memory in the first call.

use hostel::{CallError, Engine, Grants, Instance, Plugin, Wasi};
use hostel_tests::{Lines, Ticking, guest_bytes};
use std::{thread, time::Duration};

const PLUGINS: [&str; 2] = ["go_customize", "zig_customize"];

fn load(engine: &Engine, name: &str, grants: Grants<()>) -> Plugin {
    let wasi = Wasi::new().realtime(|| Duration::from_secs(1_800_000_000));
    let plugin = engine.load(name, &guest_bytes(name), &grants.wasi(wasi));
    plugin.expect("it loads")
}

fn start(engine: &Engine, name: &str, grants: Grants<()>) -> Instance {
    let plugin = load(engine, name, grants);
    plugin.instantiate(()).expect("it starts")
}

/// Makes an engine with an operating system, and one with only a clock.
fn machines() -> [Engine; 2] {
    let bare = Engine::default().with_platform(Ticking::default());
    [hostel::engine(), bare]
}

#[test]
fn plugins_log_read_a_setting_and_answer() {
    for name in PLUGINS {
        for engine in machines() {
            for (settings, input, answer) in [
                (&[("prefix", "CUSTOM")][..], "hello", "CUSTOM_HELLO"),
                (&[], "hello", "DEFAULT_PREFIX_HELLO"),
                (&[("prefix", "")], "", "_"),
                (&[("prefix", "Ü")], "grüße", "Ü_GRüßE"),
            ] {
                let lines = Lines::default();
                let settings = lines.granted().config(settings.iter().copied());
                let mut instance = start(&engine, name, settings);
                for _ in 0..3 {
                    let found = instance.process(input.as_bytes());
                    assert_eq!(found.as_deref(), Ok(answer.as_bytes()), "{name}");
                    let line = format!("{name}: processing {} bytes", input.len());
                    assert_eq!(lines.take(), [line]);
                    let message = "input is not UTF-8".into();
                    let error = Err(CallError::Guest { message });
                    assert_eq!(instance.process(b"\xff"), error, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_held_instance_keeps_its_memory_over_many_calls() {
    for name in PLUGINS {
        let grants = Lines::default().granted().config([("prefix", "CUSTOM")]);
        let mut instance = start(&hostel::engine(), name, grants);
        for _ in 0..100 {
            let answer = instance.process(&[b'a'; 60_000]);
            assert_eq!(answer.map(|answer| answer.len()), Ok(60_007), "{name}");
        }
        // All buffers together were larger.
        let memory = instance.memory_bytes();
        assert!(memory <= 10 << 20, "{name}: {memory}");
    }
}

#[test]
fn each_request_of_several_threads_has_a_fresh_instance() {
    for name in PLUGINS {
        let grants = Lines::default().granted().config([("prefix", "CUSTOM")]);
        let plugin = load(&hostel::engine(), name, grants);
        thread::scope(|scope| {
            for thread in 0..2 {
                let plugin = &plugin;
                scope.spawn(move || {
                    for round in 0..3 {
                        let input = format!("{thread} {round}");
                        let answer = plugin.process(input.as_bytes());
                        assert_eq!(answer, Ok(format!("CUSTOM_{input}").into_bytes()), "{name}");
                    }
                });
            }
        });
        // Starting asks for the time, or calls grow the memory. Neither can be reset.
        assert_eq!(plugin.pool_figures().resets, 0, "{name}");
    }
}

#[test]
fn the_run_time_of_go_needs_both_clocks() {
    let load = |engine: &Engine| -> Plugin {
        let grants = Lines::default().granted().config([("", "")]);
        let loaded = engine.load(
            "go",
            &guest_bytes("go_customize"),
            &grants.wasi(Wasi::new()),
        );
        loaded.expect("it loads")
    };
    // The monotonic clock to start.
    let error = load(&Engine::default()).instantiate(()).err();
    assert_eq!(error, Some(CallError::Exited { code: 2 }));
    // The time of day to collect garbage.
    let mut instance = load(&hostel::engine()).instantiate(()).unwrap();
    let mut rounds = 0..200;
    let error = rounds.find_map(|_| instance.process(&[b'a'; 60_000]).err());
    assert_eq!(error.unwrap().code(), "trap-unreachable");
    assert!(rounds.start > 1, "{rounds:?}");
}
