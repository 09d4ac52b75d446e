//! Reading dead letters without taking them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use threatstream_backend::{BackendError, DeadTask};
use tokio::time::Instant;

use crate::clients::Clients;
use crate::message::{Buried, to_dead};
use crate::names::Names;

/// The most that is looked through for the newest. Dead letters are few, or something is very wrong.
const LOOKED_AT: usize = 1000;
/// How long to wait for more before those that came are all.
const WAIT: Duration = Duration::from_secs(1);
/// For how long they are kept from coming again while the rest is pulled.
const HELD: Duration = Duration::from_secs(60);

/// The newest dead letters of a queue. What is pulled is given back, whatever happens: by a word, or when its time is over.
pub(crate) async fn list(
    clients: &Clients,
    names: &Names,
    queue: &str,
    limit: usize,
) -> Result<Vec<DeadTask>, BackendError> {
    let (mut held, mut found) = (Vec::new(), Vec::new());
    let gathered = gather(clients, names, queue, &mut held, &mut found).await;
    let released = clients
        .puller
        .lease(&names.dead_subscription, &held, Duration::ZERO)
        .await;
    gathered.and(released)?;
    if found.len() >= LOOKED_AT {
        tracing::warn!(
            queue,
            looked_at = found.len(),
            "there are more dead letters than are looked at for the newest"
        );
    }
    let mut listed = once_each(found);
    listed.truncate(limit);
    Ok(listed)
}

async fn gather(
    clients: &Clients,
    names: &Names,
    queue: &str,
    held: &mut Vec<String>,
    found: &mut Vec<Buried>,
) -> Result<(), BackendError> {
    while found.len() < LOOKED_AT {
        let pulled = clients
            .puller
            .pull(&names.dead_subscription, LOOKED_AT - found.len(), Instant::now() + WAIT)
            .await?;
        if pulled.is_empty() {
            break;
        }
        let ids: Vec<String> = pulled.iter().map(|received| received.ack_id.clone()).collect();
        held.extend_from_slice(&ids);
        let messages = pulled.into_iter().filter_map(|received| received.message);
        found.extend(messages.map(|message| to_dead(&message, queue)));
        clients.puller.lease(&names.dead_subscription, &ids, HELD).await?;
    }
    Ok(())
}

/// Each task once, newest first. One that was buried by us and forwarded by Pub/Sub as well (who buried it died before it could say so)
/// is told by us, who know the error.
fn once_each(found: Vec<Buried>) -> Vec<DeadTask> {
    let mut by_id: HashMap<String, Buried> = HashMap::new();
    for buried in found {
        match by_id.get(&buried.dead.task.id) {
            Some(known) if (known.by_us, known.dead.died_at) >= (buried.by_us, buried.dead.died_at) => {}
            _ => {
                by_id.insert(buried.dead.task.id.clone(), buried);
            }
        }
    }
    let mut listed: Vec<DeadTask> = by_id.into_values().map(|buried| buried.dead).collect();
    listed.sort_by(|a, b| (Reverse(a.died_at), &a.task.id).cmp(&(Reverse(b.died_at), &b.task.id)));
    listed
}

#[cfg(test)]
mod tests {
    use threatstream_backend::Task;
    use threatstream_domain::Timestamp;

    use super::*;

    #[test]
    fn each_task_is_told_once_by_who_knows_most() {
        let buried = |id: &str, error: &str, at: i64, by_us: bool| {
            let task = Task {
                queue: "respond".to_owned(),
                id: id.to_owned(),
                payload: serde_json::Value::Null,
            };
            let dead = crate::message::dead(task, 1, error, Timestamp::from_secs(at));
            Buried { dead, by_us }
        };
        let listed = once_each(vec![
            buried("a", "forwarded", 9, false),
            buried("a", "first", 1, true),
            buried("a", "second", 2, true),
            buried("c", "c", 5, false),
            buried("b", "b", 5, true),
        ]);
        let told: Vec<&str> = listed.iter().map(|dead| dead.error.as_str()).collect();
        assert_eq!(told, ["b", "c", "second"]);
    }
}
