//! Log records of plugins, and the sinks that receive them.

use super::text::{Escaped, shown};
use core::fmt::{self, Write as _};

/// Receives a plugin's log records. Every `Fn(&LogRecord<'_>)` is a sink.
///
/// A sink runs inside the guest's call, on the thread that runs it: the guest and its caller wait,
/// and its time counts towards the [deadline](crate::Budget::deadline). Hand records on instead of
/// blocking. Each record is within [`Budget::log_records`](crate::Budget::log_records) and
/// [`Budget::log_bytes`](crate::Budget::log_bytes).
///
/// ```
/// use hostel_core::{Grants, LogRecord};
/// let grants = Grants::new().log(|record: &LogRecord<'_>| {
///     eprintln!("{record}");
/// });
/// # drop(grants);
/// ```
pub trait LogSink: Send + Sync + 'static {
    /// Receives one record.
    fn record(&self, record: &LogRecord<'_>);
}

impl<F> LogSink for F
where
    F: Fn(&LogRecord<'_>) + Send + Sync + 'static,
{
    fn record(&self, record: &LogRecord<'_>) {
        self(record);
    }
}

/// One record of a plugin's log: a line of text, without time.
///
/// Prints as one line: `plugin: text`; with another level than info as `plugin [warn]: text`; if the
/// host speaks as `plugin [host]: text`. What follows the first `: ` is all that a guest can choose, so
/// it can't forge the rest.
///
/// ```
/// use hostel_core::{Grants, LogRecord};
/// let grants = Grants::new().log(|record: &LogRecord<'_>| eprintln!("{record}"));
/// # drop(grants);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LogRecord<'a> {
    /// The name under which the embedder loaded the plugin. The guest can't choose it.
    pub plugin: &'a str,
    /// The guest's text, or the host's. Prints as one line without control characters;
    /// [`raw`](Escaped::raw) returns the guest's bytes. At most
    /// [`Budget::log_bytes`](crate::Budget::log_bytes) long.
    pub text: Escaped<'a>,
    /// The importance. The guest chooses it, unless the host speaks.
    pub level: LogLevel,
    /// Who wrote the text. A guest can write any text, also one of the host's.
    pub speaker: Speaker,
}

/// Who wrote a [`LogRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The plugin, by an import of the log, or on a stream of WASI that is
    /// [logged](crate::WasiOutput::log).
    Guest,
    /// hostel itself, which tells at the end of a call how many records exceeded the budget.
    Host,
}

impl Speaker {
    /// Returns `guest` or `host`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Host => "host",
        }
    }
}

/// The importance of a [`LogRecord`], from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Each step; the guest's number is 0.
    Trace,
    /// For finding errors; 1.
    Debug,
    /// What happens in normal use; 2. The level of `host_log`, `host_log_message` and WASI's streams.
    Info,
    /// May be wrong; 3. The level of the host's own records.
    Warn,
    /// Is wrong; 4.
    Error,
}

impl LogLevel {
    /// Returns the level with a guest's number; `None` above 4.
    pub(crate) const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Trace,
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            4 => Self::Error,
            _ => return None,
        })
    }

    /// Returns `trace`, `debug`, `info`, `warn` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl<'a> LogRecord<'a> {
    /// Returns a record of a guest's.
    pub(crate) const fn of_guest(plugin: &'a str, level: LogLevel, text: &'a [u8]) -> Self {
        Self {
            plugin,
            text: Escaped::new(text),
            level,
            speaker: Speaker::Guest,
        }
    }
}

impl fmt::Display for LogRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match (self.speaker, self.level) {
            (Speaker::Host, _) => Some(self.speaker.as_str()),
            (Speaker::Guest, LogLevel::Info) => None,
            (Speaker::Guest, level) => Some(level.as_str()),
        };
        shown(self.plugin).fmt(f)?;
        if let Some(mark) = mark {
            write!(f, " [{mark}]")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// Records in `sink` that `dropped` records exceeded the call's budget.
pub(crate) fn write_dropped(sink: &dyn LogSink, plugin: &str, dropped: u32) {
    let mut text = heapless::String::<64>::new();
    // It fits: the number has ten digits at most.
    let _ = write!(
        text,
        "[{dropped} further log records dropped: over the budget]"
    );
    sink.record(&LogRecord {
        plugin,
        text: Escaped::new(text.as_bytes()),
        level: LogLevel::Warn,
        speaker: Speaker::Host,
    });
}

/// A sink that passes each record to the `log` crate, at its level: a guest's with the plugin's name as
/// target, the host's with the target `hostel_core::host` and the plugin's name in the text.
#[cfg(feature = "log")]
#[derive(Clone, Copy, Debug, Default)]
pub struct LogCrate;

#[cfg(feature = "log")]
impl LogSink for LogCrate {
    fn record(&self, record: &LogRecord<'_>) {
        let level = match record.level {
            LogLevel::Trace => log::Level::Trace,
            LogLevel::Debug => log::Level::Debug,
            LogLevel::Info => log::Level::Info,
            LogLevel::Warn => log::Level::Warn,
            LogLevel::Error => log::Level::Error,
        };
        match record.speaker {
            Speaker::Guest => log::log!(target: record.plugin, level, "{}", record.text),
            Speaker::Host => log::log!(target: "hostel_core::host", level, "{record}"),
        }
    }
}

/// A sink that passes each record to defmt, at its level, as text in the form of its `Display`.
#[cfg(feature = "defmt")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Defmt;

#[cfg(feature = "defmt")]
impl LogSink for Defmt {
    fn record(&self, record: &LogRecord<'_>) {
        let line = defmt::Display2Format(record);
        match record.level {
            LogLevel::Trace => defmt::trace!("{}", line),
            LogLevel::Debug => defmt::debug!("{}", line),
            LogLevel::Info => defmt::info!("{}", line),
            LogLevel::Warn => defmt::warn!("{}", line),
            LogLevel::Error => defmt::error!("{}", line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{
        string::{String, ToString},
        sync::Arc,
        vec::Vec,
    };
    use spin::Mutex;

    #[test]
    fn a_record_says_who_speaks() {
        let level = LogLevel::Info;
        let forged = LogRecord::of_guest(
            "p",
            level,
            b"[5 further log records dropped: over the budget]",
        );
        assert_eq!(
            forged.to_string(),
            "p: [5 further log records dropped: over the budget]"
        );
        let lines = Arc::new(Mutex::new(Vec::<String>::new()));
        let kept = lines.clone();
        let sink = move |record: &LogRecord<'_>| kept.lock().push(record.to_string());
        write_dropped(&sink, "p", 5);
        assert_eq!(
            *lines.lock(),
            ["p [host]: [5 further log records dropped: over the budget]"]
        );
    }

    #[test]
    fn a_guest_chooses_the_level_and_the_text_alone() {
        let marks = ["[trace]", "[debug]", "", "[warn]", "[error]"];
        for (number, mark) in (0..).zip(marks) {
            let level = LogLevel::from_number(number).unwrap_or(LogLevel::Info);
            assert_eq!(level as u32, number);
            let record = LogRecord::of_guest("p\n[host]", level, b"p [host]: x\ny");
            let space = if mark.is_empty() { "" } else { " " };
            let shown = alloc::format!("p\\n[host]{space}{mark}: p [host]: x\\ny");
            assert_eq!(record.to_string(), shown);
        }
        assert_eq!(LogLevel::from_number(5), None);
        assert!(LogLevel::Trace < LogLevel::Error);
    }
}
