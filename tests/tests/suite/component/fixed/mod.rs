//! Core modules whose contract the host knows: they do what they do by a contract that is read, for as much fuel, and fail
//! as there.

mod hostile;

use super::guests::{Of, one};
use hostel::{
    Budget, Context, Engine, FixedCallee, Grants, LoadError, Plugin, Trap,
    component::{ComponentType, FixedInterface, Interface, Lift, Lower},
};
use hostel_lower::{Names, lower};
use std::fmt::Debug;

/// The world of the guests under version control, but for its resource.
mod read {
    hostel::component::bindgen!({ path: "wit/fixed.wit" });
}

mod known {
    hostel::component::bindgen!({ path: "wit/fixed.wit", fixed: true });
}

/// Implements the host's functions for a module of bindings, and tells what a guest does in some calls.
macro_rules! story {
    ($world:ident, $load:expr) => {{
        use $world::{
            Plugin as World,
            exports::text::{Frame, Request, Style},
            host,
        };

        #[derive(Default)]
        struct State(Vec<String>);

        impl host::Host for State {
            fn log(
                context: &mut Context<'_, Self>,
                level: host::Level,
                message: String,
            ) -> Result<(), Trap> {
                context.charge(100)?;
                context.data_mut().0.push(format!("{level:?} {message}"));
                Ok(())
            }

            fn config(_: &mut Context<'_, Self>, key: String) -> Result<Option<String>, Trap> {
                Ok((key == "prefix").then(|| "CUSTOM".into()))
            }
        }

        let plugin: Plugin<State> = $load(World::grant(Grants::<State>::with_data()));
        let exports = World::of(&plugin).unwrap();
        let mut instance = plugin.instantiate(State::default()).unwrap();
        let mut told = Vec::new();
        for input in [&b"hello world"[..], b"", "Grüße".as_bytes(), b"h\xff"] {
            let output = exports.process(&mut instance, input);
            told.push((format!("{output:?}"), instance.usage()));
        }
        for (text, frame) in [
            ("quoted", Some(Frame::Quotes(('«', '🦀')))),
            ("before", Some(Frame::Prefix("> ".into()))),
            ("naïve", None),
            ("", Some(Frame::Configured)),
        ] {
            let request = Request {
                text: text.into(),
                style: Style {
                    ascii: true,
                    reverse: true,
                    ..Style::default()
                },
                frame,
            };
            let output = exports.text.customize(&mut instance, &request);
            told.push((format!("{output:?}"), instance.usage()));
        }
        instance.set_budget(with_fuel(told[0].1.fuel / 2));
        let output = exports.process(&mut instance, b"hello world");
        told.push((format!("{output:?}"), instance.usage()));
        told.push((format!("{:?}", instance.data().0), instance.usage()));
        told
    }};
}

fn with_fuel(fuel: u64) -> Budget {
    let mut budget = Budget::server();
    budget.fuel = fuel;
    budget
}

/// Returns the grants of a guest whose resource is not used.
fn without_resource<T: 'static>(grants: Grants<T>) -> Grants<T> {
    grants.trap("[export]hostel:example/text@0.1.0", "*")
}

#[test]
fn guests_do_what_they_do_by_a_contract_that_is_read() {
    macro_rules! guest {
        ($name:literal) => {
            include_bytes!(concat!(
                "../../../../../guests/prebuilt/components/",
                $name,
                ".wasm"
            ))
        };
    }
    let lowered = |wasm: &[u8]| lower(wasm, Names::Stripped).unwrap();
    for (name, wasm) in [
        ("Rust", guest!("rust_module").to_vec()),
        ("C", guest!("c_module").to_vec()),
        ("Rust, lowered", lowered(guest!("rust_small"))),
        ("C, lowered", lowered(guest!("c_plugin"))),
    ] {
        let engine = hostel::engine();
        let expected = story!(read, |grants| {
            engine.load_component("text", &wasm, &grants).unwrap()
        });
        let told = story!(known, |grants| {
            let grants = without_resource(grants);
            engine.load("text", &wasm, &grants).unwrap()
        });
        assert!(expected[0].0.contains("Ok(Ok("), "{expected:?}");
        assert!(told.iter().any(|(told, _)| told.contains("OutOfFuel")));
        assert_eq!(told, expected, "{name}");
    }
}

/// Returns a plugin whose `g` returns what `f` of the host returns for its argument, which is the argument: by the
/// contract that is read, and by that of Rust.
fn echo<V: Lift + Lower + 'static>(of: &Of) -> [Plugin; 2] {
    let wasm = wat::parse_str(one(of, "utf8")).unwrap();
    let wasm = lower(&wasm, Names::Kept).unwrap();
    let engine = Engine::default();
    let read = Interface::root().function("f", |value: V| Ok::<V, Trap>(value));
    let fixed = FixedInterface::root().function("f", |value: V| Ok::<V, Trap>(value));
    [
        engine.load_component("echo", &wasm, &Grants::new().interface(read)),
        engine.load("echo", &wasm, &Grants::new().fixed(fixed)),
    ]
    .map(|plugin| plugin.unwrap_or_else(|error| panic!("{}: {error}", of.ty)))
}

/// Checks that values come back as they were, and that each budget of fuel ends both calls alike.
fn same<V>(ty: &'static str, flat: &'static [&'static str], values: &[V])
where
    V: Lift + Lower + Clone + PartialEq + Debug + 'static,
{
    let [read, fixed] = echo::<V>(&Of { ty, flat });
    for value in values {
        let (mut one, mut other) = (
            read.instantiate(()).unwrap(),
            fixed.instantiate(()).unwrap(),
        );
        for _ in 0..2 {
            let expected = one.call_component::<_, V>("g", (value,));
            assert_eq!(expected, Ok(value.clone()), "{ty}");
            assert_eq!(other.call_fixed("g", (value,)), expected, "{ty}");
            assert_eq!(other.usage(), one.usage(), "{ty} {value:?}");
        }
        for fuel in (0..one.usage().fuel).step_by(7) {
            let budget = with_fuel(fuel);
            let (mut one, mut other) = (
                read.instantiate(()).unwrap(),
                fixed.instantiate(()).unwrap(),
            );
            one.set_budget(budget);
            other.set_budget(budget);
            let expected = one.call_component::<_, V>("g", (value,));
            assert_eq!(
                other.call_fixed::<_, V>("g", (value,)),
                expected,
                "{ty} {fuel}"
            );
            assert_eq!(other.usage(), one.usage(), "{ty} {fuel}");
        }
    }
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
struct Row {
    text: String,
    number: i16,
    more: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(flags)]
struct Letters {
    a: bool,
    b: bool,
    c: bool,
    d: bool,
    e: bool,
    f: bool,
    g: bool,
    h: bool,
    i: bool,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
enum Colour {
    Red,
    Green,
    Blue,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
enum Joined {
    None,
    Float(f32),
    Pair((i32, f32)),
    Wide((f32, f64)),
    Text(String),
}

#[test]
fn values_of_each_type_pass_as_by_a_contract_that_is_read() {
    let text = |text: &str| text.to_owned();
    same("(type $u bool)", &["i32"], &[false, true]);
    same("(type $u s8)", &["i32"], &[0i8, -128, 127]);
    same("(type $u u8)", &["i32"], &[0u8, 255]);
    same("(type $u s16)", &["i32"], &[-32768i16, 32767]);
    same("(type $u u16)", &["i32"], &[0u16, 65535]);
    same("(type $u s32)", &["i32"], &[-1i32, i32::MIN]);
    same("(type $u u32)", &["i32"], &[0u32, u32::MAX]);
    same("(type $u s64)", &["i64"], &[-1i64, i64::MIN]);
    same("(type $u u64)", &["i64"], &[0u64, u64::MAX]);
    same("(type $u f32)", &["f32"], &[1.5f32, f32::NEG_INFINITY]);
    same("(type $u f64)", &["f64"], &[-0.25f64, f64::MAX]);
    same("(type $u char)", &["i32"], &['a', '\u{10ffff}']);
    let pair = &["i32", "i32"];
    same("(type $u string)", pair, &["", "a", "日本語"].map(text));
    same("(type $u (list u8))", pair, &[vec![], vec![7u8; 1_000]]);
    same("(type $u (list u64))", pair, &[vec![1, u64::MAX]]);
    same("(type $u (list f32))", pair, &[vec![1.0f32, -2.5]]);
    same("(type $u (list char))", pair, &[vec!['a', 'ñ', '🦀']]);
    same(
        "(type $u (list string))",
        pair,
        &[["", "ü"].map(text).to_vec(), vec![]],
    );
    same(
        "(type $u (list (list (option string))))",
        pair,
        &[vec![vec![Some(text("ü")), None], vec![]]],
    );
    same(
        "(type $u (tuple bool u64 u8 f64))",
        &["i32", "i64", "i32", "f64"],
        &[(true, 5u64, 6u8, 0.5f64)],
    );
    same(
        r#"(type $u (record (field "text" string) (field "number" s16) (field "more" (list u16))))"#,
        &["i32"; 5],
        &[Row {
            text: text("Ω"),
            number: -3,
            more: vec![1, 2],
        }],
    );
    same(
        r#"(type $u (enum "red" "green" "blue"))"#,
        &["i32"],
        &[Colour::Red, Colour::Green, Colour::Blue],
    );
    let letters = |on| Letters {
        a: on,
        b: false,
        c: on,
        d: on,
        e: on,
        f: on,
        g: on,
        h: false,
        i: on,
    };
    same(
        r#"(type $u (flags "a" "b" "c" "d" "e" "f" "g" "h" "i"))"#,
        &["i32"],
        &[letters(true), letters(false)],
    );
    same("(type $u (option u8))", pair, &[None, Some(200u8)]);
    same(
        "(type $u (option (option f64)))",
        &["i32", "i32", "f64"],
        &[None, Some(None), Some(Some(2.5f64))],
    );
    same(
        "(type $u (result string (error u64)))",
        &["i32", "i64", "i32"],
        &[Ok(text("fine")), Err(u64::MAX)],
    );
    same("(type $u (result))", &["i32"], &[Ok(()), Err(())]);
    same(
        r#"(type $u (variant (case "none") (case "float" f32) (case "pair" (tuple s32 f32)) (case "wide" (tuple f32 f64)) (case "text" string)))"#,
        &["i32", "i32", "i64"],
        &[
            Joined::None,
            Joined::Float(-1.5),
            Joined::Pair((-7, 2.0)),
            Joined::Wide((0.5, 1e300)),
            Joined::Text(text("née")),
        ],
    );
    // Through memory both ways: 17 core values.
    let eights = (0u8, 1u8, 2u8, 3u8, 4u8, 5u8, 6u8);
    same(
        "(type $u (tuple (tuple u8 u8 u8 u8 u8 u8 u8) (tuple u8 u8 u8 u8 u8 u8 u8) u64 string))",
        &["i32"; 17],
        &[(eights, eights, 1u64 << 40, text("last"))],
    );
}

#[test]
fn core_types_are_compared_when_a_plugin_is_loaded_and_an_export_looked_up() {
    let load = |module: &str, grants: Grants| {
        let wasm = wat::parse_str(module).unwrap();
        Engine::default().load("module", &wasm, &grants)
    };
    let message = |loaded: Result<Plugin, LoadError>| loaded.unwrap_err().to_string();
    let module = r#"(module (import "a:b/c@1.0.0" "f" (func (param i32)))
        (func (export "cabi_realloc") (param i32) (result i32) (i32.const 0)))"#;
    let of_text = || FixedInterface::new("a:b/c@1.0.0").function("f", |_: String| ());
    let told = message(load(module, Grants::new().fixed(of_text())));
    for part in [
        "`a:b/c@1.0.0#f`",
        "(i32, i32)",
        "`cabi_realloc`",
        "(i32, i32, i32, i32) -> i32",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let other = FixedInterface::new("a:b/c@1.0.1").function("f", |_: u32| ());
    assert!(message(load(module, Grants::new().fixed(other))).contains("`a:b/c@1.0.0#f`"));
    // By hostel's own convention, `process` has another type.
    let module = r#"(module (memory (export "memory") 1)
        (func (export "process") (param i32 i32) (result i32) (i32.const 0))
        (func (export "a:b/c#g") (result i32) (i32.const 0))
        (func (export "cabi_post_a:b/c#g")))"#;
    assert!(message(load(module, Grants::new())).contains("`process`"));
    let plugin = load(module, Grants::new().with_fixed_contract()).unwrap();
    let process = plugin.fixed_export::<(Vec<u8>,), Result<Vec<u8>, String>>("process");
    let process = process.unwrap();
    let of_another_type = plugin.call_fixed_export::<_, u32>(&process, &(1u32,));
    assert_eq!(of_another_type.unwrap_err().code(), "other-instance");
    let another = load(module, Grants::new().with_fixed_contract()).unwrap();
    let bytes = (&b"abc"[..],);
    type Output = Result<Vec<u8>, String>;
    let of_another = another.call_fixed_export::<_, Output>(&process, &bytes);
    assert_eq!(of_another.unwrap_err().code(), "other-instance");
    let error = plugin
        .call_fixed_export::<_, Output>(&process, &bytes)
        .unwrap_err();
    assert!(
        error.to_string().contains("values that need `realloc`"),
        "{error}"
    );
    let error = plugin
        .fixed_export::<(u32,), u32>("process")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("(i32) -> i32") && error.contains("(i32, i32) -> i32"),
        "{error}"
    );
    let error = plugin
        .fixed_export::<(), u32>("a:b/c#g")
        .unwrap_err()
        .to_string();
    assert!(error.contains("cabi_post_a:b/c#g"), "{error}");
    assert_eq!(
        plugin.fixed_export::<(), u32>("g").unwrap_err().code(),
        "unknown-export"
    );
}
