//! `wasi:http`: the guest `fetch` with clients of the tests', and with `HttpAccess`. The threats are P15 to P18 in
//! docs/threats.md.

mod limits;
mod misuse;
mod sending;

use hostel::{
    Engine, Grants, HttpClient, HttpError, HttpRequest, HttpResponse, PendingHttp, Plugin, Wasi,
};
use hostel_tests::guest_bytes;
use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

/// A client whose answers are made by a function, at the third poll.
struct Client<F> {
    answer: F,
    /// Number of requests that were given up, or are done.
    dropped: Arc<AtomicUsize>,
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<F> HttpClient for Client<F>
where
    F: Fn(HttpRequest) -> Option<Result<HttpResponse, HttpError>> + Send + Sync + 'static,
{
    fn send(&self, request: HttpRequest) -> PendingHttp {
        let mut answer = (self.answer)(request);
        let counted = Counted(self.dropped.clone());
        let mut polls = 0;
        Box::pin(poll_fn(move |context| {
            let _counted = &counted;
            polls += 1;
            match answer.take() {
                // Not at once, so that the guest is suspended in each test.
                Some(given) if polls < 3 => {
                    context.waker().wake_by_ref();
                    answer = Some(given);
                    Poll::Pending
                }
                Some(given) => Poll::Ready(given),
                None => Poll::Pending,
            }
        }))
    }
}

/// Returns a grant of WASI whose requests are answered by `answer`, or never.
fn wasi(
    answer: impl Fn(HttpRequest) -> Option<Result<HttpResponse, HttpError>> + Send + Sync + 'static,
) -> (Wasi, Arc<AtomicUsize>) {
    let dropped = Arc::default();
    let client = Client {
        answer,
        dropped: Arc::clone(&dropped),
    };
    (Wasi::new().http(client), dropped)
}

/// Loads the guest.
fn load(wasi: Wasi) -> Plugin {
    load_with(Grants::new().wasi(wasi))
}

fn load_with(grants: Grants) -> Plugin {
    let engine: Engine = hostel::engine();
    let wasm = guest_bytes("components/rust_fetch");
    let plugin = engine.load_component("fetch", &wasm, &grants);
    plugin.unwrap_or_else(|error| panic!("{error}"))
}

/// Answers each request with its method, URL and body.
fn echo(request: HttpRequest) -> Option<Result<HttpResponse, HttpError>> {
    let mut response = HttpResponse::new(200);
    response.headers = vec![("X-Of".into(), b"echo".to_vec())];
    response.body = format!("{} {} ", request.method, request.url).into_bytes();
    response.body.extend(request.body);
    Some(Ok(response))
}

/// Names and values of headers.
type Headers = Vec<(String, Vec<u8>)>;

/// What the guest's `fetch` returns.
type Fetched = Result<(u16, Headers, Vec<u8>), String>;

/// Has the guest send a request.
fn fetch(plugin: &Plugin, method: &str, url: &str, body: Option<&[u8]>) -> Fetched {
    let params = (method, url, Headers::new(), body);
    plugin.call_component("fetch", params).unwrap()
}

/// Has the guest do something.
fn attempt(plugin: &Plugin, name: &str) -> Result<String, hostel::CallError> {
    plugin.call_component("attempt", (name, "http://host/path"))
}
