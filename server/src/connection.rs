//! Takes connections, and ends those that are idle or slow.

use crate::service::PluginService;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, Sleep, sleep, sleep_until},
};

/// Most bytes of a request's head.
const HEAD_BYTES: usize = 32 << 10;

/// Most headers of a request.
const HEADERS: usize = 64;

/// Time after which connections are taken again, if the system refuses one: it has no free descriptor.
const PAUSE: Duration = Duration::from_millis(100);

/// The bounds of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) connections: usize,
    pub(crate) head_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) drain_delay: Duration,
    pub(crate) drain_timeout: Duration,
}

/// Serves until `stop` changes, and for a while longer; then lets requests end, until the time for that has passed.
pub(crate) async fn serve(
    listener: TcpListener,
    service: PluginService,
    bounds: Bounds,
    mut stop: watch::Receiver<bool>,
) {
    let router = service.router();
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    let (close, closing) = watch::channel(false);
    let ends = async {
        // An error means that the sender has gone.
        let _ = stop.wait_for(|stops| *stops).await;
        sleep(bounds.drain_delay).await;
    };
    let mut ends = std::pin::pin!(ends);
    loop {
        // A place first: further connections wait in the system's queue.
        let taken = tokio::select! {
            taken = accept(&listener, &places) => taken,
            () = &mut ends => break,
        };
        let Ok((stream, place)) = taken else {
            sleep(PAUSE).await;
            continue;
        };
        let counted = service.shared.metrics.connection();
        let (router, closing) = (router.clone(), closing.clone());
        connections.spawn(async move {
            connection(stream, router, bounds, closing).await;
            drop((place, counted));
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let _ = close.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    // Requests that are not ready by then are dropped with their connections.
    let _ = tokio::time::timeout(bounds.drain_timeout, drained).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// Serves one connection.
async fn connection(
    stream: TcpStream,
    router: Router,
    bounds: Bounds,
    mut closing: watch::Receiver<bool>,
) {
    // Answers are written whole: waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Timed {
        stream,
        timeout: bounds.write_timeout,
        until: None,
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_timeout)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(stream, TowerToHyperService::new(router));
    let mut served = std::pin::pin!(served);
    // An error ends the connection: the client has gone, was too slow, or does not speak HTTP.
    tokio::select! {
        _ = served.as_mut() => {}
        () = async { drop(closing.wait_for(|closes| *closes).await) } => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
}

/// A connection that ends if the client takes no bytes for too long.
struct Timed {
    stream: TcpStream,
    timeout: Duration,
    /// Runs while a write waits.
    until: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    /// Passes a write's result on, or ends the wait for it.
    fn in_time<R>(
        &mut self,
        written: Poll<io::Result<R>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.until = None;
            return written;
        }
        let timeout = self.timeout;
        let until = self
            .until
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + timeout)));
        match until.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.in_time(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
