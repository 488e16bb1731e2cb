//! What a guest writes to stdout and stderr, and where it goes.

use super::errno::{Errno, Fail};
use crate::{
    base::{fuel::BASE, log::LogRecord, text::Escaped},
    call::{Shared, meter::Meter},
    error::{CallError, Trap},
    host_functions::contained,
};
use alloc::{sync::Arc, vec::Vec};

/// Longest line of output that becomes one log record, in bytes. A longer one becomes several.
const LINE: usize = 1_024;

/// Most bytes that a queue is offered by one call.
const OFFERED: usize = 64 << 10;

/// One of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Where a stream of a guest's output goes.
///
/// ```
/// use hostel_core::{Wasi, WasiOutput};
/// let wasi = Wasi::new()
///     .stdout(WasiOutput::buffer(64 << 10))
///     .stderr(WasiOutput::to(|bytes: &[u8]| {
///         eprintln!("{}", hostel_core::Escaped::new(bytes));
///         Ok(())
///     }));
/// # drop(wasi);
/// ```
#[derive(Clone)]
pub struct WasiOutput(Sink);

#[derive(Clone)]
enum Sink {
    Discard,
    Log,
    Buffer(usize),
    Function(Arc<Write>),
    Queue(Arc<Take>),
}

/// An embedder's function that takes output.
type Write = dyn Fn(&[u8]) -> Result<(), Trap> + Send + Sync;

/// One that takes as much as it has room for.
type Take = dyn Fn(&[u8]) -> Result<usize, Trap> + Send + Sync;

impl WasiOutput {
    /// Nowhere. The guest sees its writes succeed.
    #[must_use]
    pub const fn discard() -> Self {
        Self(Sink::Discard)
    }

    /// To the log sink of the [grants](crate::Grants::log), a line a record, within the budget's
    /// share of log; nowhere if no log is granted. A line over 1,024 bytes becomes several
    /// records, one without an end becomes a record when the call ends.
    #[must_use]
    pub const fn log() -> Self {
        Self(Sink::Log)
    }

    /// Into a buffer of the instance's, up to `limit` bytes, until
    /// [`Instance::take_stdout`](crate::Instance::take_stdout) or
    /// [`take_stderr`](crate::Instance::take_stderr) takes them. Where it is full, the guest is
    /// told that there is no space left.
    #[must_use]
    pub const fn buffer(limit: usize) -> Self {
        Self(Sink::Buffer(limit))
    }

    /// To `write`, as the guest wrote them, which is in any pieces. An error stops the guest.
    /// Control characters are in it, and a guest that speaks to a terminal can make it lie: see
    /// [`Escaped`]. While `write` runs, neither deadline nor cancellation act: what may block is
    /// better a [queue](Self::queue).
    #[must_use]
    pub fn to(write: impl Fn(&[u8]) -> Result<(), Trap> + Send + Sync + 'static) -> Self {
        Self(Sink::Function(Arc::new(write)))
    }

    /// To `take`, which takes from the start of the bytes, at most 64 KiB, as many as it has room
    /// for at once, and answers how many. While that is 0 the guest waits, no longer than its
    /// deadline and its fuel allow; it is asked again every millisecond. Without a clock the guest
    /// is told to try again (`EAGAIN`). Otherwise as [`to`](Self::to).
    ///
    /// ```
    /// use hostel_core::WasiOutput;
    /// use std::sync::Mutex;
    /// // Somebody else takes from it, at their leisure.
    /// static QUEUE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    /// let output = WasiOutput::queue(|bytes: &[u8]| {
    ///     let mut queue = QUEUE.lock().unwrap();
    ///     let taken = bytes.len().min(1_024 - queue.len());
    ///     queue.extend_from_slice(&bytes[..taken]);
    ///     Ok(taken)
    /// });
    /// # drop(output);
    /// ```
    #[must_use]
    pub fn queue(take: impl Fn(&[u8]) -> Result<usize, Trap> + Send + Sync + 'static) -> Self {
        Self(Sink::Queue(Arc::new(take)))
    }

    /// Fuel for `bytes` besides that for reading them. Showing text costs far more, and a record
    /// as much as a host call.
    pub(super) fn fuel(&self, bytes: &[u8]) -> u64 {
        if !matches!(self.0, Sink::Log) {
            return 0;
        }
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        lines
            .saturating_mul(BASE)
            .saturating_add(bytes.len() as u64)
    }
}

impl core::fmt::Debug for WasiOutput {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.0 {
            Sink::Discard => "discard",
            Sink::Log => "log",
            Sink::Buffer(_) => "buffer",
            Sink::Function(_) => "function",
            Sink::Queue(_) => "queue",
        })
    }
}

/// One instance's side of a stream: for a log the line that has not ended, for a buffer what was
/// written.
#[derive(Default)]
pub(super) struct Pending(Vec<u8>);

impl Pending {
    /// How many of `bytes` bytes there is room for, as far as that is known.
    pub(super) fn room(&self, to: &WasiOutput, bytes: usize) -> usize {
        match to.0 {
            Sink::Buffer(limit) => bytes.min(limit.saturating_sub(self.0.len())),
            Sink::Queue(_) => bytes.min(OFFERED),
            _ => bytes,
        }
    }

    /// Writes `bytes`, for which there is [room](Self::room). How many it wrote: all, unless it is
    /// a queue.
    pub(super) fn write(
        &mut self,
        to: &WasiOutput,
        bytes: &[u8],
        shared: &Shared,
        meter: &mut Meter,
    ) -> Result<usize, Fail> {
        match &to.0 {
            Sink::Discard => {}
            Sink::Log => {
                let lines = bytes.split_inclusive(|byte| *byte == b'\n');
                lines.for_each(|line| self.log(line, shared, meter));
            }
            Sink::Buffer(_) => {
                let reserved = self.0.try_reserve(bytes.len());
                reserved.map_err(|_| Errno::Nospc)?;
                self.0.extend_from_slice(bytes);
            }
            Sink::Function(write) => {
                contained(&*shared.platform, || write(bytes).map_err(CallError::Trap))?;
            }
            Sink::Queue(take) => {
                let taken = contained(&*shared.platform, || take(bytes).map_err(CallError::Trap))?;
                return Ok(taken.min(bytes.len()));
            }
        }
        Ok(bytes.len())
    }

    /// Takes a line, or the part of one, and makes records of what is complete.
    fn log(&mut self, line: &[u8], shared: &Shared, meter: &mut Meter) {
        let (line, ended) = match line.strip_suffix(b"\n") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let mut rest = line;
        while self.0.len().saturating_add(rest.len()) > LINE {
            let (head, tail) = rest.split_at(LINE.saturating_sub(self.0.len()).min(rest.len()));
            self.0.extend_from_slice(head);
            self.flush(shared, meter);
            rest = tail;
        }
        if ended && self.0.is_empty() {
            record(rest, shared, meter);
        } else {
            self.0.extend_from_slice(rest);
            if ended {
                self.flush(shared, meter);
            }
        }
    }

    fn flush(&mut self, shared: &Shared, meter: &mut Meter) {
        record(&self.0, shared, meter);
        self.0.clear();
    }

    /// Makes a record of a line that has not ended: the call has.
    pub(super) fn end_call(&mut self, to: &WasiOutput, shared: &Shared, meter: &mut Meter) {
        if matches!(to.0, Sink::Log) && !self.0.is_empty() {
            self.flush(shared, meter);
        }
    }

    /// What a buffer holds; empties it.
    pub(super) fn take(&mut self, to: &WasiOutput) -> Vec<u8> {
        match to.0 {
            Sink::Buffer(_) => core::mem::take(&mut self.0),
            _ => Vec::new(),
        }
    }
}

/// Hands one line to the log, if the budget allows it.
fn record(line: &[u8], shared: &Shared, meter: &mut Meter) {
    if let Some(sink) = &shared.log
        && meter.log(line.len())
    {
        shared.platform.contain(&mut || {
            sink.record(&LogRecord {
                plugin: &shared.name,
                text: Escaped::new(line),
            });
        });
    }
}
