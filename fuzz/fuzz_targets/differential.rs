//! Valid modules, made up: what they do in hostel is what they do in another interpreter.
#![no_main]

use arbitrary::Unstructured;
use hostel_fuzz::{modules, observers, oracle};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Unstructured::new(bytes);
    // Arguments first: a module uses up all bytes that there are.
    let Ok(arguments) = bytes.arbitrary::<[u8; 64]>() else {
        return;
    };
    // Without floats: of results that are not numbers hostel has the same bits on each machine, the
    // other interpreter has the machine's.
    let Ok(mut module) = modules::valid(&mut bytes, None, false) else {
        return;
    };
    // Each function's calls and loops count down a global, and trap at zero: in both alike.
    if module.ensure_termination(200).is_ok() {
        let wasm = observers::add(&module.to_bytes()).expect("a made-up module can be read");
        oracle::compare(&wasm, &mut Unstructured::new(&arguments));
    }
});
