//! The arguments, which are those of Rust's own test programs, and the table of all cases.

use crate::case::{Case, Verdict};
use std::{
    collections::BTreeMap,
    fs::File,
    io::Write as _,
    path::PathBuf,
    process::{ExitCode, Output},
    time::Duration,
};

/// How many cases the summary shows that came nearest to their bound of heap.
const WORST: usize = 10;

#[derive(Default)]
pub(crate) struct Args {
    pub list: bool,
    pub steps: bool,
    pub nocapture: bool,
    pub export: Option<PathBuf>,
    exact: bool,
    filters: Vec<String>,
    skips: Vec<String>,
}

impl Args {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut found = Self::default();
        while let Some(arg) = args.next() {
            match &*arg {
                "--list" => found.list = true,
                "--steps" => found.steps = true,
                "--nocapture" | "--show-output" => found.nocapture = true,
                "--export" => found.export = args.next().map(PathBuf::from),
                "--exact" => found.exact = true,
                "--skip" => found.skips.extend(args.next()),
                // Options of Rust's test programs that take a value, and mean nothing here.
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => {
                    args.next();
                }
                "--quiet" | "-q" | "--include-ignored" => {}
                "--ignored" | "--bench" => found.skips.push(String::new()),
                option if option.starts_with('-') => {
                    if !option.contains('=') {
                        return Err(format!("unknown option {option}"));
                    }
                }
                _ => found.filters.push(arg),
            }
        }
        Ok(found)
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        let fits = |filter: &String| {
            if self.exact {
                name == filter
            } else {
                name.contains(&**filter)
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skips.iter().any(fits)
    }
}

/// Prints the verdicts that cases declare.
pub(crate) fn list<'a>(cases: impl Iterator<Item = &'a Case>) {
    let mut count = 0;
    for case in cases {
        println!("{:<72} {}", case.name, case.verdict);
        count += 1;
    }
    println!("{count} cases");
}

/// How a case ended, beside what it declares.
pub(crate) struct Row {
    name: String,
    threat: String,
    declared: Verdict,
    /// Most bytes of heap that the case may use, and the most that it used.
    bound: usize,
    peak: usize,
    faults: Vec<String>,
    pub took: Duration,
}

impl Row {
    pub(crate) fn new(case: &Case, wasm: &[u8]) -> Self {
        Self {
            name: case.name.clone(),
            threat: case.threat().to_owned(),
            declared: case.verdict.clone(),
            bound: case.heap_bound(wasm),
            peak: 0,
            faults: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// Notes a run in this process.
    pub(crate) fn note(&mut self, run: Result<(Verdict, usize), String>) {
        match run {
            Ok((verdict, peak)) => {
                if verdict != self.declared {
                    self.faults.push(format!("found: {verdict}"));
                }
                if peak > self.bound {
                    let bound = self.bound;
                    self.faults
                        .push(format!("{peak} bytes of heap, {bound} are allowed"));
                }
                self.peak = self.peak.max(peak);
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    /// Notes a fault outside of the runs.
    pub(crate) fn fail(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// Notes a run in a process of its own, by what that process printed.
    pub(crate) fn note_own_process(&mut self, run: Result<Output, String>) {
        let output = match run {
            Ok(output) => output,
            Err(error) => return self.faults.push(error),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let mut figures = said
            .lines()
            .find_map(|line| line.strip_prefix("heap "))
            .unwrap_or_default()
            .split(' ')
            .map(str::parse);
        if let (Some(Ok(peak)), Some(Ok(bound))) = (figures.next(), figures.next()) {
            (self.peak, self.bound) = (peak, bound);
        }
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let words: Vec<_> = errors.split_whitespace().collect();
            let fault = format!("{}: {}", output.status, words.join(" "));
            self.faults.push(fault);
        } else if !said.contains("1 passed, 0 failed") {
            self.faults.push(format!("no case was run: {said}"));
        }
    }

    fn line(&self) -> String {
        let mut line = format!(
            "{:<72} {:<42} {:>10}  {:>6} ms",
            self.name,
            self.declared,
            self.peak,
            self.took.as_millis()
        );
        for fault in &self.faults {
            line += "\n    FAILED: ";
            line += fault;
        }
        line
    }
}

/// All rows, also in a file. Each is written there at once: if the process is lost, the file ends
/// with the name of the case that ended it.
pub(crate) struct Report {
    rows: Vec<Row>,
    file: Option<(PathBuf, File)>,
}

impl Report {
    /// Begins a report. In the process of a single case it has no file.
    pub(crate) fn new(own_process: bool) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../hostile-guests.txt");
        let file = (!own_process).then(|| {
            let file = File::create(&path);
            let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, file)
        });
        Self {
            rows: Vec::new(),
            file,
        }
    }

    pub(crate) fn begin(&mut self, name: &str) {
        self.write(name);
    }

    pub(crate) fn add(&mut self, row: Row) {
        let line = row.line();
        self.write(line.strip_prefix(&*row.name).unwrap_or_default());
        self.write("\n");
        self.rows.push(row);
    }

    fn write(&mut self, text: &str) {
        if let Some((path, file)) = &mut self.file {
            let written = file.write_all(text.as_bytes());
            written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }

    pub(crate) fn end(mut self, print: bool) -> ExitCode {
        let failed = self.rows.iter().filter(|row| !row.faults.is_empty());
        let failed = failed.count();
        if self.file.is_none() {
            // The process that started this one reads it.
            for row in &self.rows {
                println!("heap {} {}", row.peak, row.bound);
                row.faults.iter().for_each(|fault| eprintln!("{fault}"));
            }
        } else if print || failed > 0 {
            for row in &self.rows {
                println!("{}", row.line());
            }
        }
        let end = self.summary();
        self.write(&end);
        print!("{end}");
        let end = format!("{} passed, {failed} failed", self.rows.len() - failed);
        self.write(&format!("{end}\n"));
        println!("{end}");
        ExitCode::from(u8::from(failed > 0))
    }

    /// Counts the cases of each threat by verdict, and lists the cases nearest to their bound of
    /// heap.
    fn summary(&mut self) -> String {
        if self.file.is_none() || self.rows.is_empty() {
            return String::new();
        }
        let mut counts = BTreeMap::<&str, [usize; Verdict::WORDS.len()]>::new();
        for row in &self.rows {
            counts.entry(&row.threat).or_default()[row.declared.word()] += 1;
            counts.entry("all").or_default()[row.declared.word()] += 1;
        }
        let columns = Verdict::WORDS.map(|word| format!(" {word:>7}")).concat();
        let mut end = format!("\ncases{columns}\n");
        for (threat, counts) in counts {
            let columns = counts.map(|count| format!(" {count:>7}")).concat();
            end += &format!("{threat:<5}{columns}\n");
        }
        end += "\nnearest to their bound of heap\n";
        self.rows
            .sort_by_key(|row| core::cmp::Reverse(row.peak * 1000 / row.bound.max(1)));
        for row in self.rows.iter().take(WORST) {
            let share = row.peak * 100 / row.bound.max(1);
            end += &format!(
                "{:<72} {:>11} bytes of {:>11}, {share:>3} %\n",
                row.name, row.peak, row.bound
            );
        }
        end + "\n"
    }
}
