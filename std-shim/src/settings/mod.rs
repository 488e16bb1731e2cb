//! Reads files of settings in TOML, and collects every fault with its place: for hostel's own programs.
//!
//! Not by `serde`, which stops at the first fault and can't say which known key is nearest.

mod file;
mod table;
mod values;

pub use self::{
    file::read_text,
    table::{Fault, Faults, Section, expected, nearest},
    values::{
        flag, number, number_in, one_of, path, secret, size_in, text, texts, time, unique_texts,
    },
};
pub use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
