//! What metering costs, and what hostel's slices cost besides.

use crate::beside::{Times, hostels_cost, measure};

/// The most that slices may cost, against the same guest with fuel alone.
const TARGET: f64 = 1.02;

/// Name, module and argument of each kernel.
const KERNELS: &[(&str, &str, u32)] = &[
    (
        "fib(22), by recursion",
        r#"(module (func $fib (export "run") (param i32) (result i32)
            (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
              (then (local.get 0))
              (else (i32.add
                (call $fib (i32.sub (local.get 0) (i32.const 1)))
                (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"#,
        22,
    ),
    (
        "sum of 1 MiB, byte by byte",
        r#"(module (memory 16)
            (func (export "run") (param i32) (result i32) (local $at i32) (local $sum i32)
              (loop $next
                (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $at) (local.get 0))))
              (local.get $sum)))"#,
        1 << 20,
    ),
    (
        "primes up to 300,000, by a sieve",
        r#"(module (memory 16)
            (func (export "run") (param $n i32) (result i32)
              (local $i i32) (local $j i32) (local $count i32)
              (memory.fill (i32.const 0) (i32.const 1) (local.get $n))
              (local.set $i (i32.const 2))
              (loop $next
                (if (i32.load8_u (local.get $i)) (then
                  (local.set $count (i32.add (local.get $count) (i32.const 1)))
                  (local.set $j (i32.shl (local.get $i) (i32.const 1)))
                  (block $done (loop $strike
                    (br_if $done (i32.ge_u (local.get $j) (local.get $n)))
                    (i32.store8 (local.get $j) (i32.const 0))
                    (local.set $j (i32.add (local.get $j) (local.get $i)))
                    (br $strike)))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
              (local.get $count)))"#,
        300_000,
    ),
    (
        "calls of small functions, half through a table",
        r#"(module (table 2 funcref) (elem (i32.const 0) $add $mix)
            (type $two (func (param i32 i32) (result i32)))
            (func $add (type $two) (i32.add (local.get 0) (local.get 1)))
            (func $mix (type $two) (call $add (i32.rotl (local.get 0) (i32.const 5)) (local.get 1)))
            (func (export "run") (param $n i32) (result i32) (local $sum i32)
              (loop $next
                (local.set $sum (call $mix (local.get $sum) (local.get $n)))
                (local.set $sum (call_indirect (type $two) (local.get $sum) (local.get $n)
                  (i32.and (local.get $n) (i32.const 1))))
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
              (local.get $sum)))"#,
        100_000,
    ),
    (
        "empty loop",
        r#"(module (func (export "run") (param $n i32) (result i32)
            (loop $next (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $n)))"#,
        2_000_000,
    ),
];

/// The kernels' names and times.
pub fn measured() -> Vec<(&'static str, Times)> {
    KERNELS
        .iter()
        .map(|(name, text, n)| (*name, measure(text, *n, hostels_cost())))
        .collect()
}

/// Measures and prints. Whether slices cost as little as they should.
pub fn run() -> bool {
    println!("guest code: what fuel and slices cost");
    println!("  no fuel     fuel      hostel   fuel/no fuel  hostel/fuel");
    let mut met = true;
    for (name, times) in measured() {
        met &= times.slices() <= TARGET;
        println!(
            "{:>9.1?} {:>9.1?} {:>9.1?}  {:>10.3}  {:>11.3}  {name}{}",
            times.unmetered,
            times.metered,
            times.hostel,
            times.fuel(),
            times.slices(),
            if times.slices() <= TARGET {
                ""
            } else {
                "  MISSED"
            },
        );
    }
    println!(
        "  slices cost at most {TARGET}: {}",
        if met { "yes" } else { "NO" }
    );
    met
}
