//! What clients ask for.

use serde_json::{Map, Value};
use threatstream_domain::Severity;

use crate::filter::{NAMES, Topics};
use crate::message::Refusal;

/// A client's frame, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Handshake(Option<Resume>),
    State,
    Subscribe {
        topics: Option<Topics>,
        min_severity: Option<Severity>,
    },
    Unsubscribe {
        topics: Option<Topics>,
    },
    Ping,
}

/// Where a client was cut. Both are what some relay told it, or nonsense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resume {
    pub(crate) epoch: String,
    pub(crate) seq: String,
}

const TYPES: &str = "handshake, request_state, subscribe, unsubscribe, ping";

impl Request {
    /// Reads a frame.
    ///
    /// # Errors
    /// What is wrong with it, by field.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| Refusal::new("frame", format!("not JSON: {error}")))?;
        let Value::Object(frame) = value else {
            return Err(Refusal::new("frame", "expected a JSON object"));
        };
        match frame.get("type") {
            None => Err(Refusal::new("type", format!("is missing; expected one of {TYPES}"))),
            Some(Value::String(kind)) => match kind.as_str() {
                "handshake" => resume(&frame).map(Self::Handshake),
                "request_state" => Ok(Self::State),
                "subscribe" => subscribe(&frame),
                "unsubscribe" => Ok(Self::Unsubscribe {
                    topics: topics(&frame)?,
                }),
                "ping" => Ok(Self::Ping),
                _ => Err(Refusal::new("type", format!("is unknown; expected one of {TYPES}"))),
            },
            Some(_) => Err(Refusal::new("type", format!("expected a string, one of {TYPES}"))),
        }
    }
}

fn resume(frame: &Map<String, Value>) -> Result<Option<Resume>, Refusal> {
    let resume = match frame.get("resume") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(resume)) => resume,
        Some(_) => return Err(Refusal::new("resume", "expected an object with epoch and seq")),
    };
    let text = |name: &str| match resume.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        // A client that has no place yet, or keeps it as a number, is no reason to refuse it: it is told to start anew.
        Some(Value::Null | Value::Number(_)) => Ok(String::new()),
        Some(_) => Err(Refusal::new(
            format!("resume.{name}"),
            "expected the string that a frame gave",
        )),
        None => Err(Refusal::new(format!("resume.{name}"), "is missing")),
    };
    Ok(Some(Resume {
        epoch: text("epoch")?,
        seq: text("seq")?,
    }))
}

fn subscribe(frame: &Map<String, Value>) -> Result<Request, Refusal> {
    let min_severity = match frame.get("min_severity") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => {
            let severity = text
                .parse()
                .map_err(|unknown| Refusal::new("min_severity", format!("{unknown}")))?;
            Some(severity)
        }
        Some(_) => {
            return Err(Refusal::new(
                "min_severity",
                format!("expected one of {}", Severity::NAMES.join(", ")),
            ));
        }
    };
    let topics = topics(frame)?;
    if topics.is_none() && min_severity.is_none() {
        return Err(Refusal::new(
            "topics",
            format!("is missing; expected a list of {}", allowed()),
        ));
    }
    Ok(Request::Subscribe { topics, min_severity })
}

fn topics(frame: &Map<String, Value>) -> Result<Option<Topics>, Refusal> {
    let names = match frame.get("topics") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(names)) => names,
        Some(_) => return Err(Refusal::new("topics", format!("expected a list of {}", allowed()))),
    };
    let mut topics = Topics::NONE;
    for (index, name) in names.iter().enumerate() {
        let named = name.as_str().and_then(Topics::named);
        let named = named.ok_or_else(|| {
            Refusal::new(
                format!("topics[{index}]"),
                format!("is unknown; expected one of {}", allowed()),
            )
        })?;
        topics = topics.with(named);
    }
    Ok(Some(topics))
}

fn allowed() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_clients_may_say() {
        for (text, expected) in [
            (r#"{"type":"ping","extra":1}"#, Request::Ping),
            (r#"{"type":"request_state"}"#, Request::State),
            (r#"{"type":"handshake"}"#, Request::Handshake(None)),
            (
                r#"{"type":"handshake","epoch":{"any":[1]},"resume":null}"#,
                Request::Handshake(None),
            ),
            (
                r#"{"type":"handshake","epoch":1,"resume":{"epoch":"e","seq":"s"}}"#,
                Request::Handshake(Some(Resume {
                    epoch: "e".into(),
                    seq: "s".into(),
                })),
            ),
            (
                r#"{"type":"handshake","resume":{"epoch":"e","seq":17}}"#,
                Request::Handshake(Some(Resume {
                    epoch: "e".into(),
                    seq: String::new(),
                })),
            ),
            (
                r#"{"type":"subscribe","topics":["threats"],"min_severity":"HIGH"}"#,
                Request::Subscribe {
                    topics: Topics::named("threats"),
                    min_severity: Some(Severity::High),
                },
            ),
            (r#"{"type":"unsubscribe"}"#, Request::Unsubscribe { topics: None }),
        ] {
            assert_eq!(Request::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let deep = format!(
            "{{\"type\":\"ping\",\"x\":{}1{}}}",
            "[".repeat(20_000),
            "]".repeat(20_000)
        );
        for (text, field, part) in [
            ("", "frame", "not JSON"),
            ("{", "frame", "not JSON"),
            (&deep, "frame", "not JSON"),
            ("[]", "frame", "object"),
            ("{}", "type", "missing"),
            (r#"{"type":7}"#, "type", "handshake"),
            (r#"{"type":"PING"}"#, "type", "handshake"),
            (r#"{"type":"handshake","resume":7}"#, "resume", "object"),
            (
                r#"{"type":"handshake","resume":{"epoch":"e"}}"#,
                "resume.seq",
                "missing",
            ),
            (
                r#"{"type":"handshake","resume":{"epoch":[],"seq":""}}"#,
                "resume.epoch",
                "string",
            ),
            (r#"{"type":"subscribe"}"#, "topics", "threats"),
            (r#"{"type":"subscribe","topics":"threats"}"#, "topics", "list"),
            (
                r#"{"type":"subscribe","topics":["threats","cats"]}"#,
                "topics[1]",
                "simulation",
            ),
            (
                r#"{"type":"subscribe","topics":[["threats"]]}"#,
                "topics[0]",
                "simulation",
            ),
            (
                r#"{"type":"subscribe","min_severity":"high"}"#,
                "min_severity",
                "CRITICAL",
            ),
            (r#"{"type":"subscribe","min_severity":3}"#, "min_severity", "CRITICAL"),
            (r#"{"type":"unsubscribe","topics":[1]}"#, "topics[0]", "threats"),
        ] {
            let refusal = Request::parse(text).unwrap_err();
            assert_eq!(refusal.field, field, "{text:.80}");
            assert!(refusal.message.contains(part), "{text:.80}: {}", refusal.message);
            assert!(refusal.message.len() < 400);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = Request::parse(&text);
        }
    }
}
