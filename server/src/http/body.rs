//! The bodies of requests, within bounds of bytes and time, and those of answers.

use crate::problem::Problem;
use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::timeout;

/// Reads a body of at most `limit` bytes, within `time`. One that is said to be larger is refused before it is read.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    time: Duration,
) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            "body-too-large",
            format!("the body may have at most {limit} bytes"),
        )
    };
    let said = headers.get(header::CONTENT_LENGTH);
    let said = said.and_then(|said| said.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|said| said > limit as u64) {
        return Err(too_large());
    }
    let read = timeout(time, Limited::new(body, limit).collect()).await;
    let read = read.map_err(|_| {
        let millis = time.as_millis();
        Problem::new(
            "body-timeout",
            format!("the body was not there after {millis} ms"),
        )
    })?;
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Err(error) => Err(Problem::new("bad-body", error.to_string())),
    }
}

/// Most bytes that are given to a connection at a time.
const PIECE: usize = 64 << 10;

/// Makes a body of bytes that keeps `place` until the connection has taken them all, but for the last piece.
pub(crate) fn held(bytes: Vec<u8>, place: impl Send + Unpin + 'static) -> Body {
    Body::new(Held {
        rest: bytes.into(),
        _place: place,
    })
}

struct Held<P> {
    rest: Bytes,
    _place: P,
}

impl<P: Unpin> hyper::body::Body for Held<P> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        Poll::Ready((length > 0).then_some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
