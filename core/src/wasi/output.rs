//! A guest's stdout and stderr, and their destinations.

use super::errno::{Errno, Fail};
use crate::{
    base::{
        fuel::BASE,
        log::{LogLevel, LogRecord},
    },
    call::{Shared, meter::Meter},
    error::{CallError, Trap},
    host_functions::contained,
};
use alloc::{sync::Arc, vec::Vec};

/// Maximum length of a log record in bytes. A longer line of output becomes several records.
const MAX_RECORD: usize = 1_024;

/// Maximum number of bytes that one write offers to a queue.
const MAX_OFFER: usize = 64 << 10;

/// One of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// The destination of a guest's stdout or stderr, granted with [`Wasi::stdout`](crate::Wasi::stdout) and
/// [`Wasi::stderr`](crate::Wasi::stderr).
///
/// Whatever the destination, a call may write at most
/// [`Budget::output_bytes`](crate::Budget::output_bytes) to both streams together; the guest then gets
/// [`Errno::Nospc`](super::files::Errno::Nospc). An embedder's function returns no `Errno`: either it
/// takes the bytes, or its [`Trap`] stops the guest. All instances of a plugin share it, and may call it
/// from several threads at once.
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
pub struct WasiOutput {
    sink: Sink,
    terminal: bool,
}

#[derive(Clone)]
enum Sink {
    Discard,
    Log,
    Buffer(usize),
    Function(Arc<TakeAll>),
    Queue(Arc<TakeSome>),
}

/// An embedder's function that takes all of the output.
type TakeAll = dyn Fn(&[u8]) -> Result<(), Trap> + Send + Sync;

/// An embedder's function that takes as much of the output as it has room for.
type TakeSome = dyn Fn(&[u8]) -> Result<usize, Trap> + Send + Sync;

impl WasiOutput {
    /// Discards the output. The guest's writes succeed.
    #[must_use]
    pub const fn discard() -> Self {
        Self::new(Sink::Discard)
    }

    /// Sends each line as a record to the log sink of the [grants](crate::Grants::log), as long as the
    /// budget for log records lasts. Without a granted log, discards the output. A line above 1,024
    /// bytes becomes several records. A line without an end becomes a record when the call ends.
    #[must_use]
    pub const fn log() -> Self {
        Self::new(Sink::Log)
    }

    /// Keeps up to `limit` bytes in a buffer of the instance, until
    /// [`Instance::take_stdout`](crate::Instance::take_stdout) or
    /// [`take_stderr`](crate::Instance::take_stderr) takes them. When the buffer is full, the guest gets
    /// [`Errno::Nospc`](super::files::Errno::Nospc).
    #[must_use]
    pub const fn buffer(limit: usize) -> Self {
        Self::new(Sink::Buffer(limit))
    }

    /// Passes the bytes to `write`, in the pieces in which the guest wrote them; a piece may end within
    /// a line or a character. `write` must take all of them. An error stops the guest.
    ///
    /// The bytes may contain control characters, with which a guest could forge the display of a
    /// terminal: show them with [`Escaped`](crate::Escaped). While `write` runs, neither deadline nor cancellation take
    /// effect: use a [queue](Self::queue) for a destination that may block.
    #[must_use]
    pub fn to(write: impl Fn(&[u8]) -> Result<(), Trap> + Send + Sync + 'static) -> Self {
        Self::new(Sink::Function(Arc::new(write)))
    }

    /// Passes the bytes, 1 to 65,536, to `take`, which takes as many from their start as it has room for,
    /// and returns their number. It must not block. An error stops the guest. The bytes may contain
    /// control characters, as for [`to`](Self::to).
    ///
    /// While `take` returns 0, the guest waits, until its deadline or until its fuel is used up; `take`
    /// is called again every millisecond. On a platform without a clock, the guest gets
    /// [`Errno::Again`](super::files::Errno::Again) instead.
    ///
    /// ```
    /// use hostel_core::WasiOutput;
    /// use std::sync::Mutex;
    /// // Another thread takes bytes out.
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
        Self::new(Sink::Queue(Arc::new(take)))
    }

    /// Sets whether the output is a terminal; by default it is not. If it is, the guest sees a character
    /// device (`isatty`): an interpreter shows its prompt, and many programs write each line at once.
    ///
    /// hostel does not change the output. Make its control characters visible, as
    /// [`to`](Self::to) explains.
    #[must_use]
    pub const fn terminal(mut self, terminal: bool) -> Self {
        self.terminal = terminal;
        self
    }

    pub(super) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    const fn new(sink: Sink) -> Self {
        Self {
            sink,
            terminal: false,
        }
    }

    /// Returns the fuel for `bytes`, besides that for reading them. A log charges a unit for each byte,
    /// since escaping text costs far more than copying it, and for each line as much as for a host call.
    pub(super) fn fuel(&self, bytes: &[u8]) -> u64 {
        if !matches!(self.sink, Sink::Log) {
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
        f.write_str(match self.sink {
            Sink::Discard => "discard",
            Sink::Log => "log",
            Sink::Buffer(_) => "buffer",
            Sink::Function(_) => "function",
            Sink::Queue(_) => "queue",
        })
    }
}

/// Bytes of one stream that an instance holds: for a log the unfinished line, for a buffer all output.
#[derive(Default)]
pub(super) struct Pending(Vec<u8>);

impl Pending {
    /// Returns how many of `bytes` bytes to offer: as many as a buffer has room for, at most 64 KiB to a
    /// queue, else all.
    pub(super) fn room(&self, to: &WasiOutput, bytes: usize) -> usize {
        match to.sink {
            Sink::Buffer(limit) => bytes.min(limit.saturating_sub(self.0.len())),
            Sink::Queue(_) => bytes.min(MAX_OFFER),
            _ => bytes,
        }
    }

    /// Writes `bytes`, at most [`room`](Self::room), and returns the number written: all of them, unless
    /// the destination is a queue.
    pub(super) fn write(
        &mut self,
        to: &WasiOutput,
        bytes: &[u8],
        shared: &Shared,
        meter: &mut Meter,
    ) -> Result<usize, Fail> {
        match &to.sink {
            Sink::Discard => {}
            Sink::Log => {
                let lines = bytes.split_inclusive(|byte| *byte == b'\n');
                lines.for_each(|line| self.log(line, shared, meter));
            }
            Sink::Buffer(limit) => {
                // At least doubled, so that it rarely moves, but never beyond its limit.
                let needed = self.0.len().saturating_add(bytes.len());
                let wanted = self.0.capacity().saturating_mul(2).min(*limit).max(needed);
                let more = wanted.saturating_sub(self.0.len());
                let reserved = self.0.try_reserve_exact(more);
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

    /// Adds a line, or a part of one, and logs it as soon as it is complete or too long.
    fn log(&mut self, line: &[u8], shared: &Shared, meter: &mut Meter) {
        let (line, ended) = match line.strip_suffix(b"\n") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let mut rest = line;
        while self.0.len().saturating_add(rest.len()) > MAX_RECORD {
            let (head, tail) =
                rest.split_at(MAX_RECORD.saturating_sub(self.0.len()).min(rest.len()));
            self.keep(head, shared, meter);
            self.flush(shared, meter);
            rest = tail;
        }
        if ended && self.0.is_empty() {
            record(rest, shared, meter);
        } else {
            self.keep(rest, shared, meter);
            if ended {
                self.flush(shared, meter);
            }
        }
    }

    /// Adds a part of a line, which becomes a record of its own if the heap has no room for it.
    fn keep(&mut self, part: &[u8], shared: &Shared, meter: &mut Meter) {
        if self.0.try_reserve(part.len()).is_ok() {
            self.0.extend_from_slice(part);
            return;
        }
        self.flush(shared, meter);
        record(part, shared, meter);
    }

    /// Logs the line so far.
    fn flush(&mut self, shared: &Shared, meter: &mut Meter) {
        record(&self.0, shared, meter);
        self.0.clear();
    }

    /// Logs an unfinished line, since the call ends.
    pub(super) fn end_call(&mut self, to: &WasiOutput, shared: &Shared, meter: &mut Meter) {
        if matches!(to.sink, Sink::Log) && !self.0.is_empty() {
            self.flush(shared, meter);
        }
    }

    /// Takes the bytes out of a buffer; returns none for other destinations.
    pub(super) fn take(&mut self, to: &WasiOutput) -> Vec<u8> {
        match to.sink {
            Sink::Buffer(_) => core::mem::take(&mut self.0),
            _ => Vec::new(),
        }
    }
}

/// Logs one line, if the budget allows it.
fn record(line: &[u8], shared: &Shared, meter: &mut Meter) {
    if let Some(sink) = &shared.log
        && meter.log(line.len())
    {
        shared.platform.contain(&mut || {
            sink.record(&LogRecord::of_guest(&shared.name, LogLevel::Info, line));
        });
    }
}
