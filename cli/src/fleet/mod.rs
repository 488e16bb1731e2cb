//! `hostel serve --nats`, `job`, `plugins` and `top`: a fleet of servers.

pub(crate) mod arguments;
mod top;

pub(super) use self::top::top;

use self::arguments::{JobCommand, PluginsCommand, Reach, Submit};
use super::{arguments::Serve, exit::Exit, failure::Failure, input, output};
use hostel_fleet::{
    Fleet, FleetError, FleetWorker, JobState, JobStatus, NewJob, Releases, WorkerOptions,
    hostel_server::Config,
};
use std::{fmt::Write as _, path::Path, time::Duration};

/// Most bytes of a module, of settings, and of an input.
const MOST_BYTES: usize = 256 << 20;

/// Works for a fleet, if the arguments name one.
pub(super) fn serve(arguments: &Serve) -> Option<Result<Exit, Failure>> {
    let nats = arguments.fleet.nats.as_deref()?;
    let options = WorkerOptions {
        fleet: arguments.fleet.options(nats),
        listen: arguments.listen,
        jobs: arguments.fleet.jobs,
    };
    let told = |worker: &FleetWorker| {
        let (id, address) = (worker.id(), worker.address());
        let (count, names) = (worker.plugins().len(), worker.plugins().join(", "));
        tracing::info!(target: "hostel::fleet", "worker {id}: serving {count} plugins on http://{address}: {names}");
    };
    let ended = hostel_fleet::serve(options, told);
    Some(ended.map(|()| Exit::Ok).map_err(failure))
}

/// Runs `work` with a fleet.
fn with<R>(
    reach: &Reach,
    work: impl AsyncFnOnce(Fleet) -> Result<R, FleetError>,
) -> Result<R, Failure> {
    let options = reach.options();
    let run = hostel_fleet::run(async {
        let fleet = Fleet::connect(&options).await?;
        work(fleet).await
    });
    run.map_err(failure)
}

fn failure(error: FleetError) -> Failure {
    let text = error.to_string();
    let mut lines = text.lines().map(ToOwned::to_owned);
    let message = lines.next().unwrap_or_default();
    let (exit, code) = match &error {
        FleetError::Failed(..) => (Exit::Guest, "job-failed"),
        FleetError::Refused(..) => (Exit::Load, "refused"),
        FleetError::Pending(_) => (Exit::Deadline, "pending"),
        FleetError::Undecided(..) => (Exit::Deadline, "undecided"),
        FleetError::JobQueueFull(..) => (Exit::Quota, "job-queue-full"),
        FleetError::ResultsFull(..) => (Exit::Quota, "results-full"),
        FleetError::Connect(_) | FleetError::Nats(_) | FleetError::Start(_) => (Exit::Own, "fleet"),
        _ => (Exit::Usage, "usage"),
    };
    let mut failure = Failure::new(exit, code, message);
    failure.details = lines.collect();
    failure
}

pub(super) fn job(command: JobCommand) -> Result<Exit, Failure> {
    match command {
        JobCommand::Submit(arguments) => submit(arguments),
        JobCommand::Status { job, json, reach } => {
            let (plugin, id) = job;
            let status = with(&reach, async |fleet| fleet.job(&plugin, &id).await)?;
            match json {
                true => output::json(&status),
                false => output::text(&shown(&status)),
            }
        }
        JobCommand::Result { job, wait, reach } => {
            let (plugin, id) = job;
            let wait = wait.map_or(Duration::ZERO, Into::into);
            let work = async |fleet: Fleet| fleet.result(&plugin, &id, wait).await;
            let result = with(&reach, work)?;
            output::answer(&result)
        }
    }
}

fn submit(arguments: Submit) -> Result<Exit, Failure> {
    let input = match &arguments.input {
        Some(text) => input::read(text, MOST_BYTES)?,
        None => Vec::new(),
    };
    let job = NewJob {
        id: arguments.id,
        plugin: arguments.plugin,
        export: arguments.call,
        input: input.into(),
        attempts: Some(arguments.attempts),
        traceparent: None,
    };
    let wait = arguments.wait;
    let (name, result) = with(&arguments.reach, async |fleet| {
        let status = fleet.submit(job).await?;
        let result = match wait {
            Some(wait) => Some(
                fleet
                    .result(&status.plugin, &status.id, wait.into())
                    .await?,
            ),
            None => None,
        };
        Ok((status.name(), result))
    })?;
    match result {
        Some(result) => output::answer(&result),
        None => output::text(&format!("{name}\n")),
    }
}

/// Describes a job. Its texts come from a plugin.
fn shown(status: &JobStatus) -> String {
    let state = match status.state {
        JobState::Pending => "pending",
        JobState::Done => "done",
        JobState::Failed => "failed",
    };
    let mut text = format!("{}: {state}", status.name());
    // Writing to a String does not fail.
    let _ = match status.state {
        JobState::Pending => writeln!(text),
        JobState::Done => writeln!(
            text,
            ", {} bytes, attempt {}, worker {}",
            status.bytes, status.attempts, status.worker
        ),
        JobState::Failed => writeln!(
            text,
            ", attempt {}, worker {}\n{}: {}",
            status.attempts,
            status.worker,
            status.code,
            output::escaped(&status.detail)
        ),
    };
    text
}

pub(super) fn plugins(command: PluginsCommand) -> Result<Exit, Failure> {
    match command {
        PluginsCommand::Push { name, file, reach } => {
            let wasm = hostel::read_module(&file, MOST_BYTES)
                .map_err(|error| Failure::usage(error.to_string()))?;
            let version = with(&reach, async |fleet| fleet.push(&name, &wasm).await)?;
            let (number, sha256) = (version.number, version.sha256);
            output::text(&format!("{name}: version {number}, {sha256}\n"))
        }
        PluginsCommand::List { json, reach } => {
            let releases = with(&reach, async |fleet| fleet.releases().await)?;
            match json {
                true => output::json(&releases),
                false => output::text(&listed(&releases)),
            }
        }
        PluginsCommand::Rollback { name, to, reach } => {
            let back = async |fleet: Fleet| fleet.rollback(&name, to.as_deref()).await;
            let version = with(&reach, back)?;
            let (number, sha256) = (version.number, version.sha256);
            output::text(&format!("{name}: version {number}, {sha256}\n"))
        }
        PluginsCommand::Remove { name, reach } => {
            with(&reach, async |fleet| fleet.remove(&name).await)?;
            output::text(&format!("{name}: removed\n"))
        }
        PluginsCommand::Settings { file, reach } => {
            let text = settings(&file)?;
            with(&reach, async |fleet| fleet.set_settings(&text).await)?;
            output::text("all workers have the settings\n")
        }
    }
}

fn settings(file: &Path) -> Result<String, Failure> {
    hostel::settings::read_text(file, Config::MOST_BYTES)
        .map_err(|error| Failure::usage(format!("can't read {}: {error}", file.display())))
}

fn listed(releases: &Releases) -> String {
    let mut text = format!("release {}\n", releases.active.number);
    for (name, versions) in &releases.history {
        let active = releases.active.plugins.get(name);
        for version in versions.iter().rev() {
            let mark = if Some(version) == active { '*' } else { ' ' };
            let (number, sha256) = (version.number, &version.sha256);
            // Writing to a String does not fail.
            let _ = writeln!(text, "{mark} {name:<24} {number:>6}  {sha256}");
        }
    }
    if let Some(refused) = &releases.refused {
        let _ = writeln!(text, "release {} was refused", refused.number);
        for (worker, reason) in &refused.reasons {
            let _ = writeln!(text, "  worker {worker}: {}", output::escaped(reason));
        }
    }
    text
}
