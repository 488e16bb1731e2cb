//! Text and bytes: a pointer and a length.

use super::{instances, round_trips};
use hostel::CallError;
use hostel_tests::code;

const TEXTS: [&str; 5] = ["", "a", "Grüße, 世界 😀", "nul \0 inside", "\u{feff}mark"];

#[test]
fn text_is_a_pointer_and_a_length() {
    round_trips("String", TEXTS.map(String::from));
    for (shape, mut instance) in instances("str") {
        for text in TEXTS {
            for name in ["own str", "host str"] {
                let found = instance.call::<&str, String>(name, text);
                assert_eq!(found.as_deref(), Ok(text), "{name}, as {shape}");
            }
        }
    }
}

#[test]
fn bytes_are_a_pointer_and_a_length() {
    let all: Vec<u8> = (0..=255).collect();
    round_trips("Vec", [vec![], vec![0], vec![0xff; 5000], all.clone()]);
    for (shape, mut instance) in instances("bytes") {
        for bytes in [&[][..], &[0], &all] {
            for name in ["own bytes", "host bytes"] {
                let found = instance.call::<&[u8], Vec<u8>>(name, bytes);
                assert_eq!(found.as_deref(), Ok(bytes), "{name}, as {shape}");
            }
        }
    }
}

#[test]
fn bytes_that_are_not_text_are_refused_as_text() {
    for (bytes, at) in [
        (&b"\xff"[..], 0),
        (b"ab\xc3", 2),
        (b"abc\xed\xa0\x80", 3),
        (b"\xc0\x80", 0),
        (b"\xf4\x90\x80\x80", 0),
    ] {
        for (shape, mut instance) in instances("str") {
            let error = instance.call::<&[u8], String>("own str", bytes);
            let what = "plugin's result";
            assert_eq!(error, Err(CallError::NotUtf8 { what, at }), "{shape}");
            assert!(!instance.is_stopped());
            let trap = instance.call::<&[u8], Vec<u8>>("host str", bytes);
            assert_eq!(code(&trap), "trap-host-call", "{shape}");
            let message = trap.unwrap_err().to_string();
            let expected = format!("host function's argument is not UTF-8: byte {at} ");
            assert!(message.contains(&expected), "{message}");
        }
    }
}
