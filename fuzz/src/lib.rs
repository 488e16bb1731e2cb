//! What the targets share: grants, calls of all that a module exports, modules that are made up,
//! and another interpreter to compare with.

pub mod canonical;
pub mod components;
pub mod host;
pub mod modules;
pub mod observers;
pub mod oracle;
pub mod passed;
pub mod programs;
pub mod wasi;

use hostel_core::{
    Budget, CallError, Engine, Extern, Instance, Limits, Plugin, Signature, ValType, Value,
};
use std::fmt;

/// Fuel of each call: several slices, so that calls are resumed, and little enough to be quick.
pub const FUEL: u64 = 30_000;

/// An engine with a small budget.
#[must_use]
pub fn engine(limits: Limits) -> Engine {
    Engine::new(limits).with_budget(Budget::device().with_fuel(FUEL))
}

/// Checks that an error says what it is, and gives what is not one.
pub fn named<R>(result: Result<R, CallError>) -> Option<R> {
    let shown = |error: CallError| assert!(!error.code().is_empty() && !said(&error).is_empty());
    result.map_err(shown).ok()
}

/// What an error says. Names and texts of a module's are in it, which must not act on a terminal.
pub fn said(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let obeyed = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(obeyed), "{text:?}");
    text
}

/// Loads `wasm`; where that works, calls all that it exports. Tells whether it worked.
pub fn load_and_call(engine: &Engine, wasm: &[u8]) -> bool {
    match engine.load("fuzzed", wasm, &host::GRANTS) {
        Ok(plugin) => {
            call_all(&plugin);
            true
        }
        Err(error) => {
            assert!(!said(&error).is_empty() && !error.code().is_empty());
            false
        }
    }
}

/// Calls all that a plugin exports, by core values and as a function of bytes, and checks after
/// each call that the guest kept within its limits.
pub fn call_all(plugin: &Plugin<u64>) {
    let mut kept = None;
    for (name, ty) in functions(plugin) {
        for round in 0..2 {
            let params: Option<Vec<_>> = ty.params.iter().map(|ty| number(*ty, round)).collect();
            let Some(params) = params else { continue };
            let Some(instance) = running(plugin, &mut kept) else {
                return;
            };
            named(instance.call_values(name, &params));
            check(plugin, instance);
        }
        if ty.is_bytes() {
            let Some(instance) = running(plugin, &mut kept) else {
                return;
            };
            named(instance.call_bytes(name, b"some input", |bytes| bytes.len()));
            check(plugin, instance);
            if !instance.is_stopped() {
                named(instance.call::<&str, Result<String, String>>(name, "some text"));
                check(plugin, instance);
            }
        }
    }
    // Also where nothing is called, the start function is run.
    running(plugin, &mut kept);
}

/// The functions that a plugin exports.
pub fn functions(plugin: &Plugin<u64>) -> impl Iterator<Item = (&str, &Signature)> {
    let exports = plugin.info().exports.iter();
    exports.filter_map(|export| match &export.ty {
        Extern::Function(ty) => Some((&*export.name, ty)),
        _ => None,
    })
}

/// The instance that there is, or a new one where a call has stopped it. `None` where the guest
/// does not start.
fn running<'a>(
    plugin: &Plugin<u64>,
    kept: &'a mut Option<Instance<u64>>,
) -> Option<&'a mut Instance<u64>> {
    if kept.as_ref().is_none_or(Instance::is_stopped) {
        *kept = named(plugin.instantiate(0));
        check(plugin, kept.as_ref()?);
    }
    kept.as_mut()
}

/// Checks that a guest used and holds no more than it may.
pub fn check(plugin: &Plugin<u64>, instance: &Instance<u64>) {
    assert!(instance.start_usage().fuel <= FUEL, "starting is bounded");
    assert!(instance.usage().fuel <= FUEL, "each call is bounded");
    let limit = plugin.limits().memory_bytes;
    assert!(instance.memory_bytes() <= limit, "memory is bounded");
}

/// Some number of this type, another one in each round.
#[must_use]
pub fn number(ty: ValType, round: i32) -> Option<Value> {
    Some(match ty {
        ValType::I32 => Value::I32(16 - 17 * round),
        ValType::I64 => Value::I64(16 - 17 * i64::from(round)),
        ValType::F32 => Value::F32(if round == 0 { 1.5 } else { f32::NAN }),
        ValType::F64 => Value::F64(if round == 0 { -1e300 } else { f64::INFINITY }),
        _ => return None,
    })
}
