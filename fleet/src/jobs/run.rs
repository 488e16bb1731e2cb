//! Does a job, so that its effects are done once however often it is given.
//!
//! The effects are the changes of the plugin's values. They are made on a copy, and written with the job's identifier by
//! one compare-and-swap: the first attempt that succeeds in that is the one that counts. The order of steps:
//!
//! 1. read the plugin's values, then the job's record. If the record has ended, so has the job. If the values note the job,
//!    its effects are done: go on with step 5;
//! 2. count the attempt in the record, and call the plugin. The count is taken back if the plugin did not run, or the end
//!    can't be stored: that is no fault of the job's;
//! 3. store the outcome under a new name;
//! 4. write the values, with the note that the outcome of this name is the job's. If others have changed them since
//!    step 1, go back to it. A plugin without values has no such step: its record is swapped in step 5 instead;
//! 5. write the record, with the outcome's name;
//! 6. publish the dead letter, if the job failed;
//! 7. acknowledge the message.
//!
//! The note may go once the record has ended, or the message is acknowledged. So step 1 reads the record after the values: if
//! they have no note because it has gone, the record has ended.

use super::record::{JobState, JobStatus, Key, Outcome};
use crate::{
    error::FleetError,
    follow::Worker,
    names::token,
    release::now,
    requests::{CODE, shortened},
    state::{Document, JobValues, MOST_JOBS, Read},
};
use async_nats::{HeaderMap, header::NATS_MESSAGE_ID};
use bytes::Bytes;
use hostel_server::{DirectCall, DirectError, Grant};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Most tries to write a plugin's values that other workers change at the same time.
const TRIES: u32 = 200;

/// Longest time until a job is tried again.
const LONGEST: Duration = Duration::from_secs(60);

/// A job, as it was given.
pub(super) struct Job {
    pub(super) id: String,
    pub(super) plugin: String,
    pub(super) export: String,
    pub(super) input: Bytes,
    pub(super) traceparent: Option<String>,
    /// Its message's place in the stream.
    pub(super) sequence: u64,
    /// The number of times that it was given, this one included. Not each of them is an attempt.
    pub(super) given: u64,
    /// The most attempts.
    pub(super) attempts: u64,
}

impl Job {
    fn key(&self) -> Key {
        Key::new(&self.plugin, &self.id)
    }
}

/// What becomes of a job's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The job has ended.
    Settled,
    /// It is to be given again, so much later.
    Again(Duration),
}

/// How the steps went.
enum Step {
    /// They are to be done once more: others have changed what was read.
    Repeat,
    /// The job, or this attempt, has ended.
    End(End),
    /// The plugin did not run.
    NoRoom,
}

/// Does the jobs of a worker.
pub(super) struct Runner {
    pub(super) worker: Arc<Worker>,
    /// Jobs whose records this worker has ended, and which plugins' values still note.
    ended: Mutex<HashMap<String, HashSet<String>>>,
}

impl Runner {
    pub(super) fn new(worker: Arc<Worker>) -> Self {
        Self {
            worker,
            ended: Mutex::default(),
        }
    }

    pub(super) async fn run(&self, job: &Job) -> End {
        let mut before = None;
        let reason = match self.attempt(job, &mut before).await {
            Ok(Some(end)) => return end,
            Ok(None) => None,
            Err(error) => Some(error.to_string()),
        };
        let times = match reason {
            None => {
                tracing::debug!(target: "hostel::fleet", job = job.id, plugin = job.plugin, "the job is given back: others change what it changes, or its plugin has no room");
                // Not longer with each time: a job that waits for its plugin's quota of calls would miss most of it.
                job.given.min(3)
            }
            Some(reason) => {
                tracing::warn!(target: "hostel::fleet", job = job.id, plugin = job.plugin, "the job is given back: {reason}");
                job.given
            }
        };
        if let Some(before) = before {
            self.take_back(job, before).await;
        }
        End::Again(back_off(times))
    }

    /// Takes an attempt off the record, which had `before` of them.
    async fn take_back(&self, job: &Job, before: u64) {
        let fleet = &self.worker.fleet;
        let again = async || -> Result<bool, FleetError> {
            let (record, revision) = fleet.read_record(&job.key()).await?;
            let is_counted = |it: &JobStatus| it.state == JobState::Pending && it.attempts > before;
            let Some(mut record) = record.filter(is_counted) else {
                return Ok(true);
            };
            record.attempts = record.attempts.saturating_sub(1);
            let written = fleet.write_record(&record, Some(revision)).await?;
            Ok(written.is_some())
        };
        let mut tries = 1;
        // NATS is away, or has no room for anybody: there is nothing else to do. The message stays with this worker.
        while !again().await.unwrap_or(false) {
            tokio::time::sleep(back_off(tries)).await;
            tries = tries.saturating_add(1);
        }
    }

    /// Makes an attempt. Returns `None` if it does not count. `before` gets the number of those before it.
    async fn attempt(
        &self,
        job: &Job,
        before: &mut Option<u64>,
    ) -> Result<Option<End>, FleetError> {
        let has_values = self
            .worker
            .world()
            .config
            .plugin(&job.plugin)
            .has(Grant::State);
        for _ in 0..TRIES {
            match self.once(job, has_values, before).await? {
                Step::Repeat => {}
                Step::End(end) => return Ok(Some(end)),
                Step::NoRoom => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Does the steps once.
    async fn once(
        &self,
        job: &Job,
        has_values: bool,
        before: &mut Option<u64>,
    ) -> Result<Step, FleetError> {
        let fleet = &self.worker.fleet;
        let read = match has_values {
            true => Some(fleet.read_state(&job.plugin).await?),
            false => None,
        };
        let (record, mut revision) = fleet.read_record(&job.key()).await?;
        let mut record = record.unwrap_or_else(|| JobStatus {
            id: job.id.clone(),
            plugin: job.plugin.clone(),
            export: job.export.clone(),
            submitted: now(),
            ..JobStatus::default()
        });
        if record.state != JobState::Pending {
            return self.settle(job, &record).await.map(Step::End);
        }
        if let Some(read) = &read
            && let Some(name) = read.document.jobs.get(&job.id)
        {
            return self.finish(job, record, name, None).await;
        }
        // Nothing of a plugin that is not served is written but the job's record: any name can be in a subject.
        let is_served = self.worker.world().host.get(&job.plugin).is_ok();
        let (mut document, at) = match read {
            Some(Read { document, revision }) if is_served => (Some(document), revision),
            _ => (None, 0),
        };
        let over = before.is_none() && record.attempts >= job.attempts;
        if before.is_none() && !over {
            *before = Some(record.attempts);
            record.attempts = record.attempts.saturating_add(1);
            match fleet.write_record(&record, Some(revision)).await? {
                Some(written) => revision = written,
                None => {
                    *before = None;
                    return Ok(Step::Repeat);
                }
            }
        }
        let result = match over {
            // The workers that began it did not come to its end.
            true => Err(DirectError {
                code: "max-deliver",
                detail: format!(
                    "{} attempts were begun, and none of them ended",
                    job.attempts
                ),
                status: 500,
            }),
            false => self.call(job, &mut document).await,
        };
        if let Err(error) = &result
            && !over
        {
            // It did not run: the plugin has more to do than it may, or the worker ends.
            if error.status == 429 || matches!(error.code, "shutting-down" | "closed") {
                return Ok(Step::NoRoom);
            }
            let (code, attempt) = (error.code, record.attempts);
            if may_differ(error) && attempt < job.attempts {
                tracing::info!(target: "hostel::fleet", job = job.id, plugin = job.plugin, attempt, "a job is repeated: {code}");
                return Ok(Step::End(End::Again(back_off(attempt))));
            }
        }
        let outcome = Outcome {
            result: result
                .map(Bytes::from)
                .map_err(|error| (error.code.to_owned(), shortened(error.detail))),
        };
        let name = fleet
            .store_outcome(&job.key(), job.sequence, &outcome)
            .await?;
        let Some(mut document) = document else {
            return self.finish(job, record, &name, Some(revision)).await;
        };
        let gone = self.forget(&job.plugin, &mut document).await?;
        document.jobs.insert(job.id.clone(), name.clone());
        match fleet.write_state(&job.plugin, &document, at).await {
            Ok(true) => {
                let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
                let ended = ended.entry(job.plugin.clone()).or_default();
                ended.retain(|id| !gone.contains(id));
            }
            Ok(false) => {
                fleet.drop_outcome(&job.key(), &name).await;
                return Ok(Step::Repeat);
            }
            // It may be written or not. The values will tell.
            Err(_) => return Ok(Step::Repeat),
        }
        self.finish(job, record, &name, None).await
    }

    /// Calls the plugin. With `document`, it works on these values, and they are changed if it succeeds.
    async fn call(
        &self,
        job: &Job,
        document: &mut Option<Document>,
    ) -> Result<Vec<u8>, DirectError> {
        let values = JobValues::new(&job.plugin, document.clone());
        let call = DirectCall {
            plugin: job.plugin.clone(),
            export: job.export.clone(),
            input: job.input.clone(),
            // A job has no deadline but that of each attempt.
            began: Instant::now(),
            traceparent: job.traceparent.clone(),
            around: Some(values.around()),
        };
        let result = self.worker.service.call(call).await;
        if result.is_ok() {
            // The changes of a call that failed are dropped.
            *document = values.take();
        }
        // Any name can be in a subject: only plugins are counted.
        if !matches!(&result, Err(error) if error.code == "unknown-plugin") {
            self.worker.counters.call(&job.plugin, result.is_ok());
        }
        result
    }

    /// Removes notes of jobs that have ended from a plugin's values. Returns those whose records this worker has ended.
    async fn forget(
        &self,
        plugin: &str,
        document: &mut Document,
    ) -> Result<Vec<String>, FleetError> {
        let ended: Vec<String> = {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.get(plugin).into_iter().flatten().cloned().collect()
        };
        for id in &ended {
            document.jobs.remove(id);
        }
        // Those of workers that have gone remain. What is acknowledged is never given again.
        if document.jobs.len() >= MOST_JOBS / 2 {
            let floor = self.worker.fleet.acknowledged(plugin).await?;
            document
                .jobs
                .retain(|_, outcome| sequence_of(outcome).is_none_or(|it| it > floor));
        }
        match document.jobs.len() < MOST_JOBS {
            true => Ok(ended),
            false => Err(FleetError::Nats(format!(
                "the values of `{plugin}` note {MOST_JOBS} jobs that have not ended"
            ))),
        }
    }

    /// Ends the record by the outcome `name`: if it is at `revision`, or in any case without one.
    async fn finish(
        &self,
        job: &Job,
        record: JobStatus,
        name: &str,
        revision: Option<u64>,
    ) -> Result<Step, FleetError> {
        let fleet = &self.worker.fleet;
        let outcome = fleet.read_outcome(&job.key(), name).await?;
        // Its effects are done, but the job was not given again before its result expired.
        let expired = || Outcome {
            result: Err((
                "result-expired".into(),
                "the job is done, but its result has expired".into(),
            )),
        };
        let mut record = JobStatus {
            ended: now(),
            worker: self.worker.id.clone(),
            outcome: name.to_owned(),
            ..record
        };
        let outcome = outcome.unwrap_or_else(expired);
        match &outcome.result {
            Ok(output) => {
                record.state = JobState::Done;
                record.bytes = output.len();
            }
            Err((code, detail)) => {
                record.state = JobState::Failed;
                (record.code, record.detail) = (code.clone(), detail.clone());
            }
        }
        match fleet.write_record(&record, revision).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                fleet.drop_outcome(&job.key(), name).await;
                return Ok(Step::Repeat);
            }
            // It may be written or not. The record will tell.
            Err(_) => return Ok(Step::Repeat),
        }
        if revision.is_none() {
            let served = self.worker.world();
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            // Of a plugin that was removed, nobody will ask again.
            ended.retain(|plugin, _| served.host.get(plugin).is_ok());
            ended
                .entry(job.plugin.clone())
                .or_default()
                .insert(job.id.clone());
        }
        self.worker.counters.job(record.state == JobState::Done);
        self.settle(job, &record).await.map(Step::End)
    }

    /// Publishes the dead letter of a job that failed, without an input that is larger than a submission may have. NATS drops
    /// the letter if it has it already.
    async fn settle(&self, job: &Job, record: &JobStatus) -> Result<End, FleetError> {
        if record.state == JobState::Failed {
            let fleet = &self.worker.fleet;
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, job.key().outcome(&record.outcome));
            headers.insert(super::JOB, &*job.id);
            headers.insert(super::EXPORT, &*job.export);
            headers.insert(CODE, &*record.code);
            let subject = format!("{}.dead.{}", fleet.name, token(&job.plugin));
            // NATS has counted the headers of the job otherwise: a message that it took may not fit again.
            let fits = job.input.len() <= fleet.payload();
            let input = if fits {
                job.input.clone()
            } else {
                Bytes::new()
            };
            fleet
                .publish(subject, headers, input, "publish a dead letter")
                .await?;
        }
        Ok(End::Settled)
    }
}

/// Returns the place in the stream of the message of which an outcome is: the end of its name.
fn sequence_of(outcome: &str) -> Option<u64> {
    outcome.rsplit_once('-')?.1.parse().ok()
}

/// Returns whether another attempt may end otherwise: not if the plugin, its budget or the input is at fault.
fn may_differ(error: &DirectError) -> bool {
    match error.code {
        // A plugin's own error can come from without. The plugin may be pushed later than its jobs.
        "guest-error" | "unknown-plugin" => true,
        _ => matches!(error.status, 500 | 503 | 504),
    }
}

/// Returns the time until a job is tried again: a second, and twice as long after each further attempt.
fn back_off(attempt: u64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    let factor = 2_u32.saturating_pow(doublings);
    Duration::from_secs(1).saturating_mul(factor).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_waits_longer() {
        let waits = [1, 2, 3, 7, 50].map(|attempt| back_off(attempt).as_secs());
        assert_eq!(waits, [1, 2, 4, 60, 60]);
    }

    #[test]
    fn an_outcome_tells_its_message() {
        assert_eq!(sequence_of("0123456789abcdef-42"), Some(42));
        assert_eq!(sequence_of("0123456789abcdef"), None);
    }

    #[test]
    fn what_would_end_alike_is_not_repeated() {
        let repeated = |code, status| {
            may_differ(&DirectError {
                code,
                detail: String::new(),
                status,
            })
        };
        assert!(repeated("guest-error", 422));
        assert!(repeated("deadline", 504));
        assert!(repeated("unknown-plugin", 404));
        assert!(!repeated("out-of-fuel", 422));
        assert!(!repeated("trap-unreachable", 502));
        assert!(!repeated("unknown-export", 404));
        assert!(!repeated("body-too-large", 413));
    }
}
