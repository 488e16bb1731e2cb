//! Any bytes at all, as a module: loaded and, where that works, run.
#![no_main]

use hostel_core::{Engine, Limits};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| hostel_fuzz::engine(Limits::device(256 << 10)));

fuzz_target!(|wasm: &[u8]| {
    hostel_fuzz::load_and_call(&ENGINE, wasm);
});
