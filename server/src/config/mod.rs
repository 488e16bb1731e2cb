//! The configuration, `hostel.toml`: read as a whole, and every fault told with its place.

mod plugin;

pub use self::plugin::{DirectorySettings, Grant, HttpSettings, PluginSettings};
pub use hostel::settings::Fault;

use crate::{
    auth::{Auth, Role, Token},
    service::Terms,
};
use axum::http::Uri;
use hostel::settings::{
    DeTable, DeValue, Faults, Section, expected, flag, one_of, path, read_text, size_in, text,
    time, unique_texts,
};
use std::{
    collections::BTreeMap,
    error::Error,
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The whole configuration of a server.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The server itself.
    pub server: ServerSettings,
    /// The tokens of callers and administrators.
    pub tokens: Vec<Token>,
    /// Settings of plugins that have none of their own.
    pub defaults: PluginSettings,
    /// The settings of plugins by name.
    pub plugins: BTreeMap<String, PluginSettings>,
}

/// Settings of the server itself.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Whether calls and figures need no token. `None`: if there are no tokens.
    pub anonymous: Option<bool>,
    /// Number of threads that run guests; 0 for one on each processor.
    pub workers: usize,
    /// Most connections at one time.
    pub connections: usize,
    /// Longest time until the head of a request has arrived, and for which a connection may be idle.
    pub head_timeout: Duration,
    /// Longest time until the body of a request has arrived, and for which a client may not take its answer.
    pub body_timeout: Duration,
    /// Time for which a shutdown goes on taking requests while `/readyz` is 503, so that load balancers see it; none by
    /// default.
    pub drain_delay: Duration,
    /// Longest time for which a shutdown then waits for requests.
    pub drain_timeout: Duration,
    /// The directory for plugins' values and earlier versions. `None`: `.hostel` in the directory of plugins.
    pub data: Option<PathBuf>,
    /// Number of versions of each plugin that are kept, the loaded one included.
    pub keep_versions: usize,
    /// Whether each request writes one line of JSON to stdout.
    pub access_log: bool,
    /// The URL of a collector of OpenTelemetry that gets each request as a span, by OTLP over HTTP. It takes the feature
    /// `otlp`.
    pub traces: Option<String>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            anonymous: None,
            workers: 0,
            connections: 1_000,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            data: None,
            keep_versions: 5,
            access_log: false,
            traces: None,
        }
    }
}

impl Config {
    /// Most bytes of a configuration.
    pub const MOST_BYTES: usize = 1 << 20;

    /// Returns the configuration of a server that has none: each plugin may log and read settings, of which there
    /// are none. Everybody on this machine may call plugins, and nobody may change them.
    #[must_use]
    pub fn without_file() -> Self {
        let mut config = Self::default();
        config.defaults.grants = vec![Grant::Log, Grant::Config];
        config
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with all faults.
    pub fn read(file: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let file = file.as_ref();
        let fail = |reason| ConfigError {
            file: file.to_owned(),
            reason,
        };
        let text = read_text(file, Self::MOST_BYTES).map_err(|error| fail(Reason::Io(error)))?;
        Self::parse(&text).map_err(|faults| fail(Reason::Faults(faults)))
    }

    /// Reads and checks a text.
    ///
    /// ```
    /// use hostel_server::Config;
    /// let faults = Config::parse("[plugin.shop]\nquue = 5\n").unwrap_err();
    /// assert_eq!(faults[0].to_string(), "2:1: there is no key `plugin.shop.quue`: did you mean `queue`?");
    /// ```
    ///
    /// # Errors
    ///
    /// All faults, in the order of their places.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let faults = Faults::new(text);
        let config = Self::parse_into(text, &faults);
        match (config, faults.into_list()) {
            (Some(config), faults) if faults.is_empty() => Ok(config),
            (_, faults) => Err(faults),
        }
    }

    fn parse_into(text: &str, faults: &Faults<'_>) -> Option<Self> {
        let (limit, found) = (Self::MOST_BYTES, text.len());
        if found > limit {
            let fault = format!("the configuration has {found} bytes, expected {limit} or fewer");
            faults.add(0..0, fault);
            return None;
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            faults.add(error.span().unwrap_or(0..0), error.message());
        }
        // A broken text would have faults that are none.
        errors.is_empty().then_some(())?;
        let mut root = Section::root(table.get_ref(), faults);
        let mut config = Self {
            server: ServerSettings::read(root.section("server")),
            ..Self::default()
        };
        config.defaults = PluginSettings::read(root.section("defaults"), &config.defaults);
        for (name, at) in root.named("plugin") {
            if !is_plugin_name(&name) {
                at.fault(NAME);
            }
            let settings = PluginSettings::read(at, &config.defaults);
            config.plugins.insert(name, settings);
        }
        for (name, at) in root.named("token") {
            let token = token(name, at, &config.tokens);
            config.tokens.extend(token);
        }
        config.check(&root);
        root.finish();
        Some(config)
    }

    /// Checks what no single value shows.
    fn check(&self, root: &Section<'_, '_>) {
        if let Some(fault) = self.open_to(self.server.listen) {
            root.fault(&fault);
        }
    }

    /// Returns the fault of listening on an address where everybody could call the plugins, if nobody said that this
    /// is meant.
    #[must_use]
    pub fn open_to(&self, listen: SocketAddr) -> Option<String> {
        let is_open = self.tokens.is_empty() && self.server.anonymous.is_none();
        (is_open && !listen.ip().is_loopback()).then(|| {
            format!(
                "everybody who reaches {listen} could call the plugins: add a `token`, or say that this is meant by `server.anonymous = true`"
            )
        })
    }

    /// Returns whether calls need no token.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.server.anonymous.unwrap_or(self.tokens.is_empty())
    }

    /// Returns who may call and see plugins.
    #[must_use]
    pub fn auth(&self) -> Auth {
        let auth = Auth::new(self.tokens.clone(), self.is_anonymous());
        match self.server.anonymous {
            // It is meant, by whatever name the server is known.
            Some(true) => auth,
            _ => auth.for_local_names(),
        }
    }

    /// Returns the terms of each plugin by its name.
    pub fn terms(self: &Arc<Self>) -> impl Fn(&str) -> Terms + Send + Sync + 'static {
        let config = self.clone();
        move |name| {
            let settings = config.plugin(name);
            Terms {
                quota: settings.quota,
                may_block: settings.may_block(),
                grants: settings.grants.iter().map(|grant| grant.name()).collect(),
            }
        }
    }

    /// Returns the settings of a plugin.
    #[must_use]
    pub fn plugin(&self, name: &str) -> &PluginSettings {
        self.plugins.get(name).unwrap_or(&self.defaults)
    }
}

/// What a plugin's name must be.
pub(crate) const NAME: &str = "expected a plugin's name: 1 to 64 letters, digits, `_`, `-` and `.`, neither the first nor the last one a `.`";

/// Returns whether a name can be a plugin's: also that of a file, and of a part of a path, on each system.
#[must_use]
pub fn is_plugin_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=64).contains(&name.len())
        && name.bytes().all(is_part)
        && !name.starts_with('.')
        && !name.ends_with('.')
}

impl ServerSettings {
    fn read(mut at: Section<'_, '_>) -> Self {
        let mut it = Self::default();
        at.set("listen", &mut it.listen, address);
        it.anonymous = at.value("anonymous", flag);
        at.set("workers", &mut it.workers, size_in(0, 1_024));
        at.set("connections", &mut it.connections, size_in(1, 1_000_000));
        at.set("head_timeout", &mut it.head_timeout, time);
        at.set("body_timeout", &mut it.body_timeout, time);
        at.set("drain_delay", &mut it.drain_delay, time);
        at.set("drain_timeout", &mut it.drain_timeout, time);
        it.data = at.value("data", path);
        at.set("keep_versions", &mut it.keep_versions, size_in(1, 100));
        const LOGS: &[(&str, bool)] = &[("none", false), ("json", true)];
        at.set("access_log", &mut it.access_log, one_of(LOGS));
        it.traces = at.value("traces", collector);
        at.finish();
        it
    }
}

/// Reads the URL of a collector.
fn collector(value: &DeValue<'_>) -> Result<String, String> {
    let url = text(value)?;
    let is_url = ["http://", "https://"].iter().any(|it| url.starts_with(it));
    if !is_url || url.parse::<Uri>().is_err() {
        let what = "a URL, such as \"http://127.0.0.1:4318/v1/traces\"";
        return Err(expected(what, value));
    }
    match cfg!(feature = "otlp") {
        true => Ok(url),
        false => Err("this program was built without the feature `otlp`".to_owned()),
    }
}

fn address(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    let wrong = || expected("an address with a port, such as \"127.0.0.1:8080\"", value);
    text(value)?.parse().map_err(|_| wrong())
}

/// Reads a token that is none of `known`.
fn token(name: String, mut at: Section<'_, '_>, known: &[Token]) -> Option<Token> {
    const ROLES: &[(&str, Role)] = &[
        ("caller", Role::Caller),
        ("monitor", Role::Monitor),
        ("admin", Role::Admin),
    ];
    let sha256 = at.value("sha256", |value| {
        Token::digest(&text(value)?).ok_or_else(|| {
            "expected 64 hexadecimal digits, the SHA-256 of the token: see `hostel token`".into()
        })
    });
    let role = at.value("role", one_of(ROLES));
    if let Some(other) = known.iter().find(|other| Some(other.sha256) == sha256) {
        // One of them would have the rights of the other.
        let fault = format!("the token `{}` has this SHA-256, too", other.name);
        at.fault_at("sha256", &fault);
    }
    let plugins = at.value("plugins", unique_texts);
    at.needs(
        &["sha256", "role"],
        "a token has the keys `sha256` and `role`",
    );
    match role {
        Some(Role::Caller) => {
            let message = "a caller has the key `plugins`: names, or [\"*\"] for all";
            at.needs(&["plugins"], message);
        }
        Some(Role::Monitor | Role::Admin) if at.has("plugins") => {
            at.fault_at(
                "plugins",
                "only a token of the role \"caller\" has this key",
            );
        }
        _ => {}
    }
    at.finish();
    Some(Token {
        name,
        sha256: sha256?,
        role: role?,
        plugins: plugins.unwrap_or_default(),
    })
}

/// A configuration that can't be used.
#[derive(Debug)]
pub struct ConfigError {
    file: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Io(io::Error),
    Faults(Vec<Fault>),
}

impl ConfigError {
    /// Returns the faults of the text; none if the file could not be read.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        match &self.reason {
            Reason::Faults(faults) => faults,
            Reason::Io(_) => &[],
        }
    }
}

impl fmt::Display for ConfigError {
    /// Writes one line for each fault: `FILE:LINE:COLUMN: MESSAGE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.reason {
            Reason::Io(error) => write!(f, "can't read {file}: {error}"),
            Reason::Faults(faults) => {
                let lines = faults.iter().map(|fault| format!("{file}:{fault}"));
                f.write_str(&lines.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

impl Error for ConfigError {}

#[cfg(test)]
mod tests;
