//! The settings of one plugin: its limits, budget, grants and quotas.

use crate::{
    logs::Logs,
    quota::{FuelWindow, Quota, Rate},
};
use hostel::{
    Budget, Grants, Limits, StateStore, limit_fields,
    settings::{
        DeValue, Section, nearest, number, number_in, one_of, path, secret, size_in, text, texts,
        time, unique_texts,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// What a plugin may use, and how much of it. Nothing is granted by default.
#[derive(Clone, Debug)]
pub struct PluginSettings {
    /// The limits of its instances. `instances` is the plugin's concurrency, `waiting` the length of its queue.
    pub limits: Limits,
    /// The budget of each of its calls. The deadline begins with the request.
    pub budget: Budget,
    /// The functions that it may import.
    pub grants: Vec<Grant>,
    /// The settings that it can read.
    pub config: BTreeMap<String, String>,
    /// Its arguments, for WASI.
    pub args: Vec<String>,
    /// Its environment, for WASI.
    pub env: BTreeMap<String, String>,
    /// Its directories, for WASI.
    pub directories: Vec<DirectorySettings>,
    /// The hosts that it may reach by HTTP.
    pub http: HttpSettings,
    /// Its calls by time, and its fuel by time.
    pub quota: Quota,
}

/// A group of functions that a plugin may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Log records, to the server's log.
    Log,
    /// The settings under `config`.
    Config,
    /// Values that are kept in the server's data, apart from those of other plugins.
    State,
    /// WASI preview 1 without files, time of day and randomness.
    Wasi,
    /// The time of day, for WASI.
    Clock,
    /// Random bytes, for WASI.
    Random,
    /// HTTP to the hosts under `http`: for plugins of Extism's convention, and with [`Wasi`](Self::Wasi)
    /// for components, by `wasi:http`.
    Http,
}

impl Grant {
    /// The grants with the names that a configuration gives them.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("log", Self::Log),
        ("config", Self::Config),
        ("state", Self::State),
        ("wasi", Self::Wasi),
        ("clock", Self::Clock),
        ("random", Self::Random),
        ("http", Self::Http),
    ];

    /// Returns its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut names = Self::NAMES.into_iter();
        names
            .find(|(_, grant)| *grant == self)
            .map_or("", |(name, _)| name)
    }
}

/// A directory of this machine for a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorySettings {
    /// The directory.
    pub host: PathBuf,
    /// The plugin's name for it.
    pub guest: String,
    /// Whether the plugin may change it.
    pub writable: bool,
}

/// The hosts that a plugin may reach.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// The hosts, each `[SCHEME://]HOST[:PORT]`.
    pub hosts: Vec<String>,
    /// The values of `${NAME}` in headers.
    pub secrets: BTreeMap<String, String>,
    /// Headers that are added to each request to an origin: origin, name, value.
    pub headers: Vec<[String; 3]>,
    /// Longest time of a request.
    pub timeout: Option<Duration>,
    /// Most requests at one time.
    pub requests: Option<usize>,
}

impl Default for PluginSettings {
    /// Returns the settings without a configuration: 16 calls at a time, 100 in the queue, 10 s for each, no grants.
    fn default() -> Self {
        let mut limits = Limits::server();
        limits.waiting = 100;
        Self {
            limits,
            budget: Budget::server().with_deadline(Duration::from_secs(10)),
            grants: Vec::new(),
            config: BTreeMap::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            directories: Vec::new(),
            http: HttpSettings::default(),
            quota: Quota::default(),
        }
    }
}

impl PluginSettings {
    /// Returns whether the plugin has a grant.
    #[must_use]
    pub fn has(&self, grant: Grant) -> bool {
        self.grants.contains(&grant)
    }

    /// Returns the grants of the plugin `name` with these settings. `state` keeps its values, if it may have some; `logs`
    /// gets its log records.
    ///
    /// # Errors
    ///
    /// The reason why it can't have them, such as a directory that can't be opened.
    pub fn grants(
        &self,
        name: &str,
        state: Option<&Arc<dyn StateStore>>,
        logs: &Logs,
    ) -> Result<Grants, String> {
        crate::grants::of(name, self, state, logs)
    }

    /// Returns whether its host functions may wait for a disk.
    #[must_use]
    pub fn may_block(&self) -> bool {
        self.has(Grant::State) || !self.directories.is_empty()
    }

    /// Reads a plugin's table. What it does not say is as in `defaults`.
    pub(super) fn read(mut at: Section<'_, '_>, defaults: &Self) -> Self {
        let mut it = defaults.clone();
        at.set("grants", &mut it.grants, grants);
        if let Some(config) = at.entries("config", secret) {
            it.config = config.into_iter().collect();
        }
        at.set("args", &mut it.args, texts);
        if let Some(env) = at.entries("env", secret) {
            it.env = env.into_iter().collect();
        }
        at.set("concurrency", &mut it.limits.instances, size_in(1, 10_000));
        at.set("queue", &mut it.limits.waiting, size_in(0, 100_000));
        if let Some(deadline) = at.value("deadline", time) {
            it.budget.deadline = Some(deadline);
        }
        it.read_limits(at.section("limits"));
        it.read_budget(at.section("budget"));
        let directories = at.list("directories");
        if !directories.is_empty() {
            it.directories = directories.into_iter().filter_map(directory).collect();
        }
        it.read_http(at.section("http"));
        it.quota.rate = rate(at.section("rate")).or(it.quota.rate);
        it.quota.fuel = fuel_window(at.section("fuel")).or(it.quota.fuel);
        it.check(&at);
        at.finish();
        it
    }

    /// Reads limits. Those of a module hold for all modules of a component together, unless `component.module` has
    /// others.
    fn read_limits(&mut self, mut at: Section<'_, '_>) {
        let mut component = at.section("component");
        let mut modules = component.section("module");
        let size = size_in(0, usize::MAX);
        let mut given = BTreeMap::new();
        for (name, field) in limit_fields(&mut self.limits) {
            let value = if let Some(name) = name.strip_prefix("component.module.") {
                let own = modules.value(name, size);
                own.or_else(|| given.get(name).copied())
            } else if let Some(name) = name.strip_prefix("component.") {
                component.value(name, size)
            } else if ["instances", "waiting"].contains(&name) {
                // These have keys of their own.
                None
            } else {
                let value = at.value(name, size);
                given.extend(value.map(|value| (name, value)));
                value
            };
            if let Some(value) = value {
                *field = value;
            }
        }
        modules.finish();
        component.finish();
        at.finish();
    }

    fn read_budget(&mut self, mut at: Section<'_, '_>) {
        let budget = &mut self.budget;
        at.set("fuel", &mut budget.fuel, number);
        let small = |value: &DeValue<'_>| {
            number_in(0, u32::MAX.into())(value).map(|it| u32::try_from(it).unwrap_or(u32::MAX))
        };
        at.set("host_calls", &mut budget.host_calls, small);
        at.set("log_records", &mut budget.log_records, small);
        at.set("log_bytes", &mut budget.log_bytes, small);
        for (name, field) in [
            ("input_bytes", &mut budget.input_bytes),
            ("output_bytes", &mut budget.output_bytes),
            ("error_bytes", &mut budget.error_bytes),
            ("argument_bytes", &mut budget.argument_bytes),
            ("deserialized_bytes", &mut budget.deserialized_bytes),
            ("bytes_to_guest", &mut budget.bytes_to_guest),
        ] {
            at.set(name, field, size_in(0, 1 << 30));
        }
        at.set(
            "deserialized_levels",
            &mut budget.deserialized_levels,
            size_in(0, 1_000),
        );
        at.finish();
    }

    fn read_http(&mut self, mut at: Section<'_, '_>) {
        let http = &mut self.http;
        at.set("hosts", &mut http.hosts, unique_texts);
        if let Some(secrets) = at.entries("secrets", secret) {
            http.secrets = secrets.into_iter().collect();
        }
        let headers = at.list("headers");
        if !headers.is_empty() {
            http.headers = headers.into_iter().filter_map(header).collect();
        }
        http.timeout = at.value("timeout", time).or(http.timeout);
        http.requests = at.value("requests", size_in(1, 1_000)).or(http.requests);
        at.finish();
    }

    /// Refuses settings that have no effect without a grant: they would look as if they had.
    fn check(&self, at: &Section<'_, '_>) {
        let needs = [
            ("config", Grant::Config, !self.config.is_empty()),
            ("args", Grant::Wasi, !self.args.is_empty()),
            ("env", Grant::Wasi, !self.env.is_empty()),
            ("directories", Grant::Wasi, !self.directories.is_empty()),
            ("grants", Grant::Wasi, self.has(Grant::Clock)),
            ("grants", Grant::Wasi, self.has(Grant::Random)),
            ("http", Grant::Http, !self.http.hosts.is_empty()),
        ];
        for (key, grant, used) in needs {
            if used && !self.has(grant) {
                let name = grant.name();
                let message = format!("has no effect without \"{name}\" among the `grants`");
                at.fault_at(key, &message);
            }
        }
        if self.has(Grant::Http) && self.http.hosts.is_empty() {
            at.fault_at("grants", "\"http\" reaches nothing without `http.hosts`");
        }
        if let Err(reason) = crate::grants::http(&self.http) {
            at.fault_at("http", &reason);
        }
        let names = self
            .directories
            .iter()
            .map(|it| it.guest.trim_end_matches('/'));
        if let Some(name) = repeated(names) {
            // The guest would find one of them alone.
            at.fault_at(
                "directories",
                &format!("two have the guest's name `{name}`"),
            );
        }
        let headers = self.http.headers.iter();
        let names =
            headers.map(|[origin, name, _]| format!("{name}` for `{origin}").to_lowercase());
        if let Some(name) = repeated(names) {
            at.fault_at("http", &format!("the header `{name}` is set twice"));
        }
        for directory in &self.directories {
            if !directory.host.is_dir() {
                let host = directory.host.display();
                at.fault_at("directories", &format!("there is no directory `{host}`"));
            }
        }
    }
}

/// Returns the first item that another one equals.
fn repeated<T: Ord + Clone>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    let mut items = items;
    items.find(|item| !seen.insert(item.clone()))
}

/// Reads the list of grants.
fn grants(value: &DeValue<'_>) -> Result<Vec<Grant>, String> {
    let names = Grant::NAMES.map(|(name, _)| name);
    let each = unique_texts(value)?.into_iter().map(|found| {
        let mut known = Grant::NAMES.into_iter();
        let grant = known.find(|(name, _)| *name == found);
        grant
            .map(|(_, grant)| grant)
            .ok_or_else(|| match nearest(&found, &names) {
                Some(near) => format!("there is no grant \"{found}\": did you mean \"{near}\"?"),
                None => format!(
                    "there is no grant \"{found}\"; known are {}",
                    names.join(", ")
                ),
            })
    });
    each.collect()
}

fn directory(mut at: Section<'_, '_>) -> Option<DirectorySettings> {
    const ACCESS: &[(&str, bool)] = &[("ro", false), ("rw", true)];
    let host = at.value("host", path);
    let guest = at.value("guest", text);
    let writable = at.value("access", one_of(ACCESS)).unwrap_or(false);
    at.needs(
        &["host", "guest"],
        "a directory has the keys `host` and `guest`",
    );
    at.finish();
    Some(DirectorySettings {
        host: host?,
        guest: guest?,
        writable,
    })
}

fn header(mut at: Section<'_, '_>) -> Option<[String; 3]> {
    const KEYS: [&str; 3] = ["origin", "name", "value"];
    let parts = KEYS.map(|key| at.value(key, text));
    at.needs(&KEYS, "a header has the keys `origin`, `name` and `value`");
    at.finish();
    let [origin, name, value] = parts;
    Some([origin?, name?, value?])
}

fn rate(mut at: Section<'_, '_>) -> Option<Rate> {
    let calls = at.value("calls", number_in(1, 1_000_000_000));
    let per = at.value("per", time).unwrap_or(Duration::from_secs(1));
    let burst = at.value("burst", number_in(1, 1_000_000_000)).or(calls);
    at.needs(&["calls"], "a rate has the key `calls`");
    at.finish();
    let (calls, burst) = (calls?, burst?);
    Some(Rate { calls, per, burst })
}

fn fuel_window(mut at: Section<'_, '_>) -> Option<FuelWindow> {
    let units = at.value("units", number_in(1, u64::MAX));
    let per = at.value("per", time).unwrap_or(Duration::from_secs(60));
    at.needs(&["units"], "a fuel budget by time has the key `units`");
    at.finish();
    let units = units?;
    Some(FuelWindow { units, per })
}
