//! The versions of plugins that are kept, as files: `versions/NAME/ORDER.NUMBER-SHA256.wasm`.

use crate::auth::hexadecimal;
use hostel::{Version, install_module, read_module};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The versions below one directory. It is created with the first.
pub(crate) struct Versions {
    root: PathBuf,
    /// Number of versions of a plugin that are kept.
    keep: usize,
}

/// Creates a directory, and those in which it is. On Unix, each new one is its owner's alone.
pub(crate) fn create_private(directory: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}

/// A version that is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kept {
    /// Its number: that of the last version and one more.
    pub(crate) number: u64,
    /// Its place in the order in which versions were last loaded. A number can't tell that, since it stays.
    pub(crate) order: u64,
    /// The SHA-256 in hexadecimal digits.
    pub(crate) sha256: String,
}

impl Versions {
    pub(crate) fn new(data: &Path, keep: usize) -> Self {
        Self {
            root: data.join("versions"),
            keep,
        }
    }

    /// Lists the versions of a plugin, the oldest first.
    pub(crate) fn list(&self, name: &str) -> io::Result<Vec<Kept>> {
        let entries = match fs::read_dir(self.root.join(name)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut kept = Vec::new();
        for entry in entries {
            let file = entry?.file_name();
            let named = file.to_str().and_then(|file| file.strip_suffix(".wasm"));
            let parts = named.and_then(|named| named.split_once('-'));
            let read = parts.and_then(|(numbers, sha256)| {
                let (order, number) = numbers.split_once('.')?;
                Some(Kept {
                    number: number.parse().ok()?,
                    order: order.parse().ok()?,
                    sha256: sha256.to_owned(),
                })
            });
            kept.extend(read);
        }
        kept.sort();
        Ok(kept)
    }

    /// Keeps a version as the one that is loaded now. Removes those that were not loaded for longest if there are too many.
    pub(crate) fn add(&self, name: &str, wasm: &[u8]) -> io::Result<()> {
        let sha256 = hexadecimal(&Version::sha256(wasm));
        let kept = self.list(name)?;
        let last = kept.iter().max_by_key(|version| version.order);
        if last.is_some_and(|last| last.sha256 == sha256) {
            return Ok(());
        }
        create_private(&self.root.join(name))?;
        let known = kept.iter().find(|version| version.sha256 == sha256);
        let next = kept.last().map_or(1, |last| last.number.saturating_add(1));
        let added = Kept {
            number: known.map_or(next, |known| known.number),
            order: last.map_or(1, |last| last.order.saturating_add(1)),
            sha256,
        };
        install_module(self.file(name, &added), wasm)
            .map_err(|error| io::Error::other(error.to_string()))?;
        for known in kept.iter().filter(|known| known.sha256 == added.sha256) {
            fs::remove_file(self.file(name, known))?;
        }
        let mut kept = self.list(name)?;
        kept.sort_by_key(|version| version.order);
        let surplus = kept.len().saturating_sub(self.keep);
        for oldest in kept.iter().take(surplus) {
            fs::remove_file(self.file(name, oldest))?;
        }
        Ok(())
    }

    /// Reads a version of at most `limit` bytes, and checks that it is what it was.
    pub(crate) fn read(&self, name: &str, version: &Kept, limit: usize) -> io::Result<Vec<u8>> {
        let wasm = read_module(self.file(name, version), limit)
            .map_err(|error| io::Error::other(error.to_string()))?;
        if hexadecimal(&Version::sha256(&wasm)) != version.sha256 {
            let file = self.file(name, version);
            let message = format!("{} was changed: its SHA-256 is another one", file.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(wasm)
    }

    fn file(&self, name: &str, version: &Kept) -> PathBuf {
        let Kept {
            number,
            order,
            sha256,
        } = version;
        self.root
            .join(name)
            .join(format!("{order:08}.{number:08}-{sha256}.wasm"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_that_were_loaded_last_are_kept() {
        let data = tempfile::tempdir().unwrap();
        let versions = Versions::new(data.path(), 2);
        assert_eq!(versions.list("shop").unwrap(), []);
        let numbers = || {
            let kept = versions.list("shop").unwrap();
            kept.iter().map(|it| it.number).collect::<Vec<_>>()
        };
        for wasm in [b"one", b"two", b"two", b"six"] {
            versions.add("shop", wasm).unwrap();
        }
        assert_eq!(numbers(), [2, 3]);
        // One that is loaded again keeps its number, and outlives one that was not.
        versions.add("shop", b"two").unwrap();
        assert_eq!(numbers(), [2, 3]);
        versions.add("shop", b"ten").unwrap();
        assert_eq!(numbers(), [2, 4]);
        let kept = versions.list("shop").unwrap();
        assert_eq!(versions.read("shop", &kept[0], 3).unwrap(), b"two");
        assert!(versions.read("shop", &kept[0], 2).is_err());
        assert_eq!(versions.list("other").unwrap(), []);
        // A file that was changed is not loaded.
        fs::write(versions.file("shop", &kept[1]), "seven").unwrap();
        let error = versions.read("shop", &kept[1], 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[cfg(unix)]
    #[test]
    fn versions_are_their_owner_s_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        Versions::new(&data, 2).add("shop", b"one").unwrap();
        for made in [&*data, &data.join("versions"), &data.join("versions/shop")] {
            let mode = fs::metadata(made).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", made.display());
        }
    }
}
