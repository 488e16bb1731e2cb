//! A guest that calls each host function, in each shape, with whatever the fuzzer says, and gives
//! the host whatever buffers the fuzzer says.
#![no_main]

use arbitrary::Arbitrary;
use hostel_core::{Plugin, Value};
use hostel_fuzz::{
    host::{FUNCTIONS, GRANTS, Shape},
    modules, named,
};
use libfuzzer_sys::fuzz_target;
use std::{fmt::Write as _, sync::LazyLock};

const SHAPES: [Shape; 3] = [Shape::Values, Shape::Packed, Shape::Pointer];

static PLUGINS: LazyLock<[Plugin<u64>; 3]> = LazyLock::new(|| {
    let engine = hostel_fuzz::engine(modules::limits());
    SHAPES.map(|shape| {
        let wasm = wat::parse_str(guest(shape)).expect("the guest is well-formed");
        engine
            .load("caller", &wasm, &GRANTS)
            .expect("the guest loads")
    })
});

#[derive(Arbitrary, Debug)]
struct Case {
    shape: u8,
    /// What lies at the start of memory.
    memory: Vec<u8>,
    /// What `allocate` answers next, and what it does besides.
    buffer: i32,
    step: i16,
    habits: u8,
    calls: Vec<Call>,
}

#[derive(Arbitrary, Debug)]
struct Call {
    function: u8,
    /// How often; calls that repeat reach the budgets of calls and of log.
    times: u8,
    /// Whether the import itself is called, which the guest exports.
    bare: bool,
    arguments: [Argument; 6],
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Argument {
    /// Within what was put into memory.
    Small(u8),
    Any(i64),
    Float(f64),
}

fuzz_target!(|case: Case| {
    let shape = usize::from(case.shape) % SHAPES.len();
    let plugin = &PLUGINS[shape];
    let mut instance = named(plugin.instantiate(1)).expect("the guest starts");
    // While `allocate` still means well.
    named(instance.call::<&[u8], ()>("fill", &case.memory));
    let habits = [case.buffer, case.step.into(), case.habits.into()].map(Value::I32);
    if named(instance.call_values("habits", &habits)).is_none() {
        return;
    }
    for call in &case.calls {
        let function = &FUNCTIONS[usize::from(call.function) % FUNCTIONS.len()];
        let (params, _) = function.declared(SHAPES[shape]);
        let mut values: Vec<_> = params
            .iter()
            .zip(&call.arguments)
            .map(|(ty, argument)| argument.value(ty))
            .collect();
        let name = if call.bare {
            format!("bare_{}", function.name)
        } else {
            values.push(Value::I32(call.times.into()));
            function.name.to_owned()
        };
        named(instance.call_values(&name, &values));
        hostel_fuzz::check(plugin, &instance);
        if instance.is_stopped() {
            break;
        }
    }
});

impl Argument {
    fn value(self, ty: &str) -> Value {
        let (integer, float) = match self {
            Self::Small(value) => (value.into(), value.into()),
            Self::Any(value) => (value, f64::from_bits(value.cast_unsigned())),
            Self::Float(value) => (value as i64, value),
        };
        match ty {
            "i32" => Value::I32(integer as i32),
            "i64" => Value::I64(integer),
            "f32" => Value::F32(float as f32),
            _ => Value::F64(float),
        }
    }
}

/// A guest that imports each function in this shape. It exports each as itself, and one that
/// calls it several times with the same arguments.
fn guest(shape: Shape) -> String {
    let mut imports = String::new();
    let mut callers = String::new();
    for function in &FUNCTIONS {
        let (params, results) = function.declared(shape);
        let name = function.name;
        let arguments: String = (0..params.len())
            .map(|at| format!("(local.get {at})"))
            .collect();
        let drops = "(drop)".repeat(results.len());
        let times = params.len();
        let params = params.join(" ");
        imports += &function.import(shape);
        let _ = write!(
            callers,
            r#"(export "bare_{name}" (func ${name}))
            (func (export "{name}") (param {params} i32)
                (loop $again
                    {arguments} (call ${name}) {drops}
                    (br_if $again (i32.gt_s
                        (local.tee {times} (i32.sub (local.get {times}) (i32.const 1)))
                        (i32.const 0)))))"#
        );
    }
    format!(
        r#"(module {imports}
        (memory (export "memory") 1 3)
        (global $next (mut i32) (i32.const 0x8000))
        (global $step (mut i32) (i32.const 0))
        (global $habits (mut i32) (i32.const 0))
        (func (export "habits") (param i32 i32 i32)
            (global.set $next (local.get 0))
            (global.set $step (local.get 1))
            (global.set $habits (local.get 2)))
        (func (export "fill") (param i32 i32)
            (memory.copy (i32.const 0) (local.get 0) (local.get 1)))
        (func (export "allocate") (param i32) (result i32)
            (if (i32.and (global.get $habits) (i32.const 1)) (then (drop (memory.grow (i32.const 1)))))
            (if (i32.and (global.get $habits) (i32.const 2)) (then (call $nothing)))
            (if (i32.and (global.get $habits) (i32.const 4)) (then (loop $on (br $on))))
            (if (i32.and (global.get $habits) (i32.const 8)) (then unreachable))
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (global.get $step))))
        (func (export "deallocate") (param i32 i32)
            (if (i32.and (global.get $habits) (i32.const 16)) (then unreachable)))
        {callers})"#
    )
}
