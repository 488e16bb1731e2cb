//! Compares the ids of threats that tests name with those in docs/threats.md, both ways.

use crate::case::Case;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// The folder of the hostile guests, from the workspace's root.
const HOSTILE: &str = "tests/tests/hostile";

/// The folders of tests that docs/threats.md may name, from the workspace's root.
const TESTS: [&str; 10] = [
    "tests/tests",
    "slots/tests",
    "mappings/tests",
    "contract/tests",
    "cli/tests",
    "core/src",
    "fleet/src",
    "std-shim/src",
    "server/src",
    "server/tests",
];

/// A row of a table in docs/threats.md.
struct Threat {
    id: String,
    tested_in: String,
}

/// Returns every difference between docs/threats.md, the cases and the other tests.
///
/// # Errors
///
/// If a file can't be read.
pub(crate) fn differences(cases: &[Case]) -> io::Result<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let threats = threats(&fs::read_to_string(root.join("docs/threats.md"))?);
    let mut sources = BTreeMap::new();
    for folder in TESTS {
        read_sources(&root.join(folder), &mut sources)?;
    }
    let hostile = root.join(HOSTILE);
    let named: BTreeSet<_> = cases.iter().flat_map(|case| ids(&case.name)).collect();
    let mentioned: BTreeSet<_> = sources
        .iter()
        .filter(|(path, _)| path.starts_with(root.join(TESTS[0])))
        .flat_map(|(_, text)| ids(text))
        .collect();

    let mut differences = Vec::new();
    let mut known = BTreeSet::new();
    for Threat { id, tested_in } in &threats {
        if !known.insert(id.as_str()) {
            differences.push(format!("docs/threats.md has two rows {id}"));
        }
        if let Some(reason) = tested_in.strip_prefix("not tested:") {
            if reason.trim().is_empty() {
                differences.push(format!(
                    "docs/threats.md does not say why {id} is not tested"
                ));
            }
            if named.contains(id.as_str()) {
                differences.push(format!(
                    "docs/threats.md says that {id} is not tested: it is"
                ));
            }
            continue;
        }
        // Names stand between backticks: they are every second part.
        let tests: Vec<_> = tested_in.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            differences.push(format!("docs/threats.md names no test for {id}"));
        }
        for test in tests {
            let found = if test.ends_with(".rs") {
                // Comments may name a fault of the interpreter, but a threat needs a case.
                let has_case = named.contains(id.as_str()) || id.starts_with('W');
                let text = sources.get(&hostile.join(test));
                has_case && text.is_some_and(|text| ids(text).contains(id.as_str()))
            } else {
                sources.iter().any(|(path, text)| is_test(test, path, text))
            };
            if !found {
                differences.push(format!("docs/threats.md: {id} is not tested in `{test}`"));
            }
        }
    }
    for id in mentioned.union(&named) {
        if !known.contains(id) {
            differences.push(format!(
                "a test names {id}, which docs/threats.md does not have"
            ));
        }
    }
    Ok(differences)
}

/// Reads the rows of the tables: those that begin with an id.
fn threats(document: &str) -> Vec<Threat> {
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.split(" | ").collect();
        let (id, last) = (*cells.first()?, *cells.last()?);
        is_id(id).then(|| Threat {
            id: id.to_owned(),
            tested_in: last.trim_end_matches(" |").to_owned(),
        })
    });
    rows.collect()
}

/// Reads all Rust files below `folder`.
fn read_sources(folder: &Path, sources: &mut BTreeMap<PathBuf, String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_sources(&path, sources)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path)?;
            sources.insert(path, text);
        }
    }
    Ok(())
}

/// Whether a file is a test program of this name, or has a test function of this name.
fn is_test(name: &str, path: &Path, text: &str) -> bool {
    let function = format!("fn {name}()");
    let functions = text.split("#[test]").skip(1);
    path.file_stem().is_some_and(|stem| stem == name)
        || functions
            .map(str::trim_start)
            .any(|text| text.starts_with(&function))
}

/// The ids of threats in a text. What follows two colons is a name in code, such as `Value::S16`.
fn ids(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
    let words = words.map(|word| word.trim_end_matches(':'));
    words.filter(|word| is_id(word)).collect()
}

/// Whether a word is an id: the letter of a family and two digits, or a W and one or two.
fn is_id(word: &str) -> bool {
    let Some((family, number)) = word.split_at_checked(1) else {
        return false;
    };
    let digits = match family {
        "M" | "R" | "A" | "S" | "X" | "L" | "K" | "V" | "P" | "T" | "C" | "D" | "H" | "N" => 2..=2,
        "W" => 1..=2,
        _ => return false,
    };
    digits.contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}
