//! M01-M03: bytes that are no module, text, and files that are no file.

use crate::{
    bytes::{module, one_of_each},
    case::{Act, Case, Kit, Source, Verdict, clean, load, refused},
};
use hostel::{load_file, read_module};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    preambles(&mut cases);
    truncations(&mut cases);
    texts(&mut cases);
    files(&mut cases);
    cases
}

// M01

fn preambles(cases: &mut Vec<Case>) {
    for (what, bytes, code) in [
        ("no bytes", &b""[..], "empty-module"),
        ("1 byte", b"\0", "truncated-module"),
        ("2 bytes", b"\0a", "truncated-module"),
        ("3 bytes", b"\0as", "truncated-module"),
        ("4 bytes", b"\0asm", "truncated-module"),
        ("5 bytes", b"\0asm\x01", "truncated-module"),
        ("6 bytes", b"\0asm\x01\0", "truncated-module"),
        ("7 bytes", b"\0asm\x01\0\0", "truncated-module"),
        ("8 bytes", b"\0asm\x01\0\0\0", "mismatch missing-export"),
        ("magic in capitals", b"\0ASM\x01\0\0\0", "not-wasm"),
        ("magic backwards", b"msa\0\x01\0\0\0", "not-wasm"),
        ("magic one off", b"\x01asm\x01\0\0\0", "not-wasm"),
        ("zeros", &[0; 64], "not-wasm"),
        ("ones", &[0xff; 64], "not-wasm"),
        ("version 0", b"\0asm\0\0\0\0", "invalid-module"),
        ("version 2", b"\0asm\x02\0\0\0", "invalid-module"),
        ("version 256", b"\0asm\0\x01\0\0", "invalid-module"),
        (
            "version of ones",
            b"\0asm\xff\xff\xff\xff",
            "invalid-module",
        ),
        ("component", b"\0asm\x0d\0\x01\0", "component"),
        ("component of old", b"\0asm\x0a\0\x01\0", "component"),
        (
            "component with a module inside",
            b"\0asm\x0d\0\x01\0\x01\x08\0asm\x01\0\0\0",
            "component",
        ),
        ("layer 2", b"\0asm\x01\0\x02\0", "invalid-module"),
        (
            "module in a module",
            b"\0asm\x01\0\0\0\0asm\x01\0\0\0",
            "truncated-module",
        ),
        ("ELF", b"\x7fELF\x02\x01\x01\0", "not-wasm"),
        ("gzip", b"\x1f\x8b\x08\0\0\0", "not-wasm"),
    ] {
        load(cases, format!("M01/{what}"), bytes.to_vec(), code);
    }
}

/// Each kind of section, cut at each kind of place.
fn truncations(cases: &mut Vec<Case>) {
    let mut start = 8;
    let sections = one_of_each();
    let all: Vec<_> = sections.iter().map(|(_, bytes)| bytes.clone()).collect();
    let wasm = module(&all);
    for (what, bytes) in &sections {
        let end = start + bytes.len();
        let mut last = 0;
        for (place, at) in [
            ("after its id", start + 1),
            ("after its size", start + 2),
            ("in its middle", start + 2 + (bytes.len() - 2) / 2),
            ("before its last byte", end - 1),
        ] {
            if at > last {
                let cut = wasm[..at].to_vec();
                load(
                    cases,
                    format!("M01/cut in the {what} section {place}"),
                    cut,
                    "truncated-module",
                );
                last = at;
            }
        }
        start = end;
    }
    load(cases, "M01/cut nowhere", wasm, "loaded");
}

// M02

fn texts(cases: &mut Vec<Case>) {
    let nested = |open: &'static str, close: &'static str, depth: usize| {
        Source::made(move || {
            [open.repeat(depth), close.repeat(depth)]
                .concat()
                .into_bytes()
        })
    };
    load(
        cases,
        "M02/200,000 nested parentheses",
        nested("(", ")", 200_000),
        "not-wasm",
    );
    load(
        cases,
        "M02/text of 1.6 MB, nested",
        Source::made(|| {
            let blocks = ["(block ".repeat(200_000), ")".repeat(200_000)].concat();
            format!("(module (func {blocks}))").into_bytes()
        }),
        "not-wasm",
    );
    load(
        cases,
        "M02/200,000 nested comments",
        nested("(;", ";)", 200_000),
        "not-wasm",
    );
    for (what, text) in [
        ("text", "(module (func (export \"run\")))"),
        ("text after a byte order mark", "\u{feff}(module)"),
        ("text after a line comment", ";; x\n(module)"),
        ("text with an escape", "\x1b[2J(module)"),
        ("quoted text", "(module quote \"(func)\")"),
        (
            "binary as text",
            "(module binary \"\\00asm\\01\\00\\00\\00\")",
        ),
        ("script", "(assert_invalid (module) \"x\")"),
    ] {
        load(
            cases,
            format!("M02/{what}"),
            text.as_bytes().to_vec(),
            "not-wasm",
        );
    }
}

// M03

/// A directory that goes when the case ends.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("hostile-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the target directory takes files");
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left behind lies in the target directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file made by `make`, which gives its path, read as a module.
fn file(name: &str, code: &str, make: impl Fn(&Path) -> PathBuf + Sync + 'static) -> Case {
    let read = move |kit: &Kit<'_>| {
        let place = Place::new();
        match load_file(&kit.engine, make(&place.0), &kit.grants) {
            Ok(_) => clean("loaded"),
            Err(error) => Verdict::of_file(&error),
        }
    };
    let verdict = if code == "loaded" {
        clean(code)
    } else {
        refused(code)
    };
    Case::new(format!("M03/{name}"), Vec::new(), Act::that(read), verdict)
        .limits(|limits| limits.module_bytes = 64 << 10)
}

fn written(place: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = place.join(name);
    fs::write(&path, bytes).expect("the target directory takes files");
    path
}

fn files(cases: &mut Vec<Case>) {
    cases.extend([
        file("sparse file of 1 TiB", "module-too-large", |place| {
            let path = place.join("sparse");
            let file = fs::File::create(&path).expect("the target directory takes files");
            file.set_len(1 << 40).expect("files may be sparse");
            path
        }),
        file("file one byte too long", "module-too-large", |place| {
            written(place, "long", &[0; (64 << 10) + 1])
        }),
        file("file as long as it may be", "not-wasm", |place| {
            written(place, "full", &[0; 64 << 10])
        }),
        file("empty file", "empty-module", |place| {
            written(place, "empty", b"")
        }),
        file("directory", "file-is-directory", Path::to_owned),
        file("nothing", "file-missing", |place| place.join("nothing")),
        file(
            "file with a name of control characters",
            "not-wasm",
            |place| written(place, "\u{1b}[2J\n", b"text"),
        ),
    ]);
    #[cfg(unix)]
    cases.extend([
        file("device without end", "file-not-regular", |_| {
            "/dev/zero".into()
        }),
        file("device that is empty", "file-not-regular", |_| {
            "/dev/null".into()
        }),
        file("link to a device", "file-not-regular", |place| {
            link(place, "/dev/zero")
        }),
        file("link to nothing", "file-missing", |place| {
            link(place, "nothing")
        }),
        file("link to itself", "file-unreadable", |place| {
            link(place, "link")
        }),
        file("link to a directory", "file-is-directory", |place| {
            link(place, ".")
        }),
        file("link to a module", "loaded", |place| {
            let path = hostel_tests::guest("wat_add");
            let path = path.canonicalize().expect("a built guest is there");
            link(place, path)
        }),
        file("pipe that nobody writes to", "file-not-regular", |place| {
            let pipe = place.join("pipe");
            let made = std::process::Command::new("mkfifo").arg(&pipe).status();
            assert!(made.expect("mkfifo is there").success());
            pipe
        }),
    ]);
    let limit = Case::new(
        "M03/only as much is read as the limit allows",
        Vec::new(),
        Act::that(|_| {
            let place = Place::new();
            let path = written(&place.0, "large", &[0; 4 << 20]);
            match read_module(path, 1 << 20) {
                Ok(_) => clean("read"),
                Err(error) => Verdict::of_file(&error),
            }
        }),
        refused("module-too-large"),
    );
    cases.push(limit.limits(|limits| limits.memory_bytes = 0));
}

#[cfg(unix)]
fn link(place: &Path, to: impl AsRef<Path>) -> PathBuf {
    let link = place.join("link");
    std::os::unix::fs::symlink(to, &link).expect("the target directory takes links");
    link
}
