//! Loads the plugin of `run`, `bench` and `snapshot`, with the grants that its options name.

use super::{
    abi, arguments::Run, directories, failure::Failure, grants::stubbed, http, limits::Bounds,
};
use hostel::{
    Convention, Engine, Extism, FileState, Grants, LogSink, ModuleInfo, Plugin, StateLimits, Wapc,
    Wasi, WasiOutput,
};
use std::{path::Path, sync::Arc, time::Duration};

/// The function that is called without --call.
pub(super) const FUNCTION: &str = "process";

/// The function that runs a WASI command.
pub(super) const COMMAND: &str = "_start";

/// The contents of a plugin's file, not loaded yet.
pub(super) struct Module {
    pub(super) wasm: Vec<u8>,
    /// Whether to run the plugin as a WASI command.
    pub(super) command: bool,
    pub(super) bounds: Bounds,
}

impl Module {
    /// Reads the plugin's file and finds out whether to run it as a WASI command, which has bounds of
    /// its own. `set` changes the bounds before the options do.
    pub(super) fn read(arguments: &Run, set: impl Fn(&mut Bounds)) -> Result<Self, Failure> {
        let [as_plugin, as_command] = [Bounds::plugin(), Bounds::command()].map(|mut bounds| {
            set(&mut bounds);
            arguments.set(&mut bounds);
            bounds
        });
        let path = &arguments.plugin;
        let [plugin, command] = [as_plugin, as_command].map(|bounds| bounds.limits.module_bytes);
        let wasm = hostel::read_module(path, plugin.max(command))?;
        let command = match arguments.call.as_deref() {
            _ if arguments.abi.is_some_and(|abi| abi != Convention::Native) => false,
            Some(name) if name != COMMAND => false,
            call => {
                // A module that exceeds the larger limits can't be loaded as either.
                let module = ModuleInfo::read_within(&wasm, &as_command.limits.module);
                let module = module.map_err(|error| Failure::load(path, &error))?;
                match call {
                    // A plugin of another convention may have a function of this name.
                    Some(_) => Convention::of(&module) == Convention::Native,
                    None => is_command(&module),
                }
            }
        };
        if command && !arguments.input.is_empty() {
            return Err(Failure::usage("a WASI command takes no INPUT")
                .with_hint("pass arguments with --arg TEXT, and stdin with < FILE"));
        }
        Ok(Self {
            wasm,
            command,
            bounds: if command { as_command } else { as_plugin },
        })
    }
}

/// Returns whether a module is a WASI command and has no `process`.
pub(super) fn is_command(module: &ModuleInfo) -> bool {
    abi::signature(module, COMMAND).is_some()
        && abi::signature(module, FUNCTION).is_none()
        && Convention::of(module) == Convention::Native
}

/// Time for which a file that another process has open is waited for.
pub(super) const STATE_WAIT: Duration = Duration::from_secs(2);

/// Grants the log, the settings of --config, the state of --state, and the other conventions, with the
/// answers of --callback and HTTP.
pub(super) fn grants(
    arguments: &Run,
    module: &Module,
    log: impl LogSink,
) -> Result<Grants, Failure> {
    let settings = || arguments.config.iter().cloned();
    let mut grants = Grants::new().log(log).config(settings()).typst();
    let http = http::client(arguments)?;
    let mut extism = Extism::new().config(settings()).http(http);
    if let Some(file) = &arguments.state {
        let store = FileState::open_within(file, StateLimits::server(), STATE_WAIT)?;
        let store = Arc::new(store);
        extism = extism.variables(store.clone());
        grants = grants.state(store);
    }
    if let Some(convention) = arguments.abi {
        grants = grants.with_convention(convention);
    }
    let wapc = match arguments.callback.clone() {
        Some(callback) => {
            // A module that can't be read is refused when it is loaded.
            let limits = &module.bounds.limits.module;
            if let Ok(info) = ModuleInfo::read_within(&module.wasm, limits) {
                extism = callback.grant(&info, extism);
            }
            Wapc::new().callback(move |request| callback.answer(request))
        }
        None => Wapc::new(),
    };
    Ok(stubbed(grants.extism(extism).wapc(wapc), &arguments.stub))
}

/// Returns WASI with the arguments, environment and directories, and with its output in the log.
pub(super) fn wasi(arguments: &Run, bounds: &Bounds) -> Result<Wasi, Failure> {
    let name = arguments.plugin.file_name().unwrap_or_default();
    let wasi = hostel::wasi()
        .args([name.to_string_lossy()])
        .args(&arguments.arg)
        .env(arguments.env.iter().map(|(key, value)| (key, value)))
        .stdout(WasiOutput::log())
        .stderr(WasiOutput::log())
        .file_limits(bounds.files);
    directories::grant(wasi, &arguments.dir)
}

/// Loads `wasm`, the contents of the file `path`, under the file's name.
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
