//! Calls a function of two numbers.
//!
//! hostel compares the Rust types of a call with the types that the module declares. If they differ,
//! the error says which types would fit.
//!
//! Run it with `cargo run --example add`.

use hostel::{Grants, load_file};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/prebuilt/add.wasm");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plugin = load_file(&hostel::engine(), FILE, &Grants::new())?;

    let sum = plugin.call::<(u32, u32), u32>("add", (10, 20))?;
    println!("10 + 20 = {sum}");

    if let Err(error) = plugin.call::<&str, String>("add", "ten") {
        println!("{error}");
    }
    Ok(())
}
