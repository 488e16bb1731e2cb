//! Numbers in, numbers out: a function of two `u32`, as an ordinary call.
//!
//! hostel compares the types that are asked for with those that the module declares, and says what
//! fits where they differ.
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
