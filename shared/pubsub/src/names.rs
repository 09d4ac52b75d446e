//! What queues are called at Pub/Sub.

use threatstream_backend::BackendError;

use crate::fault::rejected;

/// A queue's topics and subscriptions, by their full names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) topic: String,
    pub(crate) subscription: String,
    pub(crate) dead_topic: String,
    pub(crate) dead_subscription: String,
}

impl Names {
    pub(crate) fn new(project: &str, prefix: &str, queue: &str) -> Result<Self, BackendError> {
        let id = format!("{prefix}{queue}");
        let dead = format!("{id}-dead");
        let usual = |c: char| c.is_ascii_alphanumeric() || "-_.~+%".contains(c);
        let fits = (3..=255).contains(&dead.len()) && id.starts_with(|c: char| c.is_ascii_alphabetic());
        if !fits || id.len() < 3 || !id.chars().all(usual) || id.starts_with("goog") {
            return Err(rejected(format!(
                "'{}' cannot be a topic's name",
                id.chars().take(100).collect::<String>().escape_debug()
            )));
        }
        if project.is_empty() || !project.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) {
            return Err(rejected(format!("'{}' cannot be a project", project.escape_debug())));
        }
        Ok(Self {
            topic: format!("projects/{project}/topics/{id}"),
            subscription: format!("projects/{project}/subscriptions/{id}"),
            dead_topic: format!("projects/{project}/topics/{dead}"),
            dead_subscription: format!("projects/{project}/subscriptions/{dead}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_two_topics_and_two_subscriptions() {
        let names = Names::new("p", "threatstream-", "respond").unwrap();
        assert_eq!(names.topic, "projects/p/topics/threatstream-respond");
        assert_eq!(names.subscription, "projects/p/subscriptions/threatstream-respond");
        assert_eq!(names.dead_topic, "projects/p/topics/threatstream-respond-dead");
        assert_eq!(
            names.dead_subscription,
            "projects/p/subscriptions/threatstream-respond-dead"
        );
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let long = "q".repeat(251);
        for (project, prefix, queue) in [
            ("p", "", "goog-x"),
            ("p", "", "a"),
            ("p", "", "1st"),
            ("p", "t-", "a/../b"),
            ("p", "t-", "a b"),
            ("p", "", &long),
            ("", "t-", "respond"),
            ("p/topics", "t-", "respond"),
        ] {
            let error = Names::new(project, prefix, queue).unwrap_err();
            assert!(!error.is_retryable(), "{project} {prefix} {queue}");
        }
    }
}
