//! Imports in `core/src` run downwards only: a room imports from rooms below it, never from one above.
//!
//! `lib.rs` declares the rooms from the top down. This test reads that order and every path in the
//! sources that starts with `crate::`, and fails for each that leads upwards or names no room.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::{fs, path::Path};

#[test]
fn imports_run_downwards() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = rooms(&fs::read_to_string(root.join("lib.rs")).unwrap());
    assert!(rooms.len() > 10, "rooms in lib.rs: {rooms:?}");
    let mut faults = Vec::new();
    for room in &rooms {
        let mut sources = Vec::new();
        collect(&root.join(room), &mut sources);
        collect(&root.join(room).with_extension("rs"), &mut sources);
        assert!(!sources.is_empty(), "room `{room}` has no source");
        for (path, text) in sources {
            let shown = path.strip_prefix(&root).unwrap().display().to_string();
            let found = upward(&rooms, room, &text).chain(detour(&text, depth(&shown)));
            faults.extend(found.map(|fault| format!("{shown}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_documents_list_the_rooms_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lib = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let rooms = rooms(&lib);
    let page = fs::read_to_string(root.join("../docs/architecture.md")).unwrap();
    let picture = page.split("```").nth(1).unwrap_or_default();
    let first = |line: &str| line.split_whitespace().next().map(String::from);
    let drawn = picture
        .lines()
        .filter_map(first)
        .filter(|word| rooms.contains(word));
    assert_eq!(drawn.collect::<Vec<_>>(), rooms, "docs/architecture.md");
    let named = |line: &str| Some(line.strip_prefix("//! | `")?.split('`').next()?.to_owned());
    assert_eq!(
        lib.lines().filter_map(named).collect::<Vec<_>>(),
        rooms,
        "src/lib.rs"
    );
}

#[test]
fn an_import_that_is_turned_round_is_found() {
    let rooms = ["top", "middle", "ground"].map(String::from);
    let found = |room: &str, text: &str| upward(&rooms, room, text).collect::<Vec<_>>();
    assert!(found("top", "use crate::{ground::{A, b}, middle::C};").is_empty());
    assert!(
        found(
            "middle",
            "//! Docs may link to [`crate::top`].\nuse crate::middle::A;"
        )
        .is_empty()
    );
    assert_eq!(
        found("ground", "use crate::middle::A;"),
        ["imports from `middle`, which is above `ground`"]
    );
    assert_eq!(
        found(
            "middle",
            "use crate::{\n    ground::A,\n    top::{B, C},\n};"
        ),
        ["imports from `top`, which is above `middle`"]
    );
    assert_eq!(
        found("middle", "fn f() { crate::Thing::new() }"),
        ["`crate::Thing` names no room: name the room that it lives in"]
    );
}

#[test]
fn ways_around_the_order_are_found() {
    assert_eq!(depth("memory.rs"), 1);
    assert_eq!(depth("call/mod.rs"), 1);
    assert_eq!(depth("services/state/store.rs"), 3);
    let tests = "mod tests {\n    use super::*;\n}";
    for (text, depth, found) in [
        ("use super::top::A;", 1, true),
        ("use super::A;", 2, false),
        ("use super::super::top::A;", 2, true),
        (tests, 1, false),
        ("use crate as all;", 2, true),
        ("use crate::{self as all};", 2, true),
        ("use crate::*;", 2, true),
    ] {
        assert_eq!(detour(text, depth).is_some(), found, "{text}");
    }
}

/// The modules that `lib.rs` declares, in its order.
fn rooms(lib: &str) -> Vec<String> {
    let declared = lib.lines().filter_map(|line| {
        let line = line.trim_start_matches("pub ").strip_prefix("mod ")?;
        line.strip_suffix(';').map(String::from)
    });
    declared.collect()
}

/// What is wrong with the imports of a source in `room`.
fn upward<'a>(
    rooms: &'a [String],
    room: &'a str,
    text: &str,
) -> impl Iterator<Item = String> + use<'a> {
    let place = |name: &str| rooms.iter().position(|room| room == name);
    let own = place(room);
    let imported = imported(&without_comments(text)).into_iter();
    imported.filter_map(move |name| match place(&name) {
        None => Some(format!(
            "`crate::{name}` names no room: name the room that it lives in"
        )),
        there if there < own => Some(format!("imports from `{name}`, which is above `{room}`")),
        _ => None,
    })
}

/// How many `super` lead from a source out of its room.
fn depth(path: &str) -> usize {
    let folders = path.matches(['/', '\\']).count();
    if path.ends_with("mod.rs") {
        folders
    } else {
        folders + 1
    }
}

/// A way out of the room that names no room: by `super`, or by all of the crate at once.
fn detour(text: &str, depth: usize) -> Option<String> {
    let code = without_comments(text);
    for whole in ["crate as ", "crate::{self", "crate::*", "use crate;"] {
        if code.contains(whole) {
            return Some(format!("`{whole}`: name the room that is imported from"));
        }
    }
    // Inside of a module that is written in place, as tests are, one more leads out.
    let inner = code.find("mod tests {").unwrap_or(code.len());
    let (own, tests) = code.split_at(inner);
    let leaves = |code: &str, depth| code.contains(&"super::".repeat(depth));
    let found = leaves(own, depth) || leaves(tests, depth + 1);
    found.then(|| "leaves its room by `super`: name the room instead".to_owned())
}

/// The first name of every path that starts with `crate::`, those in braces included.
fn imported(code: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| is_name(c) || c == '$') {
            continue;
        }
        let rest = &code[at + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(rest.chars().take_while(|c| is_name(*c)).collect());
            continue;
        };
        let (mut depth, mut name) = (0, String::new());
        for c in group.chars() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => names.push(core::mem::take(&mut name)),
                c if depth == 0 => name.push(c),
                _ => {}
            }
        }
        names.push(name);
    }
    let first = |path: &String| {
        path.trim()
            .split("::")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let firsts = names.iter().map(first);
    firsts.filter(|name| !name.is_empty()).collect()
}

/// The code of a source, without the comments, in which documentation may link to anything.
fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn collect(path: &Path, sources: &mut Vec<(std::path::PathBuf, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), sources);
        }
    } else if path.is_file() && path.extension().is_some_and(|ext| ext == "rs") {
        sources.push((path.to_owned(), fs::read_to_string(path).unwrap()));
    }
}
