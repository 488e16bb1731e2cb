//! [`HttpClient`]: the trait of clients that send guests' HTTP requests, with what they send and receive.

use alloc::{
    boxed::Box,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};
use core::{error::Error, fmt, future::Future, pin::Pin, time::Duration};

/// Longest URL, in bytes.
pub(crate) const URL_BYTES: usize = 8 << 10;

/// Most headers of a request.
pub(crate) const HEADERS: usize = 100;

/// Methods that no guest may use: a tunnel, and those that return a request's own headers, which may be
/// secrets of the host.
pub(crate) const REFUSED_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// Headers that the client sets itself, or that would change where a request ends or who handles it.
pub(crate) const REFUSED_HEADERS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Sends HTTP requests for guests. `hostel::HttpAccess` is one for machines with an operating system.
///
/// The client decides which hosts may be reached. It must not follow a redirect to another, and must keep to
/// the limits and the timeout of the request. A request was [checked](HttpRequest::check) before.
///
/// Grant it by [`Grants::http`](crate::Grants::http), to Extism's plugins by [`Extism::http`](crate::Extism::http), and
/// to components by `Wasi::http`.
///
/// The guest is suspended until the future is ready. hostel drops the future if the call ends before, by its
/// deadline or its canceller: the client should then give the request up.
///
/// ```
/// use hostel_core::{Extism, HttpClient, HttpRequest, HttpResponse, PendingHttp};
/// struct Hello;
/// impl HttpClient for Hello {
///     fn send(&self, request: HttpRequest) -> PendingHttp {
///         Box::pin(async move {
///             let mut response = HttpResponse::new(200);
///             response.body = format!("hello from {}", request.url).into_bytes();
///             Ok(response)
///         })
///     }
/// }
/// let extism = Extism::new().http(Hello);
/// # drop(extism);
/// ```
pub trait HttpClient: Send + Sync + 'static {
    /// Returns the fuel that a guest is charged for a request, besides the bytes of the request and the
    /// response. Default: 10,000.
    fn cost(&self) -> u64 {
        10_000
    }

    /// Begins to send a request. Must not block: the guest's thread runs this.
    fn send(&self, request: HttpRequest) -> PendingHttp;
}

impl<C: HttpClient + ?Sized> HttpClient for Arc<C> {
    fn cost(&self) -> u64 {
        (**self).cost()
    }

    fn send(&self, request: HttpRequest) -> PendingHttp {
        (**self).send(request)
    }
}

/// A response that is awaited.
pub type PendingHttp = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send>>;

/// A guest's HTTP request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpRequest {
    /// The name under which the plugin was loaded.
    pub plugin: String,
    /// The method, in upper case.
    pub method: String,
    /// The URL, as the guest wrote it.
    pub url: String,
    /// The headers, in the guest's order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
    /// Patterns of hosts' names, if the embedder narrows this plugin to some of those that the client allows: the
    /// client must reach no other, also by redirects. `*` stands for any characters, `?` for one.
    pub hosts: Option<Arc<[Box<str>]>>,
    /// Most bytes of the response's headers, names included.
    pub max_header_bytes: usize,
    /// Most bytes of the response's body.
    pub max_body_bytes: usize,
    /// The time that the call has left, or less if the guest set less; `None` if there is no such time.
    pub timeout: Option<Duration>,
    /// The longest time for making a connection, if the guest set one. A client that ends a request for it returns
    /// [`HttpError::Timeout`] with this time. One that can't tell it from the rest of a request may ignore it.
    pub connect_timeout: Option<Duration>,
}

impl HttpRequest {
    /// Creates a request without headers and body. The response may have 64 KiB of headers and 1 MiB of body.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            plugin: String::new(),
            method: method.to_ascii_uppercase(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            hosts: None,
            max_header_bytes: 64 << 10,
            max_body_bytes: 1 << 20,
            timeout: None,
            connect_timeout: None,
        }
    }

    /// Checks that method, URL and headers can't be read as anything else by a server: no line ends, and no
    /// header that the client sets itself.
    ///
    /// # Errors
    ///
    /// [`HttpError::Invalid`].
    pub fn check(&self) -> Result<(), HttpError> {
        let refused = |what: String| Err(HttpError::Invalid { reason: what });
        if !is_token(&self.method) || REFUSED_METHODS.contains(&&*self.method) {
            return refused(alloc::format!("the method `{}` is refused", self.method));
        }
        let found = self.url.len();
        if found > URL_BYTES {
            return refused(alloc::format!(
                "the URL has {found} bytes, {URL_BYTES} are allowed"
            ));
        }
        if self.url.chars().any(char::is_control) {
            return refused("the URL has control characters".into());
        }
        let found = self.headers.len();
        if found > HEADERS {
            return refused(alloc::format!(
                "the request has {found} headers, {HEADERS} are allowed"
            ));
        }
        for (name, value) in &self.headers {
            let is = |refused: &&str| refused.eq_ignore_ascii_case(name);
            if !is_token(name) || REFUSED_HEADERS.iter().any(is) {
                return refused(alloc::format!("the header `{name}` is refused"));
            }
            if !is_value(value) {
                return refused(alloc::format!(
                    "the value of the header `{name}` has control characters"
                ));
            }
        }
        Ok(())
    }
}

/// Returns whether `value` is one that a header may have: a tab is its only control character.
pub(crate) fn is_value(value: &[u8]) -> bool {
    let is_part = |byte: &u8| !byte.is_ascii_control() || *byte == b'\t';
    value.iter().all(is_part)
}

/// Returns whether `text` is a name as HTTP has it.
pub(crate) fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

/// The response to an [`HttpRequest`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status. One of 400 or more is no error.
    pub status: u16,
    /// The headers. A name may occur several times.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Creates a response without headers and body.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// An error of an [`HttpClient`]. A plugin of the native convention gets its code and message; an Extism guest traps with
/// its message; a component's guest gets a code of `wasi:http`, and the message is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpError {
    /// The request is malformed, or has parts that no guest may choose.
    Invalid {
        /// The reason, in words.
        reason: String,
    },
    /// The host, port, scheme or address may not be reached.
    NotAllowed {
        /// The reason, in words.
        reason: String,
        /// The entry of the client's list of hosts that would allow it, `[SCHEME://]HOST[:PORT]`. `None` if none
        /// would.
        entry: Option<String>,
    },
    /// The response is larger than the request allows.
    TooLarge {
        /// The part: `body` or `headers`.
        part: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// There was no response in time.
    Timeout {
        /// The time.
        after: Duration,
    },
    /// The client sends as many requests as it may at one time.
    Busy {
        /// That number.
        limit: usize,
    },
    /// The response repeats a secret that the host had put into the request.
    Secret {
        /// The secret's name.
        name: String,
    },
    /// The response to a request with a secret of the host has a form in which the secret would not be found.
    Withheld {
        /// The reason, in words.
        reason: String,
    },
    /// The server can't be reached, or does not speak HTTP.
    Failed {
        /// The reason, in words.
        reason: String,
    },
}

impl HttpError {
    /// Returns the stable code of this kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "http-invalid",
            Self::NotAllowed { .. } => "http-not-allowed",
            Self::TooLarge { .. } => "http-too-large",
            Self::Timeout { .. } => "http-timeout",
            Self::Busy { .. } => "http-busy",
            Self::Secret { .. } => "http-secret",
            Self::Withheld { .. } => "http-withheld",
            Self::Failed { .. } => "http-failed",
        }
    }

    /// Creates an [`Invalid`](Self::Invalid).
    pub(crate) fn invalid(reason: impl fmt::Display) -> Self {
        Self::Invalid {
            reason: reason.to_string(),
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { reason } => write!(f, "the HTTP request is invalid: {reason}"),
            Self::NotAllowed { reason, .. } => {
                write!(f, "the HTTP request is not allowed: {reason}")
            }
            Self::TooLarge {
                part: "headers",
                limit,
            } => write!(
                f,
                "the headers of the HTTP response exceed {limit} bytes, which is a fixed limit"
            ),
            Self::TooLarge { part, limit } => write!(
                f,
                "the {part} of the HTTP response exceeds {limit} bytes: raise `http_response_bytes`, `memory_bytes` or `bytes_to_guest`"
            ),
            Self::Timeout { after } => write!(
                f,
                "the HTTP request had no response within {} ms",
                after.as_millis()
            ),
            Self::Busy { limit } => write!(
                f,
                "{limit} HTTP requests are being sent, and no more are allowed: try again later"
            ),
            Self::Secret { name } => write!(
                f,
                "the HTTP response is withheld: it contains the secret `{name}`"
            ),
            Self::Withheld { reason } => write!(f, "the HTTP response is withheld: {reason}"),
            Self::Failed { reason } => write!(f, "the HTTP request failed: {reason}"),
        }
    }
}

impl Error for HttpError {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_read_as_another_request_is_refused() {
        let get = || HttpRequest::new("get", "http://a/");
        assert_eq!(get().method, "GET");
        assert_eq!(get().check(), Ok(()));
        for method in ["", "GET /x", "GET\r\n", "CONNECT", "trace", "Track", "GÉT"] {
            let request = HttpRequest::new(method, "http://a/");
            assert!(request.check().is_err(), "{method:?}");
        }
        for url in ["http://a/\r\nX: y", "http://a/\u{7f}", "http://a/\0"] {
            assert!(HttpRequest::new("GET", url).check().is_err(), "{url:?}");
        }
        let long = alloc::format!("http://a/{}", "x".repeat(URL_BYTES));
        assert!(HttpRequest::new("GET", &long).check().is_err());
        let with = |name: &str, value: &[u8]| {
            let mut request = get();
            request.headers.push((name.into(), value.into()));
            request.check()
        };
        for (name, value) in [
            ("", ""),
            ("a b", ""),
            ("a:", "b"),
            ("a\r\nb", "c"),
            ("a", "b\r\nc: d"),
            ("a", "b\nc"),
            ("a", "b\0"),
            ("Host", "b"),
            ("CONTENT-LENGTH", "5"),
            ("transfer-encoding", "chunked"),
            ("Connection", "close"),
            ("Proxy-Authorization", "x"),
        ] {
            let error = with(name, value.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "http-invalid", "{name:?}");
        }
        for (name, value) in [("Accept", "*/*"), ("X-A", "b\tc"), ("x", "\u{e9}")] {
            assert_eq!(with(name, value.as_bytes()), Ok(()), "{name}");
        }
        let mut many = get();
        many.headers = alloc::vec![("a".into(), Vec::new()); HEADERS];
        assert_eq!(many.check(), Ok(()));
        many.headers.push(("a".into(), Vec::new()));
        assert!(many.check().is_err());
    }
}
