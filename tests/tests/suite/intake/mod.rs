//! Modules from elsewhere: WebAssembly's own test suite, and modules with bytes changed at random.

mod assertions;
mod changed_bytes;
mod instances;
mod loading;
mod suite;

use hostel::{Budget, Engine, Limits, ValType, Value};

/// Makes an engine without a platform, so that a panic is not contained, and fails the test.
fn engine(fuel: u64) -> Engine {
    Engine::new(Limits::server()).with_budget(Budget::server().with_fuel(fuel))
}

fn of_type(ty: ValType, seed: i64) -> Option<Value> {
    Some(match ty {
        ValType::I32 => Value::I32(seed as i32),
        ValType::I64 => Value::I64(seed),
        ValType::F32 => Value::F32(seed as f32),
        ValType::F64 => Value::F64(seed as f64),
        _ => return None,
    })
}
