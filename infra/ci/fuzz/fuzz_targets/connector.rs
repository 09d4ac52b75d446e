//! Any bytes as what a connector posts to the analyzer: every one of them comes out again as a record, as a value, or with the
//! reason why it is neither; reading never fails but for too many.
#![no_main]

use libfuzzer_sys::fuzz_target;
use threatstream_analyzer::push::{MAX_RECORDS, Pushed, read};

fuzz_target!(|body: &[u8]| {
    let Ok(pushed) = read(body) else {
        assert!(body.len() > MAX_RECORDS, "too few bytes to be too many records");
        return;
    };
    assert!(pushed.len() <= MAX_RECORDS);
    let bytes: usize = pushed
        .iter()
        .map(|pushed| match pushed {
            Pushed::Record(record) => record.value.len() + record.key.len(),
            Pushed::Bare(value) => {
                assert!(!value.trim_ascii().is_empty(), "an empty value is no event");
                value.len()
            }
            Pushed::Unreadable(bytes, reason) => {
                assert!(!reason.is_empty());
                bytes.len()
            }
        })
        .sum();
    // A byte that is no UTF-8 becomes a character of three bytes; nothing else makes more of it.
    assert!(bytes <= body.len() * 3, "{bytes} bytes out of {}", body.len());
    assert_eq!(read(body).ok(), Some(pushed), "the same bytes are read the same");
});
