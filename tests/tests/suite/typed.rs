//! Functions that are looked up once. A call of one equals a call by name.

use core::time::Duration;
use hostel::{
    Async, Budget, CallError, Engine, Grants, Instance, Limits, Plugin, Trap, TypedFunction,
};
use hostel_tests::{code, load_wat};
use std::{future::poll_fn, task::Poll, thread};
use wasmi::{Func, Nullable};

const GUEST: &str = r#"(module
    (import "host" "double" (func $double (param i32) (result i32)))
    (import "host" "later" (func $later (param i32) (result i32)))
    (import "host" "refuse" (func $refuse))
    (func $start) (start $start)
    (func (export "nothing"))
    (func (export "holds") (param funcref) (result i32) (i32.const 1))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "swap") (param i64 f64) (result f64 i64) (local.get 1) (local.get 0))
    (func (export "half") (param f32) (result f32) (f32.mul (local.get 0) (f32.const 0.5)))
    (func (export "double") (param i32) (result i32) (call $double (local.get 0)))
    (func (export "later") (param i32) (result i32)
      (i32.add (call $later (local.get 0)) (call $later (local.get 0))))
    (func (export "refuse") (call $refuse))
    (func $count (export "count") (param $n i32) (result i32)
      (local $sum i32)
      (loop $on
        (local.set $sum (i32.add (local.get $sum) (local.get $n)))
        (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))
    (func (export "count and wait") (param i32) (result i32)
      (drop (call $count (local.get 0)))
      (drop (call $later (i32.const 1)))
      (call $count (local.get 0)))
    (func (export "for ever") (loop $on (br $on)))
    (func (export "trap") (unreachable)))"#;

/// Makes a future that is ready when it is polled for the third time.
fn third_time(answer: u32) -> impl Future<Output = Result<u32, Trap>> + Send {
    let mut asked = 0;
    poll_fn(move |context| {
        asked += 1;
        context.waker().wake_by_ref();
        if asked < 3 {
            Poll::Pending
        } else {
            Poll::Ready(Ok(answer))
        }
    })
}

fn grants() -> Grants<()> {
    Grants::new()
        .function("host", "double", |n: u32| n * 2)
        .function("host", "later", |n: u32| Async(third_time(n + 1)))
        .function("host", "refuse", || Err::<(), _>(Trap::host("not today")))
}

fn plugin() -> Plugin {
    load_wat(GUEST, &grants())
}

fn instance() -> Instance {
    plugin().instantiate(()).unwrap()
}

#[test]
fn numbers_go_in_and_come_out() {
    let mut instance = instance();
    let nothing = instance.typed::<(), ()>("nothing").unwrap();
    let add = instance.typed::<(u32, u32), u32>("add").unwrap();
    let signed = instance.typed::<(i32, i32), i32>("add").unwrap();
    let swap = instance.typed::<(u64, f64), (f64, i64)>("swap").unwrap();
    let half = instance.typed::<f32, f32>("half").unwrap();
    assert_eq!(nothing.call(&mut instance, ()), Ok(()));
    assert_eq!(add.call(&mut instance, (u32::MAX, 2)), Ok(1));
    assert_eq!(signed.call(&mut instance, (-7, 3)), Ok(-4));
    assert_eq!(swap.call(&mut instance, (u64::MAX, 0.25)), Ok((0.25, -1)));
    assert_eq!(half.call(&mut instance, 5.0), Ok(2.5));
}

/// Calls an export by name and by `typed`, in two instances. Returns the results and usages.
fn both(export: &str, n: u32, budget: Budget) -> [(Result<u32, CallError>, hostel::Usage); 2] {
    let plugin = plugin();
    [false, true].map(|typed| {
        let mut instance = plugin.instantiate(()).unwrap();
        instance.set_budget(budget);
        let result = if typed {
            let function: TypedFunction<u32, u32> = instance.typed(export).unwrap();
            function.call(&mut instance, n)
        } else {
            instance.call(export, n)
        };
        assert_eq!(instance.is_stopped(), result.is_err());
        (result, instance.usage())
    })
}

#[test]
fn a_call_equals_one_by_name() {
    let mut exact = Budget::server();
    for (export, n, expected) in [
        ("double", 21, 42),
        ("later", 4, 10),
        ("count", 10, 55),
        // Longer than a slice.
        ("count", 100_000, 705_082_704),
        ("count and wait", 100_000, 705_082_704),
    ] {
        let [by_name, typed] = both(export, n, Budget::server());
        assert_eq!(by_name, typed, "{export}");
        assert_eq!(typed.0, Ok(expected), "{export}");
        // The exact fuel is enough, and one unit less is not.
        exact.fuel = typed.1.fuel;
        assert_eq!(
            both(export, n, exact).map(|(result, _)| result),
            [Ok(expected), Ok(expected)]
        );
        exact.fuel -= 1;
        let [by_name, typed] = both(export, n, exact);
        assert_eq!(by_name, typed, "{export}");
        assert_eq!(
            typed.0,
            Err(CallError::OutOfFuel { fuel: exact.fuel }),
            "{export}"
        );
        assert_eq!(typed.1.fuel, exact.fuel);
    }
}

#[test]
fn less_fuel_than_the_base_of_a_call_is_too_little() {
    for fuel in [0, 1, 19] {
        let [by_name, typed] = both("double", 1, Budget::server().with_fuel(fuel));
        assert_eq!(by_name, typed);
        assert_eq!(code(&typed.0), "out-of-fuel");
    }
}

#[test]
fn a_trap_stops_and_says_where() {
    for (export, expected) in [("trap", "trap-unreachable"), ("refuse", "trap-host")] {
        let (mut instance, mut other) = (instance(), instance());
        let typed = instance.typed::<(), ()>(export).unwrap();
        let result = typed.call(&mut instance, ());
        assert_eq!(code(&result), expected);
        assert_eq!(result, other.call(export, ()), "the place too");
        assert_eq!(typed.call(&mut instance, ()), Err(CallError::Stopped));
        assert!(instance.is_stopped());
    }
}

#[test]
fn a_deadline_and_a_canceller_end_it() {
    let mut instance = instance();
    let forever = instance.typed::<(), ()>("for ever").unwrap();
    let mut budget = Budget::server().with_fuel(u64::MAX);
    budget.deadline = Some(Duration::from_millis(20));
    instance.set_budget(budget);
    assert_eq!(code(&forever.call(&mut instance, ())), "deadline");

    let mut instance = self::instance();
    let forever = instance.typed::<(), ()>("for ever").unwrap();
    instance.set_budget(Budget::server().with_fuel(u64::MAX));
    let canceller = instance.canceller();
    thread::scope(|scope| {
        scope.spawn(|| canceller.cancel());
        assert_eq!(forever.call(&mut instance, ()), Err(CallError::Cancelled));
    });

    // A call that is cancelled before it begins.
    let mut instance = self::instance();
    let nothing = instance.typed::<(), ()>("nothing").unwrap();
    instance.canceller().cancel();
    assert_eq!(nothing.call(&mut instance, ()), Err(CallError::Cancelled));
}

#[test]
fn looking_up_a_function_of_another_type_is_an_error() {
    let instance = instance();
    let error = instance.typed::<(u32, u64), u32>("add").unwrap_err();
    assert_eq!(error.code(), "export-type");
    let text = error.to_string();
    assert!(
        text.contains("(i32, i64) -> i32") && text.contains("(i32, i32) -> i32"),
        "{text}"
    );
    // An export for the host only.
    let error = instance.typed::<(), ()>("hostel:start").unwrap_err();
    assert_eq!(error.code(), "unknown-export");
    let error = instance.typed::<Nullable<Func>, u32>("holds").unwrap_err();
    assert_eq!(error.code(), "export-type", "references");
    let error = instance.typed::<(), ()>("subtract").unwrap_err();
    assert_eq!(error.code(), "unknown-export");
    assert!(error.to_string().contains("add"), "{error}");
}

#[test]
fn a_function_refuses_another_instance() {
    let plugin = plugin();
    let mut own = plugin.instantiate(()).unwrap();
    let mut other = plugin.instantiate(()).unwrap();
    let add = own.typed::<(u32, u32), u32>("add").unwrap();
    let error = add.call(&mut other, (1, 2)).unwrap_err();
    assert_eq!(error.code(), "other-instance");
    assert!(error.to_string().contains("`add`"), "{error}");
    assert!(!error.stops() && !other.is_stopped());
    assert_eq!(other.call("add", (1, 2)), Ok(3), "it goes on");
    drop(other);
    assert_eq!(add.clone().call(&mut own, (1, 2)), Ok(3));
}

#[test]
fn a_function_stays_usable_in_an_instance_that_is_reused() {
    let mut limits = Limits::server();
    limits.instances = 1;
    let engine = Engine::new(limits);
    let plugin = hostel_tests::try_load_wat(&engine, GUEST, &grants()).unwrap();
    let add = plugin
        .with_instance(|instance| instance.typed::<(u32, u32), u32>("add"))
        .unwrap();
    // The instance is the one from before, reset, or another one. In neither is the answer wrong.
    for n in 0..3 {
        match plugin.with_instance(|instance| add.call(instance, (n, 1))) {
            Ok(sum) => assert_eq!(sum, n + 1),
            Err(error) => assert_eq!(error.code(), "other-instance"),
        }
    }
}
