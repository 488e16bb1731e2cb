//! Jobs: calls that are kept by NATS until they are done.
//!
//! A job is a message of the stream `FLEET-jobs`, and a record in the stream `FLEET-results=PLUGIN`. `docs/fleet.md` says
//! what is promised; `run` keeps it.

mod places;
mod record;
mod run;
mod slots;
mod submit;

pub use self::record::{JobState, JobStatus, NewJob};
pub(crate) use self::{slots::serve, submit::submit};

/// The header with a job's identifier.
pub const JOB: &str = "Hostel-Job";

/// The header with the export that a job calls.
pub const EXPORT: &str = "Hostel-Export";

/// The header with the most attempts of a job.
pub const ATTEMPTS: &str = "Hostel-Attempts";

/// Most attempts of a job that does not say how many.
pub const DEFAULT_ATTEMPTS: u32 = 10;

/// Most attempts that a job may have.
pub const MOST_ATTEMPTS: u32 = 100;
