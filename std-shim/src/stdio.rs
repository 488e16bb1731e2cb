//! This process's stdin, stdout and stderr for a guest of WASI. Reading and writing may block for
//! as long as whoever is at the other end pleases, so threads do it, and the guest waits for them
//! no longer than its deadline.

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

/// Most bytes that are read ahead of the guest, and that wait to be written.
const MOST: usize = 64 << 10;

/// This process's own streams, to be granted to a guest.
///
/// stdin is read from the guest's first read on, up to 64 KiB ahead of it; whoever reads stdin
/// besides misses these. What the guest writes to stdout and stderr is written by one thread, in
/// the guest's order; up to 64 KiB wait for it, then the guest does. So a deadline and a canceller
/// act, also where nobody at the other end reads or writes. A terminal gets
/// [what it can show](escaped_lines) and nothing that it would obey.
///
/// A process has its streams once: make one of these, and share it where several guests are to have
/// them.
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
/// // Before the process ends, and before it writes something of its own.
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
    /// The streams of this process. `platform` is the engine's, so that a guest that waits for
    /// stdin is woken. Threads begin when a guest first reads and writes.
    #[must_use]
    pub fn new(platform: Arc<Std>) -> Self {
        Self {
            stdin: Stdin(Arc::new(Input {
                ahead: Arc::new(Ahead {
                    state: Mutex::default(),
                    room: Condvar::new(),
                    platform,
                }),
                started: Once::new(),
            })),
            output: Arc::default(),
        }
    }

    /// `wasi` with the three streams.
    #[must_use]
    pub fn inherit(&self, wasi: Wasi) -> Wasi {
        wasi.stdin_from(self.stdin())
            .stdout(self.stdout())
            .stderr(self.stderr())
    }

    /// stdin alone, for [`Wasi::stdin_from`]. What can't be read has ended.
    pub fn stdin(&self) -> impl WasiInput + use<> {
        self.stdin.clone()
    }

    /// stdout alone, for [`Wasi::stdout`] or [`Wasi::stderr`].
    #[must_use]
    pub fn stdout(&self) -> WasiOutput {
        self.output(Stream::Stdout, io::stdout().is_terminal())
    }

    /// stderr alone, for [`Wasi::stderr`] or [`Wasi::stdout`].
    #[must_use]
    pub fn stderr(&self) -> WasiOutput {
        self.output(Stream::Stderr, io::stderr().is_terminal())
    }

    fn output(&self, stream: Stream, terminal: bool) -> WasiOutput {
        let output = self.output.clone();
        WasiOutput::queue(move |bytes| output.take(stream, bytes, terminal))
    }

    /// Waits until all is written that guests wrote, no longer than `within`, or as long as it takes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] where the time was up first: the thread that writes may then have
    /// stdout or stderr locked, so whoever writes there waits too. Otherwise what kept it from being
    /// written, such as [`io::ErrorKind::BrokenPipe`]; nothing is written after that, and a guest
    /// that goes on is stopped.
    pub fn flush(&self, within: Option<Duration>) -> io::Result<()> {
        let queue = &self.output.0;
        let busy = |state: &mut Queued| state.failed.is_none() && state.writes();
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
            None if state.writes() => Err(io::ErrorKind::TimedOut.into()),
            None => Ok(()),
        }
    }
}

/// Bytes as a terminal may have them: lines and tabs stay, other control characters become
/// [`Escaped`].
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
        // Writing to a String does not fail.
        let _ = write!(text, "{}", Escaped::new(part));
        text.extend(end.map(char::from));
    }
    text
}

/// One of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

/// What guests write to. When the last is gone, the thread ends.
#[derive(Debug, Default)]
struct Output(Arc<Queue>);

impl Output {
    /// Takes as many bytes as there is room for.
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
        let room = MOST.saturating_sub(state.bytes.len());
        let taken = if terminal {
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

/// What guests wrote and the thread has not written yet.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<Queued>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queued {
    bytes: Vec<u8>,
    /// Which stream they are for, piece by piece, and how long each piece is.
    pieces: Vec<(Stream, usize)>,
    /// Whether there is the thread.
    started: bool,
    /// Whether it is writing what was here.
    writing: bool,
    closed: bool,
    failed: Option<io::ErrorKind>,
}

impl Queued {
    fn writes(&self) -> bool {
        self.writing || !self.bytes.is_empty()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes, until no more does.
    fn drain(&self) {
        loop {
            let idle = |state: &mut Queued| state.bytes.is_empty() && !state.closed;
            let waited = self.changed.wait_while(self.lock(), idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            if state.bytes.is_empty() {
                return;
            }
            let (bytes, pieces) = (mem::take(&mut state.bytes), mem::take(&mut state.pieces));
            state.writing = true;
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

/// How many bytes at the start of `bytes` are at most `room` and end where a character does: halves
/// of one would not be shown as it.
fn whole_characters(bytes: &[u8], room: usize) -> usize {
    if bytes.len() <= room {
        return bytes.len();
    }
    let begins = |at: &usize| bytes[*at] & 0xc0 != 0x80;
    let mut ends = (room.saturating_sub(3)..=room).rev();
    // What has no beginning is no text.
    ends.find(begins).unwrap_or(room)
}

/// Writes all of `bytes`: as they are, or so that a terminal obeys nothing in them.
fn write(mut to: impl Write + IsTerminal, bytes: &[u8]) -> io::Result<()> {
    if to.is_terminal() {
        to.write_all(escaped_lines(bytes).as_bytes())?;
    } else {
        to.write_all(bytes)?;
    }
    to.flush()
}

/// stdin as guests have it.
#[derive(Clone, Debug)]
struct Stdin(Arc<Input>);

#[derive(Debug)]
struct Input {
    ahead: Arc<Ahead>,
    started: Once,
}

impl Drop for Input {
    fn drop(&mut self) {
        self.ahead.lock().ended = true;
        self.ahead.room.notify_one();
    }
}

/// What was read and the guest does not have yet.
#[derive(Debug)]
struct Ahead {
    state: Mutex<Read>,
    room: Condvar,
    platform: Arc<Std>,
}

#[derive(Debug, Default)]
struct Read {
    bytes: VecDeque<u8>,
    /// Whether no more comes, or nobody wants it.
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
}

impl Ahead {
    fn lock(&self) -> MutexGuard<'_, Read> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads to the end, no further ahead than there is room.
    fn fill(&self) {
        let (mut stdin, mut chunk) = (io::stdin().lock(), [0; 8 << 10]);
        loop {
            let read = match stdin.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // What can't be read has ended.
                read => chunk.get(..read.unwrap_or_default()).unwrap_or_default(),
            };
            let full = |state: &mut Read| state.bytes.len() >= MOST && !state.ended;
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
