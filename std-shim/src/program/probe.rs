//! `hostel probe`: whether a plugin can run under given limits, and how much memory it may take.

use super::{
    arguments::Probe,
    exit::Exit,
    failure::Failure,
    limits,
    output::{self, visible},
};
use anstyle::Style;
use bytesize::ByteSize;
use hostel::{
    Engine, Footprint, Grants, Limits, LoadError, ModuleInfo, Std, Tracing, grant_for, read_module,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fmt::Write as _};

pub(super) fn probe(arguments: &Probe) -> Result<Exit, Failure> {
    let path = &arguments.plugin;
    let limits = arguments.limits();
    // A module that is too large for a device can still be looked at here.
    let most = limits.module_bytes.max(Limits::server().module_bytes);
    let read = read_module(path, most);
    let wasm = read.as_ref().ok();
    let module = wasm.and_then(|wasm| ModuleInfo::read(wasm).ok());
    let machine = arguments.target.machine();
    let footprint = module
        .as_ref()
        .map(|module| module.footprint_on(&limits, machine));
    let mut refusals = wasm.map_or_else(Refusals::default, |wasm| Refusals::find(wasm, &limits));
    let needed = footprint.map_or(0, |footprint| footprint.to_run());
    if limits.heap_bytes < usize::MAX && needed > limits.heap_bytes as u64 {
        let free = limits.heap_bytes as u64;
        refusals.all.push(LoadError::DoesNotFit { needed, free });
    }
    let bytes = wasm.map(Vec::len);
    let failure = match read {
        Err(error) => Some(error.into()),
        Ok(_) if refusals.all.is_empty() => None,
        Ok(_) => Some(Failure::refused(path, &refusals.all, refusals.complete)),
    };
    let grants: Option<BTreeSet<_>> = module.as_ref().map(|module| {
        let imports = module.imports.iter();
        let grants = imports.filter_map(|import| grant_for(&import.module, &import.name));
        grants.collect()
    });
    if arguments.json {
        let exit = failure.as_ref().map_or(Exit::Ok, |failure| failure.exit);
        let written = output::json(&json!({
            "path": path.to_string_lossy(),
            "bytes": bytes,
            "can_run": failure.is_none(),
            "refusals": refusals.all.iter().flat_map(refusal_json).collect::<Value>(),
            "all_refusals": refusals.complete,
            "grants": grants,
            "limits": limits_json(limits),
            "footprint": footprint.as_ref().map(footprint_json),
            "error": failure.as_ref().map(Failure::json),
            "code": exit.code(),
        }))?;
        return Ok(written.or(exit));
    }
    let written = match (footprint, grants) {
        (Some(footprint), Some(grants)) => {
            let runs = match failure {
                None => "yes: it is within the limits, and compiles",
                Some(_) => "no",
            };
            let mut grants = grants.into_iter().collect::<Vec<_>>().join(", ");
            if grants.is_empty() {
                grants.push_str("none");
            }
            let path = path.to_string_lossy();
            let bold = Style::new().bold();
            let mut text = format!(
                "{bold}{}{bold:#}\n  can run  {runs}\n  grants   {grants}\n",
                visible(&path)
            );
            write_footprint(&mut text, &footprint);
            output::text(&text)?
        }
        _ => Exit::Ok,
    };
    failure.map_or(Ok(written), Err)
}

/// What refuses a module.
#[derive(Default)]
struct Refusals {
    all: Vec<LoadError>,
    /// Whether there can be no others.
    complete: bool,
}

impl Refusals {
    /// A limit that is passed is raised to what was found, until something else is in the way or
    /// nothing is: so each of them is found.
    fn find(wasm: &[u8], limits: &Limits) -> Self {
        /// Each round reads the module anew, and a hostile one could ask for many.
        const ROUNDS: usize = 64;
        let none: [(&str, &str); 0] = [];
        let grants = Grants::new().log(Tracing).config(none);
        let mut raised = *limits;
        // All copies of the code are the same.
        raised.copies = 1;
        // This machine's heap is not the one that is asked about.
        raised.heap_bytes = usize::MAX;
        let mut all = Vec::new();
        for _ in 0..ROUNDS {
            let engine = Engine::new(raised).with_platform(Std::new());
            let error = match engine.check(wasm, &grants) {
                Ok(_) if all.is_empty() => engine.load("plugin", wasm, &grants).err(),
                Ok(_) => None,
                Err(error) => Some(error),
            };
            let Some(error) = error else {
                return Self {
                    all,
                    complete: true,
                };
            };
            let (name, found) = match &error {
                LoadError::TooLarge { found, .. } => ("module_bytes", *found),
                LoadError::OverLimit {
                    name: cap, found, ..
                } => (*cap, usize::try_from(*found).unwrap_or(usize::MAX)),
                _ => ("", 0),
            };
            let Some(cap) = limits::cap(&mut raised, name) else {
                let complete = matches!(error, LoadError::Mismatch(_));
                all.push(error);
                return Self { all, complete };
            };
            *cap = found;
            note(&mut all, error);
        }
        Self {
            all,
            complete: false,
        }
    }
}

/// Adds a limit that is passed; where it is known already, only what was found.
fn note(all: &mut Vec<LoadError>, error: LoadError) {
    for known in &mut *all {
        if let (
            LoadError::OverLimit {
                name: cap, found, ..
            },
            LoadError::OverLimit {
                name: same,
                found: more,
                ..
            },
        ) = (known, &error)
            && cap == same
        {
            *found = *more;
            return;
        }
    }
    all.push(error);
}

/// A refusal; of imports and exports that don't fit, each.
fn refusal_json(error: &LoadError) -> Vec<Value> {
    let one = |message: String, [cap, limit, found]: [Value; 3]| {
        json!({
            "code": error.code(),
            "message": message,
            "cap": cap,
            "limit": limit,
            "found": found,
        })
    };
    let other = || [Value::Null, Value::Null, Value::Null];
    match error {
        LoadError::Mismatch(all) => all.iter().map(|m| one(m.to_string(), other())).collect(),
        LoadError::TooLarge { limit, found } => {
            let cap = ["module_bytes".into(), (*limit).into(), (*found).into()];
            vec![one(error.to_string(), cap)]
        }
        LoadError::DoesNotFit { needed, free } => {
            let cap = ["heap_bytes".into(), (*free).into(), (*needed).into()];
            vec![one(error.to_string(), cap)]
        }
        LoadError::OverLimit {
            name: cap,
            limit,
            found,
        } => {
            let cap = [(*cap).into(), (*limit).into(), (*found).into()];
            vec![one(error.to_string(), cap)]
        }
        _ => vec![one(error.to_string(), other())],
    }
}

fn limits_json(mut limits: Limits) -> Value {
    let caps = limits::caps(&mut limits);
    // One that is none has no number.
    let number = |value| (value < usize::MAX).then_some(value);
    let caps = caps.map(|(name, value)| (name.to_owned(), Value::from(number(*value))));
    Value::Object(Map::from_iter(caps))
}

fn footprint_json(footprint: &Footprint) -> Value {
    json!({
        "plugin": footprint.plugin,
        "loading": footprint.loading,
        "instance": {
            "memory_at_start": footprint.memory_at_start,
            "memory_at_most": footprint.memory_at_most,
            "memory_growth": footprint.memory_growth,
            "tables": footprint.tables,
            "globals": footprint.globals,
            "stacks": footprint.stacks,
            "frames": footprint.frames,
            "overhead": footprint.overhead,
            "at_start": footprint.instance_at_start(),
            "at_most": footprint.instance_at_most(),
        },
        "kept": footprint.kept,
        "instances": footprint.instances,
        "to_run": footprint.to_run(),
        "total": footprint.total(),
    })
}

fn write_footprint(text: &mut String, footprint: &Footprint) {
    let bold = Style::new().bold();
    let Footprint {
        plugin,
        tables,
        globals,
        overhead,
        instances,
        ..
    } = *footprint;
    let most = footprint.instance_at_most();
    let together = match instances {
        1 => "with 1 instance".to_owned(),
        many => format!("with {many} instances"),
    };
    let runs = footprint.instance_to_run();
    let rows = [
        (
            "linear memory",
            footprint.memory_at_start,
            footprint.memory_at_most,
        ),
        ("growing it", 0, footprint.memory_growth),
        ("tables", tables, tables),
        ("globals", globals, globals),
        ("stacks", footprint.frames, footprint.stacks),
        ("overhead", overhead, overhead),
        ("an instance", runs, most),
        ("the plugin", plugin, plugin),
        ("loading it", footprint.loading, footprint.loading),
        ("kept between calls", footprint.kept, footprint.kept),
        (&together, footprint.to_run(), footprint.total()),
    ];
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "{bold}{:<24}{:>12}{:>12}{bold:#}",
        "memory", "to run", "at most"
    );
    for (name, start, most) in rows {
        let [start, most] = [start, most].map(|bytes| ByteSize(bytes).to_string());
        let _ = writeln!(text, "  {name:<22}{start:>12}{most:>12}");
    }
    text.push_str("  loading is over before there are instances; on top: the file, inputs\n");
}
