//! The connection to NATS, and what a fleet keeps there.

use crate::{
    error::FleetError,
    names::{is_inbox_prefix, is_plain, token, unescaped},
};
use async_nats::{
    Client, ConnectOptions, ServerAddr,
    jetstream::{
        self, Context, ErrorCode,
        context::{ContextBuilder, GetStreamErrorKind},
        kv::Store,
        object_store::{self, ObjectStore},
        stream::{self, DiscardPolicy, RetentionPolicy, StorageType, Stream},
    },
};
use hostel_server::hostel::settings::read_text;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Time in which NATS has to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Most messages that wait in one subscription, such as calls that none of the worker's places is free for. Further ones are
/// dropped: each can have as many bytes as NATS allows.
const WAITING: usize = 2_048;

/// Least bytes of a message that NATS must take: a plugin's values are one.
pub(crate) const PAYLOAD: usize = 1 << 20;

/// Time after which a worker that is not heard of does not count any more.
pub(crate) const ALIVE: Duration = Duration::from_secs(5);

/// Time for which results, and the identifiers of jobs, are kept.
const RESULTS: Duration = Duration::from_secs(24 * 3_600);

/// Most bytes of the records and results of one plugin's jobs. NATS sets so many aside for each.
const RESULT_BYTES: i64 = 256 << 20;

/// Most jobs of one plugin that wait or run.
const JOBS: i64 = 10_000;

/// Time for which dead letters are kept, and most of one plugin: the oldest go.
const DEAD: (Duration, i64) = (Duration::from_secs(30 * 24 * 3_600), 10_000);

/// Most bytes of a file of credentials.
const CREDENTIALS: usize = 64 << 10;

/// Most bytes of a file of certificates. Those of a system have 0.3 MiB.
const CERTIFICATES: usize = 4 << 20;

/// How a fleet is reached.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// The servers of NATS, separated by commas: `nats://[USER:PASSWORD@]HOST[:PORT]`, or `tls://…`.
    pub servers: String,
    /// A file of credentials: a token and the key that belongs to it.
    pub credentials: Option<PathBuf>,
    /// A file of certificates that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// The fleet's name, with which all its subjects and buckets begin. Several fleets can share a NATS.
    pub fleet: String,
    /// The prefix of inboxes: this member's own, and those to which a worker sends replies.
    pub inbox: String,
    /// Number of servers of NATS that keep each bucket and stream, from 1 to 5, for those that are made anew.
    pub replicas: usize,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            servers: "nats://127.0.0.1:4222".into(),
            credentials: None,
            ca: None,
            fleet: "hostel".into(),
            inbox: "_INBOX".into(),
            replicas: 1,
        }
    }
}

/// A fleet: a connection to NATS and the buckets, streams and subjects that its members share.
#[derive(Clone)]
pub struct Fleet {
    pub(crate) name: String,
    /// The prefix of inboxes.
    pub(crate) inbox: String,
    /// Number of servers that keep a bucket which is made again.
    replicas: usize,
    pub(crate) client: Client,
    pub(crate) context: Context,
    /// The releases: one document.
    pub(crate) releases: Store,
    /// The workers that are alive, with their votes.
    pub(crate) workers: Store,
    /// Plugins' values: one document each.
    pub(crate) state: Store,
    /// The records and results of jobs by plugin, as far as they were used.
    results: Arc<Mutex<HashMap<String, Store>>>,
    /// Modules and settings by their SHA-256.
    pub(crate) objects: ObjectStore,
}

impl Fleet {
    /// Connects, and makes the buckets and streams that there are not yet.
    ///
    /// # Errors
    ///
    /// [`FleetError::Name`], [`FleetError::Inbox`], [`FleetError::Connect`], [`FleetError::MaxPayload`] or [`FleetError::Nats`].
    pub async fn connect(options: &FleetOptions) -> Result<Self, FleetError> {
        let name = options.fleet.clone();
        if !is_plain(&name) {
            return Err(FleetError::Name(name));
        }
        let inbox = options.inbox.clone();
        let reserved = inbox.split('.').next() == Some(&*name);
        if reserved || !is_inbox_prefix(&inbox) {
            return Err(FleetError::Inbox(inbox));
        }
        let client = connect(options).await?;
        let payload = client.max_payload();
        if payload < PAYLOAD {
            return Err(FleetError::MaxPayload(payload));
        }
        let context = ContextBuilder::new()
            .timeout(ANSWER)
            .ack_timeout(ANSWER)
            .build(client.clone());
        let made = Made {
            name: &name,
            context: &context,
            replicas: options.replicas,
        };
        let it = Self {
            releases: made.values("releases", |_| {}).await?,
            workers: made.workers().await?,
            state: made.values("state", |_| {}).await?,
            results: Arc::default(),
            objects: made.objects("plugins").await?,
            client,
            context: context.clone(),
            name: name.clone(),
            inbox,
            replicas: options.replicas,
        };
        let queue = stream::Config {
            subjects: vec![format!("{name}.job.*")],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            max_messages_per_subject: JOBS,
            discard_new_per_subject: true,
            ..stream::Config::default()
        };
        made.stream("jobs", queue).await?;
        let (max_age, max_messages_per_subject) = DEAD;
        let dead = stream::Config {
            subjects: vec![format!("{name}.dead.*")],
            max_age,
            max_messages_per_subject,
            ..stream::Config::default()
        };
        made.stream("dead", dead).await?;
        Ok(it)
    }

    /// Makes the bucket of workers again. It is in memory, so a NATS that was restarted has lost it.
    pub(crate) async fn renew_workers(&self) -> Result<(), FleetError> {
        let made = Made {
            name: &self.name,
            context: &self.context,
            replicas: self.replicas,
        };
        made.workers().await.map(drop)
    }

    /// Returns where the records and results of a plugin's jobs are; `None` if none was submitted yet.
    pub(crate) async fn find_results(&self, plugin: &str) -> Result<Option<Store>, FleetError> {
        if let Some(known) = self.known_results().get(plugin) {
            return Ok(Some(known.clone()));
        }
        match self.context.get_stream(self.results_name(plugin)).await {
            Ok(stream) => Ok(Some(self.keep_results(plugin, stream))),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(FleetError::nats("open a plugin's results")(error.into())),
            },
        }
    }

    /// Returns where the records and results of a plugin's jobs are, and makes it if it is missing: a stream of its own, of
    /// which NATS bounds the bytes.
    pub(crate) async fn make_results(&self, plugin: &str) -> Result<Store, FleetError> {
        if let Some(known) = self.find_results(plugin).await? {
            return Ok(known);
        }
        let subject = format!("{}>", self.results_prefix(plugin));
        let config = stream::Config {
            name: self.results_name(plugin),
            max_age: RESULTS,
            max_bytes: RESULT_BYTES,
            ..values(subject, self.replicas)
        };
        let made = self.context.create_stream(config).await;
        let made =
            made.map_err(|error| FleetError::nats("make a plugin's results")(error.into()))?;
        Ok(self.keep_results(plugin, made))
    }

    /// Forgets where they are: an operator may have removed the stream.
    pub(crate) fn forget_results(&self, plugin: &str) {
        self.known_results().remove(plugin);
    }

    /// Returns the name of the stream. No fleet has a `=` in its name: no stream of another one has this name.
    pub(crate) fn results_name(&self, plugin: &str) -> String {
        format!("{}-results={}", self.name, token(plugin))
    }

    fn results_prefix(&self, plugin: &str) -> String {
        format!("{}.result.{}.", self.name, token(plugin))
    }

    fn keep_results(&self, plugin: &str, stream: Stream) -> Store {
        let store = Store {
            name: self.results_name(plugin),
            stream_name: self.results_name(plugin),
            prefix: self.results_prefix(plugin),
            put_prefix: None,
            use_jetstream_prefix: false,
            stream,
        };
        self.known_results()
            .insert(plugin.to_owned(), store.clone());
        store
    }

    fn known_results(&self) -> MutexGuard<'_, HashMap<String, Store>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the name of the stream of jobs.
    pub(crate) fn queue(&self) -> String {
        format!("{}-jobs", self.name)
    }

    /// Returns the most bytes of a message's payload, with room for its headers.
    pub(crate) fn payload(&self) -> usize {
        self.client.max_payload().saturating_sub(8 << 10)
    }
}

async fn connect(options: &FleetOptions) -> Result<Client, FleetError> {
    // The texts of servers may hold passwords: no error names them.
    let fail = |reason: String| FleetError::Connect(reason);
    let mut servers = Vec::new();
    for text in options.servers.split(',') {
        let server: Result<ServerAddr, _> = text.trim().parse();
        servers.push(server.map_err(|_| {
            fail("expected nats://[USER:PASSWORD@]HOST[:PORT], several separated by commas".into())
        })?);
    }
    let mut connect = ConnectOptions::new()
        .name("hostel")
        .custom_inbox_prefix(&options.inbox)
        .subscription_capacity(WAITING)
        .connection_timeout(ANSWER)
        .request_timeout(Some(ANSWER))
        .max_reconnects(None)
        .reconnect_delay_callback(|attempt| {
            let millis = 50_u64.saturating_mul(u64::try_from(attempt).unwrap_or(u64::MAX));
            Duration::from_millis(millis.min(1_000))
        });
    // async-nats does not use them itself. All servers of one NATS have the same ones.
    let login = servers.iter().find_map(|server| {
        let decoded = |text: &str| unescaped(text, '%').unwrap_or_else(|| text.to_owned());
        let user = decoded(server.username()?);
        Some((user, decoded(server.password().unwrap_or_default())))
    });
    if let Some((user, password)) = login {
        connect = connect.user_and_password(user, password);
    }
    if let Some(file) = &options.credentials {
        let wrong = |error| fail(format!("{}: {error}", file.display()));
        let text = read_text(file, CREDENTIALS).map_err(wrong)?;
        connect = connect.credentials(&text).map_err(wrong)?;
    }
    if let Some(file) = &options.ca {
        // The client reads it whole.
        let read = read_text(file, CERTIFICATES);
        read.map_err(|error| fail(format!("{}: {error}", file.display())))?;
        connect = connect.add_root_certificates(file.clone());
    }
    let connected = connect.connect(servers).await;
    connected.map_err(|error| fail(error.to_string()))
}

/// What makes the buckets and streams of a fleet.
struct Made<'a> {
    name: &'a str,
    context: &'a Context,
    replicas: usize,
}

impl Made<'_> {
    /// Returns a bucket of values, of which the last one is kept.
    async fn values(
        &self,
        what: &str,
        change: impl FnOnce(&mut stream::Config),
    ) -> Result<Store, FleetError> {
        let bucket = format!("{}-{what}", self.name);
        let mut config = stream::Config {
            name: format!("KV_{bucket}"),
            ..values(format!("$KV.{bucket}.>"), self.replicas)
        };
        change(&mut config);
        self.get_or_create(config).await?;
        let store = self.context.get_key_value(&bucket).await;
        store.map_err(|error| FleetError::nats(&format!("open the bucket {bucket}"))(error.into()))
    }

    /// Returns the bucket of workers.
    async fn workers(&self) -> Result<Store, FleetError> {
        let change = |config: &mut stream::Config| {
            config.max_age = ALIVE;
            config.storage = StorageType::Memory;
        };
        self.values("workers", change).await
    }

    /// Returns a bucket of objects.
    async fn objects(&self, what: &str) -> Result<ObjectStore, FleetError> {
        let bucket = format!("{}-{what}", self.name);
        if let Ok(store) = self.context.get_object_store(&bucket).await {
            return Ok(store);
        }
        let config = object_store::Config {
            bucket: bucket.clone(),
            num_replicas: self.replicas,
            ..object_store::Config::default()
        };
        let store = self.context.create_object_store(config).await;
        store.map_err(|error| FleetError::nats(&format!("make the bucket {bucket}"))(error.into()))
    }

    async fn stream(&self, what: &str, config: stream::Config) -> Result<(), FleetError> {
        let name = format!("{}-{what}", self.name);
        let config = stream::Config {
            name,
            num_replicas: self.replicas,
            ..config
        };
        self.get_or_create(config).await
    }

    /// An operator may have made or changed the stream: it stays as it is.
    async fn get_or_create(&self, config: stream::Config) -> Result<(), FleetError> {
        let name = config.name.clone();
        let made = self.context.get_or_create_stream(config).await;
        made.map(drop)
            .map_err(|error| FleetError::nats(&format!("make the stream {name}"))(error.into()))
    }
}

/// Returns the settings of a stream of values, of which the last one of each subject is kept.
fn values(subject: String, replicas: usize) -> stream::Config {
    stream::Config {
        subjects: vec![subject],
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        // Read from the leader alone: another server may be behind it, and what is read is compared and swapped.
        allow_direct: false,
        num_replicas: replicas,
        ..stream::Config::default()
    }
}

/// Returns whether an error of a change means that the revision is another one by now.
pub(crate) fn is_stale(error: &jetstream::kv::UpdateError) -> bool {
    error.kind() == jetstream::kv::UpdateErrorKind::WrongLastRevision
}
