//! Serves WebAssembly plugins that you don't trust over HTTP, with quotas for each of them.
//!
//! The program `hostel serve` is a [`Server`]: a directory of plugins, a configuration and a port. To put plugins into
//! a server of your own, take a [`PluginService`]. `docs/server.md` describes the configuration, the HTTP interface, the
//! figures and what is promised.
//!
//! | module | holds |
//! |---|---|
//! | `config` | `hostel.toml`, read as a whole |
//! | `auth`, `quota` | tokens; calls and fuel by time |
//! | `grants` | a plugin's settings as grants |
//! | `calls` | calls as tasks, in turns that are fair between plugins |
//! | `typed` | functions of components by JSON |
//! | `tenants` | each plugin's lane, queue, quotas and figures |
//! | `folder`, `versions` | the directory of plugins, and earlier versions |
//! | `http`, `problem`, `openapi` | routes, errors, and their description |
//! | `connection` | connections, and their ends |
//! | `metrics`, `access_log`, `logs`, `trace_context`, `traces`, `dashboard` | what an operator sees |
//! | `service`, `direct`, `server` | the plugins as a service; calls without HTTP; the whole server |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access_log;
mod auth;
mod calls;
mod config;
mod connection;
mod dashboard;
mod direct;
mod folder;
mod grants;
mod http;
mod logs;
mod metrics;
mod openapi;
mod problem;
mod quota;
mod server;
mod service;
mod signals;
mod tenants;
mod trace_context;
#[cfg(feature = "otlp")]
mod traces;
mod typed;
mod versions;

pub use self::{
    auth::{Auth, Role, Token, new_token},
    config::{
        Config, ConfigError, DirectorySettings, Fault, Grant, HttpSettings, PluginSettings,
        ServerSettings, is_plugin_name,
    },
    direct::{Around, DirectCall, DirectError},
    folder::NotLoaded,
    logs::Logs,
    quota::{FuelWindow, Quota, Rate},
    server::{ServeError, ServeOptions, Server},
    service::{PluginService, PluginServiceBuilder, Terms},
    signals::{Signal, Signals, serve},
};
pub use hostel;
