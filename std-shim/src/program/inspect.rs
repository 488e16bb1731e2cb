//! `hostel inspect`: what a module declares, and what stops it from loading.

use super::{
    abi::{self, Calling},
    arguments::Inspect,
    exit::Exit,
    failure::Failure,
    output::{self, visible},
};
use anstyle::Style;
use hostel::{
    Extern, Grants, MemoryState, ModuleInfo, StateLimits, Tracing, grant_for, read_module,
};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) fn inspect(arguments: &Inspect) -> Result<Exit, Failure> {
    let path = &arguments.plugin;
    let engine = hostel::engine();
    let (wasm, failure) = match read_module(path, engine.limits().module_bytes) {
        Ok(wasm) => {
            let none: [(&str, &str); 0] = [];
            let grants = Grants::new()
                .log(Tracing)
                .config(none)
                .state(MemoryState::new(StateLimits::server()))
                .wasi(hostel::wasi());
            let loaded = engine.load("plugin", &wasm, &grants);
            (
                Some(wasm),
                loaded.err().map(|error| Failure::load(path, &error)),
            )
        }
        Err(error) => (None, Some(error.into())),
    };
    // Also of a module that would not load, where so much of it can be read.
    let module = wasm.as_ref().and_then(|wasm| ModuleInfo::read(wasm).ok());
    if arguments.json {
        let exit = failure.as_ref().map_or(Exit::Ok, |failure| failure.exit);
        let written = output::json(&json!({
            "path": path.to_string_lossy(),
            "bytes": wasm.map(|wasm| wasm.len()),
            "loads": failure.is_none(),
            "error": failure.as_ref().map(Failure::json),
            "code": exit.code(),
            "module": module.as_ref().map(module_json),
        }))?;
        return Ok(written.or(exit));
    }
    let written = module.map_or(Ok(Exit::Ok), |module| {
        let path = path.to_string_lossy();
        output::text(&module_text(&module, &visible(&path).to_string()))
    })?;
    failure.map_or(Ok(written), Err)
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
        let name = format!("{}.{}", visible(&import.module), visible(&import.name));
        let grant = grant_for(&import.module, &import.name);
        let grant = grant.map_or_else(|| "no grant".to_owned(), |grant| format!("grant `{grant}`"));
        [name, import.ty.to_string(), grant]
    });
    let exports = module.exports.iter().map(|export| {
        let takes = takes(module, &export.ty).map(|what| match &*export.name {
            "_start" => "`run`".to_owned(),
            _ => format!("`run` with {}", what.name()),
        });
        [
            visible(&export.name).to_string(),
            export.ty.to_string(),
            takes.unwrap_or_default(),
        ]
    });
    let sections = module.sections.iter().map(|section| {
        let kind = if section.custom { "custom" } else { "" };
        row(
            &visible(&section.name).to_string(),
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

fn write_table(text: &mut String, title: &str, rows: &[[String; 3]]) {
    let bold = Style::new().bold();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        // A column as wide as a guest's longest name would push the others off the screen.
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
            .min(40)
    };
    let (first, second) = (width(0), width(1));
    // Writing to a String does not fail.
    let _ = writeln!(text, "{bold}{title}{bold:#}");
    for [name, value, note] in rows {
        let line = format!("  {name:first$}  {value:second$}  {note}");
        let _ = writeln!(text, "{}", line.trim_end());
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
    if module.export_named("_start").is_some() {
        "WASI command"
    } else if module.exchanges_bytes() {
        "native"
    } else {
        "numbers only"
    }
}
