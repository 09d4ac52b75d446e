//! The event log, the store and the task queue, reached for real.

use std::time::{Duration, Instant};

use threatstream_backend::{BackendError, Backends, RESPOND_QUEUE};
use threatstream_domain::Clock;
use threatstream_embedded::OpenError as EmbeddedError;
use threatstream_platform::{OpenError, PlatformConfig, open};
use threatstream_runtime::Environment;

use super::Finding;

/// What does not answer by then does not answer.
const LIMIT: Duration = Duration::from_secs(15);

const PARTS: [&str; 3] = ["event_log", "store", "task_queue"];

pub(super) async fn examine(environment: &dyn Environment) -> Vec<Finding> {
    let Ok(config) = PlatformConfig::from_env(environment) else {
        return PARTS
            .map(|part| Finding::left_out(part, "the variables of the backends are wrong"))
            .into();
    };
    // TLS clients take the provider of the process; that one is installed already is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let platform = match open(&config, &Clock::system()) {
        Ok(platform) => platform,
        Err(OpenError::Embedded(error @ EmbeddedError::InUse(_))) => {
            return PARTS
                .map(|part| {
                    Finding::left_out(part, error.to_string())
                        .advise("a running platform holds it: ask that one, GET /api/health")
                })
                .into();
        }
        Err(error) => return vec![Finding::failed("backends", error.to_string())],
    };
    let backends = platform.backends();
    let (log, topics, store, queue) = tokio::join!(
        ask("event_log", config.event_log.as_str(), log(&backends)),
        topics(&backends),
        ask("store", config.store.as_str(), store(&backends)),
        ask("task_queue", config.task_queue.as_str(), queue(&backends)),
    );
    drop(backends);
    platform.close().await;
    vec![log, topics, store, queue]
}

async fn ask(
    check: &'static str,
    kind: &'static str,
    question: impl Future<Output = Result<String, BackendError>>,
) -> Finding {
    let started = Instant::now();
    let answer = tokio::time::timeout(LIMIT, question).await;
    let latency = started.elapsed();
    let finding = match answer {
        Ok(Ok(detail)) => Finding::ok(check, format!("{kind}: {detail}")),
        Ok(Err(error)) => Finding::failed(check, error.to_string()).advise(advice(kind, error.is_retryable())),
        Err(_) => Finding::failed(check, format!("{kind} did not answer within {LIMIT:?}")).advise(advice(kind, true)),
    };
    finding.took(latency)
}

const fn advice(kind: &str, retryable: bool) -> &'static str {
    match (kind.as_bytes(), retryable) {
        (b"kafka", true) => {
            "is CONFLUENT_BOOTSTRAP_SERVERS reachable from here, and are CONFLUENT_API_KEY and CONFLUENT_API_SECRET that cluster's"
        }
        (b"kafka", false) => "does the key's service account have rights on the topics",
        (b"firestore", true) => {
            "is FIRESTORE_EMULATOR_HOST running, or firestore.googleapis.com reachable from here with credentials"
        }
        (b"firestore", false) => {
            "does the database FIRESTORE_DATABASE exist in GOOGLE_CLOUD_PROJECT, and may this account use it (roles/datastore.user)"
        }
        (b"pubsub", true) => {
            "is PUBSUB_EMULATOR_HOST running, or pubsub.googleapis.com reachable from here with credentials"
        }
        (b"pubsub", false) => {
            "do the topics exist in GOOGLE_CLOUD_PROJECT, and may this account use them (roles/pubsub.editor)"
        }
        (_, true) => "is there room in THREATSTREAM_DATA, and may this user write there",
        (_, false) => "is THREATSTREAM_DATA a folder of this product and of this version",
    }
}

/// Metadata, and where the raw topic begins and ends.
async fn log(backends: &Backends) -> Result<String, BackendError> {
    backends.log.check().await?;
    let marks = backends.log.watermarks(&backends.topics.raw).await?;
    let held: u64 = marks.iter().map(|marks| marks.high.saturating_sub(marks.low)).sum();
    Ok(format!("answers, {} holds {held} records", backends.topics.raw))
}

/// Every topic and its partitions.
async fn topics(backends: &Backends) -> Finding {
    let started = Instant::now();
    let mut found = Vec::new();
    let mut missing = Vec::new();
    let look = async {
        for topic in backends.topics.names() {
            match backends.log.partitions(topic).await {
                Ok(partitions) => found.push(format!("{topic} {partitions}")),
                Err(error) => missing.push(format!("{topic}: {error}")),
            }
        }
    };
    let answered = tokio::time::timeout(LIMIT, look).await.is_ok();
    let latency = started.elapsed();
    let finding = if !answered {
        Finding::failed("topics", format!("not all topics were told within {LIMIT:?}")).advise("see event_log")
    } else if missing.is_empty() {
        Finding::ok("topics", format!("partitions: {}", found.join(", ")))
    } else {
        Finding::failed("topics", missing.join("; "))
            .advise("create the topics that are missing, or name those that exist (KAFKA_RAW_TOPIC and the others)")
    };
    finding.took(latency)
}

/// A write and a read, and the leases.
async fn store(backends: &Backends) -> Result<String, BackendError> {
    backends.store.check().await?;
    let (raw, matches) = tokio::try_join!(
        backends.store.checkpoints(&backends.topics.raw),
        backends.store.checkpoints(&backends.topics.matches),
    )?;
    let lost: u64 = raw.iter().map(|checkpoint| checkpoint.lost).sum();
    let told = if lost > 0 {
        format!(", {lost} records were lost before they were read")
    } else {
        String::new()
    };
    Ok(format!(
        "answers, {} of raw and {} of matches partitions have a checkpoint{told}",
        raw.len(),
        matches.len()
    ))
}

async fn queue(backends: &Backends) -> Result<String, BackendError> {
    backends.tasks.check().await?;
    backends.tasks.depth(RESPOND_QUEUE).await?;
    Ok("answers".to_owned())
}
