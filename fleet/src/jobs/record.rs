//! Stores a job's record and its outcome.

use super::{ATTEMPTS, DEFAULT_ATTEMPTS, EXPORT, JOB, MOST_ATTEMPTS};
use crate::{
    connect::{Fleet, is_stale},
    error::FleetError,
    names::{is_header, is_plain, nonce, token},
    objects,
    release::now,
};
use async_nats::HeaderMap;
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

/// Most bytes of an output that is kept as a value; larger ones are objects.
const VALUE: usize = 512 << 10;

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

/// The head of a stored outcome, before its output.
#[derive(Serialize, Deserialize)]
struct Head {
    code: String,
    detail: String,
    bytes: usize,
    /// Whether the output is an object.
    object: bool,
}

/// Which job it is. Plugins may be those of different people: an identifier says nothing beyond its plugin.
#[derive(Clone, Debug)]
pub(super) struct Key(String);

impl Key {
    /// `id` is a plain name.
    pub(super) fn new(plugin: &str, id: &str) -> Self {
        // Neither part has a dot.
        Self(format!("{}.{id}", token(plugin)))
    }

    fn record(&self) -> String {
        format!("job.{}", self.0)
    }

    fn outcome(&self, outcome: &str) -> String {
        format!("outcome.{}", self.object(outcome))
    }

    pub(super) fn object(&self, outcome: &str) -> String {
        format!("{}.{outcome}", self.0)
    }
}

impl Fleet {
    /// Submits a job, and returns what is known of it. A job with this identifier that was submitted before is not done
    /// again; one whose submission got an error can be submitted again.
    ///
    /// # Errors
    ///
    /// [`FleetError::Name`] if the identifier is none, [`FleetError::Export`], [`FleetError::InputBytes`],
    /// [`FleetError::Nats`].
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
        if self.write_record(&status, Some(0)).await?.is_none() {
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
        self.publish(subject, headers, job.input, "submit the job")
            .await?;
        Ok(status)
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
                changes = self.jobs.watch(key.record()).await.ok();
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
        let entry = self.jobs.entry(key.record()).await;
        let entry = entry.map_err(|error| FleetError::nats("read a job")(error.into()))?;
        let Some(entry) = entry else {
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
        let key = Key::new(&status.plugin, &status.id).record();
        let fail = FleetError::nats("write a job");
        match revision {
            None => match self.jobs.put(key, bytes).await {
                Ok(written) => Ok(Some(written)),
                Err(error) => Err(fail(error.into())),
            },
            Some(revision) => match self.jobs.update(key, bytes, revision).await {
                Ok(written) => Ok(Some(written)),
                Err(error) if is_stale(&error) => Ok(None),
                Err(error) => Err(fail(error.into())),
            },
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
        let object = output.len() > VALUE;
        let head = Head {
            code: code.to_owned(),
            detail: detail.to_owned(),
            bytes: output.len(),
            object,
        };
        let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
        // JSON on one line has no line break.
        bytes.push(b'\n');
        if object {
            objects::put(&self.outputs, &key.object(&name), &output).await?;
        } else {
            bytes.extend_from_slice(&output);
        }
        let put = self.jobs.put(key.outcome(&name), bytes.into()).await;
        put.map_err(|error| FleetError::nats("store a result")(error.into()))?;
        Ok(name)
    }

    pub(super) async fn read_outcome(
        &self,
        key: &Key,
        name: &str,
    ) -> Result<Option<Outcome>, FleetError> {
        let value = self.jobs.get(key.outcome(name)).await;
        let value = value.map_err(|error| FleetError::nats("read a result")(error.into()))?;
        let Some(value) = value else {
            return Ok(None);
        };
        let wrong = || FleetError::Format("the outcome of a job");
        let end = value
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(wrong)?;
        let head: Head = serde_json::from_slice(&value[..end]).map_err(|_| wrong())?;
        let result = match (head.code.is_empty(), head.object) {
            (false, _) => Err((head.code, head.detail)),
            (true, false) => Ok(value.slice(end.saturating_add(1)..)),
            (true, true) => match objects::get(&self.outputs, &key.object(name)).await? {
                Some(output) => Ok(output),
                None => return Ok(None),
            },
        };
        Ok(Some(Outcome { result }))
    }

    /// Removes the outcome of an attempt whose effects were not taken. The bucket removes parts that this misses when their
    /// time is over.
    pub(super) async fn drop_outcome(&self, key: &Key, name: &str, outcome: &Outcome) {
        let _ = self.jobs.purge(key.outcome(name)).await;
        if matches!(&outcome.result, Ok(output) if output.len() > VALUE) {
            let _ = self.outputs.delete(key.object(name)).await;
        }
    }
}
