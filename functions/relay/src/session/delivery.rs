//! What a client is given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use threatstream_backend::BackendError;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::warn;

use super::{Ending, Mode, Session};
use crate::catch_up::{CatchUp, Step};
use crate::filter::Filter;
use crate::message::{self, Refusal};
use crate::relay::Relay;
use crate::request::Resume;
use crate::ring::{Position, Taken};
use crate::segment::View;
use crate::seq::{Seq, Told};
use crate::wire::{Chunks, CloseCode};

/// About this much is written at once, and held on to by a client that does not read it.
const WRITE_BYTES: usize = 256 * 1024;
const RETRY: Duration = Duration::from_secs(1);
/// A client that is overtaken more often than this within [`OVERTAKEN_WITHIN`] is closed.
const OVERTAKEN_TIMES: u32 = 5;
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(60);

impl<Io: AsyncRead + AsyncWrite + Unpin> Session<Io> {
    /// Gives the client the next part of what it is owed; true when there is nothing more until the ring moves or the client speaks.
    pub(super) async fn deliver(&mut self) -> Result<bool, Ending> {
        match &self.mode {
            Mode::Wait(until) => {
                if Instant::now() < *until {
                    return Ok(true);
                }
                self.mode = Mode::State;
                Ok(false)
            }
            Mode::Live(position) => {
                let position = *position;
                self.live(position).await
            }
            Mode::State => self.state().await,
            Mode::Resync(reason) => {
                let reason = *reason;
                self.relay().meters.resyncs.inc();
                let now = self.relay().dependencies.clock.now();
                self.say(&message::frame(
                    "resync",
                    Some(serde_json::json!({ "reason": reason })),
                    now,
                ))
                .await?;
                self.told = None;
                self.mode = Mode::State;
                Ok(false)
            }
            Mode::Resume(resume) => {
                let resume = resume.clone();
                self.resume(resume).await
            }
            Mode::CatchUp(_) => self.catch_up().await,
        }
    }

    async fn live(&mut self, position: Position) -> Result<bool, Ending> {
        let (segments, after) = match self.relay().ring.take(position, WRITE_BYTES) {
            Taken::UpToDate => return Ok(true),
            Taken::Evicted => return self.overtaken().await,
            Taken::Segments(segments, after) => (segments, after),
        };
        let filter = self.subscription.filter();
        let mut chunks = Chunks::default();
        let (mut frames, mut bytes, mut probed, mut from) = (0, 0, false, position.entry);
        for segment in &segments {
            let view = segment.view(filter, from);
            frames += view.frames as u64;
            bytes += view.bytes.len() as u64;
            chunks.push(view.bytes);
            probed |= segment.probes();
            from = 0;
        }
        if probed && self.heard.elapsed() > self.patience() {
            return Err(Ending::Silent);
        }
        let next = Position {
            segment: position.segment + segments.len() as u64,
            entry: 0,
        };
        drop(segments);
        if bytes > 0 {
            self.write(chunks).await?;
            self.relay().meters.frames.inc_by(frames);
            self.relay().meters.bytes.inc_by(bytes);
        }
        if let Some(told) = &mut self.told {
            told.seq = Seq::at(after);
        }
        self.mode = Mode::Live(next);
        Ok(false)
    }

    /// How long a client may leave pings unanswered. Pongs are not read while a write waits.
    fn patience(&self) -> Duration {
        let config = &self.relay().config;
        (config.heartbeat_interval * 5 / 2).max(config.heartbeat_interval + config.limits.write_timeout)
    }

    async fn state(&mut self) -> Result<bool, Ending> {
        let relay = Arc::clone(self.seat.relay());
        match relay.snapshots.get(&relay, self.told.as_ref()).await {
            Ok(Some(snapshot)) => {
                let mut chunks = Chunks::default();
                chunks.push(snapshot.bytes.clone());
                self.write(chunks).await?;
                relay.meters.frames.inc();
                self.told = Some(Told {
                    epoch: Arc::clone(&snapshot.place.epoch),
                    seq: Seq::at(Arc::clone(&snapshot.place.after)),
                });
                self.mode = Mode::Live(snapshot.place.position);
                self.knows_outage = false;
                Ok(false)
            }
            Ok(None) => Ok(true),
            Err(error) => {
                warn!(%error, "the state cannot be read");
                self.outage().await?;
                self.mode = Mode::Wait(Instant::now() + RETRY);
                Ok(true)
            }
        }
    }

    async fn outage(&mut self) -> Result<(), Ending> {
        if std::mem::replace(&mut self.knows_outage, true) {
            return Ok(());
        }
        let refusal = Refusal::new(
            "frame",
            "the store does not answer; what was asked for follows when it does",
        );
        let now = self.relay().dependencies.clock.now();
        self.say(&message::frame("error", Some(refusal), now)).await
    }

    /// The ring went past the client. The feed still has what it missed; a client for which that is not enough starts anew.
    async fn overtaken(&mut self) -> Result<bool, Ending> {
        let relay = Arc::clone(self.seat.relay());
        relay.meters.overtaken.inc();
        if self.overtaken.since.elapsed() > OVERTAKEN_WITHIN {
            self.overtaken.times = 0;
        }
        if self.overtaken.times == 0 {
            self.overtaken.since = Instant::now();
        }
        self.overtaken.times += 1;
        if self.overtaken.times > OVERTAKEN_TIMES {
            return Err(Ending::Close(CloseCode::TryAgainLater, "the client does not keep up"));
        }
        let current = relay.ring.head().map(|place| place.epoch);
        self.mode = match self.told.clone() {
            Some(told)
                if current.is_some_and(|epoch| epoch == told.epoch) && !relay.config.limits.catch_up.is_zero() =>
            {
                let deadline = Instant::now() + relay.config.limits.catch_up;
                match CatchUp::begin(&relay, told.epoch, told.seq, Some(deadline)).await {
                    Ok(Some(catch_up)) => Mode::CatchUp(Box::new(catch_up)),
                    Ok(None) | Err(_) => Mode::Resync("history is gone"),
                }
            }
            _ => Mode::Resync("the client fell behind"),
        };
        Ok(false)
    }

    async fn resume(&mut self, resume: Resume) -> Result<bool, Ending> {
        let relay = Arc::clone(self.seat.relay());
        let Some(head) = relay.ring.head() else { return Ok(true) };
        if *resume.epoch != *head.epoch {
            self.mode = Mode::Resync("the feed is another one");
            return Ok(false);
        }
        let Some(seq) = Seq::parse(&resume.seq) else {
            self.mode = Mode::Resync("the place is unknown");
            return Ok(false);
        };
        let told = Told { epoch: head.epoch, seq };
        let filter = self.subscription.filter();
        let (mode, missed) = match relay.ring.locate(&told.seq) {
            Some(position) => (Mode::Live(position), None),
            None => match missed(&relay, &told, filter).await {
                Ok(Ok((catch_up, missed))) => (Mode::CatchUp(Box::new(catch_up)), missed),
                Ok(Err(reason)) => {
                    self.mode = Mode::Resync(reason);
                    return Ok(false);
                }
                Err(error) => return self.feed_failed(&error).await,
            },
        };
        relay.meters.resumes.inc();
        let now = relay.dependencies.clock.now();
        let resumed = message::placed("resumed", None::<()>, &told.seq, &told.epoch, now);
        self.told = Some(told);
        self.say(&resumed).await?;
        if let Some(view) = missed {
            self.hand_over(view).await?;
        }
        self.mode = mode;
        Ok(false)
    }

    async fn hand_over(&mut self, view: View) -> Result<(), Ending> {
        if view.bytes.is_empty() {
            return Ok(());
        }
        let meters = &self.relay().meters;
        meters.frames.inc_by(view.frames as u64);
        meters.bytes.inc_by(view.bytes.len() as u64);
        let mut chunks = Chunks::default();
        chunks.push(view.bytes);
        self.write(chunks).await
    }

    async fn catch_up(&mut self) -> Result<bool, Ending> {
        let relay = Arc::clone(self.seat.relay());
        let filter = self.subscription.filter();
        let Mode::CatchUp(catch_up) = &mut self.mode else {
            return Ok(false);
        };
        let seq = catch_up.seq();
        let current = relay.ring.head().map(|place| place.epoch);
        let same_feed = self
            .told
            .as_ref()
            .is_some_and(|told| current.as_ref() == Some(&told.epoch));
        if !same_feed || catch_up.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            self.mode = Mode::Resync(if same_feed {
                "the client fell behind"
            } else {
                "the feed is another one"
            });
            return Ok(false);
        }
        // The feed and the ring hold the same records under the same places: where the one is left, the other is entered.
        if let Some(position) = relay.ring.locate(&seq) {
            self.mode = Mode::Live(position);
            return Ok(false);
        }
        match catch_up.step(&relay, filter).await {
            Ok(Step::Nothing) => {}
            Ok(Step::Nonsense) => self.mode = Mode::Resync("the place is unknown"),
            Ok(Step::Missed(view)) => {
                let seq = catch_up.seq();
                self.hand_over(view).await?;
                if let Some(told) = &mut self.told {
                    told.seq = seq;
                }
            }
            Err(error) => return self.feed_failed(&error).await,
        }
        Ok(false)
    }

    /// A feed that will answer later is waited for; the client keeps its place.
    async fn feed_failed(&mut self, error: &BackendError) -> Result<bool, Ending> {
        warn!(%error, "the feed cannot be read for a client");
        if !error.is_retryable() {
            self.mode = Mode::Resync("history is gone");
            return Ok(false);
        }
        self.outage().await?;
        tokio::time::sleep(RETRY).await;
        Ok(false)
    }
}

/// Begins to read what a client missed. A client that claims part of a record is given the rest of it first, to see whether that can
/// be; the inner error is the reason why it has to start anew.
async fn missed(
    relay: &Relay,
    told: &Told,
    filter: Filter,
) -> Result<Result<(CatchUp, Option<View>), &'static str>, BackendError> {
    let Some(mut catch_up) = CatchUp::begin(relay, Arc::clone(&told.epoch), told.seq.clone(), None).await? else {
        return Ok(Err("history is gone"));
    };
    if told.seq.taken == 0 {
        return Ok(Ok((catch_up, None)));
    }
    Ok(match catch_up.step(relay, filter).await? {
        Step::Missed(view) => Ok((catch_up, Some(view))),
        Step::Nothing | Step::Nonsense => Err("the place is unknown"),
    })
}
