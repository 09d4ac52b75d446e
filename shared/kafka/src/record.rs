//! A record as a message, and a message as a record.

use bytes::Bytes;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Header, OwnedHeaders};
use threatstream_backend::{BackendError, LoggedRecord, Record};
use threatstream_domain::Timestamp;

use crate::config::MAX_RECORD_BYTES;
use crate::fault::rejected;
use crate::native;

/// What librdkafka adds to a record within the bound on a message.
const OVERHEAD: usize = 512;

/// A record's bytes, as the bounds count them.
pub(crate) fn size(record: &Record) -> usize {
    let headers: usize = record
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 16)
        .sum();
    record.key.len() + record.value.len() + headers
}

/// Refuses what librdkafka or the brokers would, before anything of the append is sent.
pub(crate) fn check(record: &Record) -> Result<(), BackendError> {
    let size = size(record);
    if size + OVERHEAD > MAX_RECORD_BYTES {
        return Err(rejected(format!(
            "a record of {size} bytes is larger than {MAX_RECORD_BYTES}"
        )));
    }
    // A name ends at its first zero byte.
    if record.headers.iter().any(|(name, _)| name.contains('\0')) {
        return Err(rejected("the name of a header contains a zero byte"));
    }
    Ok(())
}

/// The headers to send; `None` where there are none.
pub(crate) fn headers(record: &Record) -> Option<OwnedHeaders> {
    if record.headers.is_empty() {
        return None;
    }
    let empty = OwnedHeaders::new_with_capacity(record.headers.len());
    Some(record.headers.iter().fold(empty, |headers, (name, value)| {
        headers.insert(Header {
            key: name,
            value: Some(value.as_ref()),
        })
    }))
}

/// What was read. Anyone may have written it: a key that is not UTF-8 is mended, no key and no value are empty ones. `after` is
/// the time of the record before it: brokers do not promise that times are in order.
pub(crate) fn logged(message: &BorrowedMessage<'_>, offset: u64, after: Timestamp) -> LoggedRecord {
    let timestamp = message.timestamp().to_millis().map_or(after, Timestamp::from_millis);
    LoggedRecord {
        offset,
        timestamp: timestamp.max(after),
        key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
        value: message.payload().map(Bytes::copy_from_slice).unwrap_or_default(),
        headers: native::headers(message),
    }
}

/// The bytes of a read record, as a reader's budget counts them.
pub(crate) fn logged_size(record: &LoggedRecord) -> usize {
    let headers: usize = record
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    record.key.len() + record.value.len() + headers
}

#[cfg(all(test, feature = "mock"))]
mod tests {
    use std::time::Duration;

    use rdkafka::ClientConfig;
    use rdkafka::producer::{FutureProducer, FutureRecord};
    use threatstream_backend::EventLog;

    use super::*;
    use crate::KafkaLog;
    use crate::mock::MockKafka;

    #[tokio::test(flavor = "multi_thread")]
    async fn headers_that_are_no_text_are_mended() {
        let kafka = MockKafka::start(1, &[("events", 1)]);
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap_servers())
            .create()
            .unwrap();
        let headers = OwnedHeaders::new().insert(Header::<&str> {
            key: "no value",
            value: None,
        });
        native::add_header(&headers, b"\xff\xfename", b"\x00\xff");
        let message = FutureRecord::to("events").key("k").payload("v").headers(headers);
        producer.send(message, Duration::from_secs(20)).await.unwrap();

        let log = KafkaLog::open(kafka.config()).unwrap();
        let mut reader = log.open("events", &[(0, 0)]).await.unwrap();
        let parts = reader.next(1, Duration::from_secs(20)).await.unwrap();
        let given = [
            ("no value".to_owned(), Bytes::new()),
            ("\u{fffd}\u{fffd}name".to_owned(), Bytes::from_static(b"\x00\xff")),
        ];
        assert_eq!(parts[0].records[0].headers, given);
    }
}
