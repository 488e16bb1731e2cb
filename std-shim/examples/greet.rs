//! Passes text to a plugin, and gets text back.
//!
//! A guest has its own memory. hostel asks the guest's allocator for a buffer, copies the name there,
//! calls `greet` with its pointer and length, checks and copies the answer, and frees the answer's
//! buffer.
//!
//! Run it with `cargo run --example greet`.

use hostel::{Grants, load_file};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/prebuilt");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Three compilers return a pointer and a length in three ways. hostel understands each.
    for guest in ["greet", "c_greet", "wat_greet_multi"] {
        let file = format!("{FOLDER}/{guest}.wasm");
        let plugin = load_file(&hostel::engine(), file, &Grants::new())?;
        let greeting = plugin.call::<&str, String>("greet", "Gopher")?;
        println!("{guest}: {greeting}");
    }
    Ok(())
}
