//! What `hostel inspect` shows of a component, and of the contract of any plugin.

use super::output::{Each, escaped};
use anstyle::Style;
use hostel::Version;
use hostel_contract::{Parts, ReadError, wit_of};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::json;
use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// The facts about a component's file.
pub(super) struct Component {
    bytes: usize,
    sha256: String,
    parts: Parts,
}

impl Component {
    pub(super) fn read(wasm: &[u8]) -> Result<Self, ReadError> {
        let mut sha256 = String::new();
        for byte in Version::sha256(wasm) {
            // Writing to a String does not fail.
            let _ = write!(sha256, "{byte:02x}");
        }
        Ok(Self {
            bytes: wasm.len(),
            sha256,
            parts: Parts::read(wasm)?,
        })
    }

    /// Returns the rows of a table of facts.
    pub(super) fn facts(&self) -> Vec<[String; 3]> {
        let row = |name: &str, value: String| [name.to_owned(), value, String::new()];
        let mut rows = vec![
            row("size", format!("{} bytes", self.bytes)),
            row("SHA-256", self.sha256.clone()),
        ];
        if let Some(name) = &self.parts.name {
            rows.push(row("name", escaped(name).to_string()));
        }
        rows.push(row("components in it", self.parts.components.to_string()));
        rows
    }

    /// Returns the rows of a table of its core modules.
    pub(super) fn modules(&self) -> Vec<[String; 3]> {
        let modules = self.parts.modules.iter().enumerate();
        let rows = modules.map(|(index, module)| {
            let name = module.name.as_deref().unwrap_or_default();
            [
                format!("{index} {}", escaped(name)).trim_end().to_owned(),
                format!("{} bytes", module.bytes),
                format!(
                    "code {}, data {}, custom {}, other {}",
                    module.code_bytes, module.data_bytes, module.custom_bytes, module.other_bytes
                ),
            ]
        });
        rows.collect()
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let modules = || {
            self.parts.modules.iter().map(|module| {
                json!({
                    "bytes": module.bytes,
                    "code_bytes": module.code_bytes,
                    "custom_bytes": module.custom_bytes,
                    "data_bytes": module.data_bytes,
                    "name": module.name,
                    "other_bytes": module.other_bytes,
                })
            })
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("components", &self.parts.components)?;
        map.serialize_entry("modules", &Each(modules))?;
        map.serialize_entry("name", &self.parts.name)?;
        map.serialize_entry("sha256", &self.sha256)?;
        map.end()
    }
}

/// Reads a plugin's contract as WIT. Returns `None` for a core module without one.
pub(super) fn contract(wasm: &[u8]) -> Option<Result<String, ReadError>> {
    match wit_of(wasm) {
        Err(ReadError::NoContract) => None,
        read => Some(read),
    }
}

/// Writes a contract below a title.
pub(super) fn write_contract(to: &mut dyn Write, wit: &str) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(to, "{bold}contract{bold:#}")?;
    for line in wit.lines() {
        // Comments may have any characters.
        let line = format!("  {}", escaped(line));
        writeln!(to, "{}", line.trim_end())?;
    }
    Ok(())
}
