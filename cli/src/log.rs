//! Plugins' log records on stderr, one per line: `PLUGIN: TEXT`.

use anstyle::Style;
use std::fmt;
use tracing::{Event, Subscriber, field};
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
        let dim = Style::new().dimmed();
        writeln!(writer, "{dim}{}:{dim:#} {}", fields.plugin, fields.message)
    }
}

/// The fields that [`hostel::Tracing`] sets on an event.
#[derive(Default)]
struct Fields {
    plugin: String,
    message: String,
}

impl field::Visit for Fields {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &field::Field, value: &str) {
        if field.name() == "plugin" {
            self.plugin = super::output::visible(value).to_string();
        }
    }
}
