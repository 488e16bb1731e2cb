//! M13: custom sections. They are skipped, whatever is in them; their number is limited.
//!
//! A row: what is in the sections, the sections, the verdict.

use super::encode::{
    CUSTOM, empty_code, encode_name, export_run, module, one_of_type_0, one_type, section,
};
use crate::case::{Case, loads, refused};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let with = |customs: Vec<u8>| {
        let last = [export_run(), empty_code(), customs].concat();
        module(&[one_type(&[], &[]), one_of_type_0(), last])
    };
    let one = |title: &[u8], contents: &[u8]| {
        section(CUSTOM, &[encode_name(title), contents.to_vec()].concat())
    };
    #[rustfmt::skip] // a table
    let rows = [
        ("100 of them", one(b"x", b"").repeat(100), loads()),
        ("101 of them", one(b"x", b"").repeat(101), refused("over-limit custom_sections")),
        ("10,000 of them", one(b"x", b"").repeat(10_000), refused("over-limit custom_sections")),
        ("4 MB", one(b"x", &vec![0; 4_000_000]), loads()),
        ("a name of 90,000 bytes", one(&[b'n'; 90_000], b""), loads()),
        ("a name of 1 MB", one(&vec![b'n'; 1_000_000], b""), refused("invalid-module")),
        ("a name of control characters", one(b"\x1b[2J\n\xe2\x80\xae", b""), loads()),
        ("a name that is not text", one(b"\xff", b""), refused("invalid-module")),
        ("a name longer than itself", section(CUSTOM, b"\x09x"), refused("truncated-module")),
        ("no name", section(CUSTOM, b""), refused("truncated-module")),
        ("names of rubbish", one(b"name", &[0xff; 300]), loads()),
        ("names of 4294967295 functions",
            one(b"name", &[1, 6, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]), loads()),
        ("producers of rubbish", one(b"producers", &[0xff; 300]), loads()),
        ("linking of rubbish", one(b"linking", &[0xff; 300]), loads()),
        ("dylink of rubbish", one(b"dylink.0", &[0xff; 300]), loads()),
        ("branch hints of rubbish", one(b"metadata.code.branch_hint", &[0xff; 300]), loads()),
        ("debug lines of rubbish", one(b".debug_line", &[0xff; 300]), loads()),
        ("a module inside", one(b"x", b"\0asm\x01\0\0\0\x0a\xd0\x0f\0"), loads()),
    ];
    for (what, customs, verdict) in rows {
        let name = format!("M13/custom section: {what}");
        cases.push(Case::load(name, with(customs), verdict));
    }
    let only = module(&[one(b"x", &[0; 100])]);
    let verdict = refused("mismatch missing-export");
    let name = "M13/custom section: nothing else";
    cases.push(Case::load(name, only, verdict));
    cases
}
