//! Host functions with every kind of argument and result, as they are granted and imported.

use hostel_core::{Context, Grants, LogRecord, Trap};
use std::sync::LazyLock;

/// A granted function, as a guest sees it.
pub struct HostFunction {
    /// The module that it is imported from.
    pub module: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// The core types of its parameters, and of its results.
    pub params: &'static [&'static str],
    pub results: &'static [&'static str],
}

/// How a guest declares results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As they are.
    Values,
    /// Two i32 in one i64, where that is what they are.
    Packed,
    /// In memory at a pointer, where there are several.
    Pointer,
}

const fn function(
    module: &'static str,
    name: &'static str,
    params: &'static [&'static str],
    results: &'static [&'static str],
) -> HostFunction {
    HostFunction {
        module,
        name,
        params,
        results,
    }
}

const BYTES: &[&str] = &["i32", "i32"];

/// Each granted function; see [`grants`] for their types in Rust.
pub const FUNCTIONS: [HostFunction; 16] = [
    function("env", "host_log", BYTES, &[]),
    function("env", "host_log_message", BYTES, &[]),
    function("env", "host_log_at", &["i32", "i32", "i32"], &[]),
    function("env", "abort", &["i32", "i32", "i32", "i32"], &[]),
    function("env", "host_get_config", BYTES, BYTES),
    function("fuzz", "nothing", &[], &[]),
    function("fuzz", "small", &["i32", "i32", "i32", "i32"], &["i32"]),
    function("fuzz", "integers", &["i32", "i64", "i64"], &["i64"]),
    function("fuzz", "floats", &["f32", "f64"], &["f32", "f64"]),
    function("fuzz", "text", BYTES, BYTES),
    function(
        "fuzz",
        "texts",
        &["i32", "i32", "i32", "i32"],
        &["i32", "i32", "i32"],
    ),
    function("fuzz", "bytes", BYTES, BYTES),
    function("fuzz", "maybe", &["i32", "i64", "i32", "i32"], BYTES),
    function(
        "fuzz",
        "outcome",
        &["i32", "i32", "i32", "i64"],
        &["i32", "i64", "i32", "i32"],
    ),
    function(
        "fuzz",
        "nested",
        &["i32", "f64", "i32", "i32", "i32"],
        &["i32", "i32", "i32"],
    ),
    function("fuzz", "context", &["i64"], &["i64"]),
];

impl HostFunction {
    /// Its signature in this shape, as far as its results have it.
    #[must_use]
    pub fn declared(&self, shape: Shape) -> (Vec<&'static str>, Vec<&'static str>) {
        let (params, results) = (self.params.to_vec(), self.results.to_vec());
        match shape {
            Shape::Packed if self.results == BYTES => (params, vec!["i64"]),
            Shape::Pointer if results.len() > 1 => ([vec!["i32"], params].concat(), vec![]),
            _ => (params, results),
        }
    }

    /// The import, in the text format, as `$NAME`.
    #[must_use]
    pub fn import(&self, shape: Shape) -> String {
        let Self { module, name, .. } = self;
        let (params, results) = self.declared(shape);
        let (params, results) = (params.join(" "), results.join(" "));
        format!(
            "(import \"{module}\" \"{name}\" (func ${name} (param {params}) (result {results})))\n"
        )
    }
}

/// Log, configuration, and functions with every kind of argument and result.
pub static GRANTS: LazyLock<Grants<u64>> = LazyLock::new(|| {
    Grants::with_data()
        .function("fuzz", "nothing", || {})
        .function("fuzz", "small", |a: u8, b: i16, c: bool, d: char| {
            u32::from(a) + u32::from(b.unsigned_abs()) + u32::from(c) + u32::from(d)
        })
        .function("fuzz", "integers", |a: u32, b: i64, c: u64| {
            b.wrapping_add(i64::from(a)).wrapping_mul(c.cast_signed())
        })
        .function("fuzz", "floats", |a: f32, b: f64| (a * 2.0, b / 2.0))
        .function("fuzz", "text", |text: &str| text.to_uppercase())
        .function("fuzz", "texts", |a: String, b: &str| {
            (a.clone() + b, b.len() as u32)
        })
        .function("fuzz", "bytes", |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().rev().copied().collect()
        })
        .function(
            "fuzz",
            "maybe",
            |number: Option<u64>, text: Option<&str>| Some(format!("{} {}", number?, text?)),
        )
        .function(
            "fuzz",
            "outcome",
            |given: Result<Vec<u8>, i64>| match given {
                Ok(bytes) => Err(bytes),
                Err(number) => Ok(number),
            },
        )
        .function(
            "fuzz",
            "nested",
            |(a, b): (u32, (f64, Option<i8>)), c: bool| (f64::from(a) < b.0).then_some((b.1?, c)),
        )
        .function("fuzz", "context", charging)
        .log(|record: &LogRecord<'_>| {
            let shown = record.text.to_string();
            assert!(!shown.contains(char::is_control), "a record is one line");
        })
        .config([("", "empty"), ("key", "value"), ("long", LONG)])
});

/// A value that some guests have no room for.
const LONG: &str = match core::str::from_utf8(&[b'x'; 2_000]) {
    Ok(text) => text,
    Err(_) => "",
};

fn charging(context: &mut Context<'_, u64>, fuel: u64) -> Result<u64, Trap> {
    context.charge(fuel)?;
    *context.data_mut() = context.data().wrapping_add(fuel);
    Ok(*context.data())
}
