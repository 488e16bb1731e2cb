//! Tests of what the documentation says: its commands run and print what it shows, its links lead somewhere, its
//! settings are read, and its list of error codes is that of the sources.
#![cfg(not(windows))]

mod codes;
mod links;
mod page;
mod session;

use page::Page;
use session::Session;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The root of the repository.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the repository is there")
}

/// Returns all pages: those below `docs`, and the files of Markdown beside the sources.
fn pages() -> Vec<Page> {
    let root = root();
    let mut pages = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in root.join(&folder).read_dir().expect("a folder can be read") {
            let entry = entry.expect("an entry can be read");
            let name = entry.file_name().into_string().expect("a name is text");
            let path = folder.join(&name);
            let kind = entry.file_type().expect("an entry has a type");
            if kind.is_dir()
                && !name.starts_with('.')
                && !["target", "node_modules"].contains(&&*name)
            {
                folders.push(path);
            } else if kind.is_file() && name.ends_with(".md") {
                pages.push(Page::read(&root, path));
            }
        }
    }
    pages.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(pages.len() > 20, "{}", pages.len());
    pages
}

/// Runs the commands of all pages of which `chosen` is true, and fails with all that differs.
fn run(chosen: impl Fn(&Page) -> bool) {
    let mut faults = Vec::new();
    let mut commands = 0;
    for page in pages().iter().filter(|page| chosen(page)) {
        let mut session = Session::new(&root());
        for block in &page.blocks {
            match session.follow(block) {
                Ok(ran) => commands += ran,
                Err(fault) => {
                    faults.push(format!("{}:{}: {fault}", page.path.display(), block.line));
                    // The rest of the page builds on it.
                    break;
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(commands > 0);
}

/// The pages that build a plugin: a test for each, since they take long.
const FIRST: [&str; 7] = [
    "docs/first/rust.md",
    "docs/first/c.md",
    "docs/first/zig.md",
    "docs/first/go.md",
    "docs/first/assemblyscript.md",
    "docs/first/javascript.md",
    "docs/first/python.md",
];

/// Follows the page of one language.
fn first(language: &str) {
    let path = format!("docs/first/{language}.md");
    assert!(FIRST.contains(&&*path));
    run(|page| page.path == Path::new(&path));
}

#[test]
fn a_first_plugin_in_rust_is_built_and_run() {
    first("rust");
}

#[test]
fn a_first_plugin_in_c_is_built_and_run() {
    first("c");
}

#[test]
fn a_first_plugin_in_zig_is_built_and_run() {
    first("zig");
}

#[test]
fn a_first_plugin_in_go_is_built_and_run() {
    first("go");
}

#[test]
fn a_first_plugin_in_assemblyscript_is_built_and_run() {
    first("assemblyscript");
}

#[test]
fn a_first_plugin_in_javascript_is_built_and_run() {
    first("javascript");
}

#[test]
fn a_first_plugin_in_python_is_built_and_run() {
    first("python");
}

#[test]
fn commands_print_what_the_pages_show() {
    // The READMEs for those who use hostel, not for those who work on it.
    let files = [
        "README.md",
        "cli/README.md",
        "guests/README.md",
        "guests/sdk/README.md",
        "c-face/README.md",
    ];
    run(|page| {
        let is_one = |paths: &[&str]| paths.iter().any(|path| page.path == Path::new(path));
        is_one(&files) || (page.path.starts_with("docs") && !is_one(&FIRST))
    });
}

#[test]
fn links_lead_to_files_and_headings() {
    links::check(&root(), &pages());
}

#[test]
fn the_summary_lists_each_page() {
    let root = root();
    let summary = Page::read(&root, "docs/SUMMARY.md".into());
    for page in pages() {
        let Ok(path) = page.path.strip_prefix("docs") else {
            continue;
        };
        let is_listed = summary
            .links
            .iter()
            .any(|link| Path::new(&link.target) == path);
        assert!(
            is_listed || path == Path::new("SUMMARY.md"),
            "{} is not in SUMMARY.md",
            path.display()
        );
    }
}

#[test]
fn rust_of_each_page_is_a_doctest() {
    let doctests = fs::read_to_string(root().join("tests/book/src/lib.rs"));
    let doctests = doctests.expect("the doctests are there");
    for page in pages() {
        // A whole file is compiled with the rest of its page.
        let is_rust =
            |block: &page::Block| block.language == "rust" && block.attribute("file").is_none();
        let has_rust = page.blocks.iter().any(is_rust);
        // The README's program is an example of `hostel`, whose tests compare the two. A component's code needs
        // another crate.
        let elsewhere = ["README.md", "guests/components/README.md"].map(Path::new);
        let include = format!("include_str!(\"../../../{}\")", page.path.display());
        assert!(
            !has_rust || elsewhere.contains(&&*page.path) || doctests.contains(&include),
            "{} is missing in tests/book/src/lib.rs",
            page.path.display()
        );
    }
}

#[test]
fn each_error_code_has_its_cause_and_its_cure() {
    codes::check(&root());
}
