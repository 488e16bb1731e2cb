//! HTTP requests, by the import `env.host_http_request`. The host decides which servers may be reached, and the plugin is
//! suspended until the response is there.
//!
//! In native tests, [`testing::Host::http`](crate::testing::Host::http) has the responses. Without one, each request
//! fails.
//!
//! ```
//! use hostel_guest::{Error, http::{Request, Response}, testing::Host};
//!
//! fn weather(city: &str) -> Result<String, Error> {
//!     let response = Request::get(&format!("https://weather.example/{city}"))
//!         .header("accept", "text/plain")
//!         .send()?;
//!     match response.status {
//!         200 => Ok(String::from_utf8(response.body)?),
//!         status => Err(Error::new(format!("the server returned {status}"))),
//!     }
//! }
//!
//! let host = Host::new().http(|request| {
//!     assert_eq!(request.url, "https://weather.example/Oslo");
//!     Ok(Response::new(200, "rain"))
//! });
//! assert_eq!(host.run(|| weather("Oslo")), Ok("rain".into()));
//! ```

use crate::Error;
use alloc::string::String;
use alloc::vec::Vec;

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Names and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
}

impl Request {
    /// Creates a request without headers and body.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Creates a `GET` request.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// Creates a `POST` request.
    #[must_use]
    pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = Self::new("POST", url);
        request.body = body.into();
        request
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends the request, and waits for the response. A status of 400 or more is no error.
    ///
    /// # Errors
    ///
    /// If the host refuses the request, the server can't be reached, or the response is larger than the host allows. The
    /// message begins with a code, such as `http-not-allowed: `. A line end in the method, the URL or a header is
    /// refused with `http-invalid: `.
    pub fn send(&self) -> Result<Response, Error> {
        let mut parts = [&*self.method, &self.url].into_iter().chain(
            self.headers
                .iter()
                .flat_map(|(name, value)| [&**name, value]),
        );
        // It would begin another line of the request.
        if parts.any(|part| part.contains('\n')) {
            return Err(Error::new(
                "http-invalid: the request has a line end before its body",
            ));
        }
        send(self)
    }
}

/// The response to a [`Request`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// Names and values. A name may occur several times.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// Creates a response without headers, for tests.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Returns the first value of a header, whose name is compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }
}

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::http as send;

#[cfg(target_arch = "wasm32")]
fn send(request: &Request) -> Result<Response, Error> {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        // Safe with any arguments: the host only reads, and traps if they lie outside of the memory.
        safe fn host_http_request(request: *const u8, size: usize) -> i64;
    }
    let text = write(request);
    let answer = crate::host::answer(host_http_request(text.as_ptr(), text.len()))?;
    read(&answer.unwrap_or_default()).ok_or_else(|| Error::new("the host's response is malformed"))
}

// Native tests pass requests and responses themselves.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
/// Writes `METHOD URL`, a line `NAME: VALUE` for each header, an empty line, and the body.
fn write(request: &Request) -> Vec<u8> {
    let mut text = Vec::new();
    let mut line = |parts: [&str; 4]| {
        let parts = parts.map(str::as_bytes);
        text.extend(parts.into_iter().flatten());
    };
    line([&request.method, " ", &request.url, "\n"]);
    for (name, value) in &request.headers {
        line([name, ": ", value, "\n"]);
    }
    line(["\n", "", "", ""]);
    text.extend(&request.body);
    text
}

#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
/// Reads the status, a line `NAME: VALUE` for each header, an empty line, and the body.
fn read(text: &[u8]) -> Option<Response> {
    let end = text.windows(2).position(|pair| pair == b"\n\n")?;
    let head = String::from_utf8_lossy(text.get(..end)?);
    let mut lines = head.split('\n');
    let status = lines.next()?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    Some(Response {
        status,
        headers: headers
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        body: text.get(end + 2..)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_lines_and_so_is_its_response() {
        let request = Request::post("http://a/", "x\n\ny").header("b", "c");
        assert_eq!(write(&request), b"POST http://a/\nb: c\n\nx\n\ny");
        assert_eq!(write(&Request::get("http://a/")), b"GET http://a/\n\n");
        let response = read(b"404\nX-A: 1: 2\n\nno\n\nyes").unwrap();
        assert_eq!((response.status, &*response.body), (404, &b"no\n\nyes"[..]));
        assert_eq!(response.header("x-a"), Some("1: 2"));
        assert_eq!(response.header("x-b"), None);
        assert_eq!(read(b"200\n\n"), Some(Response::new(200, "")));
        assert_eq!(read(b"200\n"), None);
    }

    #[test]
    fn a_line_end_makes_no_header_of_a_value() {
        for request in [
            Request::get("http://a/\nx: y"),
            Request::get("http://a/").header("b", "c\nx: y"),
            Request::get("http://a/").header("b\n", "c"),
        ] {
            let error = request.send().unwrap_err();
            assert!(error.message().starts_with("http-invalid: "), "{error}");
        }
    }
}
