//! Names of the resources that a component exports.
//!
//! The program knows a resource by its number. Its name and interface are in the contract: a walk through the
//! types of the exported functions, in the program and in the contract at once, finds which is which.

use hostel_contract::Contract;
use hostel_core::component::{ResourceId, Type, TypeId, Types, program::Program};
use std::collections::{HashMap, HashSet};
use wit_parser::{Function, Handle, InterfaceId, Resolve, TypeDefKind, TypeOwner, WorldItem};

/// The name of a resource.
pub(crate) struct ResourceName {
    /// The interface that exports it.
    pub(crate) interface: String,
    pub(crate) name: String,
}

/// Returns the names of the resources in the signatures of exported functions.
pub(crate) fn exported_resources(
    program: &Program,
    contract: &Contract,
) -> HashMap<ResourceId, ResourceName> {
    let (resolve, world) = contract.world();
    let mut interfaces = HashMap::new();
    let mut functions: HashMap<(Option<String>, &str), &Function> = HashMap::new();
    for (key, item) in &resolve.worlds[world].exports {
        match item {
            WorldItem::Interface { id, .. } => {
                let name = resolve.name_world_key(key);
                for (function, of) in &resolve.interfaces[*id].functions {
                    functions.insert((Some(name.clone()), function), of);
                }
                interfaces.insert(*id, name);
            }
            WorldItem::Function(function) => {
                functions.insert((None, &function.name), function);
            }
            WorldItem::Type { .. } => {}
        }
    }
    let mut walk = Walk {
        types: &program.types,
        resolve,
        interfaces,
        seen: HashSet::new(),
        found: HashMap::new(),
    };
    for export in &program.exports {
        let interface = export.interface.as_deref().map(str::to_owned);
        let Some(function) = functions.get(&(interface, &*export.name)) else {
            continue;
        };
        let ty = program.types.function(export.ty);
        let params = ty.params.iter().copied();
        let named = function.params.iter().map(|param| param.ty);
        let mut open: Vec<_> = params.zip(named).collect();
        open.extend(ty.result.zip(function.result));
        while let Some((ty, named)) = open.pop() {
            walk.step(ty, named, &mut open);
        }
    }
    walk.found
}

struct Walk<'a> {
    types: &'a Types,
    resolve: &'a Resolve,
    interfaces: HashMap<InterfaceId, String>,
    seen: HashSet<(TypeId, wit_parser::Type)>,
    found: HashMap<ResourceId, ResourceName>,
}

impl Walk<'_> {
    /// Looks at a type, and adds its parts to those that are still to be looked at.
    fn step(
        &mut self,
        ty: TypeId,
        named: wit_parser::Type,
        open: &mut Vec<(TypeId, wit_parser::Type)>,
    ) {
        let wit_parser::Type::Id(id) = named else {
            return;
        };
        if !self.seen.insert((ty, named)) {
            return;
        }
        match (self.types.get(ty), &self.resolve.types[id].kind) {
            (_, TypeDefKind::Type(other)) => open.push((ty, *other)),
            (Type::Own(resource), TypeDefKind::Handle(Handle::Own(id)))
            | (Type::Borrow(resource), TypeDefKind::Handle(Handle::Borrow(id))) => {
                self.resource(*resource, *id);
            }
            (Type::List(element), TypeDefKind::List(named))
            | (Type::FixedList(element, _), TypeDefKind::FixedLengthList(named, _))
            | (Type::Option(element), TypeDefKind::Option(named)) => open.push((*element, *named)),
            (Type::Record(fields), TypeDefKind::Record(named)) => {
                let named = named.fields.iter().map(|field| field.ty);
                open.extend(fields.iter().map(|(_, ty)| *ty).zip(named));
            }
            (Type::Tuple(fields), TypeDefKind::Tuple(named)) => {
                open.extend(fields.iter().copied().zip(named.types.iter().copied()));
            }
            (Type::Variant(cases), TypeDefKind::Variant(named)) => {
                let cases = cases.iter().zip(&named.cases);
                open.extend(cases.filter_map(|((_, ty), named)| ty.zip(named.ty)));
            }
            (Type::Result(ok, err), TypeDefKind::Result(named)) => {
                open.extend(ok.zip(named.ok));
                open.extend(err.zip(named.err));
            }
            _ => {}
        }
    }

    fn resource(&mut self, resource: ResourceId, mut id: wit_parser::TypeId) {
        // An interface that uses another's resource has a name for it.
        while let TypeDefKind::Type(wit_parser::Type::Id(other)) = self.resolve.types[id].kind {
            id = other;
        }
        let named = &self.resolve.types[id];
        if let (TypeOwner::Interface(interface), Some(name)) = (named.owner, &named.name)
            && let Some(interface) = self.interfaces.get(&interface)
        {
            self.found.entry(resource).or_insert(ResourceName {
                interface: interface.clone(),
                name: name.clone(),
            });
        }
    }
}
