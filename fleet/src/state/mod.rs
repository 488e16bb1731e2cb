//! Plugins' values in NATS: read and changed by each call, or by a job as a whole.

mod document;

pub(crate) use self::document::{Document, MOST_JOBS};

use crate::{
    connect::{Fleet, is_stale},
    error::FleetError,
    names::token,
};
use hostel_server::{
    Around,
    hostel::{StateCosts, StateError, StateStore, StateUse},
};
use std::{
    cell::RefCell,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};
use tokio::runtime::Handle;

/// Most attempts to change a document that others change at the same time.
const ATTEMPTS: u32 = 50;

/// Longest time for which a guest's host function waits for NATS.
const WAIT: Duration = Duration::from_secs(10);

/// A document, and the revision at which it was read; 0 if there was none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    pub(crate) document: Document,
    pub(crate) revision: u64,
}

impl Fleet {
    /// Reads the values of a plugin.
    pub(crate) async fn read_state(&self, namespace: &str) -> Result<Read, FleetError> {
        let entry = self.state.entry(token(namespace)).await;
        let entry =
            entry.map_err(|error| FleetError::nats("read a plugin's values")(error.into()))?;
        match entry {
            None => Ok(Read::default()),
            Some(entry) => Ok(Read {
                document: Document::decode(&entry.value)?,
                revision: entry.revision,
            }),
        }
    }

    /// Writes the values of a plugin, if they are still at `revision`. Returns whether they were. After an error, they may
    /// be written or not.
    pub(crate) async fn write_state(
        &self,
        namespace: &str,
        document: &Document,
        revision: u64,
    ) -> Result<bool, FleetError> {
        let bytes = document.encode().into();
        match self.state.update(token(namespace), bytes, revision).await {
            Ok(_) => Ok(true),
            Err(error) if is_stale(&error) => Ok(false),
            Err(error) => Err(FleetError::nats("write a plugin's values")(error.into())),
        }
    }
}

/// A [`StateStore`] in NATS, for all workers. A job's guest reads and changes a copy instead, which is written as a whole
/// when the job is done.
///
/// Each function waits for the network, for 10 s at most; none may be called on a thread of the runtime. The limits of a
/// namespace are those of `StateLimits::server`, but for 512 KiB in all.
pub struct FleetState {
    fleet: Fleet,
    runtime: Handle,
}

thread_local! {
    /// The values of the job whose guest runs on this thread.
    static JOB: RefCell<Option<Arc<JobValues>>> = const { RefCell::new(None) };
}

/// The copy of a plugin's values on which a job works.
pub(crate) struct JobValues {
    namespace: String,
    /// `None` if the plugin had no grant of values when the job began. One that was loaded since with the grant gets an
    /// error, so that the job is repeated: it must not change the values directly.
    document: Mutex<Option<Document>>,
}

impl JobValues {
    pub(crate) fn new(namespace: &str, document: Option<Document>) -> Arc<Self> {
        Arc::new(Self {
            namespace: namespace.to_owned(),
            document: Mutex::new(document),
        })
    }

    /// Returns the copy, with what the job has changed.
    pub(crate) fn take(&self) -> Option<Document> {
        self.document().take()
    }

    fn document(&self) -> MutexGuard<'_, Option<Document>> {
        self.document.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what runs each slice of the job's guest with these values.
    pub(crate) fn around(self: &Arc<Self>) -> Around {
        /// Takes the values away also if the guest's host panics.
        struct Reset(Option<Arc<JobValues>>);
        impl Drop for Reset {
            fn drop(&mut self) {
                JOB.set(self.0.take());
            }
        }
        let values = self.clone();
        Arc::new(move |slice| {
            let _reset = Reset(JOB.replace(Some(values.clone())));
            slice();
        })
    }
}

impl Fleet {
    /// Returns the store of plugins' values. `runtime` speaks with NATS for it.
    #[must_use]
    pub fn state(&self, runtime: Handle) -> FleetState {
        FleetState {
            fleet: self.clone(),
            runtime,
        }
    }
}

impl FleetState {
    /// Runs `work` on the values of the job that runs on this thread, if there is one.
    fn of_job<R>(
        namespace: &str,
        work: impl FnOnce(&mut Document) -> R,
    ) -> Option<Result<R, StateError>> {
        JOB.with_borrow(|job| {
            let values = job.as_ref()?;
            let mut document = values.document();
            let document = document.as_mut().filter(|_| values.namespace == namespace);
            Some(document.map(work).ok_or(StateError::Failed))
        })
    }

    /// Waits for NATS on this thread, which is one of those that may wait: see `Terms::may_block`. The work itself runs on
    /// the runtime's threads, so that no thread can wait for itself.
    fn wait<R: Send + 'static>(
        &self,
        namespace: &str,
        work: impl Future<Output = Result<R, FleetError>> + Send + 'static,
    ) -> Result<R, StateError> {
        let (send, receive) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // The receiver may have gone: it waits for a bounded time.
            let _ = send.send(work.await);
        });
        let reason = match receive.recv_timeout(WAIT) {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "NATS did not answer in time".to_owned(),
        };
        tracing::error!(target: "hostel::state", plugin = namespace, "{reason}");
        Err(StateError::Failed)
    }

    fn read(&self, namespace: &str) -> Result<Document, StateError> {
        let (fleet, name) = (self.fleet.clone(), namespace.to_owned());
        let read = self.wait(namespace, async move { fleet.read_state(&name).await })?;
        Ok(read.document)
    }

    /// Changes the values of a plugin. `change` may run several times.
    fn change<R>(
        &self,
        namespace: &str,
        change: impl Fn(&mut Document) -> Result<R, StateError>,
    ) -> Result<R, StateError> {
        for attempt in 0..ATTEMPTS {
            let (fleet, name) = (self.fleet.clone(), namespace.to_owned());
            let mut read = self.wait(namespace, async move { fleet.read_state(&name).await })?;
            let before = read.document.clone();
            let changed = change(&mut read.document)?;
            if read.document == before {
                return Ok(changed);
            }
            let (fleet, name) = (self.fleet.clone(), namespace.to_owned());
            let written = self.wait(namespace, async move {
                let Read { document, revision } = read;
                fleet.write_state(&name, &document, revision).await
            })?;
            if written {
                return Ok(changed);
            }
            // Others were faster: one of them each time, so that all get on.
            let pause = u64::from(attempt % 8).saturating_mul(500);
            std::thread::sleep(Duration::from_micros(pause));
        }
        tracing::error!(target: "hostel::state", plugin = namespace, "others change the values all the time");
        Err(StateError::Failed)
    }
}

impl StateStore for FleetState {
    fn costs(&self) -> StateCosts {
        // Each waits for the network.
        StateCosts {
            read: 20_000,
            scan: 500,
            write: 200_000,
        }
    }

    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Arc<[u8]>>, StateError> {
        document::limits().check_key(key)?;
        if let Some(value) = Self::of_job(namespace, |it| it.values.get(key).cloned()) {
            return value;
        }
        Ok(self.read(namespace)?.values.remove(key))
    }

    fn set(&self, namespace: &str, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.set_if(namespace, key, value, &|_| true).map(drop)
    }

    fn set_if(
        &self,
        namespace: &str,
        key: &[u8],
        value: &[u8],
        fits: &dyn Fn(StateUse) -> bool,
    ) -> Result<bool, StateError> {
        if let Some(set) = Self::of_job(namespace, |it| it.set(key, value, fits)) {
            return set?;
        }
        self.change(namespace, |it| it.set(key, value, fits))
    }

    fn delete(&self, namespace: &str, key: &[u8]) -> Result<(), StateError> {
        document::limits().check_key(key)?;
        if let Some(removed) = Self::of_job(namespace, |it| it.values.remove(key)) {
            return removed.map(drop);
        }
        self.change(namespace, |it| {
            it.values.remove(key);
            Ok(())
        })
    }

    fn list(
        &self,
        namespace: &str,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), StateError> {
        let limits = document::limits();
        limits.check_key(prefix)?;
        limits.check_key(after.unwrap_or_default())?;
        if let Some(listed) = Self::of_job(namespace, |it| it.list(prefix, after, visit)) {
            return listed;
        }
        self.read(namespace)?.list(prefix, after, visit);
        Ok(())
    }

    fn used(&self, namespace: &str) -> Result<StateUse, StateError> {
        match Self::of_job(namespace, |it| it.used()) {
            Some(used) => used,
            None => Ok(self.read(namespace)?.used()),
        }
    }
}
