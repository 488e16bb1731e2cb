//! What hostel's platform and timer use of the standard library. Threads and locks are shuttle's, and
//! time passes only when a test has it pass.

pub mod sync;
pub mod thread;
pub mod time;

pub use std::{cell, collections, env, num, panic, task};
