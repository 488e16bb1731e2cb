//! The services that an embedder grants: log, config and state.

pub(crate) mod abort;
pub(crate) mod config;
pub(crate) mod log;
pub(crate) mod state;
