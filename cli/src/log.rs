//! Plugins' log records on stderr, one per line: `PLUGIN: TEXT`, or `PLUGIN [warn]: TEXT` for another
//! level than info. What the host says about a plugin is `PLUGIN [host]: TEXT`.

use anstyle::Style;
use std::fmt;
use tracing::{Event, Level, Subscriber, field};
use tracing_subscriber::{
    fmt::{FmtContext, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Writes tracing's events to stderr from now on.
pub(super) fn show() {
    let _ = tracing::subscriber::set_global_default(
        tracing_subscriber::fmt()
            // Strips the styles if stderr is not a terminal.
            .with_writer(anstream::stderr)
            .with_max_level(Level::TRACE)
            // Reporting an error on stderr would panic if stderr can't be written.
            .log_internal_errors(false)
            .event_format(Line)
            .finish(),
    );
}

struct Line;

impl<S, N> tracing_subscriber::fmt::FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // Only the sink of the plugins' log names the guest as the speaker.
        let level = *event.metadata().level();
        let mark = match (fields.guest, level) {
            (false, _) => " [host]".to_owned(),
            (true, Level::INFO) => String::new(),
            (true, level) => format!(" [{}]", level.as_str().to_lowercase()),
        };
        let dim = Style::new().dimmed();
        let Fields {
            plugin, message, ..
        } = fields;
        writeln!(writer, "{dim}{plugin}{mark}:{dim:#} {message}")
    }
}

/// The fields that [`hostel::Tracing`] sets on an event. The host's own events have no speaker.
#[derive(Default)]
struct Fields {
    plugin: String,
    message: String,
    guest: bool,
}

impl field::Visit for Fields {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &field::Field, value: &str) {
        match field.name() {
            "plugin" => self.plugin = super::output::escaped(value).to_string(),
            "speaker" => self.guest = value == "guest",
            _ => {}
        }
    }
}
