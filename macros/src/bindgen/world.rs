//! [`Bindings`]: the code for a world.

use super::options::Options;
use crate::krate;
use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use std::collections::{BTreeMap, HashSet};
use syn::{Error, Path, Result};
use wit_parser::{
    Docs, Function, InterfaceId, Resolve, TypeId, World, WorldId, WorldItem, WorldKey,
};

/// Most parameters of a function.
const MOST_PARAMETERS: usize = 16;

/// Packages whose interfaces `Grants::wasi` supplies.
const WASI: [&str; 7] = [
    "cli",
    "clocks",
    "filesystem",
    "http",
    "io",
    "random",
    "sockets",
];

/// Whether a world imports something, or exports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Import,
    Export,
}

/// A module of the code: the interface for which it is made, or the place of the macro's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    pub(crate) side: Side,
    pub(crate) interface: Option<InterfaceId>,
}

/// An interface of a world.
struct Known {
    /// The module's name.
    module: Ident,
    /// The interface's name with its package, as components import and export it.
    name: String,
}

/// What the code for a world is made from.
pub(crate) struct Bindings<'a> {
    pub(crate) resolve: &'a Resolve,
    pub(crate) world: &'a World,
    pub(crate) options: &'a Options,
    pub(crate) krate: Path,
    interfaces: BTreeMap<(Side, InterfaceId), Known>,
}

impl<'a> Bindings<'a> {
    /// Names the modules of the world's interfaces.
    pub(crate) fn new(resolve: &'a Resolve, world: WorldId, options: &'a Options) -> Result<Self> {
        let world = &resolve.worlds[world];
        let mut bindings = Self {
            resolve,
            world,
            options,
            krate: options.krate.clone().unwrap_or_else(krate::path),
            interfaces: BTreeMap::new(),
        };
        for (side, items) in [
            (Side::Import, &world.imports),
            (Side::Export, &world.exports),
        ] {
            let mut taken = HashSet::new();
            for (key, item) in items {
                if let WorldItem::Interface { id, .. } = item {
                    let module = bindings.module_name(key, *id, &mut taken);
                    let name = resolve.name_world_key(key);
                    bindings
                        .interfaces
                        .insert((side, *id), Known { module, name });
                }
            }
        }
        bindings.check_options()?;
        Ok(bindings)
    }

    /// Returns a module's name: the interface's, or with its package's if another interface has it.
    fn module_name(&self, key: &WorldKey, id: InterfaceId, taken: &mut HashSet<String>) -> Ident {
        let interface = &self.resolve.interfaces[id];
        let name = match key {
            WorldKey::Name(name) => name,
            WorldKey::Interface(_) => interface.name.as_ref().unwrap_or(&self.world.name),
        };
        let mut names = vec![name.to_snake_case()];
        if let Some(package) = interface.package {
            let package = &self.resolve.packages[package].name;
            let long = format!("{} {} {name}", package.namespace, package.name).to_snake_case();
            let version = package.version.as_ref();
            names.push(long.clone());
            names.push(version.map_or(long.clone(), |v| format!("{long} {v}").to_snake_case()));
        }
        let free = |name: &String| name != "exports" && !taken.contains(name);
        let name = names
            .iter()
            .find(|name| free(name))
            .unwrap_or(&names[0])
            .clone();
        taken.insert(name.clone());
        rust(&name)
    }

    /// Fails for a resource or function in the options that the world does not import.
    fn check_options(&self) -> Result<()> {
        if self.options.fixed {
            for (_, id) in self.interfaces.keys() {
                let types = &self.resolve.interfaces[*id].types;
                if let Some((name, _)) = types.iter().find(|(_, ty)| self.is_resource(**ty)) {
                    let message = format!(
                        "the resource `{name}` needs a contract that is read: leave `fixed` out, or the resource"
                    );
                    return Err(Error::new(self.options.span, message));
                }
            }
        }
        let imported = || {
            self.interfaces
                .iter()
                .filter(|((side, _), _)| *side == Side::Import)
        };
        for (name, _) in &self.options.resources {
            let text = name.value();
            let is_known = imported().any(|((_, id), known)| {
                let types = &self.resolve.interfaces[*id].types;
                types
                    .keys()
                    .any(|of| resource_name(&known.name, of).any(|known| known == text))
            });
            if !is_known {
                let message =
                    "the world imports no resource of this name: expected `interface/resource`";
                return Err(Error::new(name.span(), message));
            }
        }
        let root = self.functions(Side::Import).map(|function| ("", function));
        let inner = imported().flat_map(|((_, id), known)| {
            let functions = self.resolve.interfaces[*id].functions.values();
            functions.map(|function| (&*known.name, function))
        });
        let all: Vec<_> = root.chain(inner).collect();
        for name in &self.options.asynchronous {
            let text = name.value();
            if !all
                .iter()
                .any(|(interface, function)| is_function(&text, interface, function))
            {
                let message = "the world imports no function of this name: expected `function` or \
                               `interface#function`";
                return Err(Error::new(name.span(), message));
            }
        }
        Ok(())
    }

    /// Returns the functions that the world imports or exports directly.
    pub(crate) fn functions(&self, side: Side) -> impl Iterator<Item = &'a Function> {
        self.items(side).filter_map(|item| match item {
            WorldItem::Function(function) => Some(function),
            _ => None,
        })
    }

    fn items(&self, side: Side) -> impl Iterator<Item = &'a WorldItem> + use<'a> {
        let world: &'a World = self.world;
        match side {
            Side::Import => world.imports.values(),
            Side::Export => world.exports.values(),
        }
    }

    /// Returns the interface's name with its package; empty for the world's own functions.
    pub(crate) fn name_of(&self, module: Module) -> &str {
        let known = module
            .interface
            .and_then(|id| self.interfaces.get(&(module.side, id)));
        known.map_or("", |known| &known.name)
    }

    /// Returns whether plugins are core modules, whose contract is not read.
    pub(crate) fn is_fixed(&self) -> bool {
        self.options.fixed
    }

    /// Returns whether the options have a function return a future.
    pub(crate) fn is_async(&self, module: Module, function: &Function) -> bool {
        let interface = self.name_of(module);
        let mut names = self.options.asynchronous.iter().map(syn::LitStr::value);
        names.any(|name| is_function(&name, interface, function))
    }

    /// Returns the Rust type that stands for a resource, if the options name one.
    pub(crate) fn resource(&self, module: Module, name: &str) -> Option<TokenStream> {
        let interface = self.name_of(module);
        let mut named = self.options.resources.iter();
        let number = named.position(|(of, _)| {
            let of = of.value();
            resource_name(interface, name).any(|known| known == of)
        })?;
        let alias = alias(number);
        Some(quote!(super::#alias))
    }

    /// Returns whether the embedder supplies an interface by a grant of hostel's own.
    fn is_wasi(&self, id: InterfaceId) -> bool {
        let package = self.resolve.interfaces[id].package;
        package.is_some_and(|package| {
            let name = &self.resolve.packages[package].name;
            name.namespace == "wasi" && WASI.contains(&&*name.name)
        })
    }

    /// Returns the path from `from` to the module in which an interface's types are, as seen from there; with the
    /// module itself.
    pub(crate) fn path_to(
        &self,
        from: Module,
        interface: Option<InterfaceId>,
    ) -> (TokenStream, Module) {
        let up = match (from.interface, from.side) {
            (None, _) => quote!(self::),
            (Some(_), Side::Import) => quote!(super::),
            (Some(_), Side::Export) => quote!(super::super::),
        };
        let exported = interface.filter(|_| from.side == Side::Export);
        let exported = exported.and_then(|id| self.interfaces.get(&(Side::Export, id)));
        if let Some(Known { module, .. }) = exported {
            let side = Side::Export;
            return (quote!(#up exports::#module::), Module { side, interface });
        }
        let side = Side::Import;
        let known = interface.and_then(|id| self.interfaces.get(&(side, id)));
        let module = known.map(|known| &known.module).into_iter();
        (quote!(#up #(#module::)*), Module { side, interface })
    }

    /// Returns the code.
    pub(crate) fn code(&self) -> Result<TokenStream> {
        let imports = self.modules(Side::Import)?;
        let exports = self.modules(Side::Export)?;
        let types = self.root_types()?;
        let root = Module {
            side: Side::Import,
            interface: None,
        };
        let host = self.host(root, self.functions(Side::Import))?;
        let world = self.world_struct()?;
        // Paths in the options are those of the macro's place.
        let aliases = (0..self.options.resources.len()).map(alias);
        let paths = self.options.resources.iter().map(|(_, path)| path);
        Ok(quote! {
            #(type #aliases = #paths;)*
            #imports
            /// The interfaces that a plugin of the world exports.
            pub mod exports { #exports }
            #types
            #host
            #world
        })
    }

    /// Returns a module for each interface.
    fn modules(&self, side: Side) -> Result<TokenStream> {
        let mut all = TokenStream::new();
        for item in self.items(side) {
            let WorldItem::Interface { id, .. } = item else {
                continue;
            };
            let interface = &self.resolve.interfaces[*id];
            let module = Module {
                side,
                interface: Some(*id),
            };
            let mut content = self.types(module, &interface.types)?;
            let functions = interface.functions.values();
            content.extend(match side {
                Side::Import if self.is_wasi(*id) => TokenStream::new(),
                Side::Import => self.host(module, functions)?,
                Side::Export => self.guest(module, functions)?,
            });
            let Some(Known { module, name }) = self.interfaces.get(&(side, *id)) else {
                continue;
            };
            let title = format!("The interface `{name}`.");
            let docs = docs(&interface.docs);
            all.extend(quote! {
                #[doc = #title]
                #[doc = ""]
                #docs
                pub mod #module { #content }
            });
        }
        Ok(all)
    }

    /// Returns the types that the world itself has.
    fn root_types(&self) -> Result<TokenStream> {
        let root = Module {
            side: Side::Import,
            interface: None,
        };
        let mut types = TokenStream::new();
        for (key, item) in &self.world.imports {
            if let (WorldKey::Name(name), WorldItem::Type { id, .. }) = (key, item) {
                types.extend(self.type_definition(root, name, *id)?);
            }
        }
        Ok(types)
    }

    fn types<'t>(
        &self,
        module: Module,
        types: impl IntoIterator<Item = (&'t String, &'t TypeId)>,
    ) -> Result<TokenStream> {
        let mut all = TokenStream::new();
        for (name, id) in types {
            all.extend(self.type_definition(module, name, *id)?);
        }
        Ok(all)
    }

    /// Returns the interfaces that the world imports and the embedder implements: the path of each module. `None` for
    /// the world's own functions.
    pub(crate) fn implemented(&self) -> Vec<Option<&Ident>> {
        let root = self.functions(Side::Import).next().map(|_| None);
        let inner = self.items(Side::Import).filter_map(|item| match item {
            WorldItem::Interface { id, .. } if !self.is_wasi(*id) => {
                let interface = &self.resolve.interfaces[*id];
                let resources = interface.types.values().any(|ty| self.is_resource(*ty));
                let is_used = resources || !interface.functions.is_empty();
                let known = self.interfaces.get(&(Side::Import, *id));
                known.filter(|_| is_used).map(|known| Some(&known.module))
            }
            _ => None,
        });
        root.into_iter().chain(inner).collect()
    }

    /// Returns the exported interfaces that have functions: the name of each module.
    pub(crate) fn exported(&self) -> Vec<&Ident> {
        let modules = self.items(Side::Export).filter_map(|item| match item {
            WorldItem::Interface { id, .. }
                if !self.resolve.interfaces[*id].functions.is_empty() =>
            {
                let known = self.interfaces.get(&(Side::Export, *id));
                known.map(|known| &known.module)
            }
            _ => None,
        });
        modules.collect()
    }

    /// Fails for a function that can't be called.
    pub(crate) fn check(&self, function: &Function) -> Result<()> {
        if function.kind.is_async() {
            return Err(self.unsupported(&format!(
                "`{}` is an asynchronous function, which hostel does not run yet",
                function.name
            )));
        }
        if function.params.len() > MOST_PARAMETERS {
            return Err(self.unsupported(&format!(
                "`{}` has {} parameters, and {MOST_PARAMETERS} is the most: use a record",
                function.name,
                function.params.len()
            )));
        }
        Ok(())
    }

    /// Returns the error for something in WIT that can't be used.
    pub(crate) fn unsupported(&self, message: &str) -> Error {
        Error::new(self.options.span, message)
    }
}

/// Returns the name of the alias for a Rust type that the options name.
fn alias(number: usize) -> Ident {
    format_ident!("Resource{number}")
}

/// Returns the names by which the options may call a resource.
fn resource_name<'n>(interface: &'n str, resource: &'n str) -> impl Iterator<Item = String> + 'n {
    spelled(interface).map(move |interface| format!("{interface}/{resource}"))
}

/// Returns whether the options mean this function by `name`.
fn is_function(name: &str, interface: &str, function: &Function) -> bool {
    let qualified = |interface: &str| format!("{interface}#{}", function.name) == name;
    function.name == name || spelled(interface).any(qualified)
}

/// Returns the ways to write an interface's name: as it is, without the version, and without the package.
fn spelled(interface: &str) -> impl Iterator<Item = &str> {
    let unversioned = interface.split('@').next().unwrap_or_default();
    let short = unversioned.rsplit('/').next().unwrap_or_default();
    [interface, unversioned, short].into_iter()
}

/// Returns a name in snake case as an identifier.
pub(crate) fn rust(name: &str) -> Ident {
    let snake = name.to_snake_case();
    if syn::parse_str::<Ident>(&snake).is_ok() {
        return Ident::new(&snake, Span::call_site());
    }
    match snake.as_str() {
        // Not even raw ones.
        "self" | "super" | "crate" => format_ident!("{snake}_"),
        _ => Ident::new_raw(&snake, Span::call_site()),
    }
}

/// Returns a name in camel case as an identifier, other than those of hostel's in the same module.
pub(crate) fn rust_type(name: &str) -> Ident {
    let camel = name.to_upper_camel_case();
    match camel.as_str() {
        "Self" | "Host" | "Guest" => format_ident!("{camel}_"),
        _ => Ident::new(&camel, Span::call_site()),
    }
}

/// Returns documentation of WIT as attributes, or a line that tells what it is if it has none.
pub(crate) fn docs_of(docs: &Docs, kind: &str, name: &str) -> TokenStream {
    match docs.contents {
        Some(_) => self::docs(docs),
        None => {
            let line = format!(" The {kind} `{name}`.");
            quote!(#[doc = #line])
        }
    }
}

/// Returns documentation of WIT as attributes.
pub(crate) fn docs(docs: &Docs) -> TokenStream {
    let lines = docs.contents.iter().flat_map(|text| text.lines());
    let lines = lines.map(|line| format!(" {}", line.trim_end()));
    quote!(#(#[doc = #lines])*)
}
