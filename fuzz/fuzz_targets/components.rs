//! Components that are made up by wasm-smith, or changed at random: loaded with stubs, and each export called with values
//! that are made up, at once and by steps.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // An error says that the bytes are too few.
    let _ = hostel_fuzz::components::check(&mut Unstructured::new(bytes));
});
