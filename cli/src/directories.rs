//! The directories of this machine that `--dir` grants to a WASI plugin.

use super::failure::Failure;
use hostel::{Wasi, files::Access};
use std::path::PathBuf;

/// One `--dir` argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenDirectory {
    host: PathBuf,
    /// The plugin's name for the directory.
    guest: String,
    access: Access,
}

impl GivenDirectory {
    /// Parses `DIR[:AS][:ro|rw]`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (paths, access) = match text.rsplit_once(':') {
            Some((paths, "ro")) => (paths, Access::Read),
            Some((paths, "rw")) => (paths, Access::ReadWrite),
            _ => (text, Access::Read),
        };
        let (host, guest) = paths.split_once(':').unwrap_or((paths, paths));
        if host.is_empty() || guest.is_empty() || guest.contains(':') {
            return Err("expected DIR, DIR:AS, DIR:rw or DIR:AS:rw");
        }
        Ok(Self {
            host: host.into(),
            guest: guest.to_owned(),
            access,
        })
    }
}

/// Returns `wasi` with the directories granted.
pub(super) fn grant(wasi: Wasi, directories: &[GivenDirectory]) -> Result<Wasi, Failure> {
    directories.iter().try_fold(wasi, |wasi, given| {
        let directory = hostel::directory(&given.host).map_err(|error| {
            let message = format!("can't open the directory {}: {error}", given.host.display());
            Failure::usage(message)
        })?;
        Ok(wasi.directory(&given.guest, given.access, directory))
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
        ] {
            let expected = GivenDirectory {
                host: host.into(),
                guest: guest.to_owned(),
                access,
            };
            assert_eq!(GivenDirectory::parse(text), Ok(expected), "{text}");
        }
        for text in ["", ":", "a:", ":b", ":rw", "a:b:c", "a:b:c:rw"] {
            assert!(GivenDirectory::parse(text).is_err(), "{text}");
        }
    }
}
