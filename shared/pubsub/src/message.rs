//! Tasks and dead letters as messages, and back.

use std::collections::HashMap;

use google_cloud_pubsub::model::Message;
use threatstream_backend::{BackendError, DeadTask, Task};
use threatstream_domain::Timestamp;

use crate::fault::rejected;
use crate::wire::PubsubMessage;

const QUEUE: &str = "queue";
const TASK_ID: &str = "task_id";
/// Longest value of an attribute, in bytes.
const MAX_ATTRIBUTE: usize = 1024;
/// Longest error that a dead letter keeps, in bytes.
const MAX_ERROR: usize = 4096;
/// How much of a message that is no task its dead letter keeps, in bytes.
const MAX_SHOWN: usize = 64 * 1024;
/// What Pub/Sub adds to a message that it forwards: how often it was delivered.
const FORWARDED: &str = "CloudPubSubDeadLetterSourceDeliveryCount";

/// What is said of a task that was never failed and came too often: only its handlers know.
pub(crate) const NEVER_ENDED: &str = "the last attempt did not end in its time";

pub(crate) fn from_task(task: &Task) -> Result<Message, BackendError> {
    if task.id.is_empty() || task.id.len() > MAX_ATTRIBUTE {
        return Err(rejected(format!(
            "a task's id has 1 to {MAX_ATTRIBUTE} bytes, this has {}",
            task.id.len()
        )));
    }
    Ok(Message::new()
        .set_data(task.payload.to_string())
        .set_attributes([(QUEUE, task.queue.as_str()), (TASK_ID, task.id.as_str())]))
}

/// The task of `queue` in a message, or why there is none.
pub(crate) fn to_task(message: &PubsubMessage, queue: &str) -> Result<Task, String> {
    match message.attributes.get(QUEUE).map(String::as_str) {
        Some(named) if named == queue => {}
        Some(named) => return Err(format!("it is for the queue '{}'", cut(named, 100).escape_debug())),
        None => return Err(format!("it has no attribute {QUEUE}")),
    }
    let id = message.attributes.get(TASK_ID).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| format!("it has no attribute {TASK_ID}"))?;
    let payload = serde_json::from_slice(&message.data).map_err(|error| format!("its data is not JSON: {error}"))?;
    Ok(Task {
        queue: queue.to_owned(),
        id: id.clone(),
        payload,
    })
}

/// A message that is no task, as the task that its dead letter holds.
fn as_it_is(message: &PubsubMessage, queue: &str) -> Task {
    let id = message.attributes.get(TASK_ID).filter(|id| !id.is_empty());
    Task {
        queue: queue.to_owned(),
        id: id.map_or_else(|| format!("message-{}", message.message_id), Clone::clone),
        payload: cut(&String::from_utf8_lossy(&message.data), MAX_SHOWN).into(),
    }
}

/// The dead letter of a message that is no task.
pub(crate) fn poison(message: &PubsubMessage, queue: &str, attempts: u32, why: &str, now: Timestamp) -> DeadTask {
    dead(as_it_is(message, queue), attempts, &format!("not a task: {why}"), now)
}

/// A dead letter, its error cut.
pub(crate) fn dead(task: Task, attempts: u32, error: &str, now: Timestamp) -> DeadTask {
    DeadTask {
        task,
        attempts,
        error: cut(error, MAX_ERROR).to_owned(),
        died_at: now,
    }
}

pub(crate) fn from_dead(dead: &DeadTask) -> Result<Message, BackendError> {
    let data = serde_json::to_vec(dead).map_err(|error| rejected(error.to_string()))?;
    Ok(Message::new().set_data(data).set_attributes([
        (QUEUE, dead.task.queue.as_str()),
        (TASK_ID, cut(&dead.task.id, MAX_ATTRIBUTE)),
    ]))
}

/// A dead letter as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Buried {
    pub(crate) dead: DeadTask,
    /// Whether one of us wrote it, who knew the error, and not Pub/Sub by its policy.
    pub(crate) by_us: bool,
}

/// What a message of a dead-letter subscription says. Every message is some dead letter: nothing is left out of the list.
pub(crate) fn to_dead(message: &PubsubMessage, queue: &str) -> Buried {
    let forwarded = delivery_count(&message.attributes);
    if forwarded.is_none()
        && let Ok(dead) = serde_json::from_slice::<DeadTask>(&message.data)
        && dead.task.queue == queue
    {
        return Buried { dead, by_us: true };
    }
    let died_at = message.publish_time.map_or(Timestamp::EPOCH, |time| {
        Timestamp::from_micros(
            time.seconds
                .saturating_mul(1_000_000)
                .saturating_add(i64::from(time.nanos / 1000)),
        )
    });
    let attempts = forwarded.unwrap_or(0);
    let dead = match to_task(message, queue) {
        Ok(task) => dead(task, attempts, NEVER_ENDED, died_at),
        Err(why) => poison(message, queue, attempts, &why, died_at),
    };
    Buried { dead, by_us: false }
}

fn delivery_count(attributes: &HashMap<String, String>) -> Option<u32> {
    attributes.get(FORWARDED).map(|count| count.parse().unwrap_or(0))
}

/// Cuts at a character's boundary.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::wire::PublishTime;

    fn task() -> Task {
        Task {
            queue: "respond".to_owned(),
            id: "respond-1".to_owned(),
            payload: json!({"threat_id": "t", "text": "\u{1b}"}),
        }
    }

    /// A message as it comes back.
    fn delivered(message: &Message, more: &[(&str, &str)]) -> PubsubMessage {
        let added = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        PubsubMessage {
            data: message.data.to_vec(),
            attributes: message.attributes.clone().into_iter().chain(added).collect(),
            message_id: "17".to_owned(),
            publish_time: Some(PublishTime {
                seconds: 1_795_338_000,
                nanos: 5_000_000,
            }),
        }
    }

    #[test]
    fn a_task_comes_back() {
        let message = delivered(&from_task(&task()).unwrap(), &[]);
        assert_eq!(to_task(&message, "respond").unwrap(), task());
        assert!(to_task(&message, "drain").unwrap_err().contains("'respond'"));
        for id in [String::new(), "x".repeat(1025)] {
            assert!(!from_task(&Task { id, ..task() }).unwrap_err().is_retryable());
        }
    }

    #[test]
    fn a_dead_letter_comes_back() {
        let now = Timestamp::from_secs(1_795_338_000);
        let given = dead(task(), 10, &"é".repeat(5000), now);
        assert_eq!(given.error.len(), 4096);
        let read = to_dead(&delivered(&from_dead(&given).unwrap(), &[]), "respond");
        assert_eq!(
            read,
            Buried {
                dead: given,
                by_us: true
            }
        );
    }

    #[test]
    fn what_pubsub_forwards_is_a_dead_letter_too() {
        let message = delivered(&from_task(&task()).unwrap(), &[(FORWARDED, "7")]);
        let Buried { dead, by_us } = to_dead(&message, "respond");
        assert_eq!((&dead.task, dead.attempts, by_us), (&task(), 7, false));
        assert_eq!(dead.died_at, Timestamp::from_millis(1_795_338_000_005));
        // Somebody's task cannot pose as a dead letter of ours: forwarded is forwarded.
        let posing = from_dead(&super::dead(task(), 1, "posing", dead.died_at)).unwrap();
        let read = to_dead(&delivered(&posing, &[(FORWARDED, "5")]), "respond");
        assert_eq!((read.by_us, read.dead.attempts), (false, 5));
    }

    proptest! {
        #[test]
        fn any_message_is_a_task_or_a_dead_letter(
            data: Vec<u8>, queue in "respond|drain|", id in "\\PC{0,8}", count in "[0-9]{0,12}|-1|x", forwarded: bool, seconds: i64, nanos: i32,
        ) {
            let mut attributes = HashMap::from([(QUEUE.to_owned(), queue.clone()), (TASK_ID.to_owned(), id.clone())]);
            if forwarded {
                attributes.insert(FORWARDED.to_owned(), count);
            }
            let time = PublishTime { seconds, nanos };
            let message = PubsubMessage { data: data.clone(), attributes, message_id: "m".to_owned(), publish_time: Some(time) };
            match to_task(&message, "respond") {
                Ok(task) => prop_assert_eq!((task.queue, task.id), (queue, id)),
                Err(why) => {
                    let letter = poison(&message, "respond", 1, &why, Timestamp::EPOCH);
                    let again = delivered(&from_dead(&letter).unwrap(), &[]);
                    prop_assert_eq!(to_dead(&again, "respond"), Buried { dead: letter, by_us: true });
                }
            }
            prop_assert_eq!(to_dead(&message, "respond").dead.task.queue, "respond");
        }
    }
}
