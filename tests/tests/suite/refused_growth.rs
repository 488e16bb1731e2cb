//! A guest that gets no more memory fails in its own way. The host says what was refused.

use hostel::{CallError, Engine, Grants, Instance, Limits, Platform, Plugin, RefusedGrowth, Trap};
use hostel_tests::try_load_wat;

/// A guest of one page. Each export grows by so many pages, and then fails in another way.
const GUEST: &str = r#"(module
    (import "env" "fail" (func $fail))
    (memory (export "memory") 1 40)
    (func $grow (param i32) (result i32)
        (i32.eq (memory.grow (local.get 0)) (i32.const -1)))
    (func (export "panics") (param i32) (if (call $grow (local.get 0)) (then unreachable)))
    (func (export "host_fails") (param i32) (if (call $grow (local.get 0)) (then (call $fail))))
    (func (export "allocate") (param i32) (result i32)
        (if (result i32) (call $grow (i32.const 9)) (then (i32.const 0)) (else (i32.const 8))))
    (func (export "process") (param i32 i32) (result i32 i32) (i32.const 0) (i32.const 0))
    (func (export "succeeds") (param i32) (drop (call $grow (local.get 0)))))"#;

fn load(engine: &Engine) -> Plugin {
    try_load_wat(engine, GUEST, &fail()).unwrap()
}

fn fail() -> Grants {
    let fail = || -> Result<(), Trap> { Err(Trap::host("no")) };
    Grants::new().function("env", "fail", fail)
}

fn limited() -> Engine {
    let mut limits = Limits::server();
    limits.memory_bytes = 4 << 16;
    Engine::new(limits)
}

/// Returns the growth that a trap tells of, and the trap's text.
#[track_caller]
fn told(result: Result<(), CallError>) -> (Option<RefusedGrowth>, String) {
    let error = result.unwrap_err();
    let text = error.to_string();
    match error {
        CallError::Trap(trap) => (trap.refused_growth(), text),
        other => panic!("{other:?}"),
    }
}

/// Returns the growth that the last call's usage tells of: the size asked for, and the limit.
fn used(instance: &Instance) -> Option<(usize, Option<usize>)> {
    let refused = instance.usage().refused_growth?;
    Some((refused.asked, refused.limit))
}

#[test]
fn a_trap_names_the_limit_that_refused_a_growth_before_it() {
    let plugin = load(&limited());
    for name in ["panics", "host_fails"] {
        let mut instance = plugin.instantiate(()).unwrap();
        let (refused, text) = told(instance.call(name, 7));
        let refused = refused.expect(name);
        assert_eq!((refused.asked, refused.limit), (8 << 16, Some(4 << 16)));
        assert_eq!(instance.usage().refused_growth, Some(refused));
        let expected = format!(
            ", while `{name}` ran; before that, a growth of its memory to 524288 bytes was refused by \
             the limit `memory_bytes` of 262144: raise `memory_bytes` if that is expected"
        );
        let expected = match name {
            "panics" => expected,
            _ => expected.replace(", while", ", in host function `env.fail`, while"),
        };
        assert!(text.ends_with(&expected), "{text}");
    }
}

#[test]
fn the_usage_of_any_call_tells_of_a_growth_that_was_refused_in_it() {
    let plugin = load(&limited());
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.call("succeeds", 7), Ok(()));
    assert_eq!(used(&instance), Some((8 << 16, Some(4 << 16))));
    assert_eq!(instance.call("succeeds", 3), Ok(()));
    assert_eq!(used(&instance), None, "the earlier call's");
    assert_eq!(instance.call("succeeds", 5), Ok(()));
    assert_eq!(used(&instance), Some((9 << 16, Some(4 << 16))));
    let error = instance.process(b"1").unwrap_err();
    assert_eq!(error, CallError::NoMemory { asked: 1 });
    assert_eq!(used(&instance), Some((13 << 16, Some(4 << 16))));
    // The plugin's own calls tell it too.
    let (result, usage) = plugin.with_instance_metered(|instance| instance.call("panics", 4));
    let (refused, _) = told(result);
    assert_eq!(
        (refused, usage.refused_growth.is_some()),
        (usage.refused_growth, true)
    );
}

#[test]
fn a_module_that_grows_beyond_its_own_maximum_meets_no_limit() {
    let plugin = load(&Engine::default());
    let mut instance = plugin.instantiate(()).unwrap();
    let (refused, text) = told(instance.call("panics", 41));
    assert_eq!((refused, instance.usage().refused_growth), (None, None));
    assert!(text.ends_with("while `panics` ran"), "{text}");
}

#[test]
fn a_start_that_got_no_memory_is_told_of_in_a_new_instance_and_in_a_reset_one() {
    let text = r#"(module (memory 1)
        (func $start (drop (memory.grow (i32.const 100))))
        (start $start)
        (func (export "f") unreachable)
        (func (export "g")))"#;
    let plugin = try_load_wat(&limited(), text, &Grants::new()).unwrap();
    for round in 0..3 {
        let (result, usage) = plugin.with_instance_metered(|instance| instance.call("g", ()));
        assert_eq!(result, Ok(()));
        let refused = usage.refused_growth.expect("the start's");
        assert_eq!(refused.asked, 101 << 16, "{round}");
    }
    let (refused, _) = told(plugin.call("f", ()));
    assert_eq!(refused.map(|refused| refused.asked), Some(101 << 16));
}

/// A machine with 200 KiB of free heap.
struct Small;

impl Platform for Small {
    fn free_bytes(&self) -> Option<usize> {
        Some(200 << 10)
    }
}

#[test]
fn a_full_machine_is_told_of_without_a_limit() {
    let mut limits = Limits::device(200 << 10);
    limits.memory_bytes = 8 << 16;
    let engine = Engine::new(limits).with_platform(Small);
    let plugin = load(&engine);
    let mut instance = plugin.instantiate(()).unwrap();
    let (refused, text) = told(instance.call("panics", 5));
    let refused = refused.expect("the heap has no room");
    assert_eq!((refused.asked, refused.limit), (6 << 16, None));
    let expected = "a growth of its memory to 393216 bytes was refused by the machine, which has no room for it";
    assert!(text.ends_with(expected), "{text}");
}
