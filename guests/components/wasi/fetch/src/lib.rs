//! A plugin that sends HTTP requests by `wasi:http`, and handles those that it is given. `attempt` breaks rules of the
//! interface, for the tests of hosts.

use wasip2::{
    clocks::monotonic_clock::subscribe_duration,
    http::{
        outgoing_handler::handle,
        types::{
            ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingRequest,
            IncomingResponse, Method, OutgoingBody, OutgoingRequest, OutgoingResponse,
            RequestOptions, ResponseOutparam, Scheme, http_error_code,
        },
    },
    io::{
        poll::poll,
        streams::{InputStream, OutputStream, StreamError},
    },
};

wit_bindgen::generate!({
    inline: r#"
        package hostel:fetch@0.1.0;

        world fetch {
            /// Sends a request. Returns status, headers and body of the response.
            export fetch: func(method: string, url: string, headers: list<tuple<string, list<u8>>>, body: option<list<u8>>)
                -> result<tuple<u16, list<tuple<string, list<u8>>>, list<u8>>, string>;

            /// Sends a request to each URL at one time. Returns the bodies in the order in which they arrived.
            export fetch-all: func(urls: list<string>) -> list<string>;

            /// Does what the name says. Returns what became of it.
            export attempt: func(name: string, url: string) -> string;
        }
    "#,
});
export!(Plugin);
wasip2::http::proxy::export!(Plugin);

struct Plugin;

/// Status, headers and body.
type Response = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

impl Guest for Plugin {
    fn fetch(
        method: String,
        url: String,
        headers: Vec<(String, Vec<u8>)>,
        body: Option<Vec<u8>>,
    ) -> Result<Response, String> {
        let headers = Fields::from_list(&headers).map_err(|error| format!("{error:?}"))?;
        let request = request(&url, headers)?;
        let set = request.set_method(&Method::Other(method));
        set.map_err(|()| "the method is refused")?;
        let response = match body {
            None => send(request)?,
            Some(bytes) => {
                let body = request.body().map_err(|()| "no body")?;
                let response = send(request)?;
                let stream = body.write().map_err(|()| "no stream")?;
                for part in bytes.chunks(4096) {
                    stream.blocking_write_and_flush(part).map_err(told)?;
                }
                drop(stream);
                OutgoingBody::finish(body, None).map_err(named)?;
                response
            }
        };
        read(&awaited(&response)?)
    }

    fn fetch_all(urls: Vec<String>) -> Vec<String> {
        let futures = urls
            .iter()
            .map(|url| request(url, Fields::new()).and_then(send));
        let futures: Vec<_> = futures.collect();
        let mut left: Vec<_> = futures.iter().collect();
        let mut bodies = Vec::new();
        left.retain(|future| match future {
            Ok(_) => true,
            Err(error) => {
                bodies.push(error.clone());
                false
            }
        });
        while !left.is_empty() {
            let sent = left.iter().flat_map(|future| future.as_ref().ok());
            let pollables: Vec<_> = sent.map(|future| future.subscribe()).collect();
            let mut ready = poll(&pollables.iter().collect::<Vec<_>>());
            drop(pollables);
            ready.sort_unstable();
            for at in ready.into_iter().rev() {
                let Ok(future) = left.remove(at as usize) else {
                    continue;
                };
                let response = awaited(future).and_then(|response| read(&response));
                bodies.push(match response {
                    Ok((_, _, body)) => String::from_utf8_lossy(&body).into_owned(),
                    Err(error) => error,
                });
            }
        }
        bodies
    }

    fn attempt(name: String, url: String) -> String {
        match attempt(&name, &url) {
            Ok(done) | Err(done) => done,
        }
    }
}

/// Returns a GET request of a URL.
fn request(url: &str, headers: Fields) -> Result<OutgoingRequest, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(headers);
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.into()),
    };
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| "the scheme is refused")?;
    let set = request.set_authority(Some(authority));
    set.map_err(|()| "the authority is refused")?;
    let set = request.set_path_with_query(Some(path));
    set.map_err(|()| "the path is refused")?;
    Ok(request)
}

fn send(request: OutgoingRequest) -> Result<FutureIncomingResponse, String> {
    handle(request, None).map_err(named)
}

fn named(code: ErrorCode) -> String {
    format!("{code:?}")
}

fn told(error: StreamError) -> String {
    match error {
        StreamError::Closed => "closed".into(),
        StreamError::LastOperationFailed(error) => format!("{:?}", http_error_code(&error)),
    }
}

/// Waits for a response.
fn awaited(future: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    future.subscribe().block();
    let response = future.get().ok_or("the response is not there")?;
    response
        .map_err(|()| "the response was taken")?
        .map_err(named)
}

fn read(response: &IncomingResponse) -> Result<Response, String> {
    let headers = response.headers().entries();
    let body = response.consume().map_err(|()| "the body was taken")?;
    let bytes = read_all(&body)?;
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    match trailers.get() {
        Some(Ok(Ok(None))) => Ok((response.status(), headers, bytes)),
        other => Err(format!("trailers: {other:?}")),
    }
}

fn read_all(body: &IncomingBody) -> Result<Vec<u8>, String> {
    let stream = body.stream().map_err(|()| "the stream was taken")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(10_000) {
            Ok(part) => bytes.extend(part),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(told(error)),
        }
    }
}

/// Returns a body with its stream, for a request that is never sent.
fn writing(headers: Fields) -> Result<(OutgoingRequest, OutgoingBody, OutputStream), String> {
    let request = OutgoingRequest::new(headers);
    let body = request.body().map_err(|()| "no body")?;
    let stream = body.write().map_err(|()| "no stream")?;
    Ok((request, body, stream))
}

/// Returns a response's body with its stream.
fn reading(url: &str) -> Result<(IncomingBody, InputStream), String> {
    let response = awaited(&send(request(url, Fields::new())?)?)?;
    let body = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    Ok((body, stream))
}

fn with_length(length: &[u8]) -> Fields {
    let fields = Fields::new();
    let appended = fields.append("Content-Length", length);
    appended.expect("a length may be set");
    fields
}

fn attempt(name: &str, url: &str) -> Result<String, String> {
    Ok(match name {
        "fields" => fields()?,
        "set" => setters(),
        "times" => times()?,
        // Children that are left when their parents go.
        "finish a body before its stream" => {
            let (_request, body, _stream) = writing(Fields::new())?;
            format!("{:?}", OutgoingBody::finish(body, None))
        }
        "drop a body before its stream" => {
            let (_request, body, _stream) = writing(Fields::new())?;
            drop(body);
            "dropped".into()
        }
        "drop a response before its pollable" => {
            let future = send(request(url, Fields::new())?)?;
            let _pollable = future.subscribe();
            drop(future);
            "dropped".into()
        }
        "finish reading before the stream" => {
            let (body, _stream) = reading(url)?;
            drop(IncomingBody::finish(body));
            "finished".into()
        }
        "drop a body that is read before its stream" => {
            let (body, _stream) = reading(url)?;
            drop(body);
            "dropped".into()
        }
        // Bodies.
        "take a body twice" => {
            let (request, body, _stream) = writing(Fields::new())?;
            format!("{:?} {:?}", request.body().is_err(), body.write().is_err())
        }
        "write less than promised" => {
            let (_request, body, stream) = writing(with_length(b"11"))?;
            stream.blocking_write_and_flush(b"abc").map_err(told)?;
            drop(stream);
            format!("{:?}", OutgoingBody::finish(body, None))
        }
        "write more than promised" => {
            let (_request, body, stream) = writing(with_length(b"2"))?;
            let wrote = stream.blocking_write_and_flush(b"abc").map_err(told);
            drop(stream);
            format!("{wrote:?} {:?}", OutgoingBody::finish(body, None))
        }
        "promise no number" => {
            let request = OutgoingRequest::new(with_length(b"+1"));
            format!("{:?}", request.body().is_err())
        }
        "promise two lengths" => {
            let fields = with_length(b"1");
            fields
                .append("content-length", b"2")
                .map_err(|error| format!("{error:?}"))?;
            format!("{:?}", OutgoingRequest::new(fields).body().is_err())
        }
        "promise and write nothing" => named_or(send(request(url, with_length(b"1"))?)?),
        "write for ever" => {
            let (_request, body, stream) = writing(Fields::new())?;
            let part = vec![0; 4096];
            let mut written = 0_u64;
            loop {
                match stream.blocking_write_and_flush(&part) {
                    Ok(()) => written += part.len() as u64,
                    Err(error) => {
                        drop(stream);
                        let finished = OutgoingBody::finish(body, None);
                        break format!("{written} {} {finished:?}", told(error));
                    }
                }
            }
        }
        "send trailers" => {
            let (_request, body, stream) = writing(Fields::new())?;
            drop(stream);
            let trailers = Fields::new();
            trailers
                .append("x-a", b"b")
                .map_err(|error| format!("{error:?}"))?;
            format!("{:?}", OutgoingBody::finish(body, Some(trailers)))
        }
        "await what is not sent" => {
            let request = request(url, Fields::new())?;
            let _body = request.body().map_err(|()| "no body")?;
            named_or(send(request)?)
        }
        "poll what is not sent" => {
            let request = request(url, Fields::new())?;
            let _body = request.body().map_err(|()| "no body")?;
            let future = send(request)?;
            let (response, time) = (future.subscribe(), subscribe_duration(1_000_000));
            format!(
                "{:?} {:?}",
                poll(&[&response, &time]),
                future.get().is_none()
            )
        }
        "drop an unfinished body" => {
            let request = request(url, Fields::new())?;
            let body = request.body().map_err(|()| "no body")?;
            let future = send(request)?;
            drop(body);
            named_or(future)
        }
        "finish a body that nobody awaits" => {
            let request = request(url, Fields::new())?;
            let body = request.body().map_err(|()| "no body")?;
            drop(send(request)?);
            format!("{:?}", OutgoingBody::finish(body, None))
        }
        "finish a body before sending" => {
            let request = request(url, Fields::new())?;
            let _ = request.set_method(&Method::Post);
            let body = request.body().map_err(|()| "no body")?;
            let stream = body.write().map_err(|()| "no stream")?;
            stream.blocking_write_and_flush(b"early").map_err(told)?;
            drop(stream);
            OutgoingBody::finish(body, None).map_err(named)?;
            let (_, _, body) = read(&awaited(&send(request)?)?)?;
            String::from_utf8_lossy(&body).into_owned()
        }
        // Responses.
        "take a response twice" => {
            let future = send(request(url, Fields::new())?)?;
            let response = awaited(&future)?;
            let body = response.consume().map_err(|()| "no body")?;
            let stream = body.stream().is_ok();
            let again = (future.get(), response.consume(), body.stream());
            format!(
                "{stream} {:?} {:?} {:?}",
                again.0.is_some_and(|got| got.is_err()),
                again.1.is_err(),
                again.2.is_err()
            )
        }
        "send many" => {
            let sent: Vec<_> = (0..17)
                .map(|_| request(url, Fields::new()).and_then(send))
                .collect();
            let failed: Vec<_> = sent.iter().filter_map(|sent| sent.as_ref().err()).collect();
            format!("{failed:?}")
        }
        "leave a request" => {
            std::mem::forget(send(request(url, Fields::new())?)?);
            "left".into()
        }
        "hold many fields" => {
            let value = vec![b'a'; 60_000];
            let mut all = Vec::new();
            for _ in 0..4_000 {
                let fields = Fields::new();
                fields
                    .append("x", &value)
                    .map_err(|error| format!("{error:?}"))?;
                all.push(fields);
            }
            "held".into()
        }
        "fill one fields" => {
            let fields = Fields::new();
            for _ in 0..100_000 {
                fields
                    .append("x", b"")
                    .map_err(|error| format!("{error:?}"))?;
            }
            "filled".into()
        }
        "drop in a loop" => {
            for _ in 0..1_000 {
                drop(Fields::new());
            }
            "done".into()
        }
        other => format!("unknown: {other}"),
    })
}

fn named_or(future: FutureIncomingResponse) -> String {
    match awaited(&future) {
        Ok(response) => response.status().to_string(),
        Err(error) => error,
    }
}

/// Goes through all functions of `fields`.
fn fields() -> Result<String, String> {
    let shown = |error: HeaderError| format!("{error:?}");
    let mut told = Vec::new();
    let fields = Fields::from_list(&[("X-A".into(), b"1".to_vec()), ("x-b".into(), b"2".to_vec())]);
    let fields = fields.map_err(shown)?;
    fields.append("x-a", b"3").map_err(shown)?;
    told.push(format!("{:?}", fields.get("X-a")));
    told.push(format!("{} {}", fields.has("X-B"), fields.has("no name")));
    fields
        .set("X-B", &[b"4".to_vec(), b"5".to_vec()])
        .map_err(shown)?;
    let copy = fields.clone();
    fields.delete("x-a").map_err(shown)?;
    told.push(format!(
        "{} {}",
        fields.entries().len(),
        copy.entries().len()
    ));
    for (name, value) in [
        ("", "a"),
        ("a b", "a"),
        ("a\r\nb", "a"),
        ("a", "b\r\nc: d"),
        ("a", "b\0"),
        ("Host", "a"),
        ("transfer-encoding", "chunked"),
        ("Connection", "close"),
    ] {
        let refused = fields.append(name, value.as_bytes()).map_err(shown);
        let also = fields.set(name, &[value.into()]).map_err(shown);
        let list = Fields::from_list(&[(name.into(), value.into())])
            .map(drop)
            .map_err(shown);
        if refused != also || refused != list {
            return Err(format!("{name}: {refused:?} {also:?} {list:?}"));
        }
        told.push(refused.err().unwrap_or_default());
    }
    told.push(format!("{:?}", fields.delete("a b").map_err(shown)));
    let request = OutgoingRequest::new(fields);
    let fixed = request.headers();
    told.push(format!(
        "{:?} {:?} {:?} {}",
        fixed.append("a", b"b"),
        fixed.set("a", &[]),
        fixed.delete("a"),
        fixed.entries().len()
    ));
    told.push(format!("{:?}", fixed.clone().append("a", b"b")));
    Ok(told.join("; "))
}

/// Goes through what a request refuses.
fn setters() -> String {
    let request = OutgoingRequest::new(Fields::new());
    let mut told = vec![format!("{:?} {:?}", request.method(), request.scheme())];
    let other = |text: &str| Method::Other(text.into());
    let methods = ["bad\nmethod", "", "a b"].map(|text| request.set_method(&other(text)).is_ok());
    told.push(format!("{methods:?}"));
    let other = |text: &str| Some(Scheme::Other(text.into()));
    let schemes =
        ["bad\nscheme", "", "1a"].map(|text| request.set_scheme(other(text).as_ref()).is_ok());
    told.push(format!("{schemes:?}"));
    let hosts = ["a\n", "a:99999", "u@a", "a/b", "", "[::]:443", "a:80"];
    let hosts = hosts.map(|text| request.set_authority(Some(text)).is_ok());
    told.push(format!("{hosts:?}"));
    let paths = ["/a b", "/a\r\nX: y", "a", "/#", "/a?b"];
    let paths = paths.map(|text| request.set_path_with_query(Some(text)).is_ok());
    told.push(format!("{paths:?}"));
    let set = [
        request.set_method(&Method::Patch).is_ok(),
        request.set_scheme(Some(&Scheme::Http)).is_ok(),
    ];
    told.push(format!("{set:?}"));
    told.push(format!(
        "{:?} {:?} {:?} {:?}",
        request.method(),
        request.scheme(),
        request.authority(),
        request.path_with_query()
    ));
    told.join("; ")
}

/// Goes through the options.
fn times() -> Result<String, String> {
    let options = RequestOptions::new();
    let before = (
        options.connect_timeout(),
        options.first_byte_timeout(),
        options.between_bytes_timeout(),
    );
    let refused = |()| "a time is refused";
    options.set_connect_timeout(Some(1)).map_err(refused)?;
    options.set_first_byte_timeout(Some(2)).map_err(refused)?;
    options
        .set_between_bytes_timeout(Some(3))
        .map_err(refused)?;
    let after = (
        options.connect_timeout(),
        options.first_byte_timeout(),
        options.between_bytes_timeout(),
    );
    Ok(format!("{before:?} {after:?}"))
}

impl wasip2::exports::http::incoming_handler::Guest for Plugin {
    /// Returns the request, as text; or breaks rules, as its path says.
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let body = match request.consume() {
            Ok(body) => read_all(&body).unwrap_or_default(),
            Err(()) => Vec::new(),
        };
        let mut told = format!(
            "{:?} {:?} {:?} {path}\n",
            request.method(),
            request.scheme(),
            request.authority()
        );
        for (name, value) in request.headers().entries() {
            told.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
        }
        told.push_str(&String::from_utf8_lossy(&body));
        let headers = Fields::new();
        headers.append("x-of", b"fetch").expect("a header");
        let response = OutgoingResponse::new(headers);
        response.set_status_code(201).expect("a status");
        let body = response.body().expect("a body");
        match &*path {
            "/unset" => return,
            "/error" => return ResponseOutparam::set(outparam, Err(ErrorCode::LoopDetected)),
            _ => ResponseOutparam::set(outparam, Ok(response)),
        }
        let stream = body.write().expect("a stream");
        let _ = stream.blocking_write_and_flush(told.as_bytes());
        drop(stream);
        match &*path {
            "/unfinished" => drop(body),
            _ => OutgoingBody::finish(body, None).expect("a body"),
        }
    }
}
