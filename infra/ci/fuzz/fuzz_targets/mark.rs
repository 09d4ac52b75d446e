//! Any text as a simulation mark: only what the key made is accepted, and for its event alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use threatstream_domain::{ForgedMark, MarkKey};

// A line for the mark or the simulation's id; what follows is the event.
fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (first, raw) = text.split_once('\n').unwrap_or((&text, ""));
    let key = MarkKey::new("key");
    assert_eq!(
        key.verify(first, raw),
        Err(ForgedMark),
        "a mark is accepted that nobody made"
    );

    let mark = key.mark(first, data.len() as u64, raw);
    assert_eq!(key.verify(&mark, raw), Ok(first));
    assert_eq!(key.verify(&mark, &format!("{raw}.")), Err(ForgedMark));
    assert_eq!(key.verify(&format!(".{mark}"), raw), Err(ForgedMark));
    assert_eq!(MarkKey::new("other").verify(&mark, raw), Err(ForgedMark));
    for cut in (0..mark.len()).filter(|cut| mark.is_char_boundary(*cut)) {
        assert_eq!(key.verify(&mark[..cut], raw), Err(ForgedMark));
    }
});
