//! The connection to NATS, and what a fleet keeps there.

use crate::{
    error::FleetError,
    names::{is_inbox_prefix, is_plain, unescaped},
};
use async_nats::{
    Client, ConnectOptions, ServerAddr,
    jetstream::{
        self, Context,
        context::ContextBuilder,
        kv::Store,
        object_store::{self, ObjectStore},
        stream::{self, DiscardPolicy, RetentionPolicy, StorageType},
    },
};
use std::{path::PathBuf, time::Duration};

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

/// Most bytes of the results that are kept, in the bucket of small ones and in that of large ones each.
const RESULT_BYTES: i64 = 1 << 30;

/// Time and number for which dead letters are kept.
const DEAD: (Duration, i64) = (Duration::from_secs(30 * 24 * 3_600), 100_000);

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
    /// Jobs' records, and their outputs.
    pub(crate) jobs: Store,
    /// Outputs that are too large for a message.
    pub(crate) outputs: ObjectStore,
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
            jobs: made
                .values("results", |config| {
                    config.max_age = RESULTS;
                    config.max_bytes = RESULT_BYTES;
                })
                .await?,
            outputs: made.objects("outputs", RESULTS, RESULT_BYTES).await?,
            objects: made.objects("plugins", Duration::ZERO, -1).await?,
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
            ..stream::Config::default()
        };
        made.stream("jobs", queue).await?;
        let (max_age, max_messages) = DEAD;
        let dead = stream::Config {
            subjects: vec![format!("{name}.dead.*")],
            max_age,
            max_messages,
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
        let read = connect.credentials_file(file).await;
        connect = read.map_err(|error| fail(format!("{}: {error}", file.display())))?;
    }
    if let Some(file) = &options.ca {
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
            subjects: vec![format!("$KV.{bucket}.>")],
            max_messages_per_subject: 1,
            discard: DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            // Read from the leader alone: another server may be behind it, and what is read is compared and swapped.
            allow_direct: false,
            num_replicas: self.replicas,
            ..stream::Config::default()
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
    async fn objects(
        &self,
        what: &str,
        max_age: Duration,
        max_bytes: i64,
    ) -> Result<ObjectStore, FleetError> {
        let bucket = format!("{}-{what}", self.name);
        if let Ok(store) = self.context.get_object_store(&bucket).await {
            return Ok(store);
        }
        let config = object_store::Config {
            bucket: bucket.clone(),
            max_age,
            max_bytes,
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

/// Returns whether an error of a change means that the revision is another one by now.
pub(crate) fn is_stale(error: &jetstream::kv::UpdateError) -> bool {
    error.kind() == jetstream::kv::UpdateErrorKind::WrongLastRevision
}
