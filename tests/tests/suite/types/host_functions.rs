//! Host functions beyond the conversion of values: contexts, errors, traps, panics.

use hostel::{CallError, Context, Grants, Trap};
use hostel_tests::{code, load_wat, with_allocator};

#[test]
fn a_host_function_has_up_to_six_parameters() {
    let import =
        r#"(import "host" "six" (func $six (param i32 i64 f32 i32 i32 i32 f64) (result i64)))"#;
    let item = r#"(func (export "six") (param i32 i64 f32 i32 i32 i32 f64) (result i64)
        (call $six (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
                   (local.get 5) (local.get 6)))"#;
    let text = with_allocator(import, item);
    let plain = Grants::<u32>::with_data().function(
        "host",
        "six",
        |a: u8, b: i64, c: f32, d: &str, e: bool, g: f64| -> String {
            format!("{a} {b} {c} {d} {e} {g}")
        },
    );
    let with_context = Grants::<u32>::with_data().function(
        "host",
        "six",
        |context: &mut Context<'_, u32>,
         a: u8,
         b: i64,
         c: f32,
         d: &str,
         e: bool,
         g: f64|
         -> String {
            *context.data_mut() += 1;
            format!("{a} {b} {c} {d} {e} {g}")
        },
    );
    for (grants, calls) in [(plain, 0), (with_context, 1)] {
        let mut instance = load_wat(&text, &grants).instantiate(0).unwrap();
        let params = (200u8, -5i64, 1.5f32, "six", true, -0.25f64);
        let found = instance.call::<(u8, i64, f32, &str, bool, f64), String>("six", params);
        assert_eq!(found.as_deref(), Ok("200 -5 1.5 six true -0.25"));
        assert_eq!(*instance.data(), calls);
    }
}

#[test]
fn a_context_reaches_the_data_of_its_own_instance() {
    let text = r#"(module (import "host" "count" (func $count (param i32) (result i32)))
        (func (export "count") (param i32) (result i32) (call $count (local.get 0))))"#;
    let grants = Grants::<Vec<u32>>::with_data().function(
        "host",
        "count",
        |context: &mut Context<'_, Vec<u32>>, more: u32| {
            assert_eq!(context.plugin(), "guest");
            context.data_mut().push(more);
            context.data().iter().sum::<u32>()
        },
    );
    let plugin = load_wat(text, &grants);
    let mut first = plugin.instantiate(vec![]).unwrap();
    let mut second = plugin.instantiate(vec![100]).unwrap();
    assert_eq!(first.call::<u32, u32>("count", 1), Ok(1));
    assert_eq!(second.call::<u32, u32>("count", 1), Ok(101));
    assert_eq!(first.call::<u32, u32>("count", 2), Ok(3));
    assert_eq!((first.data(), second.data()), (&vec![1, 2], &vec![100, 1]));
    first.data_mut().clear();
    assert_eq!(first.call::<u32, u32>("count", 5), Ok(5));
}

#[test]
fn an_error_goes_to_the_guest_and_a_trap_stops_it() {
    let import = r#"(import "host" "check" (func $check (param i32) (result i32)))"#;
    let item = r#"(func (export "check") (param i32) (result i32) (call $check (local.get 0)))"#;
    let grants = Grants::new().function("host", "check", |value: u32| -> Result<u32, Trap> {
        if value > 9 {
            return Err(Trap::host(format!("{value} is too much")));
        }
        Ok(value + 1)
    });
    let mut instance = load_wat(&with_allocator(import, item), &grants)
        .instantiate(())
        .unwrap();
    assert_eq!(instance.call::<u32, u32>("check", 9), Ok(10));
    let trap = instance.call::<u32, u32>("check", 10);
    assert_eq!(code(&trap), "trap-host");
    assert!(trap.unwrap_err().to_string().contains("10 is too much"));
    assert!(instance.is_stopped());
    assert_eq!(
        instance.call::<u32, u32>("check", 1),
        Err(CallError::Stopped)
    );
}

#[test]
fn a_panic_of_a_host_function_traps_the_guest() {
    let text =
        r#"(module (import "host" "panic" (func $panic)) (func (export "run") (call $panic)))"#;
    let grants = Grants::new().function("host", "panic", || -> () {
        panic!("this panic belongs to the test: the host contains it");
    });
    let mut instance = load_wat(text, &grants).instantiate(()).unwrap();
    assert_eq!(code(&instance.call::<(), ()>("run", ())), "trap-host-panic");
    assert!(instance.is_stopped());
}
