//! Child processes that do numbered things, tell each when it is done, and are killed.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// Names the child's file or directory.
const PATH: &str = "HOSTEL_CRASH_PATH";

/// How often to kill a child: `HOSTEL_CRASH_ROUNDS`, or 20 times.
///
/// # Panics
///
/// Where that is not a number.
#[must_use]
pub fn rounds() -> u64 {
    let rounds = env::var("HOSTEL_CRASH_ROUNDS");
    rounds.map_or(20, |rounds| number(rounds.as_bytes()))
}

/// In a child, the path that it works on and the number of what was done before; elsewhere nothing.
///
/// # Panics
///
/// Where the child was not started by [`killed`].
#[must_use]
pub fn in_child() -> Option<(PathBuf, u64)> {
    let path = env::var_os(PATH)?;
    let last = env::args().nth(1).unwrap_or_default();
    Some((path.into(), number(last.as_bytes())))
}

/// Tells, in a child, that this number is done.
///
/// # Panics
///
/// Where nobody listens.
pub fn tell(number: u64) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{number}").expect("the parent listens");
}

/// Runs a child on `path` that goes on after `last`, kills it so long `after` its start or after the
/// first number that it told, and gives the number that it told last.
///
/// # Panics
///
/// Where the child ends by itself.
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
