//! Types, resolved for the component instance that they are for.

use super::{
    asynchronous,
    inline::Inliner,
    missed,
    scope::{Item, Scope, TypeItem, entry},
};
use crate::{
    base::text::text,
    component::{
        program::{Callee, EqualResource, Import, ImportKind, Resource},
        types::{FunctionType, FunctionTypeId, ResourceId, Type, TypeId},
    },
    error::LoadError,
};
use alloc::{format, sync::Arc, vec::Vec};
use component_parser::{
    ComponentDefinedType, ComponentFuncType, ComponentType, ComponentTypeRef, ComponentValType,
    InstanceTypeDeclaration, PrimitiveValType, TypeBounds,
};

impl<'a> Inliner<'a> {
    /// Resolves a type that is defined in a scope.
    pub(super) fn define(
        &mut self,
        scope: usize,
        ty: ComponentType<'a>,
    ) -> Result<TypeItem, LoadError> {
        Ok(match ty {
            ComponentType::Defined(ty) => {
                self.asynchronous = None;
                let value = self.defined(scope, ty)?;
                match self.asynchronous {
                    Some(what) => TypeItem::AsyncValue(what, value),
                    None => TypeItem::Value(value),
                }
            }
            ComponentType::Func(ty) if ty.async_ => TypeItem::AsyncFunction("async func"),
            ComponentType::Func(ty) => {
                self.asynchronous = None;
                let function = self.function_type(scope, &ty)?;
                match self.asynchronous {
                    Some(what) => TypeItem::AsyncFunction(what),
                    None => TypeItem::Function(function),
                }
            }
            ComponentType::Component(_) => TypeItem::Component,
            ComponentType::Instance(declarations) => {
                self.declared.push((declarations.into(), scope));
                TypeItem::Instance(self.declared.len().saturating_sub(1))
            }
            ComponentType::Resource { dtor, .. } => {
                let scope = self.scope(scope)?;
                let destructor = dtor.map(|function| entry(&scope.core_functions, function));
                let resource = Resource::Defined {
                    instance: scope.instance,
                    destructor: destructor.transpose()?,
                };
                TypeItem::Resource(self.resource(resource)?)
            }
        })
    }

    /// Adds a resource type.
    pub(super) fn resource(&mut self, resource: Resource) -> Result<ResourceId, LoadError> {
        self.spend(size_of::<Resource>())?;
        let number = u32::try_from(self.program.resources.len()).map_err(|_| missed())?;
        self.program.resources.push(resource);
        Ok(ResourceId(number))
    }

    fn defined(&mut self, scope: usize, ty: ComponentDefinedType<'a>) -> Result<TypeId, LoadError> {
        let ty = match ty {
            ComponentDefinedType::Primitive(ty) => self.primitive(ty),
            ComponentDefinedType::Record(fields) => {
                let mut resolved = Vec::with_capacity(fields.len());
                for (name, ty) in fields {
                    resolved.push((self.name(name)?, self.value(scope, ty)?));
                }
                Type::Record(resolved.into())
            }
            ComponentDefinedType::Variant(cases) => {
                let mut resolved = Vec::with_capacity(cases.len());
                for case in cases {
                    resolved.push((self.name(case.name)?, self.payload(scope, case.ty)?));
                }
                Type::Variant(resolved.into())
            }
            ComponentDefinedType::List(ty) => Type::List(self.value(scope, ty)?),
            ComponentDefinedType::FixedLengthList(ty, len) => {
                Type::FixedList(self.value(scope, ty)?, len)
            }
            // Its values are those of a list of pairs.
            ComponentDefinedType::Map(key, value) => {
                let pair = [self.value(scope, key)?, self.value(scope, value)?];
                Type::List(self.program.types.add(Type::Tuple(pair.into()))?)
            }
            ComponentDefinedType::Tuple(parts) => {
                let parts = parts.iter().map(|ty| self.value(scope, *ty));
                Type::Tuple(parts.collect::<Result<_, _>>()?)
            }
            ComponentDefinedType::Flags(names) => {
                let names = names.iter().map(|name| self.name(name));
                Type::Flags(names.collect::<Result<_, _>>()?)
            }
            ComponentDefinedType::Enum(names) => {
                let names = names.iter().map(|name| self.name(name));
                Type::Enum(names.collect::<Result<_, _>>()?)
            }
            ComponentDefinedType::Option(ty) => Type::Option(self.value(scope, ty)?),
            ComponentDefinedType::Result { ok, err } => {
                Type::Result(self.payload(scope, ok)?, self.payload(scope, err)?)
            }
            ComponentDefinedType::Own(ty) => Type::Own(self.resource_type(scope, ty)?),
            ComponentDefinedType::Borrow(ty) => Type::Borrow(self.resource_type(scope, ty)?),
            ComponentDefinedType::Future(_) => self.asynchronous("future"),
            ComponentDefinedType::Stream(_) => self.asynchronous("stream"),
        };
        self.program.types.add(ty)
    }

    fn name(&mut self, name: &str) -> Result<Arc<str>, LoadError> {
        self.spend(name.len().saturating_add(size_of::<Arc<str>>()))?;
        Ok(name.into())
    }

    fn primitive(&mut self, ty: PrimitiveValType) -> Type {
        match ty {
            PrimitiveValType::Bool => Type::Bool,
            PrimitiveValType::S8 => Type::S8,
            PrimitiveValType::U8 => Type::U8,
            PrimitiveValType::S16 => Type::S16,
            PrimitiveValType::U16 => Type::U16,
            PrimitiveValType::S32 => Type::S32,
            PrimitiveValType::U32 => Type::U32,
            PrimitiveValType::S64 => Type::S64,
            PrimitiveValType::U64 => Type::U64,
            PrimitiveValType::F32 => Type::F32,
            PrimitiveValType::F64 => Type::F64,
            PrimitiveValType::Char => Type::Char,
            PrimitiveValType::String => Type::String,
            PrimitiveValType::ErrorContext => self.asynchronous("error-context"),
        }
    }

    /// Notes that the type that is being resolved has an asynchronous one, and returns a type that is laid out
    /// alike.
    fn asynchronous(&mut self, what: &'static str) -> Type {
        self.asynchronous = Some(what);
        Type::U32
    }

    pub(super) fn payload(
        &mut self,
        scope: usize,
        ty: Option<ComponentValType>,
    ) -> Result<Option<TypeId>, LoadError> {
        ty.map(|ty| self.value(scope, ty)).transpose()
    }

    fn value(&mut self, scope: usize, ty: ComponentValType) -> Result<TypeId, LoadError> {
        match ty {
            ComponentValType::Primitive(ty) => {
                let ty = self.primitive(ty);
                self.program.types.add(ty)
            }
            ComponentValType::Type(index) => match entry(&self.scope(scope)?.types, index)? {
                TypeItem::Value(ty) => Ok(ty),
                TypeItem::AsyncValue(what, ty) => {
                    self.asynchronous = Some(what);
                    Ok(ty)
                }
                _ => Err(missed()),
            },
        }
    }

    /// Returns the resource type of this index.
    pub(super) fn resource_type(&self, scope: usize, index: u32) -> Result<ResourceId, LoadError> {
        match entry(&self.scope(scope)?.types, index)? {
            TypeItem::Resource(resource) => Ok(resource),
            _ => Err(missed()),
        }
    }

    fn function_type(
        &mut self,
        scope: usize,
        ty: &ComponentFuncType<'a>,
    ) -> Result<FunctionTypeId, LoadError> {
        let mut names = Vec::with_capacity(ty.params.len());
        let mut params = Vec::with_capacity(ty.params.len());
        for (name, ty) in &ty.params {
            names.push(self.name(name)?);
            params.push(self.value(scope, *ty)?);
        }
        let result = self.payload(scope, ty.result)?;
        Ok(self.program.types.add_function(FunctionType {
            names: names.into(),
            params: params.into(),
            result,
        }))
    }

    /// Returns the function type of this index, which is that of the import `name`, or of a function that the
    /// component defines.
    pub(super) fn type_of_function(
        &self,
        scope: usize,
        index: u32,
        name: Option<&str>,
    ) -> Result<FunctionTypeId, LoadError> {
        match entry(&self.scope(scope)?.types, index)? {
            TypeItem::Function(ty) => Ok(ty),
            TypeItem::AsyncFunction(what) => Err(match name {
                Some(name) => asynchronous(&format!("the import `{name}` with the type `{what}`")),
                None => asynchronous(&format!("a function with the type `{what}`")),
            }),
            _ => Err(missed()),
        }
    }

    /// Makes what the embedder supplies for an import of the root, or for an export of an interface that the
    /// root imports.
    pub(super) fn imported(
        &mut self,
        scope: usize,
        within: Option<Within<'_>>,
        name: &str,
        ty: ComponentTypeRef,
    ) -> Result<Item<'a>, LoadError> {
        let interface = within.map(|within| within.interface);
        let qualified;
        let name = match within {
            Some(Within { path, .. }) if !path.is_empty() => {
                qualified = format!("{path}{name}");
                &*qualified
            }
            _ => name,
        };
        let number = self.program.imports.len();
        let (kind, item) = match ty {
            ComponentTypeRef::Func(index) => {
                let ty = self.type_of_function(scope, index, Some(name))?;
                let item = Item::Function(Callee::Import(number));
                (ImportKind::Function(ty), item)
            }
            ComponentTypeRef::Type(TypeBounds::SubResource) => {
                let resource = self.resource(Resource::Imported(number))?;
                let item = Item::Type(TypeItem::Resource(resource));
                (ImportKind::Resource(resource), item)
            }
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => {
                let ty = entry(&self.scope(scope)?.types, index)?;
                if let TypeItem::Resource(resource) = ty {
                    self.spend(name.len().saturating_add(size_of::<EqualResource>()))?;
                    self.program.equal_resources.push(EqualResource {
                        interface: interface.map(Into::into),
                        name: name.into(),
                        resource,
                    });
                }
                return Ok(Item::Type(ty));
            }
            ComponentTypeRef::Instance(index) => {
                let TypeItem::Instance(declared) = entry(&self.scope(scope)?.types, index)? else {
                    return Err(missed());
                };
                let path = format!("{name}.");
                let inner = match within {
                    None => Within {
                        interface: name,
                        path: "",
                        depth: 1,
                    },
                    Some(Within { depth, .. }) if depth > self.limits.depth => {
                        return Err(super::over("component.depth", self.limits.depth, depth));
                    }
                    Some(Within {
                        interface, depth, ..
                    }) => Within {
                        interface,
                        path: &path,
                        depth: depth.saturating_add(1),
                    },
                };
                self.spend(path.len())?;
                return self.interface(declared, inner);
            }
            ComponentTypeRef::Module(_) => {
                return Err(not_supplied("a core module", interface, name));
            }
            ComponentTypeRef::Component(_) => {
                return Err(not_supplied("a component", interface, name));
            }
            ComponentTypeRef::Value(_) => return Err(not_supplied("a value", interface, name)),
        };
        let found = number.saturating_add(1);
        if found > self.limits.imports {
            return Err(super::over("component.imports", self.limits.imports, found));
        }
        self.spend(name.len().saturating_add(size_of::<Import>()))?;
        if let Some(interface) = interface {
            self.spend(interface.len())?;
        }
        self.program.imports.push(Import {
            interface: interface.map(Into::into),
            name: name.into(),
            kind,
        });
        Ok(item)
    }

    /// Makes what the embedder supplies for an imported instance.
    fn interface(&mut self, declared: usize, within: Within<'_>) -> Result<Item<'a>, LoadError> {
        let (declarations, parent) = self.declared(declared)?;
        let instance = self.scope(parent)?.instance;
        let scope = self.open(Scope::new(Some(parent), instance, None))?;
        let mut exports = Vec::new();
        for declaration in declarations.iter() {
            self.spend(size_of::<Item<'_>>())?;
            match declaration {
                InstanceTypeDeclaration::CoreType(_) => {}
                InstanceTypeDeclaration::Type(ty) => {
                    let ty = self.define(scope, ty.clone())?;
                    self.scope_mut(scope)?.types.push(ty);
                }
                InstanceTypeDeclaration::Alias(alias) => self.alias(scope, alias)?,
                InstanceTypeDeclaration::Export { name, ty } => {
                    let item = self.imported(scope, Some(within), name.name, *ty)?;
                    self.scope_mut(scope)?.push(item);
                    exports.push((name.name, item));
                }
            }
        }
        self.list(exports).map(Item::Instance)
    }
}

/// An imported instance whose exports are read.
#[derive(Clone, Copy)]
pub(super) struct Within<'n> {
    /// The name of the interface that the root imports.
    interface: &'n str,
    /// The names of the instances within it, each with a dot, such as `outer.inner.`.
    path: &'n str,
    /// Number of instances around the exports.
    depth: usize,
}

/// Returns the error for an import that no embedder can supply.
#[cold]
fn not_supplied(what: &str, interface: Option<&str>, name: &str) -> LoadError {
    let (of, dot) = interface.map_or(("", ""), |interface| (interface, "#"));
    LoadError::Unsupported {
        what: text(format_args!(
            "it imports {what}, `{of}{dot}{name}`; only functions, types, and instances of these can be supplied"
        )),
    }
}
