//! What every room stands on: limits, the platform, text, log records, fuel, and the types of core
//! values.

pub(crate) mod fuel;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod order;
pub(crate) mod platform;
pub(crate) mod shape;
pub(crate) mod signature;
pub(crate) mod text;
pub(crate) mod value;
