//! The conventions by which guests and host exchange values, one file each.

pub(crate) mod native;
