//! What can go wrong between a fleet's members and NATS.

use std::{error::Error, fmt};

/// An error of a fleet.
#[derive(Debug)]
#[non_exhaustive]
pub enum FleetError {
    /// The name of the fleet or of a job is not 1 to 64 letters, digits, `_` and `-`.
    Name(String),
    /// The prefix of inboxes is none, or is that of the fleet's own subjects.
    Inbox(String),
    /// The name of a job's export is longer than 1,024 bytes, or has control characters.
    Export(String),
    /// NATS can't be reached, or refuses the credentials.
    Connect(String),
    /// NATS does not do what was asked, such as within its time, or by its permissions.
    Nats(String),
    /// NATS takes messages of so many bytes; the fleet needs 1 MiB.
    MaxPayload(usize),
    /// The input of a job has more bytes than one message holds: the limit, and the number.
    InputBytes(usize, usize),
    /// As many jobs of the plugin wait and run as may: the plugin, the stream that bounds them, and the limit.
    JobQueueFull(String, String, i64),
    /// The records and results of the plugin's jobs have no more room: the plugin, the stream that bounds them, and the limit
    /// in bytes.
    ResultsFull(String, String, i64),
    /// No job with this plugin and identifier is known, or its result has expired.
    UnknownJob(String),
    /// The job has no result yet.
    Pending(String),
    /// The job failed: the error's code and explanation.
    Failed(String, String),
    /// The fleet has no plugin, or no version of it, that is meant.
    UnknownPlugin(String),
    /// Another release is being decided: its number.
    Deciding(u64),
    /// Workers refused the release: its number, and each worker with its reason.
    Refused(u64, Vec<(String, String)>),
    /// The release was not decided in time: its number, and the workers that did not vote.
    Undecided(u64, Vec<String>),
    /// What NATS holds was not written by this version of hostel.
    Format(&'static str),
    /// The worker can't serve: its plugins, settings, address or threads.
    Start(String),
}

impl FleetError {
    /// Makes an error of an error of NATS, and what was attempted.
    pub(crate) fn nats(what: &str) -> impl FnOnce(Box<dyn Error + Send + Sync>) -> Self + '_ {
        move |error| Self::Nats(format!("can't {what}: {error}"))
    }
}

impl FleetError {
    /// Returns the stable code of this kind of error; of a job that failed, that of its error.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Name(_) => "bad-name",
            Self::Inbox(_) => "bad-inbox",
            Self::Export(_) => "bad-export",
            Self::Connect(_) => "nats-connect",
            Self::Nats(_) => "nats",
            Self::MaxPayload(_) => "max-payload",
            Self::InputBytes(..) => "input-too-large",
            Self::JobQueueFull(..) => "job-queue-full",
            Self::ResultsFull(..) => "results-full",
            Self::UnknownJob(_) => "unknown-job",
            Self::Pending(_) => "pending",
            Self::Failed(code, _) => code,
            Self::UnknownPlugin(_) => "unknown-plugin",
            Self::Deciding(_) => "deciding",
            Self::Refused(..) => "refused",
            Self::Undecided(..) => "undecided",
            Self::Format(_) => "format",
            Self::Start(_) => "start",
        }
    }
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(
                f,
                "`{}` is no name: expected 1 to 64 letters, digits, `_` and `-`",
                name.escape_debug()
            ),
            Self::Inbox(prefix) => write!(
                f,
                "`{}` is no prefix of inboxes: expected letters, digits, `_`, `-` and dots between them, and not the fleet's name",
                prefix.escape_debug()
            ),
            Self::Export(name) => write!(
                f,
                "the export's name has {} bytes: expected 1,024 at most, and no control characters",
                name.len()
            ),
            Self::Connect(reason) => write!(f, "can't connect to NATS: {reason}"),
            Self::Nats(reason) | Self::Start(reason) => f.write_str(reason),
            Self::MaxPayload(found) => write!(
                f,
                "NATS takes messages of {found} bytes, at least 1048576 are needed: raise `max_payload` in its configuration"
            ),
            Self::InputBytes(limit, found) => write!(
                f,
                "the input has {found} bytes, {limit} are allowed: raise `max_payload` of NATS"
            ),
            Self::JobQueueFull(plugin, stream, limit) => write!(
                f,
                "{limit} jobs of `{plugin}` wait or run, and `max_msgs_per_subject` of the stream `{stream}` allows {limit}: submit it again later"
            ),
            Self::ResultsFull(plugin, stream, limit) => write!(
                f,
                "there is no room for more jobs of `{plugin}`: `max_bytes` of the stream `{stream}` allows {limit} for their records and results, which are kept for 24 hours"
            ),
            Self::UnknownJob(id) => write!(
                f,
                "there is no job `{id}`: it was never submitted, or its result has expired"
            ),
            Self::Pending(id) => write!(f, "the job `{id}` has no result yet"),
            Self::Failed(code, detail) => write!(f, "the job failed with {code}: {detail}"),
            Self::UnknownPlugin(detail) => f.write_str(detail),
            Self::Deciding(number) => write!(
                f,
                "release {number} is being decided: try again when it is, at most 2 minutes later"
            ),
            Self::Refused(number, reasons) => {
                write!(f, "release {number} was refused, and nothing has changed")?;
                for (worker, reason) in reasons {
                    write!(f, "\nworker {worker}: {reason}")?;
                }
                Ok(())
            }
            Self::Undecided(number, missing) => {
                write!(
                    f,
                    "release {number} was withdrawn, and nothing has changed: "
                )?;
                match missing.is_empty() {
                    true => f.write_str("no worker runs"),
                    false => write!(f, "no vote of the workers {}", missing.join(", ")),
                }
            }
            Self::Format(what) => write!(
                f,
                "{what} in NATS was not written by this version of hostel"
            ),
        }
    }
}

impl Error for FleetError {}
