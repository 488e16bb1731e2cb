//! Child processes that do numbered work, print each number when it is done, and are killed.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// The environment variable with the child's file or directory.
const PATH: &str = "HOSTEL_CRASH_PATH";

/// Returns how often to kill a child: `HOSTEL_CRASH_ROUNDS`, or 20 times.
///
/// # Panics
///
/// If the variable is not a number.
#[must_use]
pub fn rounds() -> u64 {
    let rounds = env::var("HOSTEL_CRASH_ROUNDS");
    rounds.map_or(20, |rounds| number(rounds.as_bytes()))
}

/// Returns the path that a child works on, and the last number that was done before; `None` in the
/// parent.
///
/// # Panics
///
/// If the child was not started by [`killed`].
#[must_use]
pub fn in_child() -> Option<(PathBuf, u64)> {
    let path = env::var_os(PATH)?;
    let last = env::args().nth(1).unwrap_or_default();
    Some((path.into(), number(last.as_bytes())))
}

/// Tells the parent that this number is done.
///
/// # Panics
///
/// If the parent no longer reads.
pub fn tell(number: u64) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{number}").expect("the parent listens");
}

/// Runs a child on `path` that continues after the number `last`, and kills it. Returns the last
/// number that it told.
///
/// It is killed some time `after` its start, or after the first number that it told.
///
/// # Panics
///
/// If the child ends by itself.
#[must_use]
pub fn killed(path: &Path, last: u64, from_start: bool, after: Duration) -> u64 {
    let mut child = Command::new(env::current_exe().expect("this program has a path"))
        .env(PATH, path)
        .arg(last.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe"))
        .split(b'\n')
        .map(|line| number(&line.expect("the pipe works")));
    let mut told = last;
    if !from_start {
        told = lines.next().expect("the child tells a number");
    }
    let rest = thread::spawn(move || lines.last());
    thread::sleep(after);
    child.kill().expect("the child is killed");
    let status = child.wait().expect("the child ends");
    assert_eq!(
        status.code(),
        None,
        "it was killed, and ended not by itself"
    );
    rest.join().expect("the lines are numbers").unwrap_or(told)
}

fn number(text: &[u8]) -> u64 {
    let text = str::from_utf8(text).expect("it is text");
    text.parse().expect("it is a number")
}
