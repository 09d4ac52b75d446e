//! Kafka does what every event log must, on librdkafka's mock cluster.

use std::sync::Arc;

use threatstream_backend::EventLog;
use threatstream_backend::conformance::Fixture;
use threatstream_kafka::KafkaLog;
use threatstream_kafka::mock::MockKafka;

threatstream_backend::conformance_log!(open_log);

const TOPICS: [&str; 14] = [
    "order",
    "keys",
    "bytes",
    "concurrent",
    "go-on",
    "start",
    "budget",
    "wake",
    "idle",
    "marks",
    "times",
    "empty",
    "one",
    "other",
];

async fn open_log() -> Fixture<dyn EventLog> {
    let kafka = MockKafka::with_product_topics(3, 2);
    // Nothing makes a topic on Kafka but its owner.
    for topic in TOPICS {
        kafka.create_topic(&format!("test.{topic}"), 4);
    }
    Fixture {
        subject: Arc::new(KafkaLog::open(kafka.config()).unwrap()),
        prefix: "test".to_owned(),
        keep: Box::new(kafka),
    }
}
