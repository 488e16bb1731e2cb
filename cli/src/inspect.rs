//! `hostel inspect`: shows a module's declarations, and why it can't be loaded.

use super::{
    abi::{self, Calling},
    arguments::Inspect,
    exit::Exit,
    failure::Failure,
    grants,
    limits::Bounds,
    output::{self, escaped},
    plugin,
};
use anstyle::Style;
use hostel::{Engine, Extern, ModuleInfo, Std, grant_for, read_module};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) fn inspect(arguments: &Inspect) -> Result<Exit, Failure> {
    let path = &arguments.plugin;
    let Found {
        bytes,
        module,
        failure,
    } = find(arguments);
    if arguments.json {
        let exit = failure.as_ref().map_or(Exit::Ok, |failure| failure.exit);
        let written = output::json(&json!({
            "path": path.to_string_lossy(),
            "bytes": bytes,
            "loads": failure.is_none(),
            "error": failure.as_ref().map(Failure::json),
            "code": exit.code(),
            "module": module.as_ref().map(module_json),
        }))?;
        return Ok(written.or(exit));
    }
    let written = module.map_or(Ok(Exit::Ok), |module| {
        let path = path.to_string_lossy();
        output::text(&module_text(&module, &escaped(&path).to_string()))
    })?;
    failure.map_or(Ok(written), Err)
}

/// The facts about a plugin's file. A module that can't be loaded can often be read all the same.
#[derive(Default)]
struct Found {
    bytes: Option<usize>,
    module: Option<ModuleInfo>,
    failure: Option<Failure>,
}

fn find(arguments: &Inspect) -> Found {
    let path = &arguments.plugin;
    let mut found = Found::default();
    // A module's size is no reason to show nothing of it.
    let wasm = match read_module(path, usize::MAX) {
        Ok(wasm) => wasm,
        Err(error) => {
            found.failure = Some(error.into());
            return found;
        }
    };
    found.bytes = Some(wasm.len());
    let loaded = ModuleInfo::read(&wasm).and_then(|module| {
        let mut bounds = match plugin::is_command(&module) {
            true => Bounds::command(),
            false => Bounds::plugin(),
        };
        found.module = Some(module);
        bounds.set(&arguments.limit);
        let engine = Engine::new(bounds.limits).with_platform(Std::new());
        engine.load("plugin", &wasm, &grants::everything())
    });
    found.failure = loaded.err().map(|error| Failure::load(path, &error));
    found
}

fn module_json(module: &ModuleInfo) -> Value {
    let imports = module.imports.iter().map(|import| {
        json!({
            "module": import.module,
            "name": import.name,
            "kind": import.ty.kind(),
            "type": import.ty.to_string(),
            "grant": grant_for(&import.module, &import.name),
        })
    });
    let exports = module.exports.iter().map(|export| {
        json!({
            "name": export.name,
            "kind": export.ty.kind(),
            "type": export.ty.to_string(),
            "takes": takes(module, &export.ty).map(Calling::name),
        })
    });
    let memories = module
        .memories
        .iter()
        .map(|memory| json!({ "bytes": memory.min_bytes, "max_bytes": memory.max_bytes }));
    let tables = module
        .tables
        .iter()
        .map(|table| json!({ "elements": table.min, "max_elements": table.max }));
    let sections = module.sections.iter().map(
        |section| json!({ "name": section.name, "custom": section.custom, "bytes": section.size }),
    );
    json!({
        "abi": abi_name(module),
        "functions": module.functions,
        "start": module.start,
        "initializers": module.initializers().collect::<Value>(),
        "imports": imports.collect::<Value>(),
        "exports": exports.collect::<Value>(),
        "memories": memories.collect::<Value>(),
        "tables": tables.collect::<Value>(),
        "sections": sections.collect::<Value>(),
    })
}

fn module_text(module: &ModuleInfo, path: &str) -> String {
    let row = |name: &str, value: String, note: String| [name.to_owned(), value, note];
    let at_most = |max: Option<u64>| max.map_or_else(String::new, |max| format!("at most {max}"));
    let start = if module.start { "yes" } else { "none" };
    let mut facts = vec![
        row("size", format!("{} bytes", module.size), String::new()),
        row("ABI", abi_name(module).to_owned(), String::new()),
        row("start function", start.to_owned(), String::new()),
    ];
    facts.extend(module.initializers().map(|name| {
        let runs = match name {
            plugin::COMMAND => "before another function is called",
            _ => "when an instance is made",
        };
        row("initializer", format!("`{name}`"), runs.to_owned())
    }));
    facts.extend(module.memories.iter().map(|memory| {
        row(
            "memory",
            format!("{} bytes", memory.min_bytes),
            at_most(memory.max_bytes),
        )
    }));
    facts.extend(module.tables.iter().map(|table| {
        row(
            "table",
            format!("{} elements", table.min),
            at_most(table.max),
        )
    }));
    let imports = module.imports.iter().map(|import| {
        let name = format!("{}.{}", escaped(&import.module), escaped(&import.name));
        let grant = grant_for(&import.module, &import.name);
        let grant = grant.map_or_else(
            || "not supplied".to_owned(),
            |grant| format!("grant `{grant}`"),
        );
        [name, import.ty.to_string(), grant]
    });
    let exports = module.exports.iter().map(|export| {
        let takes = takes(module, &export.ty).map(|what| match &*export.name {
            plugin::COMMAND if plugin::is_command(module) => "`run`".to_owned(),
            _ => format!("`run` with {}", what.name()),
        });
        [
            escaped(&export.name).to_string(),
            export.ty.to_string(),
            takes.unwrap_or_default(),
        ]
    });
    let sections = module.sections.iter().map(|section| {
        let kind = if section.custom { "custom" } else { "" };
        row(
            &escaped(&section.name).to_string(),
            format!("{} bytes", section.size),
            kind.to_owned(),
        )
    });
    let mut text = String::new();
    write_table(&mut text, path, &facts);
    write_table(&mut text, "imports", &imports.collect::<Vec<_>>());
    write_table(&mut text, "exports", &exports.collect::<Vec<_>>());
    write_table(&mut text, "sections", &sections.collect::<Vec<_>>());
    text
}

/// The widest first and second column of a table, in characters. The longest name of a function of
/// WASI fits the first.
const WIDEST: [usize; 2] = [48, 40];

/// Writes rows in columns. A cell that is wider than its column has a line of its own, and the rest
/// of the row is in its columns below.
fn write_table(text: &mut String, title: &str, rows: &[[String; 3]]) {
    let bold = Style::new().bold();
    let width = |column: usize, most: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widths = cells.map(|cell| cell.chars().count());
        widths.filter(|width| *width <= most).max().unwrap_or(0)
    };
    let second = 2 + width(0, WIDEST[0]) + 2;
    let third = second + width(1, WIDEST[1]) + 2;
    // Writing to a String does not fail.
    let _ = writeln!(text, "{bold}{title}{bold:#}");
    for row in rows {
        let mut column = 0;
        for (cell, start) in row.iter().zip([2, second, third]) {
            if cell.is_empty() {
                continue;
            }
            // Two spaces at least, but before the first cell.
            if column > 0 && column + 2 > start {
                text.push('\n');
                column = 0;
            }
            let _ = write!(text, "{}{cell}", " ".repeat(start - column));
            column = start + cell.chars().count();
        }
        text.push('\n');
    }
    if rows.is_empty() {
        text.push_str("  none\n");
    }
}

fn takes(module: &ModuleInfo, ty: &Extern) -> Option<Calling> {
    match ty {
        Extern::Function(ty) => abi::calling(module, ty),
        _ => None,
    }
}

fn abi_name(module: &ModuleInfo) -> &'static str {
    if plugin::is_command(module) {
        "WASI command"
    } else if module.passes_bytes() {
        "native"
    } else {
        "numbers only"
    }
}
