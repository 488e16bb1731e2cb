//! Calls of component instances by one another.

use super::guests::{LIBC, Of, echo, load, two};
use hostel::{Budget, CallError, Grants, component::Value};
use hostel_tests::code;

#[test]
fn a_component_instance_is_not_entered_while_it_runs() {
    // The root lends a function of its own to the inner component, and calls that.
    let text = r#"(component
  (core module $F (func (export "f")))
  (core instance $f (instantiate $F))
  (func $f (canon lift (core func $f "f")))
  (component $Inner
    (import "f" (func $f))
    (core func $f (canon lower (func $f)))
    (core module $M (import "h" "f" (func $f)) (func (export "g") (call $f)))
    (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f))))))
    (func (export "g") (canon lift (core func $m "g"))))
  (instance $inner (instantiate $Inner (with "f" (func $f))))
  (core func $g (canon lower (func $inner "g")))
  (core module $M (import "h" "g" (func $g)) (func (export "g") (call $g)))
  (core instance $m (instantiate $M (with "h" (instance (export "g" (func $g))))))
  (func (export "g") (canon lift (core func $m "g")))
  (export "inner" (func $inner "g")))"#;
    let plugin = load(text, &Grants::new());
    // Not through the root, so that it may be entered.
    assert_eq!(plugin.call_component::<(), ()>("inner", ()), Ok(()));
    let called = plugin.call_component::<(), ()>("g", ());
    assert_eq!(code(&called), "trap-abi");
    let message = called.unwrap_err().to_string();
    assert!(
        message.contains("cannot enter component instance"),
        "{message}"
    );
}

/// A chain of `depth` components, each of which calls the next.
fn chain(depth: usize) -> String {
    let links: String = (0..depth)
        .map(|at| {
            let with = match at {
                0 => "(with \"f\" (func $last \"f\"))".into(),
                _ => format!("(with \"f\" (func $link{} \"f\"))", at - 1),
            };
            format!("(instance $link{at} (instantiate $Link {with}))")
        })
        .collect();
    format!(
        r#"(component
  (component $Last
    (core module $M (func (export "f") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $M))
    (func (export "f") (param "n" u32) (result u32) (canon lift (core func $m "f"))))
  (component $Link
    (import "f" (func $f (param "n" u32) (result u32)))
    (core func $f (canon lower (func $f)))
    (core module $M (import "h" "f" (func $f (param i32) (result i32)))
      (func (export "f") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))
    (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f))))))
    (func (export "f") (param "n" u32) (result u32) (canon lift (core func $m "f"))))
  (instance $last (instantiate $Last))
  {links}
  (export "f" (func $link{} "f")))"#,
        depth - 1
    )
}

#[test]
fn calls_of_component_instances_nest_to_a_bound() {
    let call = |depth| load(&chain(depth), &Grants::new()).call_component::<(u32,), u32>("f", (1,));
    assert_eq!(call(15), Ok(16));
    let too_deep = call(16);
    assert_eq!(code(&too_deep), "trap-abi");
    let message = too_deep.unwrap_err().to_string();
    assert!(message.contains("more than 16 calls"), "{message}");
}

#[test]
fn a_trap_in_the_inner_component_stops_the_outer_one() {
    let text = format!(
        r#"(component
  (component $Inner
    {LIBC}
    (core module $M (func (export "f") (param i32 i32) (unreachable)))
    (core instance $libc (instantiate $Libc))
    (core instance $m (instantiate $M))
    (func (export "f") (param "text" string) (canon lift (core func $m "f")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
  (instance $inner (instantiate $Inner))
  {LIBC}
  (core instance $libc (instantiate $Libc))
  (core func $f (canon lower (func $inner "f") (memory (core memory $libc "memory"))))
  (core module $M (import "h" "f" (func $f (param i32 i32)))
    (func (export "good") (call $f (i32.const 0) (i32.const 10)))
    (func (export "far") (call $f (i32.const 0) (i32.const -1))))
  (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f))))))
  (func (export "good") (canon lift (core func $m "good")))
  (func (export "far") (canon lift (core func $m "far"))))"#
    );
    let plugin = load(&text, &Grants::new());
    for (name, expected) in [("good", "trap-unreachable"), ("far", "trap-abi")] {
        let mut instance = plugin.instantiate(()).unwrap();
        let called = instance.call_component::<(), ()>(name, ());
        assert_eq!(code(&called), expected, "{called:?}");
        let again = instance.call_component::<(), ()>(name, ());
        assert_eq!(again, Err(CallError::Stopped));
    }
}

#[test]
fn what_passes_between_guests_is_bounded() {
    let of = Of {
        ty: "(type $u (list string))",
        flat: &["i32", "i32"],
    };
    let mut budget = Budget::server();
    budget.argument_bytes = 100_000;
    let plugin = load(&two(&of, "utf8", "utf16"), &echo()).with_budget(budget);
    // The bytes are few, but each text takes a buffer.
    for (texts, expected) in [(1_000, "ok"), (2_000, "argument-too-large")] {
        let many = Value::List(vec![Value::String(String::new()); texts]);
        let called = plugin.call_component_values("g", &[many]).map(drop);
        assert_eq!(code(&called), expected, "{called:?}");
    }
}

#[test]
fn a_module_may_start_with_a_function_of_another_component_or_export_it_again() {
    let text = r#"(component
  (component $A
    (core module $M (global $n (mut i32) (i32.const 0))
      (func (export "inc") (global.set $n (i32.add (global.get $n) (i32.const 1))))
      (func (export "get") (result i32) (global.get $n)))
    (core instance $m (instantiate $M))
    (func (export "inc") (canon lift (core func $m "inc")))
    (func (export "get") (result u32) (canon lift (core func $m "get"))))
  (instance $a (instantiate $A))
  (core func $inc (canon lower (func $a "inc")))
  (core func $get (canon lower (func $a "get")))
  (core module $M (import "a" "inc" (func $inc)) (import "a" "get" (func $get (result i32)))
    (start $inc) (export "get" (func $get)))
  (core instance $m (instantiate $M
    (with "a" (instance (export "inc" (func $inc)) (export "get" (func $get))))))
  (func (export "get") (result u32) (canon lift (core func $m "get"))))"#;
    let plugin = load(text, &Grants::new());
    assert_eq!(plugin.call_component::<(), u32>("get", ()), Ok(1));
}
