//! Compares the table of error codes in the book with the codes in the sources.

use std::{collections::BTreeSet, fs, path::Path};

/// The functions that return codes begin so.
const STARTS: [&str; 5] = [
    "fn code(&self) -> &'static str",
    "fn code(&self) -> &str",
    "fn words(self) -> (&'static str, &'static str)",
    "fn kind(&self) -> (&'static str, ErrorClass)",
    "const OWN: [(&str, u16, &str)",
];

/// Words that begin a code in another place than such a function.
const CALLS: [&str; 5] = [
    "Failure::new(Exit::",
    "Self::new(Exit::",
    "=> (Exit::",
    "(HostelCode::",
    "code: \"",
];

/// The crates whose errors users see.
const CRATES: [&str; 8] = [
    "core", "std-shim", "server", "fleet", "contract", "lower", "cli", "c-face",
];

pub(super) fn check(root: &Path) {
    let mut expected = BTreeSet::new();
    for name in CRATES {
        for (path, text) in sources(&root.join(name).join("src")) {
            // Differences of contracts are no errors: `hostel check` lists them.
            if !path.ends_with("difference.rs") {
                expected.extend(codes(&text));
            }
        }
    }
    assert!(expected.len() > 120, "{}: {expected:?}", expected.len());
    let text = fs::read_to_string(root.join("docs/troubleshoot.md")).expect("the page is there");
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells = line
            .trim_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect::<Vec<_>>();
        let [codes, cause, cure] = cells[..] else {
            panic!("expected a code, a cause and a cure, found: {line}");
        };
        assert!(cause.len() > 10 && cure.len() > 10, "{line}");
        for code in codes.split(", ") {
            let code = code.trim_matches('`').to_owned();
            assert!(found.insert(code.clone()), "`{code}` is listed twice");
        }
    }
    let list =
        |codes: &BTreeSet<String>, others| codes.difference(others).cloned().collect::<Vec<_>>();
    assert!(
        expected == found,
        "docs/troubleshoot.md lacks {:?}, and lists {:?}, which no source has",
        list(&expected, &found),
        list(&found, &expected),
    );
}

/// Returns the sources below a folder, without tests.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for entry in folder.read_dir().expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            sources.extend(self::sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is text");
            let text = text
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default()
                .to_owned();
            sources.push((path.to_string_lossy().into_owned(), text));
        }
    }
    sources
}

/// Returns the codes in a source.
fn codes(source: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    // The line that ends the function.
    let mut end = None;
    for line in source.lines() {
        if STARTS.iter().any(|start| line.contains(start)) && !line.trim_start().starts_with("//") {
            let indent = line.len() - line.trim_start().len();
            end = Some(format!(
                "{}{}",
                " ".repeat(indent),
                if line.contains("OWN") { "];" } else { "}" }
            ));
        } else if end.as_deref() == Some(line) {
            end = None;
        }
        let code = line.split("//").next().unwrap_or_default().trim();
        // In a tuple of a code and a text, which is too long for one line.
        let stands_alone = code.starts_with('"') && code.ends_with("\".into(),");
        if end.is_some() || stands_alone || CALLS.iter().any(|call| code.contains(call)) {
            let texts = code.split('"').skip(1).step_by(2);
            codes.extend(texts.filter(|text| is_code(text)).map(str::to_owned));
        }
    }
    codes
}

/// Returns whether a text has the form of a code: lower-case words with hyphens.
fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
