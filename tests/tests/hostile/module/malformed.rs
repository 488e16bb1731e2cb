//! M04: entries of sections that are malformed: bodies, operators, types, flags and names.
//!
//! A row: what is wrong, the bytes, and the verdict if rows of one table differ.

use super::encode::{
    CODE, DATA, DATA_COUNT, ELEMENT, EXPORT, GLOBAL, IMPORT, MEMORY, MOST, TABLE, TYPE, empty_code,
    encode_name, export_run, leb, module, one_function, one_of_type_0, one_type, section,
};
use crate::case::{Case, refused};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    bodies(&mut cases);
    operators(&mut cases);
    entries_of_sections(&mut cases);
    names(&mut cases);
    cases
}

fn bodies(cases: &mut Vec<Case>) {
    let with = |code: &[u8]| {
        let code = section(CODE, code);
        module(&[one_type(&[], &[]), one_of_type_0(), export_run(), code])
    };
    #[rustfmt::skip] // a table
    let rows = [
        ("body size of 0", &[1, 0][..], refused("truncated-module")),
        ("body size one too small", &[1, 1, 0, 0x0b], refused("invalid-module")),
        ("body size one too large", &[1, 3, 0, 0x0b], refused("truncated-module")),
        ("body size of 4 GiB",
            &[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0x0b], refused("truncated-module")),
        ("body without end", &[1, 2, 0, 0x01], refused("invalid-module")),
        ("body with two ends", &[1, 3, 0, 0x0b, 0x0b], refused("invalid-module")),
        ("bytes behind the last body", &[1, 2, 0, 0x0b, 0], refused("invalid-module")),
        ("groups of locals without bytes", &[1, 2, 5, 0x0b], refused("truncated-module")),
        ("4294967295 groups of locals",
            &[1, 7, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0x0b], refused("truncated-module")),
        ("locals of no type", &[1, 4, 1, 1, 0x40, 0x0b], refused("invalid-module")),
    ];
    for (what, code, verdict) in rows {
        cases.push(Case::load(format!("M04/{what}"), with(code), verdict));
    }
    let no_code = module(&[one_type(&[], &[]), one_of_type_0(), export_run()]);
    let name = "M04/functions without code";
    cases.push(Case::load(name, no_code, refused("invalid-module")));
    let no_function = module(&[one_type(&[], &[]), empty_code()]);
    let name = "M04/code without functions";
    cases.push(Case::load(name, no_function, refused("invalid-module")));
    let one_data = section(DATA, b"\x01\x01\x01x");
    for (what, count, data) in [
        ("data count without data", 1, None),
        ("data count 0 for 1", 0, Some(&one_data)),
        ("data count 2 for 1", 2, Some(&one_data)),
        ("data count 4294967295 for 1", u32::MAX, Some(&one_data)),
    ] {
        let mut sections = vec![one_type(&[], &[]), one_of_type_0(), export_run()];
        sections.push(section(DATA_COUNT, &leb(count.into())));
        sections.push(empty_code());
        sections.extend(data.cloned());
        let (name, wasm) = (format!("M04/{what}"), module(&sections));
        cases.push(Case::load(name, wasm, refused("invalid-module")));
    }
}

fn operators(cases: &mut Vec<Case>) {
    let with = |before: &[u8], after: &[u8]| [before, MOST, after].concat();
    #[rustfmt::skip] // a table
    let rows = [
        ("i32.const in 6 bytes", vec![0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a]),
        ("i32.const in 33 bits", vec![0x41, 0xff, 0xff, 0xff, 0xff, 0x4f, 0x1a]),
        ("i64.const in 11 bytes", [&[0x42][..], &[0x80; 10], &[0, 0x1a]].concat()),
        ("local of index 4294967295", with(&[0x20], &[0x1a])),
        ("global of index 4294967295", with(&[0x23], &[0x1a])),
        ("call of function 4294967295", with(&[0x10], &[])),
        ("call_indirect of type 4294967295", with(&[0x41, 0, 0x11], &[0])),
        ("branch to depth 4294967295", with(&[0x0c], &[])),
        ("branch table of 4294967295 targets", with(&[0x41, 0, 0x0e], &[])),
        ("block of type 4294967295", with(&[0x02], &[0x0b])),
        ("block of negative type", vec![0x02, 0x41, 0x0b]),
        ("load aligned to 2 to the 4294967295", with(&[0x41, 0, 0x28], &[0, 0x1a])),
        ("load without memory", vec![0x41, 0, 0x28, 2, 0, 0x1a]),
        ("data.drop of segment 4294967295", with(&[0xfc, 9], &[])),
        ("else without if", vec![0x05]),
        ("drop of nothing", vec![0x1a]),
        ("value left over", vec![0x41, 0]),
        ("opcode 0x27", vec![0x27]),
        ("opcode 0xff", vec![0xff]),
        ("opcode 0xfc 0xff", vec![0xfc, 0xff, 0x7f]),
        ("opcode 0xfc in 6 bytes", vec![0xfc, 0x80, 0x80, 0x80, 0x80, 0x80, 0]),
        ("select of two types", vec![0x41, 0, 0x42, 0, 0x41, 0, 0x1b, 0x1a]),
        ("typed select of no type", vec![0x41, 0, 0x41, 0, 0x41, 0, 0x1c, 0, 0x1a]),
    ];
    for (what, code) in rows {
        let wasm = one_function(&[], &[], &[0], &code);
        let name = format!("M04/{what}");
        cases.push(Case::load(name, wasm, refused("invalid-module")));
    }
    for (what, code) in [
        ("opcode 0xfd 0x100", vec![0xfd, 0x80, 2]),
        ("opcode 0xfe 3", vec![0xfe, 3, 0]),
    ] {
        let wasm = one_function(&[], &[], &[0], &code);
        let name = format!("M04/{what}");
        cases.push(Case::load(name, wasm, refused("needs-proposal")));
    }
    let cut_off = one_function(&[], &[], &[0], &[0x44, 0, 0, 0]);
    let name = "M04/f64.const cut off";
    cases.push(Case::load(name, cut_off, refused("truncated-module")));
}

fn entries_of_sections(cases: &mut Vec<Case>) {
    let with = |section: Vec<u8>, at: usize| {
        let (before, after) = (
            [one_type(&[], &[]), one_of_type_0()],
            [export_run(), empty_code()],
        );
        let mut sections = [before, after].concat();
        sections.insert(at, section);
        module(&sections)
    };
    #[rustfmt::skip] // a table
    let rows = [
        // What is wrong, the number of sections before it, the section.
        ("table of unknown flags", 2, section(TABLE, &[1, 0x70, 0xff, 0x01, 1])),
        ("table with max below min", 2, section(TABLE, &[1, 0x70, 1, 2, 1])),
        ("memory of unknown flags", 2, section(MEMORY, &[1, 0x20, 1])),
        ("memory with max below min", 2, section(MEMORY, &[1, 1, 2, 1])),
        ("memory of 65537 pages", 2, section(MEMORY, &[1, 0, 0x81, 0x80, 0x04])),
        ("global of no type", 2, section(GLOBAL, &[1, 0x40, 0, 0x41, 0, 0x0b])),
        ("import of kind 9", 1, section(IMPORT, b"\x01\x03env\x01x\x09\x00")),
        ("import of type 7", 1, section(IMPORT, b"\x01\x03env\x01x\x00\x07")),
        ("element of flags 8", 3, section(ELEMENT, &[1, 8, 0x41, 0, 0x0b, 0])),
        ("data of flags 3", 4, section(DATA, &[1, 3, 0])),
    ];
    for (what, at, bytes) in rows {
        let name = format!("M04/{what}");
        cases.push(Case::load(name, with(bytes, at), refused("invalid-module")));
    }
    #[rustfmt::skip] // a table
    let of_proposals = [
        ("table of a type that is off", section(TABLE, &[1, 0x6e, 0, 1])),
        ("global of mutability 2", section(GLOBAL, &[1, 0x7f, 2, 0x41, 0, 0x0b])),
    ];
    for (what, bytes) in of_proposals {
        let name = format!("M04/{what}");
        cases.push(Case::load(name, with(bytes, 2), refused("needs-proposal")));
    }
    for (form, code) in [
        (0x5f, "needs-proposal"),
        (0, "invalid-module"),
        (0x40, "invalid-module"),
    ] {
        let wasm = module(&[section(TYPE, &[1, form, 0])]);
        let name = format!("M04/type of form {form:#04x}");
        cases.push(Case::load(name, wasm, refused(code)));
    }
}

/// Names that are not UTF-8, or longer than the section.
fn names(cases: &mut Vec<Case>) {
    for (what, bytes) in [
        ("a cut character", &b"\xf0\x9f\x98"[..]),
        ("a surrogate", b"\xed\xa0\x80"),
        ("a byte of 0xff", b"\xff"),
        ("an over-long slash", b"\xc0\xaf"),
    ] {
        let export = [&[1][..], &encode_name(bytes), &[0, 0]].concat();
        let export = section(EXPORT, &export);
        let wasm = module(&[one_type(&[], &[]), one_of_type_0(), export, empty_code()]);
        let name = format!("M04/export name with {what}");
        cases.push(Case::load(name, wasm, refused("invalid-module")));
        let import = [&[1][..], &encode_name(bytes), &encode_name(b"x"), &[0, 0]].concat();
        let wasm = module(&[one_type(&[], &[]), section(IMPORT, &import)]);
        let name = format!("M04/import module with {what}");
        cases.push(Case::load(name, wasm, refused("invalid-module")));
    }
    for (what, size, verdict) in [
        ("4 GiB", MOST, refused("invalid-module")),
        ("9 of 3", &[9][..], refused("truncated-module")),
    ] {
        let export = [&[1][..], size, b"run", &[0, 0]].concat();
        let export = section(EXPORT, &export);
        let wasm = module(&[one_type(&[], &[]), one_of_type_0(), export]);
        let name = format!("M04/export name of {what} bytes");
        cases.push(Case::load(name, wasm, verdict));
    }
}
