//! A host that is compared, and the work that it is asked to do.

use crate::cases::Work;
use crate::guests::{Convention, Guest};
use std::process::Command;

/// A failure of any host, as text for the report.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
pub type Answer<T> = Result<T, Failure>;

/// One host in one configuration.
pub trait Host: Sync {
    /// The name in tables and charts.
    fn name(&self) -> &'static str;

    /// Version and configuration, for the page.
    fn about(&self) -> String;

    /// Prepares `work`, or returns `None` if this host can't do it.
    fn prepare(&'static self, work: &Work) -> Answer<Option<Box<dyn Runner>>>;

    /// Prints memory and time while `kind` grows to `most`; see `memory.rs`. Called in a process of its own.
    fn grow(&'static self, kind: &str, most: u32) -> Answer<()>;

    /// Returns the command that does what [`grow`](Self::grow) does, if that is not this program.
    fn grow_command(&self, _kind: &str, _most: u32) -> Answer<Option<Command>> {
        Ok(None)
    }
}

/// Prepared work.
pub trait Runner {
    /// Does the work `rounds` times, and measures all of them.
    fn run(&mut self, rounds: u32) -> Answer<Sample>;
}

/// Nanoseconds that some rounds took.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Time of all threads of the process on processors.
    pub processor: f64,
    /// Time on the clock.
    pub wall: f64,
}

/// A library that runs guests in this process. `local.rs` makes a [`Host`] of it.
pub trait Library: Sync {
    fn name(&self) -> &'static str;
    fn about(&self) -> String;

    /// The calling convention of guests that do the example's work in this host.
    fn convention(&self) -> Convention {
        Convention::Native
    }

    /// Whether it takes part in `work` at all.
    fn takes(&self, _work: &Work) -> bool {
        true
    }

    fn load(&self, guest: Guest, wasm: &[u8]) -> Answer<Box<dyn Plugin>>;
}

/// A loaded guest.
pub trait Plugin: Send + Sync {
    /// Makes an instance that shares nothing with others.
    fn instance(&self) -> Answer<Box<dyn Instance>>;

    /// The example's work in an instance that is as new, by the means that the host has to make that cheap. Returns
    /// `false` if it has none but a new instance.
    fn process_reused(&self, _input: &[u8], _output: &mut Vec<u8>) -> Answer<bool> {
        Ok(false)
    }

    /// The export `add` in an instance that is as new, or `None`, as above.
    fn add_reused(&self, _a: u32, _b: u32) -> Answer<Option<u32>> {
        Ok(None)
    }
}

/// An instance of a guest.
pub trait Instance {
    /// The example's work, from bytes to bytes.
    fn process(&mut self, input: &[u8], output: &mut Vec<u8>) -> Answer<()>;

    /// The export `add`.
    fn add(&mut self, a: u32, b: u32) -> Answer<u32>;

    /// An export without parameters.
    fn run(&mut self, export: &str) -> Answer<()>;
}
