//! C01-C03: what one call leaves behind, instances that were stopped, and places that run out.

use crate::case::{Act, Case, Kit, Verdict, clean, error, trap};
use hostel::{Budget, CallError, Context, Grants, Plugin};
use std::{
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    secrets(&mut cases);
    stopped(&mut cases);
    exhausted(&mut cases);
    cases
}

// C01

/// A module whose `process` answers the byte that `look` finds, after which it runs `hide`.
fn hiding(items: &str, look: &str, hide: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1) {items}
            (func (export "allocate") (param i32) (result i32) (i32.const 4096))
            (func $secret (result i32) (i32.const 83)) (func $nothing (result i32) (i32.const 78))
            (func (export "process") (param i32 i32) (result i32 i32)
              (i32.store8 (i32.const 0) {look})
              {hide}
              (i32.const 0) (i32.const 1)))"#
    )
}

fn secrets(cases: &mut Vec<Case>) {
    for (what, items, look, hide, none) in [
        (
            "memory",
            "",
            "(i32.load8_u (i32.const 512))",
            "(i32.store8 (i32.const 512) (i32.const 83))",
            "\\x00",
        ),
        (
            "the last byte of memory",
            "",
            "(i32.load8_u (i32.const 65535))",
            "(i32.store8 (i32.const 65535) (i32.const 83))",
            "\\x00",
        ),
        (
            "the input's buffer",
            "",
            "(i32.load8_u (i32.const 4200))",
            "(memory.fill (i32.const 4096) (i32.const 83) (i32.const 1000))",
            "\\x00",
        ),
        (
            "all memory",
            "",
            "(i32.load8_u (i32.const 30000))",
            "(memory.fill (i32.const 8) (i32.const 83) (i32.const 65528))",
            "\\x00",
        ),
        (
            "grown memory",
            "",
            "(if (result i32) (i32.ne (i32.const -1) (memory.grow (i32.const 1))) (then (i32.load8_u (i32.const 65536))) (else (i32.const 33)))",
            "(i32.store8 (i32.const 65536) (i32.const 83))",
            "\\x00",
        ),
        (
            "memory's size",
            "",
            "(memory.size)",
            "(drop (memory.grow (i32.const 3)))",
            "\\x01",
        ),
        (
            "a global",
            "(global $g (mut i32) (i32.const 78))",
            "(global.get $g)",
            "(global.set $g (i32.const 83))",
            "N",
        ),
        (
            "a wide global",
            "(global $g (mut i64) (i64.const 78))",
            "(i32.wrap_i64 (global.get $g))",
            "(global.set $g (i64.const 83))",
            "N",
        ),
        (
            "a table",
            "(table $t 1 funcref) (elem (i32.const 0) $nothing) (elem declare func $secret)",
            "(call_indirect (result i32) (i32.const 0))",
            "(table.set $t (i32.const 0) (ref.func $secret))",
            "N",
        ),
        (
            "a filled table",
            "(table $t 9 funcref) (elem (i32.const 0) $nothing) (elem declare func $secret)",
            "(ref.is_null (table.get $t (i32.const 8)))",
            "(table.fill $t (i32.const 0) (ref.func $secret) (i32.const 9))",
            "\\x01",
        ),
        (
            "dropped data",
            r#"(data $d "N")"#,
            "(block (result i32) (memory.init $d (i32.const 9) (i32.const 0) (i32.const 1)) (i32.load8_u (i32.const 9)))",
            "(data.drop $d)",
            "N",
        ),
        (
            "dropped elements",
            "(table $t 1 funcref) (elem $e func $nothing)",
            "(block (result i32) (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (call_indirect (result i32) (i32.const 0)))",
            "(elem.drop $e)",
            "N",
        ),
        (
            "data written over",
            r#"(data (i32.const 512) "N")"#,
            "(i32.load8_u (i32.const 512))",
            "(i32.store8 (i32.const 512) (i32.const 83))",
            "N",
        ),
    ] {
        let act = Act::that(|kit| {
            let plugin = kit.plugin();
            let first = plugin.process(b"one").expect("it answers");
            for _ in 0..5 {
                assert_eq!(
                    plugin.process(b"two").as_ref(),
                    Ok(&first),
                    "it sees another's"
                );
            }
            Verdict::of_bytes(plugin.process(b"three"))
        });
        let text = hiding(items, look, hide);
        cases.push(Case::new(
            format!("C01/secret in {what}"),
            text,
            act,
            clean(none),
        ));
    }
    let data = Act::that(|kit| {
        let keep = |context: &mut Context<'_, u32>| {
            *context.data_mut() += 1;
            *context.data()
        };
        let grants = Grants::<u32>::new().function("host", "keep", keep);
        let plugin = kit
            .engine
            .load("guest", kit.wasm, &grants)
            .expect("it loads");
        let seen = [(); 3].map(|()| plugin.call::<(), u32>("run", ()));
        clean(if seen == [Ok(1), Ok(1), Ok(1)] {
            "none"
        } else {
            "another's"
        })
    });
    let text = r#"(module (import "host" "keep" (func $keep (result i32))) (func (export "run") (result i32) (call $keep)))"#;
    cases.push(Case::new(
        "C01/secret in the instance's data",
        text,
        data,
        clean("none"),
    ));
    let trapped = hiding(
        "",
        "(i32.load8_u (i32.const 512))",
        "(i32.store8 (i32.const 512) (i32.const 83)) (if (i32.eq (local.get 1) (i32.const 4)) (then (unreachable)))",
    );
    let act = Act::that(|kit| {
        let plugin = kit.plugin();
        assert!(plugin.process(b"trap").is_err());
        Verdict::of_bytes(plugin.process(b"one"))
    });
    cases.push(Case::new(
        "C01/secret left by a call that trapped",
        trapped,
        act,
        clean("\\x00"),
    ));
    let tenants = Act::that(|kit| {
        let (first, second) = (kit.plugin(), kit.plugin());
        let mut first = first.instantiate(()).expect("it starts");
        let mut second = second.instantiate(()).expect("it starts");
        assert_eq!(first.process(b"one").as_deref(), Ok(&[0][..]));
        assert_eq!(
            first.process(b"one").as_deref(),
            Ok(&[83][..]),
            "an instance keeps its own"
        );
        Verdict::of_bytes(second.process(b"one"))
    });
    let text = hiding(
        "",
        "(i32.load8_u (i32.const 512))",
        "(i32.store8 (i32.const 512) (i32.const 83))",
    );
    cases.push(
        Case::new(
            "C01/secret of another instance",
            text,
            tenants,
            clean("\\x00"),
        )
        .instances(2),
    );
}

// C02

/// A guest that does what the first byte of its input says, and counts its calls.
const OBEDIENT: &str = r#"(module
    (import "host" "noop" (func $noop))
    (import "host" "text" (func $text (param i32 i32)))
    (import "host" "boom" (func $boom (result i32)))
    (memory (export "memory") 1) (global $calls (mut i32) (i32.const 48))
    (func (export "allocate") (param i32) (result i32)
      (select (i32.const 0) (i32.const 1024) (i32.eq (local.get 0) (i32.const 13))))
    (func (export "deallocate") (param i32 i32) (if (i32.eq (local.get 1) (i32.const 17)) (then (unreachable))))
    (func $down (call $down))
    (func (export "process") (param i32 i32) (result i32 i32) (local $c i32)
      (local.set $c (i32.load8_u (local.get 0)))
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (if (i32.eq (local.get $c) (i32.const 117)) (then (unreachable)))
      (if (i32.eq (local.get $c) (i32.const 108)) (then (loop $on (br $on))))
      (if (i32.eq (local.get $c) (i32.const 115)) (then (call $down)))
      (if (i32.eq (local.get $c) (i32.const 104)) (then (loop $on (call $noop) (br $on))))
      (if (i32.eq (local.get $c) (i32.const 119)) (then (call $text (i32.const -1) (i32.const 1))))
      (if (i32.eq (local.get $c) (i32.const 98)) (then (drop (call $boom))))
      (if (i32.eq (local.get $c) (i32.const 100)) (then (return (i32.const 2048) (i32.const 17))))
      (if (i32.eq (local.get $c) (i32.const 111)) (then (return (i32.const -1) (i32.const 1))))
      (if (i32.eq (local.get $c) (i32.const 101)) (then (return (i32.const 0) (i32.const 0x80000000))))
      (i32.store8 (i32.const 0) (global.get $calls)) (i32.const 0) (i32.const 1)))"#;

fn stopped(cases: &mut Vec<Case>) {
    for (what, input, code) in [
        ("a trap", "u", "trap-unreachable"),
        ("no fuel", "l", "out-of-fuel"),
        ("a full stack", "s", "trap-stack"),
        ("too many host calls", "h", "host-calls"),
        ("a wrong host call", "w", "trap-host-call"),
        ("a host panic", "b", "trap-host-panic"),
        ("a trap in deallocate", "d", "trap-unreachable"),
        ("an answer from outside", "o", "out-of-bounds"),
        ("an error of its own", "e", "guest-error"),
        ("an allocator without room", "thirteenbytes", "no-memory"),
    ] {
        // There is one place, so that it has to come free each time.
        let act = Act::that(move |kit| {
            let plugin = kit.plugin();
            for _ in 0..4 {
                let result = plugin.process(input.as_bytes());
                assert_eq!(result.map_err(|error| error.code()), Err(code));
                assert_eq!(
                    plugin.process(b"x").as_deref(),
                    Ok(&b"1"[..]),
                    "the first call of an instance"
                );
            }
            Verdict::of_bytes(plugin.process(b"x"))
        });
        let case = Case::new(format!("C02/after {what}"), OBEDIENT, act, clean("1"));
        let case = case.limits(|limits| limits.instances = 1);
        let panics = if code == "trap-host-panic" { 4 } else { 0 };
        cases.push(case.panics(panics).budget(|budget| budget.host_calls = 100));
    }
    let held = Act::that(|kit| {
        let mut instance = kit.instance();
        assert!(instance.process(b"u").is_err());
        Verdict::of_bytes(instance.process(b"x"))
    });
    cases.push(Case::new(
        "C02/held after a trap",
        OBEDIENT,
        held,
        trap("stopped"),
    ));
    let goes_on = Act::that(|kit| {
        let mut instance = kit.instance();
        assert!(instance.process(b"e").is_err());
        Verdict::of_bytes(instance.process(b"x"))
    });
    cases.push(Case::new(
        "C02/held after an error of its own",
        OBEDIENT,
        goes_on,
        clean("2"),
    ));
}

// C03

const WAITING: &str = r#"(module (import "host" "wait" (func $wait))
    (memory (export "memory") 1)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "process") (param i32 i32) (result i32 i32) (call $wait) (local.get 0) (local.get 1)))"#;

const SHORT: Duration = Duration::from_millis(20);

/// A plugin whose `process` calls `wait`.
fn waiting(kit: &Kit<'_>, wait: impl Fn() + Send + Sync + 'static) -> Plugin {
    let grants = Grants::new().function("host", "wait", wait);
    kit.engine
        .load("guest", kit.wasm, &grants)
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

fn with_places(name: &str, places: usize, act: Act, verdict: Verdict) -> Case {
    let case = Case::new(format!("C03/{name}"), WAITING, act, verdict);
    case.limits(|limits| limits.instances = places)
        .instances(places)
}

fn exhausted(cases: &mut Vec<Case>) {
    for places in [1, 2, 5] {
        let act = Act::that(move |kit| {
            let (inside, came) = mpsc::channel();
            let (go, gone) = mpsc::channel::<()>();
            let gone = std::sync::Mutex::new(gone);
            let plugin = waiting(kit, move || {
                inside.send(()).expect("the case waits for it");
                let _ = gone.lock().expect("nothing panics here").recv();
            });
            thread::scope(|scope| {
                let slow: Vec<_> = (0..places)
                    .map(|_| aside(scope, || plugin.process(b"slow")))
                    .collect();
                (0..places).for_each(|_| came.recv().expect("each comes to wait"));
                let quick = plugin.with_budget(Budget::server().deadline(SHORT));
                let verdict = Verdict::of_bytes(quick.process(b"quick"));
                drop(go);
                for call in slow {
                    assert_eq!(call.join().expect("no panic").as_deref(), Ok(&b"slow"[..]));
                }
                assert_eq!(plugin.process(b"free").as_deref(), Ok(&b"free"[..]));
                verdict
            })
        });
        cases.push(with_places(
            &format!("all {places} places taken by slow guests"),
            places,
            act,
            error("busy"),
        ));
    }
    let own = Act::that(|kit| {
        let again = Arc::new(OnceLock::<Plugin>::new());
        let (inside, seen) = (again.clone(), Arc::new(OnceLock::new()));
        let see = seen.clone();
        let plugin = waiting(kit, move || {
            let result = inside.get().map(|plugin| plugin.process(b"again"));
            let _ = see.set(result);
        });
        let _ = again.set(plugin.with_budget(Budget::server().deadline(SHORT)));
        assert_eq!(plugin.process(b"first").as_deref(), Ok(&b"first"[..]));
        // A host function that holds its own plugin is the embedder's circle; the case opens it.
        match seen.get() {
            Some(Some(result)) => Verdict::of_bytes(result.clone()),
            _ => clean("nothing seen"),
        }
    });
    cases.push(with_places(
        "a guest that calls itself through the host",
        1,
        own,
        error("busy"),
    ));
    let queued = Act::that(|kit| {
        let plugin = waiting(kit, || thread::sleep(Duration::from_millis(1)));
        thread::scope(|scope| {
            let calls: Vec<_> = (0..12u8)
                .map(|caller| {
                    let plugin = &plugin;
                    aside(scope, move || {
                        (0..4).all(|_| plugin.process(&[caller]).as_deref() == Ok(&[caller][..]))
                    })
                })
                .collect();
            let all = calls.into_iter().all(|call| call.join().expect("no panic"));
            clean(if all {
                "each its own answer"
            } else {
                "mixed up"
            })
        })
    });
    cases.push(with_places(
        "twelve callers for two places",
        2,
        queued,
        clean("each its own answer"),
    ));
    let panicking = Act::that(|kit| {
        let plugin = waiting(kit, || {});
        let lent = thread::scope(|scope| {
            aside(scope, || {
                plugin.lend(|_| -> Result<(), CallError> { panic!("on purpose") })
            })
            .join()
        });
        assert!(lent.is_err(), "the embedder's own panic is its own");
        Verdict::of_bytes(
            plugin
                .with_budget(Budget::server().deadline(SHORT))
                .process(b"free"),
        )
    });
    cases.push(
        with_places(
            "a place comes free when its borrower panics",
            1,
            panicking,
            clean("free"),
        )
        .panics(1),
    );
    let failing = Act::that(|kit| {
        let plugin = waiting(kit, || {});
        let poor = plugin.with_budget(Budget::server().fuel(10));
        for _ in 0..50 {
            assert!(poor.process(b"x").is_err());
        }
        Verdict::of_bytes(
            plugin
                .with_budget(Budget::server().deadline(SHORT))
                .process(b"free"),
        )
    });
    cases.push(with_places(
        "a place comes free when an instance is not made",
        1,
        failing,
        clean("free"),
    ));
    let none = Act::that(|kit| {
        let plugin = waiting(kit, || {});
        Verdict::of_bytes(
            plugin
                .with_budget(Budget::server().deadline(SHORT))
                .process(b"x"),
        )
    });
    cases.push(
        with_places("no places at all", 0, none, error("busy"))
            .instances(1)
            .limits(|limits| limits.instances = 0),
    );
    let held = Act::that(|kit| {
        let plugin = waiting(kit, || {});
        let held: Vec<_> = (0..20)
            .map(|_| plugin.instantiate(()).expect("it starts"))
            .collect();
        let verdict = Verdict::of_bytes(plugin.process(b"free"));
        drop(held);
        verdict
    });
    cases.push(with_places("held instances take no places", 1, held, clean("free")).instances(21));
    let closed = Act::that(|kit| {
        let plugin = waiting(kit, || {});
        plugin.close();
        Verdict::of_bytes(plugin.process(b"x"))
    });
    cases.push(with_places("closed", 1, closed, error("closed")));
}
