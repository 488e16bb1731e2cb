//! The program's arguments.

mod help;

#[cfg(feature = "bindgen")]
use self::help::BINDGEN;
pub(super) use self::help::long;
use self::help::{
    BENCH, CHECK, COMPLETIONS, DEV, LOWER, NEW, PROBE, PROFILE, RUN, SNAPSHOT, TEST, asked_for,
};
#[cfg(feature = "serve")]
use self::help::{SERVE, TOKEN};
#[cfg(feature = "fleet")]
use super::fleet::arguments as fleet;
use super::{
    callback::GivenCallback,
    directories::GivenDirectory,
    exit,
    failure::Failure,
    grants::Stub,
    http::{self, GivenHeader, HttpAnswer},
    input::GivenInput,
    limits::{self, Bounds, Change, ChangeParser, Kind, Preset, Target},
    number, quantity,
};
use clap::{
    ArgGroup, Args, Parser, Subcommand, ValueEnum,
    error::{ContextKind, ContextValue, ErrorKind},
};
use clap_complete::Shell;
use hostel::{Convention, Engine, Limits, MemoryState};
use std::{convert::Infallible, ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

/// Run WebAssembly plugins that you don't trust
#[derive(Debug, Parser)]
#[command(name = "hostel", version, after_help = long(exit::HELP))]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

impl Arguments {
    /// Reads the program's arguments.
    pub(super) fn read() -> Result<Self, clap::Error> {
        let given = || std::env::args_os();
        Self::try_parse_from(given()).or_else(|error| {
            if error.kind() != ErrorKind::UnknownArgument {
                return Err(error);
            }
            // clap takes `-inf` and `-0x5` for options, as it does not -5.
            Self::try_parse_from(given().map(marked)).map_err(advised)
        })
    }
}

/// Names `hostel profile` to one who looks for its options in other commands.
fn advised(mut error: clap::Error) -> clap::Error {
    let advice = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) if option == "--profile" => {
            "`hostel profile PLUGIN INPUT -o FILE.svg` draws which functions use the fuel of a call"
        }
        Some(ContextValue::String(option)) if option == "--trace" => {
            "`hostel profile PLUGIN INPUT --trace` prints the calls of host functions"
        }
        _ => return error,
    };
    // They name --trace-calls.
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::Usage);
    let advice = ContextValue::StyledStrs(vec![advice.into()]);
    error.insert(ContextKind::Suggested, advice);
    error
}

/// The first character of a number that clap would take for an option. No argument can have it.
const MARK: char = '\0';

/// Marks a number that clap would take for an option.
fn marked(argument: OsString) -> OsString {
    match argument.to_str() {
        Some(text) if text.starts_with('-') && number::is_number(text) => {
            format!("{MARK}{text}").into()
        }
        _ => argument,
    }
}

/// Reads an INPUT.
fn input(text: &str) -> Result<GivenInput, Infallible> {
    unmarked(text).map(GivenInput::Argument)
}

/// Removes the mark of a number.
fn unmarked(text: &str) -> Result<String, Infallible> {
    Ok(text.strip_prefix(MARK).unwrap_or(text).to_owned())
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a plugin to start from, with tests and the SDK of its language
    #[command(after_help = long(NEW))]
    New(New),
    /// Build, load and call a plugin whenever its source changes
    #[command(
        after_help = long(DEV),
        mut_arg("plugin", |it| it.value_name("DIR").help("Folder of the plugin's source")),
        mut_arg("json", |it| it.hide(true)),
        mut_arg("trace_calls", |it| it.hide(true)),
        mut_arg("trust_manifest", |it| it.hide(true)),
        mut_arg("arg", |it| it.hide(asked_for("-h"))),
        mut_arg("env", |it| it.hide(asked_for("-h"))),
        mut_arg("dir", |it| it.hide(asked_for("-h"))),
    )]
    Dev(RunOnce),
    /// Call a function of a plugin, or run a WASI command
    #[command(after_help = long(&format!("{RUN}\n\n{}", exit::HELP)))]
    Run(RunOnce),
    /// Measure the time, fuel and memory of a plugin's calls
    #[command(
        after_help = long(BENCH),
        mut_arg("timeout", |it| it.help("Longest time of each call [default: none, of a command 5m]")),
        mut_arg("json", |it| it.help("Print the result as one JSON object")),
        mut_arg("trace_calls", |it| it.hide(true)),
        mut_arg("arg", |it| it.hide(asked_for("-h"))),
        mut_arg("env", |it| it.hide(asked_for("-h"))),
        mut_arg("dir", |it| it.hide(asked_for("-h"))),
    )]
    Bench(Bench),
    /// Draw which functions of a plugin use the fuel of a call
    #[command(
        after_help = long(PROFILE),
        group = ArgGroup::new("result").args(["output", "trace"]).required(true).multiple(true),
        mut_arg("trace_calls", |it| it.hide(true)),
        mut_arg("json", |it| it.hide(true)),
        mut_arg("trust_manifest", |it| it.hide(true)),
        mut_arg("arg", |it| it.hide(asked_for("-h"))),
        mut_arg("env", |it| it.hide(asked_for("-h"))),
        mut_arg("dir", |it| it.hide(asked_for("-h"))),
    )]
    Profile(Profile),
    /// Run the test cases of a file on a plugin
    #[command(after_help = long(TEST))]
    Test(Test),
    /// Run a plugin's start code once, and save the result as a new plugin
    #[command(
        after_help = long(SNAPSHOT),
        mut_arg("call", |it| it.help("Function to call, with INPUT, before the state is saved")),
        mut_arg("timeout", |it| it.help("Longest time of the start code, and of the call, such as 2s")),
        mut_arg("json", |it| it.help("Print the result as one JSON object")),
        mut_arg("trace_calls", |it| it.hide(true)),
        mut_arg("arg", |it| it.hide(asked_for("-h"))),
        mut_arg("env", |it| it.hide(asked_for("-h"))),
        mut_arg("dir", |it| it.hide(asked_for("-h"))),
    )]
    Snapshot(Snapshot),
    /// Show a plugin's imports, exports, sizes and contract, and why it can't be loaded
    Inspect(Inspect),
    /// Write a plugin's side of a world in WIT, in its language, or a page about it
    #[cfg(feature = "bindgen")]
    #[command(after_help = long(BINDGEN))]
    Bindgen(Bindgen),
    /// Say whether a plugin fits a world in WIT, and what to change
    #[command(after_help = long(CHECK))]
    Check(Check),
    /// Make one core module of a component, for devices
    #[command(after_help = long(LOWER))]
    Lower(Lower),
    /// Compute a plugin's memory on a machine, and find every reason to refuse it
    #[command(after_help = long(&format!("{PROBE}\n\nLimits: {}", limits::names())))]
    Probe(Probe),
    /// Serve a directory of plugins over HTTP
    #[cfg(feature = "serve")]
    #[command(after_help = long(SERVE))]
    Serve(Serve),
    /// Check a server's configuration, and tell every fault
    #[cfg(feature = "serve")]
    CheckConfig {
        /// Configuration of `hostel serve`, such as hostel.toml
        file: PathBuf,
    },
    /// Make a token for callers or administrators of a server
    #[cfg(feature = "serve")]
    #[command(after_help = long(TOKEN))]
    Token,
    /// Submit jobs to a fleet, and fetch their results
    #[cfg(feature = "fleet")]
    #[command(after_help = long(fleet::JOB))]
    Job {
        #[command(subcommand)]
        command: fleet::JobCommand,
    },
    /// Push plugins and settings to all workers of a fleet, and roll back
    #[cfg(feature = "fleet")]
    #[command(after_help = long(fleet::PLUGINS))]
    Plugins {
        #[command(subcommand)]
        command: fleet::PluginsCommand,
    },
    /// Show the workers and plugins of a fleet
    #[cfg(feature = "fleet")]
    #[command(after_help = long(fleet::TOP))]
    Top(fleet::Top),
    /// Print a script that completes hostel's arguments in a shell
    #[command(after_help = long(COMPLETIONS))]
    Completions {
        /// Shell to print the script for
        shell: Shell,
    },
}

#[derive(Clone, Debug, Default, Args)]
pub(super) struct Run {
    /// Plugin to load: a .wasm file, or a manifest, .json or .toml
    #[arg(index = 1)]
    pub(super) plugin: PathBuf,
    /// Text, @FILE, or - for stdin. @@… is text that begins with @
    #[arg(index = 2, allow_negative_numbers = true, value_parser = input)]
    pub(super) input: Vec<GivenInput>,
    /// Function, also 'NAME(VALUES)' [default: process, or WASI's _start]
    #[arg(long, value_name = "NAME")]
    pub(super) call: Option<String>,
    /// Take each INPUT as a number, also if the function could take bytes
    #[arg(long, hide = asked_for("-h"))]
    pub(super) numbers: bool,
    /// Argument for a WASI plugin; repeatable
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, value_parser = unmarked)]
    pub(super) arg: Vec<String>,
    /// Environment variable for a WASI plugin; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) env: Vec<(String, String)>,
    /// Directory for a WASI plugin, read-only by default; repeatable
    #[arg(long, value_name = "DIR[:AS][:ro|rw]", value_parser = GivenDirectory::parse)]
    pub(super) dir: Vec<GivenDirectory>,
    /// Open every directory and module that a manifest names
    #[arg(long, hide = asked_for("-h"))]
    pub(super) trust_manifest: bool,
    /// Setting that the plugin can read; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    pub(super) config: Vec<(String, String)>,
    /// Convention: native, wapc, extism or typst [default: found]
    #[arg(long, value_name = "NAME", hide = asked_for("-h"), value_parser = convention)]
    pub(super) abi: Option<Convention>,
    /// Host's answer: echo, fail:TEXT, @FILE or [MODULE.]FUNCTION=VALUE
    #[arg(long, value_name = "ANSWER", hide = asked_for("-h"))]
    pub(super) callback: Vec<GivenCallback>,
    /// [SCHEME://]HOST[:PORT] that the plugin may reach; repeatable
    #[arg(long, value_name = "HOST", hide = asked_for("-h"), value_parser = http::host)]
    pub(super) allow_host: Vec<String>,
    /// 'HOST NAME: VALUE', with ${VAR} from the environment; repeatable
    #[arg(long, value_name = "HEADER", hide = asked_for("-h"))]
    pub(super) http_header: Vec<GivenHeader>,
    /// Import that traps if called, such as env.fork or env.*; repeatable
    #[arg(long, value_name = "IMPORT", hide = asked_for("-h"), value_parser = Stub::parse)]
    pub(super) stub: Vec<Stub>,
    /// File for the plugin's state; waits 2 s if it is open elsewhere
    #[arg(long, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
    /// Most fuel, such as 5M [default: 1G, of a command 1000T]
    #[arg(long, value_name = "N", value_parser = quantity::fuel)]
    pub(super) fuel: Option<u64>,
    /// Most memory, such as 16MiB [default: 64MiB, of a command 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(super) memory: Option<u64>,
    /// Another limit to change, such as call_depth=5000; repeatable
    #[arg(long, value_name = "NAME=N", value_parser = ChangeParser(Change::of_call))]
    pub(super) limit: Vec<Change>,
    /// Longest time of the run, such as 2s [default: none, of a command 5m]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) timeout: Option<humantime::Duration>,
    /// Name the guest functions in a trap; costs speed and fuel
    #[arg(long, hide = asked_for("-h"))]
    pub(super) trace_calls: bool,
    /// Print output, error, logs and usage as one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Responses to HTTP requests of a test.
    #[arg(skip)]
    pub(super) http_answers: Vec<(String, HttpAnswer)>,
    /// The plugin's state in a test.
    #[arg(skip)]
    pub(super) memory_state: Option<Arc<MemoryState>>,
}

impl Run {
    /// Returns the engine for these options.
    pub(super) fn engine(&self, bounds: &Bounds) -> Engine {
        let engine = Engine::new(bounds.limits).with_budget(bounds.budget);
        match self.trace_calls {
            true => engine.with_call_trace(),
            false => engine,
        }
    }

    /// Returns whether --callback answers functions that a component imports.
    pub(super) fn answers_functions(&self) -> bool {
        let mut given = self.callback.iter();
        given.any(|given| matches!(given, GivenCallback::Function { .. }))
    }

    /// Refuses --trace-calls for a plugin of several modules, on which it has no effect.
    pub(super) fn refuse_trace_of_several(&self) -> Result<(), Failure> {
        match self.trace_calls {
            true => Err(Failure::usage(
                "--trace-calls has no effect on a plugin of several modules: leave it out",
            )),
            false => Ok(()),
        }
    }

    /// Refuses options that have no effect on `what`, a plugin that is loaded as a component.
    pub(super) fn refuse_of_component(&self, what: &str) -> Result<(), Failure> {
        let given = [
            ("--abi", self.abi.is_some()),
            ("--config", !self.config.is_empty()),
            ("--state", self.state.is_some()),
            ("--trace-calls", self.trace_calls),
        ];
        let Some((option, _)) = given.into_iter().find(|(_, given)| *given) else {
            return Ok(());
        };
        let failure = Failure::usage(format!("{option} has no effect on {what}: leave it out"));
        Err(match option {
            "--config" | "--state" => failure.with_hint(
                "such a plugin gets settings by --env KEY=VALUE and files by --dir, if it uses WASI, and values of other imports by --callback FUNCTION=VALUE",
            ),
            _ => failure,
        })
    }

    /// Refuses --trace-calls for a command on which it has no effect.
    pub(super) fn refuse_trace(&self, command: &str) -> Result<(), Failure> {
        match self.trace_calls {
            true => Err(Failure::usage(format!(
                "--trace-calls has no effect on `{command}`: use it with `run`"
            ))),
            false => Ok(()),
        }
    }

    /// Refuses --json for a command that prints no report.
    pub(super) fn refuse_json(&self, command: &str) -> Result<(), Failure> {
        match self.json {
            true => Err(Failure::usage(format!(
                "--json has no effect on `{command}`: use it with `run`"
            ))),
            false => Ok(()),
        }
    }

    /// Sets the bounds that the options change.
    pub(super) fn set(&self, bounds: &mut Bounds) {
        if let Some(fuel) = self.fuel {
            bounds.budget.fuel = fuel;
        }
        if let Some(memory) = self.memory {
            bounds.limits.memory_bytes = usize::try_from(memory).unwrap_or(usize::MAX);
        }
        if let Some(timeout) = self.timeout {
            bounds.budget.deadline = Some(timeout.into());
        }
        bounds.set(&self.limit);
    }
}

#[derive(Clone, Debug, Args)]
pub(super) struct RunOnce {
    #[command(flatten)]
    pub(super) run: Run,
    #[command(flatten)]
    pub(super) observe: Observe,
    /// File for a core dump if the plugin is stopped; slow
    #[arg(long, value_name = "FILE", hide = asked_for("-h"))]
    pub(super) coredump: Option<PathBuf>,
}

impl RunOnce {
    /// Returns the option for which the plugin's functions have to be observed.
    pub(super) fn observing(&self) -> Option<&'static str> {
        let coredump = self.coredump.is_some().then_some("--coredump");
        self.observe.option().or(coredump)
    }
}

#[derive(Clone, Debug, Default, Args)]
pub(super) struct Observe {
    /// List the functions and lines at which a plugin was stopped; slow
    #[arg(long, hide = asked_for("-h"))]
    pub(super) backtrace: bool,
    /// File for how often each line of the source ran, as lcov; slow
    #[arg(long, value_name = "FILE", hide = asked_for("-h"))]
    pub(super) coverage: Option<PathBuf>,
}

impl Observe {
    /// Returns the option for which the plugin's functions have to be observed.
    pub(super) fn option(&self) -> Option<&'static str> {
        let backtrace = self.backtrace.then_some("--backtrace");
        backtrace.or_else(|| self.coverage.as_ref().map(|_| "--coverage"))
    }
}

#[derive(Debug, Args)]
pub(super) struct Bench {
    #[command(flatten)]
    pub(super) run: Run,
    /// Calls that run at the same time, each on its own thread
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = concurrency)]
    pub(super) concurrency: u32,
    /// Run all calls on one thread, in slices of FUEL units [default: 10k]
    #[arg(long, value_name = "FUEL", value_parser = quantum, num_args = 0..=1, require_equals = true, default_missing_value = "10k")]
    pub(super) sliced: Option<u64>,
    /// Longest time to measure, in seconds [default: 3, or no end with --calls]
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(super) seconds: Option<Duration>,
    /// Most calls to measure [default: no end]
    #[arg(long, value_name = "N", value_parser = calls)]
    pub(super) calls: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct New {
    /// Folder to write, whose last part is the plugin's name
    #[arg(value_name = "NAME")]
    pub(super) path: PathBuf,
    /// Language of the plugin
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub(super) lang: Language,
}

/// The languages that `new` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    C,
    Zig,
    Go,
    Assemblyscript,
    #[value(alias = "javascript")]
    Js,
    Python,
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// Plugin to test: a .wasm file, or a manifest, .json or .toml
    pub(super) plugin: PathBuf,
    /// File of test cases
    #[arg(default_value = "tests.toml")]
    pub(super) tests: PathBuf,
    /// Run only the cases that have TEXT in their name
    #[arg(long, value_name = "TEXT")]
    pub(super) filter: Option<String>,
    /// File to write a report to, as XML of JUnit
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Let FILE name files and directories outside of its folder
    #[arg(long)]
    pub(super) trust_tests: bool,
    /// Run again when the plugin or a file of the tests changes
    #[arg(long)]
    pub(super) watch: bool,
    #[command(flatten)]
    pub(super) observe: Observe,
}

#[derive(Debug, Args)]
pub(super) struct Profile {
    #[command(flatten)]
    pub(super) run: Run,
    /// File to write: FILE.svg for a picture, FILE.folded for text
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Print each call of a host function on stderr, with arguments and results
    #[arg(long)]
    pub(super) trace: bool,
}

#[derive(Debug, Args)]
pub(super) struct Snapshot {
    #[command(flatten)]
    pub(super) run: Run,
    /// File to write the new plugin to; a symbolic link is followed
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// Plugin to load: a .wasm file, or a manifest, .json or .toml
    pub(super) plugin: PathBuf,
    /// Import that traps if called, such as env.fork or env.*; repeatable
    #[arg(long, value_name = "IMPORT", value_parser = Stub::parse)]
    pub(super) stub: Vec<Stub>,
    /// Limit to change, such as functions=100K; repeatable
    #[arg(long, value_name = "NAME=N", value_parser = ChangeParser(Change::of_plugin))]
    pub(super) limit: Vec<Change>,
    /// Read modules outside of the manifest's folder too
    #[arg(long)]
    pub(super) trust_manifest: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[cfg(feature = "bindgen")]
#[derive(Debug, Args)]
pub(super) struct Bindgen {
    /// WIT file, directory of a WIT package, or a WIT package in binary form
    pub(super) wit: PathBuf,
    /// World of the plugin [default: the package's only one]
    #[arg(long, value_name = "NAME")]
    pub(super) world: Option<String>,
    /// Language of the plugin, or markdown
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub(super) lang: Bindings,
    /// Folder to write to; files of these names in it are replaced
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) out: PathBuf,
}

/// What `bindgen` writes.
#[cfg(feature = "bindgen")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Bindings {
    Rust,
    C,
    Go,
    Assemblyscript,
    Js,
    Python,
    Markdown,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Plugin to check: a component, or a core module
    pub(super) plugin: PathBuf,
    /// WIT file, directory of a WIT package, or a WIT package in binary form
    #[arg(long, value_name = "PATH")]
    pub(super) wit: PathBuf,
    /// World that the plugin has to fit [default: the package's only one]
    #[arg(long, value_name = "NAME")]
    pub(super) world: Option<String>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Lower {
    /// Component to lower: a .wasm file
    pub(super) component: PathBuf,
    /// File to write the module to; a symbolic link is followed
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Drop the names of functions, which traces show
    #[arg(long)]
    pub(super) strip: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Probe {
    /// Plugin to load: a .wasm file, or a manifest, .json or .toml
    pub(super) plugin: PathBuf,
    /// Machine that runs the plugin
    #[arg(long, value_enum, value_name = "MACHINE", default_value_t = Target::Server)]
    pub(super) target: Target,
    /// Heap of the machine, such as 128KiB [default: 256KiB with device limits, else unlimited]
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    heap: Option<u64>,
    /// Limits to start from [default: by plugin and target]
    #[arg(long, value_enum, value_name = "PRESET")]
    limits: Option<Preset>,
    /// Import that traps if called, such as env.fork or env.*; repeatable
    #[arg(long, value_name = "IMPORT", value_parser = Stub::parse)]
    pub(super) stub: Vec<Stub>,
    /// Limit to change, such as memory_bytes=128KiB; repeatable
    #[arg(long, value_name = "NAME=N", value_parser = ChangeParser(Change::of_plugin))]
    limit: Vec<Change>,
    /// Read modules outside of the manifest's folder too
    #[arg(long)]
    pub(super) trust_manifest: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Probe {
    /// Returns the limits to probe a plugin of this kind with.
    pub(super) fn limits(&self, kind: Kind) -> Limits {
        let by_default = self.target.preset(kind == Kind::Command);
        let preset = self.limits.unwrap_or(by_default);
        let heap = self
            .heap
            .map(|heap| usize::try_from(heap).unwrap_or(usize::MAX));
        let mut bounds = Bounds::plugin();
        bounds.limits = preset.limits(heap.unwrap_or(256 << 10));
        if kind == Kind::Component && self.limits.is_none() && preset == Preset::Server {
            bounds.limits = Bounds::component().limits;
        }
        if let Some(heap) = heap {
            bounds.limits.heap_bytes = heap;
        }
        bounds.set(&self.limit);
        bounds.limits
    }
}

#[cfg(feature = "serve")]
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Directory of plugins: the file NAME.wasm is the plugin NAME
    #[cfg_attr(feature = "fleet", arg(required_unless_present = "nats"))]
    #[cfg_attr(not(feature = "fleet"), arg(required = true))]
    pub(super) directory: Option<PathBuf>,
    /// Configuration: grants, limits, quotas and tokens [default: none]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Address to listen on [default: of the configuration, or 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<std::net::SocketAddr>,
    #[cfg(feature = "fleet")]
    #[command(flatten)]
    pub(super) fleet: fleet::Worker,
}

fn convention(text: &str) -> Result<Convention, &'static str> {
    Convention::from_name(text).ok_or("expected native, wapc, extism or typst")
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE"),
    }
}

fn quantum(text: &str) -> Result<u64, &'static str> {
    match quantity::fuel(text)? {
        0 => Err("expected a slice of at least 1 unit of fuel"),
        fuel => Ok(fuel),
    }
}

pub(super) fn time(text: &str) -> Result<humantime::Duration, &'static str> {
    let time = text.parse();
    time.map_err(|_| "expected a time with its unit, such as 500ms, 2s or 1m30s")
}

fn concurrency(text: &str) -> Result<u32, &'static str> {
    let number = quantity::parse(text).and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| (1..=10_000).contains(number));
    number.ok_or("expected a whole number from 1 to 10000, such as 8")
}

fn calls(text: &str) -> Result<u64, &'static str> {
    let number = quantity::parse(text).filter(|number| *number > 0);
    number.ok_or("expected a whole number of calls, at least 1, such as 1000 or 1M")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or("expected seconds, such as 10 or 0.5")
}
