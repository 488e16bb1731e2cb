//! Each proposal to WebAssembly: whether it runs, and what the refusal says. `docs/abi.md` has the table.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects
)] // A test may panic.

use hostel_core::{Engine, Grants, LoadError, ModuleInfo};

/// A proposal and modules that need it. Those of proposals with parts need each part.
const MODULES: &[(&str, &[&str])] = &[
    (
        "mutable-globals",
        &[r#"(global (export "g") (mut i32) (i32.const 0))"#],
    ),
    (
        "nontrapping-float-to-int-conversions",
        &["(func (drop (i32.trunc_sat_f32_s (f32.const 0))))"],
    ),
    (
        "sign-extension-ops",
        &["(func (drop (i32.extend8_s (i32.const 0))))"],
    ),
    (
        "multi-value",
        &["(func (result i32 i32) (i32.const 0) (i32.const 0))"],
    ),
    (
        "bulk-memory-operations",
        &["(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))"],
    ),
    (
        "reference-types",
        &["(table 1 externref) (func (drop (ref.is_null (ref.null extern))))"],
    ),
    (
        "extended-const",
        &["(global i32 (i32.add (i32.const 1) (i32.const 2)))"],
    ),
    ("custom-page-sizes", &["(memory 1 (pagesize 1))"]),
    (
        "simd",
        &[
            "(func (drop (v128.const i64x2 0 0)))",
            "(func (param v128))",
            "(func (local v128))",
            "(global v128 (v128.const i64x2 0 0))",
            "(func (result i32) (i32x4.extract_lane 0 (i32x4.splat (i32.const 7))))",
        ],
    ),
    (
        "relaxed-simd",
        &["(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))"],
    ),
    (
        "tail-call",
        &[
            "(func $f (return_call $f))",
            "(table 1 funcref) (func (return_call_indirect (i32.const 0)))",
        ],
    ),
    (
        "exception-handling",
        &[
            "(tag)",
            r#"(import "env" "tag" (tag))"#,
            "(tag $t) (func (throw $t))",
            "(func (try_table (catch_all 0)))",
            "(func (block (try_table (catch_all 0) (br 0)) (return)) (block))",
            "(func (param exnref))",
            "(func try catch_all end)",
            "(func (block try catch_all end) (block))",
        ],
    ),
    (
        "threads",
        &[
            "(memory 1 1 shared)",
            r#"(import "env" "memory" (memory 1 1 shared))"#,
            "(func (atomic.fence))",
            "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
            "(memory 1) (func (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 0))))",
        ],
    ),
    (
        "memory64",
        &[
            "(memory i64 1)",
            r#"(import "env" "memory" (memory i64 1))"#,
            "(table i64 1 funcref)",
        ],
    ),
    (
        "multi-memory",
        &[
            "(memory 1) (memory 1)",
            r#"(import "a" "a" (memory 1)) (memory 1)"#,
        ],
    ),
    (
        "wide-arithmetic",
        &["(func (i64.mul_wide_u (i64.const 0) (i64.const 0)) (drop) (drop))"],
    ),
    (
        "function-references",
        &[
            "(func (param (ref func)))",
            "(type $t (func)) (func (param (ref null $t)) (call_ref $t (local.get 0)))",
            "(table 1 funcref (ref.null func))",
            "(func (local (ref func)))",
        ],
    ),
    (
        "gc",
        &[
            "(type (struct))",
            "(type (array i8))",
            "(type (sub (func)))",
            "(rec (type (func)) (type (func)))",
            "(func (param anyref))",
            "(func (drop (ref.i31 (i32.const 0))))",
        ],
    ),
    (
        "shared-everything-threads",
        &["(global (shared i32) (i32.const 0))"],
    ),
    ("stack-switching", &["(type $f (func)) (type (cont $f))"]),
    (
        "memory-control",
        &["(memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))"],
    ),
];

/// The rows of the table in `docs/abi.md`: the proposal, whether it is supported, and the remedy.
fn documented() -> Vec<[String; 3]> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/abi.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = text.split("| proposal |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().to_owned());
        [(); 3].map(|()| cells.next().unwrap())
    };
    rows.map(cells).collect()
}

fn assembled(items: &str) -> Vec<u8> {
    let text =
        format!(r#"(module {items} (func (export "f") (param i64) (result f32) (f32.const 1)))"#);
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_proposal_runs_or_is_named_with_a_remedy_as_the_documentation_says() {
    let documented = documented();
    let names = documented.iter().map(|[name, ..]| name.trim_matches('`'));
    assert!(names.eq(MODULES.iter().map(|(name, _)| *name)));
    let remedy_of = |name: &str| {
        let row = documented
            .iter()
            .find(|[row, ..]| row.trim_matches('`') == name);
        row.map(|[.., remedy]| &**remedy)
    };
    for ([_, supported, _], (name, modules)) in documented.iter().zip(MODULES) {
        let runs = match &**supported {
            "yes" => true,
            "with the feature `simd`, as in the program" => cfg!(feature = "simd"),
            "no" => false,
            other => panic!("{other}"),
        };
        // Such modules use vectors too, which are refused first.
        let refused = match *name {
            "relaxed-simd" if !cfg!(feature = "simd") => "simd",
            name => name,
        };
        for items in *modules {
            let wasm = assembled(items);
            let loaded = Engine::default().load("m", &wasm, &Grants::new());
            if runs {
                assert!(loaded.is_ok(), "{name} {items}: {loaded:?}");
                continue;
            }
            let error = loaded
                .err()
                .unwrap_or_else(|| panic!("{name} {items} loads"));
            let LoadError::NeedsProposal {
                proposal,
                remedy,
                at,
            } = &error
            else {
                panic!("{name} {items}: {error:?}");
            };
            assert_eq!(
                (*proposal, error.code()),
                (refused, "needs-proposal"),
                "{items}"
            );
            assert!(*at > 8, "{items}: {at}");
            assert_eq!(Some(*remedy), remedy_of(refused), "{name}");
            let expected = format!(
                "the module needs the proposal `{refused}` to WebAssembly, at byte {at:#x}"
            );
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert!(error.to_string().ends_with(remedy), "{error}");
        }
    }
}

#[test]
fn a_module_that_needs_a_proposal_can_be_read() {
    for (name, modules) in MODULES {
        for items in *modules {
            let info = ModuleInfo::read(&assembled(items));
            let info = info.unwrap_or_else(|error| panic!("{name} {items}: {error}"));
            let export = info.export_named("f").unwrap().to_string();
            assert_eq!(export, "f: (i64) -> f32", "{name} {items}");
        }
    }
}

#[test]
fn an_invalid_module_needs_no_proposal() {
    for (items, wrong) in [
        ("(func (result i32))", "type mismatch"),
        ("(func (drop (local.get 7)))", "unknown local"),
        ("(func (br 3))", "unknown label"),
        ("(memory 70000)", "memory size"),
        (
            "(memory 1) (global (mut i32) (i32.const 0)) (func (result i32))",
            "type mismatch",
        ),
    ] {
        let wasm = assembled(items);
        let error = Engine::default()
            .load("m", &wasm, &Grants::new())
            .unwrap_err();
        assert_eq!(error.code(), "invalid-module", "{error}");
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

#[test]
fn a_name_that_the_guest_chose_is_no_proposal() {
    for name in ["gc", "threads", "a`gc", "`gc`", "SIMD"] {
        let mut wasm = assembled(&format!(
            r#"(func (export "{name}0")) (func (export "{name}1"))"#
        ));
        let second = format!("{name}1");
        let at = wasm
            .windows(second.len())
            .position(|bytes| bytes == second.as_bytes())
            .unwrap();
        wasm[at + name.len()] = b'0';
        let error = Engine::default()
            .load("m", &wasm, &Grants::new())
            .unwrap_err();
        assert_eq!(error.code(), "invalid-module", "{error}");
    }
}
