//! Components: values of all types, resources, calls between component instances, and what breaks the canonical ABI.

mod errors;
mod guests;
mod linked;
mod pooled;
mod resources;
mod stepped;
mod values;
mod wasi;
