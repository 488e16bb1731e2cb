//! Another interpreter, wasmi 1.0.9: what it makes of a module is what hostel must make of it.

use crate::{
    functions,
    modules::{self, MEMORY_BYTES},
    observers::{GLOBAL, MEMORY},
};
use arbitrary::Unstructured;
use hostel_core::{Budget, CallError, Engine, Grants, Instance, Plugin, ValType, Value};
use wasmi_1::{
    Config, Error, F32, F64, Linker, Module, Store, StoreLimits, StoreLimitsBuilder, TrapCode, Val,
};

/// Fuel of a call in hostel. Modules that need more tell nothing: the two charge differently.
const FUEL: u64 = 30_000;
/// Most calls that are compared of one module.
const CALLS: usize = 8;
/// Most parameters, and most results, of a function that hostel calls by core values.
const VALUES: usize = 16;

/// A module in the other interpreter.
struct Oracle {
    store: Store<StoreLimits>,
    instance: wasmi_1::Instance,
}

impl Oracle {
    fn new(module: &Module) -> Result<Self, Error> {
        let limits = StoreLimitsBuilder::new().memory_size(MEMORY_BYTES).build();
        let mut store = Store::new(module.engine(), limits);
        store.limiter(|limits| limits);
        store.set_fuel(FUEL * 10)?;
        let instance = Linker::new(module.engine()).instantiate_and_start(&mut store, module)?;
        Ok(Self { store, instance })
    }

    fn call(&mut self, name: &str, params: &[Value]) -> Result<Vec<u64>, Error> {
        self.store.set_fuel(FUEL * 10)?;
        let function = self.instance.get_func(&self.store, name);
        let function = function.expect("both have the same exports");
        let params: Vec<_> = params.iter().map(theirs).collect();
        let ty = function.ty(&self.store);
        let mut results: Vec<_> = ty.results().iter().map(|ty| Val::default(*ty)).collect();
        function.call(&mut self.store, &params, &mut results)?;
        Ok(results.iter().map(bits_of_theirs).collect())
    }

    fn memory(&self) -> Option<&[u8]> {
        let memory = self.instance.get_memory(&self.store, "memory")?;
        Some(memory.data(&self.store))
    }
}

/// Runs `wasm`, a module without imports and with [observers](crate::observers), in both
/// interpreters, with arguments out of `bytes`. Tells whether hostel loads it.
///
/// # Panics
///
/// Where a result, a trap, or what is left in memory and globals differs.
pub fn compare(wasm: &[u8], bytes: &mut Unstructured<'_>) -> bool {
    let mut budget = Budget::server().with_fuel(FUEL);
    budget.output_bytes = MEMORY_BYTES;
    let engine = Engine::new(modules::limits()).with_budget(budget);
    let Ok(plugin) = engine.load("compared", wasm, &Grants::<u64>::with_data()) else {
        return false;
    };
    let mut config = Config::default();
    config.consume_fuel(true);
    let Ok(module) = Module::new(&wasmi_1::Engine::new(&config), wasm) else {
        return true;
    };
    let mut kept = None;
    for _ in 0..CALLS {
        let both = match kept.take() {
            Some(both) => both,
            None => match start(&plugin, &module) {
                Some(both) => both,
                None => break,
            },
        };
        kept = call(&plugin, both, bytes);
        if bytes.is_empty() {
            break;
        }
    }
    true
}

type Both = (Instance<u64>, Oracle);

/// Starts both. `None` where that fails, in both, or tells nothing.
fn start(plugin: &Plugin<u64>, module: &Module) -> Option<Both> {
    match (plugin.instantiate(0), Oracle::new(module)) {
        (Ok(mut ours), Ok(mut theirs)) => {
            compare_state(plugin, &mut ours, &mut theirs);
            Some((ours, theirs))
        }
        (Err(ours), Err(theirs)) => {
            assert!(
                tells_nothing(&ours, &theirs) || same(&ours, &theirs),
                "{ours}; {theirs}"
            );
            None
        }
        (Err(ours), Ok(_)) => {
            assert!(
                is_a_limit(ours.code()),
                "only hostel does not start it: {ours}"
            );
            None
        }
        (Ok(_), Err(theirs)) => {
            let code = theirs.as_trap_code().map_or("", code_of);
            assert!(is_a_limit(code), "only hostel starts it: {theirs}");
            None
        }
    }
}

/// Calls a function in both, and gives the two back where they can be called again.
fn call(plugin: &Plugin<u64>, both: Both, bytes: &mut Unstructured<'_>) -> Option<Both> {
    let (mut ours, mut theirs) = both;
    let callable: Vec<_> = functions(plugin)
        .filter(|(name, ty)| {
            let values = || ty.params.iter().chain(&ty.results);
            !name.starts_with("fuzz:")
                && ty.params.len().max(ty.results.len()) <= VALUES
                && values().all(|ty| number(*ty, 0).is_some())
        })
        .collect();
    let (name, ty) = bytes.choose(&callable).ok()?;
    let params: Vec<_> = ty
        .params
        .iter()
        .filter_map(|ty| number(*ty, any(bytes)))
        .collect();
    let found = ours.call_values(name, &params);
    if found.as_ref().is_err_and(|error| is_a_limit(error.code())) {
        return None;
    }
    match (found, theirs.call(name, &params)) {
        (Ok(found), Ok(expected)) => {
            let found: Vec<_> = found.iter().map(bits).collect();
            assert_eq!(found, expected, "results of {name} for {params:?}");
            compare_state(plugin, &mut ours, &mut theirs);
            Some((ours, theirs))
        }
        (Err(found), Err(expected)) => {
            let same = tells_nothing(&found, &expected) || same(&found, &expected);
            assert!(same, "{name} for {params:?}: {found}; {expected}");
            None
        }
        (Err(found), Ok(_)) => panic!("only hostel stops {name} for {params:?}: {found}"),
        (Ok(_), Err(expected)) => {
            let code = expected.as_trap_code().map_or("", code_of);
            assert!(
                is_a_limit(code),
                "only hostel runs {name} for {params:?}: {expected}"
            );
            None
        }
    }
}

/// Compares all of memory, and the globals that are numbers.
fn compare_state(plugin: &Plugin<u64>, ours: &mut Instance<u64>, theirs: &mut Oracle) {
    for (name, _) in functions(plugin).filter(|(name, _)| name.starts_with("fuzz:")) {
        if name == MEMORY {
            let found = ours.call::<(), Vec<u8>>(name, ());
            let found = found.expect("the memory can be read");
            let expected = theirs.memory().expect("it is exported");
            let first = found.iter().zip(expected).position(|(a, b)| a != b);
            assert_eq!((found.len(), first), (expected.len(), None), "memory");
        } else if let Some(index) = name.strip_prefix(GLOBAL) {
            let found = ours.call_values(name, &[]).expect("a global can be read");
            let expected = theirs.call(name, &[]).expect("a global can be read");
            let found: Vec<_> = found.iter().map(bits).collect();
            assert_eq!(found, expected, "global {index}");
        }
    }
}

fn same(ours: &CallError, theirs: &Error) -> bool {
    match theirs.as_trap_code() {
        Some(code) => code_of(code) == ours.code(),
        // What `table.copy` and segments that do not fit meet has no code of its own there.
        None => ["trap-table", "trap-memory", "trap-instantiation"].contains(&ours.code()),
    }
}

fn tells_nothing(ours: &CallError, theirs: &Error) -> bool {
    is_a_limit(ours.code())
        || theirs
            .as_trap_code()
            .is_some_and(|code| is_a_limit(code_of(code)))
}

/// Whether an error is about how much was used: the interpreters count differently.
fn is_a_limit(code: &str) -> bool {
    ["out-of-fuel", "trap-stack"].contains(&code)
}

/// hostel's code for a trap.
const fn code_of(trap: TrapCode) -> &'static str {
    match trap {
        TrapCode::UnreachableCodeReached => "trap-unreachable",
        TrapCode::MemoryOutOfBounds => "trap-memory",
        TrapCode::TableOutOfBounds => "trap-table",
        TrapCode::IndirectCallToNull => "trap-null-call",
        TrapCode::IntegerDivisionByZero => "trap-division",
        TrapCode::IntegerOverflow => "trap-overflow",
        TrapCode::BadConversionToInteger => "trap-conversion",
        TrapCode::StackOverflow => "trap-stack",
        TrapCode::BadSignature => "trap-signature",
        TrapCode::OutOfFuel => "out-of-fuel",
        _ => "trap",
    }
}

/// Numbers near what may matter, and any others.
fn any(bytes: &mut Unstructured<'_>) -> i64 {
    const EDGES: [i64; 8] = [
        0,
        1,
        -1,
        0x8000,
        0x1_0000,
        0x2_fff8,
        i32::MIN as i64,
        i64::MIN,
    ];
    let number = bytes.arbitrary().unwrap_or(0i64);
    let edge = EDGES[(number & 7) as usize];
    match number >> 3 & 3 {
        0 => number,
        1 => edge,
        2 => edge.wrapping_add(number >> 60),
        _ => number >> 48,
    }
}

fn number(ty: ValType, bits: i64) -> Option<Value> {
    Some(match ty {
        ValType::I32 => Value::I32(bits as i32),
        ValType::I64 => Value::I64(bits),
        ValType::F32 => Value::F32(f32::from_bits(bits as u32)),
        ValType::F64 => Value::F64(f64::from_bits(bits.cast_unsigned())),
        _ => return None,
    })
}

fn bits(value: &Value) -> u64 {
    match value {
        Value::I32(value) => value.cast_unsigned().into(),
        Value::I64(value) => value.cast_unsigned(),
        Value::F32(value) => value.to_bits().into(),
        Value::F64(value) => value.to_bits(),
        _ => unreachable!("there are no other numbers"),
    }
}

fn theirs(value: &Value) -> Val {
    match value {
        Value::I32(value) => Val::I32(*value),
        Value::I64(value) => Val::I64(*value),
        Value::F32(value) => Val::F32(F32::from_bits(value.to_bits())),
        Value::F64(value) => Val::F64(F64::from_bits(value.to_bits())),
        _ => unreachable!("there are no other numbers"),
    }
}

fn bits_of_theirs(value: &Val) -> u64 {
    match value {
        Val::I32(value) => value.cast_unsigned().into(),
        Val::I64(value) => value.cast_unsigned(),
        Val::F32(value) => value.to_bits().into(),
        Val::F64(value) => value.to_bits(),
        _ => unreachable!("functions of references are not called"),
    }
}
