//! A plugin that starts from a state that was reached once, beside the ways to do without.

use crate::turns::best_of;
use hostel::{CallError, Engine, Grants, Instance};
use std::hint::black_box;

const TURNS: usize = 40;
const CALLS: u32 = 20;

/// A guest that fills a table of 256 KiB before it can answer, in a memory of 1 MiB.
const GUEST: &str = r#"(module
    (memory 16)
    (global $ready (mut i32) (i32.const 0))
    (func (export "learn") (local $at i32)
      (loop $on
        (i32.store (local.get $at) (i32.mul (local.get $at) (i32.const 2654435761)))
        (br_if $on (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 262144))))
      (global.set $ready (i32.const 1)))
    (func (export "known") (param i32) (result i32)
      (if (i32.eqz (global.get $ready)) (then (unreachable)))
      (i32.load (i32.shl (local.get 0) (i32.const 2)))))"#;

fn learn(instance: &mut Instance) -> Result<(), CallError> {
    instance.call::<(), ()>("learn", ())
}

fn ask(instance: &mut Instance) -> Result<(), CallError> {
    let answer = instance.call::<u32, u32>("known", black_box(1_000))?;
    assert_eq!(answer, 4_000u32.wrapping_mul(2_654_435_761));
    Ok(())
}

/// Measures and prints. There is no target.
pub fn run() -> bool {
    let (engine, grants) = (Engine::default(), Grants::new());
    let wasm = wat::parse_str(GUEST).expect("the guest assembles");
    let cold = engine.load("guest", &wasm, &grants).expect("it loads");
    let snapshot = engine
        .snapshot("guest", &wasm, &grants, learn)
        .expect("there is a snapshot");
    let warmed = engine.load("guest", &snapshot, &grants).expect("it loads");
    let instantiate = |learned: bool| {
        let plugin = if learned { &warmed } else { &cold };
        let mut instance = plugin.instantiate(()).expect("it starts");
        if !learned {
            learn(&mut instance).expect("it learns");
        }
        ask(&mut instance).expect("it answers");
    };
    let [each, new, as_new] = best_of(
        TURNS,
        CALLS,
        [
            &mut || instantiate(false),
            &mut || instantiate(true),
            &mut || warmed.with_instance(ask).expect("it answers"),
        ],
    );
    let ratio = |time: std::time::Duration| time.as_secs_f64() / each.as_secs_f64();
    println!(
        "256 KiB computed before a call can be answered, in a memory of 1 MiB; the module has {} \
        bytes, its snapshot {}",
        wasm.len(),
        snapshot.len()
    );
    println!("  a new instance that computes them       {each:>10.1?}  1.00");
    println!(
        "  a new instance of the snapshot          {new:>10.1?}  {:.3}",
        ratio(new)
    );
    println!(
        "  one set back to the image of a new one  {as_new:>10.1?}  {:.3}",
        ratio(as_new)
    );
    true
}
