//! The native ABI: a guest exports `memory`, `allocate`, `deallocate`, and functions over numbers and
//! (pointer, length) pairs. One of them, `process`, takes and returns bytes.

use crate::{
    base::{
        shape::{Shape, one_of},
        signature::{Signature, ValType},
        text::text,
    },
    call::{Allocate, Deallocate, Guest, StoreData},
    error::{CallError, Mismatch},
    marshal::Types,
    module::{COMMAND, CONSTRUCTORS, Export, Extern, ModuleInfo, REACTOR},
};
use ValType::I32;
use alloc::{boxed::Box, string::String, vec::Vec};
use wasmi::{Func, Store, TypedFunc};

/// The names of the allocator and of the deallocator. The first of them that is exported counts.
static ALLOCATE: [&str; 2] = ["allocate", "malloc"];
static DEALLOCATE: [&str; 2] = ["deallocate", "free"];

/// The core types of one text or byte string.
const PAIR: &[ValType] = &[I32, I32];

/// A function's parameters and results.
type Type = (&'static [ValType], &'static [ValType]);

/// The types that the allocator and the deallocator may have.
const ALLOCATE_TYPES: &[Type] = &[(&[I32], &[I32])];
const DEALLOCATE_TYPES: &[Type] = &[(PAIR, &[]), (&[I32], &[])];

/// The allocator of the canonical ABI, and its type.
#[cfg(feature = "contract")]
const REALLOC: &str = "cabi_realloc";
#[cfg(feature = "contract")]
const REALLOC_TYPES: &[Type] = &[(&[I32; 4], &[I32])];

/// The type of the exports that initialise an instance.
const NOTHING: &[Type] = &[(&[], &[])];

/// A guest function from bytes to bytes, in the shape that its module declares.
#[derive(Clone, Copy)]
pub(crate) struct BytesFunction {
    pub(crate) function: Func,
    pub(crate) shape: Shape,
    /// The function by its type, if its shape is [`Shape::Packed`].
    pub(crate) packed: Option<PackedFunction>,
}

/// A function from a pointer and a length to both packed.
pub(crate) type PackedFunction = TypedFunc<(u32, u32), u64>;

impl BytesFunction {
    /// Lists the signatures that such a function may have, for a message.
    pub(crate) fn expected() -> String {
        Shape::expected(PAIR, PAIR)
    }

    /// Returns whether `ty` is one of them.
    pub(crate) fn fits(ty: &Signature) -> bool {
        Shape::find(PAIR, PAIR, (&ty.params, &ty.results)).is_some()
    }

    /// Looks up the export `name`, whose signature is `ty`. `None` if it takes or returns something
    /// else.
    pub(crate) fn find<T>(
        store: &Store<StoreData<T>>,
        instance: wasmi::Instance,
        name: &str,
        ty: &Signature,
    ) -> Option<Self> {
        let shape = Shape::find(PAIR, PAIR, (&ty.params, &ty.results))?;
        let function = instance.get_func(store, name)?;
        let packed = function.typed(store).ok();
        Some(Self {
            function,
            shape,
            packed,
        })
    }
}

impl Signature {
    /// Returns whether a function of this type takes and returns bytes, as `process` does.
    #[must_use]
    pub fn is_bytes(&self) -> bool {
        BytesFunction::fits(self)
    }
}

impl ModuleInfo {
    /// Returns whether the module's functions can take and return text and bytes: it exports a memory
    /// and an allocator.
    #[must_use]
    pub fn passes_bytes(&self) -> bool {
        check_buffers(self, true, true).is_ok()
    }
}

/// Looks up the guest's memory and allocator, as far as it exports them.
pub(crate) fn guest<T>(store: &Store<StoreData<T>>, instance: wasmi::Instance) -> Guest {
    let allocate = ALLOCATE.iter().find_map(|name| {
        let function = instance.get_typed_func(store, name).ok()?;
        Some(Allocate { name, function })
    });
    let deallocate = DEALLOCATE.iter().find_map(|name| {
        let function = instance.get_func(store, name)?;
        let sized = function.typed::<(u32, u32), ()>(store).is_ok();
        let fits = sized || function.typed::<u32, ()>(store).is_ok();
        fits.then_some(Deallocate {
            name,
            function,
            params: if sized { 2 } else { 1 },
        })
    });
    Guest {
        memory: instance.get_memory(store, "memory"),
        allocate,
        deallocate,
        #[cfg(feature = "contract")]
        realloc: instance.get_func(store, REALLOC),
        #[cfg(feature = "trace")]
        trace: None,
        nested: false,
    }
}

/// Fails with the export that a call needs and the module lacks.
pub(crate) fn check_buffers(
    module: &ModuleInfo,
    needs_allocate: bool,
    needs_memory: bool,
) -> Result<(), CallError> {
    // Their names suffice: loading has checked their types.
    let has = |name: &&str| module.export_named(name).is_some();
    if needs_memory && !has(&"memory") {
        return Err(CallError::MissingExport { name: "memory" });
    }
    if needs_allocate && !ALLOCATE.iter().any(has) {
        return Err(CallError::MissingExport { name: "allocate" });
    }
    Ok(())
}

/// Adds to `found` every mismatch between the module's exports and the ABI.
pub(crate) fn check_exports(module: &ModuleInfo, mut needs: Needs, found: &mut Vec<Mismatch>) {
    let mut note = |mismatch: Option<Mismatch>| {
        if let Some(mismatch) = mismatch {
            found.push(mismatch);
        }
    };
    if let Some(process) = module.export_named("process") {
        note(check_type(
            process,
            &BytesFunction::fits,
            &BytesFunction::expected,
        ));
        // Imports may have given a reason already. One suffices for the message.
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
        ([REACTOR, REACTOR], NOTHING),
        ([CONSTRUCTORS, CONSTRUCTORS], NOTHING),
    ] {
        let export = names.into_iter().find_map(|name| module.export_named(name));
        let is_one = |ty: &Signature| types.contains(&(&*ty.params, &*ty.results));
        note(match export {
            Some(export) => check_type(export, &is_one, &|| one_of(types)),
            None if names == ALLOCATE => {
                let expected = || {
                    let mut expected = one_of(types);
                    expected.push_str(", as `allocate` or `malloc`");
                    expected
                };
                missing("allocate", expected, needs.allocate.take())
            }
            None => None,
        });
    }
    // A module that exports `_start` alone has nothing to be called before it is initialised.
    if let Some(command) = module.export_named(COMMAND)
        && module.function_names().any(|name| name != COMMAND)
    {
        let is_one = |ty: &Signature| NOTHING.contains(&(&*ty.params, &*ty.results));
        note(check_type(command, &is_one, &|| one_of(NOTHING)));
    }
    note(check_memory(module, needs.memory));
    if module.function_names().next().is_none() {
        let needed = "the module exports no function: export it, or others to call, in C with \
                      `-Wl,--export=NAME`, in Rust as `extern \"C\"` with `#[unsafe(no_mangle)]` in a `cdylib`";
        note(missing(
            "process",
            BytesFunction::expected,
            Some(needed.into()),
        ));
    }
}

/// Adds to `found` every mismatch between the module's exports and the canonical ABI, but for the functions of its
/// contract.
#[cfg(feature = "contract")]
pub(crate) fn check_canonical_exports(module: &ModuleInfo, found: &mut Vec<Mismatch>) {
    for (name, types) in [
        (REALLOC, REALLOC_TYPES),
        (REACTOR, NOTHING),
        (CONSTRUCTORS, NOTHING),
    ] {
        check_function(module, name, types, None, found);
    }
    found.extend(check_memory(module, None));
}

/// The reasons why the module needs a memory and an allocator, for messages. `None` if it does not.
#[derive(Default)]
pub(crate) struct Needs {
    pub(crate) memory: Option<Box<str>>,
    pub(crate) allocate: Option<Box<str>>,
}

/// Returns the shape in which `ty` declares a function of these Rust types. `None` if it does not fit.
pub(crate) fn shape_of(params: &Types, results: &Types, ty: &Signature) -> Option<Shape> {
    if params.any {
        return Some(Shape::Values);
    }
    if params.overflow || results.overflow {
        return None;
    }
    Shape::find(&params.flat, &results.flat, (&ty.params, &ty.results))
}

/// Returns the mismatch of an export that is no function of a fitting type, or is a re-exported
/// import: calling one would run a host function outside of any guest code.
fn check_type(
    export: &Export,
    fits: &dyn Fn(&Signature) -> bool,
    expected: &dyn Fn() -> String,
) -> Option<Mismatch> {
    match &export.ty {
        Extern::Function(_) if export.imported => Some(Mismatch::ReexportedImport {
            name: export.name.clone(),
        }),
        Extern::Function(ty) if fits(ty) => None,
        _ => Some(of_another_type(export, expected().into())),
    }
}

/// Returns the mismatch of an export that has another type than `expected`.
fn of_another_type(export: &Export, expected: Box<str>) -> Mismatch {
    Mismatch::ExportType {
        name: export.name.clone(),
        expected,
        found: text(format_args!("{}", export.ty)),
    }
}

/// Returns the mismatch of a missing export, if it is needed.
fn missing(
    name: &str,
    expected: impl Fn() -> String,
    needed: Option<Box<str>>,
) -> Option<Mismatch> {
    Some(Mismatch::MissingExport {
        needed: needed?,
        name: name.into(),
        expected: expected().into(),
    })
}

/// Adds to `found` the mismatch of the export `name`, if it is no function of these types, or if it is
/// needed and missing.
pub(super) fn check_function(
    module: &ModuleInfo,
    name: &str,
    types: &[Type],
    needed: Option<&str>,
    found: &mut Vec<Mismatch>,
) {
    let is_one = |ty: &Signature| types.contains(&(&*ty.params, &*ty.results));
    found.extend(match module.export_named(name) {
        Some(export) => check_type(export, &is_one, &|| one_of(types)),
        None => missing(name, || one_of(types), needed.map(Box::from)),
    });
}

/// Returns the mismatch of the export `memory`, if it is needed or is no memory.
pub(super) fn check_memory(module: &ModuleInfo, needed: Option<Box<str>>) -> Option<Mismatch> {
    match module.export_named("memory") {
        // A re-exported import needs no check: importing a memory is refused already.
        Some(Export {
            ty: Extern::Memory, ..
        }) => None,
        Some(export) => Some(of_another_type(export, "a memory".into())),
        None => missing("memory", || "a memory".into(), needed),
    }
}
