//! HTTP for plugins: the hosts of --allow-host, and the headers of --http-header.

use super::{arguments::Run, failure::Failure};
use hostel::{
    AllowedHosts, HttpAccess, HttpAccessError, HttpClient, HttpError, HttpRequest, HttpResponse,
    PendingHttp,
};
use std::{env, future, str::FromStr, sync::Arc};

/// The value of --http-header: `HOST NAME: VALUE`. Without a scheme, `HOST` is one of https.
#[derive(Clone, Debug)]
pub(super) struct GivenHeader {
    host: String,
    name: String,
    /// May contain `${VAR}`.
    value: String,
}

impl FromStr for GivenHeader {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text
            .split_once(' ')
            .and_then(|(host, rest)| Some((host, rest.split_once(':')?)));
        let (host, (name, value)) = parts.ok_or("expected 'HOST NAME: VALUE'")?;
        Ok(Self {
            host: host.into(),
            name: name.trim().into(),
            value: value.trim().into(),
        })
    }
}

impl GivenHeader {
    /// Returns the names of the variables in its value.
    fn variables(&self) -> impl Iterator<Item = &str> {
        let parts = self.value.split("${").skip(1);
        parts.filter_map(|part| Some(part.split_once('}')?.0))
    }
}

/// Checks an entry of the list of hosts.
pub(super) fn host(text: &str) -> Result<String, HttpAccessError> {
    AllowedHosts::parse([text])?;
    Ok(text.to_owned())
}

/// Returns the client for the options. Without them it refuses each request.
pub(super) fn client(arguments: &Run) -> Result<Arc<dyn HttpClient>, Failure> {
    if !arguments.http_answers.is_empty() {
        return Ok(Arc::new(Stubbed(arguments.http_answers.clone())));
    }
    let fault = |error: HttpAccessError| Failure::usage(error.to_string());
    let hosts = AllowedHosts::parse(&arguments.allow_host).map_err(fault)?;
    if hosts.is_empty() && !arguments.http_header.is_empty() {
        return Err(
            Failure::usage("--http-header has no effect without --allow-host")
                .with_hint("allow the host with --allow-host HOST"),
        );
    }
    let mut http = HttpAccess::new(hosts);
    for header in &arguments.http_header {
        for name in header.variables() {
            let value = env::var(name).map_err(|_| {
                Failure::usage(format!(
                    "--http-header needs the environment variable `{name}`, which is not set to text"
                ))
            })?;
            http = http.secret(name, &value).map_err(fault)?;
        }
        let GivenHeader { host, name, value } = header;
        http = http.header(host, name, value).map_err(fault)?;
    }
    Ok(Arc::new(Client(http)))
}

/// A client whose refusals name the option that allows a host.
struct Client(HttpAccess);

impl HttpClient for Client {
    fn send(&self, request: HttpRequest) -> PendingHttp {
        let pending = self.0.send(request);
        Box::pin(async {
            pending.await.map_err(|error| match error {
                HttpError::NotAllowed {
                    reason,
                    entry: Some(entry),
                } => HttpError::NotAllowed {
                    reason: format!("{reason}: allow it with --allow-host {entry}"),
                    entry: Some(entry),
                },
                error => error,
            })
        })
    }
}

/// The response to a request of a test case.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HttpAnswer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

/// A client that sends nothing, and has a response to each request, by `METHOD URL`.
struct Stubbed(Vec<(String, HttpAnswer)>);

impl HttpClient for Stubbed {
    fn send(&self, request: HttpRequest) -> PendingHttp {
        let name = format!("{} {}", request.method, request.url);
        let mut answers = self.0.iter();
        let response = match answers.find(|(known, _)| *known == name) {
            Some((_, answer)) if answer.body.len() > request.max_body_bytes => {
                let (part, limit) = ("body", request.max_body_bytes);
                Err(HttpError::TooLarge { part, limit })
            }
            Some((_, answer)) => {
                let mut response = HttpResponse::new(answer.status);
                response.headers.clone_from(&answer.headers);
                response.body.clone_from(&answer.body);
                Ok(response)
            }
            None => Err(HttpError::NotAllowed {
                reason: format!("the table `http` has no response to `{name}`"),
                entry: None,
            }),
        };
        Box::pin(future::ready(response))
    }
}
