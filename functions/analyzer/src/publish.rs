//! Publishing what was committed: to the topics that others read, and to the playbooks.

use serde_json::json;
use threatstream_backend::{BackendError, Backends, Durability, RESPOND_QUEUE, Record, Task};
use threatstream_domain::{Severity, Threat, Timestamp};

/// The mildest threat that playbooks are asked about.
const RESPOND_FROM: Severity = Severity::Medium;

/// Publishes threats. Doing it again does no harm: readers of the topics know a threat by its id, the queue a task by its.
pub(crate) async fn publish(backends: &Backends, threats: &[Threat], now: Timestamp) -> Result<(), BackendError> {
    if threats.is_empty() {
        return Ok(());
    }
    let record = |threat: &Threat| Record {
        key: threat.id.clone(),
        value: serde_json::to_vec(threat).unwrap_or_default().into(),
        headers: Vec::new(),
    };
    let topics = &backends.topics;
    backends
        .log
        .append(
            &topics.analyzed,
            threats.iter().map(record).collect(),
            Durability::Redoable,
        )
        .await?;
    let critical: Vec<Record> = threats
        .iter()
        .filter(|threat| threat.severity == Severity::Critical)
        .map(record)
        .collect();
    if !critical.is_empty() {
        backends
            .log
            .append(&topics.alerts, critical, Durability::Redoable)
            .await?;
    }
    let tasks: Vec<Task> = threats
        .iter()
        .filter(|threat| threat.severity >= RESPOND_FROM)
        .map(|threat| Task {
            queue: RESPOND_QUEUE.to_owned(),
            id: format!("respond-{}", threat.id),
            payload: json!({ "threat_id": threat.id }),
        })
        .collect();
    if tasks.is_empty() {
        Ok(())
    } else {
        backends.tasks.enqueue(tasks, now).await
    }
}
