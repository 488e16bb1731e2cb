//! A server on this machine, and ways to send it requests.

use hostel::{AllowedHosts, HttpAccess, HttpClient as _, HttpError, HttpRequest, HttpResponse};
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A server that answers each connection's one request by a function, on a thread for each.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server. `answer` gets the request's text, and the connection to write to.
    pub(super) fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (requests, answer) = (seen.clone(), Arc::new(answer));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (requests, answer) = (requests.clone(), answer.clone());
                thread::spawn(move || {
                    let mut connection = connection.unwrap();
                    if let Some(request) = read(&mut connection) {
                        requests.lock().unwrap().push(request.clone());
                        answer(&request, &mut connection);
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// Starts a server that gives each request this answer.
    pub(super) fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, connection| write(connection, &answer))
    }

    /// Starts a server that redirects `/` with this status, and returns the text of all other requests.
    pub(super) fn redirecting(status: u16, location: impl Into<String>) -> Self {
        let location = location.into();
        Self::start(move |request, connection| {
            let redirects = request.split(' ').nth(1) == Some("/");
            let answer = match redirects {
                true => format!(
                    "HTTP/1.1 {status} See\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
                ),
                false => ok(request),
            };
            write(connection, answer.as_bytes());
        })
    }

    /// Returns the URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the requests so far.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns a client that may reach this server, and no other.
    pub(super) fn client(&self) -> HttpAccess {
        HttpAccess::new(allowed(&[&self.address.to_string()]))
    }
}

/// Reads a request with its body. `None` if the connection ends before.
fn read(connection: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
        let mut buffer = [0; 4096];
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Writes, unless the client has gone.
pub(super) fn write(connection: &mut TcpStream, bytes: &[u8]) {
    let _ = connection.write_all(bytes);
}

/// Returns a response with this body.
pub(super) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn allowed(entries: &[&str]) -> AllowedHosts {
    AllowedHosts::parse(entries).unwrap()
}

/// Sends a request, and waits for its response.
pub(super) fn send(client: &HttpAccess, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    request.check().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let answer = client.send(request);
    runtime.block_on(async {
        let late = tokio::time::timeout(Duration::from_secs(60), answer).await;
        late.expect("it has an answer within a minute")
    })
}

pub(super) fn get(client: &HttpAccess, url: &str) -> Result<HttpResponse, HttpError> {
    send(client, HttpRequest::new("GET", url))
}

/// Returns the code of an answer's error, or `"ok"`.
pub(super) fn code(answer: &Result<HttpResponse, HttpError>) -> &'static str {
    answer.as_ref().err().map_or("ok", HttpError::code)
}

/// Returns the body of a response, as text.
pub(super) fn text(answer: Result<HttpResponse, HttpError>) -> String {
    String::from_utf8(answer.unwrap().body).unwrap()
}
