//! The newest log lines, for clients that watch them live.

use crate::auth::{Client, Role};
use hostel::{LogLevel, LogRecord, LogSink, Tracing};
use serde_json::{Value as Json, json};
use std::{
    cell::Cell,
    collections::{
        HashMap, VecDeque,
        hash_map::{Entry, RandomState},
    },
    fmt,
    hash::BuildHasher as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
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

/// Those of these places that only monitors and administrators take.
const RESERVED: usize = 8;

/// Most places of a caller's token.
const OF_CALLER: usize = 4;

/// Most places of another token.
const OF_MONITOR: usize = 8;

/// Most places of all clients without a token.
const OF_ANONYMOUS: usize = 48;

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
    watchers: Mutex<Places>,
    tags: Tags,
    closed: AtomicBool,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<Arc<Line>>,
    /// The number of the last line; 0 if there was none.
    last: u64,
}

/// The clients that watch.
#[derive(Default)]
struct Places {
    all: usize,
    /// By the SHA-256 of their tokens; `None` for those without.
    by_token: HashMap<Option<[u8; 32]>, usize>,
}

/// Writes the numbers of lines as tags that tell nothing of other lines: else gaps between the lines that a client sees
/// would tell how much other plugins log. Each run of the server has tags of its own.
#[derive(Default)]
struct Tags(RandomState);

impl Tags {
    const ROUNDS: u32 = 4;

    fn mix(&self, round: u32, half: u32) -> u32 {
        (self.0.hash_one((round, half)) >> 32) as u32
    }

    /// Writes a number, by a Feistel network.
    fn write(&self, number: u64) -> String {
        let (mut high, mut low) = ((number >> 32) as u32, number as u32);
        for round in 0..Self::ROUNDS {
            (high, low) = (low, high ^ self.mix(round, low));
        }
        format!("{high:08x}{low:08x}")
    }

    /// Reads a number. Of a tag of another run, that is any number.
    fn read(&self, tag: &str) -> Option<u64> {
        let tag = u64::from_str_radix(tag, 16).ok()?;
        let (mut high, mut low) = ((tag >> 32) as u32, tag as u32);
        for round in (0..Self::ROUNDS).rev() {
            (high, low) = (low ^ self.mix(round, high), high);
        }
        Some(u64::from(high) << 32 | u64::from(low))
    }
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

    /// Returns the tag of a line, from which a client may go on.
    pub(crate) fn tag(&self, line: &Line) -> String {
        self.0.tags.write(line.number)
    }

    /// Returns the number of the line with a tag; 0 if this run of the server has written no such line.
    pub(crate) fn tagged(&self, tag: &str) -> u64 {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.0.tags.read(tag);
        number.filter(|number| *number <= kept.last).unwrap_or(0)
    }

    /// Begins to watch; `None` if too many clients do, or too many with this token.
    pub(crate) fn watch(&self, client: Client<'_>) -> Option<Watcher> {
        let (all, each, token) = match client {
            Client::Anonymous => (WATCHERS - RESERVED, OF_ANONYMOUS, None),
            Client::Known(token) => match token.role {
                Role::Caller => (WATCHERS - RESERVED, OF_CALLER, Some(token.sha256)),
                Role::Monitor | Role::Admin => (WATCHERS, OF_MONITOR, Some(token.sha256)),
            },
        };
        let mut places = self.places();
        let own = places.by_token.get(&token).copied().unwrap_or(0);
        if places.all >= all || own >= each {
            return None;
        }
        places.all += 1;
        places.by_token.insert(token, own + 1);
        Some(Watcher {
            changed: self.0.changed.subscribe(),
            logs: self.clone(),
            token,
        })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        let places = self.0.watchers.lock();
        places.unwrap_or_else(PoisonError::into_inner)
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
    token: Option<[u8; 32]>,
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
        let mut places = self.logs.places();
        places.all = places.all.saturating_sub(1);
        if let Entry::Occupied(mut own) = places.by_token.entry(self.token) {
            *own.get_mut() = own.get().saturating_sub(1);
            if *own.get() == 0 {
                own.remove();
            }
        }
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
    use crate::auth::Token;

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
        let tokens: Vec<_> = (10..50).map(|of| token(of, Role::Caller)).collect();
        let [monitor, admin] =
            [(1, Role::Monitor), (2, Role::Admin)].map(|(of, role)| token(of, role));
        let most = |client: Client<'_>| -> Vec<_> {
            std::iter::from_fn(|| logs.watch(client))
                .take(WATCHERS + 1)
                .collect()
        };
        assert_eq!(most(Client::Anonymous).len(), OF_ANONYMOUS);
        let one = most(Client::Known(&tokens[0]));
        assert_eq!(one.len(), OF_CALLER);
        drop(one);
        // However many callers there are, others have places.
        let all: Vec<_> = tokens
            .iter()
            .map(|token| most(Client::Known(token)))
            .collect();
        assert_eq!(all.iter().map(Vec::len).sum::<usize>(), WATCHERS - RESERVED);
        assert!(logs.watch(Client::Anonymous).is_none());
        let watching = most(Client::Known(&monitor));
        assert_eq!(watching.len(), RESERVED);
        assert!(logs.watch(Client::Known(&admin)).is_none());
        drop(all);
        assert_eq!(most(Client::Known(&admin)).len(), OF_MONITOR);
        drop(watching);
        assert!(logs.places().by_token.is_empty());
        assert_eq!(logs.places().all, 0);
    }

    fn token(of: u8, role: Role) -> Token {
        Token {
            name: "t".to_owned(),
            sha256: [of; 32],
            role,
            plugins: Vec::new(),
        }
    }

    #[test]
    fn tags_tell_nothing_of_other_lines_and_are_those_of_one_run() {
        let (logs, later) = (Logs::default(), Logs::default());
        for _ in 0..100 {
            logs.server("info", "", "a");
            later.server("info", "", "a");
        }
        let lines = logs.after(0).1;
        let tags: Vec<_> = lines.iter().map(|line| logs.tag(line)).collect();
        for (line, tag) in lines.iter().zip(&tags) {
            assert_eq!(logs.tagged(tag), line.number);
            // After a restart, all that is kept is new.
            assert_eq!(later.tagged(tag), 0);
        }
        let rising = tags.windows(2).filter(|two| two[0] < two[1]).count();
        assert!((20..80).contains(&rising), "{tags:?}");
        for wrong in ["", "17", "x", "-1", "99999999999999999"] {
            assert_eq!(logs.tagged(wrong), 0, "{wrong}");
        }
    }
}
