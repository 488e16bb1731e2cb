//! Types that all other modules use: limits, the platform, text, log records, fuel, core values and
//! their types.

pub(crate) mod fuel;
pub(crate) mod growth;
mod invisible;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod nesting;
pub(crate) mod order;
pub(crate) mod platform;
pub(crate) mod shape;
pub(crate) mod signature;
pub(crate) mod text;
pub(crate) mod value;
