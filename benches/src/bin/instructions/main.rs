//! A guard of instruction counts: callgrind counts each of a dozen paths, and the counts are compared with
//! those in `recorded.txt`. Unlike times, they repeat on a busy machine.
//!
//! ```sh
//! cargo run --profile optimized --manifest-path benches/Cargo.toml --bin instructions
//! cargo run --profile optimized --manifest-path benches/Cargo.toml --bin instructions -- --record
//! ```
//!
//! Fails if a path takes over 3 % more than recorded, or if paths and record differ in their names. A path that
//! takes over 3 % less is printed with a request to record anew. `--record` writes the record; names of paths
//! count only these.

mod count;
mod paths;
mod record;

use paths::PATHS;
use record::Record;
use std::process::ExitCode;

/// The growth of a path, as a part of what is recorded, that is still accepted. The same goes for a fall that is
/// not worth a new record.
const TOLERANCE: f64 = 0.03;

/// The first argument of the program when callgrind runs it; the name of a path follows.
const COUNTED: &str = "--counted";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name] = &arguments[..]
        && first == COUNTED
    {
        let path = PATHS.iter().find(|path| path.name == name);
        println!("{}", (path.expect("the path is listed").run)());
        return ExitCode::SUCCESS;
    }
    match guard(&arguments) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn guard(arguments: &[String]) -> Result<ExitCode, String> {
    let records = arguments.iter().any(|argument| argument == "--record");
    let asked: Vec<&String> = arguments
        .iter()
        .filter(|name| *name != "--record")
        .collect();
    if let Some(unknown) = asked
        .iter()
        .find(|name| PATHS.iter().all(|path| path.name != **name))
    {
        let names: Vec<&str> = PATHS.iter().map(|path| path.name).collect();
        return Err(format!(
            "no path is called {unknown}; there are: {}",
            names.join(", ")
        ));
    }
    if records && !asked.is_empty() {
        return Err("--record counts all paths: leave out their names".into());
    }
    if !count::is_optimized()? {
        return Err("counts are recorded with `cargo run --profile optimized`: run it so".into());
    }
    if !count::has_valgrind() {
        let message =
            "there is no valgrind. To get it: apt-get install --no-install-recommends valgrind";
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            return Err(format!("instructions can't be counted: {message}"));
        }
        eprintln!("SKIPPED: no instructions were counted: {message}");
        return Ok(ExitCode::SUCCESS);
    }

    let recorded = if records {
        Record::default()
    } else {
        Record::read()?
    };
    let mut counted = Record::new(&count::compiler()?);
    let mut failures = Vec::new();
    println!(
        "{:<22} {:>13} {:>13} {:>7}",
        "instructions a", "recorded", "counted", "change"
    );
    for path in PATHS {
        if !asked.is_empty() && asked.iter().all(|name| *name != path.name) {
            continue;
        }
        let count = count::instructions(path)?;
        counted.insert(path.name, count);
        let Some(before) = recorded.get(path.name) else {
            println!("{:<22} {:>13} {count:>13}", path.name, "");
            if !records {
                failures.push(format!("{} is not recorded", path.name));
            }
            continue;
        };
        let change = count as f64 / before as f64 - 1.0;
        let note = match change {
            grown if grown > TOLERANCE => {
                failures.push(format!("{} takes {:.1} % more", path.name, grown * 100.0));
                "  GREW"
            }
            fallen if fallen < -TOLERANCE => {
                "  fell: record anew, or the gain can be lost unnoticed"
            }
            _ => "",
        };
        println!(
            "{:<22} {before:>13} {count:>13} {:>+6.1} %{note}",
            path.name,
            change * 100.0
        );
    }
    if records {
        counted.write()?;
        println!("recorded");
        return Ok(ExitCode::SUCCESS);
    }
    for name in recorded.names() {
        if PATHS.iter().all(|path| path.name != name) {
            failures.push(format!("{name} is recorded, but is no path"));
        }
    }
    if failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("\nfailed: {}", failures.join("; "));
    if recorded.compiler() != counted.compiler() {
        eprintln!(
            "The record is of {}, this is {}: that alone can change the counts.",
            recorded.compiler(),
            counted.compiler()
        );
    }
    eprintln!(
        "If that is meant, record it, and give the reason in the commit's message:\n  \
        cargo run --profile optimized --manifest-path benches/Cargo.toml --bin instructions -- --record"
    );
    Ok(ExitCode::FAILURE)
}
