//! Calls one plugin from three threads.
//!
//! A `Plugin` is a handle that threads share. `Plugin::process` runs each request in an instance that
//! is new or reset, so no request sees data of another.
//!
//! Run it with `cargo run --example concurrent`.

use hostel::{Grants, LogRecord, load_file};
use std::thread;

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../guests/prebuilt/customize.wasm"
);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| println!("{record}"))
        .config([("prefix", "CUSTOM")]);
    let plugin = &load_file(&hostel::engine(), FILE, &grants)?;

    thread::scope(|scope| {
        let inputs = ["request one", "request two", "request three"];
        let calls = inputs.map(|input| scope.spawn(move || plugin.process(input.as_bytes())));
        for call in calls {
            let output = call.join().expect("no call panics")?;
            println!("{}", String::from_utf8_lossy(&output));
        }
        Ok(())
    })
}
