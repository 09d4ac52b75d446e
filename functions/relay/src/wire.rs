//! RFC 6455 frames, from the server's side.
//!
//! The server does not mask, so a frame's bytes are the same for every client: they are made here once and written as they are, which a
//! general WebSocket library, with a queue and a copy for each connection, cannot do. What clients send goes through [`Decoder`].

mod decode;
mod written;

pub(crate) use decode::{Decoder, Incoming, MAX_MESSAGE, Violation};
pub(crate) use written::Chunks;

/// Opcode of a ping.
pub(crate) const PING: u8 = 0x9;
/// Opcode of a pong.
pub(crate) const PONG: u8 = 0xA;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const FINAL: u8 = 0x80;

/// Appends a text message. `text` must be UTF-8.
pub(crate) fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 10);
    out.push(FINAL | TEXT);
    match text.len() {
        #[expect(clippy::cast_possible_truncation, reason = "below 126")]
        length @ 0..=125 => out.push(length as u8),
        #[expect(clippy::cast_possible_truncation, reason = "below 65,536")]
        length @ 126..=65_535 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}

/// Appends a control frame; what is longer than 125 bytes is cut, as the format demands.
pub(crate) fn control(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    let payload = &payload[..payload.len().min(125)];
    out.push(FINAL | opcode);
    #[expect(clippy::cast_possible_truncation, reason = "at most 125")]
    out.push(payload.len() as u8);
    out.extend_from_slice(payload);
}

/// Why the relay closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseCode {
    /// Answers a client's own close.
    Normal = 1000,
    /// The relay stops.
    GoingAway = 1001,
    /// The client broke the protocol.
    Protocol = 1002,
    /// The client says too much.
    Policy = 1008,
    /// The client sent a message beyond all bounds.
    TooBig = 1009,
    /// The client does not keep up; it may come again.
    TryAgainLater = 1013,
}

/// A close frame.
pub(crate) fn close(code: CloseCode, reason: &str) -> Vec<u8> {
    let mut payload = (code as u16).to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    let mut out = Vec::new();
    control(&mut out, CLOSE, &payload);
    out
}
