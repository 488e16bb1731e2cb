//! Stores of state agree with a map, within their limits, over random operations.

use hostel::{FileState, MemoryState, StateLimits, StateStore, StateUse};
use hostel_tests::Random;
use std::collections::BTreeMap;

/// Returns limits that few operations reach.
fn limits() -> StateLimits {
    let mut limits = StateLimits::device();
    (limits.keys, limits.key_bytes) = (12, 4);
    (limits.value_bytes, limits.total_bytes) = (40, 200);
    limits
}

/// Returns a short key of a few different bytes. Some keys are too long.
fn any_key(random: &mut Random) -> Vec<u8> {
    let length = random.below(6);
    (0..length)
        .map(|_| [0, b'.', b'/', 0xff][random.below(4)])
        .collect()
}

/// Does random operations on a store and on a map. All that can be seen of both must agree.
fn agrees_with_a_map(store: &dyn StateStore, operations: usize) {
    let limits = limits();
    let mut random = Random::new(20_261_123);
    let mut model = BTreeMap::<(&str, Vec<u8>), Vec<u8>>::new();
    let mut seen = BTreeMap::<&str, usize>::new();
    for _ in 0..operations {
        let space = ["a", "a/"][random.below(2)];
        let key = any_key(&mut random);
        let kept = model.get(&(space, key.clone())).cloned();
        let outcome = match random.below(8) {
            0 => store.get(space, &key).map(|found| {
                assert_eq!(found.as_deref(), kept.as_deref());
                "got"
            }),
            1 | 2 => store.delete(space, &key).map(|()| {
                model.remove(&(space, key.clone()));
                "deleted"
            }),
            _ => {
                let value = vec![7; random.below(44)];
                let result = store.set(space, &key, &value);
                let mut next = model.clone();
                next.insert((space, key.clone()), value.clone());
                let (keys, bytes) = sums(&next, space);
                let expected = if key.len() > limits.key_bytes {
                    "state-key-bytes"
                } else if value.len() > limits.value_bytes {
                    "state-value-bytes"
                } else if keys > limits.keys {
                    "state-keys"
                } else if bytes > limits.total_bytes {
                    "state-total-bytes"
                } else {
                    model = next;
                    "set"
                };
                assert_eq!(
                    result.map_or_else(|error| error.code(), |()| "set"),
                    expected
                );
                result.map(|()| "set")
            }
        };
        *seen
            .entry(outcome.unwrap_or_else(|error| error.code()))
            .or_default() += 1;
        let (keys, bytes) = sums(&model, space);
        assert_eq!(store.used(space), Ok(StateUse { keys, bytes }));

        let (prefix, after) = (any_key(&mut random), any_key(&mut random));
        let (prefix, after) = (&prefix[..prefix.len().min(2)], &after[..after.len().min(4)]);
        let after = (random.below(2) == 0).then_some(after);
        let mut listed = Vec::new();
        let all = &mut |key: &[u8]| {
            listed.push(key.to_vec());
            true
        };
        store.list(space, prefix, after, all).unwrap();
        let expected: Vec<Vec<u8>> = model
            .keys()
            .filter(|(s, key)| *s == space && key.starts_with(prefix))
            .filter(|(_, key)| after.is_none_or(|after| &key[..] > after))
            .map(|(_, key)| key.clone())
            .collect();
        assert_eq!(listed, expected, "{prefix:?} {after:?}");
    }
    assert!(seen.len() == 7, "{seen:?}");
}

/// Counts the keys, and the bytes of keys and values, of a namespace.
fn sums(model: &BTreeMap<(&str, Vec<u8>), Vec<u8>>, space: &str) -> (usize, usize) {
    let mine = model.iter().filter(|((s, _), _)| *s == space);
    mine.fold((0, 0), |(keys, bytes), ((_, key), value)| {
        (keys + 1, bytes + key.len() + value.len())
    })
}

#[test]
fn random_operations_on_the_store_in_memory_agree_with_a_map() {
    agrees_with_a_map(&MemoryState::new(limits()), 20_000);
}

#[test]
fn random_operations_on_the_store_in_a_file_agree_with_a_map() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileState::open(directory.path().join("state"), limits()).unwrap();
    agrees_with_a_map(&store, 600);
}
