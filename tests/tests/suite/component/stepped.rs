//! Calls of components by steps, awaited and on the thread use equal fuel, and end alike.

use super::guests::{Of, echo, load, two};
use hostel::{
    Async, Budget, CallError, Engine, Grants, Step,
    component::{Interface, Value},
};
use hostel_tests::code;
use std::{future::poll_fn, task::Poll};

const TEXTS: Of = Of {
    ty: "(type $u (list string))",
    flat: &["i32", "i32"],
};

fn texts() -> Value {
    Value::List((0..50).map(|n| Value::String("ü".repeat(n))).collect())
}

#[test]
fn fuel_does_not_depend_on_the_quantum() {
    let plugin = load(&two(&TEXTS, "utf8", "utf16"), &echo());
    let (value, expected) = (texts(), Ok(Some(texts())));
    let mut instance = plugin.instantiate(()).unwrap();
    let values = [value];
    assert_eq!(instance.call_component_values("g", &values), expected);
    let fuel = instance.usage().fuel;
    assert!(fuel > 1_000);
    let mut most_steps = 0;
    for quantum in [1, 7, 100, 10_000, 1_000_000] {
        let mut instance = plugin.instantiate(()).unwrap();
        let mut call = instance.call_component_values_async("g", &values);
        let mut steps = 1;
        let returned = loop {
            match call.step(quantum) {
                Step::Done(returned) => break returned,
                Step::More => steps += 1,
                Step::Waiting => panic!("it waits for nothing"),
            }
        };
        assert_eq!(returned, expected, "{quantum}");
        drop(call);
        assert_eq!(instance.usage().fuel, fuel, "{quantum}");
        most_steps = most_steps.max(steps);
    }
    assert!(most_steps > 100, "{most_steps}");
    // The instance is made by steps, too.
    let mut call = plugin.call_component_values_async("g", &values);
    while let Step::More = call.step(1) {}
    let whole = call.usage().fuel;
    assert!(whole > fuel);
}

#[test]
fn each_smaller_budget_ends_a_call_for_lack_of_fuel() {
    let plugin = load(&two(&TEXTS, "utf8", "latin1+utf16"), &echo());
    let values = [Value::List(vec![Value::String("aä".into()); 3])];
    let mut instance = plugin.instantiate(()).unwrap();
    instance.call_component_values("g", &values).unwrap();
    let fuel = instance.usage().fuel;
    for less in (0..fuel).step_by(3) {
        let mut instance = plugin.instantiate(()).unwrap();
        instance.set_budget(Budget::server().with_fuel(less));
        let ended = instance.call_component_values("g", &values);
        assert_eq!(code(&ended), "out-of-fuel", "{less} of {fuel}");
    }
    let mut instance = plugin.instantiate(()).unwrap();
    instance.set_budget(Budget::server().with_fuel(fuel));
    assert!(instance.call_component_values("g", &values).is_ok());
}

/// Grants of a function `f` that returns its argument when it is polled for the third time.
fn late() -> Grants {
    let interface = Interface::root().function("f", |texts: Vec<String>| {
        let mut polls = 0;
        let mut texts = Some(texts);
        Async(poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            match polls {
                3 => Poll::Ready(Ok(texts.take().unwrap_or_default())),
                _ => Poll::Pending,
            }
        }))
    });
    Grants::new().interface(interface)
}

#[test]
fn a_guest_waits_for_an_asynchronous_function_on_either_side_of_another_component() {
    let wasm = wat::parse_str(two(&TEXTS, "utf16", "utf8")).unwrap();
    let engine = Engine::default();
    let plugin = engine.load_component("late", &wasm, &late()).unwrap();
    let values = [texts()];
    let expected = Ok(Some(texts()));
    assert_eq!(plugin.call_component_values("g", &values), expected);
    let mut call = plugin.call_component_values_async("g", &values);
    let mut waited = 0;
    let returned = loop {
        match call.step(1_000) {
            Step::Done(returned) => break returned,
            Step::Waiting => waited += 1,
            Step::More => {}
        }
    };
    assert_eq!(returned, expected);
    assert_eq!(waited, 2);
}

#[test]
fn start_functions_run_between_the_instances_that_they_need() {
    // The start of the second module calls a function of the first through a lowered one.
    let text = r#"(component
  (core module $A (global $n (mut i32) (i32.const 0))
    (func $start (global.set $n (i32.const 5)) (call $spin (i32.const 20000)))
    (func $spin (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    (start $start)
    (func (export "n") (result i32) (global.get $n)))
  (core instance $a (instantiate $A))
  (core module $B (import "a" "n" (func $n (result i32))) (global $n (mut i32) (i32.const 0))
    (func $start (global.set $n (i32.mul (call $n) (i32.const 3)))) (start $start)
    (func (export "n") (result i32) (global.get $n)))
  (core instance $b (instantiate $B (with "a" (instance $a))))
  (func (export "n") (result u32) (canon lift (core func $b "n"))))"#;
    let plugin = load(text, &Grants::new());
    let mut call = plugin.call_component_async::<(), u32>("n", ());
    let mut steps = 0;
    let returned = loop {
        match call.step(100) {
            Step::Done(returned) => break returned,
            _ => steps += 1,
        }
    };
    assert_eq!((returned, steps > 100), (Ok(15), true));
    drop(call);
    assert_eq!(plugin.call_component::<(), u32>("n", ()), Ok(15));
    let short = Engine::default().with_budget(Budget::server().with_fuel(1_000));
    let plugin = short.load_component("short", &wat::parse_str(text).unwrap(), &Grants::new());
    let ended = plugin.unwrap().call_component::<(), u32>("n", ());
    assert_eq!(code(&ended), "out-of-fuel");
}

/// A component whose `g` makes a list of that many elements and passes it to another one, which returns it. Returns its
/// length.
const LONG: &str = r#"(component
  (component $Inner
    (core module $M (memory (export "m") 40)
      (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 0x10000))
      (func (export "f") (param i32 i32) (result i32)
        (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16)))
    (core instance $m (instantiate $M))
    (type $l (list (tuple u8 (option bool))))
    (func (export "f") (param "v" $l) (result $l) (canon lift (core func $m "f")
      (memory (core memory $m "m")) (realloc (core func $m "r")))))
  (component $Outer
    (type $l (list (tuple u8 (option bool))))
    (import "f" (func $f (param "v" $l) (result $l)))
    (core module $L (memory (export "m") 40)
      (func (export "r") (param i32 i32 i32 i32) (result i32) (i32.const 0x100000)))
    (core instance $l (instantiate $L))
    (core func $f (canon lower (func $f) (memory (core memory $l "m")) (realloc (core func $l "r"))))
    (core module $M (import "h" "f" (func $f (param i32 i32 i32))) (import "h" "m" (memory 40))
      (func (export "g") (param i32) (result i32) (local $last i32)
        (local.set $last (i32.mul (i32.sub (local.get 0) (i32.const 1)) (i32.const 3)))
        (i32.store8 (i32.add (i32.const 1024) (local.get $last)) (i32.const 9))
        (call $f (i32.const 1024) (local.get 0) (i32.const 32))
        (if (i32.ne (i32.load8_u (i32.add (i32.load (i32.const 32)) (local.get $last))) (i32.const 9))
          (then unreachable))
        (i32.load (i32.const 36))))
    (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f)) (export "m" (memory $l "m"))))))
    (func (export "g") (param "n" u32) (result u32) (canon lift (core func $m "g"))))
  (instance $inner (instantiate $Inner))
  (instance $outer (instantiate $Outer (with "f" (func $inner "f"))))
  (export "g" (func $outer "g")))"#;

#[test]
fn a_long_list_is_copied_between_components_in_steps() {
    let plugin = load(LONG, &Grants::new());
    for count in [1u32, 1_000, 60_000] {
        let mut instance = plugin.instantiate(()).unwrap();
        let returned = instance.call_component::<_, u32>("g", (count,));
        assert_eq!(returned, Ok(count));
        let fuel = instance.usage().fuel;
        for quantum in [1, 5_000, 10_000] {
            let mut instance = plugin.instantiate(()).unwrap();
            let mut call = instance.call_component_async::<_, u32>("g", (count,));
            let mut steps = 1;
            let returned = loop {
                match call.step(quantum) {
                    Step::Done(returned) => break returned,
                    step => assert_eq!(step, Step::More),
                }
                steps += 1;
            };
            assert_eq!(returned, Ok(count), "{quantum}");
            drop(call);
            assert_eq!(instance.usage().fuel, fuel, "{quantum}");
            // A part that begins in a step is copied to its end in it: 8,192 units, and an element's.
            assert!(steps > fuel / (quantum + 8_200), "{steps} steps for {fuel}");
        }
    }
}

#[test]
fn a_long_copy_between_components_can_be_cancelled() {
    let plugin = load(LONG, &Grants::new());
    let mut instance = plugin.instantiate(()).unwrap();
    let canceller = instance.canceller();
    let mut call = instance.call_component_async::<_, u32>("g", (60_000u32,));
    // Far from the end of the first copy, in a slice of which no guest runs.
    for _ in 0..20 {
        assert_eq!(call.step(10_000), Step::More);
    }
    canceller.cancel();
    assert_eq!(call.step(10_000), Step::Done(Err(CallError::Cancelled)));
}

#[test]
fn each_level_of_a_nested_value_is_charged_when_components_pass_it() {
    let fuel = |depth: usize, count: u32| {
        let types: String = (1..depth)
            .map(|level| format!("(type $t{level} (tuple $t{}))", level - 1))
            .collect();
        let passed = format!(
            r#"(type $t0 (tuple u8)) {types} (type $f (func (param "all" (list $t{})) (result u32)))"#,
            depth - 1
        );
        let text = format!(
            r#"(component
            (component $A {passed}
              (core module $m (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "f") (param i32 i32) (result i32) (local.get 1)))
              (core instance $i (instantiate $m))
              (func (export "f") (type $f)
                (canon lift (core func $i "f") (memory (core memory $i "memory"))
                  (realloc (core func $i "realloc")))))
            (instance $a (instantiate $A))
            (component $B {passed}
              (import "f" (func $f (type $f)))
              (core module $memory (memory (export "memory") 1))
              (core instance $memory (instantiate $memory))
              (core func $lowered (canon lower (func $f) (memory (core memory $memory "memory"))))
              (core module $m (import "x" "f" (func $f (param i32 i32) (result i32)))
                (func (export "g") (param i32) (result i32) (call $f (i32.const 0) (local.get 0))))
              (core instance $x (export "f" (func $lowered)))
              (core instance $i (instantiate $m (with "x" (instance $x))))
              (func (export "g") (param "count" u32) (result u32) (canon lift (core func $i "g"))))
            (instance $b (instantiate $B (with "f" (func $a "f"))))
            (export "g" (func $b "g")))"#
        );
        let mut instance = load(&text, &Grants::new()).instantiate(()).unwrap();
        assert_eq!(instance.call_component::<_, u32>("g", (count,)), Ok(count));
        instance.usage().fuel
    };
    // Each level is read in one component and written in the other.
    assert_eq!(fuel(16, 1_000) - fuel(1, 1_000), 15 * 2 * 1_000);
}
