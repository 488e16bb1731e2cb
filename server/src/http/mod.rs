//! The server's HTTP interface.

mod admin;
mod body;
pub(crate) mod call;
mod headers;
mod live;
pub(crate) mod media;
mod routes;
mod show;

pub(crate) use self::{
    call::Calling,
    routes::{Needs, OF_CALL, Operation, ROUTES, Route},
};

use self::{media::Media, routes::DASHBOARD};
use crate::{
    access_log::Line,
    auth::{Client, Unknown},
    dashboard, openapi,
    problem::Problem,
    service::{Shared, World},
    trace_context::TraceContext,
};
use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts as _, RawPathParams, Request, State},
    http::{HeaderValue, Response, StatusCode, header, request::Parts},
    routing::{MethodFilter, MethodRouter, on},
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// Makes the router.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut paths: BTreeMap<&str, MethodRouter<Arc<Shared>>> = BTreeMap::new();
    let page = shared.dashboard.then_some(&DASHBOARD);
    for route in ROUTES.iter().chain(page) {
        let filter = MethodFilter::try_from(route.method.clone());
        let Ok(filter) = filter else {
            // None of the table: a test makes the router.
            continue;
        };
        let handler = |State(shared): State<Arc<Shared>>, request: Request| {
            handle(shared, Some(route), request)
        };
        let methods = paths.remove(route.path).unwrap_or_default();
        paths.insert(route.path, methods.merge(on(filter, handler)));
    }
    let mut router = Router::new();
    for (path, methods) in paths {
        router = router.route(path, methods);
    }
    router
        .fallback(|State(shared): State<Arc<Shared>>, request: Request| {
            handle(shared, None, request)
        })
        .method_not_allowed_fallback(|State(shared): State<Arc<Shared>>, request: Request| {
            not_allowed(shared, request)
        })
        .with_state(shared)
}

/// A request that is being answered.
struct Exchange<'a> {
    shared: &'a Arc<Shared>,
    world: Arc<World>,
    parts: Parts,
    /// The path's `{name}` and `{export}`, decoded.
    params: Vec<(String, String)>,
    began: Instant,
    trace: TraceContext,
    /// What is known of the request for the access log.
    line: Line,
}

impl Exchange<'_> {
    /// Returns a parameter of the path.
    fn param(&self, name: &str) -> &str {
        let mut params = self.params.iter();
        params
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    /// Returns who makes the request.
    fn client(&self) -> Result<Client<'_>, Problem> {
        let header = self.parts.headers.get(header::AUTHORIZATION);
        let client = self.world.auth.client(header.map(HeaderValue::as_bytes));
        let client = client.map_err(|Unknown| unauthorized())?;
        if matches!(client, Client::Anonymous)
            && !self.world.auth.takes_host(headers::host(&self.parts))
        {
            return Err(Problem::new(
                "forbidden",
                "the request is for another machine's name: use this one's address or `localhost`, send a token, or set `server.anonymous = true`",
            ));
        }
        if matches!(client, Client::Anonymous) && self.is_of_another_site() {
            return Err(Problem::new(
                "forbidden",
                "a page of another site makes this request: send a token",
            ));
        }
        Ok(client)
    }

    /// Returns whether a browser makes the request for a page of another site. Such a page could else call what only this
    /// machine reaches. With a token that is meant.
    fn is_of_another_site(&self) -> bool {
        let origin = self.header(header::ORIGIN);
        origin.is_some_and(|origin| {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_none() || authority != headers::host(&self.parts)
        })
    }

    /// Returns a header of the request, if it is text.
    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }
}

/// Answers a request to a path that has other methods.
async fn not_allowed(shared: Arc<Shared>, request: Request) -> Response<Body> {
    let began = Instant::now();
    let (parts, _) = request.into_parts();
    let checked = headers::check(&parts);
    let problem = Problem::new("method-not-allowed", "");
    let line = Line::new(&parts.method, &parts.uri);
    let header = parts.headers.get("traceparent");
    let trace = TraceContext::of(header.map(HeaderValue::as_bytes), shared.samples());
    finish(&shared, line, trace, began, checked.and(Err(problem)))
}

/// Answers a request to a route, or to none.
async fn handle(
    shared: Arc<Shared>,
    route: Option<&'static Route>,
    request: Request,
) -> Response<Body> {
    let began = Instant::now();
    let (mut parts, body) = request.into_parts();
    let header = parts.headers.get("traceparent");
    let trace = TraceContext::of(header.map(HeaderValue::as_bytes), shared.samples());
    let mut line = Line::new(&parts.method, &parts.uri);
    if let Err(problem) = headers::check(&parts) {
        return finish(&shared, line, trace, began, Err(problem));
    }
    let Some(route) = route else {
        let problem = Problem::new("unknown-route", "");
        return finish(&shared, line, trace, began, Err(problem));
    };
    line.route = route.path;
    let params = match RawPathParams::from_request_parts(&mut parts, &()).await {
        Ok(params) => params
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        Err(error) => {
            let problem = Problem::new("bad-path", error.to_string());
            return finish(&shared, line, trace, began, Err(problem));
        }
    };
    let mut exchange = Exchange {
        shared: &shared,
        world: shared.world(),
        parts,
        params,
        began,
        trace,
        line,
    };
    let result = answer(&mut exchange, route, body).await;
    let Exchange { line, .. } = exchange;
    finish(&shared, line, trace, began, result)
}

async fn answer(
    exchange: &mut Exchange<'_>,
    route: &Route,
    body: Body,
) -> Result<Response<Body>, Problem> {
    if route.needs != Needs::Nothing {
        let client = exchange.client()?;
        let name = client.name().to_owned();
        if route.needs == Needs::Admin && !client.may_change() {
            return Err(match (client, exchange.world.auth.has_admin()) {
                (Client::Anonymous, true) => unauthorized(),
                (_, true) => Problem::new(
                    "forbidden",
                    "changing plugins takes a token of the role admin",
                ),
                (_, false) => Problem::new("forbidden", NO_ADMIN),
            });
        }
        exchange.line.client = name;
    }
    match route.operation {
        Operation::Call | Operation::CallExport => call::call(exchange, body).await,
        Operation::List => show::list(exchange),
        Operation::Show => show::show(exchange).await,
        Operation::Put => admin::put(exchange, body).await,
        Operation::Delete => admin::delete(exchange).await,
        Operation::Versions => admin::versions(exchange).await,
        Operation::Rollback => admin::rollback(exchange).await,
        Operation::Logs => live::logs(exchange),
        Operation::Dashboard => Ok(dashboard::response()),
        Operation::Health => Ok(Media::Text.response("ok\n")),
        Operation::Ready if exchange.shared.is_draining() => Err(Problem::new("shutting-down", "")),
        Operation::Ready => Ok(Media::Text.response("ready\n")),
        Operation::Metrics => show::metrics(exchange),
        Operation::PluginOpenApi => show::openapi(exchange).await,
        Operation::Fleet => show::fleet(exchange),
        Operation::OpenApi => Ok(Media::Json.response(openapi::document().to_string())),
    }
}

/// Why plugins can't be changed.
const NO_ADMIN: &str = "plugins can't be changed: no token of the role admin is configured";

fn unauthorized() -> Problem {
    Problem::new("unauthorized", "send `Authorization: Bearer TOKEN`")
}

/// Adds what all answers have, counts the request, and logs it.
fn finish(
    shared: &Shared,
    mut line: Line,
    trace: TraceContext,
    began: Instant,
    result: Result<Response<Body>, Problem>,
) -> Response<Body> {
    let mut response = result.unwrap_or_else(|problem| {
        line.code = problem.code();
        problem.response()
    });
    let status = response.status();
    let headers = response.headers_mut();
    // Browsers must not guess that a guest's bytes are a page.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let identifier = trace.trace().to_string();
    if let Ok(value) = HeaderValue::from_str(&identifier) {
        headers.insert("x-request-id", value);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE && !headers.contains_key(header::RETRY_AFTER) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if line.code == "bad-header" {
        // Where its body ends may be unclear, too: nothing after it is taken for a request.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    shared.metrics.request(status.as_u16());
    #[cfg(feature = "otlp")]
    if let Some(traces) = &shared.traces {
        traces.request(&line, &trace, status.as_u16(), began.elapsed());
    }
    if let Some(log) = &shared.access_log
        && !log.write(&line, &identifier, status.as_u16(), began.elapsed())
    {
        shared.metrics.log_line_dropped();
    }
    response
}
