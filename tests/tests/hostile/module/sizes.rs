//! M10, M11: tables and memories that are too large or too many, and segments that do not fit.
//!
//! A row: the table, memory or segment in words, its text or bytes, the verdict.

use super::encode::{DATA, ELEMENT, MEMORY, TABLE, around, empty_code, leb, repeated, section};
use crate::case::{Case, loads, refused, returns, starts, traps};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    tables_and_memories(&mut cases);
    active_segments(&mut cases);
    data_segments(&mut cases);
    element_segments(&mut cases);
    cases
}

/// M10: what a module declares. What it may grow to is not held against it.
fn tables_and_memories(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("table of 10,000,000 elements",
            "(table 10000000 funcref)", refused("over-limit table_elements")),
        ("table of 100,001 elements",
            "(table 100001 funcref)", refused("over-limit table_elements")),
        ("table of 4294967295 elements",
            "(table 4294967295 externref)", refused("over-limit table_elements")),
        ("two tables over the limit together",
            "(table 50000 funcref) (table 50001 externref)", refused("over-limit table_elements")),
        ("table of 100,000 elements", "(table 100000 funcref)", loads()),
        ("table that may have 4294967295 elements", "(table 0 4294967295 funcref)", loads()),
        ("table of 64 bits", "(table i64 1 funcref)", refused("needs-proposal")),
        ("memory of 4 GiB", "(memory 65536)", refused("over-limit memory_bytes")),
        ("memory of a page too much", "(memory 17)", refused("over-limit memory_bytes")),
        ("memory as large as allowed", "(memory 16)", loads()),
        ("memory that may have 4 GiB", "(memory 0 65536)", loads()),
        ("memory of 64 bits (W3)", "(memory i64 1 0x1000000000000)", refused("needs-proposal")),
        ("two memories", "(memory 1) (memory 1)", refused("needs-proposal")),
        ("shared memory", "(memory 1 1 shared)", refused("needs-proposal")),
        ("memory with pages of a byte, one too much",
            "(memory 1048577 (pagesize 1))", refused("over-limit memory_bytes")),
        ("memory with pages of a byte, as large as allowed",
            "(memory 1048576 (pagesize 1))", loads()),
        ("memory with pages of a byte that may have 4 GiB",
            "(memory 0 0xffffffff (pagesize 1))", loads()),
    ];
    for (what, items, verdict) in rows {
        let text = format!(r#"(module {items} (func (export "run")))"#);
        cases.push(Case::load(format!("M10/{what}"), text, verdict));
    }
    #[rustfmt::skip] // a table
    let rows = [
        ("17 tables", 17, 0, refused("over-limit tables")),
        ("100 tables", 100, 0, refused("over-limit tables")),
        ("100 tables of 10,000,000 elements", 100, 10_000_000, refused("over-limit tables")),
        ("16 tables of 10,000 elements", 16, 10_000, refused("over-limit table_elements")),
        ("16 tables", 16, 1_000, loads()),
    ];
    for (what, count, size, verdict) in rows {
        let tables = repeated(TABLE, count, &[&[0x70, 0][..], &leb(size)].concat());
        let wasm = around(vec![], vec![tables], vec![empty_code()]);
        cases.push(Case::load(format!("M10/{what}"), wasm, verdict));
    }
    let text = r#"(module (table 100000 externref) (func (export "run")))"#;
    let name = "M10/full table is instantiated";
    cases.push(Case::run_export(name, text, returns("")));
}

/// M11: segments that are written when an instance is made. Those outside of their memory or table
/// trap there.
fn active_segments(cases: &mut Vec<Case>) {
    #[rustfmt::skip] // a table
    let rows = [
        ("data at the end", r#"(memory 1) (data (i32.const 65535) "x")"#, starts()),
        ("data one over the end",
            r#"(memory 1) (data (i32.const 65536) "x")"#, traps("trap-memory")),
        ("data across the end",
            r#"(memory 1) (data (i32.const 65535) "xy")"#, traps("trap-memory")),
        ("data at -1", r#"(memory 1) (data (i32.const -1) "x")"#, traps("trap-memory")),
        ("data at 2 GiB", r#"(memory 1) (data (i32.const 0x80000000) "x")"#, traps("trap-memory")),
        ("no data at the end", r#"(memory 1) (data (i32.const 65536) "")"#, starts()),
        ("no data behind the end",
            r#"(memory 1) (data (i32.const 65537) "")"#, traps("trap-memory")),
        ("data for a memory of no pages",
            r#"(memory 0) (data (i32.const 0) "x")"#, traps("trap-memory")),
        ("data at a wrapping sum",
            r#"(memory 1) (data (i32.add (i32.const -1) (i32.const 2)) "x")"#, starts()),
        ("element at the end", "(table 1 funcref) (elem (i32.const 0) $f)", starts()),
        ("element one over the end",
            "(table 1 funcref) (elem (i32.const 1) $f)", traps("trap-instantiation")),
        ("element across the end",
            "(table 1 funcref) (elem (i32.const 0) $f $f)", traps("trap-instantiation")),
        ("element at -1",
            "(table 1 funcref) (elem (i32.const -1) $f)", traps("trap-instantiation")),
        ("no element behind the end",
            "(table 1 funcref) (elem (i32.const 2) func)", traps("trap-instantiation")),
        ("second of two segments",
            r#"(memory 1) (data (i32.const 0) "x") (data (i32.const -1) "x")"#,
            traps("trap-memory")),
    ];
    for (what, item, verdict) in rows {
        let text = format!(r#"(module (func $f (export "run")) {item})"#);
        cases.push(Case::start(format!("M11/{what}"), text, verdict));
    }
}

/// M11: data segments that are malformed, too many or too large.
fn data_segments(cases: &mut Vec<Case>) {
    let memory = || vec![section(MEMORY, &[1, 0, 1])];
    #[rustfmt::skip] // a table
    let rows = [
        // What is wrong, the memory, the data section, the verdict.
        ("data without memory",
            vec![], section(DATA, b"\x01\x00\x41\x00\x0b\x01x"), refused("invalid-module")),
        ("data of memory 1",
            memory(), section(DATA, b"\x01\x02\x01\x41\x00\x0b\x01x"), refused("invalid-module")),
        ("data at an i64",
            memory(), section(DATA, b"\x01\x00\x42\x00\x0b\x01x"), refused("invalid-module")),
        ("50,000,000 data segments",
            memory(), section(DATA, &[&leb(50_000_000)[..], &[1, 0]].concat()),
            refused("over-limit segments")),
        ("100,001 data segments",
            memory(), repeated(DATA, 100_001, &[1, 0]), refused("over-limit segments")),
        ("100,000 data segments", memory(), repeated(DATA, 100_000, &[1, 0]), loads()),
        ("data size of 4 GiB",
            memory(), section(DATA, &[1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]),
            refused("truncated-module")),
        ("more data than memory",
            memory(), section(DATA, &[&[1, 1][..], &leb(1 << 20), &[7; 1 << 20]].concat()),
            loads()),
    ];
    for (what, before, after, verdict) in rows {
        let wasm = around(vec![], before, vec![empty_code(), after]);
        cases.push(Case::load(format!("M11/{what}"), wasm, verdict));
    }
}

/// M11: element segments that are malformed, too many or too large.
fn element_segments(cases: &mut Vec<Case>) {
    let passive = |count: usize| {
        let elements = [&[1, 1, 0][..], &leb(count as u64), &vec![0; count]];
        section(ELEMENT, &elements.concat())
    };
    let table = || vec![section(TABLE, &[1, 0x70, 0, 1])];
    #[rustfmt::skip] // a table
    let rows = [
        ("element without table",
            vec![], section(ELEMENT, &[1, 0, 0x41, 0, 0x0b, 1, 0]), refused("invalid-module")),
        ("element of function 9",
            table(), section(ELEMENT, &[1, 0, 0x41, 0, 0x0b, 1, 9]), refused("invalid-module")),
        ("100,001 element segments",
            table(), repeated(ELEMENT, 100_001, &[1, 0, 0]), refused("over-limit segments")),
        ("100,000 element segments", table(), repeated(ELEMENT, 100_000, &[1, 0, 0]), loads()),
        ("segment of 100,001 elements", table(), passive(100_001), refused("over-limit elements")),
        ("segment of 100,000 elements", table(), passive(100_000), loads()),
        ("element count of 4294967295",
            table(), section(ELEMENT, &[1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]),
            refused("truncated-module")),
    ];
    for (what, before, element, verdict) in rows {
        let wasm = around(vec![], before, vec![element, empty_code()]);
        cases.push(Case::load(format!("M11/{what}"), wasm, verdict));
    }
}
