//! W3C trace context: the header `traceparent`.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The trace and the span of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    trace: u128,
    /// The caller's span; 0 if there is none.
    parent: u64,
    span: u64,
    sampled: bool,
}

impl TraceContext {
    /// Goes on with the trace of a request's header, or begins one.
    pub(crate) fn of(header: Option<&[u8]>) -> Self {
        let span = random();
        match header.and_then(parse) {
            Some((trace, parent, sampled)) => Self {
                trace,
                parent,
                span,
                sampled,
            },
            None => Self {
                trace: u128::from(random()) << 64 | u128::from(random()),
                parent: 0,
                span,
                sampled: false,
            },
        }
    }

    /// Returns the trace's identifier, which is also that of the request in logs and answers.
    pub(crate) fn trace(&self) -> impl fmt::Display + use<> {
        Hexadecimal(self.trace)
    }

    /// Returns the trace's identifier as a number.
    pub(crate) const fn number(&self) -> u128 {
        self.trace
    }

    /// Returns the identifier of the caller's span.
    pub(crate) fn parent(&self) -> Option<String> {
        (self.parent != 0).then(|| format!("{:016x}", self.parent))
    }

    /// Returns the header for requests that this one makes.
    pub(crate) fn header(&self) -> String {
        let sampled = u8::from(self.sampled);
        format!("00-{:032x}-{:016x}-{sampled:02x}", self.trace, self.span)
    }
}

struct Hexadecimal(u128);

impl fmt::Display for Hexadecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Reads `VERSION-TRACE-SPAN-FLAGS`. Later versions may have more behind it.
fn parse(header: &[u8]) -> Option<(u128, u64, bool)> {
    let text = str::from_utf8(header).ok()?;
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let part = parts.next()?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (part.len() == digits && part.bytes().all(is_digit)).then_some(part)
    };
    let version = part(2)?;
    let trace = u128::from_str_radix(part(32)?, 16).ok()?;
    let parent = u64::from_str_radix(part(16)?, 16).ok()?;
    let flags = u8::from_str_radix(part(2)?, 16).ok()?;
    let ended = version != "00" || parts.next().is_none();
    let valid = version != "ff" && trace != 0 && parent != 0 && ended;
    valid.then_some((trace, parent, flags & 1 == 1))
}

/// Returns a number that no other request of this process has, and that is not 0. It is no secret.
fn random() -> u64 {
    static STATE: OnceLock<AtomicU64> = OnceLock::new();
    let state = STATE.get_or_init(|| {
        let mut seed = [0; 8];
        // Without random bytes, requests of two processes may have one number.
        let _ = getrandom::fill(&mut seed);
        AtomicU64::new(u64::from_le_bytes(seed))
    });
    // SplitMix64, each step of which is a permutation.
    let mut mixed = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on() {
        let header = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::of(Some(header));
        assert_eq!(
            context.trace().to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(context.parent().as_deref(), Some("00f067aa0ba902b7"));
        let next = context.header();
        assert!(
            next.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"),
            "{next}"
        );
        assert!(
            next.ends_with("-01") && !next.contains("00f067aa0ba902b7"),
            "{next}"
        );
    }

    #[test]
    fn what_is_no_trace_begins_one() {
        for header in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            let context = TraceContext::of(Some(header.as_bytes()));
            assert_eq!(context.parent(), None, "{header}");
        }
        let traces = [(); 100].map(|()| TraceContext::of(None).trace().to_string());
        let different: std::collections::BTreeSet<_> = traces.iter().collect();
        assert_eq!(different.len(), 100);
        // A later version may have more.
        let later = b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert!(TraceContext::of(Some(later)).parent().is_some());
    }
}
