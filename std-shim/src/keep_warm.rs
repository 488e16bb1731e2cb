//! Instances made ahead of their calls, by a thread that has time for it.

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

/// Keeps [`Limits::warm`](hostel_core::Limits::warm) instances ready of each plugin of `host`, on a
/// thread of its own that looks `every` so often, until what it gives is dropped.
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
/// Where the thread can't be started.
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

/// While it lives, a host is [kept warm](keep_warm). Dropping it waits for the thread to end what
/// it makes.
#[derive(Debug)]
pub struct KeptWarm {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for KeptWarm {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
