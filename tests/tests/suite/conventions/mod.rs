//! Plugins of other hosts' conventions.

mod detection;
mod extism;
mod typst;
mod wapc;
