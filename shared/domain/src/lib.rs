//! The types of the product and their invariants: events, threats, alerts, risk, playbooks, simulations.
//!
//! Everything else speaks in these types. The crate does no I/O and knows no async runtime; the only clock in the
//! product is [`Clock`], and whatever needs the time takes it as an argument.

mod alert;
mod closed_set;
mod envelope;
mod frame;
mod ids;
mod ledger;
mod mark;
mod response;
mod risk;
mod simulation;
mod taxonomy;
mod threat;
mod time;

pub use alert::{
    Alert, AlertAction, AlertCase, AlertGroup, AlertStatus, InvalidTransition, Note, Priority, TimelineEntry,
};
pub use closed_set::UnknownName;
pub use envelope::{Envelope, MAX_EVENT_BYTES, MAX_EVENT_ID_BYTES};
pub use frame::{Frame, FrameKind};
pub use ids::{derived_id, fingerprint, hex, truncated};
pub use ledger::{JudgeLedger, Ledger, LedgerPartition, MatchLedger, Tally};
pub use mark::{ForgedMark, MARK_HEADER, MarkKey};
pub use response::{BlockEntry, Execution, ExecutionStatus, ExecutionStep, StepStatus};
pub use risk::{
    MinuteStats, RISK_WINDOW_MINUTES, RiskIndex, RiskLevel, RiskTrend, risk_at, risk_index, severity_weight,
};
pub use simulation::{Intensity, SimulationState, SimulationStatus};
pub use taxonomy::{AuditRef, Severity, SourceZone, ThreatType};
pub use threat::{Claim, Evidence, Original, Threat, Triage};
pub use time::{Clock, InvalidTime, Timestamp, micros};
