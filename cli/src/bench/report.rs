//! The results of a measurement, as text and as JSON.

use super::{
    super::{exit::Exit, failure::Failure, output::escaped},
    tally::Tally,
};
use anstyle::Style;
use bytesize::ByteSize;
use indicatif::HumanCount;
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf, time::Duration};

/// The percentiles that a report contains, with their names.
const PERCENTILES: [(&str, f64); 4] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("max", 100.0)];

pub(super) struct Report {
    pub(super) plugin: PathBuf,
    pub(super) function: String,
    pub(super) concurrency: u32,
    pub(super) sliced: Option<u64>,
    pub(super) interrupted: bool,
    /// Linear memory of an instance after a call, in bytes.
    pub(super) memory: usize,
    /// Other memory of an instance, in bytes.
    pub(super) besides: u64,
    pub(super) tally: Tally,
}

impl Report {
    /// Returns the exit of the failed calls, the highest code if there are several.
    pub(super) fn exit(&self) -> Exit {
        let exits = self.tally.errors.values().map(|failed| failed.exit);
        exits.max_by_key(|exit| exit.code()).unwrap_or(Exit::Ok)
    }

    fn calls(&self) -> u64 {
        self.tally.times.len()
    }

    fn per_second(&self) -> Option<f64> {
        let elapsed = self.tally.elapsed()?.as_secs_f64();
        (elapsed > 0.0).then(|| self.calls() as f64 / elapsed)
    }

    /// Returns a percentile of the calls' times.
    fn time(&self, percentile: f64) -> Duration {
        Duration::from_nanos(self.tally.times.value_at_percentile(percentile))
    }

    pub(super) fn text(&self) -> String {
        let bold = Style::new().bold();
        let (path, fuel) = (self.plugin.to_string_lossy(), self.tally.fuel);
        let mut text = format!("{bold}{}{bold:#}\n", escaped(&path));
        let mut row = |name, value: String| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "  {name:<8}  {value}");
        };
        row("function", escaped(&self.function).to_string());
        let threads = match (self.sliced, self.concurrency) {
            (Some(quantum), many) => {
                format!("{many} at a time in slices of {} fuel", HumanCount(quantum))
            }
            (None, many) => format!("{many} at a time"),
        };
        let elapsed = self.tally.elapsed().unwrap_or_default();
        let calls = HumanCount(self.calls());
        let early = if self.interrupted {
            ", interrupted"
        } else {
            ""
        };
        row(
            "calls",
            format!("{calls} in {elapsed:.1?}, {threads}{early}"),
        );
        if let Some(per_second) = self.per_second() {
            let per_second = HumanCount(per_second as u64);
            row("rate", format!("{per_second} calls per second"));
            let times = PERCENTILES.map(|(name, at)| format!("{name} {:.1?}", self.time(at)));
            row("time", times.join(", "));
        }
        if let Some(mean) = fuel.mean(self.calls()) {
            let [mean, least, most] = [mean, fuel.least, fuel.most].map(HumanCount);
            row("fuel", format!("{mean} per call, from {least} to {most}"));
        }
        let [memory, besides] = [self.memory as u64, self.besides].map(ByteSize);
        let memory = format!("{memory} linear memory per instance, at most {besides} besides");
        row("memory", memory);
        for (code, failed) in &self.tally.errors {
            let (count, message) = (HumanCount(failed.count), escaped(&failed.message));
            row("errors", format!("{count} {code}: {message}"));
        }
        if self.tally.errors.is_empty() {
            row("errors", "none".to_owned());
        }
        text
    }

    fn json(&self) -> Value {
        let (calls, fuel) = (self.calls(), self.tally.fuel);
        let percentiles = PERCENTILES.map(|(name, at)| {
            let micros = self.time(at).as_nanos() as f64 / 1_000.0;
            (name.to_owned(), (calls > 0).then_some(micros).into())
        });
        let errors = self.tally.errors.iter().map(|(code, failed)| {
            json!({ "code": code, "message": failed.message, "count": failed.count })
        });
        let mean = fuel.mean(calls);
        json!({
            "function": self.function,
            "concurrency": self.concurrency,
            "sliced": self.sliced,
            "interrupted": self.interrupted,
            "calls": calls,
            "seconds": self.tally.elapsed().map(|elapsed| elapsed.as_secs_f64()),
            "calls_per_second": self.per_second(),
            "micros": Value::Object(percentiles.into_iter().collect()),
            "fuel": {
                "mean": mean,
                "least": mean.map(|_| fuel.least),
                "most": mean.map(|_| fuel.most),
            },
            "memory": { "linear": self.memory, "besides": self.besides },
            "errors": errors.collect::<Value>(),
        })
    }
}

/// Returns the report, or the failure that prevented the measurement.
pub(super) fn json(report: &Result<Report, Failure>, exit: Exit) -> Value {
    json!({
        "measured": report.as_ref().ok().map(Report::json),
        "error": report.as_ref().err(),
        "code": exit.code(),
    })
}
