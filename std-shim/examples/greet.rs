//! Text in, text out.
//!
//! A guest has a memory of its own: hostel asks its allocator for a buffer, copies the name there,
//! calls `greet` with pointer and length, checks and copies the answer, and gives both back.
//!
//! Run it with `cargo run --example greet`.

use hostel::{Grants, load_file};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/prebuilt");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The same function from three compilers, which return a text in three different ways.
    for guest in ["greet", "c_greet", "wat_greet_multi"] {
        let file = format!("{FOLDER}/{guest}.wasm");
        let plugin = load_file(&hostel::engine(), file, &Grants::new())?;
        let greeting = plugin.call::<&str, String>("greet", "Gopher")?;
        println!("{guest}: {greeting}");
    }
    Ok(())
}
