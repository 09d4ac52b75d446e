//! What the cluster says of itself, and what the group is told.

use threatstream_backend::{BackendError, EventLog, PartitionInfo};
use threatstream_kafka::KafkaLog;
use threatstream_kafka::mock::{Answer, MockKafka, Request};

use crate::rig::{TOPIC, log_on, numbered, rig};

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_tells_brokers_leaders_and_offsets() {
    let rig = rig(3, 2, |_| ());
    rig.append(numbered(0, 30)).await;
    let info = rig.log.cluster(&[TOPIC.to_owned(), "absent".to_owned()]).await.unwrap();
    assert_eq!(info.kind, "kafka");
    assert!(info.cluster_id.is_some());
    let addresses: Vec<String> = info
        .brokers
        .iter()
        .map(|broker| format!("{}:{}", broker.host, broker.port))
        .collect();
    let bootstrap: Vec<&str> = rig.kafka.bootstrap_servers().split(',').collect();
    assert_eq!(addresses, bootstrap);
    assert_eq!(info.topics[0].name, TOPIC);
    assert_eq!(info.topics[0].partitions.len(), 2);
    assert_eq!(
        info.topics[0]
            .partitions
            .iter()
            .map(|partition| partition.high)
            .sum::<u64>(),
        30
    );
    for partition in &info.topics[0].partitions {
        assert!(partition.leader.is_some());
        assert_eq!(
            (partition.replicas, partition.in_sync, partition.committed),
            (3, 3, None)
        );
    }
    assert_eq!(
        (info.topics[1].name.as_str(), info.topics[1].partitions.len()),
        ("absent", 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_progress_is_what_the_group_committed() {
    let rig = rig(2, 3, |_| ());
    rig.append(numbered(0, 30)).await;
    rig.log.report_progress(TOPIC, &[(0, 4), (2, 7)]).await.unwrap();
    rig.log.report_progress(TOPIC, &[]).await.unwrap();
    rig.log.report_progress(TOPIC, &[(2, 8)]).await.unwrap();
    let committed = |partitions: &[PartitionInfo]| partitions.iter().map(|info| info.committed).collect::<Vec<_>>();
    let info = rig.log.cluster(&[TOPIC.to_owned()]).await.unwrap();
    assert_eq!(committed(&info.topics[0].partitions), [Some(4), None, Some(8)]);

    // Another group says for itself.
    let other = log_on(&rig.kafka, |config| config.consumer_group = "others".to_owned());
    let info = other.cluster(&[TOPIC.to_owned()]).await.unwrap();
    assert_eq!(committed(&info.topics[0].partitions), [None, None, None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_report_is_told() {
    let rig = rig(1, 1, |_| ());
    rig.kafka.fail(
        Request::OffsetCommit,
        &[Answer::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED],
    );
    let error = rig.log.report_progress(TOPIC, &[(0, 1)]).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    rig.log.report_progress(TOPIC, &[(0, 1)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_is_shown() {
    let rig = rig(2, 2, |_| ());
    rig.append(numbered(0, 30)).await;
    rig.kafka.lead(TOPIC, 1, None);
    let info = rig.log.cluster(&[TOPIC.to_owned()]).await.unwrap();
    let partitions = &info.topics[0].partitions;
    assert!(
        partitions[0].leader.is_some() && partitions[0].high > 0,
        "{partitions:?}"
    );
    assert_eq!((partitions[1].leader, partitions[1].high), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_wants_every_topic() {
    let kafka = MockKafka::start(1, &[("security.raw.logs", 1), ("security.matches", 1)]);
    let log = KafkaLog::open(kafka.config()).unwrap();
    let error = log.check().await.unwrap_err();
    assert!(
        matches!(&error, BackendError::Rejected { message, .. } if message.contains("security.analyzed.threats")),
        "{error}"
    );
    let kafka = MockKafka::with_product_topics(1, 2);
    KafkaLog::open(kafka.config()).unwrap().check().await.unwrap();
}
