//! Reads files of settings, never more of one than it may have.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// Reads a text of at most `limit` bytes from a file, which may be a pipe.
///
/// # Errors
///
/// Those of the system; [`io::ErrorKind::FileTooLarge`], with the limit and the bytes found;
/// [`io::ErrorKind::InvalidData`] if it is not UTF-8.
pub fn read_text(path: impl AsRef<Path>, limit: usize) -> io::Result<String> {
    let file = File::open(path)?;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let too_large = |found: String| {
        let message = format!("expected at most {limit} bytes, found {found}");
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    };
    let found = file.metadata()?.len();
    if found > limit {
        return Err(too_large(found.to_string()));
    }
    let mut text = String::new();
    // A pipe has no size, and a file may grow.
    let read = file.take(limit.saturating_add(1)).read_to_string(&mut text);
    let read = u64::try_from(read?).unwrap_or(u64::MAX);
    match read > limit {
        true => Err(too_large("more".to_owned())),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_a_file_may_have() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "four").unwrap();
        assert_eq!(read_text(&file, 4).unwrap(), "four");
        let error = read_text(&file, 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "expected at most 3 bytes, found 4");
        std::fs::write(&file, [0xff]).unwrap();
        let error = read_text(&file, 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[cfg(unix)]
    #[test]
    fn an_endless_file_is_not_read_to_its_end() {
        let error = read_text("/dev/zero", 1_000).unwrap_err();
        assert_eq!(error.to_string(), "expected at most 1000 bytes, found more");
    }
}
