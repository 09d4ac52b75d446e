//! One connection, and what it is waiting for when the server stops.
//!
//! A stop waits for answers and not for callers: for who has sent half a head, holds the connection open or has stopped sending his body.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use http::Response;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// After a stop, for a head that is on its way.
const HEAD_GRACE: Duration = Duration::from_millis(250);
/// After a stop, for the next bytes of a body.
const BODY_GRACE: Duration = Duration::from_secs(1);
/// How often a connection is looked at after a stop.
const LOOK: Duration = Duration::from_millis(50);

/// Serves a connection to its end, which `shutdown` brings after the request it is at, and `abort` at once.
pub(super) async fn serve(
    (stream, peer): (TcpStream, SocketAddr),
    app: Router,
    http: http1::Builder,
    shutdown: CancellationToken,
    abort: CancellationToken,
) {
    // Answers are written whole; waiting to fill a packet only delays them. A socket that refuses works all the same.
    let _ = stream.set_nodelay(true);
    let state = Shared::default();
    let watched = Watched {
        stream: TokioIo::new(stream),
        state: state.clone(),
    };
    let seen = state.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let busy = Busy::new(&seen);
        let mut request = request.map(|body| Upload {
            body,
            busy: busy.clone(),
        });
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = app.clone().call(request);
        async move {
            answer
                .await
                .map(|answer: Response<Body>| answer.map(|body| Answer { body, _busy: busy }))
        }
    });
    let mut connection = std::pin::pin!(http.serve_connection(watched, service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let stopped = Instant::now();
            loop {
                tokio::select! {
                    ended = connection.as_mut() => break ended,
                    () = abort.cancelled() => return,
                    () = tokio::time::sleep(LOOK) => {}
                }
                if state.0.lock().waits_for_the_caller(stopped) {
                    tracing::debug!("a connection was closed because its caller kept the stop waiting");
                    return;
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Requests that are being received, handled or answered.
    busy: u32,
    /// Since when a body's next bytes are waited for.
    starved: Option<Instant>,
    /// Whether an answer waits for the caller to read on. It may outlive its request, which ends when all of it is handed over.
    writing: bool,
}

impl State {
    /// Whether the connection, at `stopped` told to end, is kept by its caller alone.
    fn waits_for_the_caller(&self, stopped: Instant) -> bool {
        match (self.writing, self.busy > 0) {
            (true, _) => false,
            (false, true) => self
                .starved
                .is_some_and(|since| since.max(stopped).elapsed() >= BODY_GRACE),
            (false, false) => stopped.elapsed() >= HEAD_GRACE,
        }
    }
}

/// A request that is not done with: held by its body, its handler and its answer.
#[derive(Clone)]
struct Busy(Arc<Held>);

struct Held(Shared);

impl Busy {
    fn new(state: &Shared) -> Self {
        state.0.lock().busy += 1;
        Self(Arc::new(Held(state.clone())))
    }

    fn starved(&self, starved: bool) {
        let mut state = self.0.0.0.lock();
        match (starved, state.starved) {
            (true, None) => state.starved = Some(Instant::now()),
            (false, Some(_)) => state.starved = None,
            _ => {}
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.lock().busy -= 1;
    }
}

/// A request's body.
struct Upload {
    body: Incoming,
    busy: Busy,
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.busy.starved(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.busy.starved(false);
    }
}

/// An answer's body.
struct Answer {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The socket; it tells whether the caller reads.
struct Watched {
    stream: TokioIo<TcpStream>,
    state: Shared,
}

impl Watched {
    fn written<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.state.0.lock().writing = polled.is_pending();
        polled
    }
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
