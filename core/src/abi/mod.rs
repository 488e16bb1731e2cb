//! The calling conventions between guests and host, one file each.

pub(crate) mod native;
