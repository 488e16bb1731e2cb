//! Compiles a plugin once and instantiates it three times.
//!
//! A *plugin* is a checked and compiled module. An *instance* is one running sandbox of it, with its
//! own memory. Compiling a small module takes about a millisecond, instantiating it some microseconds.
//!
//! Run it with `cargo run --example load`.

use hostel::{Grants, load_file};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../guests/prebuilt/wat_reactor.wasm"
);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plugin = load_file(&hostel::engine(), FILE, &Grants::new())?;
    println!("loaded `{}`, which exports:", plugin.name());
    for export in &plugin.info().exports {
        println!("  {export}");
    }

    for number in 1..=3 {
        let mut instance = plugin.instantiate(())?;
        let answer = instance.process(b"")?;
        println!("instance {number}: {}", String::from_utf8(answer)?);
    }
    Ok(())
}
