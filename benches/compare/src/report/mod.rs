//! Writes what was measured: a page of the book, charts, and all figures as JSON.

mod chart;
mod glance;
mod json;
mod machine;
mod page;
pub mod table;

use crate::{
    cases::{Case, Work},
    guests::Guest,
    host::{Answer, Host},
    instructions::Counted,
    measure::{Cell, Figures},
    memory::Grown,
};
use std::{fs, path::Path};

/// Memory of many of one kind, in one host.
pub type Growth = (&'static str, &'static dyn Host, Result<Vec<Grown>, String>);

/// All that was measured.
pub struct Results {
    pub hosts: Vec<&'static dyn Host>,
    pub left_out: Vec<String>,
    pub rows: Vec<(Case, Vec<Cell>)>,
    pub grown: Vec<Growth>,
    pub counted: Vec<Counted>,
    pub seconds: u64,
}

impl Results {
    pub fn new(hosts: Vec<&'static dyn Host>, left_out: Vec<String>) -> Self {
        Self {
            hosts,
            left_out,
            rows: Vec::new(),
            grown: Vec::new(),
            counted: Vec::new(),
            seconds: 0,
        }
    }

    /// Returns the figures of a host for some work.
    pub fn of(&self, host: &str, work: Work) -> Option<Figures> {
        let column = self.hosts.iter().position(|found| found.name() == host)?;
        let (_, cells) = self.rows.iter().find(|(case, _)| case.work == work)?;
        match cells.get(column)? {
            Cell::Measured(figures) => Some(*figures),
            Cell::Blank | Cell::Failed(_) => None,
        }
    }

    /// Returns the figures of a call that sees no other's state, by the cheaper way that the host has.
    pub fn as_new(&self, host: &str, guest: Guest, size: usize) -> Option<Figures> {
        let reused = self.of(host, Work::Reused(guest, size));
        let new = self.of(host, Work::New(guest, size));
        match (reused, new) {
            (Some(reused), Some(new)) if new.median < reused.median => Some(new),
            (reused, new) => reused.or(new),
        }
    }
}

/// Writes `performance.md`, and the figures and charts into `performance/` beside it.
pub fn write(results: &Results, folder: &Path) -> Answer<()> {
    let beside = folder.join("performance");
    fs::create_dir_all(&beside)?;
    for (name, chart) in page::charts(results) {
        fs::write(beside.join(format!("{name}.svg")), chart)?;
    }
    let figures = serde_json::to_string_pretty(&json::figures(results))?;
    fs::write(beside.join("figures.json"), figures + "\n")?;
    fs::write(folder.join("performance.md"), page::page(results))?;
    Ok(())
}

/// Prints nanoseconds with three digits.
pub fn time(nanoseconds: f64) -> String {
    scaled(nanoseconds, 1_000.0, &["ns", "µs", "ms", "s"])
}

/// Prints bytes with three digits.
pub fn bytes(bytes: f64) -> String {
    scaled(bytes, 1_024.0, &["B", "KiB", "MiB", "GiB"])
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut units = units.iter();
    let mut unit = units.next().unwrap_or(&"");
    // What rounds to a whole step has the next unit.
    while value >= step * 0.9995 {
        let Some(next) = units.next() else { break };
        (value, unit) = (value / step, next);
    }
    let digits = match value {
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}
