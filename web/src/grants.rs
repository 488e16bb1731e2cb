//! What plugins are granted in a browser: everything that needs no operating system.

use hostel_core::{
    Extism, Grants, LogRecord, MemoryState, Platform, StateLimits, Wapc, Wasi, WasiOutput,
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Log records that the page has not taken yet.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Value>>>);

impl Log {
    fn add(&self, record: &LogRecord<'_>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(json!({
                "level": record.level.as_str(),
                "speaker": record.speaker.as_str(),
                "text": record.text.to_string(),
            }));
    }

    pub(crate) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The browser's clock, as the page tells it before each step. Its readings are milliseconds since 1970.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn set(&self, milliseconds: f64) {
        // It never decreases. What is no number becomes 0.
        self.0.fetch_max(milliseconds as u64, Ordering::Relaxed);
    }

    fn read(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl Platform for Clock {
    fn now(&self) -> Option<Duration> {
        Some(self.read())
    }
}

/// Grants log, settings, state in memory, WASI without files, and the other conventions.
pub(crate) fn all(settings: &[(String, String)], log: &Log, clock: &Clock) -> Grants {
    let settings = || settings.iter().map(|(name, value)| (&**name, &**value));
    let store = Arc::new(MemoryState::new(StateLimits::server()));
    let (sink, time) = (log.clone(), clock.clone());
    let wasi = Wasi::new()
        .args(["plugin"])
        .env(settings())
        .stdout(WasiOutput::log())
        .stderr(WasiOutput::log())
        .realtime(move || time.read())
        .random_seed(0);
    Grants::new()
        .log(move |record: &LogRecord<'_>| sink.add(record))
        .config(settings())
        .state(store.clone())
        .wasi(wasi)
        .extism(Extism::new().config(settings()).variables(store))
        .wapc(Wapc::new())
        .typst()
}
