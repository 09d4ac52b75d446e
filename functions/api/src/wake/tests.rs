use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use threatstream_backend::BackendError;
use threatstream_backend::conformance::hooked::{BeforeEnqueue, HookedQueue, away};
use threatstream_domain::Timestamp;
use tokio::sync::Semaphore;

use super::*;

/// Lets tasks through one permit at a time.
struct Gate {
    permits: Semaphore,
    entered: Semaphore,
    is_down: AtomicBool,
}

#[async_trait::async_trait]
impl BeforeEnqueue for Gate {
    async fn before_enqueue(&self) -> Result<(), BackendError> {
        self.entered.add_permits(1);
        self.permits.acquire().await.expect("open").forget();
        if self.is_down.load(Ordering::SeqCst) {
            return Err(away());
        }
        Ok(())
    }
}

struct World {
    _folder: tempfile::TempDir,
    backends: Backends,
    queue: Arc<HookedQueue<Gate>>,
    wake: Arc<Wake>,
    clock: Clock,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::fixed(Timestamp::from_secs(1_795_338_000));
        let mut options = threatstream_embedded::Options::new(folder.path());
        options.clock = clock.clone();
        let mut backends = threatstream_embedded::open(options).expect("it opens").backends();
        let gate = Gate {
            permits: Semaphore::new(0),
            entered: Semaphore::new(0),
            is_down: AtomicBool::new(false),
        };
        let inner = backends.tasks.clone();
        let queue = Arc::new(HookedQueue { inner, hook: gate });
        backends.tasks = queue.clone();
        Self {
            _folder: folder,
            backends,
            queue,
            wake: Arc::new(Wake::new(true)),
            clock,
        }
    }

    fn up(&self) -> tokio::task::JoinHandle<()> {
        let (wake, backends, clock) = (self.wake.clone(), self.backends.clone(), self.clock.clone());
        tokio::spawn(async move { wake.up(&backends, &clock).await })
    }

    async fn sent(&self) -> usize {
        let tasks = &self.queue.inner;
        let taken = tasks
            .take(DRAIN_QUEUE, 100, PATIENCE, self.clock.now(), Duration::ZERO)
            .await;
        taken.expect("tasks").len()
    }

    async fn entered(&self) {
        self.queue.hook.entered.acquire().await.expect("open").forget();
    }
}

#[tokio::test]
async fn requests_that_come_together_share_a_wake_up_that_begins_after_each_of_them() {
    let world = World::new();
    let first = world.up();
    world.entered().await;
    // While the first is under way, more come: it does not speak for them, and one more speaks for all.
    let others: Vec<_> = (0..20).map(|_| world.up()).collect();
    while world.wake.wanted.load(Ordering::SeqCst) < 21 {
        tokio::task::yield_now().await;
    }
    world.queue.hook.permits.add_permits(1);
    first.await.expect("it returns");
    assert!(others.iter().all(|other| !other.is_finished()));
    world.queue.hook.permits.add_permits(1);
    for other in others {
        other.await.expect("it returns");
    }
    assert_eq!(world.sent().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_holds_nobody_up_for_long() {
    let world = World::new();
    let began = tokio::time::Instant::now();
    world.up().await.expect("it returns");
    assert_eq!(began.elapsed(), PATIENCE);
    // The next is not held up by the one before. (An answer of another thread's would be waited for in vain: time stands still.)
    world.queue.hook.is_down.store(true, Ordering::SeqCst);
    world.queue.hook.permits.add_permits(1);
    world.up().await.expect("it returns");
    assert_eq!(began.elapsed(), PATIENCE);
}

#[tokio::test]
async fn a_queue_that_fails_is_no_failure_of_the_caller() {
    let world = World::new();
    world.queue.hook.is_down.store(true, Ordering::SeqCst);
    world.queue.hook.permits.add_permits(10);
    world.up().await.expect("it returns");
    assert_eq!(world.sent().await, 0);
    world.queue.hook.is_down.store(false, Ordering::SeqCst);
    world.up().await.expect("it returns");
    assert_eq!(world.sent().await, 1, "the one after is sent");
}

#[tokio::test]
async fn nothing_is_sent_where_the_analyzer_does_not_sleep() {
    let world = World::new();
    Wake::new(false).up(&world.backends, &world.clock).await;
    assert_eq!(world.sent().await, 0);
}
