//! `http_request` of Extism's environment, with a client of the tests'.

use core::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use hostel::{
    Budget, CallError, Extism, Grants, HttpClient, HttpError, HttpRequest, HttpResponse,
    PendingCall, PendingHttp, Platform, Plugin, Step,
};
use hostel_tests::{code, load_wat, try_load_wat};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

/// Sends the input as request, and returns what its export is named for.
const GUEST: &str = r#"(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64)))
    (import "extism:host/env" "store_u64" (func $store64 (param i64 i64)))
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))
    (import "extism:host/env" "http_request" (func $http (param i64 i64) (result i64)))
    (import "extism:host/env" "http_status_code" (func $status (result i32)))
    (import "extism:host/env" "http_headers" (func $headers (result i64)))
    (func $block (param $number i64) (result i64) (local $at i64)
      (local.set $at (call $alloc (i64.const 8)))
      (call $store64 (local.get $at) (local.get $number))
      (local.get $at))
    (func $give (param $at i64) (call $output (local.get $at) (call $length (local.get $at))))
    (func (export "get") (local $json i64)
      (local.set $json (call $input))
      (call $give (call $http (local.get $json) (i64.const 0)))
      (if (i64.ne (call $length (local.get $json)) (i64.const 0)) (then unreachable)))
    (func (export "post") (local $body i64)
      (local.set $body (call $block (i64.const 0x3837363534333231)))
      (call $give (call $http (call $input) (local.get $body)))
      (if (i64.ne (call $length (local.get $body)) (i64.const 0)) (then unreachable)))
    (func (export "handle") (call $give (call $block (call $http (call $input) (i64.const 0)))))
    (func (export "status")
      (if (i64.ne (call $input) (i64.const 0)) (then (drop (call $http (call $input) (i64.const 0)))))
      (call $give (call $block (i64.extend_i32_u (call $status)))))
    (func (export "headers")
      (if (i64.ne (call $input) (i64.const 0)) (then (drop (call $http (call $input) (i64.const 0)))))
      (call $give (call $headers)))
    (func (export "forged") (drop (call $http (i64.const 77) (i64.const 0)))))"#;

const REQUEST: &[u8] = br#"{"url":"http://host/path"}"#;

/// A client whose answers are made by a function, and that counts the requests given up.
struct Client<F> {
    answer: F,
    dropped: Arc<AtomicUsize>,
}

/// Counts that it is dropped.
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
        Box::pin(core::future::poll_fn(move |context| {
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

/// Returns a grant of HTTP whose requests are answered by `answer`, or never.
fn extism(
    answer: impl Fn(HttpRequest) -> Option<Result<HttpResponse, HttpError>> + Send + Sync + 'static,
) -> (Extism, Arc<AtomicUsize>) {
    let dropped = Arc::default();
    let client = Client {
        answer,
        dropped: Arc::clone(&dropped),
    };
    (Extism::new().http(client), dropped)
}

fn plugin(
    answer: impl Fn(HttpRequest) -> Option<Result<HttpResponse, HttpError>> + Send + Sync + 'static,
) -> Plugin {
    load_wat(GUEST, &Grants::new().extism(extism(answer).0))
}

fn response(status: u16, headers: &[(&str, &[u8])], body: &[u8]) -> HttpResponse {
    let mut response = HttpResponse::new(status);
    let own = |(name, value): &(&str, &[u8])| (String::from(*name), value.to_vec());
    response.headers = headers.iter().map(own).collect();
    response.body = body.to_vec();
    response
}

/// Answers each request with its body, or `none`.
fn echo(request: HttpRequest) -> Option<Result<HttpResponse, HttpError>> {
    let body = match request.body.is_empty() {
        true => b"none",
        false => &request.body[..],
    };
    Some(Ok(response(200, &[("X-Of", b"echo")], body)))
}

#[test]
fn a_request_is_sent_and_both_blocks_are_freed() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = seen.clone();
    let plugin = plugin(move |request| {
        requests.lock().unwrap().push(request.clone());
        echo(request)
    });
    let json = br#"{"method":"put","url":"https://h:1/p?q","headers":{"X-A":"1","b":"\u00e9"}}"#;
    assert_eq!(plugin.call_bytes("post", json).unwrap(), b"12345678");
    assert_eq!(plugin.call_bytes("get", REQUEST).unwrap(), b"none");
    let seen = seen.lock().unwrap();
    let [put, get] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((&*put.plugin, &*put.method), ("guest", "PUT"));
    assert_eq!(put.url, "https://h:1/p?q");
    let headers = [("X-A", &b"1"[..]), ("b", "\u{e9}".as_bytes())];
    let headers = headers.map(|(name, value)| (name.into(), value.to_vec()));
    assert_eq!(put.headers, headers);
    assert_eq!(put.timeout, None);
    assert_eq!((&*get.method, &*get.url), ("GET", "http://host/path"));
    assert!(get.body.is_empty() && get.headers.is_empty());
}

#[test]
fn the_last_response_has_a_status_and_headers() {
    let plugin = plugin(|request| {
        let headers: [(&str, &[u8]); 3] = [("X-A", b"\"1\""), ("B", b"2"), ("x-a", b"3\xff")];
        match request.url.contains("missing") {
            true => Some(Ok(response(404, &[], b""))),
            false => Some(Ok(response(201, &headers, b"body"))),
        }
    });
    let number = |name: &str, input: &[u8]| {
        let output = plugin.call_bytes(name, input).unwrap();
        u64::from_le_bytes(output.try_into().unwrap())
    };
    let missing = br#"{"url":"http://host/missing"}"#;
    assert_eq!(number("status", REQUEST), 201);
    assert_eq!(number("status", missing), 404);
    // An empty body is the handle 0.
    assert_eq!(number("handle", missing), 0);
    assert!(number("handle", REQUEST) > 0);
    let headers = plugin.call_bytes("headers", REQUEST).unwrap();
    let expected = "{\"b\":\"2\",\"x-a\":\"\\\"1\\\", 3\u{fffd}\"}";
    assert_eq!(String::from_utf8(headers).unwrap(), expected);
    assert_eq!(plugin.call_bytes("headers", missing).unwrap(), b"{}");
    // Nothing of a call is left for the next one.
    assert_eq!(number("status", b""), 0);
    assert_eq!(plugin.call_bytes("headers", b"").unwrap(), b"");
}

#[test]
fn what_is_no_request_or_has_no_response_traps() {
    let plugin = plugin(|request| match request.url.contains("host") {
        true => echo(request),
        false => Some(Err(HttpError::NotAllowed {
            reason: format!("no {}", request.url),
            entry: None,
        })),
    });
    for (json, expected) in [
        ("", "an object at byte 0"),
        ("{}", "`url` is missing"),
        (r#"{"url":"http://host/","headers":{"Host":"x"}}"#, "`Host`"),
        (
            r#"{"url":"http://host/","headers":{"X":"a\r\nY: b"}}"#,
            "control characters",
        ),
        (r#"{"url":"http://host/","method":"TRACE"}"#, "`TRACE`"),
        (
            r#"{"url":"http://other/"}"#,
            "not allowed: no http://other/",
        ),
        ("{\"url\":\"http://\u{202e}evil/\"}", "no http://"),
    ] {
        let error = plugin.call_bytes("get", json.as_bytes()).unwrap_err();
        let shown = error.to_string();
        assert_eq!(error.code(), "trap-host", "{shown}");
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains('\u{202e}'), "{shown}");
    }
    let forged = plugin.call_bytes("forged", b"").unwrap_err();
    assert!(forged.to_string().contains("77"), "{forged}");
    let long = format!(r#"{{"url":"http://host/","x":"{}"}}"#, "x".repeat(64 << 10));
    let error = plugin.call_bytes("get", long.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("65536 are allowed"), "{error}");
}

#[test]
fn responses_are_bounded_whatever_the_client_returns() {
    let told = Arc::new(AtomicUsize::new(0));
    let limit = told.clone();
    // A client that ignores the limits.
    let answer = move |request: HttpRequest| {
        limit.store(request.max_body_bytes, Ordering::SeqCst);
        let headers: &[(&str, &[u8])] = match request.url.contains("headers") {
            true => &[("x", &[b'"'; 33_000])],
            false => &[],
        };
        Some(Ok(response(200, headers, &[7; 1000])))
    };
    let with = |set: fn(Extism) -> Extism| {
        let grants = Grants::new().extism(set(extism(answer.clone()).0));
        load_wat::<()>(GUEST, &grants)
    };
    let plugin = with(|extism| extism.http_response_bytes(1000));
    assert_eq!(plugin.call_bytes("get", REQUEST).unwrap(), [7; 1000]);
    assert_eq!(told.load(Ordering::SeqCst), 1000);
    let plugin = with(|extism| extism.http_response_bytes(999));
    let error = plugin.call_bytes("get", REQUEST).unwrap_err();
    assert_eq!(error.code(), "trap-host");
    assert!(error.to_string().contains("999"), "{error}");
    let plugin = with(|extism| extism.memory_bytes(1000));
    assert_eq!(code(&plugin.call_bytes("get", REQUEST)), "trap-host");
    assert!(told.load(Ordering::SeqCst) < 1000);
    let mut budget = Budget::server();
    budget.bytes_to_guest = 998;
    let plugin = with(|extism| extism).with_budget(budget);
    let error = plugin.call_bytes("get", REQUEST).unwrap_err();
    assert!(error.to_string().contains("bytes_to_guest"), "{error}");
    assert_eq!(told.load(Ordering::SeqCst), 998);
    // Escaped, the header has more than 64 KiB.
    let plugin = with(|extism| extism);
    let headers = br#"{"url":"http://host/headers"}"#;
    let error = plugin.call_bytes("get", headers).unwrap_err();
    assert!(error.to_string().contains("headers"), "{error}");
    let mut budget = Budget::server();
    budget.argument_bytes = REQUEST.len() + 7;
    let plugin = plugin.with_budget(budget);
    let error = code(&plugin.call_bytes("post", REQUEST));
    assert_eq!(error, "argument-too-large");
    assert_eq!(code(&plugin.call_bytes("get", REQUEST)), "ok");
    // The guest's memory and its blocks are limited together.
    let mut limits = hostel::Limits::server();
    limits.memory_bytes = 900;
    let grants = Grants::<()>::new().extism(extism(answer).0);
    let plugin = load_wat(GUEST, &grants.with_limits(limits));
    let error = plugin.call_bytes("get", REQUEST).unwrap_err();
    assert!(error.to_string().contains("exceeds 757 bytes"), "{error}");
}

#[test]
fn requests_are_charged_before_they_are_sent() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let plugin = plugin(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        echo(request)
    });
    let metered = |instance: &mut hostel::Instance| instance.call_bytes("get", REQUEST, |_| ());
    let (result, used) = plugin.with_instance_metered(metered);
    assert_eq!(code(&result), "ok");
    assert!((10_000..11_000).contains(&used.fuel), "{}", used.fuel);
    assert_eq!(sent.swap(0, Ordering::SeqCst), 1);
    let poor = plugin.with_budget(Budget::server().with_fuel(10_000));
    assert_eq!(code(&poor.call_bytes("get", REQUEST)), "out-of-fuel");
    assert_eq!(sent.load(Ordering::SeqCst), 0);
    // By steps of any size, the fuel is equal.
    for quantum in [7, 1_000_000] {
        let inputs = [REQUEST];
        let mut call = plugin.call_arguments_async("get", &inputs);
        let (result, waits) = loop_steps(&mut call, quantum);
        assert_eq!(result, Ok(b"none".to_vec()));
        assert!(waits > 0);
        assert_eq!(call.usage().fuel, used.fuel, "{quantum}");
    }
    let mut budget = Budget::server();
    budget.host_calls = 2;
    let few = plugin.with_budget(budget);
    assert_eq!(code(&few.call_bytes("get", REQUEST)), "host-calls");
}

/// Steps a call to its end. Returns its result, and how often it waited.
fn loop_steps<R>(
    call: &mut PendingCall<impl Future<Output = Result<R, CallError>>>,
    quantum: u64,
) -> (Result<R, CallError>, u32) {
    let mut waits = 0;
    loop {
        match call.step(quantum) {
            Step::Done(result) => return (result, waits),
            Step::Waiting => waits += 1,
            _ => {}
        }
    }
}

#[test]
fn a_response_that_never_comes_ends_at_the_deadline_or_by_the_canceller() {
    let timeout = Arc::new(Mutex::new(None));
    let told = timeout.clone();
    let (extism, dropped) = extism(move |request| {
        *told.lock().unwrap() = request.timeout;
        None
    });
    let plugin: Plugin = load_wat(GUEST, &Grants::new().extism(extism));
    let deadline = Duration::from_millis(40);
    let late = plugin.with_budget(Budget::server().with_deadline(deadline));
    // Blocking.
    assert_eq!(code(&late.call_bytes("get", REQUEST)), "deadline");
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    let told = timeout.lock().unwrap().take().expect("there is a deadline");
    assert!(told > Duration::ZERO && told <= deadline, "{told:?}");
    // By steps.
    let inputs = [REQUEST];
    let mut call = late.call_arguments_async("get", &inputs);
    let (result, waits) = loop_steps(&mut call, 10_000);
    assert_eq!(code(&result), "deadline");
    assert!(waits > 0);
    drop(call);
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
    // Cancelled, without a deadline.
    let mut instance = plugin.instantiate(()).unwrap();
    let canceller = instance.canceller();
    let called = thread::spawn(move || instance.call_bytes("get", REQUEST, |_| ()));
    thread::sleep(Duration::from_millis(20));
    canceller.cancel();
    let ended = hostel_tests::must_end(|| called.join().unwrap());
    assert_eq!(ended, Err(CallError::Cancelled));
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
    // Dropped while it waits.
    let mut call = plugin.call_arguments_async("get", &inputs);
    while call.step(1_000_000) != Step::Waiting {}
    drop(call);
    assert_eq!(dropped.load(Ordering::SeqCst), 4);
}

#[test]
fn a_client_that_panics_traps_its_guest_alone() {
    let plugin = plugin(|_| panic!("a fault of the embedder's"));
    for _ in 0..2 {
        let result = plugin.call_bytes("get", REQUEST);
        assert_eq!(code(&result), "trap-host-panic");
    }
}

/// A clock that a test sets, and the wakers that are set on it.
#[derive(Clone, Default)]
struct Machine {
    millis: Arc<AtomicU64>,
    wakers: Arc<Mutex<Vec<(Duration, Waker)>>>,
}

impl Platform for Machine {
    fn now(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.millis.load(Ordering::SeqCst)))
    }

    fn wake_at(&self, at: Option<Duration>, waker: &Waker) {
        let at = at.expect("a guest that awaits a response waits for no input");
        let mut wakers = self.wakers.lock().unwrap();
        if at < Duration::from_secs(3600) && !wakers.iter().any(|(_, w)| w.will_wake(waker)) {
            wakers.push((at, waker.clone()));
        }
    }

    fn forget_wake(&self, waker: &Waker) {
        let mut wakers = self.wakers.lock().unwrap();
        wakers.retain(|(_, known)| !known.will_wake(waker));
    }
}

struct Count(AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_awaited_call_is_woken_at_its_deadline_and_leaves_no_timer_behind() {
    let machine = Machine::default();
    let answers = Arc::new(Mutex::new(None::<Waker>));
    let asked = answers.clone();
    struct Slow(Arc<Mutex<Option<Waker>>>);
    impl HttpClient for Slow {
        fn send(&self, request: HttpRequest) -> PendingHttp {
            let (asked, fast) = (self.0.clone(), request.url.contains("fast"));
            let mut polled = false;
            Box::pin(core::future::poll_fn(move |context| {
                if fast && std::mem::replace(&mut polled, true) {
                    return Poll::Ready(Ok(HttpResponse::new(200)));
                }
                *asked.lock().unwrap() = Some(context.waker().clone());
                Poll::Pending
            }))
        }
    }
    let engine = hostel::Engine::default().with_platform(machine.clone());
    let grants = Grants::new().extism(Extism::new().http(Slow(asked)));
    let plugin: Plugin = try_load_wat(&engine, GUEST, &grants).unwrap();
    let budget = Budget::server().with_deadline(Duration::from_millis(50));
    let plugin = plugin.with_budget(budget);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    for url in ["slow", "fast"] {
        machine.millis.store(0, Ordering::SeqCst);
        count.0.store(0, Ordering::SeqCst);
        let json = format!(r#"{{"url":"http://{url}/"}}"#);
        let inputs = [json.as_bytes()];
        let mut call = pin!(plugin.call_arguments_async("get", &inputs));
        assert!(call.as_mut().poll(&mut context).is_pending());
        assert_eq!(count.0.load(Ordering::SeqCst), 0, "{url}: polled in vain");
        let timers = machine.wakers.lock().unwrap().clone();
        assert_eq!(timers.len(), 1, "{url}");
        assert_eq!(timers[0].0, Duration::from_millis(50));
        let expected = match url {
            "slow" => {
                machine.millis.store(50, Ordering::SeqCst);
                timers[0].1.wake_by_ref();
                "deadline"
            }
            _ => {
                answers.lock().unwrap().take().unwrap().wake();
                "ok"
            }
        };
        assert_eq!(count.0.load(Ordering::SeqCst), 1, "{url}");
        let Poll::Ready(result) = call.as_mut().poll(&mut context) else {
            panic!("{url} waits still")
        };
        assert_eq!(code(&result), expected);
        assert_eq!(machine.wakers.lock().unwrap().len(), 0, "{url}");
    }
}

#[test]
fn a_start_function_may_send_requests() {
    let text = GUEST.replace(
        r#"(func (export "forged")"#,
        r#"(global $at (mut i64) (i64.const 0))
        (func (export "_initialize") (local $json i64)
          (local.set $json (call $alloc (i64.const 24)))
          (call $store64 (local.get $json) (i64.const 0x223a226c7275227b))
          (call $store64 (i64.add (local.get $json) (i64.const 8)) (i64.const 0x682f2f3a70747468))
          (call $store64 (i64.add (local.get $json) (i64.const 16)) (i64.const 0x20202020207d222f))
          (global.set $at (call $http (local.get $json) (i64.const 0))))
        (func (export "at_start") (call $give (call $block (global.get $at))))
        (func (export "forged")"#,
    );
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let (extism, _) = extism(move |request| {
        assert_eq!(request.url, "http://h/");
        count.fetch_add(1, Ordering::SeqCst);
        echo(request)
    });
    let plugin: Plugin = load_wat(&text, &Grants::new().extism(extism));
    let output = plugin.call_bytes("at_start", b"").unwrap();
    assert_ne!(output, [0; 8]);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    // Each call has a start of its own: no two share a response.
    plugin.call_bytes("at_start", b"").unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[test]
fn a_plugin_that_wants_http_needs_the_grant_of_its_convention_to_load() {
    let engine = hostel::engine();
    let none = Grants::<()>::new();
    let Err(error) = try_load_wat(&engine, GUEST, &none) else {
        panic!("nothing is granted")
    };
    let shown = error.to_string();
    assert!(shown.contains("the grant `extism` would"), "{shown}");
    assert!(!shown.contains("`http`"), "{shown}");
    // It loads without HTTP, and traps when it sends a request.
    let plugin: Plugin = load_wat(GUEST, &Grants::new().extism(Extism::new()));
    let error = plugin.call_bytes("get", REQUEST).unwrap_err();
    assert!(error.to_string().contains("`Extism::http`"), "{error}");
}
