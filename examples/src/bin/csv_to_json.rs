//! Turns CSV files into JSON, one object per line. A plugin transforms each row, or leaves it out.
//!
//! `cargo run --manifest-path examples/Cargo.toml --bin csv_to_json -- examples/data/sales.csv currency=USD` writes
//! `examples/data/sales.jsonl`.

use hostel::{Budget, Grants, LogRecord, Plugin, load_file};
use hostel_examples::{arguments, plugin};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};
use std::{
    error::Error,
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

fn main() -> Result<(), Box<dyn Error>> {
    let (settings, files) = arguments();
    if files.is_empty() {
        return Err("expected CSV files".into());
    }
    let grants = Grants::new()
        .log(|record: &LogRecord<'_>| eprintln!("{record}"))
        .config(settings)
        // Of each row: a million units are some milliseconds.
        .with_budget(Budget::server().with_fuel(1_000_000));
    let plugin = load_file(&hostel::engine(), plugin("rows"), &grants)?;

    let mut all = 0;
    for file in &files {
        all += fs::metadata(file)
            .map_err(|error| format!("{file}: {error}"))?
            .len();
    }
    let style = "{bar:40} {bytes}/{total_bytes} {eta} {msg}";
    let bar = ProgressBar::new(all).with_style(ProgressStyle::with_template(style)?);
    for file in &files {
        bar.set_message(file.clone());
        let (kept, left_out) =
            convert(file.as_ref(), &plugin, &bar).map_err(|error| format!("{file}: {error}"))?;
        bar.suspend(|| println!("{file}: {kept} rows, {left_out} left out"));
    }
    bar.finish_and_clear();
    Ok(())
}

/// Writes the rows of a file beside it. Returns how many were written, and how many the plugin left out.
fn convert(file: &Path, plugin: &Plugin, bar: &ProgressBar) -> Result<(u64, u64), Box<dyn Error>> {
    let mut rows = csv::Reader::from_path(file)?;
    let columns = rows.headers()?.clone();
    let (begun, done) = (
        file.with_extension("jsonl.tmp"),
        file.with_extension("jsonl"),
    );
    let mut to = BufWriter::new(File::create(&begun)?);
    let (mut kept, mut left_out, mut read) = (0, 0, 0);
    let mut row = csv::StringRecord::new();
    while rows.read_record(&mut row)? {
        let line = row.position().map_or(0, csv::Position::line);
        let pairs = columns.iter().zip(&row);
        let object: Map<String, Value> = pairs
            .map(|(column, cell)| (column.into(), cell.into()))
            .collect();
        let input = Value::Object(object).to_string();
        // Each row in an instance that knows of no other row.
        let output = plugin
            .process(input.as_bytes())
            .map_err(|error| format!("line {line}: {error}"))?;
        if output.is_empty() {
            left_out += 1;
        } else {
            // The plugin may return anything.
            let row: Value = serde_json::from_slice(&output)
                .map_err(|error| format!("line {line}: the plugin's output: {error}"))?;
            writeln!(to, "{row}")?;
            kept += 1;
        }
        let at = rows.position().byte();
        bar.inc(at - read);
        read = at;
    }
    to.into_inner()?.sync_all()?;
    // Whole or not at all.
    fs::rename(begun, done)?;
    Ok((kept, left_out))
}
