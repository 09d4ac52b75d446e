//! Any bytes as one log line: every decoder, and what ingest asks before it takes an event.
#![no_main]

use libfuzzer_sys::fuzz_target;
use threatstream_detection::decode::{Format, check_native, decode, vendor_id};
use threatstream_domain::Timestamp;

fuzz_target!(|data: &[u8]| {
    let line = String::from_utf8_lossy(data);
    let received_at = Timestamp::from_secs(1_795_338_000);
    for format in Format::ALL {
        let event = decode(&line, *format, received_at);
        assert_eq!(event.raw, line, "{format} changes the line");
        assert!(
            *format == Format::Auto || [format.as_str(), "text"].contains(&event.format),
            "{format} calls a line {}",
            event.format
        );
        // What a rule would ask of any event.
        for name in ["source.ip", "user.name", "payload.user", "a.b.c", ""] {
            let _ = event.field(name).map(|value| (value.text(), value.number()));
        }
    }
    let accepted = check_native(&line);
    if let Err(errors) = &accepted {
        assert!(!errors.is_empty(), "an event is refused without a reason");
    }
    let id = vendor_id(&line);
    if let Some(id) = &id {
        assert!(
            (1..=512).contains(&id.len()) && !id.chars().any(char::is_control),
            "{id:?} is no id"
        );
    }
});
