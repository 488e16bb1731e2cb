//! What initialises a guest before its functions are called: `_initialize`, `__wasm_call_ctors` or
//! `_start`, each once, however the functions are called.

use hostel::{
    Budget, CallError, Engine, Grants, Instance, Limits, ModuleInfo, PendingCall, Plugin, Step,
    Value, Wasi,
};
use hostel_tests::{assemble, code, try_load_wat};

/// Guests by name, each with the exports that initialise it. `$init` makes `limit` return 640, and is
/// counted by `count`.
const GUESTS: [(&str, &str, &[&str]); 11] = [
    (
        "constructors",
        r#"(export "__wasm_call_ctors" (func $init))"#,
        &["__wasm_call_ctors"],
    ),
    (
        "a reactor that calls its exported constructors",
        r#"(func (export "_initialize") (call $init)) (export "__wasm_call_ctors" (func $init))"#,
        &["_initialize"],
    ),
    (
        "a reactor that does not call its exported constructors",
        r#"(export "_initialize" (func $init)) (func (export "__wasm_call_ctors") (unreachable))"#,
        &["_initialize"],
    ),
    (
        "a command",
        r#"(export "_start" (func $init))"#,
        &["_start"],
    ),
    (
        "a command that exits with code 0",
        r#"(func (export "_start") (call $init) (call $exit (i32.const 0)))"#,
        &["_start"],
    ),
    (
        "a command that calls its exported constructors",
        r#"(func (export "_start") (nop) (call $init)) (export "__wasm_call_ctors" (func $init))"#,
        &["_start"],
    ),
    (
        "a command that does not call its exported constructors",
        r#"(func (export "_start") (if (i32.ne (global.get $limit) (i32.const 640)) (then (unreachable))))
           (export "__wasm_call_ctors" (func $init))"#,
        &["__wasm_call_ctors", "_start"],
    ),
    (
        "a command that starts slowly",
        r#"(func (export "_start") (local $n i32)
             (local.set $n (i32.const 30000))
             (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
             (call $init))"#,
        &["_start"],
    ),
    (
        "a command and reactor",
        r#"(export "_initialize" (func $init)) (func (export "_start") (unreachable))"#,
        &["_initialize"],
    ),
    (
        "constructors that the start function calls",
        r#"(export "__wasm_call_ctors" (func $init)) (start $start) (func $start (call $init))"#,
        &[],
    ),
    (
        "constructors that are the start function",
        r#"(export "__wasm_call_ctors" (func $init)) (start $init)"#,
        &[],
    ),
];

/// Returns a guest with `items`.
fn text(items: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (global $limit (mut i32) (i32.const 0)) (global $count (mut i32) (i32.const 0))
        (func $init
          (global.set $limit (i32.const 640))
          (global.set $count (i32.add (global.get $count) (i32.const 1))))
        (func (export "limit") (result i32) (global.get $limit))
        (func (export "count") (result i32) (global.get $count))
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i64)
          (i32.store8 (i32.const 8) (i32.add (global.get $count) (i32.const 48)))
          (i64.const 0x800000001))
        {items})"#
    )
}

fn grants() -> Grants {
    Grants::new().wasi(Wasi::new())
}

fn load(items: &str) -> Plugin {
    let engine = Engine::default().with_budget(Budget::device());
    try_load_wat(&engine, &text(items), &grants()).unwrap()
}

/// Runs a call to its end by steps of `quantum` fuel.
fn stepped<R>(mut call: PendingCall<impl Future<Output = R>>, quantum: u64) -> R {
    loop {
        match call.step(quantum) {
            Step::Done(result) => return result,
            Step::More => {}
            Step::Waiting => panic!("nothing to wait for"),
        }
    }
}

#[test]
fn a_module_tells_its_initialisers() {
    for (name, items, initialisers) in GUESTS {
        let module = ModuleInfo::read(&assemble(&text(items))).unwrap();
        assert!(
            module.initializers().eq(initialisers.iter().copied()),
            "{name}"
        );
    }
    for item in ["", r#"(func (export "main"))"#] {
        let module = ModuleInfo::read(&assemble(&text(item))).unwrap();
        assert_eq!(module.initializers().count(), 0);
    }
    // Nothing else can be called.
    let module = assemble(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    assert_eq!(ModuleInfo::read(&module).unwrap().initializers().count(), 0);
}

#[test]
fn a_guest_is_initialised_once_however_it_is_called() {
    type Call = fn(&mut Instance) -> Result<u32, CallError>;
    let first: [(&str, Call); 7] = [
        ("call", |instance| instance.call("limit", ())),
        ("values", |instance| {
            match instance.call_values("limit", &[])?[..] {
                [Value::I32(limit)] => Ok(limit.cast_unsigned()),
                _ => panic!("one number"),
            }
        }),
        ("typed", |instance| {
            let limit = instance.typed::<(), u32>("limit")?;
            limit.call(instance, ())
        }),
        ("process", |instance| {
            assert_eq!(instance.process(b"hello")?, b"1");
            Ok(640)
        }),
        ("steps", |instance| {
            stepped(instance.call_async("limit", ()), 1)
        }),
        ("long steps", |instance| {
            stepped(instance.call_async("limit", ()), 10_000)
        }),
        ("process by steps", |instance| {
            assert_eq!(stepped(instance.process_async(b"hello"), 1)?, b"1");
            Ok(640)
        }),
    ];
    for (name, items, _) in GUESTS {
        let plugin = load(items);
        for (way, call) in first {
            let mut instance = plugin.instantiate(()).unwrap();
            for _ in 0..2 {
                assert_eq!(call(&mut instance), Ok(640), "{name}, {way}");
                assert_eq!(instance.call("count", ()), Ok(1), "{name}, {way}");
            }
        }
    }
}

#[test]
fn a_plugins_calls_are_initialised_alike_and_use_equal_fuel() {
    for (name, items, _) in GUESTS {
        let plugin = load(items);
        let mut used = Vec::new();
        for quantum in [1, 10_000] {
            for _ in 0..3 {
                let (limit, usage) = plugin.with_instance_metered(|it| it.call("limit", ()));
                assert_eq!(limit, Ok(640), "{name}");
                used.push(usage.fuel);
                let mut call = plugin.call_async("limit", ());
                let limit = loop {
                    if let Step::Done(limit) = call.step(quantum) {
                        break limit;
                    }
                };
                assert_eq!(limit, Ok(640), "{name}");
                used.push(call.usage().fuel);
                assert_eq!(plugin.call("count", ()), Ok(1), "{name}");
                assert_eq!(plugin.process(b"").as_deref(), Ok(&b"1"[..]), "{name}");
            }
        }
        assert!(plugin.pool_figures().resets >= 15, "{name}");
        assert!(used.iter().all(|fuel| *fuel == used[0]), "{name}: {used:?}");
    }
}

#[test]
fn a_warm_instance_is_initialised() {
    let mut limits = Limits::server();
    limits.warm = 2;
    let engine = Engine::new(limits);
    for (name, items, _) in GUESTS {
        let plugin = try_load_wat(&engine, &text(items), &grants()).unwrap();
        assert_eq!(plugin.warm_up(), Ok(2));
        for _ in 0..3 {
            assert_eq!(plugin.call("limit", ()), Ok(640), "{name}");
            assert_eq!(plugin.call("count", ()), Ok(1), "{name}");
        }
    }
}

#[test]
fn a_snapshot_is_not_initialised_again() {
    let engine = Engine::default();
    for (name, items, _) in GUESTS {
        let wasm = assemble(&text(items));
        for called in [false, true] {
            let snapshot = engine.snapshot("guest", &wasm, &grants(), |instance| {
                if called {
                    assert_eq!(instance.call("limit", ()), Ok(640), "{name}");
                }
                Ok(())
            });
            let snapshot = snapshot.unwrap();
            let plugin = engine.load("snapshot", &snapshot, &grants()).unwrap();
            let initialisers = plugin.info().initializers().collect::<Vec<_>>();
            // What has not run is left.
            let left = name.starts_with("a command") && name != "a command and reactor" && !called;
            assert_eq!(initialisers, ["_start"][..usize::from(left)], "{name}");
            assert_eq!(plugin.call("limit", ()), Ok(640), "{name}");
            assert_eq!(plugin.call("count", ()), Ok(1), "{name}");
        }
    }
}

#[test]
fn fuel_of_initialising_is_charged() {
    const LOOP: &str = "(local $n i32) (local.set $n (i32.const 1000))
        (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";
    let [plain, at_start, command] = ["plain", "__wasm_call_ctors", "_start"].map(|name| {
        let plugin = load(&format!(r#"(func (export "{name}") {LOOP})"#));
        let mut instance = plugin.instantiate(()).unwrap();
        assert_eq!(instance.call("limit", ()), Ok(0));
        let call = instance.usage();
        assert_eq!(instance.call("limit", ()), Ok(0));
        let (result, whole) = plugin.with_instance_metered(|it| it.call::<(), u32>("limit", ()));
        assert_eq!(result, Ok(0));
        let start = instance.start_usage().fuel;
        assert_eq!(whole.fuel, start + call.fuel, "{name}");
        (start, call.fuel, instance.usage().fuel)
    });
    assert!(at_start.0 > plain.0 + 3_000, "{at_start:?}");
    assert_eq!(at_start.1, plain.1);
    assert!(command.1 > plain.1 + 3_000, "{command:?}");
    assert_eq!(plain.2, command.2, "the second call pays for itself");
}

#[test]
fn what_fails_while_initialising_ends_the_call() {
    let exits = |code: u32| format!(r#"(func (export "_start") (call $exit (i32.const {code})))"#);
    for (items, expected) in [
        (exits(3), "exited"),
        (
            r#"(func (export "_start") (unreachable))"#.into(),
            "trap-unreachable",
        ),
        (
            r#"(func (export "_start") (loop $on (br $on)))"#.into(),
            "out-of-fuel",
        ),
    ] {
        let plugin = load(&items);
        let mut instance = plugin.instantiate(()).unwrap();
        let unknown = instance.call::<(), ()>("nope", ());
        assert_eq!(code(&unknown), "unknown-export", "nothing has run");
        let failed = instance.call::<(), u32>("limit", ());
        assert_eq!(code(&failed), expected);
        if let Err(CallError::Trap(trap)) = &failed {
            assert_eq!(trap.export(), Some("_start"));
        }
        assert!(instance.is_stopped());
        let typed = plugin.instantiate(()).and_then(|mut instance| {
            let limit = instance.typed::<(), u32>("limit")?;
            limit.call(&mut instance, ())
        });
        assert_eq!(typed, failed);
        let values = plugin.with_instance(|instance| instance.call_values("limit", &[]));
        assert_eq!(values.unwrap_err(), *failed.as_ref().unwrap_err());
        assert_eq!(plugin.call::<(), u32>("limit", ()), failed);
        assert_eq!(
            stepped(plugin.call_async::<(), u32>("limit", ()), 1_000),
            failed
        );
    }
    let message = CallError::Exited { code: 3 }.to_string();
    assert!(message.ends_with("if the module is a command, build it as a reactor"));
    for (body, expected) in [
        ("(unreachable)", "trap-unreachable"),
        ("(call $exit (i32.const 0))", "exited"),
        ("(loop $on (br $on))", "out-of-fuel"),
    ] {
        let plugin = load(&format!(r#"(func (export "__wasm_call_ctors") {body})"#));
        let failed = plugin.instantiate(()).map(drop);
        assert_eq!(code(&failed), expected);
        if let Err(CallError::Trap(trap)) = failed {
            assert_eq!(trap.export(), Some("__wasm_call_ctors"));
        }
    }
}

#[test]
fn start_runs_once() {
    let plugin = load(r#"(export "_start" (func $init))"#);
    // As a command.
    assert_eq!(plugin.run_command(), Ok(0));
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.run_command(), Ok(0));
    assert_eq!(
        instance.call::<(), u32>("count", ()),
        Err(CallError::Stopped)
    );
    // By its name, and then no more.
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.call("_start", ()), Ok(()));
    assert_eq!(instance.call("count", ()), Ok(1));
    assert_eq!(instance.run_command(), Err(CallError::Stopped));
    assert_eq!(instance.call("count", ()), Ok(1), "it is as it was");
    // Before another function.
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.call("count", ()), Ok(1));
    assert_eq!(instance.run_command(), Err(CallError::Stopped));
    let start = instance.typed::<(), ()>("limit").map(drop);
    assert_eq!(code(&start), "export-type");
}

/// `wasm-ld` links commands so, if their crt1 does not call the constructors: each export calls them
/// first, and destructors last.
#[test]
fn exports_that_initialise_themselves_are_left_to_it() {
    let items = r#"(global $limit (mut i32) (i32.const 0)) (global $count (mut i32) (i32.const 0))
        (func $init
          (global.set $limit (i32.const 640))
          (global.set $count (i32.add (global.get $count) (i32.const 1))))
        (func (export "limit") (result i32) (call $init) (global.get $limit))
        (func (export "count") (result i32) (call $init) (global.get $count))
        (func (export "_start") (call $init) (unreachable))"#;
    let load = |more: &str| {
        let text = format!("(module {items} {more})");
        try_load_wat(&Engine::default(), &text, &Grants::<()>::new()).unwrap()
    };
    let plugin = load("");
    assert_eq!(plugin.info().initializers().count(), 0);
    assert_eq!(plugin.call("limit", ()), Ok(640));
    assert_eq!(plugin.call("count", ()), Ok(1));
    assert_eq!(code(&plugin.run_command()), "trap-unreachable");
    // One export that does not is not initialised.
    let plugin = load(r#"(func (export "other") (result i32) (global.get $limit))"#);
    let ended = plugin.call::<(), u32>("other", ());
    assert_eq!(code(&ended), "trap-unreachable", "`_start` ran");
}

/// The instance of a snapshot runs with more exports, which do not begin with that call.
#[test]
fn exports_that_initialise_themselves_do_so_for_a_snapshot() {
    let text = r#"(module (global $limit (mut i32) (i32.const 0)) (table 1 funcref)
        (elem (i32.const 0) func $limit) (elem $more func $init)
        (func $init (global.set $limit (i32.const 640)) (elem.drop $more))
        (func $limit (export "limit") (result i32) (call $init) (global.get $limit))
        (func (export "_start") (call $init) (unreachable)))"#;
    let engine = Engine::default();
    let snapshot = engine.snapshot("guest", &assemble(text), &Grants::<()>::new(), |instance| {
        assert_eq!(instance.call("limit", ()), Ok(640));
        Ok(())
    });
    let plugin = engine.load("snapshot", &snapshot.unwrap(), &Grants::<()>::new());
    let plugin = plugin.unwrap();
    assert_eq!(plugin.call("limit", ()), Ok(640));
    assert!(plugin.info().export_named("_start").is_some());
}
