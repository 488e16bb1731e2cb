//! Compares the functions of a core module without a contract with a world.

use crate::{
    contract::Contract,
    difference::{Difference, Kind, Side},
    error::ReadError,
    limits, print,
};
use wasmparser::{CompositeInnerType, ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};
use wit_parser::{Function, Resolve, Type, TypeDefKind, WorldItem, WorldKey};

/// Modules whose imports are no world's: hostel grants them by themselves.
const GRANTED: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// Returns where a core module that has no contract differs from a world, by the names and core types of its functions,
/// as hostel's native convention has them.
///
/// A function `get-price` of the world, or of an interface that the world exports, is the export `get_price`, `get-price`
/// or `getPrice`. A function of an imported interface is the import `interface.get_price`; one that the world
/// imports directly is in the module `env` or `$root`. Numbers, booleans, characters, `string` and `list<u8>` can be
/// passed, and tuples, options and results of these. A result `result<string, string>` or `result<list<u8>, string>`
/// may be text or bytes, whose length marks an error, or a result as any other.
///
/// The types of records, and whether bytes are text, are not in a core module: they are not compared.
///
/// # Errors
///
/// [`ReadError::Invalid`] if the module can't be read.
pub fn check_native(wasm: &[u8], wanted: &Contract) -> Result<Vec<Difference>, ReadError> {
    let module = Module::read(wasm)?;
    let (resolve, world) = wanted.world();
    let world = &resolve.worlds[world];
    let mut found = Vec::new();
    for (key, item) in &world.exports {
        each(resolve, key, item, |interface, function| {
            let name = &function.name;
            let other = module.exports.iter().find(|(other, _)| {
                other == name
                    || plain(other) == plain(name)
                    || interface.is_some_and(|interface| *other == format!("{interface}#{name}"))
            });
            compare(
                &mut found,
                resolve,
                (Side::Export, interface),
                function,
                other.map(|(_, ty)| ty),
            );
        });
    }
    for (module, name, ty) in &module.imports {
        if found.len() >= limits::DIFFERENCES {
            found.push(Difference::more());
            break;
        }
        if GRANTED.contains(&&**module) || (module == "env" && name.starts_with("host_")) {
            continue;
        }
        let mut known = false;
        for (key, item) in &world.imports {
            each(resolve, key, item, |interface, function| {
                let of = match interface {
                    Some(full) => module == full || plain(module) == plain(short(full)),
                    None => ["env", "$root"].contains(&&**module),
                };
                if of && plain(name) == plain(&function.name) {
                    known = true;
                    compare(
                        &mut found,
                        resolve,
                        (Side::Import, interface),
                        function,
                        Some(ty),
                    );
                }
            });
        }
        if !known {
            found.push(Difference {
                side: Side::Import,
                kind: Kind::Function,
                interface: Some(module.clone()),
                item: Some(name.clone()),
                place: None,
                expected: None,
                found: Some(shown(ty)),
                remedy: "the world does not supply it: remove it from the plugin, or add it to the world".to_owned(),
            });
        }
    }
    Ok(found)
}

/// Calls `visit` for each function of a world's item.
fn each<'a>(
    resolve: &'a Resolve,
    key: &WorldKey,
    item: &'a WorldItem,
    mut visit: impl FnMut(Option<&str>, &'a Function),
) {
    match item {
        WorldItem::Function(function) => visit(None, function),
        WorldItem::Interface { id, .. } => {
            let name = resolve.name_world_key(key);
            for function in resolve.interfaces[*id].functions.values() {
                visit(Some(&name), function);
            }
        }
        WorldItem::Type { .. } => {}
    }
}

/// Compares a function with what the module has for it.
fn compare(
    found: &mut Vec<Difference>,
    resolve: &Resolve,
    (side, interface): (Side, Option<&str>),
    function: &Function,
    other: Option<&FuncType>,
) {
    let difference = |kind, expected, found, remedy: String| Difference {
        side,
        kind,
        interface: interface.map(str::to_owned),
        item: Some(function.name.clone()),
        place: None,
        expected: Some(expected),
        found,
        remedy,
    };
    let shapes = match shapes(resolve, function) {
        Ok(shapes) => shapes,
        Err(ty) => {
            return found.push(difference(
                Kind::Mismatch,
                print::function(resolve, function),
                None,
                format!(
                    "a module without a contract can't pass `{ty}`: build the plugin with the files of `hostel bindgen`"
                ),
            ));
        }
    };
    let expected = || shapes.iter().map(shown).collect::<Vec<_>>().join("` or `");
    match other {
        None => {
            let native = function.name.replace('-', "_");
            let remedy = format!("the plugin lacks it: export `{native}`");
            found.push(difference(Kind::Function, expected(), None, remedy));
        }
        Some(other) if shapes.contains(other) => {}
        Some(other) => {
            let remedy = format!(
                "change it in the plugin: the world has `{}`",
                print::function(resolve, function)
            );
            found.push(difference(
                Kind::Mismatch,
                expected(),
                Some(shown(other)),
                remedy,
            ));
        }
    }
}

/// Returns the core types that a function may have, or the first type that can't be passed.
fn shapes(resolve: &Resolve, function: &Function) -> Result<Vec<FuncType>, String> {
    if function.kind.is_async() {
        return Err("async".to_owned());
    }
    let mut params = Vec::new();
    for param in &function.params {
        flat(resolve, &param.ty, &mut params)?;
    }
    let mut results = Vec::new();
    if let Some(ty) = &function.result {
        let mut tagged = Vec::new();
        flat(resolve, ty, &mut tagged)?;
        results.push(tagged);
        if is_text_or_error(resolve, ty) {
            results.insert(0, vec![ValType::I32; 2]);
        }
    } else {
        results.push(Vec::new());
    }
    const MOST: usize = 16;
    if params.len() > MOST || results.iter().any(|results| results.len() > MOST) {
        return Err(format!("more than {MOST} core values"));
    }
    let mut shapes = Vec::new();
    for results in results {
        if results.len() > 1 {
            if results == [ValType::I32; 2] {
                shapes.push(FuncType::new(params.clone(), [ValType::I64]));
            }
            let pointer = [ValType::I32].into_iter().chain(params.iter().copied());
            shapes.push(FuncType::new(pointer, []));
        }
        shapes.push(FuncType::new(params.clone(), results));
    }
    Ok(shapes)
}

/// Adds the core values of a type. Fails with a type that has none.
fn flat(resolve: &Resolve, ty: &Type, values: &mut Vec<ValType>) -> Result<(), String> {
    let refused = || Err(print::ty(resolve, ty));
    match ty {
        Type::Bool
        | Type::U8
        | Type::S8
        | Type::U16
        | Type::S16
        | Type::U32
        | Type::S32
        | Type::Char => values.push(ValType::I32),
        Type::U64 | Type::S64 => values.push(ValType::I64),
        Type::F32 => values.push(ValType::F32),
        Type::F64 => values.push(ValType::F64),
        Type::String => values.extend([ValType::I32; 2]),
        Type::ErrorContext => return refused(),
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Type(ty) => flat(resolve, ty, values)?,
            TypeDefKind::List(Type::U8) => values.extend([ValType::I32; 2]),
            TypeDefKind::Tuple(tuple) => {
                for ty in &tuple.types {
                    flat(resolve, ty, values)?;
                }
            }
            TypeDefKind::Option(ty) => {
                // The pointer of absent text is 0.
                if !is_bytes(resolve, ty) {
                    values.push(ValType::I32);
                }
                flat(resolve, ty, values)?;
            }
            TypeDefKind::Result(result) => {
                values.push(ValType::I32);
                for ty in result.ok.iter().chain(&result.err) {
                    flat(resolve, ty, values)?;
                }
            }
            _ => return refused(),
        },
    }
    Ok(())
}

/// Whether values are text or bytes.
fn is_bytes(resolve: &Resolve, ty: &Type) -> bool {
    match ty {
        Type::String => true,
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Type(ty) => is_bytes(resolve, ty),
            TypeDefKind::List(ty) => *ty == Type::U8,
            _ => false,
        },
        _ => false,
    }
}

/// Whether a result is text or bytes, or an error with a text.
fn is_text_or_error(resolve: &Resolve, ty: &Type) -> bool {
    let Type::Id(id) = ty else { return false };
    match &resolve.types[*id].kind {
        TypeDefKind::Type(ty) => is_text_or_error(resolve, ty),
        TypeDefKind::Result(result) => {
            let mut parts = result.ok.iter().chain(&result.err);
            result.ok.is_some()
                && result.err == Some(Type::String)
                && parts.all(|ty| is_bytes(resolve, ty))
        }
        _ => false,
    }
}

/// Returns the name of an interface without its package and version.
fn short(full: &str) -> &str {
    let name = full.rsplit('/').next().unwrap_or(full);
    name.split('@').next().unwrap_or(name)
}

/// Returns a name by which `get-price`, `get_price` and `getPrice` are equal.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| !"-_".contains(*letter));
    letters.flat_map(char::to_lowercase).collect()
}

/// Returns a core type such as `(i32, i32) -> i64`.
fn shown(ty: &FuncType) -> String {
    let list = |types: &[ValType]| {
        let types: Vec<_> = types.iter().map(ToString::to_string).collect();
        types.join(", ")
    };
    match ty.results() {
        [one] => format!("({}) -> {one}", list(ty.params())),
        results => format!("({}) -> ({})", list(ty.params()), list(results)),
    }
}

/// The functions that a module imports and exports.
#[derive(Default)]
struct Module {
    imports: Vec<(String, String, FuncType)>,
    exports: Vec<(String, FuncType)>,
}

impl Module {
    fn read(wasm: &[u8]) -> Result<Self, ReadError> {
        let mut module = Self::default();
        let mut types = Vec::new();
        let mut functions = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(ReadError::invalid)? {
                Payload::TypeSection(section) => {
                    for group in section {
                        for ty in group.map_err(ReadError::invalid)?.types() {
                            types.push(match &ty.composite_type.inner {
                                CompositeInnerType::Func(ty) => Some(ty.clone()),
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(ReadError::invalid)?;
                        let TypeRef::Func(index) = import.ty else {
                            continue;
                        };
                        functions.push(index);
                        if let Some(ty) = function(&types, index) {
                            let (module_name, name) = (import.module.into(), import.name.into());
                            module.imports.push((module_name, name, ty));
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for index in section {
                        functions.push(index.map_err(ReadError::invalid)?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(ReadError::invalid)?;
                        if export.kind != ExternalKind::Func {
                            continue;
                        }
                        let index = functions.get(export.index as usize);
                        if let Some(ty) = index.and_then(|index| function(&types, *index)) {
                            module.exports.push((export.name.into(), ty));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }
}

fn function(types: &[Option<FuncType>], index: u32) -> Option<FuncType> {
    types.get(index as usize).cloned().flatten()
}
