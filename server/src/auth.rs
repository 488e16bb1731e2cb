//! Tokens of callers and administrators.
//!
//! A token is 32 random bytes. The configuration holds its SHA-256 alone: with so much chance in it, no search finds
//! it, and a slow hash such as argon2 would only let strangers use up the server's processor and memory with false
//! tokens. A person's password would need one; such are not accepted, since [`new_token`] makes the tokens.

use axum::http::uri::Authority;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use subtle::ConstantTimeEq as _;

/// The start of each token, by which tools that look for leaked secrets find it.
const PREFIX: &str = "hostel_";

/// A token by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its name, for logs.
    pub name: String,
    /// The SHA-256 of its text.
    pub sha256: [u8; 32],
    /// What it allows.
    pub role: Role,
    /// The plugins that a caller may call; `*` for all.
    pub plugins: Vec<String>,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To call some plugins, and to see them.
    Caller,
    /// To see all plugins and the metrics.
    Monitor,
    /// To see, call and change all plugins.
    Admin,
}

impl Token {
    /// Reads a SHA-256 of 64 hexadecimal digits.
    pub(crate) fn digest(text: &str) -> Option<[u8; 32]> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = str::from_utf8(pair).ok()?;
            // `from_str_radix` takes a sign.
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(digest)
    }
}

/// Makes a token. Returns its text, which is to be kept secret, and its SHA-256 in hexadecimal digits for the
/// configuration.
///
/// ```
/// let (token, sha256) = hostel_server::new_token()?;
/// assert!(token.starts_with("hostel_"));
/// assert_eq!((token.len(), sha256.len()), (71, 64));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// If the system has no random bytes.
pub fn new_token() -> std::io::Result<(String, String)> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let token = format!("{PREFIX}{}", hexadecimal(&random));
    let digest = hexadecimal(&Sha256::digest(token.as_bytes()));
    Ok((token, digest))
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a text can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Who may do what.
#[derive(Clone, Debug)]
pub struct Auth {
    tokens: Vec<Token>,
    anonymous: bool,
    /// Whether requests without a token must be for this machine by its own names.
    local: bool,
}

/// The client of a request, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client<'a> {
    /// Without a token, where none is needed.
    Anonymous,
    Known(&'a Token),
}

/// There is no token where one is needed, or it is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

impl Auth {
    /// Knows these tokens. If `anonymous`, calls and figures need none.
    #[must_use]
    pub const fn new(tokens: Vec<Token>, anonymous: bool) -> Self {
        Self {
            tokens,
            anonymous,
            local: false,
        }
    }

    /// Takes requests without a token only if their `Host` is `localhost` or an address. A page whose name its
    /// owner leads to this machine (DNS rebinding) has another one.
    #[must_use]
    pub const fn for_local_names(mut self) -> Self {
        self.local = true;
        self
    }

    /// Returns whether a request without a token may have this `Host`.
    pub(crate) fn takes_host(&self, host: Option<&str>) -> bool {
        if !self.local {
            return true;
        }
        let Some(Ok(authority)) = host.map(str::parse::<Authority>) else {
            return host.is_none();
        };
        let name = authority.host().trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
    }

    /// Lets everybody call all plugins, and nobody change them.
    #[must_use]
    pub const fn open() -> Self {
        Self::new(Vec::new(), true)
    }

    /// Returns whether there is a token that may change plugins.
    pub(crate) fn has_admin(&self) -> bool {
        self.tokens.iter().any(|token| token.role == Role::Admin)
    }

    /// Finds the client of a request by the value of its `Authorization`.
    pub(crate) fn client(&self, authorization: Option<&[u8]>) -> Result<Client<'_>, Unknown> {
        let Some(value) = authorization else {
            return match self.anonymous {
                true => Ok(Client::Anonymous),
                false => Err(Unknown),
            };
        };
        let (scheme, token) = value.split_at_checked(7).ok_or(Unknown)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Err(Unknown);
        }
        self.known(token).map(Client::Known).ok_or(Unknown)
    }

    /// Finds a token. Compares with all in a time that does not depend on them.
    fn known(&self, token: &[u8]) -> Option<&Token> {
        let digest = Sha256::digest(token);
        let mut found = None;
        for known in &self.tokens {
            if bool::from(known.sha256.ct_eq(digest.as_slice())) {
                found = Some(known);
            }
        }
        found
    }
}

impl Client<'_> {
    /// Returns whether the client may call and see a plugin.
    pub(crate) fn may_call(self, plugin: &str) -> bool {
        match self {
            Self::Anonymous => true,
            Self::Known(token) => match token.role {
                Role::Admin => true,
                Role::Monitor => false,
                Role::Caller => token
                    .plugins
                    .iter()
                    .any(|name| name == "*" || name == plugin),
            },
        }
    }

    /// Returns whether the client may see a plugin.
    pub(crate) fn may_see(self, plugin: &str) -> bool {
        matches!(self, Self::Known(token) if token.role == Role::Monitor) || self.may_call(plugin)
    }

    /// Returns whether the client may see the figures of all plugins.
    pub(crate) fn may_monitor(self) -> bool {
        !matches!(self, Self::Known(token) if token.role == Role::Caller)
    }

    /// Returns whether the client may change plugins.
    pub(crate) fn may_change(self) -> bool {
        matches!(self, Self::Known(token) if token.role == Role::Admin)
    }

    /// Returns the name of the token's role.
    pub(crate) const fn role(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Known(token) => match token.role {
                Role::Caller => "caller",
                Role::Monitor => "monitor",
                Role::Admin => "admin",
            },
        }
    }

    /// Returns the token's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Anonymous => "",
            Self::Known(token) => &token.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, role: Role, plugins: &[&str]) -> Token {
        Token {
            name: text.to_owned(),
            sha256: Sha256::digest(text).into(),
            role,
            plugins: plugins.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn a_token_allows_what_its_role_says() {
        let auth = Auth::new(
            vec![
                token("c", Role::Caller, &["shop"]),
                token("m", Role::Monitor, &[]),
                token("a", Role::Admin, &[]),
            ],
            false,
        );
        let rights = |text: &str| {
            let client = auth
                .client(Some(format!("Bearer {text}").as_bytes()))
                .unwrap();
            let plugins = ["shop", "other"];
            let calls = plugins.map(|name| client.may_call(name));
            let sees = plugins.map(|name| client.may_see(name));
            (calls, sees, client.may_monitor(), client.may_change())
        };
        assert_eq!(rights("c"), ([true, false], [true, false], false, false));
        assert_eq!(rights("m"), ([false; 2], [true; 2], true, false));
        assert_eq!(rights("a"), ([true; 2], [true; 2], true, true));
        for wrong in [
            None,
            Some(&b"Bearer x"[..]),
            Some(b"Basic c"),
            Some(b"c"),
            Some(b"Bearer "),
        ] {
            assert_eq!(auth.client(wrong).unwrap_err(), Unknown, "{wrong:?}");
        }
    }

    #[test]
    fn without_tokens_nobody_changes_anything() {
        let auth = Auth::open();
        let client = auth.client(None).unwrap();
        assert!(client.may_call("shop") && client.may_monitor() && !client.may_change());
        // A wrong token is not taken for none.
        assert!(auth.client(Some(b"Bearer x")).is_err());
    }

    #[test]
    fn a_new_token_is_known_by_its_hash() {
        let (text, digest) = new_token().unwrap();
        assert_ne!(new_token().unwrap().0, text);
        let sha256 = Token::digest(&digest).unwrap();
        let token = Token {
            sha256,
            ..token("", Role::Admin, &[])
        };
        let auth = Auth::new(vec![token], false);
        assert!(
            auth.client(Some(format!("bearer {text}").as_bytes()))
                .is_ok()
        );
        assert_eq!(Token::digest(&digest[1..]), None);
        assert_eq!(Token::digest(&format!("+{}", &digest[1..])), None);
    }
}
