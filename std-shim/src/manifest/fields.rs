//! The fields of a manifest, as they are written.

use super::ManifestReason;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use std::{collections::BTreeMap, fmt};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a manifest: an object with `wasm`")]
pub(super) struct Fields {
    #[serde(default)]
    pub(super) wasm: Vec<Wasm>,
    pub(super) memory: Option<Memory>,
    pub(super) config: Option<BTreeMap<String, String>>,
    pub(super) allowed_hosts: Option<Vec<String>>,
    pub(super) allowed_paths: Option<BTreeMap<String, String>>,
    pub(super) timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a module: an object with `path` or `data`"
)]
pub(super) struct Wasm {
    pub(super) path: Option<String>,
    pub(super) data: Option<Data>,
    pub(super) url: Option<String>,
    /// How to fetch `url`.
    #[serde(rename = "headers")]
    _headers: Option<BTreeMap<String, String>>,
    #[serde(rename = "method")]
    _method: Option<String>,
    pub(super) name: Option<String>,
    pub(super) hash: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with limits of memory")]
pub(super) struct Memory {
    pub(super) max_pages: Option<u32>,
    pub(super) max_http_response_bytes: Option<u64>,
    pub(super) max_var_bytes: Option<u64>,
}

/// A module in base64.
pub(super) struct Data(pub(super) String);

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Data;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a module in base64")
            }

            fn visit_str<E>(self, text: &str) -> Result<Data, E> {
                Ok(Data(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Data, E> {
                Ok(Data(text))
            }

            // The address of bytes in the host's own memory.
            fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Data, A::Error> {
                Err(A::Error::custom(
                    "`data` is an address in memory, which is never read: write the module in base64, or name \
                     its file by `path`",
                ))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl Fields {
    /// Parses JSON if `text` begins with `{`, or else TOML.
    pub(super) fn parse(text: &str) -> Result<Self, ManifestReason> {
        if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| ManifestReason::Syntax(error.to_string()))
        } else {
            toml::from_str(text).map_err(|error| {
                let before = error.span().and_then(|span| text.get(..span.start));
                let place = before.map(|before| {
                    let line = before.matches('\n').count() + 1;
                    let column = before
                        .rsplit('\n')
                        .next()
                        .unwrap_or_default()
                        .chars()
                        .count()
                        + 1;
                    format!(" at line {line} column {column}")
                });
                let place = place.unwrap_or_default();
                ManifestReason::Syntax(format!("{}{place}", error.message()))
            })
        }
    }
}
