//! Keys and values of any bytes, and lists of keys by prefix, in pages.

use super::{Forward, file, memory};
use hostel::{MemoryState, StateLimits, StateStore};
use std::sync::Arc;

#[test]
fn keys_and_values_are_any_bytes() {
    let (file, _directory) = file(StateLimits::server());
    for store in [memory() as Arc<dyn StateStore>, Arc::new(file)] {
        let guest = Forward::to(store);
        let keys: [&[u8]; 9] = [
            b"",
            b"\0",
            b"\0\0",
            b"../",
            b"/etc/passwd",
            b"a",
            b"a\0",
            b"\xff",
            b"\xff\xfe\x80",
        ];
        for key in keys {
            assert_eq!(guest.get(key), Ok(None));
            assert_eq!(guest.delete(key), Ok(None));
            assert_eq!(guest.set(key, b""), Ok(None));
            assert_eq!(guest.get(key), Ok(Some(Vec::new())), "set, and empty");
            assert_eq!(guest.set(key, &[b"\0\xff", key].concat()), Ok(None));
        }
        for key in keys {
            assert_eq!(guest.get(key), Ok(Some([b"\0\xff", key].concat())));
        }
        let listed: Vec<u8> = keys
            .iter()
            .flat_map(|key| [&u32::try_from(key.len()).unwrap().to_le_bytes()[..], key].concat())
            .collect();
        assert_eq!(guest.list(b"", None, 99), Ok(Some(listed)));
        for (prefix, after, max, expected) in [
            (&b""[..], None, 1, &[&b""[..]][..]),
            (b"", Some(&b""[..]), 2, &[b"\0", b"\0\0"]),
            (b"\0", None, 9, &[b"\0", b"\0\0"]),
            (b"\0", Some(b"\0"), 9, &[b"\0\0"]),
            (b"a", Some(b""), 9, &[b"a", b"a\0"]),
            (b"a", Some(b"a\0"), 9, &[]),
            (b"a", Some(b"z"), 9, &[]),
            (b"\xff", Some(b"\xff"), u32::MAX, &[b"\xff\xfe\x80"]),
            (b"", Some(b"b"), 1, &[b"\xff"]),
            (b"", None, 0, &[]),
            (b"none", None, 9, &[]),
        ] {
            let listed: Vec<u8> = expected
                .iter()
                .flat_map(|key| [&[key.len() as u8, 0, 0, 0][..], key].concat())
                .collect();
            let listed = (!listed.is_empty()).then_some(listed);
            assert_eq!(
                guest.list(prefix, after, max),
                Ok(listed),
                "{prefix:?} {after:?}"
            );
        }
    }
}

#[test]
fn a_page_holds_64_kib() {
    let mut limits = StateLimits::server();
    limits.key_bytes = 100_000;
    let store = Arc::new(MemoryState::new(limits));
    let guest = Forward::to(store.clone());
    // Each key takes 1,000 bytes of a page, its length included.
    let key = |number: usize| format!("{number:0996}").into_bytes();
    for number in 0..70 {
        store.set("guest", &key(number), b"").unwrap();
    }
    let page = guest.list(b"", None, 100).unwrap().unwrap();
    assert_eq!(page.len(), 65_000);
    let page = guest.list(b"", Some(&key(64)), 100).unwrap().unwrap();
    assert_eq!(page.len(), 5_000);
    assert_eq!(guest.list(b"", Some(&key(69)), 100), Ok(None));
    // A page has at least one key, however long, or paging would never end.
    store.set("guest", &[b'~'; 90_000], b"").unwrap();
    let page = guest.list(b"~", None, 100).unwrap().unwrap();
    assert_eq!(page.len(), 90_004);
}
