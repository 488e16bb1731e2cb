//! Grants a plugin its log.
//!
//! A plugin can only compute, until it is granted more. If it imports a function that was not
//! granted, loading fails and names the grant.
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
        .log(|record: &LogRecord<'_>| println!("{record}"))
        .config(settings);
    let plugin = load_file(&engine, FILE, &grants)?;
    plugin.process(b"hello world")?;
    Ok(())
}
