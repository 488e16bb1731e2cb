//! `hostel run`: calls a plugin once.

use super::{
    arguments::{Run, RunOnce},
    exit::Exit,
    failure::{self, Failure},
    input::Input,
    log,
    observe::Observed,
    output,
    plugin::{self, Module},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytesize::ByteSize;
use hostel::{
    Budget, CallError, Engine, Instance, LogRecord, LogSink, Plugin, RefusedGrowth, Std, Tracing,
    Usage, WasiOutput, WasiStdio,
};
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How long a run whose timeout expired may still take to write its output and error.
const GRACE: Duration = Duration::from_millis(100);

pub(super) fn run(arguments: &RunOnce) -> Result<Exit, Failure> {
    let mut report = Report::new();
    if !arguments.run.json {
        log::show();
        let result = report.run(arguments, Tracing);
        return match report.output {
            Output::Written => {
                let written = output::answer(&result?)?;
                if let (Some(refused), true) = (report.refused(), report.exit != Exit::Ok) {
                    output::hint(&failure::refusal(refused));
                }
                Ok(written.or(report.exit))
            }
            // The reader closed the pipe, as `head` does: not worth a message.
            Output::Unwanted => Ok(Exit::Own),
            Output::Stuck => Ok(result.map_or_else(report_in_time, |_| report.exit)),
        };
    }
    let logs = report.logs.clone();
    let log = move |record: &LogRecord<'_>| {
        let record = json!({
            "level": record.level.as_str(),
            "speaker": record.speaker.as_str(),
            "text": String::from_utf8_lossy(record.text.raw()),
        });
        logs.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(record);
    };
    let result = report.run(arguments, log);
    let exit = result
        .as_ref()
        .map_or_else(|failure| failure.exit, |_| report.exit);
    Ok(output::json(&report.json(result, exit))?.or(exit))
}

/// Calls a plugin, and prints its output, or its failure, and its usage in a line.
pub(super) fn shown(arguments: &RunOnce) -> Result<Exit, Failure> {
    let mut report = Report::new();
    match report.run(arguments, Tracing) {
        Ok(bytes) => {
            output::answer(&bytes)?;
            // A terminal gets it anyway.
            if !io::stdout().is_terminal() && !bytes.ends_with(b"\n") {
                output::bytes(b"\n")?;
            }
        }
        Err(failure) => output::failure(&failure),
    }
    let Some(usage) = report.call else {
        return Ok(Exit::Ok);
    };
    let memory = ByteSize(usage.memory_bytes as u64).display().iec();
    output::text(&format!("{} fuel, {memory} of memory\n", usage.fuel))
}

/// The facts about a run. Those of steps that it did not reach are `None`.
struct Report {
    exit: Exit,
    output: Output,
    start: Option<Usage>,
    call: Option<Usage>,
    micros: Micros,
    logs: Arc<Mutex<Vec<Value>>>,
    observed: Option<Observed>,
}

/// The fate of a command's output.
enum Output {
    Written,
    /// The reader closed the pipe.
    Unwanted,
    /// The reader does not read, and the timeout expired.
    Stuck,
}

/// The duration of each step, in microseconds.
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
            observed: None,
        }
    }

    fn run(&mut self, arguments: &RunOnce, log: impl LogSink) -> Result<Vec<u8>, Failure> {
        let files = [&arguments.observe.coverage, &arguments.coredump];
        for path in files.into_iter().flatten() {
            output::check_file(path)?;
        }
        let result = self.call(arguments, log);
        if let (Some(observed), Some(file)) = (&self.observed, &arguments.observe.coverage) {
            let written = observed.take_coverage(&arguments.run.plugin).write(file);
            return result.and_then(|output| written.map(|()| output));
        }
        result
    }

    fn call(&mut self, once: &RunOnce, log: impl LogSink) -> Result<Vec<u8>, Failure> {
        let start = Instant::now();
        let arguments = &once.run;
        let mut module = Module::read(arguments, |_| {})?;
        if let Some(option) = once.observing() {
            self.observed = Some(Observed::new(arguments, &mut module, option, true)?);
        }
        let after = module.bounds.budget.deadline;
        let timeout = Timeout { start, after };
        let mut bounds = module.bounds;
        let mut granted = plugin::grants(arguments, &module, log)?;
        if let Some(observed) = &self.observed {
            granted = granted.map(|grants| grants.profile(observed.sink()));
        }
        let platform = Arc::new(Std::new());
        let stdio = WasiStdio::new(platform.clone());
        let mut wasi = plugin::wasi(arguments, &module)?;
        if module.command && arguments.json {
            wasi = wasi
                .stdin_from(stdio.stdin())
                .stdout(WasiOutput::buffer(bounds.budget.output_bytes));
        } else if module.command {
            wasi = stdio.inherit(wasi).env(terminal(arguments));
            bounds.budget.output_bytes = usize::MAX;
        }
        let mut engine = arguments.engine(&bounds).with_platform(platform);
        if module.is_large() {
            engine = engine.with_lazy_translation();
        }
        let plugin = timed(&mut self.micros.load, || {
            plugin::load(arguments, &engine, &module, granted, wasi)
        })?;
        if module.command {
            let result = self.command(&plugin, &engine, &timeout, once);
            return self.written(stdio.flush(timeout.left()), result, &timeout);
        }
        let name = arguments.call.as_deref().unwrap_or(plugin::FUNCTION);
        let input = Input::new(
            &plugin,
            module.contract.as_ref(),
            name,
            arguments,
            engine.budget().input_bytes,
        )?;
        let mut instance = self.instantiate(&plugin, &engine, &timeout)?;
        let answer = timed(&mut self.micros.call, || input.call(&mut instance, name));
        let answer = answer.map(|answer| answer.bytes);
        self.ended(answer, &mut instance, &timeout, once)
    }

    /// Ends a call with its result.
    fn ended<R>(
        &mut self,
        result: Result<R, CallError>,
        instance: &mut Instance,
        timeout: &Timeout,
        once: &RunOnce,
    ) -> Result<R, Failure> {
        let (usage, result) = Observed::end_of(self.observed.as_ref(), instance.usage(), result);
        self.call = Some(usage);
        let result = result.map_err(|error| self.failed(error, timeout));
        if let (Some(observed), Some(file)) = (&self.observed, &once.coredump) {
            let written = observed.dump(&once.run.plugin, instance, file);
            return result.and_then(|result| written.map(|()| result));
        }
        result
    }

    /// Runs the plugin as a command. Returns its stdout, which is empty if it was passed through.
    fn command(
        &mut self,
        plugin: &Plugin,
        engine: &Engine,
        timeout: &Timeout,
        once: &RunOnce,
    ) -> Result<Vec<u8>, Failure> {
        let mut instance = self.instantiate(plugin, engine, timeout)?;
        let ended = timed(&mut self.micros.call, || instance.run_command());
        self.exit = Exit::from(self.ended(ended, &mut instance, timeout, once)?);
        Ok(instance.take_stdout())
    }

    /// Reports that the call failed.
    fn failed(&self, error: CallError, timeout: &Timeout) -> Failure {
        let error = timeout.whole(error);
        let failure = match &self.observed {
            Some(observed) => observed.failure(error),
            None => Failure::from(error),
        };
        failure.after_refusal(self.refused())
    }

    /// Returns the growth of memory that was refused, in the call or before it.
    fn refused(&self) -> Option<RefusedGrowth> {
        let [start, call] = [self.start, self.call].map(|usage| usage?.refused_growth);
        call.or(start)
    }

    /// Combines a command's result with that of writing its output.
    fn written(
        &mut self,
        flushed: io::Result<()>,
        result: Result<Vec<u8>, Failure>,
        timeout: &Timeout,
    ) -> Result<Vec<u8>, Failure> {
        let Err(error) = flushed else {
            return result;
        };
        let failure = match error.kind() {
            io::ErrorKind::BrokenPipe => {
                self.output = Output::Unwanted;
                return result;
            }
            io::ErrorKind::TimedOut => {
                self.output = Output::Stuck;
                let after = timeout.after.unwrap_or_default();
                CallError::Deadline { after }.into()
            }
            _ => Failure::output(&error),
        };
        result.and(Err(failure))
    }

    /// Makes an instance. Its start code, and then its call, get the time that is left.
    fn instantiate(
        &mut self,
        plugin: &Plugin,
        engine: &Engine,
        timeout: &Timeout,
    ) -> Result<Instance, Failure> {
        let plugin = plugin.with_budget(timeout.limit(engine.budget())?);
        let instance = timed(&mut self.micros.instantiate, || plugin.instantiate(()));
        let usage = instance.as_ref().map(Instance::start_usage);
        let (usage, instance) =
            Observed::end_of(self.observed.as_ref(), usage.unwrap_or_default(), instance);
        let mut instance = instance.map_err(|error| self.failed(error, timeout))?;
        self.start = Some(usage);
        if let Some(observed) = &self.observed {
            observed.begin();
        }
        instance.set_budget(timeout.limit(engine.budget())?);
        Ok(instance)
    }

    fn json(&self, result: Result<Vec<u8>, Failure>, exit: Exit) -> Value {
        let (output, error) = match result {
            Ok(output) => (Some(output), None),
            Err(failure) => (None, Some(failure)),
        };
        let (text, base64) = match output.map(String::from_utf8) {
            Some(Ok(text)) => (Some(text), None),
            Some(Err(error)) => (None, Some(BASE64.encode(error.as_bytes()))),
            None => (None, None),
        };
        let host_calls = [self.start, self.call].map(|usage| usage.map_or(0, |u| u.host_calls));
        let mut report = json!({
            "output": null,
            "output_base64": null,
            "error": error,
            "code": exit.code(),
            "fuel": {
                "start": self.start.map(|usage| usage.fuel),
                "call": self.call.map(|usage| usage.fuel),
            },
            "host_calls": host_calls[0].saturating_add(host_calls[1]),
            "refused_growth": self.refused().map(|refused| json!({
                "asked": refused.asked,
                "limit": refused.limit,
            })),
            "logs": *self.logs.lock().unwrap_or_else(PoisonError::into_inner),
            "micros": {
                "load": self.micros.load,
                "instantiate": self.micros.instantiate,
                "call": self.micros.call,
            },
        });
        // Moved in: the macro would copy them, and they may be long.
        report["output"] = text.into();
        report["output_base64"] = base64.into();
        report
    }
}

/// The time for a whole run. Each step gets the time that the steps before it left.
struct Timeout {
    start: Instant,
    after: Option<Duration>,
}

impl Timeout {
    /// Returns `budget` with the time that is left as its deadline.
    fn limit(&self, budget: &Budget) -> Result<Budget, CallError> {
        let Some(after) = self.after else {
            return Ok(*budget);
        };
        match after.checked_sub(self.start.elapsed()) {
            Some(left) if !left.is_zero() => Ok(budget.with_deadline(left)),
            _ => Err(CallError::Deadline { after }),
        }
    }

    /// Returns the time that is left for writing, at least [`GRACE`].
    fn left(&self) -> Option<Duration> {
        let left = self.after?.saturating_sub(self.start.elapsed());
        Some(left.max(GRACE))
    }

    /// Makes a deadline error name the whole timeout instead of the step's share.
    fn whole(&self, error: CallError) -> CallError {
        match (error, self.after) {
            (CallError::Deadline { .. }, Some(after)) => CallError::Deadline { after },
            (error, _) => error,
        }
    }
}

/// Prints a failure on stderr, but gives up after [`GRACE`]: nobody may read stderr either.
fn report_in_time(failure: Failure) -> Exit {
    let exit = failure.exit;
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        output::failure(&failure);
        // Fails if the receiver gave up.
        let _ = send.send(());
    });
    let _ = receive.recv_timeout(GRACE);
    exit
}

/// Returns the variable `TERM=dumb` if the guest's output goes to a terminal, which does not act on its
/// control characters but shows them; nothing if `--env` sets the variable.
fn terminal(arguments: &Run) -> Option<(&'static str, &'static str)> {
    let given = arguments.env.iter().any(|(key, _)| key == "TERM");
    let shown = io::stdout().is_terminal() || io::stderr().is_terminal();
    (shown && !given).then_some(("TERM", "dumb"))
}

fn timed<R>(micros: &mut Option<u128>, work: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = work();
    *micros = Some(start.elapsed().as_micros());
    result
}
