//! What a client wants to hear.

use std::fmt;

use threatstream_domain::{FrameKind, Severity};

/// A kind of frame that a client may or may not want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    NewThreat,
    ThreatUpdate,
    NewAlert,
    AlertUpdate,
    Metrics,
    Risk,
    RiskTimeline,
    PlaybookStatus,
    SimulationUpdate,
    DrillUpdate,
    /// Keeps the connection alive; nobody can do without.
    Liveness,
}

impl Topic {
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl From<FrameKind> for Topic {
    fn from(kind: FrameKind) -> Self {
        match kind {
            FrameKind::NewThreat => Self::NewThreat,
            FrameKind::ThreatUpdate => Self::ThreatUpdate,
            FrameKind::NewAlert => Self::NewAlert,
            FrameKind::AlertUpdate => Self::AlertUpdate,
            FrameKind::PlaybookStatus => Self::PlaybookStatus,
            FrameKind::SimulationUpdate => Self::SimulationUpdate,
            FrameKind::DrillUpdate => Self::DrillUpdate,
        }
    }
}

/// The names that `subscribe` takes: groups first, then single frame types.
pub(crate) const NAMES: [(&str, Topics); 17] = {
    use Topic::{
        AlertUpdate, DrillUpdate, Metrics, NewAlert, NewThreat, PlaybookStatus, Risk, RiskTimeline, SimulationUpdate,
        ThreatUpdate,
    };
    [
        ("threats", Topics(NewThreat.bit() | ThreatUpdate.bit())),
        ("alerts", Topics(NewAlert.bit() | AlertUpdate.bit())),
        ("metrics", Topics(Metrics.bit())),
        ("risk", Topics(Risk.bit() | RiskTimeline.bit())),
        ("playbooks", Topics(PlaybookStatus.bit())),
        ("simulation", Topics(SimulationUpdate.bit())),
        ("drills", Topics(DrillUpdate.bit())),
        ("new_threat", Topics(NewThreat.bit())),
        ("threat_update", Topics(ThreatUpdate.bit())),
        ("new_alert", Topics(NewAlert.bit())),
        ("alert_update", Topics(AlertUpdate.bit())),
        ("metrics_update", Topics(Metrics.bit())),
        ("risk_update", Topics(Risk.bit())),
        ("risk_timeline_update", Topics(RiskTimeline.bit())),
        ("playbook_status", Topics(PlaybookStatus.bit())),
        ("simulation_update", Topics(SimulationUpdate.bit())),
        ("drill_update", Topics(DrillUpdate.bit())),
    ]
};

/// A set of topics. Liveness belongs to every set.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Topics(u16);

impl Topics {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(Topic::Liveness.bit() - 1);

    /// The topics of a name; `None` when there is no such name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, topics)| *topics)
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn has(self, topic: Topic) -> bool {
        matches!(topic, Topic::Liveness) || self.0 & topic.bit() != 0
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES[7..]
            .iter()
            .filter(|(_, topics)| self.0 & topics.0 != 0)
            .map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

/// What a client wants to hear. Equal filters share the bytes that pass them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Filter {
    topics: Topics,
    min_severity: Severity,
}

impl Filter {
    /// Everything.
    pub(crate) const OPEN: Self = Self {
        topics: Topics::ALL,
        min_severity: Severity::Info,
    };

    pub(crate) fn is_open(self) -> bool {
        self == Self::OPEN
    }

    /// Frames without a severity pass whatever the least severity is.
    pub(crate) fn admits(self, topic: Topic, severity: Option<Severity>) -> bool {
        self.topics.has(topic) && severity.is_none_or(|severity| severity >= self.min_severity)
    }
}

/// A client's subscriptions so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    chosen: bool,
    filter: Filter,
}

impl Subscription {
    /// All topics until the first subscribe.
    pub(crate) const fn new() -> Self {
        Self {
            chosen: false,
            filter: Filter::OPEN,
        }
    }

    pub(crate) fn filter(&self) -> Filter {
        self.filter
    }

    /// The first choice of topics replaces "all"; further ones join it. A least severity replaces the one before.
    pub(crate) fn subscribe(&mut self, topics: Option<Topics>, min_severity: Option<Severity>) {
        if let Some(topics) = topics {
            self.filter.topics = if self.chosen {
                self.filter.topics.with(topics)
            } else {
                topics
            };
            self.chosen = true;
        }
        if let Some(severity) = min_severity {
            self.filter.min_severity = severity;
        }
    }

    /// Without topics: from everything.
    pub(crate) fn unsubscribe(&mut self, topics: Option<Topics>) {
        self.chosen = true;
        self.filter.topics = topics.map_or(Topics::NONE, |topics| self.filter.topics.without(topics));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_choose_join_and_leave() {
        let threats = Topics::named("threats");
        let mut subscription = Subscription::new();
        assert!(subscription.filter().is_open());
        subscription.unsubscribe(Topics::named("metrics"));
        assert!(!subscription.filter().admits(Topic::Metrics, None));
        assert!(subscription.filter().admits(Topic::Risk, None));

        let mut subscription = Subscription::new();
        subscription.subscribe(threats, Some(Severity::High));
        let filter = subscription.filter();
        assert!(filter.admits(Topic::NewThreat, Some(Severity::High)));
        assert!(!filter.admits(Topic::NewThreat, Some(Severity::Medium)));
        assert!(!filter.admits(Topic::NewAlert, Some(Severity::Critical)));
        assert!(filter.admits(Topic::Liveness, None));
        subscription.subscribe(Topics::named("risk"), None);
        assert!(subscription.filter().admits(Topic::RiskTimeline, None));
        assert!(!subscription.filter().admits(Topic::NewThreat, Some(Severity::Low)));
        subscription.unsubscribe(None);
        assert!(!subscription.filter().admits(Topic::Risk, None));
        assert!(subscription.filter().admits(Topic::Liveness, None));
        assert_eq!(Topics::named("everything"), None);
    }

    #[test]
    fn every_frame_type_of_the_store_has_a_name_and_a_bit_of_its_own() {
        for kind in FrameKind::ALL {
            let topics = Topics::named(kind.as_str()).unwrap();
            assert!(topics.has(Topic::from(*kind)));
            assert_eq!(topics.0.count_ones(), 1);
        }
        let all = NAMES.iter().fold(Topics::NONE, |all, (_, topics)| all.with(*topics));
        assert_eq!(all, Topics::ALL);
    }
}
