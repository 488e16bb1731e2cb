//! Calls and values as text.

#![allow(clippy::expect_used, clippy::panic, missing_docs)]

use hostel_contract::{CallTextError, Contract, Value, ValueType};

const WIT: &str = "
    package demo:shapes@1.0.0;
    interface areas {
        record size { width: u32, height: u32, label: option<string> }
        variant problem { outside(s64), full }
        enum colour { red, none }
        flags modes { fill, smooth, dashed }
        resource canvas { constructor(width: u32); draw: func(); }
        rectangle: func(it: size) -> result<u64, problem>;
        paint: func(tint: colour, how: modes, at: tuple<f32, char>);
        many: func(all: list<problem>, bytes: list<u8>, numbers: list<s8>);
        maybe: func(a: bool, b: option<u8>, c: option<option<u8>>);
        only-options: func(a: option<u8>) -> string;
        failing: func(it: result<_, string>);
        handle: func(it: borrow<canvas>);
        three: func(it: list<u8, 3>);
        counts: func(it: map<string, u32>) -> map<u8, bool>;
        shared: func();
    }
    interface more { shared: func(); alone: func(a: f64) -> f64; }
    world plugin {
        export areas;
        export more;
        export run: func(args: list<string>) -> u8;
    }
";

fn contract() -> Contract {
    Contract::from_wit("it.wit", WIT, None).expect("it is WIT")
}

#[track_caller]
fn arguments(text: &str) -> Vec<Value> {
    contract().parse_call(text).expect("it is a call").arguments
}

#[track_caller]
fn error(text: &str) -> CallTextError {
    contract().parse_call(text).expect_err("it is no call")
}

#[test]
fn functions_are_found_by_their_names() {
    for (text, interface) in [
        (
            "demo:shapes/areas@1.0.0#only-options()",
            Some("demo:shapes/areas@1.0.0"),
        ),
        (
            "demo:shapes/areas#only-options()",
            Some("demo:shapes/areas@1.0.0"),
        ),
        ("areas#only-options()", Some("demo:shapes/areas@1.0.0")),
        (" only-options ()", Some("demo:shapes/areas@1.0.0")),
        ("more#shared()", Some("demo:shapes/more@1.0.0")),
        ("run([])", None),
    ] {
        let call = contract().parse_call(text).expect("it is a call");
        assert_eq!(call.interface.as_deref(), interface, "{text}");
    }
    let call = contract().parse_call("run([\"a\"])").expect("it is a call");
    assert_eq!((&*call.function, call.result), ("run", Some(ValueType::U8)));
}

#[test]
fn functions_that_are_not_found_are_told() {
    assert_eq!(error("shared()").code(), "ambiguous-function");
    assert_eq!(
        error("shared()").to_string(),
        "several interfaces have a function `shared`: choose one of `demo:shapes/areas@1.0.0#shared`, `demo:shapes/more@1.0.0#shared`"
    );
    for text in [
        "nothing()",
        "other#run()",
        "demo:shapes/areas@2.0.0#rectangle({:})",
    ] {
        assert_eq!(error(text).code(), "unknown-function", "{text}");
    }
    assert!(
        error("nothing()")
            .to_string()
            .ends_with("`demo:shapes/more@1.0.0#alone`")
    );
    for text in ["", "run", "run(", "(1)", "run([]) x"] {
        assert_eq!(error(text), CallTextError::Form, "{text}");
    }
}

#[test]
fn arguments_of_every_type_are_parsed() {
    let name = |text: &str| text.into();
    assert_eq!(
        arguments("rectangle({height: 4, width: 3})"),
        [Value::Record(vec![
            (name("width"), Value::U32(3)),
            (name("height"), Value::U32(4)),
            (name("label"), Value::Option(None)),
        ])]
    );
    assert_eq!(
        arguments("paint(%none, {dashed, fill}, (-1.5, '\\u{1f600}'))"),
        [
            Value::Enum(name("none")),
            Value::Flags(vec![name("fill"), name("dashed")]),
            Value::Tuple(vec![Value::F32(-1.5), Value::Char('\u{1f600}')]),
        ]
    );
    assert_eq!(
        arguments("many([full, outside(-9)], [0, 255], [-128])"),
        [
            Value::List(vec![
                Value::Variant(name("full"), None),
                Value::Variant(name("outside"), Some(Value::S64(-9).into())),
            ]),
            Value::Bytes(vec![0, 255]),
            Value::List(vec![Value::S8(-128)]),
        ]
    );
    assert_eq!(
        arguments("failing(err(\"no\"))"),
        [Value::Result(Err(Some(
            Value::String("no".to_owned()).into()
        )))]
    );
    assert_eq!(arguments("failing(ok)"), [Value::Result(Ok(None))]);
    assert_eq!(arguments("three([1, 2, 3])"), [Value::Bytes(vec![1, 2, 3])]);
}

#[test]
fn options_at_the_end_may_be_left_out() {
    assert_eq!(
        arguments("maybe(true)"),
        [Value::Bool(true), Value::Option(None), Value::Option(None),]
    );
    assert_eq!(arguments("only-options()"), [Value::Option(None)]);
    assert_eq!(
        arguments("only-options(7)"),
        [Value::Option(Some(Value::U8(7).into()))]
    );
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, character, part) in [
        ("areas#rectangle({width: 3})", 17, "height"),
        (
            "areas#rectangle({width: 3, height: -1})",
            36,
            "expected `u32`, found `-1`",
        ),
        (
            "areas#rectangle({width: 3, height: 1, depth: 2})",
            17,
            "there is no field `depth`",
        ),
        (
            "areas#rectangle()",
            1,
            "expected 1 argument, `(record { width: u32, height: u32, label: option<string> })`, found 0",
        ),
        ("areas#rectangle({width: 3, height: 4}, 5)", 40, ", found 2"),
        (
            "areas#rectangle({width: 3, height: 4, label: some(5)})",
            51,
            "expected `string`, found `5`",
        ),
        (
            "many([outside(full)], [], [])",
            15,
            "expected `s64`, found `full`",
        ),
        (
            "many([full], [], [1, 200])",
            22,
            "expected `s8`, found `200`",
        ),
        ("failing(err(7))", 13, "expected `string`, found `7`"),
        (
            "run([\"\\u{d800}\"])",
            7,
            "expected `string`, found `\\`: invalid character escape",
        ),
        ("paint(blue, {}, (1, 'a'))", 7, "blue"),
        ("paint(red, {blur}, (1, 'a'))", 12, "blur"),
        ("paint(red, {}, (1, 'ab'))", 20, "invalid token"),
        ("three([1, 2])", 7, "3 elements, found 2"),
        ("more#alone(\u{e9})", 12, "token"),
    ] {
        match error(text) {
            CallTextError::Text {
                message,
                character: found,
            } => {
                assert_eq!(found, character, "{text}: {message}");
                assert!(message.contains(part), "{text}: {message}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let nested = format!("run({}{})", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(error(&nested).code(), "call-text");
}

#[test]
fn a_value_that_is_none_of_its_type_is_told_with_the_type() {
    let option = ValueType::Option(ValueType::String.into());
    let size = [("width", ValueType::U32), ("height", ValueType::U32)];
    let size = size.map(|(name, ty)| (name.into(), ty));
    let size = ValueType::Record(size.into());
    let list = ValueType::List(ValueType::U8.into(), None);
    let long = format!("[{}]", "1, ".repeat(300));
    for (ty, text, message) in [
        (
            &option,
            "nonee",
            "expected `option<string>`, found `nonee`, at character 1",
        ),
        (
            &option,
            "",
            "expected `option<string>`, found the end of the text: unexpected end of input, at character 1",
        ),
        (
            &size,
            "5",
            "expected `record { width: u32, height: u32 }`, found `5`, at character 1",
        ),
        (
            &size,
            "{width: \"\u{e9}\", height: 5}",
            "expected `u32`, found `\"\u{e9}\"`, at character 9",
        ),
        (
            &size,
            "{width: 5}",
            "found `{width: 5}`: missing field \"height\", at character 1",
        ),
        (
            &list,
            "[1, 256]",
            "expected `u8`, found `256`, at character 5",
        ),
        (
            &list,
            "[1 2]",
            "expected `list<u8>`, found `2`: unexpected token",
        ),
        (&size, &long, "1, 1,…`, at character 1"),
    ] {
        let error = ty.parse(text).expect_err("it is no such value").to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn a_map_is_a_list_of_pairs() {
    let call = contract().parse_call("counts([(\"a\", 1), (\"b\", 2)])");
    let call = call.expect("it is a call");
    let pair = |key: &str, value| Value::Tuple(vec![Value::String(key.into()), Value::U32(value)]);
    assert_eq!(
        call.arguments,
        [Value::List(vec![pair("a", 1), pair("b", 2)])]
    );
    let result = call.result.expect("it has a result");
    assert_eq!(result.unwritable(), None);
}

#[test]
fn resources_have_no_text() {
    assert_eq!(error("handle(1)").code(), "value-without-text");
    assert_eq!(
        error("handle(1)").to_string(),
        "a handle to the resource `canvas` has no text: call the function from Rust"
    );
    let list = Value::List(vec![Value::Resource("canvas".into())]);
    assert_eq!(
        list.to_wave().expect_err("it has no text").code(),
        "value-without-text"
    );
}

#[test]
fn results_are_written() {
    for text in [
        "true",
        "-128",
        "18446744073709551615",
        "1.5",
        "nan",
        "-inf",
        "'a'",
        "\"a\\nb\\\"\\u{7f}\"",
        "[1, 2]",
        "(1, \"x\")",
        "some(7)",
        "none",
        "ok",
        "err(\"no\")",
        "{fill, dashed}",
        "{}",
        "full",
        "outside(-1)",
        "%none",
        "{width: 3, label: some(\"x\")}",
    ] {
        let ty = ty_of(text);
        let value = ty.parse(text).expect("it is a value");
        assert_eq!(value.to_wave().expect("it has text"), text);
    }
}

/// Returns a type that a text of the test above is of.
fn ty_of(text: &str) -> ValueType {
    let name = |text: &str| text.into();
    let option = ValueType::Option(ValueType::String.into());
    match text {
        "true" => ValueType::Bool,
        "-128" => ValueType::S8,
        "18446744073709551615" => ValueType::U64,
        "1.5" | "nan" | "-inf" => ValueType::F64,
        "'a'" => ValueType::Char,
        "[1, 2]" => ValueType::List(ValueType::U8.into(), None),
        "(1, \"x\")" => ValueType::Tuple([ValueType::U8, ValueType::String].into()),
        "some(7)" | "none" => ValueType::Option(ValueType::U16.into()),
        "ok" | "err(\"no\")" => ValueType::Result((None, Some(ValueType::String)).into()),
        "{fill, dashed}" | "{}" => ValueType::Flags([name("fill"), name("dashed")].into()),
        "full" | "outside(-1)" => ValueType::Variant(
            [
                (name("outside"), Some(ValueType::S64)),
                (name("full"), None),
            ]
            .into(),
        ),
        "%none" => ValueType::Enum([name("none")].into()),
        "{width: 3, label: some(\"x\")}" => {
            ValueType::Record([(name("width"), ValueType::U32), (name("label"), option)].into())
        }
        _ => ValueType::String,
    }
}

#[test]
fn exported_functions_are_listed() {
    let functions = contract().exported_functions();
    assert!(functions.contains(&(
        "demo:shapes/areas@1.0.0#rectangle".to_owned(),
        "func(it: size) -> result<u64, problem>".to_owned()
    )));
    assert!(functions.contains(&(
        "run".to_owned(),
        "func(args: list<string>) -> u8".to_owned()
    )));
}
