//! Tables: on the terminal while it runs, and in the page.

use super::{Results, bytes, time};
use crate::{
    cases::{Case, Work},
    host::Host,
    measure::{Cell, Figures},
    memory::Grown,
};
use std::fmt::Write;

/// The time that a case is about: that of the clock if threads run at once, else that of processors.
pub fn relevant(work: Work, figures: &Figures) -> f64 {
    match work {
        Work::Threads(..) => figures.wall,
        _ => figures.median,
    }
}

/// Prints a case: a line for each host, and its ratio to the first.
pub fn print_row(results: &Results, case: &Case, cells: &[Cell]) {
    println!("\n{}: {}", case.group, case.name);
    let first = match cells.first() {
        Some(Cell::Measured(figures)) => Some(relevant(case.work, figures)),
        _ => None,
    };
    for (host, cell) in results.hosts.iter().zip(cells) {
        match cell {
            Cell::Measured(figures) => {
                let median = relevant(case.work, figures);
                let ratio = first.map_or(String::new(), |first| format!("{:>8.2}", median / first));
                println!(
                    "  {:<22} {:>10} {ratio}   at least {:>10}, by the clock {:>10}, {} rounds",
                    host.name(),
                    time(median),
                    time(figures.least),
                    time(figures.wall),
                    figures.rounds
                );
            }
            Cell::Blank => {}
            Cell::Failed(failure) => println!("  {:<22} failed: {failure}", host.name()),
        }
    }
}

/// Prints memory and time of one of many.
pub fn print_grown(host: &dyn Host, title: &str, grown: &Result<Vec<Grown>, String>) {
    match grown {
        Ok(grown) if grown.is_empty() => {}
        Ok(grown) => {
            println!("\n{}: {title}", host.name());
            for grown in grown {
                let count = f64::from(grown.count);
                println!(
                    "  {:>6}: {:>10} and {:>10} each",
                    grown.count,
                    bytes(grown.bytes as f64 / count),
                    time(grown.processor / count)
                );
            }
        }
        Err(failure) => println!("\n{}: {title}: failed: {failure}", host.name()),
    }
}

/// A table in Markdown. The first cell of each row is its name.
pub fn markdown(head: &[String], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text += &line(head);
    let _ = writeln!(text, "|---|{}", "--:|".repeat(head.len() - 1));
    for row in rows {
        text += &line(row);
    }
    text
}

/// The table of a group: a column for each host that has a figure in it.
pub fn group(results: &Results, group: &str) -> String {
    let rows: Vec<_> = results
        .rows
        .iter()
        .filter(|(case, _)| case.group == group)
        .collect();
    let columns: Vec<usize> = (0..results.hosts.len())
        .filter(|column| {
            rows.iter()
                .any(|(_, cells)| matches!(cells[*column], Cell::Measured(_)))
        })
        .collect();
    let mut head = vec![String::new()];
    head.extend(
        columns
            .iter()
            .map(|column| results.hosts[*column].name().to_string()),
    );
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(case, cells)| {
            let mut row = vec![case.name.clone()];
            row.extend(columns.iter().map(|column| match &cells[*column] {
                Cell::Measured(figures) => time(relevant(case.work, figures)),
                Cell::Blank => String::new(),
                Cell::Failed(_) => "failed".into(),
            }));
            row
        })
        .collect();
    markdown(&head, &rows)
}

/// The reasons of all failures, each once.
pub fn failures(results: &Results) -> Vec<String> {
    let mut failures: Vec<String> = Vec::new();
    for (case, cells) in &results.rows {
        for (host, cell) in results.hosts.iter().zip(cells) {
            if let Cell::Failed(failure) = cell {
                failures.push(format!("{}, {}: {}", host.name(), case.name, failure));
            }
        }
    }
    for (kind, host, grown) in &results.grown {
        if let Err(failure) = grown {
            failures.push(format!("{}, memory of {kind}: {}", host.name(), failure));
        }
    }
    failures
}
