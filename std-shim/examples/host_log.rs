//! A host function: the guest calls back, and logs.
//!
//! A plugin can do nothing but compute, until it is granted more. What it imports and nobody
//! granted is told when it is loaded, not when it runs.
//!
//! Run it with `cargo run --example host_log`.

use hostel::{Grants, LogRecord, load_file};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../guests/prebuilt/customize.wasm"
);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = hostel::engine();
    if let Err(error) = load_file(&engine, FILE, &Grants::new()) {
        println!("{error}\n");
    }

    let settings: [(&str, &str); 0] = [];
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| println!("[{}] {}", record.plugin, record.text))
        .config(settings);
    let plugin = load_file(&engine, FILE, &grants)?;
    plugin.process(b"hello world")?;
    Ok(())
}
