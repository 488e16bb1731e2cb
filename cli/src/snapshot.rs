//! `hostel snapshot`: writes a plugin's state as a new module.

use super::{
    arguments::Snapshot,
    exit::Exit,
    failure::Failure,
    input::Input,
    log, output,
    plugin::{self, Contents, Module},
};
use hostel::{Engine, Instance, SnapshotError, Std, Tracing};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

pub(super) fn snapshot(arguments: &Snapshot) -> Result<Exit, Failure> {
    let written = write(arguments);
    if arguments.run.json {
        let failure = written.as_ref().err();
        let exit = failure.map_or(Exit::Ok, |failure| failure.exit);
        return Ok(output::json(&json!({
            "path": arguments.output.to_string_lossy(),
            "bytes": written.as_ref().ok(),
            "error": failure,
            "code": exit.code(),
        }))?
        .or(exit));
    }
    let path = arguments.output.to_string_lossy();
    output::text(&format!("{}: {} bytes\n", output::escaped(&path), written?))
}

/// Writes the snapshot and returns its size in bytes.
fn write(arguments: &Snapshot) -> Result<usize, Failure> {
    let run = &arguments.run;
    if !run.json {
        log::show();
    }
    if run.call.is_none() && !run.input.is_empty() {
        return Err(Failure::usage("INPUT without a function to call")
            .with_hint("name the function with --call NAME"));
    }
    run.refuse_trace("snapshot")?;
    let output = target(&arguments.output)?;
    let module = Module::read(run, |_| {})?;
    let budget = module.bounds.budget;
    let mut engine = Engine::new(module.bounds.limits)
        .with_budget(budget)
        .with_platform(Std::new());
    if module.is_large() {
        engine = engine.with_lazy_translation();
    }
    let Contents::Module(wasm) = &module.contents else {
        return Err(
            Failure::usage("a snapshot begins with one module, not with a manifest")
                .with_hint("name the .wasm file"),
        );
    };
    let grants = plugin::grants(run, &module, Tracing)?.with(plugin::wasi(run, &module)?);
    let plugin = plugin::load_module(&run.plugin, &engine, wasm, &grants, module.component)?;
    let call = match &run.call {
        Some(name) => Some((
            name,
            Input::new(
                &plugin,
                module.contract.as_ref(),
                name,
                run,
                budget.input_bytes,
            )?,
        )),
        None => None,
    };
    let init = |instance: &mut Instance| match call {
        Some((name, input)) => input.call(instance, name).map(drop),
        None => Ok(()),
    };
    let snapshot = match module.component {
        true => engine.snapshot_component(plugin.name(), wasm, &grants, init),
        false => engine.snapshot(plugin.name(), wasm, &grants, init),
    };
    let snapshot = snapshot.map_err(|error| match error {
        SnapshotError::Load(error) => Failure::load(&run.plugin, &error),
        SnapshotError::Call(error) => error.into(),
        error => Failure::snapshot(&error),
    })?;
    hostel::install_module(output, &snapshot)?;
    Ok(snapshot.len())
}

/// Follows a symbolic link to a file. The link itself is never replaced, since `/dev/stdout` is one.
pub(super) fn target(path: &Path) -> Result<PathBuf, Failure> {
    if !path.is_symlink() {
        return Ok(path.to_owned());
    }
    let target = fs::metadata(path).and_then(|found| match found.is_file() {
        true => fs::canonicalize(path),
        // `install_module` says why it can't be written.
        false => Ok(path.to_owned()),
    });
    target.map_err(|error| Failure::unwritable(path, &error))
}
