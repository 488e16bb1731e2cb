//! All figures, for other programs. Times are nanoseconds, memory is bytes.

use super::{Results, machine};
use crate::{measure::Cell, memory::KINDS};
use serde_json::{Map, Value, json};

pub fn figures(results: &Results) -> Value {
    let hosts: Vec<Value> = results
        .hosts
        .iter()
        .map(|host| json!({ "name": host.name(), "about": host.about() }))
        .collect();
    let cases: Vec<Value> = results
        .rows
        .iter()
        .map(|(case, cells)| {
            let mut by_host = Map::new();
            for (host, cell) in results.hosts.iter().zip(cells) {
                let value = match cell {
                    Cell::Measured(figures) => json!({
                        "processor_median": figures.median,
                        "processor_least": figures.least,
                        "clock_median": figures.wall,
                        "rounds": figures.rounds,
                    }),
                    Cell::Blank => continue,
                    Cell::Failed(failure) => json!({ "failed": failure }),
                };
                by_host.insert(host.name().into(), value);
            }
            json!({ "group": case.group, "name": case.name, "hosts": by_host })
        })
        .collect();
    let mut memory = Map::new();
    for (kind, title, _) in KINDS {
        let mut by_host = Map::new();
        for (_, host, grown) in results.grown.iter().filter(|(found, ..)| found == kind) {
            let value = match grown {
                Ok(grown) => grown
                    .iter()
                    .map(|grown| json!({ "count": grown.count, "bytes": grown.bytes, "processor": grown.processor }))
                    .collect(),
                Err(failure) => json!({ "failed": failure }),
            };
            by_host.insert(host.name().into(), value);
        }
        memory.insert((*kind).into(), json!({ "title": title, "hosts": by_host }));
    }
    let machine: Map<String, Value> = machine::facts()
        .into_iter()
        .map(|(name, fact)| (name.into(), fact.into()))
        .collect();
    let counted: Vec<Value> = results
        .counted
        .iter()
        .map(|counted| json!({ "name": counted.name, "hostel": counted.hostel, "wasmi": counted.wasmi }))
        .collect();
    json!({
        "machine": machine,
        "seconds": results.seconds,
        "hosts": hosts,
        "left_out": results.left_out,
        "cases": cases,
        "memory": memory,
        "instructions": counted,
    })
}
