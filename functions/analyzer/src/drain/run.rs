//! One drain: take what is free, work until nothing is left, give it back, look once more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::{join, join_all, try_join};
use threatstream_backend::LoggedRecord;
use threatstream_runtime::Shutdown;
use tokio::time::Instant;

use super::look::Look;
use super::report::{Report, Status};
use crate::judging::Judge;
use crate::matching::Matcher;
use crate::{Dependencies, StageError};

/// How long a read of the log may wait for records that the watermarks promise.
const WAIT: Duration = Duration::from_secs(1);
/// A log that gives nothing for so long, though its watermarks promise something, is left to the next drain.
const STALLED: Duration = Duration::from_secs(20);
/// How long giving up a lease may take after a failure.
const PATIENCE: Duration = Duration::from_secs(1);

/// Records of the raw topic that somebody brought, by partition, in the order of offsets.
pub(crate) type Offers = BTreeMap<u32, Vec<LoggedRecord>>;

/// Both stages as they are kept between drains: parked, holding no lease.
#[derive(Default)]
pub(super) struct Stages {
    matcher: Option<Matcher>,
    judges: BTreeMap<u32, Judge>,
}

/// Until when a drain may work.
pub(super) struct Limits {
    pub(super) deadline: Instant,
    pub(super) shutdown: Shutdown,
}

impl Limits {
    fn are_reached(&self) -> bool {
        Instant::now() >= self.deadline || self.shutdown.is_stopping()
    }
}

/// How a drain ended, and what it saw last.
pub(super) struct Ended {
    pub(super) report: Result<Report, StageError>,
    /// Nothing was left to do when it looked last; what `asked` said just before.
    pub(super) covers: Option<u64>,
    /// Something is left for a drain that may go on at once.
    pub(super) is_left: bool,
}

/// A drain under way.
pub(super) struct Run<'a> {
    dependencies: &'a Dependencies,
    stages: &'a mut Stages,
    limits: Limits,
    raw: Look,
    matches: Look,
    events: u64,
    pushed: u64,
    judged: u64,
    stored: u64,
    failure: Option<StageError>,
    moved_at: Instant,
    is_stalled: bool,
}

/// Drains both topics. `asked` counts the requests so far: one that came before the last look need not look itself.
pub(super) async fn run(
    dependencies: &Dependencies,
    stages: &mut Stages,
    mut offers: Offers,
    limits: Limits,
    asked: impl Fn() -> u64,
) -> Ended {
    let began = Instant::now();
    let mut covers = asked();
    let looked = look(dependencies).await;
    let (raw, matches) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            return Ended {
                report: Err(error),
                covers: None,
                is_left: false,
            };
        }
    };
    let mut run = Run {
        dependencies,
        stages,
        limits,
        raw,
        matches,
        events: 0,
        pushed: 0,
        judged: 0,
        stored: 0,
        failure: None,
        moved_at: began,
        is_stalled: false,
    };
    let mut is_idle = true;
    while run.is_due() {
        is_idle = false;
        run.pass(std::mem::take(&mut offers)).await;
        covers = asked();
        if let Err(error) = run.look_again().await {
            run.failure.get_or_insert(error);
            break;
        }
        if run.must_end() {
            break;
        }
    }
    run.end(is_idle, began, covers).await
}

async fn look(dependencies: &Dependencies) -> Result<(Look, Look), StageError> {
    let Dependencies { backends, clock, .. } = dependencies;
    let now = clock.now();
    Ok(try_join(
        Look::at(backends, &backends.topics.raw, now),
        Look::at(backends, &backends.topics.matches, now),
    )
    .await?)
}

impl Run<'_> {
    /// Whether something is left that this drain can do.
    fn is_due(&self) -> bool {
        let mut places = self.raw.places.iter().chain(&self.matches.places);
        places.any(|place| place.is_due() && !place.is_denied)
    }

    fn must_end(&self) -> bool {
        self.is_stalled || self.limits.are_reached()
    }

    /// Takes the leases of what lags, works until nothing lags or time is up, and gives the leases back.
    async fn pass(&mut self, offers: Offers) {
        self.moved_at = Instant::now();
        self.is_stalled = false;
        self.take_raw(offers).await;
        loop {
            self.take_matches().await;
            if !self.batch().await || self.must_end() {
                break;
            }
        }
        let matcher = async {
            if let Some(matcher) = &mut self.stages.matcher {
                matcher.park().await;
            }
        };
        join(matcher, join_all(self.stages.judges.values_mut().map(Judge::park))).await;
    }

    /// Takes the leases of the partitions of the raw topic that lag, and what was offered of them.
    async fn take_raw(&mut self, offers: Offers) {
        let due: BTreeSet<u32> = self
            .raw
            .iter()
            .filter(|(_, place)| place.is_due())
            .map(|(partition, _)| partition)
            .collect();
        if due.is_empty() {
            if let Some(matcher) = &mut self.stages.matcher {
                // It is kept from the drain before, and holds its partitions on while judge works: none now.
                matcher.only(due);
            }
            return;
        }
        let partitions = self.raw.partitions();
        let matcher = self
            .stages
            .matcher
            .get_or_insert_with(|| Matcher::new(self.dependencies.clone(), partitions));
        matcher.only(due.clone());
        if let Err(error) = matcher.hold().await {
            return self.fail_matcher(error).await;
        }
        for (partition, records) in offers {
            let high = self.raw.place(partition).map_or(0, |place| place.high);
            // What the log does not have is not to move the checkpoint, whoever brings it.
            let records = records.into_iter().filter(|record| record.offset < high).collect();
            self.pushed += matcher.offer(partition, records) as u64;
        }
        for partition in due {
            let next = matcher.next_offset(partition);
            if let Some(place) = self.raw.place(partition) {
                place.is_denied = next.is_none();
                place.next = next.unwrap_or(place.next).max(place.next);
            }
        }
    }

    /// Takes the leases of the partitions of matches that lag and are not held yet.
    async fn take_matches(&mut self) {
        let partitions = self.matches.partitions();
        let due: Vec<u32> = self
            .matches
            .iter()
            .filter(|(_, place)| place.is_due() && !place.is_denied)
            .map(|(partition, _)| partition)
            .collect();
        for partition in &due {
            self.stages
                .judges
                .entry(*partition)
                .or_insert_with(|| Judge::new(self.dependencies.clone(), *partition, partitions));
        }
        let judges = self.stages.judges.iter_mut();
        let taken = judges
            .filter(|(partition, judge)| due.contains(partition) && judge.next_offset().is_none())
            .map(|(partition, judge)| async move { (*partition, judge.hold().await, judge.next_offset()) });
        for (partition, held, next) in join_all(taken).await {
            if let Err(error) = held {
                self.fail_judge(partition, error).await;
            } else if let Some(place) = self.matches.place(partition) {
                place.is_denied = next.is_none();
                // What the one before left unpublished is published with the taking.
                place.is_abandoned &= place.is_denied;
                place.next = next.unwrap_or(place.next).max(place.next);
            }
        }
    }

    /// One batch of match, and one of each judge that has something to do, side by side. False: nothing is left to do.
    async fn batch(&mut self) -> bool {
        let raw = &self.raw;
        let matching = self.stages.matcher.as_mut().map(|matcher| {
            let lags = |(partition, place): (u32, &super::look::Place)| {
                matcher.next_offset(partition).is_some_and(|_| place.is_due())
            };
            let is_due = matcher.has_pending() || raw.iter().any(lags);
            (matcher, is_due)
        });
        let matches = &self.matches;
        let judging: Vec<_> = self
            .stages
            .judges
            .iter_mut()
            .filter(|(_, judge)| judge.next_offset().is_some())
            .map(|(partition, judge)| {
                let is_due = matches
                    .places
                    .get(*partition as usize)
                    .is_some_and(|place| place.is_due());
                (*partition, judge, is_due)
            })
            .collect();
        let match_is_due = matching.as_ref().is_some_and(|(_, is_due)| *is_due);
        if !match_is_due && !judging.iter().any(|(_, _, is_due)| *is_due) {
            return false;
        }
        let matched = async {
            match matching {
                Some((matcher, true)) => matcher.step(WAIT).await,
                Some((matcher, false)) => matcher.hold().await.map(|()| 0),
                None => Ok(0),
            }
        };
        let judged = judging.into_iter().map(|(partition, judge, is_due)| async move {
            let worked = if is_due {
                judge.step(WAIT).await
            } else {
                judge.hold().await.map(|()| 0)
            };
            let published = judge.take_published();
            (partition, worked, judge.take_stored(), judge.next_offset(), published)
        });
        let (matched, judged) = join(matched, join_all(judged)).await;

        let mut moved = 0;
        match matched {
            Ok(count) => moved += count,
            Err(error) => self.fail_matcher(error).await,
        }
        self.events += moved as u64;
        self.note_matcher();
        for (partition, worked, stored, next, published) in judged {
            self.stored += stored;
            self.note_matches(published);
            match worked {
                Ok(count) => {
                    moved += count;
                    self.judged += count as u64;
                    if let Some(place) = self.matches.place(partition) {
                        place.is_denied = next.is_none();
                        place.next = next.unwrap_or(place.next).max(place.next);
                    }
                }
                Err(error) => self.fail_judge(partition, error).await,
            }
        }
        if moved > 0 {
            self.moved_at = Instant::now();
        } else if self.moved_at.elapsed() > STALLED {
            tracing::warn!(
                pending = self.raw.pending() + self.matches.pending(),
                "the log gives nothing of what it has"
            );
            self.is_stalled = true;
        }
        true
    }

    /// Takes over how far match is, and where its matches end.
    fn note_matcher(&mut self) {
        let Some(matcher) = &mut self.stages.matcher else {
            return;
        };
        for (partition, place) in (0..).zip(&mut self.raw.places) {
            if place.is_broken {
                continue;
            }
            match matcher.next_offset(partition) {
                // Also one that was another's: the matcher takes what has become free with every round of renewals.
                Some(next) => (place.next, place.is_denied) = (next, false),
                None => place.is_denied |= place.lag() > 0,
            }
        }
        let published = matcher.take_published();
        self.note_matches(published);
    }

    /// Takes over where the matches of some partitions end.
    fn note_matches(&mut self, published: BTreeMap<u32, u64>) {
        for (partition, end) in published {
            if let Some(place) = self.matches.place(partition) {
                place.high = place.high.max(end);
            }
        }
    }

    async fn fail_matcher(&mut self, error: StageError) {
        tracing::warn!(%error, "match failed; the next drain starts again from its checkpoints");
        if let Some(matcher) = &mut self.stages.matcher {
            let _ = tokio::time::timeout(PATIENCE, matcher.abandon()).await;
            matcher.forget();
        }
        self.raw.places.iter_mut().for_each(|place| place.is_broken = true);
        self.failure.get_or_insert(error);
    }

    async fn fail_judge(&mut self, partition: u32, error: StageError) {
        tracing::warn!(%error, partition, "judge failed; the next drain starts again from its checkpoint");
        if let Some(judge) = self.stages.judges.get_mut(&partition) {
            let _ = tokio::time::timeout(PATIENCE, judge.abandon()).await;
            judge.forget();
        }
        if let Some(place) = self.matches.place(partition) {
            place.is_broken = true;
        }
        self.failure.get_or_insert(error);
    }

    /// Looks whether something came while the leases were held: whoever was turned away then relies on it.
    async fn look_again(&mut self) -> Result<(), StageError> {
        let backends = &self.dependencies.backends;
        try_join(self.raw.again(backends), self.matches.again(backends)).await?;
        Ok(())
    }

    async fn end(mut self, is_idle: bool, began: Instant, covers: u64) -> Ended {
        let now = self.dependencies.clock.now();
        let backends = &self.dependencies.backends;
        let others = try_join(self.raw.others(backends, now), self.matches.others(backends, now)).await;
        if let Err(error) = others {
            self.failure.get_or_insert(error.into());
        }
        if let Some(error) = self.failure {
            return Ended {
                report: Err(error),
                covers: None,
                is_left: false,
            };
        }
        let pending = self.raw.pending() + self.matches.pending();
        let is_left = self.is_due();
        let status = match (is_idle, is_left, pending) {
            (_, true, _) => Status::Partial,
            (true, ..) => Status::Idle,
            (false, false, 0) => Status::Drained,
            (false, false, _) => Status::Held,
        };
        let report = Report {
            status,
            joined: false,
            events_matched: self.events,
            events_pushed: self.pushed,
            matches_judged: self.judged,
            threats_stored: self.stored,
            partitions_held: self.raw.held_by_others() + self.matches.held_by_others(),
            pending,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        Ended {
            report: Ok(report),
            covers: (!is_left).then_some(covers),
            is_left: is_left && !self.is_stalled,
        }
    }
}
