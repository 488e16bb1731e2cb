//! The type table: what each Rust type is at the boundary, as an export's parameter and result
//! and as a host function's, in each shape that a compiler may give it.

use core::fmt::Debug;
use hostel::{CallError, Context, Grants, Instance, Lift, Lower, Plugin, Postcard, Trap};
use hostel_tests::{code, load_wat, with_allocator};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The rows: a name, and the core types that values of the Rust type are.
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

/// A host function for each row, which gives back what it got.
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

/// The shapes in which a function of these results may be declared: the shape's name, whether the
/// results go to a pointer, and the declared results.
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

/// A guest that exports for each row and shape `own ROW SHAPE`, which gives back its parameters,
/// and `host ROW SHAPE`, which gives back what the host function of that row answers in that
/// shape. One import can have one shape only, so each shape has a guest.
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

/// Stores the parameters after the first at the pointer that is the first, as a C struct.
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

/// A fresh instance for each shape that the row has.
fn instances(row: &str) -> impl Iterator<Item = (&'static str, Instance)> {
    let types = ROWS.iter().find(|(name, _)| *name == row).expect("a row").1;
    shapes(types)
        .into_iter()
        .map(|(shape, ..)| (shape, guest(shape).instantiate(()).expect("it starts")))
}

/// Each value comes back as it went in, from the guest and from the host function behind it.
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

/// These i32 are no values of `T`: as an export's result they are an error, which names what was
/// promised and what was found; as a host function's argument they trap the guest.
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
            message.contains(&format!("the guest gave {value} where {expected}")),
            "{message}"
        );
        assert!(instance.is_stopped(), "{row}: a trap stops");
    }
}

// Integers

#[test]
fn i8_is_an_i32() {
    round_trips("i8", [0, 1, -1, i8::MIN, i8::MAX]);
    refuses::<i8>("i8", "an i8", &[128, -129, 255, i32::MIN, i32::MAX]);
}

#[test]
fn u8_is_an_i32() {
    round_trips("u8", [0, 1, 127, 128, u8::MAX]);
    refuses::<u8>("u8", "a u8", &[-1, 256, 300, i32::MIN, i32::MAX]);
}

#[test]
fn i16_is_an_i32() {
    round_trips("i16", [0, 1, -1, i16::MIN, i16::MAX]);
    refuses::<i16>("i16", "an i16", &[32_768, -32_769, i32::MIN, i32::MAX]);
}

#[test]
fn u16_is_an_i32() {
    round_trips("u16", [0, 1, 32_768, u16::MAX]);
    refuses::<u16>("u16", "a u16", &[-1, 65_536, i32::MIN, i32::MAX]);
}

#[test]
fn i32_is_an_i32() {
    round_trips("i32", [0, 1, -1, i32::MIN, i32::MAX]);
}

#[test]
fn u32_is_an_i32() {
    round_trips("u32", [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
}

#[test]
fn i64_is_an_i64() {
    round_trips("i64", [0, 1, -1, 1 << 32, i64::MIN, i64::MAX]);
}

#[test]
fn u64_is_an_i64() {
    round_trips("u64", [0, 1, 1 << 32, 1 << 63, u64::MAX]);
}

// Floats: compared by their bits, since NaN equals nothing and -0.0 equals 0.0.

#[test]
fn f32_keeps_every_bit() {
    let values = [
        0.0,
        -0.0,
        1.5,
        f32::MIN,
        f32::MAX,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        -f32::NAN,
        f32::from_bits(0x7fc1_2345),
    ];
    let mut instance = guest("values").instantiate(()).unwrap();
    for value in values {
        for name in ["own f32", "host f32"] {
            let found = instance.call::<f32, f32>(name, value).unwrap();
            assert_eq!(found.to_bits(), value.to_bits(), "{name} {value}");
        }
    }
}

#[test]
fn f64_keeps_every_bit() {
    let values = [
        0.0,
        -0.0,
        1.5,
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        -f64::NAN,
        f64::from_bits(0x7ff8_1234_5678_9abc),
    ];
    let mut instance = guest("values").instantiate(()).unwrap();
    for value in values {
        for name in ["own f64", "host f64"] {
            let found = instance.call::<f64, f64>(name, value).unwrap();
            assert_eq!(found.to_bits(), value.to_bits(), "{name} {value}");
        }
    }
}

// `bool`, `char`, unit

#[test]
fn bool_is_0_or_1() {
    round_trips("bool", [false, true]);
    refuses::<bool>("bool", "a bool (0 or 1)", &[2, -1, 256, i32::MIN]);
}

#[test]
fn char_is_a_scalar_value() {
    round_trips("char", ['\0', 'a', '\u{d7ff}', '\u{e000}', '😀', char::MAX]);
    refuses::<char>("char", "a char", &[0xd800, 0xdfff, 0x11_0000, -1]);
}

#[test]
fn unit_is_nothing() {
    round_trips("unit", [()]);
}

// Text and bytes

const TEXTS: [&str; 5] = ["", "a", "Grüße, 世界 😀", "nul \0 inside", "\u{feff}mark"];

#[test]
fn text_is_a_pointer_and_a_length() {
    round_trips("String", TEXTS.map(String::from));
    for (shape, mut instance) in instances("str") {
        for text in TEXTS {
            for name in ["own str", "host str"] {
                let found = instance.call::<&str, String>(name, text);
                assert_eq!(found.as_deref(), Ok(text), "{name}, as {shape}");
            }
        }
    }
}

#[test]
fn bytes_are_a_pointer_and_a_length() {
    let all: Vec<u8> = (0..=255).collect();
    round_trips("Vec", [vec![], vec![0], vec![0xff; 5000], all.clone()]);
    for (shape, mut instance) in instances("bytes") {
        for bytes in [&[][..], &[0], &all] {
            for name in ["own bytes", "host bytes"] {
                let found = instance.call::<&[u8], Vec<u8>>(name, bytes);
                assert_eq!(found.as_deref(), Ok(bytes), "{name}, as {shape}");
            }
        }
    }
}

#[test]
fn bytes_that_are_not_text_are_refused_as_text() {
    for (bytes, at) in [
        (&b"\xff"[..], 0),
        (b"ab\xc3", 2),
        (b"abc\xed\xa0\x80", 3),
        (b"\xc0\x80", 0),
        (b"\xf4\x90\x80\x80", 0),
    ] {
        for (shape, mut instance) in instances("str") {
            let error = instance.call::<&[u8], String>("own str", bytes);
            let what = "plugin's result";
            assert_eq!(error, Err(CallError::NotUtf8 { what, at }), "{shape}");
            assert!(!instance.is_stopped());
            let trap = instance.call::<&[u8], Vec<u8>>("host str", bytes);
            assert_eq!(code(&trap), "trap-host-call", "{shape}");
            let message = trap.unwrap_err().to_string();
            let expected = format!("host function's argument is not UTF-8: byte {at} ");
            assert!(message.contains(&expected), "{message}");
        }
    }
}

// `Option`

#[test]
fn an_option_of_a_number_has_a_flag() {
    round_trips("Option<u32>", [None, Some(0), Some(1), Some(u32::MAX)]);
    round_trips("Option<f64>", [None, Some(-0.5), Some(f64::INFINITY)]);
    round_trips("Option<bool>", [None, Some(false), Some(true)]);
    let mut instance = guest("values").instantiate(()).unwrap();
    let mut lift = |flag: i32, value: i32| {
        instance.call::<(i32, i32), Option<bool>>("own Option<bool>", (flag, value))
    };
    assert_eq!(lift(0, 99), Ok(None), "what is absent is not looked at");
    assert_eq!(code(&lift(2, 0)), "bad-value");
    assert_eq!(code(&lift(1, 2)), "bad-value");
}

#[test]
fn an_absent_text_differs_from_an_empty_one() {
    let some = |text: &str| Some(String::from(text));
    round_trips("Option<String>", [None, some(""), some("text")]);
    round_trips("Option<Vec>", [None, Some(vec![]), Some(vec![0; 9])]);
    round_trips(
        "Option<Option<String>>",
        [None, Some(None), Some(some("")), Some(some("text"))],
    );
}

#[test]
fn the_pointer_0_means_that_a_text_is_absent() {
    for (shape, mut instance) in instances("Option<String>") {
        for len in [0, 1, 5] {
            let found = instance.call::<(u32, u32), Option<String>>("own Option<String>", (0, len));
            assert_eq!(found, Ok(None), "a length of {len}, as {shape}");
        }
    }
}

// `Result` and tuples

#[test]
fn a_result_is_a_flag_and_both_values() {
    round_trips(
        "Result<u32,String>",
        [Ok(0u32), Ok(7), Err("no".into()), Err(String::new())],
    );
    round_trips(
        "Result<String,u64>",
        [Ok(String::new()), Ok("yes".into()), Err(0), Err(u64::MAX)],
    );
    round_trips("Result<(),String>", [Ok(()), Err(String::from("no"))]);
    let mut instance = guest("values").instantiate(()).unwrap();
    let error =
        instance.call::<(i32, i32, i32), Result<(), String>>("own Result<(),String>", (2, 0, 0));
    assert_eq!(code(&error), "bad-value");
}

#[test]
fn tuples_are_their_parts() {
    round_trips("(u8,f64,char)", [(0, -0.5, 'a'), (255, 1e300, '😀')]);
    round_trips(
        "(u32,u32)",
        [(0, 0), (1, u32::MAX), (u32::MAX, 0x8000_0000)],
    );
    round_trips(
        "(String,i64,Vec)",
        [
            (String::new(), i64::MIN, vec![]),
            ("text".into(), -1, vec![0, 1, 2]),
        ],
    );
}

#[test]
fn a_serialised_value_is_a_pointer_and_a_length() {
    let order = Order {
        article: "lamp".into(),
        price: Some(19.99),
        tags: [("sizes".into(), vec![1, u64::MAX])].into(),
    };
    round_trips("Postcard", [Postcard(order)]);
    let mut instance = guest("values").instantiate(()).unwrap();
    let error = instance.call::<&[u8], Postcard<Order>>("own Postcard", b"\xff\xff");
    assert_eq!(code(&error), "serialization");
    assert!(!instance.is_stopped());
    let trap = instance.call::<&[u8], Vec<u8>>("host Postcard", b"\xff\xff");
    assert_eq!(code(&trap), "trap-host-call");
}

// What a host function may do besides

#[test]
fn a_host_function_has_up_to_six_parameters() {
    let import =
        r#"(import "host" "six" (func $six (param i32 i64 f32 i32 i32 i32 f64) (result i64)))"#;
    let item = r#"(func (export "six") (param i32 i64 f32 i32 i32 i32 f64) (result i64)
        (call $six (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
                   (local.get 5) (local.get 6)))"#;
    let text = with_allocator(import, item);
    let plain = Grants::<u32>::new().function(
        "host",
        "six",
        |a: u8, b: i64, c: f32, d: &str, e: bool, g: f64| -> String {
            format!("{a} {b} {c} {d} {e} {g}")
        },
    );
    let with_context = Grants::<u32>::new().function(
        "host",
        "six",
        |context: &mut Context<'_, u32>,
         a: u8,
         b: i64,
         c: f32,
         d: &str,
         e: bool,
         g: f64|
         -> String {
            *context.data_mut() += 1;
            format!("{a} {b} {c} {d} {e} {g}")
        },
    );
    for (grants, calls) in [(plain, 0), (with_context, 1)] {
        let mut instance = load_wat(&text, &grants).instantiate(0).unwrap();
        let params = (200u8, -5i64, 1.5f32, "six", true, -0.25f64);
        let found = instance.call::<(u8, i64, f32, &str, bool, f64), String>("six", params);
        assert_eq!(found.as_deref(), Ok("200 -5 1.5 six true -0.25"));
        assert_eq!(*instance.data(), calls);
    }
}

#[test]
fn a_context_reaches_the_data_of_its_own_instance() {
    let text = r#"(module (import "host" "count" (func $count (param i32) (result i32)))
        (func (export "count") (param i32) (result i32) (call $count (local.get 0))))"#;
    let grants = Grants::<Vec<u32>>::new().function(
        "host",
        "count",
        |context: &mut Context<'_, Vec<u32>>, more: u32| {
            assert_eq!(context.plugin(), "guest");
            context.data_mut().push(more);
            context.data().iter().sum::<u32>()
        },
    );
    let plugin = load_wat(text, &grants);
    let mut first = plugin.instantiate(vec![]).unwrap();
    let mut second = plugin.instantiate(vec![100]).unwrap();
    assert_eq!(first.call::<u32, u32>("count", 1), Ok(1));
    assert_eq!(second.call::<u32, u32>("count", 1), Ok(101));
    assert_eq!(first.call::<u32, u32>("count", 2), Ok(3));
    assert_eq!((first.data(), second.data()), (&vec![1, 2], &vec![100, 1]));
    first.data_mut().clear();
    assert_eq!(first.call::<u32, u32>("count", 5), Ok(5));
}

#[test]
fn an_error_goes_to_the_guest_and_a_trap_stops_it() {
    let import = r#"(import "host" "check" (func $check (param i32) (result i32)))"#;
    let item = r#"(func (export "check") (param i32) (result i32) (call $check (local.get 0)))"#;
    let grants = Grants::<()>::new().function("host", "check", |value: u32| -> Result<u32, Trap> {
        if value > 9 {
            return Err(Trap::host(format!("{value} is too much")));
        }
        Ok(value + 1)
    });
    let mut instance = load_wat(&with_allocator(import, item), &grants)
        .instantiate(())
        .unwrap();
    assert_eq!(instance.call::<u32, u32>("check", 9), Ok(10));
    let trap = instance.call::<u32, u32>("check", 10);
    assert_eq!(code(&trap), "trap-host");
    assert!(trap.unwrap_err().to_string().contains("10 is too much"));
    assert!(instance.is_stopped());
    assert_eq!(
        instance.call::<u32, u32>("check", 1),
        Err(CallError::Stopped)
    );
}

#[test]
fn a_panic_of_a_host_function_traps_the_guest() {
    let text =
        r#"(module (import "host" "panic" (func $panic)) (func (export "run") (call $panic)))"#;
    let grants = Grants::<()>::new().function("host", "panic", || -> () {
        panic!("this panic belongs to the test: the host contains it");
    });
    let mut instance = load_wat(text, &grants).instantiate(()).unwrap();
    assert_eq!(code(&instance.call::<(), ()>("run", ())), "trap-host-panic");
    assert!(instance.is_stopped());
}

// Types that do not fit

#[test]
fn a_call_with_other_types_is_refused_with_those_that_fit() {
    let plugin = guest("packed");
    let error = plugin.check::<&str, String>("own nothing").unwrap_err();
    assert_eq!(error.code(), "unknown-export");
    assert!(error.to_string().contains("`own str`"), "{error}");
    let error = plugin.check::<u32, String>("own str").unwrap_err();
    assert_eq!(
        error.to_string(),
        "export `own str` has the wrong type: expected (i32) -> (i32, i32) or (i32) -> i64 or \
         (i32, i32) -> (), found (i32, i32) -> i64"
    );
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.call::<u32, String>("own str", 1), Err(error));
    assert!(!instance.is_stopped());
    assert_eq!(plugin.check::<&str, String>("own str"), Ok(()));
    assert_eq!(plugin.check::<(u32, u32), u64>("own str"), Ok(()));
}

#[test]
fn a_signature_of_more_than_16_core_values_fits_nothing() {
    type Five = (u64, u64, u64, u64, u64);
    let text = r#"(module (func (export "f") (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64
        i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)))"#;
    let error = load_wat(text, &Grants::<()>::new()).check::<(Five, Five, Five, Five), ()>("f");
    assert_eq!(code(&error), "export-type");
}
