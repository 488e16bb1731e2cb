//! `hostel profile`: shows which functions of a plugin use the fuel of a call.

use super::{
    arguments::Profile,
    exit::Exit,
    failure::Failure,
    input::Input,
    log,
    observe::Observed,
    output,
    plugin::{self, Module},
};
use hostel::{Instance, Plugin, Std, Tracing, WasiStdio};
use hostel_profile::{Profiled, draw};
use std::{fs, path::Path, sync::Arc};

pub(super) fn profile(arguments: &Profile) -> Result<Exit, Failure> {
    let to = match &arguments.output {
        Some(path) => Some((Format::of(path)?, path)),
        None => None,
    };
    if let Some((_, path)) = &to {
        output::check_file(path)?;
    }
    let run = &arguments.run;
    log::show();
    run.refuse_trace("profile")?;
    run.refuse_json("profile")?;
    let mut module = Module::read(run, |_| {})?;
    let observed = Observed::new(run, &mut module, "`hostel profile`", false)?;
    let mut bounds = module.bounds;
    let platform = Arc::new(Std::new());
    let stdio = WasiStdio::new(platform.clone());
    let mut wasi = plugin::wasi(run, &module)?;
    if module.command {
        wasi = stdio.inherit(wasi);
        bounds.budget.output_bytes = usize::MAX;
    }
    let mut granted = plugin::grants(run, &module, Tracing)?;
    granted = granted.map(|grants| grants.profile(observed.sink()));
    if arguments.trace {
        // The events of the profile are calls of a host function too.
        let told = |line: &str| {
            if !line.starts_with("hostel-profile.") {
                output::note(line);
            }
        };
        granted = granted.map(|grants| grants.trace_host_calls(told));
    }
    let engine = run.engine(&bounds).with_platform(platform);
    let plugin = plugin::load(run, &engine, &module, granted, wasi)?;
    let call = Call::new(arguments, &plugin, &module)?;
    let instance = plugin.instantiate(());
    let mut instance = instance.map_err(|error| observed.failure(error))?;
    // Only the call counts, not what made the instance.
    observed.begin();
    let answer = call.run(&mut instance);
    let (_, answer) = observed.end(instance.usage(), answer);
    if let Some((format, path)) = to {
        let text = observed.profile(|profile, module| format.text(&run.plugin, profile, module));
        fs::write(path, text).map_err(|error| Failure::unwritable(path, &error))?;
    }
    if module.command {
        stdio.flush(None).map_err(|error| Failure::output(&error))?;
    }
    let (answer, exit) = answer.map_err(|error| observed.failure(error))?;
    Ok(output::answer(&answer)?.or(exit))
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

    fn text(&self, plugin: &Path, profile: &hostel_profile::Profile, module: &Profiled) -> String {
        match self {
            Self::Folded => profile.folded(module),
            Self::Svg => {
                let title = format!("{}: {} fuel", plugin.display(), profile.fuel());
                draw(&title, &profile.frames(module))
            }
        }
    }
}
