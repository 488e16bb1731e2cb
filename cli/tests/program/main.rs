//! Tests of the program `hostel` from outside: arguments in, exit code, stdout and stderr out.

mod bench;
#[cfg(feature = "bindgen")]
mod bindgen;
mod callback;
mod commands;
mod components;
mod contracts;
mod conventions;
// They build plugins; Wine has no compilers.
#[cfg(not(windows))]
mod debugging;
#[cfg(not(windows))]
mod dev;
mod directories;
mod exit_codes;
mod hostile;
mod initialisers;
mod inspect;
mod json;
mod kits;
mod languages;
mod limits;
mod lowering;
mod manifests;
mod new;
mod probe;
mod profile;
mod run;
#[cfg(feature = "serve")]
mod serve;
mod snapshot;
mod testing;
mod wasi;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// The result of running the program.
struct Ended {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("stderr is text"),
        }
    }
}

impl Ended {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        let Self { stderr, stdout, .. } = &self;
        let stdout = String::from_utf8_lossy(stdout);
        assert_eq!(self.code, Some(code), "stdout: {stdout}\nstderr: {stderr}");
        self
    }

    #[track_caller]
    fn text(&self) -> &str {
        str::from_utf8(&self.stdout).expect("stdout is text")
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        assert_eq!(self.stderr, "");
        assert!(self.text().ends_with("}\n") && self.text().lines().count() == 1);
        serde_json::from_str(self.text()).expect("stdout is a JSON value")
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hostel"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command
}

fn hostel(arguments: &[&str]) -> Ended {
    let mut output = command(arguments).output();
    // Wine fails to start a process now and then, with ERROR_INTERNAL_ERROR.
    if cfg!(windows)
        && output
            .as_ref()
            .is_err_and(|error| error.raw_os_error() == Some(1359))
    {
        output = command(arguments).output();
    }
    output.expect("the program starts").into()
}

fn hostel_with_stdin(arguments: &[&str], stdin: &[u8]) -> Ended {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    // Fails if the program ends before it has read all.
    let _ = pipe.write_all(stdin);
    drop(pipe);
    child.wait_with_output().expect("the program ends").into()
}

/// Runs the program on a terminal of `columns` columns, which gets stdout and stderr. Returns `None`
/// if there is no `script` to make a terminal with; in CI that is a failure.
#[cfg(target_os = "linux")]
fn on_a_terminal(arguments: &str, columns: u16) -> Option<Ended> {
    let program = env!("CARGO_BIN_EXE_hostel");
    let line = format!("stty rows 24 cols {columns}; {program} {arguments}");
    let script = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output();
    match script {
        Ok(output) => Some(output.into()),
        Err(error) if std::env::var_os("CI").is_some() => panic!("script: {error}"),
        Err(error) => {
            eprintln!("SKIPPED, no terminal without `script` of util-linux: {error}");
            None
        }
    }
}

/// Returns the folder of components in JavaScript and Python, and of their tools, as `guests/components/build.sh` leaves
/// them. CI sets the variable after that.
fn component_tools() -> Option<PathBuf> {
    let tools = std::env::var_os("HOSTEL_COMPONENT_TOOLS").map(Into::into);
    if tools.is_none() {
        eprintln!(
            "SKIPPED, without HOSTEL_COMPONENT_TOOLS: guests/target, once guests/components/build.sh has run"
        );
    }
    tools
}

/// Returns the path of a built guest.
fn guest(name: &str) -> String {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/prebuilt");
    path(&guests.join(name).with_extension("wasm")).to_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// A directory of files that lasts as long as the test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory can be made"))
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let file = self.path(name);
        std::fs::write(&file, bytes).expect("a file can be written");
        path(&file).to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a plugin given as WAT.
    fn wat(&self, text: &str) -> String {
        self.file("plugin.wasm", &wat::parse_str(text).expect("it is WAT"))
    }

    /// Writes a plugin whose `process` is `body`, with the input in the locals `$ptr` and `$size`.
    fn process(&self, body: &str) -> String {
        self.wat(&format!(
            r#"(module
                (import "env" "host_log" (func $log (param i32 i32)))
                (memory (export "memory") 1)
                (data (i32.const 0) "\1b[2Jred\n\u{{9b}}\u{{202e}}\ff")
                (func (export "allocate") (param i32) (result i32) (i32.const 1024))
                (func (export "process") (param $ptr i32) (param $size i32) (result i32 i32)
                    {body}))"#
        ))
    }
}

#[test]
fn help_is_complete_and_short() {
    let help = hostel(&["--help"]).expect(0);
    for command in [
        "new",
        "dev",
        "run",
        "profile",
        "bench",
        "snapshot",
        "test",
        "inspect",
        "check",
        "lower",
        "probe",
        "completions",
        #[cfg(feature = "serve")]
        "serve",
        #[cfg(feature = "serve")]
        "check-config",
        #[cfg(feature = "serve")]
        "token",
        #[cfg(feature = "fleet")]
        "job",
        #[cfg(feature = "fleet")]
        "plugins",
        #[cfg(feature = "fleet")]
        "top",
    ] {
        assert!(help.text().contains(&format!("\n  {command} ")));
        let help = hostel(&[command, "--help"]).expect(0);
        assert!(help.text().lines().count() <= 56, "{}", help.text());
        assert_eq!(hostel(&["help", command]).expect(0).text(), help.text());
        let short = hostel(&[command, "-h"]).expect(0);
        assert!(short.text().lines().count() <= 24, "{}", short.text());
    }
    for command in [&["--help"][..], &["run", "--help"]] {
        let help = hostel(command).expect(0);
        for code in 0..=7 {
            assert!(help.text().contains(&format!("\n  {code}  ")), "{code}");
        }
    }
    let help = hostel(&["run", "--help"]).expect(0);
    for word in [
        "--call",
        "--arg",
        "--env",
        "--dir",
        "--config",
        "--state",
        "--fuel",
        "--memory",
        "--timeout",
        "--json",
        "Examples:",
        "unsigned",
    ] {
        assert!(help.text().contains(word), "{word}");
    }
    assert!(!hostel(&["run", "-h"]).text().contains("Exit codes"));
}

#[test]
fn it_says_its_version() {
    let version = hostel(&["--version"]).expect(0);
    assert_eq!(
        version.text(),
        concat!("hostel ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn shells_get_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = hostel(&["completions", shell]).expect(0);
        for word in ["inspect", "timeout"] {
            assert!(script.text().contains(word), "{shell}");
        }
    }
    hostel(&["completions", "tcsh"]).expect(2);
}
