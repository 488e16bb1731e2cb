//! M05: a great many types, functions, globals, imports or exports.
//!
//! A row: how many of what, the module, the verdict.

use super::encode::{
    EXPORT, FUNCTION, GLOBAL, I64, IMPORT, TYPE, around, empty_code, encode_name, entries,
    export_run, functions, leb, module, one_of_type_0, one_type, repeated, section,
};
use crate::case::{Case, Source, refused, starts};
use hostel::Limits;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    over_the_limits(&mut cases);
    over_limits_of_devices(&mut cases);
    at_the_limits(&mut cases);
    cases
}

fn types(count: usize) -> Source {
    Source::made(move || module(&[repeated(TYPE, count, &[0x60, 0, 0])]))
}

fn globals(count: usize) -> Source {
    Source::made(move || {
        let globals = repeated(GLOBAL, count, &[I64, 0, 0x42, 0, 0x0b]);
        around(vec![], vec![globals], vec![empty_code()])
    })
}

fn exports(count: usize, size: usize) -> Source {
    Source::made(move || {
        let exports = entries(EXPORT, count, |at| {
            [encode_name(format!("{at:0size$}").as_bytes()), vec![0, 0]].concat()
        });
        module(&[one_type(&[], &[]), one_of_type_0(), exports, empty_code()])
    })
}

fn imports(count: usize) -> Source {
    Source::made(move || {
        let imports = repeated(IMPORT, count, b"\x04host\x04noop\x00\x00");
        around(vec![imports], vec![], vec![empty_code()])
    })
}

fn over_the_limits(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("1,000,000 types", types(1_000_000), refused("over-limit types")),
        ("10,001 types", types(10_001), refused("over-limit types")),
        ("1,000,000 functions", functions(1_000_000, &[0]), refused("over-limit functions")),
        ("50,001 functions", functions(50_001, &[0]), refused("over-limit functions")),
        ("100,000 globals", globals(100_000), refused("over-limit globals")),
        ("10,001 globals", globals(10_001), refused("over-limit globals")),
        ("100,000 exports", exports(100_000, 1), refused("over-limit exports")),
        ("1,000,000 exports", exports(1_000_000, 1), refused("over-limit exports")),
        ("1,001 exports", exports(1_001, 1), refused("over-limit exports")),
        ("1,000,000 imports", imports(1_000_000), refused("over-limit imports")),
        ("1,001 imports", imports(1_001), refused("over-limit imports")),
    ];
    for (what, module, verdict) in rows {
        cases.push(Case::load(format!("M05/{what}"), module, verdict));
    }
    let no_code =
        Source::made(|| module(&[one_type(&[], &[]), repeated(FUNCTION, 1_000_000, &[0])]));
    let name = "M05/1,000,000 functions without code (W7)";
    cases.push(Case::load(name, no_code, refused("over-limit functions")));
    // A recursive group counts as one entry of the section, so that the section's count says 1.
    let group = Source::made(|| {
        let types = [&[0x4e][..], &leb(100_000), &[0x60, 0, 0].repeat(100_000)].concat();
        module(&[section(TYPE, &[&[1][..], &types].concat())])
    });
    let name = "M05/100,000 types in one group";
    cases.push(Case::load(name, group, refused("needs-proposal")));
}

fn over_limits_of_devices(cases: &mut Vec<Case>) {
    for (count, what, module) in [
        ("201", "types", types(201)),
        ("1,001", "functions", functions(1_001, &[0])),
        ("101", "globals", globals(101)),
        ("65", "exports", exports(65, 1)),
        ("65", "imports", imports(65)),
    ] {
        let name = format!("M05/{count} {what} for a device");
        let case = Case::load(name, module, refused(format!("over-limit {what}")));
        cases.push(case.limits(|limits| *limits = Limits::device(256 << 10)));
    }
}

fn at_the_limits(cases: &mut Vec<Case>) {
    let with_types = Source::made(|| {
        let types = repeated(TYPE, 10_000, &[0x60, 0, 0]);
        module(&[types, one_of_type_0(), export_run(), empty_code()])
    });
    for (what, module) in [
        ("10,000 types", with_types),
        ("10,000 globals", globals(10_000)),
        ("1,000 exports of 1,024 bytes", exports(1_000, 1_024)),
        ("1,000 imports", imports(1_000)),
    ] {
        let name = format!("M05/{what} are allowed");
        // Making the instance costs fuel for each of them.
        cases.push(Case::start(name, module, starts()).fuel(500_000));
    }
}
