//! The machine, the compiler and the day.

use std::{fs, process::Command};

/// Names and values.
pub fn facts() -> Vec<(&'static str, String)> {
    let processor = field("/proc/cpuinfo", "model name");
    let memory = field("/proc/meminfo", "MemTotal");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    vec![
        ("date", printed("date", &["-u", "+%Y-%m-%d"])),
        ("commit", printed("git", &["rev-parse", "--short", "HEAD"])),
        ("processor", format!("{processor}, {cores} cores")),
        ("memory", memory),
        ("system", printed("uname", &["-srm"])),
        ("compiler", printed("rustc", &["--version"])),
        ("load when it ended", first_word("/proc/loadavg")),
    ]
}

fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text
        .lines()
        .find(|line| line.starts_with(name))
        .and_then(|line| line.split_once(':'));
    value.map_or_else(|| "unknown".into(), |(_, value)| value.trim().into())
}

fn first_word(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").into()
}

fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_string(),
    )
}
