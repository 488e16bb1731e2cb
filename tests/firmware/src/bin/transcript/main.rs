//! The same guests on every machine, with a line on each of all that can be seen from outside: to
//! be compared byte for byte.

#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod case;
mod guests;

use self::case::{Action, Case, Module, usual};
#[cfg(target_os = "none")]
use firmware::heap::live;
use firmware::println;
use hostel_core::Value;

#[cfg(target_os = "none")]
firmware::main!(run);

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    if run() {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}

/// Where there is an operating system, the heap is not ours.
#[cfg(not(target_os = "none"))]
fn live() -> usize {
    0
}

/// Hostile guests, which the workspace's tests hand on: see the script `run`.
const HOSTILE: &[Case] = include!("../../../target/hostile/cases.rs");

/// The fuel of a step, where a call is run by steps.
const QUANTA: [u64; 2] = [777, 10_000];

/// Runs all; whether each met its verdict, whatever the quantum, left the heap as it was, and a
/// good plugin still answers after it.
fn run() -> bool {
    let mut faults = 0;
    let mut fault = |what: core::fmt::Arguments<'_>| {
        println!("  {what}");
        faults += 1;
    };
    for case in guests::CASES.iter().chain(HOSTILE) {
        let before = live();
        let seen = case.run(None);
        println!("{}: {seen}", case.name);
        if !seen.meets(case.verdict) {
            fault(format_args!("declared: {}", case.verdict));
        }
        for quantum in QUANTA {
            let stepped = case.run(Some(quantum));
            if stepped != seen {
                fault(format_args!("with a quantum of {quantum}: {stepped}"));
            }
        }
        drop(seen);
        if live() != before {
            fault(format_args!("bytes before {before}, after {}", live()));
        }
        if !guests::a_good_one_answers() {
            fault(format_args!("a good plugin no longer answers"));
        }
    }
    println!("{} guests", guests::CASES.len() + HOSTILE.len());
    faults == 0
}
