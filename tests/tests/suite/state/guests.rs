//! Built guests that keep state: in Rust and in C.

use super::memory;
use hostel::{Grants, MemoryState, Plugin, StateLimits};
use hostel_tests::{code, guest_bytes};

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
        // Each visit is by a plugin that was loaded anew.
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
fn guests_return_the_error_of_the_store_and_go_on() {
    let mut limits = StateLimits::device();
    limits.keys = 1;
    for name in ["counter", "c_counter"] {
        let plugin = load(name, &Grants::new().state(MemoryState::new(limits)));
        let mut instance = plugin.instantiate(()).unwrap();
        instance.process(b"one").unwrap();
        let error = instance.process(b"two").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the plugin returned an error: state-keys: there would be 2 keys, 1 are allowed: delete some first",
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
