//! `install_module`, which writes a module so that a watcher never sees half of it.

use hostel::install_module;
use hostel_tests::that_says;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};
use tempfile::TempDir;

#[test]
fn an_installed_module_is_whole_and_alone() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("name.wasm");
    for text in ["one", "another"] {
        install_module(&path, &that_says(text)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), that_says(text));
    }
    let in_root = || fs::read_dir(root.path()).unwrap().count();
    assert_eq!(in_root(), 1);
    let inside = |name: &str| root.path().join(name);
    fs::create_dir(inside("directory.wasm")).unwrap();
    for path in [
        inside("missing").join("name.wasm"),
        inside("directory.wasm"),
        PathBuf::from("/"),
    ] {
        let error = install_module(&path, b"x").unwrap_err();
        assert_eq!((error.code(), error.path()), ("file-unwritable", &*path));
    }
    assert_eq!(in_root(), 2);
    // Two writers at a time use different temporary files.
    thread::scope(|scope| {
        for text in ["a", "b"] {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..20 {
                    install_module(path, &that_says(text)).unwrap();
                }
            });
        }
    });
    let found = fs::read(&path).unwrap();
    assert!(found == that_says("a") || found == that_says("b"));
    assert_eq!(in_root(), 2);
}

#[cfg(unix)]
#[test]
fn a_link_is_replaced_and_what_it_led_to_stays() {
    let root = TempDir::new().unwrap();
    let (target, link) = (root.path().join("target"), root.path().join("link.wasm"));
    fs::write(&target, "stays").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    install_module(&link, b"new").unwrap();
    assert_eq!(fs::read_to_string(target).unwrap(), "stays");
    assert_eq!(fs::read_to_string(&link).unwrap(), "new");
    assert!(!is_link(&link));
}

#[cfg(unix)]
fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).unwrap().is_symlink()
}
