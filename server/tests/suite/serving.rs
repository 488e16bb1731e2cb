//! A server for a test, and the plugins that it serves.

use super::client::{Answer, Client};
use hostel_server::{ServeError, ServeOptions, Server, new_token};
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A server, its directory and its runtime.
pub(crate) struct Serving {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) files: TempDir,
    pub(crate) runtime: Runtime,
}

/// A plugin over bytes whose `process` has this body.
pub(crate) fn process(body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") 1)
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "process") (param $ptr i32) (param $len i32) (result i32 i32) {body})
            (func (export "twice") (param i64) (result i64) (i64.mul (local.get 0) (i64.const 2)))
            (func (export "spin") (loop $on (br $on))))"#
    );
    wat::parse_str(text).expect("it is WAT")
}

/// A plugin that returns its input.
pub(crate) fn echo() -> Vec<u8> {
    process("(local.get $ptr) (local.get $len)")
}

/// A plugin that never ends.
pub(crate) fn endless() -> Vec<u8> {
    process("(loop $on (br $on)) (local.get $ptr) (local.get $len)")
}

/// A plugin that returns one text.
pub(crate) fn says(text: &str) -> Vec<u8> {
    let body = format!("(i32.const 0) (i32.const {})", text.len());
    let text = format!(
        r#"(module (memory (export "memory") 1) (data (i32.const 0) "{text}")
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "process") (param i32 i32) (result i32 i32) {body}))"#
    );
    wat::parse_str(text).expect("it is WAT")
}

/// A plugin that was built with the SDK.
pub(crate) fn prebuilt(name: &str) -> Vec<u8> {
    let file = format!(
        "{}/../guests/prebuilt/{name}.wasm",
        env!("CARGO_MANIFEST_DIR")
    );
    fs::read(file).expect("the plugin is built")
}

impl Serving {
    /// Serves plugins without a configuration.
    pub(crate) fn plainly(plugins: &[(&str, &[u8])]) -> Self {
        Self::start(None, plugins)
    }

    /// Serves plugins under a configuration.
    pub(crate) fn with(config: &str, plugins: &[(&str, &[u8])]) -> Self {
        Self::start(Some(config), plugins)
    }

    fn start(config: Option<&str>, plugins: &[(&str, &[u8])]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let directory = files.path().join("plugins");
        fs::create_dir(&directory).unwrap();
        for (name, wasm) in plugins {
            fs::write(directory.join(format!("{name}.wasm")), wasm).unwrap();
        }
        let file = config.map(|config| {
            let file = files.path().join("hostel.toml");
            fs::write(&file, config).unwrap();
            file
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let options = ServeOptions {
            directory,
            config: file,
            listen: Some("127.0.0.1:0".parse().unwrap()),
        };
        let server = runtime.block_on(Server::start(options));
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        Self {
            address: server.address(),
            server,
            files,
            runtime,
        }
    }

    /// Returns a path below the directory of plugins.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join("plugins").join(name)
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Makes a request on a connection of its own.
    pub(crate) fn ask(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.client().ask(line, headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], b"")
    }

    /// Calls a plugin.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.ask(&format!("POST /v1/plugins/{path}"), &[], body)
    }

    /// Writes another configuration, and has the server read it.
    pub(crate) fn reload(&self, config: &str) -> Result<(), ServeError> {
        fs::write(self.files.path().join("hostel.toml"), config).unwrap();
        self.runtime.block_on(async { self.server.reload().await })
    }

    /// Returns the number behind a line of the metrics that starts with `line`.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let text = self.get("/metrics").text();
        let found = text
            .lines()
            .find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("{line}: {text}"))
    }

    /// Waits until a plugin has so many calls that run or wait.
    pub(crate) fn wait_in_flight(&self, plugin: &str, calls: u64) {
        eventually(&format!("{calls} calls of {plugin}"), || {
            let shown = self.get(&format!("/v1/plugins/{plugin}")).json();
            shown["figures"]["in_flight"] == calls
        });
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "no {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A token, the header that sends it, and its section of a configuration.
pub(crate) struct GivenToken {
    pub(crate) header: String,
    pub(crate) section: String,
}

/// Makes a token. `rest` is its role, and its plugins.
pub(crate) fn token(name: &str, rest: &str) -> GivenToken {
    let (token, sha256) = new_token().unwrap();
    GivenToken {
        header: format!("Bearer {token}"),
        section: format!("[token.{name}]\nsha256 = \"{sha256}\"\n{rest}\n"),
    }
}
