//! Checks that values come through components as they went in, and that guests that lie about values are stopped.

use crate::{
    canonical::{Defined, ENCODINGS, Ty, value},
    said,
};
use arbitrary::{Result, Unstructured};
use hostel_core::{
    Budget, CallError, Engine, Grants, Limits, Plugin, Step,
    component::{Interface, Value},
};
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut limits = Limits::server();
    limits.memory_bytes = 1 << 20;
    Engine::new(limits).with_budget(Budget::server().with_fuel(1_000_000))
});

/// Makes up a type and a value, and passes them through components.
///
/// # Errors
///
/// If `bytes` end.
///
/// # Panics
///
/// If a value changes on its way, or a call ends in another way by steps.
pub fn check(bytes: &mut Unstructured<'_>) -> Result<()> {
    let ty = Ty::any(bytes)?;
    let defined = Defined::new(&ty);
    let (first, second) = (*bytes.choose(&ENCODINGS)?, *bytes.choose(&ENCODINGS)?);
    let one = load(&defined.one(first));
    let passed = made(&one, bytes)?;
    comes_back(&one, &passed);
    comes_back(&load(&defined.two(first, second)), &passed);

    // A guest that lies. If the host takes its answer for a value, that is one.
    let (core, places) = (address(bytes)?, bytes.arbitrary::<[u32; 3]>()?);
    let memory = bytes.bytes(bytes.len().min(600))?;
    let lying = load(&defined.lying(second, core, memory, &places));
    match call(&lying, &passed) {
        Ok(Some(answer)) if is_number(&answer) => comes_back(&one, &answer),
        Ok(Some(_)) => {}
        Ok(None) => panic!("a result is missing"),
        Err(error) => {
            let code = error.code();
            let allowed = [
                "trap-abi",
                "out-of-fuel",
                "output-too-large",
                "trap-out-of-memory",
            ];
            assert!(allowed.contains(&code), "{}", said(&error));
        }
    }
    Ok(())
}

/// A core value: an address near the start of memory, most often.
fn address(bytes: &mut Unstructured<'_>) -> Result<u64> {
    match bytes.ratio(4u8, 5u8)? {
        true => bytes.int_in_range(0u64..=64).map(|at| at * 4),
        false => bytes.arbitrary(),
    }
}

fn load(text: &str) -> Plugin {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let interface =
        Interface::root().dynamic("f", |_, values: &[Value]| Ok(values.first().cloned()));
    let loaded = ENGINE.load_component("guest", &wasm, &Grants::new().interface(interface));
    loaded.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Makes up a value of the type that `g` takes.
fn made(plugin: &Plugin, bytes: &mut Unstructured<'_>) -> Result<Value> {
    let contract = plugin.contract().expect("it is a component");
    let export = contract.export("g").expect("it is exported");
    value(contract.types(), export.ty.params[0], bytes)
}

fn comes_back(plugin: &Plugin, value: &Value) {
    assert_eq!(call(plugin, value), Ok(Some(value.clone())));
}

/// Calls `g` at once and by steps, which must end alike and take equal fuel.
fn call(plugin: &Plugin, value: &Value) -> core::result::Result<Option<Value>, CallError> {
    let params = [value.clone()];
    let mut instance = plugin.instantiate(()).expect("it starts");
    let at_once = instance.call_component_values("g", &params);
    let mut stepped = plugin.instantiate(()).expect("it starts");
    let mut call = stepped.call_component_values_async("g", &params);
    let by_steps = loop {
        match call.step(500) {
            Step::Done(ended) => break ended,
            Step::More => {}
            Step::Waiting => panic!("it waits for nothing"),
        }
    };
    drop(call);
    assert_eq!(format!("{at_once:?}"), format!("{by_steps:?}"), "by steps");
    assert_eq!(instance.usage().fuel, stepped.usage().fuel, "by steps");
    at_once
}

/// Whether a value equals itself: it contains no float that is not a number.
fn is_number(value: &Value) -> bool {
    value == &value.clone()
}
