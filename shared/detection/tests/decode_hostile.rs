//! Whatever comes in, decoding ends, says something, and never panics; and what ingest must refuse is refused.

use proptest::prelude::*;
use threatstream_detection::decode::{Format, MAX_DEPTH, check_native, decode, vendor_id};
use threatstream_domain::Timestamp;

const SAMPLES: &[&str] = &[
    "<34>1 2026-11-22T09:00:00Z web sshd 7 ID1 [a@1 b=\"c\"] Failed password for invalid user é from 203.0.113.7 port 22 ssh2",
    "Mar 27 16:16:42 web sudo:  bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/h ; USER=root ; COMMAND=/bin/ls",
    "Mar 27 16:16:42 web sshd[1]: message repeated 3 times: [ Connection closed by invalid user x 203.0.113.7 port 22 [preauth]]",
    "Mar 27 16:16:42 web sshd(pam_unix)[1]: authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=h  user=root",
    "Mar 27 16:16:42 web useradd[1]: new user: name=x, UID=1, GID=1, home=/h, shell=/bin/sh",
    "h.example:80 203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] \"GET /%c3%28?q=%2 HTTP/1.1\" 200 1 \"-\" \"x\\\"y\" \"z\"",
    "[Fri Oct 08 17:08:41.203277 2021] [core:error] [pid 7005:tid 1] [client [2001:db8::1]:14532] AH1: in request GET /x HTTP/1.1",
    "2016/10/25 14:49:34 [error] 1#0: *1 x, client: 203.0.113.7, server: s, request: \"GET /x HTTP/1.1\", host: \"h\"",
    "{\"eventVersion\":\"1\",\"eventSource\":\"s\",\"eventName\":\"n\",\"eventID\":\"i\",\"userIdentity\":{\"type\":\"Root\"}}",
    "{\"protoPayload\":{\"methodName\":\"m\",\"authorizationInfo\":[{\"granted\":true}]},\"logName\":\"a%2Fb\",\"timestamp\":\"t\",\"insertId\":\"i\"}",
    "{\"event_type\":\"t\",\"event_id\":\"\\u0065\",\"payload\":{\"n\":-1e40,\"s\":\"\\ud83d\\ude00\"}}",
];

fn try_everything(line: &str) {
    let now = Timestamp::from_secs(1_795_338_000);
    for format in Format::ALL {
        let event = decode(line, *format, now);
        assert_eq!(event.raw, line);
        assert!(!event.format.is_empty());
    }
    let _ = check_native(line);
    let _ = vendor_id(line);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_is_decoded(line in any::<String>()) {
        try_everything(&line);
    }

    #[test]
    fn cut_and_spliced_lines_are_decoded(
        sample in 0..SAMPLES.len(), other in 0..SAMPLES.len(), cut in any::<prop::sample::Index>(), splice in any::<prop::sample::Index>(),
        between in "[ \"'\\[\\]{}:;=%\\\\é🦀0-9a-z/.,()<>-]{0,12}",
    ) {
        let head: String = SAMPLES[sample].chars().take(cut.index(SAMPLES[sample].chars().count() + 1)).collect();
        let tail: String = SAMPLES[other].chars().skip(splice.index(SAMPLES[other].chars().count() + 1)).collect();
        try_everything(&head);
        try_everything(&format!("{head}{between}{tail}"));
    }

    #[test]
    fn the_id_at_ingest_is_the_id_of_the_event(sample in 8..SAMPLES.len()) {
        let event = decode(SAMPLES[sample], Format::Auto, Timestamp::EPOCH);
        prop_assert_eq!(vendor_id(SAMPLES[sample]), event.vendor_id);
    }
}

#[test]
fn nesting_is_refused_without_a_deep_stack() {
    for opening in ["[", "{\"a\":", "{\"payload\":["] {
        let line = opening.repeat(100_000);
        try_everything(&line);
        assert!(check_native(&line).unwrap_err()[0].message.contains("64 levels"));
    }
    let deepest = format!(
        "{{\"payload\":{}{}}}",
        "{\"a\":".repeat(MAX_DEPTH - 2) + "{\"a\":1}",
        "}".repeat(MAX_DEPTH - 2)
    );
    assert_eq!(check_native(&deepest), Ok(()));
    assert_eq!(decode(&deepest, Format::Auto, Timestamp::EPOCH).format, "native");
}

fn refused(line: &str) -> Vec<String> {
    check_native(line).map_or_else(
        |errors| errors.into_iter().map(|error| error.field).collect(),
        |()| Vec::new(),
    )
}

#[test]
fn each_wrong_field_of_a_native_event_is_named() {
    let long = format!(r#"{{"event_type":"x","event_id":"{}"}}"#, "e".repeat(10 << 20));
    let cases = [
        (
            r#"{"event_type":"x","destination_port":99999999}"#,
            vec!["destination_port"],
        ),
        (
            r#"{"event_type":"x","destination_port":"22"}"#,
            vec!["destination_port"],
        ),
        (r#"{"event_type":"x","destination_port":-1}"#, vec!["destination_port"]),
        (
            r#"{"event_type":"x","timestamp":"99999-01-01T00:00:00Z"}"#,
            vec!["timestamp"],
        ),
        (r#"{"timestamp":"yesterday"}"#, vec!["timestamp"]),
        (
            r#"{"source_ip":"300.1.1.1","destination_ip":7}"#,
            vec!["source_ip", "destination_ip"],
        ),
        (r#"{"event_type":"x","event_id":"a\u0007b"}"#, vec!["event_id"]),
        (
            r#"{"event_type":7,"protocol":[],"payload":[],"metadata":"x"}"#,
            vec!["event_type", "protocol", "payload", "metadata"],
        ),
        (long.as_str(), vec!["event_id"]),
        ("{}", vec!["event_type"]),
        (
            r#"{"event_id":"a","timestamp":"2026-11-22T09:00:00Z","metadata":{"a":1},"payload":{}}"#,
            vec!["event_type"],
        ),
        (r#"{"event_type":"x""#, vec![""]),
        ("[]", vec![""]),
        ("7", vec![""]),
    ];
    for (line, fields) in cases {
        assert_eq!(refused(line), fields, "{line:.100}");
    }
}

#[test]
fn native_and_vendors_events_are_let_in() {
    for line in [
        r#"{"event_type":"login"}"#,
        r#"{"source_ip":"203.0.113.7"}"#,
        r#"{"event_id":null,"timestamp":null,"payload":{"a":1},"destination_port":0,"extra":[1]}"#,
        r#"{"timestamp":"2022-07-12T06:22:33.415742+0000","flow_id":1,"event_type":"alert","src_ip":"999","dest_ip":"x"}"#,
        r#"{"eventVersion":"1","eventSource":"s","eventName":"n","source_ip":7}"#,
        r#"{"anything":"goes"}"#,
    ] {
        assert_eq!(check_native(line), Ok(()), "{line}");
    }
}

#[test]
fn vendors_ids_are_taken_from_the_top_level_alone() {
    let id = |line| vendor_id(line).map(std::borrow::Cow::into_owned);
    assert_eq!(
        id(r#"{"a":{"event_id":"no"},"event_id":"yes"}"#).as_deref(),
        Some("yes")
    );
    assert_eq!(
        id(r#"{"a":{"event_id":"no"},"b":["event_id","no"],"c":"\"event_id\":\"no\""}"#),
        None
    );
    assert_eq!(
        id(r#"{"eventSource":"s","eventName":"n","eventID":"cloud","event_id":"x"}"#).as_deref(),
        Some("cloud")
    );
    let entry = r#"{"logName":"projects/p/logs/l","timestamp":"2026-11-22T09:00:00Z","insertId":"i"}"#;
    assert_eq!(id(entry).as_deref(), Some("projects/p/logs/l/2026-11-22T09:00:00Z/i"));
    assert_eq!(id(r#"{"event_id":7}"#), None);
    assert_eq!(id(r#"{"event_id":"a\u0000b"}"#), None);
    assert_eq!(id("Mar 27 16:16:42 web sshd[1]: \"event_id\""), None);
    assert_eq!(id(r#"{"event_id"#), None);
}
