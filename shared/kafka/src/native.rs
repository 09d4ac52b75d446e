//! What rdkafka does not wrap, or wraps in a way that hostile records can make panic.
#![expect(unsafe_code, reason = "these functions of librdkafka have no safe wrapper")]

use std::ffi::{CStr, CString, c_void};
use std::ptr;

use bytes::Bytes;
use rdkafka::bindings;
use rdkafka::consumer::{Consumer, ConsumerContext, StreamConsumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;

/// Where a partition began and ended when the last fetch was answered; no request is made. `None` before the first one.
pub(crate) fn cached_watermarks<C: ConsumerContext + 'static>(
    consumer: &StreamConsumer<C>,
    topic: &str,
    partition: i32,
) -> (Option<u64>, Option<u64>) {
    let Ok(topic) = CString::new(topic) else {
        return (None, None);
    };
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client lives as long as `consumer`, which is borrowed; the name ends with a zero; both numbers are ours.
    let error = unsafe {
        bindings::rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return (None, None);
    }
    (u64::try_from(low).ok(), u64::try_from(high).ok())
}

/// The headers of a message. `Headers::try_get` panics on a name that is not UTF-8, and anyone may send one.
pub(crate) fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Bytes)> {
    let mut list = ptr::null_mut();
    // SAFETY: the message is borrowed, hence alive; the list is its own, and is not used beyond this function.
    let error = unsafe { bindings::rd_kafka_message_headers(message.ptr(), &raw mut list) };
    if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || list.is_null() {
        return Vec::new();
    }
    let mut headers = Vec::new();
    loop {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null::<c_void>(), 0);
        // SAFETY: the list is alive as above; an index beyond its end is an error and writes nothing.
        let error = unsafe {
            bindings::rd_kafka_header_get_all(list, headers.len(), &raw mut name, &raw mut value, &raw mut size)
        };
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            return headers;
        }
        // SAFETY: librdkafka ends every name with a zero, and keeps it as long as the list.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
        let value = if value.is_null() || size == 0 {
            Bytes::new()
        } else {
            // SAFETY: librdkafka keeps `size` bytes there as long as the list.
            Bytes::copy_from_slice(unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size) })
        };
        headers.push((name, value));
    }
}

/// Adds a header whose name is no UTF-8, as another client might.
#[cfg(all(test, feature = "mock"))]
pub(crate) fn add_header(headers: &rdkafka::message::OwnedHeaders, name: &[u8], value: &[u8]) {
    let list = ptr::from_ref(headers.as_borrowed()).cast_mut().cast();
    // SAFETY: a borrowed list is the native one behind a type of its own; librdkafka copies name and value.
    let error = unsafe {
        bindings::rd_kafka_header_add(
            list,
            name.as_ptr().cast(),
            isize::try_from(name.len()).unwrap(),
            value.as_ptr().cast(),
            isize::try_from(value.len()).unwrap(),
        )
    };
    assert_eq!(error, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
}
