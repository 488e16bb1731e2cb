//! Plugins of other hosts' conventions.

mod detection;
mod extism;
mod manifests;
mod typst;
mod wapc;
