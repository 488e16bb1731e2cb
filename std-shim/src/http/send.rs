//! Sends one request, and follows its redirects.

use super::{
    Access,
    connect::{Direct, End, Resolved},
    secrets::{check_form, contains},
    url::{Origin, Url},
};
use crate::host_pattern::matches;
use hostel_core::{HttpError, HttpRequest, HttpResponse};
use std::{
    io::{ErrorKind, Read},
    net::SocketAddr,
    time::Duration,
};
use ureq::{
    Agent, AsSendBody, Body, Error, Timeout,
    config::Config,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header},
    unversioned::transport::{Connector as _, RustlsConnector},
};

/// Headers of the guest's that are not sent to another origin.
const FOR_ONE_ORIGIN: [HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];

/// Headers that belong to a body.
const OF_BODY: [HeaderName; 4] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
];

/// Most bytes of a response's body that are read at once.
const READ_BYTES: usize = 16 << 10;

/// Sends a request within `end`, which is `after` from its start.
pub(super) fn send(
    access: &Access,
    request: &HttpRequest,
    end: &End,
    after: Duration,
) -> Result<HttpResponse, HttpError> {
    let invalid = |reason| HttpError::Invalid { reason };
    let mut url = Url::parse(&request.url).map_err(invalid)?;
    let first = url.origin.clone();
    let mut method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| invalid(format!("`{}` is no method", request.method)))?;
    let mut headers = guest_headers(request)?;
    let mut body = &request.body[..];
    // Once it has left its origin, a request has lost the host's headers for good.
    let mut secret = true;
    for _ in 0..=access.redirects {
        if let Some(hosts) = &request.hosts
            && !hosts
                .iter()
                .any(|pattern| matches(pattern, &url.origin.host))
        {
            let reason = format!(
                "`{}` is not among the hosts of the plugin's manifest",
                url.origin
            );
            let entry = None;
            return Err(HttpError::NotAllowed { reason, entry });
        }
        let addresses = access.addresses(&url.origin)?;
        let mut sent = headers.clone();
        let secrets = match secret {
            true => access.secrets.add(&url.origin, &mut sent),
            false => Vec::new(),
        };
        let withheld = |bytes: &[u8]| {
            let found = secrets.iter().find(|(_, value)| contains(bytes, value));
            found.map(|(name, _)| HttpError::Secret { name: name.clone() })
        };
        let hop = Hop {
            url: &url,
            method: &method,
            headers: sent,
            body,
            max_header_bytes: request.max_header_bytes,
            after,
            connect: request.connect_timeout,
        };
        let mut response = hop.run(addresses, end)?;
        let values = response.headers().iter();
        if let Some(error) = values.into_iter().find_map(|(name, value)| {
            withheld(name.as_str().as_bytes()).or_else(|| withheld(value.as_bytes()))
        }) {
            return Err(error);
        }
        if let Some(location) = redirect(&response)? {
            let next = url.join(&location).map_err(|reason| {
                let reason = format!("`{url}` redirects: {reason}");
                HttpError::Failed { reason }
            })?;
            if next.origin != url.origin {
                FOR_ONE_ORIGIN
                    .iter()
                    .for_each(|name| drop(headers.remove(name)));
            }
            secret = secret && next.origin == first;
            url = next;
            let status = response.status().as_u16();
            let post = method == Method::POST;
            if (status == 303 && method != Method::HEAD) || (status < 303 && post) {
                method = Method::GET;
                body = &[];
                OF_BODY.iter().for_each(|name| drop(headers.remove(name)));
            }
            continue;
        }
        if !secrets.is_empty() {
            check_form(&response)?;
        }
        let bytes = read(&mut response, request.max_body_bytes, after)?;
        if let Some(error) = withheld(&bytes) {
            return Err(error);
        }
        let mut result = HttpResponse::new(response.status().as_u16());
        let own = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), value.as_bytes().to_vec())
        };
        result.headers = response.headers().iter().map(own).collect();
        result.body = bytes;
        return Ok(result);
    }
    let reason = format!("more than {} redirects", access.redirects);
    Err(HttpError::Failed { reason })
}

/// Converts the guest's headers, which were checked.
fn guest_headers(request: &HttpRequest) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let named = HeaderName::from_bytes(name.as_bytes());
        let (Ok(named), Ok(value)) = (named, HeaderValue::from_bytes(value)) else {
            let reason = format!("the header `{name}` is refused");
            return Err(HttpError::Invalid { reason });
        };
        headers.append(named, value);
    }
    Ok(headers)
}

/// Returns the target of a redirect.
fn redirect(response: &Response<Body>) -> Result<Option<String>, HttpError> {
    if !matches!(response.status().as_u16(), 301..=303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(header::LOCATION) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(location.as_bytes());
    let text = text.map_err(|_| HttpError::Failed {
        reason: "the server redirects to a place that is not UTF-8".into(),
    })?;
    Ok(Some(text.to_owned()))
}

/// Reads a body, at most `limit` bytes of it.
fn read(
    response: &mut Response<Body>,
    limit: usize,
    after: Duration,
) -> Result<Vec<u8>, HttpError> {
    let part = "body";
    let too_large = HttpError::TooLarge { part, limit };
    let body = response.body_mut();
    if body.content_length().is_some_and(|len| len > limit as u64) {
        return Err(too_large);
    }
    let mut reader = body.as_reader();
    let mut bytes = Vec::new();
    let mut buffer = [0; READ_BYTES];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => read,
            Err(error) => return Err(failed(Error::from(error), after)),
        };
        if read > limit - bytes.len() {
            return Err(too_large);
        }
        bytes.try_reserve(read).map_err(|_| HttpError::Failed {
            reason: "the host has no memory for the response".into(),
        })?;
        bytes.extend_from_slice(&buffer[..read]);
    }
}

/// One request to one server.
struct Hop<'a> {
    url: &'a Url,
    method: &'a Method,
    headers: HeaderMap,
    body: &'a [u8],
    max_header_bytes: usize,
    after: Duration,
    connect: Option<Duration>,
}

impl Hop<'_> {
    /// Sends it to the first address that answers.
    fn run(self, addresses: Vec<SocketAddr>, end: &End) -> Result<Response<Body>, HttpError> {
        let has_body = matches!(*self.method, Method::POST | Method::PUT | Method::PATCH);
        let (limit, after, connect) = (self.max_header_bytes, self.after, self.connect);
        // A method that usually has a body tells the length 0, others none.
        let sent = match self.body.is_empty() && !has_body {
            true => self.agent(addresses, end).run(self.request(())?),
            false => self.agent(addresses, end).run(self.request(self.body)?),
        };
        sent.map_err(|error| match error {
            Error::LargeResponseHeader(..) => HttpError::TooLarge {
                part: "headers",
                limit,
            },
            // Only connecting has a time of its own.
            Error::Timeout(Timeout::Connect) => HttpError::Timeout {
                after: connect.map_or(after, |connect| connect.min(after)),
            },
            error => failed(error, after),
        })
    }

    fn request<B: AsSendBody>(&self, body: B) -> Result<Request<B>, HttpError> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.url.to_string())
            .body(body)
            .map_err(|error| HttpError::Invalid {
                reason: format!("`{}`: {error}", self.url),
            })?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// Returns a client for this request alone. So no connection, with what may be left in it, is used by
    /// two requests.
    fn agent(&self, addresses: Vec<SocketAddr>, end: &End) -> Agent {
        let config = Config::builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .save_redirect_history(false)
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .accept_encoding("identity")
            .user_agent(concat!("hostel/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(self.max_header_bytes)
            // More than a header may have, so that a longer one is told from one that ended.
            .input_buffer_size(self.max_header_bytes.saturating_add(1 << 10))
            .max_idle_connections(0)
            .build();
        let end = end.clone();
        let within = self.connect;
        let direct = Direct {
            addresses,
            end,
            within,
        };
        let connector = direct.chain(RustlsConnector::default());
        Agent::with_parts(config, connector, Resolved)
    }
}

/// Translates an error of the client's. Its text may not repeat what was sent.
fn failed(error: Error, after: Duration) -> HttpError {
    let reason = match error {
        Error::Timeout(_) => return HttpError::Timeout { after },
        Error::Io(error) => match error.get_ref() {
            // An error of rustls', as those of the system have no inner one.
            Some(tls) if error.kind() == ErrorKind::InvalidData && !tls.is::<Error>() => {
                format!("TLS failed: {tls}")
            }
            _ => format!("the connection failed: {}", error.kind()),
        },
        Error::Rustls(error) => format!("TLS failed: {error}"),
        Error::Tls(reason) => format!("TLS failed: {reason}"),
        Error::HostNotFound => "the host was not found".into(),
        _ => "the server does not speak HTTP/1.1 as expected".into(),
    };
    HttpError::Failed { reason }
}

impl Access {
    /// Returns the addresses of an origin that may be connected to.
    fn addresses(&self, origin: &Origin) -> Result<Vec<SocketAddr>, HttpError> {
        let refused = |reason, would: &Origin| HttpError::NotAllowed {
            reason,
            entry: Some(would.to_string()),
        };
        let check = self.hosts.check(origin);
        check.map_err(|reason| refused(reason, origin))?;
        let found = match origin.address() {
            Some(address) => vec![address],
            None => (self.resolve)(&origin.host).map_err(|error| HttpError::Failed {
                reason: format!("`{}` can't be resolved: {}", origin.host, error.kind()),
            })?,
        };
        let mut allowed = Vec::new();
        let mut last = Err(HttpError::Failed {
            reason: format!("`{}` has no address", origin.host),
        });
        for address in found {
            match self.hosts.check_address(origin, address) {
                Ok(()) => allowed.push(SocketAddr::new(address, origin.port)),
                Err(reason) => {
                    let at = Origin {
                        host: address.to_string(),
                        ..origin.clone()
                    };
                    last = Err(refused(reason, &at));
                }
            }
        }
        match allowed.is_empty() {
            true => last,
            false => Ok(allowed),
        }
    }
}
