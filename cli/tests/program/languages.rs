//! `docs/languages.md`: the features of each SDK and what they cost, as a plugin in each language has them. All pass the
//! cases of `guests/tour/tests.toml`, or of `component.toml` beside it. `HOSTEL_WRITE_LANGUAGES=1` writes the document's tables anew.

use super::{Ended, Files, component_tools, guest, hostel, path};
use std::{collections::BTreeMap, fs, path::Path, thread};

/// A plugin that has all features that its SDK has.
struct Language {
    name: &'static str,
    plugin: Plugin,
    /// The beginning of the names of cases that it does not pass.
    lacks: Option<&'static str>,
    /// What the document says of features instead of `yes`.
    cells: &'static [(&'static str, &'static str)],
    /// More than the fuel of each case of `MEASURED`, if a call does not always use equal fuel.
    under: Option<[u64; 4]>,
}

enum Plugin {
    /// A module in `guests/prebuilt`, with an SDK.
    Module(&'static str),
    /// A component, as `guests/components/build.sh` builds it.
    Component(&'static str),
}

const LANGUAGES: [Language; 7] = [
    Language {
        name: "Rust",
        plugin: Plugin::Module("tour"),
        lacks: None,
        cells: &[],
        under: None,
    },
    Language {
        name: "C",
        plugin: Plugin::Module("c_tour"),
        lacks: Some("JSON: "),
        cells: &[("JSON", "by a library")],
        under: None,
    },
    Language {
        name: "Zig",
        plugin: Plugin::Module("zig_tour"),
        lacks: None,
        cells: &[],
        under: None,
    },
    Language {
        name: "Go",
        plugin: Plugin::Module("go_tour"),
        lacks: None,
        cells: &[],
        // Go seeds its hash tables at random.
        under: Some([50_000, 1_000_000, 50_000, 200_000]),
    },
    Language {
        name: "AssemblyScript",
        plugin: Plugin::Module("as_tour"),
        lacks: Some("JSON: what is none"),
        cells: &[("JSON", "yes; input that is no JSON stops the plugin")],
        under: None,
    },
    Language {
        name: "JavaScript",
        plugin: Plugin::Component("javascript_tour.wasm"),
        lacks: None,
        cells: &[
            ("settings", "by the contract"),
            ("log", "without levels"),
            ("state", "by the contract"),
            ("HTTP", "`fetch`"),
            ("panics", "in functions without a `result`"),
        ],
        // The tools write other bytes each time.
        under: Some([1_000_000, 1_200_000, 2_000_000, 2_000_000]),
    },
    Language {
        name: "Python",
        plugin: Plugin::Component("python_tour.wasm"),
        lacks: None,
        cells: &[
            ("settings", "by the contract"),
            ("log", "without levels"),
            ("state", "by the contract"),
            ("HTTP", "`wasi:http`"),
        ],
        under: Some([200_000, 400_000, 300_000, 2_000_000]),
    },
];

/// A case whose fuel the document has.
struct Measured {
    case: &'static str,
    label: &'static str,
}

const MEASURED: [Measured; 4] = [
    Measured {
        case: "bytes: any bytes go in and out",
        label: "4 bytes in and out",
    },
    Measured {
        case: "JSON: in and out",
        label: "JSON in and out",
    },
    Measured {
        case: "state: get and set",
        label: "a value of the state read and set",
    },
    Measured {
        case: "HTTP: a response",
        label: "an HTTP request",
    },
];

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn cases(name: &str) -> String {
    let path = repository().join("guests/tour").join(name);
    fs::read_to_string(path).expect("the cases are there")
}

impl Language {
    fn is_component(&self) -> bool {
        matches!(self.plugin, Plugin::Component(_))
    }

    fn path(&self) -> String {
        match self.plugin {
            Plugin::Module(name) => guest(name),
            Plugin::Component(file) => {
                let tools = component_tools().expect("else it is left out");
                path(&tools.join("components").join(file)).to_owned()
            }
        }
    }
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
    hostel(&["test", &language.path(), &tests])
}

/// Runs the cases, all of which have to pass, but for those that the language lacks. Returns the fuel of each.
fn tested(language: &Language) -> BTreeMap<String, u64> {
    let cases = cases(if language.is_component() {
        "component.toml"
    } else {
        "tests.toml"
    });
    let ended = match language.lacks {
        Some(lacking) => {
            assert_ne!(run(language, &cases).code, Some(0), "{}", language.name);
            run(language, &without(&cases, lacking))
        }
        None => run(language, &cases),
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

/// Returns the size of the file, and of the memory at its start in KiB.
fn sizes(language: &Language) -> (String, String) {
    let plugin = language.path();
    let mut arguments = vec!["inspect", "--json", &plugin];
    let stubs: &[&str] = if language.is_component() {
        &[
            "--stub=hostel:tour/shop#*",
            "--stub=hostel:tour/settings#*",
            "--stub=hostel:tour/state#*",
        ]
    } else {
        &["--stub=shop.price"]
    };
    arguments.extend(stubs);
    let found = hostel(&arguments).expect(0).json();
    let number = |value: &serde_json::Value| value.as_u64().expect("a size");
    let bytes = number(&found["bytes"]);
    if language.is_component() {
        let memory = number(&found["component"]["memory"]["bytes"]);
        // The tools write other bytes each time.
        return (
            format!("about {} million", (bytes + 500_000) / 1_000_000),
            format!("under {}", grouped((memory / 1024 / 1000 + 1) * 1000)),
        );
    }
    let memory = number(&found["module"]["memories"][0]["bytes"]);
    (grouped(bytes), grouped(memory / 1024))
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

fn tables(languages: &[Language]) -> String {
    let names = || languages.iter().map(|it| it.name.to_owned());
    let line = format!("|---{}|\n", "|---".repeat(languages.len()));
    // At one time: an interpreter takes a second to load, for each case.
    let measured: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = languages
            .iter()
            .map(|it| scope.spawn(|| tested(it)))
            .collect();
        let ended = runs.into_iter().map(|run| run.join().expect("it passes"));
        ended.collect()
    });
    let sizes: Vec<_> = languages.iter().map(sizes).collect();
    let mut text = row("feature", names()) + &line;
    for feature in features(&cases("tests.toml")) {
        let cells = languages.iter().map(|it| {
            let other = it.cells.iter().find(|(of, _)| *of == feature);
            other.map_or("yes", |(_, cell)| cell).to_owned()
        });
        text.push_str(&row(feature, cells));
    }
    text.push('\n');
    text.push_str(&(row("cost of the whole plugin", names()) + &line));
    let bytes = sizes.iter().map(|(bytes, _)| bytes.clone());
    text.push_str(&row("bytes of the file", bytes));
    let memory = sizes.iter().map(|(_, memory)| memory.clone());
    text.push_str(&row("KiB of memory at its start", memory));
    for (index, Measured { case, label }) in MEASURED.iter().enumerate() {
        let cells = languages.iter().zip(&measured).map(|(it, fuel)| {
            let Some(fuel) = fuel.get(*case).copied() else {
                return String::new();
            };
            let Some(under) = it.under else {
                return grouped(fuel);
            };
            let under = under[index];
            assert!(fuel < under, "{}: {case}: {fuel} fuel", it.name);
            format!("under {}", grouped(under))
        });
        text.push_str(&row(&format!("fuel of {label}"), cells));
    }
    text
}

/// Returns the columns of tables for the first languages.
fn first(tables: &str, languages: usize) -> String {
    let lines = tables.lines().map(|line| {
        let cells: Vec<_> = line.split('|').take(languages + 2).collect();
        let end = if line.is_empty() { "" } else { "|" };
        format!("{}{end}\n", cells.join("|"))
    });
    lines.collect()
}

const BEGIN: &str = "<!-- begin of what the test `languages` writes -->\n";
const END: &str = "<!-- end of what the test `languages` writes -->\n";

#[test]
fn the_sdks_and_components_in_javascript_and_python_have_the_features_of_the_documents_table() {
    let languages = match component_tools() {
        Some(_) => &LANGUAGES[..],
        None => &LANGUAGES[..5],
    };
    let tables = tables(languages);
    let path = repository().join("docs/languages.md");
    let document = fs::read_to_string(&path).expect("the document is there");
    let (before, rest) = document.split_once(BEGIN).expect("its tables begin");
    let (found, after) = rest.split_once(END).expect("its tables end");
    if std::env::var_os("HOSTEL_WRITE_LANGUAGES").is_some() {
        assert_eq!(
            languages.len(),
            LANGUAGES.len(),
            "the table needs HOSTEL_COMPONENT_TOOLS"
        );
        fs::write(&path, [before, BEGIN, &tables, END, after].concat()).expect("it is written");
        return;
    }
    assert_eq!(
        first(found, languages.len()),
        tables,
        "HOSTEL_WRITE_LANGUAGES=1 HOSTEL_COMPONENT_TOOLS=$PWD/guests/target cargo test -p hostel-cli --test program languages \
         writes docs/languages.md anew"
    );
}

/// The cases of components are those of modules: some expect less, or another text of the host's error.
#[test]
fn components_have_the_inputs_and_outputs_of_modules() {
    let read = |name| {
        let cases: toml::Table = cases(name).parse().expect("it is TOML");
        let cases = cases["case"].as_array().expect("cases").clone();
        let cases = cases.into_iter().map(|case| {
            let expected = case.get("expect").and_then(|it| it.get("output"));
            let part = |key| case.get(key).cloned();
            let parts = [part("call"), part("input"), expected.cloned()];
            (case["name"].as_str().expect("a name").to_owned(), parts)
        });
        cases.collect::<BTreeMap<_, _>>()
    };
    let (modules, components) = (read("tests.toml"), read("component.toml"));
    for (name, parts) in &modules {
        assert_eq!(components.get(name), Some(parts), "{name}");
    }
}
