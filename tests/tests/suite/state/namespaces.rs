//! Each plugin sees its own state only.

use super::{Forward, file, forwarding, memory};
use hostel::{Grants, StateLimits, StateStore};
use hostel_tests::load_wat;
use std::sync::Arc;

#[test]
fn plugins_do_not_see_each_others_state() {
    let (store, (file, _directory)) = (memory(), file(StateLimits::server()));
    let file = Arc::new(file);
    for store in [store as Arc<dyn StateStore>, file] {
        let in_space = |space: &str| {
            let grants = Grants::new().state_in(space, store.clone());
            Forward(load_wat(&forwarding(), &grants))
        };
        // Joined, a name and a key of one plugin equal a name and a key of another.
        let spaces = ["a", "a/", "a/b", "", "a\0", "b", "../a", "guest"];
        let keys: [&[u8]; 8] = [
            b"",
            b"b/c",
            b"/b/c",
            b"../a",
            b"c",
            b"\0c",
            b"a/b/c",
            b"../../a/b/c",
        ];
        for space in spaces {
            for key in keys {
                let value = [space.as_bytes(), b" ", key].concat();
                assert_eq!(in_space(space).set(key, &value), Ok(None));
            }
        }
        for space in spaces {
            for key in keys {
                let value = [space.as_bytes(), b" ", key].concat();
                assert_eq!(in_space(space).get(key), Ok(Some(value)));
            }
            assert_eq!(store.used(space).unwrap().keys, keys.len());
        }
        for key in keys {
            assert_eq!(in_space("a").delete(key), Ok(None));
        }
        assert_eq!(in_space("a").list(b"", None, 9), Ok(None));
        assert_eq!(store.used("a/").unwrap().keys, keys.len());

        // By default the namespace is the plugin's name. Another owner's plugin of that name must
        // be given another one.
        let named = |name: &str| {
            let wasm = hostel_tests::assemble(&forwarding());
            let grants = Grants::new().state(store.clone());
            Forward(hostel::engine().load(name, &wasm, &grants).unwrap())
        };
        assert_eq!(named("b").get(b"c"), Ok(Some(b"b c".to_vec())));
        assert_eq!(named("z").get(b"c"), Ok(None));
    }
}
