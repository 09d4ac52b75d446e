//! Any text as a playbook: it is read, or refused by the field.
#![no_main]

use libfuzzer_sys::fuzz_target;
use threatstream_responder::{Playbook, PlaybookError};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match Playbook::parse(&text) {
        Err(PlaybookError::Field { field, message }) => assert!(!field.is_empty() && !message.is_empty()),
        Err(PlaybookError::Yaml(message)) => assert!(!message.contains('\n')),
        Ok(playbook) => {
            let json = serde_json::to_value(&playbook).expect("a playbook is written as JSON");
            let read: Playbook = serde_json::from_value(json).expect("a playbook is read from JSON");
            assert_eq!(read, playbook);
        }
    }
});
