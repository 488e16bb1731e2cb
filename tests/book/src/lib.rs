//! The Rust in the book and in the READMEs, each block a doctest. Tests of `hostel-cli` see that no page is missing.
#![cfg(doctest)]
// Those of the tests of the book's commands, such as `file=plugin.c`.
#![allow(rustdoc::invalid_codeblock_attributes)]

#[doc = include_str!("../../../docs/introduction.md")]
mod introduction {}

#[doc = include_str!("../../../docs/first/javascript.md")]
mod first_javascript {}

#[doc = include_str!("../../../docs/first/python.md")]
mod first_python {}

#[doc = include_str!("../../../docs/guide/embed.md")]
mod embed {}

#[doc = include_str!("../../../docs/guide/axum.md")]
mod axum {}

#[doc = include_str!("../../../docs/guide/firmware.md")]
mod firmware {}

#[doc = include_str!("../../../docs/guide/host-functions.md")]
mod host_functions {}

#[doc = include_str!("../../../docs/guide/limits.md")]
mod limits {}

#[doc = include_str!("../../../docs/guide/state.md")]
mod state {}

#[doc = include_str!("../../../docs/guide/tenants.md")]
mod tenants {}

#[doc = include_str!("../../../docs/guide/components.md")]
mod guide_components {}

#[doc = include_str!("../../../docs/guide/move.md")]
mod moving {}

#[doc = include_str!("../../../docs/languages.md")]
mod languages {}

#[doc = include_str!("../../../docs/components.md")]
mod components {}

#[doc = include_str!("../../../docs/conventions.md")]
mod conventions {}

#[doc = include_str!("../../../docs/wasi.md")]
mod wasi {}

#[doc = include_str!("../../../guests/README.md")]
mod guests {}

#[doc = include_str!("../../../guests/sdk/README.md")]
mod sdk {}
