//! Runs scripts of component tests (`.wast`) of others, such as the Component Model's own:
//!
//! ```text
//! cargo run -p hostel-tests --example component-suite -- CHECKOUT/test [--verbose]
//! ```
//!
//! Takes files and directories. Counts assertions, and components that a script defines or instantiates. Prints a
//! line for each file, then each failure with its place and reason. Fails if a file can't be read. A component counts
//! as good if all it lacks is host functions, which scripts about validation never supply.
//! Files below a directory `async` are left out, and counted as such: asynchronous functions are not run yet.

mod run;
mod values;

use run::{Outcome, run};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> ExitCode {
    let (flags, paths): (Vec<_>, Vec<_>) =
        env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let verbose = flags.iter().any(|flag| flag == "--verbose");
    if paths.is_empty() {
        eprintln!("component-suite: name files or directories of component tests");
        return ExitCode::FAILURE;
    }
    let mut files = Vec::new();
    for path in &paths {
        if let Err(error) = collect(Path::new(path), &mut files) {
            eprintln!("component-suite: {path}: {error}");
            return ExitCode::FAILURE;
        }
    }
    files.sort();
    let (asynchronous, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| {
        let mut parents = file.ancestors().skip(1).filter_map(Path::file_name);
        parents.any(|name| name == "async")
    });
    let mut all = Outcome::default();
    for file in &files {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("component-suite: {}: {error}", file.display());
                return ExitCode::FAILURE;
            }
        };
        let outcome = run(&text);
        println!("{} {}", shown(&outcome), file.display());
        for failure in outcome.failures.iter().filter(|_| verbose) {
            println!("      {failure}");
        }
        all.add(outcome, file);
    }
    println!("{} in {} files", shown(&all), files.len());
    println!("{} asynchronous files left out", asynchronous.len());
    for failure in &all.failures {
        println!("{failure}");
    }
    ExitCode::SUCCESS
}

/// Returns the counts of an outcome.
fn shown(outcome: &Outcome) -> String {
    let ((passed, assertions), (made, components)) = (outcome.assertions, outcome.components);
    let percent = 100.0 * passed as f64 / assertions.max(1) as f64;
    format!(
        "{passed:>5} of {assertions:<4} assertions ({percent:>5.1} %), {made:>3} of {components:<3} components"
    )
}

/// Collects the scripts at and below `path`.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path
        .extension()
        .is_some_and(|extension| extension == "wast")
    {
        files.push(path.to_owned());
    }
    Ok(())
}
