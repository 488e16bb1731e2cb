//! Patterns of hosts' names, which both allowed hosts and manifests have.

/// Returns whether `pattern` matches all of `host`: `*` stands for any characters, `?` for one. Capital letters
/// don't matter. Takes time proportional to the product of their lengths.
pub(crate) fn matches(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.as_bytes(), host.as_bytes());
    let (mut at, mut read) = (0, 0);
    // The last star, and the end of the characters that it stands for: one more is tried after a difference.
    // An earlier star need not be tried again.
    let mut star = None;
    while let Some(byte) = host.get(read) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(known) if *known == b'?' || known.eq_ignore_ascii_case(byte) => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((before, end)) => {
                    star = Some((before, end + 1));
                    at = before + 1;
                    read = end + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at.min(pattern.len())..]
        .iter()
        .all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, host, expected) in [
            ("*", "example.com", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("example.com", "EXAMPLE.com", true),
            ("example.com", "example.com.evil.org", false),
            ("example.com", "notexample.com", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.example.com.evil", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a]", "a", false),
        ] {
            assert_eq!(matches(pattern, host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn many_stars_take_no_time_without_end() {
        let pattern = "*a".repeat(2_000) + "b";
        assert!(!matches(&pattern, &"a".repeat(20_000)));
    }
}
