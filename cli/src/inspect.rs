//! `hostel inspect`: shows a module's declarations, and why it can't be loaded.

use super::{
    abi::{self, Calling},
    arguments::Inspect,
    callback,
    component::{self, Component},
    exit::Exit,
    failure::Failure,
    grants,
    limits::Bounds,
    output::{self, Each, escaped},
    plugin,
    unloaded::Unloaded,
};
use anstyle::Style;
use hostel::{Convention, Engine, Extern, Import, LoadError, Machine, ModuleInfo, Std};
use hostel_contract::{ReadError, is_component};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::json;
use std::{
    io::{self, Write},
    path::Path,
};

pub(super) fn inspect(arguments: &Inspect) -> Result<Exit, Failure> {
    let path = &arguments.plugin;
    let found = find(arguments);
    if arguments.json {
        let exit = found.exit();
        return Ok(output::json(&Report { path, found })?.or(exit));
    }
    let mut written = Exit::Ok;
    if let Some(component) = &found.component {
        let title = format!("{}: a component", escaped(&path.to_string_lossy()));
        written = output::stream(|to| {
            write_table(to, &title, || component.facts().into_iter())?;
            write_table(to, "core modules", || component.modules().into_iter())
        })?;
    }
    for (name, module) in &found.modules {
        let mut title = escaped(&path.to_string_lossy()).to_string();
        if found.linked {
            title = format!("{title}: module `{}`", escaped(name));
        }
        let supplier = |import: &Import| found.supplier(import);
        let shown = output::stream(|to| write_module(to, module, &title, &supplier))?;
        written = written.or(shown);
    }
    match &found.contract {
        Some(Ok(wit)) => {
            written = written.or(output::stream(|to| component::write_contract(to, wit))?);
        }
        // Not if the module or the component can't be loaded at all.
        Some(Err(error)) if found.failure.is_none() => {
            output::hint(&Failure::contract(path, error).message);
        }
        _ => {}
    }
    found.failure.map_or(Ok(written), Err)
}

/// The facts about a plugin's file. A module that can't be loaded can often be read all the same.
#[derive(Default)]
struct Found {
    bytes: Option<usize>,
    /// What was read of its modules, with their names.
    modules: Vec<(String, ModuleInfo)>,
    /// Whether a manifest names them.
    linked: bool,
    component: Option<Component>,
    /// Its contract as WIT, of a component or a module with one.
    contract: Option<Result<String, ReadError>>,
    failure: Option<Failure>,
}

impl Found {
    fn exit(&self) -> Exit {
        let failure = self.failure.as_ref();
        failure.map_or(Exit::Ok, |failure| failure.exit)
    }

    /// Returns what supplies an import, for people.
    fn supplier(&self, import: &Import) -> String {
        let others = || self.modules.iter().filter(|_| self.linked);
        if others().any(|(name, _)| **name == *import.module) {
            return format!("module `{}`", escaped(&import.module));
        }
        let mut modules = self.modules.iter();
        if import.name.starts_with("[resource-") && modules.any(|(_, module)| has_contract(module))
        {
            return "hostel".to_owned();
        }
        match grants::grant_of(&import.module, &import.name) {
            Some(grant) => format!("grant `{grant}`"),
            None => "not supplied".to_owned(),
        }
    }
}

fn find(arguments: &Inspect) -> Found {
    let path = &arguments.plugin;
    let mut found = Found::default();
    let refused = |error| Failure::load(path, &error).of_plugin_at_rest();
    let mut asked = Bounds::plugin();
    asked.set(&arguments.limit);
    let plugin = match Unloaded::read(path, &asked.limits, arguments.trust_manifest) {
        Ok(plugin) => plugin,
        Err(failure) => {
            found.failure = Some(failure);
            return found;
        }
    };
    found.bytes = Some(plugin.bytes());
    found.linked = plugin.manifest.is_some();
    if let [(_, wasm)] = &*plugin.modules {
        found.contract = component::contract(wasm);
        if is_component(wasm) {
            match Component::read(wasm) {
                Ok(component) => found.component = Some(component),
                Err(error) => found.failure = Some(Failure::contract(path, &error)),
            }
            if let Some(Err(error)) = &found.contract {
                found.failure = Some(Failure::contract(path, error));
            }
            if let (Some(component), None) = (&mut found.component, &found.failure) {
                let loaded = load_component(arguments, &plugin, wasm, &mut component.memory);
                found.failure = loaded.err().map(refused);
            }
            return found;
        }
    }
    let mut loaded = Ok(());
    for (name, wasm) in &plugin.modules {
        match ModuleInfo::read(wasm) {
            Ok(module) => found.modules.push((name.clone(), module)),
            Err(error) => loaded = loaded.and(Err(plugin.in_module(name, error))),
        }
    }
    let loaded = loaded.and_then(|()| {
        if let Some(wasm) = plugin.component() {
            return load_component(arguments, &plugin, wasm, &mut None);
        }
        let mut modules = found.modules.iter().map(|(_, module)| module);
        let mut bounds = match !found.linked && modules.any(plugin::is_command) {
            true => Bounds::command(),
            false => Bounds::plugin(),
        };
        bounds.set(&arguments.limit);
        let engine = Engine::new(plugin.narrowed(&bounds.limits)).with_platform(Std::new());
        let grants = grants::stubbed(plugin.everything(), &arguments.stub);
        let loaded = engine.load_linked("plugin", &plugin.modules(), &grants);
        loaded.map(drop)
    });
    found.failure = loaded.err().map(refused);
    found
}

/// Loads a component, or a core module with a contract, with everything that hostel can supply, and notes its memory.
fn load_component(
    arguments: &Inspect,
    plugin: &Unloaded,
    wasm: &[u8],
    memory: &mut Option<(u64, u64)>,
) -> Result<(), LoadError> {
    let mut bounds = match plugin::is_command_component(wasm) {
        true => Bounds::command(),
        false => Bounds::component(),
    };
    bounds.set(&arguments.limit);
    let mut engine = Engine::new(bounds.limits).with_platform(Std::new());
    if wasm.len() > plugin::LARGE {
        engine = engine.with_lazy_translation();
    }
    let footprint = engine.component_footprint(wasm, &bounds.limits, Machine::HERE)?;
    *memory = Some((footprint.memory_at_start, footprint.memory_at_most));
    let grants = grants::stubbed(plugin.everything(), &arguments.stub);
    engine.load_component("plugin", wasm, &grants).map(drop)
}

/// The facts as JSON. A tree of JSON values would take more than a kilobyte for each of the millions
/// of sections that a hostile module can have.
struct Report<'a> {
    path: &'a Path,
    found: Found,
}

impl Serialize for Report<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Found {
            bytes,
            modules,
            linked,
            component,
            contract,
            failure,
        } = &self.found;
        let module = match &**modules {
            [(_, module)] => Some(module),
            _ => None,
        };
        let named = || {
            modules.iter().map(|(name, module)| Named {
                name,
                module: Declarations(module),
            })
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("bytes", bytes)?;
        map.serialize_entry("code", &self.found.exit().code())?;
        if let Some(component) = component {
            map.serialize_entry("component", component)?;
        }
        match contract {
            Some(Ok(wit)) => map.serialize_entry("contract", wit)?,
            Some(Err(error)) if component.is_none() => {
                let failure = Failure::contract(self.path, error);
                map.serialize_entry("contract_error", &failure)?;
            }
            _ => {}
        }
        map.serialize_entry("error", failure)?;
        map.serialize_entry("loads", &failure.is_none())?;
        map.serialize_entry("module", &module.map(Declarations))?;
        if *linked {
            map.serialize_entry("modules", &Each(named))?;
        }
        map.serialize_entry("path", &self.path.to_string_lossy())?;
        map.end()
    }
}

/// A module of a manifest as JSON.
#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    module: Declarations<'a>,
}

/// A module's declarations as JSON.
struct Declarations<'a>(&'a ModuleInfo);

impl Serialize for Declarations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(module) = *self;
        let exports = || {
            module.exports.iter().map(|export| {
                json!({
                    "name": export.name,
                    "kind": export.ty.kind(),
                    "type": export.ty.to_string(),
                    "takes": takes(module, &export.name, &export.ty).map(Calling::name),
                })
            })
        };
        let imports = || {
            module.imports.iter().map(|import| {
                json!({
                    "module": import.module,
                    "name": import.name,
                    "kind": import.ty.kind(),
                    "type": import.ty.to_string(),
                    "grant": grants::grant_of(&import.module, &import.name),
                })
            })
        };
        let memories = || {
            let memories = module.memories.iter();
            memories
                .map(|memory| json!({ "bytes": memory.min_bytes, "max_bytes": memory.max_bytes }))
        };
        let sections = || {
            module.sections.iter().map(|section| {
                json!({ "name": section.name, "custom": section.custom, "bytes": section.size })
            })
        };
        let tables = || {
            let tables = module.tables.iter();
            tables.map(|table| json!({ "elements": table.min, "max_elements": table.max }))
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("abi", abi_name(module))?;
        map.serialize_entry("abi_reason", &abi_reason(module))?;
        map.serialize_entry("exports", &Each(exports))?;
        map.serialize_entry("functions", &module.functions)?;
        map.serialize_entry("imports", &Each(imports))?;
        map.serialize_entry("initializers", &Convention::of(module).initializers(module))?;
        map.serialize_entry("memories", &Each(memories))?;
        map.serialize_entry("sections", &Each(sections))?;
        map.serialize_entry("start", &module.start)?;
        map.serialize_entry("tables", &Each(tables))?;
        map.end()
    }
}

/// Writes a module's declarations below `title`. `supplier` says what supplies an import.
fn write_module(
    to: &mut dyn Write,
    module: &ModuleInfo,
    title: &str,
    supplier: &dyn Fn(&Import) -> String,
) -> io::Result<()> {
    let row = |name: &str, value: String, note: String| [name.to_owned(), value, note];
    let at_most = |max: Option<u64>| max.map_or_else(String::new, |max| format!("at most {max}"));
    let start = if module.start { "yes" } else { "none" };
    let facts = || {
        let first = [
            row("size", format!("{} bytes", module.size), String::new()),
            row("ABI", abi_name(module).to_owned(), abi_reason(module)),
            row("start function", start.to_owned(), String::new()),
        ];
        let convention = Convention::of(module);
        let initializers = convention
            .initializers(module)
            .into_iter()
            .map(move |name| {
                let runs = match name {
                    plugin::COMMAND if convention == Convention::Native => {
                        "before another function is called"
                    }
                    _ => "when an instance is made",
                };
                row("initializer", format!("`{name}`"), runs.to_owned())
            });
        let memories = module.memories.iter().map(|memory| {
            row(
                "memory",
                format!("{} bytes", memory.min_bytes),
                at_most(memory.max_bytes),
            )
        });
        let tables = module.tables.iter().map(|table| {
            row(
                "table",
                format!("{} elements", table.min),
                at_most(table.max),
            )
        });
        let first = first.into_iter().chain(initializers);
        first.chain(memories).chain(tables)
    };
    let imports = || {
        module.imports.iter().map(|import| {
            let separator = match callback::is_interface(&import.module) {
                true => '#',
                false => '.',
            };
            let (of, name) = (escaped(&import.module), escaped(&import.name));
            let name = format!("{of}{separator}{name}");
            [name, import.ty.to_string(), supplier(import)]
        })
    };
    let exports = || {
        module.exports.iter().map(|export| {
            let takes = takes(module, &export.name, &export.ty).map(|what| match &*export.name {
                plugin::COMMAND if plugin::is_command(module) => "`run`".to_owned(),
                _ => format!("`run` with {}", what.name()),
            });
            [
                escaped(&export.name).to_string(),
                export.ty.to_string(),
                takes.unwrap_or_default(),
            ]
        })
    };
    let sections = || {
        module.sections.iter().map(|section| {
            let kind = if section.custom { "custom" } else { "" };
            row(
                &escaped(&section.name).to_string(),
                format!("{} bytes", section.size),
                kind.to_owned(),
            )
        })
    };
    write_table(to, title, facts)?;
    write_table(to, "imports", imports)?;
    write_table(to, "exports", exports)?;
    write_table(to, "sections", sections)
}

/// The widest first and second column of a table, in characters. The longest name of a function of
/// WASI fits the first.
const WIDEST: [usize; 2] = [48, 40];

/// Writes rows in columns. A cell that is wider than its column has a line of its own, and the rest
/// of the row is in its columns below. Makes the rows twice, so as not to keep them: the first time
/// for the columns' widths.
fn write_table<I: Iterator<Item = [String; 3]>>(
    to: &mut dyn Write,
    title: &str,
    rows: impl Fn() -> I,
) -> io::Result<()> {
    let bold = Style::new().bold();
    let mut widths = [0; 2];
    for row in rows() {
        for ((width, most), cell) in widths.iter_mut().zip(WIDEST).zip(&row) {
            let found = cell.chars().count();
            if found <= most {
                *width = found.max(*width);
            }
        }
    }
    let second = 2 + widths[0] + 2;
    let third = second + widths[1] + 2;
    writeln!(to, "{bold}{title}{bold:#}")?;
    let mut empty = true;
    for row in rows() {
        empty = false;
        let mut column = 0;
        for (cell, start) in row.iter().zip([2, second, third]) {
            if cell.is_empty() {
                continue;
            }
            // Two spaces at least, but before the first cell.
            if column > 0 && column + 2 > start {
                writeln!(to)?;
                column = 0;
            }
            write!(to, "{}{cell}", " ".repeat(start - column))?;
            column = start + cell.chars().count();
        }
        writeln!(to)?;
    }
    if empty {
        writeln!(to, "  none")?;
    }
    Ok(())
}

fn takes(module: &ModuleInfo, name: &str, ty: &Extern) -> Option<Calling> {
    match ty {
        // By values of WIT.
        _ if has_contract(module) => None,
        Extern::Function(ty) => abi::calling_export(module, name, ty),
        _ => None,
    }
}

/// The section with the world that a core module was made for.
const WORLD: &str = "component-type";

/// Returns whether a core module is loaded by its contract.
fn has_contract(module: &ModuleInfo) -> bool {
    let mut sections = module.sections.iter();
    let has_world = sections.any(|section| {
        let rest = section.name.strip_prefix(WORLD);
        section.custom && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    });
    has_world && !plugin::is_command(module)
}

fn abi_name(module: &ModuleInfo) -> &'static str {
    let convention = Convention::of(module);
    if has_contract(module) {
        "contract"
    } else if convention != Convention::Native {
        convention.name()
    } else if plugin::is_command(module) {
        "WASI command"
    } else if module.passes_bytes() {
        "native"
    } else {
        "numbers only"
    }
}

/// Returns the import or the export that decides [`abi_name`].
fn abi_reason(module: &ModuleInfo) -> String {
    if has_contract(module) {
        return format!("by the section `{WORLD}`");
    }
    if let Some(import) = Convention::deciding_import(module) {
        let (module, name) = (escaped(&import.module), escaped(&import.name));
        return format!("by the import `{module}.{name}`");
    }
    let reason = if Convention::of(module) != Convention::Native {
        "by the export `__guest_call`"
    } else if plugin::is_command(module) {
        "by the export `_start`"
    } else if module.passes_bytes() {
        "by the exports of a memory and an allocator"
    } else {
        "by the lack of an exported memory or allocator"
    };
    reason.to_owned()
}
