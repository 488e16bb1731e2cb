//! Two plugins that keep values with the host, in one store: each finds what a map of its own would
//! hold, within limits.
#![no_main]

use arbitrary::Arbitrary;
use hostel_core::{
    CallError, Engine, Grants, Limits, MemoryState, Plugin, StateLimits, StateStore as _, StateUse,
};
use libfuzzer_sys::fuzz_target;
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// A guest that hands on to the host whatever it is called with, and the host's answer.
const GUEST: &str = r#"(module
    (import "env" "host_state_get" (func $get (param i32 i32) (result i32 i32)))
    (import "env" "host_state_set" (func $set (param i32 i32 i32 i32) (result i32 i32)))
    (import "env" "host_state_delete" (func $delete (param i32 i32) (result i32 i32)))
    (import "env" "host_state_list" (func $list (param i32 i32 i32 i32 i32) (result i32 i32)))
    (memory (export "memory") 2 2)
    (global $top (mut i32) (i32.const 16))
    (func (export "allocate") (param $size i32) (result i32)
        (global.get $top)
        (global.set $top (i32.add (global.get $top) (local.get $size))))
    (func (export "get") (param i32 i32) (result i32 i32)
        (call $get (local.get 0) (local.get 1)))
    (func (export "set") (param i32 i32 i32 i32) (result i32 i32)
        (call $set (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
    (func (export "delete") (param i32 i32) (result i32 i32)
        (call $delete (local.get 0) (local.get 1)))
    (func (export "list") (param i32 i32 i32 i32 i32) (result i32 i32)
        (call $list (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))"#;

/// Names that would be mixed up where namespace and key were one text.
const SPACES: [&str; 2] = ["a", "a/"];

/// Limits that a few operations reach.
fn limits() -> StateLimits {
    let mut limits = StateLimits::device();
    (limits.keys, limits.key_bytes) = (8, 4);
    (limits.value_bytes, limits.total_bytes) = (40, 150);
    limits
}

static STORE: LazyLock<Arc<MemoryState>> = LazyLock::new(|| Arc::new(MemoryState::new(limits())));

static PLUGINS: LazyLock<[Plugin<()>; 2]> = LazyLock::new(|| {
    let wasm = wat::parse_str(GUEST).expect("the guest is well-formed");
    let engine = Engine::new(Limits::server());
    SPACES.map(|space| {
        let grants = Grants::new().state_in(space, STORE.clone());
        engine.load("guest", &wasm, &grants).expect("it loads")
    })
});

#[derive(Arbitrary, Debug)]
struct Operation {
    second: bool,
    key: Key,
    what: What,
}

#[derive(Arbitrary, Debug)]
enum What {
    Get,
    Set { byte: u8, len: u8 },
    Delete,
    List { after: Option<Key>, max: u8 },
}

/// Bytes of which few different ones are made.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Key(u16);

impl Key {
    fn bytes(self) -> Vec<u8> {
        let len = self.0 % 6;
        let letter = |at: u16| [0, b'/', b'a', 0xff][usize::from(self.0 >> (3 + 2 * at)) % 4];
        (0..len).map(letter).collect()
    }
}

type Answer = Result<Option<Vec<u8>>, String>;
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fuzz_target!(|operations: Vec<Operation>| {
    empty_the_store();
    let mut models = [Model::new(), Model::new()];
    for operation in &operations {
        let which = usize::from(operation.second);
        let key = operation.key.bytes();
        let (found, expected) = match &operation.what {
            What::Get => (
                call(which, "get", (&*key,)),
                checked(&[&key]).map(|()| models[which].get(&key).cloned()),
            ),
            What::Set { byte, len } => {
                let value = vec![*byte; usize::from(*len) % 48];
                (
                    call(which, "set", (&*key, &*value)),
                    set(&mut models[which], key, value),
                )
            }
            What::Delete => (
                call(which, "delete", (&*key,)),
                checked(&[&key]).map(|()| {
                    models[which].remove(&key);
                    None
                }),
            ),
            What::List { after, max } => {
                let (after, max) = (after.map(Key::bytes), u32::from(*max % 16));
                (
                    call(which, "list", (&*key, after.as_deref(), max)),
                    list(&models[which], &key, after.as_deref(), max),
                )
            }
        };
        assert_eq!(found, expected, "{operation:?}");
        for (space, model) in SPACES.iter().zip(&models) {
            assert_eq!(STORE.used(space), Ok(used(model)), "{operation:?}");
        }
    }
});

/// One call of a plugin, and what the host's error begins with.
fn call<P: hostel_core::Lower>(which: usize, name: &str, params: P) -> Answer {
    let call = |instance: &mut hostel_core::Instance<()>| instance.call(name, params);
    let (answer, usage) = PLUGINS[which].with_instance_metered(call);
    assert!(usage.fuel > 60 && usage.host_calls == 1, "{usage:?}");
    answer.map_err(|error| match error {
        CallError::Guest { message } => {
            let code = message.split(": ").next();
            code.unwrap_or_default().to_owned()
        }
        error => panic!("{name}: {error}"),
    })
}

/// Fails where a key, or what is given in the place of one, is too long.
fn checked(keys: &[&[u8]]) -> Result<(), String> {
    match keys.iter().all(|key| key.len() <= limits().key_bytes) {
        true => Ok(()),
        false => Err("state-key-bytes".to_owned()),
    }
}

fn used(model: &Model) -> StateUse {
    StateUse {
        keys: model.len(),
        bytes: model
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum(),
    }
}

fn set(model: &mut Model, key: Vec<u8>, value: Vec<u8>) -> Answer {
    checked(&[&key])?;
    let limits = limits();
    if value.len() > limits.value_bytes {
        return Err("state-value-bytes".to_owned());
    }
    let mut next = model.clone();
    next.insert(key, value);
    let used = used(&next);
    if used.keys > limits.keys {
        return Err("state-keys".to_owned());
    }
    if used.bytes > limits.total_bytes {
        return Err("state-total-bytes".to_owned());
    }
    *model = next;
    Ok(None)
}

fn list(model: &Model, prefix: &[u8], after: Option<&[u8]>, max: u32) -> Answer {
    checked(&[prefix, after.unwrap_or_default()])?;
    let keys = model.keys().filter(|key| key.starts_with(prefix));
    let keys = keys.filter(|key| after.is_none_or(|after| &key[..] > after));
    let mut page = Vec::new();
    for key in keys.take(max as usize) {
        page.extend((key.len() as u32).to_le_bytes());
        page.extend(key);
    }
    Ok((!page.is_empty()).then_some(page))
}

fn empty_the_store() {
    for space in SPACES {
        let mut keys = Vec::new();
        let listed = STORE.list(space, b"", None, &mut |key| {
            keys.push(key.to_vec());
            true
        });
        listed.expect("the store works");
        for key in keys {
            STORE.delete(space, &key).expect("the store works");
        }
        assert_eq!(STORE.used(space), Ok(StateUse::default()));
    }
}
