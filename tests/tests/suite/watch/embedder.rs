//! The embedder's grants by name and its observer, and panics in either.

use super::{FOR_EVER, Place, soon, told};
use hostel::{Grants, Host, LogRecord, PluginDirectory, WatchedDirectory, install_module};
use hostel_tests::{quiet, that_says};
use std::sync::{Arc, Mutex, mpsc};
use tempfile::TempDir;

#[test]
fn a_panic_of_the_embedder_does_not_end_the_watch() {
    let root = TempDir::new().unwrap();
    let host = Arc::new(Host::new(hostel::engine()));
    let grants = |name: &str| {
        assert_ne!(name, "unlucky");
        quiet()
    };
    let (send, events) = mpsc::channel();
    let watched = PluginDirectory::new(host.clone(), root.path(), grants)
        .with_observer(move |event| {
            send.send(told(&event)).unwrap();
            panic!("at each event");
        })
        .watch()
        .unwrap();
    for (name, expected) in [
        ("unlucky", "unlucky.wasm: host-panicked"),
        ("lucky", "loaded lucky"),
    ] {
        let path = root.path().join(name).with_extension("wasm");
        install_module(path, &that_says("it")).unwrap();
        assert_eq!(events.recv_timeout(FOR_EVER).as_deref(), Ok(expected));
    }
    drop(watched);
    // The thread has ended, and holds no handle any more.
    assert_eq!(Arc::strong_count(&host), 1);
    assert_eq!(host.list(), ["lucky"]);
}

#[test]
fn the_observer_can_end_the_watch() {
    let mut place = Place::new();
    let slot = Arc::new(Mutex::new(None::<WatchedDirectory>));
    let (inside, (send, dropped)) = (slot.clone(), mpsc::channel());
    let directory = PluginDirectory::new(place.host.clone(), place.plugins(), |_| quiet());
    let directory = directory.with_observer(move |_| {
        let watched = inside.lock().unwrap().take();
        drop(watched);
        send.send(()).unwrap();
    });
    place.directory = None;
    *slot.lock().unwrap() = Some(directory.watch().unwrap());
    place.install("name.wasm", "it");
    dropped.recv_timeout(FOR_EVER).unwrap();
    soon(|| Arc::strong_count(&place.host) == 1);
}

#[test]
fn each_plugin_has_grants_of_its_own() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = lines.clone();
    let mut place = Place::granting(move |name| {
        let (name, log) = (name.to_owned(), log.clone());
        Grants::new().log(move |record: &LogRecord<'_>| {
            assert_eq!(record.plugin, name);
            log.lock().unwrap().push(name.clone());
        })
    });
    place.install("one.wasm", "1");
    place.install("two.wasm", "2");
    place.directory.take().unwrap().rescan();
    // The smoke calls log, too.
    assert_eq!(*lines.lock().unwrap(), ["one", "two"]);
    assert_eq!(place.says("one") + &place.says("two"), "12");
    assert_eq!(*lines.lock().unwrap(), ["one", "two", "one", "two"]);
}
