//! Stores a job's record and its outcome.

use super::{ATTEMPTS, DEFAULT_ATTEMPTS, EXPORT, JOB, MOST_ATTEMPTS};
use crate::{
    connect::{Fleet, is_stale},
    error::FleetError,
    names::{is_header, is_plain, nonce, token},
    release::now,
};
use async_nats::{
    HeaderMap,
    jetstream::{kv::Entry, stream},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use hostel_server::is_plugin_name;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Returns the name of the consumer of a plugin's jobs, which all workers share.
pub(super) fn consumer(plugin: &str) -> String {
    format!("workers-{}", token(plugin))
}

/// Most bytes of one part of an output: NATS takes messages of 1 MiB.
const PART: usize = 512 << 10;

/// In the error of NATS if a stream has as many messages of a subject as it may. Its code is that of each failure to store.
const SUBJECT_FULL: &str = "maximum messages per subject exceeded";

/// In the error of NATS if a stream has as many bytes as it may.
const BYTES_FULL: &str = "maximum bytes exceeded";

/// A job to submit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewJob {
    /// Its identifier among the plugin's jobs, by which it is done once however often it is submitted. `None`: a new one.
    pub id: Option<String>,
    /// The plugin.
    pub plugin: String,
    /// The function or operation; `process` if it is empty.
    pub export: String,
    /// The input.
    pub input: Bytes,
    /// Most attempts, from 1 to [`MOST_ATTEMPTS`]. `None`: [`DEFAULT_ATTEMPTS`].
    pub attempts: Option<u32>,
    /// The trace to which the job belongs, as W3C's header `traceparent` has it.
    pub traceparent: Option<String>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It waits or runs.
    #[default]
    Pending,
    /// It has a result.
    Done,
    /// It failed for good.
    Failed,
}

/// What is known of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// Its identifier among the plugin's jobs.
    pub id: String,
    /// The plugin.
    pub plugin: String,
    /// The function or operation; `process` if it is empty.
    pub export: String,
    /// How far it is.
    pub state: JobState,
    /// The time at which it was submitted, in milliseconds since 1970.
    pub submitted: u64,
    /// The time at which it ended, in milliseconds since 1970; 0 if it has not.
    pub ended: u64,
    /// Attempts that were begun, without those whose end could not be stored.
    pub attempts: u64,
    /// The worker that ended it.
    pub worker: String,
    /// The error's code, if it failed.
    pub code: String,
    /// The error's explanation, if it failed.
    pub detail: String,
    /// Number of bytes of the result.
    pub bytes: usize,
    /// Which of the outcomes that attempts have stored is the job's.
    pub outcome: String,
}

impl JobStatus {
    /// Returns what names the job among those of all plugins: `PLUGIN/ID`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.plugin, self.id)
    }
}

/// How an attempt ended.
pub(super) struct Outcome {
    pub(super) result: Result<Bytes, (String, String)>,
}

/// The head of a stored outcome, before the first part of its output.
#[derive(Serialize, Deserialize)]
struct Head {
    code: String,
    detail: String,
    bytes: usize,
}

/// Which job it is. Plugins may be those of different people: an identifier says nothing beyond its plugin.
#[derive(Clone, Debug)]
pub(super) struct Key {
    plugin: String,
    id: String,
}

impl Key {
    /// `id` is a plain name.
    pub(super) fn new(plugin: &str, id: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            id: id.to_owned(),
        }
    }

    /// The name of an outcome among those of all jobs.
    pub(super) fn outcome(&self, outcome: &str) -> String {
        // No part has a dot.
        format!("{}.{}.{outcome}", token(&self.plugin), self.id)
    }

    fn record(&self) -> String {
        format!("job.{}", self.id)
    }

    fn part(&self, outcome: &str, number: usize) -> String {
        format!("outcome.{}.{outcome}.{number}", self.id)
    }
}

impl Fleet {
    /// Submits a job, and returns what is known of it. A job with this identifier that was submitted before is not done
    /// again; one whose submission got an error can be submitted again.
    ///
    /// # Errors
    ///
    /// [`FleetError::Name`] if the identifier is none, [`FleetError::Export`], [`FleetError::InputBytes`],
    /// [`FleetError::JobQueueFull`], [`FleetError::ResultsFull`], [`FleetError::Nats`].
    pub async fn submit(&self, job: NewJob) -> Result<JobStatus, FleetError> {
        let id = match job.id {
            Some(id) if is_plain(&id) => id,
            Some(id) => return Err(FleetError::Name(id)),
            None => nonce().map_err(|error| FleetError::Nats(error.to_string()))?,
        };
        if !is_plugin_name(&job.plugin) {
            return Err(FleetError::UnknownPlugin(format!(
                "`{}` is no name for a plugin",
                job.plugin.escape_debug()
            )));
        }
        if !is_header(&job.export) {
            return Err(FleetError::Export(job.export));
        }
        let (limit, found) = (self.payload(), job.input.len());
        if found > limit {
            return Err(FleetError::InputBytes(limit, found));
        }
        let key = Key::new(&job.plugin, &id);
        let status = JobStatus {
            id,
            plugin: job.plugin,
            export: job.export,
            submitted: now(),
            ..JobStatus::default()
        };
        let written = self.write_record(&status, Some(0)).await?;
        if written.is_none() {
            let (known, _) = self.read_record(&key).await?;
            match known {
                Some(known) if known.state == JobState::Pending => {}
                Some(known) => return Ok(known),
                // It has expired just now.
                None => return Err(FleetError::UnknownJob(status.name())),
            }
        }
        // Without an identifier for NATS, which drops equal ones whatever their subjects: by a guess, one submitter could
        // have the jobs of another dropped. What comes twice is dropped by the worker.
        let mut headers = HeaderMap::new();
        headers.insert(JOB, &*status.id);
        headers.insert(EXPORT, &*status.export);
        if let Some(traceparent) = job.traceparent.filter(|it| is_header(it)) {
            headers.insert("traceparent", traceparent);
        }
        let attempts = job.attempts.unwrap_or(DEFAULT_ATTEMPTS);
        headers.insert(ATTEMPTS, attempts.clamp(1, MOST_ATTEMPTS).to_string());
        let subject = format!("{}.job.{}", self.name, token(&status.plugin));
        let submitted = self
            .publish(subject, headers, job.input, "submit the job")
            .await;
        match submitted {
            Ok(()) => Ok(status),
            Err(error) if error.to_string().contains(SUBJECT_FULL) => {
                if let Some(revision) = written {
                    self.drop_record(&key, revision).await;
                }
                let queue = self.queue();
                let limit = self.limit(&queue, |it| it.max_messages_per_subject).await?;
                Err(FleetError::JobQueueFull(status.plugin, queue, limit))
            }
            Err(error) => Err(error),
        }
    }

    /// Publishes a message into a stream, and waits until it is kept.
    pub(super) async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
        what: &str,
    ) -> Result<(), FleetError> {
        let sent = self
            .context
            .publish_with_headers(subject, headers, payload)
            .await;
        let kept = match sent {
            Ok(sent) => sent.await,
            Err(error) => Err(error),
        };
        kept.map(drop)
            .map_err(|error| FleetError::nats(what)(error.into()))
    }

    /// Returns what is known of a job.
    ///
    /// # Errors
    ///
    /// [`FleetError::UnknownJob`] or [`FleetError::Nats`].
    pub async fn job(&self, plugin: &str, id: &str) -> Result<JobStatus, FleetError> {
        if !is_plain(id) {
            return Err(FleetError::Name(id.to_owned()));
        }
        let (status, _) = self.read_record(&Key::new(plugin, id)).await?;
        status.ok_or_else(|| FleetError::UnknownJob(format!("{plugin}/{id}")))
    }

    /// Returns the result of a job, and waits for it up to `wait`.
    ///
    /// # Errors
    ///
    /// [`FleetError::Pending`] if it has none by then, [`FleetError::Failed`] if the job failed,
    /// [`FleetError::UnknownJob`] or [`FleetError::Nats`].
    pub async fn result(
        &self,
        plugin: &str,
        id: &str,
        wait: Duration,
    ) -> Result<Bytes, FleetError> {
        let key = Key::new(plugin, id);
        let began = Instant::now();
        let mut changes = None;
        loop {
            let status = self.job(plugin, id).await?;
            match status.state {
                JobState::Done => {
                    let outcome = self.read_outcome(&key, &status.outcome).await?;
                    let result = outcome.map(|outcome| outcome.result);
                    return match result {
                        Some(Ok(output)) => Ok(output),
                        _ => Err(FleetError::UnknownJob(status.name())),
                    };
                }
                JobState::Failed => return Err(FleetError::Failed(status.code, status.detail)),
                JobState::Pending => {}
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(FleetError::Pending(status.name()));
            }
            if changes.is_none() {
                // It may have ended before the watch began: it is read once more.
                changes = match self.find_results(plugin).await? {
                    Some(results) => results.watch(key.record()).await.ok(),
                    None => None,
                };
                continue;
            }
            if let Some(changes) = &mut changes {
                // A watch that is lost makes it slower, no more.
                let _ = timeout(left.min(Duration::from_secs(1)), changes.next()).await;
            }
        }
    }

    /// Returns the place in the stream up to which all jobs of a plugin are acknowledged.
    pub(super) async fn acknowledged(&self, plugin: &str) -> Result<u64, FleetError> {
        let fail = |error: async_nats::Error| FleetError::nats("ask for the queue")(error);
        let stream = self.context.get_stream_no_info(self.queue()).await;
        let stream = stream.map_err(|error| fail(error.into()))?;
        let info = stream.consumer_info(consumer(plugin)).await;
        let info = info.map_err(|error| fail(error.into()))?;
        Ok(info.ack_floor.stream_sequence)
    }

    pub(super) async fn read_record(
        &self,
        key: &Key,
    ) -> Result<(Option<JobStatus>, u64), FleetError> {
        let Some(entry) = self.read(key, key.record()).await? else {
            return Ok((None, 0));
        };
        let status = serde_json::from_slice(&entry.value);
        let status = status.map_err(|_| FleetError::Format("the record of a job"))?;
        Ok((Some(status), entry.revision))
    }

    /// Writes a record: if it is at `revision`, or in any case without one. Returns its new revision, or `None` if it is at
    /// another one.
    pub(super) async fn write_record(
        &self,
        status: &JobStatus,
        revision: Option<u64>,
    ) -> Result<Option<u64>, FleetError> {
        let bytes: Bytes = serde_json::to_vec(status).unwrap_or_default().into();
        let key = Key::new(&status.plugin, &status.id);
        let results = self.make_results(&key.plugin).await?;
        let written = match revision {
            None => results
                .put(key.record(), bytes)
                .await
                .map(Some)
                .map_err(Into::into),
            Some(revision) => match results.update(key.record(), bytes, revision).await {
                Ok(written) => Ok(Some(written)),
                Err(error) if is_stale(&error) => Ok(None),
                Err(error) => Err(error.into()),
            },
        };
        match written {
            Ok(written) => Ok(written),
            Err(error) => Err(self.results_failed(&key, "write a job", error).await),
        }
    }

    /// Removes the record of a job that was not submitted, unless it was changed since `revision`. One that this misses
    /// expires.
    async fn drop_record(&self, key: &Key, revision: u64) {
        if let Ok(Some(results)) = self.find_results(&key.plugin).await {
            // Not by a marker, which would take as much room.
            let purge = results.stream.purge().sequence(revision.saturating_add(1));
            let subject = format!("{}{}", results.prefix, key.record());
            let _ = purge.filter(subject).await;
        }
    }

    /// Stores an outcome of a job, whose message has the place `sequence`, and returns its name.
    pub(super) async fn store_outcome(
        &self,
        key: &Key,
        sequence: u64,
        outcome: &Outcome,
    ) -> Result<String, FleetError> {
        let nonce = nonce().map_err(|error| FleetError::Nats(error.to_string()))?;
        let name = format!("{nonce}-{sequence}");
        let (output, code, detail) = match &outcome.result {
            Ok(output) => (output.clone(), "", ""),
            Err((code, detail)) => (Bytes::new(), &**code, &**detail),
        };
        let head = Head {
            code: code.to_owned(),
            detail: detail.to_owned(),
            bytes: output.len(),
        };
        let mut first = serde_json::to_vec(&head).unwrap_or_default();
        // JSON on one line has no line break.
        first.push(b'\n');
        first.extend_from_slice(&output[..output.len().min(PART)]);
        let results = self.make_results(&key.plugin).await?;
        // The first part is last: with it, all are there.
        let mut parts: Vec<Bytes> = vec![first.into()];
        let more = (PART..output.len()).step_by(PART);
        parts.extend(more.map(|at| output.slice(at..output.len().min(at.saturating_add(PART)))));
        for (number, part) in parts.into_iter().enumerate().rev() {
            if let Err(error) = results.put(key.part(&name, number), part).await {
                self.drop_outcome(key, &name).await;
                let what = "store a result";
                return Err(self.results_failed(key, what, error.into()).await);
            }
        }
        Ok(name)
    }

    pub(super) async fn read_outcome(
        &self,
        key: &Key,
        name: &str,
    ) -> Result<Option<Outcome>, FleetError> {
        let Some(entry) = self.read(key, key.part(name, 0)).await? else {
            return Ok(None);
        };
        let first = entry.value;
        let wrong = || FleetError::Format("the outcome of a job");
        let end = first.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(wrong)?;
        let head: Head = serde_json::from_slice(&first[..end]).map_err(|_| wrong())?;
        if !head.code.is_empty() {
            let result = Err((head.code, head.detail));
            return Ok(Some(Outcome { result }));
        }
        let mut output = first.slice(end.saturating_add(1)..);
        if output.len() < head.bytes {
            let mut all = output.to_vec();
            for number in 1..head.bytes.div_ceil(PART) {
                match self.read(key, key.part(name, number)).await? {
                    Some(part) => all.extend_from_slice(&part.value),
                    // It was stored before the first one, and has expired.
                    None => return Ok(None),
                }
            }
            output = all.into();
        }
        match output.len() == head.bytes {
            true => Ok(Some(Outcome { result: Ok(output) })),
            false => Err(wrong()),
        }
    }

    /// Removes the outcome of an attempt whose effects were not taken. What this misses expires.
    pub(super) async fn drop_outcome(&self, key: &Key, name: &str) {
        if let Ok(Some(results)) = self.find_results(&key.plugin).await {
            let subject = format!("{}outcome.{}.{name}.*", results.prefix, key.id);
            let _ = results.stream.purge().filter(subject).await;
        }
    }

    /// Reads a value of a job.
    async fn read(&self, key: &Key, name: String) -> Result<Option<Entry>, FleetError> {
        let Some(results) = self.find_results(&key.plugin).await? else {
            return Ok(None);
        };
        match results.entry(name).await {
            Ok(entry) => Ok(entry),
            Err(error) => Err(self.results_failed(key, "read a job", error.into()).await),
        }
    }

    /// Returns the error of NATS, or that there is no room.
    async fn results_failed(&self, key: &Key, what: &str, error: async_nats::Error) -> FleetError {
        self.forget_results(&key.plugin);
        if !error.to_string().contains(BYTES_FULL) {
            return FleetError::nats(what)(error);
        }
        let name = self.results_name(&key.plugin);
        match self.limit(&name, |it| it.max_bytes).await {
            Ok(limit) => FleetError::ResultsFull(key.plugin.clone(), name, limit),
            Err(error) => error,
        }
    }

    /// Returns a limit of a stream, as it is now: an operator may have changed it.
    async fn limit(
        &self,
        stream: &str,
        limit: impl FnOnce(&stream::Config) -> i64,
    ) -> Result<i64, FleetError> {
        let found = self.context.get_stream(stream).await;
        let found = found.map_err(|error| FleetError::nats("read a limit")(error.into()))?;
        Ok(limit(&found.cached_info().config))
    }
}
