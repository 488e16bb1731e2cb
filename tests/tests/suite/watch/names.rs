//! Names that are in use already, and names that no plugin can have.

use super::Place;
use hostel_tests::{quiet, that_says};
use std::fs;

#[test]
fn a_plugin_that_takes_the_name_while_a_file_is_loaded_stays() {
    let mut place = Place::new();
    let host = place.host.clone();
    let mut directory = place.directory.take().unwrap().with_smoke(move |plugin| {
        if plugin.process(b"")? == b"second" {
            host.remove("name").unwrap();
            let theirs = host.insert("name", &that_says("theirs"), &quiet());
            theirs.unwrap();
        }
        Ok(())
    });
    place.install("name.wasm", "first");
    directory.rescan();
    place.install("name.wasm", "second");
    directory.rescan();
    assert_eq!(place.rest(), ["loaded name", "name.wasm: superseded"]);
    assert_eq!(place.says("name"), "theirs");
    // It is not unloaded with the file.
    fs::remove_file(place.file("name.wasm")).unwrap();
    directory.rescan();
    assert_eq!(place.says("name"), "theirs");
}

#[test]
fn a_name_that_is_loaded_from_elsewhere_is_left_alone() {
    let mut place = Place::new();
    let load = |text| place.host.insert("name", &that_says(text), &quiet());
    load("from elsewhere").unwrap();
    place.install("name.wasm", "from here");
    let mut directory = place.directory.take().unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["name.wasm: name-taken"]);
    fs::remove_file(place.file("name.wasm")).unwrap();
    directory.rescan();
    assert_eq!(place.rest(), [""; 0]);
    assert_eq!(place.says("name"), "from elsewhere");
    // A plugin that replaced the directory's own is left alone, too.
    place.host.remove("name").unwrap();
    place.install("name.wasm", "from here");
    directory.rescan();
    let replacement = that_says("by hand");
    place.host.replace("name", &replacement, &quiet()).unwrap();
    place.install("name.wasm", "from here again");
    directory.rescan();
    fs::remove_file(place.file("name.wasm")).unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["loaded name", "name.wasm: name-taken"]);
    assert_eq!(place.says("name"), "by hand");
    // A plugin that was unloaded by hand comes back with its file.
    place.host.remove("name").unwrap();
    place.install("name.wasm", "from here");
    directory.rescan();
    place.host.remove("name").unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["loaded name", "loaded name"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_text_is_refused() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let mut place = Place::new();
    let path = place.plugins().join(OsStr::from_bytes(b"\xff.wasm"));
    fs::write(&path, that_says("it")).unwrap();
    let mut directory = place.directory.take().unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["\u{fffd}.wasm: file-name"]);
    fs::remove_file(path).unwrap();
    directory.rescan();
    assert_eq!((place.rest(), place.host.list()), (vec![], vec![]));
}
