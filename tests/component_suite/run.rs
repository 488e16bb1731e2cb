//! Runs one script.

use crate::values::{same, value};
use hostel::{
    CallError, Context, Engine, Grants, Instance, Limits, LoadError, Mismatch, Plugin, Trap,
    component::{Borrow, Interface, Own, Value},
};
use std::{
    collections::HashMap,
    fmt::Display,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};
use wast::{
    QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat,
    lexer::Lexer,
    parser::{self, ParseBuffer},
};

/// What a script came to.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Assertions, of which the first number passed.
    pub(crate) assertions: (usize, usize),
    /// Components that are defined or instantiated without an assertion.
    pub(crate) components: (usize, usize),
    pub(crate) failures: Vec<String>,
}

impl Outcome {
    /// Adds what the script `file` came to.
    pub(crate) fn add(&mut self, other: Self, file: &Path) {
        for (own, more) in [
            (&mut self.assertions, other.assertions),
            (&mut self.components, other.components),
        ] {
            own.0 += more.0;
            own.1 += more.1;
        }
        let failures = other.failures.iter();
        self.failures
            .extend(failures.map(|failure| format!("{}:{failure}", file.display())));
    }
}

/// Runs a script, and counts each of its directives that asserts, defines or instantiates something.
pub(crate) fn run(text: &str) -> Outcome {
    let mut lexer = Lexer::new(text);
    // Characters that look like others are tests of names here.
    lexer.allow_confusing_unicode(true);
    let failed = |error: wast::Error| Outcome {
        components: (0, 1),
        failures: vec![format!("1: not parsed: {}", error.message())],
        ..Outcome::default()
    };
    let buffer = match ParseBuffer::new_with_lexer(lexer) {
        Ok(buffer) => buffer,
        Err(error) => return failed(error),
    };
    let script = match parser::parse::<Wast<'_>>(&buffer) {
        Ok(script) => script,
        Err(error) => return failed(error),
    };
    let mut scene = Scene::new();
    let mut outcome = Outcome::default();
    for directive in script.directives {
        let line = directive.span().linecol_in(text).0 + 1;
        let asserts = !matches!(
            directive,
            WastDirective::Module(_)
                | WastDirective::ModuleDefinition(_)
                | WastDirective::ModuleInstance { .. }
        );
        let played = scene.play(directive);
        let count = if asserts {
            &mut outcome.assertions
        } else {
            &mut outcome.components
        };
        count.1 += 1;
        match played {
            Ok(()) => count.0 += 1,
            Err(why) => outcome.failures.push(format!("{line}: {why}")),
        }
    }
    outcome
}

/// The components and instances of a script.
struct Scene {
    engine: Engine,
    grants: Grants,
    plugins: HashMap<String, Plugin>,
    last_plugin: Option<Plugin>,
    instances: HashMap<String, Instance<()>>,
    last: Option<Instance<()>>,
    /// The name of the last instance, if it has one: it is in `instances` then.
    last_name: Option<String>,
}

impl Scene {
    fn new() -> Self {
        Self {
            engine: hostel::engine().with_limits(limits()),
            grants: grants(),
            plugins: HashMap::new(),
            last_plugin: None,
            instances: HashMap::new(),
            last: None,
            last_name: None,
        }
    }

    /// Does what a directive says. Fails with the reason if that does not come out as it says.
    fn play(&mut self, directive: WastDirective<'_>) -> Result<(), String> {
        match directive {
            WastDirective::Module(mut wat) => {
                let name = name_of(&wat);
                self.forget(name.as_deref());
                if let Some(plugin) = self.define(&mut wat)? {
                    let made = plugin.instantiate(());
                    self.keep(
                        name,
                        made.map_err(|error| shown("not instantiated", &error))?,
                    );
                }
                Ok(())
            }
            WastDirective::ModuleDefinition(mut wat) => {
                self.define(&mut wat)?;
                Ok(())
            }
            WastDirective::ModuleInstance {
                instance, module, ..
            } => {
                let plugin = match &module {
                    Some(module) => self.plugins.get(module.name()),
                    None => self.last_plugin.as_ref(),
                };
                let plugin = plugin.ok_or("instantiates a component that was not loaded")?;
                let made = plugin
                    .instantiate(())
                    .map_err(|error| shown("not instantiated", &error))?;
                self.keep(instance.map(|name| name.name().into()), made);
                Ok(())
            }
            WastDirective::AssertMalformed {
                mut module,
                message,
                ..
            }
            | WastDirective::AssertInvalid {
                mut module,
                message,
                ..
            } => match self.load(&mut module) {
                // Text may have no binary form: then it is malformed already.
                Err(_) => Ok(()),
                Ok(Err(LoadError::Mismatch(_)) | Ok(_)) => {
                    Err(format!("is valid, expected the error: {message}"))
                }
                Ok(Err(_)) => Ok(()),
            },
            WastDirective::AssertUnlinkable {
                module, message, ..
            } => match self.load(&mut QuoteWat::Wat(module))? {
                Ok(plugin) if plugin.instantiate(()).is_ok() => {
                    Err(format!("was instantiated, expected the error: {message}"))
                }
                _ => Ok(()),
            },
            WastDirective::Invoke(invoke) => match self.invoke(&invoke)? {
                Ok(_) => Ok(()),
                Err(error) => Err(shown(invoke.name, &error)),
            },
            WastDirective::AssertReturn { exec, results, .. } => self.returns(exec, &results),
            WastDirective::AssertTrap { exec, message, .. } => self.traps(exec, message),
            _ => Err("a directive that is not run here".into()),
        }
    }

    /// Loads a component, and keeps it. Returns `None` if it is valid but needs host functions that the scripts'
    /// own host has not: scripts of validation are full of these.
    fn define(&mut self, wat: &mut QuoteWat<'_>) -> Result<Option<Plugin>, String> {
        self.last_plugin = None;
        let name = name_of(wat);
        if let Some(name) = &name {
            self.plugins.remove(name);
        }
        let plugin = match self.load(wat)? {
            Ok(plugin) => plugin,
            Err(LoadError::Mismatch(lacks)) if lacks.iter().all(is_import) => return Ok(None),
            Err(error) => return Err(shown("not loaded", &error)),
        };
        if let Some(name) = name {
            self.plugins.insert(name, plugin.clone());
        }
        self.last_plugin = Some(plugin.clone());
        Ok(Some(plugin))
    }

    /// Forgets the last instance, and that of this name, so that no later call takes it for one that could not
    /// be made.
    fn forget(&mut self, name: Option<&str>) {
        self.last = None;
        self.last_name = None;
        if let Some(name) = name {
            self.instances.remove(name);
        }
    }

    /// Keeps an instance as the last one, and by its name if it has one.
    fn keep(&mut self, name: Option<String>, instance: Instance<()>) {
        match &name {
            Some(name) => {
                self.instances.insert(name.clone(), instance);
            }
            None => self.last = Some(instance),
        }
        self.last_name = name;
    }

    /// Loads a component. Fails if the script's text can't be encoded.
    fn load(&self, wat: &mut QuoteWat<'_>) -> Result<Result<Plugin, LoadError>, String> {
        let wasm = wat.encode();
        let wasm = wasm.map_err(|error| format!("not encoded: {}", error.message()))?;
        Ok(self.engine.load_component("test", &wasm, &self.grants))
    }

    /// Calls an export. Fails if there is no such instance, or if hostel has no such values.
    fn invoke(
        &mut self,
        invoke: &WastInvoke<'_>,
    ) -> Result<Result<Option<Value>, CallError>, String> {
        let name = invoke.module.map(|name| name.name().to_owned());
        let instance = match name.as_ref().or(self.last_name.as_ref()) {
            Some(name) => self.instances.get_mut(name),
            None => self.last.as_mut(),
        };
        let instance = instance.ok_or("calls an instance that was not made")?;
        let args = invoke.args.iter().map(|arg| match arg {
            WastArg::Component(arg) => value(arg),
            _ => None,
        });
        let args: Option<Vec<_>> = args.collect();
        let args = args.ok_or("arguments of types that hostel does not have")?;
        Ok(instance.call_component_values(invoke.name, &args))
    }

    fn returns(&mut self, exec: WastExecute<'_>, results: &[WastRet<'_>]) -> Result<(), String> {
        let WastExecute::Invoke(invoke) = exec else {
            return Err("not a call".into());
        };
        let found = self
            .invoke(&invoke)?
            .map_err(|error| shown(invoke.name, &error))?;
        let expected = match results {
            [] => None,
            [WastRet::Component(expected)] => {
                Some(value(expected).ok_or("a result of a type that hostel does not have")?)
            }
            _ => return Err("results that are not a component's".into()),
        };
        match (&expected, &found) {
            (None, None) => Ok(()),
            (Some(expected), Some(found)) if same(expected, found) => Ok(()),
            _ => Err(format!(
                "`{}` returned {found:?}, expected {expected:?}",
                invoke.name
            )),
        }
    }

    fn traps(&mut self, exec: WastExecute<'_>, message: &str) -> Result<(), String> {
        let ended = match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke)?.map(drop),
            WastExecute::Wat(wat) => {
                let plugin = self.load(&mut QuoteWat::Wat(wat))?;
                let plugin = plugin.map_err(|error| shown("not loaded", &error))?;
                plugin.instantiate(()).map(drop)
            }
            WastExecute::Get { .. } => return Err("not a call".into()),
        };
        match ended {
            Ok(()) => Err(format!("returned, expected the trap: {message}")),
            Err(error) if error.stops() => Ok(()),
            Err(error) => Err(shown("expected a trap, found", &error)),
        }
    }
}

/// Returns an error in one line.
fn shown(what: &str, error: &dyn Display) -> String {
    format!("{what}: {error}").replace('\n', " ")
}

/// Returns the name that a script gives to a component.
fn name_of(wat: &QuoteWat<'_>) -> Option<String> {
    let id = match wat {
        QuoteWat::Wat(Wat::Component(component)) => component.id,
        QuoteWat::Wat(Wat::Module(module)) => module.id,
        _ => return None,
    };
    id.map(|id| id.name().into())
}

/// Returns the host functions that the scripts of Wasmtime import.
fn grants() -> Grants {
    let drops = Arc::new(AtomicU32::new(0));
    let last = Arc::new(AtomicU32::new(0));
    let (count, number) = (drops.clone(), last.clone());
    let host = Interface::new("host")
        .function("return-three", || 3u32)
        .function("return-hi", || "hi")
        .function("nested.return-four", || 4u32)
        .resource(
            "resource1",
            move |_: &mut Context<'_, ()>, own: Own<One>| {
                count.fetch_add(1, Relaxed);
                number.store(own.number(), Relaxed);
                Ok(())
            },
        )
        .resource("resource2", |_: &mut Context<'_, ()>, _: Own<Two>| Ok(()))
        .resource("resource1-again", |_: &mut Context<'_, ()>, _: Own<One>| {
            Err(Trap::host("is not dropped here"))
        })
        .function("[constructor]resource1", Own::<One>::new)
        .function("[static]resource1.assert", |own: Own<One>, number: u32| {
            equal(own.number(), number)
        })
        .function("[static]resource1.last-drop", move || last.load(Relaxed))
        .function("[static]resource1.drops", move || drops.load(Relaxed))
        .function(
            "[method]resource1.simple",
            |one: Borrow<One>, number: u32| equal(one.number(), number),
        )
        .function(
            "[method]resource1.take-borrow",
            |_: Borrow<One>, _: Borrow<One>| (),
        )
        .function(
            "[method]resource1.take-own",
            |_: Borrow<One>, _: Own<One>| (),
        );
    Grants::new().interface(host).interface(
        Interface::root()
            .function("host-echo-u32", |value: u32| value)
            .function("host-return-two", || 2u32),
    )
}

/// Resources of the host in Wasmtime's scripts.
struct One;
struct Two;

/// Stops the guest if its resource has another number than it says.
fn equal(found: u32, expected: u32) -> Result<(), Trap> {
    if found == expected {
        return Ok(());
    }
    Err(Trap::host(format!(
        "expected the resource {expected}, found {found}"
    )))
}

/// Returns whether an import is all that is amiss: valid components lack those.
fn is_import(mismatch: &Mismatch) -> bool {
    matches!(
        mismatch,
        Mismatch::UnknownImport { .. } | Mismatch::ImportType { .. }
    )
}

/// Returns limits with room for scripts about long strings.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.memory_bytes = 8 << 30;
    limits
}
