//! A client of HTTP/1.1 that sends what it is told, byte by byte if need be.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// Longest wait for an answer: a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to the server.
pub(crate) struct Client(BufReader<TcpStream>);

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
    }

    /// Checks that this is an error with a status and a code.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, code: &str) -> &Self {
        let text = self.text();
        assert_eq!(self.status, status, "{text}");
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{text}"
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{text}");
        assert_eq!(problem["status"], status, "{text}");
        assert_eq!(
            problem["type"],
            format!("urn:hostel:error:{code}"),
            "{text}"
        );
        self
    }

    /// Checks that this is a success with a text.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert_eq!((self.status, &*self.text()), (200, text));
        self
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.get_mut().write_all(bytes.as_ref());
    }

    /// Closes the connection's side that sends.
    pub(crate) fn close_sending(&mut self) {
        // It may be closed as a whole.
        let _ = self.0.get_mut().shutdown(Shutdown::Write);
    }

    /// Sends a request with a body.
    pub(crate) fn request(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{line} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        self.send([head.as_bytes(), body].concat());
    }

    /// Sends a request, and reads its answer.
    pub(crate) fn ask(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.request(line, headers, body);
        self.answer().expect("the server answers")
    }

    /// Reads an answer; `None` if the server has closed the connection.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("no answer: {error}"),
        }
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a head has an end");
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers
            .get("content-length")
            .map_or("0", |length| &**length);
        let mut body = vec![0; length.parse().expect("a length is a number")];
        self.0.read_exact(&mut body).expect("the body is whole");
        Some(Answer {
            status: status.unwrap_or_else(|| panic!("{line:?} is no status line")),
            headers,
            body,
        })
    }

    /// Reads a line of a stream, with those between its pieces; `None` at its end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).expect("a line comes");
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Returns whether the server has closed the connection. Waits for it.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
