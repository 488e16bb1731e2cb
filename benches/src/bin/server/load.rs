//! A client that makes calls on connections that stay open, and notes how long each takes.

use super::Result;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

/// Times of calls, in no order.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn merged(parts: Vec<Self>) -> Self {
        let mut all: Vec<_> = parts.into_iter().flat_map(|part| part.0).collect();
        all.sort_unstable();
        Self(all)
    }

    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the time within which this part of the calls ended. Of merged times.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let at = (self.0.len().saturating_sub(1) as f64 * part) as usize;
        self.0.get(at).copied().unwrap_or_default()
    }
}

/// Calls a plugin on each connection again and again.
pub(crate) fn closed_loop(
    address: SocketAddr,
    plugin: &str,
    connections: usize,
    time: Duration,
) -> Result<Latencies> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let end = Instant::now() + time;
    let plugin = plugin.to_owned();
    runtime.block_on(async move {
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let mut connection = Connection::open(address, &plugin).await?;
            tasks.spawn(async move {
                let mut times = Vec::new();
                while let Some(left) = end.checked_duration_since(Instant::now()) {
                    let began = Instant::now();
                    // A call that never ends is dropped with its connection.
                    match timeout(left, connection.call()).await {
                        Ok(Some(())) => times.push(began.elapsed()),
                        Ok(None) | Err(_) => break,
                    }
                }
                times
            });
        }
        Ok(Latencies(tasks.join_all().await.concat()))
    })
}

/// Calls a plugin so many times a second. A call's time begins when it was due.
pub(crate) fn paced(
    address: SocketAddr,
    plugin: &str,
    by_second: u64,
    time: Duration,
) -> Result<Latencies> {
    /// Connections that share the calls, so that a slow one delays no other.
    const CONNECTIONS: u32 = 4;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let each = Duration::from_secs_f64(f64::from(CONNECTIONS) / by_second as f64);
    let end = Instant::now() + time;
    let plugin = plugin.to_owned();
    runtime.block_on(async move {
        let mut tasks = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let mut connection = Connection::open(address, &plugin).await?;
            tasks.spawn(async move {
                let mut times = Vec::new();
                let mut ticks = interval(each);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                while Instant::now() < end {
                    let due = ticks.tick().await.into_std();
                    if connection.call().await.is_none() {
                        break;
                    }
                    times.push(due.elapsed());
                }
                times
            });
        }
        Ok(Latencies(tasks.join_all().await.concat()))
    })
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr, plugin: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "POST /v1/plugins/{plugin} HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 11\r\n\r\nhello world"
        );
        Ok(Self {
            stream,
            request: request.into_bytes(),
            answer: Vec::new(),
        })
    }

    /// Makes one call. `None` if the server has closed the connection.
    async fn call(&mut self) -> Option<()> {
        self.stream.write_all(&self.request).await.ok()?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await.ok()? == 0 {
                return None;
            }
            if is_whole(&self.answer) {
                return Some(());
            }
        }
    }
}

/// Returns whether an answer has all its bytes.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| length.parse() == Ok(body.len()))
}
