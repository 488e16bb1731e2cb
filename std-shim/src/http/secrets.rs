//! Headers that the host adds to requests, with secrets in them that no guest sees.

use super::{
    HttpAccessError,
    url::{Origin, Scheme, host_and_port},
};
use hostel_core::HttpError;
use std::sync::Arc;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

/// Fewest bytes of a secret: a shorter one would be found in responses by chance.
const SECRET_BYTES: usize = 8;

/// Headers whose values the client may write to its log.
const LOGGED: [&str; 10] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "host",
    "server",
    "user-agent",
];

/// Headers by which a guest could choose a form of the response in which a secret is not found: compressed, in
/// parts, as a difference, in another encoding of text, or as a hash. Servers may ignore all of them.
const OF_FORM: [&str; 10] = [
    "a-im",
    "accept-charset",
    "accept-encoding",
    "if-range",
    "range",
    // Of old servers, for `range`.
    "request-range",
    "te",
    "want-content-digest",
    "want-digest",
    "want-repr-digest",
];

/// The values of `${NAME}`, and the headers that the host adds.
#[derive(Clone, Default)]
pub(super) struct Secrets {
    values: Vec<(String, Arc<str>)>,
    headers: Vec<HostHeader>,
}

/// A header that is added to each request to an origin.
#[derive(Clone)]
struct HostHeader {
    origin: Origin,
    name: HeaderName,
    value: HeaderValue,
    /// Name and value of each secret in it.
    secrets: Vec<(String, Arc<str>)>,
}

impl Secrets {
    /// Adds the value of `${NAME}`, or replaces it.
    pub(super) fn insert(&mut self, name: &str, value: &str) -> Result<(), HttpAccessError> {
        let fault = |reason: String| Err(HttpAccessError(format!("the secret `{name}` {reason}")));
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_part) {
            return fault("has no name of letters, digits and `_`".into());
        }
        if value.len() < SECRET_BYTES {
            let found = value.len();
            return fault(format!(
                "has {found} bytes, expected {SECRET_BYTES} or more"
            ));
        }
        if HeaderValue::from_str(value).is_err() {
            return fault("has characters that no header can have".into());
        }
        self.values.retain(|(known, _)| known != name);
        self.values.push((name.into(), value.into()));
        Ok(())
    }

    /// Adds a header for the requests to `origin`. Returns the origin.
    pub(super) fn header(
        &mut self,
        origin: &str,
        name: &str,
        value: &str,
    ) -> Result<Origin, HttpAccessError> {
        let fault = |reason: String| {
            HttpAccessError(format!("the header `{name}` for `{origin}`: {reason}"))
        };
        let parsed = self::origin(origin).map_err(fault)?;
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| fault("expected a header's name".into()))?;
        let mut secrets = Vec::new();
        let mut text = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once("${") {
            let (known, after) = after
                .split_once('}')
                .ok_or_else(|| fault("expected `}` behind `${`".into()))?;
            let mut values = self.values.iter();
            let secret = values
                .find(|(name, _)| name == known)
                .ok_or_else(|| fault(format!("there is no secret `{known}`")))?;
            text.push_str(before);
            text.push_str(&secret.1);
            secrets.push(secret.clone());
            rest = after;
        }
        text.push_str(rest);
        if LOGGED.contains(&header.as_str()) && !secrets.is_empty() {
            return Err(fault("this header is no place for a secret".into()));
        }
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| fault("its value has characters that no header can have".into()))?;
        value.set_sensitive(true);
        self.headers.push(HostHeader {
            origin: parsed.clone(),
            name: header,
            value,
            secrets,
        });
        Ok(parsed)
    }

    /// Adds the headers for `origin`, in place of those of these names. Returns the secrets that they have. If there
    /// are any, the guest's choice of the response's form is dropped.
    pub(super) fn add(&self, origin: &Origin, headers: &mut HeaderMap) -> Vec<&(String, Arc<str>)> {
        let own = || {
            self.headers
                .iter()
                .filter(|header| header.origin == *origin)
        };
        if own().any(|header| !header.secrets.is_empty()) {
            OF_FORM.iter().for_each(|name| drop(headers.remove(*name)));
            headers.insert(header::ACCEPT_ENCODING, IDENTITY);
        }
        for header in own() {
            headers.remove(&header.name);
        }
        for header in own() {
            headers.append(&header.name, header.value.clone());
        }
        own().flat_map(|header| &header.secrets).collect()
    }
}

/// The only encoding of a response that has secrets looked for.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// Checks that a secret in a response would be found: it is whole, and not compressed.
pub(super) fn check_form<B>(response: &Response<B>) -> Result<(), HttpError> {
    let withheld = |found: &str| {
        let reason = format!(
            "it {found}, and the request has a secret, which is found in whole and unencoded responses only"
        );
        Err(HttpError::Withheld { reason })
    };
    if matches!(
        response.status(),
        StatusCode::PARTIAL_CONTENT | StatusCode::IM_USED
    ) {
        return withheld(&format!(
            "is partial, status {}",
            response.status().as_u16()
        ));
    }
    let has_other = |name: HeaderName, plain: &str| {
        let values = response.headers().get_all(name).iter();
        let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        codings.any(|coding| {
            let coding = coding.trim_ascii();
            !coding.is_empty() && !coding.eq_ignore_ascii_case(plain.as_bytes())
        })
    };
    if has_other(header::CONTENT_ENCODING, "identity") {
        return withheld("has a Content-Encoding");
    }
    if has_other(header::TRANSFER_ENCODING, "chunked") {
        return withheld("has a Transfer-Encoding other than chunked");
    }
    let types = response.headers().get_all(header::CONTENT_TYPE);
    if types.iter().any(|value| !has_ascii(value.as_bytes())) {
        return withheld("has a Content-Type with a charset in which ASCII may look otherwise");
    }
    Ok(())
}

/// How the names of encodings of text begin in which ASCII is written as ASCII, as a secret is.
const LIKE_ASCII: [&str; 9] = [
    "utf-8",
    "utf8",
    "us-ascii",
    "iso-8859-",
    "windows-125",
    "euc-",
    "gb",
    "big5",
    "koi8-",
];

/// Returns whether a type of content has no charset, or one in which ASCII is written as ASCII.
fn has_ascii(content_type: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    lower.split("charset").skip(1).all(|after| {
        let name = after.trim_start_matches(['=', '"', '\'', ' ', '\t']);
        LIKE_ASCII.iter().any(|known| name.starts_with(known))
    })
}

/// Reads `[SCHEME://]HOST[:PORT]` as one origin: https, if no scheme is given, and the scheme's own port.
fn origin(text: &str) -> Result<Origin, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (
            Scheme::parse(scheme).ok_or("expected the scheme http or https")?,
            rest,
        ),
        None => (Scheme::Https, text),
    };
    let (host, port) = host_and_port(rest)?;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_part) {
        return Err("expected one host: a secret is not for all that a pattern matches".into());
    }
    let port = port.unwrap_or(scheme.port());
    Ok(Origin { scheme, host, port })
}

/// Returns whether `bytes` contain a text.
pub(super) fn contains(bytes: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    let Some((first, rest)) = text.split_first() else {
        return false;
    };
    let mut left = bytes;
    while let Some(at) = left.iter().position(|byte| byte == first) {
        left = &left[at + 1..];
        if left.starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::url::Url;

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.insert("TOKEN", "t-0123456789").unwrap();
        secrets.insert("OTHER", "o-0123456789").unwrap();
        secrets
    }

    fn added(secrets: &Secrets, url: &str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("guest"));
        secrets.add(&Url::parse(url).unwrap().origin, &mut headers);
        let shown = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        shown.collect()
    }

    #[test]
    fn headers_are_for_one_origin() {
        let mut secrets = secrets();
        let value = "Bearer ${TOKEN}-${OTHER}$";
        secrets.header("A.example", "Authorization", value).unwrap();
        secrets
            .header("http://[::1]:81", "X-Key", "${TOKEN}")
            .unwrap();
        let given = ["authorization: Bearer t-0123456789-o-0123456789$"];
        assert_eq!(added(&secrets, "https://a.example/x"), given);
        let key = ["authorization: guest", "x-key: t-0123456789"];
        assert_eq!(added(&secrets, "http://[::1]:81/"), key);
        for url in [
            "http://a.example/",
            "https://a.example:444/",
            "https://b.a.example/",
            "https://[::1]:81/",
            "http://[::1]/",
        ] {
            assert_eq!(added(&secrets, url), ["authorization: guest"], "{url}");
        }
    }

    #[test]
    fn faults_are_told_without_the_secret() {
        for (host, name, value, expected) in [
            ("*", "x", "${TOKEN}", "one host"),
            ("*.example", "x", "${TOKEN}", "one host"),
            ("ftp://a", "x", "${TOKEN}", "http or https"),
            ("a", "x y", "${TOKEN}", "a header's name"),
            ("a", "x", "${TOKEN", "`}`"),
            ("a", "x", "${ABSENT}", "`ABSENT`"),
            ("a", "x", "${TOKEN}\n", "characters"),
            ("a", "User-Agent", "${TOKEN}", "no place"),
        ] {
            let error = secrets().header(host, name, value).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("0123456789"), "{error}");
        }
        for (name, value) in [
            ("", "12345678"),
            ("A B", "12345678"),
            ("A", "1234567"),
            ("A", "1234567\n8"),
        ] {
            let error = Secrets::default().insert(name, value).unwrap_err();
            assert!(!error.to_string().contains("1234567"), "{error}");
        }
    }

    #[test]
    fn texts_are_found_anywhere() {
        for (bytes, found) in [
            ("", false),
            ("aab", true),
            ("aaab", true),
            ("xaabx", true),
            ("aa", false),
            ("aaxb", false),
        ] {
            assert_eq!(contains(bytes.as_bytes(), "aab"), found, "{bytes}");
        }
    }
}
