//! The limits on keys, values and their sum.

use super::{Forward, file, small, told};
use hostel::{FileState, MemoryState, StateCosts, StateError, StateLimits, StateStore, StateUse};
use std::sync::Arc;

#[test]
fn each_limit_has_its_error_and_nothing_changes() {
    let (file, _directory) = file(small());
    for store in [
        Arc::new(MemoryState::new(small())) as Arc<dyn StateStore>,
        Arc::new(file),
    ] {
        let guest = Forward::to(store.clone());
        for key in 0..4 {
            assert_eq!(guest.set(&[key], &[key; 40]), Ok(None));
        }
        let full = StateUse {
            keys: 4,
            bytes: 164,
        };
        for (key, value, code, error) in [
            (
                &[0; 5][..],
                &[][..],
                "state-key-bytes",
                StateError::KeyBytes { limit: 4, found: 5 },
            ),
            (
                &[0],
                &[9; 41],
                "state-value-bytes",
                StateError::ValueBytes {
                    limit: 40,
                    found: 41,
                },
            ),
            (
                &[4],
                &[9; 36],
                "state-total-bytes",
                StateError::TotalBytes {
                    limit: 200,
                    found: 201,
                },
            ),
        ] {
            assert_eq!(told(&guest.set(key, value)), code);
            assert_eq!(store.set("guest", key, value), Err(error));
            assert_eq!(store.used("guest"), Ok(full), "{code}");
            assert_eq!(guest.get(&[0]), Ok(Some(vec![0; 40])));
        }
        for result in [
            guest.get(&[0; 5]),
            guest.delete(&[0; 5]),
            guest.list(&[0; 5], None, 1),
            guest.list(&[], Some(&[0; 5]), 1),
        ] {
            assert_eq!(told(&result), "state-key-bytes");
        }
        // State can be filled to the last byte and the last key; values can be replaced.
        assert_eq!(guest.set(&[4], &[9; 35]), Ok(None));
        assert_eq!(told(&guest.set(&[4], &[9; 36])), "state-total-bytes");
        assert_eq!(guest.set(&[4], &[9; 34]), Ok(None));
        (0..5).for_each(|key| assert_eq!(guest.delete(&[key]), Ok(None)));
        assert_eq!(store.used("guest"), Ok(StateUse::default()));
        for key in 0..12 {
            assert_eq!(guest.set(&[key], &[]), Ok(None));
        }
        assert_eq!(told(&guest.set(&[12], &[])), "state-keys");
        let error = StateError::Keys {
            limit: 12,
            found: 13,
        };
        assert_eq!(store.set("guest", &[12], &[]), Err(error));
        assert_eq!(guest.set(&[11], &[1]), Ok(None), "not one more");
        assert_eq!(store.set("other", &[12], &[]), Ok(()), "another's limits");
    }
}

#[test]
fn state_over_a_lowered_limit_may_shrink() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let store = FileState::open(&path, StateLimits::server()).unwrap();
    store.set("guest", b"a", &[1; 300]).unwrap();
    store.set("guest", b"b", &[2; 300]).unwrap();
    drop(store);
    let mut limits = small();
    (limits.value_bytes, limits.keys) = (300, 1);
    let store = FileState::open(&path, limits).unwrap();
    assert_eq!(store.get("guest", b"a").unwrap().unwrap().len(), 300);
    assert_eq!(store.set("guest", b"a", &[1; 300]), Ok(()));
    assert_eq!(store.set("guest", b"a", &[1; 100]), Ok(()));
    let error = store.set("guest", b"a", &[1; 101]).unwrap_err();
    assert_eq!(error.code(), "state-total-bytes");
    assert_eq!(
        store.set("guest", b"c", b"").unwrap_err().code(),
        "state-keys"
    );
}

/// A store that has what the trait requires alone, over one in memory.
struct Least(MemoryState);

impl StateStore for Least {
    fn costs(&self) -> StateCosts {
        self.0.costs()
    }

    fn get(&self, space: &str, key: &[u8]) -> Result<Option<Arc<[u8]>>, StateError> {
        self.0.get(space, key)
    }

    fn set(&self, space: &str, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.0.set(space, key, value)
    }

    fn delete(&self, space: &str, key: &[u8]) -> Result<(), StateError> {
        self.0.delete(space, key)
    }

    fn list(
        &self,
        space: &str,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError> {
        self.0.list(space, prefix, after, visit)
    }

    fn used(&self, space: &str) -> Result<StateUse, StateError> {
        self.0.used(space)
    }
}

#[test]
fn a_value_is_set_only_if_what_is_held_then_fits() {
    let (file, _directory) = file(small());
    for store in [
        Arc::new(MemoryState::new(small())) as Arc<dyn StateStore>,
        Arc::new(file),
        Arc::new(Least(MemoryState::new(small()))),
    ] {
        let most = |keys: usize, bytes: usize| {
            move |next: StateUse| next.keys <= keys && next.bytes <= bytes
        };
        assert_eq!(store.set_if("s", b"a", b"12", &most(1, 3)), Ok(true));
        // Replaced: not one more key.
        assert_eq!(store.set_if("s", b"a", b"345", &most(1, 4)), Ok(true));
        assert_eq!(store.set_if("s", b"a", b"6789", &most(1, 4)), Ok(false));
        assert_eq!(store.set_if("s", b"b", b"", &most(1, 40)), Ok(false));
        assert_eq!(store.get("s", b"a").unwrap().as_deref(), Some(&b"345"[..]));
        assert_eq!(store.get("s", b"b").unwrap(), None);
        assert_eq!(store.used("s"), Ok(StateUse { keys: 1, bytes: 4 }));
        // The store's own limits hold too.
        let any = |_: StateUse| true;
        assert_eq!(
            store.set_if("s", b"12345", b"", &any),
            Err(StateError::KeyBytes { limit: 4, found: 5 })
        );
        assert_eq!(
            store.set_if("s", b"a", &[0; 41], &any),
            Err(StateError::ValueBytes {
                limit: 40,
                found: 41
            })
        );
    }
}

#[test]
fn values_that_are_set_at_a_time_do_not_pass_a_bound_together() {
    const THREADS: u8 = 8;
    const FIT: usize = 10;
    let limits = StateLimits::server();
    let (file, _directory) = file(limits);
    for store in [
        Arc::new(MemoryState::new(limits)) as Arc<dyn StateStore>,
        Arc::new(file),
    ] {
        let set: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let store = &store;
                    scope.spawn(move || {
                        let fits = |next: StateUse| next.keys <= FIT;
                        let set = |key| store.set_if("s", &[thread, key], b"", &fits).unwrap();
                        (0..5).filter(|key| set(*key)).count()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(set, FIT);
        assert_eq!(store.used("s").unwrap().keys, FIT);
    }
}
