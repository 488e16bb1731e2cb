//! Components: values of all types, resources, calls between component instances, and what breaks the canonical ABI.

mod guests;
mod values;
