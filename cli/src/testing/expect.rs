//! What a case expects, and how a call differs from it.

use super::difference;
use crate::{input::Answer, observe::Coverage};
use hostel::{CallError, LogLevel, Usage};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a case expects. Fields that are `None` are not looked at, but a call has to succeed unless an error is
/// expected, and a command's exit code has to be 0 unless another is.
#[derive(Default)]
pub(super) struct Expect {
    pub(super) output: Option<Expected>,
    pub(super) error: Option<ExpectedError>,
    /// All records of the plugin's log.
    pub(super) log: Option<Vec<ExpectedLog>>,
    /// Records that are among those of the log, in this order.
    pub(super) log_contains: Vec<ExpectedLog>,
    /// The least and the most fuel of the call.
    pub(super) fuel: Option<(u64, u64)>,
    /// The plugin's whole state after the call.
    pub(super) state: Option<Vec<(String, Vec<u8>)>>,
    pub(super) exit: Option<u64>,
}

/// An expected output.
pub(super) enum Expected {
    Exact(Vec<u8>),
    Contains(Vec<u8>),
    Json(Value),
}

/// How a text has to be.
pub(super) enum Matches {
    Any,
    Is(String),
    Contains(String),
}

pub(super) struct ExpectedError {
    pub(super) code: Option<String>,
    pub(super) text: Matches,
}

pub(super) struct ExpectedLog {
    /// `None` for any level.
    pub(super) level: Option<LogLevel>,
    pub(super) text: Matches,
}

/// What a call did.
pub(super) struct Outcome {
    /// The output, and of a command its exit code.
    pub(super) result: Result<(Answer, u32), CallError>,
    pub(super) usage: Usage,
    pub(super) log: Vec<(LogLevel, String)>,
    pub(super) state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The functions that ran when the call was stopped, if it was observed.
    pub(super) backtrace: Vec<String>,
    pub(super) coverage: Coverage,
}

impl Expect {
    /// Returns every difference, in lines; none if the outcome is as expected.
    pub(super) fn differences(&self, outcome: &Outcome) -> Vec<String> {
        let mut lines = Vec::new();
        match (&outcome.result, &self.error) {
            (Ok((answer, exit)), None) => {
                if let Some(output) = &self.output {
                    lines.extend(output.differences(answer));
                }
                let expected = self.exit.unwrap_or(0);
                if expected != u64::from(*exit) {
                    lines.push(format!("exit code: expected {expected}, found {exit}"));
                }
            }
            (Ok((answer, _)), Some(error)) => {
                lines.push(format!("expected an error{}", error.shown()));
                lines.push(format!(
                    "found the output {}",
                    difference::shown(&answer.bytes)
                ));
            }
            (Err(error), None) => {
                lines.push(format!("error: {} ({})", text_of(error), error.code()));
            }
            (Err(error), Some(expected)) => lines.extend(expected.differences(error)),
        }
        if let Some(expected) = &self.log {
            lines.extend(log_differences(expected, &outcome.log));
        }
        let mut rest = outcome.log.iter();
        for expected in &self.log_contains {
            if !rest.any(|found| expected.fits(found)) {
                lines.push(format!(
                    "log: no record {}{}",
                    expected.shown(),
                    listed(&outcome.log)
                ));
                break;
            }
        }
        let fuel = outcome.usage.fuel;
        match self.fuel {
            Some((least, most)) if !(least..=most).contains(&fuel) => {
                let expected = match (least, most) {
                    (least, most) if least == most => least.to_string(),
                    (0, most) => format!("at most {most}"),
                    (least, u64::MAX) => format!("at least {least}"),
                    (least, most) => format!("{least} to {most}"),
                };
                lines.push(format!("fuel: expected {expected}, found {fuel}"));
            }
            _ => {}
        }
        if let Some(expected) = &self.state {
            lines.extend(state_differences(expected, &outcome.state));
        }
        lines
    }
}

/// Returns an error's text: of the guest's own, only what the guest wrote.
fn text_of(error: &CallError) -> String {
    match error {
        CallError::Guest { message } => message.to_string(),
        error => format!("{error:#}"),
    }
}

impl Expected {
    fn differences(&self, answer: &Answer) -> Vec<String> {
        let found = match answer.bytes.strip_suffix(b"\n") {
            // The line's end is not of the values.
            Some(found) if answer.printed => found,
            _ => &answer.bytes,
        };
        match self {
            Self::Exact(expected) => difference::bytes("output", expected, found),
            Self::Contains(part) => {
                let has = part.is_empty() || found.windows(part.len()).any(|window| window == part);
                match has {
                    true => Vec::new(),
                    false => vec![
                        format!("output: no {}", difference::shown(part)),
                        format!("found   {}", difference::shown(found)),
                    ],
                }
            }
            Self::Json(expected) => match serde_json::from_slice(found) {
                Ok(found) => difference::json(expected, &found),
                Err(error) => vec![
                    format!("output: expected JSON: {error}"),
                    format!("found   {}", difference::shown(found)),
                ],
            },
        }
    }
}

impl Matches {
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(whole) => whole == text,
            Self::Contains(part) => text.contains(&**part),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Any => String::new(),
            Self::Is(text) => difference::shown(text.as_bytes()),
            Self::Contains(text) => format!("with {}", difference::shown(text.as_bytes())),
        }
    }
}

impl ExpectedError {
    fn differences(&self, error: &CallError) -> Vec<String> {
        let (code, text) = (error.code(), text_of(error));
        let mut lines = Vec::new();
        if let Some(expected) = &self.code
            && expected != code
        {
            lines.push(format!("error code: expected {expected}, found {code}"));
        }
        match &self.text {
            Matches::Is(expected) => {
                lines.extend(difference::bytes(
                    "error",
                    expected.as_bytes(),
                    text.as_bytes(),
                ));
            }
            matches if !matches.fits(&text) => {
                lines.push(format!("error: expected one {}", matches.shown()));
                lines.push(format!("found  {}", difference::shown(text.as_bytes())));
            }
            _ => {}
        }
        lines
    }

    fn shown(&self) -> String {
        let code = self
            .code
            .as_ref()
            .map(|code| format!(" of the code {code}"));
        let text = self.text.shown();
        let gap = if text.is_empty() { "" } else { " " };
        format!("{}{gap}{text}", code.unwrap_or_default())
    }
}

impl ExpectedLog {
    fn fits(&self, (level, text): &(LogLevel, String)) -> bool {
        self.level.is_none_or(|expected| expected == *level) && self.text.fits(text)
    }

    fn shown(&self) -> String {
        let level = self.level.map_or("any level", LogLevel::as_str);
        format!("[{level}] {}", self.text.shown())
    }
}

fn record((level, text): &(LogLevel, String)) -> String {
    format!(
        "[{}] {}",
        level.as_str(),
        difference::shown(text.as_bytes())
    )
}

/// Lists the records of a log after a message.
fn listed(log: &[(LogLevel, String)]) -> String {
    match log {
        [] => ": the plugin wrote none".to_owned(),
        log => {
            let records: Vec<_> = log.iter().map(record).collect();
            format!(" among {}", records.join(", "))
        }
    }
}

fn log_differences(expected: &[ExpectedLog], found: &[(LogLevel, String)]) -> Vec<String> {
    let count = expected.len().max(found.len());
    let each = (0..count).map(|at| (at + 1, expected.get(at), found.get(at)));
    let lines = each.filter_map(|(number, expected, found)| match (expected, found) {
        (Some(expected), Some(found)) if expected.fits(found) => None,
        (Some(expected), Some(found)) => Some(format!(
            "log record {number}: expected {}, found {}",
            expected.shown(),
            record(found)
        )),
        (Some(expected), None) => Some(format!(
            "log record {number}: expected {}, found none",
            expected.shown()
        )),
        (None, found) => found.map(|found| {
            format!(
                "log record {number}: expected none, found {}",
                record(found)
            )
        }),
    });
    lines.collect()
}

fn state_differences(
    expected: &[(String, Vec<u8>)],
    found: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in expected {
        let what = format!("state {}", difference::shown(key.as_bytes()));
        match found.get(key.as_bytes()) {
            Some(found) => lines.extend(difference::bytes(&what, value, found)),
            None => lines.push(format!(
                "{what}: expected {}, found none",
                difference::shown(value)
            )),
        }
    }
    let unexpected = found
        .iter()
        .filter(|(key, _)| !expected.iter().any(|(known, _)| known.as_bytes() == **key));
    lines.extend(unexpected.map(|(key, value)| {
        let (key, value) = (difference::shown(key), difference::shown(value));
        format!("state {key}: expected none, found {value}")
    }));
    lines
}
