//! Plugins by name: loaded, replaced and unloaded while they are in use.

use hostel::{CallError, Engine, Grants, Host, HostError, LogRecord, Platform, Plugin, Version};
use hostel_tests::{assemble, code, guest_bytes, must_end, quiet, that_says};
use std::{
    sync::{
        Arc, Barrier, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

fn host() -> Host {
    Host::new(hostel::engine())
}

fn host_code<R>(result: &Result<R, HostError>) -> &'static str {
    result.as_ref().err().map_or("ok", HostError::code)
}

#[test]
fn a_host_starts_empty_and_lists_names_in_order() {
    let host = host();
    assert_eq!(host.list(), [""; 0]);
    for name in ["beta", "alpha", "", "Beta", "alpha 2"] {
        let plugin = host.insert(name, &that_says(name), &quiet()).unwrap();
        assert_eq!(plugin.name(), name);
        assert_eq!(host.process(name, b"").as_deref(), Ok(name.as_bytes()));
    }
    assert_eq!(host.list(), ["", "Beta", "alpha", "alpha 2", "beta"]);
    host.remove("alpha").unwrap();
    assert_eq!(host.list(), ["", "Beta", "alpha 2", "beta"]);
    assert_eq!(host.get("beta").unwrap().name(), "beta");
}

#[test]
fn the_error_for_an_unknown_name_counts_the_loaded_plugins_and_names_none() {
    let host = host();
    let nothing = "no plugin is called `x` (loaded: 0): check the name, or insert the plugin first";
    assert_eq!(host.get("x").unwrap_err().to_string(), nothing);
    host.insert("one", &that_says("1"), &quiet()).unwrap();
    host.insert("two", &that_says("2"), &quiet()).unwrap();
    let wasm = that_says("3");
    for error in [
        host.get("x").map(drop).unwrap_err(),
        host.process("x", b"").map(drop).unwrap_err(),
        host.remove("x").unwrap_err(),
        host.replace("x", &wasm, &quiet()).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.code(), "unknown-plugin");
        assert_eq!(
            error.to_string(),
            "no plugin is called `x` (loaded: 2): check the name, or insert the plugin first"
        );
    }
    assert_eq!(host.list(), ["one", "two"]);
}

#[test]
fn a_name_with_a_line_break_forges_no_second_line() {
    let host = host();
    let (name, shown) = ("a\nERROR: b\u{1b}[2J", r"`a\nERROR: b\u{1b}[2J`");
    let wasm = that_says("1");
    let unknown = host.get(name).map(drop).unwrap_err();
    host.insert(name, &wasm, &quiet()).unwrap();
    let taken = host.insert(name, &wasm, &quiet()).unwrap_err();
    let version = host.version(name).unwrap();
    host.replace(name, &wasm, &quiet()).unwrap();
    let superseded = host
        .replace_version(name, Some(version), &wasm, &quiet(), |_| Ok(()))
        .unwrap_err();
    for (error, code) in [
        (unknown, "unknown-plugin"),
        (taken, "name-taken"),
        (superseded, "superseded"),
    ] {
        assert_eq!(error.code(), code);
        let message = error.to_string();
        assert!(message.contains(shown), "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}

#[test]
fn a_name_that_is_taken_stays_with_its_plugin() {
    let host = host();
    host.insert("name", &that_says("first"), &quiet()).unwrap();
    let error = host
        .insert("name", &that_says("second"), &quiet())
        .unwrap_err();
    assert_eq!(error.code(), "name-taken");
    let message = "a plugin `name` is loaded already: replace it, or remove it first";
    assert_eq!(error.to_string(), message);
    assert_eq!(host.process("name", b"").as_deref(), Ok(&b"first"[..]));
}

#[test]
fn a_module_that_does_not_load_leaves_its_name_free() {
    let host = host();
    for (wasm, expected) in [
        (&b""[..], "empty-module"),
        (b"not a module", "not-wasm"),
        (&guest_bytes("customize"), "mismatch"),
    ] {
        let result = host.insert("name", wasm, &quiet());
        assert_eq!(host_code(&result), expected);
        assert_eq!(host.list(), [""; 0]);
    }
    assert!(host.insert("name", &that_says("at last"), &quiet()).is_ok());
}

#[test]
fn a_replaced_plugin_goes_on_for_its_handles() {
    let host = host();
    host.insert("name", &that_says("old"), &quiet()).unwrap();
    let handle = host.get("name").unwrap();
    let mut held = handle.instantiate(()).unwrap();
    let given_back = host.replace("name", &that_says("new"), &quiet()).unwrap();
    assert_eq!(host.process("name", b"").as_deref(), Ok(&b"new"[..]));
    for old in [&handle, &given_back] {
        assert_eq!(old.process(b"").as_deref(), Ok(&b"old"[..]));
    }
    assert_eq!(held.process(b"").as_deref(), Ok(&b"old"[..]));
    drop((handle, given_back));
    assert_eq!(held.process(b"").as_deref(), Ok(&b"old"[..]));
    assert_eq!(host.list(), ["name"]);
}

#[test]
fn a_failed_replacement_keeps_the_old_plugin() {
    let host = host();
    host.insert("name", &that_says("old"), &quiet()).unwrap();
    for wasm in [
        &b""[..],
        b"not a module",
        &guest_bytes("customize")[..99],
        &guest_bytes("customize"),
    ] {
        let result = host.replace("name", wasm, &quiet());
        assert!(
            ["empty-module", "not-wasm", "truncated-module", "mismatch"]
                .contains(&host_code(&result))
        );
        assert_eq!(host.process("name", b"").as_deref(), Ok(&b"old"[..]));
    }
}

#[test]
fn an_unloaded_plugin_takes_no_new_calls_and_lets_held_instances_end() {
    let host = host();
    host.insert("name", &that_says("it"), &quiet()).unwrap();
    let handle = host.get("name").unwrap();
    let mut held = handle.instantiate(()).unwrap();
    host.remove("name").unwrap();
    assert_eq!(code(&handle.process(b"")), "closed");
    assert_eq!(code(&handle.instantiate(())), "closed");
    assert_eq!(host_code(&host.process("name", b"")), "unknown-plugin");
    assert_eq!(held.process(b"").as_deref(), Ok(&b"it"[..]));
    // The name is free. A new plugin of that name does not open the old one again.
    host.insert("name", &that_says("another"), &quiet())
        .unwrap();
    assert_eq!(host.process("name", b"").as_deref(), Ok(&b"another"[..]));
    assert_eq!(code(&handle.process(b"")), "closed");
}

#[test]
fn a_call_that_runs_while_its_plugin_is_unloaded_ends_normally() {
    let host = Arc::new(host());
    let inside = host.clone();
    let grants = Grants::new().log(move |_: &LogRecord<'_>| {
        inside.remove("name").expect("it was loaded");
    });
    host.insert("name", &that_says("the end"), &grants).unwrap();
    assert_eq!(host.process("name", b"").as_deref(), Ok(&b"the end"[..]));
    assert_eq!(host_code(&host.process("name", b"")), "unknown-plugin");
}

#[test]
fn errors_of_a_call_are_passed_on() {
    let host = host();
    let grants = quiet().config([("prefix", "CUSTOM")]);
    host.insert("customize", &guest_bytes("customize"), &grants)
        .unwrap();
    let error = host.process("customize", b"\xff").unwrap_err();
    assert_eq!(error.code(), "guest-error");
    let message = "the plugin returned an error: input is not UTF-8";
    assert_eq!(error.to_string(), message);
    assert_eq!(
        host.process("customize", b"x").as_deref(),
        Ok(&b"CUSTOM_X"[..])
    );
}

#[test]
fn three_concurrent_calls_use_three_instances() {
    let wasm = assemble(
        r#"(module
            (import "host" "meet" (func $meet (result i32)))
            (memory (export "memory") 1)
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "process") (param i32 i32) (result i32 i32)
              (i32.store8 (i32.const 0) (i32.add (i32.load8_u (i32.const 0)) (i32.const 1)))
              (drop (call $meet))
              (i32.const 0) (i32.const 1)))"#,
    );
    // No call returns before all three are inside.
    let barrier = Barrier::new(3);
    let meet = move || u32::from(barrier.wait().is_leader());
    let host = host();
    let grants = Grants::new().function("host", "meet", meet);
    host.insert("name", &wasm, &grants).unwrap();
    thread::scope(|scope| {
        let calls = [(); 3].map(|()| scope.spawn(|| host.process("name", b"")));
        for call in calls {
            assert_eq!(call.join().unwrap().as_deref(), Ok(&[1][..]));
        }
    });
}

/// A platform that runs code of the test, once it is set, while a module is loaded.
#[derive(Default)]
struct Meanwhile(Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>);

impl Platform for Meanwhile {
    fn free_bytes(&self) -> Option<usize> {
        if let Some(meanwhile) = self.0.get() {
            meanwhile();
        }
        None
    }
}

#[test]
fn a_plugin_unloaded_while_its_replacement_is_loaded_is_unknown() {
    let result = must_end(|| {
        let platform = Meanwhile::default();
        let meanwhile = platform.0.clone();
        let engine = Engine::default().with_platform(platform);
        let host = Arc::new(Host::new(engine));
        host.insert("name", &that_says("old"), &quiet()).unwrap();
        let inside = host.clone();
        let _ = meanwhile.set(Box::new(move || {
            // The platform may be asked twice.
            let _ = inside.remove("name");
        }));
        let result = host.replace("name", &that_says("new"), &quiet());
        (host_code(&result), host.list())
    });
    assert_eq!(result, ("unknown-plugin", vec![]));
}

#[test]
fn threads_call_replace_and_unload_at_once_and_answers_stay_whole() {
    must_end(call_replace_and_unload_at_once);
}

fn call_replace_and_unload_at_once() {
    const ROUNDS: u32 = 300;
    let versions = ["a".repeat(50), "b".repeat(700), "c".repeat(3)];
    let modules = versions.clone().map(|text| that_says(&text));
    let host = host();
    host.insert("name", &modules[0], &quiet()).unwrap();
    let (done, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    match host.process("name", b"input") {
                        Ok(answer) => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            let answer = String::from_utf8(answer).unwrap();
                            assert!(versions.contains(&answer), "{answer}");
                        }
                        Err(error) => {
                            assert!(
                                ["unknown-plugin", "closed"].contains(&error.code()),
                                "{error}"
                            );
                        }
                    }
                }
            });
        }
        let replacing = scope.spawn(|| {
            for round in 0..ROUNDS {
                let result = host.replace("name", &modules[round as usize % 3], &quiet());
                let expected = ["ok", "unknown-plugin", "superseded"];
                assert!(expected.contains(&host_code(&result)));
                let result = host.replace("name", b"broken", &quiet());
                assert!(["not-wasm", "unknown-plugin"].contains(&host_code(&result)));
            }
        });
        let unloading = scope.spawn(|| {
            for round in 0..ROUNDS {
                let held = host
                    .get("name")
                    .and_then(|plugin| plugin.instantiate(()).map_err(HostError::Call));
                if round % 3 == 0 {
                    host.remove("name").unwrap();
                    host.insert("name", &modules[round as usize % 2], &quiet())
                        .unwrap();
                }
                let answer = held.unwrap().process(b"input").unwrap();
                assert!(versions.contains(&String::from_utf8(answer).unwrap()));
            }
        });
        let ended = [replacing.join(), unloading.join()];
        done.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    assert!(answered.load(Ordering::Relaxed) > 100);
    assert_eq!(host.list(), ["name"]);
    assert!(host.process("name", b"").is_ok());
}

#[test]
fn a_version_tells_which_module_serves() {
    let host = host();
    let (one, two) = (that_says("one"), that_says("two"));
    host.insert("a", &one, &quiet()).unwrap();
    host.insert("b", &two, &quiet()).unwrap();
    let version = host.version("a").unwrap();
    assert_eq!(version.sha256, Version::sha256(&one));
    assert_eq!(version.number, 1);
    host.replace("a", &two, &quiet()).unwrap();
    let version = host.version("a").unwrap();
    assert_eq!(version.sha256, host.version("b").unwrap().sha256);
    assert_eq!(version.number, 3);
    // A refused module has no version.
    host.replace("a", b"broken", &quiet()).unwrap_err();
    assert_eq!(host.version("a").unwrap(), version);
    let shown = version.to_string();
    assert!(
        shown.starts_with("3 (sha256 ") && shown.len() == 75,
        "{shown}"
    );
    assert_eq!(host_code(&host.version("c")), "unknown-plugin");
}

#[test]
fn a_plugin_that_fails_its_smoke_call_is_not_loaded() {
    let host = host();
    let says = |text: &'static str| {
        move |plugin: &Plugin| match plugin.process(b"ping")? {
            answer if answer == text.as_bytes() => Ok(()),
            _ => Err(CallError::Guest {
                message: "another text".into(),
            }),
        }
    };
    let (one, two) = (that_says("one"), that_says("two"));
    let refused = host.insert_if("name", &two, &quiet(), says("one"));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the smoke call failed, the plugin is not loaded: the plugin returned an error: another text"
    );
    assert_eq!(host.list(), [""; 0]);
    host.insert_if("name", &one, &quiet(), says("one")).unwrap();
    // The old plugin serves while the new one is tried.
    let refused = host.replace_if("name", &two, &quiet(), |new| {
        assert_eq!(host.process("name", b"").as_deref(), Ok(&b"one"[..]));
        says("one")(new)
    });
    assert_eq!(host_code(&refused), "guest-error");
    assert_eq!(host.process("name", b"").as_deref(), Ok(&b"one"[..]));
    host.replace_if("name", &two, &quiet(), says("two"))
        .unwrap();
    assert_eq!(host.process("name", b"").as_deref(), Ok(&b"two"[..]));
}

#[test]
fn a_plugin_that_took_the_name_meanwhile_stays() {
    let host = host();
    let (old, slow, quick) = (that_says("old"), that_says("slow"), that_says("quick"));
    host.insert("name", &old, &quiet()).unwrap();
    let superseded = host.replace_if("name", &slow, &quiet(), |_| {
        host.replace("name", &quick, &quiet()).unwrap();
        Ok(())
    });
    assert_eq!(host_code(&superseded), "superseded");
    let answer = host.process("name", b"");
    assert_eq!(answer.as_deref(), Ok(&b"quick"[..]));
    // A name that was free may be taken in the meantime, too.
    let taken = host.insert_if("other", &slow, &quiet(), |_| {
        host.insert("other", &quick, &quiet()).map(drop).unwrap();
        Ok(())
    });
    assert_eq!(host_code(&taken), "name-taken");
    // A name may be unloaded in the meantime.
    let gone = host.replace_if("other", &slow, &quiet(), |_| {
        host.remove("other").unwrap();
        Ok(())
    });
    assert_eq!(host_code(&gone), "unknown-plugin");
    assert_eq!(host.version("name").unwrap().number, 2);
}

/// Looks into the host when it is dropped, which must not be locked then.
#[derive(Default)]
struct Looking(Option<Arc<Host<Looking>>>);

impl Drop for Looking {
    fn drop(&mut self) {
        if let Some(host) = &self.0 {
            assert!(host.list().len() <= 2);
        }
    }
}

#[test]
fn refused_and_replaced_plugins_are_dropped_without_a_lock() {
    must_end(|| {
        let host = Arc::new(Host::<Looking>::with_data(hostel::engine()));
        let wasm = assemble(r#"(module (func (export "f")))"#);
        let grants = Grants::with_data();
        let leave = |plugin: &Plugin<Looking>| {
            // The instance that a call leaves is kept with the plugin.
            plugin.with_instance(|instance| {
                instance.data_mut().0 = Some(host.clone());
                instance.call::<(), ()>("f", ())
            })
        };
        host.insert_if("x", &wasm, &grants, leave).unwrap();
        let gone = host.replace_if("x", &wasm, &grants, |plugin| {
            leave(plugin)?;
            host.remove("x").unwrap();
            Ok(())
        });
        assert_eq!(gone.err().map(|error| error.code()), Some("unknown-plugin"));
        let taken = host.insert_if("y", &wasm, &grants, |plugin| {
            leave(plugin)?;
            host.insert_if("y", &wasm, &grants, leave)
                .map(drop)
                .unwrap();
            Ok(())
        });
        assert_eq!(taken.err().map(|error| error.code()), Some("name-taken"));
        host.replace_if("y", &wasm, &grants, leave).unwrap();
        host.remove("y").unwrap();
    });
}
