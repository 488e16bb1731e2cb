//! Which modules are changed before they are compiled, and that they stay right.

use hostel::{Grants, Limits, Machine, ModuleInfo};
use hostel_tests::{assemble, load_wat};
use std::fmt::Write as _;

/// Returns the heap that loading a module takes on 64 bits, with a custom section of so many bytes.
fn loading(items: &str, custom: usize) -> u64 {
    let text = format!(
        r#"(module {items} (@custom "notes" "{}"))"#,
        "x".repeat(custom)
    );
    let module = ModuleInfo::read(&assemble(&text)).unwrap();
    let footprint = module.footprint_on(&Limits::server(), Machine::Bits64);
    footprint.loading
}

#[test]
fn only_a_module_that_needs_a_change_is_copied() {
    for (items, copied) in [
        (r#"(func (export "f"))"#, false),
        (r#"(memory 1)"#, true),
        (r#"(global (mut i32) (i32.const 0))"#, true),
        (r#"(func $start) (start $start)"#, true),
        // Branches that no group begins before, and a choice that the interpreter gets right.
        (
            r#"(func (export "f") (param i32) (block (br_if 0 (local.get 0))))"#,
            false,
        ),
        (
            r#"(func (export "f") (param i32) (block (br_table 0 0 (local.get 0))))"#,
            false,
        ),
        // An exit pays for little code that it skips, since a group would cost as much.
        (
            r#"(func (export "f") (param i32)
                 (block (br_if 0 (local.get 0)) (local.set 0 (i32.const 1))))"#,
            false,
        ),
        (
            r#"(func (export "f") (param i64) (result i32)
                 (select (i32.const 1) (i32.const 2) (i64.eqz (local.get 0))))"#,
            false,
        ),
        (
            r#"(func (export "f") (param i32) (result i32)
                 (select (i32.const 1) (i32.const 2) (i32.eqz (local.get 0))))"#,
            true,
        ),
    ] {
        let more = loading(items, 5_000) - loading(items, 1_000);
        assert_eq!(more, if copied { 4_000 } else { 0 }, "{items}");
    }
}

#[test]
fn the_list_of_changes_is_part_of_the_heap_that_loading_takes() {
    // An integer store with an offset of 64 KiB or more is changed.
    let [unchanged, changed] = [65_535, 65_536].map(|offset| {
        let function = format!(
            "(func (param i32 i32) (i32.store offset={offset} (local.get 0) (local.get 1))) "
        );
        loading(&format!("(memory 1) {}", function.repeat(1_000)), 0)
    });
    // A change takes 8 bytes, three times while the list grows, and adds 10 to the module.
    assert!(changed - unchanged >= 34_000, "{unchanged} {changed}");
}

#[test]
fn groups_count_as_nesting_in_the_heap_that_loading_takes() {
    let [without, with] = ["(drop (local.get 0)) nop", "(br_if 0 (local.get 0))"].map(|exit| {
        let (begin, end) = (format!("block {exit} {} ", "nop ".repeat(9)), "end ");
        let (begin, end) = (begin.repeat(100), end.repeat(100));
        loading(&format!("(func (param i32) {begin} {end})"), 0)
    });
    // Each of the 100 groups makes its block one deeper, at 480 bytes.
    assert!(with - without >= 48_000, "{without} {with}");
}

#[test]
fn a_group_begins_at_the_fifth_operator_that_an_exit_skips() {
    for (operators, copied) in [(4, false), (5, true)] {
        let items = format!(
            r#"(func (export "f") (param i32) (block (br_if 0 (local.get 0)) {}))"#,
            "nop ".repeat(operators)
        );
        assert_eq!(loading(&items, 5_000) > loading(&items, 1_000), copied);
    }
}

/// Types before the one that a block has, in number.
const BEFORE: [usize; 7] = [0, 63, 64, 127, 128, 150, 8_192];

#[test]
fn a_block_of_any_declared_type_is_split_into_groups_of_its_type() {
    for before in BEFORE {
        let mut text = String::from("(module ");
        (0..before).for_each(|_| text.push_str("(type (func (result i64))) "));
        text.push_str("(type $two (func (result i32 i32))) ");
        let work = "(local.set 0 (i32.add (local.get 0) (i32.const 1))) ".repeat(20);
        write!(
            text,
            r#"(func (export "f") (param i32) (result i32)
                 (block (type $two)
                   (if (i32.eq (local.get 0) (i32.const 7)) (then (return (i32.const -1))))
                   {work} (local.get 0) (i32.const 2))
                 i32.mul))"#
        )
        .unwrap();
        let plugin = load_wat(&text, &Grants::new());
        for (x, result) in [(7, -1), (1, 42)] {
            assert_eq!(plugin.call::<i32, i32>("f", x), Ok(result), "{before}");
        }
    }
}
