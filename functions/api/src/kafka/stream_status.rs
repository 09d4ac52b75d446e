//! `GET /api/kafka/stream-status`: how the streams flow.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use threatstream_backend::{Checkpoint, TopicInfo};
use threatstream_domain::Timestamp;
use threatstream_runtime::{Json, Problem};
use utoipa::ToSchema;

use super::rates::Rate;
use crate::api::Api;
use crate::failure;
use crate::openapi::schema;

/// How a topic flows.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TopicStatus {
    /// Its name.
    name: String,
    /// How many partitions it has.
    partitions: usize,
    /// Records that the log holds now.
    records: u64,
    /// Records it was ever given.
    appended: u64,
    /// Records beyond the analyzer's checkpoints; null: the analyzer does not work this topic.
    lag: Option<u64>,
    /// Records beyond what the consumer group reported to the log; null: it has reported nothing.
    committed_lag: Option<u64>,
    /// Records appended a second, since the look before at this process; null until there was one.
    records_per_second: Option<f64>,
    /// The seconds between the two looks.
    measured_over_seconds: Option<f64>,
}

/// How the streams flow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamStatus {
    /// `embedded` or `kafka`.
    kind: &'static str,
    /// In the order of an event's way.
    topics: Vec<TopicStatus>,
    /// Events analysed in the last whole minute.
    processed_last_minute: u64,
    #[schema(value_type = schema::Time)]
    as_of: Timestamp,
}

/// How the streams flow: records, lag and rates
#[utoipa::path(get, path = "/api/kafka/stream-status", tag = "platform", responses((status = 200, body = StreamStatus)))]
pub(crate) async fn stream_status(State(api): State<Arc<Api>>) -> Result<Json<StreamStatus>, Problem> {
    let now = api.clock.now();
    let backends = &api.backends;
    let worked = [&backends.topics.raw, &backends.topics.matches];
    // Checkpoints before watermarks: a lag can then never come out negative.
    let (raw, matches, minutes) = tokio::try_join!(
        backends.store.checkpoints(worked[0]),
        backends.store.checkpoints(worked[1]),
        backends.store.minutes(now.minute() - 1, now.minute() - 1),
    )
    .map_err(failure::backend)?;
    let cluster = backends
        .log
        .cluster(&super::topics(&api))
        .await
        .map_err(failure::backend)?;
    let topics = cluster
        .topics
        .iter()
        .map(|topic| {
            let checkpoints = match &topic.name {
                name if name == worked[0] => Some(&raw),
                name if name == worked[1] => Some(&matches),
                _ => None,
            };
            let rate = api.rates.look(&topic.name, appended(topic), now);
            status(topic, checkpoints.map(Vec::as_slice), rate)
        })
        .collect();
    Ok(Json(StreamStatus {
        kind: cluster.kind,
        topics,
        processed_last_minute: minutes.iter().map(|minute| minute.processed).sum(),
        as_of: now,
    }))
}

fn appended(topic: &TopicInfo) -> u64 {
    topic.partitions.iter().map(|partition| partition.high).sum()
}

fn status(topic: &TopicInfo, checkpoints: Option<&[Checkpoint]>, rate: Option<Rate>) -> TopicStatus {
    let partitions = &topic.partitions;
    // What was removed before anyone came to it is no lag: nobody will ever work it.
    let beyond = |next: &dyn Fn(u32) -> Option<u64>| -> u64 {
        partitions
            .iter()
            .map(|info| {
                let from = next(info.partition).unwrap_or(info.low).max(info.low);
                info.high.saturating_sub(from)
            })
            .sum()
    };
    let reported = partitions.iter().any(|info| info.committed.is_some());
    let committed = |partition| {
        let info = partitions.iter().find(|info| info.partition == partition);
        info.and_then(|info| info.committed)
    };
    TopicStatus {
        name: topic.name.clone(),
        partitions: partitions.len(),
        records: partitions.iter().map(|info| info.high.saturating_sub(info.low)).sum(),
        appended: appended(topic),
        lag: checkpoints.map(|checkpoints| {
            beyond(&|partition| {
                let checkpoint = checkpoints.iter().find(|checkpoint| checkpoint.partition == partition);
                checkpoint.map(|checkpoint| checkpoint.next_offset)
            })
        }),
        committed_lag: reported.then(|| beyond(&committed)),
        records_per_second: rate.map(|rate| rate.per_second),
        measured_over_seconds: rate.map(|rate| rate.seconds),
    }
}

#[cfg(test)]
mod tests {
    use threatstream_backend::PartitionInfo;
    use threatstream_domain::Tally;

    use super::*;

    fn partition(partition: u32, low: u64, high: u64, committed: Option<u64>) -> PartitionInfo {
        PartitionInfo {
            partition,
            leader: Some(1),
            replicas: 3,
            in_sync: 3,
            low,
            high,
            committed,
        }
    }

    fn checkpoint(partition: u32, next_offset: u64) -> Checkpoint {
        Checkpoint {
            partition,
            next_offset,
            owner_epoch: 1,
            batch_id: None,
            lease_until: Timestamp::EPOCH,
            unpublished: Vec::new(),
            tally: Tally::default(),
            lost: 0,
        }
    }

    #[test]
    fn lag_is_what_can_still_be_read_beyond_a_checkpoint() {
        let topic = TopicInfo {
            name: "raw".to_owned(),
            // Worked in part; never worked, its beginning removed; worked to the end, nothing reported.
            partitions: vec![
                partition(0, 10, 100, Some(40)),
                partition(1, 5, 20, None),
                partition(2, 0, 7, Some(7)),
            ],
        };
        let checkpoints = [checkpoint(0, 60), checkpoint(2, 7)];
        let status = status(&topic, Some(&checkpoints), None);
        assert_eq!((status.records, status.appended), (90 + 15 + 7, 127));
        assert_eq!((status.lag, status.committed_lag), (Some(40 + 15), Some(60 + 15)));
        assert_eq!((status.records_per_second, status.measured_over_seconds), (None, None));
    }

    #[test]
    fn where_nobody_works_or_reports_there_is_no_lag() {
        let topic = TopicInfo {
            name: "metrics".to_owned(),
            partitions: vec![partition(0, 0, 9, None)],
        };
        let status = status(&topic, None, None);
        assert_eq!((status.lag, status.committed_lag, status.records), (None, None, 9));
    }
}
