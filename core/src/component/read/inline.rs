//! Goes through a component's sections, and through those of a nested component once for each instance of it.
//!
//! What each section refers to is resolved at once, so that no names are left but those of core exports. The
//! walk keeps its own stack: nesting takes no native one.

use super::{
    Bounds,
    check::{Module, place},
    does_not_fit, invalid, missed, over,
    scope::{Definition, Item, Names, Scope, TypeItem, entry},
};
use crate::{
    base::{limits::ComponentLimits, text::text},
    component::{
        program::{Callee, ComponentInstance, CoreItem, Export, ImportKind, Program},
        types::{FunctionTypeId, Types},
    },
    error::LoadError,
};
use alloc::{sync::Arc, vec::Vec};
use component_parser::{
    Chunk, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentTypeRef,
    ExternalKind, InstanceTypeDeclaration, Parser, Payload, SectionLimited, SectionLimitedIntoIter,
};

/// Reads a validated component with these core modules.
pub(super) fn inline<'a>(
    wasm: &'a [u8],
    bounds: Bounds<'a>,
    modules: Vec<Module<'a>>,
) -> Result<Program, LoadError> {
    let mut inliner = Inliner::new(bounds, modules);
    let root = Definition {
        bytes: wasm,
        at: 0,
        scope: usize::MAX,
    };
    inliner.enter(root, None)?;
    inliner.run()?;
    let modules = inliner.modules.into_iter();
    inliner.program.modules = modules.map(|module| module.range).collect();
    Ok(inliner.program)
}

/// An instance type: its declarations, and the scope around it.
pub(super) type Declared<'a> = (Arc<[InstanceTypeDeclaration<'a>]>, usize);

/// A component that is being read.
pub(super) struct Inliner<'a> {
    pub(super) limits: &'a ComponentLimits,
    /// Bytes of the heap that are free.
    room: usize,
    /// Bytes that may still be inlined.
    left: usize,
    /// All core modules, by their place in the file.
    pub(super) modules: Vec<Module<'a>>,
    pub(super) program: Program,
    scopes: Vec<Scope<'a>>,
    /// The exports of component instances.
    lists: Vec<Names<'a, Item<'a>>>,
    /// The exports of core instances that no module has.
    pub(super) loose: Vec<Names<'a, CoreItem>>,
    pub(super) declared: Vec<Declared<'a>>,
    /// The asynchronous type that was met in the type that is being resolved.
    pub(super) asynchronous: Option<&'static str>,
    /// The component instances whose sections are being read, from the root to the innermost.
    frames: Vec<Frame<'a>>,
}

/// A component instance whose sections are being read.
struct Frame<'a> {
    scope: usize,
    parser: Parser,
    rest: &'a [u8],
    /// The instances of the current section that are left to be made.
    pending: Option<SectionLimitedIntoIter<'a, component_parser::ComponentInstance<'a>>>,
    exports: Vec<(&'a str, Item<'a>)>,
}

impl<'a> Inliner<'a> {
    /// Returns a program without anything, for a component with these core modules.
    pub(super) fn new(bounds: Bounds<'a>, modules: Vec<Module<'a>>) -> Self {
        Self {
            limits: bounds.limits,
            room: bounds.room,
            left: bounds.limits.inlined_bytes.min(bounds.room),
            modules,
            program: Program {
                types: Types::new(),
                resources: Vec::new(),
                imports: Vec::new(),
                equal_resources: Vec::new(),
                modules: Vec::new(),
                steps: Vec::new(),
                lifted: Vec::new(),
                lowered: Vec::new(),
                built_ins: Vec::new(),
                exports: Vec::new(),
                instances: 0,
            },
            scopes: Vec::new(),
            lists: Vec::new(),
            loose: Vec::new(),
            declared: Vec::new(),
            asynchronous: None,
            frames: Vec::new(),
        }
    }

    /// Returns the declarations of an instance type, and the scope around it.
    pub(super) fn declared(&self, number: usize) -> Result<Declared<'a>, LoadError> {
        self.declared.get(number).cloned().ok_or_else(missed)
    }

    /// Counts bytes before they are taken: those of the sections that are read, and of what they become.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), LoadError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let more = bytes.saturating_sub(self.left);
                let (limit, room) = (self.limits.inlined_bytes, self.room);
                if room < limit {
                    return Err(does_not_fit(room.saturating_add(more), room));
                }
                let found = limit.saturating_add(more);
                Err(over("component.inlined_bytes", limit, found))
            }
        }
    }

    pub(super) fn scope(&self, number: usize) -> Result<&Scope<'a>, LoadError> {
        self.scopes.get(number).ok_or_else(missed)
    }

    pub(super) fn scope_mut(&mut self, number: usize) -> Result<&mut Scope<'a>, LoadError> {
        self.scopes.get_mut(number).ok_or_else(missed)
    }

    /// Adds a scope, and returns its number.
    pub(super) fn open(&mut self, scope: Scope<'a>) -> Result<usize, LoadError> {
        self.spend(size_of::<Scope<'_>>())?;
        self.scopes.push(scope);
        Ok(self.scopes.len().saturating_sub(1))
    }

    /// Adds a list of exports, and returns its number.
    pub(super) fn list(&mut self, exports: Vec<(&'a str, Item<'a>)>) -> Result<usize, LoadError> {
        self.spend(exports.len().saturating_mul(size_of::<Item<'_>>()))?;
        self.lists.push(Names::new(exports.into_iter()));
        Ok(self.lists.len().saturating_sub(1))
    }

    /// Begins to read the sections of a component for one more instance of it.
    fn enter(
        &mut self,
        component: Definition<'a>,
        arguments: Option<Names<'a, Item<'a>>>,
    ) -> Result<(), LoadError> {
        let depth = self.frames.len();
        if depth > self.limits.depth {
            return Err(over("component.depth", self.limits.depth, depth));
        }
        let number = self.program.instances;
        let found = usize::try_from(number)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        if found > self.limits.components {
            return Err(over("component.components", self.limits.components, found));
        }
        self.program.instances = number.saturating_add(1);
        let parent = arguments.is_some().then_some(component.scope);
        let scope = Scope::new(parent, ComponentInstance(number), arguments);
        let scope = self.open(scope)?;
        self.frames.push(Frame {
            scope,
            parser: Parser::new(component.at),
            rest: component.bytes,
            pending: None,
            exports: Vec::new(),
        });
        Ok(())
    }

    fn run(&mut self) -> Result<(), LoadError> {
        while let Some(frame) = self.frames.last_mut() {
            let scope = frame.scope;
            if let Some(pending) = &mut frame.pending {
                match pending.next() {
                    Some(instance) => {
                        let instance = instance.map_err(|error| invalid(&error))?;
                        self.instance(scope, instance)?;
                    }
                    None => frame.pending = None,
                }
                continue;
            }
            let parsed = frame.parser.parse(frame.rest, true);
            let Chunk::Parsed { consumed, payload } = parsed.map_err(|error| invalid(&error))?
            else {
                return Err(missed());
            };
            frame.rest = frame.rest.get(consumed..).unwrap_or_default();
            self.section(scope, consumed, payload)?;
        }
        Ok(())
    }

    /// Reads a section of the innermost component, which takes so many bytes.
    fn section(
        &mut self,
        scope: usize,
        bytes: usize,
        payload: Payload<'a>,
    ) -> Result<(), LoadError> {
        if !matches!(payload, Payload::CustomSection(_)) {
            self.spend(bytes)?;
        }
        match payload {
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                let range = place(&unchecked_range);
                self.pass(range.len());
                let start = |module: &Module<'_>| module.range.start;
                let number = self.modules.binary_search_by_key(&range.start, start);
                let number = number.map_err(|_| missed())?;
                self.add(scope, Item::Module(number))?;
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } => {
                let bytes = self.pass(place(&unchecked_range).len());
                let at = unchecked_range.start;
                self.add(scope, Item::Component(Definition { bytes, at, scope }))?;
            }
            Payload::InstanceSection(section) => {
                for_each(section, |instance| self.core_instance(scope, instance))?;
            }
            Payload::ComponentInstanceSection(section) => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.pending = Some(section.into_iter());
                }
            }
            Payload::ComponentAliasSection(section) => {
                for_each(section, |alias| self.alias(scope, &alias))?;
            }
            Payload::ComponentTypeSection(section) => for_each(section, |ty| {
                let ty = self.define(scope, ty)?;
                self.add(scope, Item::Type(ty))
            })?,
            Payload::ComponentCanonicalSection(section) => {
                for_each(section, |function| self.canonical(scope, function))?;
            }
            Payload::ComponentImportSection(section) => for_each(section, |import| {
                let name = import.name.name;
                let item = match &self.scope(scope)?.arguments {
                    Some(arguments) => arguments.get(name)?,
                    None => self.imported(scope, None, name, import.ty)?,
                };
                self.add(scope, item)
            })?,
            Payload::ComponentExportSection(section) => for_each(section, |export| {
                let mut item = self.item(scope, export.kind, export.index, export.name.name)?;
                if let (Item::Instance(list), Some(ComponentTypeRef::Instance(ty))) =
                    (item, export.ty)
                {
                    item = self.narrowed(scope, list, ty)?;
                }
                if let Some(frame) = self.frames.last_mut() {
                    frame.exports.push((export.name.name, item));
                }
                self.add(scope, item)
            })?,
            Payload::ComponentStartSection { .. } => {
                return Err(LoadError::unsupported(
                    "it has a start section of its own, not of a core module",
                ));
            }
            Payload::End(_) => self.leave()?,
            _ => {}
        }
        Ok(())
    }

    /// Passes over so many bytes of the innermost component, and returns them.
    fn pass(&mut self, bytes: usize) -> &'a [u8] {
        let Some(frame) = self.frames.last_mut() else {
            return &[];
        };
        let (passed, rest) = frame.rest.split_at_checked(bytes).unwrap_or_default();
        frame.rest = rest;
        passed
    }

    /// Adds an entry to an index space.
    pub(super) fn add(&mut self, scope: usize, item: Item<'a>) -> Result<(), LoadError> {
        self.spend(size_of::<Item<'_>>())?;
        self.scope_mut(scope)?.push(item);
        Ok(())
    }

    /// Ends the innermost component.
    fn leave(&mut self) -> Result<(), LoadError> {
        let Some(frame) = self.frames.pop() else {
            return Err(missed());
        };
        match self.frames.last() {
            Some(parent) => {
                let parent = parent.scope;
                let list = self.list(frame.exports)?;
                self.scope_mut(parent)?.instances.push(list);
            }
            None => self.export(frame.exports)?,
        }
        Ok(())
    }

    /// Keeps the functions among the root's exports.
    fn export(&mut self, exports: Vec<(&'a str, Item<'a>)>) -> Result<(), LoadError> {
        for (name, item) in exports {
            match item {
                Item::Function(function) => self.export_function(None, name, function)?,
                Item::Instance(list) => {
                    let list = self.lists.get(list).ok_or_else(missed)?.in_order();
                    for (inner, item) in list {
                        if let Item::Function(function) = item {
                            self.export_function(Some(name), inner, function)?;
                        }
                    }
                }
                Item::Component(_) | Item::Module(_) | Item::Type(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn export_function(
        &mut self,
        interface: Option<&str>,
        name: &str,
        function: Callee,
    ) -> Result<(), LoadError> {
        let found = self.program.exports.len().saturating_add(1);
        if found > self.limits.exports {
            return Err(over("component.exports", self.limits.exports, found));
        }
        let names = interface.map_or(0, str::len).saturating_add(name.len());
        self.spend(names.saturating_add(size_of::<Export>()))?;
        let ty = self.function_type_of(function)?;
        self.program.exports.push(Export {
            interface: interface.map(Into::into),
            name: name.into(),
            function,
            ty,
        });
        Ok(())
    }

    /// Returns an instance with those exports of the list that the instance type of this index has.
    fn narrowed(&mut self, scope: usize, list: usize, ty: u32) -> Result<Item<'a>, LoadError> {
        let TypeItem::Instance(declared) = entry(&self.scope(scope)?.types, ty)? else {
            return Err(missed());
        };
        let (declarations, _) = self.declared(declared)?;
        let mut exports = Vec::new();
        for declaration in declarations.iter() {
            if let InstanceTypeDeclaration::Export { name, .. } = declaration {
                let list = self.lists.get(list).ok_or_else(missed)?;
                exports.push((name.name, list.get(name.name)?));
            }
            self.spend(1)?;
        }
        self.list(exports).map(Item::Instance)
    }

    pub(super) fn function_type_of(&self, function: Callee) -> Result<FunctionTypeId, LoadError> {
        match function {
            Callee::Import(number) => match self.program.imports.get(number) {
                Some(import) => match import.kind {
                    ImportKind::Function(ty) => Ok(ty),
                    ImportKind::Resource(_) => Err(missed()),
                },
                None => Err(missed()),
            },
            Callee::Lifted(number) => {
                let lifted = self.program.lifted.get(number).ok_or_else(missed)?;
                Ok(lifted.ty)
            }
        }
    }

    /// Returns the entry of this kind and index. `name` is that of the export for which it is looked up.
    fn item(
        &self,
        scope: usize,
        kind: ComponentExternalKind,
        index: u32,
        name: &str,
    ) -> Result<Item<'a>, LoadError> {
        let scope = self.scope(scope)?;
        Ok(match kind {
            ComponentExternalKind::Func => Item::Function(entry(&scope.functions, index)?),
            ComponentExternalKind::Instance => Item::Instance(entry(&scope.instances, index)?),
            ComponentExternalKind::Component => Item::Component(entry(&scope.components, index)?),
            ComponentExternalKind::Module => Item::Module(entry(&scope.modules, index)?),
            ComponentExternalKind::Type => Item::Type(entry(&scope.types, index)?),
            ComponentExternalKind::Value => {
                return Err(LoadError::Unsupported {
                    what: text(format_args!("it has a value, `{name}`")),
                });
            }
        })
    }

    /// Makes a component instance, or begins to.
    fn instance(
        &mut self,
        scope: usize,
        instance: component_parser::ComponentInstance<'a>,
    ) -> Result<(), LoadError> {
        match instance {
            component_parser::ComponentInstance::Instantiate {
                component_index,
                args,
            } => {
                let component = entry(&self.scope(scope)?.components, component_index)?;
                let mut arguments = Vec::with_capacity(args.len());
                for argument in &args {
                    let item = self.item(scope, argument.kind, argument.index, argument.name)?;
                    arguments.push((argument.name, item));
                }
                self.spend(args.len().saturating_mul(size_of::<Item<'_>>()))?;
                self.enter(component, Some(Names::new(arguments.into_iter())))
            }
            component_parser::ComponentInstance::FromExports(exports) => {
                let mut items = Vec::with_capacity(exports.len());
                for export in &exports {
                    let item = self.item(scope, export.kind, export.index, export.name.name)?;
                    items.push((export.name.name, item));
                }
                let list = self.list(items)?;
                self.add(scope, Item::Instance(list))
            }
        }
    }

    /// Adds what an alias refers to.
    pub(super) fn alias(
        &mut self,
        scope: usize,
        alias: &ComponentAlias<'a>,
    ) -> Result<(), LoadError> {
        match *alias {
            ComponentAlias::InstanceExport {
                instance_index,
                name,
                ..
            } => {
                let list = entry(&self.scope(scope)?.instances, instance_index)?;
                let item = self.lists.get(list).ok_or_else(missed)?.get(name)?;
                self.add(scope, item)
            }
            ComponentAlias::CoreInstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let from = entry(&self.scope(scope)?.core_instances, instance_index)?;
                let item = self.core_export(from, name)?;
                let own = self.scope_mut(scope)?;
                match kind {
                    ExternalKind::Func | ExternalKind::FuncExact => own.core_functions.push(item),
                    ExternalKind::Table => own.core_tables.push(item),
                    ExternalKind::Memory => own.core_memories.push(item),
                    ExternalKind::Global => own.core_globals.push(item),
                    ExternalKind::Tag => return Err(missed()),
                }
                Ok(())
            }
            ComponentAlias::Outer { kind, count, index } => {
                let mut outer = scope;
                for _ in 0..count {
                    outer = self.scope(outer)?.parent.ok_or_else(missed)?;
                }
                let outer = self.scope(outer)?;
                let item = match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        Item::Module(entry(&outer.modules, index)?)
                    }
                    // Only types of modules refer to core types.
                    ComponentOuterAliasKind::CoreType => return Ok(()),
                    ComponentOuterAliasKind::Type => Item::Type(entry(&outer.types, index)?),
                    ComponentOuterAliasKind::Component => {
                        Item::Component(entry(&outer.components, index)?)
                    }
                };
                self.add(scope, item)
            }
        }
    }
}

/// Reads each entry of a section.
fn for_each<'a, T: component_parser::FromReader<'a>>(
    section: SectionLimited<'a, T>,
    mut read: impl FnMut(T) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    for entry in section {
        read(entry.map_err(|error| invalid(&error))?)?;
    }
    Ok(())
}
