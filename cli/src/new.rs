//! `hostel new`: writes a plugin to start from, with its tests and the SDK of its language.

use super::{
    arguments::{Language, New},
    exit::Exit,
    failure::Failure,
    output,
};
use std::{fs, io, path::Path};

/// A file of a new plugin: its path, and its text, in which `{{name}}` and `{{version}}` are replaced.
type File = (&'static str, &'static str);

/// Returns a file of the folder `templates`, or one of the SDKs in the folder `sdk`.
macro_rules! text {
    ($path:literal) => {
        include_str!(concat!("../", $path))
    };
}

/// The sources of the crate hostel-guest.
macro_rules! guest {
    ($($name:literal)*) => {
        [$((
            concat!("hostel-guest/src/", $name),
            include_str!(concat!("../sdk/rust/", $name)),
        )),*]
    };
}

const GUEST: [File; 16] = guest! {
    "abi.rs" "allocator.rs" "error.rs" "host.rs" "host_functions.rs" "http.rs" "in_place.rs" "json.rs" "lib.rs" "no_heap.rs"
    "panic_handler.rs" "panic_log.rs" "plugin.rs" "state.rs" "testing.rs" "value.rs"
};

const RUST: [File; 5] = [
    ("Cargo.toml", text!("templates/rust/Cargo.toml.in")),
    (".cargo/config.toml", text!("templates/rust/config.toml")),
    ("src/lib.rs", text!("templates/rust/lib.rs")),
    (
        "hostel-guest/Cargo.toml",
        text!("templates/rust/guest.toml.in"),
    ),
    (".gitignore", text!("templates/rust/gitignore")),
];

const C: [File; 4] = [
    ("Makefile", text!("templates/c/Makefile.in")),
    ("plugin.c", text!("templates/c/plugin.c")),
    ("hostel.h", text!("sdk/hostel.h")),
    (".gitignore", text!("templates/c/gitignore")),
];

const ZIG: [File; 4] = [
    ("Makefile", text!("templates/zig/Makefile.in")),
    ("plugin.zig", text!("templates/zig/plugin.zig")),
    ("hostel.zig", text!("sdk/hostel.zig")),
    (".gitignore", text!("templates/zig/gitignore")),
];

const GO: [File; 9] = [
    ("Makefile", text!("templates/go/Makefile.in")),
    ("go.mod", text!("templates/go/go.mod.in")),
    ("main.go", text!("templates/go/main.go.in")),
    ("hostel/go.mod", text!("sdk/go.mod")),
    ("hostel/hostel.go", text!("sdk/hostel.go")),
    (
        "hostel/hosteljson/hosteljson.go",
        text!("sdk/hosteljson.go"),
    ),
    ("hostel/http.go", text!("sdk/http.go")),
    ("hostel/state.go", text!("sdk/state.go")),
    (".gitignore", text!("templates/go/gitignore")),
];

const ASSEMBLYSCRIPT: [File; 4] = [
    (
        "package.json",
        text!("templates/assemblyscript/package.json.in"),
    ),
    ("plugin.ts", text!("templates/assemblyscript/plugin.ts")),
    ("hostel.ts", text!("sdk/hostel.ts")),
    (".gitignore", text!("templates/assemblyscript/gitignore")),
];

const JAVASCRIPT: [File; 3] = [
    (
        "package.json",
        text!("templates/javascript/package.json.in"),
    ),
    ("plugin.js", text!("templates/javascript/plugin.js")),
    (".gitignore", text!("templates/javascript/gitignore")),
];

const PYTHON: [File; 4] = [
    ("Makefile", text!("templates/python/Makefile.in")),
    ("plugin.py", text!("templates/python/plugin.py")),
    (
        "requirements.txt",
        text!("templates/python/requirements.txt"),
    ),
    (".gitignore", text!("templates/python/gitignore")),
];

/// The test cases of plugins of the native convention.
const TESTS: [File; 1] = [("tests.toml", text!("templates/tests.toml"))];

/// The contract and the test cases of plugins that are components.
const COMPONENT: [File; 2] = [
    ("wit/plugin.wit", text!("templates/component.wit")),
    ("tests.toml", text!("templates/component.toml")),
];

impl Language {
    fn files(self) -> Vec<File> {
        let (files, beside): (&[File], &[File]) = match self {
            Self::Rust => (&RUST, &TESTS),
            Self::C => (&C, &TESTS),
            Self::Zig => (&ZIG, &TESTS),
            Self::Go => (&GO, &TESTS),
            Self::Assemblyscript => (&ASSEMBLYSCRIPT, &TESTS),
            Self::Js => (&JAVASCRIPT, &COMPONENT),
            Self::Python => (&PYTHON, &COMPONENT),
        };
        let sdk: &[File] = if self == Self::Rust { &GUEST } else { &[] };
        [files, sdk, beside].concat()
    }

    /// Returns the commands that build the plugin, and the path of what they build.
    fn build(self, name: &str) -> (&'static [&'static str], String) {
        match self {
            Self::Rust => {
                let file = name.replace('-', "_");
                let commands = &["cargo build --release --target wasm32-unknown-unknown"];
                (
                    commands,
                    format!("target/wasm32-unknown-unknown/release/{file}.wasm"),
                )
            }
            Self::C | Self::Zig | Self::Go | Self::Python => (&["make"], format!("{name}.wasm")),
            Self::Assemblyscript | Self::Js => {
                (&["npm install", "npm run build"], format!("{name}.wasm"))
            }
        }
    }
}

pub(super) fn new(arguments: &New) -> Result<Exit, Failure> {
    let folder = &arguments.path;
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.filter(|name| is_name(name)).ok_or_else(|| {
        Failure::usage(format!(
            "expected a name of lower-case letters, digits, - and _ that begins with a letter, found {}",
            folder.display()
        ))
    })?;
    if is_reserved(name) {
        let message =
            format!("the name `{name}` is reserved, for a package or for a device of Windows");
        return Err(Failure::usage(message).with_hint("choose another name"));
    }
    // Nothing of the user's is replaced.
    fs::create_dir(folder).map_err(|error| {
        let failure = Failure::unwritable(folder, &error);
        match error.kind() {
            io::ErrorKind::AlreadyExists => failure.with_hint("choose another name"),
            _ => failure,
        }
    })?;
    for (path, text) in arguments.lang.files() {
        let path = folder.join(path);
        let text = text
            .replace("{{name}}", name)
            .replace("{{version}}", env!("CARGO_PKG_VERSION"));
        write(&path, &text).map_err(|error| Failure::unwritable(&path, &error))?;
    }
    let (commands, plugin) = arguments.lang.build(name);
    let mut text = format!("Wrote the plugin {}. Next:\n\n", folder.display());
    let enter = format!("cd {}", folder.display());
    let test = format!("hostel test {plugin}");
    let run = match arguments.lang {
        // What the contract imports has no value by itself.
        Language::Js | Language::Python => {
            format!("hostel run {plugin} --callback setting=none Ann")
        }
        _ => format!("hostel run {plugin} Ann"),
    };
    let lines = [&*enter].into_iter().chain(commands.iter().copied());
    for line in lines.chain([&*test, &*run]) {
        text.push_str(&format!("  {line}\n"));
    }
    output::text(&text)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// Returns whether it is a name that the tools of all languages take for a package.
fn is_name(name: &str) -> bool {
    let part =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= 64
        && name.bytes().all(part)
}

/// Returns whether it names a package that the plugin itself uses or that Rust has, or a device, which can't be a file on
/// Windows.
fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "hostel",
        "hostel-guest",
        "core",
        "std",
        "alloc",
        "test",
        "con",
        "prn",
        "aux",
        "nul",
    ];
    let port = name
        .strip_prefix("com")
        .or_else(|| name.strip_prefix("lpt"));
    NAMES.contains(&name)
        || port.is_some_and(|port| port.len() == 1 && port.as_bytes()[0].is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{GUEST, is_name, is_reserved};
    use std::{collections::BTreeSet, fs, path::Path};

    #[test]
    fn the_sdk_is_written_as_a_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/sdk/src");
        let found = fs::read_dir(folder).unwrap().map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            format!("hostel-guest/src/{name}")
        });
        let written = GUEST.map(|(path, _)| path.to_owned());
        assert_eq!(found.collect::<BTreeSet<_>>(), BTreeSet::from(written));
    }

    #[test]
    fn a_name_is_one_of_a_package() {
        for name in ["a", "my-plugin", "a_1"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1a", "-a", "A", "a.b", "a b", "ä"] {
            assert!(!is_name(name), "{name}");
        }
        for name in ["hostel", "test", "con", "lpt1"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["tests", "console", "com", "coma", "com10"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
