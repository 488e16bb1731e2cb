//! Runs a server until a signal ends it, and reloads its configuration by signal or when its file changes.

use crate::{
    config::Config,
    server::{ServeError, ServeOptions, Server},
};
use hostel::settings::read_text;
use std::{io, path::Path, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// How often the configuration's file is read for changes.
const CONFIG_INTERVAL: Duration = Duration::from_secs(2);

/// Serves until SIGINT or SIGTERM; then lets requests end. SIGHUP, and a change of the configuration's file, reload the
/// configuration. `started` is called once the server listens.
///
/// # Errors
///
/// [`ServeError`] if it can't start. A reload that is refused is told in the log, and changes nothing.
pub fn serve(options: ServeOptions, started: impl FnOnce(&Server)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    runtime.block_on(async {
        let server = Server::start(options).await?;
        let mut signals = Signals::new().map_err(ServeError::Start)?;
        started(&server);
        let file = server.config_file().map(Path::to_owned);
        let contents = |file: &Path| match read_text(file, Config::MOST_BYTES) {
            Ok(text) => Some(text),
            // A change, which is refused.
            Err(error) => (error.kind() == io::ErrorKind::FileTooLarge).then(String::new),
        };
        let mut last = file.as_deref().and_then(contents);
        let mut ticks = interval(CONFIG_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::End => break,
                    Signal::Reload => reload(&server).await,
                },
                _ = ticks.tick(), if file.is_some() => {
                    let now = file.as_deref().and_then(contents);
                    // A file that is gone for a moment is being replaced.
                    if now.is_some() && now != last {
                        last = now;
                        reload(&server).await;
                    }
                }
            }
        }
        tracing::info!(target: "hostel::server", "ending: requests have time to end");
        server.shut_down().await;
        Ok(())
    })
}

async fn reload(server: &Server) {
    match server.reload().await {
        Ok(()) => tracing::info!(target: "hostel::server", "reloaded the configuration"),
        Err(error) => {
            let text = error.to_string();
            let text = hostel::Escaped::new(text.as_bytes());
            tracing::error!(target: "hostel::server", "the configuration stays as it was: {text}");
        }
    }
}

/// What the system asks for.
pub enum Signal {
    /// To end.
    End,
    /// To read the configuration again.
    #[cfg_attr(not(unix), expect(dead_code))]
    Reload,
}

/// The signals that end a server, or have it read its configuration.
#[cfg(unix)]
pub struct Signals {
    ends: [tokio::signal::unix::Signal; 2],
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Takes signals from now on.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            ends: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ],
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        let [interrupt, terminate] = &mut self.ends;
        tokio::select! {
            _ = interrupt.recv() => Signal::End,
            _ = terminate.recv() => Signal::End,
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}

/// Other systems have Ctrl-C alone: there, a change of the file reloads the configuration.
#[cfg(not(unix))]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Takes signals from now on.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::End,
            Err(_) => std::future::pending().await,
        }
    }
}
