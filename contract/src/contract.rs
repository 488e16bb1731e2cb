//! A contract: a world with its interfaces and types.

use crate::{
    decode::{self, Decoded, contained},
    error::ReadError,
    limits, page, print,
};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};
use wasmparser::{Parser, Payload};
use wit_component::StringEncoding;
use wit_parser::{PackageId, Resolve, Type, TypeDefKind, WorldId, WorldItem};

/// The world that a plugin imports and exports, or that a host wants.
///
/// The world of a component is named `root:component/root`: the name in the author's WIT is not kept. A core
/// module keeps it, unless several contracts are merged to `root:root/root`.
#[derive(Clone, Debug)]
pub struct Contract {
    pub(crate) resolve: Resolve,
    pub(crate) world: WorldId,
}

impl Contract {
    /// Reads the contract of a component, of a core module with a section `component-type`, or of a WIT
    /// package in binary form that has one world.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if there is no contract, if it is invalid, or if it exceeds the [`limits`].
    pub fn read(wasm: &[u8]) -> Result<Self, ReadError> {
        Self::read_world(wasm, None)
    }

    /// Reads a contract as [`read`](Self::read) does. Of a WIT package with several worlds, `world` names
    /// one.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read). [`ReadError::World`] if the package has no such world, or if it has several
    /// and `world` is `None`.
    pub fn read_world(wasm: &[u8], world: Option<&str>) -> Result<Self, ReadError> {
        contained(|| match decoded(wasm)? {
            Decoded::World(resolve, world) => Self::new(resolve, world),
            Decoded::Package(resolve, package) => Self::select(resolve, package, world),
        })
    }

    /// Parses one file of WIT text, which may declare several packages. `name` is for messages. If the file's
    /// package has several worlds, `world` names one.
    ///
    /// # Errors
    ///
    /// [`ReadError::Wit`] or [`ReadError::World`].
    pub fn from_wit(name: &str, text: &str, world: Option<&str>) -> Result<Self, ReadError> {
        ReadError::at_most("bytes", limits::BYTES, text.len() as u64)?;
        contained(|| {
            let mut resolve = Resolve::default();
            let package = resolve.push_str(name, text);
            let package = package.map_err(|error| in_text(&resolve.render_error(&error)))?;
            Self::select(resolve, package, world)
        })
    }

    /// Reads a world from a file of WIT text, from a directory of such files, whose folder `deps` may have
    /// other packages, or from a binary file as [`read_world`](Self::read_world) does.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub fn from_path(path: &Path, world: Option<&str>) -> Result<Self, ReadError> {
        let file = |error| ReadError::File {
            path: PathBuf::from(path),
            error,
        };
        if path.is_dir() {
            // The parser reads each file whole.
            let bytes = bytes_of(path).map_err(file)?;
            ReadError::at_most("bytes", limits::BYTES, bytes)?;
            return contained(|| {
                let mut resolve = Resolve::default();
                let package = resolve.push_dir(path);
                let package = package
                    .map_err(|error| in_text(&resolve.render_error(&error)))?
                    .0;
                Self::select(resolve, package, world)
            });
        }
        let found = fs::metadata(path).map_err(file)?.len();
        ReadError::at_most("bytes", limits::BYTES, found)?;
        let mut bytes = Vec::new();
        // A pipe has no size, and a file may grow.
        let read = File::open(path).and_then(|file| {
            let most = limits::BYTES.saturating_add(1);
            file.take(most).read_to_end(&mut bytes)
        });
        read.map_err(file)?;
        ReadError::at_most("bytes", limits::BYTES, bytes.len() as u64)?;
        if bytes.starts_with(b"\0asm") {
            return Self::read_world(&bytes, world);
        }
        match str::from_utf8(&bytes) {
            Ok(text) => Self::from_wit(&path.to_string_lossy(), text, world),
            Err(_) => Err(ReadError::Wit {
                message: "expected WIT text or a binary WIT package, found other bytes".to_owned(),
            }),
        }
    }

    fn select(
        resolve: Resolve,
        package: PackageId,
        world: Option<&str>,
    ) -> Result<Self, ReadError> {
        let world = resolve.select_world(&[package], world);
        let world = world.map_err(|error| ReadError::World {
            message: one_line(&format!("{error:#}")),
        })?;
        Self::new(resolve, world)
    }

    fn new(resolve: Resolve, world: WorldId) -> Result<Self, ReadError> {
        sizes(&resolve)?;
        Ok(Self { resolve, world })
    }

    /// Returns the world's name with its package and version, such as `demo:shapes/plugin@1.0.0`.
    pub fn name(&self) -> String {
        let world = &self.resolve.worlds[self.world];
        match world.package {
            Some(package) => self.resolve.id_of_name(package, &world.name),
            None => world.name.clone(),
        }
    }

    /// Returns the world, for crates that use the same version of `wit-parser`.
    pub fn world(&self) -> (&Resolve, WorldId) {
        (&self.resolve, self.world)
    }

    /// Refuses types and functions with more than [`limits::PARTS`] parts: code that is generated for each would have no
    /// end. What this crate does itself visits a type that is named twice once.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`].
    pub fn check_parts(&self) -> Result<(), ReadError> {
        let resolve = &self.resolve;
        let types = sizes(resolve)?;
        let interfaces = resolve.interfaces.iter();
        let in_interfaces = interfaces.flat_map(|(_, it)| it.functions.values());
        let worlds = resolve.worlds.iter().map(|(_, world)| world);
        let items = worlds.flat_map(|world| world.imports.values().chain(world.exports.values()));
        let in_worlds = items.filter_map(|item| match item {
            WorldItem::Function(function) => Some(function),
            _ => None,
        });
        let of_functions = in_interfaces.chain(in_worlds).flat_map(|function| {
            let params = function.params.iter().map(|param| &param.ty);
            params.chain(&function.result)
        });
        let of_functions = of_functions.map(|ty| size(&types, ty).1);
        let of_types = types.iter().map(|(_, parts)| *parts);
        let parts = of_types.chain(of_functions).fold(0, u64::saturating_add);
        ReadError::at_most("parts of types and functions", limits::PARTS, parts)
    }

    /// Returns the content of a section `component-type`, as wit-bindgen leaves it in core modules, for a
    /// module whose strings have this encoding.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotInWit`] if the world can't be written.
    pub fn to_section(&self, strings: StringEncoding) -> Result<Vec<u8>, ReadError> {
        contained(|| {
            let section =
                wit_component::metadata::encode(&self.resolve, self.world, strings, None, false);
            section.map_err(|error| ReadError::not_in_wit(format!("{error:#}")))
        })
    }

    /// Prints the world as WIT, with the packages that it uses.
    ///
    /// The world's package comes first, then other packages by name and version. In a package, interfaces
    /// come before worlds. In these, everything has the order of the file. Equal contracts give equal text.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`] if the text would be longer than [`limits::TEXT_BYTES`], as types can be
    /// that contain one another many times.
    pub fn to_wit(&self) -> Result<String, ReadError> {
        let package = self.resolve.worlds[self.world].package;
        let package = package.ok_or(ReadError::Fault)?;
        contained(|| print::package(&self.resolve, package))
    }

    /// Writes a reference page in Markdown: the functions and types of the world, with the comments of the WIT.
    ///
    /// Exports come first. Equal contracts give equal text.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`] as of [`to_wit`](Self::to_wit).
    pub fn to_markdown(&self) -> Result<String, ReadError> {
        self.to_wit()?;
        contained(|| Ok(page::world(&self.resolve, self.world)))
    }
}

/// Prints the contract of a component, of a core module, or of a WIT package in binary form, as
/// [`Contract::to_wit`] does. Of a package, no world has to be chosen.
///
/// # Errors
///
/// As [`Contract::read`] and [`Contract::to_wit`].
pub fn wit_of(wasm: &[u8]) -> Result<String, ReadError> {
    contained(|| {
        let (resolve, package) = match decoded(wasm)? {
            Decoded::World(resolve, world) => {
                let package = resolve.worlds[world].package.ok_or(ReadError::Fault)?;
                (resolve, package)
            }
            Decoded::Package(resolve, package) => (resolve, package),
        };
        sizes(&resolve)?;
        print::package(&resolve, package)
    })
}

/// Returns the bytes of all files that the parser reads for a directory of WIT.
fn bytes_of(directory: &Path) -> io::Result<u64> {
    let mut directories = vec![directory.to_owned()];
    let deps = directory.join("deps");
    if deps.is_dir() {
        for dependency in fs::read_dir(&deps)? {
            directories.push(dependency?.path());
        }
        directories.push(deps);
    }
    let mut bytes = 0_u64;
    for directory in directories.into_iter().filter(|it| it.is_dir()) {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let extension = path.extension().unwrap_or_default();
            if !["wit", "wat", "wasm"].iter().any(|it| extension == *it) {
                continue;
            }
            let found = fs::metadata(&path)?;
            // A pipe or device has no size, and may have no end.
            if !found.is_file() && !found.is_dir() {
                let message = format!("{} is not a regular file", path.display());
                return Err(io::Error::other(message));
            }
            bytes = bytes.saturating_add(found.len());
        }
    }
    Ok(bytes)
}

fn decoded(wasm: &[u8]) -> Result<Decoded, ReadError> {
    match wasm.get(..8) {
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => decode::module(wasm),
        Some(_) if is_component(wasm) => decode::component(wasm),
        _ => Err(ReadError::NotWasm),
    }
}

/// Returns whether bytes begin as a component or as a WIT package in binary form.
pub fn is_component(wasm: &[u8]) -> bool {
    matches!(wasm.get(..8), Some([0, b'a', b's', b'm', _, _, 1, 0]))
}

/// Returns whether a component exports something whose name is `wanted`, outside of any instance. Reads the frame of its
/// sections only: the component may be invalid.
pub fn exports(wasm: &[u8], wanted: impl Fn(&str) -> bool) -> bool {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        match payload {
            Payload::Version { .. } => depth = depth.saturating_add(1),
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 1 => {
                let mut exports = section.into_iter().map_while(Result::ok);
                if exports.any(|export| wanted(export.name.name)) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Returns the depth of each type's nesting, and the number of its parts. Refuses types of too deep a nesting. A type
/// stands after its parts in the list of all types, but for those of a merge; these are looked at until nothing changes.
fn sizes(resolve: &Resolve) -> Result<Vec<(u64, u64)>, ReadError> {
    let mut types = vec![(0, 0); resolve.types.len()];
    loop {
        let mut changed = false;
        for (id, ty) in resolve.types.iter() {
            // The name of a type is no level of nesting.
            let own = u64::from(!matches!(ty.kind, TypeDefKind::Type(_)));
            let (mut depth, mut parts) = (0, 0_u64);
            for part in print::parts(&ty.kind) {
                let (deep, many) = size(&types, &part);
                depth = depth.max(deep);
                parts = parts.saturating_add(many);
            }
            if let TypeDefKind::FixedLengthList(_, length) = ty.kind {
                parts = parts.saturating_mul(length.into());
            }
            let found = (depth + own, parts.saturating_add(1));
            ReadError::at_most("nested types", limits::TYPE_DEPTH, found.0)?;
            if let Some(known) = types.get_mut(id.index())
                && *known != found
            {
                *known = found;
                changed = true;
            }
        }
        if !changed {
            return Ok(types);
        }
    }
}

/// Returns the size of a type, of those of all that have a name.
fn size(types: &[(u64, u64)], ty: &Type) -> (u64, u64) {
    match ty {
        Type::Id(id) => types.get(id.index()).copied().unwrap_or_default(),
        _ => (0, 1),
    }
}

/// Keeps the message and its place of what was rendered with the lines of the text.
fn in_text(rendered: &str) -> ReadError {
    let (message, place) = match rendered.split_once("-->") {
        Some((message, rest)) => (message, rest.lines().next()),
        None => (rendered, None),
    };
    let message = match place {
        Some(place) => format!("{}: {}", place.trim(), one_line(message)),
        None => one_line(message),
    };
    ReadError::Wit { message }
}

/// Joins a message of several lines.
fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}
