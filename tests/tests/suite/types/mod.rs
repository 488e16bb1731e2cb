//! How each Rust type crosses the boundary: as an export's parameter and result, and as a host
//! function's, in each shape that a compiler may give it.

mod compound;
mod host_functions;
mod numbers;
mod refusals;
mod text_and_bytes;

use core::fmt::Debug;
use hostel::{CallError, Grants, Instance, Lift, Lower, Plugin, Postcard};
use hostel_tests::{code, load_wat, with_allocator};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A Rust type's name, and the core types of its values.
const ROWS: &[(&str, &[&str])] = &[
    ("i8", &["i32"]),
    ("u8", &["i32"]),
    ("i16", &["i32"]),
    ("u16", &["i32"]),
    ("i32", &["i32"]),
    ("u32", &["i32"]),
    ("i64", &["i64"]),
    ("u64", &["i64"]),
    ("f32", &["f32"]),
    ("f64", &["f64"]),
    ("bool", &["i32"]),
    ("char", &["i32"]),
    ("unit", &[]),
    ("str", &["i32", "i32"]),
    ("String", &["i32", "i32"]),
    ("bytes", &["i32", "i32"]),
    ("Vec", &["i32", "i32"]),
    ("Option<u32>", &["i32", "i32"]),
    ("Option<f64>", &["i32", "f64"]),
    ("Option<bool>", &["i32", "i32"]),
    ("Option<String>", &["i32", "i32"]),
    ("Option<Vec>", &["i32", "i32"]),
    ("Option<Option<String>>", &["i32", "i32", "i32"]),
    ("Result<u32,String>", &["i32", "i32", "i32", "i32"]),
    ("Result<String,u64>", &["i32", "i32", "i32", "i64"]),
    ("Result<(),String>", &["i32", "i32", "i32"]),
    ("(u8,f64,char)", &["i32", "f64", "i32"]),
    ("(u32,u32)", &["i32", "i32"]),
    ("(String,i64,Vec)", &["i32", "i32", "i64", "i32", "i32"]),
    ("Postcard", &["i32", "i32"]),
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    article: String,
    price: Option<f64>,
    tags: BTreeMap<String, Vec<u64>>,
}

/// Grants a host function for each type, which returns its parameter.
fn echoes() -> Grants<()> {
    Grants::new()
        .function("host", "i8", |value: i8| value)
        .function("host", "u8", |value: u8| value)
        .function("host", "i16", |value: i16| value)
        .function("host", "u16", |value: u16| value)
        .function("host", "i32", |value: i32| value)
        .function("host", "u32", |value: u32| value)
        .function("host", "i64", |value: i64| value)
        .function("host", "u64", |value: u64| value)
        .function("host", "f32", |value: f32| value)
        .function("host", "f64", |value: f64| value)
        .function("host", "bool", |value: bool| value)
        .function("host", "char", |value: char| value)
        .function("host", "unit", || ())
        .function("host", "str", |text: &str| -> String { text.into() })
        .function("host", "String", |text: String| text)
        .function("host", "bytes", |bytes: &[u8]| -> Box<[u8]> {
            bytes.into()
        })
        .function("host", "Vec", |bytes: Vec<u8>| bytes)
        .function("host", "Option<u32>", |value: Option<u32>| value)
        .function("host", "Option<f64>", |value: Option<f64>| value)
        .function("host", "Option<bool>", |value: Option<bool>| value)
        .function(
            "host",
            "Option<String>",
            |text: Option<&str>| -> Option<String> { text.map(Into::into) },
        )
        .function("host", "Option<Vec>", |bytes: Option<Vec<u8>>| bytes)
        .function(
            "host",
            "Option<Option<String>>",
            |text: Option<Option<String>>| text,
        )
        .function(
            "host",
            "Result<u32,String>",
            |result: Result<u32, String>| result,
        )
        .function(
            "host",
            "Result<String,u64>",
            |result: Result<String, u64>| result,
        )
        .function("host", "Result<(),String>", |result: Result<(), String>| {
            result
        })
        .function("host", "(u8,f64,char)", |tuple: (u8, f64, char)| tuple)
        .function("host", "(u32,u32)", |pair: (u32, u32)| pair)
        .function(
            "host",
            "(String,i64,Vec)",
            |tuple: (String, i64, Vec<u8>)| tuple,
        )
        .function("host", "Postcard", |order: Postcard<Order>| order)
}

/// Returns the shapes in which a function with these results may be declared: the shape's name,
/// whether the results go to a pointer, and the declared results.
fn shapes<'a>(results: &[&'a str]) -> Vec<(&'static str, bool, Vec<&'a str>)> {
    let mut shapes = vec![("values", false, results.to_vec())];
    if results == ["i32", "i32"] {
        shapes.push(("packed", false, vec!["i64"]));
    }
    if results.len() > 1 {
        shapes.push(("pointer", true, vec![]));
    }
    shapes
}

/// Loads a guest of one shape. For each type it exports `own TYPE`, which returns its parameters,
/// and `host TYPE`, which returns the result of the host function of that type.
///
/// An import has one shape only, so each shape has a guest of its own.
fn guest(shape: &str) -> Plugin {
    let (mut imports, mut items) = (String::new(), String::new());
    for (at, (row, types)) in ROWS.iter().enumerate() {
        let Some((_, pointer, declared)) = shapes(types).into_iter().find(|found| found.0 == shape)
        else {
            continue;
        };
        let mut params = types.to_vec();
        if pointer {
            params.insert(0, "i32");
        }
        let ty = format!(
            "(param {}) (result {})",
            params.join(" "),
            declared.join(" ")
        );
        let get = |from: usize| -> String {
            (from..params.len())
                .map(|local| format!("(local.get {local})"))
                .collect()
        };
        let own = match shape {
            "values" => get(0),
            "packed" => String::from(
                "(i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32))
                         (i64.extend_i32_u (local.get 1)))",
            ),
            _ => stores(types),
        };
        imports += &format!(r#"(import "host" "{row}" (func $f{at} {ty}))"#);
        items += &format!(
            r#"(func (export "own {row}") {ty} {own})
               (func (export "host {row}") {ty} (call $f{at} {}))"#,
            get(0)
        );
    }
    load_wat(&with_allocator(&imports, &items), &echoes())
}

/// Returns code that stores the parameters, from the second on, as a C struct at the address in the
/// first.
fn stores(types: &[&str]) -> String {
    let mut end = 0u32;
    let fields = types.iter().enumerate().map(|(at, ty)| {
        let size = if ty.ends_with("64") { 8 } else { 4 };
        let offset = end.next_multiple_of(size);
        end = offset + size;
        format!(
            "({ty}.store offset={offset} (local.get 0) (local.get {}))",
            at + 1
        )
    });
    fields.collect()
}

/// Makes a fresh instance for each shape of the type.
fn instances(row: &str) -> impl Iterator<Item = (&'static str, Instance)> {
    let types = ROWS.iter().find(|(name, _)| *name == row).expect("a row").1;
    shapes(types)
        .into_iter()
        .map(|(shape, ..)| (shape, guest(shape).instantiate(()).expect("it starts")))
}

/// Checks that each value comes back unchanged, from the guest and from the host function.
fn round_trips<T>(row: &str, values: impl IntoIterator<Item = T>)
where
    T: Lower + for<'m> Lift<View<'m> = T> + Clone + PartialEq + Debug,
{
    let values: Vec<T> = values.into_iter().collect();
    for (shape, mut instance) in instances(row) {
        for value in &values {
            for side in ["own", "host"] {
                let answer = instance.call::<T, T>(&format!("{side} {row}"), value.clone());
                assert_eq!(answer.as_ref(), Ok(value), "{side} {row}, as {shape}");
            }
        }
    }
}

/// Checks that these i32 are refused as values of `T`. As an export's result they are an error,
/// which names what was expected and found. As a host function's argument they trap the guest.
fn refuses<T>(row: &str, expected: &'static str, values: &[i32])
where
    T: for<'m> Lift<View<'m> = T> + Debug,
{
    for &value in values {
        let mut instance = guest("values").instantiate(()).expect("it starts");
        let error = instance.call::<i32, T>(&format!("own {row}"), value);
        let found = i64::from(value);
        assert_eq!(
            error.expect_err(row),
            CallError::BadValue { expected, found }
        );
        assert!(!instance.is_stopped(), "{row}: an error is an answer");
        let trap = instance.call::<i32, i32>(&format!("host {row}"), value);
        assert_eq!(code(&trap), "trap-host-call", "{row} {value}");
        let message = trap.expect_err(row).to_string();
        assert!(
            message.contains(&format!("expected {expected}, found {value}")),
            "{message}"
        );
        assert!(instance.is_stopped(), "{row}: a trap stops");
    }
}
