//! Plugins of other hosts' conventions.

mod detection;
mod extism;
mod http;
mod kits;
mod manifests;
mod snapshots;
mod typst;
mod wapc;
