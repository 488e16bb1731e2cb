//! The native ABI: `memory`, `allocate`, `deallocate`, and functions over numbers and
//! (pointer, length) pairs, of which `process` takes bytes and gives bytes.

use super::shape::Shape;
use crate::{
    call::{Deallocate, Guest, State},
    error::{CallError, Mismatch},
    host::Grants,
    marshal::Types,
    module::{Export, Extern, Import, ModuleInfo, Signature},
};
use ValType::I32;
use alloc::{boxed::Box, format, string::ToString, vec::Vec};
use wasmi::{Func, Store, ValType};

/// The allocator's two names, and those of its counterpart.
const ALLOCATE: [&str; 2] = ["allocate", "malloc"];
const DEALLOCATE: [&str; 2] = ["deallocate", "free"];

/// Core values of one text or byte string.
const PAIR: &[ValType] = &[I32, I32];

/// A function's parameters and results.
type Type = (&'static [ValType], &'static [ValType]);

/// The types that they may have.
const ALLOCATE_TYPES: &[Type] = &[(&[I32], &[I32])];
const DEALLOCATE_TYPES: &[Type] = &[(PAIR, &[]), (&[I32], &[])];

/// A guest function from bytes to bytes, in the shape that its module declares.
#[derive(Clone, Copy)]
pub(crate) struct BytesFunction {
    pub(crate) function: Func,
    pub(crate) shape: Shape,
}

impl BytesFunction {
    /// The signatures that such a function may have, for a message.
    pub(crate) fn expected() -> alloc::string::String {
        Shape::expected(PAIR, PAIR)
    }

    /// Whether a function of this type is one.
    pub(crate) fn fits(ty: &Signature) -> bool {
        Shape::find(PAIR, PAIR, (&ty.params, &ty.results)).is_some()
    }

    /// The exported function `name`, if it has one of the shapes.
    pub(crate) fn find<T>(
        store: &Store<State<T>>,
        instance: wasmi::Instance,
        name: &str,
    ) -> Option<Self> {
        let function = instance.get_func(store, name)?;
        let ty = function.ty(store);
        let shape = Shape::find(PAIR, PAIR, (ty.params(), ty.results()))?;
        Some(Self { function, shape })
    }
}

/// The guest's memory and allocator, as far as it exports them.
pub(crate) fn guest<T>(store: &Store<State<T>>, instance: wasmi::Instance) -> Guest {
    let find = |names: [&str; 2], types: &[(&[ValType], &[ValType])]| {
        names.into_iter().find_map(|name| {
            let function = instance.get_func(store, name)?;
            let ty = function.ty(store);
            let fits = types.contains(&(ty.params(), ty.results()));
            fits.then_some((function, ty.params().len()))
        })
    };
    let deallocate = find(DEALLOCATE, DEALLOCATE_TYPES);
    Guest {
        memory: instance.get_memory(store, "memory"),
        allocate: find(ALLOCATE, ALLOCATE_TYPES).map(|(function, _)| function),
        deallocate: deallocate.map(|(function, params)| Deallocate { function, params }),
        nested: false,
    }
}

/// Names the export that is missing for what a call needs.
pub(crate) fn check_exchange(
    module: &ModuleInfo,
    needs_allocate: bool,
    needs_memory: bool,
) -> Result<(), CallError> {
    // Where these are exported, loading has checked what they are.
    let has = |name: &&str| module.export_named(name).is_some();
    if needs_memory && !has(&"memory") {
        return Err(CallError::MissingExport { name: "memory" });
    }
    if needs_allocate && !ALLOCATE.iter().any(has) {
        return Err(CallError::MissingExport { name: "allocate" });
    }
    Ok(())
}

/// Everything in which the module's imports and exports do not fit the ABI and the grants.
pub(crate) fn check<T: 'static>(module: &ModuleInfo, grants: &Grants<T>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let mut needs = Needs::default();
    for import in &module.imports {
        found.extend(check_import(import, grants, &mut needs));
    }
    if let Some(process) = module.export_named("process") {
        found.extend(check_type(
            process,
            BytesFunction::fits,
            BytesFunction::expected,
        ));
        needs
            .memory
            .get_or_insert_with(|| "`process` takes and gives bytes in it".into());
        needs
            .allocate
            .get_or_insert_with(|| "the input of `process` needs a buffer".into());
    }
    for (names, types) in [
        (ALLOCATE, ALLOCATE_TYPES),
        (DEALLOCATE, DEALLOCATE_TYPES),
        (["_initialize", "_initialize"], &[(&[], &[])]),
    ] {
        let export = names.into_iter().find_map(|name| module.export_named(name));
        let is_one = |ty: &Signature| {
            types
                .iter()
                .any(|(params, results)| (&*ty.params, &*ty.results) == (*params, *results))
        };
        let expected = || {
            let types: Vec<_> = types
                .iter()
                .map(|(params, results)| Signature::new(params, results).to_string())
                .collect();
            types.join(" or ")
        };
        match export {
            Some(export) => found.extend(check_type(export, is_one, expected)),
            None if names == ALLOCATE => {
                if let Some(needed) = needs.allocate.take() {
                    found.push(Mismatch::MissingExport {
                        name: "allocate".into(),
                        expected: expected().into(),
                        needed,
                    });
                }
            }
            None => {}
        }
    }
    found.extend(check_memory(module, needs.memory));
    if module.function_names().next().is_none() {
        found.push(Mismatch::MissingExport {
            name: "process".into(),
            expected: BytesFunction::expected().into(),
            needed: "the module exports no function to call".into(),
        });
    }
    found
}

/// Why the module needs its memory and allocator, if it does.
#[derive(Default)]
struct Needs {
    memory: Option<Box<str>>,
    allocate: Option<Box<str>>,
}

fn check_import<T: 'static>(
    import: &Import,
    grants: &Grants<T>,
    needs: &mut Needs,
) -> Option<Mismatch> {
    let (module, name) = (import.module.clone(), import.name.clone());
    let Extern::Function(ty) = &import.ty else {
        return Some(Mismatch::ImportKind {
            module,
            name,
            found: import.ty.kind(),
        });
    };
    let Some(function) = grants.find(&module, &name) else {
        let hint = grants.hint(&module, &name).into();
        return Some(Mismatch::UnknownImport {
            module,
            name,
            found: ty.to_string().into(),
            hint,
        });
    };
    let (params, results) = (function.params(), function.results());
    if params.bytes || results.bytes {
        needs
            .memory
            .get_or_insert_with(|| format!("`{module}.{name}` exchanges bytes in it").into());
    }
    if results.bytes {
        needs.allocate.get_or_insert_with(|| {
            format!("the result of `{module}.{name}` needs a buffer").into()
        });
    }
    if shape_of(&params, &results, ty).is_some() {
        return None;
    }
    let expected = Shape::expected(&params.flat, &results.flat).into();
    Some(Mismatch::ImportType {
        module,
        name,
        expected,
        found: ty.to_string().into(),
    })
}

/// The shape in which a function of these Rust types is declared, if it fits.
pub(crate) fn shape_of(params: &Types, results: &Types, ty: &Signature) -> Option<Shape> {
    if params.overflow || results.overflow {
        return None;
    }
    Shape::find(&params.flat, &results.flat, (&ty.params, &ty.results))
}

fn check_type(
    export: &Export,
    fits: impl Fn(&Signature) -> bool,
    expected: impl Fn() -> alloc::string::String,
) -> Option<Mismatch> {
    match &export.ty {
        Extern::Function(_) if export.imported => Some(Mismatch::ReexportedImport {
            name: export.name.clone(),
        }),
        Extern::Function(ty) if fits(ty) => None,
        other => Some(Mismatch::ExportType {
            name: export.name.clone(),
            expected: expected().into(),
            found: other.to_string().into(),
        }),
    }
}

fn check_memory(module: &ModuleInfo, needed: Option<Box<str>>) -> Option<Mismatch> {
    let name: Box<str> = "memory".into();
    match module.export_named("memory") {
        // An imported memory is refused as an import.
        Some(Export {
            ty: Extern::Memory, ..
        }) => None,
        Some(export) => Some(Mismatch::ExportType {
            name,
            expected: "a memory".into(),
            found: export.ty.to_string().into(),
        }),
        None => needed.map(|needed| Mismatch::MissingExport {
            name,
            expected: "a memory".into(),
            needed,
        }),
    }
}
