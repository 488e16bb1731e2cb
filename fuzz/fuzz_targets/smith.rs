//! Valid modules, made up: loaded and, where that works, run. They may import each granted
//! function.
#![no_main]

use arbitrary::Unstructured;
use hostel_core::Engine;
use hostel_fuzz::{modules, observers};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| hostel_fuzz::engine(modules::limits()));

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Unstructured::new(bytes);
    let imports = bytes
        .arbitrary()
        .unwrap_or(false)
        .then(modules::all_imports);
    if let Ok(module) = modules::valid(&mut bytes, imports, true) {
        // They give it an allocator, so that host functions can answer it.
        let wasm = observers::add(&module.to_bytes()).expect("a made-up module can be read");
        hostel_fuzz::load_and_call(&ENGINE, &wasm);
    }
});
