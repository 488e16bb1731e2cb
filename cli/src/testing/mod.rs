//! `hostel test`: runs the test cases of a file on a plugin.

mod bytes;
mod case;
mod difference;
mod expect;
mod file;
mod junit;
mod watch;

pub(super) use self::file::named_answer;
use self::{
    case::{Prepared, Preparing},
    file::File,
};
use super::{
    arguments::{Run, Test},
    exit::Exit,
    failure::Failure,
    input::GivenInput,
    observe::Coverage,
    output::{self, escaped},
};
use anstyle::{AnsiColor, Style};
use hostel::{MemoryState, StateLimits};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) fn test(arguments: &Test) -> Result<Exit, Failure> {
    match arguments.watch {
        true => watch::watch(arguments),
        false => once(arguments, &mut BTreeSet::new()),
    }
}

/// Returns the options of `hostel run` that make the call of the first case in `file`, of a plugin that is no command.
pub(super) fn first_call(file: &Path, plugin: &Path) -> Result<Run, Failure> {
    // Trusted as the folder's build is, which has run.
    let mut cases = File::read(file, true)?.cases.into_iter();
    // There is one: a file without is refused.
    let Some(case) = cases.next() else {
        return Ok(Run::default());
    };
    let mut run = case.setup.options(plugin)?;
    run.call = case.call;
    run.numbers = case.numbers;
    run.input = case.input.into_iter().map(GivenInput::Bytes).collect();
    run.memory_state = Some(Arc::new(MemoryState::new(StateLimits::server())));
    Ok(run)
}

/// The result of a case.
struct Tested {
    name: String,
    /// Lines that tell how it differs from what it expects; none if it passed.
    differences: Vec<String>,
    fuel: u64,
    time: Duration,
}

/// Runs the cases once. Adds the files that they name to `files`, also if it fails.
fn once(arguments: &Test, files: &mut BTreeSet<PathBuf>) -> Result<Exit, Failure> {
    let File {
        cases,
        files: named,
    } = File::read(&arguments.tests, arguments.trust_tests)?;
    files.extend(named);
    let mut preparing = Preparing::new(&arguments.observe);
    let mut all: Vec<Prepared<'_>> = Vec::new();
    for case in &cases {
        let prepared = preparing.prepare(case, all.last(), &arguments.plugin);
        all.push(prepared.map_err(|failure| failure.in_case(&case.name))?);
    }
    let chosen = chosen(&cases, arguments.filter.as_deref())?;
    for path in arguments.junit.iter().chain(&arguments.observe.coverage) {
        output::check_file(path)?;
    }
    let mut instance = None;
    let mut tested = Vec::new();
    let mut coverage = Coverage::default();
    for (prepared, _) in all.into_iter().zip(chosen).filter(|(_, chosen)| *chosen) {
        let case = prepared.case;
        let start = Instant::now();
        let outcome = prepared.run(&mut instance);
        let outcome = outcome.map_err(|failure| failure.in_case(&case.name))?;
        let mut differences = case.expect.differences(&outcome);
        if !differences.is_empty() && arguments.observe.backtrace {
            differences.extend(outcome.backtrace);
        }
        coverage.add(outcome.coverage);
        let one = Tested {
            name: case.name.clone(),
            differences,
            fuel: outcome.usage.fuel,
            time: start.elapsed(),
        };
        let written = output::text(&one.text())?;
        if written != Exit::Ok {
            return Ok(written);
        }
        tested.push(one);
    }
    if let Some(path) = &arguments.junit {
        junit::write(path, &arguments.tests, &tested)?;
    }
    if let Some(path) = &arguments.observe.coverage {
        coverage.write(path)?;
    }
    let failed = tested.iter().filter(|one| !one.passed()).count();
    let left_out = cases.len() - tested.len();
    let written = output::text(&summary(tested.len() - failed, failed, left_out))?;
    Ok(written.or(match failed {
        0 => Exit::Ok,
        _ => Exit::Guest,
    }))
}

/// Returns for each case whether it runs: if its name has the text of `--filter`, or if one that continues in its
/// instance runs.
fn chosen(cases: &[case::Case], filter: Option<&str>) -> Result<Vec<bool>, Failure> {
    let Some(text) = filter else {
        return Ok(vec![true; cases.len()]);
    };
    let mut chosen: Vec<_> = cases.iter().map(|case| case.name.contains(text)).collect();
    if !chosen.contains(&true) {
        let message = format!("--filter: no case has `{text}` in its name");
        let names: Vec<_> = cases
            .iter()
            .map(|case| format!("`{}`", case.name))
            .collect();
        return Err(
            Failure::usage(message).with_hint(format!("the cases are: {}", names.join(", ")))
        );
    }
    for at in (1..cases.len()).rev() {
        chosen[at - 1] |= chosen[at] && cases[at].continues;
    }
    Ok(chosen)
}

impl Tested {
    fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// Returns the case in one line, with its differences below.
    fn text(&self) -> String {
        let (style, word) = match self.passed() {
            true => (AnsiColor::Green.on_default(), "ok    "),
            false => (AnsiColor::Red.on_default().bold(), "FAILED"),
        };
        let dim = Style::new().dimmed();
        let (name, fuel) = (escaped(&self.name), self.fuel);
        let mut text = format!("{style}{word}{style:#}  {name}  {dim}{fuel} fuel{dim:#}\n");
        for line in &self.differences {
            // Writing to a String does not fail.
            let _ = writeln!(text, "        {}", escaped(line));
        }
        text
    }
}

fn summary(passed: usize, failed: usize, left_out: usize) -> String {
    let left_out = match left_out {
        0 => String::new(),
        count => format!(", {count} left out"),
    };
    format!("{passed} passed, {failed} failed{left_out}\n")
}
