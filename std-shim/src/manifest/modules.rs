//! The modules of a manifest: where they are, and whether they are the right ones.

use super::{ManifestGrants, ManifestReason, fields::Wasm};
use crate::{FileError, FileReason};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hostel_core::{LoadError, ModuleInfo};
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// The name of a module that has none.
const MAIN: &str = "main";

/// The module name of Extism's environment, which is the host's.
const ENVIRONMENT: &str = "extism:host/env";

/// How a module begins.
const MAGIC: &[u8] = b"\0asm";

/// Most modules of a manifest, as of a plugin.
pub(super) const MOST: usize = 64;

/// A module of a manifest.
#[derive(Clone, Debug)]
pub(super) struct ManifestModule {
    pub(super) name: String,
    source: Source,
    /// The SHA-256 that it must have, in lower-case hexadecimal digits.
    hash: Option<String>,
}

#[derive(Clone, Debug)]
enum Source {
    /// A file, relative to the manifest or absolute.
    File(PathBuf),
    /// Base64.
    Data(String),
}

impl ManifestModule {
    /// Checks the fields of a manifest's modules.
    pub(super) fn checked(modules: Vec<Wasm>) -> Result<Vec<Self>, ManifestReason> {
        if modules.is_empty() {
            return Err(field("wasm", "expected at least one module, found none"));
        }
        let modules = modules.into_iter().enumerate();
        modules.map(|(at, wasm)| Self::one(at, wasm)).collect()
    }

    fn one(at: usize, wasm: Wasm) -> Result<Self, ManifestReason> {
        let fail = |name: &str, problem: &str| Err(field(format!("wasm[{at}].{name}"), problem));
        let source = match (wasm.path, wasm.data, wasm.url) {
            (Some(path), None, None) => Source::File(path.into()),
            (None, Some(data), None) => Source::Data(data.0),
            (None, None, Some(_)) => {
                return fail(
                    "url",
                    "modules are not fetched: fetch it, and name its file by `path`",
                );
            }
            (None, None, None) => return fail("path", "expected `path` or `data`, found neither"),
            _ => return fail("path", "expected either `path` or `data`, found several"),
        };
        if let Some(hash) = &wasm.hash {
            let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if hash.len() != 64 || !hash.bytes().all(is_digit) {
                return fail(
                    "hash",
                    "expected 64 lower-case hexadecimal digits of a SHA-256",
                );
            }
        }
        let name = wasm.name.unwrap_or_else(|| MAIN.to_owned());
        if name == ENVIRONMENT {
            return fail(
                "name",
                "this name is that of the host's own functions: choose another one",
            );
        }
        Ok(Self {
            name,
            source,
            hash: wasm.hash,
        })
    }

    /// Reads the module, of which the manifest's others before it have `used` bytes of `limit`. Checks that its file
    /// lies in `folder` or is permitted, and its hash.
    pub(super) fn read(
        &self,
        folder: &Path,
        permitted: &ManifestGrants,
        used: usize,
        limit: usize,
    ) -> Result<Vec<u8>, ManifestReason> {
        let left = limit.saturating_sub(used);
        let too_large = |found: usize| {
            let found = used.saturating_add(found);
            ManifestReason::Load(LoadError::TooLarge { limit, found })
        };
        let wasm = match &self.source {
            Source::File(path) => {
                let of_file = |reason: FileReason| {
                    ManifestReason::File(FileError::new(&folder.join(path), reason))
                };
                let read = crate::read_module(self.permitted(folder, path, permitted)?, left);
                let wasm = read.map_err(|error| match error.into_reason() {
                    FileReason::Load(LoadError::TooLarge { found, .. }) => too_large(found),
                    reason => of_file(reason),
                })?;
                // Before its hash, which would tell about a file that is no module.
                if !wasm.starts_with(MAGIC)
                    && let Err(error) = ModuleInfo::read(&wasm)
                {
                    return Err(of_file(FileReason::Load(error)));
                }
                wasm
            }
            Source::Data(text) => {
                // Known before it is decoded: four digits are three bytes, but for those of the padding.
                let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
                let found = (text.len() / 4 * 3).saturating_sub(padding);
                if found > left {
                    return Err(too_large(found));
                }
                BASE64.decode(text).map_err(|error| {
                    let name = format!("data of the module `{}`", self.name);
                    field(name, format!("expected base64: {error}"))
                })?
            }
        };
        match &self.hash {
            Some(expected) => {
                let found = hex(&Sha256::digest(&wasm));
                if *expected == found {
                    return Ok(wasm);
                }
                Err(ManifestReason::Hash {
                    module: self.name.clone(),
                    expected: expected.clone(),
                    found,
                })
            }
            None => Ok(wasm),
        }
    }
}

impl ManifestModule {
    /// Returns the reason for this module that does not load.
    pub(super) fn load_error(&self, folder: &Path, error: LoadError) -> ManifestReason {
        match &self.source {
            Source::File(path) => {
                let reason = FileReason::Load(error);
                ManifestReason::File(FileError::new(&folder.join(path), reason))
            }
            Source::Data(_) => ManifestReason::Load(error),
        }
    }

    /// Returns the file `path` without links, so that the one that is read is the one that is compared.
    fn permitted(
        &self,
        folder: &Path,
        path: &Path,
        permitted: &ManifestGrants,
    ) -> Result<PathBuf, ManifestReason> {
        let unreadable = |error| {
            let file = folder.join(path);
            ManifestReason::File(FileError::new(&file, FileReason::Io(error)))
        };
        let file = folder.join(path).canonicalize().map_err(unreadable)?;
        // The folder of `manifest.json`.
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        if permitted.access(&file).is_none()
            && !file.starts_with(folder.canonicalize().map_err(unreadable)?)
        {
            return Err(ManifestReason::Outside {
                module: self.name.clone(),
                path: path.to_owned(),
            });
        }
        Ok(file)
    }
}

/// Returns the error of a field.
fn field(name: impl Into<String>, problem: impl Into<String>) -> ManifestReason {
    ManifestReason::Field {
        field: name.into(),
        problem: problem.into(),
    }
}

/// Returns bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}
