//! Panics with its input, with std: the host logs the message.

hostel_guest::plugin!(process);

/// Panics, unless the input is empty.
fn process(text: &str) -> String {
    assert!(text.is_empty(), "the input is {text}");
    String::new()
}
