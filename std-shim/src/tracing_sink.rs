//! A log sink that forwards to the program's own log.

use hostel_core::{LogLevel, LogRecord, LogSink};
use tracing::{debug, error, info, trace, warn};

/// Forwards each log record of a plugin to [`tracing`], at its level: target `hostel::plugin`, the
/// plugin's name in the field `plugin`, and `guest` or `host` in the field `speaker`.
///
/// ```
/// let grants = hostel::Grants::new().log(hostel::Tracing);
/// # drop(grants);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

impl LogSink for Tracing {
    fn record(&self, record: &LogRecord<'_>) {
        let LogRecord { plugin, text, .. } = record;
        let speaker = record.speaker.as_str();
        // A level is part of the place in the code from which tracing gets an event.
        match record.level {
            LogLevel::Trace => trace!(target: "hostel::plugin", plugin, speaker, "{text}"),
            LogLevel::Debug => debug!(target: "hostel::plugin", plugin, speaker, "{text}"),
            LogLevel::Info => info!(target: "hostel::plugin", plugin, speaker, "{text}"),
            LogLevel::Warn => warn!(target: "hostel::plugin", plugin, speaker, "{text}"),
            LogLevel::Error => error!(target: "hostel::plugin", plugin, speaker, "{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tracing;
    use hostel_core::{Engine, Grants, Limits};
    use std::{
        fmt::Debug,
        sync::{Arc, Mutex},
    };
    use tracing::{
        Event, Metadata, Subscriber,
        field::{Field, Visit},
        span,
    };

    /// Keeps events as `LEVEL field=value …`.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.push_str(&format!(" {}={value:?}", field.name()));
        }
    }

    impl Subscriber for Kept {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn events_say_the_level_and_who_speaks() {
        let wasm = wat::parse_str(
            r#"(module (import "env" "host_log_at" (func $log (param i32 i32 i32)))
                (memory (export "memory") 1)
                (func (export "log") (param i32)
                  (call $log (local.get 0) (i32.const 0) (i32.const 0))))"#,
        );
        let engine = Engine::new(Limits::server());
        let mut budget = *engine.budget();
        budget.log_records = 1;
        let engine = engine.with_budget(budget);
        let plugin = engine.load("p", &wasm.unwrap(), &Grants::new().log(Tracing));
        let plugin = plugin.unwrap();
        let kept = Kept::default();
        tracing::subscriber::with_default(kept.clone(), || {
            for level in 0..5 {
                plugin.call::<(u32,), ()>("log", (level,)).unwrap();
            }
            plugin
                .with_budget({
                    budget.log_records = 0;
                    budget
                })
                .call::<(u32,), ()>("log", (4,))
                .unwrap();
        });
        let found = kept.0.lock().unwrap();
        for (line, level) in found
            .iter()
            .zip(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"])
        {
            assert!(line.starts_with(&format!("{level} ")), "{line}");
            assert!(line.contains(r#"plugin="p""#) && line.contains(r#"speaker="guest""#));
        }
        assert_eq!(found.len(), 6);
        let host = r#"speaker="host""#;
        assert!(
            found[5].starts_with("WARN ") && found[5].contains(host),
            "{}",
            found[5]
        );
    }
}
