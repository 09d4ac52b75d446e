//! How far the relay is behind the feed: a line in the log each minute, which monitoring reads.
//!
//! Two things make it late: what is published long after its commit, and a feed that is not reached at all, when nothing is published.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use threatstream_domain::Timestamp;
use threatstream_runtime::CancellationToken;
use tokio::time::MissedTickBehavior;

use crate::follow::WAIT;
use crate::relay::Relay;

const MINUTE: Duration = Duration::from_secs(60);

/// What happened to the feed since it was last told.
#[derive(Debug)]
pub(crate) struct Standing(Mutex<Minute>);

#[derive(Debug)]
struct Minute {
    /// When the feed last answered, if only that there is nothing; at first, when the relay began.
    reached_at: Timestamp,
    /// The longest time from a commit to its publication.
    worst: Duration,
}

impl Standing {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Mutex::new(Minute {
            reached_at: now,
            worst: Duration::ZERO,
        }))
    }

    /// The feed has answered; `lag` is how long ago the oldest of what it gave was committed.
    pub(crate) fn reached(&self, now: Timestamp, lag: Duration) {
        let mut minute = self.0.lock();
        minute.reached_at = now;
        minute.worst = minute.worst.max(lag);
    }

    /// How far behind the relay was at worst since this was last asked, or is now.
    fn take(&self, now: Timestamp) -> Duration {
        let mut minute = self.0.lock();
        // An answer that says that there is nothing takes as long as is waited for more.
        let silence = now.since(minute.reached_at).saturating_sub(WAIT);
        std::mem::take(&mut minute.worst).max(silence)
    }
}

/// Writes the line each minute until the token is cancelled.
pub(crate) async fn run(relay: Arc<Relay>, token: CancellationToken) -> anyhow::Result<()> {
    let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + MINUTE, MINUTE);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let telling = async {
        loop {
            interval.tick().await;
            tell(&relay);
        }
    };
    token.run_until_cancelled(telling).await;
    Ok(())
}

fn tell(relay: &Relay) {
    let behind = relay.standing.take(relay.dependencies.clock.now());
    tracing::info!(
        behind_ms = u64::try_from(behind.as_millis()).unwrap_or(u64::MAX),
        sockets = relay.sessions.len(),
        "measured the feed"
    );
}

#[cfg(test)]
mod tests {
    use std::io;

    use threatstream_domain::Clock;
    use threatstream_runtime::telemetry::{LogConfig, LogFormat, dispatch};

    use super::*;
    use crate::{Config, Dependencies};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_worst_of_a_minute_is_told_once() {
        let noon: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let standing = Standing::new(noon);
        standing.reached(noon, Duration::from_millis(40));
        standing.reached(noon, Duration::from_millis(900));
        standing.reached(noon, Duration::ZERO);
        assert_eq!(standing.take(noon), Duration::from_millis(900));
        assert_eq!(standing.take(noon.plus(WAIT)), Duration::ZERO, "a quiet feed");
        let later = noon.plus(Duration::from_secs(65));
        assert_eq!(
            standing.take(later),
            Duration::from_secs(60),
            "a feed that does not answer"
        );
    }

    /// What monitoring filters for and extracts, as Cloud Logging gets it.
    #[tokio::test]
    async fn the_line_is_what_monitoring_reads() {
        let folder = tempfile::tempdir().unwrap();
        let embedded = threatstream_embedded::open(threatstream_embedded::Options::new(folder.path())).unwrap();
        let clock = Clock::fixed("2026-11-22T12:00:00Z".parse().unwrap());
        let dependencies = Dependencies {
            backends: embedded.backends(),
            clock: clock.clone(),
        };
        let relay = Relay::new(Config::default(), dependencies);
        clock.advance(Duration::from_secs(25));
        let written = Written::default();
        let writer = written.clone();
        let config = LogConfig {
            format: LogFormat::Stackdriver,
            ..LogConfig::from_env(&[("GOOGLE_CLOUD_PROJECT", "p")]).unwrap()
        };
        tracing::dispatcher::with_default(&dispatch(&config, move || writer.clone()), || tell(&relay));
        let line: serde_json::Value = serde_json::from_slice(&written.0.lock()).unwrap();
        assert_eq!(line["message"], "measured the feed");
        assert_eq!(line["behindMs"], 20_000, "{line}");
    }
}
