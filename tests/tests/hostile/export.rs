//! Hands the cases that fit a small machine to the firmware for devices, as source for it.

use crate::case::{Act, Case, FUEL};
use hostel::{Budget, Limits, LoadError, ModuleInfo, Value};
use std::{collections::BTreeMap, fmt::Write as _, fs, io, path::Path};

/// Longest module that is handed on, in bytes.
const MODULE: usize = 64 << 10;

/// How the names of cases begin that need more than a device's limits and budget allow: deep calls,
/// memory that grows by a page, and arguments of 128 KiB.
const TOO_MUCH: [&str; 6] = [
    "A03/allocate that answers a new page",
    "A04/300 settings, each a call deeper",
    "R02/900 calls deep",
    "R02/Ackermann of 4, 4",
    "A01/argument ptr=0x0 len=0x20000 ",
    "A01/argument ptr=0x1 len=0x1ffff ",
];

/// Most memory that one may take, with what it may grow to, in bytes.
const FOOTPRINT: u64 = 216 << 10;

/// Writes the modules, and a list of the cases as a constant expression, to `directory`.
pub(crate) fn export(cases: &[Case], directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut list = String::from("&[\n");
    let mut written = 0;
    let mut left = BTreeMap::new();
    for case in cases {
        let wasm = case.module.bytes();
        let act = match (act(&case.act), unfit(case, &wasm)) {
            (Some(act), None) => act,
            (_, reason) => {
                *left
                    .entry(reason.unwrap_or("are code of the tests'"))
                    .or_insert(0) += 1;
                continue;
            }
        };
        let file = format!("{written}.wasm");
        fs::write(directory.join(&file), wasm)?;
        let (letter, code) = (case.verdict.letter, &case.verdict.code);
        let _ = writeln!(
            list,
            "Case {{ name: {:?}, module: Module::File(c\"target/hostile/{file}\"), act: {act}, budget: {}, verdict: {:?} }},",
            case.name,
            budget(&case.budget),
            format!("{letter:?} {code}"),
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

/// Why a case can't be run on a device, if it can't.
fn unfit(case: &Case, wasm: &[u8]) -> Option<&'static str> {
    // What is no module takes nothing.
    let takes = ModuleInfo::read(wasm).map_or(0, |module| module.footprint(&device()).total());
    let plain = Case::new("", "", Act::Load, case.verdict.clone());
    let answer = case.verdict.code.strip_suffix(" bytes");
    let answer = answer.map_or(0, |bytes| bytes.parse().expect("a number of bytes"));
    let refused = match ModuleInfo::read_within(wasm, &device().module) {
        Err(LoadError::OverLimit { cap, .. }) => format!("over-limit {cap}"),
        _ => String::new(),
    };
    let over = case.verdict.code.starts_with("over-limit");
    let too_much = TOO_MUCH.iter().any(|name| case.name.starts_with(name));
    let reasons = [
        ("need a panic contained", case.panics > 0),
        ("have limits of their own", case.limits != plain.limits),
        (
            "are refused by a device's limits first",
            (over || !refused.is_empty()) && refused != case.verdict.code,
        ),
        (
            "take more memory than there is",
            takes + wasm.len() as u64 > FOOTPRINT || wasm.len() > MODULE,
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

/// What differs from a device's budget: the firmware's `usual`, or a closure.
fn budget(budget: &Budget) -> String {
    let usual = Budget::server();
    if *budget == usual.fuel(FUEL) {
        return "usual".to_owned();
    }
    let (fuel, calls) = (budget.fuel, budget.host_calls);
    let mut text = format!("|budget| {{ budget.fuel = {fuel}; budget.host_calls = {calls};");
    for (name, usual, found) in [
        ("input_bytes", usual.input_bytes, budget.input_bytes),
        ("output_bytes", usual.output_bytes, budget.output_bytes),
        (
            "argument_bytes",
            usual.argument_bytes,
            budget.argument_bytes,
        ),
        ("arena_bytes", usual.arena_bytes, budget.arena_bytes),
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
            // As much as a machine of 32 bits can say. Writing to a String does not fail.
            let found = found.min(u32::MAX as usize);
            let _ = write!(text, " budget.{name} = {found};");
        }
    }
    text + " }"
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
