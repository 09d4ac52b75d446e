//! A store that can be cut off.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use threatstream_backend::{
    AlertQuery, Alerts, Analytics, BackendError, Checkpoint, Commit, CommitError, Effect, ExecutionQuery, Feed,
    FeedCursor, FeedReader, FeedRecord, FeedStart, Leases, Page, PartitionId, Responses, SavedState, Settings,
    Simulations, Store, ThreatChange, ThreatQuery, ThreatStats, Threats, Totals,
};
use threatstream_domain::{
    Alert, AlertCase, BlockEntry, Execution, MinuteStats, Original, SimulationState, Threat, Timestamp,
};
use tokio::sync::watch;

/// The way to a store: open, or cut.
#[derive(Default)]
pub(crate) struct Line {
    cut: AtomicBool,
    failures: AtomicUsize,
    history_gone: AtomicBool,
    overtaken: AtomicBool,
}

impl Line {
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }

    /// How many calls have failed so far.
    pub(crate) fn failures(&self) -> usize {
        self.failures.load(Ordering::SeqCst)
    }

    /// Whoever asks next to follow the feed is told that history is gone.
    pub(crate) fn lose_history(&self) {
        self.history_gone.store(true, Ordering::SeqCst);
    }

    /// Retention passes whoever reads next.
    pub(crate) fn overtake(&self) {
        self.overtaken.store(true, Ordering::SeqCst);
    }

    fn pass(&self) -> Result<(), BackendError> {
        if !self.cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.failures.fetch_add(1, Ordering::SeqCst);
        Err(BackendError::Unavailable {
            backend: "test",
            message: "the line is cut".to_owned(),
        })
    }
}

/// A store behind a line.
pub(crate) struct Unreachable {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) line: Arc<Line>,
}

struct Reader {
    reader: Box<dyn FeedReader>,
    line: Arc<Line>,
    /// Retention has passed it.
    behind: bool,
}

#[async_trait]
impl FeedReader for Reader {
    async fn next(&mut self, limit: usize, wait: Duration) -> Result<Vec<FeedRecord>, BackendError> {
        self.line.pass()?;
        self.behind |= self.line.overtaken.swap(false, Ordering::SeqCst);
        if self.behind {
            return Err(BackendError::Rejected {
                backend: "test",
                message: "the feed no longer has what comes next".to_owned(),
            });
        }
        // A reader that waits notices a cut only when it reads again.
        self.reader.next(limit, wait.min(Duration::from_millis(50))).await
    }
}

#[async_trait]
impl Feed for Unreachable {
    async fn epoch(&self) -> Result<String, BackendError> {
        self.line.pass()?;
        self.store.epoch().await
    }
    async fn head(&self) -> Result<FeedCursor, BackendError> {
        self.line.pass()?;
        self.store.head().await
    }
    async fn follow(&self, after: &FeedCursor) -> Result<FeedStart, BackendError> {
        self.line.pass()?;
        if self.line.history_gone.swap(false, Ordering::SeqCst) {
            return Ok(FeedStart::Gone);
        }
        Ok(match self.store.follow(after).await? {
            FeedStart::Gone => FeedStart::Gone,
            FeedStart::Reader(reader) => FeedStart::Reader(Box::new(Reader {
                reader,
                line: Arc::clone(&self.line),
                behind: false,
            })),
        })
    }
}

/// Implements a trait of the store's by passing each call on.
macro_rules! passed_on {
    ($($trait:ident { $(fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $answer:ty;)+ })+) => {$(
        #[async_trait]
        impl $trait for Unreachable {
            $(async fn $name(&self $(, $argument: $type)*) -> $answer {
                self.line.pass()?;
                self.store.$name($($argument),*).await
            })+
        }
    )+};
}

passed_on! {
    Leases {
        fn acquire(id: &PartitionId, partitions: u32, owner: &str, ttl: Duration, now: Timestamp) -> Result<Option<Checkpoint>, BackendError>;
        fn renew(id: &PartitionId, owner_epoch: u64, ttl: Duration, now: Timestamp) -> Result<bool, BackendError>;
        fn release(id: &PartitionId, owner_epoch: u64) -> Result<(), BackendError>;
        fn checkpoints(topic: &str) -> Result<Vec<Checkpoint>, BackendError>;
        fn load_state(id: &PartitionId) -> Result<SavedState, BackendError>;
        fn commit(commit: Commit) -> Result<(), CommitError>;
    }
    Threats {
        fn threat(id: &str) -> Result<Option<Threat>, BackendError>;
        fn threats_of_event(event_id: &str) -> Result<Vec<Threat>, BackendError>;
        fn threats(query: &ThreatQuery) -> Result<Page<Threat>, BackendError>;
        fn originals(id: &str) -> Result<Option<Vec<Original>>, BackendError>;
        fn threat_stats() -> Result<ThreatStats, BackendError>;
        fn change_threat(id: &str, change: ThreatChange, now: Timestamp) -> Result<Option<Threat>, BackendError>;
    }
    Alerts {
        fn alert(id: &str) -> Result<Option<Alert>, BackendError>;
        fn alerts(query: &AlertQuery) -> Result<Page<Alert>, BackendError>;
        fn cases(ids: &[String]) -> Result<HashMap<String, AlertCase>, BackendError>;
        fn save_case(id: &str, expected_version: u64, case: AlertCase, now: Timestamp) -> Result<Option<Alert>, BackendError>;
        fn tell_overdue(limit: usize, now: Timestamp) -> Result<Vec<Alert>, BackendError>;
    }
    Responses {
        fn create_execution(execution: &Execution, now: Timestamp) -> Result<bool, BackendError>;
        fn save_execution(execution: &Execution, effects: &[Effect], now: Timestamp) -> Result<Option<Execution>, BackendError>;
        fn execution(id: &str) -> Result<Option<Execution>, BackendError>;
        fn executions(query: &ExecutionQuery) -> Result<Page<Execution>, BackendError>;
        fn blocklist(now: Timestamp) -> Result<Vec<BlockEntry>, BackendError>;
    }
    Simulations {
        fn simulation() -> Result<Option<SimulationState>, BackendError>;
        fn save_simulation(state: &SimulationState, expected_id: Option<&str>, tell: bool, now: Timestamp) -> Result<bool, BackendError>;
    }
    Settings {
        fn keep(name: &str, fresh: bytes::Bytes) -> Result<bytes::Bytes, BackendError>;
    }
    Analytics {
        fn minutes(from: i64, to: i64) -> Result<Vec<MinuteStats>, BackendError>;
        fn totals(now: Timestamp) -> Result<Totals, BackendError>;
    }
}

#[async_trait]
impl Store for Unreachable {
    async fn check(&self) -> Result<(), BackendError> {
        self.line.pass()?;
        self.store.check().await
    }
    fn ticks(&self) -> watch::Receiver<u64> {
        self.store.ticks()
    }
}
