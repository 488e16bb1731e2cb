//! Values of each type, from the host to a guest, on to the host, and back.

use super::guests::{Of, echo, load, one, two};
use hostel::component::Value;
use std::sync::Arc;

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn some(value: Value) -> Value {
    Value::Option(Some(Box::new(value)))
}

fn name(name: &str) -> Arc<str> {
    name.into()
}

const NONE: Value = Value::Option(None);

/// Each type with values of it.
fn all() -> Vec<(Of, Vec<Value>)> {
    let of = |ty, flat| Of { ty, flat };
    let integers =
        |values: &[i64], make: fn(i64) -> Value| values.iter().map(|v| make(*v)).collect();
    let strings = [
        "",
        "a",
        "grün",
        "ÿ",
        "Ā",
        "日本語",
        "🦀🦀 and text",
        &"ä".repeat(70_000),
    ];
    vec![
        (
            of("(type $u bool)", &["i32"]),
            vec![Value::Bool(false), Value::Bool(true)],
        ),
        (
            of("(type $u s8)", &["i32"]),
            integers(&[0, -128, 127], |v| Value::S8(v as i8)),
        ),
        (
            of("(type $u u8)", &["i32"]),
            integers(&[0, 255], |v| Value::U8(v as u8)),
        ),
        (
            of("(type $u s16)", &["i32"]),
            integers(&[-32768, 32767], |v| Value::S16(v as i16)),
        ),
        (
            of("(type $u u16)", &["i32"]),
            integers(&[0, 65535], |v| Value::U16(v as u16)),
        ),
        (
            of("(type $u s32)", &["i32"]),
            integers(&[-1, i64::from(i32::MIN)], |v| Value::S32(v as i32)),
        ),
        (
            of("(type $u u32)", &["i32"]),
            integers(&[0, -1], |v| Value::U32(v as u32)),
        ),
        (
            of("(type $u s64)", &["i64"]),
            integers(&[i64::MIN, -1], Value::S64),
        ),
        (
            of("(type $u u64)", &["i64"]),
            integers(&[0, -1], |v| Value::U64(v as u64)),
        ),
        (
            of("(type $u f32)", &["f32"]),
            vec![Value::F32(1.5), Value::F32(f32::NEG_INFINITY)],
        ),
        (
            of("(type $u f64)", &["f64"]),
            vec![Value::F64(-0.25), Value::F64(f64::MAX)],
        ),
        (
            of("(type $u char)", &["i32"]),
            vec![Value::Char('a'), Value::Char('\u{10ffff}')],
        ),
        (
            of("(type $u string)", &["i32", "i32"]),
            strings.map(text).into(),
        ),
        (
            of("(type $u (list u8))", &["i32", "i32"]),
            vec![Value::Bytes(vec![]), Value::Bytes(vec![7; 100_000])],
        ),
        (
            of("(type $u (list u64))", &["i32", "i32"]),
            vec![Value::List(vec![Value::U64(1), Value::U64(u64::MAX)])],
        ),
        (
            of("(type $u (list f32))", &["i32", "i32"]),
            vec![Value::List(vec![Value::F32(1.0), Value::F32(-2.5)])],
        ),
        (
            of("(type $u (list char))", &["i32", "i32"]),
            vec![Value::List("añ🦀".chars().map(Value::Char).collect())],
        ),
        (
            of("(type $u (list string))", &["i32", "i32"]),
            vec![Value::List(strings.map(text).into()), Value::List(vec![])],
        ),
        (
            of("(type $u (list (list (option string))))", &["i32", "i32"]),
            vec![Value::List(vec![
                Value::List(vec![some(text("ü")), NONE]),
                Value::List(vec![]),
                Value::List(vec![some(text("日"))]),
            ])],
        ),
        (
            of(
                "(type $u (tuple bool u64 u8 f64))",
                &["i32", "i64", "i32", "f64"],
            ),
            vec![Value::Tuple(vec![
                Value::Bool(true),
                Value::U64(5),
                Value::U8(6),
                Value::F64(0.5),
            ])],
        ),
        (
            of(
                r#"(type $u (record (field "text" string) (field "number" s16) (field "more" (list u16))))"#,
                &["i32", "i32", "i32", "i32", "i32"],
            ),
            vec![Value::Record(vec![
                (name("text"), text("Ω")),
                (name("number"), Value::S16(-3)),
                (
                    name("more"),
                    Value::List(vec![Value::U16(1), Value::U16(2)]),
                ),
            ])],
        ),
        (
            of(r#"(type $u (enum "red" "green" "blue"))"#, &["i32"]),
            vec![Value::Enum(name("red")), Value::Enum(name("blue"))],
        ),
        (
            of(
                r#"(type $u (flags "a" "b" "c" "d" "e" "f" "g" "h" "i"))"#,
                &["i32"],
            ),
            vec![
                Value::Flags(vec![]),
                Value::Flags(vec![name("a"), name("h"), name("i")]),
            ],
        ),
        (
            of("(type $u (option u8))", &["i32", "i32"]),
            vec![NONE, some(Value::U8(200))],
        ),
        (
            of("(type $u (option (option f64)))", &["i32", "i32", "f64"]),
            vec![NONE, some(NONE), some(some(Value::F64(2.5)))],
        ),
        (
            of(
                "(type $u (result string (error u64)))",
                &["i32", "i64", "i32"],
            ),
            vec![
                Value::Result(Ok(Some(Box::new(text("fine"))))),
                Value::Result(Err(Some(Box::new(Value::U64(u64::MAX))))),
            ],
        ),
        (
            of("(type $u (result))", &["i32"]),
            vec![Value::Result(Ok(None)), Value::Result(Err(None))],
        ),
        (
            // The cases share core values: of f32 and s32, of f64 and f32.
            of(
                r#"(type $u (variant (case "none") (case "float" f32) (case "pair" (tuple s32 f32)) (case "wide" (tuple f32 f64)) (case "text" string)))"#,
                &["i32", "i32", "i64"],
            ),
            vec![
                Value::Variant(name("none"), None),
                Value::Variant(name("float"), Some(Box::new(Value::F32(-1.5)))),
                Value::Variant(
                    name("pair"),
                    Some(Box::new(Value::Tuple(vec![
                        Value::S32(-7),
                        Value::F32(2.0),
                    ]))),
                ),
                Value::Variant(
                    name("wide"),
                    Some(Box::new(Value::Tuple(vec![
                        Value::F32(0.5),
                        Value::F64(1e300),
                    ]))),
                ),
                Value::Variant(name("text"), Some(Box::new(text("née")))),
            ],
        ),
        (
            // Through memory both ways: 17 core values.
            of(
                "(type $u (tuple u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u8 u64 string))",
                &["i32"; 17],
            ),
            vec![Value::Tuple(
                (0..14)
                    .map(Value::U8)
                    .chain([Value::U64(1 << 40), text("last")])
                    .collect(),
            )],
        ),
    ]
}

#[test]
fn values_of_each_type_come_back_as_they_were() {
    for encoding in ["utf8", "utf16", "latin1+utf16"] {
        for (of, values) in all() {
            let plugin = load(&one(&of, encoding), &echo());
            for value in values {
                let returned = plugin.call_component_values("g", std::slice::from_ref(&value));
                assert_eq!(returned, Ok(Some(value)), "{} {encoding}", of.ty);
            }
        }
    }
}

#[test]
fn values_of_each_type_pass_from_guest_to_guest_in_all_encodings() {
    let encodings = ["utf8", "utf16", "latin1+utf16"];
    for (of, values) in all() {
        for (first, second) in encodings
            .iter()
            .flat_map(|one| encodings.map(|other| (*one, other)))
        {
            let plugin = load(&two(&of, first, second), &echo());
            let mut instance = plugin.instantiate(()).unwrap();
            for value in &values {
                let returned = instance.call_component_values("g", std::slice::from_ref(value));
                let shown = format!("{} {first} {second}", of.ty);
                assert_eq!(returned.as_ref(), Ok(&Some(value.clone())), "{shown}");
            }
        }
    }
}
