//! Prepares and runs one case.

use super::{
    expect::{Expect, Outcome},
    file::HostAnswer,
};
use crate::{
    arguments::{Observe, Run},
    callback::{GivenAnswer, GivenCallback, is_of_module},
    directories::GivenDirectory,
    failure::Failure,
    grants::Stub,
    http::HttpAnswer,
    input::{Answer, GivenInput, Input},
    limits::Change,
    observe::{Coverage, Observed},
    plugin::{self, Module},
};
use hostel::{
    Convention, Instance, LogLevel, LogRecord, MemoryState, Plugin, Speaker, StateLimits,
    StateStore as _, Std, Usage, WasiOutput,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// One case of a file.
pub(super) struct Case {
    pub(super) name: String,
    /// Whether it runs in the instance of the case before it.
    pub(super) continues: bool,
    pub(super) setup: Setup,
    pub(super) call: Option<String>,
    pub(super) input: Vec<Vec<u8>>,
    pub(super) numbers: bool,
    pub(super) expect: Expect,
}

/// By what a plugin is loaded and its instance made.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Setup {
    pub(super) settings: Vec<(String, String)>,
    pub(super) host: Vec<(String, HostAnswer)>,
    pub(super) http: Vec<(String, HttpAnswer)>,
    pub(super) state: Vec<(String, Vec<u8>)>,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) directories: Vec<GivenDirectory>,
    pub(super) abi: Option<Convention>,
    pub(super) fuel: Option<u64>,
    pub(super) memory: Option<u64>,
    pub(super) timeout: Option<Duration>,
    pub(super) limits: Vec<(String, u64)>,
}

impl Setup {
    /// Returns the options of `hostel run` that set a plugin up so.
    pub(super) fn options(&self, plugin: &Path) -> Result<Run, Failure> {
        let mut run = Run {
            plugin: plugin.to_owned(),
            arg: self.args.clone(),
            env: self.env.clone(),
            dir: self.directories.clone(),
            config: self.settings.clone(),
            abi: self.abi,
            fuel: self.fuel,
            memory: self.memory,
            timeout: self.timeout.map(Into::into),
            http_answers: self.http.clone(),
            ..Run::default()
        };
        for (name, value) in &self.limits {
            let change = Change::of_call(&format!("{name}={value}"));
            run.limit.push(change.map_err(Failure::usage)?);
        }
        for (name, answer) in &self.host {
            self.answer(&mut run, name, answer)?;
        }
        Ok(run)
    }

    fn answer(&self, run: &mut Run, name: &str, answer: &HostAnswer) -> Result<(), Failure> {
        let refused = |why: &str| Failure::usage(format!("`host`: can't answer `{name}`: {why}"));
        if *answer == HostAnswer::Trap {
            let stub = Stub::parse(name).map_err(&refused)?;
            run.stub.push(stub);
        } else if name == "*" {
            let general = match answer {
                HostAnswer::Answer(crate::answer::Answer::Echo) => GivenAnswer::Echo,
                HostAnswer::Answer(crate::answer::Answer::Error(text)) => {
                    GivenAnswer::Fail(text.clone())
                }
                HostAnswer::Answer(crate::answer::Answer::Bytes(bytes)) => {
                    GivenAnswer::Bytes(bytes.clone())
                }
                _ => return Err(refused("expected a text or bytes, `error` or `echo`")),
            };
            run.callback.push(GivenCallback::General(general));
        } else if !is_of_module(name) {
            let value = answer.wave().ok_or_else(|| {
                refused("expected a value of its type, in WAVE: { wave = \"...\" }")
            })?;
            run.callback.push(GivenCallback::Function {
                name: name.to_owned(),
                value,
            });
        } else {
            let named = answer.named(name);
            run.callback
                .push(GivenCallback::Import(named.ok_or_else(|| {
                    refused("`wave` is for functions of components, INTERFACE#FUNCTION")
                })?));
        }
        Ok(())
    }
}

/// The records of the plugin's log.
type Log = Arc<Mutex<Vec<(LogLevel, String)>>>;

/// A plugin that is loaded for one case, and for those that continue or are set up alike.
pub(super) struct Loaded {
    plugin: Plugin,
    command: bool,
    component: bool,
    log: Log,
    state: Arc<MemoryState>,
    observed: Option<Observed>,
}

/// A case that can run: its plugin is loaded, and its input read.
pub(super) struct Prepared<'a> {
    pub(super) case: &'a Case,
    plugin: PathBuf,
    loaded: Rc<Loaded>,
    function: String,
    /// `None` for a command.
    input: Option<Input>,
}

/// The cases that can run, and the plugins that are loaded for them.
pub(super) struct Preparing<'a> {
    observe: &'a Observe,
    loaded: Vec<(&'a Setup, Option<&'a str>, Rc<Loaded>)>,
}

impl<'a> Preparing<'a> {
    pub(super) fn new(observe: &'a Observe) -> Self {
        let loaded = Vec::new();
        Self { observe, loaded }
    }

    /// Loads the plugin for a case, unless it is loaded for one that is set up alike, and checks the case.
    pub(super) fn prepare(
        &mut self,
        case: &'a Case,
        before: Option<&Prepared<'_>>,
        plugin: &Path,
    ) -> Result<Prepared<'a>, Failure> {
        let mut run = case.setup.options(plugin)?;
        run.call.clone_from(&case.call);
        run.numbers = case.numbers;
        let state = Arc::new(MemoryState::new(StateLimits::server()));
        run.memory_state = Some(state.clone());
        let mut module = Module::read(&run, |_| {})?;
        let given = case.input.iter().cloned();
        run.input = given.map(GivenInput::Bytes).collect();
        let loaded = match before.filter(|_| case.continues) {
            Some(before) if module.command || before.loaded.command => {
                return Err(Failure::usage(
                    "a WASI command can't continue in an instance",
                ));
            }
            Some(before) if module.component != before.loaded.component => {
                return Err(Failure::usage(
                    "one case calls by the plugin's contract, and the other does not: they can't share an instance",
                ));
            }
            Some(before) => before.loaded.clone(),
            None => self.load(case, &run, &mut module, state)?,
        };
        let function = case.call.as_deref().unwrap_or(plugin::FUNCTION);
        let input = match module.command {
            true => None,
            false => Some(Input::new(
                &loaded.plugin,
                module.contract.as_ref(),
                function,
                &run,
                // The plugin's budget bounds it, which can be what the case tests.
                usize::MAX,
            )?),
        };
        Ok(Prepared {
            case,
            plugin: run.plugin,
            function: function.to_owned(),
            loaded,
            input,
        })
    }

    fn load(
        &mut self,
        case: &'a Case,
        run: &Run,
        module: &mut Module,
        state: Arc<MemoryState>,
    ) -> Result<Rc<Loaded>, Failure> {
        let call = case.call.as_deref();
        let mut all = self.loaded.iter();
        // A command has the input as its stdin.
        let known = all
            .find(|(setup, of, _)| !module.command && **setup == case.setup && *of == call)
            .map(|(_, _, loaded)| loaded.clone());
        if let Some(loaded) = known {
            return Ok(loaded);
        }
        let loaded = Rc::new(Loaded::new(run, module, state, self.observe)?);
        if !module.command {
            self.loaded.push((&case.setup, call, loaded.clone()));
        }
        Ok(loaded)
    }
}

impl Loaded {
    /// Loads the plugin with these options, of which `state` is the state.
    fn new(
        run: &Run,
        module: &mut Module,
        state: Arc<MemoryState>,
        observe: &Observe,
    ) -> Result<Self, Failure> {
        let option = observe.option();
        let observed = option.map(|option| Observed::new(run, module, option, true));
        let observed = observed.transpose()?;
        let log = Log::default();
        let sink = log.clone();
        let sink = move |record: &LogRecord<'_>| {
            if record.speaker == Speaker::Guest {
                let text = String::from_utf8_lossy(record.text.raw()).into_owned();
                lock(&sink).push((record.level, text));
            }
        };
        let mut granted = plugin::grants(run, module, sink)?;
        if let Some(observed) = &observed {
            granted = granted.map(|grants| grants.profile(observed.sink()));
        }
        let mut wasi = plugin::wasi(run, module)?;
        if module.command {
            let ([] | [_]) = *run.input else {
                return Err(Failure::usage(
                    "a WASI command takes one input, as its stdin: pass arguments with `args`",
                ));
            };
            let stdin = run.input.first().map_or(&[][..], GivenInput::bytes);
            let most = module.bounds.budget.output_bytes;
            wasi = wasi.stdin(stdin).stdout(WasiOutput::buffer(most));
        }
        let mut engine = run.engine(&module.bounds).with_platform(Std::new());
        if module.is_large() {
            engine = engine.with_lazy_translation();
        }
        Ok(Self {
            plugin: plugin::load(run, &engine, module, granted, wasi)?,
            command: module.command,
            component: module.component,
            log,
            state,
            observed,
        })
    }

    /// Begins to observe a call, or the making of an instance, if that is asked for.
    fn begin(&self) {
        if let Some(observed) = &self.observed {
            observed.begin();
        }
    }

    /// Sets the plugin's state to that of a case.
    fn set_state(&self, setup: &Setup) -> Result<(), Failure> {
        let name = self.plugin.name();
        for key in self.state().into_keys() {
            // Keys that the store has are not too long for it.
            let _ = self.state.delete(name, &key);
        }
        for (key, value) in &setup.state {
            let set = self.state.set(name, key.as_bytes(), value);
            set.map_err(|error| Failure::usage(format!("`state`: `{key}`: {error}")))?;
        }
        Ok(())
    }

    /// Returns the plugin's state.
    fn state(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let name = self.plugin.name();
        let mut keys = Vec::new();
        // A store in memory does not fail.
        let _ = self.state.list(name, b"", None, &mut |key| {
            keys.push(key.to_vec());
            true
        });
        let value = |key: &[u8]| self.state.get(name, key).ok().flatten();
        keys.into_iter()
            .filter_map(|key| Some((value(&key)?, key)))
            .map(|(value, key)| (key, value.to_vec()))
            .collect()
    }
}

impl Prepared<'_> {
    /// Runs the case: in `instance`, that of the case before, if it continues. Leaves its own there.
    pub(super) fn run(self, instance: &mut Option<Instance>) -> Result<Outcome, Failure> {
        let loaded = &*self.loaded;
        if !self.case.continues {
            *instance = None;
            loaded.set_state(&self.case.setup)?;
        }
        lock(&loaded.log).clear();
        loaded.begin();
        let made = match instance.take() {
            Some(instance) => Ok(instance),
            None => {
                let made = loaded.plugin.instantiate(());
                let start = made.as_ref().map(Instance::start_usage);
                Observed::end_of(loaded.observed.as_ref(), start.unwrap_or_default(), made).1
            }
        };
        let (usage, result) = match made {
            Err(error) => (Usage::default(), Err(error)),
            Ok(mut made) => {
                loaded.begin();
                let result = match self.input {
                    Some(input) => input
                        .call(&mut made, &self.function)
                        .map(|answer| (answer, 0)),
                    None => made
                        .run_command()
                        .map(|exit| (Answer::own(made.take_stdout()), exit)),
                };
                let usage = made.usage();
                *instance = Some(made);
                Observed::end_of(loaded.observed.as_ref(), usage, result)
            }
        };
        let mut outcome = Outcome {
            result,
            usage,
            log: lock(&loaded.log).clone(),
            state: loaded.state(),
            backtrace: Vec::new(),
            coverage: Coverage::default(),
        };
        if let Some(observed) = &loaded.observed {
            outcome.backtrace = observed.backtrace();
            outcome.coverage = observed.take_coverage(&self.plugin);
        }
        Ok(outcome)
    }
}

fn lock(log: &Log) -> std::sync::MutexGuard<'_, Vec<(LogLevel, String)>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
