//! `hostel top`: the workers and plugins of a fleet, as a table.

use super::{arguments::Top, with};
use crate::{exit::Exit, failure::Failure, output};
use hostel_fleet::{FleetView, Presence};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, IsTerminal as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Time between two tables.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) fn top(arguments: &Top) -> Result<Exit, Failure> {
    if arguments.json {
        let view = with(&arguments.reach, async |fleet| fleet.view().await)?;
        return output::json(&view);
    }
    let once = arguments.once || !io::stdout().is_terminal();
    with(&arguments.reach, async |fleet| {
        let mut last = None;
        loop {
            let view = fleet.view().await?;
            let table = table(&view, last.as_ref());
            if once {
                return Ok(output::text(&table));
            }
            // To the upper left, and nothing of the last table behind it.
            let shown = output::text(&format!("\x1b[H\x1b[2J{table}"));
            match shown {
                Ok(Exit::Ok) => {}
                // Nobody reads it any more, or it can't be written.
                ended => return Ok(ended),
            }
            last = Some(view);
            tokio::time::sleep(EVERY).await;
        }
    })?
}

/// Returns the fleet as text. Rates are those since `last`.
fn table(view: &FleetView, last: Option<&FleetView>) -> String {
    let (workers, jobs, release) = (view.workers.len(), view.jobs, view.releases.active.number);
    let mut text = format!(
        "fleet {}: {workers} workers, release {release}, {} jobs wait, {} dead letters\n",
        view.fleet, jobs.waiting, jobs.dead
    );
    // Writing to a String does not fail.
    if let Some(candidate) = &view.releases.candidate {
        let _ = writeln!(text, "release {} is being decided", candidate.number);
    }
    let _ = writeln!(
        text,
        "\n{:<12}  {:<21}  {:>8}  {:>7}  {:>7}  {:>8}  {:>7}  {:>7}",
        "WORKER", "ADDRESS", "UPTIME", "RELEASE", "RUNNING", "DONE", "FAILED", "REPEATS"
    );
    for worker in &view.workers {
        let figures = &worker.figures;
        let _ = writeln!(
            text,
            "{:<12}  {:<21}  {:>8}  {:>7}  {:>7}  {:>8}  {:>7}  {:>7}",
            worker.worker,
            worker.address,
            uptime(worker),
            worker.serves,
            figures.running,
            figures.jobs.0,
            figures.jobs.1,
            figures.repeats
        );
        if let Some(reason) = &worker.behind {
            let _ = writeln!(text, "  takes no work: {}", output::escaped(reason));
        }
    }
    let _ = writeln!(
        text,
        "\n{:<24}  {:>7}  {:<12}  {:>10}  {:>8}  {:>8}",
        "PLUGIN", "VERSION", "SHA-256", "SUCCEEDED", "FAILED", "PER S"
    );
    let (counts, before) = (totals(view), last.map(totals).unwrap_or_default());
    for (name, version) in &view.releases.active.plugins {
        let (succeeded, failed) = counts.get(name).copied().unwrap_or_default();
        let rate = match last {
            None => "-".to_owned(),
            Some(_) => {
                let (one, other) = before.get(name).copied().unwrap_or_default();
                // A worker that has gone takes its figures with it.
                let more = succeeded
                    .saturating_add(failed)
                    .saturating_sub(one.saturating_add(other));
                more.to_string()
            }
        };
        let sha256 = version.sha256.get(..12).unwrap_or_default();
        let number = version.number;
        let _ = writeln!(
            text,
            "{name:<24}  {number:>7}  {sha256:<12}  {succeeded:>10}  {failed:>8}  {rate:>8}"
        );
    }
    text
}

/// Sums the workers' figures of each plugin.
fn totals(view: &FleetView) -> BTreeMap<String, (u64, u64)> {
    let mut totals: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for worker in &view.workers {
        for (name, (succeeded, failed)) in &worker.figures.plugins {
            let total = totals.entry(name.clone()).or_default();
            total.0 = total.0.saturating_add(*succeeded);
            total.1 = total.1.saturating_add(*failed);
        }
    }
    totals
}

fn uptime(worker: &Presence) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let seconds = now
        .saturating_sub(Duration::from_millis(worker.started))
        .as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{hours}h{:02}m", seconds / 60 % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostel_fleet::{Figures, PluginVersion};

    #[test]
    fn a_table_shows_workers_and_plugins() {
        let mut view = FleetView {
            fleet: "hostel".into(),
            ..FleetView::default()
        };
        view.releases.active.number = 7;
        let version = PluginVersion {
            number: 3,
            sha256: "ab".repeat(32),
        };
        view.releases.active.plugins.insert("shop".into(), version);
        let worker = |name: &str, calls| Presence {
            worker: name.into(),
            serves: 7,
            figures: Figures {
                plugins: [("shop".to_owned(), (calls, 1))].into(),
                ..Figures::default()
            },
            ..Presence::default()
        };
        view.workers = vec![worker("one", 10), worker("two", 5)];
        let before = view.clone();
        view.workers[0]
            .figures
            .plugins
            .insert("shop".into(), (14, 2));
        let text = table(&view, Some(&before));
        let line = text.lines().find(|line| line.starts_with("shop")).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words, ["shop", "3", "abababababab", "19", "3", "5"]);
        assert!(text.starts_with("fleet hostel: 2 workers, release 7, 0 jobs wait"));
        assert!(text.contains("\none "), "{text}");
    }
}
