//! M01, M02: bytes that are no module, modules that are cut off, and text. All are refused.
//!
//! A row: what the bytes are, the bytes, the verdict.

use super::encode::{module, one_of_each};
use crate::case::{Case, Source, loads, refused};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    preambles(&mut cases);
    truncations(&mut cases);
    texts(&mut cases);
    cases
}

/// M01: the first eight bytes.
fn preambles(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("no bytes", &b""[..], refused("empty-module")),
        ("1 byte", b"\0", refused("truncated-module")),
        ("2 bytes", b"\0a", refused("truncated-module")),
        ("3 bytes", b"\0as", refused("truncated-module")),
        ("4 bytes", b"\0asm", refused("truncated-module")),
        ("5 bytes", b"\0asm\x01", refused("truncated-module")),
        ("6 bytes", b"\0asm\x01\0", refused("truncated-module")),
        ("7 bytes", b"\0asm\x01\0\0", refused("truncated-module")),
        // A whole module, but an empty one: it exports nothing to call.
        ("8 bytes", b"\0asm\x01\0\0\0", refused("mismatch missing-export")),
        ("magic in capitals", b"\0ASM\x01\0\0\0", refused("not-wasm")),
        ("magic backwards", b"msa\0\x01\0\0\0", refused("not-wasm")),
        ("magic one off", b"\x01asm\x01\0\0\0", refused("not-wasm")),
        ("zeros", &[0; 64], refused("not-wasm")),
        ("ones", &[0xff; 64], refused("not-wasm")),
        ("version 0", b"\0asm\0\0\0\0", refused("invalid-module")),
        ("version 2", b"\0asm\x02\0\0\0", refused("invalid-module")),
        ("version 256", b"\0asm\0\x01\0\0", refused("invalid-module")),
        ("version of ones", b"\0asm\xff\xff\xff\xff", refused("invalid-module")),
        ("component", b"\0asm\x0d\0\x01\0", refused("component")),
        ("component of an old version", b"\0asm\x0a\0\x01\0", refused("component")),
        ("component with a module inside",
            b"\0asm\x0d\0\x01\0\x01\x08\0asm\x01\0\0\0", refused("component")),
        ("layer 2", b"\0asm\x01\0\x02\0", refused("invalid-module")),
        // The second preamble is read as a section: id 0, and 97 bytes long.
        ("module in a module", b"\0asm\x01\0\0\0\0asm\x01\0\0\0", refused("truncated-module")),
        ("ELF", b"\x7fELF\x02\x01\x01\0", refused("not-wasm")),
        ("gzip", b"\x1f\x8b\x08\0\0\0", refused("not-wasm")),
        ("xz", b"\xfd7zXZ\0\0\x04", refused("not-wasm")),
        ("zstd", b"\x28\xb5\x2f\xfd\x04\0", refused("not-wasm")),
    ];
    for (what, bytes, verdict) in rows {
        cases.push(Case::load(format!("M01/{what}"), bytes.to_vec(), verdict));
    }
}

/// M01: each kind of section, cut at each kind of place.
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
            // Short sections have fewer places.
            if at > last {
                let cut = wasm[..at].to_vec();
                let name = format!("M01/cut in the {what} section {place}");
                cases.push(Case::load(name, cut, refused("truncated-module")));
                last = at;
            }
        }
        start = end;
    }
    cases.push(Case::load("M01/cut nowhere", wasm, loads()));
}

/// M02: modules in the text format. All are refused unread, so that deep nesting is never parsed.
fn texts(cases: &mut Vec<Case>) {
    for (what, open, close) in [
        ("200,000 nested parentheses", "(", ")"),
        ("200,000 nested comments", "(;", ";)"),
    ] {
        let made = Source::made(move || {
            [open.repeat(200_000), close.repeat(200_000)]
                .concat()
                .into()
        });
        cases.push(Case::load(format!("M02/{what}"), made, refused("not-wasm")));
    }
    let nested = Source::made(|| {
        let blocks = ["(block ".repeat(200_000), ")".repeat(200_000)].concat();
        format!("(module (func {blocks}))").into_bytes()
    });
    let name = "M02/text of 1.6 MB, nested";
    cases.push(Case::load(name, nested, refused("not-wasm")));
    #[rustfmt::skip] // a table
    let rows = [
        ("text", "(module (func (export \"run\")))"),
        ("text after a byte order mark", "\u{feff}(module)"),
        ("text after a line comment", ";; x\n(module)"),
        ("text with an escape", "\x1b[2J(module)"),
        ("quoted text", "(module quote \"(func)\")"),
        ("binary as text", "(module binary \"\\00asm\\01\\00\\00\\00\")"),
        ("script", "(assert_invalid (module) \"x\")"),
    ];
    for (what, text) in rows {
        let (name, bytes) = (format!("M02/{what}"), text.as_bytes().to_vec());
        cases.push(Case::load(name, bytes, refused("not-wasm")));
    }
}
