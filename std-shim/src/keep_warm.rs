//! Creates instances ahead of calls, on a thread of its own.

use hostel_core::{ErrorClass, Host};
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Longest time for which a plugin whose start fails is left alone.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// Starts a thread that keeps [`Limits::warm`](hostel_core::Limits::warm) instances of each plugin of
/// `host` ready for calls. It creates missing ones each time `every` has passed, until the returned
/// value is dropped.
///
/// A plugin whose start fails is left alone for 20 times as long as that took, and for twice as long
/// after each further failure, 5 minutes at most: a start that never ends costs a few percent of a
/// processor at first, and then next to nothing. A new version of it is tried at once.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (func (export "f")))"#)?;
/// use hostel::{Grants, Host, Limits, keep_warm};
/// use std::{sync::Arc, time::Duration};
///
/// let mut limits = Limits::server();
/// limits.warm = 2;
/// let host = Arc::new(Host::new(hostel::engine_with(limits)));
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
        let mut failed = HashMap::new();
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
            warm_up(&host, &mut failed);
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

/// A plugin whose start failed.
struct Failed {
    /// The number of its version.
    version: usize,
    /// How long it is left alone, and until when.
    rest: Duration,
    until: Instant,
}

/// Warms up the plugins of `host`, but those that failed a short time ago.
fn warm_up<T: Default + 'static>(host: &Host<T>, failed: &mut HashMap<String, Failed>) {
    let names = host.list();
    failed.retain(|name, _| names.binary_search(name).is_ok());
    for name in names {
        // It may be gone by now, or replaced: then the next round finds what is there.
        let (Ok(version), Ok(plugin)) = (host.version(&name), host.get(&name)) else {
            continue;
        };
        let version = version.number;
        let before = failed.get(&name).filter(|before| before.version == version);
        if before.is_some_and(|before| Instant::now() < before.until) {
            continue;
        }
        let begun = Instant::now();
        match plugin.warm_up() {
            Ok(_) => {
                failed.remove(&name);
            }
            // Not the guest's fault: its instances are in use, or the heap is full.
            Err(error) if error.class() == ErrorClass::Host => {}
            Err(_) => {
                let doubled = before.map_or(Duration::ZERO, |before| before.rest * 2);
                let rest = doubled.max(begun.elapsed() * 20).min(LONGEST_REST);
                let until = Instant::now() + rest;
                let now = Failed {
                    version,
                    rest,
                    until,
                };
                failed.insert(name, now);
            }
        }
    }
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
