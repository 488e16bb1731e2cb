//! `hostel bindgen`: the files that it writes, and what it refuses. `tests/contract/run` builds plugins with them.

use super::{Files, hostel, path};
use std::{collections::BTreeMap, fs, path::Path};

const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/contract/orders.wit");

/// Returns the files that are written, by name.
fn written(files: &Files, folder: &str, lang: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = files.path(folder);
    let ended = hostel(&["bindgen", WIT, "--lang", lang, "--out", path(&folder)]).expect(0);
    assert!(
        ended
            .text()
            .starts_with("Wrote the world `demo:orders/plugin@1.0.0`:\n"),
        "{}",
        ended.text()
    );
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("it can be read") {
            let entry = entry.expect("it can be read").path();
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            assert!(ended.text().contains(path(&entry)), "{}", ended.text());
            let name = entry.strip_prefix(&folder).expect("it is below");
            let name = name.to_string_lossy().replace('\\', "/");
            found.insert(name, fs::read(&entry).expect("it can be read"));
        }
    }
    found
}

#[test]
fn each_language_has_its_files_and_equal_wit_gives_equal_files() {
    for (lang, names) in [
        ("rust", &["plugin.rs"][..]),
        (
            "c",
            &["plugin.c", "plugin.h", "plugin_component_type.o"][..],
        ),
        (
            "assemblyscript",
            &[
                "plugin_bindings.ts",
                "plugin_exports.mjs",
                "plugin_exports.ts",
            ][..],
        ),
        ("markdown", &["plugin.md"][..]),
    ] {
        let files = Files::new();
        let first = written(&files, "first", lang);
        assert!(first.keys().eq(names), "{lang}: {:?}", first.keys());
        assert!(first == written(&files, "second", lang), "{lang}");
    }
    let files = Files::new();
    let go = written(&files, "go", "go");
    assert!(
        go.keys().any(|name| name.ends_with(".go")),
        "{:?}",
        go.keys()
    );
}

#[test]
fn a_language_whose_tool_reads_wit_is_told_its_command() {
    for (lang, tool) in [("js", "componentize-qjs"), ("python", "componentize-py")] {
        let ended = hostel(&["bindgen", WIT, "--lang", lang]).expect(2);
        assert!(ended.stderr.contains(tool), "{}", ended.stderr);
    }
}

#[test]
fn a_world_that_a_language_can_t_have_is_refused_and_nothing_is_written() {
    for (types, what) in [
        ("resource file; open: func() -> file;", "resources"),
        ("wait: async func();", "async"),
        ("all: func() -> map<string, u32>;", "maps"),
    ] {
        let files = Files::new();
        let wit =
            format!("package demo:it; interface it {{ {types} }} world plugin {{ export it; }}");
        let wit = files.file("it.wit", wit.as_bytes());
        let out = files.path("out");
        let ended = hostel(&[
            "bindgen",
            &wit,
            "--lang",
            "assemblyscript",
            "--out",
            path(&out),
        ]);
        let ended = ended.expect(2);
        assert!(
            ended.stderr.contains(what) && ended.stderr.contains("AssemblyScript"),
            "{}",
            ended.stderr
        );
        assert!(!Path::new(&out).exists(), "{types}");
    }
}

#[test]
fn a_world_that_can_t_be_read_is_refused() {
    let files = Files::new();
    let wit = files.file("it.wit", b"package demo:it; world a {} world b {}");
    let ended = hostel(&["bindgen", &wit, "--lang", "c"]).expect(2);
    assert!(ended.stderr.contains("--world"), "{}", ended.stderr);
    let ended = hostel(&["bindgen", "missing.wit", "--lang", "c"]).expect(2);
    assert!(ended.stderr.contains("missing.wit"), "{}", ended.stderr);
}
