//! hostel's ratios to its peers, in the cases that matter most to plugins.

use super::{Results, table};
use crate::{cases::Work, guests::Guest, measure::Figures};

/// A case, by its name, and how a host's time in it is found.
type Ratio = (&'static str, fn(&Results, &str) -> Option<f64>);

fn median(figures: Option<Figures>) -> Option<f64> {
    figures.map(|figures| figures.median)
}

const RATIOS: &[Ratio] = &[
    ("call, held instance, Rust with std", |results, host| {
        median(results.of(host, Work::Held(Guest::RustStd, 11)))
    }),
    ("call, as new, Rust, stack of 16 KiB", |results, host| {
        median(results.as_new(host, Guest::Small, 11))
    }),
    ("call, as new, Rust", |results, host| {
        median(results.as_new(host, Guest::Rust, 11))
    }),
    ("call, as new, Rust with std", |results, host| {
        median(results.as_new(host, Guest::RustStd, 11))
    }),
    ("call, as new, Go", |results, host| {
        median(results.as_new(host, Guest::Go, 11))
    }),
    ("held `add(10, 20)`", |results, host| {
        median(results.of(host, Work::AddHeld))
    }),
    ("load to first answer, Rust with std", |results, host| {
        median(results.of(host, Work::Load(Guest::RustStd)))
    }),
    ("again", |results, host| {
        median(results.of(host, Work::LoadAgain(Guest::RustStd)))
    }),
    ("load to first answer, Go", |results, host| {
        median(results.of(host, Work::Load(Guest::Go)))
    }),
    (
        "memory of a plugin that was called, of 100",
        |results, host| grown(results, host, "plugins", 100),
    ),
    (
        "memory of an instance that was called, of 1,000",
        |results, host| grown(results, host, "called", 1_000),
    ),
    ("`fib(22)`", |results, host| {
        median(results.of(host, Work::Kernel(0)))
    }),
];

fn grown(results: &Results, host: &str, kind: &str, count: u32) -> Option<f64> {
    let (.., grown) = results
        .grown
        .iter()
        .find(|(found, name, _)| *found == kind && name.name() == host)?;
    let grown = grown
        .as_ref()
        .ok()?
        .iter()
        .find(|grown| grown.count == count)?;
    Some(grown.bytes as f64)
}

/// The table of hostel's ratios: below 1, hostel takes less.
pub fn table(results: &Results) -> String {
    let peers: Vec<&str> = results
        .hosts
        .iter()
        .map(|host| host.name())
        .filter(|name| !name.starts_with("hostel"))
        .collect();
    let mut head = vec!["hostel to".to_string()];
    head.extend(peers.iter().map(ToString::to_string));
    let rows: Vec<Vec<String>> = RATIOS
        .iter()
        .map(|(name, of)| {
            let mut row = vec![(*name).to_string()];
            row.extend(
                peers
                    .iter()
                    .map(|peer| cell(of(results, "hostel"), of(results, peer))),
            );
            row
        })
        .collect();
    table::markdown(&head, &rows)
}

/// hostel with another host's plugins, and that host.
const FOREIGN: &[(&str, &str)] = &[
    ("hostel, Extism's plugin", "extism"),
    ("hostel, waPC's plugin", "wapc"),
];

/// The cases of plugins that were made for another host.
const FOREIGN_RATIOS: &[Ratio] = &[
    ("call, held instance, by hand", |results, host| {
        median(results.of(host, Work::Held(Guest::Hand, 11)))
    }),
    ("call, held instance, with the kit", |results, host| {
        median(results.of(host, Work::Held(Guest::RustStd, 11)))
    }),
    ("call, as new, by hand", |results, host| {
        median(results.as_new(host, Guest::Hand, 11))
    }),
    ("call, as new, with the kit", |results, host| {
        median(results.as_new(host, Guest::RustStd, 11))
    }),
    ("load to first answer, by hand", |results, host| {
        median(results.of(host, Work::Load(Guest::Hand)))
    }),
    ("load to first answer, with the kit", |results, host| {
        median(results.of(host, Work::Load(Guest::RustStd)))
    }),
    ("10,000 blocks in one call", |results, host| {
        median(results.of(host, Work::Blocks))
    }),
    (
        "memory of an instance that was not called, of 100",
        |results, host| grown(results, host, "idle", 100),
    ),
];

/// The table of hostel's ratios to the host that a plugin was made for.
pub fn foreign(results: &Results) -> String {
    let head = ["hostel to", "Extism", "waPC"].map(String::from);
    let rows: Vec<Vec<String>> = FOREIGN_RATIOS
        .iter()
        .map(|(name, of)| {
            let mut row = vec![(*name).to_string()];
            row.extend(
                FOREIGN
                    .iter()
                    .map(|(own, peer)| cell(of(results, own), of(results, peer))),
            );
            row
        })
        .collect();
    table::markdown(&head, &rows)
}

/// The ratio of two figures, or nothing if one is missing.
fn cell(own: Option<f64>, peer: Option<f64>) -> String {
    match (own, peer) {
        (Some(own), Some(peer)) if peer > 0.0 => ratio(own / peer),
        _ => String::new(),
    }
}

fn ratio(ratio: f64) -> String {
    match ratio {
        small if small < 0.1 => format!("{small:.3}"),
        large if large > 10.0 => format!("{large:.0}"),
        _ => format!("{ratio:.2}"),
    }
}
