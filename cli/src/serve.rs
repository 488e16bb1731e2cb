//! `hostel serve`, `check-config` and `token`.

use super::{arguments::Serve, exit::Exit, failure::Failure, output};
use hostel_server::{Config, ServeError, ServeOptions, Server};
use std::{
    io::{self, Write},
    path::Path,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

/// Most lines of the log that wait to be written. Further ones are dropped: no guest may wait for a pipe.
const WAITING: usize = 4_096;

pub(super) fn serve(arguments: Serve) -> Result<Exit, Failure> {
    show_log()?;
    #[cfg(feature = "fleet")]
    if let Some(ended) = super::fleet::serve(&arguments) {
        return ended;
    }
    let options = ServeOptions {
        // clap requires it.
        directory: arguments.directory.unwrap_or_default(),
        config: arguments.config,
        listen: arguments.listen,
    };
    let ended = hostel_server::serve(options, told);
    ended.map(|()| Exit::Ok).map_err(|error| failure(&error))
}

/// Tells on stderr what is served.
fn told(server: &Server) {
    for plugin in server.not_loaded() {
        let reason = hostel::Escaped::new(plugin.reason.as_bytes()).to_string();
        tracing::warn!(target: "hostel::server", plugin = plugin.name, "not loaded: {reason}");
    }
    let (address, plugins) = (server.address(), server.plugins());
    let (count, names) = (plugins.len(), plugins.join(", "));
    tracing::info!(target: "hostel::server", "serving {count} plugins on http://{address}: {names}");
}

/// Writes the log to stderr from now on: one line for each event, with the call that it belongs to.
fn show_log() -> Result<(), Failure> {
    let (send, lines) = sync_channel::<Vec<u8>>(WAITING);
    let write = move || {
        for line in lines {
            // Nobody may read it: that must not end the server.
            let _ = io::stderr().lock().write_all(&line);
        }
    };
    let thread = thread::Builder::new().name("hostel-log".into());
    thread
        .spawn(write)
        .map_err(|error| failure(&ServeError::Start(error)))?;
    let _ = tracing::subscriber::set_global_default(
        tracing_subscriber::fmt()
            .with_writer(Lines(send))
            .with_ansi(false)
            .with_max_level(Level::INFO)
            .log_internal_errors(false)
            .finish(),
    );
    Ok(())
}

/// Hands each event's line to the thread that writes them.
struct Lines(SyncSender<Vec<u8>>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Dropped if there is no room.
        let _ = self.0.try_send(bytes.to_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn check(file: &Path) -> Result<Exit, Failure> {
    let config = Config::read(file).map_err(|error| failure(&ServeError::Config(error)))?;
    let (plugins, tokens) = (config.plugins.len(), config.tokens.len());
    output::text(&format!(
        "{} is right: {plugins} plugins, {tokens} tokens\n",
        file.display()
    ))
}

pub(super) fn token() -> Result<Exit, Failure> {
    let made = hostel_server::new_token();
    let (token, sha256) = made.map_err(|error| failure(&ServeError::Start(error)))?;
    output::text(&format!("token:  {token}\nsha256: {sha256}\n"))
}

fn failure(error: &ServeError) -> Failure {
    match error {
        ServeError::Config(config) => {
            let faults = config.faults();
            let text = config.to_string();
            match faults {
                [] | [_] => Failure::usage(text),
                several => {
                    let count = several.len();
                    let message = format!("the configuration has {count} faults");
                    let mut failure = Failure::usage(message);
                    failure.details = text.lines().map(ToOwned::to_owned).collect();
                    failure
                }
            }
        }
        error => Failure::usage(error.to_string()),
    }
}
