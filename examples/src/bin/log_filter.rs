//! Filters a log from stdin to stdout: a plugin decides which lines are printed, and rewrites them.
//!
//! `some-server 2>&1 | cargo run --manifest-path examples/Cargo.toml --bin log_filter`
//!
//! One instance is kept, so that the plugin can compare a line with those before. If it is stopped, as by a trap, the line is
//! not printed, since it may have secrets, and a new instance goes on.

use hostel::{Budget, Grants, Limits, LogRecord, load_file};
use hostel_examples::{arguments, plugin};
use std::{
    error::Error,
    io::{self, BufRead, Read, Write},
    time::Duration,
};

/// The longest line that is filtered, in bytes. What follows is cut off.
const LONGEST: u64 = 64 << 10;

/// How many lines in a row may fail before the filter gives up.
const MOST_FAILURES: u32 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let (settings, _) = arguments();
    let mut limits = Limits::server();
    limits.memory_bytes = 4 << 20;
    let budget = Budget::server()
        .with_fuel(5_000_000)
        .with_deadline(Duration::from_secs(1));
    let engine = hostel::engine_with(limits).with_budget(budget);
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| eprintln!("{record}"))
        .config(settings);
    let plugin = load_file(&engine, plugin("lines"), &grants)?;
    let mut instance = plugin.instantiate(())?;

    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    let mut failures = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let ended = from.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0;
        if line.len() as u64 == LONGEST && line.last() != Some(&b'\n') {
            from.skip_until(b'\n')?;
        }
        // Empty at the end, so that the plugin prints what it has held back.
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() && !ended {
            writeln!(to)?;
            continue;
        }
        match instance.process(text.as_bytes()) {
            Ok(lines) => {
                to.write_all(&lines)?;
                failures = 0;
            }
            Err(error) => {
                eprintln!("a line is not printed: {error}");
                failures += 1;
                if failures == MOST_FAILURES {
                    return Err(format!("{MOST_FAILURES} lines in a row failed").into());
                }
                if error.stops() {
                    instance = plugin.instantiate(())?;
                }
            }
        }
        to.flush()?;
        if ended {
            return Ok(());
        }
    }
}
