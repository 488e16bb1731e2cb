//! `hostel bench`: measures many calls of one plugin.

mod phase;
mod report;
mod tally;
mod target;

use self::{phase::Phase, report::Report, target::Target};
use super::{arguments::Bench, exit::Exit, failure::Failure, output};
use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long to measure by default.
const TIME: Duration = Duration::from_secs(3);

pub(super) fn bench(arguments: &Bench) -> Result<Exit, Failure> {
    let report = measure(arguments);
    if arguments.run.json {
        let exit = report
            .as_ref()
            .map_or_else(|failure| failure.exit, Report::exit);
        return Ok(output::json(&report::json(&report, exit))?.or(exit));
    }
    let report = report?;
    Ok(output::text(&report.text())?.or(report.exit()))
}

fn measure(arguments: &Bench) -> Result<Report, Failure> {
    let interrupted = on_interrupt();
    let target = Target::load(arguments)?;
    // A function that can't be called is an error, not a measurement of failed calls.
    let (first, memory) = target.call_and_weigh();
    if let Err(error) = first
        && Exit::from(&error) == Exit::Load
    {
        return Err(error.into());
    }
    let phase = |time, calls| Phase::new(&target, arguments, time, calls, &interrupted);
    let (time, calls) = match (arguments.seconds, arguments.calls) {
        (None, None) => (Some(TIME), None),
        given => given,
    };
    phase(time.map(|time| time / 10), calls.map(|calls| calls / 10)).run("warming up")?;
    let tally = phase(time, calls).run("measuring")?;
    Ok(Report {
        plugin: arguments.run.plugin.clone(),
        concurrency: arguments.concurrency,
        sliced: arguments.sliced,
        interrupted: interrupted.load(Ordering::Relaxed),
        memory,
        besides: target.bytes_besides(),
        function: target.function,
        tally,
    })
}

/// Returns a flag that the first Ctrl-C sets. The second one ends the program at once.
fn on_interrupt() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let set = interrupted.clone();
    // Without a handler, Ctrl-C ends the program without a report.
    let _ = ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            process::exit(Exit::Own.code().into());
        }
    });
    interrupted
}
