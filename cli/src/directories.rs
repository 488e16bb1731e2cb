//! Directories of this machine that a WASI plugin is given.

use super::failure::Failure;
use hostel::{Wasi, files::Access, files::Limits};
use std::path::PathBuf;

/// Most bytes that one run writes to files.
const WRITTEN_BYTES: u64 = 1 << 30;

/// Most files, directories and links that a run may make.
const CREATED: u32 = 100_000;

/// One that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenDirectory {
    host: PathBuf,
    /// Under which name the plugin finds it.
    guest: String,
    access: Access,
}

impl GivenDirectory {
    /// From `DIR[:AS][:ro|rw]`.
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

/// `wasi` with the directories.
pub(super) fn grant(wasi: Wasi, directories: &[GivenDirectory]) -> Result<Wasi, Failure> {
    let mut limits = Limits::server();
    limits.written_bytes = WRITTEN_BYTES;
    limits.created = CREATED;
    directories
        .iter()
        .try_fold(wasi.file_limits(limits), |wasi, given| {
            let directory = hostel::directory(&given.host).map_err(|error| {
                let message = format!("can't open the directory {}: {error}", given.host.display());
                Failure::usage(message, None)
            })?;
            Ok(wasi.directory(&given.guest, given.access, directory))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_told_by_up_to_three_parts() {
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
