//! Plugins by name: loaded, replaced and unloaded while they are in use.

use hostel::{CallError, Engine, Grants, House, HouseError, LogRecord, Platform, Plugin, Version};
use hostel_tests::{assemble, code, guest_bytes, must_end, quiet, that_says};
use std::{
    sync::{
        Arc, Barrier, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

fn house() -> House {
    House::new(hostel::engine())
}

fn house_code<R>(result: &Result<R, HouseError>) -> &'static str {
    result.as_ref().err().map_or("ok", HouseError::code)
}

#[test]
fn a_house_starts_empty_and_lists_names_in_order() {
    let house = house();
    assert_eq!(house.list(), [""; 0]);
    for name in ["beta", "alpha", "", "Beta", "alpha 2"] {
        let plugin = house.load(name, &that_says(name), &quiet()).unwrap();
        assert_eq!(plugin.name(), name);
        assert_eq!(house.process(name, b"").as_deref(), Ok(name.as_bytes()));
    }
    assert_eq!(house.list(), ["", "Beta", "alpha", "alpha 2", "beta"]);
    house.unload("alpha").unwrap();
    assert_eq!(house.list(), ["", "Beta", "alpha 2", "beta"]);
    assert_eq!(house.get("beta").unwrap().name(), "beta");
}

#[test]
fn the_error_for_an_unknown_name_lists_the_loaded_ones() {
    let house = house();
    let nothing = "no plugin `x` is loaded; loaded are none";
    assert_eq!(house.get("x").unwrap_err().to_string(), nothing);
    house.load("one", &that_says("1"), &quiet()).unwrap();
    house.load("two", &that_says("2"), &quiet()).unwrap();
    let wasm = that_says("3");
    for error in [
        house.get("x").map(drop).unwrap_err(),
        house.process("x", b"").map(drop).unwrap_err(),
        house.unload("x").unwrap_err(),
        house.replace("x", &wasm, &quiet()).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.code(), "unknown-plugin");
        assert_eq!(
            error.to_string(),
            "no plugin `x` is loaded; loaded are `one`, `two`"
        );
    }
    assert_eq!(house.list(), ["one", "two"]);
}

#[test]
fn a_name_that_is_taken_stays_with_its_plugin() {
    let house = house();
    house.load("name", &that_says("first"), &quiet()).unwrap();
    let error = house
        .load("name", &that_says("second"), &quiet())
        .unwrap_err();
    assert_eq!(error.code(), "name-taken");
    let message = "a plugin `name` is loaded already: replace or unload it first";
    assert_eq!(error.to_string(), message);
    assert_eq!(house.process("name", b"").as_deref(), Ok(&b"first"[..]));
}

#[test]
fn a_module_that_does_not_load_leaves_its_name_free() {
    let house = house();
    for (wasm, expected) in [
        (&b""[..], "empty-module"),
        (b"not a module", "not-wasm"),
        (&guest_bytes("customize"), "mismatch"),
    ] {
        let result = house.load("name", wasm, &quiet());
        assert_eq!(house_code(&result), expected);
        assert_eq!(house.list(), [""; 0]);
    }
    assert!(house.load("name", &that_says("at last"), &quiet()).is_ok());
}

#[test]
fn a_replaced_plugin_goes_on_for_its_handles() {
    let house = house();
    house.load("name", &that_says("old"), &quiet()).unwrap();
    let handle = house.get("name").unwrap();
    let mut held = handle.instantiate(()).unwrap();
    let given_back = house.replace("name", &that_says("new"), &quiet()).unwrap();
    assert_eq!(house.process("name", b"").as_deref(), Ok(&b"new"[..]));
    for old in [&handle, &given_back] {
        assert_eq!(old.process(b"").as_deref(), Ok(&b"old"[..]));
    }
    assert_eq!(held.process(b"").as_deref(), Ok(&b"old"[..]));
    drop((handle, given_back));
    assert_eq!(held.process(b"").as_deref(), Ok(&b"old"[..]));
    assert_eq!(house.list(), ["name"]);
}

#[test]
fn a_failed_replacement_keeps_the_old_plugin() {
    let house = house();
    house.load("name", &that_says("old"), &quiet()).unwrap();
    for wasm in [
        &b""[..],
        b"not a module",
        &guest_bytes("customize")[..99],
        &guest_bytes("customize"),
    ] {
        let result = house.replace("name", wasm, &quiet());
        assert!(
            ["empty-module", "not-wasm", "truncated-module", "mismatch"]
                .contains(&house_code(&result))
        );
        assert_eq!(house.process("name", b"").as_deref(), Ok(&b"old"[..]));
    }
}

#[test]
fn an_unloaded_plugin_takes_no_new_calls_and_lets_held_instances_end() {
    let house = house();
    house.load("name", &that_says("it"), &quiet()).unwrap();
    let handle = house.get("name").unwrap();
    let mut held = handle.instantiate(()).unwrap();
    house.unload("name").unwrap();
    assert_eq!(code(&handle.process(b"")), "closed");
    assert_eq!(code(&handle.instantiate(())), "closed");
    assert_eq!(house_code(&house.process("name", b"")), "unknown-plugin");
    assert_eq!(held.process(b"").as_deref(), Ok(&b"it"[..]));
    // The name is free. A new plugin of that name does not open the old one again.
    house.load("name", &that_says("another"), &quiet()).unwrap();
    assert_eq!(house.process("name", b"").as_deref(), Ok(&b"another"[..]));
    assert_eq!(code(&handle.process(b"")), "closed");
}

#[test]
fn a_call_that_runs_while_its_plugin_is_unloaded_ends_normally() {
    let house = Arc::new(house());
    let inside = house.clone();
    let grants = Grants::<()>::new().log(move |_: &LogRecord<'_>| {
        inside.unload("name").expect("it was loaded");
    });
    house.load("name", &that_says("the end"), &grants).unwrap();
    assert_eq!(house.process("name", b"").as_deref(), Ok(&b"the end"[..]));
    assert_eq!(house_code(&house.process("name", b"")), "unknown-plugin");
}

#[test]
fn errors_of_a_call_are_passed_on() {
    let house = house();
    let grants = quiet().config([("prefix", "CUSTOM")]);
    house
        .load("customize", &guest_bytes("customize"), &grants)
        .unwrap();
    let error = house.process("customize", b"\xff").unwrap_err();
    assert_eq!(error.code(), "guest-error");
    let message = "the plugin answered with an error: input is not UTF-8";
    assert_eq!(error.to_string(), message);
    assert_eq!(
        house.process("customize", b"x").as_deref(),
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
    let house = house();
    let grants = Grants::new().function("host", "meet", meet);
    house.load("name", &wasm, &grants).unwrap();
    thread::scope(|scope| {
        let calls = [(); 3].map(|()| scope.spawn(|| house.process("name", b"")));
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
        let house = Arc::new(House::new(engine));
        house.load("name", &that_says("old"), &quiet()).unwrap();
        let inside = house.clone();
        let _ = meanwhile.set(Box::new(move || {
            // The platform may be asked twice.
            let _ = inside.unload("name");
        }));
        let result = house.replace("name", &that_says("new"), &quiet());
        (house_code(&result), house.list())
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
    let house = house();
    house.load("name", &modules[0], &quiet()).unwrap();
    let (done, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    match house.process("name", b"input") {
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
                let result = house.replace("name", &modules[round as usize % 3], &quiet());
                let expected = ["ok", "unknown-plugin", "superseded"];
                assert!(expected.contains(&house_code(&result)));
                let result = house.replace("name", b"broken", &quiet());
                assert!(["not-wasm", "unknown-plugin"].contains(&house_code(&result)));
            }
        });
        let unloading = scope.spawn(|| {
            for round in 0..ROUNDS {
                let held = house
                    .get("name")
                    .and_then(|plugin| plugin.instantiate(()).map_err(HouseError::Call));
                if round % 3 == 0 {
                    house.unload("name").unwrap();
                    house
                        .load("name", &modules[round as usize % 2], &quiet())
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
    assert_eq!(house.list(), ["name"]);
    assert!(house.process("name", b"").is_ok());
}

#[test]
fn a_version_tells_which_module_serves() {
    let house = house();
    let (one, two) = (that_says("one"), that_says("two"));
    house.load("a", &one, &quiet()).unwrap();
    house.load("b", &two, &quiet()).unwrap();
    let version = house.version("a").unwrap();
    assert_eq!(version.sha256, Version::sha256(&one));
    assert_eq!(version.number, 1);
    house.replace("a", &two, &quiet()).unwrap();
    let version = house.version("a").unwrap();
    assert_eq!(version.sha256, house.version("b").unwrap().sha256);
    assert_eq!(version.number, 3);
    // A refused module has no version.
    house.replace("a", b"broken", &quiet()).unwrap_err();
    assert_eq!(house.version("a").unwrap(), version);
    let shown = version.to_string();
    assert!(
        shown.starts_with("3 (sha256 ") && shown.len() == 75,
        "{shown}"
    );
    assert_eq!(house_code(&house.version("c")), "unknown-plugin");
}

#[test]
fn a_plugin_that_fails_its_smoke_call_is_not_loaded() {
    let house = house();
    let says = |text: &'static str| {
        move |plugin: &Plugin| match plugin.process(b"ping")? {
            answer if answer == text.as_bytes() => Ok(()),
            _ => Err(CallError::Guest {
                message: "another text".into(),
            }),
        }
    };
    let (one, two) = (that_says("one"), that_says("two"));
    let refused = house.load_if("name", &two, &quiet(), says("one"));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "it is not taken in, its smoke call failed: the plugin answered with an error: another text"
    );
    assert_eq!(house.list(), [""; 0]);
    house.load_if("name", &one, &quiet(), says("one")).unwrap();
    // The old plugin serves while the new one is tried.
    let refused = house.replace_if("name", &two, &quiet(), |new| {
        assert_eq!(house.process("name", b"").as_deref(), Ok(&b"one"[..]));
        says("one")(new)
    });
    assert_eq!(house_code(&refused), "guest-error");
    assert_eq!(house.process("name", b"").as_deref(), Ok(&b"one"[..]));
    house
        .replace_if("name", &two, &quiet(), says("two"))
        .unwrap();
    assert_eq!(house.process("name", b"").as_deref(), Ok(&b"two"[..]));
}

#[test]
fn a_plugin_that_took_the_name_meanwhile_stays() {
    let house = house();
    let (old, slow, quick) = (that_says("old"), that_says("slow"), that_says("quick"));
    house.load("name", &old, &quiet()).unwrap();
    let superseded = house.replace_if("name", &slow, &quiet(), |_| {
        house.replace("name", &quick, &quiet()).unwrap();
        Ok(())
    });
    assert_eq!(house_code(&superseded), "superseded");
    let answer = house.process("name", b"");
    assert_eq!(answer.as_deref(), Ok(&b"quick"[..]));
    // A name that was free may be taken in the meantime, too.
    let taken = house.load_if("other", &slow, &quiet(), |_| {
        house.load("other", &quick, &quiet()).map(drop).unwrap();
        Ok(())
    });
    assert_eq!(house_code(&taken), "name-taken");
    // A name may be unloaded in the meantime.
    let gone = house.replace_if("other", &slow, &quiet(), |_| {
        house.unload("other").unwrap();
        Ok(())
    });
    assert_eq!(house_code(&gone), "unknown-plugin");
    assert_eq!(house.version("name").unwrap().number, 2);
}

/// Looks into the house when it is dropped, which must not be locked then.
#[derive(Default)]
struct Looking(Option<Arc<House<Looking>>>);

impl Drop for Looking {
    fn drop(&mut self) {
        if let Some(house) = &self.0 {
            assert!(house.list().len() <= 2);
        }
    }
}

#[test]
fn refused_and_replaced_plugins_are_dropped_without_a_lock() {
    must_end(|| {
        let house = Arc::new(House::<Looking>::new(hostel::engine()));
        let wasm = assemble(r#"(module (func (export "f")))"#);
        let grants = Grants::new();
        let leave = |plugin: &Plugin<Looking>| {
            // The instance that a call leaves is kept with the plugin.
            plugin.lend(|instance| {
                instance.data_mut().0 = Some(house.clone());
                instance.call::<(), ()>("f", ())
            })
        };
        house.load_if("x", &wasm, &grants, leave).unwrap();
        let gone = house.replace_if("x", &wasm, &grants, |plugin| {
            leave(plugin)?;
            house.unload("x").unwrap();
            Ok(())
        });
        assert_eq!(gone.err().map(|error| error.code()), Some("unknown-plugin"));
        let taken = house.load_if("y", &wasm, &grants, |plugin| {
            leave(plugin)?;
            house.load_if("y", &wasm, &grants, leave).map(drop).unwrap();
            Ok(())
        });
        assert_eq!(taken.err().map(|error| error.code()), Some("name-taken"));
        house.replace_if("y", &wasm, &grants, leave).unwrap();
        house.unload("y").unwrap();
    });
}
