//! The values of one plugin, and the jobs whose effects are in them, as one document.
//!
//! One document is changed by one message, so that a job's changes and the note that it was done come together or not at
//! all. Format, all numbers with the most significant byte first:
//! `1`, number of values (4 bytes), each with the lengths of key (2) and value (4), key, value;
//! number of jobs (4), each with the lengths of identifier (1) and outcome (1), identifier, outcome.

use crate::error::FleetError;
use hostel_server::hostel::{StateError, StateLimits, StateUse};
use std::{collections::BTreeMap, sync::Arc};

/// The format's number.
const FORMAT: u8 = 1;

/// Most jobs that are noted at one time.
pub(crate) const MOST_JOBS: usize = 1_000;

/// Returns the limits of each plugin's values. A document of them, with its notes of jobs, fits into a message of 1 MiB.
pub(crate) fn limits() -> StateLimits {
    let mut limits = StateLimits::server();
    limits.total_bytes = 512 << 10;
    limits
}

/// The values of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) values: BTreeMap<Vec<u8>, Arc<[u8]>>,
    /// The outcomes of jobs whose effects are in the values, by the job's identifier.
    pub(crate) jobs: BTreeMap<String, String>,
}

impl Document {
    pub(crate) fn used(&self) -> StateUse {
        StateUse {
            keys: self.values.len(),
            bytes: self
                .values
                .iter()
                .map(|(key, value)| key.len().saturating_add(value.len()))
                .sum(),
        }
    }

    /// Sets a value, if the limits and `fits` allow that. Returns whether `fits` does.
    pub(crate) fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        fits: &dyn Fn(StateUse) -> bool,
    ) -> Result<bool, StateError> {
        let limits = limits();
        limits.check_key(key)?;
        limits.check_value(value)?;
        let old = self.values.get(key).map(|old| old.len());
        let next = limits.admit(self.used(), key, old, value)?;
        if !fits(next) {
            return Ok(false);
        }
        self.values.insert(key.to_vec(), value.into());
        Ok(true)
    }

    /// Visits the keys that begin with `prefix` and are greater than `after`.
    pub(crate) fn list(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) {
        for key in self.values.range(prefix.to_vec()..).map(|(key, _)| key) {
            if !key.starts_with(prefix) {
                break;
            }
            if after.is_none_or(|after| &key[..] > after) && !visit(key) {
                break;
            }
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        // The limits bound each length.
        let length = |it: usize| u32::try_from(it).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = vec![FORMAT];
        bytes.extend(length(self.values.len()));
        for (key, value) in &self.values {
            bytes.extend(&length(key.len())[2..]);
            bytes.extend(length(value.len()));
            bytes.extend(key);
            bytes.extend(&value[..]);
        }
        bytes.extend(length(self.jobs.len()));
        for (job, outcome) in &self.jobs {
            bytes.extend(&length(job.len())[3..]);
            bytes.extend(&length(outcome.len())[3..]);
            bytes.extend(job.as_bytes());
            bytes.extend(outcome.as_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FleetError> {
        read(bytes).ok_or(FleetError::Format("a plugin's values"))
    }
}

fn read(mut bytes: &[u8]) -> Option<Document> {
    let mut take = |count: usize| {
        let (taken, rest) = bytes.split_at_checked(count)?;
        bytes = rest;
        Some(taken)
    };
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let mut it = Document::default();
    if take(1)? != [FORMAT] {
        return None;
    }
    for _ in 0..number(take(4)?) {
        let (key, value) = (number(take(2)?), number(take(4)?));
        let key = take(key)?.to_vec();
        it.values.insert(key, take(value)?.into());
    }
    for _ in 0..number(take(4)?) {
        let (job, outcome) = (number(take(1)?), number(take(1)?));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let job = text(take(job)?)?;
        it.jobs.insert(job, text(take(outcome)?)?);
    }
    bytes.is_empty().then_some(it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let mut it = Document::default();
        let fits = |_| true;
        for key in [&b""[..], b"a", b"ab", b"b\xff"] {
            assert_eq!(it.set(key, b"value", &fits), Ok(true));
        }
        it.set(b"large", &[7; 60_000], &fits).unwrap();
        it.jobs.insert("job-1".into(), "0123456789abcdef".into());
        it
    }

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let it = document();
        let bytes = it.encode();
        assert_eq!(Document::decode(&bytes).unwrap(), it);
        for cut in 0..bytes.len() {
            assert!(Document::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(Document::decode(&[&bytes[..], b"!"].concat()).is_err());
        assert!(Document::decode(b"{}").is_err());
    }

    #[test]
    fn keys_are_listed_in_order() {
        let it = document();
        let listed = |prefix: &[u8], after: Option<&[u8]>, most: usize| {
            let mut keys = Vec::new();
            it.list(prefix, after, &mut |key| {
                keys.push(key.to_vec());
                keys.len() < most
            });
            keys
        };
        assert_eq!(listed(b"a", None, 9), [&b"a"[..], b"ab"]);
        assert_eq!(listed(b"a", Some(b"a"), 9), [b"ab"]);
        assert_eq!(listed(b"", Some(b"b"), 1), [b"b\xff"]);
        assert_eq!(listed(b"", None, 2), [&b""[..], b"a"]);
    }

    #[test]
    fn the_largest_document_fits_into_a_message() {
        let limits = limits();
        let mut it = Document::default();
        let each = limits.total_bytes / limits.keys;
        for number in 0..limits.keys {
            let key = format!("{number:0>250}");
            let value = vec![0; each - key.len()];
            it.set(key.as_bytes(), &value, &|_| true).unwrap();
        }
        let over = it.set(b"one more", b"", &|_| true).unwrap_err();
        assert_eq!(over.code(), "state-keys");
        for number in 0..MOST_JOBS {
            it.jobs.insert(
                format!("{number:0>64}"),
                format!("0123456789abcdef-{}", u64::MAX),
            );
        }
        assert!(it.encode().len() < crate::connect::PAYLOAD - 16_384);
    }
}
