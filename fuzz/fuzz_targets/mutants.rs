//! Real guests, changed: mostly so that they stay modules, loaded and run with room for them.
#![no_main]

use hostel_core::{Engine, Limits};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::sync::LazyLock;
use wasm_mutate::WasmMutate;
use wasmparser::Validator;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut limits = Limits::server();
    limits.memory_bytes = 2 << 20;
    hostel_fuzz::engine(limits)
});

fuzz_target!(|wasm: &[u8]| {
    hostel_fuzz::load_and_call(&ENGINE, wasm);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let changed = if seed.is_multiple_of(4) {
        None
    } else {
        module_like(&data[..size], seed)
    };
    match changed.filter(|changed| changed.len() <= max_size) {
        Some(changed) => {
            data[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
});

/// A module like this one, where it is one.
fn module_like(wasm: &[u8], seed: u32) -> Option<Vec<u8>> {
    Validator::new().validate_all(wasm).ok()?;
    let mut mutate = WasmMutate::default();
    mutate.seed(seed.into()).fuel(1_000);
    mutate.run(wasm).ok()?.next()?.ok()
}
