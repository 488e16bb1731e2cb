//! Loads a release: its plugins under its settings.

use crate::{connect::Fleet, release::Release};
use bytes::Bytes;
use hostel_server::{
    Config, Logs,
    hostel::{Engine, Host, StateStore},
};
use std::{collections::HashMap, net::SocketAddr, sync::Arc};
use tokio::task::spawn_blocking;

/// A release that is loaded.
pub(crate) struct World {
    pub(crate) number: u64,
    pub(crate) host: Arc<Host>,
    pub(crate) config: Arc<Config>,
    /// Its modules by their SHA-256: the next release has most of them, too.
    modules: HashMap<String, Bytes>,
}

/// Loads releases.
pub(crate) struct Loader {
    pub(crate) fleet: Fleet,
    pub(crate) engine: Engine,
    pub(crate) state: Arc<dyn StateStore>,
    /// Gets the plugins' log records.
    pub(crate) logs: Logs,
    /// The address to listen on, if it is not the settings'.
    pub(crate) listen: Option<SocketAddr>,
}

impl Loader {
    /// Loads a release. The error tells all of its faults.
    pub(crate) async fn load(
        self: Arc<Self>,
        release: Release,
        last: Option<Arc<World>>,
    ) -> Result<World, String> {
        let config = match &release.settings {
            None => Config::without_file(),
            Some(sha256) => {
                let text = self.object(sha256, last.as_ref()).await?;
                let text = std::str::from_utf8(&text);
                let text = text.map_err(|_| "the settings are no text".to_owned())?;
                Config::parse(text).map_err(|faults| {
                    let lines = faults.iter().map(|fault| format!("settings:{fault}"));
                    lines.collect::<Vec<_>>().join("\n")
                })?
            }
        };
        let listen = self.listen.unwrap_or(config.server.listen);
        if let Some(fault) = config.open_to(listen) {
            return Err(fault);
        }
        let mut modules = HashMap::new();
        for version in release.plugins.values() {
            let module = self.object(&version.sha256, last.as_ref()).await?;
            modules.insert(version.sha256.clone(), module);
        }
        let loaded = spawn_blocking(move || self.compile(&release, Arc::new(config), modules));
        let loaded = loaded.await;
        loaded.unwrap_or_else(|_| Err("loading was given up".to_owned()))
    }

    async fn object(&self, sha256: &str, last: Option<&Arc<World>>) -> Result<Bytes, String> {
        if let Some(known) = last.and_then(|last| last.modules.get(sha256)) {
            return Ok(known.clone());
        }
        let read = self.fleet.object(sha256).await;
        read.map_err(|error| error.to_string())
    }

    fn compile(
        &self,
        release: &Release,
        config: Arc<Config>,
        modules: HashMap<String, Bytes>,
    ) -> Result<World, String> {
        let host = Host::new(self.engine.clone());
        let mut faults = Vec::new();
        for (name, version) in &release.plugins {
            let Some(wasm) = modules.get(&version.sha256) else {
                continue;
            };
            let settings = config.plugin(name);
            let grants = settings.grants(name, Some(&self.state), &self.logs);
            let loaded = match grants {
                Ok(grants) => host
                    .insert(name, wasm, &grants)
                    // What can be done about it in Rust is nothing that can be done here.
                    .map_err(|error| format!("{} ({error:#})", error.code())),
                Err(reason) => Err(reason),
            };
            if let Err(reason) = loaded {
                faults.push(format!("plugin `{name}`: {reason}"));
            }
        }
        match faults.is_empty() {
            true => Ok(World {
                number: release.number,
                host: Arc::new(host),
                config,
                modules,
            }),
            false => Err(faults.join("\n")),
        }
    }
}
