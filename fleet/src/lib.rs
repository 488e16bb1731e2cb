//! Serves WebAssembly plugins that you don't trust on many machines, by an existing NATS with JetStream.
//!
//! Each machine runs a [`FleetWorker`]: the server of `hostel-server`, whose plugins, settings and values are in NATS. A
//! [`Fleet`] is the view from without: it pushes plugins, submits jobs and shows the workers. `docs/fleet.md` describes how to
//! set one up, and what is promised.
//!
//! | module | holds |
//! |---|---|
//! | `connect`, `names` | the connection; buckets, streams and subjects |
//! | `objects`, `release` | modules by their SHA-256; which of them is served, and under which settings |
//! | `presence` | what workers tell of themselves; the fleet as a whole |
//! | `state` | plugins' values |
//! | `world`, `follow` | a release, loaded; the vote on it |
//! | `calls`, `jobs` | calls by request and reply; jobs by a queue |
//! | `worker` | the worker as a whole |

mod calls;
mod connect;
mod error;
mod follow;
mod jobs;
mod names;
mod objects;
mod presence;
mod release;
mod requests;
mod state;
mod worker;
mod world;

pub use self::{
    calls::Reply,
    connect::{Fleet, FleetOptions},
    error::FleetError,
    jobs::{ATTEMPTS, DEFAULT_ATTEMPTS, EXPORT, JOB, JobState, JobStatus, MOST_ATTEMPTS, NewJob},
    presence::{Figures, FleetView, JobCounts, Presence, Vote},
    release::{PluginVersion, Refused, Release, Releases},
    requests::{CODE, RELEASE, STATUS, WORKER},
    state::FleetState,
    worker::{FleetWorker, WorkerOptions, run, serve},
};
pub use hostel_server;
