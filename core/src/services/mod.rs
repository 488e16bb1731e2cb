//! The services that an embedder grants: log, config, state and HTTP.

pub(crate) mod abort;
mod answer;
pub(crate) mod config;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod request;
pub(crate) mod state;
