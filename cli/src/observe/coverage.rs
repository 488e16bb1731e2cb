//! Writes which functions and lines ran how many times, as lcov does.

use super::{code::Code, recorder::Recorder};
use crate::{failure::Failure, output::escaped};
use hostel_profile::Profiled;
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

/// The counts of source files, by their paths.
#[derive(Default)]
pub(crate) struct Coverage(BTreeMap<String, Counts>);

/// The counts of a source file.
#[derive(Default)]
struct Counts {
    /// Each function by its name: its first line, and how many times it began.
    functions: BTreeMap<String, (u32, u64)>,
    lines: BTreeMap<u32, u64>,
}

/// Returns what `recorder` counted.
pub(super) fn of(plugin: &Path, recorder: &Recorder, code: &Code, profiled: &Profiled) -> Coverage {
    let mut coverage = Coverage::default();
    for ((file, line), count) in recorder.lines.all.iter().zip(&recorder.counts) {
        if is_own(file) {
            let counts = coverage.0.entry(file.to_string()).or_default();
            *counts.lines.entry(*line).or_default() += count;
        }
    }
    for (number, start) in code.body_starts().enumerate() {
        let index = profiled.defined(number);
        let count = recorder.entered.get(&index).copied().unwrap_or(0);
        let place = code
            .first_position(start)
            .and_then(|at| code.frames(at).pop());
        let (file, line, name) = match place {
            Some(frame) => {
                let name = frame.function.unwrap_or_else(|| profiled.name(index));
                match frame.line {
                    Some(line) => (line.file, line.line, name),
                    None => continue,
                }
            }
            // Without debug information, the plugin is the source, and a function's number its line.
            None if code.has_lines() => continue,
            None => {
                let line = profiled.original(index) + 1;
                let file = plugin.display().to_string();
                let counts = coverage.0.entry(file.clone()).or_default();
                counts.lines.insert(line, count);
                (file, line, profiled.name(index))
            }
        };
        if is_own(&file) {
            let counts = coverage.0.entry(file).or_default();
            let known = counts.functions.entry(name).or_insert((line, 0));
            known.0 = known.0.min(line);
            known.1 += count;
        }
    }
    coverage
}

/// Returns whether a file is not one of a compiler's library, or of a package that was fetched.
fn is_own(file: &str) -> bool {
    let foreign = ["/rustc/", "/rust/deps/", "/.rustup/", "/.cargo/"];
    !foreign.iter().any(|part| file.contains(part))
}

impl Coverage {
    /// Adds the counts of another plugin, or of the same one loaded with another setup.
    pub(crate) fn add(&mut self, other: Self) {
        for (file, counts) in other.0 {
            let to = self.0.entry(file).or_default();
            for (name, (line, count)) in counts.functions {
                to.functions.entry(name).or_insert((line, 0)).1 += count;
            }
            for (line, count) in counts.lines {
                *to.lines.entry(line).or_default() += count;
            }
        }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        fs::write(path, self.text()).map_err(|error| Failure::unwritable(path, &error))
    }

    fn text(&self) -> String {
        let mut text = String::from("TN:\n");
        for (file, counts) in &self.0 {
            // Writing to a String does not fail.
            let _ = counts.write(file, &mut text);
        }
        text
    }
}

impl Counts {
    fn write(&self, file: &str, to: &mut String) -> std::fmt::Result {
        // A line end in a name would begin a record of its own.
        writeln!(to, "SF:{}", escaped(file))?;
        for (name, (line, _)) in &self.functions {
            writeln!(to, "FN:{line},{}", escaped(name))?;
        }
        for (name, (_, count)) in &self.functions {
            writeln!(to, "FNDA:{count},{}", escaped(name))?;
        }
        let hit = self.functions.values().filter(|(_, count)| *count > 0);
        writeln!(to, "FNF:{}\nFNH:{}", self.functions.len(), hit.count())?;
        for (line, count) in &self.lines {
            writeln!(to, "DA:{line},{count}")?;
        }
        let hit = self.lines.values().filter(|count| **count > 0);
        writeln!(
            to,
            "LF:{}\nLH:{}\nend_of_record",
            self.lines.len(),
            hit.count()
        )
    }
}
