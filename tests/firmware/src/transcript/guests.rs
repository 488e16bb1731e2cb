//! Guests that mean no harm, as compilers make them.

use super::case::{Act, Case};
use hostel_core::{Budget, Engine, Grants, Limits, LogRecord, Value};

macro_rules! guest {
    ($name:literal, $act:expr, $verdict:literal) => {
        Case {
            name: $name,
            wasm: include_bytes!(concat!("../../../../guests/prebuilt/", $name, ".wasm")),
            act: $act,
            fuel: 1_000_000,
            host_calls: 1_000,
            verdict: $verdict,
        }
    };
}

const HELLO: Act = Act::Process(b"hello world");
const ADD: Act = Act::Call("add", &[Value::I32(10), Value::I32(20)]);

pub(super) const CASES: &[Case] = &[
    guest!("add", ADD, "C 30"),
    guest!("c_add", ADD, "C 30"),
    guest!("wat_add", ADD, "C 30"),
    guest!("customize", HELLO, "C CUSTOM_HELLO WORLD"),
    guest!("c_customize", HELLO, "C CUSTOM_HELLO WORLD"),
    guest!("c_customize_retptr", HELLO, "C CUSTOM_HELLO WORLD"),
    guest!("wat_customize_multi", HELLO, "C CUSTOM_HELLO WORLD"),
    guest!("wat_customize_retptr", HELLO, "C CUSTOM_HELLO WORLD"),
    guest!("c_malloc_free", HELLO, "C "),
    guest!("wat_no_dealloc", HELLO, "C "),
    guest!("wat_reactor", HELLO, "C "),
    guest!("wat_greet_multi", HELLO, "C "),
    guest!("c_greet", HELLO, "C "),
    guest!("greet", HELLO, "C "),
    guest!("counter", HELLO, "C "),
    guest!("c_counter", HELLO, "C "),
    guest!("wasi_c_report", Act::Command, "C "),
];

/// Whether a plugin that means no harm loads and answers.
pub(super) fn a_good_one_answers() -> bool {
    let grants = Grants::<()>::new()
        .log(|_: &LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")]);
    let engine = Engine::new(Limits::device(256 << 10)).with_budget(Budget::device());
    let wasm = include_bytes!("../../../../guests/prebuilt/wat_customize_multi.wasm");
    let plugin = engine.load("good", wasm, &grants);
    plugin.is_ok_and(|plugin| plugin.process(b"hello world").as_deref() == Ok(b"CUSTOM_HELLO WORLD"))
}
