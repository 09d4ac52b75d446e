use base64::engine::general_purpose::{STANDARD as PADDED, STANDARD_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const LINE: &str = "Mar 27 13:08:09 host sshd[1]: Failed password for root from 203.0.113.7 port 4022 ssh2";

fn of(body: &Value) -> Vec<Pushed> {
    read(body.to_string().as_bytes()).expect("few records")
}

fn bare(text: &str) -> Pushed {
    Pushed::Bare(Bytes::copy_from_slice(text.as_bytes()))
}

fn record(value: &[u8]) -> Pushed {
    Pushed::Record(PushedRecord {
        topic: Some("security.raw.logs".to_owned()),
        partition: 2,
        offset: 17,
        timestamp: Some(Timestamp::from_millis(1_795_338_000_123)),
        key: "k".to_owned(),
        value: Bytes::copy_from_slice(value),
    })
}

fn wire(value: &Value) -> Value {
    json!({"key": "k", "value": value, "topic": "security.raw.logs", "partition": 2, "offset": 17, "timestamp": 1_795_338_000_123_i64})
}

fn enveloped() -> Vec<u8> {
    Envelope {
        event_id: "e1".into(),
        format: "auto".into(),
        received_at: Timestamp::EPOCH,
        sender: "local".into(),
        raw: LINE.into(),
    }
    .to_bytes()
}

#[test]
fn records_in_every_form_of_a_connector() {
    let envelope = enveloped();
    let text = String::from_utf8(envelope.clone()).expect("text");
    let object: Value = serde_json::from_slice(&envelope).expect("JSON");
    for value in [
        json!(text),
        json!(PADDED.encode(&envelope)),
        json!(STANDARD_NO_PAD.encode(&envelope)),
    ] {
        assert_eq!(of(&json!([wire(&value)])), [record(&envelope)], "{value}");
        assert_eq!(of(&wire(&value)), [record(&envelope)], "one object alone");
    }
    // As an object it may be spelled in another order, and is the same envelope.
    let [Pushed::Record(read)] = &of(&wire(&object))[..] else {
        panic!("a record")
    };
    assert_eq!(Envelope::from_bytes(&read.value), Envelope::from_bytes(&envelope));
    // Text that is base64 of something else is text.
    assert_eq!(of(&wire(&json!("ZWNobw=="))), [record(b"ZWNobw==")]);
    assert_eq!(of(&wire(&json!(LINE))), [record(LINE.as_bytes())]);
    assert_eq!(of(&wire(&Value::Null)), [record(b"")]);
}

#[test]
fn bare_values_in_every_form() {
    let event = json!({"event_type": "login", "value": 5});
    assert_eq!(
        of(&json!([LINE, event, 7])),
        [bare(LINE), bare(&event.to_string()), bare("7")]
    );
    assert_eq!(of(&json!(LINE)), [bare(LINE)]);
    assert_eq!(of(&event), [bare(&event.to_string())]);
    assert_eq!(read(LINE.as_bytes()), Ok(vec![bare(LINE)]));
    assert_eq!(read(b"[13:08:09] su: root"), Ok(vec![bare("[13:08:09] su: root")]));
    let envelope = enveloped();
    assert_eq!(
        of(&json!([PADDED.encode(&envelope)])),
        [Pushed::Bare(Bytes::from(envelope))]
    );
    // A record without its place is its value.
    assert_eq!(of(&json!({"topic": "t", "value": "x"})), [bare("x")]);
    // An object with a value and nothing of a record is an event.
    assert_eq!(of(&json!({"value": "x"})), [bare(r#"{"value":"x"}"#)]);
}

#[test]
fn what_cannot_be_read_is_handed_on_with_its_reason() {
    for body in [r#"[{"a":1"#, r#"{"a":"#, r#"["a",]"#, "[null]", r#"[""]"#] {
        let pushed = read(body.as_bytes()).expect("few records");
        assert!(matches!(&pushed[..], [Pushed::Unreadable(..)]), "{body}: {pushed:?}");
    }
    for (partition, offset) in [
        (json!(-1), json!(0)),
        (json!(0), json!(-1)),
        (json!("a"), json!(0)),
        (json!(0.5), json!(0)),
    ] {
        let body = json!({"topic": "t", "partition": partition, "offset": offset, "value": "x"});
        assert!(matches!(&of(&body)[..], [Pushed::Unreadable(..)]), "{body}");
    }
    assert_eq!(read(b" \n"), Ok(Vec::new()));
    let many = format!("[{}1]", "1,".repeat(MAX_RECORDS));
    assert_eq!(read(many.as_bytes()), Err(TooMany));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(Value::from(PADDED.encode(enveloped()))),
    ];
    leaf.prop_recursive(3, 32, 6, |inner| {
        let names = prop::sample::select(vec![
            "key",
            "value",
            "topic",
            "partition",
            "offset",
            "timestamp",
            "headers",
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(names.prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_none_are_lost(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let pushed = read(&body).expect("few records");
        prop_assert_eq!(pushed.is_empty(), body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body).trim_ascii().is_empty() || body.trim_ascii() == b"[]");
    }

    #[test]
    fn every_element_of_a_list_is_one_of_what_was_pushed(list in prop::collection::vec(any_json(), 1..12)) {
        let pushed = of(&Value::from(list.clone()));
        prop_assert_eq!(pushed.len(), list.len());
        for (pushed, value) in pushed.iter().zip(&list) {
            match pushed {
                Pushed::Bare(bytes) => prop_assert!(!bytes.trim_ascii().is_empty()),
                Pushed::Record(record) => {
                    prop_assert_eq!(value["partition"].as_u64(), Some(u64::from(record.partition)));
                    prop_assert_eq!(value["offset"].as_u64(), Some(record.offset));
                }
                Pushed::Unreadable(bytes, reason) => {
                    let kept: Option<Value> = serde_json::from_slice(bytes).ok();
                    prop_assert_eq!(kept.as_ref(), Some(value));
                    prop_assert!(!reason.is_empty());
                }
            }
        }
    }
}
