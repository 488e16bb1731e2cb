//! What of WASI is granted: the words that a guest sees, its streams, clock and randomness.

use super::{
    files::{Access, Directory, Limits},
    input::{Stdin, WasiInput},
    output::{Stream, WasiOutput},
};
use crate::error::Trap;
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::time::Duration;

/// A grant of WASI preview 1, for guests built for `wasm32-wasip1`, with wasi-libc, TinyGo or Go.
///
/// Nothing of the host's shows through it. At first a guest sees no arguments, no environment, no
/// files and an empty stdin; its output is discarded; it has a monotonic clock where the
/// [`Platform`](crate::Platform) has one, but neither the time of day nor randomness.
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
    pub(super) args: Words,
    pub(super) env: Words,
    pub(super) stdin: Stdin,
    stdout: WasiOutput,
    stderr: WasiOutput,
    pub(super) realtime: Option<Arc<dyn Fn() -> Duration + Send + Sync>>,
    pub(super) resolution: Duration,
    pub(super) random: Option<Random>,
    pub(super) preopens: Vec<Preopen>,
    pub(super) file_limits: Limits,
}

/// A directory that a guest has open from the start.
#[derive(Clone)]
pub(super) struct Preopen {
    /// The guest's name for it.
    pub(super) name: Arc<str>,
    pub(super) access: Access,
    pub(super) directory: Arc<dyn Directory>,
}

/// Where random bytes come from.
#[derive(Clone)]
pub(super) enum Random {
    Seed(u64),
    Source(Arc<Fill>),
}

/// An embedder's function that makes random bytes.
type Fill = dyn Fn(&mut [u8]) -> Result<(), Trap> + Send + Sync;

/// Arguments, or the environment: each with a NUL after it, as guests get them.
#[derive(Clone, Default)]
pub(super) struct Words {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u32,
}

impl Words {
    /// Adds a word made of `parts`, up to the first NUL.
    fn push(&mut self, parts: &[&str]) {
        let bytes = parts.iter().flat_map(|part| part.bytes());
        self.bytes.extend(bytes.take_while(|byte| *byte != 0));
        self.bytes.push(0);
        self.count = self.count.saturating_add(1);
    }
}

impl Wasi {
    /// A grant of nothing but the functions themselves, with clocks of 1 ms.
    #[must_use]
    pub fn new() -> Self {
        Self {
            args: Words::default(),
            env: Words::default(),
            stdin: Stdin::Bytes(Arc::default()),
            stdout: WasiOutput::discard(),
            stderr: WasiOutput::discard(),
            realtime: None,
            resolution: Duration::from_millis(1),
            random: None,
            preopens: Vec::new(),
            file_limits: Limits::server(),
        }
    }

    /// Adds arguments. The first of all is by custom the program's name. A guest sees each up to
    /// its first NUL.
    #[must_use]
    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.args.push(&[arg.as_ref()]);
        }
        self
    }

    /// Adds environment variables. A guest sees each up to its first NUL.
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

    /// Gives these bytes as stdin, to each instance from the start.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Box<[u8]>>) -> Self {
        self.stdin = Stdin::Bytes(Arc::from(bytes.into()));
        self
    }

    /// Gives what `source` has as stdin. All instances of the plugin share it.
    #[must_use]
    pub fn stdin_from(mut self, source: impl WasiInput) -> Self {
        self.stdin = Stdin::Source(Arc::new(source));
        self
    }

    /// Where stdout goes.
    #[must_use]
    pub fn stdout(mut self, output: WasiOutput) -> Self {
        self.stdout = output;
        self
    }

    /// Where stderr goes.
    #[must_use]
    pub fn stderr(mut self, output: WasiOutput) -> Self {
        self.stderr = output;
        self
    }

    /// Grants the time of day: `now` answers the time since the beginning of 1970, in UTC.
    #[must_use]
    pub fn realtime(mut self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.realtime = Some(Arc::new(now));
        self
    }

    /// How finely clocks tell time, at least 1 ns; 1 ms at first. A fine clock lets a guest measure
    /// what it shares a processor with.
    #[must_use]
    pub fn resolution(mut self, resolution: Duration) -> Self {
        self.resolution = resolution.max(Duration::from_nanos(1));
        self
    }

    /// Grants random bytes that `fill` makes, at most 64 KiB at a time. An error stops the guest.
    #[must_use]
    pub fn random(
        mut self,
        fill: impl Fn(&mut [u8]) -> Result<(), Trap> + Send + Sync + 'static,
    ) -> Self {
        self.random = Some(Random::Source(Arc::new(fill)));
        self
    }

    /// Grants bytes that look random and follow from `seed`, the same ones in each instance: for
    /// calls that can be repeated. They are no secret: keys made of them are not safe.
    #[must_use]
    pub fn random_seed(mut self, seed: u64) -> Self {
        self.random = Some(Random::Seed(seed));
        self
    }

    /// Grants a directory, which the guest finds under `name`, such as `/data`, at the descriptor 3;
    /// further ones at 4 and so on. All instances of the plugin share it. A name is cut at its first
    /// NUL.
    ///
    /// On a machine with files, `hostel::directory` makes one of a directory there.
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

    /// Limits what each instance may have of files; [`Limits::server`] at first.
    #[must_use]
    pub const fn file_limits(mut self, limits: Limits) -> Self {
        self.file_limits = limits;
        self
    }

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
        // Not the words themselves: there may be secrets among them.
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
