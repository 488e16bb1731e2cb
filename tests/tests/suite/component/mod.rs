//! Components: values of all types, resources, calls between component instances, and what breaks the canonical ABI.

mod bare;
mod collections;
mod errors;
mod fixed;
mod guests;
mod linked;
mod lowered;
mod pooled;
mod resources;
mod snapshots;
mod stepped;
mod typed;
mod values;
mod wasi;
