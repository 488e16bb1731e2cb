//! Bounds the work of the validator and the depth of value types, before the validator sees them.
//!
//! The validator compares types part by part, by recursion, and compares a part again wherever it occurs. A
//! small file can declare a type whose parts, written out, are a million, and have it compared thousands of
//! times; or one that is nested a million times. So each type is weighed, from the weights of its parts, and
//! each use of one is counted with its weight.

use super::{over, scope::Names};
use crate::{base::limits::ComponentLimits, error::LoadError};
use alloc::{rc::Rc, vec::Vec};
use component_parser::{
    CanonicalFunction, ComponentAlias, ComponentDefinedType, ComponentExternalKind,
    ComponentInstance, ComponentOuterAliasKind, ComponentType, ComponentTypeDeclaration,
    ComponentTypeRef, ComponentValType, CoreType, FromReader, Instance, InstanceTypeDeclaration,
    Payload, SectionLimited, TypeBounds,
};

/// An entry of an index space, as far as it weighs.
#[derive(Clone, Debug)]
struct Entity<'a> {
    /// The number of its parts, written out.
    size: usize,
    /// The deepest nesting of value types in it.
    depth: usize,
    /// The exports of an instance, a component, or the type of one.
    exports: Option<Rc<Names<'a, Entity<'a>>>>,
}

impl Entity<'_> {
    /// An entry without parts, or one of which the validator will say that it does not exist.
    const PLAIN: Self = Self {
        size: 1,
        depth: 1,
        exports: None,
    };

    /// Adds a part.
    fn add(&mut self, part: &Self) {
        self.size = self.size.saturating_add(part.size);
        self.depth = self.depth.max(part.depth);
    }
}

/// The index spaces that matter.
#[derive(Clone, Copy)]
enum Space {
    Type,
    Function,
    Instance,
    Component,
    Module,
    CoreType,
}

/// A component, or the type of a component or instance.
struct Scope<'a> {
    spaces: [Vec<Entity<'a>>; 6],
    exports: Vec<(&'a str, Entity<'a>)>,
    /// All that it imports and exports.
    sum: Entity<'a>,
}

impl<'a> Scope<'a> {
    fn new() -> Self {
        Self {
            spaces: Default::default(),
            exports: Vec::new(),
            sum: Entity::PLAIN,
        }
    }

    fn space(&mut self, space: Space) -> Option<&mut Vec<Entity<'a>>> {
        self.spaces.get_mut(space as usize)
    }

    fn get(&self, space: Space, index: u32) -> Entity<'a> {
        let space = self.spaces.get(space as usize);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let found = space.and_then(|space| space.get(index));
        found.cloned().unwrap_or(Entity::PLAIN)
    }
}

/// What a payload belongs to.
enum Level<'a> {
    Component(Scope<'a>),
    /// A core module, with the number of its imports and exports.
    Module(usize),
}

/// Weighs the parts of a component.
pub(super) struct Weigher<'a, 'l> {
    limits: &'l ComponentLimits,
    levels: Vec<Level<'a>>,
    /// Parts that the validator has gone through, at most.
    work: usize,
}

impl<'a, 'l> Weigher<'a, 'l> {
    pub(super) fn new(limits: &'l ComponentLimits) -> Self {
        Self {
            limits,
            levels: Vec::from([Level::Component(Scope::new())]),
            work: 0,
        }
    }

    /// Weighs what the validator is about to see. What is malformed is left to the validator to tell.
    ///
    /// # Errors
    ///
    /// [`LoadError::OverLimit`] if it would take too long, or go too deep.
    pub(super) fn payload(&mut self, payload: &Payload<'a>) -> Result<(), LoadError> {
        match payload {
            Payload::ModuleSection { .. } => self.levels.push(Level::Module(1)),
            Payload::ComponentSection { .. } => self.levels.push(Level::Component(Scope::new())),
            Payload::End(_) => self.end(),
            Payload::ImportSection(section) => self.count(section.count()),
            Payload::ExportSection(section) => self.count(section.count()),
            Payload::CoreTypeSection(section) => for_each(section, |ty| {
                self.push(Space::CoreType, core_type(&ty));
                Ok(())
            })?,
            Payload::ComponentTypeSection(section) => for_each(section, |ty| self.define(&ty))?,
            Payload::ComponentAliasSection(section) => {
                for_each(section, |alias| self.alias(&alias))?;
            }
            Payload::ComponentImportSection(section) => {
                for_each(section, |import| self.import(import.ty))?
            }
            Payload::ComponentExportSection(section) => for_each(section, |export| {
                let item = self.get(space_of(export.kind), export.index);
                let mut declared = item.clone();
                if let Some(ty) = export.ty {
                    declared = self.declared(ty);
                    self.spend(item.size)?;
                }
                self.export(export.name.name, space_of(export.kind), declared)
            })?,
            Payload::InstanceSection(section) => for_each(section, |instance| {
                if let Instance::Instantiate { module_index, .. } = instance {
                    let module = self.get(Space::Module, module_index);
                    self.spend(module.size)?;
                }
                Ok(())
            })?,
            Payload::ComponentInstanceSection(section) => {
                for_each(section, |instance| self.instance(&instance))?;
            }
            Payload::ComponentCanonicalSection(section) => {
                for_each(section, |function| match function {
                    CanonicalFunction::Lift { type_index, .. } => {
                        let ty = self.get(Space::Type, type_index);
                        self.spend(ty.size)?;
                        self.push(Space::Function, ty);
                        Ok(())
                    }
                    CanonicalFunction::Lower { func_index, .. } => {
                        let size = self.get(Space::Function, func_index).size;
                        self.spend(size)
                    }
                    _ => Ok(()),
                })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Counts parts that the validator goes through.
    fn spend(&mut self, parts: usize) -> Result<(), LoadError> {
        self.work = self.work.saturating_add(parts);
        if self.work > self.limits.compared_parts {
            return Err(over(
                "component.compared_parts",
                self.limits.compared_parts,
                self.work,
            ));
        }
        Ok(())
    }

    /// Counts imports or exports of a core module.
    fn count(&mut self, entries: u32) {
        if let Some(Level::Module(size)) = self.levels.last_mut() {
            *size = size.saturating_add(usize::try_from(entries).unwrap_or(usize::MAX));
        }
    }

    /// Ends a module or a component, which becomes an entry of the one around it.
    fn end(&mut self) {
        match self.levels.pop() {
            Some(Level::Module(size)) => {
                let module = Entity {
                    size,
                    ..Entity::PLAIN
                };
                self.push(Space::Module, module);
            }
            Some(Level::Component(scope)) => self.push(Space::Component, closed(scope)),
            None => {}
        }
    }

    /// The component or type that is being read.
    fn scope(&mut self) -> Option<&mut Scope<'a>> {
        match self.levels.last_mut() {
            Some(Level::Component(scope)) => Some(scope),
            _ => None,
        }
    }

    fn push(&mut self, space: Space, entity: Entity<'a>) {
        if let Some(space) = self.scope().and_then(|scope| scope.space(space)) {
            space.push(entity);
        }
    }

    fn get(&mut self, space: Space, index: u32) -> Entity<'a> {
        let scope = self.scope();
        scope.map_or(Entity::PLAIN, |scope| scope.get(space, index))
    }

    /// Adds an import. The validator goes through its type.
    fn import(&mut self, ty: ComponentTypeRef) -> Result<(), LoadError> {
        let entity = self.declared(ty);
        self.spend(entity.size)?;
        if let Some(scope) = self.scope() {
            scope.sum.add(&entity);
        }
        self.push(space_of(ty.kind()), entity);
        Ok(())
    }

    /// Adds an export. The validator goes through its type.
    fn export(&mut self, name: &'a str, space: Space, entity: Entity<'a>) -> Result<(), LoadError> {
        self.spend(entity.size)?;
        if let Some(scope) = self.scope() {
            scope.sum.add(&entity);
            scope.exports.push((name, entity.clone()));
        }
        self.push(space, entity);
        Ok(())
    }

    /// Returns what is declared to have this type.
    fn declared(&mut self, ty: ComponentTypeRef) -> Entity<'a> {
        match ty {
            ComponentTypeRef::Module(index) => self.get(Space::CoreType, index),
            ComponentTypeRef::Func(index)
            | ComponentTypeRef::Instance(index)
            | ComponentTypeRef::Component(index)
            | ComponentTypeRef::Type(TypeBounds::Eq(index)) => self.get(Space::Type, index),
            ComponentTypeRef::Type(TypeBounds::SubResource) => Entity::PLAIN,
            ComponentTypeRef::Value(ty) => self.value(ty),
        }
    }

    fn value(&mut self, ty: ComponentValType) -> Entity<'a> {
        match ty {
            ComponentValType::Primitive(_) => Entity::PLAIN,
            ComponentValType::Type(index) => self.get(Space::Type, index),
        }
    }

    /// Adds a type that is defined.
    fn define(&mut self, ty: &ComponentType<'a>) -> Result<(), LoadError> {
        let entity = match ty {
            ComponentType::Defined(ty) => self.defined(ty)?,
            ComponentType::Func(ty) => {
                let params = ty.params.iter().map(|(_, ty)| *ty);
                self.compound(&mut params.chain(ty.result))?
            }
            ComponentType::Component(declarations) => {
                self.levels.push(Level::Component(Scope::new()));
                for declaration in declarations {
                    self.component_declaration(declaration)?;
                }
                self.close()
            }
            ComponentType::Instance(declarations) => {
                self.levels.push(Level::Component(Scope::new()));
                for declaration in declarations {
                    self.instance_declaration(declaration)?;
                }
                self.close()
            }
            ComponentType::Resource { .. } => Entity::PLAIN,
        };
        self.push(Space::Type, entity);
        Ok(())
    }

    /// Ends the type of a component or instance.
    fn close(&mut self) -> Entity<'a> {
        match self.levels.pop() {
            Some(Level::Component(scope)) => closed(scope),
            _ => Entity::PLAIN,
        }
    }

    fn component_declaration(
        &mut self,
        declaration: &ComponentTypeDeclaration<'a>,
    ) -> Result<(), LoadError> {
        match declaration {
            ComponentTypeDeclaration::CoreType(ty) => {
                self.push(Space::CoreType, core_type(ty));
                Ok(())
            }
            ComponentTypeDeclaration::Type(ty) => self.define(ty),
            ComponentTypeDeclaration::Alias(alias) => self.alias(alias),
            ComponentTypeDeclaration::Export { name, ty } => {
                let entity = self.declared(*ty);
                self.export(name.name, space_of(ty.kind()), entity)
            }
            ComponentTypeDeclaration::Import(import) => self.import(import.ty),
        }
    }

    fn instance_declaration(
        &mut self,
        declaration: &InstanceTypeDeclaration<'a>,
    ) -> Result<(), LoadError> {
        match declaration {
            InstanceTypeDeclaration::CoreType(ty) => {
                self.push(Space::CoreType, core_type(ty));
                Ok(())
            }
            InstanceTypeDeclaration::Type(ty) => self.define(ty),
            InstanceTypeDeclaration::Alias(alias) => self.alias(alias),
            InstanceTypeDeclaration::Export { name, ty } => {
                let entity = self.declared(*ty);
                self.export(name.name, space_of(ty.kind()), entity)
            }
        }
    }

    fn defined(&mut self, ty: &ComponentDefinedType<'a>) -> Result<Entity<'a>, LoadError> {
        match ty {
            ComponentDefinedType::Record(fields) => {
                self.compound(&mut fields.iter().map(|(_, ty)| *ty))
            }
            ComponentDefinedType::Variant(cases) => {
                let mut entity = self.compound(&mut cases.iter().filter_map(|case| case.ty))?;
                entity.size = entity.size.saturating_add(cases.len());
                Ok(entity)
            }
            ComponentDefinedType::Tuple(parts) => self.compound(&mut parts.iter().copied()),
            ComponentDefinedType::List(ty)
            | ComponentDefinedType::FixedLengthList(ty, _)
            | ComponentDefinedType::Option(ty) => self.compound(&mut [*ty].into_iter()),
            ComponentDefinedType::Map(key, value) => self.compound(&mut [*key, *value].into_iter()),
            ComponentDefinedType::Result { ok, err } => {
                self.compound(&mut [*ok, *err].into_iter().flatten())
            }
            ComponentDefinedType::Future(ty) | ComponentDefinedType::Stream(ty) => {
                self.compound(&mut ty.iter().copied())
            }
            ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => Ok(Entity {
                size: names.len().saturating_add(1),
                ..Entity::PLAIN
            }),
            ComponentDefinedType::Primitive(_)
            | ComponentDefinedType::Own(_)
            | ComponentDefinedType::Borrow(_) => Ok(Entity::PLAIN),
        }
    }

    /// Returns a type with these parts.
    fn compound(
        &mut self,
        parts: &mut dyn Iterator<Item = ComponentValType>,
    ) -> Result<Entity<'a>, LoadError> {
        let mut sum = Entity::PLAIN;
        for part in parts {
            let part = self.value(part);
            sum.add(&part);
        }
        sum.depth = sum.depth.saturating_add(1);
        let most = self.limits.type_depth;
        if sum.depth > most {
            return Err(over("component.type_depth", most, sum.depth));
        }
        Ok(sum)
    }

    fn alias(&mut self, alias: &ComponentAlias<'a>) -> Result<(), LoadError> {
        let (space, entity) = match *alias {
            ComponentAlias::InstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let instance = self.get(Space::Instance, instance_index);
                let exports = instance.exports.as_ref();
                let found = exports.and_then(|exports| exports.get(name).ok());
                (space_of(kind), found.unwrap_or(Entity::PLAIN))
            }
            ComponentAlias::CoreInstanceExport { .. } => return Ok(()),
            ComponentAlias::Outer { kind, count, index } => {
                let space = match kind {
                    ComponentOuterAliasKind::CoreModule => Space::Module,
                    ComponentOuterAliasKind::CoreType => Space::CoreType,
                    ComponentOuterAliasKind::Type => Space::Type,
                    ComponentOuterAliasKind::Component => Space::Component,
                };
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                let entity = match self.levels.iter().nth_back(count) {
                    Some(Level::Component(scope)) => scope.get(space, index),
                    _ => Entity::PLAIN,
                };
                (space, entity)
            }
        };
        // The validator looks for resources in it.
        self.spend(entity.size)?;
        self.push(space, entity);
        Ok(())
    }

    /// Adds an instance. The validator compares arguments with imports, and copies the exports.
    fn instance(&mut self, instance: &ComponentInstance<'a>) -> Result<(), LoadError> {
        let entity = match instance {
            ComponentInstance::Instantiate {
                component_index,
                args,
            } => {
                for argument in args {
                    let argument = self.get(space_of(argument.kind), argument.index);
                    self.spend(argument.size)?;
                }
                self.get(Space::Component, *component_index)
            }
            ComponentInstance::FromExports(exports) => {
                let mut sum = Entity::PLAIN;
                let mut entries = Vec::with_capacity(exports.len());
                for export in exports {
                    let entity = self.get(space_of(export.kind), export.index);
                    sum.add(&entity);
                    entries.push((export.name.name, entity));
                }
                sum.exports = Some(Rc::new(Names::new(entries.into_iter())));
                sum
            }
        };
        self.spend(entity.size)?;
        self.push(Space::Instance, entity);
        Ok(())
    }
}

/// Returns the entry that a component or a type becomes.
fn closed(scope: Scope<'_>) -> Entity<'_> {
    Entity {
        exports: Some(Rc::new(Names::new(scope.exports.into_iter()))),
        ..scope.sum
    }
}

fn core_type<'a>(ty: &CoreType<'_>) -> Entity<'a> {
    let size = match ty {
        CoreType::Rec(_) => 1,
        CoreType::Module(declarations) => declarations.len(),
    };
    Entity {
        size,
        ..Entity::PLAIN
    }
}

const fn space_of(kind: ComponentExternalKind) -> Space {
    match kind {
        ComponentExternalKind::Func => Space::Function,
        ComponentExternalKind::Instance => Space::Instance,
        ComponentExternalKind::Component => Space::Component,
        ComponentExternalKind::Module => Space::Module,
        // Values are refused, so it does not matter what space they are in.
        ComponentExternalKind::Type | ComponentExternalKind::Value => Space::Type,
    }
}

/// Weighs each entry of a section, up to a malformed one.
fn for_each<'a, T: FromReader<'a>>(
    section: &SectionLimited<'a, T>,
    mut weigh: impl FnMut(T) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    for entry in section.clone() {
        let Ok(entry) = entry else { break };
        weigh(entry)?;
    }
    Ok(())
}
