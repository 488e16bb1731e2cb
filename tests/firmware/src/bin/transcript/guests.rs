//! Guests that mean no harm, as compilers make them.

use super::case::{Act, Case, Module};
use hostel_core::{Budget, Engine, Grants, Limits, LogRecord, Value};

macro_rules! guest {
    ($name:literal, $act:expr, $verdict:expr) => {
        Case {
            name: $name,
            module: Module::Here(include_bytes!(concat!(
                "../../../../../guests/prebuilt/",
                $name,
                ".wasm"
            ))),
            act: $act,
            budget: |_| {},
            verdict: $verdict,
        }
    };
}

macro_rules! assembled {
    ($name:literal, $act:expr, $verdict:literal) => {
        Case {
            name: concat!($name, " ", stringify!($act)),
            module: Module::Here(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $name,
                ".wasm"
            ))),
            act: $act,
            budget: |_| {},
            verdict: $verdict,
        }
    };
}

const HELLO: Act = Act::Process(b"hello world");
const GREET: Act = Act::Bytes("greet", b"world");
const ADD: Act = Act::Call("add", &[Value::I32(10), Value::I32(20)]);

pub(super) const CASES: &[Case] = &[
    assembled!(
        "floats",
        Act::Call("single", &[]),
        "C 2143289344 2143289344 2143289344 2143289344 2143289344 2143289344"
    ),
    assembled!(
        "floats",
        Act::Call("double", &[]),
        "C 9221120237041090560 9221120237041090560 9221120237041090560 9221120237041090560 9221120237041090560 9221120237041090560"
    ),
    assembled!(
        "floats",
        Act::Call("round", &[]),
        "C -1073741824 1051372203 4603375528459645724 6746741776910 2147483647"
    ),
    guest!("add", ADD, "C 30"),
    guest!("c_add", ADD, "C 30"),
    guest!("wat_add", ADD, "C 30"),
    guest!("customize", HELLO, "C CUSTOM_HELLO WORLD"),
    guest!("c_customize", HELLO, "C CUSTOM_HELLO WORLD"),
    guest!("c_customize_retptr", HELLO, "C CUSTOM_HELLO WORLD"),
    guest!("wat_customize_multi", HELLO, "C CUSTOM_HELLO WORLD"),
    guest!("wat_customize_retptr", HELLO, "C CUSTOM_HELLO WORLD"),
    guest!("c_malloc_free", HELLO, "C dlrow olleh"),
    guest!("wat_no_dealloc", HELLO, "C hello world"),
    guest!("wat_reactor", HELLO, "C initialized 1 times"),
    guest!("wat_greet_multi", GREET, "C Hello, world!"),
    guest!("c_greet", GREET, "C Hello, world!"),
    guest!("greet", GREET, "C Hello, world!"),
    guest!("counter", HELLO, "C hello world: visit 1"),
    guest!("c_counter", HELLO, r"C \x01\x00\x00\x00\x00\x00\x00\x00"),
    assembled!("wasi", Act::Command, "C exit 3 hello"),
];

/// Whether a plugin that means no harm loads and answers.
pub(super) fn a_good_one_answers() -> bool {
    let grants = Grants::<()>::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")]);
    let engine = Engine::new(Limits::device(256 << 10)).with_budget(Budget::device());
    let wasm = include_bytes!("../../../../../guests/prebuilt/wat_customize_multi.wasm");
    let plugin = engine.load("good", wasm, &grants);
    plugin
        .is_ok_and(|plugin| plugin.process(b"hello world").as_deref() == Ok(b"CUSTOM_HELLO WORLD"))
}
