//! What the host keeps for plugins: by guests in Rust, C and WAT, within limits, each plugin's apart.

use hostel::{
    Budget, CallError, Engine, FileState, Grants, MemoryState, Plugin, StateCosts, StateError,
    StateLimits, StateStore, StateUse,
};
use hostel_tests::{a_good_plugin_still_answers, code, guest_bytes, load_wat, with_allocator};
use std::sync::Arc;

/// A guest that hands on to the host whatever it is called with, and the host's answer.
fn forwarding() -> String {
    let imports = r#"
        (import "env" "host_state_get" (func $get (param i32 i32) (result i32 i32)))
        (import "env" "host_state_set" (func $set (param i32 i32 i32 i32) (result i32 i32)))
        (import "env" "host_state_delete" (func $delete (param i32 i32) (result i32 i32)))
        (import "env" "host_state_list"
          (func $list (param i32 i32 i32 i32 i32) (result i32 i32)))"#;
    let items = r#"
        (func (export "get") (param i32 i32) (result i32 i32)
          (call $get (local.get 0) (local.get 1)))
        (func (export "set") (param i32 i32 i32 i32) (result i32 i32)
          (call $set (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
        (func (export "delete") (param i32 i32) (result i32 i32)
          (call $delete (local.get 0) (local.get 1)))
        (func (export "list") (param i32 i32 i32 i32 i32) (result i32 i32)
          (call $list (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))"#;
    with_allocator(imports, items)
}

/// Calls of that guest, each in an instance of its own.
struct Forward(Plugin);

type Answer = Result<Option<Vec<u8>>, CallError>;

impl Forward {
    fn to(store: impl StateStore) -> Self {
        Self(load_wat(&forwarding(), &Grants::new().state(store)))
    }

    fn get(&self, key: &[u8]) -> Answer {
        self.0.call("get", (key,))
    }

    fn set(&self, key: &[u8], value: &[u8]) -> Answer {
        self.0.call("set", (key, value))
    }

    fn delete(&self, key: &[u8]) -> Answer {
        self.0.call("delete", (key,))
    }

    fn list(&self, prefix: &[u8], after: Option<&[u8]>, max: u32) -> Answer {
        self.0.call("list", (prefix, after, max))
    }
}

fn memory() -> Arc<MemoryState> {
    Arc::new(MemoryState::new(StateLimits::server()))
}

fn small() -> StateLimits {
    let mut limits = StateLimits::device();
    (limits.keys, limits.key_bytes) = (12, 4);
    (limits.value_bytes, limits.total_bytes) = (40, 200);
    limits
}

fn file(limits: StateLimits) -> (FileState, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = FileState::open(directory.path().join("state"), limits).unwrap();
    (store, directory)
}

/// How a guest's error message tells it.
fn told(result: &Answer) -> &str {
    match result {
        Err(CallError::Guest { message }) => message.split(": ").next().unwrap(),
        other => panic!("{other:?}"),
    }
}

// Guests

fn load(name: &str, grants: &Grants) -> Plugin {
    hostel::engine()
        .load(name, &guest_bytes(name), grants)
        .unwrap()
}

#[test]
fn state_outlives_instances_and_the_plugin() {
    let store = memory();
    let grants = Grants::new().state(store.clone());
    for visit in 1..=6 {
        // Loaded anew for every other visit.
        if visit % 2 == 1 {
            load("counter", &grants).process(b"Gopher").unwrap();
            continue;
        }
        let answer = load("counter", &grants).process(b"Gopher").unwrap();
        assert_eq!(answer, format!("Gopher: visit {visit}").into_bytes());
    }
    let plugin = load("counter", &grants);
    plugin.process(b"").unwrap();
    plugin.process(b"Go").unwrap();
    let names = |prefix: &[u8]| plugin.call::<_, Vec<u8>>("names", (prefix,)).unwrap();
    assert_eq!(names(b"G"), b"Go\nGopher");
    assert_eq!(names(b""), b"\nGo\nGopher");
    let forgotten: Vec<u8> = plugin.call("forget", ("Gopher",)).unwrap();
    assert_eq!(forgotten, b"");
    assert_eq!(names(b"G"), b"Go");
    assert_eq!(plugin.process(b"Gopher").unwrap(), b"Gopher: visit 1");

    let c = load("c_counter", &Grants::new().state_in("counter", store));
    assert_eq!(c.process(b"Gopher").unwrap(), 2u64.to_le_bytes());
    let first: Vec<u8> = c.call("first", ("Gop",)).unwrap();
    assert_eq!(first, b"Gopher");
    let forgotten: Vec<u8> = c.call("forget", ("Gopher",)).unwrap();
    assert_eq!(forgotten, b"");
    let first: Vec<u8> = c.call("first", ("Gop",)).unwrap();
    assert_eq!(first, b"");
}

#[test]
fn guests_hand_on_the_error_and_go_on() {
    let mut limits = StateLimits::device();
    limits.keys = 1;
    for name in ["counter", "c_counter"] {
        let plugin = load(name, &Grants::new().state(MemoryState::new(limits)));
        let mut instance = plugin.instantiate(()).unwrap();
        instance.process(b"one").unwrap();
        let error = instance.process(b"two").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the plugin answered with an error: state-keys: there would be 2 keys, 1 are allowed: delete some first",
            "{name}"
        );
        assert_eq!(code(&instance.process(&[0; 33])), "guest-error", "{name}");
        instance.process(b"one").unwrap();
    }
}

#[test]
fn an_import_of_state_needs_the_grant() {
    let error = hostel::engine()
        .load::<()>("counter", &guest_bytes("counter"), &Grants::new())
        .unwrap_err()
        .to_string();
    assert!(error.contains("the grant `state` would"), "{error}");
    assert_eq!(hostel::grant_for("env", "host_state_list"), Some("state"));
}

// Plugins apart

#[test]
fn plugins_do_not_see_each_others_state() {
    let (store, (file, _directory)) = (memory(), file(StateLimits::server()));
    let file = Arc::new(file);
    for store in [store as Arc<dyn StateStore>, file] {
        let in_space = |space: &str| {
            let grants = Grants::new().state_in(space, store.clone());
            Forward(load_wat(&forwarding(), &grants))
        };
        // Run together, a name and a key of one are a name and a key of another.
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

        // By default it is the name; another owner's plugin of the name gets a space of its own.
        let named = |name: &str| {
            let wasm = hostel_tests::assemble(&forwarding());
            let grants = Grants::new().state(store.clone());
            Forward(hostel::engine().load(name, &wasm, &grants).unwrap())
        };
        assert_eq!(named("b").get(b"c"), Ok(Some(b"b c".to_vec())));
        assert_eq!(named("z").get(b"c"), Ok(None));
    }
}

// Keys and values

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
    // Each takes 1,000 bytes of a page.
    let key = |number: usize| format!("{number:0996}").into_bytes();
    for number in 0..70 {
        store.set("guest", &key(number), b"").unwrap();
    }
    let page = guest.list(b"", None, 100).unwrap().unwrap();
    assert_eq!(page.len(), 65_000);
    let page = guest.list(b"", Some(&key(64)), 100).unwrap().unwrap();
    assert_eq!(page.len(), 5_000);
    assert_eq!(guest.list(b"", Some(&key(69)), 100), Ok(None));
    // One key is given however long it is, or paging would never end.
    store.set("guest", &[b'~'; 90_000], b"").unwrap();
    let page = guest.list(b"~", None, 100).unwrap().unwrap();
    assert_eq!(page.len(), 90_004);
}

// Limits

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
        // To the last byte, in the place of another value, and with the last key.
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
fn under_a_lowered_limit_what_is_there_may_shrink() {
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

// Hostile guests

#[test]
fn pointers_outside_of_memory_trap() {
    const END: u32 = 2 << 16;
    let store = memory();
    let plugin = Forward::to(store.clone()).0;
    let fine = (0u32, 4u32);
    for bad in [
        (END, 1),
        (END - 1, 2),
        (END + 1, 0),
        (1, END),
        (u32::MAX, 1),
        (0, u32::MAX),
        (0x8000_0000, 0x8000_0000),
        (0, 0x8000_0001),
    ] {
        for result in [
            plugin.call::<_, (u32, u32)>("get", bad),
            plugin.call("delete", bad),
            plugin.call("set", (fine, bad)),
            plugin.call("set", (bad, fine)),
            plugin.call("list", (fine, bad, 1u32)),
            plugin.call("list", (bad, fine, 1u32)),
        ] {
            // An absent `after` has a pointer of 0, whatever its length.
            let absent = bad.0 == 0 && matches!(result, Ok((0, 0)));
            assert!(
                absent || code(&result) == "trap-host-call",
                "{bad:?} {result:?}"
            );
        }
    }
    assert_eq!(
        store.used("guest"),
        Ok(StateUse::default()),
        "nothing was set"
    );
    a_good_plugin_still_answers();
}

#[test]
fn a_guest_without_memory_for_the_answer_is_trapped() {
    let room = "(i32.sub (i32.const 131056) (local.get $ptr))";
    let text = forwarding().replace(room, "(i32.const 0)");
    let plugin = load_wat::<()>(&text, &Grants::new().state(memory()));
    let set = plugin.call("set", (0u32, 1u32, 0u32, 1u32));
    assert_eq!(set, Ok((0u32, 0u32)), "nothing to give");
    for key in [1, 257] {
        let got = plugin.call::<_, (u32, u32)>("get", (0u32, key));
        assert_eq!(code(&got), "trap-host-call", "a value, and an error");
    }
}

#[test]
fn what_costs_too_much_is_not_done() {
    let store = memory();
    let plugin = Forward::to(store.clone()).0;
    let key = [1; 100];
    let with = |fuel: u64| plugin.with_budget(Budget::server().fuel(fuel));
    let (mut least, mut most) = (0, 10_000);
    // The least fuel with which the value gets set, by halving.
    while least + 1 < most {
        let middle = (least + most) / 2;
        store.delete("guest", &key).unwrap();
        let done = with(middle).call::<_, Option<Vec<u8>>>("set", (&key, &[2u8; 1_000]));
        assert!(matches!(code(&done), "ok" | "out-of-fuel"), "{done:?}");
        let kept = store.get("guest", &key).unwrap().is_some();
        assert!(kept || done.is_err(), "an acknowledged value is kept");
        *(if kept { &mut most } else { &mut least }) = middle;
    }
    assert!(most > 20 + 2 + 16 + 40, "{most}");

    for number in 0..1_000u32 {
        store.set("many", &number.to_be_bytes(), b"").unwrap();
    }
    let many = load_wat::<()>(&forwarding(), &Grants::new().state_in("many", store));
    let list = ("", None::<&str>, u32::MAX);
    let short = many
        .with_budget(Budget::server().fuel(2_000))
        .call::<_, Option<Vec<u8>>>("list", list);
    assert_eq!(code(&short), "out-of-fuel");
    let page: Option<Vec<u8>> = many.call("list", list).unwrap();
    assert_eq!(page.unwrap().len(), 8_000);
}

/// A store that does not work.
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
fn a_store_that_fails_or_panics_ends_no_one_but_the_call() {
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
        // All parameters 0: empty keys and values. The answer is not looked at.
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
    // Found or not, empty or gone, it costs the same.
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
        .load("guest", &wasm, &Grants::<()>::new().state(store.clone()))
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
