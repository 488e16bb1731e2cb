//! Processes bytes with a plugin that the embedder configures.
//!
//! Run it with `cargo run --example processing_engine`.

use hostel::{Grants, LogRecord, load_file};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../guests/prebuilt/customize.wasm"
);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| println!("{record}"))
        .config([("prefix", "CUSTOM")]);
    let plugin = load_file(&hostel::engine(), FILE, &grants)?;

    let mut instance = plugin.instantiate(())?;
    for input in ["hello world", "customize me"] {
        let output = instance.process(input.as_bytes())?;
        println!("{input} -> {}", String::from_utf8(output)?);
        println!("it used {} units of fuel", instance.usage().fuel);
    }

    // An error is an answer: the instance stays usable.
    if let Err(error) = instance.process(b"\xff") {
        println!("{error}");
    }
    Ok(())
}
