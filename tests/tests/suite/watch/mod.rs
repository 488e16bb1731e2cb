//! Plugins that follow a directory's files: watched by a thread, or rescanned on request.
//!
//! Each module holds one subject; this file holds the directory, the plugins loaded from it and the
//! events that the tests read.

mod changes;
mod directories;
mod embedder;
mod installing;
mod many;
mod names;
mod running_calls;

use core::time::Duration;
use hostel::{
    CallError, DirectoryEvent, Grants, Host, Plugin, PluginDirectory, WatchedDirectory,
    install_module,
};
use hostel_tests::{quiet, that_says};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    thread,
    time::Instant,
};
use tempfile::TempDir;

/// Far longer than any wait here, so that a test fails instead of hanging.
const FOR_EVER: Duration = Duration::from_secs(60);

/// A directory of plugins, the host that follows it, and the events that were reported.
struct Place {
    root: TempDir,
    host: Arc<Host>,
    events: Receiver<String>,
    directory: Option<PluginDirectory>,
}

impl Place {
    /// Plugins that return `bad` fail their smoke call, and those that return `panic` make it
    /// panic.
    fn new() -> Self {
        Self::granting(|_| quiet())
    }

    fn granting(grants: impl Fn(&str) -> Grants<()> + Send + 'static) -> Self {
        let root = TempDir::new().expect("there is a place for files");
        let host = Arc::new(Host::new(hostel::engine()));
        let (send, events) = mpsc::channel();
        let plugins = root.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        let directory = PluginDirectory::new(host.clone(), plugins, grants)
            .with_smoke(smoke)
            .with_observer(move |event| {
                let _ = send.send(told(&event));
            });
        Self {
            root,
            host,
            events,
            directory: Some(directory),
        }
    }

    fn watch(&mut self) -> WatchedDirectory {
        let directory = self.directory.take().expect("it is watched once");
        directory.watch().expect("a directory can be watched")
    }

    fn plugins(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.plugins().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.file(name), bytes).expect("a file can be written");
    }

    fn install(&self, name: &str, text: &str) {
        install_module(self.file(name), &that_says(text)).expect("a module can be installed");
    }

    fn says(&self, name: &str) -> String {
        match self.host.process(name, b"") {
            Ok(answer) => String::from_utf8(answer).unwrap(),
            Err(error) => error.code().to_owned(),
        }
    }

    /// Waits for an event. Returns the events before it.
    #[track_caller]
    fn until(&self, event: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let next = self.events.recv_timeout(FOR_EVER);
            let next = next.unwrap_or_else(|_| panic!("no `{event}` after {before:?}"));
            if next == event {
                return before;
            }
            before.push(next);
        }
    }

    /// Returns the events that were not waited for.
    fn rest(&self) -> Vec<String> {
        self.events.try_iter().collect()
    }
}

fn smoke(plugin: &Plugin) -> Result<(), CallError> {
    match &*plugin.process(b"ping")? {
        b"bad" => Err(CallError::Guest {
            message: "bad".into(),
        }),
        b"panic" => panic!("as asked"),
        _ => Ok(()),
    }
}

/// Returns an event in a few words.
fn told(event: &DirectoryEvent) -> String {
    match event {
        DirectoryEvent::Loaded { name, .. } => format!("loaded {name}"),
        DirectoryEvent::Replaced { name, .. } => format!("replaced {name}"),
        DirectoryEvent::Unloaded { name } => format!("unloaded {name}"),
        DirectoryEvent::Failed(error) => {
            let name = error.path().file_name().unwrap_or_default();
            format!("{}: {}", name.to_string_lossy(), error.code())
        }
        _ => format!("{event:?}"),
    }
}

#[track_caller]
fn soon(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < FOR_EVER, "it does not come true");
        thread::sleep(Duration::from_millis(1));
    }
}
