//! Pooled instances of components: each request finds its instance as new.

use super::guests::load;
use hostel::{Engine, Grants, component::Resource};

/// Two core modules that share a memory, and a nested component with another. Each has a global that counts, and
/// writes that to its memory. `bytes` is the size of a memory.
pub(super) fn counting(pages: u32) -> String {
    let counter = r#"
  (core module $M
    (import "m" "memory" (memory 1))
    (global $n (mut i32) (i32.const 0))
    (func (export "count") (param i32) (result i32)
      (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1)))
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (i32.add (i32.mul (global.get $n) (i32.const 100)) (i32.load (local.get 0)))))
  (core instance $m (instantiate $M (with "m" (instance $memory))))"#;
    format!(
        r#"(component
  (core module $Memory (memory (export "memory") {pages}) (data (i32.const 70000) "\07"))
  (component $Inner
    (core module $Memory (memory (export "memory") {pages}) (data (i32.const 70000) "\07"))
    (core instance $memory (instantiate $Memory))
    {counter}
    (func (export "count") (param "at" u32) (result u32) (canon lift (core func $m "count"))))
  (instance $inner (instantiate $Inner))
  (core instance $memory (instantiate $Memory))
  {counter}
  (type $t (resource (rep i32)))
  (export $r "r" (type $t))
  (core func $new (canon resource.new $t))
  (func (export "count") (param "at" u32) (result u32) (canon lift (core func $m "count")))
  (export "inner" (func $inner "count"))
  (func (export "make") (param "n" u32) (result (own $r)) (canon lift (core func $new))))"#
    )
}

#[test]
fn a_reset_component_is_as_new_in_all_its_instances() {
    let mut engines = vec![Engine::default()];
    #[cfg(target_os = "linux")]
    engines.extend(hostel::Mappings::new().map(|own| Engine::default().with_mapped_memories(own)));
    for (engine, pages) in engines
        .iter()
        .flat_map(|engine| [2, 40].map(|pages| (engine, pages)))
    {
        let wasm = wat::parse_str(counting(pages)).unwrap();
        let plugin = engine.load_component("counting", &wasm, &Grants::new());
        let plugin = plugin.unwrap();
        let mut fuels = Vec::new();
        for request in 0..5 {
            let (called, used) = plugin.with_instance_metered(|instance| {
                let mut counted = Vec::new();
                for name in ["count", "inner"] {
                    for at in [70_000u32, 8] {
                        counted.push(instance.call_component::<(u32,), u32>(name, (at,))?);
                    }
                }
                let made = instance.call_component::<(u32,), Resource>("make", (5,))?;
                counted.push(made.number());
                Ok(counted)
            });
            assert_eq!(called, Ok(vec![108, 201, 108, 201, 1]), "request {request}");
            fuels.push(used.fuel);
        }
        assert!(fuels.iter().all(|fuel| *fuel == fuels[0]), "{fuels:?}");
        let figures = plugin.pool_figures();
        assert_eq!((figures.resets, figures.discards), (5, 0), "{figures:?}");
    }
}

#[test]
fn a_component_tells_its_memories_and_what_it_declares() {
    let plugin = load(&counting(2), &Grants::new());
    let instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.memory_bytes(), 4 << 16);
    let info = plugin.info();
    let memories: Vec<_> = info
        .memories
        .iter()
        .map(|memory| memory.min_bytes)
        .collect();
    assert_eq!(memories, [2 << 16, 2 << 16]);
    let exports: Vec<_> = info.exports.iter().map(ToString::to_string).collect();
    assert_eq!(
        exports,
        [
            "inner: func(at: u32) -> u32",
            "count: func(at: u32) -> u32",
            "make: func(n: u32) -> own<resource 0>",
        ]
    );
    // They are no functions of a module, and are not called as such.
    assert_eq!(info.function_names().count(), 0);
    assert_eq!(hostel_tests::code(&plugin.process(b"")), "unknown-export");
    let guest = include_bytes!("../../../../guests/prebuilt/components/rust_small.wasm");
    let host = hostel::component::Interface::new("hostel:example/host@0.1.0")
        .dynamic("log", |_, _| Ok(None))
        .function("config", |_: String| -> Option<String> { None });
    let plugin = Engine::default().load_component("rust", guest, &Grants::new().interface(host));
    let plugin = plugin.unwrap();
    let info = plugin.info();
    assert_eq!(info.size, guest.len());
    let imports = info.imports.iter();
    let imports: Vec<_> = imports
        .map(|import| format!("{}#{}: {}", import.module, import.name, import.ty))
        .collect();
    let config = "hostel:example/host@0.1.0#config: func(key: string) -> option<string>";
    assert!(imports.iter().any(|import| import == config), "{imports:?}");
    let names: Vec<_> = info.exports.iter().map(|export| &*export.name).collect();
    assert!(
        names.contains(&"hostel:example/text@0.1.0#customize"),
        "{names:?}"
    );
    let memory = info
        .memories
        .iter()
        .map(|memory| memory.min_bytes)
        .sum::<u64>();
    let instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.memory_bytes() as u64, memory);
}

#[test]
fn states_of_components_have_hashes() {
    let plugin = load(&counting(1 + 1), &Grants::new());
    let [mut one, mut other] = [(); 2].map(|()| plugin.instantiate(()).unwrap());
    assert_eq!(one.state_hash(), other.state_hash());
    for name in ["count", "inner"] {
        one.call_component::<(u32,), u32>(name, (8,)).unwrap();
        assert_ne!(one.state_hash(), other.state_hash(), "{name}");
        other.call_component::<(u32,), u32>(name, (8,)).unwrap();
        assert_eq!(one.state_hash(), other.state_hash(), "{name}");
    }
}

#[test]
fn a_component_whose_tables_change_runs_in_new_instances() {
    let text = r#"(component
  (core module $M (table 2 funcref) (elem declare func $f) (func $f)
    (func (export "fill") (result i32) (ref.is_null (table.get 0 (i32.const 1)))
      (table.set 0 (i32.const 1) (ref.func $f))))
  (core instance $m (instantiate $M))
  (func (export "fill") (result u32) (canon lift (core func $m "fill"))))"#;
    let engine = Engine::default();
    let plugin = engine.load_component("table", &wat::parse_str(text).unwrap(), &Grants::new());
    let plugin = plugin.unwrap();
    for _ in 0..3 {
        assert_eq!(plugin.call_component::<(), u32>("fill", ()), Ok(1));
    }
    assert_eq!(plugin.pool_figures().resets, 0);
}

#[test]
fn handles_that_a_start_function_makes_are_there_in_each_request() {
    let text = r#"(component
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))
  (core func $rep (canon resource.rep $r))
  (core module $M
    (import "h" "new" (func $new (param i32) (result i32)))
    (import "h" "rep" (func $rep (param i32) (result i32)))
    (global $kept (mut i32) (i32.const 0))
    (func $start (global.set $kept (call $new (i32.const 42))))
    (start $start)
    (func (export "kept") (result i32) (call $rep (global.get $kept))))
  (core instance $m (instantiate $M
    (with "h" (instance (export "new" (func $new)) (export "rep" (func $rep))))))
  (func (export "kept") (result u32) (canon lift (core func $m "kept"))))"#;
    let plugin = load(text, &Grants::new());
    for request in 0..3 {
        let kept = plugin.call_component::<(), u32>("kept", ());
        assert_eq!(kept, Ok(42), "request {request}");
    }
}
