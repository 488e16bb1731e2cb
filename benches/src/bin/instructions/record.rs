//! The record: one path a line, as `name = instructions`.

use std::{collections::BTreeMap, fmt::Write, fs};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/bin/instructions/recorded.txt"
);

/// The line that names the compiler starts so.
const COMPILER: &str = "# compiler: ";

const HEAD: &str = "\
# Instructions of one round of each path, counted by callgrind. Written by `--record`; see main.rs.
";

/// Counts by the names of paths, and the compiler that built what was counted.
#[derive(Default)]
pub struct Record {
    compiler: String,
    counts: BTreeMap<String, u64>,
}

impl Record {
    pub fn new(compiler: &str) -> Self {
        Self {
            compiler: compiler.into(),
            counts: BTreeMap::new(),
        }
    }

    pub fn read() -> Result<Self, String> {
        let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
        let mut record = Self::default();
        for line in text.lines() {
            if let Some(compiler) = line.strip_prefix(COMPILER) {
                record.compiler = compiler.into();
            } else if !line.starts_with('#') {
                let (name, count) = line
                    .split_once(" = ")
                    .and_then(|(name, count)| Some((name, count.parse().ok()?)))
                    .ok_or_else(|| format!("{FILE}: expected `name = number`, found `{line}`"))?;
                record.insert(name, count);
            }
        }
        Ok(record)
    }

    pub fn write(&self) -> Result<(), String> {
        let mut text = format!("{HEAD}{COMPILER}{}\n", self.compiler);
        for (name, count) in &self.counts {
            let _ = writeln!(text, "{name} = {count}");
        }
        fs::write(FILE, text).map_err(|error| format!("{FILE}: {error}"))
    }

    pub fn insert(&mut self, name: &str, count: u64) {
        self.counts.insert(name.into(), count);
    }

    pub fn get(&self, name: &str) -> Option<u64> {
        self.counts.get(name).copied()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.counts.keys().map(String::as_str)
    }

    pub fn compiler(&self) -> &str {
        &self.compiler
    }
}
