//! Refuses what the decoder of contracts would take too long for, or panic on. The validator itself bounds how
//! deep types are nested, to 100, and how large they are with all their parts, to a million.

use crate::{error::ReadError, limits};
use std::{
    collections::{HashMap, HashSet},
    mem::discriminant,
};
use wasmparser::{
    ComponentType, ComponentTypeDeclaration, InstanceTypeDeclaration, Parser, Payload,
    ValidPayload, Validator, WasmFeatures,
    component_types::{
        ComponentAnyTypeId, ComponentDefinedType, ComponentEntityType, ComponentItem,
        ComponentTypeId, ComponentValType,
    },
    types::Types,
};

/// Checks a component or a WIT package. The bodies of its functions are not validated: they have no part in
/// the contract.
pub(crate) fn component(wasm: &[u8]) -> Result<(), ReadError> {
    let (types, names) = validate(wasm)?;
    let mut walk = Walk::new(&types);
    let item = |name: &String, import| {
        let types = types.as_ref();
        match import {
            true => types.component_item_for_import(name).cloned(),
            false => types.component_item_for_export(name).cloned(),
        }
    };
    let mut items = Vec::new();
    for (name, import) in names {
        if let Some(item) = item(&name, import) {
            items.push((name, import, item));
        }
    }
    // A package exports worlds and interfaces, as types of components, and imports nothing.
    let is_package = !items.is_empty()
        && items
            .iter()
            .all(|(_, import, item)| !import && as_component(item).is_some());
    if !is_package {
        return walk.world(items.iter().map(|(name, _, item)| (name, item)));
    }
    for (_, _, item) in &items {
        if let Some(id) = as_component(item) {
            walk.package(id)?;
        }
    }
    Ok(())
}

/// Checks the component in a custom section `component-type`: one type of a component, whose only part is
/// the type of the world.
pub(crate) fn section(wasm: &[u8]) -> Result<(), ReadError> {
    let refused = || ReadError::Invalid {
        message: "a section `component-type` does not hold one world".to_owned(),
    };
    let (types, names) = validate(wasm)?;
    let [(name, false)] = &*names else {
        return Err(refused());
    };
    let item = types.as_ref().component_item_for_export(name);
    let outer = item.and_then(as_component).ok_or_else(refused)?;
    let outer = &types[outer];
    let world = outer.exports.values().next();
    match world.map(|item| item.ty) {
        Some(ComponentEntityType::Component(world))
            if outer.exports.len() == 1 && outer.imports.is_empty() =>
        {
            Walk::new(&types).component(world)
        }
        _ => Err(refused()),
    }
}

/// Validates a component within the limits. Returns its types, and the names of its imports (`true`) and
/// exports in order.
fn validate(wasm: &[u8]) -> Result<(Types, Vec<(String, bool)>), ReadError> {
    ReadError::at_most("bytes", limits::BYTES, wasm.len() as u64)?;
    // As the decoder validates it.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let (mut depth, mut components, mut declarations) = (0_u64, 0, 0);
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(ReadError::invalid)?;
        declarations += declared(&payload)?;
        ReadError::at_most(
            "types, imports and exports",
            limits::DECLARATIONS,
            declarations,
        )?;
        match &payload {
            Payload::Version { .. } => {
                depth += 1;
                components += 1;
                ReadError::at_most("nested components", limits::COMPONENT_DEPTH, depth)?;
                ReadError::at_most("components and modules", limits::COMPONENTS, components)?;
            }
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section.clone() {
                    let import = import.map_err(ReadError::invalid)?;
                    names.push((import.name.name.to_owned(), true));
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section.clone() {
                    let export = export.map_err(ReadError::invalid)?;
                    names.push((export.name.name.to_owned(), false));
                }
            }
            _ => {}
        }
        if let ValidPayload::End(types) = validator.payload(&payload).map_err(ReadError::invalid)? {
            depth -= 1;
            if depth == 0 {
                return Ok((types, names));
            }
        }
    }
    Err(ReadError::NotWasm)
}

/// Counts what a section declares.
fn declared(payload: &Payload<'_>) -> Result<u64, ReadError> {
    Ok(match payload {
        Payload::ComponentTypeSection(section) => {
            let mut count = 0;
            for ty in section.clone() {
                count += types_in(&ty.map_err(ReadError::invalid)?);
            }
            count
        }
        Payload::ComponentImportSection(section) => section.count().into(),
        Payload::ComponentExportSection(section) => section.count().into(),
        _ => 0,
    })
}

/// Counts a type with the parts that it declares. The parser bounds their nesting.
fn types_in(ty: &ComponentType<'_>) -> u64 {
    1 + match ty {
        ComponentType::Component(parts) => parts
            .iter()
            .map(|part| match part {
                ComponentTypeDeclaration::Type(ty) => types_in(ty),
                _ => 1,
            })
            .sum::<u64>(),
        ComponentType::Instance(parts) => parts
            .iter()
            .map(|part| match part {
                InstanceTypeDeclaration::Type(ty) => types_in(ty),
                _ => 1,
            })
            .sum(),
        _ => 0,
    }
}

/// Returns the component of which an item is the type.
fn as_component(item: &ComponentItem) -> Option<ComponentTypeId> {
    match item.ty {
        ComponentEntityType::Type {
            created: ComponentAnyTypeId::Component(id),
            ..
        } => Some(id),
        _ => None,
    }
}

/// What the decoder has met so far, in its order.
struct Walk<'a> {
    types: &'a Types,
    /// Types that an import or export created.
    created: HashSet<ComponentAnyTypeId>,
    /// By interface and name, whether a type is a resource of that interface, and the type. An interface that is
    /// imported and exported is one interface to the decoder.
    named: HashMap<(String, String), (Owned, ComponentAnyTypeId)>,
    /// Number of interfaces without a name of their own.
    unnamed: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owned {
    Resource,
    /// A resource of another interface.
    Alias,
    Value,
}

impl<'a> Walk<'a> {
    fn new(types: &'a Types) -> Self {
        Self {
            types,
            created: HashSet::new(),
            named: HashMap::new(),
            unnamed: 0,
        }
    }

    /// Checks the type of a component in a WIT package.
    fn package(&mut self, id: ComponentTypeId) -> Result<(), ReadError> {
        let ty = &self.types[id];
        self.world(ty.imports.iter())?;
        for (name, item) in &ty.exports {
            match item.ty {
                ComponentEntityType::Component(world) => self.component(world)?,
                ComponentEntityType::Instance(_) => self.world([(name, item)].into_iter())?,
                _ => {
                    return Err(ReadError::not_in_wit(format!(
                        "`{name}` is neither an interface nor a world"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Checks the type of a component.
    fn component(&mut self, id: ComponentTypeId) -> Result<(), ReadError> {
        let ty = &self.types[id];
        self.world(ty.imports.iter().chain(&ty.exports))
    }

    /// Checks imports and exports of one component.
    fn world<'i>(
        &mut self,
        items: impl Iterator<Item = (&'i String, &'i ComponentItem)>,
    ) -> Result<(), ReadError> {
        self.unnamed += 1;
        let own = format!("{}", self.unnamed);
        for (name, item) in items {
            match item.ty {
                ComponentEntityType::Instance(id) => {
                    let interface = match (&item.implements, name.contains(':')) {
                        (Some(interface), _) => interface.clone(),
                        (None, true) => name.clone(),
                        (None, false) => {
                            self.unnamed += 1;
                            format!("{}", self.unnamed)
                        }
                    };
                    for (name, item) in &self.types[id].exports {
                        self.item(&interface, name, item)?;
                    }
                }
                _ => self.item(&own, name, item)?,
            }
        }
        Ok(())
    }

    /// Checks a function or a type of an interface or a world.
    fn item(&mut self, owner: &str, name: &str, item: &ComponentItem) -> Result<(), ReadError> {
        let owned = |name: &str| (owner.to_owned(), name.to_owned());
        match item.ty {
            ComponentEntityType::Func(_) => {
                if let Some(resource) = resource_of(name)
                    && !matches!(self.named.get(&owned(resource)), Some((Owned::Resource, _)))
                {
                    return Err(ReadError::not_in_wit(format!(
                        "`{name}` belongs to a resource that its interface does not define"
                    )));
                }
                Ok(())
            }
            ComponentEntityType::Type {
                referenced,
                created,
            } => {
                let kind = match referenced {
                    ComponentAnyTypeId::Resource(_) if self.is_known(referenced) => Owned::Alias,
                    ComponentAnyTypeId::Resource(_) => Owned::Resource,
                    ComponentAnyTypeId::Defined(_) => Owned::Value,
                    _ => {
                        return Err(ReadError::not_in_wit(format!(
                            "`{name}` is not a type of values"
                        )));
                    }
                };
                let agrees = match self.named.get(&owned(name)) {
                    None => self.named.insert(owned(name), (kind, created)).is_none(),
                    // An alias in one place may be the resource itself in the other.
                    Some((known, before)) => {
                        (*known == Owned::Value) == (kind == Owned::Value)
                            && alike(self.types, *before, created)
                    }
                };
                if !agrees || !self.created.insert(created) {
                    return Err(ReadError::not_in_wit(format!(
                        "the type `{name}` is declared twice, as when an import is exported again"
                    )));
                }
                Ok(())
            }
            // The decoder refuses or ignores them.
            _ => Ok(()),
        }
    }

    /// Returns whether a type is an alias of one that an import or export created.
    fn is_known(&self, mut id: ComponentAnyTypeId) -> bool {
        loop {
            if self.created.contains(&id) {
                return true;
            }
            match self.types.as_ref().peel_alias(id) {
                Some(next) => id = next,
                None => return false,
            }
        }
    }
}

/// Returns the resource that a function such as `[method]point.length` belongs to.
fn resource_of(name: &str) -> Option<&str> {
    let mut rest = name;
    let mut belongs = false;
    while let Some((mark, after)) = rest.strip_prefix('[').and_then(|it| it.split_once(']')) {
        belongs |= matches!(mark, "constructor" | "method" | "static");
        rest = after;
    }
    let resource = rest.split('.').next();
    resource.filter(|_| belongs)
}

/// Returns whether two types have one structure, but for the names in it. The decoder takes this for granted of
/// an interface that is imported and exported.
fn alike(types: &Types, one: ComponentAnyTypeId, other: ComponentAnyTypeId) -> bool {
    let mut pairs = vec![(one, other)];
    let mut seen = HashSet::new();
    while let Some(pair) = pairs.pop() {
        let (ComponentAnyTypeId::Defined(one), ComponentAnyTypeId::Defined(other)) = pair else {
            continue;
        };
        if !seen.insert(pair) {
            continue;
        }
        let (one, other) = (&types[one], &types[other]);
        let (mine, theirs) = (parts(one), parts(other));
        if discriminant(one) != discriminant(other) || mine.len() != theirs.len() {
            return false;
        }
        for (one, other) in mine.into_iter().zip(theirs) {
            match (one, other) {
                (Some(ComponentValType::Type(one)), Some(ComponentValType::Type(other))) => {
                    pairs.push((one.into(), other.into()));
                }
                (
                    Some(ComponentValType::Primitive(one)),
                    Some(ComponentValType::Primitive(other)),
                ) if one == other => {}
                (None, None) => {}
                _ => return false,
            }
        }
    }
    true
}

/// Returns the types that a type is made of.
fn parts(ty: &ComponentDefinedType) -> Vec<Option<ComponentValType>> {
    match ty {
        ComponentDefinedType::Record(record) => {
            record.fields.values().map(|ty| Some(*ty)).collect()
        }
        ComponentDefinedType::Variant(variant) => {
            variant.cases.values().map(|case| case.ty).collect()
        }
        ComponentDefinedType::Tuple(tuple) => tuple.types.iter().map(|ty| Some(*ty)).collect(),
        ComponentDefinedType::List { element, .. }
        | ComponentDefinedType::FixedLengthList { element, .. } => vec![Some(*element)],
        ComponentDefinedType::Map { key, value, .. } => vec![Some(*key), Some(*value)],
        ComponentDefinedType::Option { ty, .. } => vec![Some(*ty)],
        ComponentDefinedType::Result { ok, err, .. } => vec![*ok, *err],
        ComponentDefinedType::Future { ty, .. } | ComponentDefinedType::Stream { ty, .. } => {
            vec![*ty]
        }
        ComponentDefinedType::Primitive(_)
        | ComponentDefinedType::Flags(_)
        | ComponentDefinedType::Enum(_)
        | ComponentDefinedType::Own(_)
        | ComponentDefinedType::Borrow(_) => Vec::new(),
    }
}
