//! Compares a plugin's contract with the world that a host wants.

mod types;

use self::types::Types;
use crate::{
    contract::Contract,
    difference::{Difference, Kind, Side},
    limits, print,
};
use std::collections::HashMap;
use wit_parser::{
    Function, IndexMap, InterfaceId, Resolve, Type, TypeId, WorldId, WorldItem, WorldKey,
};

/// Returns everything because of which a plugin does not fit the world `wanted`; nothing if it fits.
///
/// * Whatever the plugin imports, the world has to import. Whatever the world exports, the plugin has to
///   export. A plugin may import less and export more.
/// * Interfaces match by package, name and compatible version: 0.2.6 and 0.2.9, 1.1.0 and 1.4.2, but not
///   0.2.6 and 0.3.0. A function or type that only the newer version has is a difference if it is needed.
/// * Types are equal if their structure is, with names of parameters, fields and cases. `use` and `type`
///   make no difference. Resources are equal if their names and their interfaces are.
///
/// A difference in a type is listed once, wherever the type is used. At most
/// [`limits::DIFFERENCES`] differences are listed.
pub fn check(plugin: &Contract, wanted: &Contract) -> Vec<Difference> {
    let mut check = Check {
        plugin: &plugin.resolve,
        wanted: &wanted.resolve,
        found: Vec::new(),
        types: Types::default(),
    };
    check.imports(plugin.world, wanted.world);
    check.exports(plugin.world, wanted.world);
    check.found
}

/// Where a difference is.
#[derive(Clone, Copy)]
struct At<'a> {
    side: Side,
    interface: Option<&'a str>,
    item: Option<&'a str>,
}

struct Check<'a> {
    plugin: &'a Resolve,
    wanted: &'a Resolve,
    found: Vec<Difference>,
    types: Types,
}

impl<'a> Check<'a> {
    fn imports(&mut self, plugin: WorldId, wanted: WorldId) {
        let supplied = Names::new(self.wanted, &self.wanted.worlds[wanted].imports);
        for (key, item) in &self.plugin.worlds[plugin].imports {
            let name = self.plugin.name_world_key(key);
            match supplied.find(self.plugin, key) {
                Match::Found(other) => self.pair(Side::Import, &name, other, item),
                missing => self.absent(Side::Import, &name, item, missing.other_version()),
            }
        }
    }

    fn exports(&mut self, plugin: WorldId, wanted: WorldId) {
        let exported = Names::new(self.plugin, &self.plugin.worlds[plugin].exports);
        for (key, item) in &self.wanted.worlds[wanted].exports {
            let name = self.wanted.name_world_key(key);
            match exported.find(self.wanted, key) {
                Match::Found(other) => self.pair(Side::Export, &name, item, other),
                missing => self.absent(Side::Export, &name, item, missing.other_version()),
            }
        }
    }

    /// Compares an import or export that both sides have.
    fn pair(&mut self, side: Side, name: &str, wanted: &'a WorldItem, found: &'a WorldItem) {
        let of_world = At {
            side,
            interface: None,
            item: Some(name),
        };
        match (wanted, found) {
            (WorldItem::Interface { id: wanted, .. }, WorldItem::Interface { id: found, .. }) => {
                self.interfaces(side, name, *wanted, *found);
            }
            (WorldItem::Function(wanted), WorldItem::Function(found)) => {
                self.functions(of_world, wanted, found);
            }
            (WorldItem::Type { id: wanted, .. }, WorldItem::Type { id: found, .. }) => {
                self.type_pair(of_world, *wanted, *found);
            }
            _ => {
                let (expected, found) = (word(wanted), word(found));
                self.add(of_world, Kind::Mismatch, |difference| {
                    difference.expected = Some(expected.to_owned());
                    difference.found = Some(found.to_owned());
                    difference.remedy = "declare it in the plugin as the world does".to_owned();
                });
            }
        }
    }

    /// Reports what the plugin imports and the world lacks, or what the world exports and the plugin lacks.
    fn absent(&mut self, side: Side, name: &str, item: &WorldItem, other: Option<String>) {
        let is_interface = matches!(item, WorldItem::Interface { .. });
        let at = At {
            side,
            interface: is_interface.then_some(name),
            item: (!is_interface).then_some(name),
        };
        if let Some(other) = other {
            let (expected, found) = match side {
                Side::Import => (other.clone(), name.to_owned()),
                Side::Export => (name.to_owned(), other),
            };
            let remedy =
                format!("the versions are incompatible: build the plugin with `{expected}`");
            self.add(at, Kind::Version, |difference| {
                difference.expected = Some(expected);
                difference.found = Some(found);
                difference.remedy = remedy;
            });
            return;
        }
        let kind = match item {
            WorldItem::Interface { .. } => Kind::Interface,
            WorldItem::Function(_) => Kind::Function,
            WorldItem::Type { .. } => Kind::Type,
        };
        let resolve = match side {
            Side::Import => self.plugin,
            Side::Export => self.wanted,
        };
        let text = match item {
            WorldItem::Interface { .. } => None,
            WorldItem::Function(function) => Some(print::function(resolve, function)),
            WorldItem::Type { id, .. } => Some(print::ty(resolve, &Type::Id(*id))),
        };
        let remedy = match (side, is_interface) {
            (Side::Import, true) => format!(
                "the world does not supply it: remove it from the plugin, or add `import {name};` to the world"
            ),
            (Side::Import, false) => {
                "the world does not supply it: remove it from the plugin, or add it to the world"
                    .to_owned()
            }
            (Side::Export, _) => "the plugin lacks it: implement and export it".to_owned(),
        };
        self.add(at, kind, |difference| {
            difference.remedy = remedy;
            match side {
                Side::Import => difference.found = text,
                Side::Export => difference.expected = text,
            }
        });
    }

    fn interfaces(&mut self, side: Side, name: &str, wanted: InterfaceId, found: InterfaceId) {
        let (wanted, found) = (
            &self.wanted.interfaces[wanted],
            &self.plugin.interfaces[found],
        );
        // What one side needs is looked up in what the other has.
        let (needed, given) = match side {
            Side::Import => (found, wanted),
            Side::Export => (wanted, found),
        };
        // Types first: a function does not report again what is reported of its types.
        for (item, id) in &needed.types {
            let at = At {
                side,
                interface: Some(name),
                item: Some(item),
            };
            match (given.types.get(item), side) {
                (Some(other), Side::Import) => self.type_pair(at, *other, *id),
                (Some(other), Side::Export) => self.type_pair(at, *id, *other),
                (None, _) => {
                    let ty = Type::Id(*id);
                    self.missing(at, Kind::Type, |resolve| print::ty(resolve, &ty));
                }
            }
        }
        for (item, function) in &needed.functions {
            let at = At {
                side,
                interface: Some(name),
                item: Some(item),
            };
            match (given.functions.get(item), side) {
                (Some(other), Side::Import) => self.functions(at, other, function),
                (Some(other), Side::Export) => self.functions(at, function, other),
                (None, _) => self.missing(at, Kind::Function, |resolve| {
                    print::function(resolve, function)
                }),
            }
        }
    }

    /// Reports a function or type that one side needs and the other side's interface lacks.
    fn missing(&mut self, at: At<'_>, kind: Kind, print: impl FnOnce(&Resolve) -> String) {
        let resolve = match at.side {
            Side::Import => self.plugin,
            Side::Export => self.wanted,
        };
        let text = print(resolve);
        self.add(at, kind, |difference| match at.side {
            Side::Import => {
                difference.found = Some(text);
                difference.remedy = "build the plugin with the interface as the world has it, or add this to the world".to_owned();
            }
            Side::Export => {
                difference.expected = Some(text);
                difference.remedy = "add it to the plugin".to_owned();
            }
        });
    }

    fn functions(&mut self, at: At<'_>, wanted: &Function, found: &Function) {
        let names = |function: &'_ Function| {
            let params = function.params.iter();
            params.map(|param| param.name.clone()).collect::<Vec<_>>()
        };
        let agree = names(wanted) == names(found)
            && wanted.result.is_some() == found.result.is_some()
            && wanted.kind.is_async() == found.kind.is_async();
        if !agree {
            let expected = print::function(self.wanted, wanted);
            let found = print::function(self.plugin, found);
            return self.mismatch(at, None, expected, found);
        }
        for (wanted, found) in wanted.params.iter().zip(&found.params) {
            let place = format!("parameter `{}`", wanted.name);
            self.compare(at, &place, wanted.ty, found.ty);
        }
        for (wanted, found) in wanted.result.iter().zip(&found.result) {
            self.compare(at, "result", *wanted, *found);
        }
    }

    fn type_pair(&mut self, at: At<'_>, wanted: TypeId, found: TypeId) {
        self.compare(at, "", Type::Id(wanted), Type::Id(found));
    }

    /// Reports every place at which two types differ.
    fn compare(&mut self, at: At<'_>, place: &str, wanted: Type, found: Type) {
        let mut differing = Vec::new();
        let room = limits::DIFFERENCES.saturating_sub(self.found.len()) + 1;
        let (ours, theirs) = (self.wanted, self.plugin);
        self.types.compare(
            (ours, theirs),
            place,
            (wanted, found),
            &mut |place, wanted, found| {
                if differing.len() < room {
                    let texts = (print::ty(ours, &wanted), print::ty(theirs, &found));
                    differing.push((place.to_owned(), texts));
                }
            },
        );
        for (place, (expected, found)) in differing {
            let place = (!place.is_empty()).then_some(place);
            self.mismatch(at, place, expected, found);
        }
    }

    fn mismatch(&mut self, at: At<'_>, place: Option<String>, expected: String, found: String) {
        self.add(at, Kind::Mismatch, |difference| {
            difference.place = place;
            difference.remedy = match expected == found {
                // Resources of one name.
                true => "the interfaces that define it differ: generate the plugin's bindings from the world's WIT".to_owned(),
                false => format!("change it in the plugin to `{expected}`"),
            };
            difference.expected = Some(expected);
            difference.found = Some(found);
        });
    }

    fn add(&mut self, at: At<'_>, kind: Kind, fill: impl FnOnce(&mut Difference)) {
        let mut difference = Difference {
            side: at.side,
            kind,
            interface: at.interface.map(str::to_owned),
            item: at.item.map(str::to_owned),
            place: None,
            expected: None,
            found: None,
            remedy: String::new(),
        };
        match self.found.len() {
            0..limits::DIFFERENCES => {
                fill(&mut difference);
                self.found.push(difference);
            }
            limits::DIFFERENCES => {
                self.found.push(Difference {
                    side: at.side,
                    ..Difference::more()
                });
            }
            _ => {}
        }
    }
}

/// Returns the WIT word for an import or export.
fn word(item: &WorldItem) -> &'static str {
    match item {
        WorldItem::Interface { .. } => "interface",
        WorldItem::Function(_) => "func",
        WorldItem::Type { .. } => "type",
    }
}

/// Imports or exports, by the names under which they are looked up.
struct Names<'a> {
    resolve: &'a Resolve,
    /// By the name with what of its version decides compatibility.
    compatible: HashMap<String, Vec<(&'a WorldKey, &'a WorldItem)>>,
    /// Versions, by the name without one.
    versions: HashMap<String, String>,
}

enum Match<'a> {
    Found(&'a WorldItem),
    /// An incompatible version, by its full name.
    Version(String),
    None,
}

impl Match<'_> {
    fn other_version(self) -> Option<String> {
        match self {
            Self::Version(name) => Some(name),
            _ => None,
        }
    }
}

impl<'a> Names<'a> {
    fn new(resolve: &'a Resolve, items: &'a IndexMap<WorldKey, WorldItem>) -> Self {
        let mut names = Self {
            resolve,
            compatible: HashMap::new(),
            versions: HashMap::new(),
        };
        for (key, item) in items {
            let name = resolve.name_canonicalized_world_key(key);
            names.compatible.entry(name).or_default().push((key, item));
            let full = resolve.name_world_key(key);
            names.versions.insert(unversioned(&full).to_owned(), full);
        }
        names
    }

    /// Finds what fits a name of the other side: its own version if it is there, or else any compatible
    /// one, the last that is declared.
    fn find(&self, other: &Resolve, key: &WorldKey) -> Match<'a> {
        let full = other.name_world_key(key);
        let name = other.name_canonicalized_world_key(key);
        let compatible = self
            .compatible
            .get(&name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let exact = compatible
            .iter()
            .find(|(key, _)| self.resolve.name_world_key(key) == full);
        if let Some((_, item)) = exact.or(compatible.last()) {
            return Match::Found(item);
        }
        match self.versions.get(unversioned(&full)) {
            Some(other) if other.contains(':') => Match::Version(other.clone()),
            _ => Match::None,
        }
    }
}

fn unversioned(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}
