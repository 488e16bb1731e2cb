//! hostel beside bare wasmi, in one run: `cargo run --release --manifest-path benches/Cargo.toml`
//! prints all parts, with names of parts behind it only those.
//!
//! Both sides do the same work on the same module, take turns, and the best turn of each counts:
//! whatever else the machine does can only make a turn slower. What is printed are ratios; the
//! times beside them are this machine's. It fails where a part misses its target.

mod bare;
mod beside;
mod concurrent;
mod containments;
mod conversions;
mod customize;
mod deadline;
mod fuel;
mod idle;
mod load;
mod making;
mod overhead;
mod pooled;
mod prepared;
mod turns;
mod warmed;

use std::process::ExitCode;

/// Measures and prints; whether what it has for a target was met.
type Part = fn() -> bool;

const PARTS: &[(&str, Part)] = &[
    ("customize", customize::run),
    ("load", load::run),
    ("overhead", overhead::run),
    ("concurrent", concurrent::run),
    ("deadline", deadline::run),
    ("containments", containments::run),
    ("fuel", fuel::run),
    ("making", making::run),
    ("conversions", conversions::run),
    ("warmed", warmed::run),
    ("pooled", pooled::run),
    ("idle", idle::run),
    ("prepared", prepared::run),
];

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    // What this program starts itself for, once for each measurement.
    if let [what, name] = &*asked
        && what == idle::MEASURE
    {
        idle::measure(name);
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = asked
        .iter()
        .find(|asked| PARTS.iter().all(|(name, _)| name != asked))
    {
        let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
        eprintln!(
            "no part is called {unknown}; there are: {}",
            names.join(", ")
        );
        return ExitCode::from(2);
    }
    let mut met = true;
    for (name, run) in PARTS {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            met &= run();
        }
    }
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
