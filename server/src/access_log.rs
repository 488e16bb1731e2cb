//! One line of JSON for each request, written to stdout by a thread of its own.

use axum::http::{Method, Uri};
use serde_json::json;
use std::{
    io::{self, Write as _},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Most lines that wait to be written. Further ones are dropped and counted: a request must not wait for a pipe.
const WAITING: usize = 4_096;

/// The access log.
pub(crate) struct AccessLog(SyncSender<String>);

/// What a line tells.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) method: String,
    path: String,
    /// The path of the route; empty if there is none.
    pub(crate) route: &'static str,
    /// The name of the client's token.
    pub(crate) client: String,
    pub(crate) plugin: String,
    pub(crate) export: String,
    /// The error's code; empty if there is none.
    pub(crate) code: &'static str,
    pub(crate) fuel: u64,
    pub(crate) bytes_in: usize,
    pub(crate) bytes_out: usize,
}

impl Line {
    /// Begins with the request's first line, without its query, which may hold what is not meant for logs.
    pub(crate) fn new(method: &Method, uri: &Uri) -> Self {
        Self {
            method: method.to_string(),
            path: uri.path().to_owned(),
            ..Self::default()
        }
    }
}

impl AccessLog {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (send, lines) = sync_channel::<String>(WAITING);
        let write = move || {
            for line in lines {
                // Nobody may read it: that must not end the server.
                let _ = io::stdout().lock().write_all(line.as_bytes());
            }
        };
        thread::Builder::new()
            .name("hostel-access-log".into())
            .spawn(write)?;
        Ok(Self(send))
    }

    /// Writes a line. Returns whether there was room for it.
    pub(crate) fn write(&self, line: &Line, request: &str, status: u16, took: Duration) -> bool {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut text = json!({
            "time": since.unwrap_or_default().as_secs_f64(),
            "request": request,
            "client": line.client,
            "method": line.method,
            "path": line.path,
            "status": status,
            "code": line.code,
            "plugin": line.plugin,
            "export": line.export,
            "seconds": took.as_secs_f64(),
            "fuel": line.fuel,
            "bytes_in": line.bytes_in,
            "bytes_out": line.bytes_out,
        })
        .to_string();
        text.push('\n');
        self.0.try_send(text).is_ok()
    }
}
