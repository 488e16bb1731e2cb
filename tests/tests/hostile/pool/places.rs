//! C03: places for instances that are all taken. Others wait as long as their deadline allows.

use crate::case::{Case, Setup, Verdict, fails, returns};
use hostel::{Budget, CallError, Grants, Plugin};
use std::{
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread,
    time::Duration,
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    taken_places(&mut cases);
    freed_places(&mut cases);
    other_places(&mut cases);
    cases
}

/// A guest that calls the host function `wait`, and returns its input.
const WAITING: &str = r#"(module (import "host" "wait" (func $wait))
    (memory (export "memory") 1)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "process") (param i32 i32) (result i32 i32) 
      (call $wait) (local.get 0) (local.get 1)))"#;

/// The deadline of a call that should find no place.
const SHORT: Duration = Duration::from_millis(20);

/// Loads the guest with this `wait`.
fn load(setup: &Setup<'_>, wait: impl Fn() + Send + Sync + 'static) -> Plugin {
    let grants = Grants::new().function("host", "wait", wait);
    setup
        .engine
        .load("guest", setup.wasm, &grants)
        .expect("it loads")
}

/// Runs `work` on a thread with a small native stack.
fn aside<'scope, R: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    work: impl FnOnce() -> R + Send + 'scope,
) -> thread::ScopedJoinHandle<'scope, R> {
    let thread = thread::Builder::new().stack_size(crate::SMALL_STACK);
    thread.spawn_scoped(scope, work).expect("a thread starts")
}

/// Calls `process` with a short deadline.
fn process_soon(plugin: &Plugin, input: &[u8]) -> Verdict {
    let impatient = plugin.with_budget(Budget::server().with_deadline(SHORT));
    Verdict::of_bytes(impatient.process(input))
}

/// A case whose plugin has places for `places` instances.
fn with_places(
    name: &str,
    places: usize,
    verdict: Verdict,
    script: impl Fn(&Setup<'_>) -> Verdict + Sync + 'static,
) -> Case {
    let case = Case::script(format!("C03/{name}"), WAITING, verdict, script);
    case.limits(|limits| limits.instances = places)
        .instances(places)
}

fn taken_places(cases: &mut Vec<Case>) {
    for places in [1, 2, 5] {
        let name = format!("all {places} places taken by slow guests");
        cases.push(with_places(&name, places, fails("busy"), move |setup| {
            let (inside, is_inside) = mpsc::channel();
            let (go_on, may_go_on) = mpsc::channel::<()>();
            let may_go_on = Mutex::new(may_go_on);
            let plugin = load(setup, move || {
                inside.send(()).expect("the case waits for it");
                let _ = may_go_on.lock().expect("nothing panics here").recv();
            });
            thread::scope(|scope| {
                let slow: Vec<_> = (0..places)
                    .map(|_| aside(scope, || plugin.process(b"slow")))
                    .collect();
                (0..places).for_each(|_| is_inside.recv().expect("each call waits"));
                let verdict = process_soon(&plugin, b"quick");
                drop(go_on);
                for call in slow {
                    assert_eq!(call.join().expect("no panic").as_deref(), Ok(&b"slow"[..]));
                }
                assert_eq!(plugin.process(b"free").as_deref(), Ok(&b"free"[..]));
                verdict
            })
        }));
    }
    let name = "a guest that calls itself through the host";
    // At once, not at its deadline: the instance that it would wait for is that of its caller.
    cases.push(with_places(name, 1, fails("nested-wait"), |setup| {
        // The plugin's own host function calls it, and keeps the verdict.
        let itself = Arc::new(OnceLock::<Plugin>::new());
        let found = Arc::new(OnceLock::new());
        let (inner, keep) = (itself.clone(), found.clone());
        let plugin = load(setup, move || {
            if let Some(plugin) = inner.get() {
                let _ = keep.set(process_soon(plugin, b"again"));
            }
        });
        let _ = itself.set(plugin.clone());
        assert_eq!(plugin.process(b"first").as_deref(), Ok(&b"first"[..]));
        found.get().cloned().unwrap_or_else(|| returns("no call"))
    }));
    let name = "twelve callers for two places";
    cases.push(with_places(
        name,
        2,
        returns("each its own answer"),
        |setup| {
            let plugin = load(setup, || thread::sleep(Duration::from_millis(1)));
            thread::scope(|scope| {
                let calls: Vec<_> = (0..12u8)
                    .map(|caller| {
                        let plugin = &plugin;
                        aside(scope, move || {
                            (0..4)
                                .all(|_| plugin.process(&[caller]).as_deref() == Ok(&[caller][..]))
                        })
                    })
                    .collect();
                let all = calls.into_iter().all(|call| call.join().expect("no panic"));
                returns(if all {
                    "each its own answer"
                } else {
                    "mixed up"
                })
            })
        },
    ));
}

fn freed_places(cases: &mut Vec<Case>) {
    let name = "a place comes free when its borrower panics";
    let case = with_places(name, 1, returns("free"), |setup| {
        let plugin = load(setup, || {});
        let borrowed = thread::scope(|scope| {
            let borrower = aside(scope, || {
                plugin.with_instance(|_| -> Result<(), CallError> { panic!("on purpose") })
            });
            borrower.join()
        });
        assert!(borrowed.is_err(), "the embedder's own panic is its own");
        process_soon(&plugin, b"free")
    });
    cases.push(case.panics(1));
    let name = "a place comes free when an instance is not made";
    cases.push(with_places(name, 1, returns("free"), |setup| {
        let plugin = load(setup, || {});
        let poor = plugin.with_budget(Budget::server().with_fuel(10));
        for _ in 0..50 {
            assert!(poor.process(b"x").is_err());
        }
        process_soon(&plugin, b"free")
    }));
}

fn other_places(cases: &mut Vec<Case>) {
    let case = with_places("no places at all", 0, fails("busy"), |setup| {
        process_soon(&load(setup, || {}), b"x")
    });
    cases.push(case.instances(1).limits(|limits| limits.instances = 0));
    let name = "held instances take no places";
    let case = with_places(name, 1, returns("free"), |setup| {
        let plugin = load(setup, || {});
        let held = [(); 20].map(|()| plugin.instantiate(()).expect("it starts"));
        let verdict = Verdict::of_bytes(plugin.process(b"free"));
        drop(held);
        verdict
    });
    cases.push(case.instances(21));
    cases.push(with_places("closed", 1, fails("closed"), |setup| {
        let plugin = load(setup, || {});
        plugin.close();
        Verdict::of_bytes(plugin.process(b"x"))
    }));
}
