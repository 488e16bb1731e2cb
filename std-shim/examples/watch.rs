//! Plugins from a directory, replaced while they are in use.
//!
//! A host has plugins by name. A directory's files `NAME.wasm` are its plugins, and a thread keeps
//! the host in step with them: a file that is new is loaded, one that has changed replaces its
//! plugin, one that is gone unloads it. A file that is broken, or whose plugin fails a smoke call,
//! leaves the old one. Calls that run end on the plugin that they began on.
//!
//! Run it with `cargo run --features watch --example watch`.

use hostel::{CallError, Grants, Host, LogRecord, Plugin, PluginDirectory, install_module};
use std::{path::Path, sync::Arc, sync::mpsc};

const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/prebuilt");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = Arc::new(Host::new(hostel::engine()));
    let grants = |_name: &str| {
        Grants::new()
            .log(|record: &LogRecord<'_>| println!("  [{}] {}", record.plugin, record.text))
            .config([("prefix", "CUSTOM")])
    };
    let (send, events) = mpsc::channel();
    let plugins = tempfile::tempdir()?;
    let watched = PluginDirectory::new(host.clone(), plugins.path(), grants)
        .smoke(answers_something)
        .observer(move |event| {
            // Nobody may listen any more.
            let _ = send.send(event);
        })
        .watch()?;

    let file = plugins.path().join("shout.wasm");
    let modules =
        ["customize.wasm", "wat_no_dealloc.wasm"].map(|name| Path::new(GUESTS).join(name));
    for module in modules {
        // Whoever reads the file finds the old module or the new one, never half of one.
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
