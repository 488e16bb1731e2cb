//! Plugins for small machines: memories with pages of one byte, built guests of 0.5 KB, and the
//! template that authors copy.

use hostel::{Budget, CallError, Engine, Grants, Limits, ModuleInfo, Plugin};
use hostel_tests::{assemble, code, guest_bytes, skip};
use std::{fs, path::Path, process::Command};

fn engine() -> Engine {
    Engine::new(Limits::device(256 << 10)).with_budget(Budget::device())
}

fn load(name: &str) -> Plugin {
    let wasm = guest_bytes(name);
    engine().load(name, &wasm, &Grants::new()).unwrap()
}

fn samples(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

#[test]
fn small_guests_are_small() {
    for (name, bytes, memory) in [
        ("small_filter", 2_048, 4_096),
        ("small_threshold", 2_048, 1_024),
        ("small_c_reverse", 2_048, 1_024),
        ("small_greet", 6_144, 1_024),
    ] {
        let wasm = guest_bytes(name);
        let module = ModuleInfo::read(&wasm).unwrap();
        assert!(wasm.len() <= bytes, "{name}: {} bytes", wasm.len());
        let [found] = module.memories[..] else {
            panic!("{name}: {:?}", module.memories)
        };
        assert_eq!(found.page_bytes, 1, "{name}");
        assert!(found.min_bytes <= memory, "{name}: {found:?}");
    }
}

#[test]
fn a_filter_keeps_its_level_from_call_to_call() {
    let mut instance = load("small_filter").instantiate(()).unwrap();
    let step = samples(&[8_000; 3]);
    let first = instance.process(&step).unwrap();
    assert_eq!(first, samples(&[1_000, 1_875, 2_640]));
    let next = instance.process(&step).unwrap();
    assert_eq!(next[..2], samples(&[3_310])[..]);
    // As much as its buffer holds, and then one sample more.
    assert_eq!(instance.process(&[1; 1_024]).unwrap().len(), 1_024);
    let error = instance.process(&[1; 1_026]).unwrap_err();
    assert_eq!(error, CallError::NoMemory { asked: 1_026 });
    assert_eq!(instance.process(&[]), Ok(vec![]));
}

#[test]
fn errors_of_a_guest_without_a_heap_reach_the_caller() {
    for name in ["small_filter", "small_threshold"] {
        let mut instance = load(name).instantiate(()).unwrap();
        let error = instance.process(b"odd").unwrap_err();
        let message = "half a sample at the end".into();
        assert_eq!(error, CallError::Guest { message }, "{name}");
        assert!(instance.process(b"even").is_ok(), "{name}");
    }
    let found = load("small_threshold").process(&samples(&[1_000, 1_001, -5, 9_999]));
    assert_eq!(found, Ok(vec![1, 3]));
}

#[test]
fn heaps_grow_by_what_is_asked_for() {
    for (name, export, input, too_long) in [
        ("small_greet", "greet", 100, "no-memory"),
        ("small_greet", "greet", 3_000, "no-memory"),
        ("small_c_reverse", "process", 100, "no-memory"),
        // There is room for the input, but none for the result.
        ("small_c_reverse", "process", 3_000, "guest-error"),
    ] {
        let wasm = guest_bytes(name);
        let mut limits = Limits::device(256 << 10);
        let start = ModuleInfo::read(&wasm).unwrap().memories[0].min_bytes;
        // Room for the input, the result and 60 bytes.
        limits.memory_bytes = usize::try_from(start).unwrap() + 2 * input + 600;
        let engine = Engine::new(limits).with_budget(Budget::device());
        let plugin = engine.load::<()>(name, &wasm, &Grants::new()).unwrap();
        let mut instance = plugin.instantiate(()).unwrap();
        let text = "x".repeat(input);
        for _ in 0..20 {
            let answer = instance.call_bytes(export, text.as_bytes(), <[u8]>::len);
            let expected = if export == "greet" { input + 8 } else { input };
            assert_eq!(answer, Ok(expected), "{name}, {input}");
        }
        let error = instance.call_bytes(export, &[b'x'; 4_000], |_| ());
        assert_eq!(code(&error), too_long, "{name}, {input}");
    }
}

#[test]
fn a_memory_of_single_bytes_ends_where_it_says() {
    let text = r#"(module (memory (export "memory") 1000 1003 (pagesize 1))
        (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "size") (result i32) (memory.size)))"#;
    let plugin = engine().load::<()>("m", &assemble(text), &Grants::new());
    let mut instance = plugin.unwrap().instantiate(()).unwrap();
    assert_eq!(instance.call("load", 999u32), Ok(0u32));
    assert_eq!(instance.call("grow", 2u32), Ok(1_000i32));
    assert_eq!(instance.call("grow", 2u32), Ok(-1i32));
    assert_eq!(instance.call("size", ()), Ok(1_002u32));
    assert_eq!(instance.call("load", 1_001u32), Ok(0u32));
    let beyond = instance.call::<_, u32>("load", 1_002u32);
    assert_eq!(code(&beyond), "trap-memory");
}

#[test]
fn a_memory_of_single_bytes_is_bounded_as_any_other() {
    let text = r#"(module (memory 70000 (pagesize 1)) (func (export "f")))"#;
    let error = engine().load::<()>("m", &assemble(text), &Grants::new());
    assert_eq!(hostel_tests::load_code(&error), "over-limit");
    // Growing byte by byte ends at the limit too, or when the fuel is used up.
    let text = r#"(module (memory 1 (pagesize 1))
        (func (export "f") (result i32)
          (loop $on (br_if $on (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
          (memory.size)))"#;
    let mut limits = Limits::device(256 << 10);
    limits.memory_bytes = 1_500;
    let engine = Engine::new(limits).with_budget(Budget::device());
    let plugin = engine.load::<()>("m", &assemble(text), &Grants::new());
    assert_eq!(plugin.unwrap().call("f", ()), Ok(1_500u32));
}

/// Builds a copy of the template as an author would, with the SDK of this repository.
#[test]
fn the_template_builds_where_it_is_copied_to_and_runs() {
    let guests = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../guests"));
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(sysroot.unwrap().stdout).unwrap();
    let target = Path::new(sysroot.trim()).join("lib/rustlib/wasm32-unknown-unknown");
    if !target.exists() {
        return skip(
            "building the template",
            "rustup target add wasm32-unknown-unknown",
        );
    }
    let copy = tempfile::tempdir().unwrap();
    for file in ["Cargo.toml", ".cargo/config.toml", "src/lib.rs"] {
        let to = copy.path().join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(guests.join("template").join(file), to).unwrap();
    }
    let sdk = guests.join("sdk").canonicalize().unwrap();
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--config"])
        .arg(format!(
            "patch.crates-io.hostel-guest.path = '{}'",
            sdk.display()
        ))
        .current_dir(copy.path());
    // The author's shell has none of the flags that these tests were built with, such as those of
    // `cargo llvm-cov`; for the guest's target most of them do not exist.
    for flags in [
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(flags);
    }
    let output = cargo.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let built = "target/wasm32-unknown-unknown/release/my_plugin.wasm";
    let wasm = fs::read(copy.path().join(built)).unwrap();
    let memory = ModuleInfo::read(&wasm).unwrap().memories[0];
    assert!(wasm.len() <= 1_024 && memory.min_bytes <= 2_048);
    let plugin = engine().load::<()>("mine", &wasm, &Grants::new()).unwrap();
    assert_eq!(plugin.process(&[200, 100]), Ok(vec![44, 1, 0, 0]));
    assert_eq!(code(&plugin.process(b"")), "guest-error");
}
