//! Hands the cases that fit a small machine to the firmware for devices, as source for it.

use crate::case::{Act, Case};
use hostel::{Budget, Limits, ModuleInfo, Value};
use std::{fmt::Write as _, fs, io, path::Path};

/// Longest module that is handed on, in bytes.
const MODULE: usize = 4 << 10;

/// Most memory that one may take, with what it may grow to, in bytes.
const FOOTPRINT: u64 = 216 << 10;

/// Writes the modules, and a list of the cases as a constant expression, to `directory`.
pub(crate) fn export(cases: &[Case], directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut list = String::from("&[\n");
    let mut written = 0;
    for case in cases {
        let wasm = case.module.bytes();
        let Some(act) = act(&case.act).filter(|_| fits(case, &wasm)) else {
            continue;
        };
        let file = format!("{written}.wasm");
        fs::write(directory.join(&file), wasm)?;
        let (letter, code) = (case.verdict.letter, &case.verdict.code);
        // Writing to a String does not fail.
        let _ = writeln!(
            list,
            "Case {{ name: {:?}, wasm: include_bytes!({file:?}), act: {act}, fuel: {}, host_calls: {}, verdict: {:?} }},",
            case.name,
            case.budget.fuel,
            case.budget.host_calls,
            format!("{letter:?} {code}"),
        );
        written += 1;
    }
    list.push_str("]\n");
    fs::write(directory.join("cases.rs"), list)?;
    println!("{written} of {} cases fit a device", cases.len());
    Ok(())
}

/// Not what needs a panic contained, or much memory.
fn fits(case: &Case, wasm: &[u8]) -> bool {
    // What is no module takes nothing.
    let takes = ModuleInfo::read(wasm).map_or(0, |module| module.footprint(&device()).total());
    case.panics == 0
        && wasm.len() <= MODULE
        && takes <= FOOTPRINT
        && case.budget.fuel <= Budget::device().fuel
}

/// What the act is, in the firmware's words; none for what is code of ours.
fn act(act: &Act) -> Option<String> {
    Some(match act {
        Act::Load => "Act::Load".to_owned(),
        Act::Start => "Act::Start".to_owned(),
        Act::Process(input) if input.len() <= 4 << 10 => format!("Act::Process(&{input:?})"),
        Act::Call(name, params) => {
            let params: Vec<_> = params.iter().map(value).collect();
            format!("Act::Call({name:?}, &[{}])", params.join(", "))
        }
        Act::Process(_) | Act::Do(_) => return None,
    })
}

fn value(value: &Value) -> String {
    match value {
        Value::I32(value) => format!("Value::I32({value})"),
        Value::I64(value) => format!("Value::I64({value})"),
        Value::F32(value) => format!("Value::F32(f32::from_bits({}))", value.to_bits()),
        Value::F64(value) => format!("Value::F64(f64::from_bits({}))", value.to_bits()),
        other => unreachable!("{other} is no value of WebAssembly's"),
    }
}

/// The limits of the firmware.
fn device() -> Limits {
    let mut limits = Limits::device(256 << 10);
    limits.memory_bytes = 128 << 10;
    limits
}
