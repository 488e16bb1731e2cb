//! Which modules of the test suite load, and with which codes the others are refused.

use super::{
    engine,
    suite::{Kind, MODULES},
};
use hostel::Grants;
use hostel_tests::{code, load_code};
use std::collections::BTreeMap;

/// Modules that a proposal's suite calls invalid, and today's standard does not: with several
/// tables, and with a branch table in unreachable code whose labels differ in type.
const VALID_BY_NOW: [&str; 2] = [
    "threads/imports.wast:317",
    "reference-types/unreached-invalid.wast:539",
];

#[test]
fn each_module_of_the_test_suite_loads_or_is_refused_with_a_known_code() {
    let engine = engine(20_000);
    let mut loads = BTreeMap::<Kind, BTreeMap<&str, usize>>::new();
    let mut starts = BTreeMap::<Kind, BTreeMap<&str, usize>>::new();
    for case in &*MODULES {
        // The parser does not know this proposal, so that its modules are invalid to it.
        if case.name.starts_with("custom-descriptors/") {
            continue;
        }
        let mut last = "";
        for wasm in [Some(&case.wasm), case.callable.as_ref()]
            .into_iter()
            .flatten()
        {
            let result = engine.load("module", wasm, &Grants::new());
            last = load_code(&result);
            if (case.kind, last) == (Kind::Valid, "invalid-module") {
                // The one proposal of the suite that the parser does not know, and what it calls
                // invalid whether `gc` makes it valid or not.
                let message = result.as_ref().map(drop).unwrap_err().to_string();
                let known = case.name.starts_with("custom-descriptors/")
                    || message.ends_with("global.get of locally defined global");
                assert!(known, "{}: {message}", case.name);
            }
            let Ok(plugin) = result else { continue };
            let broken = matches!(
                case.kind,
                Kind::Malformed | Kind::Invalid | Kind::Unlinkable
            );
            let known = VALID_BY_NOW.contains(&&*case.name);
            assert_eq!(broken, known, "{} is {:?}, and loads", case.name, case.kind);
            let started = code(&plugin.instantiate(()));
            *starts
                .entry(case.kind)
                .or_default()
                .entry(started)
                .or_default() += 1;
        }
        *loads.entry(case.kind).or_default().entry(last).or_default() += 1;
    }
    println!("{} modules are loaded: {loads:#?}", MODULES.len());
    println!("and started: {starts:#?}");

    let codes = |counts: &BTreeMap<&'static str, usize>| counts.keys().copied().collect::<Vec<_>>();
    assert_eq!(
        codes(&loads[&Kind::Malformed]),
        [
            "component",
            "empty-module",
            "invalid-module",
            // Modules written in bytes, which export no function.
            "mismatch",
            // Bytes that would be something else in a proposal.
            "needs-proposal",
            "not-wasm",
            "over-limit",
            "truncated-module"
        ]
    );
    for kind in [Kind::Invalid, Kind::Unlinkable, Kind::Traps] {
        let allowed = [
            "invalid-module",
            "mismatch",
            "needs-proposal",
            "ok",
            "unsupported",
        ];
        assert!(
            codes(&loads[&kind])
                .iter()
                .all(|code| allowed.contains(code)),
            "{kind:?}"
        );
    }
    for name in VALID_BY_NOW {
        assert!(MODULES.iter().any(|case| case.name == name), "{name}");
    }
    // Refused are proposals that are switched off, imports, which are not granted, modules over the
    // limits, and what wasmi does not do right.
    let valid = &loads[&Kind::Valid];
    let allowed = [
        "invalid-module",
        "mismatch",
        "needs-proposal",
        "ok",
        "over-limit",
        "unsupported",
    ];
    assert_eq!(codes(valid), allowed);
    assert!(valid["ok"] > 500, "most of what WebAssembly 2 has loads");
    assert_eq!(codes(&starts[&Kind::Valid]), ["ok"]);
    let traps = ["trap-instantiation", "trap-memory", "trap-unreachable"];
    assert_eq!(codes(&starts[&Kind::Traps]), traps);
}
