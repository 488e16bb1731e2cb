//! The WASI state of one instance, and the context of one call of a WASI function.

#[cfg(feature = "component")]
use super::p2::resources::Resources;
use super::{
    descriptors::Descriptors,
    errno::{Errno, Fail},
    grant::{Random, Wasi},
    output::{Pending, Stream},
    paths::PATH,
};
use crate::{
    base::{fuel::Spending, shape::unsigned},
    call::{Shared, access::WasiState, canceller::Canceller, meter::Meter},
    error::CallError,
    host_functions, memory,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
#[cfg(feature = "component")]
use core::task::Waker;
use core::{any::Any, time::Duration};
use wasmi::Val;

/// The WASI state of one instance, created at its first call of a WASI function.
pub(super) struct Session {
    grant: Arc<Wasi>,
    pub(super) descriptors: Descriptors,
    /// Bytes of stdin read so far, if stdin is granted as bytes.
    pub(super) stdin_at: usize,
    stdout: Pending,
    stderr: Pending,
    /// Bytes that the running call has written to stdout and stderr.
    pub(super) written: usize,
    /// Bytes that the running call has written to files, or made them longer by.
    pub(super) file_written: u64,
    /// Files, directories and links that the running call has created.
    pub(super) created: u32,
    /// What a component's handles stand for.
    #[cfg(feature = "component")]
    pub(super) resources: Resources,
    /// What `insecure-seed` returned.
    #[cfg(feature = "component")]
    pub(super) insecure_seed: Option<(u64, u64)>,
    /// State of the random generator, if random bytes are granted by a seed.
    pub(super) random: u64,
    /// The platform's time when the guest first read the monotonic clock.
    pub(super) origin: Option<Duration>,
}

impl Session {
    /// Creates the state of a new instance.
    pub(super) fn new(grant: &Arc<Wasi>) -> Self {
        Self {
            grant: grant.clone(),
            descriptors: Descriptors::new(&grant.preopens),
            stdin_at: 0,
            stdout: Pending::default(),
            stderr: Pending::default(),
            written: 0,
            file_written: 0,
            created: 0,
            #[cfg(feature = "component")]
            resources: Resources::default(),
            #[cfg(feature = "component")]
            insecure_seed: None,
            random: match grant.random {
                Some(Random::Seed(seed)) => seed,
                _ => 0,
            },
            origin: None,
        }
    }

    /// Returns the bytes that the instance holds of a stream.
    pub(super) fn pending(&mut self, stream: Stream) -> &mut Pending {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Returns the bytes that the lists of all directories take which the guest is reading.
    pub(super) fn list_bytes(&self) -> usize {
        let bytes = self.descriptors.list_bytes();
        #[cfg(feature = "component")]
        let bytes = bytes.saturating_add(self.resources.list_bytes());
        bytes
    }

    /// Returns the state of an instance, and creates it if there is none.
    pub(super) fn of_instance<'a>(
        kept: &'a mut Option<Box<dyn WasiState>>,
        grant: &Arc<Wasi>,
    ) -> Option<&'a mut Self> {
        let kept = kept.get_or_insert_with(|| Box::new(Self::new(grant)));
        let kept: &mut dyn Any = &mut **kept;
        kept.downcast_mut()
    }
}

impl WasiState for Session {
    fn end_call(&mut self, shared: &Shared, meter: &mut Meter) {
        self.written = 0;
        self.file_written = 0;
        self.created = 0;
        #[cfg(feature = "component")]
        self.resources.end_call();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let grant = self.grant.clone();
            let to = grant.output(stream);
            self.pending(stream).end_call(to, shared, meter);
        }
    }

    fn take_stdout(&mut self) -> Vec<u8> {
        self.stdout.take(self.grant.output(Stream::Stdout))
    }

    fn take_stderr(&mut self) -> Vec<u8> {
        self.stderr.take(self.grant.output(Stream::Stderr))
    }
}

/// A call of preview 1: its parameters, and the memory in which their addresses lie.
pub(super) struct Args<'a> {
    /// Their number and types were checked when the import was bound, so that a wrong index or type, which
    /// reads as 0, does not occur.
    pub(super) values: &'a [Val],
    /// The guest's memory; empty if it has none.
    pub(super) memory: &'a mut [u8],
    /// Whether the guest imports the function from `wasi_unstable`, some of whose layouts differ.
    pub(super) unstable: bool,
}

impl Args<'_> {
    pub(super) fn u32(&self, at: usize) -> u32 {
        match self.values.get(at) {
            Some(Val::I32(value)) => unsigned(*value),
            _ => 0,
        }
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        match self.values.get(at) {
            Some(Val::I64(value)) => value.cast_unsigned(),
            _ => 0,
        }
    }

    /// Returns the path whose address is the parameter `ptr` and whose length is the parameter `len`: or
    /// `Nametoolong`, or `Fault`.
    pub(super) fn text(&self, ptr: usize, len: usize) -> Given<'_> {
        match self.u32(len) {
            0 => Ok(&[]),
            1..=PATH => {
                let bytes = memory::bytes(self.memory, self.u32(ptr), self.u32(len), "path");
                bytes.map_err(|_| Errno::Fault)
            }
            _ => Err(Errno::Nametoolong),
        }
    }

    /// Returns `len` bytes of the guest's memory at `ptr`, or `Fault`.
    pub(super) fn bytes(&self, ptr: u32, len: u32) -> Result<&[u8], Fail> {
        Ok(memory::bytes(self.memory, ptr, len, "WASI call's buffer")?)
    }

    /// Returns `len` bytes of the guest's memory at `ptr` for writing, or `Fault`.
    pub(super) fn bytes_mut(&mut self, ptr: u32, len: u32) -> Result<&mut [u8], Fail> {
        Ok(memory::bytes_mut(
            self.memory,
            ptr,
            len,
            "WASI call's buffer",
        )?)
    }

    /// Writes `bytes` to the guest's memory at `ptr`, or returns `Fault`.
    pub(super) fn put(&mut self, ptr: u32, bytes: &[u8]) -> Result<(), Fail> {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        self.bytes_mut(ptr, len)?.copy_from_slice(bytes);
        Ok(())
    }
}

/// The bytes of a path that a guest passed, or the reason why they can't be read. A function first looks at
/// its descriptor.
pub(super) type Given<'a> = Result<&'a [u8], Errno>;

/// The context of one call of a WASI function.
pub(super) struct Call<'a> {
    pub(super) session: &'a mut Session,
    pub(super) grant: &'a Wasi,
    pub(super) shared: &'a Shared,
    pub(super) meter: &'a mut Meter,
    pub(super) canceller: Option<&'a Canceller>,
    pub(super) spending: Spending<'a>,
    /// The platform's time at which the function first waited, kept from attempt to attempt.
    pub(super) waiting_since: Option<Duration>,
    /// Whether a guest that waits blocks the thread.
    #[cfg(feature = "component")]
    pub(super) blocks: bool,
    /// Woken when an HTTP response is there that the guest waits for.
    #[cfg(feature = "component")]
    pub(super) waker: &'a Waker,
    /// Bytes that the limit of memory leaves to the instance.
    #[cfg(feature = "component")]
    pub(super) memory_left: usize,
}

impl Call<'_> {
    /// Charges `units` of fuel for work that is about to be done. Fails if there is too little.
    pub(super) fn charge(&mut self, units: u64) -> Result<(), Fail> {
        let spent = self.spending.spend(units);
        spent.map_err(|overdrawn| Fail::EndCall(overdrawn.into()))
    }

    /// Fails if the guest's call is cancelled or past its deadline.
    pub(super) fn check(&self) -> Result<(), Fail> {
        let platform = &*self.shared.platform;
        Ok(self.meter.check(self.canceller, platform)?)
    }

    /// Returns how many bytes the running call may still write to files.
    pub(super) fn written_room(&self) -> u64 {
        let limit = self.grant.file_limits.written_bytes;
        limit.saturating_sub(self.session.file_written)
    }
}

/// Runs the embedder's code. If the platform contains panics, one in it becomes a trap.
pub(super) fn contained<R>(shared: &Shared, work: impl FnOnce() -> R) -> Result<R, CallError> {
    host_functions::contained(&*shared.platform, || Ok(work()))
}
