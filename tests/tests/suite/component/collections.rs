//! Lists of a fixed length and maps, in Rust and by `bindgen!`, and calls of bindings that are awaited or stepped.

use hostel::{CallError, Engine, Grants, Plugin};
use std::collections::BTreeMap;

mod world {
    hostel::component::bindgen!({
        inline: "
            package demo:tables@1.0.0;
            world tables {
                type grid = list<list<u16, 2>, 3>;
                record named { at: list<u8, 4>, all: map<u32, string> }
                export turn: func(row: list<u32, 3>) -> list<u32, 3>;
                export transpose: func(of: grid) -> grid;
                export invert: func(of: map<string, u32>) -> map<string, u32>;
                export keep: func(of: named) -> named;
                export keep-async: func(text: string) -> string;
            }",
    });
}

use world::{Named, Tables};

/// Each function returns what it gets: `turn` in another order, `invert` with the last entry first.
const ECHO: &str = r#"(component
  (type $grid' (list (list u16 2) 3)) (export $grid "grid" (type $grid'))
  (type $named' (record (field "at" (list u8 4)) (field "all" (map u32 string)))) (export $named "named" (type $named'))
  (core module $M
    (memory (export "memory") 1) (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $new)))
      (local.get $at))
    (func (export "turn") (param i32 i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 2)) (i32.store (i32.const 4) (local.get 1))
      (i32.store (i32.const 8) (local.get 0)) (i32.const 0))
    (func (export "transpose") (param i32 i32 i32 i32 i32 i32) (result i32)
      (i32.store16 (i32.const 0) (local.get 0)) (i32.store16 (i32.const 2) (local.get 2))
      (i32.store16 (i32.const 4) (local.get 4)) (i32.store16 (i32.const 6) (local.get 1))
      (i32.store16 (i32.const 8) (local.get 3)) (i32.store16 (i32.const 10) (local.get 5))
      (i32.const 0))
    ;; An entry has 12 bytes. The list begins with its last entry, once more.
    (func (export "invert") (param $at i32) (param $len i32) (result i32) (local $copy i32)
      (local.set $copy (i32.const 32768))
      (memory.copy (local.get $copy)
        (i32.add (local.get $at) (i32.mul (i32.sub (local.get $len) (i32.const 1)) (i32.const 12))) (i32.const 12))
      (i32.store offset=8 (local.get $copy) (i32.const 7))
      (memory.copy (i32.add (local.get $copy) (i32.const 12)) (local.get $at)
        (i32.mul (local.get $len) (i32.const 12)))
      (i32.store (i32.const 0) (local.get $copy))
      (i32.store (i32.const 4) (i32.add (local.get $len) (i32.const 1)))
      (i32.const 0))
    (func (export "keep") (param $a i32) (param $b i32) (param $c i32) (param $d i32) (param $at i32) (param $len i32)
      (result i32)
      (i32.store8 (i32.const 0) (local.get $a)) (i32.store8 (i32.const 1) (local.get $b))
      (i32.store8 (i32.const 2) (local.get $c)) (i32.store8 (i32.const 3) (local.get $d))
      (i32.store (i32.const 4) (local.get $at)) (i32.store (i32.const 8) (local.get $len)) (i32.const 0))
    (func (export "text") (param $at i32) (param $len i32) (result i32)
      (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $len)) (i32.const 0)))
  (core instance $m (instantiate $M))
  (alias core export $m "memory" (core memory $memory)) (alias core export $m "realloc" (core func $realloc))
  (func (export "turn") (param "row" (list u32 3)) (result (list u32 3))
    (canon lift (core func $m "turn") (memory $memory)))
  (func (export "transpose") (param "of" $grid) (result $grid)
    (canon lift (core func $m "transpose") (memory $memory)))
  (func (export "invert") (param "of" (map string u32)) (result (map string u32))
    (canon lift (core func $m "invert") (memory $memory) (realloc $realloc)))
  (func (export "keep") (param "of" $named) (result $named)
    (canon lift (core func $m "keep") (memory $memory) (realloc $realloc)))
  (func (export "keep-async") (param "text" string) (result string)
    (canon lift (core func $m "text") (memory $memory) (realloc $realloc))))"#;

fn plugin() -> Plugin {
    let wasm = wat::parse_str(ECHO).unwrap();
    hostel::engine()
        .load_component("echo", &wasm, &Grants::new())
        .unwrap()
}

/// Awaits a call on this thread.
fn awaited<R>(call: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(call)
}

fn map<const N: usize>(entries: [(&str, u32); N]) -> BTreeMap<String, u32> {
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

#[test]
fn lists_of_a_fixed_length_are_arrays_and_maps_are_ordered() {
    let plugin = plugin();
    let exports = Tables::of(&plugin).unwrap();
    assert_eq!(exports.turn(&plugin, &[1, 2, 3]), Ok([3, 2, 1]));
    let grid = [[1, 2], [3, 4], [5, 6]];
    let turned = [[1, 3], [5, 2], [4, 6]];
    assert_eq!(exports.transpose(&plugin, &grid), Ok(turned));
    let of = map([("a", 1), ("bc", 2), ("def", 3)]);
    // The guest returns `def` twice: the last one counts.
    assert_eq!(exports.invert(&plugin, &of), Ok(of));
    let named = Named {
        at: *b"HERE",
        all: [(7, "seven".to_owned()), (1, "one".to_owned())].into(),
    };
    assert_eq!(exports.keep(&plugin, &named), Ok(named));
}

#[test]
fn another_length_and_another_key_are_other_types() {
    let plugin = plugin();
    for (error, expected) in [
        (
            plugin
                .call_component::<_, [u32; 2]>("turn", ([1u32, 2],))
                .unwrap_err(),
            "func(list<u32, 2>) -> list<u32, 2>",
        ),
        (
            plugin
                .call_component::<_, BTreeMap<u32, u32>>("invert", (BTreeMap::<u32, u32>::new(),))
                .unwrap_err(),
            "func(map<u32, u32>) -> map<u32, u32>",
        ),
    ] {
        let error = error.to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_map_costs_fuel_and_heap_of_the_budget() {
    let of: BTreeMap<u32, String> = (0..1_000).map(|key| (key, "x".repeat(8))).collect();
    let named = Named {
        at: [0; 4],
        all: of,
    };
    let used = |output: usize| {
        let mut budget = hostel::Budget::server();
        budget.output_bytes = output;
        let plugin = plugin().with_budget(budget);
        let exports = Tables::of(&plugin).unwrap();
        exports.keep(&plugin, &named).map(|kept| kept == named)
    };
    assert_eq!(used(1 << 20), Ok(true));
    let error = used(50_000).unwrap_err();
    assert!(matches!(error, CallError::OutputTooLarge { .. }), "{error}");
}

#[test]
fn each_method_has_a_twin_that_is_awaited_or_stepped() {
    let plugin = plugin();
    let exports = Tables::of(&plugin).unwrap();
    let mut instance = plugin.instantiate(()).unwrap();
    let row = [1, 2, 3];
    let (pooled, own) = (
        awaited(exports.turn_async(&plugin, &row)),
        awaited(exports.turn_async(&mut instance, &row)),
    );
    assert_eq!((pooled, own), (Ok([3, 2, 1]), Ok([3, 2, 1])));
    // `keep-async` is a function of the world, so that the twin of `keep` has another name.
    let text = exports.keep_async(&plugin, "text");
    assert_eq!(text.as_deref(), Ok("text"));
    let mut call = exports.keep_async_async(&mut instance, "text");
    let text = loop {
        if let hostel::Step::Done(text) = call.step(1_000) {
            break text;
        }
    };
    assert_eq!(text.as_deref(), Ok("text"));
    drop(call);
    let named = Named {
        at: *b"HERE",
        all: BTreeMap::new(),
    };
    assert_eq!(awaited(exports.keep_async_(&plugin, &named)), Ok(named));
    // Of another plugin: nothing runs.
    let other = Engine::default()
        .load_component("other", &wat::parse_str(ECHO).unwrap(), &Grants::new())
        .unwrap();
    let error = awaited(exports.turn_async(&other, &row)).unwrap_err();
    assert!(matches!(error, CallError::OtherInstance { .. }), "{error}");
}
