//! What the tests share: the built guests, and modules written in place.

use hostel::{Grants, Plugin};
use std::path::PathBuf;

/// The path of a built guest.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../guests/prebuilt")
        .join(name)
        .with_extension("wasm")
}

/// Loads a module from its text.
///
/// # Panics
///
/// Where the text is not a module that loads.
#[must_use]
pub fn load_wat<T: 'static>(text: &str, grants: &Grants<T>) -> Plugin<T> {
    let wasm = wat::parse_str(text).expect("the test's module is well-formed text");
    hostel::engine()
        .load("guest", &wasm, grants)
        .expect("the test's module loads")
}
