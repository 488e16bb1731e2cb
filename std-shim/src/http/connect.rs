//! Connections to addresses that were checked: ureq gets no name to resolve, and no other address to connect
//! to. Waits look for the request's end every few milliseconds.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use ureq::{
    Error, Timeout,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport},
    },
};

/// Longest wait without looking whether the request was given up.
const LOOK: Duration = Duration::from_millis(20);

/// When a request ends: at a time, or when it is given up.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) deadline: Instant,
    pub(super) given_up: Arc<AtomicBool>,
}

impl End {
    /// Returns the time that is left.
    pub(super) fn left(&self) -> Result<Duration, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match left.is_zero() || self.given_up.load(Ordering::Relaxed) {
            true => Err(Error::Timeout(Timeout::Global)),
            false => Ok(left),
        }
    }

    /// Calls `attempt` with times to wait, until it does not time out.
    fn retry<R>(&self, mut attempt: impl FnMut(Duration) -> io::Result<R>) -> Result<R, Error> {
        loop {
            let wait = self.left()?.min(LOOK);
            match attempt(wait) {
                Err(error) if is_retried(error.kind()) => {}
                result => return Ok(result?),
            }
        }
    }
}

fn is_retried(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(kind, Interrupted | TimedOut | WouldBlock)
}

/// Connects to one of these addresses, which were checked.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) end: End,
    /// The guest's own limit on the time until one of them has answered.
    pub(super) within: Option<Duration>,
}

impl Connector for Direct {
    type Out = Tcp;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let config = details.config;
        let mut last = Error::HostNotFound;
        let begun = Instant::now();
        for (at, address) in self.addresses.iter().enumerate() {
            // The time that is left is shared among the addresses that are left.
            let others = u32::try_from(self.addresses.len() - at).unwrap_or(u32::MAX);
            // A time of 0 would be an error of its own.
            let mut left = self.end.left()?;
            if let Some(within) = self.within {
                left = left.min(within.saturating_sub(begun.elapsed()));
            }
            let time = (left / others).max(Duration::from_millis(1));
            let stream = match TcpStream::connect_timeout(address, time) {
                Ok(stream) => stream,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    last = Error::Timeout(Timeout::Connect);
                    continue;
                }
                Err(error) => {
                    last = error.into();
                    continue;
                }
            };
            stream.set_nodelay(true)?;
            let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
            let end = self.end.clone();
            return Ok(Some(Tcp {
                stream,
                buffers,
                end,
            }));
        }
        Err(last)
    }
}

/// A resolver that resolves nothing: [`Direct`] has the addresses.
#[derive(Debug)]
pub(super) struct Resolved;

impl Resolver for Resolved {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// A connection.
pub(super) struct Tcp {
    stream: TcpStream,
    buffers: LazyBuffers,
    end: End,
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp").finish_non_exhaustive()
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let mut sent = 0;
        while sent < amount {
            let output = &self.buffers.output()[sent..amount];
            let stream = &mut self.stream;
            let written = self.end.retry(|wait| {
                stream.set_write_timeout(Some(wait))?;
                stream.write(output)
            })?;
            if written == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            sent += written;
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let input = self.buffers.input_append_buf();
        let stream = &mut self.stream;
        let amount = self.end.retry(|wait| {
            stream.set_read_timeout(Some(wait))?;
            stream.read(input)
        })?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // No connection is used again.
        false
    }
}
