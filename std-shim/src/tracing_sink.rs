//! Plugins' log records in the program's own log.

use hostel_core::{LogRecord, LogSink};

/// A sink that makes each record of a plugin's log a [`tracing`] event, at level info, target
/// `hostel::plugin`, with the plugin's name as field `plugin`.
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
