//! `hostel lower`: makes one core module of a component.

use super::{arguments::Lower, exit::Exit, failure::Failure, output, snapshot::target};
use hostel_contract::limits;
use hostel_lower::Names;
use serde_json::json;

pub(super) fn lower(arguments: &Lower) -> Result<Exit, Failure> {
    let written = write(arguments);
    let path = arguments.output.to_string_lossy();
    if arguments.json {
        let failure = written.as_ref().err();
        let exit = failure.map_or(Exit::Ok, |failure| failure.exit);
        let sizes = written.as_ref().ok();
        return Ok(output::json(&json!({
            "bytes": sizes.map(|sizes| sizes.after),
            "code": exit.code(),
            "component_bytes": sizes.map(|sizes| sizes.before),
            "error": failure,
            "path": path,
        }))?
        .or(exit));
    }
    let Sizes { before, after } = written?;
    let path = output::escaped(&path);
    output::text(&format!("{path}: {after} bytes, of {before}\n"))
}

/// The bytes of a component and of its module.
struct Sizes {
    before: usize,
    after: usize,
}

/// Writes the module.
fn write(arguments: &Lower) -> Result<Sizes, Failure> {
    let output = target(&arguments.output)?;
    let path = &arguments.component;
    let most = usize::try_from(limits::BYTES).unwrap_or(usize::MAX);
    let wasm = hostel::read_module(path, most)?;
    let names = match arguments.strip {
        true => Names::Stripped,
        false => Names::Kept,
    };
    let module = hostel_lower::lower(&wasm, names).map_err(|error| Failure::lower(path, &error))?;
    hostel::install_module(output, &module)?;
    Ok(Sizes {
        before: wasm.len(),
        after: module.len(),
    })
}
