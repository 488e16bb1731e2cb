//! Compares hostel with wasmtime: reads components and calls from stdin, with what wasmtime did, as
//! `fuzz/oracle/components.py` prints them, and does the same. `fuzz/oracle-components` runs both.
//!
//! Prints each difference, and then the counts. Fails if there is a difference, or if nothing was returned, or nothing
//! trapped.

use hostel::{
    Budget, CallError, Engine, Grants, Instance, Limits, component::Interface, component::Value,
};
use hostel_contract::{Contract, ValueType};
use std::{fmt::Display, io, process::ExitCode};

fn main() -> ExitCode {
    let mut limits = Limits::default();
    limits.memory_bytes = 16 << 20;
    // A length that was spoiled can make a list as long as the memory. The other runtime has no such bounds.
    let mut budget = Budget::default();
    budget.input_bytes = 1 << 30;
    budget.output_bytes = 1 << 30;
    budget.argument_bytes = 1 << 30;
    budget.bytes_to_guest = 1 << 30;
    let mut replay = Replay {
        engine: hostel::engine().with_limits(limits).with_budget(budget),
        ..Replay::default()
    };
    for line in io::stdin().lines() {
        let played = line
            .map_err(|error| error.to_string())
            .and_then(|line| replay.play(&line));
        if let Err(error) = played {
            eprintln!("component-oracle: case {}: {error}", replay.case);
            return ExitCode::FAILURE;
        }
    }
    let Replay {
        cases,
        returned,
        trapped,
        different,
        ended,
        ..
    } = replay;
    println!(
        "{cases} components: {returned} calls returned, {trapped} trapped, {different} differences"
    );
    match ended && different == 0 && returned > 0 && trapped > 0 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// What a call did, and the type of its result.
type Called = (Result<Option<Value>, CallError>, Option<ValueType>);

/// The component that is called, and counts of what it did.
#[derive(Default)]
struct Replay {
    engine: Engine,
    case: String,
    current: Option<(Instance<()>, Contract)>,
    /// What the last call did, and the type of its result.
    last: Option<Called>,
    /// The text of the last call.
    call: String,
    cases: u64,
    returned: u64,
    trapped: u64,
    different: u64,
    /// Whether the last line was read.
    ended: bool,
}

impl Replay {
    /// Does what a line says. Fails if that is not possible.
    fn play(&mut self, line: &str) -> Result<(), String> {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        match what {
            "case" => {
                self.case = rest.into();
                self.cases += 1;
            }
            "component" => self.current = Some(self.load(&bytes(rest)?)?),
            "call" => self.call(rest)?,
            "returns" => {
                self.returned += 1;
                let (found, ty) = self.last.take().ok_or("a result without a call")?;
                let expected = ty.ok_or("a function without a result")?.parse(rest);
                let expected = Value::try_from(expected.map_err(said)?).map_err(said)?;
                // As text: floats that are not numbers are equal then.
                let same = matches!(&found, Ok(Some(found)) if format!("{found:?}") == format!("{expected:?}"));
                self.compare(same, &format!("{expected:?}"), &format!("{found:?}"));
            }
            "traps" => {
                self.trapped += 1;
                let (found, _) = self.last.take().ok_or("a trap without a call")?;
                let same = matches!(&found, Err(error) if error.stops());
                self.compare(same, rest, &format!("{found:?}"));
            }
            "end" => self.ended = true,
            _ => return Err(format!("a line that is not known: {line}")),
        }
        Ok(())
    }

    fn load(&self, wasm: &[u8]) -> Result<(Instance<()>, Contract), String> {
        let root =
            Interface::root().dynamic("f", |_, values: &[Value]| Ok(values.first().cloned()));
        let grants = Grants::new().interface(root);
        let plugin = self.engine.load_component("guest", wasm, &grants);
        let instance = plugin.map_err(said)?.instantiate(()).map_err(said)?;
        Ok((instance, Contract::read(wasm).map_err(said)?))
    }

    fn call(&mut self, text: &str) -> Result<(), String> {
        let (instance, contract) = self.current.as_mut().ok_or("a call without a component")?;
        let call = contract.parse_call(text).map_err(said)?;
        let arguments = call.arguments.into_iter().map(Value::try_from);
        let arguments = arguments.collect::<Result<Vec<_>, _>>().map_err(said)?;
        let found = instance.call_component_values(&call.function, &arguments);
        self.last = Some((found, call.result));
        self.call = text.into();
        Ok(())
    }

    fn compare(&mut self, same: bool, expected: &str, found: &str) {
        if !same {
            self.different += 1;
            let Self { case, call, .. } = self;
            println!("case {case}: {call}\n  wasmtime {expected}\n  hostel   {found}");
        }
    }
}

/// Returns an error as text.
fn said(error: impl Display) -> String {
    error.to_string()
}

/// Returns the bytes that hexadecimal digits say.
fn bytes(digits: &str) -> Result<Vec<u8>, String> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let pair = str::from_utf8(pair).map_err(said)?;
            u8::from_str_radix(pair, 16).map_err(said)
        })
        .collect()
}
