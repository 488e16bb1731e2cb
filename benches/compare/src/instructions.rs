//! Instructions of hostel and of wasmi by hand, counted by callgrind: they tell what hostel adds to its interpreter,
//! whatever else the machine does.

use crate::{
    cases::Work,
    guests::{Guest, HOST_CALLS},
    host::{Answer, Runner},
    hosts,
};
use std::{env, fs, process::Command};

/// The first argument of the program under callgrind; the host's name and the path's follow.
pub const COUNTED: &str = "--counted";

/// A path: its name, its work in hostel and in wasmi, rounds, and by how much the count of a round is divided.
struct Path {
    name: &'static str,
    hostel: Work,
    wasmi: Work,
    rounds: u32,
    parts: u32,
}

const fn path(name: &'static str, hostel: Work, wasmi: Work, rounds: u32, parts: u32) -> Path {
    Path {
        name,
        hostel,
        wasmi,
        rounds,
        parts,
    }
}

const PATHS: &[Path] = &[
    path(
        "call, held, Rust",
        Work::Held(Guest::Rust, 11),
        Work::Held(Guest::Rust, 11),
        50,
        1,
    ),
    path(
        "call, held, C",
        Work::Held(Guest::C, 11),
        Work::Held(Guest::C, 11),
        50,
        1,
    ),
    path(
        "call, as new, Rust, stack of 16 KiB",
        Work::Reused(Guest::Small, 11),
        Work::New(Guest::Small, 11),
        50,
        1,
    ),
    path(
        "call, as new, Rust",
        Work::Reused(Guest::Rust, 11),
        Work::New(Guest::Rust, 11),
        50,
        1,
    ),
    path(
        "call, as new, Rust with std",
        Work::Reused(Guest::RustStd, 11),
        Work::New(Guest::RustStd, 11),
        50,
        1,
    ),
    path("add, held", Work::AddHeld, Work::AddHeld, 100, 1),
    path(
        "host call, a number",
        Work::HostNumbers,
        Work::HostNumbers,
        2,
        HOST_CALLS,
    ),
    path(
        "host call, 32 bytes",
        Work::HostBytes,
        Work::HostBytes,
        2,
        HOST_CALLS,
    ),
    path(
        "load to first answer, Rust",
        Work::Load(Guest::Rust),
        Work::Load(Guest::Rust),
        2,
        1,
    ),
    path(
        "load to first answer, Rust with std",
        Work::Load(Guest::RustStd),
        Work::Load(Guest::RustStd),
        2,
        1,
    ),
    path(
        "load to first answer, Go",
        Work::Load(Guest::Go),
        Work::Load(Guest::Go),
        1,
        1,
    ),
    path("fib(22)", Work::Kernel(0), Work::Kernel(0), 1, 1),
    path("primes", Work::Kernel(2), Work::Kernel(2), 1, 1),
];

/// What a path takes.
pub struct Counted {
    pub name: &'static str,
    pub hostel: u64,
    /// The less of eager and lazy translation, if the path loads.
    pub wasmi: u64,
}

/// Counts all paths.
pub fn count() -> Answer<Vec<Counted>> {
    println!(
        "\n{:<38} {:>13} {:>13}",
        "instructions", "hostel", "wasmi by hand"
    );
    PATHS
        .iter()
        .map(|path| {
            let mut wasmi = instructions("wasmi by hand", path)?;
            if matches!(path.wasmi, Work::Load(_)) {
                wasmi = wasmi.min(instructions("wasmi by hand, lazy", path)?);
            }
            let hostel = instructions("hostel", path)?;
            println!(
                "{:<38} {hostel:>13} {wasmi:>13}  {:.3}",
                path.name,
                hostel as f64 / wasmi as f64
            );
            Ok(Counted {
                name: path.name,
                hostel,
                wasmi,
            })
        })
        .collect()
}

/// Runs a path, as the counted program.
pub fn run(host: &str, name: &str) -> Answer<()> {
    let host = hosts::local()
        .into_iter()
        .find(|found| found.name() == host)
        .ok_or("unknown host")?;
    let path = PATHS
        .iter()
        .find(|path| path.name == name)
        .ok_or("unknown path")?;
    let work = if host.name() == "hostel" {
        path.hostel
    } else {
        path.wasmi
    };
    let mut runner = host.prepare(&work)?.ok_or("the host has no such thing")?;
    runner.run(2)?;
    counted(&mut *runner, path.rounds)
}

/// callgrind counts while this runs, and finds it by its name.
#[inline(never)]
fn counted(runner: &mut dyn Runner, rounds: u32) -> Answer<()> {
    runner.run(rounds).map(drop)
}

fn instructions(host: &str, path: &Path) -> Answer<u64> {
    let file = env::temp_dir().join(format!("hostel-compare-{}", std::process::id()));
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--toggle-collect=*instructions::counted*",
        ])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe()?)
        .args([COUNTED, host, path.name])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let counts = fs::read_to_string(&file);
    let _ = fs::remove_file(&file);
    if !output.status.success() {
        return Err(format!(
            "{host}, {}: {}",
            path.name,
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    let counts = counts?;
    let total = counts
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.ok_or("callgrind counted nothing")?.trim().parse()?;
    Ok(total / u64::from(path.rounds * path.parts))
}
