//! S06, S07, S08: floods of state, the state of other plugins, and keys chosen to be slow. S09, a
//! process that is killed while it writes, is no guest's attack: see `state_crash.rs`.

use crate::case::{Case, Setup, Verdict, out_of_fuel, returns};
use hostel::{Grants, Instance, MemoryState, StateLimits, StateStore as _, StateUse};
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    floods(&mut cases);
    state_of_others(&mut cases);
    slow_keys(&mut cases);
    cases
}

/// A guest that passes calls on to the host. The host writes all answers to one place, so that
/// errors use up no memory.
const GUEST: &str = r#"(module
    (import "env" "host_state_get" (func $get (param i32 i32) (result i32 i32)))
    (import "env" "host_state_set" (func $set (param i32 i32 i32 i32) (result i32 i32)))
    (import "env" "host_state_delete" (func $delete (param i32 i32) (result i32 i32)))
    (import "env" "host_state_list" (func $list (param i32 i32 i32 i32 i32) (result i32 i32)))
    (memory (export "memory") 4)
    (func (export "allocate") (param $size i32) (result i32)
      (select (i32.const 131072) (i32.const 0) (i32.le_u (local.get $size) (i32.const 131072))))
    (func (export "get") (param i32 i32) (result i32 i32) (call $get (local.get 0) (local.get 1)))
    (func (export "set") (param i32 i32 i32 i32) (result i32 i32)
      (call $set (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
    ;; Sets values under new keys, or under `same` of them in turn; perhaps deletes each at once.
    (func (export "flood") (param $key i32) (param $value i32) (param $same i32) (param $undo i32)
      (local $n i32)
      (loop $on
        (i32.store (i32.const 0) (i32.rem_u (local.get $n) (local.get $same)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (call $set (i32.const 0) (local.get $key) (i32.const 0) (local.get $value)) drop drop
        (if (local.get $undo) (then (call $delete (i32.const 0) (local.get $key)) drop drop))
        (br $on)))
    (func (export "list") (local $n i32)
      (loop $fill
        (i32.store (i32.const 0) (local.get $n))
        (call $set (i32.const 0) (i32.const 200) (i32.const 0) (i32.const 0)) drop drop
        (br_if $fill (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
          (i32.const 300))))
      (loop $on
        (call $list (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))
        drop drop (br $on))))"#;

/// Makes an instance whose state is `store`.
fn start(setup: &Setup<'_>, store: &Arc<MemoryState>) -> Instance {
    let grants = Grants::new().state(store.clone());
    let plugin = setup.engine.load("guest", setup.wasm, &grants).unwrap();
    plugin.instantiate(()).unwrap()
}

fn memory() -> Arc<MemoryState> {
    Arc::new(MemoryState::new(StateLimits::server()))
}

/// S06: a row says what the flood is, the lengths of keys and values in bytes, how many keys it
/// sets in turn, whether it deletes each at once, and how many keys and bytes are kept in the end.
fn floods(cases: &mut Vec<Case>) {
    const NEW: u32 = u32::MAX;
    #[rustfmt::skip] // a table
    let rows = [
        ("keys without end", 4, 0, NEW, 0, Some((1_000, 4_000))),
        ("long keys without end", 256, 0, NEW, 0, Some((1_000, 256_000))),
        ("keys that are too long", 257, 0, NEW, 0, Some((0, 0))),
        ("values without end", 4, 60_000, NEW, 0, Some((17, 1_020_068))),
        ("values that are too large", 4, 65_537, NEW, 0, Some((0, 0))),
        ("overwriting without end", 4, 1_000, 1, 0, Some((1, 1_004))),
        ("overwriting in turn without end", 4, 1_000, 50, 0, Some((50, 50_200))),
        ("setting and deleting without end", 4, 1_000, NEW, 1, None),
    ];
    for (what, key, value, same, undo, full) in rows {
        let name = format!("S06/{what}");
        let case = Case::script(name, GUEST, out_of_fuel(), move |setup| {
            let store = memory();
            let mut instance = start(setup, &store);
            let flood = instance.call::<_, ()>("flood", (key, value, same, undo));
            let used = store.used("guest").unwrap();
            match full {
                Some((keys, bytes)) => assert_eq!(used, StateUse { keys, bytes }),
                None => assert!(used.keys <= 1, "{used:?}"),
            }
            Verdict::of_answer(flood.map(|()| ""))
        });
        cases.push(case.fuel(2_000_000));
    }
    let name = "S06/lists without end";
    let case = Case::call(name, GUEST, ("list", &[]), out_of_fuel());
    cases.push(case.fuel(2_000_000));
}

/// S07: keys that would name another plugin's state if names and keys were joined. Another plugin
/// of each such name has set each key.
fn state_of_others(cases: &mut Vec<Case>) {
    for (what, key) in [
        ("by its name", "other"),
        ("by a path", "../other/key"),
        ("by an absolute path", "/other/key"),
        ("by name and key", "other/key"),
        ("by name, zero and key", "other\0key"),
        ("by its key", "key"),
        ("by nothing", ""),
    ] {
        let name = format!("S07/another's value {what}");
        cases.push(Case::script(name, GUEST, returns("absent"), move |setup| {
            let store = memory();
            for other in ["other", "", "gues", "guest/", "guest\0", "../guest"] {
                store.set(other, key.as_bytes(), b"secret").unwrap();
                store.set(other, b"key", b"secret").unwrap();
            }
            let mut instance = start(setup, &store);
            let found: Option<Vec<u8>> = instance.call("get", (key,)).unwrap();
            let kept = instance.call::<_, (u32, u32)>("set", (key, (0u32, 4u32)));
            assert_eq!(kept, Ok((0, 0)));
            assert_eq!(
                store.get("other", b"key").unwrap().as_deref(),
                Some(&b"secret"[..])
            );
            returns(if found.is_none() { "absent" } else { "found" })
        }));
    }
}

/// S08: keys that are alike up to the last bytes, so that each comparison reads them whole. All
/// cost the same fuel.
fn slow_keys(cases: &mut Vec<Case>) {
    let name = "S08/keys alike to the last bytes";
    cases.push(Case::script(name, GUEST, returns("one price"), |setup| {
        let store = memory();
        let mut key = [b'k'; 256];
        for number in 0..1_000u32 {
            key[252..].copy_from_slice(&number.to_be_bytes());
            store.set("guest", &key, b"").unwrap();
        }
        let mut instance = start(setup, &store);
        let mut price = |number: u32| {
            key[252..].copy_from_slice(&number.to_be_bytes());
            let kept = instance.call::<_, (u32, u32)>("set", (&key, (0u32, 1u32)));
            assert_eq!(kept, Ok((0, 0)));
            instance.usage().fuel
        };
        // The first call asks for its buffers.
        price(0);
        let first = price(0);
        assert!((1..1_000).step_by(111).all(|number| price(number) == first));
        returns("one price")
    }));
}
