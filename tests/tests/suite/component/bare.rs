//! Core modules with a world, in the section `component-type` that wit-bindgen leaves.

use hostel::{Grants, LoadError, Plugin, component::Interface};

/// A module of the world `plugin` of `guests/components/wit`.
const GUEST: &[u8] = include_bytes!("../../../../guests/prebuilt/components/rust_module.wasm");

/// A custom section named `component-type`, with these contents.
fn section(contents: &[u8]) -> Vec<u8> {
    fn number(mut number: usize, to: &mut Vec<u8>) {
        while number > 127 {
            to.push(number as u8 | 128);
            number >>= 7;
        }
        to.push(number as u8);
    }
    let name = b"component-type";
    let (mut inner, mut outer) = (Vec::new(), vec![0]);
    number(name.len(), &mut inner);
    inner.extend(name);
    inner.extend(contents);
    number(inner.len(), &mut outer);
    outer.extend(inner);
    outer
}

/// The contents of the guest's section.
fn world() -> Vec<u8> {
    let name = b"component-type:wit-bindgen:";
    let at = GUEST
        .windows(name.len())
        .position(|part| part == name)
        .unwrap();
    // It holds a component, to the end of the section, whose length is not needed: what follows is another section.
    let start = GUEST[at..]
        .windows(8)
        .position(|part| part == b"\0asm\x0d\0\x01\0")
        .unwrap()
        + at;
    let mut size = [GUEST[at - 3], GUEST[at - 2]];
    size[0] &= 127;
    let len = usize::from(size[0]) | usize::from(size[1]) << 7;
    let end = at - 1 + len;
    GUEST[start..end].to_vec()
}

fn host() -> Interface<()> {
    Interface::new("hostel:example/host@0.1.0")
        .dynamic("log", |_, _| Ok(None))
        .function("config", |key: String| Some(key))
}

fn load(wasm: &[u8]) -> Result<Plugin, LoadError> {
    hostel::engine().load_component("bare", wasm, &Grants::new().interface(host()))
}

#[test]
fn what_has_a_world_is_loaded_as_a_component() {
    let engine = hostel::engine();
    let grants = Grants::new().interface(host());
    let is_component = |wasm: &[u8]| {
        let plugin = engine.load_any("any", wasm, &grants);
        plugin.map(|plugin| plugin.contract().is_some())
    };
    assert!(is_component(GUEST).unwrap());
    let module = wat::parse_str("(module (func (export \"f\")))").unwrap();
    assert!(!is_component(&module).unwrap());
    let named = |name: &[u8]| {
        let mut section = vec![0, u8::try_from(name.len() + 1).unwrap()];
        section.push(u8::try_from(name.len()).unwrap());
        [&*module, &*section, name].concat()
    };
    assert!(!is_component(&named(b"component-types")).unwrap());
    // The world is empty: it is read as one.
    let error = is_component(&named(b"component-type:x")).unwrap_err();
    assert_eq!(error.code(), "truncated-module", "{error}");
    // Any bytes at all are looked at.
    for cut in 0..GUEST.len().min(2_000) {
        assert!(is_component(&GUEST[..cut]).is_err());
    }
    assert!(is_component(&[&module[..], &[0, 0xff, 0xff, 0xff, 0xff, 0x7f]].concat()).is_err());
}

/// Loads a module with the guest's world.
fn with_world(module: &str) -> Result<Plugin, LoadError> {
    let mut wasm = wat::parse_str(module).unwrap();
    wasm.extend(section(&world()));
    load(&wasm)
}

#[test]
fn a_module_runs_as_a_component() {
    let plugin = load(GUEST).unwrap();
    let input: (&[u8],) = (b"hello",);
    let output = plugin.call_component::<_, Result<Vec<u8>, String>>("process", input);
    assert_eq!(output.unwrap().unwrap(), b"prefix_HELLO");
    let contract = plugin.contract().unwrap();
    assert_eq!(
        contract
            .imports()
            .map(|of| of.to_string())
            .collect::<Vec<_>>(),
        [
            "hostel:example/host@0.1.0#log",
            "hostel:example/host@0.1.0#config",
        ]
    );
}

#[test]
fn functions_that_only_the_world_imports_need_no_grant() {
    let mut module = String::from("(module");
    for (name, params, result) in [
        ("process", "i32 i32", "i32"),
        (
            "hostel:example/text@0.1.0#customize",
            "i32 i32 i32 i32 i32 i32 i32",
            "i32",
        ),
        (
            "hostel:example/text@0.1.0#[constructor]tally",
            "i32 i32",
            "i32",
        ),
        (
            "hostel:example/text@0.1.0#[method]tally.add",
            "i32 i32 i32",
            "i32",
        ),
        (
            "hostel:example/text@0.1.0#[method]tally.counts",
            "i32",
            "i32",
        ),
        ("hostel:example/text@0.1.0#[method]tally.name", "i32", "i32"),
        (
            "hostel:example/text@0.1.0#[static]tally.merge",
            "i32 i32",
            "i32",
        ),
        (
            "hostel:example/text@0.1.0#[static]tally.finish",
            "i32",
            "i32",
        ),
    ] {
        module +=
            &format!("(func (export \"{name}\") (param {params}) (result {result}) unreachable)");
    }
    let mut wasm = wat::parse_str(module + ")").unwrap();
    wasm.extend(section(&world()));
    let plugin = hostel::engine().load_component("bare", &wasm, &Grants::<()>::new());
    assert_eq!(plugin.unwrap().contract().unwrap().imports().count(), 0);
}

#[test]
fn all_that_does_not_fit_the_world_is_listed() {
    let error = with_world(
        r#"(module
            (import "hostel:example/host@0.1.0" "log" (func (param i32)))
            (import "env" "other" (func))
            (import "hostel:example/text@0.1.0" "[resource-rep]tally" (func (param i32) (result i32)))
            (func (export "process") (param i64) (result i32) i32.const 0)
            (func (export "cabi_realloc")))"#,
    );
    let error = error.unwrap_err().to_string();
    for part in [
        "import `hostel:example/host@0.1.0#log`",
        "(i32, i32, i32) -> ()",
        "import `env.other`",
        "the module's world does not import it",
        "[resource-rep]tally",
        "`process`",
        "(i32, i32) -> i32",
        "`hostel:example/text@0.1.0#customize`",
        "the module's world exports it",
        "`cabi_realloc`",
        "(i32, i32, i32, i32) -> i32",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn a_module_without_one_world_is_refused() {
    let plain = wat::parse_str("(module)").unwrap();
    let twice = [&*plain, &section(&world()), &section(&world())].concat();
    let mut newer = world();
    let encoding = newer.windows(2).position(|part| part == [4, 0]).unwrap();
    newer[encoding] = 9;
    let newer = [&*plain, &section(&newer)].concat();
    for (wasm, reason) in [
        (&plain, "load it with `Engine::load`"),
        (&twice, "several worlds"),
        (&newer, "another version than 4"),
    ] {
        let error = load(wasm).unwrap_err();
        assert_eq!(error.code(), "truncated-module", "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_broken_world_is_refused() {
    let plain = wat::parse_str("(module)").unwrap();
    let world = world();
    for len in 0..world.len() {
        let wasm = [&*plain, &section(&world[..len])].concat();
        assert!(load(&wasm).is_err(), "{len} bytes");
    }
    // Any byte may be wrong. It may be part of a name, and then exports are missing.
    for at in 0..world.len() {
        let mut changed = world.clone();
        changed[at] ^= 0x55;
        assert!(
            load(&[&*plain, &section(&changed)].concat()).is_err(),
            "byte {at}"
        );
    }
}
