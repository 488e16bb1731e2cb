//! Files that appear, change and vanish, and the plugins that follow them.

use super::{Place, soon};
use hostel_tests::{guest_bytes, that_says};
use std::{
    fs::{self, File},
    io::Write as _,
};

#[test]
fn modules_that_are_there_are_loaded_and_other_files_are_left_alone() {
    let mut place = Place::new();
    for name in ["beta.wasm", "alpha.wasm", "one.two.wasm"] {
        place.write(name, &that_says(name));
    }
    let other = [
        ".hidden.wasm",
        "~open.wasm",
        "#open.wasm",
        "kept.wasm~",
        "half.wasm.tmp",
        "notes.txt",
        "LOUD.WASM",
        "wasm",
        ".wasm",
    ];
    for name in other {
        place.write(name, &that_says("other"));
    }
    let _watched = place.watch();
    let loaded = ["loaded alpha", "loaded beta", "loaded one.two"];
    assert_eq!(place.rest(), loaded);
    assert_eq!(place.host.list(), ["alpha", "beta", "one.two"]);
    assert_eq!(place.says("one.two"), "one.two.wasm");
}

#[test]
fn new_changed_and_removed_files_are_followed() {
    let mut place = Place::new();
    let _watched = place.watch();
    assert_eq!(place.rest(), [""; 0]);
    place.write("name.wasm", &that_says("one"));
    place.until("loaded name");
    assert_eq!(place.says("name"), "one");
    place.write("name.wasm", &that_says("two, in place"));
    place.until("replaced name");
    assert_eq!(place.says("name"), "two, in place");
    place.install("name.wasm", "three, renamed");
    place.until("replaced name");
    assert_eq!(place.says("name"), "three, renamed");
    fs::rename(place.file("name.wasm"), place.file("other.wasm")).unwrap();
    assert_eq!(place.until("loaded other"), ["unloaded name"]);
    fs::remove_file(place.file("other.wasm")).unwrap();
    place.until("unloaded other");
    assert_eq!(place.host.list(), [""; 0]);
}

#[test]
fn a_file_that_is_written_in_two_halves_is_loaded_when_it_is_whole() {
    let mut place = Place::new();
    place.install("old.wasm", "old");
    let _watched = place.watch();
    place.until("loaded old");
    for (name, taken) in [("new", "loaded new"), ("old", "replaced old")] {
        let wasm = that_says("whole");
        // The first half ends in the middle of the last section.
        let (half, rest) = wasm.split_at(wasm.len() - 3);
        let mut file = File::create(place.file(&format!("{name}.wasm"))).unwrap();
        file.write_all(half).unwrap();
        place.until(&format!("{name}.wasm: truncated-module"));
        let meanwhile = if name == "old" {
            "old"
        } else {
            "unknown-plugin"
        };
        assert_eq!(place.says(name), meanwhile);
        file.write_all(rest).unwrap();
        place.until(taken);
        assert_eq!(place.says(name), "whole");
    }
}

#[test]
fn a_storm_of_writes_ends_on_the_last() {
    let mut place = Place::new();
    let _watched = place.watch();
    for round in 0..500 {
        place.write("name.wasm", &that_says(&format!("in place {round}")));
        place.install("other.wasm", &format!("renamed {round}"));
    }
    soon(|| place.says("name") == "in place 499" && place.says("other") == "renamed 499");
    // Nothing older comes after that.
    place.install("fence.wasm", "fence");
    place.until("loaded fence");
    assert_eq!(place.says("name"), "in place 499");
    assert_eq!(place.says("other"), "renamed 499");
}

#[test]
fn many_files_that_change_at_once_are_all_followed() {
    let mut place = Place::new();
    let watched = place.watch();
    // More names than the watcher keeps one by one.
    for number in 0..1_200 {
        place.write(&format!("{number}.wasm"), &that_says("many"));
    }
    soon(|| place.host.list().len() == 1_200);
    fs::remove_dir_all(place.plugins()).unwrap();
    soon(|| place.host.list().is_empty());
    drop(watched);
}

#[test]
fn a_file_that_does_not_load_keeps_the_old_plugin() {
    let mut place = Place::new();
    place.install("name.wasm", "old");
    let _watched = place.watch();
    place.until("loaded name");
    for (wasm, code) in [
        (&b""[..], "empty-module"),
        (b"some text", "not-wasm"),
        (&guest_bytes("customize"), "mismatch"),
        (&that_says("bad"), "guest-error"),
        (&that_says("panic"), "host-panicked"),
    ] {
        place.write("name.wasm", wasm);
        place.until(&format!("name.wasm: {code}"));
        assert_eq!(place.says("name"), "old");
    }
    place.install("name.wasm", "new");
    place.until("replaced name");
    assert_eq!(place.says("name"), "new");
}

#[test]
fn a_file_with_the_same_bytes_is_not_loaded_again() {
    let mut place = Place::new();
    place.install("name.wasm", "same");
    let watched = place.watch();
    place.until("loaded name");
    let version = place.host.version("name").unwrap();
    place.install("name.wasm", "same");
    place.write("fence.wasm", &that_says("fence"));
    let before = place.until("loaded fence");
    watched.rescan();
    fs::remove_file(place.file("fence.wasm")).unwrap();
    let then = place.until("unloaded fence");
    assert_eq!([before, then].concat(), [""; 0]);
    assert_eq!(place.host.version("name").unwrap(), version);
}
