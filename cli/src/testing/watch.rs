//! Runs the tests again when a file changes.

use super::once;
use crate::{arguments::Test, exit::Exit, failure::Failure, output};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// By what a change of a file is noticed; `None` if there is no such file.
type State = Option<(u64, Option<SystemTime>)>;

/// Runs the tests, and again after each change, until the program is ended or nobody reads its output.
pub(super) fn watch(arguments: &Test) -> Result<Exit, Failure> {
    let mut files = BTreeSet::new();
    loop {
        files.extend([arguments.plugin.clone(), arguments.tests.clone()]);
        // Before the run, so that a change during it is noticed.
        let before = states(&files);
        if io::stdout().is_terminal() {
            // Clears the screen, and puts the cursor into its corner.
            output::bytes(b"\x1b[2J\x1b[H")?;
        }
        match once(arguments, &mut files) {
            Ok(Exit::Ok | Exit::Guest) => {}
            Ok(ended) => return Ok(ended),
            // The next change may mend it.
            Err(failure) => output::failure(&failure),
        }
        wait(before, &files);
    }
}

/// Waits until the files are others than `before`, and then do not change for one period: a compiler may still
/// write them. Those that were not looked at before count from now on.
fn wait(before: Vec<(PathBuf, State)>, files: &BTreeSet<PathBuf>) {
    let known = |path: &Path| before.iter().any(|(known, _)| known == path);
    let new = files.iter().filter(|path| !known(path)).cloned();
    let new = states(&new.collect());
    let mut seen: Vec<_> = before.iter().cloned().chain(new).collect();
    let all: BTreeSet<_> = seen.iter().map(|(path, _)| path.clone()).collect();
    seen.sort();
    let mut changed = false;
    loop {
        thread::sleep(PERIOD);
        let now = states(&all);
        if now != seen {
            changed = true;
            seen = now;
        } else if changed {
            return;
        }
    }
}

/// Returns the states of files in the order of their paths.
fn states(files: &BTreeSet<PathBuf>) -> Vec<(PathBuf, State)> {
    let state = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some((found.len(), found.modified().ok()))
    };
    files
        .iter()
        .map(|path| (path.clone(), state(path)))
        .collect()
}
