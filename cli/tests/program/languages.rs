//! `docs/languages.md`: the features of each SDK and what they cost, as a plugin in each language has them. All pass the
//! cases of `guests/tour/tests.toml`. `HOSTEL_WRITE_LANGUAGES=1` writes the document's tables anew.

use super::{Ended, Files, guest, hostel};
use std::{collections::BTreeMap, fs, path::Path};

/// A plugin that has all features that its SDK has.
struct Language {
    name: &'static str,
    plugin: &'static str,
    /// The beginning of the names of cases that it does not pass, and what the document says of the feature instead.
    lacks: Option<(&'static str, &'static str)>,
    /// Whether a call always uses equal fuel: Go seeds its hash tables at random.
    exact: bool,
}

const LANGUAGES: [Language; 5] = [
    Language {
        name: "Rust",
        plugin: "tour",
        lacks: None,
        exact: true,
    },
    Language {
        name: "C",
        plugin: "c_tour",
        lacks: Some(("JSON: ", "by a library")),
        exact: true,
    },
    Language {
        name: "Zig",
        plugin: "zig_tour",
        lacks: None,
        exact: true,
    },
    Language {
        name: "Go",
        plugin: "go_tour",
        lacks: None,
        exact: false,
    },
    Language {
        name: "AssemblyScript",
        plugin: "as_tour",
        lacks: Some((
            "JSON: what is none",
            "yes; input that is no JSON stops the plugin",
        )),
        exact: true,
    },
];

/// A case whose fuel the document has.
struct Measured {
    case: &'static str,
    label: &'static str,
    /// For languages whose fuel is not exact: it is less.
    under: u64,
}

const MEASURED: [Measured; 4] = [
    Measured {
        case: "bytes: any bytes go in and out",
        label: "4 bytes in and out",
        under: 50_000,
    },
    Measured {
        case: "JSON: in and out",
        label: "JSON in and out",
        under: 1_000_000,
    },
    Measured {
        case: "state: get and set",
        label: "a value of the state read and set",
        under: 50_000,
    },
    Measured {
        case: "HTTP: a response",
        label: "an HTTP request",
        under: 200_000,
    },
];

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn cases() -> String {
    fs::read_to_string(repository().join("guests/tour/tests.toml")).expect("the cases are there")
}

/// Returns the features, in the order of the cases, without repetition.
fn features(cases: &str) -> Vec<&str> {
    let names = cases
        .lines()
        .filter_map(|line| line.strip_prefix("name = \""));
    let mut features: Vec<_> = names
        .map(|name| name.split_once(": ").expect("a feature and a case").0)
        .collect();
    features.dedup();
    features
}

/// Returns the cases without those whose names begin so.
fn without(cases: &str, lacking: &str) -> String {
    let (head, rest) = cases.split_once("\n[[case]]").expect("there are cases");
    let left = rest
        .split("\n[[case]]")
        .filter(|case| !case.contains(&format!("name = \"{lacking}")));
    left.fold(head.to_owned(), |text, case| {
        format!("{text}\n[[case]]{case}")
    })
}

/// Runs cases on a plugin.
fn run(language: &Language, cases: &str) -> Ended {
    let files = Files::new();
    let key = fs::read(repository().join("guests/tour/long_key.txt"));
    files.file("long_key.txt", &key.expect("a key is there"));
    let tests = files.file("tests.toml", cases.as_bytes());
    hostel(&["test", &guest(language.plugin), &tests])
}

/// Runs the cases, all of which have to pass, but for those that the language lacks. Returns the fuel of each.
fn tested(language: &Language, cases: &str) -> BTreeMap<String, u64> {
    let ended = match language.lacks {
        Some((lacking, _)) => {
            assert_ne!(run(language, cases).code, Some(0), "{}", language.name);
            run(language, &without(cases, lacking))
        }
        None => run(language, cases),
    };
    let ended = ended.expect(0);
    let lines = ended.text().lines();
    lines
        .filter_map(|line| line.strip_prefix("ok      ")?.strip_suffix(" fuel"))
        .map(|line| {
            let (name, fuel) = line.rsplit_once("  ").expect("a name and fuel");
            (name.to_owned(), fuel.parse().expect("fuel is a number"))
        })
        .collect()
}

fn inspected(language: &Language) -> serde_json::Value {
    hostel(&[
        "inspect",
        "--json",
        "--stub=shop.price",
        &guest(language.plugin),
    ])
    .expect(0)
    .json()
}

/// Returns a row of a table.
fn row(first: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.collect();
    format!("| {first} | {} |\n", cells.join(" | "))
}

/// Returns a number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn tables() -> String {
    let cases = cases();
    let measured: Vec<_> = LANGUAGES.iter().map(|it| tested(it, &cases)).collect();
    let inspected: Vec<_> = LANGUAGES.iter().map(inspected).collect();
    let mut text = row("feature", LANGUAGES.iter().map(|it| it.name.to_owned()));
    text.push_str("|---|---|---|---|---|---|\n");
    for feature in features(&cases) {
        let cells = LANGUAGES.iter().map(|it| match it.lacks {
            Some((lacking, instead)) if lacking.split(": ").next() == Some(feature) => {
                instead.to_owned()
            }
            _ => "yes".to_owned(),
        });
        text.push_str(&row(feature, cells));
    }
    text.push('\n');
    text.push_str(&row(
        "cost of the whole plugin",
        LANGUAGES.iter().map(|it| it.name.to_owned()),
    ));
    text.push_str("|---|---|---|---|---|---|\n");
    let bytes = inspected
        .iter()
        .map(|it| grouped(it["bytes"].as_u64().expect("a size")));
    text.push_str(&row("bytes of the file", bytes));
    let memory = inspected.iter().map(|it| {
        let bytes = it["module"]["memories"][0]["bytes"].as_u64();
        grouped(bytes.expect("a size") / 1024)
    });
    text.push_str(&row("KiB of memory at its start", memory));
    for Measured { case, label, under } in MEASURED {
        let cells = LANGUAGES.iter().zip(&measured).map(|(it, fuel)| {
            let Some(fuel) = fuel.get(case).copied() else {
                return String::new();
            };
            if it.exact {
                return grouped(fuel);
            }
            assert!(fuel < under, "{}: {case}: {fuel} fuel", it.name);
            format!("under {}", grouped(under))
        });
        text.push_str(&row(&format!("fuel of {label}"), cells));
    }
    text
}

const BEGIN: &str = "<!-- begin of what the test `languages` writes -->\n";
const END: &str = "<!-- end of what the test `languages` writes -->\n";

#[test]
fn each_sdk_has_the_features_of_the_documents_table() {
    let path = repository().join("docs/languages.md");
    let document = fs::read_to_string(&path).expect("the document is there");
    let (before, rest) = document.split_once(BEGIN).expect("its tables begin");
    let (found, after) = rest.split_once(END).expect("its tables end");
    let tables = tables();
    if std::env::var_os("HOSTEL_WRITE_LANGUAGES").is_some() {
        fs::write(&path, [before, BEGIN, &tables, END, after].concat()).expect("it is written");
        return;
    }
    assert_eq!(
        found, tables,
        "HOSTEL_WRITE_LANGUAGES=1 cargo test -p hostel-cli --test program languages writes docs/languages.md anew"
    );
}
