//! Guests of the SDKs that trap, and the reason in the log. And a guest whose allocator is a libc's.

use hostel::{Grants, Wasi};
use hostel_tests::{Lines, code, guest_bytes, load_guest};

#[test]
fn a_panic_or_throw_hands_its_text_to_the_log() {
    for (name, line) in [
        (
            "panics",
            r"panics: panicked at rust/panics/src/lib.rs:13:5: the input is bad\u{1b}",
        ),
        (
            "panics_std",
            r"panics_std: panicked at rust/panics_std/src/lib.rs:7:5: the input is bad\u{1b}",
        ),
        (
            "as_throws",
            r"as_throws: the input is bad\u{1b} at assemblyscript/throws.ts:7:13",
        ),
    ] {
        let lines = Lines::default();
        let plugin = load_guest::<()>(name, &lines.granted());
        assert_eq!(plugin.process(b"").as_deref(), Ok(&b""[..]), "{name}");
        assert_eq!(lines.take(), [""; 0], "{name}");
        for _ in 0..2 {
            let trapped = plugin.process(b"bad\x1b");
            assert_eq!(code(&trapped), "trap-unreachable", "{name}");
            assert_eq!(lines.take(), [line]);
        }
    }
}

#[test]
fn a_panic_of_any_length_is_one_record() {
    let lines = Lines::default();
    let plugin = load_guest::<()>("panics", &lines.granted());
    for length in [1, 190, 191, 192, 193, 300, 30_000] {
        let input = "é\n".repeat(length);
        let trapped = plugin.process(input.as_bytes());
        assert_eq!(code(&trapped), "trap-unreachable", "{length}");
        let found = lines.take();
        let [line] = &found[..] else {
            panic!("{found:?}")
        };
        let text = line.strip_prefix("panics: ").unwrap();
        assert!(text.len() <= 256, "{text}");
        assert!(text.contains("the input is é é") || length == 1, "{text}");
        assert!(!text.contains('\u{fffd}'), "{text}");
    }
}

/// The text costs an import, which a guest has only if it asked for it.
#[test]
fn other_guests_ask_for_no_log() {
    for name in ["greet", "small_greet", "counter", "c_greet", "small_filter"] {
        let module = hostel::ModuleInfo::read(&guest_bytes(name)).unwrap();
        let logs = module.imports.iter().any(|it| it.name.contains("log"));
        assert!(!logs, "{name}");
    }
}

#[test]
fn a_guest_with_a_libc_shares_its_allocator_with_the_host() {
    let plugin = load_guest("libc_hello", &Grants::new().wasi(Wasi::new()));
    let mut instance = plugin.instantiate(()).unwrap();
    for round in 0..300 {
        let name = "name".repeat(round * round % 977 * 20);
        let greeting = instance.process(name.as_bytes());
        assert_eq!(greeting, Ok(format!("Hello, {name}!").into_bytes()));
    }
    // What is freed is used again.
    assert!(
        instance.memory_bytes() < 1 << 20,
        "{}",
        instance.memory_bytes()
    );
}
