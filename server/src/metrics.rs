//! The server's figures, as Prometheus reads them. `docs/server.md` lists their names.
//!
//! They are those of `prometheus-client`, not of `metrics`: its recorder is one for the whole process, and this server can be
//! part of another program.

use hostel::{Host, Usage};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::Registry,
};
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Upper bounds of the latency's buckets, in seconds.
const BUCKETS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPlugin {
    plugin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCall {
    plugin: String,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStatus {
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResult {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfVersion {
    plugin: String,
    version: u64,
    sha256: String,
}

#[derive(Clone)]
struct Latency;

impl MetricConstructor<Histogram> for Latency {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// All figures of a server.
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<OfCall, Counter>,
    seconds: Family<OfPlugin, Histogram, Latency>,
    fuel: Family<OfPlugin, Counter>,
    memory: Family<OfPlugin, Gauge>,
    host_calls: Family<OfPlugin, Counter>,
    requests: Family<OfStatus, Counter>,
    reloads: Family<OfResult, Counter>,
    log_lines_dropped: Counter,
    connections: Gauge,
    scraped: Mutex<Scraped>,
    /// By plugin: they outlive a reload.
    totals: Mutex<BTreeMap<String, Arc<Totals>>>,
}

/// Figures that are read when they are asked for.
struct Scraped {
    in_use: Family<OfPlugin, Gauge>,
    idle: Family<OfPlugin, Gauge>,
    waiting: Family<OfPlugin, Gauge>,
    abandoned: Family<OfPlugin, Gauge>,
    version: Family<OfVersion, Gauge>,
}

/// What the figures of a plugin are beside those for Prometheus, for the dashboard.
#[derive(Default)]
struct Totals {
    failed: AtomicU64,
    /// Calls by their time, in the buckets between [`BUCKETS`]; the last one is of all above.
    took: [AtomicU64; BUCKETS.len() + 1],
    /// Calls that failed by the error's code.
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

/// The figures of one plugin, found once.
pub(crate) struct Figures {
    plugin: String,
    totals: Arc<Totals>,
    calls: Family<OfCall, Counter>,
    ok: Counter,
    seconds: Histogram,
    fuel: Counter,
    memory: Gauge,
    host_calls: Counter,
}

/// The code of a call that returned a result.
pub(crate) const OK: &str = "ok";

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("hostel");
        let calls = Family::default();
        let seconds = Family::new_with_constructor(Latency);
        let [fuel, host_calls] = [(); 2].map(|()| Family::default());
        let memory = Family::default();
        let (requests, reloads) = (Family::default(), Family::default());
        let log_lines_dropped = Counter::default();
        let connections = Gauge::default();
        let scraped = Scraped {
            in_use: Family::default(),
            idle: Family::default(),
            waiting: Family::default(),
            abandoned: Family::default(),
            version: Family::default(),
        };
        // The registry adds `_total` to counters, and a full stop to the help.
        registry.register(
            "calls",
            "Calls by plugin and code, which is ok or that of the error",
            calls.clone(),
        );
        registry.register(
            "call_seconds",
            "Time from a call's request to its result",
            seconds.clone(),
        );
        registry.register("call_fuel", "Units of fuel that calls used", fuel.clone());
        registry.register(
            "call_host_calls",
            "Calls of host functions",
            host_calls.clone(),
        );
        registry.register(
            "call_memory_bytes_max",
            "Most memory that a call had",
            memory.clone(),
        );
        registry.register(
            "instances_in_use",
            "Instances in use",
            scraped.in_use.clone(),
        );
        registry.register(
            "instances_idle",
            "Instances kept for reuse",
            scraped.idle.clone(),
        );
        registry.register(
            "calls_waiting",
            "Calls that wait for an instance",
            scraped.waiting.clone(),
        );
        registry.register(
            "calls_abandoned",
            "Calls whose client has gone, of the loaded version",
            scraped.abandoned.clone(),
        );
        registry.register(
            "plugin_info",
            "The loaded version of a plugin; always 1",
            scraped.version.clone(),
        );
        registry.register("http_requests", "Requests by status", requests.clone());
        registry.register("connections", "Open connections", connections.clone());
        registry.register(
            "reloads",
            "Reloads of the configuration by result",
            reloads.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Lines of the access log that were not written",
            log_lines_dropped.clone(),
        );
        Self {
            registry,
            calls,
            seconds,
            fuel,
            memory,
            host_calls,
            requests,
            reloads,
            log_lines_dropped,
            connections,
            scraped: Mutex::new(scraped),
            totals: Mutex::default(),
        }
    }

    /// Returns the figures of a plugin.
    pub(crate) fn plugin(&self, name: &str) -> Figures {
        let of = OfPlugin {
            plugin: name.to_owned(),
        };
        let ok = OfCall {
            plugin: name.to_owned(),
            code: OK,
        };
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = totals.entry(name.to_owned()).or_default().clone();
        Figures {
            plugin: name.to_owned(),
            totals,
            calls: self.calls.clone(),
            ok: self.calls.get_or_create_owned(&ok),
            seconds: self.seconds.get_or_create_owned(&of),
            fuel: self.fuel.get_or_create_owned(&of),
            memory: self.memory.get_or_create_owned(&of),
            host_calls: self.host_calls.get_or_create_owned(&of),
        }
    }

    /// Drops the series of a plugin that was unloaded. What its [`Figures`] count from then on is lost.
    pub(crate) fn drop_plugin(&self, name: &str) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(totals) = totals.remove(name) else {
            return;
        };
        let plugin = name.to_owned();
        let of = OfPlugin { plugin };
        self.seconds.remove(&of);
        self.memory.remove(&of);
        for family in [&self.fuel, &self.host_calls] {
            family.remove(&of);
        }
        let errors = totals.errors.lock().unwrap_or_else(PoisonError::into_inner);
        for code in errors.keys().copied().chain([OK]) {
            let plugin = name.to_owned();
            self.calls.remove(&OfCall { plugin, code });
        }
    }

    /// Counts a request.
    pub(crate) fn request(&self, status: u16) {
        self.requests.get_or_create(&OfStatus { status }).inc();
    }

    /// Counts a reload.
    pub(crate) fn reload(&self, succeeded: bool) {
        let result = if succeeded { "ok" } else { "refused" };
        self.reloads.get_or_create(&OfResult { result }).inc();
    }

    /// Counts a line of the access log that was not written.
    pub(crate) fn log_line_dropped(&self) {
        self.log_lines_dropped.inc();
    }

    /// Counts a connection until the returned value is dropped.
    pub(crate) fn connection(self: &Arc<Self>) -> Connection {
        self.connections.inc();
        Connection(self.clone())
    }

    /// Writes all figures in the format of OpenMetrics.
    pub(crate) fn text(&self, host: &Host) -> String {
        let scraped = self.scraped.lock().unwrap_or_else(PoisonError::into_inner);
        for family in [
            &scraped.in_use,
            &scraped.idle,
            &scraped.waiting,
            &scraped.abandoned,
        ] {
            family.clear();
        }
        scraped.version.clear();
        for plugin in host.list() {
            let (Ok(handle), Ok(version)) = (host.get(&plugin), host.version(&plugin)) else {
                continue;
            };
            let figures = handle.pool_figures();
            let of = OfPlugin {
                plugin: plugin.clone(),
            };
            let set = |family: &Family<OfPlugin, Gauge>, value: u64| {
                family
                    .get_or_create(&of)
                    .set(i64::try_from(value).unwrap_or(i64::MAX));
            };
            set(&scraped.in_use, figures.in_use as u64);
            set(&scraped.idle, figures.idle as u64);
            set(&scraped.waiting, figures.waiting as u64);
            set(&scraped.abandoned, figures.abandoned);
            let version = OfVersion {
                plugin,
                version: version.number as u64,
                sha256: crate::auth::hexadecimal(&version.sha256),
            };
            scraped.version.get_or_create(&version).set(1);
        }
        let mut text = String::new();
        // Writing to a text can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// An open connection.
pub(crate) struct Connection(Arc<Metrics>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

impl Figures {
    /// Notes a call that ended with `code`, after `took` since its request.
    pub(crate) fn call(&self, code: &'static str, took: Duration, usage: &Usage) {
        if code == OK {
            self.ok.inc();
        } else {
            let plugin = self.plugin.clone();
            self.calls.get_or_create(&OfCall { plugin, code }).inc();
            self.totals.failed.fetch_add(1, Ordering::Relaxed);
            let errors = self.totals.errors.lock();
            let mut errors = errors.unwrap_or_else(PoisonError::into_inner);
            *errors.entry(code).or_default() += 1;
        }
        let seconds = took.as_secs_f64();
        self.seconds.observe(seconds);
        let bucket = BUCKETS.iter().position(|most| seconds <= *most);
        let bucket = self.totals.took.get(bucket.unwrap_or(BUCKETS.len()));
        if let Some(calls) = bucket {
            calls.fetch_add(1, Ordering::Relaxed);
        }
        self.host_calls.inc_by(usage.host_calls.into());
        let memory = i64::try_from(usage.memory_bytes).unwrap_or(i64::MAX);
        if memory > self.memory.get() {
            self.memory.set(memory);
        }
    }

    /// Counts fuel of a call that runs.
    pub(crate) fn fuel(&self, units: u64) {
        self.fuel.inc_by(units);
    }

    /// Returns the totals since the start of the server. `took` counts the calls up to each of `took_seconds`, and those
    /// above.
    pub(crate) fn json(&self) -> Json {
        let Totals {
            failed,
            took,
            errors,
        } = &*self.totals;
        let took: Vec<_> = took.iter().map(|it| it.load(Ordering::Relaxed)).collect();
        let errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
        json!({
            "succeeded": self.ok.get(),
            "failed": failed.load(Ordering::Relaxed),
            "errors": *errors,
            "fuel": self.fuel.get(),
            "memory_bytes_max": self.memory.get(),
            "took": took,
            "took_seconds": BUCKETS,
        })
    }
}
