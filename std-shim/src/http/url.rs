//! URLs of requests: read once, into parts that are checked and from which the request is made, so that no
//! second reader can find another host in them.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// A scheme of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is = |name| text.eq_ignore_ascii_case(name);
        match () {
            () if is("http") => Some(Self::Http),
            () if is("https") => Some(Self::Https),
            () => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A scheme, a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) scheme: Scheme,
    /// A name in lower case, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// Returns the host as an address, if it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        let name = scheme.name();
        match host.contains(':') {
            true => write!(f, "{name}://[{host}]")?,
            false => write!(f, "{name}://{host}")?,
        }
        match *port == scheme.port() {
            true => Ok(()),
            false => write!(f, ":{port}"),
        }
    }
}

/// An origin and the path on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) origin: Origin,
    /// The path and the query, escaped, without `.` and `..`.
    pub(super) path: String,
}

impl Url {
    /// Reads an absolute URL. A fragment is dropped.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("expected a URL that begins with http:// or https://")?;
        let scheme = Scheme::parse(scheme).ok_or("expected the scheme http or https")?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("a URL with a user name or password is refused: use a header".into());
        }
        let (host, port) = host_and_port(authority)?;
        let host = match is_host(&host) {
            true => host,
            false => return Err(format!("`{host}` is no name of a host, and no address")),
        };
        let port = port.unwrap_or(scheme.port());
        let origin = Origin { scheme, host, port };
        let path = normalized(path);
        Ok(Self { origin, path })
    }

    /// Reads the target of a redirect from this URL.
    pub(super) fn join(&self, location: &str) -> Result<Self, String> {
        let own = self.path.split('?').next().unwrap_or_default();
        let colon = location.find(':').unwrap_or(location.len());
        let slash = location.find(['/', '?', '#']).unwrap_or(location.len());
        let origin = &self.origin;
        let text = match location {
            _ if colon < slash => location.to_owned(),
            "" => return Ok(self.clone()),
            _ if location.starts_with('#') => return Ok(self.clone()),
            _ if location.starts_with("//") => format!("{}:{location}", origin.scheme.name()),
            _ if location.starts_with('/') => format!("{origin}{location}"),
            _ if location.starts_with('?') => format!("{origin}{own}{location}"),
            _ => {
                let folder = own.rfind('/').map_or("/", |at| &own[..=at]);
                format!("{origin}{folder}{location}")
            }
        };
        Self::parse(&text)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

/// Splits `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`. Returns the host in lower case, an address of
/// IPv6 in its shortest form.
pub(super) fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or("expected `]`")?;
            let address: Ipv6Addr = address
                .parse()
                .map_err(|_| format!("`{address}` is no address of IPv6"))?;
            let port = match rest {
                "" => None,
                _ => Some(rest.strip_prefix(':').ok_or("expected a port behind `]`")?),
            };
            (address.to_string(), port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_ascii_lowercase(), Some(port)),
            None => (text.to_ascii_lowercase(), None),
        },
    };
    let port = match port {
        None | Some("") => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(
            port.parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| format!("`{port}` is no port from 1 to 65535"))?,
        ),
        Some(port) => return Err(format!("`{port}` is no port from 1 to 65535")),
    };
    Ok((host, port))
}

/// Returns whether `host` is an address or a name. A name does not end with a number: systems read `127.1`
/// and `0x7f000001` as addresses.
fn is_host(host: &str) -> bool {
    if host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let is_part =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let last = host.rsplit('.').find(|label| !label.is_empty());
    let numeric =
        |label: &str| label.starts_with("0x") || label.bytes().all(|byte| byte.is_ascii_digit());
    (1..=253).contains(&host.len())
        && host.bytes().all(is_part)
        && !host.starts_with('.')
        && !host.contains("..")
        && last.is_some_and(|label| !numeric(label))
}

/// Returns a path and query that begin with `/`, escaped and without `.` and `..`.
fn normalized(text: &str) -> String {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(part),
        }
    }
    let mut text = String::from("/");
    escape(&kept.join("/"), &mut text);
    if let Some(query) = query {
        text.push('?');
        escape(query, &mut text);
    }
    text
}

/// Escapes what a path or query may not contain.
fn escape(text: &str, to: &mut String) {
    for byte in text.bytes() {
        let plain = byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        match plain {
            true => to.push(char::from(byte)),
            false => to.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Url::parse(text).map_or_else(|error| error, |url| url.to_string())
    }

    #[test]
    fn urls_are_read_into_one_form() {
        for (text, expected) in [
            ("http://A.example", "http://a.example/"),
            ("HTTPS://a.example:443/x", "https://a.example/x"),
            ("https://a.example:80/x", "https://a.example:80/x"),
            (
                "http://a.example:/x?y=/../z#f",
                "http://a.example/x?y=/../z",
            ),
            ("http://a.example?q", "http://a.example/?q"),
            ("http://a/b/./c/../d/..", "http://a/b/"),
            ("http://a/../../b", "http://a/b"),
            ("http://a/ \u{e9}\\{}", "http://a/%20%C3%A9%5C%7B%7D"),
            ("http://[0:0::1]:8/", "http://[::1]:8/"),
            ("http://1.2.3.4/", "http://1.2.3.4/"),
            ("http://a_b.example./", "http://a_b.example./"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_others_read_as_another_host_is_refused() {
        for text in [
            "",
            "a.example",
            "/path",
            "ftp://a/",
            "file:///etc/passwd",
            "http:///path",
            "http://:80/",
            "http://user@a/",
            "http://a:b@c/",
            "http://a\\@b/",
            "http://a\\.b/",
            "http://a b/",
            "http://a%2eb/",
            "http://\u{e9}.example/",
            "http://\u{ff41}/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://a.1/",
            "http://1.2.3.4./",
            "http://.a/",
            "http://a..b/",
            "http://a:0/",
            "http://a:65536/",
            "http://a:+80/",
            "http://a:80:81/",
            "http://::1/",
            "http://[::1/",
            "http://[::1]x/",
            "http://[fe80::1%25eth0]/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn redirects_are_resolved() {
        let base = Url::parse("https://a.example:8/b/c?d").unwrap();
        for (location, expected) in [
            ("http://x/y", "http://x/y"),
            ("//x/y", "https://x/y"),
            ("/y", "https://a.example:8/y"),
            ("y", "https://a.example:8/b/y"),
            ("../y?z:1", "https://a.example:8/y?z:1"),
            ("?z", "https://a.example:8/b/c?z"),
            ("", "https://a.example:8/b/c?d"),
            ("#f", "https://a.example:8/b/c?d"),
            ("./a:b", "https://a.example:8/b/a:b"),
        ] {
            let joined = base.join(location).unwrap();
            assert_eq!(joined.to_string(), expected, "{location}");
        }
        for location in [
            "javascript:x",
            "file:/etc/passwd",
            "gopher://a/",
            "http://a@b/",
        ] {
            assert!(base.join(location).is_err(), "{location}");
        }
    }
}
