//! Bounds on what a guest holds and waits for.

use super::{attempt, echo, fetch, load, load_with, wasi};
use hostel::{Budget, Canceller, Grants, HttpResponse, Instance, Limits};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

#[test]
fn a_request_that_gets_no_response_ends_at_the_deadline_or_by_the_canceller() {
    let timeout = Arc::new(Mutex::new(None));
    let told = timeout.clone();
    let (wasi, dropped) = wasi(move |request| {
        *told.lock().unwrap() = request.timeout;
        None
    });
    let plugin = load(wasi);
    let budget = Budget::server().with_deadline(Duration::from_millis(60));
    let late = plugin.with_budget(budget);
    let begun = Instant::now();
    let params = ("GET", "http://h/", super::Headers::new(), None::<&[u8]>);
    let error = late
        .call_component::<_, super::Fetched>("fetch", params)
        .unwrap_err();
    assert_eq!(error.code(), "deadline");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(timeout.lock().unwrap().unwrap() <= Duration::from_millis(60));
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    let mut instance: Instance = plugin.instantiate(()).unwrap();
    let canceller: Canceller = instance.canceller();
    let ending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        canceller.cancel();
    });
    let params = ("GET", "http://h/", super::Headers::new(), None::<&[u8]>);
    let error = instance
        .call_component::<_, super::Fetched>("fetch", params)
        .unwrap_err();
    assert_eq!(error.code(), "cancelled");
    ending.join().unwrap();
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
}

#[test]
fn requests_on_their_way_are_bounded_and_end_with_their_call() {
    let (wasi, dropped) = wasi(|_| None);
    let plugin = load(wasi);
    let mut instance = plugin.instantiate(()).unwrap();
    let call = |instance: &mut Instance, name: &str| -> String {
        instance
            .call_component("attempt", (name, "http://h/"))
            .unwrap()
    };
    assert_eq!(
        call(&mut instance, "send many"),
        "[\"ErrorCode::ConnectionLimitReached\"]"
    );
    assert_eq!(dropped.swap(0, Ordering::SeqCst), 16);
    // A request is given up when its call ends, although the guest has kept the handle.
    assert_eq!(call(&mut instance, "leave a request"), "left");
    assert_eq!(dropped.swap(0, Ordering::SeqCst), 1);
    // Each of them makes room for others.
    assert_eq!(
        call(&mut instance, "send many"),
        "[\"ErrorCode::ConnectionLimitReached\"]"
    );
}

#[test]
fn responses_are_bounded_whatever_the_client_returns() {
    let told = Arc::new(AtomicUsize::new(0));
    let limit = told.clone();
    let (wasi, _) = wasi(move |request| {
        limit.store(request.max_body_bytes, Ordering::SeqCst);
        let mut response = HttpResponse::new(200);
        match request.url.contains("headers") {
            true => response.headers = vec![("x".into(), vec![b'a'; 70_000])],
            false => response.body = vec![7; 1_000],
        }
        Some(Ok(response))
    });
    let plugin = load(wasi.clone().http_response_bytes(1_000));
    let (_, _, body) = fetch(&plugin, "GET", "http://h/", None).unwrap();
    assert_eq!((body.len(), told.load(Ordering::SeqCst)), (1_000, 1_000));
    let plugin = load(wasi.clone().http_response_bytes(999));
    let error = fetch(&plugin, "GET", "http://h/", None).unwrap_err();
    assert_eq!(error, "ErrorCode::HttpResponseBodySize(Some(999))");
    let error = fetch(&plugin, "GET", "http://h/headers", None).unwrap_err();
    assert_eq!(
        error,
        "ErrorCode::HttpResponseHeaderSectionSize(Some(65536))"
    );
    // What all messages of an instance may take.
    let plugin = load(wasi.clone().http_bytes((64 << 10) + 900));
    let error = fetch(&plugin, "GET", "http://h/", None).unwrap_err();
    assert!(
        error.starts_with("ErrorCode::HttpResponseBodySize"),
        "{error}"
    );
    assert_eq!(told.load(Ordering::SeqCst), 900);
    // Together with its own memory.
    let mut limits = Limits::server();
    limits.memory_bytes = 2 << 20;
    let plugin = load_with(Grants::new().wasi(wasi).with_limits(limits));
    fetch(&plugin, "GET", "http://h/", None).unwrap();
    let left = told.load(Ordering::SeqCst);
    assert!(left < 1 << 20, "{left}");
}

#[test]
fn what_a_guest_keeps_is_bounded() {
    let (wasi, _) = wasi(echo);
    let plugin = load(wasi.http_bytes(1 << 20));
    // A body takes what there is room for, and then says how long it would have been.
    let told = attempt(&plugin, "write for ever").unwrap();
    assert_eq!(
        told,
        "1048576 Some(ErrorCode::HttpRequestBodySize(Some(1052672))) Err(ErrorCode::HttpRequestBodySize(Some(1052672)))"
    );
    for (name, expected) in [
        ("hold many fields", "`http_bytes`"),
        ("fill one fields", "65,536 bytes in one `fields`"),
    ] {
        let error = attempt(&plugin, name).unwrap_err();
        assert_eq!(error.code(), "trap-host", "{name}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let mut budget = Budget::server();
    budget.argument_bytes = 1_000;
    let few = plugin.with_budget(budget);
    let error = attempt(&few, "write for ever").unwrap_err();
    assert_eq!(error.code(), "argument-too-large");
}
