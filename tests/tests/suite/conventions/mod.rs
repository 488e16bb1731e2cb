//! Plugins of other hosts' conventions.

mod detection;
mod extism;
mod http;
mod manifests;
mod typst;
mod wapc;
