//! Stores that fail, panic, cost fuel of their own, or are shared by instances.

use super::{Forward, forwarding, memory, told};
use hostel::{Engine, Grants, Plugin, StateCosts, StateError, StateStore, StateUse};
use hostel_tests::{a_good_plugin_still_answers, code};
use std::sync::Arc;

/// A store whose functions fail, or panic.
struct Broken {
    panics: bool,
}

impl Broken {
    fn fail<R>(&self) -> Result<R, StateError> {
        assert!(!self.panics, "it is broken");
        Err(StateError::Failed)
    }
}

impl StateStore for Broken {
    fn costs(&self) -> StateCosts {
        StateCosts {
            read: 5_000,
            write: 70_000,
            scan: 0,
        }
    }

    fn get(&self, _: &str, _: &[u8]) -> Result<Option<Arc<[u8]>>, StateError> {
        self.fail()
    }

    fn set(&self, _: &str, _: &[u8], _: &[u8]) -> Result<(), StateError> {
        self.fail()
    }

    fn delete(&self, _: &str, _: &[u8]) -> Result<(), StateError> {
        self.fail()
    }

    fn list(
        &self,
        _: &str,
        _: &[u8],
        _: Option<&[u8]>,
        _: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError> {
        self.fail()
    }

    fn used(&self, _: &str) -> Result<StateUse, StateError> {
        self.fail()
    }
}

#[test]
fn a_store_that_fails_or_panics_ends_only_the_call() {
    let guest = Forward::to(Broken { panics: false });
    let panicking = Forward::to(Broken { panics: true });
    let all = |guest: &Forward| {
        [
            guest.get(b"key"),
            guest.set(b"key", b"value"),
            guest.delete(b"key"),
            guest.list(b"", None, 1),
        ]
    };
    for result in all(&guest) {
        assert_eq!(told(&result), "state-failed");
    }
    for result in all(&panicking) {
        assert_eq!(code(&result), "trap-host-panic");
    }
    a_good_plugin_still_answers();
}

#[test]
fn a_store_says_what_its_own_work_costs() {
    let (dear, cheap) = (
        Forward::to(Broken { panics: false }).0,
        Forward::to(memory()).0,
    );
    let fuel = |plugin: &Plugin, name: &str| {
        let mut instance = plugin.instantiate(()).unwrap();
        // All parameters are 0: empty keys and values. The result is no matter.
        let params = ["get", "delete"].contains(&name);
        let _ = match (params, name) {
            (true, _) => instance.call::<_, (u32, u32)>(name, (0u32, 0u32)),
            (_, "set") => instance.call(name, (0u32, 0u32, 0u32, 0u32)),
            _ => instance.call(name, (0u32, 0u32, 0u32, 0u32, 0u32)),
        };
        instance.usage().fuel
    };
    for (name, own) in [
        ("get", 5_000),
        ("set", 70_000),
        ("delete", 70_000),
        ("list", 5_000),
    ] {
        let (dear, cheap) = (fuel(&dear, name), fuel(&cheap, name));
        assert!(dear > own && cheap < 200, "{name}: {dear} {cheap}");
    }
    // Whether a key is there makes no difference to the fuel.
    let mut instance = cheap.instantiate(()).unwrap();
    let mut cost = |name: &str, key: u32| {
        let done = match name {
            "set" => instance.call::<_, (u32, u32)>(name, (key, 1u32, 0u32, 9u32)),
            _ => instance.call(name, (key, 1u32)),
        };
        assert_eq!(done, Ok((0, 0)), "{name}");
        instance.usage().fuel
    };
    let (new, same) = (cost("set", 0), cost("set", 0));
    assert_eq!(new, same);
    let (there, gone) = (cost("delete", 0), cost("delete", 0));
    assert_eq!(there, gone);
}

#[test]
fn instances_side_by_side_share_one_store() {
    let store = memory();
    let engine = Engine::default().with_platform(hostel::Std::new());
    let wasm = hostel_tests::assemble(&forwarding());
    let plugin = engine
        .load("guest", &wasm, &Grants::new().state(store.clone()))
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let plugin = plugin.clone();
            scope.spawn(move || {
                for round in 0..50u8 {
                    let set =
                        plugin.call::<_, Option<Vec<u8>>>("set", (&[thread, round], &[round]));
                    assert_eq!(set, Ok(None));
                    let all: Option<Vec<u8>> = plugin.call("get", (&[thread, round],)).unwrap();
                    assert_eq!(all, Some(vec![round]));
                }
            });
        }
    });
    assert_eq!(
        store.used("guest"),
        Ok(StateUse {
            keys: 200,
            bytes: 600
        })
    );
}
