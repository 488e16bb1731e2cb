//! The page of the book, and its charts.

use super::{Results, bytes, chart, chart::Bars, glance, machine, table, time};
use crate::{
    cases::{GROUPS, Work},
    guests::{EXAMPLES, Guest},
    measure::Cell,
    memory::KINDS,
};
use std::fmt::Write;

const HEAD: &str = "\
# Performance

Written by `benches/compare/run`; don't edit it. It runs hostel and its peers on the same plugins, turn and turn about, in
one run on one machine. Ratios matter, times are this machine's. Each time is the median of processor time over many short
turns; [figures.json](performance/figures.json) has the least ones, times by the clock and numbers of rounds.

hostel *interprets*. It starts plugins and calls them in microseconds, in little memory, with the same fuel everywhere. A
compiler computes many times faster: see [below](#where-a-compiler-wins).
";

const INSTRUCTIONS: &str = "\
## Instructions

What hostel adds to its interpreter, counted by callgrind. wasmi is driven by hand: exports are looked up once, and nothing is
checked but what memory safety needs. As new, it makes a new instance for each call; loading, it has its better mode.

";

/// Writes the page.
pub fn page(results: &Results) -> String {
    let mut page = HEAD.to_string();
    let _ = write!(
        page,
        "\n## At a glance\n\nhostel's figure divided by the peer's: below 1, hostel takes less. *As new* takes the cheaper \
        way that a peer has.\n\n{}",
        glance::table(results)
    );
    let _ = write!(
        page,
        "\n## Plugins of other hosts\n\nhostel's figure divided by that of the host for which the plugin was made: by hand in the \
        text format, or in Rust with that host's kit. Each upper-cases `hello world` behind a setting, and logs a line.\n\n{}",
        glance::foreign(results)
    );
    for (group, title, text) in GROUPS {
        let _ = write!(page, "\n## {title}\n\n{text}\n\n");
        for (name, title) in CHARTS
            .iter()
            .filter(|(_, _, of, _)| of == group)
            .map(|chart| (chart.0, chart.1))
        {
            let _ = writeln!(page, "![{title}](performance/{name}.svg)\n");
        }
        page += &table::group(results, group);
    }
    page += "\n## Memory\n\nResident memory of a process more than before, divided by the number. The plugin is that in Rust \
        with std, whose memory has 17 pages at first.\n\n![Memory](performance/memory.svg)\n";
    for (kind, title, counts) in KINDS {
        let _ = write!(
            page,
            "\n{}, and processor time of each:\n\n{}",
            capitalised(title),
            memory(results, kind, counts)
        );
    }
    if !results.counted.is_empty() {
        page += "\n";
        page += INSTRUCTIONS;
        page += &instructions(results);
    }
    page += "\n## How it was measured\n\n";
    for (name, fact) in machine::facts() {
        let _ = writeln!(page, "* {}: {fact}", capitalised(name));
    }
    let _ = writeln!(page, "* Time: {} s", results.seconds);
    let _ = writeln!(page, "* Noise: {}", noise(results));
    page += "\nEach host in the configuration that its documentation recommends for many short calls:\n\n";
    for host in &results.hosts {
        let _ = writeln!(page, "* **{}**: {}", host.name(), host.about());
    }
    page += "\nAn empty cell is something that the host does not have: numbers as parameters in Extism and waPC, a plugin in \
        their conventions in other languages, WASI for the plugin in Go in tinywasm, bulk memory in wasm3, so that it runs \
        none of the examples, and a pool in most. extism and wapc run a plugin \
        with the same work that was built with their own kits, by the compiler's default layout; other hosts run hostel's \
        examples in [guests](../guests).\n";
    let mut missing = results.left_out.clone();
    missing.extend(table::failures(results));
    if !missing.is_empty() {
        page += "\nLeft out, or failed:\n\n";
        for missing in missing {
            let _ = writeln!(page, "* {missing}");
        }
    }
    page
}

/// A chart: its name, its title, its group, and the bars of a host by case.
type Chart = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Results) -> Vec<Bars>,
);

const CHARTS: &[Chart] = &[
    (
        "calls",
        "A call with 11 bytes: Rust with std",
        "calls",
        |results| {
            let works = [
                ("held instance", Work::Held(Guest::RustStd, 11)),
                (
                    "as new, by the host's means",
                    Work::Reused(Guest::RustStd, 11),
                ),
                ("new instance", Work::New(Guest::RustStd, 11)),
            ];
            works
                .map(|(title, work)| {
                    bars(results, title, |host| Some(results.of(host, work)?.median))
                })
                .into()
        },
    ),
    (
        "languages",
        "A call as new, by language and layout",
        "calls",
        |results| {
            let bars = |(guest, name): &(Guest, &str)| {
                bars(results, name, |host| {
                    Some(results.as_new(host, *guest, 11)?.median)
                })
            };
            EXAMPLES.iter().map(bars).collect()
        },
    ),
    (
        "sizes",
        "Inputs of other sizes, held instance",
        "sizes",
        |results| of_group(results, "sizes"),
    ),
    ("numbers", "Numbers and host calls", "numbers", |results| {
        of_group(results, "numbers")
    }),
    (
        "load",
        "From the module to the first answer",
        "load",
        |results| of_group(results, "load"),
    ),
    ("kernels", "Where a compiler wins", "kernels", |results| {
        of_group(results, "kernels")
    }),
];

/// Draws all charts. Their names go with them.
pub fn charts(results: &Results) -> Vec<(&'static str, String)> {
    let mut charts: Vec<_> = CHARTS
        .iter()
        .map(|(name, title, _, cases)| (*name, chart::draw(title, &cases(results))))
        .collect();
    let memory = KINDS.iter().map(|(kind, title, counts)| {
        let count = counts[counts.len() - 2];
        let grown = |host: &str| {
            let (.., grown) = results
                .grown
                .iter()
                .find(|(found, name, _)| found == kind && name.name() == host)?;
            let grown = grown
                .as_ref()
                .ok()?
                .iter()
                .find(|grown| grown.count == count)?;
            Some(grown.bytes as f64 / f64::from(count))
        };
        Bars {
            title: format!("{count} {title}"),
            bars: values(results, grown, bytes),
        }
    });
    let memory: Vec<Bars> = memory.collect();
    charts.push(("memory", chart::draw("Memory of one of many", &memory)));
    charts
}

fn of_group(results: &Results, group: &str) -> Vec<Bars> {
    let cases = results.rows.iter().filter(|(case, _)| case.group == group);
    cases
        .map(|(case, _)| {
            bars(results, &case.name, |host| {
                Some(table::relevant(case.work, &results.of(host, case.work)?))
            })
        })
        .collect()
}

fn bars(results: &Results, title: &str, of: impl Fn(&str) -> Option<f64>) -> Bars {
    Bars {
        title: title.into(),
        bars: values(results, of, time),
    }
}

fn values(
    results: &Results,
    of: impl Fn(&str) -> Option<f64>,
    printed: fn(f64) -> String,
) -> Vec<(&'static str, f64, String)> {
    let of_host = |name: &'static str| of(name).map(|value| (name, value.max(1.0), printed(value)));
    results
        .hosts
        .iter()
        .filter_map(|host| of_host(host.name()))
        .collect()
}

/// The table of memory and time by host and count.
fn memory(results: &Results, kind: &str, counts: &[u32]) -> String {
    let mut head = vec![String::new()];
    head.extend(counts.iter().map(u32::to_string));
    let rows = results.grown.iter().filter(|(found, ..)| *found == kind);
    let rows: Vec<Vec<String>> = rows
        .filter_map(|(_, host, grown)| {
            let grown = grown.as_ref().ok().filter(|grown| !grown.is_empty())?;
            let mut row = vec![host.name().to_string()];
            row.extend(counts.iter().map(|count| {
                let grown = grown.iter().find(|grown| grown.count == *count);
                grown.map_or(String::new(), |grown| {
                    let count = f64::from(*count);
                    format!(
                        "{}, {}",
                        bytes(grown.bytes as f64 / count),
                        time(grown.processor / count)
                    )
                })
            }));
            Some(row)
        })
        .collect();
    table::markdown(&head, &rows)
}

/// The table of instruction counts.
fn instructions(results: &Results) -> String {
    let head = ["", "hostel", "wasmi by hand", "ratio"].map(String::from);
    let rows: Vec<Vec<String>> = results
        .counted
        .iter()
        .map(|counted| {
            let ratio = counted.hostel as f64 / counted.wasmi as f64;
            vec![
                counted.name.into(),
                counted.hostel.to_string(),
                counted.wasmi.to_string(),
                format!("{ratio:.3}"),
            ]
        })
        .collect();
    table::markdown(&head, &rows)
}

/// How far medians lie above the least times.
fn noise(results: &Results) -> String {
    let cells = results.rows.iter().flat_map(|(_, cells)| cells);
    let mut spreads: Vec<f64> = cells
        .filter_map(|cell| match cell {
            Cell::Measured(figures) if figures.least > 0.0 => {
                Some(figures.median / figures.least - 1.0)
            }
            _ => None,
        })
        .collect();
    spreads.sort_by(f64::total_cmp);
    let at = |part: f64| {
        spreads
            .get((spreads.len() as f64 * part) as usize)
            .copied()
            .unwrap_or_default()
            * 100.0
    };
    format!(
        "the median of a cell lies above its least time by {:.1} % in half of the cells, and by {:.1} % in nine of ten",
        at(0.5),
        at(0.9)
    )
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
