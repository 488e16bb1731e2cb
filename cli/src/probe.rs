//! `hostel probe`: finds out whether a plugin can run within given limits, and in how much memory.

use super::{
    arguments::Probe,
    exit::Exit,
    failure::{self, Failure},
    grants::{self, Stub},
    limits::{self, Kind},
    output::{self, Each, escaped},
    plugin,
    unloaded::Unloaded,
};
use anstyle::Style;
use bytesize::ByteSize;
use hostel::{ComponentLimits, Engine, Footprint, Limits, LoadError, ModuleInfo, Std};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fmt::Write as _, iter, path::Path};

pub(super) fn probe(arguments: &Probe) -> Result<Exit, Failure> {
    let path = &arguments.plugin;
    // A module that exceeds the limit can still be examined on this machine.
    let read = Unloaded::read(
        path,
        &arguments.limits(Kind::Module),
        arguments.trust_manifest,
    );
    let unloaded = read.as_ref().ok();
    let component = unloaded.and_then(Unloaded::component);
    let modules = unloaded.and_then(|unloaded| {
        let modules = unloaded
            .modules
            .iter()
            .map(|(_, wasm)| ModuleInfo::read(wasm));
        modules.collect::<Result<Vec<_>, _>>().ok()
    });
    let kind = match (modules.as_deref(), component) {
        (Some([module]), _) if plugin::is_command(module) => Kind::Command,
        (_, Some(wasm)) if plugin::is_command_component(wasm) => Kind::Command,
        (_, Some(_)) => Kind::Component,
        _ => Kind::Module,
    };
    let limits = arguments.limits(kind);
    let limits = unloaded.map_or(limits, |unloaded| unloaded.narrowed(&limits));
    let machine = arguments.target.machine();
    let of_component = component.and_then(|wasm| {
        let mut all = limits;
        all.heap_bytes = usize::MAX;
        all.module_bytes = usize::MAX;
        all.memory_bytes = usize::MAX;
        all.table_elements = usize::MAX;
        all.component = ComponentLimits::none();
        let engine = Engine::new(all).with_platform(Std::new());
        engine.component_footprint(wasm, &limits, machine).ok()
    });
    let of_modules = modules.as_ref().and_then(|modules| {
        let footprints = modules
            .iter()
            .map(|module| module.footprint_on(&limits, machine));
        footprints.reduce(|sum, other| sum.linked_with(&other))
    });
    let footprint = of_component.or(of_modules);
    let mut refusals = unloaded.map_or_else(Refusals::default, |unloaded| {
        Refusals::find(unloaded, &limits, &arguments.stub)
    });
    let needed = footprint.map_or(0, |footprint| footprint.to_run());
    if limits.heap_bytes < usize::MAX && needed > limits.heap_bytes as u64 {
        let free = limits.heap_bytes as u64;
        refusals.all.push(LoadError::DoesNotFit { needed, free });
    }
    let bytes = unloaded.map(Unloaded::bytes);
    let of_modules = modules.as_ref().map(|modules| {
        modules
            .iter()
            .flat_map(grants::needed)
            .collect::<BTreeSet<_>>()
    });
    let of_component = component.and_then(grants::needed_by_component);
    let grants = of_component.or(of_modules);
    let failure = match read {
        Err(failure) => Some(failure),
        Ok(_) if refusals.all.is_empty() => None,
        Ok(_) => {
            let failure = Failure::refused(path, &refusals.all, refusals.complete);
            Some(failure.of_plugin_at_rest())
        }
    };
    if arguments.json {
        let exit = failure.as_ref().map_or(Exit::Ok, |failure| failure.exit);
        let written = output::json(&Report {
            path,
            bytes,
            refusals: &refusals,
            grants: grants.as_ref(),
            limits,
            footprint: footprint.as_ref(),
            failure: failure.as_ref(),
            exit,
        })?;
        return Ok(written.or(exit));
    }
    let written = match (footprint, grants) {
        (Some(footprint), Some(grants)) => {
            let runs = match failure {
                None => "yes, it compiles and stays within the limits",
                Some(_) => "no",
            };
            let mut needs: Vec<_> = grants.into_iter().map(str::to_owned).collect();
            match refusals.unsupplied() {
                0 => {}
                1 => needs.push("1 import that the embedder supplies".to_owned()),
                count => needs.push(format!("{count} imports that the embedder supplies")),
            }
            let grants = match &*needs {
                [] => "none".to_owned(),
                needs => needs.join(", "),
            };
            let path = path.to_string_lossy();
            let bold = Style::new().bold();
            let mut text = format!(
                "{bold}{}{bold:#}\n  can run       {runs}\n  needs grants  {grants}\n",
                escaped(&path)
            );
            write_footprint(&mut text, &footprint);
            output::text(&text)?
        }
        _ => Exit::Ok,
    };
    failure.map_or(Ok(written), Err)
}

/// The result as JSON.
struct Report<'a> {
    path: &'a Path,
    bytes: Option<usize>,
    refusals: &'a Refusals,
    grants: Option<&'a BTreeSet<&'static str>>,
    limits: Limits,
    footprint: Option<&'a Footprint>,
    failure: Option<&'a Failure>,
    exit: Exit,
}

impl Serialize for Report<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let refusals = || self.refusals.all.iter().flat_map(refusal_json);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("all_refusals", &self.refusals.complete)?;
        map.serialize_entry("bytes", &self.bytes)?;
        map.serialize_entry("can_run", &self.failure.is_none())?;
        map.serialize_entry("code", &self.exit.code())?;
        map.serialize_entry("error", &self.failure)?;
        map.serialize_entry("footprint", &self.footprint.map(footprint_json))?;
        map.serialize_entry("grants", &self.grants)?;
        map.serialize_entry("limits", &limits_json(self.limits))?;
        map.serialize_entry("path", &self.path.to_string_lossy())?;
        map.serialize_entry("refusals", &Each(refusals))?;
        map.end()
    }
}

/// The reasons to refuse a module.
#[derive(Default)]
struct Refusals {
    all: Vec<LoadError>,
    /// Whether `all` is known to be complete.
    complete: bool,
}

impl Refusals {
    /// Loads the module again and again. Each limit that it exceeds is raised to the value found, so
    /// that the next round finds the next problem.
    fn find(unloaded: &Unloaded, limits: &Limits, stubs: &[Stub]) -> Self {
        /// Each round reads the whole module. A hostile one could require many.
        const ROUNDS: usize = 64;
        use LoadError::{Component, Empty, NotWasm};
        let component = unloaded.component();
        // Higher limits make no module of other bytes.
        for (name, wasm) in &unloaded.modules {
            if component.is_none()
                && let Err(error @ (Component | Empty | NotWasm { .. })) = ModuleInfo::read(wasm)
            {
                return Self {
                    all: vec![unloaded.in_module(name, error)],
                    complete: true,
                };
            }
        }
        let modules = unloaded.modules();
        let grants = grants::stubbed(unloaded.everything(), stubs);
        let mut raised = *limits;
        // The caller compares the heap with the target's footprint; this machine's is irrelevant.
        raised.heap_bytes = usize::MAX;
        let mut all = Vec::new();
        for _ in 0..ROUNDS {
            let engine = Engine::new(raised).with_platform(Std::new());
            let checked = match component {
                Some(wasm) => engine.load_component("plugin", wasm, &grants).map(drop),
                None => engine.check_linked(&modules, &grants).map(drop),
            };
            let error = match checked {
                Ok(()) if component.is_some() => None,
                Ok(_) if all.is_empty() => engine.load_linked("plugin", &modules, &grants).err(),
                Ok(_) => None,
                Err(error) => Some(error),
            };
            let Some(error) = error else {
                return Self {
                    all,
                    complete: true,
                };
            };
            let inner = match &error {
                LoadError::InModule { error, .. } => error,
                error => error,
            };
            let (name, found) = match inner {
                LoadError::TooLarge { found, .. } => ("module_bytes", *found),
                LoadError::OverLimit {
                    name: cap, found, ..
                } => (*cap, usize::try_from(*found).unwrap_or(usize::MAX)),
                _ => ("", 0),
            };
            if !limits::raise(&mut raised, component.is_some(), name, found) {
                let complete = matches!(inner, LoadError::Mismatch(_));
                all.push(error);
                return Self { all, complete };
            }
            note(&mut all, error);
        }
        Self {
            all,
            complete: false,
        }
    }
}

impl Refusals {
    /// Returns the number of imports that hostel itself can't supply.
    fn unsupplied(&self) -> usize {
        let mismatches = self.all.iter().map(|error| match error {
            LoadError::InModule { error, .. } => &**error,
            error => error,
        });
        let mismatches = mismatches.filter_map(|error| match error {
            LoadError::Mismatch(all) => Some(all),
            _ => None,
        });
        mismatches
            .flatten()
            .filter(|one| one.could_be_stubbed())
            .count()
    }
}

/// Adds an error. If `all` has an error about the limit already, only updates the value found.
fn note(all: &mut Vec<LoadError>, error: LoadError) {
    for known in &mut *all {
        if let (
            LoadError::OverLimit {
                name: cap, found, ..
            },
            LoadError::OverLimit {
                name: other,
                found: more,
                ..
            },
        ) = (known, &error)
            && cap == other
        {
            *found = *more;
            return;
        }
    }
    all.push(error);
}

/// Returns one object per problem: a mismatch has several.
fn refusal_json(error: &LoadError) -> Box<dyn Iterator<Item = Value> + '_> {
    let object = |message: String, [cap, limit, found]: [Value; 3]| {
        json!({
            "code": error.code(),
            "message": message,
            "cap": cap,
            "limit": limit,
            "found": found,
        })
    };
    let no_limit = || [Value::Null, Value::Null, Value::Null];
    let cap = match error {
        LoadError::InModule { error, .. } => return refusal_json(error),
        LoadError::Mismatch(all) => {
            let objects = all.iter();
            return Box::new(objects.map(move |one| object(failure::mismatch(one), no_limit())));
        }
        LoadError::TooLarge { limit, found } => {
            ["module_bytes".into(), (*limit).into(), (*found).into()]
        }
        LoadError::DoesNotFit { needed, free } => {
            ["heap_bytes".into(), (*free).into(), (*needed).into()]
        }
        LoadError::OverLimit {
            name: cap,
            limit,
            found,
        } => [(*cap).into(), (*limit).into(), (*found).into()],
        _ => no_limit(),
    };
    Box::new(iter::once(object(error.to_string(), cap)))
}

fn limits_json(mut limits: Limits) -> Value {
    let caps = hostel::limit_fields(&mut limits);
    // `usize::MAX` means no limit.
    let number = |value| (value < usize::MAX).then_some(value);
    let caps = caps
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::from(number(*value))));
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
    let total = match instances {
        1 => "total, 1 instance".to_owned(),
        many => format!("total, {many} instances"),
    };
    let runs = footprint.instance_to_run();
    let rows = [
        (
            "linear memory",
            footprint.memory_at_start,
            footprint.memory_at_most,
        ),
        ("growth of memory", 0, footprint.memory_growth),
        ("tables", tables, tables),
        ("globals", globals, globals),
        ("stacks", footprint.frames, footprint.stacks),
        ("overhead", overhead, overhead),
        ("one instance", runs, most),
        ("compiled code", plugin, plugin),
        ("loading", footprint.loading, footprint.loading),
        ("kept between calls", footprint.kept, footprint.kept),
        (&total, footprint.to_run(), footprint.total()),
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
    text.push_str(
        "  The memory for loading is free again before the first instance exists.\n  \
         The module's file and the inputs of calls are not included.\n",
    );
}
