//! M04: sections out of order, and lies about their sizes and their numbers of entries.
//!
//! A row: what is wrong, the bytes that say so, the verdict. Malformed entries are in `malformed`.

use super::encode::{
    CODE, MOST, empty_code, export_run, module, one_of_each, one_of_type_0, section,
};
use crate::case::{Case, loads, refused};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    order(&mut cases);
    sizes(&mut cases);
    counts(&mut cases);
    cases
}

fn order(cases: &mut Vec<Case>) {
    let sections = one_of_each();
    let known = &sections[..12];
    let put = |order: &[usize]| {
        let all: Vec<_> = order.iter().map(|at| known[*at].1.clone()).collect();
        module(&all)
    };
    for first in 0..11 {
        let mut order: Vec<_> = (0..12).collect();
        order.swap(first, first + 1);
        let name = format!("M04/{} before {}", known[first + 1].0, known[first].0);
        cases.push(Case::load(name, put(&order), refused("invalid-module")));
    }
    for (twice, (what, _)) in known.iter().enumerate() {
        let mut order: Vec<_> = (0..12).collect();
        order.insert(twice, twice);
        let name = format!("M04/{what} section twice");
        cases.push(Case::load(name, put(&order), refused("invalid-module")));
    }
    let mut backwards: Vec<_> = (0..12).collect();
    backwards.reverse();
    let name = "M04/sections backwards";
    cases.push(Case::load(name, put(&backwards), refused("invalid-module")));
    for id in [13, 14, 0x40, 0x7f, 0xff] {
        let wasm = module(&[
            section(id, &[0]),
            put(&(0..12).collect::<Vec<_>>())[8..].to_vec(),
        ]);
        let name = format!("M04/section of id {id}");
        // The section of exception tags.
        let code = if id == 13 {
            "needs-proposal"
        } else {
            "invalid-module"
        };
        cases.push(Case::load(name, wasm, refused(code)));
    }
}

fn sizes(cases: &mut Vec<Case>) {
    let ty = [0x60, 0, 0];
    let rest = [one_of_type_0(), export_run(), empty_code()];
    #[rustfmt::skip] // a table
    let rows = [
        ("in 5 bytes", &[0x84, 0x80, 0x80, 0x80, 0][..], loads()),
        ("in 6 bytes", &[0x84, 0x80, 0x80, 0x80, 0x80, 0], refused("invalid-module")),
        ("in 33 bits", &[0x84, 0x80, 0x80, 0x80, 0x10], refused("invalid-module")),
        ("in 35 bits", &[0xff, 0xff, 0xff, 0xff, 0x7f], refused("invalid-module")),
        ("of 4 GiB", &[0xff, 0xff, 0xff, 0xff, 0x0f], refused("truncated-module")),
        ("of 2 GiB", &[0x80, 0x80, 0x80, 0x80, 0x08], refused("truncated-module")),
        ("without end", &[0x80; 40], refused("invalid-module")),
        ("of 0", &[0], refused("truncated-module")),
        ("one too small", &[3], refused("truncated-module")),
        ("one too large", &[5], refused("invalid-module")),
    ];
    for (what, size, verdict) in rows {
        let first = [&[1][..], size, &[1], &ty].concat();
        let wasm = module(&[&[first][..], &rest].concat());
        let name = format!("M04/section size {what}");
        cases.push(Case::load(name, wasm, verdict));
    }
    let cut = module(&[vec![1, 0x80, 0x80]]);
    let name = "M04/section size cut off";
    cases.push(Case::load(name, cut, refused("truncated-module")));
    // wasmi divides the size of the code section by its number of functions.
    let lie = b"\0asm\x01\0\0\0\x0a\xd0\x0f\0";
    let name = "M04/code count 0, size 2000, cut (W2)";
    cases.push(Case::load(name, lie.to_vec(), refused("invalid-module")));
    let full = [&lie[..], &[0; 1_999]].concat();
    let name = "M04/code count 0, size 2000 (W2)";
    cases.push(Case::load(name, full, refused("invalid-module")));
    let empty = module(&[section(CODE, &[0])]);
    let name = "M04/code count 0, size 1 (W2)";
    cases.push(Case::load(name, empty, refused("mismatch missing-export")));
}

fn counts(cases: &mut Vec<Case>) {
    let sections = one_of_each();
    #[rustfmt::skip] // a table
    let rows = [
        // The section, with a count of 4,294,967,295, with one more than it has entries.
        ("type", "over-limit types", "truncated-module"),
        ("import", "over-limit imports", "truncated-module"),
        ("function", "over-limit functions", "truncated-module"),
        ("table", "over-limit tables", "truncated-module"),
        ("memory", "needs-proposal", "needs-proposal"),
        ("global", "over-limit globals", "truncated-module"),
        ("export", "over-limit exports", "truncated-module"),
        ("element", "over-limit segments", "truncated-module"),
        ("data count", "invalid-module", "invalid-module"),
        ("code", "invalid-module", "invalid-module"),
        ("data", "over-limit segments", "truncated-module"),
    ];
    for (what, most, one_too_many) in rows {
        let at = sections.iter().position(|(name, _)| *name == what);
        let at = at.expect("a section of that name");
        let bytes = &sections[at].1;
        let with_count = |count: &[u8]| {
            let mut all: Vec<_> = sections.iter().map(|(_, bytes)| bytes.clone()).collect();
            all[at] = section(bytes[0], &[count, &bytes[3..]].concat());
            module(&all)
        };
        for (shown, count, code) in [
            ("4294967295", MOST, most),
            ("0", &[0], "invalid-module"),
            ("one too many", &[bytes[2] + 1], one_too_many),
        ] {
            let name = format!("M04/{what} count of {shown}");
            cases.push(Case::load(name, with_count(count), refused(code)));
        }
    }
}
