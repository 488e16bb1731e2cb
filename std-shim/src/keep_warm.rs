//! Creates instances ahead of calls, on a thread of its own.

use hostel_core::Host;
use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Starts a thread that keeps [`Limits::warm`](hostel_core::Limits::warm) instances of each plugin of
/// `host` ready for calls. It creates missing ones each time `every` has passed, until the returned
/// value is dropped.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (func (export "f")))"#)?;
/// use hostel::{Engine, Grants, Host, Limits, Std, keep_warm};
/// use std::{sync::Arc, time::Duration};
///
/// let mut limits = Limits::server();
/// limits.warm = 2;
/// let host = Arc::new(Host::new(Engine::new(limits).with_platform(Std::new())));
/// let warm = keep_warm(host.clone(), Duration::from_millis(1))?;
/// let plugin = host.insert("name", &wasm, &Grants::new())?;
/// while plugin.pool_figures().idle < 2 {
///     std::thread::yield_now();
/// }
/// drop(warm);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The [`io::Error`] of the operating system if it can't start the thread.
pub fn keep_warm<T: Default + 'static>(host: Arc<Host<T>>, every: Duration) -> io::Result<KeptWarm>
where
    Host<T>: Send + Sync,
{
    let (stop, stopped) = mpsc::channel::<()>();
    let work = move || {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
            host.warm_up();
        }
    };
    let thread = thread::Builder::new()
        .name("hostel-warm".into())
        .spawn(work)?;
    Ok(KeptWarm {
        stop: Some(stop),
        thread: Some(thread),
    })
}

/// Keeps a host [warm](keep_warm) until it is dropped. Dropping it stops the thread, and waits for the
/// instance that the thread is creating.
#[derive(Debug)]
pub struct KeptWarm {
    /// Closed to stop the thread. Nothing is ever sent.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for KeptWarm {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
