//! Records of plugins' logs, and the sinks they go to.

use super::text::Escaped;
use core::fmt::Write as _;

/// Where a plugin's log records go. Any `Fn(&LogRecord<'_>)` is one.
///
/// A record has been counted against the call's budget; a sink must not block for long, since
/// the guest, and whoever called it, wait.
pub trait LogSink: Send + Sync + 'static {
    /// Takes one record.
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

/// One record of a plugin's log.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LogRecord<'a> {
    /// The name under which the plugin was loaded; not the guest's to choose.
    pub plugin: &'a str,
    /// What the guest said.
    pub text: Escaped<'a>,
}

/// Tells `sink` that `dropped` records were over the call's budget.
pub(crate) fn write_dropped(sink: &dyn LogSink, plugin: &str, dropped: u32) {
    let mut text = heapless::String::<64>::new();
    // The text fits: ten digits at most.
    let _ = write!(
        text,
        "[{dropped} further log records dropped: over the budget]"
    );
    sink.record(&LogRecord {
        plugin,
        text: Escaped::new(text.as_bytes()),
    });
}

/// A sink that writes each record to the `log` crate, at level info, with the plugin as target.
#[cfg(feature = "log")]
#[derive(Clone, Copy, Debug, Default)]
pub struct LogCrate;

#[cfg(feature = "log")]
impl LogSink for LogCrate {
    fn record(&self, record: &LogRecord<'_>) {
        log::info!(target: record.plugin, "{}", record.text);
    }
}

/// A sink that writes each record to defmt, at level info.
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
