//! Loads the plugin of `run`, `bench` and `snapshot`, with the grants that its options name.

use super::{
    abi::{self, Calling},
    answer,
    arguments::Run,
    callback::{self, GivenCallback},
    directories,
    failure::Failure,
    grants::stubbed,
    http,
    limits::Bounds,
    typed::TypedCall,
};
use hostel::{
    Convention, Engine, Extism, FileState, Grants, HttpClient, Limits, LogSink, Manifest,
    ManifestGrants, ModuleInfo, Plugin, StateLimits, StateStore, Wapc, Wasi, WasiOutput,
    component::{has_contract, is_component},
    is_manifest,
};
use hostel_contract::{CallTextError, Contract, exports};
use std::{borrow::Cow, path::Path, sync::Arc, time::Duration};

/// The function that is called without --call.
pub(super) const FUNCTION: &str = "process";

/// The function that runs a WASI command.
pub(super) const COMMAND: &str = "_start";

/// The contents of a plugin's file.
pub(super) enum Contents {
    Module(Vec<u8>),
    Manifest(Box<Manifest>),
}

impl Contents {
    /// Reads a module, or a manifest, within `limits`.
    pub(super) fn read(path: &Path, limits: &Limits) -> Result<Self, Failure> {
        let manifest = |manifest| Self::Manifest(Box::new(manifest));
        // A manifest may have more bytes than a module.
        if is_manifest(path, b"") {
            return Ok(manifest(Manifest::read(path, limits)?));
        }
        let contents = hostel::read_module(path, limits.module_bytes)?;
        Ok(match is_manifest(path, &contents) {
            true => manifest(Manifest::from_bytes(contents, path)?),
            false => Self::Module(contents),
        })
    }
}

/// A plugin that is not loaded yet.
pub(super) struct Module {
    pub(super) contents: Contents,
    /// Whether to run the plugin as a WASI command: a module with `_start`, or a component, if no function is
    /// named.
    pub(super) command: bool,
    /// Whether it is loaded as a component.
    pub(super) component: bool,
    /// The contract by which it is called, or its imports are answered.
    pub(super) contract: Option<Contract>,
    pub(super) bounds: Bounds,
}

impl Module {
    /// Reads the plugin's file and finds out whether to run it as a WASI command, which has bounds of
    /// its own. `set` changes the bounds before the options do.
    pub(super) fn read(arguments: &Run, set: impl Fn(&mut Bounds)) -> Result<Self, Failure> {
        let all = [Bounds::plugin(), Bounds::component(), Bounds::command()];
        let [as_plugin, as_component, as_command] = all.map(|mut bounds| {
            set(&mut bounds);
            arguments.set(&mut bounds);
            bounds
        });
        let path = &arguments.plugin;
        let [plugin, command] = [as_plugin.limits, as_command.limits];
        let largest = match plugin.module_bytes < command.module_bytes {
            true => command,
            false => plugin,
        };
        let contents = Contents::read(path, &largest)?;
        let wasm = match &contents {
            Contents::Module(wasm) => wasm,
            Contents::Manifest(manifest) => {
                let mut bounds = as_plugin;
                bounds.limits = manifest.narrowed_limits(&bounds.limits);
                bounds.budget = manifest.narrowed_budget(&bounds.budget);
                return Ok(Self {
                    contents,
                    command: false,
                    component: false,
                    contract: None,
                    bounds,
                });
            }
        };
        let mut component = is_component(wasm);
        let command = match arguments.call.as_deref() {
            call if component => call.is_none() && !exports(wasm, |name| name == FUNCTION),
            Some(call) if has_arguments(call) => false,
            _ if arguments.abi.is_some_and(|abi| abi != Convention::Native) => false,
            Some(name) if name != COMMAND => false,
            call => {
                // A module that exceeds the larger limits can't be loaded as either.
                let module = ModuleInfo::read_within(wasm, &as_command.limits.module);
                let module = module.map_err(|error| Failure::load(path, &error))?;
                match call {
                    // A plugin of another convention may have a function of this name.
                    Some(_) => Convention::of(&module) == Convention::Native,
                    None => {
                        component = has_contract(wasm) && is_unwrapped_command(&module);
                        component || is_command(&module)
                    }
                }
            }
        };
        if command && component && !is_command_component(wasm) {
            refuse_without_function(wasm)?;
        }
        if command && !arguments.input.is_empty() {
            return Err(Failure::usage("a WASI command takes no INPUT")
                .with_hint("pass arguments with --arg TEXT, and stdin with < FILE"));
        }
        let contract = match component {
            true if command && !arguments.answers_functions() => None,
            true => Some(read_contract(path, wasm)?),
            false if command => None,
            false => contract_of_module(arguments, wasm)?,
        };
        Ok(Self {
            component: component || contract.is_some(),
            contract,
            contents,
            command,
            bounds: match command {
                true => as_command,
                false if component => as_component,
                false => as_plugin,
            },
        })
    }

    /// Returns whether it is a component that is so large that translating all of it takes longer than a call.
    pub(super) fn is_large(&self) -> bool {
        match &self.contents {
            Contents::Module(wasm) => self.component && wasm.len() > LARGE,
            Contents::Manifest(_) => false,
        }
    }

    /// Returns what its modules declare. One that can't be read is left out: it is refused when it is loaded.
    fn infos(&self, arguments: &Run) -> Vec<ModuleInfo> {
        let limits = &self.bounds.limits;
        let read = |wasm: &[u8]| ModuleInfo::read_within(wasm, &limits.module).ok();
        match &self.contents {
            Contents::Module(wasm) => read(wasm).into_iter().collect(),
            Contents::Manifest(manifest) => {
                let modules = manifest
                    .read_modules(limits.module_bytes, &permitted(arguments))
                    .unwrap_or_default();
                modules.iter().filter_map(|(_, wasm)| read(wasm)).collect()
            }
        }
    }
}

/// Returns whether a component is a WASI command and has no `process`.
pub(super) fn is_command_component(wasm: &[u8]) -> bool {
    let is_run = |name: &str| name.split('@').next() == Some("wasi:cli/run");
    if !is_component(wasm) {
        return ModuleInfo::read(wasm).is_ok_and(|module| is_unwrapped_command(&module));
    }
    exports(wasm, is_run) && !exports(wasm, |name| name == FUNCTION)
}

/// Returns whether a core module with a contract is a WASI command and has no `process`.
fn is_unwrapped_command(module: &ModuleInfo) -> bool {
    let mut exports = module.exports.iter().map(|export| &*export.name);
    let runs = |name: &str| {
        name.strip_suffix("#run")
            .and_then(|name| name.split('@').next())
            == Some("wasi:cli/run")
    };
    exports.any(runs) && abi::signature(module, FUNCTION).is_none()
}

/// Returns whether `inspect` and `probe` load a plugin as a component: if it is one, or a core module with a contract that
/// is no command of WASI preview 1.
pub(super) fn is_loaded_as_component(wasm: &[u8]) -> bool {
    let is_old_command = || ModuleInfo::read(wasm).is_ok_and(|module| is_command(&module));
    is_component(wasm) || (has_contract(wasm) && !is_old_command())
}

/// Size of a component, in bytes, above which `run` translates functions when they are first called.
pub(super) const LARGE: usize = 512 << 10;

/// Returns whether --call has the arguments of a function with a contract.
pub(super) fn has_arguments(call: &str) -> bool {
    call.contains('(')
}

/// Refuses a component that is no WASI command, and has other functions than the one that is called without --call.
fn refuse_without_function(wasm: &[u8]) -> Result<(), Failure> {
    let call = format!("{FUNCTION}()");
    let read = Contract::read(wasm).map(|contract| contract.parse_call(&call));
    let Ok(Err(error)) = read else {
        return Ok(());
    };
    let failure = Failure::call_text(&call, &error);
    match &error {
        CallTextError::Unknown { exported, .. } if !exported.is_empty() => {
            let name = &exported[0];
            Err(failure.with_hint(format!("name one with its values: --call '{name}(VALUES)'")))
        }
        _ => Ok(()),
    }
}

fn read_contract(path: &Path, wasm: &[u8]) -> Result<Contract, Failure> {
    Contract::read(wasm).map_err(|error| Failure::contract(path, &error))
}

/// Returns the contract of a core module that is called by it: if the call has arguments, or an interface's name, or if
/// the function takes bytes by the contract and can't by hostel's own convention.
fn contract_of_module(arguments: &Run, wasm: &[u8]) -> Result<Option<Contract>, Failure> {
    let call = arguments.call.as_deref().unwrap_or(FUNCTION);
    let path = &arguments.plugin;
    if has_arguments(call) || call.contains('#') {
        return read_contract(path, wasm).map(Some);
    }
    if arguments.abi.is_some() || arguments.numbers {
        return Ok(None);
    }
    let Ok(contract) = Contract::read(wasm) else {
        return Ok(None);
    };
    let has_it = TypedCall::bare(&contract, call, Some(Vec::new())).is_ok();
    let native = ModuleInfo::read(wasm).is_ok_and(|module| {
        abi::signature(&module, call)
            .is_some_and(|ty| abi::calling(&module, ty) == Some(Calling::Bytes))
    });
    Ok((has_it && !native).then_some(contract))
}

/// Returns whether a module is a WASI command and has no `process`.
pub(super) fn is_command(module: &ModuleInfo) -> bool {
    abi::signature(module, COMMAND).is_some()
        && abi::signature(module, FUNCTION).is_none()
        && Convention::of(module) == Convention::Native
}

/// Time for which a file that another process has open is waited for.
pub(super) const STATE_WAIT: Duration = Duration::from_secs(2);

/// The grants of a plugin, but for WASI.
pub(super) struct Granted {
    grants: Grants,
    extism: Extism,
    http: Arc<dyn HttpClient>,
}

impl Granted {
    /// Changes the grants.
    pub(super) fn map(mut self, change: impl FnOnce(Grants) -> Grants) -> Self {
        self.grants = change(self.grants);
        self
    }

    /// Returns the grants of a plugin of one module.
    pub(super) fn with(self, wasi: Wasi) -> Grants {
        self.grants.extism(self.extism).wasi(wasi.http(self.http))
    }
}

/// Grants the log, the settings of --config, the state of --state, and the other conventions, with the
/// answers of --callback and HTTP.
pub(super) fn grants(
    arguments: &Run,
    module: &Module,
    log: impl LogSink,
) -> Result<Granted, Failure> {
    if module.component {
        let what = match &module.contents {
            Contents::Module(wasm) if is_component(wasm) => "a component",
            _ => "a module that is called by its contract",
        };
        arguments.refuse_of_component(what)?;
    }
    let settings = || arguments.config.iter().cloned();
    let http = http::client(arguments)?;
    let mut grants = Grants::new().log(log).config(settings()).typst();
    grants = grants.http(http.clone());
    let mut extism = Extism::new().config(settings()).http(http.clone());
    let store: Option<Arc<dyn StateStore>> = match (&arguments.memory_state, &arguments.state) {
        (Some(store), _) => Some(store.clone()),
        (None, Some(file)) => {
            let store = FileState::open_within(file, StateLimits::server(), STATE_WAIT)?;
            Some(Arc::new(store))
        }
        (None, None) => None,
    };
    if let Some(store) = store {
        extism = extism.variables(store.clone());
        grants = grants.state(store);
    }
    if let Some(convention) = arguments.abi {
        grants = grants.with_convention(convention);
    }
    grants = callback::answer_functions(grants, module.contract.as_ref(), &arguments.callback)?;
    let general = callback::general(&arguments.callback)?;
    let infos = match arguments.callback.is_empty() {
        true => Vec::new(),
        false => module.infos(arguments),
    };
    let is_import = |given: &GivenCallback| matches!(given, GivenCallback::Import(_));
    let no_import_fits = infos.is_empty() && arguments.callback.iter().any(is_import);
    if module.component && (general.is_some() || no_import_fits) {
        return Err(
            Failure::usage("of a component, --callback answers one function each")
                .with_hint("write --callback 'INTERFACE#FUNCTION=VALUE'"),
        );
    }
    let wapc = match general {
        Some(given) => {
            let callback = given.read(module.bounds.budget.bytes_to_guest)?;
            for info in &infos {
                extism = callback.grant(info, extism);
            }
            Wapc::new().callback(move |request| callback.answer(request))
        }
        None => Wapc::new(),
    };
    // Without any, the plugin can't be read, and is refused when it is loaded.
    if !infos.is_empty() {
        (grants, extism) = answer::grant(&arguments.callback, &infos, grants, extism)?;
    }
    let grants = stubbed(grants.wapc(wapc), &arguments.stub);
    Ok(Granted {
        grants,
        extism,
        http,
    })
}

/// Returns WASI with the arguments, environment and directories, and with its output in the log. To the plugin of a
/// manifest, --dir grants the directories to which it gives a name, and permits the manifest to name others.
pub(super) fn wasi(arguments: &Run, module: &Module) -> Result<Wasi, Failure> {
    let name = arguments.plugin.file_name().unwrap_or_default();
    let wasi = hostel::wasi()
        .args([name.to_string_lossy()])
        .args(&arguments.arg)
        .env(arguments.env.iter().map(|(key, value)| (key, value)))
        .stdout(WasiOutput::log())
        .stderr(WasiOutput::log())
        .file_limits(module.bounds.files);
    let named = matches!(module.contents, Contents::Manifest(_));
    // Those that are not granted too, so that a misspelt one is not silently without effect.
    for given in arguments.dir.iter().filter(|_| named) {
        given.open()?;
    }
    let given = arguments
        .dir
        .iter()
        .filter(|given| !named || given.is_named());
    directories::grant(wasi, given)
}

/// Loads a plugin, under its file's name.
pub(super) fn load(
    arguments: &Run,
    engine: &Engine,
    module: &Module,
    granted: Granted,
    wasi: Wasi,
) -> Result<Plugin, Failure> {
    let path = &arguments.plugin;
    let manifest = match &module.contents {
        Contents::Module(wasm) => {
            return load_module(path, engine, wasm, &granted.with(wasi), module.component);
        }
        Contents::Manifest(manifest) => manifest,
    };
    if manifest.module_names().count() > 1 {
        arguments.refuse_trace_of_several()?;
    }
    let permitted = permitted(arguments).extism(granted.extism).wasi(wasi);
    let plugin = manifest.load(engine, &name(path), granted.grants, permitted);
    Ok(plugin?)
}

/// Returns the directories that the options permit a manifest.
fn permitted(arguments: &Run) -> ManifestGrants {
    let permitted = match arguments.trust_manifest {
        true => ManifestGrants::new().all_directories(),
        false => ManifestGrants::new(),
    };
    let given = arguments.dir.iter();
    given.fold(permitted, |permitted, given| {
        permitted.directory(given.host(), given.access())
    })
}

/// Loads `wasm`, the contents of the file `path`, under the file's name, as a module or as a component.
pub(super) fn load_module(
    path: &Path,
    engine: &Engine,
    wasm: &[u8],
    grants: &Grants,
    component: bool,
) -> Result<Plugin, Failure> {
    let plugin = match component {
        true => engine.load_component(&name(path), wasm, grants),
        false => engine.load(&name(path), wasm, grants),
    };
    plugin.map_err(|error| Failure::load(path, &error))
}

/// Returns the name of the plugin in a file.
fn name(path: &Path) -> Cow<'_, str> {
    path.file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
}
