//! hostel beside its peers: the same guests in all hosts, turn and turn about, in one run.
//!
//! `run` in this folder builds it and writes `docs/performance.md` with its charts and figures. `--quick` takes two
//! minutes and writes nothing unless `--out FOLDER` names a folder; names of groups or parts of hosts' names measure
//! only these.

mod cases;
mod guests;
mod host;
mod hosts;
mod instructions;
mod local;
mod measure;
mod memory;
mod report;

use host::{Answer, Host};
use measure::Effort;
use memory::KINDS;
use report::Results;
use std::{env, path::PathBuf, process::Command, time::Instant};

/// The folder of the book.
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

/// The first argument of the process that grows; the host's name, a kind and a count follow.
const GROW: &str = "--grow";

struct Arguments {
    quick: bool,
    out: Option<PathBuf>,
    /// Names of groups, or parts of hosts' names.
    names: Vec<String>,
}

fn main() -> Answer<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, name, kind, most] = &arguments[..]
        && first == GROW
    {
        let host = hosts::local().into_iter().find(|host| host.name() == name);
        return host.ok_or("unknown host")?.grow(kind, most.parse()?);
    }
    if let [first, name, path] = &arguments[..]
        && first == instructions::COUNTED
    {
        return instructions::run(name, path);
    }
    let arguments = parse(arguments)?;
    let started = Instant::now();
    let (hosts, left_out) = hosts::all();
    for left_out in &left_out {
        eprintln!("LEFT OUT: {left_out}");
    }
    let cases = cases::all();
    let groups: Vec<&str> = cases
        .iter()
        .map(|case| case.group)
        .chain(["memory", "instructions"])
        .collect();
    let (asked_groups, asked_hosts): (Vec<_>, Vec<_>) = arguments
        .names
        .iter()
        .partition(|name| groups.contains(&name.as_str()));
    let in_group =
        |group: &str| asked_groups.is_empty() || asked_groups.iter().any(|name| *name == group);
    let hosts: Vec<&'static dyn Host> = hosts
        .into_iter()
        .filter(|host| {
            asked_hosts.is_empty() || asked_hosts.iter().any(|name| host.name().contains(*name))
        })
        .collect();
    if hosts.is_empty() {
        return Err(format!("no group or host is called {:?}", arguments.names).into());
    }

    let effort = if arguments.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    let mut results = Results::new(hosts.clone(), left_out);
    for case in cases.into_iter().filter(|case| in_group(case.group)) {
        let cells = measure::measure(&case, &hosts, effort);
        report::table::print_row(&results, &case, &cells);
        results.rows.push((case, cells));
    }
    if in_group("memory") {
        for (kind, title, counts) in KINDS {
            // A tenth, in quick runs.
            let most = counts[counts.len() - 1 - usize::from(arguments.quick)];
            for host in &hosts {
                let grown = grow(*host, kind, most);
                report::table::print_grown(*host, title, &grown);
                results.grown.push((kind, *host, grown));
            }
        }
    }
    // They take a minute, and change with the code alone.
    if in_group("instructions") && !arguments.quick {
        match instructions::count() {
            Ok(counted) => results.counted = counted,
            Err(error) => results.left_out.push(format!("instructions: {error}")),
        }
    }
    results.seconds = started.elapsed().as_secs();
    println!("\n{} s", results.seconds);
    // A part of the hosts or cases is no page.
    let whole = arguments.names.is_empty() && !arguments.quick;
    if let Some(folder) = arguments.out.or_else(|| whole.then(|| DOCS.into())) {
        report::write(&results, &folder)?;
        println!("wrote {}", folder.join("performance.md").display());
    }
    Ok(())
}

fn parse(arguments: Vec<String>) -> Answer<Arguments> {
    let mut parsed = Arguments {
        quick: false,
        out: None,
        names: Vec::new(),
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => parsed.quick = true,
            "--out" => parsed.out = Some(arguments.next().ok_or("--out needs a folder")?.into()),
            option if option.starts_with('-') => {
                return Err(
                    format!("unknown option {option}: there are --quick and --out FOLDER").into(),
                );
            }
            _ => parsed.names.push(argument),
        }
    }
    Ok(parsed)
}

/// Grows `kind` in a process of its own.
fn grow(host: &'static dyn Host, kind: &str, most: u32) -> Result<Vec<memory::Grown>, String> {
    let own = || -> Answer<Vec<memory::Grown>> {
        let mut command = match host.grow_command(kind, most)? {
            Some(command) => command,
            None => {
                let mut command = Command::new(env::current_exe()?);
                command.args([GROW, host.name(), kind, &most.to_string()]);
                command
            }
        };
        memory::grown(&mut command)
    };
    own().map_err(|error| measure::one_line(&error.to_string()))
}
