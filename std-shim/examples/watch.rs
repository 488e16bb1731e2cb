//! Loads plugins from a directory, and replaces them while they are in use.
//!
//! A thread watches the directory. The file `NAME.wasm` is the plugin `NAME`: a new file is loaded, a
//! changed file replaces its plugin, and a removed file unloads it. If a file is broken, or its plugin
//! fails the smoke call, the old plugin stays. Calls in progress end on the version that they started
//! with.
//!
//! Run it with `cargo run --features watch --example watch`.

use hostel::{CallError, Grants, Host, LogRecord, Plugin, PluginDirectory, install_module};
use std::{path::Path, sync::Arc, sync::mpsc};

const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/prebuilt");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = Arc::new(Host::new(hostel::engine()));
    let grants = |_name: &str| {
        Grants::new()
            .log(|record: &LogRecord<'_>| println!("  {record}"))
            .config([("prefix", "CUSTOM")])
    };
    let (send, events) = mpsc::channel();
    let plugins = tempfile::tempdir()?;
    let watched = PluginDirectory::new(host.clone(), plugins.path(), grants)
        .with_smoke(answers_something)
        .with_observer(move |event| {
            // Fails once the receiver is gone, at the end of `main`.
            let _ = send.send(event);
        })
        .watch()?;

    let file = plugins.path().join("shout.wasm");
    let modules =
        ["customize.wasm", "wat_no_dealloc.wasm"].map(|name| Path::new(GUESTS).join(name));
    for module in modules {
        // Written atomically: the watching thread never finds half a module.
        install_module(&file, &std::fs::read(&module)?)?;
        println!("{}", events.recv()?);
        let answer = host.process("shout", b"hello")?;
        println!("answer: {}", String::from_utf8(answer)?);
    }

    std::fs::write(&file, "not a module")?;
    println!("{}", events.recv()?);
    println!("still there: {:?}", host.list());

    std::fs::remove_file(&file)?;
    println!("{}", events.recv()?);
    drop(watched);
    Ok(())
}

fn answers_something(plugin: &Plugin) -> Result<(), CallError> {
    plugin.process(b"ping").map(drop)
}
