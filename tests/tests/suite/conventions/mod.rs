//! Plugins of other hosts' conventions.

mod detection;
mod extism;
mod http;
mod typst;
mod wapc;
