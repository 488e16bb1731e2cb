//! Snapshots of components: their instances start from a state that was reached once, in all core instances.

use super::{guests::LIBC, pooled::counting};
use hostel::{
    CallError, Engine, Grants, Instance, Limits, LoadError, Plugin, SnapshotError,
    component::{Interface, Resource, Value},
};

fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Takes a snapshot of `wasm` after `init`.
fn taken(
    wasm: &[u8],
    grants: &Grants,
    init: impl FnOnce(&mut Instance) -> Result<(), CallError>,
) -> Result<Vec<u8>, SnapshotError> {
    Engine::default().snapshot_component("guest", wasm, grants, init)
}

fn load(wasm: &[u8], grants: &Grants) -> Plugin {
    let plugin = hostel::engine().load_component("guest", wasm, grants);
    plugin.unwrap_or_else(|error| panic!("{error}"))
}

fn count(instance: &mut Instance, name: &str, at: u32) -> Result<u32, CallError> {
    instance.call_component(name, (at,))
}

/// Returns why no snapshot can be taken.
fn why(result: Result<Vec<u8>, SnapshotError>) -> String {
    let error = result.expect_err("a snapshot was taken");
    assert_eq!(error.code(), "snapshot-unsupported", "{error}");
    error.to_string()
}

#[test]
fn all_core_instances_start_from_the_state() {
    let wasm = assemble(&counting(2));
    let mut hash = 0;
    let snapshot = taken(&wasm, &Grants::new(), |instance| {
        for at in [8, 70_000, 8] {
            count(instance, "count", at)?;
        }
        count(instance, "inner", 100_000)?;
        // The host may hold handles meanwhile.
        let made = instance.call_component::<(u32,), Resource>("make", (5,))?;
        instance.drop_resource(&made)?;
        hash = instance.state_hash();
        Ok(())
    });
    let plugin = load(&snapshot.unwrap(), &Grants::new());
    assert_eq!(plugin.instantiate(()).unwrap().state_hash(), hash);
    for request in 0..4 {
        let counted = plugin.with_instance(|instance| {
            let calls = [
                ("count", 8),
                ("count", 70_000),
                ("inner", 100_000),
                ("inner", 8),
            ];
            calls
                .into_iter()
                .map(|(name, at)| count(instance, name, at))
                .collect::<Result<Vec<_>, _>>()
        });
        assert_eq!(counted, Ok(vec![403, 509, 202, 301]), "request {request}");
    }
    assert_eq!(plugin.pool_figures().resets, 4, "its instances are reused");
}

/// A component whose start counts and asks the host, and that has a memory which grows.
const LEARNER: &str = r#"(component
  (import "ask" (func $ask (result u32)))
  (core func $ask (canon lower (func $ask)))
  (core module $M
    (import "h" "ask" (func $ask (result i32)))
    (memory (export "memory") 1 10)
    (table (export "table") 2 funcref)
    (global $n (mut i32) (i32.const 0))
    (data (i32.const 8) "\01")
    (func $learn (export "learn") (global.set $n (i32.add (global.get $n) (call $ask))))
    (start $learn)
    (func (export "grow")
      (i32.store (i32.add (i32.mul (memory.grow (i32.const 2)) (i32.const 65536)) (i32.const 70000)) (i32.const 9))
      (i32.store8 (i32.const 8) (i32.const 0)))
    (func (export "told") (result i32)
      (i32.add (i32.mul (memory.size) (i32.const 1000))
        (i32.add (global.get $n) (i32.load8_u (i32.const 8))))))
  (core instance $m (instantiate $M (with "h" (instance (export "ask" (func $ask))))))
  (core module $Fill
    (import "m" "table" (table 2 funcref))
    (import "m" "memory" (memory 1))
    (import "m" "learn" (func $learn))
    (type $f (func))
    (elem (i32.const 1) func $learn)
    (data (i32.const 100) "filled")
    (func (export "indirect") (call_indirect (type $f) (i32.const 1)))
    (func (export "filled") (result i32) (i32.load8_u (i32.const 100)))
    (func (export "clear") (i32.store8 (i32.const 100) (i32.const 0))))
  (core instance $f (instantiate $Fill (with "m" (instance $m))))
  (func (export "grow") (canon lift (core func $m "grow")))
  (func (export "learn") (canon lift (core func $f "indirect")))
  (func (export "clear") (canon lift (core func $f "clear")))
  (func (export "filled") (result u32) (canon lift (core func $f "filled")))
  (func (export "told") (result u32) (canon lift (core func $m "told"))))"#;

#[test]
fn nothing_is_initialised_again() {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = asked.clone();
    let root = Interface::root().function("ask", move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        7u32
    });
    let grants = Grants::new().interface(root);
    let init = |instance: &mut Instance| {
        for name in ["learn", "grow", "clear"] {
            instance.call_component::<(), ()>(name, ())?;
        }
        Ok(())
    };
    let wasm = assemble(LEARNER);
    // `snapshot` tells a component by its bytes, and so do `load_warmed` and `load_any`.
    let snapshot = hostel::engine().snapshot("learner", &wasm, &grants, init);
    let snapshot = snapshot.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
    let plugin = load(&snapshot, &grants);
    assert_eq!(plugin.call_component("told", ()), Ok(3_014u32));
    assert_eq!(plugin.call_component("filled", ()), Ok(0u32));
    let learned = plugin.with_instance(|instance| {
        instance.call_component::<(), ()>("learn", ())?;
        instance.call_component::<(), u32>("told", ())
    });
    assert_eq!(learned, Ok(3_021));
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 3);
    let warmed = hostel::engine().load_warmed("learner", &wasm, &grants, init);
    assert_eq!(warmed.unwrap().call_component("told", ()), Ok(3_014u32));
    // A snapshot of a snapshot.
    let twice = taken(&snapshot, &grants, |instance| {
        instance.call_component("learn", ())
    });
    let plugin = load(&twice.unwrap(), &grants);
    assert_eq!(plugin.call_component("told", ()), Ok(3_021u32));
    // What was loaded is checked: the memory has grown above this limit.
    let mut limits = Limits::server();
    limits.memory_bytes = 2 << 16;
    let small = Engine::new(limits).load_component("learner", &snapshot, &grants);
    let over = LoadError::OverLimit {
        name: "memory_bytes",
        limit: 2 << 16,
        found: 3 << 16,
    };
    assert_eq!(small.err(), Some(over));
}

/// Guests under version control: what they are in, and whether they import WASI.
const GUESTS: [(&str, &[u8]); 6] = [
    (
        "Rust",
        include_bytes!("../../../../guests/prebuilt/components/rust_plugin.wasm"),
    ),
    (
        "Rust without std",
        include_bytes!("../../../../guests/prebuilt/components/rust_small.wasm"),
    ),
    (
        "a module in Rust",
        include_bytes!("../../../../guests/prebuilt/components/rust_module.wasm"),
    ),
    (
        "C",
        include_bytes!("../../../../guests/prebuilt/components/c_plugin.wasm"),
    ),
    (
        "Rust and C, composed",
        include_bytes!("../../../../guests/prebuilt/components/composed.wasm"),
    ),
    (
        "Rust and Rust, composed",
        include_bytes!("../../../../guests/prebuilt/components/composed_rust.wasm"),
    ),
];

#[test]
fn guests_go_on_where_they_were() {
    let host = Interface::new("hostel:example/host@0.1.0")
        .dynamic("log", |_, _| Ok(None))
        .function("config", |_: String| -> Option<String> { None });
    let grants = Grants::new().interface(host).wasi(hostel::wasi());
    let process = |instance: &mut Instance, text: &str| {
        instance.call_component_values("process", &[Value::Bytes(text.as_bytes().to_vec())])
    };
    for (name, wasm) in GUESTS {
        let mut hash = 0;
        let snapshot = taken(wasm, &grants, |instance| {
            process(instance, &"to be or not to be\n".repeat(100))?;
            hash = instance.state_hash();
            Ok(())
        });
        let snapshot = snapshot.unwrap_or_else(|error| panic!("{name}: {error}"));
        let [fresh, warm] = [wasm, &snapshot].map(|wasm| load(wasm, &grants));
        let [mut fresh, mut warm] = [&fresh, &warm].map(|plugin| plugin.instantiate(()).unwrap());
        assert_eq!(warm.state_hash(), hash, "{name}");
        assert_ne!(fresh.state_hash(), hash, "{name}");
        for text in ["hello world", "", "or not"] {
            let [expected, found] = [&mut fresh, &mut warm].map(|guest| process(guest, text));
            assert!(expected.is_ok(), "{name}: {expected:?}");
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn what_a_component_can_not_start_with_is_refused() {
    let resource = r#"
  (type $t (resource (rep i32)))
  (export $r "r" (type $t))
  (core func $new (canon resource.new $t))
  (core func $drop (canon resource.drop $t))"#;
    let none = Grants::new();
    let held = assemble(&format!(
        r#"(component {resource}
  (func (export "make") (param "n" u32) (result (own $r)) (canon lift (core func $new)))
  (func (export "keep") (param "n" u32) (result u32) (canon lift (core func $new)))
  (func (export "drop") (param "n" u32) (canon lift (core func $drop))))"#
    ));
    let returned = taken(&held, &none, |instance| {
        instance
            .call_component::<(u32,), Resource>("make", (5,))
            .map(drop)
    });
    let told = why(returned);
    assert!(
        told.contains("drop it by `Instance::drop_resource`"),
        "{told}"
    );
    let kept = taken(&held, &none, |instance| {
        instance
            .call_component::<(u32,), u32>("keep", (5,))
            .map(drop)
    });
    let told = why(kept);
    assert!(
        told.contains("a resource that the component defines"),
        "{told}"
    );
    let dropped = taken(&held, &none, |instance| {
        let kept = instance.call_component::<(u32,), u32>("keep", (5,))?;
        instance.call_component("drop", (kept,))
    });
    dropped.unwrap_or_else(|error| panic!("{error}"));
    // The standard output of WASI, which a component has a handle to.
    let stdout = assemble(
        r#"(component
  (import "wasi:io/streams@0.2.6" (instance $streams (export "output-stream" (type (sub resource)))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.6" (instance $stdout
    (alias outer 1 $stream (type $s)) (export "output-stream" (type $o (eq $s)))
    (export "get-stdout" (func (result (own $o))))))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core module $M (import "h" "get" (func $get (result i32))) (func (export "open") (drop (call $get))))
  (core instance $m (instantiate $M (with "h" (instance (export "get" (func $get))))))
  (func (export "open") (canon lift (core func $m "open"))))"#,
    );
    let grants = Grants::new().wasi(hostel::wasi());
    let open = taken(&stdout, &grants, |instance| {
        instance.call_component("open", ())
    });
    let told = why(open);
    assert!(
        told.contains("`output-stream` of `wasi:io/streams@0.2.6`"),
        "{told}"
    );
    let table = r#"(component
  (core module $M (table 2 funcref) (elem declare func $f) (func $f)
    (func (export "fill") (table.set 0 (i32.const 1) (ref.func $f))))
  (core instance $m (instantiate $M))
  (func (export "fill") (canon lift (core func $m "fill"))))"#;
    let told = why(taken(&assemble(table), &none, |_| Ok(())));
    assert!(told.contains("core module 0 changes a table"), "{told}");
    // Of one module, two instances.
    let two = assemble(&format!(
        r#"(component {LIBC}
  (core instance $a (instantiate $Libc))
  (core instance $b (instantiate $Libc))
  (core module $M (import "a" "realloc" (func $a (param i32 i32 i32 i32) (result i32)))
    (import "b" "realloc" (func $b (param i32 i32 i32 i32) (result i32)))
    (func $call (param i32) (drop (call $a (i32.const 0) (i32.const 0) (i32.const 1) (local.get 0))))
    (func (export "one") (call $call (i32.const 8)))
    (func (export "both") (call $call (i32.const 8))
      (drop (call $b (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))
  (core instance $m (instantiate $M (with "a" (instance $a)) (with "b" (instance $b))))
  (func (export "one") (canon lift (core func $m "one")))
  (func (export "both") (canon lift (core func $m "both"))))"#
    ));
    let after = |name| {
        taken(&two, &none, move |instance| {
            instance.call_component(name, ())
        })
    };
    let told = why(after("one"));
    assert!(
        told.contains("several instances in different states"),
        "{told}"
    );
    after("both").unwrap_or_else(|error| panic!("{error}"));
}

/// A snapshot is a component, and so may be hostile as any: of one that was cut, or in which a byte was changed, each
/// is a load error, a trap, or a component.
#[test]
fn a_damaged_snapshot_is_checked_as_any_component() {
    let wasm = assemble(&counting(2));
    let snapshot = taken(&wasm, &Grants::new(), |instance| {
        count(instance, "count", 8).map(drop)
    });
    let snapshot = snapshot.unwrap();
    let engine = Engine::default();
    let run = |wasm: &[u8]| -> Result<u32, String> {
        let plugin = engine.load_component("damaged", wasm, &Grants::new());
        let plugin = plugin.map_err(|error| error.code().to_owned())?;
        let called = plugin.call_component::<(u32,), u32>("count", (8,));
        called.map_err(|error| error.code().to_owned())
    };
    assert_eq!(run(&snapshot), Ok(202));
    let cut: Vec<_> = (0..snapshot.len())
        .map(|length| run(&snapshot[..length]))
        .collect();
    // All but a section of names is needed.
    let whole: Vec<_> = cut.iter().filter_map(|ran| ran.clone().ok()).collect();
    assert!(
        whole.len() <= 1 && whole.iter().all(|counted| *counted == 202),
        "{whole:?}"
    );
    let mut refused = 0;
    for at in 8..snapshot.len() {
        for value in [0x00, 0x7f, 0xff] {
            let mut damaged = snapshot.clone();
            damaged[at] = value;
            refused += usize::from(run(&damaged).is_err());
        }
    }
    assert!(refused > snapshot.len(), "{refused} of {}", snapshot.len());
}
