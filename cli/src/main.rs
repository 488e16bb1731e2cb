//! The program `hostel`: runs, measures and inspects plugins from the command line.

mod abi;
mod arguments;
mod bench;
mod directories;
mod exit;
mod failure;
mod grants;
mod input;
mod inspect;
mod limits;
mod log;
mod output;
mod plugin;
mod probe;
mod quantity;
mod run;
mod snapshot;

use self::{
    arguments::{Arguments, Command},
    exit::Exit,
    failure::Failure,
};
use clap::{CommandFactory as _, Parser as _};
use clap_complete::Shell;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::Snapshot(arguments) => snapshot::snapshot(&arguments),
        Command::Inspect(arguments) => inspect::inspect(&arguments),
        Command::Probe(arguments) => probe::probe(&arguments),
        Command::Completions { shell } => completions(shell),
    };
    let exit = result.unwrap_or_else(|failure| {
        output::failure(&failure);
        failure.exit
    });
    ExitCode::from(exit.code())
}

fn completions(shell: Shell) -> Result<Exit, Failure> {
    // Into memory first: `generate` panics if it can't write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "hostel", &mut script);
    output::bytes(&script)
}
