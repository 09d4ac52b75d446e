//! A queue and its time: one queue believes the time that it is told, another has a clock of its own.

use std::sync::Arc;
use std::time::Duration;

use threatstream_domain::{Clock, Timestamp};

use super::{Delivery, PATIENCE, Task};
use crate::{DeadTask, RetryPolicy, TaskQueue};

/// How a queue's time passes.
pub enum Time {
    /// It believes what it is told: the test turns this clock.
    Told(Clock),
    /// It has a clock of its own: the test waits for what must come, and looks at when it came.
    Real,
}

/// A queue under test.
pub struct Timed {
    /// The queue.
    pub tasks: Arc<dyn TaskQueue>,
    /// Its time.
    pub time: Time,
    /// The policy that it was opened with.
    pub policy: RetryPolicy,
    /// For how long the tests take a task; whole seconds, and short where they must wait for its end.
    pub lease: Duration,
}

impl Timed {
    /// The time that the queue is told.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.time {
            Time::Told(clock) => clock.now(),
            Time::Real => Clock::system().now(),
        }
    }

    /// How long to wait for what is there already: a queue over a network may need a moment.
    pub(super) fn grace(&self) -> Duration {
        match self.time {
            Time::Told(_) => Duration::ZERO,
            Time::Real => Duration::from_secs(2),
        }
    }

    pub(super) async fn enqueue(&self, tasks: Vec<Task>) {
        self.tasks.enqueue(tasks, self.now()).await.unwrap();
    }

    pub(super) async fn complete(&self, delivery: &Delivery) {
        self.tasks.complete(delivery, self.now()).await.unwrap();
    }

    pub(super) async fn take(&self, queue: &str, max: usize, wait: Duration) -> Vec<Delivery> {
        self.tasks.take(queue, max, self.lease, self.now(), wait).await.unwrap()
    }

    /// The one task that is due.
    pub(super) async fn take_one(&self, queue: &str) -> Delivery {
        let wait = if self.grace().is_zero() {
            Duration::ZERO
        } else {
            PATIENCE
        };
        let mut taken = self.take(queue, 10, wait).await;
        assert_eq!(taken.len(), 1, "{taken:?}");
        taken.remove(0)
    }

    /// The one task that comes when `span` has passed since `since`, and not before.
    pub(super) async fn take_one_after(&self, queue: &str, since: Timestamp, span: Duration) -> Delivery {
        match &self.time {
            Time::Told(clock) => {
                let left = since.plus(span).since(clock.now());
                self.assert_nothing(queue).await;
                clock.advance(left.saturating_sub(Duration::from_millis(1)));
                self.assert_nothing(queue).await;
                clock.advance(left.min(Duration::from_millis(1)));
                self.take_one(queue).await
            }
            Time::Real => {
                let mut taken = self.take(queue, 10, span + PATIENCE).await;
                assert_eq!(taken.len(), 1, "{taken:?}");
                // The queue's clock may stand a little apart from ours.
                let came = self.now().since(since) + Duration::from_millis(500);
                assert!(came >= span, "after {came:?} instead of {span:?}");
                taken.remove(0)
            }
        }
    }

    /// Nothing is due now.
    pub(super) async fn assert_nothing(&self, queue: &str) {
        assert_eq!(self.take(queue, 10, Duration::ZERO).await, []);
    }

    /// Nothing comes until `span` has passed.
    pub(super) async fn assert_nothing_within(&self, queue: &str, span: Duration) {
        match &self.time {
            Time::Told(clock) => {
                clock.advance(span);
                self.assert_nothing(queue).await;
            }
            Time::Real => assert_eq!(self.take(queue, 10, span).await, []),
        }
    }

    /// The dead letters, once there are so many; more are a failure.
    pub(super) async fn dead_letters(&self, queue: &str, expected: usize) -> Vec<DeadTask> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let dead = self.tasks.dead_letters(queue, expected + 10).await.unwrap();
            let hurry = self.grace().is_zero() || tokio::time::Instant::now() > deadline;
            if dead.len() >= expected || hurry {
                assert_eq!(dead.len(), expected, "{dead:?}");
                return dead;
            }
        }
    }
}
