//! `hostel run`: one call of one plugin.

use super::{
    abi, arguments::Run, directories, exit::Exit, failure::Failure, input::Input, log, output,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hostel::{
    Budget, CallError, Engine, FileState, Grants, Instance, Limits, LogRecord, LogSink, ModuleInfo,
    Plugin, StateLimits, Std, Tracing, Usage, Wasi, WasiOutput, WasiStdio,
};
use serde_json::{Value, json};
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How long a run whose time is up still tries to write what it has to say.
const GRACE: Duration = Duration::from_millis(100);

pub(super) fn run(arguments: &Run) -> Result<Exit, Failure> {
    let mut report = Report::new();
    if !arguments.json {
        log::show();
        let result = report.run(arguments, Tracing);
        return match report.output {
            Output::Written => Ok(output::answer(&result?)?.or(report.exit)),
            // Whoever reads has seen enough.
            Output::Unwanted => Ok(Exit::Own),
            Output::Stuck => Ok(result.map_or_else(tell_in_time, |_| report.exit)),
        };
    }
    let logs = report.logs.clone();
    let log = move |record: &LogRecord<'_>| {
        let text = String::from_utf8_lossy(record.text.raw()).into_owned();
        logs.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    };
    let result = report.run(arguments, log);
    let exit = result
        .as_ref()
        .map_or_else(|failure| failure.exit, |_| report.exit);
    Ok(output::json(&report.json(result, exit))?.or(exit))
}

/// What is known of a run, as far as it came.
struct Report {
    exit: Exit,
    output: Output,
    start: Option<Usage>,
    call: Option<Usage>,
    micros: Micros,
    logs: Arc<Mutex<Vec<String>>>,
}

/// What became of what a command wrote.
enum Output {
    Written,
    /// Its reader has gone.
    Unwanted,
    /// Its reader does not read, and the time is up.
    Stuck,
}

/// How long each part took, in microseconds.
#[derive(Default)]
struct Micros {
    load: Option<u128>,
    instantiate: Option<u128>,
    call: Option<u128>,
}

impl Report {
    fn new() -> Self {
        Self {
            exit: Exit::Ok,
            output: Output::Written,
            start: None,
            call: None,
            micros: Micros::default(),
            logs: Arc::default(),
        }
    }

    fn run(&mut self, arguments: &Run, log: impl LogSink) -> Result<Vec<u8>, Failure> {
        let timeout = Timeout::new(arguments);
        let grants = grants(arguments, log)?;
        let platform = Arc::new(Std::new());
        let mut budget = budget(arguments);
        let limits = limits(arguments);
        let path = &arguments.plugin;
        let wasm = hostel::read_module(path, limits.module_bytes)?;
        let command = runs_command(arguments, &wasm)?;
        let stdio = WasiStdio::new(platform.clone());
        let mut wasi = wasi(arguments)?;
        if command && arguments.json {
            wasi = wasi
                .stdin_from(stdio.stdin())
                .stdout(WasiOutput::buffer(budget.output_bytes));
        } else if command {
            wasi = stdio.inherit(wasi);
            budget.output_bytes = usize::MAX;
        }
        let engine = Engine::new(limits)
            .with_budget(budget)
            .with_platform(platform);
        let grants = grants.wasi(wasi);
        let plugin = timed(&mut self.micros.load, || {
            load(path, &engine, &wasm, &grants)
        })?;
        if command {
            let done = self.command(&plugin, &engine, &timeout);
            return self.written(stdio.flush(timeout.left()), done, &timeout);
        }
        let name = arguments.call.as_deref().unwrap_or(FUNCTION);
        let input = Input::new(&plugin, name, &arguments.input, engine.budget().input_bytes)?;
        let mut instance = self.instantiate(&plugin, &engine, &timeout)?;
        let answer = timed(&mut self.micros.call, || input.call(&mut instance, name));
        self.call = Some(instance.usage());
        Ok(answer.map_err(|error| timeout.whole(error))?)
    }

    /// Runs the plugin as a command; gives its stdout where that was not passed through.
    fn command(
        &mut self,
        plugin: &Plugin,
        engine: &Engine,
        timeout: &Timeout,
    ) -> Result<Vec<u8>, Failure> {
        let mut instance = self.instantiate(plugin, engine, timeout)?;
        let ended = timed(&mut self.micros.call, || instance.run_command());
        self.call = Some(instance.usage());
        self.exit = Exit::from(ended.map_err(|error| timeout.whole(error))?);
        Ok(instance.take_stdout())
    }

    /// How a command is `done`, now that it is known whether what it wrote was written.
    fn written(
        &mut self,
        flushed: io::Result<()>,
        done: Result<Vec<u8>, Failure>,
        timeout: &Timeout,
    ) -> Result<Vec<u8>, Failure> {
        let Err(error) = flushed else {
            return done;
        };
        let failure = match error.kind() {
            io::ErrorKind::BrokenPipe => {
                self.output = Output::Unwanted;
                return done;
            }
            io::ErrorKind::TimedOut => {
                self.output = Output::Stuck;
                let after = timeout.after.unwrap_or_default();
                CallError::Deadline { after }.into()
            }
            _ => Failure::output(&error),
        };
        done.and(Err(failure))
    }

    /// An instance whose start, and then whose call, has the time that is left.
    fn instantiate(
        &mut self,
        plugin: &Plugin,
        engine: &Engine,
        timeout: &Timeout,
    ) -> Result<Instance, Failure> {
        let plugin = plugin.with_budget(timeout.limit(engine.budget())?);
        let instance = timed(&mut self.micros.instantiate, || plugin.instantiate(()));
        let mut instance = instance.map_err(|error| timeout.whole(error))?;
        self.start = Some(instance.start_usage());
        instance.set_budget(timeout.limit(engine.budget())?);
        Ok(instance)
    }

    fn json(&self, result: Result<Vec<u8>, Failure>, exit: Exit) -> Value {
        let (output, error) = match result {
            Ok(output) => (Some(output), None),
            Err(failure) => (None, Some(failure.json())),
        };
        let (text, base64) = match output.map(String::from_utf8) {
            Some(Ok(text)) => (Some(text), None),
            Some(Err(error)) => (None, Some(BASE64.encode(error.as_bytes()))),
            None => (None, None),
        };
        let host_calls = [self.start, self.call].map(|usage| usage.map_or(0, |u| u.host_calls));
        json!({
            "output": text,
            "output_base64": base64,
            "error": error,
            "code": exit.code(),
            "fuel": {
                "start": self.start.map(|usage| usage.fuel),
                "call": self.call.map(|usage| usage.fuel),
            },
            "host_calls": host_calls[0].saturating_add(host_calls[1]),
            "logs": *self.logs.lock().unwrap_or_else(PoisonError::into_inner),
            "micros": {
                "load": self.micros.load,
                "instantiate": self.micros.instantiate,
                "call": self.micros.call,
            },
        })
    }
}

/// The time for all of a run, of which each step gets what the steps before it left.
struct Timeout {
    start: Instant,
    after: Option<Duration>,
}

impl Timeout {
    fn new(arguments: &Run) -> Self {
        Self {
            start: Instant::now(),
            after: arguments.timeout.map(Into::into),
        }
    }

    /// The budget of the next step.
    fn limit(&self, budget: &Budget) -> Result<Budget, CallError> {
        let Some(after) = self.after else {
            return Ok(*budget);
        };
        match after.checked_sub(self.start.elapsed()) {
            Some(left) if !left.is_zero() => Ok(budget.deadline(left)),
            _ => Err(CallError::Deadline { after }),
        }
    }

    /// How long what was written may still take.
    fn left(&self) -> Option<Duration> {
        let left = self.after?.saturating_sub(self.start.elapsed());
        Some(left.max(GRACE))
    }

    /// The error of a step, told of the whole time and not of what was left for the step.
    fn whole(&self, error: CallError) -> CallError {
        match (error, self.after) {
            (CallError::Deadline { .. }, Some(after)) => CallError::Deadline { after },
            (error, _) => error,
        }
    }
}

/// Tells of a failure on a stderr that may be stuck too.
fn tell_in_time(failure: Failure) -> Exit {
    let exit = failure.exit;
    let (told, tells) = mpsc::channel();
    thread::spawn(move || {
        output::failure(&failure);
        // Nobody waits any more if it took too long.
        let _ = told.send(());
    });
    let _ = tells.recv_timeout(GRACE);
    exit
}

/// The log, the settings and the state.
pub(super) fn grants(arguments: &Run, log: impl LogSink) -> Result<Grants, Failure> {
    let grants = Grants::new()
        .log(log)
        .config(arguments.config.iter().cloned());
    Ok(match &arguments.state {
        Some(file) => grants.state(FileState::open(file, StateLimits::server())?),
        None => grants,
    })
}

/// The plugin of the file `path`, which holds `wasm`.
pub(super) fn load(
    path: &Path,
    engine: &Engine,
    wasm: &[u8],
    grants: &Grants,
) -> Result<Plugin, Failure> {
    let name = path.file_stem().unwrap_or(path.as_os_str());
    let plugin = engine.load(&name.to_string_lossy(), wasm, grants);
    plugin.map_err(|error| Failure::load(path, &error))
}

pub(super) fn limits(arguments: &Run) -> Limits {
    let mut limits = Limits::server();
    limits.memory_bytes = usize::try_from(arguments.memory.as_u64()).unwrap_or(usize::MAX);
    limits
}

pub(super) fn budget(arguments: &Run) -> Budget {
    Budget::server().fuel(arguments.fuel)
}

/// WASI with the arguments and directories, and with its output in the log.
pub(super) fn wasi(arguments: &Run) -> Result<Wasi, Failure> {
    let name = arguments.plugin.file_name().unwrap_or_default();
    let wasi = hostel::wasi()
        .args([name.to_string_lossy()])
        .args(&arguments.arg)
        .env(arguments.env.iter().map(|(key, value)| (key, value)))
        .stdout(WasiOutput::log())
        .stderr(WasiOutput::log());
    directories::grant(wasi, &arguments.dir)
}

/// The function that is called where nothing else is said.
pub(super) const FUNCTION: &str = "process";

/// The function by which a WASI command is run.
pub(super) const COMMAND: &str = "_start";

/// Whether the plugin is to be run as a command.
pub(super) fn runs_command(arguments: &Run, wasm: &[u8]) -> Result<bool, Failure> {
    let command = match arguments.call.as_deref() {
        Some(name) => name == COMMAND,
        None => is_command(wasm),
    };
    if command && !arguments.input.is_empty() {
        let hint = Some("for its arguments use --arg TEXT, for its stdin < FILE");
        return Err(Failure::usage("a command takes no INPUT".into(), hint));
    }
    Ok(command)
}

/// Whether a module is a WASI command and nothing else.
fn is_command(wasm: &[u8]) -> bool {
    ModuleInfo::read(wasm).is_ok_and(|module| {
        abi::signature(&module, COMMAND).is_some() && abi::signature(&module, FUNCTION).is_none()
    })
}

fn timed<R>(micros: &mut Option<u128>, work: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = work();
    *micros = Some(start.elapsed().as_micros());
    result
}
