//! A fleet from outside: the program's workers, and a real NATS on this machine.
//!
//! `HOSTEL_NATS_SERVER` names the server; by default it is `nats-server` of the path. Without one, the tests are skipped, but
//! in CI, where they fail.

mod jobs;
mod machines;
mod operating;
mod permissions;
mod releases;
mod shares;
mod state;
