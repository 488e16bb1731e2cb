//! Memory of many plugins and many instances, each host in a process of its own.

use crate::{
    guests::{Guest, numbered},
    host::{Answer, Library},
    local::{as_new, check, processor_time},
};
use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What grows, and how far: its name, its title, its counts.
pub const KINDS: &[(&str, &str, &[u32])] = &[
    (
        "plugins",
        "loaded plugins, each called once in an instance as new",
        &[1, 10, 100, 1_000],
    ),
    (
        "idle",
        "instances of one plugin that were not called",
        &[1, 10, 100, 1_000, 10_000],
    ),
    (
        "called",
        "instances of one plugin that were called once",
        &[1, 10, 100, 1_000, 10_000],
    ),
];

/// A process that would take more nanoseconds of processor up to its next count grows no further.
const MOST_TIME: f64 = 60e9;

/// The longest time for which a process grows.
const LONGEST: Duration = Duration::from_secs(300);

/// Memory and processor time that a number of things took.
#[derive(Clone, Copy)]
pub struct Grown {
    pub count: u32,
    /// Resident memory more than before the first.
    pub bytes: u64,
    /// Nanoseconds of processor.
    pub processor: f64,
}

/// Grows `kind` to `most` in this process, and prints the figures at each count.
pub fn grow(library: &dyn Library, wasm: &[u8], kind: &str, most: u32) -> Answer<()> {
    let (_, _, counts) = KINDS
        .iter()
        .find(|(name, ..)| *name == kind)
        .ok_or("unknown kind")?;
    // What is made once in a process is there before: the engine, its threads, the allocator's first pages.
    let first = library.load(Guest::RustStd, wasm)?;
    check(&mut *first.instance()?, b"hello world")?;
    let (before, started) = (resident()?, processor_time());
    let most_bytes = most_bytes()?;
    let mut output = Vec::new();
    let mut plugins = Vec::new();
    let mut instances = Vec::new();
    for count in 1..=most {
        if kind == "plugins" {
            let plugin = library.load(Guest::RustStd, &numbered(wasm, count))?;
            as_new(&*plugin, b"hello world", &mut output)?;
            plugins.push(plugin);
        } else {
            let mut instance = first.instance()?;
            if kind == "called" {
                check(&mut *instance, b"hello world")?;
            }
            instances.push(instance);
        }
        if counts.contains(&count) {
            let (bytes, time) = (
                resident()?.saturating_sub(before),
                processor_time() - started,
            );
            println!("{count} {bytes} {time}");
            // The next count is ten times as large; one plugin or instance alone tells too little.
            if count >= 10 && (bytes * 10 > most_bytes || time * 10.0 > MOST_TIME) {
                break;
            }
        }
    }
    // The operating system is faster at this.
    std::process::exit(0);
}

/// Runs a process that grows `kind`, and reads what it prints.
pub fn grown(command: &mut Command) -> Answer<Vec<Grown>> {
    let mut child = command
        // So that the last line but advice is the reason.
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // A host that stops for ever must not stop the others.
    let began = Instant::now();
    while child.try_wait()?.is_none() {
        if began.elapsed() > LONGEST {
            child.kill()?;
            return Err("it did not end within five minutes".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let reasons = message.lines().filter(|line| !line.starts_with("note: "));
        let reason = reasons.last().unwrap_or("it failed without a word");
        // A host that fails at a thousand has figures for a hundred.
        if output.stdout.is_empty() {
            return Err(reason.to_string().into());
        }
        eprintln!("it grew no further: {reason}");
    }
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let mut word = || words.next().ok_or("a figure is missing");
            Ok(Grown {
                count: word()?.parse()?,
                bytes: word()?.parse()?,
                processor: word()?.parse()?,
            })
        })
        .collect()
}

/// Resident memory of this process, in bytes.
fn resident() -> Answer<u64> {
    field("/proc/self/smaps_rollup", "Rss:")
}

/// Bytes that a process may take: three quarters of what the machine has left, so that it does not run out. One that
/// would take more at its next count grows no further.
pub fn most_bytes() -> Answer<u64> {
    Ok(field("/proc/meminfo", "MemAvailable:")? / 4 * 3)
}

/// A size in one of the system's files.
fn field(path: &str, name: &str) -> Answer<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let size = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = size
        .ok_or_else(|| format!("{path} has no {name}"))?
        .trim()
        .parse()?;
    Ok(kib << 10)
}
