//! The errors of manifests.

use crate::FileError;
use hostel_core::{Escaped, LoadError};
use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
};

/// An error of reading a manifest, or of loading its plugin.
#[derive(Debug)]
pub struct ManifestError {
    path: Option<PathBuf>,
    reason: ManifestReason,
}

/// The reason of a [`ManifestError`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ManifestReason {
    /// The manifest, or a module's file, can't be read.
    File(FileError),
    /// The manifest has more bytes than one of modules within the limits can have.
    TooLarge {
        /// The most bytes.
        limit: usize,
        /// Its bytes.
        found: usize,
    },
    /// It is not JSON or TOML of a manifest, or has a field that is not known: the fault and its place.
    Syntax(String),
    /// A field has a value that can't be used.
    Field {
        /// The field, such as `wasm[0].hash`.
        field: String,
        /// What was expected, and what to do.
        problem: String,
    },
    /// A module is not the one that the manifest means.
    Hash {
        /// The module's name.
        module: String,
        /// The SHA-256 in the manifest.
        expected: String,
        /// The SHA-256 of the module.
        found: String,
    },
    /// A module's file is outside of the manifest's folder, and not permitted.
    Outside {
        /// The module's name.
        module: String,
        /// The file, as the manifest writes it.
        path: PathBuf,
    },
    /// A directory that it names is not permitted, or can't be opened.
    Directory {
        /// The directory, as the manifest writes it.
        path: PathBuf,
        /// The reason.
        problem: String,
    },
    /// The modules don't load.
    Load(LoadError),
}

impl ManifestReason {
    /// Returns the error of the manifest `path`.
    pub(super) fn of(self, path: Option<&Path>) -> ManifestError {
        ManifestError {
            path: path.map(Path::to_owned),
            reason: self,
        }
    }
}

impl ManifestError {
    /// Returns the manifest's file, if it was read from one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns the reason.
    #[must_use]
    pub const fn reason(&self) -> &ManifestReason {
        &self.reason
    }

    /// Returns the stable code of this kind of error: `manifest`, `manifest-hash`, `manifest-outside`,
    /// `manifest-directory`, or that of the file's or the module's error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.reason {
            ManifestReason::File(error) => error.code(),
            ManifestReason::TooLarge { .. }
            | ManifestReason::Syntax(_)
            | ManifestReason::Field { .. } => "manifest",
            ManifestReason::Hash { .. } => "manifest-hash",
            ManifestReason::Outside { .. } => "manifest-outside",
            ManifestReason::Directory { .. } => "manifest-directory",
            ManifestReason::Load(error) => error.code(),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            let path = path.to_string_lossy();
            write!(f, "{}: ", Escaped::new(path.as_bytes()))?;
        }
        let shown = |text: &str| Escaped::new(text.as_bytes()).to_string();
        match &self.reason {
            ManifestReason::File(error) => error.fmt(f),
            ManifestReason::TooLarge { limit, found } => write!(
                f,
                "the manifest has {found} bytes, and may have {limit}: raise `module_bytes` if that is expected"
            ),
            ManifestReason::Syntax(fault) => write!(f, "not a manifest: {}", shown(fault)),
            ManifestReason::Field { field, problem } => {
                write!(
                    f,
                    "the manifest's field `{}`: {}",
                    shown(field),
                    shown(problem)
                )
            }
            ManifestReason::Hash {
                module,
                expected,
                found,
            } => write!(
                f,
                "the module `{}` is not the one of the manifest: expected the SHA-256 {expected}, found {found}",
                shown(module)
            ),
            ManifestReason::Outside { module, path } => write!(
                f,
                "the file `{}` of the module `{}` is outside of the manifest's folder: move it there, or permit its \
                 directory if you trust the manifest",
                shown(&path.to_string_lossy()),
                shown(module)
            ),
            ManifestReason::Directory { path, problem } => write!(
                f,
                "the directory `{}` {}",
                shown(&path.to_string_lossy()),
                shown(problem)
            ),
            ManifestReason::Load(error) => error.fmt(f),
        }
    }
}

impl Error for ManifestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            ManifestReason::File(error) => Some(error),
            ManifestReason::Load(error) => Some(error),
            _ => None,
        }
    }
}
