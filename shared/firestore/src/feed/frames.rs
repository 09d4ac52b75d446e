//! Frames as the feed's documents hold them.

use threatstream_backend::BackendError;
use threatstream_domain::Frame;

use crate::error::{damaged, rejected};

/// Frames longer than this as JSON are kept compressed; the first byte tells: `[` begins JSON.
const MIN_COMPRESSED: usize = 512;

/// What one document may hold: it is at most 1 MiB with its other fields.
const MAX_PACKED: usize = 900 * 1024;

/// Frames for one document each, in order; none for no frames.
pub(super) fn pack(frames: &[Frame]) -> Result<Vec<Vec<u8>>, BackendError> {
    let mut parts = Vec::new();
    pack_into(frames, &mut parts)?;
    Ok(parts)
}

fn pack_into(frames: &[Frame], parts: &mut Vec<Vec<u8>>) -> Result<(), BackendError> {
    if frames.is_empty() {
        return Ok(());
    }
    let mut packed = serde_json::to_vec(frames).map_err(|error| damaged(&error))?;
    if packed.len() >= MIN_COMPRESSED {
        let compressed = lz4_flex::compress_prepend_size(&packed);
        packed.clear();
        packed.push(0);
        packed.extend_from_slice(&compressed);
    }
    if packed.len() <= MAX_PACKED {
        parts.push(packed);
        return Ok(());
    }
    if frames.len() == 1 {
        return Err(rejected("a frame is too large for the feed"));
    }
    let (first, second) = frames.split_at(frames.len() / 2);
    pack_into(first, parts)?;
    pack_into(second, parts)
}

/// The frames of a document.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<Frame>, BackendError> {
    let read = |json: &[u8]| serde_json::from_slice(json).map_err(|error| damaged(&error));
    match packed {
        [0, packed @ ..] => {
            let json = lz4_flex::decompress_size_prepended(packed);
            read(&json.map_err(|_| rejected("a record of the feed is damaged"))?)
        }
        json => read(json),
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use threatstream_domain::FrameKind;

    use super::*;

    fn frame(data: &str) -> Frame {
        Frame::new(FrameKind::NewThreat, None, &data).unwrap()
    }

    fn noise(bytes: usize) -> String {
        let mut random = rand::rng();
        (0..bytes)
            .map(|_| char::from(random.random_range(b'0'..=b'z')))
            .collect()
    }

    #[test]
    fn frames_come_back_in_order_however_large() {
        assert!(pack(&[]).unwrap().is_empty());
        for length in [1, 600, 200_000] {
            let frames: Vec<Frame> = (0..9).map(|_| frame(&noise(length))).collect();
            let parts = pack(&frames).unwrap();
            assert!(parts.iter().all(|part| part.len() <= MAX_PACKED));
            let read: Vec<Frame> = parts.iter().flat_map(|part| unpack(part).unwrap()).collect();
            let data = |frames: &[Frame]| {
                frames
                    .iter()
                    .map(|frame| frame.data.get().to_owned())
                    .collect::<Vec<_>>()
            };
            assert_eq!(data(&read), data(&frames));
        }
    }

    #[test]
    fn what_never_fits_is_refused() {
        assert!(pack(&[frame(&noise(2 << 20))]).is_err());
    }
}
