//! Snapshots: modules whose plugins start from a state that was reached once.

use hostel::{Budget, CallError, Engine, Grants, Instance, Limits, LogRecord, SnapshotError};
use hostel_tests::{CUSTOMIZE, assemble, guest_bytes, with_allocator};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

fn learn(instance: &mut Instance) -> Result<(), CallError> {
    instance.call::<(), ()>("learn", ())
}

/// Takes a snapshot of the module `text` after a call of `learn`.
fn learned(text: &str) -> Vec<u8> {
    let snapshot = Engine::default().snapshot("guest", &assemble(text), &Grants::new(), learn);
    snapshot.unwrap_or_else(|error| panic!("{error}"))
}

/// Loads a snapshot, and calls each of the exports in a fresh instance. Returns their results, or
/// the codes of their errors.
fn answers(snapshot: &[u8], exports: &[&str]) -> Vec<String> {
    let loaded = Engine::default().load("guest", snapshot, &Grants::new());
    let plugin = loaded.unwrap_or_else(|error| panic!("{error}"));
    let called = exports
        .iter()
        .map(|export| match plugin.call::<(), i32>(export, ()) {
            Ok(answer) => answer.to_string(),
            Err(error) => error.code().to_owned(),
        });
    called.collect()
}

#[test]
fn nothing_is_initialised_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let grants = Grants::new().function("env", "ask", move || {
        counter.fetch_add(1, Ordering::SeqCst);
        7u32
    });
    let text = r#"(module
        (import "env" "ask" (func $ask (result i32)))
        (global $n (mut i32) (i32.const 0))
        (memory 1)
        (func $more (global.set $n (i32.add (global.get $n) (call $ask))))
        (start $more)
        (func (export "_initialize") (call $more))
        (func (export "learn")
          (call $more)
          (i32.store (i32.const 70000) (memory.grow (i32.const 2))))
        (func (export "n") (result i32) (global.get $n))
        (func (export "pages") (result i32) (memory.size))
        (func (export "stored") (result i32) (i32.load (i32.const 70000))))"#;
    let engine = Engine::default();
    let warmed = engine
        .load_warmed("guest", &assemble(text), &grants, learn)
        .unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    for _ in 0..3 {
        for (export, expected) in [("n", 21), ("pages", 3), ("stored", 1)] {
            assert_eq!(warmed.call::<(), u32>(export, ()), Ok(expected), "{export}");
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(warmed.pool_figures().resets, 9, "its instances are reused");
    let mut names: Vec<_> = warmed.info().function_names().collect();
    names.sort_unstable();
    assert_eq!(names, ["learn", "n", "pages", "stored"]);
    assert!(!warmed.info().start);
}

#[test]
fn tables_that_are_not_exported_are_kept() {
    let text = r#"(module
        (type $f (func (result i32)))
        (table $first 4 funcref)
        (table $second 6 funcref)
        (table $host 2 externref)
        (elem (table $first) (i32.const 0) func $one $two)
        (elem $spare func $three $one)
        (elem declare func $four)
        (global $held (mut funcref) (ref.null func))
        (func $one (result i32) (i32.const 1))
        (func $two (result i32) (i32.const 2))
        (func $three (result i32) (i32.const 3))
        (func $four (result i32) (i32.const 4))
        (func (export "learn")
          (table.set $first (i32.const 0) (ref.null func))
          (table.set $first (i32.const 3) (ref.func $four))
          (table.init $second $spare (i32.const 2) (i32.const 0) (i32.const 2))
          (table.copy $second $first (i32.const 5) (i32.const 1) (i32.const 1))
          (global.set $held (ref.func $three)))
        (func (export "first 0") (result i32) (call_indirect $first (type $f) (i32.const 0)))
        (func (export "first 1") (result i32) (call_indirect $first (type $f) (i32.const 1)))
        (func (export "first 3") (result i32) (call_indirect $first (type $f) (i32.const 3)))
        (func (export "second 1") (result i32) (call_indirect $second (type $f) (i32.const 1)))
        (func (export "second 2") (result i32) (call_indirect $second (type $f) (i32.const 2)))
        (func (export "second 3") (result i32) (call_indirect $second (type $f) (i32.const 3)))
        (func (export "second 5") (result i32) (call_indirect $second (type $f) (i32.const 5)))
        (func (export "held") (result i32)
          (table.set $first (i32.const 2) (global.get $held))
          (call_indirect $first (type $f) (i32.const 2)))
        (func (export "spare") (result i32)
          (table.init $first $spare (i32.const 0) (i32.const 0) (i32.const 1))
          (call_indirect $first (type $f) (i32.const 0)))
        (func (export "host") (result i32) (ref.is_null (table.get $host (i32.const 1))))
        ;; Declared by the segment that is written to the table at the start, and by nothing else.
        (func (export "two") (result i32)
          (table.set $second (i32.const 0) (ref.func $two))
          (call_indirect $second (type $f) (i32.const 0))))"#;
    let exports = [
        ("first 0", "trap-null-call"),
        ("first 1", "2"),
        ("first 3", "4"),
        ("second 1", "trap-null-call"),
        ("second 2", "3"),
        ("second 3", "1"),
        ("second 5", "2"),
        ("held", "3"),
        ("spare", "3"),
        ("host", "1"),
        ("two", "2"),
    ];
    let snapshot = learned(text);
    let (names, expected): (Vec<_>, Vec<_>) = exports.into_iter().unzip();
    assert_eq!(answers(&snapshot, &names), expected);
}

#[test]
fn segments_that_were_dropped_stay_so() {
    let text = r#"(module
        (memory 1)
        (table $t 2 funcref)
        (data $kept "kept") (data $gone "gone") (data $copied (i32.const 8) "here")
        (elem $held func $f) (elem $away func $f)
        (global i32 (i32.const 5))
        (global $last (mut i32) (i32.const 6))
        (func $f (result i32) (i32.const 9))
        (func (export "learn")
          (i32.store8 (i32.const 9) (i32.const 0x41))
          (data.drop $gone)
          (elem.drop $away)
          (global.set $last (i32.const 7)))
        (func (export "kept") (result i32)
          (memory.init $kept (i32.const 0) (i32.const 0) (i32.const 4))
          (i32.load (i32.const 0)))
        (func (export "gone") (result i32)
          (memory.init $gone (i32.const 0) (i32.const 0) (i32.const 1))
          (i32.load (i32.const 0)))
        (func (export "nothing of it") (result i32)
          (memory.init $gone (i32.const 0) (i32.const 0) (i32.const 0))
          (i32.const 1))
        (func (export "copied") (result i32) (i32.load (i32.const 8)))
        (func (export "again") (result i32)
          (memory.init $copied (i32.const 0) (i32.const 0) (i32.const 1))
          (i32.const 1))
        (func (export "held") (result i32)
          (table.init $t $held (i32.const 0) (i32.const 0) (i32.const 1))
          (call_indirect $t (result i32) (i32.const 0)))
        (func (export "away") (result i32)
          (table.init $t $away (i32.const 0) (i32.const 0) (i32.const 1))
          (i32.const 1))
        (func (export "last") (result i32) (global.get $last)))"#;
    let exports = [
        ("kept", u32::from_le_bytes(*b"kept").to_string()),
        ("gone", "trap-memory".to_owned()),
        ("nothing of it", "1".to_owned()),
        ("copied", u32::from_le_bytes(*b"hAre").to_string()),
        ("again", "trap-memory".to_owned()),
        ("held", "9".to_owned()),
        ("away", "trap-table".to_owned()),
        ("last", "7".to_owned()),
    ];
    let snapshot = learned(text);
    let (names, expected): (Vec<_>, Vec<_>) = exports.into_iter().unzip();
    assert_eq!(answers(&snapshot, &names), expected);
    // A snapshot of the snapshot is equal to it: it is a module like any other.
    let again = Engine::default().snapshot("guest", &snapshot, &Grants::new(), |_| Ok(()));
    assert_eq!(answers(&again.unwrap(), &names), expected);
}

#[test]
fn functions_stay_declared_for_code_that_refers_to_them() {
    // The function is the first value of a global that has changed.
    let by_global = r#"(module
        (table 1 funcref)
        (global $g (mut funcref) (ref.func $f))
        (func $f (result i32) (i32.const 3))
        (func (export "learn") (global.set $g (ref.null func)))
        (func (export "call") (result i32)
          (table.set 0 (i32.const 0) (ref.func $f))
          (call_indirect 0 (result i32) (i32.const 0))))"#;
    assert_eq!(answers(&learned(by_global), &["call"]), ["3"]);
    // The function was exported, and is no longer.
    let by_export = r#"(module
        (func $init (export "_initialize"))
        (func (export "learn"))
        (func (export "null") (result i32) (ref.is_null (ref.func $init))))"#;
    assert_eq!(answers(&learned(by_export), &["null"]), ["0"]);
}

#[test]
fn names_that_a_guest_exports_itself_are_avoided() {
    let text = r#"(module
        (table $t (export "state: table 0") 1 funcref)
        (func $f (export "state: function 0") (result i32) (i32.const 3))
        (func (export "learn") (table.set $t (i32.const 0) (ref.func $f)))
        (func (export "call") (result i32) (call_indirect $t (result i32) (i32.const 0))))"#;
    assert_eq!(answers(&learned(text), &["call"]), ["3"]);
}

#[test]
fn guests_of_every_shape_go_on_as_they_were() {
    for name in CUSTOMIZE {
        let grants = Grants::new()
            .log(|_: &LogRecord<'_>| {})
            .config([("prefix", "CUSTOM")]);
        let engine = Engine::default();
        let wasm = guest_bytes(name);
        let init = |instance: &mut Instance| {
            instance.process(b"warming up").map(drop)?;
            // An input whose buffer is not kept for later ones.
            instance.process(&[b'x'; 100_000]).map(drop)
        };
        let warmed = engine.load_warmed(name, &wasm, &grants, init);
        let warmed = warmed.unwrap_or_else(|error| panic!("{name}: {error}"));
        for _ in 0..3 {
            let answer = warmed.process(b"hello world");
            assert_eq!(answer.as_deref(), Ok(&b"CUSTOM_HELLO WORLD"[..]), "{name}");
        }
    }
}

#[test]
fn buffers_that_were_kept_for_inputs_are_given_back_first() {
    let text = with_allocator(
        "",
        r#"
        (global $freed (mut i32) (i32.const 0))
        (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (i32.const 0))
        (func (export "balance") (result i32) (global.get $freed))"#,
    )
    .replace(
        r#"(func $deallocate (export "deallocate") (param i32 i32))"#,
        r#"(func (export "deallocate") (param i32 i32)
                (global.set $freed (i32.add (global.get $freed) (local.get 1))))"#,
    );
    let snapshot = Engine::default()
        .snapshot("guest", &assemble(&text), &Grants::new(), |instance| {
            instance.process(b"12345").map(drop)
        })
        .unwrap();
    assert_eq!(answers(&snapshot, &["balance"]), ["5"]);
}

#[test]
fn a_snapshot_is_an_ordinary_module() {
    let text = r#"(module (memory 1 3) (global $n (mut f64) (f64.const 0))
        (func $start (global.set $n (f64.const 1.5))) (start $start)
        (func (export "learn")
          (i64.store (i32.const 65000) (i64.const -2))
          (i32.store (i32.const 16) (i32.const 5)))
        (func (export "n") (result f64) (global.get $n))
        (func (export "m") (result i64) (i64.load (i32.const 65000))))"#;
    let snapshot = learned(text);
    // Zeros are not stored.
    assert!(snapshot.len() < 500, "{} bytes", snapshot.len());
    let engine = wasmi::Engine::default();
    let module = wasmi::Module::new(&engine, &snapshot).unwrap();
    let mut store = wasmi::Store::new(&engine, ());
    let instance = wasmi::Linker::new(&engine)
        .instantiate_and_start(&mut store, &module)
        .unwrap();
    let n = instance.get_typed_func::<(), f64>(&store, "n").unwrap();
    assert_eq!(n.call(&mut store, ()).unwrap(), 1.5);
    let m = instance.get_typed_func::<(), i64>(&store, "m").unwrap();
    assert_eq!(m.call(&mut store, ()).unwrap(), -2);
}

#[test]
fn memory_without_order_stays_within_the_limit_of_segments() {
    // Every 64th byte is not 0, which gives more runs than there may be segments.
    let text = r#"(module (memory 16)
        (func (export "learn") (local $at i32)
          (loop $on
            (i32.store8 (local.get $at) (i32.const 1))
            (local.set $at (i32.add (local.get $at) (i32.const 64)))
            (br_if $on (i32.lt_u (local.get $at) (i32.const 1048576)))))
        (func (export "sum") (result i32) (local $at i32) (local $sum i32)
          (loop $on
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $on (i32.lt_u (local.get $at) (i32.const 1048576))))
          (local.get $sum)))"#;
    let mut limits = Limits::server();
    limits.module.segments = 10;
    let engine = Engine::new(limits);
    let warmed = engine
        .load_warmed("guest", &assemble(text), &Grants::new(), learn)
        .unwrap();
    assert_eq!(warmed.call::<(), u32>("sum", ()), Ok(16_384));
}

#[test]
fn a_snapshot_that_can_not_be_taken_is_an_error() {
    let engine = Engine::default();
    let grants = Grants::new();
    let snapshot = |wasm: &[u8], init: fn(&mut Instance) -> Result<(), CallError>| {
        engine.snapshot("guest", wasm, &grants, init).map(drop)
    };
    let broken = snapshot(b"\0asm", learn).unwrap_err();
    assert_eq!(broken.code(), "truncated-module");
    let text =
        r#"(module (func (export "learn") unreachable) (func (export "spin") (loop (br 0))))"#;
    let wasm = assemble(text);
    let trapped = snapshot(&wasm, learn).unwrap_err();
    assert_eq!(trapped.code(), "trap-unreachable");
    let message = trapped.to_string();
    assert!(
        message.starts_with("no snapshot, the initialisation failed: "),
        "{message}"
    );
    let unknown = snapshot(&wasm, |instance| instance.call("unlearn", ())).unwrap_err();
    assert_eq!(unknown.code(), "unknown-export");
    // A trap that `init` does not report.
    let hidden = snapshot(&wasm, |instance| {
        let _ = learn(instance);
        Ok(())
    });
    assert_eq!(hidden, Err(SnapshotError::Call(CallError::Stopped)));
    let hasty = engine.clone().with_budget(Budget::server().with_fuel(100));
    let endless = hasty.snapshot("guest", &wasm, &grants, |instance| {
        instance.call::<(), ()>("spin", ())
    });
    assert_eq!(endless.unwrap_err().code(), "out-of-fuel");
    let start = assemble(r#"(module (func $f unreachable) (start $f) (func (export "f")))"#);
    let failed = snapshot(&start, |_| Ok(())).unwrap_err();
    assert_eq!(failed.code(), "trap-unreachable");
    let other = engine.load("other", &wasm, &grants).unwrap();
    let mut held = other.instantiate(()).unwrap();
    let swapped = engine.snapshot("guest", &wasm, &grants, |instance| {
        core::mem::swap(instance, &mut held);
        Ok(())
    });
    assert_eq!(swapped.unwrap_err().code(), "snapshot-unsupported");
    // A snapshot that would be too large to be loaded again, in bytes or in segments.
    let mut limits = Limits::server();
    limits.module.segments = 1;
    let text = r#"(module (memory 1) (data "passive") (func (export "learn")
        (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 7))))"#;
    let many = Engine::new(limits).snapshot("guest", &assemble(text), &grants, learn);
    assert_eq!(many.unwrap_err().code(), "over-limit");
    let mut limits = Limits::server();
    limits.module_bytes = 1_000;
    let text = r#"(module (memory 1) (func (export "learn")
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000))))"#;
    let large = Engine::new(limits).snapshot("guest", &assemble(text), &grants, learn);
    assert_eq!(large.unwrap_err().code(), "module-too-large");
}
