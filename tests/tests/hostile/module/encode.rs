//! Modules put together byte by byte, as no assembler would.
//!
//! Code in these bytes uses few operators: `0x00` is `unreachable`, `0x01` `nop`, `0x02` `block`,
//! `0x03` `loop`, `0x04` `if`, `0x0b` `end`, `0x0c` `br`, `0x0d` `br_if`, `0x0e` `br_table`, `0x0f`
//! `return`, `0x10` `call`, `0x1a` `drop`, `0x20` `local.get`, `0x41` `i32.const`, `0x42`
//! `i64.const` and `0x6a` `i32.add`. `0x40` is the type of a block without values.

use crate::case::Source;

// The sections' ids.
pub(super) const CUSTOM: u8 = 0;
pub(super) const TYPE: u8 = 1;
pub(super) const IMPORT: u8 = 2;
pub(super) const FUNCTION: u8 = 3;
pub(super) const TABLE: u8 = 4;
pub(super) const MEMORY: u8 = 5;
pub(super) const GLOBAL: u8 = 6;
pub(super) const EXPORT: u8 = 7;
pub(super) const START: u8 = 8;
pub(super) const ELEMENT: u8 = 9;
pub(super) const CODE: u8 = 10;
pub(super) const DATA: u8 = 11;
pub(super) const DATA_COUNT: u8 = 12;

// Value types.
pub(super) const I32: u8 = 0x7f;
pub(super) const I64: u8 = 0x7e;

/// The largest number of 32 bits, 4,294,967,295, encoded.
pub(super) const MOST: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x0f];

/// Encodes an unsigned number in LEB128, as short as it can be.
pub(super) fn leb(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

/// Encodes a section with its true size.
pub(super) fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(contents.len() as u64), contents].concat()
}

/// Encodes a section of `count` equal entries.
pub(super) fn repeated(id: u8, count: usize, entry: &[u8]) -> Vec<u8> {
    section(id, &[leb(count as u64), entry.repeat(count)].concat())
}

/// Encodes a section of `count` entries that differ.
pub(super) fn entries(id: u8, count: usize, entry: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let mut contents = leb(count as u64);
    for at in 0..count {
        contents.extend(entry(at));
    }
    section(id, &contents)
}

/// Puts a module together from its sections.
pub(super) fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"\0asm\x01\0\0\0".to_vec();
    for section in sections {
        out.extend(section);
    }
    out
}

/// Encodes a name, as in imports and exports.
pub(super) fn encode_name(text: &[u8]) -> Vec<u8> {
    [&leb(text.len() as u64)[..], text].concat()
}

/// Encodes a function type.
pub(super) fn function_type(params: &[u8], results: &[u8]) -> Vec<u8> {
    let types = |types: &[u8]| encode_name(types);
    [vec![0x60], types(params), types(results)].concat()
}

/// A type section of one function type.
pub(super) fn one_type(params: &[u8], results: &[u8]) -> Vec<u8> {
    section(TYPE, &[&[1][..], &function_type(params, results)].concat())
}

/// A function section of one function, of type 0.
pub(super) fn one_of_type_0() -> Vec<u8> {
    section(FUNCTION, &[1, 0])
}

/// An export section of function 0, as `run`.
pub(super) fn export_run() -> Vec<u8> {
    section(EXPORT, b"\x01\x03run\0\0")
}

/// Encodes a function's body with its true size: its locals, and its code without the `end`.
pub(super) fn body(locals: &[u8], code: &[u8]) -> Vec<u8> {
    let contents = [locals, code, &[0x0b]].concat();
    [leb(contents.len() as u64), contents].concat()
}

/// A code section of one body.
pub(super) fn code_of(body: &[u8]) -> Vec<u8> {
    section(CODE, &[&[1][..], body].concat())
}

/// A code section of one empty function.
pub(super) fn empty_code() -> Vec<u8> {
    code_of(&body(&[0], &[]))
}

/// A module of one function with this type and body, exported as `run`.
pub(super) fn one_function(params: &[u8], results: &[u8], locals: &[u8], code: &[u8]) -> Vec<u8> {
    module(&[
        one_type(params, results),
        one_of_type_0(),
        export_run(),
        code_of(&body(locals, code)),
    ])
}

/// A module of `count` functions with equal bodies, the first of them exported as `run`.
pub(super) fn functions(count: usize, body_contents: &'static [u8]) -> Source {
    Source::made(move || {
        module(&[
            one_type(&[], &[]),
            repeated(FUNCTION, count, &[0]),
            export_run(),
            repeated(CODE, count, &body(&[], body_contents)),
        ])
    })
}

/// One section of each kind, in the order that a module must have, with the kinds' names.
pub(super) fn one_of_each() -> Vec<(&'static str, Vec<u8>)> {
    #[rustfmt::skip] // a table
    let sections = vec![
        ("type", section(TYPE, b"\x02\x60\x00\x00\x60\x02\x7f\x7f\x00")),
        ("import", section(IMPORT, b"\x01\x03env\x08host_log\x00\x01")),
        ("function", one_of_type_0()),
        ("table", section(TABLE, &[1, 0x70, 0, 1])),
        ("memory", section(MEMORY, &[1, 0, 1])),
        ("global", section(GLOBAL, &[1, 0x7f, 0, 0x41, 0, 0x0b])),
        ("export", section(EXPORT, b"\x02\x03run\x00\x01\x06memory\x02\x00")),
        ("start", section(START, &[1])),
        ("element", section(ELEMENT, &[1, 0, 0x41, 0, 0x0b, 1, 1])),
        ("data count", section(DATA_COUNT, &[1])),
        ("code", empty_code()),
        ("data", section(DATA, b"\x01\x00\x41\x00\x0b\x01x")),
        ("custom", section(CUSTOM, b"\x01x123")),
    ];
    sections
}

/// A module of one function, with more sections `before` the function section, `between` it and the
/// exports, and `after` those.
pub(super) fn around(before: Vec<Vec<u8>>, between: Vec<Vec<u8>>, after: Vec<Vec<u8>>) -> Vec<u8> {
    let sections = [
        vec![one_type(&[], &[])],
        before,
        vec![one_of_type_0()],
        between,
        vec![export_run()],
        after,
    ];
    module(&sections.concat())
}
