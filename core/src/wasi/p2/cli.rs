//! `wasi:cli`: arguments and environment, exit, stdio and terminals.

use super::{
    super::{errno::Fail, grant::Strings, output::Stream, session::Call},
    Interface,
    function::{plain, repeatable},
    resources::{self, Destination, Entry, Input, Output},
    types::Own,
};
use crate::{base::fuel::fuel_for, error::CallError};
use alloc::{string::String, vec::Vec};

pub(super) static INTERFACES: [Interface; 10] = [
    Interface::new(
        "wasi:cli/environment@0.2.12",
        &[
            &repeatable(
                "get-environment",
                "func() -> list<tuple<string, string>>",
                get_environment,
            ),
            &repeatable("get-arguments", "func() -> list<string>", get_arguments),
            &repeatable("initial-cwd", "func() -> option<string>", initial_cwd),
        ],
    ),
    Interface::new(
        "wasi:cli/exit@0.2.12",
        &[
            &plain("exit", "func(status: result)", exit),
            &plain("exit-with-code", "func(status-code: u8)", exit_with_code),
        ],
    ),
    Interface::new(
        "wasi:cli/stdin@0.2.12",
        &[&plain("get-stdin", "func() -> input-stream", get_stdin)],
    ),
    Interface::new(
        "wasi:cli/stdout@0.2.12",
        &[&plain("get-stdout", "func() -> output-stream", get_stdout)],
    ),
    Interface::new(
        "wasi:cli/stderr@0.2.12",
        &[&plain("get-stderr", "func() -> output-stream", get_stderr)],
    ),
    Interface::with_resources("wasi:cli/terminal-input@0.2.12", &[], &["terminal-input"]),
    Interface::with_resources("wasi:cli/terminal-output@0.2.12", &[], &["terminal-output"]),
    Interface::new(
        "wasi:cli/terminal-stdin@0.2.12",
        &[&plain(
            "get-terminal-stdin",
            "func() -> option<terminal-input>",
            get_terminal_stdin,
        )],
    ),
    Interface::new(
        "wasi:cli/terminal-stdout@0.2.12",
        &[&plain(
            "get-terminal-stdout",
            "func() -> option<terminal-output>",
            get_terminal_stdout,
        )],
    ),
    Interface::new(
        "wasi:cli/terminal-stderr@0.2.12",
        &[&plain(
            "get-terminal-stderr",
            "func() -> option<terminal-output>",
            get_terminal_stderr,
        )],
    ),
];

/// Charges for strings, and returns them one by one.
fn strings<'s>(
    call: &mut Call<'_>,
    strings: &'s Strings,
) -> Result<impl Iterator<Item = String> + use<'s>, Fail> {
    call.charge(fuel_for(strings.bytes.len()).saturating_add(u64::from(strings.count)))?;
    let each = strings.bytes.split_inclusive(|byte| *byte == 0);
    // All of them are UTF-8, cut before a NUL.
    Ok(each.map(|bytes| {
        let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        String::from_utf8_lossy(bytes).into_owned()
    }))
}

/// Returns the variables of `Wasi::env`.
fn get_environment(call: &mut Call<'_>, (): &mut ()) -> Result<Vec<(String, String)>, Fail> {
    let variables = strings(call, &call.grant.env)?;
    Ok(variables
        .map(|variable| match variable.split_once('=') {
            Some((key, value)) => (key.into(), value.into()),
            None => (variable, String::new()),
        })
        .collect())
}

/// Returns the arguments of `Wasi::args`.
fn get_arguments(call: &mut Call<'_>, (): &mut ()) -> Result<Vec<String>, Fail> {
    Ok(strings(call, &call.grant.args)?.collect())
}

/// Returns none: paths start from granted directories.
fn initial_cwd(_: &mut Call<'_>, (): &mut ()) -> Result<Option<String>, Fail> {
    Ok(None)
}

/// Ends the guest with the exit code 0 or 1; does not return to it.
fn exit(call: &mut Call<'_>, (status,): &mut (Result<(), ()>,)) -> Result<(), Fail> {
    exit_with_code(call, &mut (status.is_err().into(),))
}

/// Ends the guest with this exit code; does not return to it. The call ends with [`CallError::Exited`], also
/// for the code 0; `run_command` returns the code.
fn exit_with_code(_: &mut Call<'_>, (code,): &mut (u8,)) -> Result<(), Fail> {
    let code = (*code).into();
    Err(Fail::EndCall(CallError::Exited { code }))
}

/// Returns a stream of `Wasi::stdin`. All streams of it share what was read.
fn get_stdin(call: &mut Call<'_>, (): &mut ()) -> Result<Own, Fail> {
    resources::add(call, Entry::Input(Input::Stdin))
}

/// Returns a stream to `Wasi::stdout`.
fn get_stdout(call: &mut Call<'_>, (): &mut ()) -> Result<Own, Fail> {
    output(call, Stream::Stdout)
}

/// Returns a stream to `Wasi::stderr`.
fn get_stderr(call: &mut Call<'_>, (): &mut ()) -> Result<Own, Fail> {
    output(call, Stream::Stderr)
}

fn output(call: &mut Call<'_>, stream: Stream) -> Result<Own, Fail> {
    let output = Output {
        to: Destination::Stdio(stream),
        permitted: 0,
    };
    resources::add(call, Entry::Output(output))
}

/// Returns a terminal if stdin was granted as one.
fn get_terminal_stdin(call: &mut Call<'_>, (): &mut ()) -> Result<Option<Own>, Fail> {
    let terminal = call.grant.stdin_is_terminal;
    terminal
        .then(|| resources::add(call, Entry::TerminalInput))
        .transpose()
}

/// Returns a terminal if stdout was granted as one.
fn get_terminal_stdout(call: &mut Call<'_>, (): &mut ()) -> Result<Option<Own>, Fail> {
    terminal_output(call, Stream::Stdout)
}

/// Returns a terminal if stderr was granted as one.
fn get_terminal_stderr(call: &mut Call<'_>, (): &mut ()) -> Result<Option<Own>, Fail> {
    terminal_output(call, Stream::Stderr)
}

fn terminal_output(call: &mut Call<'_>, stream: Stream) -> Result<Option<Own>, Fail> {
    let terminal = call.grant.output(stream).is_terminal();
    terminal
        .then(|| resources::add(call, Entry::TerminalOutput))
        .transpose()
}
