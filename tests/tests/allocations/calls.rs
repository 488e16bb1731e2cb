//! A call allocates nothing in steady state.

use super::{LIVE, allocations, customized, one_copy};
use hostel::{Grants, Instance};
use hostel_tests::{CUSTOMIZE, assemble, load_guest, load_wat};

#[test]
fn bytes_in_and_out_of_a_held_instance_allocate_nothing() {
    for name in CUSTOMIZE {
        let mut instance = load_guest(name, &customized()).instantiate(()).unwrap();
        let mut output = [0; 64];
        let found = allocations(|| {
            let length = instance.process_into(b"hello world", &mut output).unwrap();
            assert_eq!(&output[..length], b"CUSTOM_HELLO WORLD");
        });
        assert_eq!(found, 0, "{name}");
    }
}

#[test]
fn resetting_an_instance_for_each_call_allocates_nothing() {
    for name in CUSTOMIZE {
        let plugin = load_guest(name, &customized());
        let mut output = [0; 64];
        let found = allocations(|| {
            let length =
                plugin.with_instance(|instance| instance.process_into(b"hello world", &mut output));
            assert_eq!(&output[..length.unwrap()], b"CUSTOM_HELLO WORLD");
        });
        assert_eq!(found, 0, "{name}");
        assert!(plugin.pool_figures().resets > 1_000);
    }
}

/// Returns how many bytes of heap one more instance takes, without its linear memory.
fn per_instance<I>(memory: usize, mut make: impl FnMut() -> I) -> i64 {
    let first = make();
    let before = LIVE.get();
    let instances: Vec<I> = Vec::from_iter([make(), make(), make(), make()]);
    let vec = (instances.capacity() * size_of::<I>()) as i64;
    let all = LIVE.get() - before - vec;
    drop((first, instances));
    all / 4 - memory as i64
}

#[test]
fn an_idle_instance_takes_little_more_than_in_bare_wasmi() {
    let text = format!(
        r#"(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 0)) {}
            (func (export "f")))"#,
        "(func (global.set $n (i32.const 1)))".repeat(100)
    );
    let wasm = assemble(&text);
    let engine = wasmi::Engine::default();
    let module = wasmi::Module::new(&engine, &wasm).unwrap();
    let bare = per_instance(1 << 16, || {
        let mut store = Box::new(wasmi::Store::new(&engine, ()));
        let linker = wasmi::Linker::new(&engine);
        let instance = linker.instantiate_and_start(&mut *store, &module);
        (store, instance.unwrap())
    });
    let plugin = one_copy()
        .load::<()>("guest", &wasm, &Grants::new())
        .unwrap();
    let hostel = per_instance(1 << 16, || Box::new(plugin.instantiate(()).unwrap()));
    println!("an idle instance of 100 functions: {bare} bytes in bare wasmi, {hostel} in hostel");
    assert!(hostel <= bare + 1_024, "{hostel} over {bare}");
}

#[test]
fn a_view_of_the_result_allocates_nothing() {
    let mut instance = load_guest("customize", &customized())
        .instantiate(())
        .unwrap();
    let found = allocations(|| {
        let first = instance.process_with(b"hello", |view| view[7]).unwrap();
        assert_eq!(first, b'H');
    });
    assert_eq!(found, 0);
}

#[test]
fn numbers_allocate_nothing() {
    let text = r#"(module
        (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
        (func (export "wide") (param i64 f32 f64) (result f64)
          (f64.add (local.get 2) (f64.convert_i64_s (local.get 0))))
        (func (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
        (func (export "none")))"#;
    let mut instance = load_wat::<()>(text, &Grants::new())
        .instantiate(())
        .unwrap();
    let found = allocations(|| {
        assert_eq!(instance.call("add", (10u32, 20u32)), Ok(30u32));
        assert_eq!(instance.call("wide", (2i64, 1.0f32, 0.5f64)), Ok(2.5f64));
        assert_eq!(instance.call("swap", (true, 7u64)), Ok((7u64, true)));
        assert_eq!(instance.call("none", ()), Ok(()));
    });
    assert_eq!(found, 0);
}

#[test]
fn a_text_as_argument_allocates_nothing() {
    let text = hostel_tests::with_allocator(
        "",
        r#"(func (export "length") (param i32 i32) (result i32) (global.set $top (local.get 0)) (local.get 1))"#,
    );
    let mut instance = load_wat::<()>(&text, &Grants::new())
        .instantiate(())
        .unwrap();
    let found = allocations(|| assert_eq!(instance.call("length", "hello"), Ok(5u32)));
    assert_eq!(found, 0);
}

/// Makes an instance of a guest that calls `host.f`, of this type, and drops its results.
fn calling(ty: &str, arguments: &str, drops: &str, grants: &Grants<()>) -> Instance {
    let import = format!(r#"(import "host" "f" (func $f {ty}))"#);
    let item = format!(r#"(func (export "run") (call $f {arguments}) {drops})"#);
    let text = hostel_tests::with_allocator(&import, &item);
    load_wat(&text, grants).instantiate(()).unwrap()
}

#[test]
fn host_calls_over_i32_alone_allocate_nothing() {
    const ONE: &str = "(i32.const 1)";
    let grants = |grants: fn(Grants<()>) -> Grants<()>| grants(Grants::new());
    for (ty, arguments, drops, grants) in [
        ("", 0, 0, grants(|g| g.function("host", "f", || {}))),
        (
            "(result i32)",
            0,
            1,
            grants(|g| g.function("host", "f", || 7u32)),
        ),
        (
            "(param i32) (result i32)",
            1,
            1,
            grants(|g| g.function("host", "f", |a: u8| a)),
        ),
        (
            "(param i32 i32)",
            2,
            0,
            grants(|g| g.function("host", "f", |_: &str| {})),
        ),
        (
            "(param i32 i32) (result i32)",
            2,
            1,
            grants(|g| g.function("host", "f", |text: &[u8]| text.len() as u32)),
        ),
        (
            "(param i32 i32 i32 i32 i32 i32)",
            6,
            0,
            grants(|g| g.function("host", "f", |_: &str, _: &str, _: &str| {})),
        ),
        (
            "(result i32 i32)",
            0,
            2,
            grants(|g| g.function("host", "f", || (1u32, 2u32))),
        ),
        (
            "(result i64)",
            0,
            1,
            grants(|g| g.function("host", "f", || (1u32, 2u32))),
        ),
        (
            "(param i32)",
            1,
            0,
            grants(|g| g.function("host", "f", || (1u32, 2u32))),
        ),
    ] {
        let mut instance = calling(ty, &ONE.repeat(arguments), &"(drop)".repeat(drops), &grants);
        let found = allocations(|| instance.call::<(), ()>("run", ()).unwrap());
        assert_eq!(found, 0, "{ty}");
    }
}
