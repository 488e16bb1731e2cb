//! Reads a table of TOML key by key, and collects every fault instead of stopping at the first.

use std::{cell::RefCell, fmt, ops::Range};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A fault in a configuration: its place and what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The fault, and what was expected.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Collects the faults of one text, and the keys that its tables may have.
pub struct Faults<'t> {
    text: &'t str,
    found: RefCell<Vec<(usize, String)>>,
    known: RefCell<Vec<String>>,
}

impl<'t> Faults<'t> {
    /// Begins with no fault of `text`.
    pub fn new(text: &'t str) -> Self {
        Self {
            text,
            found: RefCell::default(),
            known: RefCell::default(),
        }
    }

    /// Adds a fault at a place in the text.
    pub fn add(&self, span: Range<usize>, message: impl Into<String>) {
        self.found.borrow_mut().push((span.start, message.into()));
    }

    /// Returns the faults in the order of their places.
    pub fn into_list(self) -> Vec<Fault> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(at, _)| *at);
        let place = |(at, message)| {
            let before = self.text.get(..at).unwrap_or(self.text);
            let line = before.rsplit('\n').next().unwrap_or_default();
            Fault {
                line: before.matches('\n').count() + 1,
                column: line.chars().count() + 1,
                message,
            }
        };
        found.into_iter().map(place).collect()
    }

    /// Returns the paths of all keys that were asked for.
    pub fn known(&self) -> Vec<String> {
        self.known.borrow().clone()
    }
}

/// A table that is being read.
pub struct Section<'a, 't> {
    /// The table's path, such as `plugin.shop`; empty for the whole text.
    path: String,
    span: Range<usize>,
    table: Option<&'a DeTable<'t>>,
    faults: &'a Faults<'t>,
    asked: Vec<&'static str>,
}

impl<'a, 't> Section<'a, 't> {
    /// Begins with the whole text.
    pub fn root(table: &'a DeTable<'t>, faults: &'a Faults<'t>) -> Self {
        Self {
            path: String::new(),
            span: 0..0,
            table: Some(table),
            faults,
            asked: Vec::new(),
        }
    }

    /// Returns the path of a key of this table.
    fn path_of(&self, key: &str) -> String {
        match &*self.path {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// Returns whether the text has this table.
    pub fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Returns whether the table has `key`, be its value right or wrong.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Adds a fault, `message`, if the text has this table, but one of `keys` is missing. A wrong value has a fault of its
    /// own.
    pub fn needs(&self, keys: &[&str], message: &str) {
        if self.is_present() && !keys.iter().all(|key| self.has(key)) {
            self.fault(message);
        }
    }

    /// Adds a fault of the whole table.
    pub fn fault(&self, message: &str) {
        let message = match &*self.path {
            "" => message.to_owned(),
            path => format!("`{path}`: {message}"),
        };
        self.faults.add(self.span.clone(), message);
    }

    /// Adds a fault of a key that was read.
    pub fn fault_at(&self, key: &str, message: &str) {
        let span = self.get(key).map_or(self.span.clone(), Spanned::span);
        let path = self.path_of(key);
        self.faults.add(span, format!("`{path}`: {message}"));
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.table?.get(key)
    }

    fn ask(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.asked.push(key);
        let path = self.path_of(key);
        self.faults.known.borrow_mut().push(path);
        self.get(key)
    }

    /// Reads the value of `key`, if there is one. An error of `read` is a fault.
    pub fn value<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.ask(key)?;
        match read(value.get_ref()) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.fault_at(key, &reason);
                None
            }
        }
    }

    /// As [`value`](Self::value), and stores the value in `place`.
    pub fn set<T>(
        &mut self,
        key: &'static str,
        place: &mut T,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) {
        if let Some(value) = self.value(key, read) {
            *place = value;
        }
    }

    /// Returns the table under `key`, an empty one if there is none.
    pub fn section(&mut self, key: &'static str) -> Self {
        let found = self.ask(key);
        let path = self.path_of(key);
        self.inner(path, found)
    }

    /// Returns each table in the table under `key`, with its name: an item of a map.
    pub fn named(&mut self, key: &'static str) -> Vec<(String, Self)> {
        let mut map = self.section(key);
        let entries = map.table.into_iter().flatten();
        let named = entries.map(|(name, value)| {
            let name = name.get_ref().to_string();
            (name.clone(), map.inner(map.path_of(&name), Some(value)))
        });
        let named = named.collect();
        map.table = None;
        named
    }

    /// Returns each value in the table under `key`, with its name.
    pub fn entries<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<Vec<(String, T)>> {
        let map = self.section(key);
        let entries = map.table?.iter();
        let read = entries.filter_map(|(name, value)| match read(value.get_ref()) {
            Ok(value) => Some((name.get_ref().to_string(), value)),
            Err(reason) => {
                map.fault_at(name.get_ref(), &reason);
                None
            }
        });
        Some(read.collect())
    }

    /// Returns each table of the list under `key`.
    pub fn list(&mut self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.ask(key) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        match value.get_ref().as_array() {
            Some(items) => {
                let items = items.iter().enumerate();
                let each = items.map(|(at, item)| self.inner(format!("{path}[{at}]"), Some(item)));
                each.collect()
            }
            None => {
                self.fault_at(key, &expected("a list of tables", value.get_ref()));
                Vec::new()
            }
        }
    }

    fn inner(&self, path: String, value: Option<&'a Spanned<DeValue<'t>>>) -> Self {
        let span = value.map_or(self.span.clone(), Spanned::span);
        let table = value.and_then(|value| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                let reason = expected("a table", value.get_ref());
                self.faults.add(span.clone(), format!("`{path}`: {reason}"));
            }
            table
        });
        Self {
            path,
            span,
            table,
            faults: self.faults,
            asked: Vec::new(),
        }
    }

    /// Adds a fault for each key that nothing asked for.
    pub fn finish(self) {
        for key in self.table.into_iter().flat_map(|table| table.keys()) {
            let name = &**key.get_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let path = self.path_of(name);
            let message = match nearest(name, &self.asked) {
                Some(near) => format!("there is no key `{path}`: did you mean `{near}`?"),
                None => format!(
                    "there is no key `{path}`; known are {}",
                    self.asked.join(", ")
                ),
            };
            self.faults.add(key.span(), message);
        }
    }
}

/// Says what was expected instead of a value.
pub fn expected(what: &str, found: &DeValue<'_>) -> String {
    let found = match found {
        DeValue::String(text) => format!("\"{}\"", text.escape_debug()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        other => format!("a value of the kind {}", other.type_str()),
    };
    format!("expected {what}, found {found}")
}

/// Returns the known name that is nearest to `name`: one contains the other, or at most two letters differ.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let distances = known.iter().filter_map(|known| {
        let part = name.len() > 2 && (known.contains(&name) || name.contains(known));
        let distance = distance(&name, known);
        (part || distance <= 2).then_some((distance, *known))
    });
    distances.min().map(|(_, known)| known)
}

/// Returns how many letters to insert, remove or change to get from one word to the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<_> = (0..=other.len()).collect();
    for (at, a) in one.bytes().enumerate() {
        let mut before = at;
        let mut left = at + 1;
        for (b, place) in other.bytes().zip(row.iter_mut().skip(1)) {
            let changed = before + usize::from(a != b);
            before = *place;
            *place = changed.min(before + 1).min(left + 1);
            left = *place;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
