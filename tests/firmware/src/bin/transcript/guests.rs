//! Guests that mean no harm, as compilers make them.

use super::case::{Action, Case, Module};
use hostel_core::{Budget, Engine, Grants, Limits, LogRecord, Value};

macro_rules! guest {
    ($name:literal, $action:expr, $verdict:expr) => {
        Case {
            name: $name,
            module: Module::Here(include_bytes!(concat!(
                "../../../../../guests/prebuilt/",
                $name,
                ".wasm"
            ))),
            action: $action,
            budget: |_| {},
            verdict: $verdict,
        }
    };
}

macro_rules! assembled {
    ($name:literal, $action:expr, $verdict:literal) => {
        Case {
            name: concat!($name, " ", stringify!($action)),
            module: Module::Here(include_bytes!(concat!(
                env!("OUT_DIR"),
                "/",
                $name,
                ".wasm"
            ))),
            action: $action,
            budget: |_| {},
            verdict: $verdict,
        }
    };
}

const HELLO: Action = Action::Process(b"hello world");
const GREET: Action = Action::Bytes("greet", b"world");
const ADD: Action = Action::Call("add", &[Value::I32(10), Value::I32(20)]);

pub(super) const CASES: &[Case] = &[
    assembled!(
        "floats",
        Action::Call("single", &[]),
        "returns 2143289344 2143289344 2143289344 2143289344 2143289344 2143289344"
    ),
    assembled!(
        "floats",
        Action::Call("double", &[]),
        "returns 9221120237041090560 9221120237041090560 9221120237041090560 9221120237041090560 9221120237041090560 9221120237041090560"
    ),
    assembled!(
        "floats",
        Action::Call("round", &[]),
        "returns -1073741824 1051372203 4603375528459645724 6746741776910 2147483647"
    ),
    guest!("add", ADD, "returns 30"),
    guest!("c_add", ADD, "returns 30"),
    guest!("wat_add", ADD, "returns 30"),
    guest!("customize", HELLO, "returns CUSTOM_HELLO WORLD"),
    guest!("c_customize", HELLO, "returns CUSTOM_HELLO WORLD"),
    guest!("c_customize_retptr", HELLO, "returns CUSTOM_HELLO WORLD"),
    guest!("wat_customize_multi", HELLO, "returns CUSTOM_HELLO WORLD"),
    guest!("wat_customize_retptr", HELLO, "returns CUSTOM_HELLO WORLD"),
    guest!("c_malloc_free", HELLO, "returns dlrow olleh"),
    guest!("wat_no_dealloc", HELLO, "returns hello world"),
    guest!("wat_reactor", HELLO, "returns initialized 1 times"),
    guest!("wat_greet_multi", GREET, "returns Hello, world!"),
    guest!("c_greet", GREET, "returns Hello, world!"),
    guest!("greet", GREET, "returns Hello, world!"),
    guest!("counter", HELLO, "returns hello world: visit 1"),
    guest!(
        "c_counter",
        HELLO,
        r"returns \x01\x00\x00\x00\x00\x00\x00\x00"
    ),
    assembled!("wasi", Action::Command, "returns exit 3 hello"),
    assembled!(
        "extism",
        Action::Bytes("shout", b"hello"),
        "returns value: HELLO"
    ),
    assembled!(
        "wapc",
        Action::Bytes("echo", b"hello"),
        "returns the host says: hello"
    ),
];

/// Whether a plugin that means no harm loads and answers.
pub(super) fn a_good_one_answers() -> bool {
    let grants = Grants::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")]);
    let engine = Engine::new(Limits::device(256 << 10)).with_budget(Budget::device());
    let wasm = include_bytes!("../../../../../guests/prebuilt/wat_customize_multi.wasm");
    let plugin = engine.load("good", wasm, &grants);
    plugin
        .is_ok_and(|plugin| plugin.process(b"hello world").as_deref() == Ok(b"CUSTOM_HELLO WORLD"))
}
