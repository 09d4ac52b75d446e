//! A body that nobody reads to its end.
//!
//! Who answers 413 after half the body and closes has the kernel reset the connection, and the sender, still sending, may never see why. So
//! the rest of a body that was dropped is read and thrown away for a while.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};

/// Bodies up to this length fit into the sender's and our buffers.
const SMALL: u64 = 64 * 1024;
/// How much more is thrown away before the connection is.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;
const MAX_TIME: Duration = Duration::from_secs(5);

pub(super) fn linger(request: &mut Request) {
    let body = request.body();
    if !body.is_end_stream() && body.size_hint().exact().is_none_or(|length| length > SMALL) {
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(Lingering(Some(body)));
    }
}

/// A body whose rest is discarded when it is dropped. `None` once it has ended or failed.
struct Lingering(Option<Body>);

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if let Some(body) = self.0.take().filter(|body| !body.is_end_stream())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(MAX_TIME, discard(body.into_data_stream())));
        }
    }
}

async fn discard(mut body: BodyDataStream) {
    let mut left = MAX_DISCARDED;
    while let Some(Ok(chunk)) = body.next().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
