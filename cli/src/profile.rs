//! `hostel profile`: shows which functions of a plugin use the fuel of a call.

use super::{
    arguments::Profile,
    exit::Exit,
    failure::Failure,
    input::Input,
    log, output,
    plugin::{self, Contents, Module},
};
use hostel::{Instance, ModuleInfo, Plugin, Std, Tracing, WasiStdio};
use hostel_contract::is_component;
use hostel_profile::{Profiled, draw};
use std::{fs, path::Path, sync::Arc};

pub(super) fn profile(arguments: &Profile) -> Result<Exit, Failure> {
    let to = match &arguments.output {
        Some(path) => Some((Format::of(path)?, path)),
        None => None,
    };
    let run = &arguments.run;
    log::show();
    run.refuse_trace("profile")?;
    let module = Module::read(run, |_| {})?;
    let wasm = match &module.contents {
        Contents::Module(wasm) if !module.component => wasm,
        Contents::Module(wasm) if is_component(wasm) => {
            return Err(unsupported("a component", WHOLE_CALL));
        }
        Contents::Module(_) => {
            return Err(unsupported("a call by a contract in WIT", WHOLE_CALL));
        }
        Contents::Manifest(_) => {
            return Err(unsupported("a manifest", "name one of its .wasm files"));
        }
    };
    let counted = hostel_profile::Profile::new(&module.bounds.budget);
    let mut bounds = module.bounds;
    bounds.budget = *counted.budget();
    let info = ModuleInfo::read_within(wasm, &bounds.limits.module);
    let info = info.map_err(|error| Failure::load(&run.plugin, &error))?;
    let profiled = Profiled::new(wasm, &info)
        .ok_or_else(|| unsupported("this module: it can't be written anew", WHOLE_CALL))?;

    let platform = Arc::new(Std::new());
    let stdio = WasiStdio::new(platform.clone());
    let mut wasi = plugin::wasi(run, &module)?;
    if module.command {
        wasi = stdio.inherit(wasi);
        bounds.budget.output_bytes = usize::MAX;
    }
    let mut grants = counted.grant(plugin::grants(run, &module, Tracing)?.with(wasi));
    if arguments.trace {
        // The events of the profile are calls of a host function too.
        grants = grants.trace_host_calls(|line| {
            if !line.starts_with("hostel-profile.") {
                output::note(line);
            }
        });
    }
    let engine = run.engine(&bounds).with_platform(platform);
    let plugin = plugin::load_module(&run.plugin, &engine, &profiled.wasm, &grants, false)?;
    let call = Call::new(arguments, &plugin, &module)?;
    let mut instance = plugin.instantiate(()).map_err(Failure::from)?;
    // Only the call counts, not what made the instance.
    counted.begin();
    let answer = call.run(&mut instance);
    counted.finish(instance.usage().fuel);
    if let Some((format, path)) = to {
        let text = format.text(&run.plugin, &counted, &profiled);
        fs::write(path, text).map_err(|error| Failure::unwritable(path, &error))?;
    }
    if module.command {
        stdio.flush(None).map_err(|error| Failure::output(&error))?;
    }
    let (answer, exit) = answer.map_err(Failure::from)?;
    Ok(output::answer(&answer)?.or(exit))
}

/// What else tells the fuel of a call.
const WHOLE_CALL: &str = "core modules can be profiled, called with bytes or numbers; `hostel run --json` tells the fuel of other calls as a whole";

/// Refuses a plugin that is not of the kind that can be profiled.
fn unsupported(what: &str, hint: &str) -> Failure {
    let message = format!("`hostel profile` can't profile {what}");
    Failure::new(Exit::Load, "unsupported", message).with_hint(hint)
}

/// The call that is profiled.
enum Call {
    Function(String, Input),
    Command,
}

impl Call {
    fn new(arguments: &Profile, plugin: &Plugin, module: &Module) -> Result<Self, Failure> {
        if module.command {
            return Ok(Self::Command);
        }
        let run = &arguments.run;
        let name = run.call.as_deref().unwrap_or(plugin::FUNCTION);
        let limit = module.bounds.budget.input_bytes;
        let input = Input::new(plugin, module.contract.as_ref(), name, run, limit)?;
        Ok(Self::Function(name.to_owned(), input))
    }

    /// Makes the call. Returns its output, and of a command the exit.
    fn run(self, instance: &mut Instance) -> Result<(Vec<u8>, Exit), hostel::CallError> {
        match self {
            Self::Command => Ok((Vec::new(), Exit::from(instance.run_command()?))),
            Self::Function(name, input) => Ok((input.call(instance, &name)?.bytes, Exit::Ok)),
        }
    }
}

/// What is written.
enum Format {
    Svg,
    Folded,
}

impl Format {
    /// Returns the format that a file's name ends with.
    fn of(path: &Path) -> Result<Self, Failure> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("svg") => Ok(Self::Svg),
            Some("folded") => Ok(Self::Folded),
            _ => Err(Failure::usage(format!(
                "expected a file that ends with .svg or .folded, found {}",
                path.display()
            ))),
        }
    }

    fn text(
        &self,
        plugin: &Path,
        counted: &hostel_profile::Profile,
        profiled: &Profiled,
    ) -> String {
        match self {
            Self::Folded => counted.folded(profiled),
            Self::Svg => {
                let title = format!("{}: {} fuel", plugin.display(), counted.fuel());
                draw(&title, &counted.frames(profiled))
            }
        }
    }
}
