//! A WASI command's stdin, stdout and stderr: the program's own.

use super::output;
use hostel::{Platform as _, Std, Trap, Wasi, WasiInput, WasiOutput};
use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Read as _, Write},
    sync::{
        Arc, Condvar, Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Most bytes that are read ahead of the guest.
const AHEAD: usize = 64 << 10;

/// `wasi` with the three streams. `unread` becomes true where the guest is stopped because nobody
/// reads what it writes.
pub(super) fn pass_through(wasi: Wasi, platform: Arc<Std>, unread: &Arc<AtomicBool>) -> Wasi {
    wasi.stdin_from(Stdin::new(platform))
        .stdout(to(io::stdout, unread.clone()))
        .stderr(to(io::stderr, unread.clone()))
}

/// Output to one of the program's streams: as it is, or so that a terminal obeys nothing in it.
fn to<W>(stream: fn() -> W, unread: Arc<AtomicBool>) -> WasiOutput
where
    W: Write + IsTerminal + 'static,
{
    WasiOutput::to(move |bytes| {
        let mut stream = stream();
        let written = if stream.is_terminal() {
            stream.write_all(output::visible_lines(bytes).as_bytes())
        } else {
            stream.write_all(bytes)
        };
        written.and_then(|()| stream.flush()).map_err(|error| {
            let broken = error.kind() == io::ErrorKind::BrokenPipe;
            unread.fetch_or(broken, Ordering::Relaxed);
            Trap::host(format!("its output can't be written: {error}"))
        })
    })
}

/// stdin, read by a thread of its own, so that a guest that waits for it still has its deadline.
struct Stdin {
    shared: Arc<Ahead>,
    started: Once,
}

/// What was read and the guest does not have yet.
struct Ahead {
    state: Mutex<State>,
    room: Condvar,
    platform: Arc<Std>,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    ended: bool,
}

impl Stdin {
    fn new(platform: Arc<Std>) -> Self {
        let shared = Arc::new(Ahead {
            state: Mutex::default(),
            room: Condvar::new(),
            platform,
        });
        let started = Once::new();
        Self { shared, started }
    }
}

impl WasiInput for Stdin {
    fn read(&self, into: &mut [u8]) -> Result<usize, Trap> {
        let mut state = self.shared.lock();
        let read = state.bytes.read(into).unwrap_or_default();
        self.shared.room.notify_one();
        Ok(read)
    }

    fn ready(&self) -> bool {
        self.started.call_once(|| {
            let shared = self.shared.clone();
            thread::spawn(move || shared.fill());
        });
        let state = self.shared.lock();
        state.ended || !state.bytes.is_empty()
    }
}

impl Ahead {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
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
            let full = |state: &mut State| state.bytes.len() >= AHEAD;
            let waited = self.room.wait_while(self.lock(), full);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            state.bytes.extend(read);
            state.ended = read.is_empty();
            let ended = state.ended;
            drop(state);
            self.platform.wake();
            if ended {
                return;
            }
        }
    }
}
