//! HTTP for plugins: to hosts that are allowed, with secrets that no plugin sees.

mod addresses;
mod allowed;
mod connect;
mod pending;
mod secrets;
mod send;
mod url;

pub use self::allowed::AllowedHosts;

use self::{connect::End, pending::Running, secrets::Secrets};
use hostel_core::{HttpClient, HttpError, HttpRequest, PendingHttp};
use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, ToSocketAddrs as _},
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::{Duration, Instant},
};

/// Longest time of a request by default.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Most requests at one time by default.
const REQUESTS: usize = 16;

/// Most redirects of a request by default.
const REDIRECTS: u32 = 10;

/// Finds the addresses of a host.
type Resolve = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Sends the HTTP requests of plugins to [allowed hosts](AllowedHosts), by ureq with rustls. Grant it by
/// [`Extism::http`](hostel_core::Extism::http), or to components by [`Wasi::http`](hostel_core::Wasi::http).
///
/// * **Hosts.** A request goes to an allowed scheme, host and port. So does each redirect. The host is
///   resolved once for each of them, and the address that was checked is the one connected to.
/// * **Time.** A request ends at its call's deadline, and after [`timeout`](Self::timeout): 30 s. While the system
///   resolves a name, only the call's deadline ends the guest's wait: see [`resolver`](Self::resolver).
/// * **Threads.** A request runs on a thread of its own, at most 16 at one time: see
///   [`requests`](Self::requests). Further ones are errors. Clones share that number. A thread whose call has
///   ended stops within 20 ms, but not while a name is resolved or a connection is made.
/// * **Bytes.** Headers and bodies are limited before they are kept. Bodies are not decompressed. While they are
///   received, they are not counted in [`Limits::memory_bytes`](hostel_core::Limits::memory_bytes).
/// * **Secrets.** Headers of the embedder's are added to the requests to one origin: see
///   [`header`](Self::header).
///
/// There is no proxy, also if the environment names one. There are no cookies, and connections are not used
/// again. Certificates are checked against Mozilla's roots.
///
/// ```
/// use hostel::{AllowedHosts, Extism, Grants, HttpAccess};
/// let hosts = AllowedHosts::parse(["https://api.example.com"])?;
/// let http = HttpAccess::new(hosts)
///     .secret("TOKEN", "0123456789abcdef")?
///     .header("https://api.example.com", "Authorization", "Bearer ${TOKEN}")?;
/// let grants = Grants::new().extism(Extism::new().http(http));
/// # drop(grants);
/// # Ok::<(), hostel::HttpAccessError>(())
/// ```
#[derive(Clone)]
pub struct HttpAccess {
    access: Access,
    timeout: Duration,
    requests: usize,
    running: Arc<AtomicUsize>,
}

/// Whom requests may reach, and with what.
#[derive(Clone)]
struct Access {
    hosts: Arc<AllowedHosts>,
    secrets: Arc<Secrets>,
    redirects: u32,
    resolve: Arc<Resolve>,
}

impl HttpAccess {
    /// Creates a client that reaches these hosts.
    #[must_use]
    pub fn new(hosts: AllowedHosts) -> Self {
        Self {
            access: Access {
                hosts: Arc::new(hosts),
                secrets: Arc::default(),
                redirects: REDIRECTS,
                resolve: Arc::new(resolve),
            },
            timeout: TIMEOUT,
            requests: REQUESTS,
            running: Arc::default(),
        }
    }

    /// Sets the value of `${NAME}` in headers that are added later. `name` has letters, digits and `_`.
    ///
    /// # Errors
    ///
    /// If the value has fewer than 8 bytes, or characters that no header can have.
    pub fn secret(mut self, name: &str, value: &str) -> Result<Self, HttpAccessError> {
        Arc::make_mut(&mut self.access.secrets).insert(name, value)?;
        Ok(self)
    }

    /// Adds a header to each request to one origin, `[SCHEME://]HOST[:PORT]`: https without a scheme, and the
    /// scheme's own port without a port. It replaces the guest's headers of that name. `${NAME}` in `value`
    /// stands for a [`secret`](Self::secret).
    ///
    /// No guest sees a secret: not in its request, in an error or in a log. The header is not sent after a
    /// redirect to another scheme, host or port. A response that contains the secret is withheld.
    ///
    /// With a secret, the guest does not choose the response's form: `Accept-Encoding: identity` is sent, and the
    /// guest's `Range`, `Accept-Charset`, and headers like them are dropped. A response that is partial or compressed
    /// nevertheless is withheld. A server that returns the secret in another form, base64 for instance, reveals it:
    /// give a secret only to a host that may have it.
    ///
    /// # Errors
    ///
    /// If there is no such secret, if `origin`, `name` or `value` can't be read, or if `origin` is not among the
    /// allowed hosts.
    pub fn header(
        mut self,
        origin: &str,
        name: &str,
        value: &str,
    ) -> Result<Self, HttpAccessError> {
        let to = Arc::make_mut(&mut self.access.secrets).header(origin, name, value)?;
        self.access.hosts.check(&to).map_err(|reason| {
            HttpAccessError(format!(
                "the header `{name}` for `{origin}` would never be sent: {reason}; without a scheme, https is meant"
            ))
        })?;
        Ok(self)
    }

    /// Sets the longest time of a request. Default: 30 s. A call's deadline may end it earlier.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the most requests at one time, each of which has a thread. Default: 16. Plugins that share a client
    /// share these: give each customer a client of its own.
    #[must_use]
    pub const fn requests(mut self, requests: usize) -> Self {
        self.requests = requests;
        self
    }

    /// Sets the most redirects of a request. Default: 10.
    #[must_use]
    pub const fn redirects(mut self, redirects: u32) -> Self {
        self.access.redirects = redirects;
        self
    }

    /// Finds the addresses of hosts by `resolve`, instead of the system's resolver. It should end in time: a request
    /// that waits for it can't be ended.
    #[must_use]
    pub fn resolver(
        mut self,
        resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        self.access.resolve = Arc::new(resolve);
        self
    }
}

/// Asks the system's resolver.
fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    // The port is not used.
    let found = (host, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

impl fmt::Debug for HttpAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAccess")
            .field("hosts", &self.access.hosts.to_string())
            .finish_non_exhaustive()
    }
}

impl HttpClient for HttpAccess {
    fn send(&self, request: HttpRequest) -> PendingHttp {
        let limit = self.requests;
        let Some(running) = Running::begin(&self.running, limit) else {
            return Box::pin(std::future::ready(Err(HttpError::Busy { limit })));
        };
        let after = request
            .timeout
            .map_or(self.timeout, |left| left.min(self.timeout));
        // A timeout that the clock can't tell is replaced by the default.
        let now = Instant::now();
        let deadline = now.checked_add(after).unwrap_or(now + TIMEOUT);
        let (answer, pending) = pending::new(running);
        let given_up = pending.given_up();
        let end = End { deadline, given_up };
        let access = self.access.clone();
        let work = move || answer.complete(send::send(&access, &request, &end, after));
        // Without a thread, the answer is dropped, which tells the guest.
        drop(
            thread::Builder::new()
                .name("hostel-http".into())
                .spawn(work),
        );
        Box::pin(pending)
    }
}

/// An error in the configuration of [`HttpAccess`]. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAccessError(String);

impl fmt::Display for HttpAccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for HttpAccessError {}
