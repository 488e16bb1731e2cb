//! A watched directory that vanishes, comes back or can't be read, and entries that are no plain
//! files.

use super::{Place, soon};
use hostel::{Host, PluginDirectory, install_module};
use hostel_tests::{quiet, that_says};
use std::{fs, sync::Arc};
use tempfile::TempDir;

#[cfg(unix)] // On Windows, a watched directory keeps its name until it is watched no more.
#[test]
fn a_directory_that_vanishes_is_empty_and_one_that_comes_back_is_watched() {
    let mut place = Place::new();
    place.install("name.wasm", "one");
    let _watched = place.watch();
    place.until("loaded name");
    let (plugins, away) = (place.plugins(), place.root.path().join("away"));
    // Moved away and back.
    fs::rename(&plugins, &away).unwrap();
    let before = place.until("unloaded name");
    assert_eq!(before, ["plugins: file-missing"]);
    fs::rename(&away, &plugins).unwrap();
    place.until("loaded name");
    place.install("name.wasm", "two");
    place.until("replaced name");
    // Removed and made again.
    fs::remove_dir_all(&plugins).unwrap();
    place.until("unloaded name");
    fs::create_dir(&plugins).unwrap();
    place.install("name.wasm", "three");
    place.until("loaded name");
    place.install("name.wasm", "four");
    place.until("replaced name");
    // Removed and made again so fast that it may get the old one's inode number.
    fs::remove_dir_all(&plugins).unwrap();
    fs::create_dir(&plugins).unwrap();
    place.install("name.wasm", "at once");
    soon(|| place.says("name") == "at once");
    place.install("name.wasm", "and again");
    soon(|| place.says("name") == "and again");
    // Replaced by another.
    fs::create_dir(&away).unwrap();
    fs::write(away.join("name.wasm"), that_says("five")).unwrap();
    fs::rename(&plugins, place.root.path().join("old")).unwrap();
    fs::rename(&away, &plugins).unwrap();
    soon(|| place.says("name") == "five");
    place.install("name.wasm", "six");
    soon(|| place.says("name") == "six");
}

#[test]
fn a_directory_that_can_t_be_read_changes_nothing() {
    let mut place = Place::new();
    place.install("name.wasm", "one");
    let mut directory = place.directory.take().unwrap();
    directory.rescan();
    fs::remove_dir_all(place.plugins()).unwrap();
    fs::write(place.plugins(), "no directory").unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["loaded name", "plugins: file-unreadable"]);
    assert_eq!(place.says("name"), "one");
    fs::remove_file(place.plugins()).unwrap();
    directory.rescan();
    assert_eq!(place.rest(), ["plugins: file-missing", "unloaded name"]);
}

#[test]
fn a_directory_that_is_not_there_can_t_be_watched() {
    let host = Arc::new(Host::new(hostel::engine()));
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [root.path().join("missing"), file] {
        let directory = PluginDirectory::new(host.clone(), &path, |_| quiet());
        let error = directory.watch().unwrap_err();
        assert_eq!((error.code(), error.path()), ("file-missing", &*path));
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_other_kinds_of_files_are_refused() {
    use std::os::unix::fs::symlink;
    let mut place = Place::new();
    // As some systems replace mounted settings: a hidden link to a directory, and links through it.
    for (version, text) in [("..1", "one"), ("..2", "two")] {
        fs::create_dir(place.file(version)).unwrap();
        install_module(place.file(version).join("name.wasm"), &that_says(text)).unwrap();
    }
    symlink("..1", place.file("..data")).unwrap();
    symlink("..data/name.wasm", place.file("name.wasm")).unwrap();
    symlink("nowhere", place.file("dangling.wasm")).unwrap();
    fs::create_dir(place.file("directory.wasm")).unwrap();
    let pipe = place.file("pipe.wasm");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.expect("mkfifo starts").success());
    let _watched = place.watch();
    let expected = [
        "dangling.wasm: file-missing",
        "directory.wasm: file-is-directory",
        "loaded name",
        "pipe.wasm: file-not-regular",
    ];
    assert_eq!(place.rest(), expected);
    symlink("..2", place.file("..new")).unwrap();
    fs::rename(place.file("..new"), place.file("..data")).unwrap();
    place.until("replaced name");
    assert_eq!(place.says("name"), "two");
}
