//! `env.host_http_request`: HTTP for plugins of the native convention.

use core::{task::Poll, time::Duration};
use hostel::{
    Budget, CallError, Grants, HttpClient, HttpError, HttpRequest, HttpResponse, PendingHttp,
};
use hostel_tests::{load_wat, with_allocator};
use std::sync::{Arc, Mutex};

/// A client that keeps what it was asked, and is ready at the third poll.
#[derive(Clone)]
struct Client {
    response: Option<Result<HttpResponse, HttpError>>,
    asked: Arc<Mutex<Vec<HttpRequest>>>,
}

impl Client {
    fn new(response: Option<Result<HttpResponse, HttpError>>) -> Self {
        let asked = Arc::default();
        Self { response, asked }
    }

    fn asked(&self) -> Vec<HttpRequest> {
        self.asked.lock().unwrap().clone()
    }
}

impl HttpClient for Client {
    fn send(&self, request: HttpRequest) -> PendingHttp {
        self.asked.lock().unwrap().push(request);
        let mut response = self.response.clone();
        let mut polls = 0;
        Box::pin(core::future::poll_fn(move |context| {
            polls += 1;
            match response.take() {
                Some(given) if polls < 3 => {
                    context.waker().wake_by_ref();
                    response = Some(given);
                    Poll::Pending
                }
                Some(given) => Poll::Ready(given),
                None => Poll::Pending,
            }
        }))
    }
}

fn response(headers: &[(&str, &str)], body: &str) -> HttpResponse {
    let mut response = HttpResponse::new(200);
    let own = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
    response.headers = headers.iter().map(own).collect();
    response.body = body.into();
    response
}

/// Passes the input to the host, and returns its response or its error: both have the form of an answer.
fn ask(client: Client, budget: Budget, request: &str) -> Result<String, CallError> {
    let guest = with_allocator(
        r#"(import "env" "host_http_request" (func $http (param i32 i32) (result i32 i32)))"#,
        r#"(func (export "process") (param i32 i32) (result i32 i32)
             (call $http (local.get 0) (local.get 1)))"#,
    );
    let plugin = load_wat(&guest, &Grants::new().http(client)).with_budget(budget);
    let answer = plugin.process(request.as_bytes())?;
    Ok(String::from_utf8(answer).unwrap())
}

#[test]
fn a_request_is_lines_and_so_is_its_response() {
    let client = Client::new(Some(Ok(response(
        &[("X-A", "1"), ("X-A", "2")],
        "hello\n\nyou",
    ))));
    let request = "post http://host/path\nAccept: */*\nx-time:12:30 \n\nbody\n\nmore";
    let answer = ask(client.clone(), Budget::server(), request).unwrap();
    assert_eq!(answer, "200\nX-A: 1\nX-A: 2\n\nhello\n\nyou");
    let asked = &client.asked()[0];
    assert_eq!((&*asked.method, &*asked.url), ("POST", "http://host/path"));
    let headers = [("Accept", "*/*"), ("x-time", "12:30")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    assert_eq!(asked.headers, headers);
    assert_eq!(asked.body, b"body\n\nmore");
    assert_eq!(asked.plugin, "guest");
}

#[test]
fn headers_and_body_may_be_left_out() {
    for request in ["GET http://a/", "GET http://a/\n", "GET http://a/\n\n"] {
        let client = Client::new(Some(Ok(response(&[], ""))));
        let answer = ask(client.clone(), Budget::server(), request).unwrap();
        assert_eq!(answer, "200\n\n", "{request:?}");
        let asked = &client.asked()[0];
        assert!(
            asked.headers.is_empty() && asked.body.is_empty(),
            "{request:?}"
        );
        assert_eq!(asked.url, "http://a/");
    }
}

#[test]
fn what_is_no_request_is_an_error_and_is_not_sent() {
    let long = format!("GET http://a/\nx: {}", "a".repeat(65_536));
    for request in [
        "",
        "GET",
        "\n\nGET http://a/",
        "GET http://a/\nno colon",
        "GET http://a/\nhost: b",
        "GET http://a/\nx: b\rc",
        "GET http://a/\na b: c",
        "GET http://a/\r\nx: y\r\n",
        "CONNECT http://a/",
        &long,
    ] {
        let client = Client::new(Some(Ok(response(&[], ""))));
        let error = ask(client.clone(), Budget::server(), request).unwrap_err();
        assert_eq!(error.code(), "guest-error", "{request:?}: {error}");
        assert!(error.to_string().contains("http-invalid: "), "{error}");
        assert!(client.asked().is_empty(), "{request:?}");
    }
}

#[test]
fn an_error_of_the_client_is_the_plugins_to_handle() {
    let reason = "the host `a` is not allowed".to_owned();
    let refused = HttpError::NotAllowed {
        reason,
        entry: None,
    };
    let client = Client::new(Some(Err(refused)));
    let error = ask(client, Budget::server(), "GET http://a/").unwrap_err();
    assert!(error.to_string().contains("http-not-allowed: "), "{error}");
    assert!(error.to_string().contains("`a` is not allowed"), "{error}");
}

#[test]
fn a_response_is_bounded_and_has_no_forged_lines() {
    let mut budget = Budget::server();
    budget.bytes_to_guest = 4_000;
    let client = Client::new(Some(Ok(response(&[], ""))));
    ask(client.clone(), budget, "GET http://a/").unwrap();
    let asked = &client.asked()[0];
    assert_eq!(asked.max_header_bytes + asked.max_body_bytes, 4_000);
    for (sent, code) in [
        (response(&[("a", "b\nc: d")], ""), "http-failed: "),
        (response(&[("a: b\nc", "d")], ""), "http-failed: "),
        (
            response(&[("a", &"b".repeat(2_000))], ""),
            "http-too-large: ",
        ),
    ] {
        let client = Client::new(Some(Ok(sent)));
        let error = ask(client, budget, "GET http://a/").unwrap_err();
        assert!(error.to_string().contains(code), "{error}");
    }
    // A client that returns more than it may.
    let client = Client::new(Some(Ok(response(&[], &"b".repeat(5_000)))));
    let error = ask(client, budget, "GET http://a/").unwrap_err();
    assert!(error.to_string().contains("bytes_to_guest"), "{error}");
}

#[test]
fn a_request_is_charged_before_it_is_sent_and_waits_until_the_deadline() {
    let client = Client::new(None);
    let budget = Budget::server().with_fuel(9_000);
    let error = ask(client.clone(), budget, "GET http://a/").unwrap_err();
    assert_eq!(error.code(), "out-of-fuel");
    assert!(client.asked().is_empty());
    let budget = Budget::server().with_deadline(Duration::from_millis(50));
    let error = ask(client.clone(), budget, "GET http://a/").unwrap_err();
    assert_eq!(error.code(), "deadline");
    let timeout = client.asked()[0].timeout.unwrap();
    assert!(timeout <= Duration::from_millis(50), "{timeout:?}");
}
