//! JSON read into borrowed values, no deeper than a rule could ever look.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::reader;
use crate::{Fields, Value};

/// How many levels of lists and objects a document may nest.
pub const MAX_DEPTH: usize = 64;

/// Whether lists and objects nest deeper than [`MAX_DEPTH`]: a scan without recursion, for text that need not be JSON.
pub(super) fn too_deep(raw: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The object that is the whole of this text.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn object(raw: &str) -> Result<Fields<'_>, serde_json::Error> {
    match reader::object(raw) {
        Some(fields) => Ok(fields),
        None => judged(raw),
    }
}

/// As [`object`], by the reader that says what is wrong.
fn judged(raw: &str) -> Result<Fields<'_>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(raw);
    let value = Level(MAX_DEPTH).deserialize(&mut json)?;
    json.end()?;
    match value {
        Value::Map(fields) => Ok(fields),
        _ => Err(Error::custom("expected an object")),
    }
}

/// Whether this may be a JSON object, by its first byte.
pub(super) fn looks_like_object(raw: &str) -> bool {
    raw.trim_ascii_start().starts_with('{')
}

/// One value, with as many levels left as the number says.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.0.checked_sub(1) {
            Some(left) => Ok(Self(left)),
            None => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "beyond i64 a magnitude is all that a rule compares"
        )]
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::str(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::Str(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let level = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(level)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let level = self.deeper()?;
        let mut fields = Fields::default();
        while let Some(Name(name)) = map.next_key()? {
            fields.push(name, map.next_value_seed(level)?);
        }
        Ok(Value::Map(fields))
    }
}

/// A field's name, borrowed when nothing in it is escaped.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_unescaping_is_borrowed() {
        let fields =
            object(r#"{"a":"plain","b":"a\nb","c":[1,-2,3.5,18446744073709551615],"d":{"e":null,"f":true}}"#).unwrap();
        assert!(matches!(fields.get("a"), Some(Value::Str(Cow::Borrowed("plain")))));
        assert!(matches!(fields.get("b"), Some(Value::Str(Cow::Owned(text))) if text == "a\nb"));
        assert_eq!(fields.path("d.f"), Some(&Value::Bool(true)));
        let Some(Value::List(numbers)) = fields.get("c") else {
            panic!("a list")
        };
        assert_eq!(numbers[1], Value::Int(-2));
        assert_eq!(numbers[3], Value::Float(18_446_744_073_709_551_615.0));
    }

    fn same(raw: &str) {
        let (quick, judged) = (reader::object(raw), judged(raw));
        match (quick, judged) {
            (Some(quick), Ok(judged)) => assert_eq!(quick, judged, "{raw}"),
            (Some(_), Err(error)) => panic!("taken, though {error}: {raw}"),
            (None, _) => {}
        }
    }

    #[test]
    fn both_readers_agree_on_what_json_is() {
        for value in [
            "0",
            "-0",
            "-1",
            "01",
            "1.",
            ".5",
            "1.5",
            "-2.25",
            "1e3",
            "1E-2",
            "1e999",
            "1e",
            "+1",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "true",
            "tru",
            "null",
            "nulll",
            "[]",
            "[1,]",
            "[1 , 2]",
            "{}",
            "{\"a\":1,}",
            "\"\"",
            "\"a\\\"b\"",
            "\"\\x\"",
            "\"\\u00e9\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\ud83dxx\"",
            "\"\\ud83d\\u0041\"",
            "\"\\u12\"",
            "\"\u{1}\"",
            "\"\u{7f}é日\"",
            "\"tab\there\"",
            "\"1234567\\n90\"",
            "\"12345678\\t\\r\\b\\f\\/9\"",
        ] {
            for raw in [
                format!("{{\"a\":{value}}}"),
                format!(" {{ \"a\" : {value} ,\n\t\"b\":[{value}] }} "),
                format!("{{\"a\":{value}}}x"),
                value.to_owned(),
            ] {
                same(&raw);
            }
            let read = format!("{{\"a\":{value}}}");
            assert_eq!(reader::object(&read).is_some(), judged(&read).is_ok(), "{read}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..proptest::prelude::ProptestConfig::with_cases(4_000) })]

        #[test]
        fn both_readers_agree_on_any_text(pieces in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\"a\":", "\\", "\\u00", "\\ud83d", "\\ude00", "\\n", "e9", "1", "-", "0", ".", "e", "true",
            "null", " ", "\n", "\u{1}", "é", "abcdefgh", "\"long enough for eight\"",
        ]), 0..24)) {
            let text = pieces.concat();
            same(&text);
            same(&format!("{{\"a\":{text}}}"));
            same(&format!("{{\"a\":\"{text}\"}}"));
        }
    }

    #[test]
    fn nesting_stops_at_its_limit_whatever_the_depth() {
        let nested = |levels: usize| format!("{}{}", "{\"a\":".repeat(levels - 1) + "{}", "}".repeat(levels - 1));
        assert!(!too_deep(&nested(MAX_DEPTH)));
        assert!(object(&nested(MAX_DEPTH)).is_ok());
        assert!(too_deep(&nested(MAX_DEPTH + 1)));
        assert!(object(&nested(MAX_DEPTH + 1)).is_err());
        assert!(too_deep(&"[".repeat(100_000)));
        assert!(object(&nested(100_000)).is_err());
        assert!(!too_deep(&format!(r#"{{"a":"{}"}}"#, "[{\\\"".repeat(1000))));
    }
}
