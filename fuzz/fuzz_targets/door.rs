//! Any bytes at all, as a module: read and checked, before the interpreter sees them.
#![no_main]

use hostel_core::{Engine, Grants, Limits, ModuleInfo};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static GRANTS: LazyLock<Grants<()>> = LazyLock::new(|| {
    Grants::new()
        .log(|record: &hostel_core::LogRecord<'_>| drop(record.text.to_string()))
        .config([("key", "value")])
});

fuzz_target!(|wasm: &[u8]| {
    let read = ModuleInfo::read(wasm);
    match Engine::new(Limits::device(256 << 10)).check(wasm, &GRANTS) {
        Ok(info) => assert_eq!(
            info.size,
            wasm.len(),
            "a module that is let in was read whole"
        ),
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    }
    if let Ok(info) = read {
        for export in &info.exports {
            assert!(
                !export.to_string().contains(char::is_control),
                "names are shown, not obeyed"
            );
        }
    }
});
