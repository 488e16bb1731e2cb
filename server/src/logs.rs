//! The newest log lines, for clients that watch them live.

use hostel::{LogLevel, LogRecord, LogSink, Tracing};
use serde_json::{Value as Json, json};
use std::{
    cell::Cell,
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;
use tracing::{Span, span::Entered};

/// Most lines that are kept. Those of a plugin that logs much take the place of others'.
const KEPT: usize = 1_000;

/// Most bytes of a line's text that are kept.
const MOST_BYTES: usize = 4 << 10;

/// Most clients that watch at one time.
const WATCHERS: usize = 64;

/// A log sink that hands plugins' records to [`tracing`], as [`Tracing`] does, and keeps the newest thousand for
/// `GET /v1/logs` and the dashboard. Its clones share them.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use hostel_server::{Logs, PluginService, hostel::{self, Grants, Host}};
/// use std::sync::Arc;
///
/// let logs = Logs::default();
/// let grants = Grants::new().log(logs.clone());
/// # drop::<Grants>(grants);
/// let host = Arc::new(Host::new(hostel::engine()));
/// let plugins = PluginService::builder(host).logs(logs).workers(1).build()?;
/// # drop(plugins);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Logs(Arc<Inner>);

#[derive(Default)]
struct Inner {
    kept: Mutex<Kept>,
    /// Changes with each line, and at the end.
    changed: watch::Sender<()>,
    watchers: AtomicUsize,
    closed: AtomicBool,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<Arc<Line>>,
    /// The number of the last line; 0 if there was none.
    last: u64,
}

/// A line of the log.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its place among all lines, from 1.
    pub(crate) number: u64,
    time: f64,
    level: &'static str,
    /// Who wrote it: `guest`, `host` or `server`.
    speaker: &'static str,
    /// The plugin's name; empty if it is about none.
    pub(crate) plugin: Box<str>,
    /// The trace of the request during which it was written.
    request: Option<String>,
    text: Box<str>,
}

impl Line {
    /// Returns whether the server itself wrote it.
    pub(crate) fn is_of_server(&self) -> bool {
        self.speaker == "server"
    }

    pub(crate) fn json(&self) -> Json {
        json!({
            "time": self.time,
            "level": self.level,
            "speaker": self.speaker,
            "plugin": self.plugin,
            "request": self.request,
            "text": self.text,
        })
    }
}

impl Logs {
    /// Adds a line of the server's own.
    pub(crate) fn server(&self, level: &'static str, plugin: &str, text: &str) {
        self.add(level, "server", plugin, text);
    }

    fn add(&self, level: &'static str, speaker: &'static str, plugin: &str, text: &str) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let request = REQUEST.get();
        let mut cut = text.len().min(MOST_BYTES);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let line = Line {
            number: kept.last,
            time: since.unwrap_or_default().as_secs_f64(),
            level,
            speaker,
            plugin: plugin.into(),
            request: (request != 0).then(|| format!("{request:032x}")),
            text: text.get(..cut).unwrap_or_default().into(),
        };
        if kept.lines.len() == KEPT {
            kept.lines.pop_front();
        }
        kept.lines.push_back(Arc::new(line));
        drop(kept);
        self.0.changed.send_replace(());
    }

    /// Returns the lines that are kept and come after the one with a number, and how many of those are not kept any more.
    pub(crate) fn after(&self, number: u64) -> (u64, Vec<Arc<Line>>) {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> = kept
            .lines
            .iter()
            .filter(|line| line.number > number)
            .cloned()
            .collect();
        let missed = lines
            .first()
            .map_or(0, |first| first.number.saturating_sub(number + 1));
        (missed, lines)
    }

    /// Begins to watch; `None` if too many clients do.
    pub(crate) fn watch(&self) -> Option<Watcher> {
        let before = self.0.watchers.fetch_add(1, Ordering::AcqRel);
        let watcher = Watcher {
            changed: self.0.changed.subscribe(),
            logs: self.clone(),
        };
        (before < WATCHERS).then_some(watcher)
    }

    /// Ends all watching: the server shuts down.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.changed.send_replace(());
    }
}

impl LogSink for Logs {
    fn record(&self, record: &LogRecord<'_>) {
        Tracing.record(record);
        let level = match record.level {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        let text = record.text.to_string();
        self.add(level, record.speaker.as_str(), record.plugin, &text);
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

/// A client's place among those that watch, until it is dropped.
pub(crate) struct Watcher {
    changed: watch::Receiver<()>,
    pub(crate) logs: Logs,
}

impl Watcher {
    /// Waits for a line after those that [`Logs::after`] returned last. Returns whether there may be one: not if watching
    /// ends.
    pub(crate) async fn changed(&mut self) -> bool {
        self.changed.changed().await.is_ok() && !self.logs.0.closed.load(Ordering::Acquire)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.logs.0.watchers.fetch_sub(1, Ordering::AcqRel);
    }
}

thread_local! {
    /// The trace of the request whose guest runs on this thread; 0 if none does.
    static REQUEST: Cell<u128> = const { Cell::new(0) };
}

/// The request that a call serves, entered while its guest runs, so that the guest's log records tell it.
pub(crate) struct OfRequest {
    pub(crate) span: Span,
    pub(crate) trace: u128,
}

/// Ends the request's part on this thread when it is dropped.
pub(crate) struct InRequest<'s> {
    _entered: Entered<'s>,
}

impl OfRequest {
    pub(crate) fn enter(&self) -> InRequest<'_> {
        REQUEST.set(self.trace);
        InRequest {
            _entered: self.span.enter(),
        }
    }
}

impl Drop for InRequest<'_> {
    fn drop(&mut self) {
        REQUEST.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept() {
        let logs = Logs::default();
        for number in 1..=KEPT + 5 {
            logs.server("info", "p", &number.to_string());
        }
        let (missed, lines) = logs.after(0);
        assert_eq!((missed, lines.len()), (5, KEPT));
        assert_eq!(&*lines[0].text, "6");
        let last = lines[KEPT - 1].number;
        assert_eq!(logs.after(last).1.len(), 0);
        assert_eq!(logs.after(last - 2).0, 0);
        logs.server("info", "", &"é".repeat(MOST_BYTES));
        assert_eq!(logs.after(last).1[0].text.len(), MOST_BYTES);
    }

    #[test]
    fn watchers_are_limited() {
        let logs = Logs::default();
        let some: Vec<_> = (0..WATCHERS).filter_map(|_| logs.watch()).collect();
        assert_eq!(some.len(), WATCHERS);
        assert!(logs.watch().is_none());
        drop(some);
        assert!(logs.watch().is_some());
    }
}
