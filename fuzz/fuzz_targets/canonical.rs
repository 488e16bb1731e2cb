//! Values of types that are made up, through components that pass them on and ones that lie: in all encodings, from guest
//! to guest, at once and by steps.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // An error says that the bytes are too few.
    let _ = hostel_fuzz::passed::check(&mut Unstructured::new(bytes));
});
