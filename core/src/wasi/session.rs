//! One instance's side of WASI, and what a single call of one of its functions can reach.

use super::{
    descriptors::Descriptors,
    errno::{Errno, Fail},
    grant::{Random, Wasi},
    output::{Pending, Stream},
};
use crate::{
    base::{fuel::Spending, shape::unsigned},
    call::{Shared, access::KeptSession, canceller::Canceller, meter::Meter},
    error::CallError,
    host_functions, memory,
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{any::Any, time::Duration};
use wasmi::Val;

/// What an instance has of WASI for itself. Begun at its first call of a WASI function.
pub(super) struct Session {
    grant: Arc<Wasi>,
    pub(super) descriptors: Descriptors,
    /// How much of stdin was read, where that is bytes.
    pub(super) stdin_at: usize,
    stdout: Pending,
    stderr: Pending,
    /// Bytes written by the running call: to the streams, and to files, or what these grew by.
    pub(super) written: usize,
    pub(super) file_written: u64,
    /// How many files, directories and links the running call has made.
    pub(super) created: u32,
    /// What random bytes follow from, where they follow from a seed.
    pub(super) random: u64,
    /// The platform's time when the instance first asked for it.
    pub(super) origin: Option<Duration>,
}

impl Session {
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
            random: match grant.random {
                Some(Random::Seed(seed)) => seed,
                _ => 0,
            },
            origin: None,
        }
    }

    pub(super) fn pending(&mut self, stream: Stream) -> &mut Pending {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// That of an instance, new where it has none.
    pub(super) fn kept<'a>(
        resident: &'a mut Option<Box<dyn KeptSession>>,
        grant: &Arc<Wasi>,
    ) -> Option<&'a mut Self> {
        let resident = resident.get_or_insert_with(|| Box::new(Self::new(grant)));
        let resident: &mut dyn Any = &mut **resident;
        resident.downcast_mut()
    }
}

impl KeptSession for Session {
    fn end_call(&mut self, shared: &Shared, meter: &mut Meter) {
        self.written = 0;
        self.file_written = 0;
        self.created = 0;
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

/// The parameters of a call. Their number and types were checked when the import was bound.
pub(super) struct Args<'a>(pub(super) &'a [Val]);

impl Args<'_> {
    pub(super) fn u32(&self, at: usize) -> u32 {
        match self.0.get(at) {
            Some(Val::I32(value)) => unsigned(*value),
            _ => 0,
        }
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        match self.0.get(at) {
            Some(Val::I64(value)) => value.cast_unsigned(),
            _ => 0,
        }
    }
}

/// One call of a WASI function.
pub(super) struct Call<'a> {
    /// The guest's memory; empty where it has none.
    pub(super) memory: &'a mut [u8],
    pub(super) session: &'a mut Session,
    pub(super) grant: &'a Wasi,
    pub(super) shared: &'a Shared,
    pub(super) meter: &'a mut Meter,
    pub(super) canceller: Option<&'a Canceller>,
    /// Whether it came by the old name, `wasi_unstable`, some of whose layouts differ.
    pub(super) old: bool,
    pub(super) spending: Spending<'a>,
    /// Since when a function waits, on the platform's clock, where it has waited.
    pub(super) begun: Option<Duration>,
}

impl Call<'_> {
    /// Charges for work that is about to be done.
    pub(super) fn charge(&mut self, units: u64) -> Result<(), Fail> {
        let spent = self.spending.spend(units);
        spent.map_err(|overdrawn| Fail::Stop(overdrawn.into()))
    }

    /// Fails where the call around this one must end now.
    pub(super) fn check(&self) -> Result<(), Fail> {
        let platform = &*self.shared.platform;
        Ok(self.meter.check(self.canceller, platform)?)
    }

    pub(super) fn bytes(&self, ptr: u32, len: u32) -> Result<&[u8], Fail> {
        Ok(memory::bytes(self.memory, ptr, len, "WASI call's buffer")?)
    }

    pub(super) fn bytes_mut(&mut self, ptr: u32, len: u32) -> Result<&mut [u8], Fail> {
        Ok(memory::bytes_mut(
            self.memory,
            ptr,
            len,
            "WASI call's buffer",
        )?)
    }

    /// Writes `bytes` at `ptr`.
    pub(super) fn put(&mut self, ptr: u32, bytes: &[u8]) -> Result<(), Fail> {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        self.bytes_mut(ptr, len)?.copy_from_slice(bytes);
        Ok(())
    }

    /// How many bytes the running call may still write to files.
    pub(super) fn written_room(&self) -> u64 {
        let limit = self.grant.file_limits.written_bytes;
        limit.saturating_sub(self.session.file_written)
    }
}

/// Does the embedder's work, a panic in which may be contained.
pub(super) fn contained<R>(shared: &Shared, work: impl FnOnce() -> R) -> Result<R, CallError> {
    host_functions::contained(&*shared.platform, || Ok(work()))
}
