//! Turns a plugin's settings into the grants with which it is loaded.

use crate::{
    config::{Grant, HttpSettings, PluginSettings},
    logs::Logs,
};
use hostel::{
    AllowedHosts, Extism, Grants, HttpAccess, StateStore, Wapc, Wasi, WasiOutput, directory,
    files::Access,
};
use std::{io, sync::Arc};

/// Returns the grants of a plugin. `state` is the store for its values, if it may have some; `logs` gets its
/// records.
///
/// The conventions of Extism, waPC and Typst are always granted: by themselves they give access to nothing.
pub(crate) fn of(
    name: &str,
    settings: &PluginSettings,
    state: Option<&Arc<dyn StateStore>>,
    logs: &Logs,
) -> Result<Grants, String> {
    let mut grants = Grants::new()
        .with_limits(settings.limits)
        .with_budget(settings.budget);
    let mut extism = Extism::new();
    if settings.has(Grant::Log) {
        grants = grants.log(logs.clone());
    }
    if settings.has(Grant::Config) {
        grants = grants.config(settings.config.clone());
        extism = extism.config(settings.config.clone());
    }
    if settings.has(Grant::State)
        && let Some(state) = state
    {
        grants = grants.state_in(name, state.clone());
        extism = extism.variables(state.clone());
    }
    // Clones share the number of requests at one time.
    let http = match settings.has(Grant::Http) {
        true => Some(http(&settings.http)?),
        false => None,
    };
    if let Some(http) = &http {
        grants = grants.http(http.clone());
        extism = extism.http(http.clone());
    }
    if settings.has(Grant::Wasi) {
        let mut wasi = wasi(name, settings)?;
        if let Some(http) = http {
            wasi = wasi.http(http);
        }
        grants = grants.wasi(wasi);
    }
    Ok(grants.extism(extism).wapc(Wapc::new()).typst())
}

fn wasi(name: &str, settings: &PluginSettings) -> Result<Wasi, String> {
    // `hostel::wasi` grants the time of day and random bytes together: here they are grants of their own.
    let mut wasi = Wasi::new();
    if settings.has(Grant::Clock) {
        wasi = wasi.realtime(now);
    }
    if settings.has(Grant::Random) {
        wasi = wasi.random(random);
    }
    wasi = wasi.args([name]).args(&settings.args).env(&settings.env);
    if settings.has(Grant::Log) {
        wasi = wasi.stdout(WasiOutput::log()).stderr(WasiOutput::log());
    }
    for granted in &settings.directories {
        let access = match granted.writable {
            true => Access::ReadWrite,
            false => Access::Read,
        };
        let opened: io::Result<_> = directory(&granted.host);
        let opened =
            opened.map_err(|error| format!("can't open `{}`: {error}", granted.host.display()))?;
        wasi = wasi.directory(&granted.guest, access, opened);
    }
    Ok(wasi)
}

/// Returns the time since 1970.
fn now() -> std::time::Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default()
}

/// Fills a guest's buffer with random bytes.
fn random(buffer: &mut [u8]) -> Result<(), hostel::Trap> {
    getrandom::fill(buffer).map_err(|error| hostel::Trap::host(error.to_string()))
}

/// Returns a client for the hosts that are allowed.
pub(crate) fn http(settings: &HttpSettings) -> Result<HttpAccess, String> {
    let fault = |error: hostel::HttpAccessError| error.to_string();
    let hosts = AllowedHosts::parse(&settings.hosts).map_err(fault)?;
    let mut http = HttpAccess::new(hosts);
    for (name, value) in &settings.secrets {
        http = http.secret(name, value).map_err(fault)?;
    }
    for [origin, name, value] in &settings.headers {
        http = http.header(origin, name, value).map_err(fault)?;
    }
    if let Some(timeout) = settings.timeout {
        http = http.timeout(timeout);
    }
    if let Some(requests) = settings.requests {
        http = http.requests(requests);
    }
    Ok(http)
}
