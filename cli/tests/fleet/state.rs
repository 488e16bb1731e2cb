//! Plugins' values, read and changed by several members.

use super::machines::{Nats, on_runtime};
use hostel::{MemoryState, StateLimits, StateStore, StateUse};
use std::sync::Arc;
use tokio::{runtime::Handle, task::spawn_blocking};

fn limits() -> StateLimits {
    let mut limits = StateLimits::server();
    limits.total_bytes = 512 << 10;
    limits
}

/// Does random operations on two handles of a store, and on one in memory. All that can be seen of them must agree.
fn agree(stores: &[Arc<dyn StateStore>; 2], model: &MemoryState, operations: usize) {
    let mut state = 20_261_130_u64;
    let mut below = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..operations {
        let space = ["a", "a/", "a.b", ""][below(4)];
        let mut key = |most: usize| -> Vec<u8> {
            let length = below(most);
            (0..length)
                .map(|_| [0, b'.', b'/', 0xff][below(4)])
                .collect()
        };
        let (one, prefix, after) = (key(5), key(3), key(4));
        let one = if below(20) == 0 { vec![1; 257] } else { one };
        let store = &stores[below(2)];
        match below(6) {
            0 => assert_eq!(store.delete(space, &one), model.delete(space, &one)),
            1 => assert_eq!(store.get(space, &one), model.get(space, &one)),
            2 => {
                let most = below(3_000);
                let fits = |used: StateUse| used.bytes <= most;
                let value = vec![7; below(400)];
                assert_eq!(
                    store.set_if(space, &one, &value, &fits),
                    model.set_if(space, &one, &value, &fits)
                );
            }
            _ => {
                let value = vec![below(256) as u8; [10, 60_000, 70_000][below(3)]];
                assert_eq!(
                    store.set(space, &one, &value),
                    model.set(space, &one, &value)
                );
            }
        }
        assert_eq!(store.used(space), model.used(space));
        let after = (below(2) == 0).then_some(&after[..]);
        let listed = |store: &dyn StateStore| {
            let mut keys = Vec::new();
            store
                .list(space, &prefix, after, &mut |key| {
                    keys.push(key.to_vec());
                    keys.len() < 5
                })
                .unwrap();
            keys
        };
        assert_eq!(listed(&**store), listed(model));
    }
}

#[test]
fn the_store_agrees_with_one_in_memory() {
    let Some(nats) = Nats::start() else { return };
    on_runtime(async {
        let stores = [nats.fleet().await, nats.fleet().await];
        let stores = stores.map(|it| Arc::new(it.state(Handle::current())) as Arc<dyn StateStore>);
        let model = MemoryState::new(limits());
        let checked = spawn_blocking(move || agree(&stores, &model, 500));
        checked.await.expect("they agree");
    });
}

#[test]
fn members_lose_no_change_of_each_other() {
    let Some(nats) = Nats::start() else { return };
    on_runtime(async {
        let mut members = Vec::new();
        for member in 0..3 {
            let store = nats.fleet().await.state(Handle::current());
            members.push(spawn_blocking(move || {
                let keys = (0..60).map(|number| format!("{member}-{number}"));
                // Only 100 of the 180 values fit.
                let fits = |used: StateUse| used.keys <= 100;
                keys.filter(|key| store.set_if("space", key.as_bytes(), b"", &fits).unwrap())
                    .count()
            }));
        }
        let mut set = 0;
        for member in members {
            set += member.await.expect("each change succeeds");
        }
        let store = nats.fleet().await.state(Handle::current());
        let used = spawn_blocking(move || store.used("space"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!((set, used.keys), (100, 100));
    });
}
