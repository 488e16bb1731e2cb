//! This process's stdin, stdout and stderr for WASI guests.
//!
//! Reading stdin or writing stdout can block for any length of time. Threads do it, so that a guest
//! never waits longer than its deadline.

use hostel_core::{Escaped, Platform as _, Trap, Wasi, WasiInput, WasiOutput};
use std::{
    collections::VecDeque,
    fmt::Write as _,
    io::{self, IsTerminal, Read as _, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::Duration,
};

use crate::Std;

/// Capacity of each buffer, in bytes: input read ahead of the guest, and output not yet written.
const BUFFER_BYTES: usize = 64 << 10;

/// This process's standard streams, ready to grant to WASI guests.
///
/// * **stdin** is read by a thread, which starts at the guest's first read and reads up to 64 KiB
///   ahead. Bytes read ahead are lost to any other reader of stdin.
/// * **stdout and stderr** are written by one thread, in the order in which guests wrote. It holds up
///   to 64 KiB; a guest that writes more waits. A terminal receives [`escaped_lines`], so that a guest
///   can't control it.
///
/// Guests see each stream that is a terminal as one (`isatty`). Deadlines and cancellers stop a guest
/// that waits for any of the streams.
///
/// Create one per process, and share it between guests.
///
/// ```
/// use hostel::{Engine, Grants, Limits, Std, WasiStdio};
/// use std::sync::Arc;
/// # let wasm = wat::parse_str(r#"(module (func (export "_start")))"#)?;
/// let platform = Arc::new(Std::new());
/// let engine = Engine::new(Limits::server()).with_platform(platform.clone());
/// let stdio = WasiStdio::new(platform);
/// let grants = Grants::new().wasi(stdio.inherit(hostel::wasi()));
/// let code = engine.load("command", &wasm, &grants)?.run_command()?;
/// // Flush before the process exits, and before it writes to stdout itself.
/// stdio.flush(None)?;
/// # assert_eq!(code, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WasiStdio {
    stdin: Stdin,
    output: Arc<Output>,
}

impl WasiStdio {
    /// Creates the streams. `platform` must be the engine's own: it wakes guests that wait for
    /// stdin. No thread starts before a guest first reads or writes.
    #[must_use]
    pub fn new(platform: Arc<Std>) -> Self {
        Self {
            stdin: Stdin(Arc::new(Input {
                ahead: Arc::new(ReadAhead {
                    state: Mutex::default(),
                    room: Condvar::new(),
                    platform,
                }),
                started: Once::new(),
            })),
            output: Arc::default(),
        }
    }

    /// Grants all three streams to `wasi`.
    #[must_use]
    pub fn inherit(&self, wasi: Wasi) -> Wasi {
        wasi.stdin_from(self.stdin())
            .stdout(self.stdout())
            .stderr(self.stderr())
    }

    /// Returns stdin alone, for [`Wasi::stdin_from`]. A read error counts as the end of the input.
    pub fn stdin(&self) -> impl WasiInput + use<> {
        self.stdin.clone()
    }

    /// Returns stdout alone, for [`Wasi::stdout`] or [`Wasi::stderr`].
    #[must_use]
    pub fn stdout(&self) -> WasiOutput {
        self.output(Stream::Stdout, io::stdout().is_terminal())
    }

    /// Returns stderr alone, for [`Wasi::stderr`] or [`Wasi::stdout`].
    #[must_use]
    pub fn stderr(&self) -> WasiOutput {
        self.output(Stream::Stderr, io::stderr().is_terminal())
    }

    fn output(&self, stream: Stream, terminal: bool) -> WasiOutput {
        let output = self.output.clone();
        WasiOutput::queue(move |bytes| output.take(stream, bytes, terminal)).terminal(terminal)
    }

    /// Waits until everything that guests wrote has reached stdout and stderr: at most `within`, or
    /// without a limit if that is `None`.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::TimedOut`] if `within` passed first. The writing thread may then still hold
    ///   the lock of stdout or stderr, which blocks any other writer.
    /// * The error of the first write that failed, such as [`io::ErrorKind::BrokenPipe`]. Nothing
    ///   more is written afterwards, and a guest that writes again traps.
    pub fn flush(&self, within: Option<Duration>) -> io::Result<()> {
        let queue = &self.output.0;
        let busy = |state: &mut QueueState| state.failed.is_none() && state.has_pending();
        let state = match within {
            None => queue
                .changed
                .wait_while(queue.lock(), busy)
                .unwrap_or_else(PoisonError::into_inner),
            Some(within) => {
                queue
                    .changed
                    .wait_timeout_while(queue.lock(), within, busy)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        match state.failed {
            Some(kind) => Err(kind.into()),
            None if state.has_pending() => Err(io::ErrorKind::TimedOut.into()),
            None => Ok(()),
        }
    }
}

/// Makes bytes safe to show on a terminal: keeps line feeds and tabs, and shows everything else as
/// [`Escaped`] does.
///
/// ```
/// let shown = hostel::escaped_lines(b"one\ttwo\n\x1b[2J\n");
/// assert_eq!(shown, "one\ttwo\n\\u{1b}[2J\n");
/// ```
#[must_use]
pub fn escaped_lines(bytes: &[u8]) -> String {
    let mut text = String::new();
    for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\t')) {
        let (part, end) = match part.split_last() {
            Some((&end @ (b'\n' | b'\t'), part)) => (part, Some(end)),
            _ => (part, None),
        };
        // Writing to a String can't fail.
        let _ = write!(text, "{}", Escaped::new(part));
        text.extend(end.map(char::from));
    }
    text
}

/// An output stream of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

/// The guests' end of the output queue. Dropping the last one ends the writing thread.
#[derive(Debug, Default)]
struct Output(Arc<Queue>);

impl Output {
    /// Queues as many of `bytes` as fit, and returns how many did.
    fn take(&self, stream: Stream, bytes: &[u8], terminal: bool) -> Result<usize, Trap> {
        let mut state = self.0.lock();
        if !state.started {
            state.started = true;
            let queue = self.0.clone();
            let thread = thread::Builder::new().spawn(move || queue.drain());
            state.failed = thread.err().map(|error| error.kind());
        }
        if let Some(kind) = state.failed {
            let error = io::Error::from(kind);
            return Err(Trap::host(format!("its output can't be written: {error}")));
        }
        let room = BUFFER_BYTES.saturating_sub(state.bytes.len());
        let taken = if terminal {
            // Each piece is escaped by itself: half a character would show as U+FFFD.
            whole_characters(bytes, room)
        } else {
            bytes.len().min(room)
        };
        if taken > 0 {
            state.bytes.extend_from_slice(&bytes[..taken]);
            match state.pieces.last_mut() {
                Some((last, len)) if *last == stream => *len += taken,
                _ => state.pieces.push((stream, taken)),
            }
            self.0.changed.notify_all();
        }
        Ok(taken)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

/// Output on its way from guests to the writing thread.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    /// Output that the thread has not fetched yet, of both streams.
    bytes: Vec<u8>,
    /// How `bytes` divides into pieces: the stream and the length of each, in order.
    pieces: Vec<(Stream, usize)>,
    /// Whether the thread was started.
    started: bool,
    /// Whether the thread is writing bytes that it has fetched.
    writing: bool,
    /// Whether no guest can write any more.
    closed: bool,
    /// The first error of a write.
    failed: Option<io::ErrorKind>,
}

impl QueueState {
    /// Whether output waits to be written, or is being written.
    fn has_pending(&self) -> bool {
        self.writing || !self.bytes.is_empty()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes queued output until the queue is closed and empty, or a write fails.
    fn drain(&self) {
        loop {
            let idle = |state: &mut QueueState| state.bytes.is_empty() && !state.closed;
            let waited = self.changed.wait_while(self.lock(), idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            if state.bytes.is_empty() {
                return;
            }
            let (bytes, pieces) = (mem::take(&mut state.bytes), mem::take(&mut state.pieces));
            state.writing = true;
            // The write may block: guests must be able to queue, and to time out, meanwhile.
            drop(state);
            let mut rest = &*bytes;
            let written = pieces.into_iter().try_for_each(|(stream, len)| {
                let (piece, after) = rest.split_at(len);
                rest = after;
                match stream {
                    Stream::Stdout => write(io::stdout(), piece),
                    Stream::Stderr => write(io::stderr(), piece),
                }
            });
            let mut state = self.lock();
            state.writing = false;
            state.failed = written.err().map(|error| error.kind());
            let failed = state.failed.is_some();
            drop(state);
            self.changed.notify_all();
            if failed {
                return;
            }
        }
    }
}

/// Length of the longest prefix of `bytes` that is at most `room` long and does not split a UTF-8
/// character.
fn whole_characters(bytes: &[u8], room: usize) -> usize {
    if bytes.len() <= room {
        return bytes.len();
    }
    let begins = |at: &usize| bytes[*at] & 0xc0 != 0x80;
    let mut ends = (room.saturating_sub(3)..=room).rev();
    // Four bytes without a character's first byte are not UTF-8: cut anywhere.
    ends.find(begins).unwrap_or(room)
}

/// Writes all of `bytes`, escaped if `to` is a terminal.
fn write(mut to: impl Write + IsTerminal, bytes: &[u8]) -> io::Result<()> {
    if to.is_terminal() {
        to.write_all(escaped_lines(bytes).as_bytes())?;
    } else {
        to.write_all(bytes)?;
    }
    to.flush()
}

/// The guests' end of stdin.
#[derive(Clone, Debug)]
struct Stdin(Arc<Input>);

/// Dropped with the last [`Stdin`], which ends the reading thread.
#[derive(Debug)]
struct Input {
    ahead: Arc<ReadAhead>,
    started: Once,
}

impl Drop for Input {
    fn drop(&mut self) {
        self.ahead.lock().ended = true;
        self.ahead.room.notify_one();
    }
}

/// Input that the reading thread has read and no guest has taken yet.
#[derive(Debug)]
struct ReadAhead {
    state: Mutex<InputState>,
    room: Condvar,
    platform: Arc<Std>,
}

#[derive(Debug, Default)]
struct InputState {
    bytes: VecDeque<u8>,
    /// Whether stdin has ended, or no guest is left to read it.
    ended: bool,
}

impl WasiInput for Stdin {
    fn read(&self, into: &mut [u8]) -> Result<usize, Trap> {
        let ahead = &self.0.ahead;
        let read = ahead.lock().bytes.read(into).unwrap_or_default();
        ahead.room.notify_one();
        Ok(read)
    }

    fn ready(&self) -> bool {
        let ahead = &self.0.ahead;
        self.0.started.call_once(|| {
            let ahead = ahead.clone();
            thread::spawn(move || ahead.fill());
        });
        let state = ahead.lock();
        state.ended || !state.bytes.is_empty()
    }

    fn is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }
}

impl ReadAhead {
    fn lock(&self) -> MutexGuard<'_, InputState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads stdin to its end, and pauses while the buffer is full.
    fn fill(&self) {
        let (mut stdin, mut chunk) = (io::stdin().lock(), [0; 8 << 10]);
        loop {
            let read = match stdin.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A read error counts as the end of the input: no bytes.
                read => chunk.get(..read.unwrap_or_default()).unwrap_or_default(),
            };
            let full = |state: &mut InputState| state.bytes.len() >= BUFFER_BYTES && !state.ended;
            let waited = self.room.wait_while(self.lock(), full);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            state.bytes.extend(read);
            state.ended |= read.is_empty();
            let ended = state.ended;
            drop(state);
            self.platform.wake();
            if ended {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::whole_characters;

    #[test]
    fn a_terminal_gets_whole_characters() {
        for (text, room, taken) in [
            ("", 0, 0),
            ("abc", 9, 3),
            ("abc", 2, 2),
            ("abc", 0, 0),
            ("aé", 2, 1),
            ("aé", 3, 3),
            ("é", 1, 0),
            ("a\u{10ffff}b", 4, 1),
            ("a\u{10ffff}b", 5, 5),
        ] {
            assert_eq!(
                whole_characters(text.as_bytes(), room),
                taken,
                "{text:?} {room}"
            );
        }
        assert_eq!(whole_characters(&[0x80; 9], 5), 5);
    }
}
