//! The built guests match their sources. Here only those in WAT are assembled again;
//! `guests/build.sh --check` builds all of them.

use hostel_tests::{guest, guest_bytes};
use std::{collections::BTreeSet, fs, path::Path};

/// Returns the directory of the guests' sources.
fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../guests"))
}

/// Returns the names of a folder's files with this ending, without the ending.
fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn the_guests_in_wat_are_what_their_sources_assemble_to() {
    let folder = sources().join("wat");
    let names = names(&folder, "wat");
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        let assembled = wat::parse_file(folder.join(&name).with_extension("wat")).unwrap();
        let built = guest_bytes(&format!("wat_{name}"));
        assert!(
            assembled == built,
            "{} is not what wat/{name}.wat assembles to: run guests/build.sh",
            guest(&format!("wat_{name}")).display()
        );
    }
}

#[test]
fn each_built_guest_has_a_source_and_each_source_is_built() {
    let mut expected = BTreeSet::new();
    for (folder, ending, prefix) in [
        ("wat", "wat", "wat_"),
        ("c", "c", "c_"),
        ("small-c", "c", "small_c_"),
        ("libc-c", "c", "libc_"),
        ("wasi-c", "c", "wasi_c_"),
        ("wasi-c", "c", "wasi_zigcc_"),
        ("wasi-zig", "zig", "wasi_zig_"),
        ("zig", "zig", "zig_"),
        ("assemblyscript", "ts", "as_"),
        ("kits/assemblyscript", "ts", "as_"),
    ] {
        let names = names(&sources().join(folder), ending);
        expected.extend(names.iter().map(|name| format!("{prefix}{name}")));
    }
    let beside = ["Cargo.toml", "Cargo.lock", "assemblyscript"];
    for (folder, prefix) in [
        ("kits", ""),
        ("rust", ""),
        ("small", ""),
        ("default-rust", ""),
        ("wasi-rust", "wasi_rust_"),
        ("go", "go_"),
        ("wasi-go", "wasi_go_"),
    ] {
        for guest in fs::read_dir(sources().join(folder)).unwrap() {
            let name = guest.unwrap().file_name().into_string().unwrap();
            if !beside.contains(&&*name) {
                expected.insert(format!("{prefix}{name}"));
            }
        }
    }
    // Libraries for plugins in these languages, which are no guests.
    for library in ["zig_hostel", "as_hostel", "as_index", "go_hostel"] {
        assert!(expected.remove(library));
    }
    assert_eq!(names(&sources().join("prebuilt"), "wasm"), expected);
}

#[test]
fn the_assembler_is_the_one_that_the_guests_were_built_with() {
    let version = |lock: &Path| {
        let lock = fs::read_to_string(lock).unwrap();
        let entry = lock
            .split("[[package]]")
            .find(|entry| entry.contains("name = \"wat\"\n"));
        let line = entry
            .unwrap()
            .lines()
            .find(|line| line.starts_with("version"));
        line.unwrap().to_owned()
    };
    let ours = version(&sources().join("../Cargo.lock"));
    let theirs = version(&sources().join("Cargo.lock"));
    assert_eq!(
        ours, theirs,
        "update `wat` in both lock files, and run guests/build.sh"
    );
}
