//! `Content-Encoding`: gzip is unpacked here, anything else is refused.
//!
//! A gzip body may have several members one after the other (RFC 1952), as `cat a.gz b.gz` and log shippers make it; what follows the
//! last one must not be anything else, or events would be lost behind a success.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_compression::tokio::bufread::GzipDecoder;
use axum::BoxError;
use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use futures_util::{Stream, ready};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::Limited;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::problem::Problem;

/// Unpacked at a time, in bytes.
const PIECE: usize = 32 * 1024;
/// What the packed form of a body that just fits may have on top of it: gzip makes what cannot be packed a little longer.
const OVERHEAD: usize = 64 * 1024;

/// The packed body is no gzip, breaks off, or is followed by something else.
#[derive(Debug, thiserror::Error)]
#[error("the gzip is broken, breaks off, or is followed by something that is no gzip")]
pub(crate) struct BrokenGzip(#[source] io::Error);

/// Puts the unpacked body in the place of a packed one. `limit` is what the body may have, in bytes; whoever reads it must count, here
/// only the packed form is held to it.
pub(super) fn unpack(request: &mut Request, limit: usize) -> Result<(), Problem> {
    if !request.headers().contains_key(CONTENT_ENCODING) || !is_gzip(request.headers())? {
        return Ok(());
    }
    let headers = request.headers_mut();
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    if !request.body().is_end_stream() {
        let packed = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(Unpacked::new(packed, limit.saturating_add(OVERHEAD)));
    }
    Ok(())
}

/// Whether the body is gzip, or as it is.
fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut gzip = 0;
    for value in headers.get_all(CONTENT_ENCODING) {
        for coding in value.to_str().unwrap_or("?").split(',').map(str::trim) {
            if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
                gzip += 1;
            } else if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") {
                return Err(unsupported());
            }
        }
    }
    match gzip {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(unsupported()),
    }
}

fn unsupported() -> Problem {
    Problem::unsupported_media_type("the body's encoding is not one that is read here")
        .field("content-encoding", "expected gzip, once, or identity")
        .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))
}

type Packed = StreamReader<Failing<BodyDataStream>, Bytes>;

/// A gzip body, unpacked as it is read.
struct Unpacked(ReaderStream<GzipDecoder<Packed>>);

impl Unpacked {
    fn new(packed: Body, limit: usize) -> Self {
        let stream = Body::new(Limited::new(packed, limit)).into_data_stream();
        let mut decoder = GzipDecoder::new(StreamReader::new(Failing(stream)));
        decoder.multiple_members(true);
        Self(ReaderStream::with_capacity(decoder, PIECE))
    }
}

impl HttpBody for Unpacked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = ready!(Pin::new(&mut self.0).poll_next(cx));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data).map_err(cause)))
    }
}

/// What went wrong beneath the decoder, as it was there: extractors know the limit's error by its type.
fn cause(error: io::Error) -> BoxError {
    let mut inner = match error.downcast::<axum::Error>() {
        Ok(error) => error.into_inner(),
        Err(error) => return Box::new(BrokenGzip(error)),
    };
    loop {
        inner = match inner.downcast::<axum::Error>() {
            Ok(error) => error.into_inner(),
            Err(inner) => return inner,
        }
    }
}

/// The packed body with the errors that a reader has.
struct Failing<S>(S);

impl<S: Stream<Item = Result<Bytes, axum::Error>> + Unpin> Stream for Failing<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = ready!(Pin::new(&mut self.0).poll_next(cx));
        Poll::Ready(piece.map(|piece| piece.map_err(io::Error::other)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::extract::FromRequest;
    use axum::response::IntoResponse;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::stream;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The body that a handler gets of one sent in pieces of `piece` bytes, or the status that refuses it.
    async fn read(packed: &[u8], piece: usize, limit: usize) -> Result<Bytes, u16> {
        let pieces: Vec<_> = packed.chunks(piece).map(Bytes::copy_from_slice).collect();
        let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, io::Error>)));
        let mut request = Request::builder().header(CONTENT_ENCODING, "gzip").body(body).unwrap();
        unpack(&mut request, limit).map_err(|problem| problem.status().as_u16())?;
        assert!(!request.headers().contains_key(CONTENT_ENCODING));
        let read = Bytes::from_request(request, &()).await;
        read.map_err(|rejection| rejection.into_response().status().as_u16())
    }

    #[tokio::test]
    async fn every_member_is_read_and_every_end_but_the_right_one_is_refused() {
        let (first, second) = (gzip(b"first\n"), gzip(b"second\n"));
        let both = [&first[..], &second].concat();
        for piece in [1, 7, first.len(), first.len() + 1, both.len()] {
            assert_eq!(read(&both, piece, 1000).await.unwrap(), "first\nsecond\n", "{piece}");
            let empty = [&both[..], &gzip(b"")].concat();
            assert_eq!(read(&empty, piece, 1000).await.unwrap(), "first\nsecond\n", "{piece}");
            for end in 1..both.len() {
                let cut = read(&both[..end], piece, 1000).await;
                if end == first.len() {
                    assert_eq!(cut.unwrap(), "first\n");
                } else {
                    assert_eq!(cut, Err(400), "{end} bytes in pieces of {piece}");
                }
            }
            for tail in [
                &b"x"[..],
                b"\0\0\0\0",
                b"some lines that were not packed\n",
                &[0x1f, 0x8b],
            ] {
                let tailed = [&both[..], tail].concat();
                assert_eq!(
                    read(&tailed, piece, 1000).await,
                    Err(400),
                    "{tail:?} in pieces of {piece}"
                );
            }
        }
    }

    #[tokio::test]
    async fn the_packed_form_is_limited_too() {
        let nothing = gzip(b"").repeat(OVERHEAD);
        assert_eq!(read(&nothing, 4096, 1000).await, Err(413));
        assert_eq!(read(&nothing, 4096, nothing.len()).await.unwrap(), "");
    }

    #[test]
    fn encodings() {
        for (values, expected) in [
            (&["gzip"][..], Ok(true)),
            (&["GZip"], Ok(true)),
            (&["X-GZIP"], Ok(true)),
            (&["identity, gzip"], Ok(true)),
            (&["identity"], Ok(false)),
            (&[""], Ok(false)),
            (&["gzip, gzip"], Err(())),
            (&["gzip", "gzip"], Err(())),
            (&["br"], Err(())),
            (&["gzip, br"], Err(())),
            (&["gzip", "zstd"], Err(())),
            (&["caf\u{e9}"], Err(())),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let read = is_gzip(&headers).map_err(|problem| {
                assert_eq!(problem.errors()[0].field, "content-encoding");
                assert_eq!(problem.status().as_u16(), 415);
            });
            assert_eq!(read, expected, "{values:?}");
        }
    }
}
