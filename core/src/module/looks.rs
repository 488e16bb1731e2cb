//! Says what a file is that is no WebAssembly module.

const NATIVE: &str = "a native file: build the plugin for `wasm32-unknown-unknown`";
const COMPRESSED: &str = "a compressed file: unpack it first";
const BITCODE: &str = "LLVM bitcode: link it without -flto";
const TEXT: &str = "WebAssembly text: assemble it first, for example with `wat2wasm`";
const PAGE: &str = "a web page: download the file itself";

/// How files begin. One entry for each format of a kind.
const STARTS: [(&[u8], &str); 17] = [
    (b"\x7fELF", NATIVE),
    // Mach-O, for 32 bits, 64 bits and several machines.
    (b"\xce\xfa\xed\xfe", NATIVE),
    (b"\xcf\xfa\xed\xfe", NATIVE),
    (b"\xca\xfe\xba\xbe", NATIVE),
    // Programs and libraries of Windows.
    (b"MZ", NATIVE),
    // gzip, zip, xz, zstd, bzip2 and LZ4.
    (b"\x1f\x8b", COMPRESSED),
    (b"PK", COMPRESSED),
    (b"\xfd7zXZ\0", COMPRESSED),
    (b"\x28\xb5\x2f\xfd", COMPRESSED),
    (b"BZh", COMPRESSED),
    (b"\x04\x22\x4d\x18", COMPRESSED),
    // Bare, and in the wrapper of Apple's tools.
    (b"BC\xc0\xde", BITCODE),
    (b"\xde\xc0\x17\x0b", BITCODE),
    (b"!<arch>", "a static library: link it first"),
    (
        b"version https://git-lfs",
        "a Git LFS pointer: run `git lfs pull`",
    ),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a PNG image"),
];

/// How texts begin after white space, in any case.
const TEXTS: [(&[u8], &str); 5] = [
    (b"(module", TEXT),
    (b";;", TEXT),
    (b"(;", TEXT),
    (b"<!doctype", PAGE),
    (b"<html", PAGE),
];

/// Describes a file by its first bytes, and tells what to do with it.
pub(super) fn looks_like(bytes: &[u8]) -> &'static str {
    let start = bytes.get(..bytes.len().min(512)).unwrap_or(bytes);
    let known = STARTS.iter().find(|(magic, _)| start.starts_with(magic));
    if let Some((_, what)) = known {
        return what;
    }
    // A tar archive begins with the name of its first file.
    if start.get(257..262) == Some(b"ustar") {
        return "a tar archive: unpack it first";
    }
    let text = match core::str::from_utf8(start) {
        Ok(text) => text.trim_ascii_start(),
        // A character cut in two by the end of the sample is no sign against text.
        Err(error) if error.error_len().is_none() => "text",
        Err(_) => "",
    };
    let begins = |with: &[u8]| {
        let start = text.as_bytes().get(..with.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    match TEXTS.iter().find(|(with, _)| begins(with)) {
        Some((_, what)) => what,
        None if text.is_empty() || text.contains('\0') => "unknown binary data",
        None => "text",
    }
}
