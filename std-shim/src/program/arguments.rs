//! The program's arguments, and its help.

use super::{
    directories::GivenDirectory,
    exit,
    limits::{self, Preset},
};
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use hostel::{Budget, Limits};
use std::path::PathBuf;

/// Run WebAssembly plugins that you don't trust
#[derive(Debug, Parser)]
#[command(version, after_help = long(exit::HELP))]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Call a function of a plugin
    #[command(after_help = long(&format!("{RUN}\n\n{}", exit::HELP)))]
    Run(Run),
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
    /// An argument for a WASI plugin; can be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) arg: Vec<String>,
    /// An environment variable for a WASI plugin; can be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) env: Vec<(String, String)>,
    /// A directory for a WASI plugin (read-only); can be given several times
    #[arg(long, value_name = "DIR[:AS][:rw]", value_parser = GivenDirectory::parse)]
    pub(super) dir: Vec<GivenDirectory>,
    /// A setting that the plugin can look up; can be given several times
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
    /// The limits to start from
    #[arg(long, value_enum, value_name = "PRESET", default_value_t = Preset::Server)]
    limits: Preset,
    /// Another value for one of them; can be given several times
    #[arg(long, value_name = "NAME=N", value_parser = limits::setting)]
    limit: Vec<(String, usize)>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Probe {
    /// The limits to probe with.
    pub(super) fn limits(&self) -> Limits {
        let mut limits = self.limits.limits();
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

const PROBE: &str = "\
The plugin is not run. What it would take is told as the most that its code can
make of the limits, whatever it does. Exits with 0 if it can run, 3 if not.

Examples:
  hostel probe plugin.wasm
  hostel probe plugin.wasm --limits device --limit memory_bytes=128KiB";

const COMPLETIONS: &str = "\
Examples:
  hostel completions bash > ~/.local/share/bash-completion/completions/hostel
  hostel completions zsh > ~/.zfunc/_hostel
  hostel completions fish > ~/.config/fish/completions/hostel.fish";

/// Help that `--help` shows and `-h` does not. clap's own long help would do the same, but takes
/// three lines for an option and so more than a screen.
fn long(text: &str) -> String {
    if std::env::args_os().any(|argument| argument == "--help" || argument == "help") {
        text.to_owned()
    } else {
        "`--help` says more".to_owned()
    }
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
