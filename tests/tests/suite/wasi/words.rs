//! Arguments and environment (P09, P10).

use super::{EFAULT, END, Guest, SUCCESS};
use hostel::Wasi;

/// Reads the words by a pair of functions.
fn words(guest: &mut Guest, get: &str, sizes: &str) -> Vec<String> {
    assert_eq!(guest.errno(sizes, &[0, 4]), SUCCESS);
    let (count, size) = (u64::from(guest.u32(0)), u64::from(guest.u32(4)));
    let (list, bytes) = (64, 1_024);
    assert_eq!(guest.errno(get, &[list, bytes]), SUCCESS);
    let words: Vec<_> = (0..count)
        .map(|at| {
            let start = u64::from(guest.u32(list + 4 * at));
            let all = guest.get(start, bytes + size - start);
            let word = all.split(|byte| *byte == 0).next().unwrap();
            String::from_utf8(word.to_vec()).unwrap()
        })
        .collect();
    assert_eq!(
        size as usize,
        words.iter().map(|word| word.len() + 1).sum::<usize>()
    );
    words
}

#[test]
fn a_guest_sees_what_was_granted_and_nothing_else() {
    for mut guest in [Guest::new(Wasi::new()), Guest::new(hostel::wasi())] {
        for (get, sizes) in [
            ("args_get", "args_sizes_get"),
            ("environ_get", "environ_sizes_get"),
        ] {
            assert_eq!(words(&mut guest, get, sizes), [""; 0]);
        }
    }
    let wasi = Wasi::new()
        .args(["guest", "", "two words", "Gr\u{fc}\u{df}e", "cut\0off"])
        .env([("A", "1"), ("B", ""), ("C", "x=y")])
        .env([("", "")]);
    for mut guest in [
        Guest::new(wasi.clone()),
        Guest::old(wasi.clone()),
        Guest::bare(wasi),
    ] {
        let args = words(&mut guest, "args_get", "args_sizes_get");
        assert_eq!(args, ["guest", "", "two words", "Gr\u{fc}\u{df}e", "cut"]);
        let env = words(&mut guest, "environ_get", "environ_sizes_get");
        assert_eq!(env, ["A=1", "B=", "C=x=y", "="]);
    }
}

#[test]
fn the_words_may_end_where_memory_does() {
    let mut guest = Guest::new(Wasi::new().args(["abc"]));
    assert_eq!(guest.errno("args_get", &[END - 8, END - 4]), SUCCESS);
    assert_eq!(guest.get(END - 4, 4), *b"abc\0");
    assert_eq!(u64::from(guest.u32(END - 8)), END - 4);
    for (list, bytes) in [
        (0, END - 3),
        (END - 3, 0),
        (0xffff_fffd, 0),
        (0, 0xffff_fffd),
    ] {
        assert_eq!(guest.errno("args_get", &[list, bytes]), EFAULT);
    }
    // If both point to one place, that harms the guest only.
    assert_eq!(guest.errno("args_get", &[0, 0]), SUCCESS);
    assert_eq!(guest.errno("args_sizes_get", &[0, 0]), SUCCESS);
}

#[test]
fn many_words_cost_more() {
    let fuel = |count: usize| {
        let mut guest = Guest::new(Wasi::new().args(vec!["x"; count]));
        assert_eq!(guest.errno("args_get", &[0, 32 << 10]), SUCCESS);
        guest.0.usage().fuel
    };
    assert!(fuel(8_000) - fuel(0) >= 8_000 + 16_000 / 64);
}
