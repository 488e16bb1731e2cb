//! Log records of plugins, and the sinks that receive them.

use super::text::Escaped;
use core::fmt::Write as _;

/// Receives a plugin's log records. Every `Fn(&LogRecord<'_>)` is a sink.
///
/// A sink runs inside the guest's call, on the thread that runs it: the guest and its caller wait,
/// and its time counts towards the [deadline](crate::Budget::deadline). Hand records on instead of
/// blocking. Each record is within [`Budget::log_records`](crate::Budget::log_records) and
/// [`Budget::log_bytes`](crate::Budget::log_bytes).
///
/// ```
/// use hostel_core::{Grants, LogRecord};
/// let grants = Grants::<()>::new().log(|record: &LogRecord<'_>| {
///     eprintln!("{}: {}", record.plugin, record.text);
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

/// One record of a plugin's log: a line of text, without level or time.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LogRecord<'a> {
    /// The name under which the embedder loaded the plugin. The guest can't choose it.
    pub plugin: &'a str,
    /// The guest's text. Prints as one line without control characters;
    /// [`raw`](Escaped::raw) returns the guest's bytes. At most
    /// [`Budget::log_bytes`](crate::Budget::log_bytes) long.
    pub text: Escaped<'a>,
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
    });
}

/// A sink that passes each record to the `log` crate, at level info, with the plugin's name as
/// target.
#[cfg(feature = "log")]
#[derive(Clone, Copy, Debug, Default)]
pub struct LogCrate;

#[cfg(feature = "log")]
impl LogSink for LogCrate {
    fn record(&self, record: &LogRecord<'_>) {
        log::info!(target: record.plugin, "{}", record.text);
    }
}

/// A sink that passes each record to defmt, at level info, as `plugin: text`.
#[cfg(feature = "defmt")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Defmt;

#[cfg(feature = "defmt")]
impl LogSink for Defmt {
    fn record(&self, record: &LogRecord<'_>) {
        defmt::info!(
            "{=str}: {}",
            record.plugin,
            defmt::Display2Format(&record.text)
        );
    }
}
