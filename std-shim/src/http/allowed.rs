//! The hosts that plugins may reach.

use super::{
    HttpAccessError,
    addresses::is_public,
    url::{Origin, Scheme, host_and_port},
};
use crate::host_pattern::matches;
use std::{fmt, net::IpAddr, str::FromStr};

/// The hosts that plugins may reach by [`HttpAccess`](super::HttpAccess). None, if there are no entries.
///
/// An entry is `[SCHEME://]HOST[:PORT]`.
///
/// * `HOST` is a name, an address, or a pattern, in which `*` stands for any characters and `?` for one.
///   `*.example.com` does not include `example.com`.
/// * Without `SCHEME`, http and https are allowed.
/// * Without `PORT`, any port is allowed; with `SCHEME`, its own port: 80 or 443.
///
/// Names are resolved, and the addresses that are not public are refused: those of this machine, of private
/// networks, of cloud metadata, of groups, and those of IPv6 that stand for addresses of IPv4. An entry whose
/// `HOST` is such an address allows it, as a host and behind the names that other entries allow.
///
/// ```
/// use hostel::AllowedHosts;
/// let hosts = AllowedHosts::parse(["https://api.example.com", "*.example.org:8443", "127.0.0.1:9000"])?;
/// assert!(AllowedHosts::parse(["api.example.com/path"]).is_err());
/// # drop(hosts);
/// # Ok::<(), hostel::HttpAccessError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    scheme: Option<Scheme>,
    /// In lower case.
    host: String,
    port: Option<u16>,
}

impl AllowedHosts {
    /// Reads the entries.
    ///
    /// # Errors
    ///
    /// If an entry is not `[SCHEME://]HOST[:PORT]`.
    pub fn parse<E: AsRef<str>>(
        entries: impl IntoIterator<Item = E>,
    ) -> Result<Self, HttpAccessError> {
        let entries = entries.into_iter().map(|entry| entry.as_ref().parse());
        entries.collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether there are no entries: no host may be reached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that an entry allows the origin.
    pub(super) fn check(&self, origin: &Origin) -> Result<(), String> {
        if self.0.iter().any(|entry| entry.allows(origin)) {
            return Ok(());
        }
        Err(format!("`{origin}` is not among the allowed hosts"))
    }

    /// Checks that the origin may be reached at an address.
    pub(super) fn check_address(&self, origin: &Origin, address: IpAddr) -> Result<(), String> {
        let at = Origin {
            host: address.to_string(),
            ..origin.clone()
        };
        // A pattern names no address.
        let named = |entry: &Entry| entry.host == at.host && entry.allows(&at);
        if is_public(address) || self.0.iter().any(named) {
            return Ok(());
        }
        Err(format!(
            "`{origin}` is at the address {address}, which is not public and must be allowed by itself"
        ))
    }
}

impl Entry {
    fn allows(&self, origin: &Origin) -> bool {
        self.scheme.is_none_or(|scheme| scheme == origin.scheme)
            && self.port.is_none_or(|port| port == origin.port)
            && matches(&self.host, &origin.host)
    }
}

impl FromStr for Entry {
    type Err = HttpAccessError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = |reason: &str| {
            HttpAccessError(format!(
                "`{text}` is no allowed host: expected [SCHEME://]HOST[:PORT], {reason}"
            ))
        };
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => {
                let known = Scheme::parse(scheme);
                (
                    Some(known.ok_or_else(|| fault("with http or https"))?),
                    rest,
                )
            }
            None => (None, text),
        };
        let (host, port) = match rest.parse::<IpAddr>() {
            // Also of IPv6 without brackets.
            Ok(address) => (address.to_string(), None),
            Err(_) => host_and_port(rest).map_err(|reason| fault(&format!("but {reason}")))?,
        };
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*?:".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_part) {
            return Err(fault("with letters, digits, and `*` or `?` in HOST"));
        }
        let port = port.or(scheme.map(Scheme::port));
        Ok(Self { scheme, host, port })
    }
}

impl fmt::Display for AllowedHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Entry { scheme, host, port }) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let scheme = scheme.map_or(String::new(), |scheme| format!("{}://", scheme.name()));
            let host = match host.contains(':') {
                true => format!("[{host}]"),
                false => host.clone(),
            };
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            write!(f, "{comma}{scheme}{host}{port}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::url::Url;

    fn origin(url: &str) -> Origin {
        Url::parse(url).unwrap().origin
    }

    #[test]
    fn entries_allow_schemes_hosts_and_ports() {
        for (entry, url, allowed) in [
            ("a.example", "http://a.example/", true),
            ("A.Example", "https://A.EXAMPLE:8080/", true),
            ("a.example", "http://b.a.example/", false),
            ("a.example", "http://a.example.evil/", false),
            ("*.example", "http://a.example/", true),
            ("*.example", "http://a.b.example/", true),
            ("*.example", "http://example/", false),
            ("*.example", "http://aexample/", false),
            ("a?.example", "http://ab.example/", true),
            ("a?.example", "http://a.example/", false),
            ("*", "http://anything/", true),
            ("*a*b*", "http://xaxb/", true),
            ("*a*b*", "http://xbxa/", false),
            ("https://a", "https://a/", true),
            ("https://a", "http://a/", false),
            ("https://a", "https://a:8443/", false),
            ("https://a:8443", "https://a:8443/", true),
            ("a:8443", "http://a:8443/", true),
            ("a:8443", "http://a/", false),
            ("http://[::1]:80", "http://[0::1]/", true),
            ("::1", "http://[::1]:9/", true),
            ("127.0.0.1", "http://127.0.0.1:1/", true),
        ] {
            let hosts = AllowedHosts::parse([entry]).unwrap();
            let found = hosts.check(&origin(url)).is_ok();
            assert_eq!(found, allowed, "{entry} {url}");
        }
        let none = AllowedHosts::default();
        assert!(none.check(&origin("http://a/")).is_err());
        for entry in [
            "", "a/b", "ftp://a", "a:b", "a:0", "a:99999", "[::1", "a b", "u@a", "https://",
        ] {
            let error = AllowedHosts::parse([entry]).unwrap_err();
            assert!(error.to_string().contains("[SCHEME://]HOST"), "{error}");
        }
        let all = AllowedHosts::parse(["a", "https://b", "[::1]:5"]).unwrap();
        assert_eq!(all.to_string(), "a, https://b:443, [::1]:5");
    }

    #[test]
    fn addresses_that_are_not_public_must_be_named() {
        let check = |entries: &[&str], url: &str, address: &str| {
            let hosts = AllowedHosts::parse(entries).unwrap();
            hosts.check_address(&origin(url), address.parse().unwrap())
        };
        let url = "http://a.example:81/";
        assert!(check(&["a.example"], url, "1.1.1.1").is_ok());
        for (entries, address, allowed) in [
            (&["*"][..], "127.0.0.1", false),
            (&["a.example"], "127.0.0.1", false),
            (&["a.example", "127.*"], "127.0.0.1", false),
            (&["a.example", "127.0.0.2"], "127.0.0.1", false),
            (&["a.example", "127.0.0.1:80"], "127.0.0.1", false),
            (&["a.example", "https://127.0.0.1:81"], "127.0.0.1", false),
            (&["a.example", "127.0.0.1"], "::ffff:127.0.0.1", false),
            (&["a.example", "127.0.0.1"], "127.0.0.1", true),
            (&["a.example", "http://127.0.0.1:81"], "127.0.0.1", true),
            (&["a.example", "[fd00:ec2::254]"], "fd00:ec2::254", true),
        ] {
            let found = check(entries, url, address);
            assert_eq!(found.is_ok(), allowed, "{entries:?} {address}: {found:?}");
        }
        let refused = check(&["*"], "http://169.254.169.254/", "169.254.169.254");
        assert!(refused.unwrap_err().contains("not public"));
    }
}
