//! What clients send.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// The longest message that is read.
pub(crate) const MAX_MESSAGE: usize = 64 * 1024;
/// The longest message that is skipped; whoever sends more is not a dashboard.
const MAX_SKIPPED: u64 = 16 * 1024 * 1024;

/// A message of the client's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Text(String),
    Binary,
    InvalidUtf8,
    /// Longer than [`MAX_MESSAGE`]; it was skipped.
    TooLong,
    Ping(Bytes),
    Pong,
    Close,
}

/// The client does not speak the protocol; what follows cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    Protocol(&'static str),
    TooBig,
}

#[derive(Debug)]
enum Payload {
    Collected,
    Skipped(u64),
}

/// Takes messages out of a stream of bytes. It holds at most one message of [`MAX_MESSAGE`] bytes.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The fragmented message so far, and whether it is text.
    partial: Option<(Vec<u8>, bool)>,
    /// The message at hand is too long; this much of it was skipped.
    skipped: Option<u64>,
    /// Bytes of the frame at hand that are still to be skipped, and whether the message ends with it.
    skipping: Option<(u64, bool)>,
}

impl Decoder {
    /// The next message; `None` when more bytes are needed.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, Violation> {
        loop {
            if let Some((left, last)) = self.skipping {
                let here = left.min(input.len() as u64);
                #[expect(clippy::cast_possible_truncation, reason = "at most the length of the input")]
                input.advance(here as usize);
                if here < left {
                    self.skipping = Some((left - here, last));
                    return Ok(None);
                }
                self.skipping = None;
                if last {
                    self.skipped = None;
                    return Ok(Some(Incoming::TooLong));
                }
            }
            let mut cursor = Cursor::new(&input[..]);
            let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Protocol("reserved opcode"))?;
            let Some((header, length)) = parsed else {
                return Ok(None);
            };
            let head = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
            let Some(mask) = header.mask else {
                return Err(Violation::Protocol("unmasked frame"));
            };
            if header.rsv1 || header.rsv2 || header.rsv3 {
                return Err(Violation::Protocol("reserved bits set"));
            }
            let payload = self.admit(&header, length)?;
            if let Payload::Skipped(length) = payload {
                input.advance(head);
                self.skipping = Some((length, header.is_final));
                continue;
            }
            // `admit` lets nothing through that is longer than a message may be.
            let length = usize::try_from(length).map_err(|_| Violation::TooBig)?;
            if input.len() < head + length {
                input.reserve(head + length - input.len());
                return Ok(None);
            }
            input.advance(head);
            let mut payload = input.split_to(length);
            unmask(&mut payload, mask);
            if let Some(message) = self.frame(&header, payload)? {
                return Ok(Some(message));
            }
        }
    }

    /// Whether the frame fits where it stands, and whether its payload is kept.
    fn admit(&mut self, header: &FrameHeader, length: u64) -> Result<Payload, Violation> {
        let so_far = match header.opcode {
            OpCode::Control(_) if length > 125 || !header.is_final => {
                return Err(Violation::Protocol("control frame too long or fragmented"));
            }
            OpCode::Control(_) => return Ok(Payload::Collected),
            OpCode::Data(Data::Continue) => match (&self.partial, self.skipped) {
                (Some((partial, _)), _) => partial.len() as u64,
                (None, Some(skipped)) => skipped,
                (None, None) => return Err(Violation::Protocol("continuation of nothing")),
            },
            OpCode::Data(_) if self.partial.is_some() || self.skipped.is_some() => {
                return Err(Violation::Protocol("message within a message"));
            }
            OpCode::Data(_) => 0,
        };
        let total = so_far.saturating_add(length);
        if total <= MAX_MESSAGE as u64 && self.skipped.is_none() {
            return Ok(Payload::Collected);
        }
        if total > MAX_SKIPPED {
            return Err(Violation::TooBig);
        }
        self.partial = None;
        self.skipped = Some(total);
        Ok(Payload::Skipped(length))
    }

    fn frame(&mut self, header: &FrameHeader, payload: BytesMut) -> Result<Option<Incoming>, Violation> {
        let (mut message, text) = match header.opcode {
            OpCode::Control(Control::Ping) => return Ok(Some(Incoming::Ping(payload.freeze()))),
            OpCode::Control(Control::Pong) => return Ok(Some(Incoming::Pong)),
            OpCode::Control(_) => return Ok(Some(Incoming::Close)),
            OpCode::Data(Data::Continue) => match self.partial.take() {
                Some(partial) => partial,
                None => return Err(Violation::Protocol("continuation of nothing")),
            },
            OpCode::Data(kind) => (Vec::new(), kind == Data::Text),
        };
        message.extend_from_slice(&payload);
        if !header.is_final {
            self.partial = Some((message, text));
            return Ok(None);
        }
        if !text {
            return Ok(Some(Incoming::Binary));
        }
        Ok(Some(
            String::from_utf8(message).map_or(Incoming::InvalidUtf8, Incoming::Text),
        ))
    }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let word = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let mut words = payload.chunks_exact_mut(8);
    for chunk in &mut words {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ word).to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tungstenite::protocol::frame::Frame;

    use super::*;

    fn frame(opcode: OpCode, payload: &[u8], last: bool) -> Vec<u8> {
        let header = FrameHeader {
            is_final: last,
            opcode,
            mask: Some([1, 2, 3, 4]),
            ..FrameHeader::default()
        };
        let mut out = Vec::new();
        Frame::from_payload(header, payload.to_vec().into())
            .format(&mut out)
            .unwrap();
        out
    }

    fn text(payload: &[u8], last: bool) -> Vec<u8> {
        frame(OpCode::Data(Data::Text), payload, last)
    }

    fn more(payload: &[u8], last: bool) -> Vec<u8> {
        frame(OpCode::Data(Data::Continue), payload, last)
    }

    fn all(bytes: &[u8], step: usize) -> Result<Vec<Incoming>, Violation> {
        let (mut decoder, mut input, mut messages) = (Decoder::default(), BytesMut::new(), Vec::new());
        for part in bytes.chunks(step.max(1)) {
            input.extend_from_slice(part);
            while let Some(message) = decoder.next(&mut input)? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    #[test]
    fn messages_come_whole_in_fragments_and_between_pings() {
        let ping = frame(OpCode::Control(Control::Ping), b"p", true);
        let bytes = [
            text(b"one", true),
            text(b"t", false),
            ping,
            more(b"w", false),
            more(b"o", true),
            text(b"\xff", true),
        ]
        .concat();
        for step in [1, 3, 1000] {
            let expected = [
                Incoming::Text("one".into()),
                Incoming::Ping(Bytes::from_static(b"p")),
                Incoming::Text("two".into()),
                Incoming::InvalidUtf8,
            ];
            assert_eq!(all(&bytes, step).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_too_long_is_skipped_and_the_next_message_is_read() {
        let half = vec![b'x'; MAX_MESSAGE / 2 + 1];
        let long = text(&vec![b'x'; MAX_MESSAGE + 1], true);
        let fragments = [
            text(&half, false),
            more(&half, false),
            more(b"x", false),
            more(b"y", true),
        ]
        .concat();
        for bytes in [long, fragments] {
            let bytes = [bytes, text(b"after", true)].concat();
            assert_eq!(
                all(&bytes, 4096).unwrap(),
                [Incoming::TooLong, Incoming::Text("after".into())]
            );
        }
        assert_eq!(all(&text(&vec![0; MAX_MESSAGE], true), 4096).unwrap().len(), 1);
    }

    #[test]
    fn violations() {
        let mut unmasked = Vec::new();
        Frame::message(b"x".to_vec(), OpCode::Data(Data::Text), true)
            .format(&mut unmasked)
            .unwrap();
        let huge = [&[0x81, 0xff][..], &(1u64 << 40).to_be_bytes(), &[0; 4]].concat();
        assert_eq!(all(&huge, 100), Err(Violation::TooBig));
        let endless = [text(&vec![0; MAX_MESSAGE], false)]
            .into_iter()
            .chain((0..300).map(|_| more(&vec![0; MAX_MESSAGE], false)));
        assert_eq!(
            all(&endless.collect::<Vec<_>>().concat(), 65_536),
            Err(Violation::TooBig)
        );
        for bytes in [
            unmasked,
            more(b"x", true),
            [text(b"x", false), text(b"x", true)].concat(),
            frame(OpCode::Control(Control::Ping), &[0; 126], true),
            frame(OpCode::Control(Control::Close), b"", false),
            vec![0x83, 0x80, 0, 0, 0, 0],
            vec![0xC1, 0x80, 0, 0, 0, 0],
        ] {
            assert!(matches!(all(&bytes, 1000), Err(Violation::Protocol(_))), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), step in 1usize..50) {
            let _ = all(&bytes, step);
        }

        #[test]
        fn the_cut_does_not_matter(payloads in prop::collection::vec(".{0,300}", 0..6), step in 1usize..200) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| text(payload.as_bytes(), true)).collect();
            let expected: Vec<Incoming> = payloads.into_iter().map(Incoming::Text).collect();
            prop_assert_eq!(all(&bytes, step).unwrap(), expected);
        }
    }
}
