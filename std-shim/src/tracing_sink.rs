//! A log sink that forwards to the program's own log.

use hostel_core::{LogRecord, LogSink};

/// Forwards each log record of a plugin to [`tracing`]: level info, target `hostel::plugin`, the
/// plugin's name in the field `plugin`.
///
/// ```
/// let grants = hostel::Grants::new().log(hostel::Tracing);
/// # drop(grants);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

impl LogSink for Tracing {
    fn record(&self, record: &LogRecord<'_>) {
        tracing::info!(target: "hostel::plugin", plugin = record.plugin, "{}", record.text);
    }
}
