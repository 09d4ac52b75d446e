//! Threats, as they are looked up.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Serialize;
use threatstream_domain::{Frame, Original, Severity, Threat, ThreatType, Timestamp, Triage};

use crate::BackendError;

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// What the next page is asked with; `None` on the last.
    pub next_cursor: Option<String>,
}

/// Which threats. Absent parts ask nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThreatQuery {
    /// Of this severity.
    pub severity: Option<Severity>,
    /// Of this type.
    pub threat_type: Option<ThreatType>,
    /// From this address.
    pub source_ip: Option<String>,
    /// With this ATT&CK technique (or a sub-technique of it).
    pub technique: Option<String>,
    /// Analysed at or after.
    pub since: Option<Timestamp>,
    /// Analysed before.
    pub until: Option<Timestamp>,
    /// Of drills, or not.
    pub simulated: Option<bool>,
    /// With this text in the description, the id, an address, a user or a host, whatever the case of its letters.
    pub text: Option<String>,
    /// At most this many, from 1.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// How many threats there are, drills' included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ThreatStats {
    /// All of them.
    pub total_threats: u64,
    /// By severity; every severity is there.
    pub severity_distribution: BTreeMap<String, u64>,
    /// By type; the types there are.
    pub type_distribution: BTreeMap<String, u64>,
}

/// A change of a stored threat.
#[derive(Clone, Debug, PartialEq)]
pub enum ThreatChange {
    /// A playbook has blocked its source (or no longer does).
    AutoBlocked(bool),
    /// The model's verdict, with the severity it results in.
    Triaged {
        /// The severity from now on.
        severity: Severity,
        /// The model's part.
        triage: Triage,
    },
}

/// Stored threats.
#[async_trait]
pub trait Threats: Send + Sync {
    /// One threat.
    async fn threat(&self, id: &str) -> Result<Option<Threat>, BackendError>;

    /// The threats that an event completed.
    async fn threats_of_event(&self, event_id: &str) -> Result<Vec<Threat>, BackendError>;

    /// Threats, newest `analyzed_at` first.
    ///
    /// # Errors
    /// `Rejected` for a cursor that this store did not give.
    async fn threats(&self, query: &ThreatQuery) -> Result<Page<Threat>, BackendError>;

    /// The originals behind a threat, oldest first; `None` when there is no such threat.
    async fn originals(&self, id: &str) -> Result<Option<Vec<Original>>, BackendError>;

    /// How many there are.
    async fn threat_stats(&self) -> Result<ThreatStats, BackendError>;

    /// Changes a threat, durably, and tells the dashboards (a `threat_update` frame of the result); the threat as it is
    /// now. Applying a change twice leaves what once does, and tells nobody the second time.
    async fn change_threat(
        &self,
        id: &str,
        change: ThreatChange,
        now: Timestamp,
    ) -> Result<Option<Threat>, BackendError>;
}

/// The frame that tells of a changed threat.
///
/// # Errors
/// As [`Frame::new`].
pub fn threat_update(threat: &Threat) -> Result<Frame, serde_json::Error> {
    Frame::new(
        threatstream_domain::FrameKind::ThreatUpdate,
        Some(threat.severity),
        threat,
    )
}
