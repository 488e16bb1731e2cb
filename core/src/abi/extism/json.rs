//! The JSON of Extism's HTTP: reads a request, writes the headers of a response.
//!
//! A reader of its own, because a request has one shape: an object of strings, with one object of strings in
//! it. It does not recurse, so a guest can't use up the native stack.

use crate::{
    error::CallError,
    memory,
    services::http::{HttpError, HttpRequest},
};
use alloc::{string::String, vec::Vec};

/// Most bytes of a request's JSON.
pub(super) const REQUEST_BYTES: usize = 64 << 10;

/// Most headers that are read: one more than a request may have.
const HEADERS: usize = 101;

/// The error of a request: its own, or that of the host without room.
pub(super) enum Fault {
    Request(HttpError),
    Call(CallError),
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Reads `{"url": …, "headers": {…}, "method": …}`. Other members must be strings, numbers, `true`, `false`,
/// `null` or objects of these, and are skipped.
pub(super) fn request(json: &[u8]) -> Result<HttpRequest, Fault> {
    let mut reader = Reader { json, at: 0 };
    let (mut url, mut method, mut headers) = (None, None, None);
    reader.object(|reader, key| {
        match &*key {
            "url" => url = Some(reader.string()?),
            "method" => method = reader.string_or_null()?,
            // Some guests write `header`.
            "headers" | "header" => headers = Some(reader.headers()?),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    if reader.next().is_some() {
        return Err(reader.fault("the end"));
    }
    let url = url.ok_or_else(|| Fault::Request(HttpError::invalid("`url` is missing")))?;
    let mut request = HttpRequest::new(method.as_deref().unwrap_or("GET"), &url);
    request.headers = headers.unwrap_or_default();
    Ok(request)
}

/// Writes headers as a JSON object, at most `limit` bytes of it: names in lower case, values of one name
/// joined by a comma. Returns `None` above the limit.
pub(super) fn headers(headers: &[(String, Vec<u8>)], limit: usize) -> Option<Vec<u8>> {
    let bytes = |sum: usize, (name, value): &(String, Vec<u8>)| {
        sum.saturating_add(name.len()).saturating_add(value.len())
    };
    // Before they are copied.
    if headers.iter().fold(0, bytes) > limit {
        return None;
    }
    let lower = |(name, value): &(String, Vec<u8>)| (name.to_ascii_lowercase(), value.clone());
    let mut sorted: Vec<_> = headers.iter().map(lower).collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut json = Vec::new();
    let mut last: Option<&str> = None;
    for (name, value) in &sorted {
        match last {
            Some(last) if last == name => json.extend_from_slice(b", "),
            _ => {
                let before: &[u8] = if last.is_some() { b"\",\"" } else { b"{\"" };
                json.extend_from_slice(before);
                escape(name, &mut json);
                json.extend_from_slice(b"\":\"");
            }
        }
        escape(&String::from_utf8_lossy(value), &mut json);
        if json.len() > limit {
            return None;
        }
        last = Some(name);
    }
    let end: &[u8] = if last.is_some() { b"\"}" } else { b"{}" };
    json.extend_from_slice(end);
    (json.len() <= limit).then_some(json)
}

/// Writes text inside a JSON string.
fn escape(text: &str, json: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => json.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                let digit = |value: u8| b"0123456789abcdef".get(usize::from(value)).copied();
                json.extend_from_slice(b"\\u00");
                json.extend(digit(byte >> 4));
                json.extend(digit(byte & 15));
            }
            _ => json.push(byte),
        }
    }
}

struct Reader<'a> {
    json: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Returns the next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.step();
        }
        self.peek()
    }

    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    const fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    /// Skips white space and then the byte `byte`.
    fn expect(&mut self, byte: u8, name: &str) -> Result<(), Fault> {
        if self.next() != Some(byte) {
            return Err(self.fault(name));
        }
        self.step();
        Ok(())
    }

    fn fault(&self, expected: &str) -> Fault {
        let at = self.at;
        Fault::Request(HttpError::invalid(format_args!(
            "expected {expected} at byte {at} of its JSON"
        )))
    }

    /// Reads an object. `member` reads the value of a key.
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, String) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.expect(b'{', "an object")?;
        if self.next() == Some(b'}') {
            self.step();
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':', "a colon")?;
            member(self, key)?;
            if self.next() == Some(b',') {
                self.step();
                continue;
            }
            return self.expect(b'}', "a comma or the object's end");
        }
    }

    fn headers(&mut self) -> Result<Vec<(String, Vec<u8>)>, Fault> {
        let mut headers = Vec::new();
        if self.null() {
            return Ok(headers);
        }
        self.object(|reader, name| {
            if headers.len() >= HEADERS {
                return Err(reader.fault("fewer headers"));
            }
            let value = reader.string()?.into_bytes();
            headers.push((name, value));
            Ok(())
        })?;
        Ok(headers)
    }

    fn string_or_null(&mut self) -> Result<Option<String>, Fault> {
        if self.null() {
            return Ok(None);
        }
        self.string().map(Some)
    }

    fn null(&mut self) -> bool {
        self.next();
        let rest = self.json.get(self.at..).unwrap_or_default();
        let found = rest.starts_with(b"null");
        if found {
            self.at = self.at.saturating_add(4);
        }
        found
    }

    /// Skips a member's value: a string, a number, a word, or an object of these.
    fn skip(&mut self) -> Result<(), Fault> {
        match self.next() {
            Some(b'{') => self.object(|reader, _| reader.skip_simple()),
            _ => self.skip_simple(),
        }
    }

    fn skip_simple(&mut self) -> Result<(), Fault> {
        if self.next() == Some(b'"') {
            return self.string().map(drop);
        }
        let start = self.at;
        while let Some(b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'E') = self.peek() {
            self.step();
        }
        match self.at {
            at if at == start => Err(self.fault("a string, a number or a word")),
            _ => Ok(()),
        }
    }

    /// Reads a string, and resolves its escapes.
    fn string(&mut self) -> Result<String, Fault> {
        self.expect(b'"', "a string")?;
        let rest = self.json.get(self.at..).unwrap_or_default();
        // An escape is never shorter than what it stands for.
        let len = rest.iter().position(|byte| *byte == b'"').unwrap_or(0);
        let mut bytes = Vec::new();
        let reserve = |bytes: &mut Vec<u8>, more: usize| {
            let reserved = bytes.try_reserve(more);
            reserved.map_err(|_| memory::no_room(more))
        };
        reserve(&mut bytes, len)?;
        loop {
            let byte = self.peek().ok_or_else(|| self.fault("a string's end"))?;
            if byte < 0x20 {
                return Err(self.fault("no control character"));
            }
            self.step();
            reserve(&mut bytes, 4)?;
            match byte {
                b'"' => break,
                b'\\' => {
                    let character = self.escape()?;
                    let mut buffer = [0; 4];
                    bytes.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                }
                _ => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).map_err(|_| self.fault("UTF-8 before this"))
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<char, Fault> {
        let byte = self.peek().ok_or_else(|| self.fault("an escape"))?;
        self.step();
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut unit = self.unit()?;
                if (0xd800..0xdc00).contains(&unit) {
                    // The first half of a character beyond 16 bits.
                    self.expect_here(b"\\u")?;
                    let low = self.unit()?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(self.fault("the second half of a character before this"));
                    }
                    let high = (unit & 0x3ff) << 10;
                    unit = (high | (low & 0x3ff)).saturating_add(0x1_0000);
                }
                char::from_u32(unit).ok_or_else(|| self.fault("a character before this"))?
            }
            _ => return Err(self.fault("a known escape before this")),
        })
    }

    /// Skips `bytes`, without white space before.
    fn expect_here(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        for byte in bytes {
            if self.peek() != Some(*byte) {
                return Err(self.fault("the second half of a character"));
            }
            self.step();
        }
        Ok(())
    }

    /// Reads four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = (unit << 4) | digit.ok_or_else(|| self.fault("a hexadecimal digit"))?;
            self.step();
        }
        Ok(unit)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    fn reason(json: &str) -> String {
        match request(json.as_bytes()) {
            Err(Fault::Request(error)) => format!("{error}"),
            Err(Fault::Call(error)) => format!("{error}"),
            Ok(request) => panic!("{request:?}"),
        }
    }

    fn read(json: &str) -> HttpRequest {
        match request(json.as_bytes()) {
            Ok(request) => request,
            Err(_) => panic!("{}", reason(json)),
        }
    }

    #[test]
    fn requests_are_read() {
        let request = read(r#"{"url":"http://a/"}"#);
        assert_eq!((&*request.method, &*request.url), ("GET", "http://a/"));
        assert!(request.headers.is_empty() && request.body.is_empty());
        let all = r#" { "headers" : {"A":"b\n", "C" : "\u00e9\ud83d\ude00\/"} ,
            "method":"post","x":-1.5e+3,"y":{"z":null,"w":"\""},"url":"u\\" } "#;
        let request = read(all);
        assert_eq!((&*request.method, &*request.url), ("POST", "u\\"));
        let expected = [("A", "b\n"), ("C", "\u{e9}\u{1f600}/")];
        let expected = expected.map(|(name, value)| (name.into(), value.as_bytes().to_vec()));
        assert_eq!(request.headers, expected);
        let request = read(r#"{"url":"u","method":null,"headers":null}"#);
        assert_eq!((&*request.method, request.headers.len()), ("GET", 0));
        let old = read(r#"{"url":"u","header":{"a":"b"}}"#);
        assert_eq!(old.headers.len(), 1);
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_place() {
        for (json, expected) in [
            ("", "an object at byte 0"),
            ("[]", "an object at byte 0"),
            ("{}", "`url` is missing"),
            (r#"{"url":1}"#, "a string at byte 7"),
            (r#"{"url":"u"} x"#, "the end at byte 12"),
            (r#"{"url":"u""#, "a comma or the object's end at byte 10"),
            (r#"{"url":"u"#, "a string's end"),
            (r#"{"url":"u",}"#, "a string at byte 11"),
            (r#"{"url" "u"}"#, "a colon"),
            (r#"{"url":"\x"}"#, "a known escape"),
            (r#"{"url":"\u12"}"#, "a hexadecimal digit"),
            (r#"{"url":"\udc00"}"#, "a character before this"),
            (r#"{"url":"\ud800x"}"#, "the second half"),
            (r#"{"url":"\ud800\u0041"}"#, "the second half"),
            ("{\"url\":\"a\nb\"}", "no control character"),
            (r#"{"url":"u","x":[[]]}"#, "a number or a word"),
            (r#"{"url":"u","x":{"y":{}}}"#, "a number or a word"),
            (r#"{"url":"u","headers":{"a":1}}"#, "a string at byte 26"),
            (r#"{"url":"u","headers":[]}"#, "an object"),
        ] {
            let reason = reason(json);
            assert!(reason.contains(expected), "{json}: {reason}");
        }
        assert!(request(b"{\"url\":\"\xff\"}").is_err());
        let deep = format!(r#"{{"url":"u","x":{}"#, "{\"a\":".repeat(100_000));
        assert!(reason(&deep).contains("a number or a word"));
        let many = vec![r#""a":"""#; HEADERS + 1].join(",");
        assert!(reason(&format!(r#"{{"headers":{{{many}}}}}"#)).contains("fewer headers"));
    }

    #[test]
    fn headers_are_joined_escaped_and_bounded() {
        let of = |all: &[(&str, &[u8])], limit| {
            let own = |(name, value): &(&str, &[u8])| (String::from(*name), value.to_vec());
            let all: Vec<_> = all.iter().map(own).collect();
            headers(&all, limit).map(|json| String::from_utf8(json).unwrap())
        };
        assert_eq!(of(&[], 2).as_deref(), Some("{}"));
        let all: [(&str, &[u8]); 4] = [
            ("X-B", b"1"),
            ("A", b"q\"\\\x01\xff"),
            ("x-b", b"2"),
            ("c", b""),
        ];
        let json = String::from(r#"{"a":"q\"\\\u0001"#) + "\u{fffd}\",\"c\":\"\",\"x-b\":\"1, 2\"}";
        assert_eq!(of(&all, json.len()), Some(json.clone()));
        assert_eq!(of(&all, json.len() - 1), None);
    }
}
