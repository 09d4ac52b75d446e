//! How records lie in the file: compressed blocks of segments.
//!
//! A segment holds the records of one append that went to one partition (a big append has several). Whoever appends makes
//! the segment's body; the thread that writes only puts a head before it, which says what was decided last: the time.
//! A block is a few segments one after the other.
//!
//! Head, little-endian: codec `u8`, count `u32`, time of the append's first record `i64`, bytes of the body `u32` unpacked,
//! `u32` as stored. Body, for each record: its index in the append, then key, value, number of headers, and each header's
//! name and value; numbers are LEB128, texts and values have their length before them.

use bytes::Bytes;
use threatstream_backend::{LoggedRecord, Record};
use threatstream_domain::Timestamp;

use crate::fault::{Fault, rejected};

/// A body under this many bytes gains nothing by compression.
const MIN_COMPRESSED: usize = 256;
/// A segment's body grows to about this many bytes, so that reading a little does not unpack much.
const MAX_BODY: usize = 256 * 1024;
const HEAD: usize = 21;
const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// A record and its place in the append.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) index: u32,
    pub(crate) record: Record,
}

/// Records of one append for one partition, ready to be written.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) partition: u32,
    pub(crate) entries: Vec<Entry>,
    codec: u8,
    unpacked: u32,
    body: Vec<u8>,
}

impl Segment {
    /// Bytes that it will take in a block.
    pub(crate) fn stored_bytes(&self) -> usize {
        HEAD + self.body.len()
    }

    /// Puts it at the end of a block. `time` is that of the append's first record.
    pub(crate) fn write(&self, time: Timestamp, block: &mut Vec<u8>) {
        block.reserve(self.stored_bytes());
        block.push(self.codec);
        block.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        block.extend_from_slice(&time.as_micros().to_le_bytes());
        block.extend_from_slice(&self.unpacked.to_le_bytes());
        block.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        block.extend_from_slice(&self.body);
    }
}

/// Sorts an append's records into segments. `partition` says where a key goes.
pub(crate) fn segments(records: Vec<Record>, partition: impl Fn(&[u8]) -> u32) -> Vec<Segment> {
    let mut done = Vec::new();
    let mut open: Vec<(u32, Vec<Entry>, Vec<u8>)> = Vec::new();
    for (index, record) in (0u32..).zip(records) {
        let partition = partition(record.key.as_bytes());
        let at = open.iter().position(|(p, ..)| *p == partition).unwrap_or_else(|| {
            open.push((partition, Vec::new(), Vec::new()));
            open.len() - 1
        });
        let (_, entries, body) = &mut open[at];
        encode(index, &record, body);
        entries.push(Entry { index, record });
        if body.len() >= MAX_BODY {
            done.push(close(partition, std::mem::take(entries), std::mem::take(body)));
        }
    }
    done.extend(
        open.into_iter()
            .filter(|(_, entries, _)| !entries.is_empty())
            .map(|(partition, entries, body)| close(partition, entries, body)),
    );
    done
}

fn close(partition: u32, entries: Vec<Entry>, body: Vec<u8>) -> Segment {
    let unpacked = body.len() as u32;
    let packed = (body.len() >= MIN_COMPRESSED)
        .then(|| lz4_flex::block::compress(&body))
        .filter(|packed| packed.len() < body.len());
    let (codec, body) = match packed {
        Some(packed) => (LZ4, packed),
        None => (PLAIN, body),
    };
    Segment {
        partition,
        entries,
        codec,
        unpacked,
        body,
    }
}

fn encode(index: u32, record: &Record, body: &mut Vec<u8>) {
    number(u64::from(index), body);
    text(record.key.as_bytes(), body);
    text(&record.value, body);
    number(record.headers.len() as u64, body);
    for (name, value) in &record.headers {
        text(name.as_bytes(), body);
        text(value, body);
    }
}

fn text(bytes: &[u8], body: &mut Vec<u8>) {
    number(bytes.len() as u64, body);
    body.extend_from_slice(bytes);
}

fn number(mut value: u64, body: &mut Vec<u8>) {
    while value >= 0x80 {
        body.push(value as u8 | 0x80);
        value >>= 7;
    }
    body.push(value as u8);
}

/// The records of a block from an offset on.
pub(crate) fn decode(block: &[u8], first_offset: u64, from: u64) -> Result<Vec<LoggedRecord>, Fault> {
    let mut records = Vec::new();
    let mut offset = first_offset;
    let mut rest = block;
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<HEAD>().ok_or_else(damaged)?;
        let field = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (count, unpacked, stored) = (field(1), field(13) as usize, field(17) as usize);
        let (low, high) = (u64::from(field(5)), u64::from(field(9)));
        let time = (low | high << 32).cast_signed();
        let (body, after) = after.split_at_checked(stored).ok_or_else(damaged)?;
        rest = after;
        let end = offset.saturating_add(u64::from(count));
        if end > from {
            let body = match head[0] {
                PLAIN => Bytes::copy_from_slice(body),
                // LZ4 packs no better than 255 to 1; a head that says more is damaged, and must not make us reserve gigabytes.
                LZ4 if unpacked / 256 > stored => return Err(damaged()),
                LZ4 => lz4_flex::block::decompress(body, unpacked)
                    .map_err(|_| damaged())?
                    .into(),
                _ => return Err(damaged()),
            };
            let mut reader = Reader { body, at: 0 };
            for offset in offset..end {
                let record = reader.record(offset, time)?;
                if offset >= from {
                    records.push(record);
                }
            }
        }
        offset = end;
    }
    Ok(records)
}

fn damaged() -> Fault {
    Fault::Backend(rejected("a block of the log is damaged"))
}

struct Reader {
    body: Bytes,
    at: usize,
}

impl Reader {
    fn record(&mut self, offset: u64, time: i64) -> Result<LoggedRecord, Fault> {
        let index = self.number()?;
        let key = self.string()?;
        let value = self.bytes()?;
        let headers = self.number()?;
        let headers = (0..headers)
            .map(|_| Ok((self.string()?, self.bytes()?)))
            .collect::<Result<_, Fault>>()?;
        Ok(LoggedRecord {
            offset,
            timestamp: Timestamp::from_micros(time.saturating_add(i64::try_from(index).map_err(|_| damaged())?)),
            key,
            value,
            headers,
        })
    }

    fn number(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.body.get(self.at).ok_or_else(damaged)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged())
    }

    fn bytes(&mut self) -> Result<Bytes, Fault> {
        let length = usize::try_from(self.number()?).map_err(|_| damaged())?;
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.body.len())
            .ok_or_else(damaged)?;
        let bytes = self.body.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }

    fn string(&mut self) -> Result<String, Fault> {
        let bytes = self.bytes()?;
        std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| damaged())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        (
            ".{0,12}",
            prop::collection::vec(any::<u8>(), 0..400),
            prop::collection::vec((".{0,6}", prop::collection::vec(any::<u8>(), 0..20)), 0..3),
        )
            .prop_map(|(key, value, headers)| Record {
                key,
                value: value.into(),
                headers: headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
            })
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(records in prop::collection::vec(record(), 1..40), skip in 0u64..50) {
            let mut block = Vec::new();
            let time = Timestamp::from_secs(7);
            let made = segments(records.clone(), |_| 0);
            made.iter().for_each(|segment| segment.write(time, &mut block));
            prop_assert_eq!(block.len(), made.iter().map(Segment::stored_bytes).sum::<usize>());
            let read = decode(&block, 10, 10 + skip).unwrap();
            prop_assert_eq!(read.len(), records.len().saturating_sub(skip as usize));
            for (read, (index, record)) in read.iter().zip((0u64..).zip(&records).skip(skip as usize)) {
                prop_assert_eq!(read.offset, 10 + index);
                prop_assert_eq!(read.timestamp.as_micros(), 7_000_000 + index.cast_signed());
                prop_assert_eq!((&read.key, &read.value, &read.headers), (&record.key, &record.value, &record.headers));
            }
        }

        #[test]
        fn damage_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            // Any bytes: an error or records, never a panic and never an absurd allocation.
            drop(decode(&bytes, 0, 0));
        }

        #[test]
        fn a_cut_block_does_not_read(records in prop::collection::vec(record(), 1..10), cut in 1usize..100) {
            let mut block = Vec::new();
            segments(records, |_| 0).iter().for_each(|segment| segment.write(Timestamp::EPOCH, &mut block));
            block.truncate(block.len().saturating_sub(cut).max(1));
            prop_assert!(decode(&block, 0, 0).is_err());
        }
    }
}
