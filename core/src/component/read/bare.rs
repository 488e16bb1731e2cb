//! A core module with a contract: its section `component-type` has the world for which it was made, as the tools of
//! wit-bindgen leave it. The program is the component into which wit-component would wrap the module.
//!
//! Names are those of wit-component's first mangling:
//!
//! | import or export | meaning |
//! |---|---|
//! | import `ns:package/interface@1.0.0` `function` | a function of an imported interface |
//! | import `$root` `function` | a function that the world imports directly |
//! | import of either `[resource-drop]name` | drops a handle to the embedder's resource |
//! | import `[export]interface` `[resource-new]name`, `[resource-rep]name`, `[resource-drop]name` | the guest's resource |
//! | export `interface#function`, `function` | a function of an exported interface, or of the world |
//! | export `cabi_post_` and such a name | runs after the function's result was read |
//! | export `interface#[dtor]name` | destroys a resource of the guest's |
//! | exports `memory`, `cabi_realloc`, `_initialize` | the memory, its allocator, what runs first |

use super::{
    Bounds, check,
    inline::Inliner,
    invalid, is_component, missed,
    scope::{Item, Scope, TypeItem, entry},
};
use crate::{
    base::{
        signature::{Signature, ValType},
        text::text,
    },
    component::{
        canon::Shape,
        program::{
            self, Callee, ComponentInstance, CoreItem, Encoding, ImportKind, Instantiate, Lifted,
            Lowered, Options, Program, Resource,
        },
        types::{FunctionTypeId, ResourceId, Types},
    },
    error::{LoadError, Mismatch},
    module::{Extern, Import, ModuleInfo},
};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use component_parser::{
    BinaryReader, BinaryReaderError, ComponentType, ComponentTypeDeclaration, ComponentTypeRef,
    InstanceTypeDeclaration, Parser, Payload, TypeBounds,
};

/// The component instance to which all of it belongs.
const ROOT: ComponentInstance = ComponentInstance(0);

/// The version of the section's contents.
const VERSION: u8 = 4;

/// Reads the program of a core module that declares `info`.
///
/// # Errors
///
/// [`LoadError::Mismatch`] with all imports and exports that do not fit its world; [`LoadError::Unsupported`] if it
/// has no world.
pub(crate) fn read_module(
    wasm: &[u8],
    bounds: Bounds<'_>,
    info: &ModuleInfo,
) -> Result<Program, LoadError> {
    let section = section(wasm)?;
    check::check(section, bounds)?;
    let (encoding, world) = world(section)?;
    let mut bare = Bare {
        inliner: Inliner::new(bounds, Vec::new()),
        info,
        encoding,
        defined: Vec::new(),
        found: Vec::new(),
    };
    bare.inliner.program.instances = 1;
    bare.inliner.program.modules.push(0..wasm.len());
    let scope = bare.inliner.open(Scope::new(None, ROOT, None))?;
    for declaration in world {
        bare.declaration(scope, declaration)?;
    }
    bare.link()?;
    if bare.found.is_empty() {
        Ok(bare.inliner.program)
    } else {
        Err(LoadError::Mismatch(bare.found))
    }
}

/// Returns whether `wasm` is a component, or a core module with a section `component-type`, which
/// [`load_any`](crate::Engine::load_any) loads as a component. Looks at the heads of sections alone: it may be anything.
///
/// ```
/// use hostel_core::component::has_contract;
/// let module = wat::parse_str(r#"(module (@custom "component-type" ""))"#)?;
/// assert!(has_contract(&module));
/// assert!(!has_contract(&wat::parse_str("(module)")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn has_contract(wasm: &[u8]) -> bool {
    const HEAD: usize = 8;
    let sections = wasm.get(HEAD..).unwrap_or_default();
    is_component(wasm) || has_world(BinaryReader::new(sections, HEAD as u64)).unwrap_or(false)
}

/// Returns whether a module's sections have a `component-type` among them.
fn has_world(mut sections: BinaryReader<'_>) -> Result<bool, BinaryReaderError> {
    const CUSTOM: u8 = 0;
    while !sections.eof() {
        let kind = sections.read_u8()?;
        let length = sections.read_var_u32()?;
        let contents = sections.read_bytes(usize::try_from(length).unwrap_or(usize::MAX))?;
        if kind == CUSTOM && is_world(BinaryReader::new(contents, 0).read_string()?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether a custom section of this name has a world.
fn is_world(name: &str) -> bool {
    name == "component-type" || name.starts_with("component-type:")
}

/// Returns the contents of the section `component-type`.
fn section(wasm: &[u8]) -> Result<&[u8], LoadError> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::CustomSection(section) = payload.map_err(|error| invalid(&error))? else {
            continue;
        };
        if is_world(section.name()) {
            if found.is_some() {
                return Err(LoadError::unsupported(
                    "several worlds, in sections `component-type`: make one world that includes them",
                ));
            }
            found = Some(section.data());
        }
    }
    found.ok_or_else(|| {
        LoadError::unsupported(
            "a core module without a world, in a section `component-type`: load it with `Engine::load`",
        )
    })
}

type Declarations<'a> = Box<[ComponentTypeDeclaration<'a>]>;

/// Returns the encoding of strings, and the type of a component of the world.
fn world(section: &[u8]) -> Result<(Encoding, Declarations<'_>), LoadError> {
    let unknown = || LoadError::unsupported("a section `component-type` of another version than 4");
    let mut encoding = Encoding::Utf8;
    for payload in Parser::new(0).parse_all(section) {
        match payload.map_err(|error| invalid(&error))? {
            Payload::CustomSection(section) if section.name() == "wit-component-encoding" => {
                encoding = match section.data() {
                    [VERSION, 0] => Encoding::Utf8,
                    [VERSION, 1] => Encoding::Utf16,
                    [VERSION, 2] => Encoding::Latin1OrUtf16,
                    _ => return Err(unknown()),
                };
            }
            Payload::ComponentTypeSection(types) => {
                let first = types.into_iter().next().ok_or_else(unknown)?;
                let ComponentType::Component(outer) = first.map_err(|error| invalid(&error))?
                else {
                    return Err(unknown());
                };
                // The type of a component that exports the world as a type.
                let inner = outer.into_iter().find_map(|declaration| match declaration {
                    ComponentTypeDeclaration::Type(ComponentType::Component(inner)) => Some(inner),
                    _ => None,
                });
                return Ok((encoding, inner.ok_or_else(unknown)?));
            }
            _ => {}
        }
    }
    Err(unknown())
}

/// A core module that is being read.
struct Bare<'a> {
    inliner: Inliner<'a>,
    info: &'a ModuleInfo,
    encoding: Encoding,
    /// The guest's resources: each with the interface that exports it, if one does.
    defined: Vec<(Option<&'a str>, &'a str, ResourceId)>,
    /// What does not fit the world.
    found: Vec<Mismatch>,
}

impl<'a> Bare<'a> {
    /// Reads a part of the world.
    fn declaration(
        &mut self,
        scope: usize,
        declaration: ComponentTypeDeclaration<'a>,
    ) -> Result<(), LoadError> {
        let item = match declaration {
            ComponentTypeDeclaration::CoreType(_) => return Ok(()),
            ComponentTypeDeclaration::Type(ty) => Item::Type(self.inliner.define(scope, ty)?),
            ComponentTypeDeclaration::Alias(alias) => return self.inliner.alias(scope, &alias),
            ComponentTypeDeclaration::Import(import) => {
                self.inliner
                    .imported(scope, None, import.name.name, import.ty)?
            }
            ComponentTypeDeclaration::Export { name, ty } => {
                self.exported(scope, None, name.name, ty)?
            }
        };
        self.inliner.add(scope, item)
    }

    /// Makes what the module supplies for an export of the world, or of an interface that the world exports.
    fn exported(
        &mut self,
        scope: usize,
        interface: Option<&'a str>,
        name: &'a str,
        ty: ComponentTypeRef,
    ) -> Result<Item<'a>, LoadError> {
        match ty {
            ComponentTypeRef::Func(index) => {
                let ty = self.inliner.type_of_function(scope, index, None)?;
                let function = self.lift(&core_name(interface, name), ty)?;
                self.inliner.export_function(interface, name, function)?;
                Ok(Item::Function(function))
            }
            ComponentTypeRef::Type(TypeBounds::SubResource) => {
                let destructor = core_name(interface, &format!("[dtor]{name}"));
                let expected = Signature::new(&[ValType::I32], &[]);
                let resource = Resource::Defined {
                    instance: ROOT,
                    destructor: self.optional(destructor, &expected),
                };
                let resource = self.inliner.resource(resource)?;
                self.defined.push((interface, name, resource));
                Ok(Item::Type(TypeItem::Resource(resource)))
            }
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => {
                Ok(Item::Type(entry(&self.inliner.scope(scope)?.types, index)?))
            }
            ComponentTypeRef::Instance(index) if interface.is_none() => {
                let TypeItem::Instance(declared) = entry(&self.inliner.scope(scope)?.types, index)?
                else {
                    return Err(missed());
                };
                self.interface(declared, name)
            }
            _ => Err(LoadError::Unsupported {
                what: text(format_args!(
                    "its world exports `{name}`, which is neither a function, a type, nor an instance of these"
                )),
            }),
        }
    }

    /// Makes an interface that the world exports.
    fn interface(&mut self, declared: usize, interface: &'a str) -> Result<Item<'a>, LoadError> {
        let (declarations, parent) = self.inliner.declared(declared)?;
        let scope = self.inliner.open(Scope::new(Some(parent), ROOT, None))?;
        let mut exports = Vec::new();
        for declaration in declarations.iter() {
            let item = match declaration {
                InstanceTypeDeclaration::CoreType(_) => continue,
                InstanceTypeDeclaration::Type(ty) => {
                    Item::Type(self.inliner.define(scope, ty.clone())?)
                }
                InstanceTypeDeclaration::Alias(alias) => {
                    self.inliner.alias(scope, alias)?;
                    continue;
                }
                InstanceTypeDeclaration::Export { name, ty } => {
                    let item = self.exported(scope, Some(interface), name.name, *ty)?;
                    exports.push((name.name, item));
                    item
                }
            };
            self.inliner.add(scope, item)?;
        }
        self.inliner.list(exports).map(Item::Instance)
    }

    /// Adds the function that runs the module's export `name`.
    fn lift(&mut self, name: &str, ty: FunctionTypeId) -> Result<Callee, LoadError> {
        let expected = signature(&self.inliner.program.types, ty, false)?;
        match self.info.export_named(name).map(|export| &export.ty) {
            Some(Extern::Function(found)) if *found == expected => {}
            Some(found) => self.found.push(Mismatch::ExportType {
                name: name.into(),
                expected: text(format_args!("{expected}")),
                found: shown(found),
            }),
            None => self.found.push(Mismatch::MissingExport {
                name: name.into(),
                expected: text(format_args!("{expected}")),
                needed: "the module's world exports it".into(),
            }),
        }
        let after = Signature::new(&expected.results, &[]);
        let mut options = self.options();
        options.post_return = self.optional(format!("cabi_post_{name}"), &after);
        let lifted = Lifted {
            core: CoreItem::Export(0, name.into()),
            ty,
            options,
            instance: ROOT,
        };
        self.inliner
            .spend(size_of::<Lifted>().saturating_add(name.len().saturating_mul(2)))?;
        let number = self.inliner.program.lifted.len();
        self.inliner.program.lifted.push(lifted);
        Ok(Callee::Lifted(number))
    }

    /// Returns the export `name`, if there is one. It must be of this type.
    fn optional(&mut self, name: String, expected: &Signature) -> Option<CoreItem> {
        let found = &self.info.export_named(&name)?.ty;
        if *found != Extern::Function(expected.clone()) {
            self.found.push(Mismatch::ExportType {
                name: (&*name).into(),
                expected: text(format_args!("{expected}")),
                found: shown(found),
            });
        }
        Some(CoreItem::Export(0, name.into()))
    }

    /// Returns how values get in and out of the module.
    fn options(&self) -> Options {
        const MEMORY: &str = "memory";
        const REALLOC: &str = "cabi_realloc";
        let export = |name: &str| {
            let export = self.info.export_named(name);
            export.map(|_| CoreItem::Export(0, name.into()))
        };
        Options {
            encoding: self.encoding,
            memory: export(MEMORY),
            realloc: export(REALLOC),
            post_return: None,
        }
    }

    /// Supplies the module's imports, after the whole world was read.
    fn link(&mut self) -> Result<(), LoadError> {
        let four = [ValType::I32; 4];
        self.optional(
            "cabi_realloc".into(),
            &Signature::new(&four, &[ValType::I32]),
        );
        let mut arguments = Vec::with_capacity(self.info.imports.len());
        let info = self.info;
        for import in &info.imports {
            match self.argument(import)? {
                Some(item) => arguments.push(item),
                None => self.found.push(Mismatch::UnknownImport {
                    module: import.module.clone(),
                    name: import.name.clone(),
                    found: shown(&import.ty),
                    hint: "the module's world does not import it".into(),
                }),
            }
        }
        self.inliner.program.steps.push(Instantiate {
            module: 0,
            arguments,
            instance: ROOT,
            initializer: info.initializers().next().map(Into::into),
        });
        self.drop_unused();
        Ok(())
    }

    /// Returns what supplies an import of the module; `None` if its world has nothing of that name.
    fn argument(&mut self, import: &Import) -> Result<Option<CoreItem>, LoadError> {
        let (module, exported) = match import.module.strip_prefix("[export]") {
            Some(module) => (module, true),
            None => (&*import.module, false),
        };
        let interface = (module != "$root").then_some(module);
        let i32s = [ValType::I32];
        let builtin = [
            ("[resource-drop]", Signature::new(&i32s, &[])),
            ("[resource-new]", Signature::new(&i32s, &i32s)),
            ("[resource-rep]", Signature::new(&i32s, &i32s)),
        ];
        for (prefix, expected) in builtin {
            let Some(name) = import.name.strip_prefix(prefix) else {
                continue;
            };
            let resource = if exported {
                let mut defined = self.defined.iter();
                let found = defined.find(|(of, own, _)| *own == name && *of == interface);
                found.map(|(_, _, resource)| *resource)
            } else {
                self.imported_resource(interface, name)
            };
            self.check_import(import, &expected);
            let Some(resource) = resource else {
                return Ok(None);
            };
            return Ok(Some(match prefix {
                "[resource-drop]" => CoreItem::ResourceDrop(resource, ROOT),
                // Of the embedder's resources, a module knows the handles only.
                _ if !exported => return Ok(None),
                "[resource-new]" => CoreItem::ResourceNew(resource, ROOT),
                _ => CoreItem::ResourceRep(resource, ROOT),
            }));
        }
        if exported {
            return Ok(None);
        }
        let mut imports = self.inliner.program.imports.iter().enumerate();
        let found = imports.find_map(|(number, known)| match known.kind {
            ImportKind::Function(ty)
                if *known.name == *import.name && known.interface.as_deref() == interface =>
            {
                Some((number, ty))
            }
            _ => None,
        });
        let Some((import_number, ty)) = found else {
            return Ok(None);
        };
        let expected = signature(&self.inliner.program.types, ty, true)?;
        self.check_import(import, &expected);
        self.inliner.spend(size_of::<Lowered>())?;
        let lowered = Lowered {
            callee: Callee::Import(import_number),
            ty,
            options: self.options(),
            instance: ROOT,
        };
        let number = self.inliner.program.lowered.len();
        self.inliner.program.lowered.push(lowered);
        Ok(Some(CoreItem::Lowered(number)))
    }

    fn imported_resource(&self, interface: Option<&str>, name: &str) -> Option<ResourceId> {
        let mut imports = self.inliner.program.imports.iter();
        imports.find_map(|known| match known.kind {
            ImportKind::Resource(resource)
                if *known.name == *name && known.interface.as_deref() == interface =>
            {
                Some(resource)
            }
            _ => None,
        })
    }

    fn check_import(&mut self, import: &Import, expected: &Signature) {
        if import.ty != Extern::Function(expected.clone()) {
            self.found.push(Mismatch::ImportType {
                module: import.module.clone(),
                name: import.name.clone(),
                expected: text(format_args!("{expected}")),
                found: shown(&import.ty),
            });
        }
    }

    /// Drops the functions that the world imports and the module does not, so that nothing need supply them.
    fn drop_unused(&mut self) {
        let program = &mut self.inliner.program;
        let is_resource = |import: &program::Import| matches!(import.kind, ImportKind::Resource(_));
        let mut used = Vec::from_iter(program.imports.iter().map(is_resource));
        for lowered in &program.lowered {
            if let Callee::Import(number) = lowered.callee
                && let Some(used) = used.get_mut(number)
            {
                *used = true;
            }
        }
        let mut kept = 0usize;
        let numbers = Vec::from_iter(used.iter().map(|used| {
            let number = kept;
            kept = kept.saturating_add((*used).into());
            number
        }));
        let mut used = used.into_iter();
        program.imports.retain(|_| used.next().unwrap_or_default());
        for lowered in &mut program.lowered {
            if let Callee::Import(number) = &mut lowered.callee {
                *number = numbers.get(*number).copied().unwrap_or_default();
            }
        }
        for resource in &mut program.resources {
            if let Resource::Imported(number) = resource {
                *number = numbers.get(*number).copied().unwrap_or_default();
            }
        }
    }
}

/// Returns the name of the module's export for a function.
fn core_name(interface: Option<&str>, name: &str) -> String {
    match interface {
        Some(interface) => format!("{interface}#{name}"),
        None => name.into(),
    }
}

/// Returns the core type of a function: as the module exports it, or if `lowered` as it imports it.
fn signature(types: &Types, ty: FunctionTypeId, lowered: bool) -> Result<Signature, LoadError> {
    let ty = types.function(ty);
    let shape = Shape::of(types, ty)?;
    let flat = |of| types.layout(of).flat_types().iter().copied();
    let mut params = Vec::new();
    match shape.params {
        Some(_) => params.push(ValType::I32),
        None => params.extend(ty.params.iter().copied().flat_map(flat)),
    }
    let mut results = Vec::new();
    match shape.result {
        Some(_) if lowered => params.push(ValType::I32),
        Some(_) => results.push(ValType::I32),
        None => results.extend(ty.result.into_iter().flat_map(flat)),
    }
    Ok(Signature::new(&params, &results))
}

/// Returns the type of an import or export for messages.
fn shown(ty: &Extern) -> Box<str> {
    match ty {
        Extern::Function(ty) => text(format_args!("{ty}")),
        ty => ty.kind().into(),
    }
}
