//! The fields of a manifest, as they are written.

use super::ManifestReason;
use super::modules::MOST;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt, marker::PhantomData};

/// Most bytes of TOML, whose parser takes more than a hundred times as many.
const TOML: usize = 64 << 10;

/// Most entries of a list or of a map.
const ENTRIES: usize = 4096;

/// Most characters that an error shows of a fault, which may repeat a name of the text.
const SHOWN: usize = 400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a manifest: an object with `wasm`")]
pub(super) struct Fields {
    #[serde(default)]
    pub(super) wasm: List<Wasm, MOST>,
    pub(super) memory: Option<Memory>,
    pub(super) config: Option<Texts>,
    pub(super) allowed_hosts: Option<List<String, ENTRIES>>,
    pub(super) allowed_paths: Option<Texts>,
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
    _headers: Option<IgnoredAny>,
    #[serde(rename = "method")]
    _method: Option<IgnoredAny>,
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

/// A list of at most `N` items. What is beyond is refused before it is kept: three bytes of JSON may be an item of
/// two hundred.
pub(super) struct List<T, const N: usize>(pub(super) Vec<T>);

impl<T, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for List<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const N: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Items<T, N> {
            type Value = List<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {N} items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    if list.len() == N {
                        return Err(A::Error::custom(format_args!(
                            "expected a list of at most {N} items, found more"
                        )));
                    }
                    list.push(item);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// Texts by names, at most [`ENTRIES`].
#[derive(Default)]
pub(super) struct Texts(pub(super) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((name, text)) = entries.next_entry()? {
                    if texts.len() == ENTRIES {
                        return Err(A::Error::custom(format_args!(
                            "expected at most {ENTRIES} entries, found more"
                        )));
                    }
                    texts.insert(name, text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(Entries)
    }
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
    /// Parses JSON if `text` begins with `{`, or else TOML of at most 64 KiB.
    ///
    /// Takes at most 32 MiB for TOML, and for JSON four times its bytes and 4 MiB: its parser keeps nothing but the fields.
    pub(super) fn parse(text: &str) -> Result<Self, ManifestReason> {
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(|error| fault(&error.to_string()));
        }
        if text.len() > TOML {
            let found = text.len();
            return Err(fault(&format!(
                "TOML may have {TOML} bytes, found {found}: name the modules' files by `path`, or write JSON"
            )));
        }
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
            fault(&format!("{}{place}", error.message()))
        })
    }
}

/// Returns the error of a fault in the text. Leaves out the middle of a long one: its end has the place.
fn fault(text: &str) -> ManifestReason {
    let (start, end) = (
        text.char_indices().nth(SHOWN / 2),
        text.char_indices().nth_back(SHOWN / 2),
    );
    ManifestReason::Syntax(match (start, end) {
        (Some((start, _)), Some((end, _))) if start < end => {
            format!("{}…{}", &text[..start], &text[end..])
        }
        _ => text.to_owned(),
    })
}
