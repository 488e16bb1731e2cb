//! Plugins of other hosts' conventions.

mod detection;
mod extism;
mod kits;
mod typst;
mod wapc;
