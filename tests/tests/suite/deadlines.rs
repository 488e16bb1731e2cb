//! Deadlines: on platforms with and without a clock, and in calls that wait.

use core::time::Duration;
use hostel::{Budget, CallError, Engine, Grants, Limits, Step, TypedFunction};
use hostel_tests::{code, load_code, must_end, try_load_wat};

/// A guest that ends at once, and one that never does.
const GUEST: &str = r#"(module
    (func (export "f"))
    (func (export "spin") (loop $on (br $on))))"#;

const DEADLINE: Duration = Duration::from_millis(20);

fn hasty() -> Budget {
    Budget::server().with_fuel(u64::MAX).with_deadline(DEADLINE)
}

#[test]
fn an_engine_with_any_limits_has_a_clock_where_the_machine_has_one() {
    let mut limits = Limits::server();
    limits.memory_bytes = 1 << 20;
    let engines = [
        hostel::engine(),
        hostel::engine_with(limits),
        hostel::engine().with_limits(limits),
    ];
    for (at, engine) in engines.into_iter().enumerate() {
        let expected = if at == 0 { 64 << 20 } else { 1 << 20 };
        assert_eq!(engine.limits().memory_bytes, expected);
        let engine = engine.with_budget(hasty());
        let ended = must_end(move || {
            let plugin = try_load_wat(&engine, GUEST, &Grants::<()>::new()).unwrap();
            plugin.call::<(), ()>("spin", ())
        });
        assert_eq!(ended, Err(CallError::Deadline { after: DEADLINE }));
    }
}

#[test]
fn a_deadline_that_no_clock_enforces_is_refused_when_loading() {
    let engine = Engine::new(Limits::server()).with_budget(hasty());
    let refused = try_load_wat::<()>(&engine, GUEST, &Grants::new());
    assert_eq!(load_code(&refused), "no-clock");
    let message = refused.unwrap_err().to_string();
    for word in ["deadline", "clock", "engine_with", "Platform::now"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_deadline_that_no_clock_enforces_is_refused_by_every_call() {
    let engine = Engine::new(Limits::server());
    let plain = try_load_wat::<()>(&engine, GUEST, &Grants::new()).unwrap();
    let plugin = plain.with_budget(hasty());
    assert_eq!(code(&plugin.call::<(), ()>("f", ())), "no-clock");
    assert_eq!(code(&plugin.instantiate(())), "no-clock");
    let stepped = plugin.call_async::<(), ()>("f", ()).step(1_000);
    assert_eq!(stepped, Step::Done(Err(CallError::NoClock)));
    let (metered, used) = plugin.with_instance_metered(|_| Ok(()));
    assert_eq!((metered, used.fuel), (Err(CallError::NoClock), 0));

    let mut instance = plain.instantiate(()).unwrap();
    let f: TypedFunction<(), ()> = instance.typed("f").unwrap();
    instance.set_budget(hasty());
    assert_eq!(code(&instance.call::<(), ()>("f", ())), "no-clock");
    assert_eq!(code(&f.call(&mut instance, ())), "no-clock");
    let stepped = instance.call_async::<(), ()>("f", ()).step(1_000);
    assert_eq!(stepped, Step::Done(Err(CallError::NoClock)));
    // Nothing has run, so the instance serves a call without a deadline.
    instance.set_budget(Budget::server());
    assert_eq!(instance.call::<(), ()>("f", ()), Ok(()));
    assert_eq!(plain.pool_figures().in_use, 0);
}
