//! Documents: their names, their fields written and read, and the writes made of them.

use std::collections::HashMap;

use firestore::gcloud_sdk::google::firestore::v1::document_transform::FieldTransform;
use firestore::gcloud_sdk::google::firestore::v1::document_transform::field_transform::{ServerValue, TransformType};
use firestore::gcloud_sdk::google::firestore::v1::precondition::ConditionType;
use firestore::gcloud_sdk::google::firestore::v1::value::ValueType;
use firestore::gcloud_sdk::google::firestore::v1::write::Operation;
use firestore::gcloud_sdk::google::firestore::v1::{ArrayValue, Document, DocumentMask, Precondition, Value, Write};
use firestore::gcloud_sdk::prost_types;
use serde::Serialize;
use serde::de::DeserializeOwned;
use threatstream_backend::BackendError;
use threatstream_domain::{Timestamp, derived_id};

use crate::error::{damaged, rejected};

/// When a document was written last, as preconditions compare it.
pub(crate) type UpdateTime = prost_types::Timestamp;

/// Document names are longer than this only when somebody tries something.
const MAX_ID_BYTES: usize = 480;

/// A text as the id of a document: what Firestore does not take (`/`, `.` and `__` at the front, nothing at all) is
/// percent-encoded, and what is too long is hashed, so that any text names exactly one document.
pub(crate) fn document_id(text: &str) -> String {
    if text.len() > MAX_ID_BYTES {
        return derived_id("%long", &[text]);
    }
    if text.is_empty() {
        return "%".to_owned();
    }
    let mut id = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let special = match character {
            '/' | '%' => true,
            '.' => at == 0,
            '_' => at == 0 && text.starts_with("__"),
            _ => character.is_control(),
        };
        if special {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                id.push_str(&format!("%{byte:02X}"));
            }
        } else {
            id.push(character);
        }
    }
    id
}

/// A text value.
pub(crate) fn text(value: impl Into<String>) -> Value {
    of(ValueType::StringValue(value.into()))
}

/// An integer value.
pub(crate) fn int(value: i64) -> Value {
    of(ValueType::IntegerValue(value))
}

/// A boolean value.
pub(crate) fn boolean(value: bool) -> Value {
    of(ValueType::BooleanValue(value))
}

/// A floating-point value.
pub(crate) fn double(value: f64) -> Value {
    of(ValueType::DoubleValue(value))
}

/// A point in time, for fields that a TTL policy or the server's clock looks at.
pub(crate) fn time(value: Timestamp) -> Value {
    of(ValueType::TimestampValue(to_proto(value)))
}

/// A blob.
pub(crate) fn bytes(value: impl Into<Vec<u8>>) -> Value {
    of(ValueType::BytesValue(value.into()))
}

/// A list of values.
pub(crate) fn list(values: impl IntoIterator<Item = Value>) -> Value {
    of(ValueType::ArrayValue(ArrayValue {
        values: values.into_iter().collect(),
    }))
}

/// The absent value, which sorts before all others.
pub(crate) fn null() -> Value {
    of(ValueType::NullValue(0))
}

/// A reference to a document by its full name, as cursors compare `__name__` with.
pub(crate) fn reference(name: impl Into<String>) -> Value {
    of(ValueType::ReferenceValue(name.into()))
}

fn of(value: ValueType) -> Value {
    Value {
        value_type: Some(value),
    }
}

/// As Firestore has times.
pub(crate) fn to_proto(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or(0),
    }
}

/// As we have times.
pub(crate) fn from_proto(time: &prost_types::Timestamp) -> Timestamp {
    Timestamp::from_micros(
        time.seconds
            .saturating_mul(1_000_000)
            .saturating_add(i64::from(time.nanos) / 1000),
    )
}

/// Counters as Firestore has integers; they stay far below 2^63.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// As counters were before Firestore kept them.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Fields of a document to write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(HashMap<String, Value>);

impl Fields {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With this field.
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// With this text, or null.
    pub(crate) fn with_text(self, name: &str, value: Option<&str>) -> Self {
        self.with(name, value.map_or_else(null, text))
    }

    /// With this value as JSON in a blob: it comes back exactly, and costs no index entries.
    pub(crate) fn with_json(self, name: &str, value: &impl Serialize) -> Result<Self, BackendError> {
        let json = serde_json::to_vec(value).map_err(|error| damaged(&error))?;
        Ok(self.with(name, bytes(json)))
    }
}

/// Writes the whole document.
pub(crate) fn put(name: String, fields: Fields) -> Write {
    Write {
        operation: Some(Operation::Update(Document {
            name,
            fields: fields.0,
            create_time: None,
            update_time: None,
        })),
        ..Write::default()
    }
}

/// Writes these fields and leaves the others as they are; makes the document when there is none.
pub(crate) fn merge(name: String, fields: Fields) -> Write {
    let field_paths = fields.0.keys().cloned().collect();
    Write {
        update_mask: Some(DocumentMask { field_paths }),
        ..put(name, fields)
    }
}

/// Writes the document if there is none.
pub(crate) fn create(name: String, fields: Fields) -> Write {
    only_if_exists(put(name, fields), false)
}

/// Deletes the document, there or not.
pub(crate) fn delete(name: String) -> Write {
    Write {
        operation: Some(Operation::Delete(name)),
        ..Write::default()
    }
}

/// Only if the document is there, or is not.
pub(crate) fn only_if_exists(mut write: Write, exists: bool) -> Write {
    write.current_document = Some(Precondition {
        condition_type: Some(ConditionType::Exists(exists)),
    });
    write
}

/// Only if the document was last written then; `None`: only if it is not there.
pub(crate) fn only_if_at(mut write: Write, update_time: Option<UpdateTime>) -> Write {
    write.current_document = Some(Precondition {
        condition_type: Some(update_time.map_or(ConditionType::Exists(false), ConditionType::UpdateTime)),
    });
    write
}

/// And adds to a number, which begins at zero.
pub(crate) fn and_increment(mut write: Write, field: &str, by: Value) -> Write {
    write.update_transforms.push(FieldTransform {
        field_path: field.to_owned(),
        transform_type: Some(TransformType::Increment(by)),
    });
    write
}

/// And raises a number, which begins at nothing, to at least this.
pub(crate) fn and_maximum(mut write: Write, field: &str, least: Value) -> Write {
    write.update_transforms.push(FieldTransform {
        field_path: field.to_owned(),
        transform_type: Some(TransformType::Maximum(least)),
    });
    write
}

/// And sets a field to the server's time.
pub(crate) fn and_server_time(mut write: Write, field: &str) -> Write {
    write.update_transforms.push(FieldTransform {
        field_path: field.to_owned(),
        transform_type: Some(TransformType::SetToServerValue(ServerValue::RequestTime as i32)),
    });
    write
}

/// Reads fields of a document. A field that is missing or of another type is an error that names it.
pub(crate) trait ReadFields {
    /// The value, unless it is missing or null.
    fn value(&self, name: &str) -> Option<&ValueType>;
    /// What the document is called, for errors.
    fn title(&self) -> &str;

    fn text(&self, name: &str) -> Result<&str, BackendError> {
        match self.value(name) {
            Some(ValueType::StringValue(text)) => Ok(text),
            _ => Err(self.unreadable(name, "a text")),
        }
    }

    fn int(&self, name: &str) -> Result<i64, BackendError> {
        match self.value(name) {
            Some(ValueType::IntegerValue(value)) => Ok(*value),
            _ => Err(self.unreadable(name, "an integer")),
        }
    }

    /// An integer, zero when it was never counted.
    fn count(&self, name: &str) -> Result<i64, BackendError> {
        match self.value(name) {
            None => Ok(0),
            Some(_) => self.int(name),
        }
    }

    /// A number of either kind, zero when it was never counted.
    fn number(&self, name: &str) -> Result<f64, BackendError> {
        match self.value(name) {
            None => Ok(0.0),
            Some(ValueType::DoubleValue(value)) => Ok(*value),
            #[expect(clippy::cast_precision_loss, reason = "a sum that happened to be whole")]
            Some(ValueType::IntegerValue(value)) => Ok(*value as f64),
            _ => Err(self.unreadable(name, "a number")),
        }
    }

    fn time(&self, name: &str) -> Result<Timestamp, BackendError> {
        match self.value(name) {
            Some(ValueType::TimestampValue(time)) => Ok(from_proto(time)),
            _ => Err(self.unreadable(name, "a time")),
        }
    }

    fn bytes(&self, name: &str) -> Result<&[u8], BackendError> {
        match self.value(name) {
            Some(ValueType::BytesValue(bytes)) => Ok(bytes),
            _ => Err(self.unreadable(name, "a blob")),
        }
    }

    /// JSON in a blob.
    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, BackendError> {
        serde_json::from_slice(self.bytes(name)?)
            .map_err(|error| rejected(format!("{} of {} does not read: {error}", name, self.title())))
    }

    fn unreadable(&self, name: &str, what: &str) -> BackendError {
        rejected(format!("{} of {} is not {what}", name, self.title()))
    }
}

impl ReadFields for Document {
    fn value(&self, name: &str) -> Option<&ValueType> {
        self.fields
            .get(name)
            .and_then(|value| value.value_type.as_ref())
            .filter(|value| !matches!(value, ValueType::NullValue(_)))
    }

    fn title(&self) -> &str {
        relative(&self.name)
    }
}

/// `collection/id` of a full document name.
pub(crate) fn relative(name: &str) -> &str {
    name.split_once("/documents/").map_or(name, |(_, path)| path)
}

/// The last part of a document name, as it is stored (see [`document_id`]).
pub(crate) fn id_of(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, id)| id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_stay_readable() {
        assert_eq!(document_id("THR-0123abc"), "THR-0123abc");
        assert_eq!(document_id("security.raw.logs~3"), "security.raw.logs~3");
        assert_eq!(document_id("2001:db8::1"), "2001:db8::1");
    }

    #[test]
    fn ids_that_mean_something_to_firestore_are_told_apart() {
        let texts = ["", ".", "..", "__x__", "a/b", "a%2Fb", "%", "%25", "_x_", "a\0b"];
        let ids: HashSet<String> = texts.iter().map(|text| document_id(text)).collect();
        assert_eq!(ids.len(), texts.len());
        assert!(
            ids.iter()
                .all(|id| !id.starts_with('.') && !id.starts_with("__") && !id.contains('/')),
            "{ids:?}"
        );
    }

    proptest! {
        #[test]
        fn any_text_names_a_document(text in ".*") {
            let id = document_id(&text);
            prop_assert!(!id.is_empty() && id.len() <= 1500);
            prop_assert!(!id.contains('/') && !id.starts_with('.') && !id.starts_with("__"));
        }

        #[test]
        fn times_come_back(micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(from_proto(&to_proto(time)), time);
        }
    }
}
