//! The page at `/`: static, and without anything from elsewhere. What it shows, its script asks of the other routes.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, header},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::sync::OnceLock;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
/// One script: its parts share what they define.
const SCRIPT: &str = concat!(
    "\n",
    include_str!("figures.js"),
    "\n",
    include_str!("plugin.js"),
    "\n",
    include_str!("log.js"),
    "\n",
    include_str!("begin.js")
);

/// The page with its style and script in it, and its policy.
struct Whole {
    page: Bytes,
    /// Browsers run this script alone, and ask nothing but this server.
    policy: HeaderValue,
}

/// Returns the page.
pub(crate) fn response() -> Response<Body> {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    let whole = WHOLE.get_or_init(whole);
    let mut response = Response::new(Body::from(whole.page.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, whole.policy.clone());
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn whole() -> Whole {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let page = PAGE.replace("/* style */", STYLE);
    Whole {
        page: page.replace("/* script */", SCRIPT).into(),
        // Base64 has no byte that a header can't hold.
        policy: HeaderValue::from_str(&policy)
            .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_what_its_policy_allows() {
        let page = whole().page;
        let page = str::from_utf8(&page).unwrap();
        let within = |start: &str, end: &str| {
            let (_, rest) = page.split_once(start).unwrap();
            rest.split_once(end).unwrap().0.to_owned()
        };
        assert_eq!(within("<style>", "</style>"), STYLE);
        assert_eq!(within("<script>", "</script>"), SCRIPT);
        // Nothing that the policy refuses, and nothing from elsewhere.
        for refused in [
            " onclick",
            " onload",
            " style=\"",
            "src=\"",
            "http://",
            "https://",
            "innerHTML",
        ] {
            let rest = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!rest.contains(refused), "{refused}");
        }
    }
}
