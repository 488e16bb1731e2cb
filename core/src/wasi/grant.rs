//! The grant of WASI: arguments, environment, streams, clocks, randomness and directories.

use super::{
    files::{Access, Directory, Limits},
    input::{Stdin, WasiInput},
    output::{Stream, WasiOutput},
};
use crate::error::Trap;
#[cfg(feature = "component")]
use crate::services::http::HttpClient;
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::time::Duration;

/// A grant of WASI preview 1, for guests built for `wasm32-wasip1`, with wasi-libc, TinyGo or Go; and of WASI
/// 0.2, for components.
///
/// A new grant gives access to nothing of the host. By default a guest gets no arguments, no environment,
/// no files, no time of day, no random bytes and an empty stdin, and its output is discarded. It has a
/// monotonic clock if the [`Platform`](crate::Platform) has a clock. Each method grants one thing more.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module
/// #   (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
/// #   (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
/// #   (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\03\00\00\00hi\n")
/// #   (func (export "_start")
/// #     (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
/// #     (call $exit (i32.const 3))))"#)?;
/// use hostel_core::{Engine, Grants, Wasi, WasiOutput};
///
/// let wasi = Wasi::new()
///     .args(["greet", "--loud"])
///     .env([("LANG", "en")])
///     .stdout(WasiOutput::buffer(1_000))
///     .random_seed(42);
/// let plugin = Engine::default().load("greet", &wasm, &Grants::new().wasi(wasi))?;
/// let mut instance = plugin.instantiate(())?;
/// assert_eq!(instance.run_command()?, 3); // the exit code
/// assert_eq!(instance.take_stdout(), b"hi\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Wasi {
    pub(super) args: Strings,
    pub(super) env: Strings,
    pub(super) stdin: Stdin,
    pub(super) stdin_is_terminal: bool,
    stdout: WasiOutput,
    stderr: WasiOutput,
    pub(super) realtime: Option<Arc<dyn Fn() -> Duration + Send + Sync>>,
    pub(super) resolution: Duration,
    pub(super) random: Option<Random>,
    pub(super) preopens: Vec<Preopen>,
    pub(super) file_limits: Limits,
    #[cfg(feature = "component")]
    pub(super) http: Option<Arc<dyn HttpClient>>,
    #[cfg(feature = "component")]
    pub(super) http_bytes: usize,
    #[cfg(feature = "component")]
    pub(super) http_response_bytes: usize,
}

/// Most bytes of headers and bodies of an instance by default, and of the body of one response.
#[cfg(feature = "component")]
const HTTP_BYTES: usize = 64 << 20;
#[cfg(feature = "component")]
const HTTP_RESPONSE_BYTES: usize = 16 << 20;

/// A granted directory, which the guest has open from the start.
#[derive(Clone)]
pub(super) struct Preopen {
    /// The guest's name for it.
    pub(super) name: Arc<str>,
    pub(super) access: Access,
    pub(super) directory: Arc<dyn Directory>,
}

/// The source of random bytes.
#[derive(Clone)]
pub(super) enum Random {
    Seed(u64),
    Source(Arc<Fill>),
}

/// An embedder's function that fills a buffer with random bytes.
type Fill = dyn Fn(&mut [u8]) -> Result<(), Trap> + Send + Sync;

/// The arguments or the environment, each string followed by a NUL, as guests get them.
#[derive(Clone, Default)]
pub(super) struct Strings {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u32,
}

impl Strings {
    /// Adds the string made of `parts`, cut at its first NUL.
    fn push(&mut self, parts: &[&str]) {
        let bytes = parts.iter().flat_map(|part| part.bytes());
        self.bytes.extend(bytes.take_while(|byte| *byte != 0));
        self.bytes.push(0);
        self.count = self.count.saturating_add(1);
    }
}

impl Wasi {
    /// Creates a grant of the functions alone, with clocks of 1 ms resolution and
    /// [`Limits::server`]. See [`Wasi`] for the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            args: Strings::default(),
            env: Strings::default(),
            stdin: Stdin::Bytes(Arc::default()),
            stdin_is_terminal: false,
            stdout: WasiOutput::discard(),
            stderr: WasiOutput::discard(),
            realtime: None,
            resolution: Duration::from_millis(1),
            random: None,
            preopens: Vec::new(),
            file_limits: Limits::server(),
            #[cfg(feature = "component")]
            http: None,
            #[cfg(feature = "component")]
            http_bytes: HTTP_BYTES,
            #[cfg(feature = "component")]
            http_response_bytes: HTTP_RESPONSE_BYTES,
        }
    }

    /// Adds arguments; none by default. By convention, the first is the program's name. Each is cut at
    /// its first NUL.
    #[must_use]
    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.args.push(&[arg.as_ref()]);
        }
        self
    }

    /// Adds environment variables; none by default. Each `KEY=value` is cut at its first NUL.
    #[must_use]
    pub fn env<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        for (key, value) in variables {
            self.env.push(&[key.as_ref(), "=", value.as_ref()]);
        }
        self
    }

    /// Sets stdin to `bytes`, which each instance reads from the start. Empty by default.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Box<[u8]>>) -> Self {
        self.stdin = Stdin::Bytes(Arc::from(bytes.into()));
        self.stdin_is_terminal = false;
        self
    }

    /// Sets stdin to `source`. All instances of the plugin share it, so each byte goes to one of them.
    #[must_use]
    pub fn stdin_from(mut self, source: impl WasiInput) -> Self {
        self.stdin_is_terminal = source.is_terminal();
        self.stdin = Stdin::Source(Arc::new(source));
        self
    }

    /// Sends stdout to `output`. By default it is [discarded](WasiOutput::discard).
    #[must_use]
    pub fn stdout(mut self, output: WasiOutput) -> Self {
        self.stdout = output;
        self
    }

    /// Sends stderr to `output`. By default it is [discarded](WasiOutput::discard).
    #[must_use]
    pub fn stderr(mut self, output: WasiOutput) -> Self {
        self.stderr = output;
        self
    }

    /// Grants the time of day. `now` returns the time since 1970-01-01 00:00 UTC. By default the guest
    /// gets [`Errno::Notsup`](super::files::Errno::Notsup) for this clock.
    #[must_use]
    pub fn realtime(mut self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.realtime = Some(Arc::new(now));
        self
    }

    /// Sets the resolution of all clocks; 1 ms by default, and at least 1 ns. Readings are rounded down
    /// to a multiple of it. A fine clock lets a guest measure other programs on the same processor.
    #[must_use]
    pub fn resolution(mut self, resolution: Duration) -> Self {
        self.resolution = resolution.max(Duration::from_nanos(1));
        self
    }

    /// Grants random bytes. `fill` must fill the whole buffer, which has 1 to 65,536 bytes. If it returns
    /// an error, the guest is stopped. By default the guest gets
    /// [`Errno::Notsup`](super::files::Errno::Notsup). Replaces [`random_seed`](Self::random_seed).
    #[must_use]
    pub fn random(
        mut self,
        fill: impl Fn(&mut [u8]) -> Result<(), Trap> + Send + Sync + 'static,
    ) -> Self {
        self.random = Some(Random::Source(Arc::new(fill)));
        self
    }

    /// Grants pseudo-random bytes derived from `seed`. Each instance gets an identical sequence, so that
    /// calls are repeatable. The bytes are predictable: don't let guests make keys of them. Replaces
    /// [`random`](Self::random).
    #[must_use]
    pub fn random_seed(mut self, seed: u64) -> Self {
        self.random = Some(Random::Seed(seed));
        self
    }

    /// Grants a directory, which the guest sees under `name`, such as `/data`. The first one gets the
    /// descriptor 3, the next one 4, and so on. All instances of the plugin share the directory. `name`
    /// is cut at its first NUL.
    ///
    /// `hostel::directory` (with the feature `files`) opens a directory of the operating system.
    #[must_use]
    pub fn directory(mut self, name: &str, access: Access, directory: impl Directory) -> Self {
        let name = name.split('\0').next().unwrap_or_default();
        self.preopens.push(Preopen {
            name: name.into(),
            access,
            directory: Arc::new(directory),
        });
        self
    }

    /// Sets the limits on each instance's use of files; [`Limits::server`] by default.
    #[must_use]
    pub const fn file_limits(mut self, limits: Limits) -> Self {
        self.file_limits = limits;
        self
    }

    /// Grants HTTP to components, by `wasi:http`: their requests are sent by `client`, at most 16 of an instance at
    /// one time. By default each request is denied: the guest gets `HTTP-request-denied`.
    ///
    /// A guest that waits for a response is suspended, as for an [`Async`](crate::Async) host function: a deadline
    /// or a canceller ends the wait. Requests that are on their way when a call ends are given up. A request costs
    /// [`HttpClient::cost`] units of fuel, besides the bytes of the request and the response. If a request fails,
    /// the guest gets an `error-code`, and the reason is a record in the sink of the
    /// [log](crate::Grants::log).
    #[cfg(feature = "component")]
    #[must_use]
    pub fn http(mut self, client: impl HttpClient) -> Self {
        self.http = Some(Arc::new(client));
        self
    }

    /// Sets the most bytes of headers and bodies that an instance holds, those of requests and responses on their
    /// way included. Together with the guest's own memory they are within
    /// [`Limits::memory_bytes`](crate::Limits::memory_bytes) too. Default: 64 MiB.
    #[cfg(feature = "component")]
    #[must_use]
    pub const fn http_bytes(mut self, bytes: usize) -> Self {
        self.http_bytes = bytes;
        self
    }

    /// Sets the most bytes of the body of one response. Default: 16 MiB.
    #[cfg(feature = "component")]
    #[must_use]
    pub const fn http_response_bytes(mut self, bytes: usize) -> Self {
        self.http_response_bytes = bytes;
        self
    }

    /// Returns the destination of a stream.
    pub(super) const fn output(&self, stream: Stream) -> &WasiOutput {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }
}

impl Default for Wasi {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Wasi {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Only the numbers of arguments and variables, since their text may contain secrets.
        f.debug_struct("Wasi")
            .field("args", &self.args.count)
            .field("env", &self.env.count)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .field("resolution", &self.resolution)
            .field("directories", &self.preopens.len())
            .finish_non_exhaustive()
    }
}
