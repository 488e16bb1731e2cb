//! The program's arguments, and its help.

use super::{
    directories::GivenDirectory,
    exit,
    limits::{self, DEVICE_HEAP, Preset, Target},
};
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, value_parser};
use clap_complete::Shell;
use hostel::{Budget, Limits};
use std::{path::PathBuf, time::Duration};

/// Run WebAssembly plugins that you don't trust
#[derive(Debug, Parser)]
#[command(name = "hostel", version, after_help = long(exit::HELP))]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Call a function of a plugin
    #[command(after_help = long(&format!("{RUN}\n\n{}", exit::HELP)))]
    Run(Run),
    /// Measure how fast a plugin answers, and what a call takes
    #[command(
        after_help = long(BENCH),
        mut_arg("timeout", |it| it.help("Longest time of one call, such as 200ms")),
        mut_arg("json", |it| it.help("Print one JSON object")),
        mut_arg("arg", |it| it.hide(asked_for("-h"))),
        mut_arg("env", |it| it.hide(asked_for("-h"))),
        mut_arg("dir", |it| it.hide(asked_for("-h"))),
    )]
    Bench(Bench),
    /// Write a plugin that starts from the state that this one comes to
    #[command(
        after_help = long(SNAPSHOT),
        mut_arg("call", |it| it.help("A function to call first, with INPUT")),
        mut_arg("timeout", |it| it.help("Longest time of the start, and of the call, such as 2s")),
        mut_arg("json", |it| it.help("Print one JSON object")),
        mut_arg("arg", |it| it.hide(asked_for("-h"))),
        mut_arg("env", |it| it.hide(asked_for("-h"))),
        mut_arg("dir", |it| it.hide(asked_for("-h"))),
    )]
    Snapshot(Snapshot),
    /// Show what a plugin declares and needs, and what stops it from loading
    Inspect(Inspect),
    /// Tell how much memory a plugin may take, and all that refuses it
    #[command(after_help = long(&format!("{PROBE}\n\nLimits: {}", limits::names())))]
    Probe(Probe),
    /// Print the script that completes hostel's arguments in a shell
    #[command(after_help = long(COMPLETIONS))]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The plugin's .wasm file
    pub(super) plugin: PathBuf,
    /// Text, @FILE, or - for stdin; @@… is text from @ on
    #[arg(allow_negative_numbers = true)]
    pub(super) input: Vec<String>,
    /// The function to call, if not `process` or the `_start` of a command
    #[arg(long, value_name = "NAME")]
    pub(super) call: Option<String>,
    /// An argument for a WASI plugin; repeatable
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) arg: Vec<String>,
    /// An environment variable for a WASI plugin; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) env: Vec<(String, String)>,
    /// A directory for a WASI plugin (read-only); repeatable
    #[arg(long, value_name = "DIR[:AS][:rw]", value_parser = GivenDirectory::parse)]
    pub(super) dir: Vec<GivenDirectory>,
    /// A setting that the plugin can look up; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) config: Vec<(String, String)>,
    /// A file for what the plugin keeps, under the name of its own file
    #[arg(long, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
    /// Most work, in instructions, such as 5M
    #[arg(long, value_name = "N", value_parser = fuel, default_value_t = Budget::server().fuel)]
    pub(super) fuel: u64,
    /// Most memory, such as 16MiB
    #[arg(long, value_name = "SIZE", default_value_t = memory())]
    pub(super) memory: ByteSize,
    /// Longest time, such as 2s or 200ms, from reading to the answer
    #[arg(long, value_name = "TIME")]
    pub(super) timeout: Option<humantime::Duration>,
    /// Print one JSON object: output, error, logs, what was used
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Bench {
    #[command(flatten)]
    pub(super) run: Run,
    /// Calls at a time, each on a thread of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(super) concurrency: u32,
    /// All on one thread, in slices of FUEL, if not 10k
    #[arg(long, value_name = "FUEL", value_parser = quantum, num_args = 0..=1, require_equals = true, default_missing_value = "10k")]
    pub(super) sliced: Option<u64>,
    /// Seconds to measure, if not 3; with --calls at most
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(super) seconds: Option<Duration>,
    /// How many calls to measure
    #[arg(long, value_name = "N")]
    pub(super) calls: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct Snapshot {
    #[command(flatten)]
    pub(super) run: Run,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The plugin's .wasm file
    pub(super) plugin: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Probe {
    /// The plugin's .wasm file
    pub(super) plugin: PathBuf,
    /// The machine that it is to run on
    #[arg(long, value_enum, value_name = "MACHINE", default_value_t = Target::Server)]
    pub(super) target: Target,
    /// The heap of a device, such as 128KiB
    #[arg(long, value_name = "SIZE", default_value_t = ByteSize(DEVICE_HEAP as u64))]
    heap: ByteSize,
    /// The limits to start from, if not those that the target suggests
    #[arg(long, value_enum, value_name = "PRESET")]
    limits: Option<Preset>,
    /// Another value for one of them; repeatable
    #[arg(long, value_name = "NAME=N", value_parser = limits::setting)]
    limit: Vec<(String, usize)>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Probe {
    /// The limits to probe with.
    pub(super) fn limits(&self) -> Limits {
        let preset = self.limits.unwrap_or(self.target.preset());
        let heap = usize::try_from(self.heap.as_u64()).unwrap_or(usize::MAX);
        let mut limits = preset.limits(heap);
        for (name, value) in &self.limit {
            if let Some(cap) = limits::cap(&mut limits, name) {
                *cap = *value;
            }
        }
        limits
    }
}

const RUN: &str = "\
A function from bytes to bytes takes one INPUT, or none for an empty one. Any
other takes a number for each parameter, i32 or u32, and prints each result on
a line, as signed: 4294967295 as -1. A WASI command has hostel's stdin, stdout,
stderr and exit code, and sees of this machine the time and what --dir gives.

Examples:
  hostel run plugin.wasm @photo.png --timeout 2s --memory 16MiB > small.png
  hostel run sort.wasm --arg=-r --env LANG=C --dir texts:/in --dir out:/out:rw
  hostel run add.wasm --call add 10 -5";

const BENCH: &str = "\
Each call has an instance of its own, new or made as new, as a server's calls
have, and gets INPUT as for `run`; what it logs is dropped. Calls that fail are
counted, and measured as the others; the exit code is theirs, as `run` would
have it, the highest if they differ. A tenth as many calls, or for a tenth of
the time, warm up before. Ctrl-C ends early, with the report.

Examples:
  hostel bench plugin.wasm @photo.png --concurrency 2 --seconds 10
  hostel bench plugin.wasm hello --sliced=50k --concurrency 1000 --json";

const SNAPSHOT: &str = "\
The plugin's start function, its `_initialize` and the call of --call are run
now, and never again: memory, globals and tables begin as they were after that.
What is on the host's side, such as settings, is not in it.

Example:
  hostel snapshot plugin.wasm --call learn @words.txt -o learned.wasm";

const PROBE: &str = "\
The plugin is not run. What it would take is told as the most that its code can
make of the limits, whatever it does. Exits with 0 if it can run, 3 if not.

Examples:
  hostel probe plugin.wasm
  hostel probe plugin.wasm --target cortex-m4 --heap 128KiB
  hostel probe plugin.wasm --limits device --limit memory_bytes=128KiB";

const COMPLETIONS: &str = "\
Examples:
  hostel completions bash > ~/.local/share/bash-completion/completions/hostel
  hostel completions zsh > ~/.zfunc/_hostel
  hostel completions fish > ~/.config/fish/completions/hostel.fish";

/// Help that `--help` shows and `-h` does not. clap's own long help would do the same, but takes
/// three lines for an option and so more than a screen.
fn long(text: &str) -> String {
    if asked_for("--help") || asked_for("help") {
        text.to_owned()
    } else {
        "`--help` says more".to_owned()
    }
}

fn asked_for(what: &str) -> bool {
    std::env::args_os().any(|argument| argument == what)
}

const fn memory() -> ByteSize {
    ByteSize(Limits::server().memory_bytes as u64)
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE"),
    }
}

fn fuel(text: &str) -> Result<u64, &'static str> {
    let (number, unit) = [('k', 1_000), ('M', 1_000_000), ('G', 1_000_000_000)]
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((text, 1));
    let number = number.replace('_', "").parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or("expected a whole number, such as 5000000, 5_000_000 or 5M")
}

fn quantum(text: &str) -> Result<u64, &'static str> {
    match fuel(text)? {
        0 => Err("a slice has at least 1"),
        fuel => Ok(fuel),
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or("expected seconds, such as 10 or 0.5")
}
