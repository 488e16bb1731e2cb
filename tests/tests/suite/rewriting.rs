//! Which modules are changed before they are compiled, and that they stay right.

use hostel::{Grants, Limits, ModuleInfo};
use hostel_tests::{assemble, load_wat};
use std::fmt::Write as _;

/// A module's heap to load it, with a custom section of so many bytes.
fn loading(items: &str, custom: usize) -> u64 {
    let text = format!(
        r#"(module {items} (@custom "notes" "{}"))"#,
        "x".repeat(custom)
    );
    let module = ModuleInfo::read(&assemble(&text)).unwrap();
    module.footprint(&Limits::server()).loading
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
