//! WIT's names in AssemblyScript.

use heck::{ToLowerCamelCase as _, ToUpperCamelCase as _};
use wit_bindgen_core::wit_parser::{Resolve, WorldKey};

/// Words that can't be the name of a function, field, parameter or case.
const RESERVED: &[&str] = &[
    "abort",
    "abstract",
    "as",
    "bool",
    "boolean",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "constructor",
    "continue",
    "debugger",
    "declare",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "export",
    "extends",
    "f32",
    "f64",
    "false",
    "finally",
    "for",
    "from",
    "function",
    "get",
    "i16",
    "i32",
    "i64",
    "i8",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "is",
    "isize",
    "keyof",
    "let",
    "module",
    "namespace",
    "new",
    "null",
    "number",
    "of",
    "package",
    "private",
    "protected",
    "public",
    "readonly",
    "return",
    "set",
    "static",
    "string",
    "super",
    "switch",
    "symbol",
    "this",
    "throw",
    "true",
    "try",
    "type",
    "typeof",
    "u16",
    "u32",
    "u64",
    "u8",
    "undefined",
    "usize",
    "v128",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// Names that the bindings begin with.
const OWN: &[&str] = &[
    "block", "blocks", "err", "fail", "none", "ok", "plugin", "release", "some", "utf8", "zero",
];

/// Returns the name of a function, namespace or parameter. A name that is taken gets a `_`.
pub(super) fn identifier(name: &str) -> String {
    let name = member(name);
    match OWN.contains(&&*name) {
        true => format!("{name}_"),
        false => name,
    }
}

/// Returns the name of a field or case.
pub(super) fn member(name: &str) -> String {
    let name = camel(name);
    match RESERVED.contains(&&*name) {
        true => format!("{name}_"),
        false => name,
    }
}

pub(super) fn camel(name: &str) -> String {
    name.to_lower_camel_case()
}

/// Returns the name of a class or enum.
pub(super) fn class(name: &str) -> String {
    name.to_upper_camel_case()
}

/// Returns the namespace of an interface.
pub(super) fn space(resolve: &Resolve, key: &WorldKey) -> String {
    match key {
        WorldKey::Name(name) => identifier(name),
        WorldKey::Interface(id) => {
            identifier(resolve.interfaces[*id].name.as_deref().unwrap_or_default())
        }
    }
}

pub(super) fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| match line.is_empty() {
        true => "\n".to_owned(),
        false => format!("  {line}\n"),
    });
    lines.collect()
}
