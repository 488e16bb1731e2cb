//! Calls that are interrupted at any point, by steps of any length, and resumed. Nothing is done
//! twice or left out, and the outcome is that of a call without interruption.

use core::time::Duration;
use hostel::{
    Budget, CallError, Context, Engine, Grants, Instance, Limits, Platform, Plugin, Step,
    TypedFunction, Usage,
};
use hostel_tests::{code, try_load_wat};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A guest whose allocator and deallocator take long, and report what they do. `process` returns a
/// record, `many` a longer one.
const GUEST: &str = r#"(module
    (import "host" "allocated" (func $allocated (param i32 i32)))
    (import "host" "deallocated" (func $deallocated (param i32 i32)))
    (memory (export "memory") 2)
    (global $top (mut i32) (i32.const 1024))
    (func $work (param $n i32)
      (loop $on (br_if $on (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "allocate") (param $size i32) (result i32) (local $at i32)
      (call $work (i32.const 1000))
      (local.set $at (global.get $top))
      (global.set $top (i32.and
        (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7)) (i32.const -8)))
      (call $allocated (local.get $at) (local.get $size))
      (local.get $at))
    (func (export "deallocate") (param i32 i32)
      (call $work (i32.const 2000))
      (call $deallocated (local.get 0) (local.get 1))
      (call $work (i32.const 2000)))
    (func (export "process") (param $out i32) (param $ptr i32) (param $len i32)
      (call $work (i32.const 3000))
      (i32.store (local.get $out) (local.get $ptr))
      (i32.store offset=4 (local.get $out) (local.get $len)))
    (func (export "many") (param $out i32) (param $text i32) (param $len i32)
      (call $work (i32.const 500))
      (i32.store (local.get $out) (i32.load8_u (local.get $text)))
      (i32.store offset=4 (local.get $out) (local.get $len))
      (i64.store offset=8 (local.get $out) (i64.const 3))
      (i64.store offset=16 (local.get $out) (i64.const 4))))"#;

/// The work of the guest's allocator: a letter for the function, a pointer and a size.
type Told = Vec<(char, u32, u32)>;

fn grants() -> Grants<Told> {
    let tell = |letter| {
        move |context: &mut Context<'_, Told>, ptr: u32, size: u32| {
            context.data_mut().push((letter, ptr, size));
        }
    };
    Grants::with_data()
        .function("host", "allocated", tell('a'))
        .function("host", "deallocated", tell('d'))
}

fn plugin() -> Plugin<Told> {
    try_load_wat(&Engine::new(Limits::server()), GUEST, &grants()).unwrap()
}

fn to_end<R>(call: impl FnMut() -> Step<R>) -> (R, u64) {
    let (mut call, mut steps) = (call, 1);
    loop {
        match call() {
            Step::Done(result) => return (result, steps),
            Step::More => steps += 1,
            Step::Waiting => panic!("nothing to wait for"),
        }
    }
}

type Many = (u32, u32, u64, u64);

/// All that can be seen of some calls: their answers, what the allocator did, and the state in the
/// end.
#[derive(Debug, PartialEq)]
struct Seen {
    bytes: Vec<(Vec<u8>, Usage)>,
    values: Vec<(Many, Usage)>,
    told: Told,
    state: u64,
}

/// Makes calls whose buffers must grow, by steps of `quantum` fuel if there is one.
fn seen(quantum: Option<u64>) -> Seen {
    let mut instance = plugin().instantiate(Told::new()).unwrap();
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    // Inputs that fit the buffer, that are longer than all before, and that are too long for a
    // buffer that is kept.
    for length in [5, 3, 40, 41, 70_000, 41, 0] {
        let input = vec![b'x'; length];
        let answer = match quantum {
            None => instance.process(&input),
            Some(quantum) => {
                let mut call = instance.process_async(&input);
                let (answer, steps) = to_end(|| call.step(quantum));
                assert!(quantum > 1_000 || steps > 3, "{steps}");
                answer
            }
        };
        bytes.push((answer.unwrap(), instance.usage()));
        let text = "y".repeat(length % 50 + 1);
        let answer = match quantum {
            None => instance.call::<_, Many>("many", (&*text,)),
            Some(quantum) => {
                let mut call = instance.call_async::<_, Many>("many", (&*text,));
                to_end(|| call.step(quantum)).0
            }
        };
        values.push((answer.unwrap(), instance.usage()));
    }
    Seen {
        bytes,
        values,
        state: instance.state_hash(),
        told: instance.data().clone(),
    }
}

#[test]
fn calls_whose_buffers_grow_can_be_interrupted_anywhere() {
    let whole = seen(None);
    for ((answer, _), length) in whole.bytes.iter().zip([5, 3, 40, 41, 70_000, 41, 0]) {
        assert_eq!(*answer, vec![b'x'; length]);
    }
    assert!(
        whole
            .values
            .iter()
            .all(|(many, _)| many.0 == u32::from(b'y') && many.3 == 4)
    );
    // Each buffer that was freed had been allocated, and was freed once.
    let mut lent = Vec::new();
    for (letter, ptr, size) in &whole.told {
        match letter {
            'a' => lent.push((*ptr, *size)),
            _ => {
                let at = lent.iter().position(|buffer| buffer == &(*ptr, *size));
                lent.swap_remove(at.expect("it was lent, and with this size"));
            }
        }
    }
    assert_eq!(lent.len(), 2, "the record and the input's buffer are kept");
    for quantum in [1, 7, 100, 999, 1_000, 5_003, 20_000] {
        assert_eq!(seen(Some(quantum)), whole, "{quantum}");
    }
}

/// A platform whose heap is full at one of the times that it is asked.
struct Full {
    asked: AtomicUsize,
    at: usize,
}

impl Platform for Full {
    fn free_bytes(&self) -> Option<usize> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        Some(if asked == self.at { 0 } else { usize::MAX })
    }

    fn now(&self) -> Option<Duration> {
        hostel::Std::new().now()
    }
}

#[test]
fn an_instance_whose_call_was_refused_serves_the_next() {
    for at in 0..8 {
        let platform = Full {
            asked: AtomicUsize::new(0),
            at,
        };
        let engine = Engine::new(Limits::server()).with_platform(platform);
        let Ok(plugin) = try_load_wat(&engine, GUEST, &grants()) else {
            continue;
        };
        let mut budget = *plugin.budget();
        budget.deadline = Some(Duration::from_secs(5));
        let plugin = plugin.with_budget(budget);
        let mut refused = 0;
        for _ in 0..4 {
            let mut call = plugin.process_async(b"hello");
            let answers = [to_end(|| call.step(100)).0, plugin.process(b"hello")];
            for answer in answers {
                match answer {
                    Ok(answer) => assert_eq!(answer, b"hello"),
                    Err(error) => {
                        assert_eq!(error.code(), "does-not-fit");
                        refused += 1;
                    }
                }
            }
        }
        assert!(refused <= 1, "{at}");
    }
}

/// A guest with an export over numbers, and one over bytes.
const PLAIN: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "same") (param i32) (result i32) (local.get 0))
    (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#;

fn outcome<R>(instance: &Instance, result: Result<R, CallError>) -> (&'static str, bool, u64) {
    (code(&result), instance.is_stopped(), instance.usage().fuel)
}

#[test]
fn a_call_that_is_refused_fails_alike_however_it_is_run() {
    let engine = Engine::new(Limits::server()).with_platform(hostel::Std::new());
    let plugin = try_load_wat(&engine, PLAIN, &Grants::new()).unwrap();
    let long = vec![0; 100];
    for fuel in [0, 10, 20, 21, 22, 30, 1_000] {
        for (cancelled, deadline) in [(true, None), (false, Some(Duration::ZERO)), (false, None)] {
            for input_bytes in [10, 1_000] {
                let mut budget = Budget::server().with_fuel(fuel);
                (budget.deadline, budget.input_bytes) = (deadline, input_bytes);
                let fresh = || {
                    let mut instance = plugin.instantiate(()).unwrap();
                    instance.set_budget(budget);
                    if cancelled {
                        instance.canceller().cancel();
                    }
                    instance
                };
                let what = format!("{fuel} {cancelled} {deadline:?} {input_bytes}");

                let mut instance = fresh();
                let result = instance.process(&long);
                let blocking = outcome(&instance, result);
                let mut instance = fresh();
                let mut call = instance.process_async(&long);
                let (result, _) = to_end(|| call.step(1_000_000));
                drop(call);
                assert_eq!(outcome(&instance, result), blocking, "{what}");

                let mut instance = fresh();
                let result = instance.call::<u32, u32>("same", 1);
                let by_name = outcome(&instance, result);
                let mut instance = fresh();
                let mut call = instance.call_async::<u32, u32>("same", 1);
                let (result, _) = to_end(|| call.step(1_000_000));
                drop(call);
                assert_eq!(outcome(&instance, result), by_name, "{what}");
                let mut instance = fresh();
                let same: TypedFunction<u32, u32> = instance.typed("same").unwrap();
                let result = same.call(&mut instance, 1);
                assert_eq!(outcome(&instance, result), by_name, "{what}");
            }
        }
    }
}
