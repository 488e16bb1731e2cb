//! Writes the cases that fit a device as source for the firmware's tests, which include it.

use crate::case::{Action, Case, FUEL, loads};
use hostel::{Budget, Limits, LoadError, ModuleInfo, Value};
use std::{collections::BTreeMap, fmt::Write as _, fs, io, path::Path};

/// Longest module that is written, in bytes.
const MODULE_BYTES: usize = 64 << 10;

/// The beginnings of names of cases that need more than a device's limits and budget allow: deep
/// calls, memory that grows by a page, and arguments of 128 KiB.
const TOO_MUCH: [&str; 6] = [
    "A03/allocate that returns a new page",
    "A04/300 settings, each a call deeper",
    "R02/900 calls deep",
    "R02/Ackermann of 4, 4",
    "A01/argument ptr=0x0 len=0x20000 ",
    "A01/argument ptr=0x1 len=0x1ffff ",
];

/// Most memory that a module and an instance may take, grown as far as it may, in bytes.
const FOOTPRINT: u64 = 216 << 10;

/// Writes the modules, and a list of the cases as a constant expression, to `directory`.
pub(crate) fn export(cases: &[Case], directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut list = String::from("&[\n");
    let mut written = 0;
    let mut left = BTreeMap::new();
    for case in cases {
        let wasm = case.module.bytes();
        // Components are among those that have no action here: a device's program does not read them.
        let action = action(&case.action);
        let reason = match &action {
            Some(_) => unfit(case, &wasm),
            None => Some("need code of the tests"),
        };
        let (Some(action), None) = (action, reason) else {
            *left.entry(reason.unwrap_or_default()).or_insert(0) += 1;
            continue;
        };
        let file = format!("{written}.wasm");
        fs::write(directory.join(&file), wasm)?;
        let _ = writeln!(
            list,
            "Case {{ name: {:?}, module: Module::File(c\"target/hostile/{file}\"), \
             action: {action}, budget: {}, verdict: {:?} }},",
            case.name,
            budget(&case.budget),
            case.verdict.to_string(),
        );
        written += 1;
    }
    list.push_str("]\n");
    fs::write(directory.join("cases.rs"), list)?;
    println!("{written} of {} cases fit a device", cases.len());
    for (reason, count) in left {
        println!("{count} {reason}");
    }
    Ok(())
}

/// Returns why a case can't be run on a device; `None` if it can.
fn unfit(case: &Case, wasm: &[u8]) -> Option<&'static str> {
    // Bytes that are no module take no memory.
    let takes = ModuleInfo::read(wasm).map_or(0, |module| module.footprint(&device()).total());
    let plain = Case::load("", "", loads());
    let answer = case.verdict.code().strip_suffix(" bytes");
    let answer = answer.map_or(0, |bytes| bytes.parse().expect("a number of bytes"));
    let refused = match ModuleInfo::read_within(wasm, &device().module) {
        Err(LoadError::OverLimit { name: cap, .. }) => format!("over-limit {cap}"),
        _ => String::new(),
    };
    let over = case.verdict.code().starts_with("over-limit");
    let too_much = TOO_MUCH.iter().any(|name| case.name.starts_with(name));
    let reasons = [
        ("need a panic contained", case.panics > 0),
        ("have limits of their own", case.limits != plain.limits),
        (
            "are refused by a device's limits first",
            (over || !refused.is_empty()) && refused != case.verdict.code(),
        ),
        (
            "take more memory than there is",
            takes + wasm.len() as u64 > FOOTPRINT || wasm.len() > MODULE_BYTES,
        ),
        (
            "need a larger budget",
            too_much
                || case.budget.fuel > Budget::device().fuel
                || answer > Budget::device().output_bytes,
        ),
    ];
    let reason = reasons.into_iter().find(|(_, applies)| *applies);
    reason.map(|(reason, _)| reason)
}

/// Returns the firmware's source for a budget: its function `usual`, or a closure that changes what
/// differs.
fn budget(budget: &Budget) -> String {
    let usual = Budget::server();
    if *budget == usual.with_fuel(FUEL) {
        return "usual".to_owned();
    }
    let (fuel, calls) = (budget.fuel, budget.host_calls);
    let mut text = format!("|budget| {{ budget.fuel = {fuel}; budget.host_calls = {calls};");
    for (name, usual, found) in [
        ("input_bytes", usual.input_bytes, budget.input_bytes),
        ("output_bytes", usual.output_bytes, budget.output_bytes),
        ("error_bytes", usual.error_bytes, budget.error_bytes),
        (
            "argument_bytes",
            usual.argument_bytes,
            budget.argument_bytes,
        ),
        (
            "bytes_to_guest",
            usual.bytes_to_guest,
            budget.bytes_to_guest,
        ),
        (
            "log_records",
            usual.log_records as usize,
            budget.log_records as usize,
        ),
        (
            "log_bytes",
            usual.log_bytes as usize,
            budget.log_bytes as usize,
        ),
    ] {
        if usual != found {
            // At most what 32 bits hold, the firmware's `usize`. Writing to a String does not fail.
            let found = found.min(u32::MAX as usize);
            let _ = write!(text, " budget.{name} = {found};");
        }
    }
    text + " }"
}

/// Returns the firmware's source for an action; `None` for code of the tests.
fn action(action: &Action) -> Option<String> {
    Some(match action {
        Action::Load => "Action::Load".to_owned(),
        Action::Start => "Action::Start".to_owned(),
        Action::Process(input) if input.len() <= 4 << 10 => format!("Action::Process(&{input:?})"),
        Action::Call(name, params) => {
            let params: Vec<_> = params.iter().map(value).collect();
            format!("Action::Call({name:?}, &[{}])", params.join(", "))
        }
        Action::Bytes(name, input) if input.len() <= 4 << 10 => {
            format!("Action::Bytes({name:?}, &{input:?})")
        }
        Action::Process(_)
        | Action::Bytes(..)
        | Action::LoadComponent
        | Action::Component(..)
        | Action::Script(_) => return None,
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

/// Returns the firmware's limits.
fn device() -> Limits {
    let mut limits = Limits::device(256 << 10);
    limits.memory_bytes = 128 << 10;
    limits
}
