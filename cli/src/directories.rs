//! The directories of this machine that `--dir` grants to a WASI plugin.

use super::failure::Failure;
use hostel::{HostDirectory, Wasi, files::Access};
use std::path::{Path, PathBuf};

/// One `--dir` argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenDirectory {
    host: PathBuf,
    /// The plugin's name for the directory.
    guest: String,
    access: Access,
}

impl GivenDirectory {
    /// Parses `DIR[:AS][:ro|rw]`. On Windows, DIR may begin with a drive.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_for(text, cfg!(windows))
    }

    fn parse_for(text: &str, windows: bool) -> Result<Self, String> {
        let (paths, access) = match text.rsplit_once(':') {
            Some((paths, "ro")) => (paths, Access::Read),
            Some((paths, "rw")) => (paths, Access::ReadWrite),
            // The colon of a drive is not before an access.
            Some((paths, last))
                if is_misspelt(last) && (!windows || drive_length(text) <= paths.len()) =>
            {
                return Err(format!(
                    "expected DIR[:AS][:ro|rw], found `:{last}`: write `:ro`, `:rw` or, for a directory of this name, `:/{last}`"
                ));
            }
            _ => (text, Access::Read),
        };
        let drive = if windows { drive_length(paths) } else { 0 };
        let (host, guest) = match paths[drive..].find(':') {
            Some(colon) => (&paths[..drive + colon], &paths[drive + colon + 1..]),
            None => (paths, paths),
        };
        // The colon of a drive may stand in both, since the plugin's name defaults to the path.
        if host.len() == drive || guest.is_empty() || (guest != host && guest.contains(':')) {
            return Err("expected DIR[:AS][:ro|rw], such as data:/data:rw".to_owned());
        }
        Ok(Self {
            host: host.into(),
            guest: guest.to_owned(),
            access,
        })
    }

    /// Takes the directory `host` in its place. The plugin's name for it stays.
    pub(super) fn at(mut self, host: PathBuf) -> Self {
        self.host = host;
        self
    }

    /// Returns the directory.
    pub(super) fn host(&self) -> &Path {
        &self.host
    }

    /// Returns the access to it.
    pub(super) const fn access(&self) -> Access {
        self.access
    }

    /// Opens it.
    pub(super) fn open(&self) -> Result<HostDirectory, Failure> {
        hostel::directory(&self.host).map_err(|error| {
            let message = format!("can't open the directory {}: {error}", self.host.display());
            Failure::usage(message)
        })
    }

    /// Returns whether a name for it is given, besides its own path.
    pub(super) fn is_named(&self) -> bool {
        *self.host != *self.guest
    }
}

/// Returns whether `part` may be meant as `ro` or `rw`: as a name it would be granted silently.
fn is_misspelt(part: &str) -> bool {
    part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Returns the length of the drive at the start of `path`: 2 for `C:\data`, `C:/data` and `C:`, 0 without a drive.
/// `a:/b` is a drive too; name a directory of one letter as `.\a`.
fn drive_length(path: &str) -> usize {
    // A verbatim path has its drive after the prefix, as in `\\?\C:\data`.
    let prefix = if path.starts_with(r"\\?\") { 4 } else { 0 };
    match path.as_bytes()[prefix..] {
        [letter, b':', ..] if letter.is_ascii_alphabetic() => prefix + 2,
        _ => 0,
    }
}

/// Returns `wasi` with the directories granted.
pub(super) fn grant<'a>(
    wasi: Wasi,
    mut directories: impl Iterator<Item = &'a GivenDirectory>,
) -> Result<Wasi, Failure> {
    directories.try_fold(wasi, |wasi, given| {
        Ok(wasi.directory(&given.guest, given.access, given.open()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_up_to_three_parts() {
        for (text, host, guest, access) in [
            (".", ".", ".", Access::Read),
            ("./data", "./data", "./data", Access::Read),
            ("a:/b", "a", "/b", Access::Read),
            ("a:/b:ro", "a", "/b", Access::Read),
            ("a:/b:rw", "a", "/b", Access::ReadWrite),
            ("a:rw", "a", "a", Access::ReadWrite),
            ("wo", "wo", "wo", Access::Read),
            ("a:/w", "a", "/w", Access::Read),
            ("a:..", "a", "..", Access::Read),
            ("a:wo:ro", "a", "wo", Access::Read),
            ("a:data", "a", "data", Access::Read),
        ] {
            let expected = GivenDirectory {
                host: host.into(),
                guest: guest.to_owned(),
                access,
            };
            assert_eq!(
                GivenDirectory::parse_for(text, false),
                Ok(expected),
                "{text}"
            );
        }
        for text in [
            "", ":", "a:", ":b", ":rw", "a:b:c", "a:b:c:rw", "a:wo", "a:RW", "a:/b:wr",
        ] {
            assert!(GivenDirectory::parse_for(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn on_windows_a_directory_may_begin_with_a_drive() {
        for (text, host, guest, access) in [
            (r"C:\data:/data:rw", r"C:\data", "/data", Access::ReadWrite),
            ("c:/data:/data", "c:/data", "/data", Access::Read),
            (r"C:\data", r"C:\data", r"C:\data", Access::Read),
            (r"C:\data:rw", r"C:\data", r"C:\data", Access::ReadWrite),
            (r"\\?\C:\data:/data", r"\\?\C:\data", "/data", Access::Read),
            (
                r"\\server\share:/data",
                r"\\server\share",
                "/data",
                Access::Read,
            ),
            (r".\a:/b", r".\a", "/b", Access::Read),
            ("C:wo", "C:wo", "C:wo", Access::Read),
            (".", ".", ".", Access::Read),
        ] {
            let expected = GivenDirectory {
                host: host.into(),
                guest: guest.to_owned(),
                access,
            };
            assert_eq!(
                GivenDirectory::parse_for(text, true),
                Ok(expected),
                "{text}"
            );
        }
        for text in [
            "",
            ":",
            "C:",
            "C::/data",
            r"C:\a:D:\b",
            r"C:\a:/b:/c",
            r"C:\a:wo",
        ] {
            assert!(GivenDirectory::parse_for(text, true).is_err(), "{text}");
        }
    }
}
