//! Modules put together byte by byte, as no assembler would.

use crate::case::Source;

/// An unsigned number, as short as it goes.
pub(crate) fn leb(mut value: u64) -> Vec<u8> {
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

/// A section, its size told truly.
pub(crate) fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(contents.len() as u64), contents].concat()
}

/// A section of `count` entries, each the same.
pub(crate) fn repeated(id: u8, count: usize, entry: &[u8]) -> Vec<u8> {
    section(id, &[leb(count as u64), entry.repeat(count)].concat())
}

/// A section with entries that differ.
pub(crate) fn entries(id: u8, count: usize, entry: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let mut contents = leb(count as u64);
    for at in 0..count {
        contents.extend(entry(at));
    }
    section(id, &contents)
}

/// A module of these sections.
pub(crate) fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"\0asm\x01\0\0\0".to_vec();
    for section in sections {
        out.extend(section);
    }
    out
}

/// A name, as in imports and exports.
pub(crate) fn name(text: &[u8]) -> Vec<u8> {
    [&leb(text.len() as u64)[..], text].concat()
}

/// A function's body, its size told truly: locals and code without the `end`.
pub(crate) fn body(locals: &[u8], code: &[u8]) -> Vec<u8> {
    let contents = [locals, code, &[0x0b]].concat();
    [leb(contents.len() as u64), contents].concat()
}

/// A type section of one function type.
pub(crate) fn one_type(params: &[u8], results: &[u8]) -> Vec<u8> {
    section(1, &[&[1][..], &function_type(params, results)].concat())
}

/// A function type.
pub(crate) fn function_type(params: &[u8], results: &[u8]) -> Vec<u8> {
    let of = |types: &[u8]| name(types);
    [vec![0x60], of(params), of(results)].concat()
}

/// An export section of function 0, as `run`.
pub(crate) fn export_run() -> Vec<u8> {
    section(7, b"\x01\x03run\0\0")
}

/// A module with one exported function `run`, of this type and body.
pub(crate) fn one_function(params: &[u8], results: &[u8], locals: &[u8], code: &[u8]) -> Vec<u8> {
    module(&[
        one_type(params, results),
        section(3, &[1, 0]),
        export_run(),
        section(10, &[&[1][..], &body(locals, code)].concat()),
    ])
}

pub(crate) const I32: u8 = 0x7f;
pub(crate) const I64: u8 = 0x7e;

/// A module with one of each section, in order.
pub(crate) fn one_of_each() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("type", section(1, b"\x02\x60\x00\x00\x60\x02\x7f\x7f\x00")),
        ("import", section(2, b"\x01\x03env\x08host_log\x00\x01")),
        ("function", section(3, &[1, 0])),
        ("table", section(4, &[1, 0x70, 0, 1])),
        ("memory", section(5, &[1, 0, 1])),
        ("global", section(6, &[1, 0x7f, 0, 0x41, 0, 0x0b])),
        (
            "export",
            section(7, b"\x02\x03run\x00\x01\x06memory\x02\x00"),
        ),
        ("start", section(8, &[1])),
        ("element", section(9, &[1, 0, 0x41, 0, 0x0b, 1, 1])),
        ("data count", section(12, &[1])),
        ("code", section(10, &[1, 2, 0, 0x0b])),
        ("data", section(11, b"\x01\x00\x41\x00\x0b\x01x")),
        ("custom", section(0, b"\x01x123")),
    ]
}

/// The sections of a module with one function, between which others come.
pub(crate) fn around(before: Vec<Vec<u8>>, between: Vec<Vec<u8>>, after: Vec<Vec<u8>>) -> Vec<u8> {
    let sections = [
        vec![one_type(&[], &[])],
        before,
        vec![section(3, &[1, 0])],
        between,
        vec![export_run()],
        after,
    ];
    module(&sections.concat())
}

/// A code section of one empty function.
pub(crate) fn code() -> Vec<u8> {
    section(10, &[1, 2, 0, 0x0b])
}

/// So many functions of the same body, the first of them exported.
pub(crate) fn functions(count: usize, code: &'static [u8]) -> Source {
    Source::made(move || {
        module(&[
            one_type(&[], &[]),
            repeated(3, count, &[0]),
            export_run(),
            repeated(10, count, &body(&[], code)),
        ])
    })
}
