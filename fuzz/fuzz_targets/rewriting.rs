//! Programs full of what hostel rewrites: they do in hostel what they do in another interpreter.
#![no_main]

use arbitrary::Unstructured;
use hostel_fuzz::{observers, oracle, programs::Program};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|case: (Program, [u8; 32])| {
    let (program, arguments) = case;
    let wasm = observers::add(&program.module()).expect("a made-up module can be read");
    let loads = oracle::compare(&wasm, &mut Unstructured::new(&arguments));
    assert!(loads, "it is within the limits");
});
