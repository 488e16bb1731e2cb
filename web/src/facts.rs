//! Tells what a plugin declares.

use crate::failure;
use hostel_contract::{Contract, is_component};
use hostel_core::{
    Convention, Extern, Import, Limits, ModuleInfo, Signature,
    ValType::{F32, F64, I32, I64},
    grant_for,
};
use serde_json::{Value, json};

/// Returns the facts as JSON, or an error.
pub(crate) fn of(wasm: &[u8]) -> Result<Value, Value> {
    if is_component(wasm) {
        return of_component(wasm);
    }
    let info = ModuleInfo::read_within(wasm, &Limits::server().module)
        .map_err(|error| failure(error.code(), &error.to_string()))?;
    let memory = info.memories.first();
    Ok(json!({
        "kind": "module",
        "convention": Convention::of(&info).name(),
        "bytes": wasm.len(),
        "memory": memory.map(|memory| json!({ "bytes": memory.min_bytes, "most": memory.max_bytes })),
        "imports": info.imports.iter().map(import).collect::<Vec<_>>(),
        "exports": info.exports.iter().map(|export| json!({
            "name": export.name,
            "type": export.ty.to_string(),
            "takes": match &export.ty {
                Extern::Function(ty) => takes(&info, &export.name, ty),
                _ => None,
            },
        })).collect::<Vec<_>>(),
        "contract": Contract::read(wasm).and_then(|contract| contract.to_wit()).ok(),
    }))
}

/// A component declares its functions by its contract.
fn of_component(wasm: &[u8]) -> Result<Value, Value> {
    let contract = read_contract(wasm)?;
    let function =
        |(name, ty): (String, String)| json!({ "name": name, "type": ty, "takes": "values" });
    let imported = |(name, ty): (String, String)| {
        let grant = name.starts_with("wasi:").then_some("wasi");
        json!({ "name": name, "type": ty, "grant": grant })
    };
    Ok(json!({
        "kind": "component",
        "convention": "component",
        "bytes": wasm.len(),
        "memory": null,
        "imports": contract.imported_functions().into_iter().map(imported).collect::<Vec<_>>(),
        "exports": contract.exported_functions().into_iter().map(function).collect::<Vec<_>>(),
        "contract": contract.to_wit().ok(),
    }))
}

pub(crate) fn read_contract(wasm: &[u8]) -> Result<Contract, Value> {
    Contract::read(wasm).map_err(|error| failure(error.code(), &error.to_string()))
}

fn import(import: &Import) -> Value {
    json!({
        "name": format!("{}.{}", import.module, import.name),
        "type": import.ty.to_string(),
        "grant": grant_for(&import.module, &import.name),
    })
}

/// Returns what a function takes, by the convention that the module's imports and exports show; `None` if it can't be
/// called from here.
pub(crate) fn takes(info: &ModuleInfo, name: &str, ty: &Signature) -> Option<&'static str> {
    let numbers = || {
        let mut all = ty.params.iter().chain(&ty.results);
        all.all(|ty| matches!(ty, I32 | I64 | F32 | F64))
            .then_some("numbers")
    };
    match Convention::of(info) {
        Convention::Wapc => (name == "__guest_call").then_some("operation"),
        Convention::Extism => {
            let fits = ty.params.is_empty() && matches!(*ty.results, [] | [I32]);
            fits.then_some("bytes")
        }
        Convention::Typst => {
            let fits = ty.params.iter().all(|ty| *ty == I32) && *ty.results == [I32];
            fits.then_some("arguments")
        }
        _ if ty.is_bytes() && info.passes_bytes() => Some("bytes"),
        _ => numbers(),
    }
}
