//! What a guest does against the rules of the interface, or in an order of its own.

use super::{attempt, echo, load, wasi};
use hostel::Wasi;

#[test]
fn fields_keep_to_the_rules_of_http() {
    let told = attempt(&load(Wasi::new()), "fields").unwrap();
    let parts: Vec<_> = told.split("; ").collect();
    let syntax = "HeaderError::InvalidSyntax";
    let forbidden = "HeaderError::Forbidden";
    let fixed =
        "Err(HeaderError::Immutable) Err(HeaderError::Immutable) Err(HeaderError::Immutable) 2";
    assert_eq!(
        parts,
        [
            "[[49], [51]]",
            "true false",
            "2 4",
            syntax,
            syntax,
            syntax,
            syntax,
            syntax,
            forbidden,
            forbidden,
            forbidden,
            "Err(\"HeaderError::InvalidSyntax\")",
            fixed,
            "Ok(())",
        ]
    );
}

#[test]
fn a_request_refuses_what_could_be_read_as_another() {
    let told = attempt(&load(Wasi::new()), "set").unwrap();
    let parts: Vec<_> = told.split("; ").collect();
    assert_eq!(
        parts,
        [
            "Method::Get None",
            "[false, false, false]",
            "[false, false, false]",
            "[false, false, false, false, false, true, true]",
            "[false, false, false, false, true]",
            "[true, true]",
            "Method::Patch Some(Scheme::Http) Some(\"a:80\") Some(\"/a?b\")",
        ]
    );
}

#[test]
fn options_keep_their_times() {
    let told = attempt(&load(Wasi::new()), "times").unwrap();
    assert_eq!(told, "(None, None, None) (Some(1), Some(2), Some(3))");
}

#[test]
fn a_parent_that_goes_before_its_child_stops_the_guest() {
    let plugin = load(wasi(echo).0);
    for name in [
        "finish a body before its stream",
        "drop a body before its stream",
        "drop a response before its pollable",
        "finish reading before the stream",
        "drop a body that is read before its stream",
    ] {
        let error = attempt(&plugin, name).unwrap_err();
        assert_eq!(error.code(), "trap-host", "{name}");
        let shown = error.to_string();
        assert!(shown.contains("before its child"), "{name}: {shown}");
    }
}

#[test]
fn bodies_are_as_long_as_was_promised() {
    let plugin = load(wasi(echo).0);
    for (name, expected) in [
        ("take a body twice", "true true"),
        (
            "write less than promised",
            "Err(ErrorCode::HttpRequestBodySize(Some(3)))",
        ),
        (
            "write more than promised",
            "Err(\"Some(ErrorCode::HttpRequestBodySize(Some(3)))\") Err(ErrorCode::HttpRequestBodySize(Some(3)))",
        ),
        ("promise no number", "true"),
        ("promise two lengths", "true"),
        (
            "promise and write nothing",
            "ErrorCode::HttpRequestBodySize(Some(0))",
        ),
        (
            "send trailers",
            "Err(ErrorCode::HttpRequestTrailerSectionSize(Some(0)))",
        ),
        ("drop an unfinished body", "ErrorCode::HttpProtocolError"),
        ("finish a body that nobody awaits", "Ok(())"),
        ("take a response twice", "true true true true"),
        ("poll what is not sent", "[1] true"),
    ] {
        assert_eq!(attempt(&plugin, name).unwrap(), expected, "{name}");
    }
}

#[test]
fn a_wait_that_could_not_end_stops_the_guest() {
    let plugin = load(wasi(echo).0);
    let error = attempt(&plugin, "await what is not sent").unwrap_err();
    assert_eq!(error.code(), "trap-host");
    assert!(
        error.to_string().contains("`outgoing-body` is finished"),
        "{error}"
    );
}
