//! Names of subjects, buckets and streams.

/// Writes a name as one token of a subject or key: each byte that is no letter, digit, `_` or `-` as `=` and two
/// hexadecimal digits. No two names have one token.
pub(crate) fn token(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => token.push(char::from(byte)),
            _ => token.push_str(&format!("={byte:02X}")),
        }
    }
    match token.is_empty() {
        // A token has at least one character.
        true => "=".to_owned(),
        false => token,
    }
}

/// Reads a name that was written by [`token`]. No other token is read: permissions and filters of NATS compare tokens, and
/// a second spelling of a name would pass them.
pub(crate) fn from_token(text: &str) -> Option<String> {
    let name = match text {
        "=" => String::new(),
        _ => unescaped(text, '=')?,
    };
    (token(&name) == text).then_some(name)
}

/// Reads a text in which `mark` and two hexadecimal digits stand for a byte.
pub(crate) fn unescaped(text: &str, mark: char) -> Option<String> {
    let mut parts = text.split(mark);
    let mut name = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        name.push(u8::from_str_radix(digits, 16).ok()?);
        name.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(name).ok()
}

/// Returns whether a text can name a fleet or a job: 1 to 64 letters, digits, `_` and `-`.
pub(crate) fn is_plain(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(is_part)
}

/// Returns whether a text can be the value of a header that is sent on: 1,024 bytes at most, and no control characters.
pub(crate) fn is_header(text: &str) -> bool {
    text.len() <= 1 << 10 && !text.contains(char::is_control)
}

/// Returns whether `subject` is an inbox below `prefix`: a client's own, and no other subject of NATS.
pub(crate) fn is_inbox(subject: &str, prefix: &str) -> bool {
    let rest = subject
        .strip_prefix(prefix)
        .and_then(|it| it.strip_prefix('.'));
    let is_token = |token: &str| !token.is_empty() && !token.contains(['*', '>', ' ']);
    rest.is_some_and(|rest| rest.split('.').all(is_token))
}

/// Returns whether a text can be a prefix of inboxes: tokens of [`is_plain`], separated by dots.
pub(crate) fn is_inbox_prefix(text: &str) -> bool {
    text.split('.').all(is_plain)
}

/// Returns 16 hexadecimal digits by chance.
pub(crate) fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_is_below_its_prefix() {
        for subject in ["_INBOX.a", "_INBOX.a.1"] {
            assert!(is_inbox(subject, "_INBOX"), "{subject}");
        }
        for subject in [
            "",
            "_INBOX",
            "_INBOX.",
            "_INBOX..a",
            "_INBOX.>",
            "_INBOX.a.*",
            "_INBOXES.a",
            "a._INBOX.a",
            "$KV.hostel-state.a",
        ] {
            assert!(!is_inbox(subject, "_INBOX"), "{subject}");
        }
        assert!(is_inbox_prefix("_INBOX") && is_inbox_prefix("boxes.hostel"));
        for prefix in ["", "$KV", "a.", "a.*", "hostel.>"] {
            assert!(!is_inbox_prefix(prefix), "{prefix}");
        }
    }

    #[test]
    fn each_name_has_a_token_of_its_own() {
        let names = ["", "a", "a.b", "a=2Eb", "a b", "=", "ü", "a_b-C9"];
        let tokens = names.map(token);
        for (name, token) in names.iter().zip(&tokens) {
            assert_eq!(from_token(token).as_deref(), Some(*name));
            assert!(!token.contains(['.', '*', '>', ' ']), "{token}");
        }
        assert_eq!(tokens[2], "a=2Eb");
        assert_eq!(from_token("a=2"), None);
        assert_eq!(from_token("a=ZZ"), None);
        assert_eq!(from_token("=FF"), None);
        // Further spellings of `a`, `a.b` and the empty name.
        for spelling in ["=61", "a=2eb", "a.b", "a=+2b", ""] {
            assert_eq!(from_token(spelling), None, "{spelling}");
        }
        assert_eq!(unescaped("p%40ss=", '%').as_deref(), Some("p@ss="));
    }
}
