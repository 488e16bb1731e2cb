//! The program `hostel`: runs, measures and inspects plugins from the command line.

mod abi;
mod answer;
mod arguments;
mod bench;
#[cfg(feature = "bindgen")]
mod bindgen;
mod callback;
mod check;
mod component;
mod dev;
mod directories;
mod exit;
mod failure;
#[cfg(feature = "fleet")]
mod fleet;
mod grants;
mod http;
mod input;
mod inspect;
mod limits;
mod log;
mod lower;
mod new;
mod number;
mod observe;
mod output;
mod plugin;
mod probe;
mod profile;
mod quantity;
mod run;
#[cfg(feature = "serve")]
mod serve;
mod snapshot;
mod testing;
mod typed;
mod unloaded;
mod wrap;

use self::{
    arguments::{Arguments, Command},
    exit::Exit,
    failure::Failure,
};
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            output::error(&error.to_string());
            return ExitCode::from(Exit::Usage.code());
        }
        // Limits, help or the version, for stdout.
        Err(error) => match limits::listed(&error) {
            Some(list) => return end(output::bytes(list.as_bytes())),
            None => error.exit(),
        },
    };
    let result = match arguments.command {
        Command::New(arguments) => new::new(&arguments),
        Command::Dev(arguments) => dev::dev(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        #[cfg(feature = "bindgen")]
        Command::Bindgen(arguments) => bindgen::bindgen(&arguments),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::Test(arguments) => testing::test(&arguments),
        Command::Profile(arguments) => profile::profile(&arguments),
        Command::Snapshot(arguments) => snapshot::snapshot(&arguments),
        Command::Inspect(arguments) => inspect::inspect(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Lower(arguments) => lower::lower(&arguments),
        Command::Probe(arguments) => probe::probe(&arguments),
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::serve(arguments),
        #[cfg(feature = "serve")]
        Command::CheckConfig { file } => serve::check(&file),
        #[cfg(feature = "serve")]
        Command::Token => serve::token(),
        #[cfg(feature = "fleet")]
        Command::Job { command } => fleet::job(command),
        #[cfg(feature = "fleet")]
        Command::Plugins { command } => fleet::plugins(command),
        #[cfg(feature = "fleet")]
        Command::Top(arguments) => fleet::top(&arguments),
        Command::Completions { shell } => completions(shell),
    };
    end(result)
}

fn end(result: Result<Exit, Failure>) -> ExitCode {
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
