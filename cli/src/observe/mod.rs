//! Observes the functions of a plugin while they run: for a profile, a backtrace, coverage and a core dump.
//!
//! The plugin is changed to tell when a function begins and ends, and when a line of its source begins, if it has debug
//! information. Its fuel and its results are those of a call that is not observed.

mod code;
mod core_dump;
mod coverage;
mod debug;
mod recorder;

pub(super) use self::coverage::Coverage;
use self::{
    code::{Code, Lines},
    recorder::Recorder,
};
use super::{
    arguments::Run,
    exit::Exit,
    failure::Failure,
    output,
    plugin::{Contents, Module},
};
use hostel::{CallError, Instance, ModuleInfo, ProfileRecord, Trap, Usage};
use hostel_contract::is_component;
use hostel_profile::{Profile, Profiled, Unprofilable};
use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The functions of a backtrace that are listed at its inner and at its outer end.
const INNER: usize = 24;
const OUTER: usize = 8;

/// The function that Rust runs the handling of a panic in.
const PANIC: &str = "__rust_end_short_backtrace";

/// A plugin that is observed.
pub(super) struct Observed {
    profiled: Profiled,
    code: Code,
    /// The module without the changes.
    wasm: Vec<u8>,
    recorder: Arc<Mutex<Recorder>>,
}

impl Observed {
    /// Changes `module`, which `run` names, so that it can be observed. `option` wants that: it names what can't be
    /// done. With `lines`, the lines of its source are told too.
    pub(super) fn new(
        run: &Run,
        module: &mut Module,
        option: &str,
        lines: bool,
    ) -> Result<Self, Failure> {
        let wasm = match &module.contents {
            Contents::Module(wasm) if !module.component => wasm,
            Contents::Module(wasm) if is_component(wasm) => {
                return Err(unsupported(option, "a component", CORE_MODULES));
            }
            Contents::Module(_) => {
                return Err(unsupported(
                    option,
                    "a call by a contract in WIT",
                    CORE_MODULES,
                ));
            }
            Contents::Manifest(_) => {
                let hint = "name one of its .wasm files";
                return Err(unsupported(option, "a manifest", hint));
            }
        };
        let info = ModuleInfo::read_within(wasm, &module.bounds.limits.module);
        let info = info.map_err(|error| Failure::load(&run.plugin, &error))?;
        let unreadable = || {
            unsupported(
                option,
                "this module: it can't be written anew",
                CORE_MODULES,
            )
        };
        let mut code = Code::read(wasm).ok_or_else(unreadable)?;
        let lines = match lines {
            true => code.read_lines(wasm).unwrap_or_else(|unused| {
                let plugin = run.plugin.display().to_string();
                let plugin = output::escaped(&plugin);
                output::note(&format!(
                    "note: the debug information of {plugin} is not used, so functions have names and no lines: {unused}"
                ));
                Lines::default()
            }),
            false => Lines::default(),
        };
        let profiled = Profiled::with_positions(wasm, &info, &code.positions);
        let mut profiled = profiled.map_err(|error| match error {
            Unprofilable::Import => {
                let what = "a module that imports `hostel-profile`";
                unsupported(option, what, "leave the import out")
            }
            _ => unreadable(),
        })?;
        let profile = Profile::new(module.bounds.budget);
        module.bounds.budget = profile.raised_budget();
        let changed = Contents::Module(std::mem::take(&mut profiled.wasm));
        let Contents::Module(wasm) = std::mem::replace(&mut module.contents, changed) else {
            return Err(unreadable());
        };
        let recorder = Recorder::new(profile, lines);
        Ok(Self {
            profiled,
            code,
            wasm,
            recorder: Arc::new(Mutex::new(recorder)),
        })
    }

    /// Returns the sink of [`hostel::Grants::profile`].
    pub(super) fn sink(
        &self,
    ) -> impl Fn(ProfileRecord) -> Result<(), Trap> + Send + Sync + 'static {
        let recorder = self.recorder.clone();
        move |record| {
            let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
            recorder.count(record)
        }
    }

    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call. Coverage goes on with that of the calls before.
    pub(super) fn begin(&self) {
        self.recorder().begin();
    }

    /// Ends a call, or the making of an instance. Returns its usage and its result as they would be without being
    /// observed.
    pub(super) fn end<R>(
        &self,
        usage: Usage,
        result: Result<R, CallError>,
    ) -> (Usage, Result<R, CallError>) {
        self.recorder().profile.end(usage, result)
    }

    /// As [`end`](Self::end), of a call that may not be observed.
    pub(super) fn end_of<R>(
        observed: Option<&Self>,
        usage: Usage,
        result: Result<R, CallError>,
    ) -> (Usage, Result<R, CallError>) {
        match observed {
            Some(observed) => observed.end(usage, result),
            None => (usage, result),
        }
    }

    /// Reports that a call failed, with the functions that ran when it was stopped.
    pub(super) fn failure(&self, error: CallError) -> Failure {
        let mut failure = Failure::from(error);
        failure.details = self.backtrace();
        failure
    }

    /// Shows the fuel of the call by its functions, and the module with their names, to `show`.
    pub(super) fn profile<R>(&self, show: impl FnOnce(&Profile, &Profiled) -> R) -> R {
        show(&self.recorder().profile, &self.profiled)
    }

    /// Returns the functions that ran when the call was stopped, each in a line, the innermost first. Empty if the call
    /// was not stopped.
    pub(super) fn backtrace(&self) -> Vec<String> {
        let recorder = self.recorder();
        let frames = recorder.frames.iter().rev();
        let lines = frames.flat_map(|frame| self.frame(frame.function, frame.position));
        // Those between the ends are not kept: a deep stack has many.
        let (mut inner, mut outer, mut left_out) = (Vec::new(), VecDeque::new(), 0);
        for line in lines {
            // What a panic in Rust runs is no news.
            if line.contains(PANIC) {
                inner.clear();
                outer.clear();
                left_out = 0;
            } else if inner.len() < INNER {
                inner.push(line);
            } else {
                outer.push_back(line);
            }
            if outer.len() > OUTER {
                outer.pop_front();
                left_out += 1;
            }
        }
        if left_out > 0 {
            inner.push(format!("… {left_out} functions left out …"));
        }
        inner.extend(outer);
        inner
    }

    /// Describes a function that runs, and those that are inlined in it.
    fn frame(&self, function: u32, position: Option<u32>) -> Vec<String> {
        let at = position.and_then(|number| self.position(number));
        let frames = at.map(|at| self.code.frames(at)).unwrap_or_default();
        if frames.is_empty() {
            return vec![format!("at {}", self.profiled.name(function))];
        }
        let described = frames.into_iter().map(|frame| {
            let name = frame
                .function
                .unwrap_or_else(|| self.profiled.name(function));
            match frame.line {
                Some(line) => format!("at {name} ({line})"),
                None => format!("at {name}"),
            }
        });
        described.collect()
    }

    /// Returns the offset of a position in the module.
    fn position(&self, number: u32) -> Option<u64> {
        let number = usize::try_from(number).ok()?;
        self.code.positions.get(number).copied()
    }

    /// Returns how many times functions and lines ran since this was last called.
    pub(super) fn take_coverage(&self, plugin: &Path) -> Coverage {
        let mut recorder = self.recorder();
        let coverage = coverage::of(plugin, &recorder, &self.code, &self.profiled);
        recorder.entered.clear();
        recorder.counts.fill(0);
        coverage
    }

    /// Writes a core dump of the instance to `file`, if the call was stopped.
    pub(super) fn dump(
        &self,
        plugin: &Path,
        instance: &mut Instance,
        file: &Path,
    ) -> Result<(), Failure> {
        let recorder = self.recorder();
        if recorder.frames.is_empty() {
            return Ok(());
        }
        let dump = core_dump::write(self, plugin, &recorder.frames, instance);
        fs::write(file, dump).map_err(|error| Failure::unwritable(file, &error))
    }
}

/// What else tells of a call.
const CORE_MODULES: &str = "core modules can be observed, called with bytes or numbers; of a component, as plugins in JavaScript and Python are, read the log, and the fuel of the whole call with `hostel run --json`";

/// Refuses a plugin that is not of the kind that can be observed.
fn unsupported(option: &str, what: &str, hint: &str) -> Failure {
    let message = format!("{option} can't observe {what}");
    Failure::new(Exit::Load, "unsupported", message).with_hint(hint)
}
