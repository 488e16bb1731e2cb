//! Guests' memories in static buffers, which are bounded, given back, and clean for the next guest.

use hostel::{Engine, Grants, Instance, Limits, LoadError, Plugin, Slots};
use hostel_tests::{CUSTOMIZE, assemble, code, guest_bytes};

/// Makes an engine with `count` slots of `size` bytes, filled with bytes of an earlier use.
fn engine(limits: Limits, count: usize, size: usize) -> (Engine, Slots) {
    let slots = Slots::split(vec![0xee; count * size].leak(), size);
    (Engine::new(limits).with_memory_slots(slots.clone()), slots)
}

const SMALL: &str = r#"(module
    (import "env" "host_log" (func (param i32 i32)))
    (memory (export "memory") 256 (pagesize 1))
    (data (i32.const 10) "data")
    (func (export "read") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "fill") (memory.fill (i32.const 0) (i32.const 0xaa) (memory.size)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

fn small(engine: &Engine) -> Plugin {
    let grants = Grants::new().log(|_: &hostel::LogRecord<'_>| {});
    engine.load("small", &assemble(SMALL), &grants).unwrap()
}

fn read(instance: &mut Instance, at: u32) -> u32 {
    instance.call("read", at).unwrap()
}

#[test]
fn a_slot_is_given_back_with_its_instance_and_clean_for_the_next() {
    let (engine, slots) = engine(Limits::device(256 << 10), 2, 1_024);
    let plugin = small(&engine);
    for _ in 0..1_000 {
        let mut one = plugin.instantiate(()).unwrap();
        let mut other = plugin.instantiate(()).unwrap();
        assert_eq!(slots.free(), 0);
        let third = plugin.instantiate(());
        assert_eq!(code(&third), "does-not-fit");
        for instance in [&mut one, &mut other] {
            let bytes = [9, 10, 13, 14, 255].map(|at| read(instance, at));
            assert_eq!(bytes, [0, u32::from(b'd'), u32::from(b'a'), 0, 0]);
            assert_eq!(instance.call("grow", 768u32), Ok(256u32));
            assert_eq!([256, 1_023].map(|at| read(instance, at)), [0, 0]);
            assert_eq!(instance.call("grow", 1u32), Ok(-1i32));
            instance.call::<(), ()>("fill", ()).unwrap();
        }
        drop(one);
        assert_eq!(slots.free(), 1);
        assert_eq!(read(&mut other, 1_023), 0xaa);
    }
    assert_eq!(slots.free(), 2);
}

#[test]
fn plugins_of_several_engines_share_slots_and_see_nothing_of_each_other() {
    let (first, slots) = engine(Limits::device(256 << 10), 1, 1_024);
    let second = Engine::new(Limits::device(256 << 10)).with_memory_slots(slots.clone());
    for engine in [&first, &second, &first] {
        let plugin = small(engine);
        let mut instance = plugin.instantiate(()).unwrap();
        assert_eq!(read(&mut instance, 100), 0);
        instance.call::<(), ()>("fill", ()).unwrap();
    }
    assert_eq!(slots.free(), 1);
}

#[test]
fn guests_that_are_stopped_give_their_slots_back_too() {
    let (engine, slots) = engine(Limits::device(256 << 10), 1, 1_024);
    let plugin = small(&engine);
    for _ in 0..3 {
        let mut instance = plugin.instantiate(()).unwrap();
        let stopped = instance.call::<_, u32>("read", 5_000u32);
        assert_eq!(code(&stopped), "trap-memory");
        drop(instance);
        assert_eq!(slots.free(), 1);
    }
}

#[test]
fn a_memory_that_no_slot_can_hold_is_refused_at_load() {
    let (engine, _) = engine(Limits::device(256 << 10), 4, 255);
    let grants = Grants::new().log(|_: &hostel::LogRecord<'_>| {});
    let refused = engine.load("small", &assemble(SMALL), &grants).unwrap_err();
    let (needed, free) = (256, 255);
    assert_eq!(refused, LoadError::DoesNotFit { needed, free });
    // A guest without a memory needs no slot.
    let none = r#"(module (func (export "f")))"#;
    let plugin = engine.load::<()>("none", &assemble(none), &Grants::new());
    assert_eq!(plugin.unwrap().call::<(), ()>("f", ()), Ok(()));
}

#[test]
fn real_guests_answer_as_on_the_heap_and_use_the_same_fuel() {
    let grants = Grants::new()
        .log(|_: &hostel::LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")]);
    let (slotted, slots) = engine(Limits::server(), 6, 128 << 10);
    let heap = Engine::new(Limits::server());
    for name in CUSTOMIZE {
        let wasm = guest_bytes(name);
        let run = |engine: &Engine| {
            let plugin = engine.load(name, &wasm, &grants).unwrap();
            let mut answers = Vec::new();
            for _ in 0..3 {
                let (answer, used) =
                    plugin.with_instance_metered(|instance| instance.process(b"hello world"));
                answers.push((answer.unwrap(), used));
            }
            let mut held = plugin.instantiate(()).unwrap();
            answers.push((held.process(b"held").unwrap(), held.usage()));
            answers
        };
        assert_eq!(run(&slotted), run(&heap), "{name}");
        assert_eq!(slots.free(), 6, "{name}");
    }
}

#[test]
fn slots_are_no_part_of_the_heap_that_is_needed() {
    let wasm = guest_bytes("c_greet");
    let mut limits = Limits::device(256 << 10);
    // The heap has little more than the bytes of the memory alone.
    limits.heap_bytes = 66 << 10;
    let error = Engine::new(limits).load::<()>("greet", &wasm, &Grants::new());
    assert_eq!(hostel_tests::load_code(&error), "does-not-fit");
    let (engine, _) = engine(limits, 1, 64 << 10);
    let plugin = engine.load::<()>("greet", &wasm, &Grants::new()).unwrap();
    let greeting = plugin.call::<_, String>("greet", "Gopher").unwrap();
    assert_eq!(greeting, "Hello, Gopher!");
}
