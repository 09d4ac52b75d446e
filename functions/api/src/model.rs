//! The model, as health sees it: asked for real, and seldom.

use std::sync::Arc;
use std::time::Duration;

use threatstream_domain::{Clock, Timestamp};
use threatstream_gemini::{Gemini, GeminiConfig, GeminiError};
use tokio::sync::Mutex;

use crate::health::PartStatus;

/// How long an answer holds. Whoever watches health often must not use up the quota that triage needs.
const HOLDS: Duration = Duration::from_secs(30);
/// How long a wait that the model asks for is kept to.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The model, if there is one, and what it last was found to be.
pub(crate) struct Model {
    gemini: Option<Gemini>,
    limit: Duration,
    clock: Clock,
    last: Mutex<Option<Found>>,
}

#[derive(Clone, Copy)]
struct Found {
    status: PartStatus,
    at: Timestamp,
    holds: Duration,
}

impl Model {
    pub(crate) fn new(config: Option<GeminiConfig>, limit: Duration, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            gemini: config.map(Gemini::new),
            limit,
            clock,
            last: Mutex::default(),
        })
    }

    /// Says at the start what the model is used for.
    pub(crate) fn announce(&self) {
        match &self.gemini {
            None => tracing::info!("verdicts are the rules' alone: neither GEMINI_API_KEY nor GEMINI_VERTEX is set"),
            Some(gemini) => tracing::info!(
                model = gemini.config().model,
                place = gemini.config().place(),
                "verdicts are the rules' alone: this build triages nothing with the model, health and doctor ask whether it answers"
            ),
        }
    }

    /// How it is, or was less than half a minute ago.
    pub(crate) async fn status(self: &Arc<Self>) -> PartStatus {
        if self.gemini.is_none() {
            return PartStatus::Off;
        }
        let model = self.clone();
        // A caller that leaves must not end what others wait for, nor make the next one ask anew.
        let found = tokio::spawn(async move { model.find().await }).await;
        found.unwrap_or(PartStatus::Down)
    }

    /// Whoever comes while it is asked waits for that answer.
    async fn find(&self) -> PartStatus {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        if let Some(found) = *last
            && found.at <= now
            && now.since(found.at) < found.holds
        {
            return found.status;
        }
        let (status, holds) = self.ask().await;
        *last = Some(Found { status, at: now, holds });
        status
    }

    async fn ask(&self) -> (PartStatus, Duration) {
        let Some(gemini) = &self.gemini else {
            return (PartStatus::Off, HOLDS);
        };
        let limit = self.limit;
        match tokio::time::timeout(limit, gemini.probe()).await {
            Ok(Ok(_)) => (PartStatus::Up, HOLDS),
            Ok(Err(error)) => {
                let status = match error {
                    // It is there, and refuses some of what it is asked.
                    GeminiError::RateLimited { .. } => PartStatus::Degraded,
                    _ => PartStatus::Down,
                };
                let wait = error.retry_after().unwrap_or_default().clamp(HOLDS, LONGEST_WAIT);
                tracing::warn!(part = "gemini", %error, "the model does not serve");
                (status, wait)
            }
            Err(_) => {
                tracing::warn!(part = "gemini", ?limit, "a part did not answer in time");
                (PartStatus::Down, HOLDS)
            }
        }
    }
}
